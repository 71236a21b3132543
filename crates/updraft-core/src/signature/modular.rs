//! Powers modulo a large odd number, by Montgomery's multiplication. All numbers are words of 32 bits,
//! least significant first; a power needs the stack of five of them.
//!
//! Not for secrets: the time depends on the numbers.

use core::cmp::Ordering;

use super::number::Number;

/// An odd modulus whose highest bit is set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Modulus<const WORDS: usize> {
    modulus: [u32; WORDS],
    /// The negative of its inverse modulo 2^32.
    m_prime: u32,
}

/// `number` in words; `None` if it is larger than they can hold.
pub(super) fn words<const WORDS: usize>(number: Number<'_>) -> Option<[u32; WORDS]> {
    let mut words = [0; WORDS];
    for (index, byte) in number.bytes().rev().enumerate() {
        match words.get_mut(index / 4) {
            Some(word) => *word |= u32::from(byte) << (index % 4 * 8),
            None if byte == 0 => {}
            None => return None,
        }
    }
    Some(words)
}

impl<const WORDS: usize> Modulus<WORDS> {
    /// `None` if it is even or its highest bit is not set.
    pub(super) fn new(modulus: &[u32; WORDS]) -> Option<Self> {
        let (lowest, highest) = (*modulus.first()?, *modulus.last()?);
        if lowest & 1 == 0 || highest >> 31 == 0 {
            return None;
        }
        // Newton's iteration: three bits of the inverse are right at first, then twice as many each
        // time.
        let two_minus = |product: u32| 2_u32.wrapping_sub(product);
        let inverse = (0..4).fold(lowest, |inverse, _| {
            inverse.wrapping_mul(two_minus(lowest.wrapping_mul(inverse)))
        });
        Some(Self { modulus: *modulus, m_prime: inverse.wrapping_neg() })
    }

    /// The negative of the modulus's inverse modulo 2^32.
    pub(super) fn m_prime(&self) -> u32 {
        self.m_prime
    }

    /// R² modulo the modulus, where R is two to the power of the modulus's bits.
    pub(super) fn r_squared(&self) -> [u32; WORDS] {
        // R modulo the modulus: R less the modulus, for its highest bit is set.
        let mut r = [0; WORDS];
        self.subtract(&mut r);
        self.times_r(&mut r);
        r
    }

    /// `base` to the power of an odd `exponent`; `None` if `base` is not less than the modulus.
    pub(super) fn power(&self, base: &[u32; WORDS], exponent: u64) -> Option<[u32; WORDS]> {
        if self.is_reached(base) {
            return None;
        }
        let mut factor = *base;
        self.times_r(&mut factor);
        let mut power = factor;
        // The highest bit of the exponent is the factor itself. The lowest one, also set, is left to
        // the base as it is: that takes the last R away.
        for bit in (1..exponent.checked_ilog2()?).rev() {
            self.square(&mut power);
            if exponent >> bit & 1 == 1 {
                self.multiply(&mut power, &factor);
            }
        }
        self.square(&mut power);
        self.multiply(&mut power, base);
        Some(power)
    }

    fn square(&self, number: &mut [u32; WORDS]) {
        let same = *number;
        self.multiply(number, &same);
    }

    /// Multiplies and divides by R, modulo the modulus; both numbers are less than that.
    fn multiply(&self, number: &mut [u32; WORDS], other: &[u32; WORDS]) {
        let mut sum = [0; WORDS];
        let mut above = false;
        for &digit in other {
            let mut carry = 0;
            for (word, &factor) in sum.iter_mut().zip(&*number) {
                (*word, carry) = factor.carrying_mul_add(digit, *word, carry);
            }
            let (top, over) = carry.overflowing_add(u32::from(above));

            // The multiple of the modulus that makes the lowest word zero; then that word is dropped.
            let multiple = sum.first().copied().unwrap_or_default().wrapping_mul(self.m_prime);
            let mut carry = 0;
            for (word, &factor) in sum.iter_mut().zip(&self.modulus) {
                (*word, carry) = factor.carrying_mul_add(multiple, *word, carry);
            }
            sum.rotate_left(1);
            let (top, over_again) = top.overflowing_add(carry);
            above = over || over_again;
            if let Some(last) = sum.last_mut() {
                *last = top;
            }
        }
        if above || self.is_reached(&sum) {
            self.subtract(&mut sum);
        }
        *number = sum;
    }

    /// Multiplies by R, modulo the modulus: doubles as often as that has bits.
    fn times_r(&self, number: &mut [u32; WORDS]) {
        for _ in 0..WORDS.saturating_mul(32) {
            let mut carry = 0;
            for word in &mut *number {
                let out = *word >> 31;
                *word = *word << 1 | carry;
                carry = out;
            }
            if carry == 1 || self.is_reached(number) {
                self.subtract(number);
            }
        }
    }

    /// Whether `number` is not less than the modulus.
    fn is_reached(&self, number: &[u32; WORDS]) -> bool {
        number.iter().rev().cmp(self.modulus.iter().rev()) != Ordering::Less
    }

    /// Takes the modulus away, modulo R.
    fn subtract(&self, number: &mut [u32; WORDS]) {
        let mut borrow = false;
        for (word, &less) in number.iter_mut().zip(&self.modulus) {
            (*word, borrow) = word.borrowing_sub(less, borrow);
        }
    }
}

#[cfg(test)]
mod tests {
    use crypto_bigint::{NonZero, U256, Uint};
    use proptest::prelude::*;

    use super::*;

    /// What another library says of it.
    fn expected(base: U256, exponent: u64, modulus: U256) -> U256 {
        let modulus = NonZero::new(modulus).unwrap();
        let mut power = Uint::ONE;
        for bit in (0..64).rev() {
            power = power.square_mod_vartime(&modulus);
            if exponent >> bit & 1 == 1 {
                power = power.mul_mod_vartime(&base, &modulus);
            }
        }
        power
    }

    fn integer(words: [u32; 8]) -> U256 {
        let mut bytes = [0; 32];
        bytes
            .chunks_exact_mut(4)
            .zip(words)
            .for_each(|(four, w)| four.copy_from_slice(&w.to_le_bytes()));
        U256::from_le_slice(&bytes)
    }

    /// Words that make carries likely.
    fn number() -> impl Strategy<Value = [u32; 8]> {
        prop::array::uniform8(prop_oneof![any::<u32>(), Just(0), Just(u32::MAX), Just(1)])
    }

    proptest! {
        #[test]
        fn powers_are_those_of_another_library(
            base in number(),
            modulus in number(),
            exponent in prop_oneof![Just(3_u64), Just(65537), any::<u64>().prop_map(|e| e | 3)],
        ) {
            let mut modulus = modulus;
            modulus[0] |= 1;
            modulus[7] |= 1 << 31;
            let power = Modulus::new(&modulus).unwrap().power(&base, exponent);
            if integer(base) < integer(modulus) {
                let expected = expected(integer(base), exponent, integer(modulus));
                prop_assert_eq!(integer(power.unwrap()), expected);
            } else {
                prop_assert_eq!(power, None);
            }
        }

        #[test]
        fn the_numbers_of_the_form_are_right(modulus in number()) {
            let mut modulus = modulus;
            modulus[0] |= 1;
            modulus[7] |= 1 << 31;
            let ours = Modulus::new(&modulus).unwrap();
            prop_assert_eq!(ours.m_prime().wrapping_mul(modulus[0]), u32::MAX);
            let r = Uint::ZERO.wrapping_sub(&integer(modulus));
            let r_squared = r.square_mod_vartime(&NonZero::new(integer(modulus)).unwrap());
            prop_assert_eq!(integer(ours.r_squared()), r_squared);
        }
    }

    #[test]
    fn an_impossible_modulus_is_none() {
        assert!(Modulus::new(&[2, 1 << 31]).is_none());
        assert!(Modulus::new(&[1, 1 << 30]).is_none());
        assert!(Modulus::<0>::new(&[]).is_none());
        let number = Number::big_endian(&[0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(words(number), Some([0x0506_0708, 0x0102_0304]));
        assert_eq!(words::<1>(number), None);
    }
}
