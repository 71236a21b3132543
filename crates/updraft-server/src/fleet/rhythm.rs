//! How often a device checks in, learnt from its check-ins, and from when on its silence means
//! something. Whose silence it is, and what follows, is judged elsewhere.

use std::time::Duration;

use jiff::Timestamp;

/// The rhythm of a device's check-ins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rhythm {
    /// Time from one check-in to the next, as learnt; zero while none is known.
    pub interval: Duration,
    /// Intervals that were seen, up to [`Rhythm::MANY`].
    pub intervals: u32,
}

/// How long a device may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    /// So long, counted only while the server was up.
    pub silence: Duration,
    /// Where that is from.
    pub basis: Basis,
}

/// What a deadline rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Basis {
    /// The product says how often its devices check in.
    Expected,
    /// The device's own rhythm.
    Learnt,
    /// Nothing: it is only assumed.
    Assumed,
}

impl Rhythm {
    /// Intervals that are remembered.
    pub(crate) const MANY: u32 = 8;
    /// Intervals from which on a rhythm is believed.
    const ENOUGH: u32 = 3;
    /// Requests that stand closer together belong to one poll: filesystem, version and sketch.
    const ONE_POLL: Duration = Duration::from_secs(5);
    /// Polls that may be missed.
    const MISSED: u32 = 3;
    /// Silence that never means anything.
    const SHORT: Duration = Duration::from_mins(10);
    /// Silence that means something for a device of which no rhythm is known.
    const ASSUMED: Duration = Duration::from_hours(7 * 24);

    /// Learns from the time between two check-ins. A restart and a night without power are no
    /// rhythm, so a gap counts for no less than a quarter of what is known and no more than four
    /// times of it; a new rhythm is learnt all the same, in a few dozen polls.
    pub(crate) fn learn(self, gap: Duration) -> Self {
        if gap < Self::ONE_POLL {
            return self;
        }
        let gap = match self.known() {
            Some(interval) => gap.clamp(interval / 4, interval.saturating_mul(4)),
            None => gap,
        };
        let intervals = (self.intervals + 1).min(Self::MANY);
        let others = self.interval.saturating_mul(intervals - 1);
        Self { interval: others.saturating_add(gap) / intervals, intervals }
    }

    /// The interval, once enough were seen.
    pub(crate) fn known(self) -> Option<Duration> {
        (self.intervals >= Self::ENOUGH).then_some(self.interval)
    }

    /// The time from one poll to the next, if anything tells: the product's word, else the rhythm.
    pub(crate) fn poll(self, expected: Option<Duration>) -> Option<Duration> {
        expected.or(self.known())
    }

    /// How long the device may be silent.
    pub(crate) fn patience(self, expected: Option<Duration>) -> Patience {
        let (poll, basis) = match (expected, self.known()) {
            (Some(poll), _) => (poll, Basis::Expected),
            (None, Some(poll)) => (poll, Basis::Learnt),
            (None, None) => return Patience { silence: Self::ASSUMED, basis: Basis::Assumed },
        };
        Patience { silence: poll.saturating_mul(Self::MISSED).max(Self::SHORT), basis }
    }
}

/// Time from `then` to `now`; zero if the clock went back.
pub(crate) fn since(then: Timestamp, now: Timestamp) -> Duration {
    now.duration_since(then).try_into().unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIN: Duration = Duration::from_mins(1);

    fn after(gaps: impl IntoIterator<Item = Duration>) -> Rhythm {
        gaps.into_iter().fold(Rhythm::default(), Rhythm::learn)
    }

    #[test]
    fn three_intervals_make_a_rhythm() {
        assert_eq!(after([5 * MIN; 2]).known(), None);
        assert_eq!(after([5 * MIN; 3]).known(), Some(5 * MIN));
    }

    #[test]
    fn several_requests_in_one_poll_are_one() {
        let gaps = [5 * MIN, Duration::from_secs(1)].repeat(3);
        assert_eq!(after(gaps).known(), Some(5 * MIN));
    }

    #[test]
    fn a_night_without_power_hardly_changes_it_and_a_new_rhythm_is_learnt() {
        let rhythm = after([5 * MIN; 20]);
        let night = rhythm.learn(600 * MIN);
        assert!(night.interval < 7 * MIN, "{night:?}");
        let faster = (0..60).fold(rhythm, |rhythm, _| rhythm.learn(Duration::from_secs(10)));
        assert!(faster.interval < Duration::from_secs(12), "{faster:?}");
    }

    #[test]
    fn patience_is_counted_in_polls_and_assumed_where_nothing_is_known() {
        let check = |rhythm: Rhythm, expected, silence, basis| {
            assert_eq!(rhythm.patience(expected), Patience { silence, basis });
        };
        check(after([60 * MIN; 3]), None, 180 * MIN, Basis::Learnt);
        check(after([MIN; 3]), None, 10 * MIN, Basis::Learnt);
        check(after([MIN; 3]), Some(20 * MIN), 60 * MIN, Basis::Expected);
        check(after([MIN; 2]), None, 7 * 24 * 60 * MIN, Basis::Assumed);
    }

    proptest! {
        #[test]
        fn any_gaps_make_a_rhythm_between_them(gaps in prop::collection::vec(0..u64::MAX, 0..20)) {
            let rhythm = after(gaps.iter().copied().map(Duration::from_secs));
            prop_assert!(rhythm.intervals <= Rhythm::MANY);
            prop_assert!(rhythm.interval.as_secs() <= gaps.iter().copied().max().unwrap_or(0));
        }
    }
}
