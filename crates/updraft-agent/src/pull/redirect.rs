//! Where redirects have led. What they led to is kept at the front of the pull's buffer, for the next
//! head overwrites the rest.

use updraft_core::Family;

use super::head::{Place, text};
use super::options::{Options, Redirects};
use super::request::{Fields, Request};
use super::url::Url;

/// The way so far. `http://host:port` is in the buffer only if a redirect named it; behind it, or alone,
/// the target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Redirect {
    /// How many there were.
    count: u16,
    /// Length of `http://host:port` at the start of the buffer.
    server: usize,
    /// Length of that and the target; 0 before the first redirect.
    end: usize,
    /// Which fields the next request has.
    pub fields: Fields,
}

/// Why a redirect is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotFollowed {
    /// Nobody wants that.
    Refused,
    /// Where it leads is longer than the buffer.
    TooLong,
}

impl Redirect {
    /// Before the first one.
    pub(crate) const NONE: Self = Self { count: 0, server: 0, end: 0, fields: Fields::All };

    /// How much of the buffer is in use.
    pub(crate) fn kept(&self) -> usize {
        self.end
    }

    /// Where to ask now: where the last redirect led, else the URL that was given.
    pub(crate) fn url<'p>(&self, buffer: &'p [u8], given: Url<'p>) -> Url<'p> {
        let kept = text(buffer, &(0..self.end)).unwrap_or_default();
        let url = match self.server {
            _ if kept.is_empty() => None,
            0 => given.with_target(kept),
            _ => Url::parse(kept).ok(),
        };
        // What was kept was read before; it cannot be wrong now.
        url.unwrap_or(given)
    }

    /// The way with one more step, if that is allowed.
    pub(crate) fn follow(
        self,
        location: &Place,
        buffer: &mut [u8],
        request: &Request<'_>,
        options: &Options,
    ) -> Result<Self, NotFollowed> {
        if options.redirects == Redirects::Off || self.count >= options.redirect_limit {
            return Err(NotFollowed::Refused);
        }
        let place = match location {
            Place::At(place) => place.clone(),
            Place::Absent => return Err(NotFollowed::Refused),
            Place::TooLong => return Err(NotFollowed::TooLong),
        };
        let location = text(buffer, &place).ok_or(NotFollowed::Refused)?;
        let here = self.url(buffer, request.url);
        let is_path = location.starts_with('/');
        let next = if is_path { here.with_target(location) } else { Url::parse(location).ok() };
        let next = next.ok_or(NotFollowed::Refused)?;
        let is_allowed = match options.redirects {
            Redirects::Off => false,
            Redirects::SameHost => next.is_same_server(&here),
            Redirects::Any => next.scheme == here.scheme,
        };
        if !is_allowed {
            return Err(NotFollowed::Refused);
        }
        // The ESP8266's client loses the fields of the device, the ESP32's only with a mere path.
        let fields = match request.device.family {
            Family::Esp32 if !is_path => self.fields,
            _ => Fields::Common,
        };
        let server = if is_path { self.server } else { location.len() - next.target.len() };
        let start = if is_path { self.server } else { 0 };
        let end = start + place.len();
        buffer.copy_within(place, start);
        Ok(Self { count: self.count + 1, server, end, fields })
    }
}
