#![doc = include_str!("../README.md")]

pub mod api;
mod app;
mod catalog;
mod check_in;
pub mod clock;
pub mod config;
mod decide;
mod deliver;
mod device;
mod dialect;
mod digest;
#[expect(dead_code, reason = "the rest of the fleet comes to use it")]
mod fleet;
mod http;
#[cfg_attr(not(test), expect(dead_code, reason = "nobody collects unused files yet"))]
mod images;
mod limits;
pub mod log;
mod people;
mod registry;
mod router;
mod secret;
mod server;
mod stop;
#[cfg_attr(not(test), expect(dead_code, reason = "catalog inventory and heartbeat come to use it"))]
mod store;
mod sys;

pub use decide::{Gate, Policy, Same};
pub use server::{StartError, run};

/// Reads hostile bytes as the device plane does, up to where the disk comes in. For the fuzzer.
#[doc(hidden)]
pub fn read_request(bytes: &[u8]) {
    use http::{Fields, ParsedHead, RequestHead};

    if let ParsedHead::Complete(head, length) = RequestHead::parse(bytes, &mut Fields::default()) {
        assert!(length <= bytes.len(), "a head takes no more bytes than there are");
        if let Ok(device::request::Sorted::Device(request)) =
            device::request::sort(&head, std::net::Ipv4Addr::LOCALHOST.into())
        {
            let _ = http::range::parse(request.conditions().range, 1 << 20);
            drop(catalog::CatalogPath::from_target(&request.path));
        }
    }
}
