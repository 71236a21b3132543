//! A device-plane request with everything its answer depends on, owned, so that it can wait for the
//! disk on another thread.

use std::net::IpAddr;
use std::sync::Arc;

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
    /// The target's path as sent, not decoded; without the query, which may hold secrets.
    pub(crate) path: Box<str>,
    pub(crate) range: Option<Box<[u8]>>,
    pub(crate) if_range: Option<Box<[u8]>>,
    pub(crate) if_none_match: Option<Box<[u8]>>,
    pub(crate) peer: IpAddr,
}

/// Whose request it is.
#[derive(Debug)]
pub(crate) enum Sorted {
    Device(Arc<DeviceRequest>),
    People,
}

/// Tells a device's request from a person's.
pub(crate) fn sort(head: &RequestHead<'_, '_>, peer: IpAddr) -> Result<Sorted, BadHead> {
    let known = head.known();
    let client = arduino::read(head, &known)?;
    let target = Target::new(head.target);
    let Plane::Device(route) = plane(head.method, target, &client) else {
        return Ok(Sorted::People);
    };
    if route != DeviceRoute::OtherMethod {
        // A method that is not known is refused as one, and ends the connection, body or not.
        known.refuse_doubtful()?;
    }
    Ok(Sorted::Device(Arc::new(DeviceRequest {
        route,
        framing: Framing { method: head.method, keep_alive: head.keeps_alive(&known) },
        client,
        path: target.path().into(),
        range: known.range.map(Into::into),
        if_range: known.if_range.map(Into::into),
        if_none_match: known.if_none_match.map(Into::into),
        peer: peer.to_canonical(),
    })))
}
