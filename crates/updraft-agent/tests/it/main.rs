//! The crate at its public border: whole updates, on a flash in memory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod esp8266;
mod flash;
