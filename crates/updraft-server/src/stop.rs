//! The word that the server is to stop, for everything that waits.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Poll, Waker};

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
        let (stop, mut told) = (self.clone(), self.0.clone());
        async move {
            let mut told = pin!(told.changed());
            let mut waker: Option<Waker> = None;
            poll_fn(|context| {
                // A connection is polled for much else: then this waits on, and asks nobody.
                let waits_on = waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker()));
                if waits_on && !stop.is_requested() {
                    return Poll::Pending;
                }
                waker = Some(context.waker().clone());
                // An error means that the stopper is gone, and the server with it.
                told.as_mut().poll(context).map(drop)
            })
            .await;
        }
    }

    /// Whether the server is to stop.
    pub(crate) fn is_requested(&self) -> bool {
        // Nothing was sent but that; an error means that the stopper is gone.
        !matches!(self.0.has_changed(), Ok(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_is_told_and_whoever_asks_too() {
        let (stopper, stop) = channel();
        let mut requested = pin!(stop.requested());
        for _ in 0..2 {
            let polled = poll_fn(|context| Poll::Ready(requested.as_mut().poll(context))).await;
            assert!(polled.is_pending() && !stop.is_requested());
        }
        let waiting = tokio::spawn(stop.requested());
        tokio::task::yield_now().await;
        stopper.stop();
        assert!(stop.is_requested() && stop.clone().is_requested());
        waiting.await.unwrap();
        requested.await;
        stop.requested().await;
    }

    #[tokio::test]
    async fn without_a_stopper_there_is_nothing_to_wait_for() {
        let (stopper, stop) = channel();
        let waiting = tokio::spawn(stop.requested());
        tokio::task::yield_now().await;
        drop(stopper);
        waiting.await.unwrap();
        assert!(stop.is_requested());
    }
}
