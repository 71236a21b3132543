#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod error;
mod esp32;
mod esp8266;
mod example;
mod filesystem;
mod flash;
mod gzip;
mod image;
#[cfg(feature = "sign")]
mod keys;
mod note;
mod partition;
#[cfg(feature = "sign")]
mod pem;
#[cfg(feature = "sign")]
mod secure_boot;
#[cfg(feature = "sign")]
mod sign;

pub use error::BuildError;
pub use esp32::{Esp32Defect, Esp32Image, esp32_boot_loader};
pub use esp8266::{Esp8266Defect, Esp8266Image, eboot};
pub use example::example_firmware;
pub use filesystem::filesystem;
pub use flash::{FlashDump, merged_flash};
pub use gzip::{CompressError, Compressed, Form, Gzip, GzipDefect, compress};
pub use image::filler;
#[cfg(feature = "sign")]
pub use keys::{KeyError, PublicKey, SigningKey};
pub use note::Note;
pub use partition::{
    DEFAULT_TABLE, OtaSlot, Record, SINGLE_APP_TABLE, TWO_OTA_TABLE, TableDefect, broken_table,
    otadata, partition_table, table_of,
};
#[cfg(feature = "sign")]
pub use secure_boot::{SectorDefect, broken_secure_boot, secure_boot};
#[cfg(feature = "sign")]
pub use sign::{Format, SignError, SignatureDefect, Signed, sign, sign_wrongly};
