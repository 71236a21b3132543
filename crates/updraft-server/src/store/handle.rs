//! The store as serving threads see it: its work runs on a runtime of its own, and they wait for an
//! answer without being blocked. What a check-in leaves behind is gathered here and written in batches.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::{Result, Store, StoreError};

/// A way to the store. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct StoreHandle {
    store: Arc<Store>,
    runtime: Handle,
}

impl StoreHandle {
    /// Has the store's work run on this runtime, a multi-thread one.
    pub(crate) fn new(store: Arc<Store>, runtime: Handle) -> Self {
        Self { store, runtime }
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
}
