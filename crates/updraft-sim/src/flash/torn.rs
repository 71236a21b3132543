//! What an operation leaves that the power goes in the middle of. Pure: bytes before, bytes wanted, a
//! number in the place of chance.

use updraft_pack::filler;

/// How much of the operation is done when the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tear {
    /// All of it: the power goes right behind it.
    Behind,
    /// Its first bytes, and some bits of the next. In a sector that is being erased, the other bytes are
    /// what they were, or 00: chips program a sector before they erase it.
    Start,
    /// Some bits, all over it: those to program are programmed or not; those to erase are erased, as
    /// they were, or 0.
    Bits,
}

impl Tear {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Behind, Self::Start, Self::Bits];
}

/// Programs `wanted` over `cells`, as far as it gets.
pub(super) fn program(cells: &mut [u8], wanted: &[u8], tear: Tear, seed: u64) {
    match tear {
        Tear::Behind => cells.copy_from_slice(wanted),
        Tear::Start => {
            let (done, bits) = stop(cells.len(), seed);
            for ((cell, new), at) in cells.iter_mut().zip(wanted).zip(0..) {
                *cell = match at {
                    _ if at < done => *new,
                    _ if at == done => *cell & (*new | bits),
                    _ => *cell,
                };
            }
        }
        Tear::Bits => {
            let masks = filler(cells.len(), seed);
            for ((cell, new), mask) in cells.iter_mut().zip(wanted).zip(masks) {
                *cell &= *new | mask;
            }
        }
    }
}

/// Erases `cells`, as far as it gets.
pub(super) fn erase(cells: &mut [u8], tear: Tear, seed: u64) {
    match tear {
        Tear::Behind => cells.fill(0xFF),
        Tear::Start => {
            let (done, bits) = stop(cells.len(), seed);
            let (erased, rest) = cells.split_at_mut(done);
            erased.fill(0xFF);
            if bits.is_multiple_of(2) {
                rest.fill(0);
            }
            if let Some(cell) = rest.first_mut() {
                *cell |= bits;
            }
        }
        Tear::Bits => {
            let (kept, erased) = (filler(cells.len(), seed), filler(cells.len(), !seed));
            for ((cell, kept), erased) in cells.iter_mut().zip(kept).zip(erased) {
                *cell = *cell & kept | erased;
            }
        }
    }
}

/// Up to which of so many bytes an operation gets, and which bits it leaves of that one.
fn stop(length: usize, seed: u64) -> (usize, u8) {
    let chance = filler(8, seed);
    let [a, b, c, bits, ..] = chance[..] else { return (0, 0) };
    let number = u32::from_le_bytes([a, b, c, 0]) as usize;
    (number % length.max(1), bits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_torn_program_only_clears_bits_that_were_to_be_cleared(
            old in proptest::collection::vec(any::<u8>(), 256),
            wish in proptest::collection::vec(any::<u8>(), 256),
            seed: u64,
        ) {
            let wanted: Vec<u8> = old.iter().zip(&wish).map(|(old, wish)| old & wish).collect();
            for tear in Tear::ALL {
                let mut cells = old.clone();
                program(&mut cells, &wanted, tear, seed);
                for ((cell, old), new) in cells.iter().zip(&old).zip(&wanted) {
                    prop_assert_eq!(cell & !old, 0);
                    prop_assert_eq!(new & !cell, 0);
                }
                let mut again = old.clone();
                program(&mut again, &wanted, tear, seed);
                prop_assert_eq!(cells, again);
            }
        }
    }

    #[test]
    fn what_is_torn_is_neither_old_nor_new() {
        let check = |tear| {
            let mut cells = [0x55; 4096];
            erase(&mut cells, tear, 7);
            assert!(cells != [0x55; 4096] && cells != [0xFF; 4096], "{tear:?}");
            let mut cells = [0xFF; 256];
            program(&mut cells, &[0; 256], tear, 7);
            assert!(cells != [0; 256] && cells != [0xFF; 256], "{tear:?}");
        };
        check(Tear::Start);
        check(Tear::Bits);
        let mut cells = [0x55; 4096];
        erase(&mut cells, Tear::Behind, 7);
        assert_eq!(cells, [0xFF; 4096]);
    }
}
