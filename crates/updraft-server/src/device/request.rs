//! A device-plane request with everything its answer depends on, owned, so that it can wait for the
//! disk on another thread.

use std::net::IpAddr;
use std::sync::Arc;

use crate::dialect::arduino::{self, Client};
use crate::http::answer::Framing;
use crate::http::{BadHead, Fields, RequestHead, Target};
use crate::router::{DeviceRoute, Plane, path_token, plane};

/// A request that the device plane answers.
#[derive(Debug)]
pub(crate) struct DeviceRequest {
    pub(crate) route: DeviceRoute,
    pub(crate) framing: Framing,
    pub(crate) client: Client,
    /// The target's path as sent, not decoded; without the query, which may hold secrets.
    pub(crate) path: Box<str>,
    /// There only if the request has any: a device's has none.
    conditions: Option<Box<Conditions<Box<[u8]>>>>,
    /// User and password, if it shows some on a managed path.
    pub(crate) basic: Option<Box<(String, String)>>,
    /// Whether it says what it asks for.
    pub(crate) names_mode: bool,
    pub(crate) peer: IpAddr,
}

/// The header fields by which a client asks for a part of a file, or only for a new one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Conditions<V> {
    pub(crate) range: Option<V>,
    pub(crate) if_range: Option<V>,
    pub(crate) if_none_match: Option<V>,
}

impl DeviceRequest {
    pub(crate) fn conditions(&self) -> Conditions<&[u8]> {
        self.conditions.as_ref().map_or_else(Conditions::default, |all| Conditions {
            range: all.range.as_deref(),
            if_range: all.if_range.as_deref(),
            if_none_match: all.if_none_match.as_deref(),
        })
    }
}

fn conditions(fields: &Fields<'_>) -> Option<Box<Conditions<Box<[u8]>>>> {
    let has_any = [fields.range, fields.if_range, fields.if_none_match].iter().any(Option::is_some);
    has_any.then(|| {
        Box::new(Conditions {
            range: fields.range.map(Into::into),
            if_range: fields.if_range.map(Into::into),
            if_none_match: fields.if_none_match.map(Into::into),
        })
    })
}

/// Whose request it is.
#[derive(Debug)]
pub(crate) enum Sorted {
    Device(Arc<DeviceRequest>),
    People,
}

/// Tells a device's request from a person's.
pub(crate) fn sort(head: &RequestHead<'_, '_>, peer: IpAddr) -> Result<Sorted, BadHead> {
    let client = arduino::read(head.fields)?;
    let target = Target::new(head.target);
    let Plane::Device(route) = plane(head.method, target, &client) else {
        return Ok(Sorted::People);
    };
    if route != DeviceRoute::OtherMethod {
        // A method that is not known is refused as one, and ends the connection, body or not.
        head.fields.refuse_doubtful()?;
    }
    let is_managed = matches!(route, DeviceRoute::Managed(_));
    let family = client.check_in().map(|check_in| check_in.family);
    Ok(Sorted::Device(Arc::new(DeviceRequest {
        names_mode: family.is_some_and(|family| arduino::names_mode(head.fields, family)),
        basic: arduino::basic(head.fields).filter(|_| is_managed).map(Box::new),
        route,
        framing: Framing { method: head.method, keep_alive: head.keeps_alive() },
        client,
        path: path_token(target.path())
            .filter(|_| is_managed)
            .map_or(target.path(), |(_, path)| path)
            .into(),
        conditions: conditions(head.fields),
        peer: peer.to_canonical(),
    })))
}
