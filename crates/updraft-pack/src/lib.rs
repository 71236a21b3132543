#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod error;
mod esp32;
mod esp8266;
mod example;
mod image;

pub use error::BuildError;
pub use esp32::{Esp32Image, esp32_boot_loader, merged_flash, partition_table};
pub use esp8266::{Esp8266Image, eboot};
pub use example::example_firmware;
pub use image::filler;
