//! Where a redirect leads, and what is said there.

use updraft_agent::pull::{
    Credentials, Device, Options, Pull, Redirects, Request, Scheme, Step, Url,
};

use super::{Board, ESP32, ESP8266, SKETCH, answer, connect, request, sketch, wire, words};

/// Follows these locations, then gets a sketch: what was sent, and what came out.
fn follow(request: &Request<'_>, options: Options, locations: &[&str]) -> (Vec<String>, String) {
    let mut board = Board::default();
    let mut buffer = [0; 256];
    let mut pull = Pull::new(request, options, &mut buffer, &mut board, 0);
    let mut sent = Vec::new();
    for location in locations {
        sent.push(connect(&mut pull, 0));
        let field = format!("Location: {location}");
        pull.receive(&answer("302 Found", &[&field, "Content-Length: 0"], b""), 0);
        if pull.step() == Step::Done {
            return (sent, words(&pull.into_outcome()));
        }
    }
    sent.push(connect(&mut pull, 0));
    let length = format!("Content-Length: {}", sketch().len());
    pull.receive(&answer("200 OK", &[&length], &sketch()), 0);
    (sent, words(&pull.into_outcome()))
}

fn options(device: Device<'_>, redirects: Redirects) -> Options {
    Options { redirects, ..Options::of(device.family) }
}

fn redir(device: Device<'_>) -> Request<'_> {
    let url = Url::parse("http://127.0.0.1:18112/redir").unwrap();
    Request { url, ..request(device, SKETCH) }
}

#[test]
fn an_esp8266_follows_as_captured() {
    for redirects in [Redirects::SameHost, Redirects::Any] {
        let options = options(ESP8266, redirects);
        let check = |request, location, capture| {
            let (sent, outcome) = follow(&request, options, &[location]);
            assert_eq!((sent.concat(), &*outcome), (wire(capture), "ok"));
        };
        // The captures do not show which form the location had; it makes no difference.
        for location in ["/ok", "http://127.0.0.1:18112/ok"] {
            let plain = Request { version: None, ..redir(ESP8266) };
            check(
                Request { version: Some("1.0.0"), ..plain },
                location,
                "arduino_esp8266/redirect-followed.http",
            );
            let credentials = Some(Credentials { user: "alice", password: "pw" });
            let request = Request { credentials, ..redir(ESP8266) };
            check(request, location, "arduino_esp8266/auth-redir-followed.http");
        }
    }
}

#[test]
fn an_esp32_keeps_its_fields_unless_only_the_path_changes() {
    let options = options(ESP32, Redirects::Any);
    let (sent, _) = follow(&redir(ESP32), options, &["http://other:81/a", "/b"]);
    assert_eq!(sent[1], sent[0].replace("/redir", "/a").replace("127.0.0.1:18112", "other:81"));
    let bare = "GET /b HTTP/1.0\r\nHost: other:81\r\nUser-Agent: ESP32-http-Update\r\nConnection: close\r\n\r\n";
    assert_eq!(sent[2], bare);
    let (sent, _) = follow(&redir(ESP32), options, &["/b", "http://other:81/b"]);
    assert_eq!(sent[2], bare);
}

#[test]
fn which_are_followed_is_a_matter_of_policy() {
    let check = |redirects, location: &str, expected: &str| {
        let (sent, outcome) = follow(&redir(ESP8266), options(ESP8266, redirects), &[location]);
        assert_eq!(outcome, expected, "{location}");
        assert_eq!(sent.len(), if expected == "ok" { 2 } else { 1 });
    };
    let refused = "-104 Wrong HTTP Code";
    for location in ["/ok", "http://127.0.0.1:18112/ok"] {
        check(Redirects::Off, location, refused);
        check(Redirects::SameHost, location, "ok");
    }
    for location in ["http://127.0.0.1/ok", "http://127.0.0.2:18112/ok"] {
        check(Redirects::SameHost, location, refused);
        check(Redirects::Any, location, "ok");
    }
    for location in ["https://127.0.0.1:18112/ok", "ok", "ftp://h/", "http://", "/a b", ""] {
        check(Redirects::Any, location, refused);
    }
    let long = format!("/{}", "x".repeat(300));
    check(Redirects::Any, &long, "-8 HTTP error: not enough ram");
    check(Redirects::Off, &long, refused);
}

#[test]
fn only_some_statuses_are_redirects() {
    for (status, is_followed) in
        [("301", true), ("302", true), ("303", true), ("307", true), ("308", false), ("300", false)]
    {
        let mut board = Board::default();
        let (mut buffer, asked) = ([0; 256], redir(ESP32));
        let options = options(ESP32, Redirects::Any);
        let mut pull = Pull::new(&asked, options, &mut buffer, &mut board, 0);
        connect(&mut pull, 0);
        pull.receive(&answer(status, &["Location: http://other/ok"], b""), 0);
        let expected = Step::Connect { scheme: Scheme::Http, host: "other", port: 80 };
        assert_eq!(pull.step(), if is_followed { expected } else { Step::Done }, "{status}");
    }
}

#[test]
fn a_loop_ends_at_the_limit() {
    let (sent, outcome) =
        follow(&redir(ESP8266), options(ESP8266, Redirects::Any), &["/redir"; 20]);
    assert_eq!((sent.len(), &*outcome), (11, "-104 Wrong HTTP Code"));
    let none = Options { redirect_limit: 0, ..options(ESP8266, Redirects::Any) };
    assert_eq!(follow(&redir(ESP8266), none, &["/ok"]).0.len(), 1);
}

#[test]
fn credentials_stay_with_the_server_they_are_meant_for() {
    let is_authorized = |request: &Request<'_>, locations: &[&str]| {
        let (sent, outcome) = follow(request, options(ESP8266, Redirects::Any), locations);
        assert_eq!(outcome, "ok");
        sent.iter().map(|sent| sent.contains("Authorization: Basic")).collect::<Vec<_>>()
    };
    let credentials = Some(Credentials { user: "alice", password: "pw" });
    let url = Url::parse("http://alice:pw@127.0.0.1:18112/redir").unwrap();
    for request in [Request { credentials, ..redir(ESP8266) }, Request { url, ..redir(ESP8266) }] {
        assert_eq!(is_authorized(&request, &["/a", "/b"]), [true; 3]);
        let away = ["http://other/a", "/b", "http://127.0.0.1:18112/c"];
        assert_eq!(is_authorized(&request, &away), [true, false, false, true]);
        assert_eq!(is_authorized(&request, &["http://bob:pw@other/a", "/b"]), [true; 3]);
    }
}

#[test]
fn evidence_is_not_repeated_at_a_redirect() {
    let evidence = updraft_agent::pull::Evidence {
        rssi: Some(-71),
        ..updraft_agent::pull::Evidence::default()
    };
    let request = Request { evidence, ..redir(ESP32) };
    let (sent, _) = follow(&request, options(ESP32, Redirects::Any), &["http://other/a"]);
    assert!(sent[0].starts_with("GET /redir?rssi=-71 HTTP/1.0"), "{}", sent[0]);
    assert!(sent[1].starts_with("GET /a HTTP/1.0"), "{}", sent[1]);
}
