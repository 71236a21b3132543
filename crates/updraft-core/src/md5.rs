//! MD5 (RFC 1321) of four messages at once that differ only in byte 2: one sketch in each of the four
//! flash modes that a device may have written into it. Not for anything secret: MD5 is broken, but
//! it is what these devices report.

use crate::facts::FlashMode;

/// Four values, one for each message; the compiler keeps them in one vector register.
type Lanes = [u32; 4];

/// Initial state (RFC 1321, 3.3).
const INITIAL: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// The four digests in progress.
#[derive(Clone, Debug)]
pub(crate) struct FourMd5 {
    state: [Lanes; 4],
    block: [u8; 64],
    filled: usize,
    first: bool,
    length: u64,
}

impl FourMd5 {
    pub(crate) fn new() -> Self {
        Self {
            state: INITIAL.map(|word| [word; 4]),
            block: [0; 64],
            filled: 0,
            first: true,
            length: 0,
        }
    }

    /// Appends `bytes` to all four messages.
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        self.length = self.length.wrapping_add(bytes.len() as u64);
        if self.filled > 0 {
            let (now, rest) = bytes.split_at(bytes.len().min(64 - self.filled));
            self.keep(now);
            bytes = rest;
            if self.filled < 64 {
                return;
            }
            self.compress(&{ self.block });
            self.filled = 0;
        }
        let (blocks, rest) = bytes.as_chunks();
        for block in blocks {
            self.compress(block);
        }
        self.keep(rest);
    }

    /// The digests, in the order of [`FlashMode::ESP8266`].
    pub(crate) fn finish(mut self) -> [[u8; 16]; 4] {
        // 0x80, then zeros up to the length in bits, which ends the last block (RFC 1321, 3.1).
        let bits = self.length.wrapping_mul(8);
        self.update(&[0x80]);
        while self.filled != 56 {
            self.update(&[0]);
        }
        self.update(&bits.to_le_bytes());
        core::array::from_fn(|lane| {
            let mut digest = [0; 16];
            for (bytes, word) in digest.chunks_exact_mut(4).zip(self.state) {
                bytes.copy_from_slice(&word.get(lane).copied().unwrap_or_default().to_le_bytes());
            }
            digest
        })
    }

    /// Keeps what is less than a block for the next update.
    fn keep(&mut self, bytes: &[u8]) {
        for (slot, byte) in self.block.iter_mut().skip(self.filled).zip(bytes) {
            *slot = *byte;
            self.filled += 1;
        }
    }

    /// Takes one block into the state; the first one differs between the messages.
    fn compress(&mut self, block: &[u8; 64]) {
        let mut words = [[0; 4]; 16];
        for (lanes, bytes) in words.iter_mut().zip(block.as_chunks().0) {
            *lanes = [u32::from_le_bytes(*bytes); 4];
        }
        if core::mem::take(&mut self.first) {
            let modes = FlashMode::ESP8266.map(|mode| u32::from(mode.byte()) << 16);
            words[0] = zip(words[0], modes, |word, mode| word & 0xFF00_FFFF | mode);
        }
        self.state = rounds(self.state, &words);
    }
}

/// The 64 steps (RFC 1321, 3.4): which word, how far to rotate, which constant.
#[rustfmt::skip]
#[expect(clippy::many_single_char_names, reason = "RFC 1321's names")]
#[inline]
fn rounds(state: [Lanes; 4], m: &[Lanes; 16]) -> [Lanes; 4] {
    let [mut a, mut b, mut c, mut d] = state;
    macro_rules! steps {
        ($mix:ident, [$s0:literal, $s1:literal, $s2:literal, $s3:literal],
         $($w0:literal $k0:literal $w1:literal $k1:literal $w2:literal $k2:literal $w3:literal $k3:literal)*) => {$(
            a = step::<$s0>(a, b, $mix(b, c, d), m[$w0], $k0);
            d = step::<$s1>(d, a, $mix(a, b, c), m[$w1], $k1);
            c = step::<$s2>(c, d, $mix(d, a, b), m[$w2], $k2);
            b = step::<$s3>(b, c, $mix(c, d, a), m[$w3], $k3);
        )*};
    }
    steps!(choose, [7, 12, 17, 22],
        0 0xd76a_a478  1 0xe8c7_b756  2 0x2420_70db  3 0xc1bd_ceee
        4 0xf57c_0faf  5 0x4787_c62a  6 0xa830_4613  7 0xfd46_9501
        8 0x6980_98d8  9 0x8b44_f7af  10 0xffff_5bb1  11 0x895c_d7be
        12 0x6b90_1122  13 0xfd98_7193  14 0xa679_438e  15 0x49b4_0821);
    steps!(choose_d, [5, 9, 14, 20],
        1 0xf61e_2562  6 0xc040_b340  11 0x265e_5a51  0 0xe9b6_c7aa
        5 0xd62f_105d  10 0x0244_1453  15 0xd8a1_e681  4 0xe7d3_fbc8
        9 0x21e1_cde6  14 0xc337_07d6  3 0xf4d5_0d87  8 0x455a_14ed
        13 0xa9e3_e905  2 0xfcef_a3f8  7 0x676f_02d9  12 0x8d2a_4c8a);
    steps!(parity, [4, 11, 16, 23],
        5 0xfffa_3942  8 0x8771_f681  11 0x6d9d_6122  14 0xfde5_380c
        1 0xa4be_ea44  4 0x4bde_cfa9  7 0xf6bb_4b60  10 0xbebf_bc70
        13 0x289b_7ec6  0 0xeaa1_27fa  3 0xd4ef_3085  6 0x0488_1d05
        9 0xd9d4_d039  12 0xe6db_99e5  15 0x1fa2_7cf8  2 0xc4ac_5665);
    steps!(or_not, [6, 10, 15, 21],
        0 0xf429_2244  7 0x432a_ff97  14 0xab94_23a7  5 0xfc93_a039
        12 0x655b_59c3  3 0x8f0c_cc92  10 0xffef_f47d  1 0x8584_5dd1
        8 0x6fa8_7e4f  15 0xfe2c_e6e0  6 0xa301_4314  13 0x4e08_11a1
        4 0xf753_7e82  11 0xbd3a_f235  2 0x2ad7_d2bb  9 0xeb86_d391);
    let [a0, b0, c0, d0] = state;
    [add(a, a0), add(b, b0), add(c, c0), add(d, d0)]
}

#[inline]
fn step<const ROTATE: u32>(a: Lanes, b: Lanes, mixed: Lanes, word: Lanes, constant: u32) -> Lanes {
    let sum = add(add(a, mixed), add(word, [constant; 4]));
    add(sum.map(|lane| lane.rotate_left(ROTATE)), b)
}

#[inline]
fn choose(x: Lanes, y: Lanes, z: Lanes) -> Lanes {
    zip(z, zip(x, zip(y, z, |y, z| y ^ z), |x, yz| x & yz), |z, rest| z ^ rest)
}

#[inline]
fn choose_d(x: Lanes, y: Lanes, z: Lanes) -> Lanes {
    choose(z, x, y)
}

#[inline]
fn parity(x: Lanes, y: Lanes, z: Lanes) -> Lanes {
    zip(zip(x, y, |x, y| x ^ y), z, |xy, z| xy ^ z)
}

#[inline]
fn or_not(x: Lanes, y: Lanes, z: Lanes) -> Lanes {
    zip(y, zip(x, z, |x, z| x | !z), |y, xz| y ^ xz)
}

#[inline]
fn add(x: Lanes, y: Lanes) -> Lanes {
    zip(x, y, u32::wrapping_add)
}

#[inline]
fn zip(x: Lanes, y: Lanes, f: impl Fn(u32, u32) -> u32) -> Lanes {
    let [x0, x1, x2, x3] = x;
    let [y0, y1, y2, y3] = y;
    [f(x0, y0), f(x1, y1), f(x2, y2), f(x3, y3)]
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use md5::{Digest as _, Md5};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_lane_is_the_md5_of_its_message(
            message in proptest::collection::vec(any::<u8>(), 3..400),
            cuts in proptest::collection::vec(0..400_usize, 0..5),
        ) {
            let mut four = FourMd5::new();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(message.len())).collect();
            cuts.sort_unstable();
            cuts.push(message.len());
            let mut start = 0;
            for cut in cuts {
                four.update(&message[start..cut]);
                start = cut;
            }
            for (mode, digest) in FlashMode::ESP8266.into_iter().zip(four.finish()) {
                let mut message = message.clone();
                message[2] = mode.byte();
                prop_assert_eq!(digest, <[u8; 16]>::from(Md5::digest(&message)));
            }
        }
    }
}
