//! The fleet: so many application servers, started, deployed and stopped together.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use tokio::task::JoinSet;
use tokio_postgres::Config;

use super::app::App;
use super::memory::Memory;
use super::stats::Stats;
use super::users::Version;

/// How long the last application server may take to notice its deploy, or the end.
const PATIENCE: Duration = Duration::from_secs(120);

/// All application servers. They end when this is dropped.
#[derive(Debug)]
pub struct Fleet {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

/// What the application servers share.
#[derive(Debug)]
pub struct Shared {
    /// Where they connect to.
    pub target: Config,
    /// Where they count.
    pub stats: Arc<Stats>,
    apps: Vec<Slot>,
    stopping: AtomicBool,
}

/// One application server, as seen from outside.
#[derive(Debug)]
struct Slot {
    deployed: AtomicBool,
    runs_new: AtomicBool,
    memory: Mutex<Memory>,
}

impl Fleet {
    /// Starts them all, with old code.
    pub fn start(target: Config, stats: Arc<Stats>, apps: u32, rows: u32) -> Fleet {
        let slot = |number| Slot {
            deployed: AtomicBool::new(false),
            runs_new: AtomicBool::new(false),
            memory: Mutex::new(Memory::new(number, apps, rows)),
        };
        let apps: Vec<Slot> = (0..apps).map(slot).collect();
        let shared = Arc::new(Shared { target, stats, apps, stopping: AtomicBool::new(false) });
        let mut tasks = JoinSet::new();
        for number in 0..shared.apps() {
            tasks.spawn(App::new(number, shared.clone()).serve());
        }
        Fleet { shared, tasks }
    }

    /// Deploys the new code to one after the other, and waits until all run it.
    pub async fn deploy(&self, over: Duration) {
        let apps = u32::try_from(self.shared.apps()).unwrap_or(u32::MAX);
        let began = Instant::now();
        for (deployed, slot) in self.shared.apps.iter().enumerate() {
            let due = over / apps * u32::try_from(deployed).unwrap_or(u32::MAX);
            tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
            slot.deployed.store(true, Ordering::SeqCst);
        }
        tokio::time::sleep(over.saturating_sub(began.elapsed())).await;
        let all_new = || self.shared.apps.iter().all(|slot| slot.runs_new.load(Ordering::SeqCst));
        while !all_new() && began.elapsed() < over + PATIENCE {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Lets everybody finish the request that it is at, and returns what they remember.
    pub async fn stop(mut self) -> Arc<Shared> {
        self.shared.stopping.store(true, Ordering::SeqCst);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        // Who is still stuck then is cut off with the connection.
        let _ = tokio::time::timeout(PATIENCE, ended).await;
        self.shared.clone()
    }
}

impl Shared {
    /// How many there are.
    pub fn apps(&self) -> usize {
        self.apps.len()
    }

    /// What this one remembers. Never held over an `await`.
    pub fn memory(&self, number: usize) -> MutexGuard<'_, Memory> {
        self.apps[number].memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The version that this one is to run.
    pub fn version(&self, number: usize) -> Version {
        if self.apps[number].deployed.load(Ordering::SeqCst) { Version::New } else { Version::Old }
    }

    /// This one runs the version from now on.
    pub fn runs(&self, number: usize, version: Version) {
        self.apps[number].runs_new.store(version == Version::New, Ordering::SeqCst);
    }

    /// Whether it is time to end.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
}
