//! What one client may take: connections of one address, downloads of one device. A place is taken
//! and given back by a guard; nothing here waits.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::check_in::DeviceId;
use crate::config::Config;
use crate::fleet::since;

/// The places of all clients.
#[derive(Debug)]
pub(crate) struct Limits {
    connections: Arc<Places<IpAddr>>,
    downloads: Arc<Places<DeviceId>>,
    fast: Arc<Places<()>>,
}

/// A connection's place; dropping it gives it back.
pub(crate) type ConnectionPlace = Place<IpAddr>;
/// A download's place; dropping it gives it back.
pub(crate) type DownloadPlace = Place<DeviceId>;
/// The place of a download that may take more of the kernel's memory; dropping it gives it back.
pub(crate) type FastPlace = Place<()>;

impl Limits {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            connections: Places::new(config.limits.connections_per_address),
            downloads: Places::new(config.limits.downloads_per_device),
            fast: Places::new(config.delivery.fast_downloads),
        }
    }

    /// A place for one more connection of an address.
    pub(crate) fn connect(&self, address: IpAddr) -> Result<ConnectionPlace, Full> {
        Places::take(&self.connections, network(address.to_canonical()))
    }

    /// A place for one more download of a device.
    pub(crate) fn download(&self, device: DeviceId) -> Result<DownloadPlace, Full> {
        Places::take(&self.downloads, device)
    }

    /// A place for one more fast download.
    pub(crate) fn fast(&self) -> Result<FastPlace, Full> {
        Places::take(&self.fast, ())
    }
}

/// How many devices each address has registered of late: an address that makes up MACs fills nothing.
#[derive(Debug)]
pub(crate) struct Newcomers {
    most: u32,
    seen: Mutex<HashMap<IpAddr, (Timestamp, u32)>>,
}

impl Newcomers {
    /// The time in which they count.
    const WITHIN: Duration = Duration::from_hours(1);
    /// Addresses that are remembered: when there are more, those whose time is over are forgotten.
    const MANY: usize = 10_000;

    pub(crate) fn new(most: u32) -> Self {
        Self { most, seen: Mutex::default() }
    }

    /// Whether this address may register one more device now.
    pub(crate) fn may_register(&self, address: IpAddr, now: Timestamp) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let of_late = seen.get(&network(address.to_canonical()));
        of_late.is_none_or(|&(start, count)| since(start, now) >= Self::WITHIN || count < self.most)
            && self.most > 0
    }

    /// It has registered one.
    pub(crate) fn registered(&self, address: IpAddr, now: Timestamp) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= Self::MANY {
            seen.retain(|_, (start, _)| since(*start, now) < Self::WITHIN);
        }
        let (start, count) = seen.entry(network(address.to_canonical())).or_insert((now, 0));
        if since(*start, now) >= Self::WITHIN {
            (*start, *count) = (now, 0);
        }
        *count += 1;
    }
}

/// What counts as one address: of IPv6, the 64 bits that one subscriber has at least.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

/// All places are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// The first time since one was free.
    Now,
    /// It was said before.
    Still,
}

/// So many places for each key.
#[derive(Debug)]
struct Places<K> {
    each: u32,
    taken: Mutex<HashMap<K, Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    count: u32,
    /// One more was asked for since the last one was given back.
    wanted: bool,
}

#[derive(Debug)]
pub(crate) struct Place<K: Hash + Eq> {
    of: Arc<Places<K>>,
    key: K,
}

impl<K: Hash + Eq + Copy> Places<K> {
    fn new(each: u32) -> Arc<Self> {
        Arc::new(Self { each, taken: Mutex::default() })
    }

    fn take(places: &Arc<Self>, key: K) -> Result<Place<K>, Full> {
        let mut all = places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = all.entry(key).or_default();
        if taken.count >= places.each {
            let was_wanted = std::mem::replace(&mut taken.wanted, true);
            return Err(if was_wanted { Full::Still } else { Full::Now });
        }
        taken.count += 1;
        Ok(Place { of: Arc::clone(places), key })
    }
}

impl<K: Hash + Eq> Drop for Place<K> {
    fn drop(&mut self) {
        let mut all = self.of.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = all.get_mut(&self.key) {
            taken.count -= 1;
            taken.wanted = false;
            if taken.count == 0 {
                all.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_subscriber_has_one_address() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("192.0.2.7"), "192.0.2.7");
    }

    #[test]
    fn places_are_counted_by_key_and_given_back() {
        let places = Places::new(2);
        let first = Places::take(&places, 1).unwrap();
        let _second = Places::take(&places, 1).unwrap();
        assert_eq!(Places::take(&places, 1).unwrap_err(), Full::Now);
        assert_eq!(Places::take(&places, 1).unwrap_err(), Full::Still);
        assert!(Places::take(&places, 2).is_ok());
        drop(first);
        let _third = Places::take(&places, 1).unwrap();
        assert_eq!(Places::take(&places, 1).unwrap_err(), Full::Now);
        assert_eq!(places.taken.lock().unwrap().len(), 1, "keys without places are forgotten");
    }
}
