//! Lengths of time as people say them: `45 s`, `10 min`, `6 h`, `7 days`.

use std::fmt;
use std::time::Duration;

/// A length of time in its two largest units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (large, unit, small, small_unit) = match seconds {
            0..60 => (seconds, "s", 0, ""),
            60..3600 => (seconds / 60, "min", seconds % 60, "s"),
            3600..172_800 => (seconds / 3600, "h", seconds % 3600 / 60, "min"),
            _ => (seconds / 86_400, "days", seconds % 86_400 / 3600, "h"),
        };
        write!(f, "{large} {unit}")?;
        if small == 0 { Ok(()) } else { write!(f, " {small} {small_unit}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_largest_units_are_said() {
        for (seconds, words) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (90, "1 min 30 s"),
            (21_600, "6 h"),
            (90_061, "25 h 1 min"),
            (604_800, "7 days"),
            (180_000, "2 days 2 h"),
        ] {
            assert_eq!(Span(Duration::from_secs(seconds)).to_string(), words);
        }
    }
}
