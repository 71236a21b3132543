#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::std_instead_of_core, clippy::alloc_instead_of_core)]
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

#[cfg(test)]
extern crate std;

mod boot;
mod install;
mod led;
mod policy;
pub mod pull;
mod running;
mod updater;

pub use boot::{Boot, BootError, Eboot, OtaBoot, RtcMemory, Trial};
pub use install::Install;
pub use led::{Led, Level, Polarity, Ticker};
pub use policy::{Offer, Permission, Policy, Regular, Situation, Use};
pub use running::Running;
pub use updater::{
    BootMode, Cause, Esp32, Esp8266, OtaSlot, Platform, Progress, Request, Rollback, Size, Staged,
    Trust, Update, UpdateError, Updater,
};
