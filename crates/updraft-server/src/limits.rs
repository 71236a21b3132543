//! What one client may take: connections of one address, downloads of one device. A place is taken
//! and given back by a guard; nothing here waits.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::check_in::DeviceId;
use crate::config::LimitsConfig;

/// The places of all clients.
#[derive(Debug)]
pub(crate) struct Limits {
    connections: Arc<Places<IpAddr>>,
    downloads: Arc<Places<DeviceId>>,
}

/// A connection's place; dropping it gives it back.
pub(crate) type ConnectionPlace = Place<IpAddr>;
/// A download's place; dropping it gives it back.
pub(crate) type DownloadPlace = Place<DeviceId>;

impl Limits {
    pub(crate) fn new(config: &LimitsConfig) -> Self {
        Self {
            connections: Places::new(config.connections_per_address),
            downloads: Places::new(config.downloads_per_device),
        }
    }

    /// A place for one more connection of an address; `None` if it has them all.
    pub(crate) fn connect(&self, address: IpAddr) -> Option<ConnectionPlace> {
        Places::take(&self.connections, address.to_canonical())
    }

    /// A place for one more download of a device; `None` if it has them all.
    pub(crate) fn download(&self, device: DeviceId) -> Option<DownloadPlace> {
        Places::take(&self.downloads, device)
    }
}

/// So many places for each key.
#[derive(Debug)]
struct Places<K> {
    each: u32,
    taken: Mutex<HashMap<K, u32>>,
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

    fn take(places: &Arc<Self>, key: K) -> Option<Place<K>> {
        let mut taken = places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(key).or_default();
        if *count >= places.each {
            return None;
        }
        *count += 1;
        Some(Place { of: Arc::clone(places), key })
    }
}

impl<K: Hash + Eq> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self.of.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_key_and_given_back() {
        let places = Places::new(2);
        let first = Places::take(&places, 1).unwrap();
        let _second = Places::take(&places, 1).unwrap();
        assert!(Places::take(&places, 1).is_none());
        assert!(Places::take(&places, 2).is_some());
        drop(first);
        assert!(Places::take(&places, 1).is_some());
        assert_eq!(places.taken.lock().unwrap().len(), 1, "keys without places are forgotten");
    }
}
