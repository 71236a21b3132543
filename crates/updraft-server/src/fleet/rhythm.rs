//! How often a device checks in, learnt from its check-ins. What silence means is judged elsewhere.

use std::time::Duration;

/// The rhythm of a device's check-ins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rhythm {
    /// Time from one check-in to the next, as learnt; zero while none is known.
    pub interval: Duration,
    /// Intervals that were seen, up to [`Rhythm::MANY`].
    pub intervals: u32,
}
