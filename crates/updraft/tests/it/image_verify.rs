//! `updraft image verify`: every bad file is refused for a reason of its own, good ones are not.
//!
//! Signatures are OpenSSL's, secure boot sectors espsecure's.

mod bad;
mod good;
mod lab;
mod usage;
