//! What goes wrong meanwhile, at random moments.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use rand::RngExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::task::JoinHandle;
use tokio_postgres::NoTls;

/// How often each fault was done, and what it hit.
pub type Done = Arc<Mutex<BTreeMap<&'static str, u32>>>;

pub struct Faults {
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

pub fn count(done: &Done, fault: &'static str) {
    *done.lock().expect("nobody panics here").entry(fault).or_default() += 1;
}

impl Faults {
    pub fn start(url: String, done: Done) -> Faults {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut random = StdRng::seed_from_u64(rand::random());
            while !stopped.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(random.random_range(20..500))).await;
                // The server may be on its way up.
                let Ok((client, connection)) = tokio_postgres::connect(&url, NoTls).await else { continue };
                tokio::spawn(connection);
                let draw = random.random_range(0..100);
                let (fault, query) = match draw {
                    0..35 => (
                        "a backend of crossfade's is terminated",
                        format!("SELECT pg_terminate_backend({})", pid("application_name LIKE 'crossfade%'")),
                    ),
                    35..55 => (
                        "a statement of crossfade's is cancelled",
                        format!(
                            "SELECT pg_cancel_backend({})",
                            pid("application_name LIKE 'crossfade%' AND state = 'active'")
                        ),
                    ),
                    55..80 => (
                        "a backend of an application's is terminated",
                        format!("SELECT pg_terminate_backend({})", pid("application_name LIKE '% code'")),
                    ),
                    80..97 => {
                        let held = client.batch_execute("BEGIN; SELECT count(*) FROM t").await.is_ok();
                        tokio::time::sleep(Duration::from_millis(random.random_range(50..600))).await;
                        if held && client.batch_execute("COMMIT").await.is_ok() {
                            count(&done, "a report holds the table in a transaction");
                        }
                        continue;
                    }
                    _ => {
                        let query =
                            format!("SELECT {}", pid("backend_type = 'client backend' AND pid <> pg_backend_pid()"));
                        if let Ok(row) = client.query_one(&query, &[]).await
                            && let Some(victim) = row.get::<_, Option<i32>>(0)
                            && kill(Pid::from_raw(victim), Signal::SIGKILL).is_ok()
                        {
                            count(&done, "a backend dies of SIGKILL, and the server recovers from the crash");
                            tokio::time::sleep(Duration::from_millis(1500)).await;
                        }
                        continue;
                    }
                };
                if client.query_one(&query, &[]).await.is_ok_and(|row| row.get::<_, Option<bool>>(0) == Some(true)) {
                    count(&done, fault);
                }
            }
        });
        Faults { stop, task }
    }

    pub async fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.expect("faults do not panic");
    }
}

fn pid(condition: &str) -> String {
    format!(
        "(SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND {condition} ORDER BY random() LIMIT 1)"
    )
}
