//! The load: clients that behave as ESP8266 and ESP32 do, on loopback only. They know no server.

pub(crate) mod answer;
pub(crate) mod fast;
pub(crate) mod once;
pub(crate) mod request;
pub(crate) mod slow;
pub(crate) mod sys;

use std::net::Ipv4Addr;

/// Addresses that the load comes from: so many that no server's limit for one address, and no lack of
/// ports, is met.
pub(crate) const SOURCES: u8 = 16;

/// The address of the connection of that number.
fn source(connection: usize) -> Ipv4Addr {
    let [.., last] = (connection % usize::from(SOURCES)).to_be_bytes();
    Ipv4Addr::new(127, 0, 0, last + 1)
}

/// A count as a figure to calculate with.
#[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^53")]
pub(crate) fn figure(count: u64) -> f64 {
    count as f64
}

/// The value below which this share (in percent) of the sorted values lies.
pub(crate) fn percentile(sorted: &[u32], percent: usize) -> Option<f64> {
    let place = (sorted.len() * percent / 100).min(sorted.len().checked_sub(1)?);
    Some(f64::from(sorted[place]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_loopback_addresses() {
        assert_eq!(source(0), Ipv4Addr::LOCALHOST);
        assert_eq!(source(31), Ipv4Addr::new(127, 0, 0, 16));
    }

    #[test]
    fn percentiles_are_values_that_were_there() {
        let values: Vec<u32> = (1..=100).collect();
        assert_eq!(percentile(&values, 50), Some(51.0));
        assert_eq!(percentile(&values, 99), Some(100.0));
        assert_eq!(percentile(&values, 100), Some(100.0));
        assert_eq!(percentile(&[], 50), None);
    }
}
