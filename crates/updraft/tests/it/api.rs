//! The API from outside: who may, what is refused, and a release from upload to channel.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Answer, Server, setup};
use crate::images;

/// A token with these scopes, made beside the running server.
fn token(data: &Path, name: &str, scope: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let scopes = [scope.to_owned()];
    runtime.block_on(updraft_server::api::create_token(data, name, &scopes)).unwrap()
}

fn ask(server: &Server, token: &str, line: &str, body: &[u8]) -> Answer {
    let length = body.len();
    let mut request = format!(
        "{line} HTTP/1.1\r\nHost: updates\r\nConnection: close\r\n\
         Authorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n"
    )
    .into_bytes();
    request.extend_from_slice(body);
    server.send(request)
}

fn call(server: &Server, token: &str, line: &str, body: &Value) -> (u16, Value) {
    let answer = ask(server, token, line, body.to_string().as_bytes());
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
}

#[test]
fn a_token_may_what_its_scopes_say_and_nobody_else_may_anything() {
    let server = setup().start();
    let data = server.catalog().parent().unwrap().join("data");
    let (admin, reader) = (token(&data, "boss", "admin"), token(&data, "eye", "read"));
    for (shown, status) in [("nonsense", 401), (reader.as_str(), 200), (admin.as_str(), 200)] {
        assert_eq!(call(&server, shown, "GET /api/v1/health", &Value::Null).0, status);
    }
    let none = server.get("/api/v1/health", "");
    none.check_head(401, &[("content-type", "application/problem+json")]);
    let product = json!({ "name": "door" });
    let (status, problem) = call(&server, &reader, "POST /api/v1/products", &product);
    assert_eq!(status, 403);
    assert!(problem["detail"].as_str().unwrap().contains("publish"), "{problem}");
    let (_, tokens) = call(&server, &admin, "GET /api/v1/tokens", &Value::Null);
    let id = tokens["items"][1]["id"].as_i64().unwrap();
    let line = format!("DELETE /api/v1/tokens/{id}");
    assert_eq!(call(&server, &admin, &line, &Value::Null).0, 204);
    assert_eq!(call(&server, &reader, "GET /api/v1/health", &Value::Null).0, 401);
    let log = format!("{:?}", server.log());
    assert!(!log.contains(&admin) && !log.contains(&reader), "tokens are never logged");
}

#[test]
fn devices_are_brought_in_changed_and_explained() {
    let server = setup().start();
    let data = server.catalog().parent().unwrap().join("data");
    let token = token(&data, "boss", "admin");
    let call = |line: &str, body: Value| call(&server, &token, line, &body);
    assert_eq!(call("POST /api/v1/products", json!({ "name": "door" })).0, 201);
    assert_eq!(call("POST /api/v1/products", json!({ "name": "door" })).0, 409);
    let list = json!({ "devices": [
        { "mac": "5ccf7fb1e042", "name": "hall", "product": "door", "tags": ["east"] },
        { "mac": "5ccf7fb1e043", "chip": "esp32" },
    ] });
    let counted = call("POST /api/v1/devices/import", list);
    assert_eq!(counted, (200, json!({ "new": 2, "known": 0 })));
    let (_, list) = call("GET /api/v1/devices?limit=1", Value::Null);
    assert_eq!(list["items"][0]["name"], "hall");
    let next = list["next"].as_str().unwrap();
    let (_, list) = call(&format!("GET /api/v1/devices?limit=1&cursor={next}"), Value::Null);
    assert_eq!((&list["items"][0]["family"], &list["next"]), (&json!("esp32"), &Value::Null));
    let patch = json!({ "name": "5C:CF:7F:B1:E0:44" });
    assert_eq!(call("PATCH /api/v1/devices/hall", patch).0, 422);
    let (status, device) = call("PATCH /api/v1/devices/hall", json!({ "block": true }));
    assert_eq!((status, &device["blocked"]), (200, &json!(true)));
    let (_, why) = call("GET /api/v1/devices/5C-CF-7F-B1-E0-42/explain", Value::Null);
    assert_eq!((&why["decision"], &why["reason"]), (&json!("hold"), &json!("blocked")), "{why}");
    assert_eq!(call("DELETE /api/v1/devices/hall", Value::Null).0, 204);
    assert_eq!(call("GET /api/v1/devices/hall", Value::Null).0, 404);
}

#[test]
fn a_file_becomes_a_release_on_a_channel_and_is_taken_back() {
    let server = setup().start();
    let data = server.catalog().parent().unwrap().join("data");
    let token = token(&data, "ci", "publish");
    let call = |line: &str, body: Value| call(&server, &token, line, &body);
    let upload = |name: &str, file: &[u8]| {
        let answer = ask(&server, &token, &format!("POST /api/v1/images?name={name}"), file);
        (answer.status, serde_json::from_slice::<Value>(&answer.body).unwrap())
    };
    let (status, image) = upload("door.bin", &images::sketch(1));
    assert_eq!(
        (status, &image["place"], &image["chip"]),
        (201, &json!("store"), &json!("esp8266"))
    );
    assert_eq!(upload("again.bin", &images::sketch(1)).1["sha256"], image["sha256"]);
    let files = std::fs::read_dir(data.join("images"))
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_type().unwrap().is_file());
    assert_eq!(files.count(), 1, "the same image has one file");

    let images = json!([image["sha256"]]);
    let nameless = json!({ "product": "door", "images": images });
    let (status, problem) = call("POST /api/v1/releases", nameless);
    assert_eq!(status, 422);
    assert!(problem["detail"].as_str().unwrap().contains("version"), "{problem}");
    let new = json!({ "product": "door", "version": "1.4.2", "images": images });
    let (status, release) = call("POST /api/v1/releases", new.clone());
    assert_eq!((status, &release["version"]), (201, &json!("1.4.2")), "{release}");
    assert_eq!(call("POST /api/v1/releases", new).0, 409, "a release never changes");
    let channel = "/api/v1/products/door/channels/stable";
    let reach = call(&format!("GET {channel}/reach"), Value::Null);
    assert_eq!(reach, (200, json!({ "devices": 0 })));
    let to = json!({ "version": "1.4.2" });
    let (status, moved) = call(&format!("PUT {channel}"), to.clone());
    assert_eq!((status, &moved["channel"]["release"]), (200, &release["id"]));
    let yank = format!("POST /api/v1/releases/{}/yank", release["id"]);
    let (_, yanked) = call(&yank, json!({ "reason": "it burns" }));
    assert_eq!(
        (&yanked["yanked"]["reason"], &yanked["yanked"]["by"]),
        (&json!("it burns"), &json!("ci"))
    );
    assert_eq!(call(&format!("PUT {channel}"), to).0, 409, "nothing may point to it");
    let (_, events) = call("GET /api/v1/events?product=door", Value::Null);
    assert_eq!(events["items"][0]["actor_name"], "ci");
}
