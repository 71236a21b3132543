//! The order of versions: numbers as `SemVer` has them, commits after a tag as `git describe` writes
//! them, else natural order. What cannot be ordered is said so, and never guessed.

use std::cmp::Ordering;

use self::key::Key;

mod key;

/// A version as it can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    kind: Kind,
    key: Vec<u8>,
    changes: Changes,
}

/// Versions of one kind can be compared with each other.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// Nothing to order by: empty, a bare hash, words without a number.
    Unordered(String),
    /// Starts with this word: `build-12`, `r9`.
    Worded(String),
    /// Commits without a tag before them: `17-gabc1234`.
    Commits,
    /// Starts with a number: `1.2.3`, `v2`, `1.2.3-rc.1-4-gabc1234`.
    Numbered,
}

/// Whether it was built from a tree with changes that are in no commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Changes {
    None,
    Uncommitted,
}

/// What `git describe --dirty` appends.
const DIRTY: &str = "-dirty";

impl Version {
    /// Reads a version of a product. Every text is one; see [`Version::is_ordered`].
    pub(crate) fn read(text: &str, product: &str) -> Self {
        let text = text.trim_ascii();
        let text = without_product(text, product).unwrap_or(text);
        let (clean, changes) = match text.strip_suffix(DIRTY) {
            Some(clean) => (clean, Changes::Uncommitted),
            None => (text, Changes::None),
        };
        let (tag, commits) = match described(clean) {
            Some((tag, commits)) => (tag, commits),
            None => (Some(clean), 0),
        };
        let (kind, mut key) = match tag {
            None => (Kind::Commits, Key::new(key::COMMITS)),
            Some(tag) => match (number_start(tag), word(tag)) {
                _ if is_hash(tag) => (Kind::Unordered(text.to_owned()), Key::new(key::UNORDERED)),
                (Some(numbers), _) => (Kind::Numbered, Key::numbered(numbers)),
                (None, Some((word, rest))) => {
                    (Kind::Worded(word.to_ascii_lowercase()), Key::worded(word, rest))
                }
                (None, None) => (Kind::Unordered(text.to_owned()), Key::new(key::UNORDERED)),
            },
        };
        if let Kind::Unordered(text) = &kind {
            key.text(text);
        }
        key.count(commits);
        key.count(u32::from(changes == Changes::Uncommitted));
        Self { kind, key: key.into_bytes(), changes }
    }

    /// How it stands to another one; `None` if nobody can tell.
    pub(crate) fn order(&self, other: &Self) -> Option<Ordering> {
        (self.kind == other.kind).then(|| self.key.cmp(&other.key))
    }

    /// Whether it is known to be lower than the other one.
    pub(crate) fn is_lower_than(&self, other: &Self) -> bool {
        self.order(other) == Some(Ordering::Less)
    }

    /// Whether there is something in it to order by.
    pub(crate) fn is_ordered(&self) -> bool {
        !matches!(self.kind, Kind::Unordered(_))
    }

    /// Whether it was built from a tree with changes that are in no commit.
    pub(crate) fn is_dirty(&self) -> bool {
        self.changes == Changes::Uncommitted
    }

    /// A text that sorts as the version does, in every collation: lower-case hex digits. What is
    /// unordered comes first, by its text.
    pub(crate) fn sort_key(&self) -> String {
        self.key.iter().fold(String::with_capacity(2 * self.key.len()), |mut text, byte| {
            for half in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(u32::from(half), 16));
            }
            text
        })
    }
}

/// What stands behind `<product>-`, whatever the case.
fn without_product<'t>(text: &'t str, product: &str) -> Option<&'t str> {
    let (start, rest) = text.split_at_checked(product.len())?;
    let rest = rest.strip_prefix('-')?;
    (!product.is_empty() && !rest.is_empty() && start.eq_ignore_ascii_case(product)).then_some(rest)
}

/// Takes `[tag-]N-g<hex>` apart: the tag, and the commits after it.
fn described(text: &str) -> Option<(Option<&str>, u32)> {
    let (start, hash) = text.rsplit_once("-g")?;
    // git abbreviates a hash to 4 digits at least; a SHA-256 has 64.
    let is_hash = (4..=64).contains(&hash.len()) && hash.bytes().all(|b| b.is_ascii_hexdigit());
    let (tag, commits) = match start.rsplit_once('-') {
        Some((tag, commits)) => (Some(tag), commits),
        None => (None, start),
    };
    let is_number = !commits.is_empty() && commits.bytes().all(|b| b.is_ascii_digit());
    if !is_hash || !is_number || tag == Some("") {
        return None;
    }
    Some((tag, commits.parse().ok()?))
}

/// Whether this is a bare hash, as `git describe --always` writes it: it has letters, or it would be
/// a number.
fn is_hash(text: &str) -> bool {
    let hash = text.strip_prefix('g').unwrap_or(text);
    (7..=64).contains(&hash.len())
        && hash.bytes().all(|b| b.is_ascii_hexdigit())
        && hash.bytes().any(|b| b.is_ascii_alphabetic())
        && hash.bytes().any(|b| b.is_ascii_digit())
}

/// The text from its first number on, if it starts with one: `1.2`, `v1.2`.
fn number_start(text: &str) -> Option<&str> {
    let rest = text.strip_prefix(['v', 'V']).unwrap_or(text);
    rest.starts_with(|c: char| c.is_ascii_digit()).then_some(rest)
}

/// The word before the first number, and the rest.
fn word(text: &str) -> Option<(&str, &str)> {
    let place = text.find(|c: char| c.is_ascii_digit())?;
    text.split_at_checked(place)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Version {
        Version::read(text, "door")
    }

    fn check(low: &str, high: &str, expected: Option<Ordering>) {
        let (low_version, high_version) = (read(low), read(high));
        assert_eq!(low_version.order(&high_version), expected, "{low} {high}");
        assert_eq!(
            high_version.order(&low_version),
            expected.map(Ordering::reverse),
            "{high} {low}"
        );
        if let Some(order) = expected {
            assert_eq!(low_version.sort_key().cmp(&high_version.sort_key()), order, "{low} {high}");
        }
    }

    #[test]
    fn versions_rise() {
        let rising: &[&[&str]] = &[
            // SemVer 2.0.0, section 11.
            &[
                "1.0.0-alpha",
                "1.0.0-alpha.1",
                "1.0.0-alpha.beta",
                "1.0.0-beta",
                "1.0.0-beta.2",
                "1.0.0-beta.11",
                "1.0.0-rc.1",
                "1.0.0",
                "2.0.0",
                "2.1.0",
                "2.1.1",
                "2.1.11",
            ],
            &["1.9.0", "1.10.0", "1.10.1", "10.0.0"],
            &["0.9", "1", "1.0.1", "1.1", "2"],
            &["1.2.0-rc.1-3-gabc1234", "1.2.0", "1.2.0-1-gabc1234", "1.2.0-12-g1234567", "1.2.1"],
            &["1.2.0", "1.2.0-dirty", "1.2.0-1-gabc1234", "1.2.0-1-gabc1234-dirty"],
            &["1.2.3", "1.2.3a", "1.2.3b", "1.2.4"],
            &["2024-5-1", "2024-10-1", "2025-01-01"],
            &["20240501", "20241001"],
            &["build-9", "build-12", "BUILD-100"],
            &["r1-2-gabcd", "r1-11-gabcd", "r2"],
            &["3-gabc1234", "17-gabc1234"],
            &["13.4.0(tasmota)", "13.4.1(tasmota)"],
        ];
        for row in rising {
            for (place, low) in row.iter().enumerate() {
                for high in &row[place + 1..] {
                    check(low, high, Some(Ordering::Less));
                }
            }
        }
    }

    #[test]
    fn ways_to_write_one_version_are_the_same() {
        for same in [
            &[
                "1.2.0",
                "v1.2.0",
                "V1.2",
                "door-1.2.0",
                "Door-v1.2.0",
                " 1.2.0 ",
                "1.02",
                "1.2.0+b7",
            ][..],
            &["1.2.0-4-gabc1234", "door-1.2.0-4-g9999999"],
            &["build-7", "door-build-007"],
        ] {
            for (a, b) in same.iter().zip(&same[1..]) {
                check(a, b, Some(Ordering::Equal));
            }
        }
    }

    #[test]
    fn what_cannot_be_ordered_is_not() {
        for (a, b) in [
            ("", "1.0.0"),
            ("dev", "1.0.0"),
            ("dev", "kitchen"),
            ("abc1234", "1.0.0"),
            ("gabc1234", "abc1235"),
            ("build-7", "1.0.0"),
            ("build-7", "release-8"),
            ("temp-1.0.0", "1.1.0"),
            ("7-gabc1234", "1.0.0"),
        ] {
            check(a, b, None);
        }
        check("dev", "dev", Some(Ordering::Equal));
        for text in ["", "dev", "abc1234", "-dirty"] {
            assert!(!read(text).is_ordered(), "{text}");
        }
        assert!(read("1.0.0-dirty").is_dirty() && read("1.0.0-dirty").is_ordered());
    }

    #[test]
    fn the_product_is_only_stripped_as_a_word_of_its_own() {
        check("door-1.2.0", "1.2.0", Some(Ordering::Equal));
        check("doors-1.2.0", "1.2.0", None);
        check("door-", "1.2.0", None);
        assert_eq!(Version::read("-1", "").order(&Version::read("1", "")), None);
    }

    fn any_version() -> impl Strategy<Value = String> {
        prop_oneof![
            "(v|door-|build-|r|)[0-9]{1,3}(\\.[0-9]{1,2}){0,3}(-(rc|beta)\\.?[0-9]{0,2})?\
             (-[0-9]{1,3}-g[0-9a-f]{7})?(-dirty)?",
            "[a-z0-9.+()_-]{0,16}",
            any::<String>(),
        ]
    }

    proptest! {
        #[test]
        fn the_order_is_one_and_the_keys_sort_by_it(
            texts in prop::array::uniform3(any_version())
        ) {
            let [a, b, c] = texts.map(|text| read(&text));
            prop_assert_eq!(a.order(&a), Some(Ordering::Equal));
            prop_assert_eq!(a.order(&b), b.order(&a).map(Ordering::reverse));
            if let Some(order) = a.order(&b) {
                prop_assert_eq!(order, a.sort_key().cmp(&b.sort_key()));
            }
            if a.is_lower_than(&b) && b.is_lower_than(&c) {
                prop_assert!(a.is_lower_than(&c));
            }
            prop_assert!(a.sort_key().bytes().all(|b| b.is_ascii_hexdigit()));
        }
    }
}
