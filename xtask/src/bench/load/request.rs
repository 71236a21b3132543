//! What devices ask: requests as ESP8266's libraries send them, byte for byte. It sends nothing.

use std::net::SocketAddrV4;

/// How a device speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// A connection for each request, as `ESP8266HTTPUpdate` does.
    Http10,
    /// One connection for many.
    KeepAlive,
}

/// What a device says of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Device<'a> {
    /// It makes the MAC addresses and the chip id.
    pub(crate) number: usize,
    /// The MD5 of the sketch it runs.
    pub(crate) runs: &'a str,
}

/// Digest of a sketch that no server knows.
pub(crate) const UNKNOWN: &str = "d41d8cd98f00b204e9800998ecf8427e";
/// The version every device reports.
pub(crate) const VERSION: &str = "1.0.0";

/// The device's address in the network, as it writes it.
pub(crate) fn mac(number: usize) -> String {
    // 18:FE:34 is Espressif's.
    let [.., a, b, c] = number.to_be_bytes();
    format!("18:FE:34:{a:02X}:{b:02X}:{c:02X}")
}

/// The request of `ESP8266HTTPUpdate` for this path, field by field as `testdata/wire` has it.
pub(crate) fn update_request(
    to: SocketAddrV4,
    path: &str,
    protocol: Protocol,
    device: Device<'_>,
) -> Vec<u8> {
    let mac = mac(device.number);
    let Device { number, runs } = device;
    let (version, connection) = protocol.words();
    let lines = [
        format!("GET {path} HTTP/{version}"),
        format!("Host: {to}"),
        "User-Agent: ESP8266-http-Update".to_owned(),
        format!("Connection: {connection}"),
        format!("x-ESP8266-Chip-ID: {number}"),
        format!("x-ESP8266-STA-MAC: {mac}"),
        format!("x-ESP8266-AP-MAC: 1A{}", &mac[2..]),
        // Room for 1 MiB: a device with 4 MiB of flash has this.
        "x-ESP8266-free-space: 1695744".to_owned(),
        "x-ESP8266-sketch-size: 400000".to_owned(),
        format!("x-ESP8266-sketch-md5: {runs}"),
        "x-ESP8266-chip-size: 4194304".to_owned(),
        "x-ESP8266-sdk-version: 2.2.2-dev(38a443e)".to_owned(),
        "x-ESP8266-mode: sketch".to_owned(),
        format!("x-ESP8266-version: {VERSION}"),
        "Content-Length: 0".to_owned(),
    ];
    request(&lines)
}

/// The request of AutoConnect's portal for a list; it names itself only as `ESP8266HTTPClient`.
pub(crate) fn list_request(to: SocketAddrV4, path: &str, protocol: Protocol) -> Vec<u8> {
    let (version, connection) = protocol.words();
    let lines = [
        format!("GET {path} HTTP/{version}"),
        format!("Host: {to}"),
        "User-Agent: ESP8266HTTPClient".to_owned(),
        "Accept-Encoding: identity;q=1,chunked;q=0.1,*;q=0".to_owned(),
        format!("Connection: {connection}"),
        "Content-Length: 0".to_owned(),
    ];
    request(&lines)
}

fn request(lines: &[String]) -> Vec<u8> {
    (lines.join("\r\n") + "\r\n\r\n").into_bytes()
}

impl Protocol {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Http10 => ("1.0", "close"),
            Self::KeepAlive => ("1.1", "keep-alive"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::root;

    const HERE: SocketAddrV4 = SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 80);

    /// The names of a request's fields, in order.
    fn names(request: &str) -> Vec<&str> {
        let names = |line: &'_ str| line.find(':').unwrap_or(0);
        request.trim_end().lines().skip(1).map(|line| &line[..names(line)]).collect()
    }

    #[test]
    fn requests_have_the_fields_that_were_captured() {
        let device = Device { number: 258, runs: UNKNOWN };
        let update = update_request(HERE, "/a.bin", Protocol::Http10, device);
        let list = list_request(HERE, "/_catalog?op=list&path=.", Protocol::KeepAlive);
        for (ours, captured) in
            [(update, "arduino_esp8266/sketch.http"), (list, "autoconnect/catalog-request.http")]
        {
            let path = root().join("testdata/wire").join(captured);
            let captured = std::fs::read_to_string(path).unwrap();
            assert_eq!(names(std::str::from_utf8(&ours).unwrap()), names(&captured));
        }
        assert_eq!(mac(258), "18:FE:34:00:01:02");
    }
}
