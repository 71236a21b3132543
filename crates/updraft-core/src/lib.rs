#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::std_instead_of_core, clippy::alloc_instead_of_core)]
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

#[cfg(test)]
extern crate std;

mod chip;
mod eboot;
mod facts;
mod flash;
pub mod gates;
mod inspect;
mod layout;
mod md5;
mod otadata;
mod partition;
pub mod signature;
pub mod verify;
mod window;

pub use chip::{Chip, Family};
pub use eboot::{EbootCommand, EbootFault};
pub use facts::{
    AppDescriptor, Blocks, Checks, Facts, Fault, FilesystemKind, FlashMode, FlashSettings, Gzip,
    Kind, NotOta, OtaTarget, Places, Revisions, RunningDigests, RunningMd5, Segment, Segments,
    Signature, SignatureKey, Sizes, Text, Verdict,
};
pub use inspect::{Inflater, Inspector};
pub use layout::{Esp8266Layout, NoRoom, Staging};
pub use otadata::{OtaData, OtaEntry, OtaSector, OtaState, OtaWrite};
pub use partition::{AppKind, DataKind, Partition, PartitionFault, PartitionKind, PartitionTable};
