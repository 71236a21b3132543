//! Reads the head of a request out of the bytes received so far: lenient where real devices need it
//! (targets without a slash, bare line feeds), strict where leniency would let two readers disagree.

use std::mem::MaybeUninit;

use httparse::Header;

use crate::http::fields::Fields;
use crate::http::plain;

/// Most header fields a head may have. Real clients send up to 16.
pub(super) const MAX_FIELDS: usize = 64;

/// A request head, borrowed from the bytes it was read from; its fields from whoever reads it.
#[derive(Debug)]
pub(crate) struct RequestHead<'h, 'b> {
    pub(crate) method: Method,
    /// The request target as sent: not decoded, perhaps without a leading slash.
    pub(crate) target: &'b str,
    pub(crate) version: Version,
    pub(crate) fields: &'h Fields<'b>,
}

/// The methods that the device plane tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Other,
}

/// HTTP versions of the 1.x family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Http10,
    Http11,
}

/// What the bytes received so far amount to.
#[derive(Debug)]
pub(crate) enum ParsedHead<'h, 'b> {
    /// The head has not ended yet.
    Partial,
    /// A head, and how many bytes it takes.
    Complete(RequestHead<'h, 'b>, usize),
    /// This can become no request.
    Bad(BadHead),
}

/// Why a head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadHead {
    /// Not HTTP/1.x.
    #[error("not an HTTP request")]
    Syntax,
    /// More than the server's limit of header fields or bytes.
    #[error("the request head is too large")]
    TooLarge,
    /// A field that must be clear has two values.
    #[error("header sent twice with different values")]
    Conflict,
    /// A GET with a body, or any transfer coding.
    #[error("a request with a body")]
    Body,
}

impl<'h, 'b> RequestHead<'h, 'b> {
    /// A head that another reader took apart.
    pub(crate) fn new(
        method: Method,
        target: &'b str,
        version: Version,
        all: impl Iterator<Item = (&'b [u8], &'b [u8])>,
        fields: &'h mut Fields<'b>,
    ) -> Self {
        *fields = Fields::default();
        for (name, value) in all {
            fields.take(name, value);
        }
        Self { method, target, version, fields }
    }

    /// Reads a head from the start of `bytes`, and its fields into `fields`, which are empty before.
    /// Never panics, whatever the bytes are.
    pub(crate) fn parse(bytes: &'b [u8], fields: &'h mut Fields<'b>) -> ParsedHead<'h, 'b> {
        match plain::read(bytes, fields) {
            Some((target, version, length)) => {
                ParsedHead::Complete(Self { method: Method::Get, target, version, fields }, length)
            }
            None => Self::parse_any(bytes, fields),
        }
    }

    /// Reads a head in whatever form, and says what is wrong with it.
    #[cold]
    fn parse_any(bytes: &'b [u8], fields: &'h mut Fields<'b>) -> ParsedHead<'h, 'b> {
        let mut storage: [MaybeUninit<Header<'b>>; MAX_FIELDS] =
            [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let mut request = httparse::Request::new(&mut []);
        match httparse::ParserConfig::default().parse_request_with_uninit_headers(
            &mut request,
            bytes,
            &mut storage,
        ) {
            Ok(httparse::Status::Partial) => ParsedHead::Partial,
            Ok(httparse::Status::Complete(length)) => {
                let (Some(method), Some(target), Some(version)) =
                    (request.method, request.path, request.version)
                else {
                    return ParsedHead::Bad(BadHead::Syntax);
                };
                let version = if version == 0 { Version::Http10 } else { Version::Http11 };
                let all = request.headers.iter().map(|field| (field.name.as_bytes(), field.value));
                ParsedHead::Complete(
                    Self::new(Method::of(method), target, version, all, fields),
                    length,
                )
            }
            Err(httparse::Error::TooManyHeaders) => ParsedHead::Bad(BadHead::TooLarge),
            Err(_) => ParsedHead::Bad(BadHead::Syntax),
        }
    }

    /// Whether the connection may carry another request after this one: HTTP/1.1 without
    /// `Connection: close`.
    pub(crate) fn keeps_alive(&self) -> bool {
        self.version == Version::Http11 && !self.fields.closes
    }
}

/// All header fields of a head that could be read, in the order sent.
pub(crate) fn all_fields(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let lines = head.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    lines.skip_while(|line| line.is_empty()).skip(1).filter_map(|line| {
        let (name, value) = line.split_at_checked(line.iter().position(|&byte| byte == b':')?)?;
        Some((name, value.get(1..)?.trim_ascii()))
    })
}

impl Method {
    /// The method of that name.
    pub(crate) fn of(name: &str) -> Self {
        match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn complete<'h, 'b>(bytes: &'b [u8], fields: &'h mut Fields<'b>) -> RequestHead<'h, 'b> {
        match RequestHead::parse(bytes, fields) {
            ParsedHead::Complete(head, length) => {
                assert_eq!(length, bytes.len());
                head
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_device_request_is_read_in_any_case() {
        let request = b"GET fw/x.bin HTTP/1.0\r\nUSER-agent:  a \r\nrange: b\r\nX-y: c\r\n\r\n";
        let mut fields = Fields::default();
        let head = complete(request, &mut fields);
        assert_eq!(head.method, Method::Get);
        assert_eq!(head.target, "fw/x.bin");
        assert_eq!(head.version, Version::Http10);
        assert_eq!(head.fields.user_agent, Some(&b"a"[..]));
        assert_eq!(head.fields.range, Some(&b"b"[..]));
        assert_eq!(head.fields.refuse_doubtful(), Ok(()));
        let all: Vec<_> = all_fields(request).collect();
        let expected: [(&[u8], &[u8]); 3] =
            [(b"USER-agent", b"a"), (b"range", b"b"), (b"X-y", b"c")];
        assert_eq!(all, expected);
    }

    #[test]
    fn raw_utf8_names_are_read() {
        let mut fields = Fields::default();
        let head = complete("GET /fährte.bin HTTP/1.0\n\n".as_bytes(), &mut fields);
        assert_eq!(head.target, "/fährte.bin");
    }

    #[test]
    fn keep_alive_needs_http_1_1_and_no_close() {
        let keeps = |rest: &str| {
            let bytes = format!("GET / {rest}\r\n\r\n");
            complete(bytes.as_bytes(), &mut Fields::default()).keeps_alive()
        };
        assert!(keeps("HTTP/1.1"));
        assert!(!keeps("HTTP/1.1\r\nConnection: x, Close\r\nConnection: y"));
        assert!(!keeps("HTTP/1.0\r\nConnection: keep-alive"));
    }

    #[test]
    fn bodies_and_conflicts_are_refused() {
        let refused = |fields: &str| {
            let bytes = format!("GET / HTTP/1.1\r\n{fields}\r\n");
            complete(bytes.as_bytes(), &mut Fields::default()).fields.refuse_doubtful()
        };
        assert_eq!(refused("Transfer-Encoding: identity\r\n"), Err(BadHead::Body));
        assert_eq!(refused("Content-Length: 5\r\n"), Err(BadHead::Body));
        assert_eq!(refused("Content-Length: \r\n"), Err(BadHead::Body));
        assert_eq!(refused("Content-Length: 00\r\nContent-Length: 00\r\n"), Ok(()));
        for twice in ["Content-Length: 0\r\ncontent-length: 5", "Host: a\r\nHost: b"] {
            assert_eq!(refused(&format!("{twice}\r\n")), Err(BadHead::Conflict), "{twice}");
        }
    }

    #[test]
    fn what_is_not_http_is_said_so() {
        for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"GET /a b.bin HTTP/1.0\r\n\r\n"] {
            assert!(
                matches!(
                    RequestHead::parse(bytes, &mut Fields::default()),
                    ParsedHead::Bad(BadHead::Syntax)
                ),
                "{bytes:?}"
            );
        }
        let many = format!("GET / HTTP/1.0\r\n{}\r\n", "a: b\r\n".repeat(MAX_FIELDS + 1));
        assert!(matches!(
            RequestHead::parse(many.as_bytes(), &mut Fields::default()),
            ParsedHead::Bad(BadHead::TooLarge)
        ));
        assert!(matches!(
            RequestHead::parse(b"GET / HT", &mut Fields::default()),
            ParsedHead::Partial
        ));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            if let ParsedHead::Complete(head, _) = RequestHead::parse(&bytes, &mut Fields::default()) {
                let _ = head.fields.refuse_doubtful();
            }
        }

        #[test]
        fn a_plain_head_is_what_the_full_reader_says(bytes in nearly_plain()) {
            let (mut fields, mut of_full) = Default::default();
            if let Some((target, version, length)) = plain::read(&bytes, &mut fields) {
                let head = RequestHead { method: Method::Get, target, version, fields: &fields };
                let plain = ParsedHead::Complete(head, length);
                let full = RequestHead::parse_any(&bytes, &mut of_full);
                let (plain, full) = (format!("{plain:?}"), format!("{full:?}"));
                proptest::prop_assert_eq!(plain, full, "{}", bytes.escape_ascii());
            }
        }
    }

    /// A device's request with a byte or two exchanged for others, put in, or taken out, and a piece
    /// of it sent twice.
    fn nearly_plain() -> impl Strategy<Value = Vec<u8>> {
        let request = include_bytes!("../../../../testdata/wire/arduino_esp8266/sketch.http");
        let bytes = prop_oneof![any::<u8>(), proptest::sample::select(&b"\r\n\t :,\x7f/xH"[..])];
        let change = (0..request.len(), 0..3_usize, proptest::collection::vec(bytes, 0..3));
        (proptest::collection::vec(change, 0..3), 0..request.len()).prop_map(|(changes, twice)| {
            let mut bytes = request.to_vec();
            for (at, taken, put) in changes {
                let end = bytes.len().min(at + taken);
                bytes.splice(at.min(end)..end, put);
            }
            bytes.extend_from_within(twice.min(bytes.len())..);
            bytes
        })
    }

    #[test]
    fn what_devices_send_is_plain() {
        let request = include_bytes!("../../../../testdata/wire/arduino_esp8266/sketch.http");
        assert!(plain::read(request, &mut Fields::default()).is_some());
    }
}
