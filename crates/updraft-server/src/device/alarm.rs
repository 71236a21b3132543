//! When a connection has been waited for long enough: one timer for its whole life.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// A deadline that can be put off at no cost: the timer behind it is set anew only when it goes off too
/// early. A connection that never waits has no timer at all.
pub(crate) struct Alarm {
    deadline: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    /// Whom the timer wakes when it goes off.
    waker: Option<Waker>,
}

impl Alarm {
    /// An alarm for that time.
    pub(crate) fn at(deadline: Instant) -> Self {
        Self { deadline, timer: None, waker: None }
    }

    /// Moves the deadline.
    pub(crate) fn set(&mut self, deadline: Instant) {
        self.deadline = deadline;
        if let Some(timer) = &mut self.timer
            && deadline < timer.deadline()
        {
            timer.as_mut().reset(deadline);
            self.waker = None;
        }
    }

    /// Ready once the deadline has passed.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(self.deadline)));
        let is_set = self.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker()));
        if is_set && !timer.is_elapsed() {
            return Poll::Pending;
        }
        self.waker = Some(context.waker().clone());
        loop {
            ready!(timer.as_mut().poll(context));
            if Instant::now() >= self.deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(self.deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    async fn is_due(alarm: &mut Alarm) -> bool {
        poll_fn(|context| Poll::Ready(alarm.poll(context).is_ready())).await
    }

    #[tokio::test]
    async fn a_deadline_moves_both_ways() {
        let start = Instant::now();
        let mut alarm = Alarm::at(start);
        poll_fn(|context| alarm.poll(context)).await;
        alarm.set(start + Duration::from_hours(1));
        assert!(!is_due(&mut alarm).await);
        let soon = Instant::now() + Duration::from_millis(5);
        alarm.set(soon);
        poll_fn(|context| alarm.poll(context)).await;
        assert!((soon..start + Duration::from_hours(1)).contains(&Instant::now()));
    }

    #[tokio::test]
    async fn a_timer_that_goes_off_too_early_is_set_anew() {
        let later = Instant::now() + Duration::from_millis(10);
        let mut alarm = Alarm::at(later - Duration::from_millis(9));
        assert!(!is_due(&mut alarm).await || Instant::now() >= later - Duration::from_millis(9));
        alarm.set(later);
        poll_fn(|context| alarm.poll(context)).await;
        assert!(Instant::now() >= later);
    }
}
