//! Tests of the simulated devices, at the crate's edge. What the boot loaders are held to is from the
//! documents of the real ones, and from what the real eboot did with the same files.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod device;
mod eboot;
mod esp32;
mod flash;
mod otadata;
mod stock;
mod verify;
