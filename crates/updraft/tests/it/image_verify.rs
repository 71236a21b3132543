//! `updraft image verify`: every bad file is refused for a reason of its own, good ones are not.
//!
//! Signatures are OpenSSL's and our own, secure boot sectors espsecure's and our own.

mod bad;
mod builder;
mod good;
mod lab;
mod usage;
