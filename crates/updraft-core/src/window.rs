//! Keeps `N` bytes of a stream as they pass.

/// The bytes `[offset, offset + N)` of a stream, as far as they have passed.
#[derive(Clone, Debug)]
pub(crate) struct Window<const N: usize> {
    offset: u64,
    bytes: [u8; N],
    filled: usize,
}

impl<const N: usize> Window<N> {
    pub(crate) fn at(offset: u64) -> Self {
        Self { offset, bytes: [0; N], filled: 0 }
    }

    /// Takes what falls into the window of `chunk`, which stands at `offset` of the stream. The
    /// chunks of a stream must come without gaps, from an offset not behind the window's.
    pub(crate) fn update(&mut self, offset: u64, chunk: &[u8]) {
        if self.filled == N {
            return;
        }
        let want = self.offset.saturating_add(self.filled as u64);
        let Some(bytes) = from(offset, chunk, want) else { return };
        for (slot, byte) in self.bytes.iter_mut().skip(self.filled).zip(bytes) {
            *slot = *byte;
            self.filled += 1;
        }
    }

    /// The bytes, once all of them have passed.
    pub(crate) fn full(&self) -> Option<&[u8; N]> {
        (self.filled == N).then_some(&self.bytes)
    }

    /// The bytes that have passed.
    pub(crate) fn passed(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }
}

/// What stands in `chunk`, itself at `offset`, from `start` on; `None` if that is not in it.
pub(crate) fn from(offset: u64, chunk: &[u8], start: u64) -> Option<&[u8]> {
    let skip = usize::try_from(start.checked_sub(offset)?).ok()?;
    chunk.get(skip..).filter(|rest| !rest.is_empty())
}

/// What stands in `chunk`, itself at `offset`, before `end`.
pub(crate) fn until(offset: u64, chunk: &[u8], end: u64) -> &[u8] {
    let length = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
    chunk.get(..length).unwrap_or(chunk)
}

/// The little-endian word at `offset` of `bytes`.
pub(crate) fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().copied().map(u32::from_le_bytes)
}

/// The little-endian half-word at `offset` of `bytes`.
pub(crate) fn half_word(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes.get(offset..)?.first_chunk().copied().map(u16::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_takes_its_bytes_from_chunks_of_any_size() {
        let stream: [u8; 32] = core::array::from_fn(|i| u8::try_from(i).unwrap());
        for size in 1..=32 {
            let mut window = Window::<4>::at(13);
            for (i, chunk) in stream.chunks(size).enumerate() {
                window.update((i * size) as u64, chunk);
            }
            assert_eq!(window.full(), Some(&[13, 14, 15, 16]));
        }
        let mut window = Window::<4>::at(30);
        window.update(0, &stream);
        assert_eq!((window.full(), window.passed()), (None, &[30, 31][..]));
    }

    #[test]
    fn chunks_are_cut_where_asked() {
        assert_eq!(from(10, b"abc", 12), Some(&b"c"[..]));
        assert_eq!(from(10, b"abc", 13), None);
        assert_eq!(from(10, b"abc", 9), None);
        assert_eq!(until(10, b"abc", 12), b"ab");
        assert_eq!(until(10, b"abc", 5), b"");
        assert_eq!(until(10, b"abc", u64::MAX), b"abc");
    }
}
