//! A crash on purpose, for the tests of the recovery.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;

use crate::error::Error;
use crate::error::Result;

/// A crash at a position of the journal, for tests: once so many events are appended, nothing more is written, and the work ends with
/// an error, as if the process had died there.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    left: Arc<AtomicI64>,
}

impl Fault {
    pub fn after(appends: u32) -> Fault {
        Fault { left: Arc::new(AtomicI64::new(i64::from(appends))) }
    }

    /// Whether the process is dead.
    pub fn is_dead(&self) -> bool {
        self.left.load(Ordering::SeqCst) < 0
    }

    pub(super) fn count(&self, events: usize) -> Result<()> {
        let left = self.left.fetch_sub(events as i64, Ordering::SeqCst) - events as i64;
        if left < 0 { Err(Error::failed("crashed here, as the test asked")) } else { Ok(()) }
    }
}
