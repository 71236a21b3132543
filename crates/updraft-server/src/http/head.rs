//! Reads the head of a request out of the bytes received so far: lenient where real devices need it
//! (targets without a slash, bare line feeds), strict where leniency would let two readers disagree.

/// Most header fields a head may have. Real clients send up to 16.
pub(crate) const MAX_FIELDS: usize = 64;

/// A request head, borrowed from the bytes it was read from.
#[derive(Debug)]
pub(crate) struct RequestHead<'b> {
    pub(crate) method: Method,
    /// The request target as sent: not decoded, perhaps without a leading slash.
    pub(crate) target: &'b str,
    pub(crate) version: Version,
    fields: Vec<(&'b str, &'b [u8])>,
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
pub(crate) enum ParsedHead<'b> {
    /// The head has not ended yet.
    Partial,
    /// A head, and how many bytes it takes.
    Complete(RequestHead<'b>, usize),
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

impl<'b> RequestHead<'b> {
    /// A head that another reader took apart.
    pub(crate) fn new(
        method: Method,
        target: &'b str,
        version: Version,
        fields: Vec<(&'b str, &'b [u8])>,
    ) -> Self {
        Self { method, target, version, fields }
    }

    /// Reads a head from the start of `bytes`. Never panics, whatever they are.
    pub(crate) fn parse(bytes: &'b [u8]) -> ParsedHead<'b> {
        let mut storage = [const { std::mem::MaybeUninit::uninit() }; MAX_FIELDS];
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
                let head = Self {
                    method: Method::of(method),
                    target,
                    version: if version == 0 { Version::Http10 } else { Version::Http11 },
                    fields: request.headers.iter().map(|f| (f.name, f.value)).collect(),
                };
                ParsedHead::Complete(head, length)
            }
            Err(httparse::Error::TooManyHeaders) => ParsedHead::Bad(BadHead::TooLarge),
            Err(_) => ParsedHead::Bad(BadHead::Syntax),
        }
    }

    /// The value of a header field, blanks trimmed; the name in any case. The first one, if it was
    /// sent more than once.
    pub(crate) fn field(&self, name: &str) -> Option<&'b [u8]> {
        self.fields
            .iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim_ascii())
    }

    /// The value of a header field that must be clear: sent twice with different values, the request
    /// is refused, because another reader might take the other one.
    pub(crate) fn clear_field(&self, name: &str) -> Result<Option<&'b [u8]>, BadHead> {
        let mut values = self
            .fields
            .iter()
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim_ascii());
        let first = values.next();
        if values.any(|value| Some(value) != first) { Err(BadHead::Conflict) } else { Ok(first) }
    }

    /// All header fields in the order sent.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'b str, &'b [u8])> + '_ {
        self.fields.iter().copied()
    }

    /// Refuses what would let two readers disagree on where this request ends: transfer codings, and
    /// a body on a request that has none on the device plane. `Content-Length: 0` is what the
    /// ESP8266 core sends with every GET.
    pub(crate) fn refuse_body(&self) -> Result<(), BadHead> {
        if self.field("transfer-encoding").is_some() {
            return Err(BadHead::Body);
        }
        match self.clear_field("content-length")? {
            None => Ok(()),
            Some(length) if !length.is_empty() && length.iter().all(|&digit| digit == b'0') => {
                Ok(())
            }
            Some(_) => Err(BadHead::Body),
        }
    }

    /// Whether the connection may carry another request after this one: HTTP/1.1 without
    /// `Connection: close`.
    pub(crate) fn keeps_alive(&self) -> bool {
        self.version == Version::Http11
            && !self.fields().any(|(name, value)| {
                name.eq_ignore_ascii_case("connection")
                    && value
                        .split(|&b| b == b',')
                        .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
            })
    }
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
    use super::*;

    fn complete(bytes: &[u8]) -> RequestHead<'_> {
        match RequestHead::parse(bytes) {
            ParsedHead::Complete(head, length) => {
                assert_eq!(length, bytes.len());
                head
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_device_request_is_read_in_any_case() {
        let head = complete(
            b"GET fw/x.bin HTTP/1.0\r\nhost: a\r\nX-ESP8266-sta-mac:  AA \r\nContent-Length: 0\r\n\r\n",
        );
        assert_eq!(head.method, Method::Get);
        assert_eq!(head.target, "fw/x.bin");
        assert_eq!(head.version, Version::Http10);
        assert_eq!(head.field("x-esp8266-STA-MAC"), Some(&b"AA"[..]));
        assert_eq!(head.refuse_body(), Ok(()));
        assert!(!head.keeps_alive());
    }

    #[test]
    fn raw_utf8_names_are_read() {
        assert_eq!(complete("GET /fährte.bin HTTP/1.0\n\n".as_bytes()).target, "/fährte.bin");
    }

    #[test]
    fn keep_alive_needs_http_1_1_and_no_close() {
        assert!(complete(b"GET / HTTP/1.1\r\n\r\n").keeps_alive());
        assert!(!complete(b"GET / HTTP/1.1\r\nConnection: x, Close\r\n\r\n").keeps_alive());
        assert!(!complete(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").keeps_alive());
    }

    #[test]
    fn bodies_and_conflicts_are_refused() {
        let refused = |fields: &str| {
            let bytes = format!("GET / HTTP/1.1\r\n{fields}\r\n");
            complete(bytes.as_bytes()).refuse_body()
        };
        assert_eq!(refused("Transfer-Encoding: identity\r\n"), Err(BadHead::Body));
        assert_eq!(refused("Content-Length: 5\r\n"), Err(BadHead::Body));
        assert_eq!(refused("Content-Length: \r\n"), Err(BadHead::Body));
        assert_eq!(refused("Content-Length: 0\r\nContent-Length: 0\r\n"), Ok(()));
        assert_eq!(refused("Content-Length: 0\r\nContent-Length: 5\r\n"), Err(BadHead::Conflict));
    }

    #[test]
    fn what_is_not_http_is_said_so() {
        for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"GET /a b.bin HTTP/1.0\r\n\r\n"] {
            assert!(
                matches!(RequestHead::parse(bytes), ParsedHead::Bad(BadHead::Syntax)),
                "{bytes:?}"
            );
        }
        let many = format!("GET / HTTP/1.0\r\n{}\r\n", "a: b\r\n".repeat(MAX_FIELDS + 1));
        assert!(matches!(RequestHead::parse(many.as_bytes()), ParsedHead::Bad(BadHead::TooLarge)));
        assert!(matches!(RequestHead::parse(b"GET / HT"), ParsedHead::Partial));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            drop(RequestHead::parse(&bytes));
        }
    }
}
