//! The word that the server is to stop, for everything that waits.

use tokio::sync::watch;

/// Tells the server's tasks to stop. Dropping it does, too.
pub(crate) struct Stopper(watch::Sender<bool>);

/// Hears of it.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

/// A stopper, and what it tells.
pub(crate) fn channel() -> (Stopper, Stop) {
    let (stopper, stop) = watch::channel(false);
    (Stopper(stopper), Stop(stop))
}

impl Stopper {
    pub(crate) fn stop(self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Waits until the server is to stop; forever, if it never is.
    pub(crate) fn requested(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut told = self.0.clone();
        async move {
            // An error means that the stopper is gone, and the server with it.
            drop(told.wait_for(|stop| *stop).await);
        }
    }

    /// Whether the server is to stop.
    pub(crate) fn is_requested(&self) -> bool {
        // Nothing was sent but that; an error means that the stopper is gone.
        !matches!(self.0.has_changed(), Ok(false))
    }
}
