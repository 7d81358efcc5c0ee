//! A request to stop at the next safe point: between steps and between chunks.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Notify;

/// A request to stop, shared by whoever asks and whoever works.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    requested: AtomicBool,
    notify: Notify,
}

impl Stop {
    /// Asks to stop.
    pub fn request(&self) {
        self.inner.requested.store(true, Ordering::SeqCst);
        self.inner.notify.notify_waiters();
    }

    /// Whether somebody asked to stop.
    pub fn is_requested(&self) -> bool {
        self.inner.requested.load(Ordering::SeqCst)
    }

    /// Waits until somebody asks to stop.
    pub async fn requested(&self) {
        loop {
            let notified = self.inner.notify.notified();
            if self.is_requested() {
                return;
            }
            notified.await;
        }
    }

    /// Sleeps, but not longer than until somebody asks to stop.
    pub async fn sleep(&self, time: Duration) {
        let notified = self.inner.notify.notified();
        if self.is_requested() || time.is_zero() {
            return;
        }
        let _ = tokio::time::timeout(time, notified).await;
    }
}
