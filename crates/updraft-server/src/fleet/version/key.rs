//! The bytes that versions are compared by: they sort as the versions do. What a text means is
//! decided one level up.

/// The kinds of version, lowest first.
pub(super) const UNORDERED: u8 = 1;
const WORDED: u8 = 2;
/// Commits without a tag.
pub(super) const COMMITS: u8 = 3;
const NUMBERED: u8 = 4;

/// What follows in a list: its end before a number, a number before a text.
const END: u8 = 1;
const NUMBER: u8 = 2;
const TEXT: u8 = 3;

/// What stands behind the numbers: a pre-release before nothing, nothing before more text.
const BEFORE: u8 = 1;
const EXACT: u8 = 2;
const AFTER: u8 = 3;

/// A key in the making.
pub(super) struct Key(Vec<u8>);

impl Key {
    pub(super) fn new(kind: u8) -> Self {
        Self(vec![kind])
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Of a text that starts with a digit.
    pub(super) fn numbered(text: &str) -> Self {
        let (numbers, rest) = numbers(text);
        let mut key = Self::new(NUMBERED);
        // 1.2 and 1.2.0 are the same.
        let last = numbers.iter().rposition(|digits| !digits.is_empty()).map_or(0, |last| last + 1);
        for digits in numbers.iter().take(last) {
            key.number(digits);
        }
        key.0.push(END);
        let rest = rest.split_once('+').map_or(rest, |(rest, _build)| rest);
        match rest.strip_prefix('-').filter(|pre| numbers.len() > 1 && is_pre_release(pre)) {
            Some(pre) => key.pre_release(pre),
            None if rest.is_empty() => key.0.push(EXACT),
            None => {
                key.0.push(AFTER);
                key.natural(rest);
            }
        }
        key
    }

    /// Of a word and what follows it.
    pub(super) fn worded(word: &str, rest: &str) -> Self {
        let mut key = Self::new(WORDED);
        key.text(&word.to_ascii_lowercase());
        key.natural(rest);
        key
    }

    pub(super) fn text(&mut self, text: &str) {
        self.0.push(TEXT);
        // A zero ends it, so it holds none: a version with one is nobody's.
        self.0.extend(text.bytes().filter(|&byte| byte != 0));
        self.0.push(0);
    }

    pub(super) fn count(&mut self, count: u32) {
        self.0.extend(count.to_be_bytes());
    }

    fn run(&mut self, run: &str, is_number: bool) {
        if is_number { self.number(run) } else { self.text(run) }
    }

    /// A number by its digits: of two without leading zeros, the longer one is larger.
    fn number(&mut self, digits: &str) {
        let digits = digits.trim_start_matches('0');
        self.0.push(NUMBER);
        self.count(u32::try_from(digits.len()).unwrap_or(u32::MAX));
        self.0.extend(digits.bytes());
    }

    fn pre_release(&mut self, pre: &str) {
        self.0.push(BEFORE);
        for part in pre.split('.') {
            self.run(part, part.bytes().all(|byte| byte.is_ascii_digit()));
        }
        self.0.push(END);
    }

    /// Runs of digits as numbers, what is between them as text.
    fn natural(&mut self, mut rest: &str) {
        while let Some(first) = rest.chars().next() {
            let is_number = first.is_ascii_digit();
            let end = rest.find(|c: char| c.is_ascii_digit() != is_number).unwrap_or(rest.len());
            let (run, after) = rest.split_at(end);
            self.run(run, is_number);
            rest = after;
        }
        self.0.push(END);
    }
}

/// The numbers between dots at the start, leading zeros stripped, and what follows them.
fn numbers(mut text: &str) -> (Vec<&str>, &str) {
    let mut numbers = Vec::new();
    loop {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, rest) = text.split_at(end);
        numbers.push(digits.trim_start_matches('0'));
        match rest.strip_prefix('.').filter(|more| more.starts_with(|c: char| c.is_ascii_digit())) {
            Some(more) => text = more,
            None => return (numbers, rest),
        }
    }
}

/// Whether this is what `SemVer` has behind the `-`.
fn is_pre_release(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.split('.').all(is_part)
}
