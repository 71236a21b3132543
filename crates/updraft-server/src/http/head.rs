//! Reads the head of a request out of the bytes received so far: lenient where real devices need it
//! (targets without a slash, bare line feeds), strict where leniency would let two readers disagree.

use std::mem::MaybeUninit;

pub(crate) use httparse::Header;

/// Most header fields a head may have. Real clients send up to 16.
pub(crate) const MAX_FIELDS: usize = 64;

/// Where a head's fields are kept while it is read: on the stack of whoever reads it.
pub(crate) type Storage<'b> = [MaybeUninit<Header<'b>>; MAX_FIELDS];

/// An empty [`Storage`].
pub(crate) const fn storage<'b>() -> Storage<'b> {
    [const { MaybeUninit::uninit() }; MAX_FIELDS]
}

/// A request head, borrowed from the bytes it was read from.
#[derive(Debug)]
pub(crate) struct RequestHead<'h, 'b> {
    pub(crate) method: Method,
    /// The request target as sent: not decoded, perhaps without a leading slash.
    pub(crate) target: &'b str,
    pub(crate) version: Version,
    fields: &'h [Header<'b>],
}

/// The header fields that shape any answer, found in one pass; values without blanks around them.
#[derive(Debug, Default)]
pub(crate) struct Known<'b> {
    pub(crate) user_agent: Option<&'b [u8]>,
    pub(crate) range: Option<&'b [u8]>,
    pub(crate) if_range: Option<&'b [u8]>,
    pub(crate) if_none_match: Option<&'b [u8]>,
    host: Option<&'b [u8]>,
    content_length: Option<&'b [u8]>,
    /// There is a transfer coding.
    coded: bool,
    /// The client will close the connection.
    closes: bool,
    /// One of the above was sent twice with different values: another reader might take the other
    /// one.
    conflict: bool,
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
        fields: &'h [Header<'b>],
    ) -> Self {
        Self { method, target, version, fields }
    }

    /// Reads a head from the start of `bytes`. Never panics, whatever they are.
    pub(crate) fn parse(bytes: &'b [u8], storage: &'h mut Storage<'b>) -> ParsedHead<'h, 'b> {
        let mut request = httparse::Request::new(&mut []);
        match httparse::ParserConfig::default().parse_request_with_uninit_headers(
            &mut request,
            bytes,
            storage,
        ) {
            Ok(httparse::Status::Partial) => ParsedHead::Partial,
            Ok(httparse::Status::Complete(length)) => {
                let (Some(method), Some(target), Some(version)) =
                    (request.method, request.path, request.version)
                else {
                    return ParsedHead::Bad(BadHead::Syntax);
                };
                let version = if version == 0 { Version::Http10 } else { Version::Http11 };
                let head = Self::new(Method::of(method), target, version, request.headers);
                ParsedHead::Complete(head, length)
            }
            Err(httparse::Error::TooManyHeaders) => ParsedHead::Bad(BadHead::TooLarge),
            Err(_) => ParsedHead::Bad(BadHead::Syntax),
        }
    }

    /// All header fields in the order sent.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'b str, &'b [u8])> + '_ {
        self.fields.iter().map(|field| (field.name, field.value))
    }

    /// The header fields that shape any answer.
    pub(crate) fn known(&self) -> Known<'b> {
        let mut known = Known::default();
        for (name, value) in self.fields() {
            known.take(name, value.trim_ascii());
        }
        known
    }

    /// Whether the connection may carry another request after this one: HTTP/1.1 without
    /// `Connection: close`.
    pub(crate) fn keeps_alive(&self, known: &Known<'_>) -> bool {
        self.version == Version::Http11 && !known.closes
    }
}

impl<'b> Known<'b> {
    fn take(&mut self, name: &str, value: &'b [u8]) {
        let is = |known: &str| is_name(name, known);
        let slot = match name.len() {
            4 if is("Host") => &mut self.host,
            5 if is("Range") => &mut self.range,
            8 if is("If-Range") => &mut self.if_range,
            10 if is("User-Agent") => &mut self.user_agent,
            13 if is("If-None-Match") => &mut self.if_none_match,
            14 if is("Content-Length") => &mut self.content_length,
            10 if is("Connection") => {
                self.closes |= value
                    .split(|&byte| byte == b',')
                    .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"));
                return;
            }
            17 if is("Transfer-Encoding") => {
                self.coded = true;
                return;
            }
            _ => return,
        };
        self.conflict |= slot.is_some_and(|first| first != value);
        *slot = Some(value);
    }

    /// Refuses what another reader might take for something else: fields with two values, and
    /// anything that would let two readers disagree on where this request ends, which is transfer
    /// codings and a body on the device plane. `Content-Length: 0` is what the ESP8266 core sends
    /// with every GET.
    pub(crate) fn refuse_doubtful(&self) -> Result<(), BadHead> {
        if self.conflict {
            return Err(BadHead::Conflict);
        }
        let has_body = self
            .content_length
            .is_some_and(|length| length.is_empty() || length.iter().any(|&digit| digit != b'0'));
        if self.coded || has_body { Err(BadHead::Body) } else { Ok(()) }
    }
}

/// Whether this is that header field's name, in any case. `known` is in the case in which most clients
/// send it: those take one comparison.
pub(crate) fn is_name(name: &str, known: &str) -> bool {
    name == known || name.eq_ignore_ascii_case(known)
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

    fn complete<T>(bytes: &[u8], look: impl FnOnce(&RequestHead<'_, '_>, &Known<'_>) -> T) -> T {
        let mut storage = storage();
        match RequestHead::parse(bytes, &mut storage) {
            ParsedHead::Complete(head, length) => {
                assert_eq!(length, bytes.len());
                look(&head, &head.known())
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_device_request_is_read_in_any_case() {
        let request = b"GET fw/x.bin HTTP/1.0\r\nUSER-agent:  a \r\nrange: b\r\nX-y: c\r\n\r\n";
        complete(request, |head, known| {
            assert_eq!(head.method, Method::Get);
            assert_eq!(head.target, "fw/x.bin");
            assert_eq!(head.version, Version::Http10);
            assert_eq!(known.user_agent, Some(&b"a"[..]));
            assert_eq!(known.range, Some(&b"b"[..]));
            assert_eq!(head.fields().count(), 3);
            assert_eq!(known.refuse_doubtful(), Ok(()));
        });
    }

    #[test]
    fn raw_utf8_names_are_read() {
        complete("GET /fährte.bin HTTP/1.0\n\n".as_bytes(), |head, _| {
            assert_eq!(head.target, "/fährte.bin");
        });
    }

    #[test]
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method itself is not general enough in its lifetimes"
    )]
    fn keep_alive_needs_http_1_1_and_no_close() {
        let keeps = |rest: &str| {
            let bytes = format!("GET / {rest}\r\n\r\n");
            complete(bytes.as_bytes(), |head, known| head.keeps_alive(known))
        };
        assert!(keeps("HTTP/1.1"));
        assert!(!keeps("HTTP/1.1\r\nConnection: x, Close\r\nConnection: y"));
        assert!(!keeps("HTTP/1.0\r\nConnection: keep-alive"));
    }

    #[test]
    fn bodies_and_conflicts_are_refused() {
        let refused = |fields: &str| {
            let bytes = format!("GET / HTTP/1.1\r\n{fields}\r\n");
            complete(bytes.as_bytes(), |_, known| known.refuse_doubtful())
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
                    RequestHead::parse(bytes, &mut storage()),
                    ParsedHead::Bad(BadHead::Syntax)
                ),
                "{bytes:?}"
            );
        }
        let many = format!("GET / HTTP/1.0\r\n{}\r\n", "a: b\r\n".repeat(MAX_FIELDS + 1));
        assert!(matches!(
            RequestHead::parse(many.as_bytes(), &mut storage()),
            ParsedHead::Bad(BadHead::TooLarge)
        ));
        assert!(matches!(RequestHead::parse(b"GET / HT", &mut storage()), ParsedHead::Partial));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            if let ParsedHead::Complete(head, _) = RequestHead::parse(&bytes, &mut storage()) {
                let _ = head.known().refuse_doubtful();
            }
        }
    }
}
