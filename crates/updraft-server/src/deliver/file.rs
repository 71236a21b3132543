//! Images sent from their files, piece by piece. A piece goes out only if the file is still what it was
//! after the piece was read, so not one byte of another version does.

use std::cell::RefCell;
use std::fs::File;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::io::{Errno, ReadWriteFlags, preadv2};

use crate::catalog::Stamp;
use crate::deliver::CHUNK;

/// A chunk that a thread reads which may wait for the disk; `None` if the file changed.
pub(super) type Reading = Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send>>;

/// What is left to send of a file.
pub(super) struct FilePart {
    file: Arc<File>,
    stamp: Stamp,
    left: Range<u64>,
    /// How much to read next: as much as the peer is likely to take.
    want: usize,
    /// What is read next, where it was not in the page cache.
    reading: Option<Reading>,
    /// What was read so, and how much of it is sent.
    chunk: Option<(Vec<u8>, usize)>,
}

/// What came of sending a piece.
pub(super) enum Piece {
    /// It was passed on to be written.
    Passed(Poll<io::Result<usize>>),
    /// The file is not what it was.
    Changed,
}

/// Bytes of the largest piece. It is copied twice, into here and into the socket, so it should stay in the
/// processor's cache meanwhile.
const PIECE: usize = 128 * 1024;

thread_local! {
    /// What pieces of files are read into. All connections of a thread share it: a piece that the
    /// socket does not take is read again when it does.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; PIECE].into());
}

impl FilePart {
    pub(super) fn new(file: &Arc<File>, stamp: Stamp, left: Range<u64>) -> Self {
        Self { file: Arc::clone(file), stamp, left, want: CHUNK, reading: None, chunk: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// Bytes left.
    pub(super) fn len(&self) -> u64 {
        self.left.end - self.left.start
    }

    /// Whether the disk is waited for.
    pub(super) fn is_being_read(&self) -> bool {
        self.reading.is_some()
    }

    /// Passes the next piece to `write`, with whether it is the last one. Pending only while the disk
    /// is waited for.
    pub(super) fn poll_piece(
        &mut self,
        context: &mut Context<'_>,
        mut write: impl FnMut(&mut Context<'_>, &[u8], bool) -> Poll<io::Result<usize>>,
    ) -> Poll<Piece> {
        let left = usize::try_from(self.len()).unwrap_or(PIECE);
        if let Some(reading) = &mut self.reading {
            let chunk = ready!(reading.as_mut().poll(context));
            self.reading = None;
            let Some(chunk) = chunk else { return Poll::Ready(Piece::Changed) };
            self.chunk = Some((chunk, 0));
        }
        if let Some((chunk, sent)) = &self.chunk {
            let piece = &chunk[*sent..];
            return Poll::Ready(Piece::Passed(write(context, piece, piece.len() == left)));
        }
        let length = left.min(self.want);
        let piece = BUFFER.with_borrow_mut(|buffer| {
            let buffer = &mut buffer[..length];
            let start = self.left.start;
            let read =
                preadv2(&*self.file, &mut [IoSliceMut::new(buffer)], start, ReadWriteFlags::NOWAIT);
            let piece = match read {
                // It is not in the page cache; and some filesystems know no reading without waiting.
                Err(Errno::AGAIN | Errno::OPNOTSUPP) => return None,
                Ok(length) if length > 0 => &buffer[..length],
                _ => return Some(Piece::Changed),
            };
            if Stamp::of_file(&self.file) != Some(self.stamp) {
                return Some(Piece::Changed);
            }
            Some(Piece::Passed(write(context, piece, piece.len() == left)))
        });
        if let Some(piece) = piece {
            return Poll::Ready(piece);
        }
        let chunk = read_chunk(&self.file, self.stamp, self.left.start, left.min(CHUNK));
        self.reading = Some(chunk);
        self.poll_piece(context, write)
    }

    /// Takes bytes off that are sent. Whether that was all that one turn may send.
    pub(super) fn take_off(&mut self, written: usize) -> bool {
        self.left.start += written as u64;
        if let Some((chunk, sent)) = &mut self.chunk {
            *sent += written;
            if *sent >= chunk.len() {
                self.chunk = None;
            }
            return false;
        }
        // A slow device takes little at a time: reading more for it would be in vain.
        let all_taken = written >= self.want;
        self.want =
            if all_taken { (self.want * 2).min(PIECE) } else { written.clamp(CHUNK / 4, CHUNK) };
        all_taken
    }
}

/// Reads a chunk on a thread that may wait for the disk.
pub(super) fn read_chunk(file: &Arc<File>, stamp: Stamp, at: u64, length: usize) -> Reading {
    let file = Arc::clone(file);
    Box::pin(async move {
        let read = tokio::task::spawn_blocking(move || {
            let mut chunk = vec![0; length];
            file.read_exact_at(&mut chunk, at).ok()?;
            (Stamp::of_file(&file) == Some(stamp)).then_some(chunk)
        });
        read.await.ok().flatten()
    })
}
