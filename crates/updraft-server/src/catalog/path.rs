//! Paths inside the catalog: decoded once, checked once, never joined raw.

use std::borrow::Borrow;
use std::fmt;

use crate::http::target::percent_decode;

/// A path below the catalog's root: components joined by `/`, none of them empty, `.`, `..` or a dot
/// name. The root itself is the empty path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct CatalogPath(String);

/// Why a path names nothing in any catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadPath {
    /// It contains `..`.
    #[error("the path leads out of its folder")]
    Traversal,
    /// It names something that is never served: a dot name, a control character, no UTF-8, or it is
    /// longer than any real path.
    #[error("there can be no such file")]
    Impossible,
}

/// Longest path taken (`PATH_MAX` is 4096 on Linux, and the root comes before it).
const MAX_LENGTH: usize = 1024;

impl CatalogPath {
    /// The catalog's own folder.
    pub(crate) fn root() -> Self {
        Self(String::new())
    }

    /// Reads the path of a download's request target, percent-encoded or not.
    pub(crate) fn from_target(path: &str) -> Result<Self, BadPath> {
        Self::from_bytes(&percent_decode(path))
    }

    /// Reads a decoded path as devices spell it: `.`, `fw`, `/fw`, `./fw` and `fw/` are all fine.
    pub(crate) fn from_bytes(path: &[u8]) -> Result<Self, BadPath> {
        let text = std::str::from_utf8(path).map_err(|_| BadPath::Impossible)?;
        if path.len() > MAX_LENGTH || text.chars().any(char::is_control) {
            return Err(BadPath::Impossible);
        }
        // Bytes, because cutting text is several times slower, and every request comes through here.
        let mut clean = Vec::with_capacity(path.len());
        for component in path.split(|&byte| byte == b'/') {
            if component.is_empty() || component == b"." {
                continue;
            }
            // A backslash is a name's own character here, and a separator to whoever reads a log on
            // another system: `..\..` is no name anyone has.
            if component.split(|&byte| byte == b'\\').any(|part| part == b"..") {
                return Err(BadPath::Traversal);
            }
            if component.starts_with(b".") {
                return Err(BadPath::Impossible);
            }
            if !clean.is_empty() {
                clean.push(b'/');
            }
            clean.extend_from_slice(component);
        }
        let clean = String::from_utf8(clean).map_err(|_| BadPath::Impossible)?;
        Ok(Self(clean))
    }

    /// The path of `name`, a directory entry, in this folder.
    pub(crate) fn child(&self, name: &str) -> Result<Self, BadPath> {
        if name.contains('/') {
            return Err(BadPath::Traversal);
        }
        Self::from_bytes(format!("{self}/{name}").as_bytes())
    }

    /// The last component; empty for the root.
    pub(crate) fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The folder it is in; the root's is the root.
    pub(crate) fn parent(&self) -> Self {
        Self(self.0.rsplit_once('/').map_or("", |(parent, _)| parent).into())
    }

    /// The path as text, without a leading slash.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The path to hand to a system call that is relative to the root.
    pub(crate) fn relative(&self) -> &str {
        if self.0.is_empty() { "." } else { &self.0 }
    }
}

/// The text of a request target's path as a [`CatalogPath`] holds it, if it is of none but the usual
/// characters and spelt that way already. Most are; all others have to be looked at closely.
pub(super) fn clean(path: &str) -> Option<&str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let mut before = b'/';
    let is_usual = |byte: u8| {
        let starts = std::mem::replace(&mut before, byte) == b'/';
        USUAL[usize::from(byte)] && !(starts && matches!(byte, b'.' | b'/'))
    };
    (path.len() <= MAX_LENGTH && path.bytes().all(is_usual) && before != b'/').then_some(path)
}

/// Whether a byte stands for itself in every path.
const USUAL: [bool; 256] = {
    let mut usual = [false; 256];
    let mut byte = 0;
    while byte < 128_u8 {
        usual[byte as usize] =
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/');
        byte += 1;
    }
    usual
};

impl Borrow<str> for CatalogPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CatalogPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_folder_is_one_path() {
        for path in ["fw", "/fw", "./fw", "fw/", "//fw/.", "%66w"] {
            assert_eq!(CatalogPath::from_target(path).unwrap().as_str(), "fw", "{path}");
        }
        for path in ["", ".", "/", "./", "//"] {
            assert_eq!(CatalogPath::from_target(path), Ok(CatalogPath::root()), "{path}");
        }
        assert_eq!(CatalogPath::from_target("a/b%20c.bin").unwrap().as_str(), "a/b c.bin");
    }

    #[test]
    fn no_encoding_leads_out() {
        for path in
            ["..", "/../x.bin", "a/../../x.bin", "%2e%2e/x.bin", "..%2fx.bin", "..\\x.bin", "a/.."]
        {
            assert_eq!(CatalogPath::from_target(path), Err(BadPath::Traversal), "{path}");
        }
        // Decoded once: what is left names a file, and none that leads anywhere.
        assert_eq!(CatalogPath::from_target("%252e%252e").unwrap().as_str(), "%2e%2e");
    }

    #[test]
    fn dot_names_and_control_characters_name_nothing() {
        for path in [".env", "fw/.git/x.bin", "x%00.bin", "a%0d%0ab.bin", "%ff.bin", "..."] {
            assert_eq!(CatalogPath::from_target(path), Err(BadPath::Impossible), "{path}");
        }
        assert_eq!(CatalogPath::from_target(&"a/".repeat(600)), Err(BadPath::Impossible));
    }

    #[test]
    fn usual_paths_are_clean() {
        for (target, path) in
            [("/door.bin", Some("door.bin")), ("fw/a-1.2.bin", Some("fw/a-1.2.bin"))]
        {
            assert_eq!(clean(target), path, "{target}");
        }
        for target in ["/", "", "//a", "a//b", "a/", "./a", "a/.b", "..", "%41", "a b", "a\\b"] {
            assert_eq!(clean(target), None, "{target}");
        }
    }

    #[test]
    fn families_of_paths() {
        let file = CatalogPath::from_target("a/b.bin").unwrap();
        assert_eq!((file.name(), file.parent().as_str()), ("b.bin", "a"));
        assert_eq!(file.parent().parent(), CatalogPath::root());
        assert_eq!(file.parent().child("b.bin"), Ok(file));
    }

    proptest::proptest! {
        #[test]
        fn a_clean_path_is_kept_as_it_is(text in "[ab./%\\\\é-]{0,8}") {
            if let Some(clean) = clean(&text) {
                let path = CatalogPath::from_target(&text).unwrap();
                proptest::prop_assert_eq!(path.as_str(), clean);
            }
        }

        #[test]
        fn what_is_accepted_stays_inside(text: String) {
            if let Ok(path) = CatalogPath::from_target(&text) {
                for component in path.as_str().split('/') {
                    proptest::prop_assert!(component.is_empty() == path.as_str().is_empty());
                    proptest::prop_assert!(!component.starts_with('.'));
                }
            }
        }
    }
}
