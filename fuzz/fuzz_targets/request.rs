//! No bytes make the reader of requests panic: head, identity, range, path.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| updraft_server::read_request(bytes));
