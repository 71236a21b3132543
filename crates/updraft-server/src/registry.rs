//! The fleet as requests reach it: the store, the files of images, and what is kept in memory of both.
//! It decides nothing.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::runtime::{Builder, Runtime};

use crate::check_in::{CheckIn, DeviceId};
use crate::digest::Sha256;
use crate::fleet::{Device, KnownChip, Observation, Ours, Published};
use crate::images::ImageFiles;
use crate::router::Managed;
use crate::store::handle::StoreHandle;
use crate::store::shelf::Shelf;
use crate::store::{Store, StoreError};

/// The folder of uploaded images, in the data folder.
const IMAGES: &str = "images";

/// Threads that work on the store: with SQLite there is one writer anyhow.
const THREADS: usize = 2;

/// The fleet of this server.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) store: StoreHandle,
    pub(crate) files: ImageFiles,
    shelf: Mutex<Arc<Stock>>,
    recent: Mutex<HashMap<DeviceId, Recent>>,
    /// What the store's work runs on.
    runtime: Runtime,
}

/// What is published and known, as of a revision.
#[derive(Debug)]
pub(crate) struct Stock {
    pub(crate) revision: i64,
    pub(crate) published: Published,
    /// The files of images in the folder of images.
    pub(crate) files: HashMap<Sha256, String>,
}

/// A check-in whose answer stays the same until something changes: the device runs what it should, and has
/// no attempt under way.
#[derive(Clone, Debug)]
pub(crate) struct Recent {
    /// What it was decided on.
    pub(crate) stock: Arc<Stock>,
    pub(crate) check_in: CheckIn,
    /// The product that it asked for.
    pub(crate) product: Option<String>,
    pub(crate) chip: Option<KnownChip>,
    pub(crate) flash_mode: Option<u8>,
    /// The device as it was left.
    pub(crate) device: Device,
}

/// Check-ins that are remembered: those of a large fleet.
const MOST_RECENT: usize = 200_000;

/// Why there is no fleet to serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistryError {
    /// The folder of images cannot be used.
    #[error("cannot use the folder of images")]
    Images(#[source] io::Error),
    /// There is no runtime for the store.
    #[error("cannot start the store's threads")]
    Threads(#[source] io::Error),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Stock {
    fn new(shelf: Shelf) -> Self {
        let Shelf { revision, rows, files } = shelf;
        Self { revision, published: Published::new(rows), files }
    }
}

impl Registry {
    /// Opens what a data folder holds, and makes it when new.
    pub(crate) fn open(data: &Path) -> Result<Self, RegistryError> {
        let files = ImageFiles::open(&data.join(IMAGES)).map_err(RegistryError::Images)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("store")
            .enable_all()
            .build()
            .map_err(RegistryError::Threads)?;
        let (store, stock) = runtime.block_on(async {
            let store = Store::open_in(data).await?;
            let stock = Stock::new(store.shelf().await?);
            Ok::<_, StoreError>((store, stock))
        })?;
        let store = StoreHandle::new(Arc::new(store), runtime.handle().clone());
        Ok(Self {
            store,
            files,
            shelf: Mutex::new(Arc::new(stock)),
            recent: Mutex::default(),
            runtime,
        })
    }

    /// Writes what is left to be written, and closes the store.
    pub(crate) fn close(&self) -> Result<(), StoreError> {
        self.runtime.block_on(self.store.close())
    }

    /// Takes in a check-in that is equal to the last one of its device, if the answer to that one still holds:
    /// the device runs what it should. The device as it is then is the caller's to have written.
    pub(crate) fn recall(
        &self,
        check_in: &CheckIn,
        managed: &Managed,
        address: IpAddr,
        now: Timestamp,
    ) -> Option<Device> {
        let mut all = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = all.get_mut(&check_in.device)?;
        if recent.stock.revision != self.store.revision()
            || recent.check_in != *check_in
            || recent.product != managed.product
        {
            return None;
        }
        let happened = recent.device.observe(&Observation {
            check_in,
            address: Some(address),
            chip: recent.chip,
            flash_mode: recent.flash_mode,
            settled: &[],
            published: &recent.stock.published,
            ours: Ours::Nothing,
            now,
        });
        happened.is_empty().then(|| recent.device.clone())
    }

    /// Remembers a check-in.
    pub(crate) fn remember(&self, recent: Recent) {
        let mut all = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_RECENT {
            all.clear();
        }
        all.insert(recent.check_in.device, recent);
    }

    /// Forgets what is remembered of a device.
    pub(crate) fn forget(&self, device: DeviceId) {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).remove(&device);
    }

    /// Has something of the store done that nobody waits for.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }

    /// Waits for something of the store, on a thread that may wait.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.handle().block_on(work)
    }

    /// What is published, if that is in memory as it is now.
    pub(crate) fn stock(&self) -> Option<Arc<Stock>> {
        let stock = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        (stock.revision == self.store.revision()).then(|| Arc::clone(&stock))
    }

    /// The same, from the store if a person has changed anything since.
    pub(crate) async fn fresh_stock(&self) -> Result<Arc<Stock>, StoreError> {
        if let Some(stock) = self.stock() {
            return Ok(stock);
        }
        let stock = self.store.call(async |store| store.shelf().await).await?;
        let stock = Arc::new(Stock::new(stock));
        let mut kept = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.revision < stock.revision {
            *kept = Arc::clone(&stock);
        }
        Ok(stock)
    }
}
