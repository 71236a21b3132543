//! A large number as it stands in somebody else's bytes.

/// An unsigned number of a fixed length in bytes, in either order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number<'a> {
    bytes: &'a [u8],
    order: Order,
}

#[derive(Clone, Copy, Debug)]
enum Order {
    BigEndian,
    LittleEndian,
}

impl<'a> Number<'a> {
    pub(super) fn big_endian(bytes: &'a [u8]) -> Self {
        Self { bytes, order: Order::BigEndian }
    }

    pub(super) fn little_endian(bytes: &'a [u8]) -> Self {
        Self { bytes, order: Order::LittleEndian }
    }

    /// Length in bytes, with leading zeros.
    pub(super) fn len(self) -> usize {
        self.bytes.len()
    }

    /// The bytes, most significant first.
    pub(super) fn bytes(self) -> impl DoubleEndedIterator<Item = u8> {
        let last = self.bytes.len().wrapping_sub(1);
        (0..self.bytes.len()).map(move |index| {
            let index = match self.order {
                Order::BigEndian => index,
                Order::LittleEndian => last.wrapping_sub(index),
            };
            self.bytes.get(index).copied().unwrap_or_default()
        })
    }

    /// The bytes, most significant first, with zeros before them; `None` if there are more than `N`.
    pub(super) fn to_array<const N: usize>(self) -> Option<[u8; N]> {
        let mut array = [0; N];
        let zeros = N.checked_sub(self.len())?;
        for (slot, byte) in array.iter_mut().skip(zeros).zip(self.bytes()) {
            *slot = byte;
        }
        Some(array)
    }
}

/// By value: order and leading zeros make no difference.
impl PartialEq for Number<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes().skip_while(|&byte| byte == 0).eq(other.bytes().skip_while(|&byte| byte == 0))
    }
}

impl Eq for Number<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_leading_zeros_make_no_difference() {
        let number = Number::big_endian(&[0, 1, 2]);
        assert_eq!(number, Number::little_endian(&[2, 1]));
        assert_ne!(number, Number::little_endian(&[1, 2]));
        assert_eq!(number.to_array(), Some([0, 0, 1, 2]));
        assert_eq!(number.to_array::<2>(), None);
    }
}
