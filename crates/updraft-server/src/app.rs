//! What every connection shares.

use std::cell::RefCell;
use std::sync::Arc;

use jiff::Timestamp;

use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::config::{Config, DeliveryConfig, FleetConfig, LimitsConfig};
use crate::decide::Policy;
use crate::decide::managed::FleetPolicy;
use crate::deliver::ImageCache;
use crate::limits::{Limits, Newcomers};
use crate::registry::Registry;

/// The server's state.
pub(crate) struct App {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) registry: Registry,
    pub(crate) images: ImageCache,
    pub(crate) limits: Limits,
    pub(crate) policy: Policy,
    /// What holds where no product says anything.
    pub(crate) fleet_policy: FleetPolicy,
    pub(crate) fleet_limits: FleetConfig,
    pub(crate) newcomers: Newcomers,
    pub(crate) delivery: DeliveryConfig,
    pub(crate) bounds: LimitsConfig,
    /// The method by which the system is set to control congestion, by its name.
    pub(crate) congestion_control: Vec<u8>,
    clock: Arc<dyn Clock>,
}

impl App {
    pub(crate) fn new(
        config: &Config,
        catalog: Arc<Catalog>,
        registry: Registry,
        fleet_policy: FleetPolicy,
        clock: Arc<dyn Clock>,
        congestion_control: Vec<u8>,
    ) -> Self {
        Self {
            catalog,
            registry,
            images: ImageCache::new(config.delivery.cache_size.0),
            limits: Limits::new(config),
            policy: config.policy,
            fleet_policy,
            fleet_limits: config.fleet.clone(),
            newcomers: Newcomers::new(config.fleet.new_devices_per_address),
            delivery: config.delivery.clone(),
            bounds: config.limits.clone(),
            congestion_control,
            clock,
        }
    }

    /// The time of day. Taken once for each request: what is decided and said of it then agrees.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Calls `with` with the value of a `Date` header: written once a second on each thread.
pub(crate) fn date<T>(now: Timestamp, with: impl FnOnce(&str) -> T) -> T {
    thread_local! {
        static DATE: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
    }
    DATE.with_borrow_mut(|(second, text)| {
        if *second != now.as_second() {
            *second = now.as_second();
            *text = jiff::fmt::rfc2822::DateTimePrinter::new()
                .timestamp_to_rfc9110_string(&now)
                .unwrap_or_default();
        }
        with(text)
    })
}
