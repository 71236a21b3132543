//! The store as serving threads see it: its work runs on a runtime of its own, and they wait for an
//! answer without being blocked. What check-ins leave behind is gathered here and written in batches.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::{Result, Store, StoreError};
use crate::fleet::{Device, DeviceKey};

/// A way to the store. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct StoreHandle {
    store: Arc<Store>,
    runtime: Handle,
    behind: Arc<Behind>,
}

/// What is not written yet: the latest of each device.
#[derive(Debug, Default)]
struct Behind {
    devices: Mutex<HashMap<DeviceKey, Device>>,
    stopping: Notify,
}

/// How long what a check-in leaves behind may be in memory only.
const BEHIND: Duration = Duration::from_millis(500);
/// How many devices are written in one transaction: others wait no longer than that takes.
const BATCH: usize = 2_000;
/// How many devices may wait to be written, should the database be slow: more are dropped, for they check in
/// again.
const MOST_BEHIND: usize = 200_000;

impl StoreHandle {
    /// Has the store's work run on this runtime, a multi-thread one.
    pub(crate) fn new(store: Arc<Store>, runtime: Handle) -> Self {
        let handle = Self { store, runtime, behind: Arc::default() };
        let writer = handle.clone();
        handle.runtime.spawn(async move { writer.write_behind().await });
        handle
    }

    /// Does something with the store, and waits for it on any runtime. Once begun it is done to its end,
    /// also if nobody waits any more: a device that hangs up cuts no transaction short.
    pub(crate) async fn call<T, F>(&self, work: impl FnOnce(Arc<Store>) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let work = self.runtime.spawn(work(Arc::clone(&self.store)));
        work.await.unwrap_or(Err(StoreError::Stopping))
    }

    /// See [`Store::revision`].
    pub(crate) fn revision(&self) -> i64 {
        self.store.revision()
    }

    /// Leaves what a check-in said to be written soon. Waits for nothing.
    pub(crate) fn observe(&self, device: Device) {
        let mut devices = self.behind.devices.lock().unwrap_or_else(PoisonError::into_inner);
        if devices.len() < MOST_BEHIND || devices.contains_key(&device.key) {
            devices.insert(device.key, device);
        }
    }

    /// Writes what is left to be written now: for people, who look at what a device said last.
    pub(crate) async fn catch_up(&self) -> Result<()> {
        let behind = Arc::clone(&self.behind);
        self.call(async move |store| flush(&store, &behind).await).await
    }

    /// Forgets what is left to be written of a device: something later was written.
    pub(crate) fn forget(&self, device: DeviceKey) {
        let mut devices = self.behind.devices.lock().unwrap_or_else(PoisonError::into_inner);
        devices.remove(&device);
    }

    /// Writes what is left to be written, and closes the store. For the end of the server.
    pub(crate) async fn close(&self) -> Result<()> {
        self.behind.stopping.notify_one();
        let behind = Arc::clone(&self.behind);
        self.call(async move |store| {
            let written = flush(&store, &behind).await;
            store.close().await;
            written
        })
        .await
    }

    async fn write_behind(&self) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(BEHIND) => {}
                () = self.behind.stopping.notified() => return,
            }
            if let Err(error) = flush(&self.store, &self.behind).await {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "cannot write what devices said last");
            }
            if self.store.is_shared()
                && let Err(error) = self.store.refresh().await
            {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "cannot see what other servers changed");
            }
        }
    }
}

async fn flush(store: &Store, behind: &Behind) -> Result<()> {
    let all = std::mem::take(&mut *behind.devices.lock().unwrap_or_else(PoisonError::into_inner));
    let mut all: Vec<Device> = all.into_values().collect();
    while !all.is_empty() {
        let rest = all.split_off(all.len().min(BATCH));
        store.observe(std::mem::replace(&mut all, rest)).await?;
    }
    Ok(())
}
