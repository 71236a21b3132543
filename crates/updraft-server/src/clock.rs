//! The only door to the time of day. Everything that compares a date with now takes a [`Clock`].

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Tells the time of day, and where.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;

    /// The zone in which people here read dates.
    fn zone(&self) -> TimeZone;
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one door to the time")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    #[expect(clippy::disallowed_methods, reason = "the one door to the time zone")]
    fn zone(&self) -> TimeZone {
        TimeZone::system()
    }
}
