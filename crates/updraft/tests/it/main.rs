//! The `updraft` command from end to end.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod api;
mod catalog;
mod docs;
mod downloads;
mod faults;
mod fleet;
mod harness;
mod image_contents;
mod image_flash;
mod image_info;
mod image_sign;
mod image_verify;
mod images;
mod start;
