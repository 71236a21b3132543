//! The crate at its public border.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod pull;
