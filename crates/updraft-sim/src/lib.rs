#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod boot;
mod device;
pub mod flash;
pub mod powercut;
pub mod software;

pub use device::{Device, DeviceError, Model, Running};
