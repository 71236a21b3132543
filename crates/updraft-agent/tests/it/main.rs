//! The crate at its public border: whole updates, on a flash in memory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod docs;
mod esp32;
mod esp8266;
mod flash;
mod install;
mod pull;
mod running;
mod signed;

use proptest::prelude::*;
use updraft_agent::{Platform, Request, Staged, UpdateError, Updater};

use crate::flash::Flash;

/// Writes `file` in blocks of these sizes, over and over, through `scratch` bytes.
fn update<const R: usize, const W: usize, const E: usize, P: Platform>(
    flash: &mut Flash<R, W, E>,
    platform: P,
    request: Request<'_>,
    file: &[u8],
    (scratch, blocks): (usize, &[usize]),
) -> Result<Staged<P::Next>, UpdateError> {
    let mut scratch = vec![0; scratch];
    let mut updater = Updater::new(flash, platform, &mut scratch);
    let mut update = updater.begin(request)?;
    let mut rest = file;
    for size in blocks.iter().cycle() {
        let (block, after) = rest.split_at(rest.len().min(*size));
        update.write(block)?;
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    update.finish()
}

/// Through a buffer as stock updaters have it, in blocks as TCP brings them.
const USUAL: (usize, &[usize]) = (4096, &[1460]);

/// A buffer, and sizes of blocks.
fn pieces() -> impl Strategy<Value = (usize, Vec<usize>)> {
    (64..9000_usize, proptest::collection::vec(1..6000_usize, 1..6))
}

/// A stream that gives so many bytes at once, then its end or an error.
struct Stream<'a> {
    bytes: &'a [u8],
    at_once: usize,
    breaks: bool,
}

impl embedded_io::ErrorType for Stream<'_> {
    type Error = embedded_io::ErrorKind;
}

impl embedded_io::Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        if self.bytes.is_empty() && self.breaks {
            return Err(embedded_io::ErrorKind::TimedOut);
        }
        let count = buffer.len().min(self.at_once).min(self.bytes.len());
        let (now, later) = self.bytes.split_at(count);
        buffer[..count].copy_from_slice(now);
        self.bytes = later;
        Ok(count)
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap()
}
