#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod boot;
pub mod client;
mod device;
pub mod flash;
mod network;
pub mod powercut;
pub mod software;

pub use device::{Device, DeviceError, Model, Running};
