//! Request targets: path and query, decoded once, checked once.

use std::borrow::Cow;

/// A request target, split but not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target<'b> {
    path: &'b str,
    query: Option<&'b str>,
}

impl<'b> Target<'b> {
    /// Splits a target. Understands the absolute form (`http://host/path`) too.
    pub(crate) fn new(target: &'b str) -> Self {
        let target = Some(target)
            .filter(|target| !target.starts_with('/'))
            .and_then(|target| target.split_at_checked(7))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("http://"))
            .map_or(target, |(_, rest)| rest.find('/').map_or("/", |slash| &rest[slash..]));
        // Targets are short: looking at each byte is the fastest way.
        match target.bytes().position(|byte| byte == b'?') {
            Some(mark) => Self { path: &target[..mark], query: Some(&target[mark + 1..]) },
            None => Self { path: target, query: None },
        }
    }

    /// The path as sent.
    pub(crate) fn path(&self) -> &'b str {
        self.path
    }

    /// Whether the path is exactly `path`, a missing leading slash forgiven.
    pub(crate) fn is(&self, path: &str) -> bool {
        self.path == path || path.strip_prefix('/') == Some(self.path)
    }

    /// The first value of a query key, percent-decoded; a `+` stays one, for devices encode nothing.
    pub(crate) fn query(&self, key: &str) -> Option<Vec<u8>> {
        self.query?.split('&').find_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name == key).then(|| percent_decode(value).into_owned())
        })
    }
}

/// Decodes `%XX` once; anything else that starts with `%` stays as it is.
pub(crate) fn percent_decode(text: &str) -> Cow<'_, [u8]> {
    let bytes = text.as_bytes();
    if !bytes.contains(&b'%') {
        return Cow::Borrowed(bytes);
    }
    let hex = |byte: Option<&u8>| byte.and_then(|&b| char::from(b).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'%'));
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_split_once() {
        let target = Target::new("/_catalog?op=list&path=a%2Fb+c&path=x");
        assert!(target.is("/_catalog"));
        assert_eq!(target.query("op").unwrap(), b"list");
        assert_eq!(target.query("path").unwrap(), b"a/b+c");
        assert_eq!(target.query("none"), None);
        assert!(Target::new("_catalog?").is("/_catalog"));
        assert!(!Target::new("/_catalog/").is("/_catalog"));
    }

    #[test]
    fn the_absolute_form_is_understood() {
        assert_eq!(Target::new("http://h:80/x.bin?y").path(), "/x.bin");
        assert_eq!(Target::new("HTTP://h").path(), "/");
        assert_eq!(Target::new("http:/é").path(), "http:/é");
    }

    #[test]
    fn percent_signs_are_decoded_once() {
        assert_eq!(*percent_decode("%2541%zz%4"), *b"%41%zz%4");
        assert_eq!(*percent_decode("a%20b"), *b"a b");
    }

    proptest::proptest! {
        #[test]
        fn no_target_makes_it_panic(text: String) {
            let target = Target::new(&text);
            target.query("op");
            percent_decode(target.path());
        }
    }
}
