//! Reads the little of DER (X.690) that keys and signatures are written in. Every length must be in
//! its shortest form; nothing is longer than 64 KiB.

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;

/// What is left of a list of values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The content of the next value, if it has this tag.
    pub(super) fn value(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (length, rest) = match *self.0 {
            [first, length @ ..=0x7F, ref rest @ ..] if first == tag => (length.into(), rest),
            [first, 0x81, length @ 0x80..=0xFF, ref rest @ ..] if first == tag => {
                (length.into(), rest)
            }
            [first, 0x82, high @ 1..=0xFF, low, ref rest @ ..] if first == tag => {
                (usize::from(u16::from_be_bytes([high, low])), rest)
            }
            _ => return None,
        };
        let (content, after) = rest.split_at_checked(length)?;
        self.0 = after;
        Some(content)
    }

    /// The values in the next SEQUENCE.
    pub(super) fn sequence(&mut self) -> Option<Self> {
        self.value(SEQUENCE).map(Self)
    }

    /// The next INTEGER, if it is not negative: its bytes without leading zeros (none for 0).
    pub(super) fn unsigned(&mut self) -> Option<&'a [u8]> {
        match self.value(INTEGER)? {
            [0] => Some(&[]),
            [0, magnitude @ ..] if magnitude.first().is_some_and(|&first| first >= 0x80) => {
                Some(magnitude)
            }
            magnitude @ [1..=0x7F, ..] => Some(magnitude),
            _ => None,
        }
    }

    /// Whether there is nothing more.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;

    #[test]
    fn values_have_one_form() {
        fn value(bytes: &[u8]) -> Option<&[u8]> {
            Reader::new(bytes).value(OCTET_STRING)
        }
        assert_eq!(value(&[4, 2, 1, 2, 9]), Some(&[1, 2][..]));
        assert_eq!(value(&[5, 2, 1, 2]), None);
        assert_eq!(value(&[4, 3, 1, 2]), None);
        assert_eq!(value(&[4, 0x81, 2, 1, 2]), None);
        assert_eq!(value(&[4, 0x82, 0, 2, 1, 2]), None);
        assert_eq!(value(&[4, 0x80, 0, 0]), None);
        for length in [0x80_u16, 0xFF, 0x100, 0xFFFF] {
            let mut bytes = vec![4, 0x82];
            bytes.extend(length.to_be_bytes());
            if length <= 0xFF {
                bytes[1] = 0x81;
                bytes.remove(2);
            }
            bytes.resize(bytes.len() + usize::from(length), 7);
            assert_eq!(value(&bytes).map(<[u8]>::len), Some(length.into()));
        }
    }

    #[test]
    fn integers_have_no_needless_zero_and_no_sign() {
        fn integer(bytes: &[u8]) -> Option<&[u8]> {
            Reader::new(bytes).unsigned()
        }
        assert_eq!(integer(&[2, 1, 0]), Some(&[][..]));
        assert_eq!(integer(&[2, 1, 0x7F]), Some(&[0x7F][..]));
        assert_eq!(integer(&[2, 2, 0, 0x80]), Some(&[0x80][..]));
        assert_eq!(integer(&[2, 1, 0x80]), None);
        assert_eq!(integer(&[2, 2, 0, 0x7F]), None);
        assert_eq!(integer(&[2, 0]), None);
    }
}
