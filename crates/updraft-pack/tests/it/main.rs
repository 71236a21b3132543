//! What is made here, judged by the tools that others made: OpenSSL, gzip, Python's zlib, esptool and
//! espsecure.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod gzip;
mod images;
mod judges;
mod keys;
mod secure_boot;
mod sign;
