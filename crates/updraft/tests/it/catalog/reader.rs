//! Reads a list as AutoConnect 1.4.2 does (`AutoConnectUpdate.cpp`): entry by entry, each into a
//! document of 256 bytes of `ArduinoJson` 6 on a 32-bit chip. One entry that does not fit ends the list
//! and takes the whole update away from the person at the portal.

use serde_json::{Deserializer, Value};

use crate::catalog::captured;

/// `AUTOCONNECT_UPDATE_CATALOG_JSONBUFFER_SIZE`.
const POOL: usize = 256;

/// A radio button of the portal's page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// What the download will ask for.
    pub(super) name: String,
    /// Date, hour and minute, size: what the person sees beside it.
    pub(super) tag: String,
}

/// What the portal offers, or `ArduinoJson`'s word for what it stumbled over.
pub(super) fn read(body: &[u8]) -> Result<Vec<Choice>, &'static str> {
    let text = std::str::from_utf8(body).map_err(|_| "InvalidInput")?;
    let (_, mut rest) = text.split_once('[').ok_or("EmptyInput")?;
    let mut choices = Vec::new();
    loop {
        let mut values = Deserializer::from_str(rest).into_iter();
        let entry: Value = match values.next() {
            None => return Err("EmptyInput"),
            Some(Ok(entry)) => entry,
            Some(Err(error)) if error.is_eof() => return Err("IncompleteInput"),
            Some(Err(_)) => return Err("InvalidInput"),
        };
        rest = &rest[values.byte_offset()..];
        if cost(&entry) > POOL {
            return Err("NoMemory");
        }
        let word = |key: &str| entry[key].as_str().unwrap_or("null").to_owned();
        if word("type").eq_ignore_ascii_case("bin") {
            let size = entry["size"].as_i64().and_then(|size| i32::try_from(size).ok());
            let tag = format!("{} {:.5} {}", word("date"), word("time"), size.unwrap_or(0));
            choices.push(Choice { name: word("name"), tag });
        }
        match rest.find([',', ']']) {
            Some(at) if rest[at..].starts_with(',') => rest = &rest[at + 1..],
            _ => return Ok(choices),
        }
    }
}

/// Bytes of the document: a slot of 16 for each member, and every text read from a stream is copied.
fn cost(value: &Value) -> usize {
    match value {
        Value::Object(members) => {
            members.iter().map(|(key, value)| 16 + key.len() + 1 + cost(value)).sum()
        }
        Value::Array(values) => values.iter().map(|value| 16 + cost(value)).sum(),
        Value::String(text) => text.len() + 1,
        _ => 0,
    }
}

/// What the real portal was seen to do.
#[test]
fn it_reads_what_the_real_portal_reads() {
    let (_, body) = captured("catalog-response.http");
    let tag = "11/21/26 09:18 264272";
    let choices = ["firmware-1.2.0.bin", "firmware-1.1.0.bin"]
        .map(|name| Choice { name: name.into(), tag: tag.into() });
    assert_eq!(read(body.as_bytes()), Ok(choices.into()));

    let named = |length: usize| {
        let name = "x".repeat(length);
        let rest = r#""type": "bin", "date": "11/21/26", "time": "09:18:13", "size": 1"#;
        read(format!(r#"[{{"name": "{name}", {rest}}}]"#).as_bytes()).map(|choices| choices.len())
    };
    assert_eq!((named(128), named(129)), (Ok(1), Err("NoMemory")));

    for (body, expected) in [
        (r#"[{"name": "a,]b", "type": "BIN"}]"#, Ok(1)),
        (r#"[{"type": "file"}, null, 5]"#, Ok(0)),
        (r#"{"files": [ {"type": "bin"} ]}"#, Ok(1)),
        ("[]", Err("InvalidInput")),
        (r#"[{"type": "bin"},]"#, Err("InvalidInput")),
        (r#"[{"type": "bin"}, {"type""#, Err("IncompleteInput")),
        ("", Err("EmptyInput")),
    ] {
        assert_eq!(read(body.as_bytes()).map(|choices| choices.len()), expected, "{body}");
    }
}
