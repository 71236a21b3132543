//! A device-plane request with everything its answer depends on, owned, so that it can wait for the
//! disk on another thread.

use std::net::IpAddr;

use crate::dialect::arduino::{self, Client};
use crate::http::answer::Framing;
use crate::http::{BadHead, RequestHead, Target};
use crate::router::{DeviceRoute, Plane, plane};

/// A request that the device plane answers.
#[derive(Debug)]
pub(crate) struct DeviceRequest {
    pub(crate) route: DeviceRoute,
    pub(crate) framing: Framing,
    pub(crate) client: Client,
    /// Path as asked, for the log: no query, which may hold secrets.
    pub(crate) asked: Box<str>,
    pub(crate) range: Option<Box<[u8]>>,
    pub(crate) if_range: Option<Box<[u8]>>,
    pub(crate) if_none_match: Option<Box<[u8]>>,
    pub(crate) peer: IpAddr,
}

/// Whose request it is.
#[derive(Debug)]
pub(crate) enum Sorted {
    Device(DeviceRequest),
    People,
}

/// Tells a device's request from a person's.
pub(crate) fn sort(head: &RequestHead<'_>, peer: IpAddr) -> Result<Sorted, BadHead> {
    let client = arduino::read(head)?;
    let target = Target::new(head.target);
    let Plane::Device(route) = plane(head.method, target, &client) else {
        return Ok(Sorted::People);
    };
    head.refuse_body()?;
    head.clear_field("host")?;
    Ok(Sorted::Device(DeviceRequest {
        route,
        framing: Framing { method: head.method, keep_alive: head.keeps_alive() },
        client,
        asked: target.path().chars().take(200).collect::<String>().into(),
        range: head.clear_field("range")?.map(Into::into),
        if_range: head.clear_field("if-range")?.map(Into::into),
        if_none_match: head.field("if-none-match").map(Into::into),
        peer,
    }))
}
