//! Where to ask: the URLs that the stock clients take, and the form of host, port and target. Names
//! are not looked up here, and nothing is percent-decoded: the stock clients do neither.

use core::fmt;

use super::credentials::Authorization;

/// Ports that a `Host` field does not name (`HTTPClient::sendHeader`), with or without TLS.
const DEFAULT_PORTS: [u16; 2] = [80, 443];

/// How the connection is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain TCP; port 80 if the URL names none.
    Http,
    /// TLS, which the caller brings; port 443 if the URL names none.
    Https,
}

/// A URL that can be asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Url<'a> {
    pub(crate) scheme: Scheme,
    pub(crate) userinfo: Option<&'a str>,
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) target: &'a str,
}

/// Why a text is no URL that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlFault {
    /// It starts neither with `http://` nor with `https://`.
    Scheme,
    /// There is no host, or it has characters that no host has.
    Host,
    /// The port is no number from 1 to 65535.
    Port,
    /// A blank or a control character would end the request line early.
    Target,
}

impl<'a> Url<'a> {
    /// Reads `http://user:password@host:port/target`; all but scheme and host may be missing.
    pub fn parse(text: &'a str) -> Result<Self, UrlFault> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlFault::Scheme)?;
        let scheme = match scheme {
            _ if scheme.eq_ignore_ascii_case("http") => Scheme::Http,
            _ if scheme.eq_ignore_ascii_case("https") => Scheme::Https,
            _ => return Err(UrlFault::Scheme),
        };
        let (authority, target) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (userinfo, place) = match authority.split_once('@') {
            Some((userinfo, place)) => (Some(userinfo), place),
            None => (None, authority),
        };
        let (host, port) = match place.split_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| UrlFault::Port)?),
            None => (place, scheme.default_port()),
        };
        Ok(Self { userinfo, ..Self::of(scheme, host, port, target)? })
    }

    /// How the connection is made.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// A place by its parts. The target is sent as it is: `fw/door.bin`, without a slash before it, is
    /// what an AutoConnect sketch with the `uri` `fw` asks for. An empty one is sent as `/`.
    pub fn new(host: &'a str, port: u16, target: &'a str) -> Result<Self, UrlFault> {
        Self::of(Scheme::Http, host, port, target)
    }

    fn of(scheme: Scheme, host: &'a str, port: u16, target: &'a str) -> Result<Self, UrlFault> {
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if host.is_empty() || !host.bytes().all(is_host) {
            return Err(UrlFault::Host);
        }
        if port == 0 {
            return Err(UrlFault::Port);
        }
        if target.bytes().any(|byte| byte == b' ' || byte.is_ascii_control()) {
            return Err(UrlFault::Target);
        }
        Ok(Self { scheme, userinfo: None, host, port, target })
    }

    /// The same server, asked for something else; `None` if the target cannot be sent.
    pub(crate) fn with_target<'b>(self, target: &'b str) -> Option<Url<'b>>
    where
        'a: 'b,
    {
        Url::of(self.scheme, self.host, self.port, target).ok()
    }

    /// The credentials in the URL.
    pub(crate) fn authorization(self) -> Option<Authorization<'a>> {
        self.userinfo.map(Authorization::Userinfo)
    }

    /// Whether the other URL leads to the same server, and in the same way.
    pub(crate) fn is_same_server(&self, other: &Url<'_>) -> bool {
        self.scheme == other.scheme
            && self.port == other.port
            && self.host.eq_ignore_ascii_case(other.host)
    }

    /// Writes what stands in a `Host` field: `host`, or `host:port`.
    pub(crate) fn write_host(&self, to: &mut impl fmt::Write) -> fmt::Result {
        to.write_str(self.host)?;
        if !DEFAULT_PORTS.contains(&self.port) {
            write!(to, ":{}", self.port)?;
        }
        Ok(())
    }
}

impl Scheme {
    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Without the credentials, so that no log shows them.
impl fmt::Debug for Url<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port, target, .. } = self;
        write!(f, "Url({scheme:?}, {host}, {port}, {target})")
    }
}

impl fmt::Display for UrlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Scheme => "the URL starts neither with http:// nor with https://",
            Self::Host => "the URL names no host",
            Self::Port => "the URL's port is no number from 1 to 65535",
            Self::Target => "the URL has a blank or a control character in its path",
        })
    }
}

impl core::error::Error for UrlFault {}

#[cfg(test)]
mod tests {
    use std::string::String;

    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: (Scheme, Option<&str>, &str, u16, &str)) {
        let url = Url::parse(text).unwrap();
        assert_eq!((url.scheme, url.userinfo, url.host, url.port, url.target), expected);
    }

    #[test]
    fn a_url_is_taken_apart() {
        check("http://h/u", (Scheme::Http, None, "h", 80, "/u"));
        check("http://10.0.0.1:8000/a/b?c=d", (Scheme::Http, None, "10.0.0.1", 8000, "/a/b?c=d"));
        check("HTTPS://ota.example", (Scheme::Https, None, "ota.example", 443, ""));
        check("http://al:s3:x@h:81/@:", (Scheme::Http, Some("al:s3:x"), "h", 81, "/@:"));
    }

    #[test]
    fn what_cannot_be_asked_for_is_refused() {
        let check = |text, fault| assert_eq!(Url::parse(text), Err(fault), "{text:?}");
        check("/update", UrlFault::Scheme);
        check("ftp://h/", UrlFault::Scheme);
        check("http:///u", UrlFault::Host);
        check("http://a b/u", UrlFault::Host);
        check("http://h?u=1", UrlFault::Host);
        check("http://h:/u", UrlFault::Port);
        check("http://h:0/u", UrlFault::Port);
        check("http://h:65536/u", UrlFault::Port);
        check("http://h/a b", UrlFault::Target);
        check("http://h/a\r\nx-injected: 1", UrlFault::Target);
        assert_eq!(Url::new("h", 80, "my door.bin"), Err(UrlFault::Target));
    }

    #[test]
    fn a_host_field_names_unusual_ports_only() {
        let check = |port, expected: &str| {
            let mut text = String::new();
            Url::new("h", port, "/").unwrap().write_host(&mut text).unwrap();
            assert_eq!(text, expected);
        };
        check(80, "h");
        check(443, "h");
        check(8000, "h:8000");
    }

    #[test]
    fn credentials_are_not_shown() {
        let shown = std::format!("{:?}", Url::parse("http://al:secret@h/u").unwrap());
        assert_eq!(shown, "Url(Http, h, 80, /u)");
    }

    proptest! {
        #[test]
        fn what_was_taken_apart_has_no_line_ends(text in "(http://)?[ -~\r\n]{0,40}") {
            let Ok(url) = Url::parse(&text) else { return Ok(()) };
            let whole = [url.host, url.target].concat();
            prop_assert!(!whole.contains(['\r', '\n', ' ']));
        }
    }
}
