//! Applications at work. Each client writes to rows of its own and reads them back, connects anew when its connection is lost, and takes any other
//! error for what it is.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::RngExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_postgres::Config;
use tokio_postgres::NoTls;
use tokio_postgres::SimpleQueryMessage;

use super::kind::Code;
use super::ledger::Ledger;

/// What all clients of a round, of both versions, have done.
#[derive(Debug, Default)]
pub struct Tally {
    pub statements: AtomicI64,
    /// Connections that a fault has ended.
    pub cut: AtomicI64,
    /// Whatever else went wrong.
    pub errors: Mutex<Vec<String>>,
}

/// Clients of one version.
pub struct Clients {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

/// Numbers are never written twice.
static NUMBER: AtomicI64 = AtomicI64::new(1_000_000);

/// How many clients share the rows: each has those of one remainder.
pub const SHARES: i64 = 4;

pub struct Staff {
    pub url: String,
    pub who: &'static str,
    pub code: &'static Code,
    pub kept: fn(i64) -> i64,
    pub rows: i64,
    pub ledger: Arc<Ledger>,
    pub tally: Arc<Tally>,
}

impl Clients {
    /// One for each of these shares of the rows.
    pub fn start(staff: &Arc<Staff>, shares: std::ops::Range<i64>) -> Clients {
        let stop = Arc::new(AtomicBool::new(false));
        let tasks = shares.map(|share| tokio::spawn(work(staff.clone(), share, stop.clone()))).collect();
        Clients { stop, tasks }
    }

    pub async fn end(mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for task in std::mem::take(&mut self.tasks) {
            task.await.expect("a client does not panic");
        }
    }
}

impl Drop for Clients {
    /// A round that has failed leaves nobody behind who would write to the next one's tables.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn work(staff: Arc<Staff>, share: i64, stop: Arc<AtomicBool>) {
    let mut random = StdRng::seed_from_u64(rand::random());
    let mut client: Option<Client> = None;
    while !stop.load(Ordering::SeqCst) {
        let Some(connected) = &client else {
            client = connect(&staff).await;
            continue;
        };
        let id = share + SHARES * random.random_range(0..(staff.rows - share) / SHARES);
        let id = if id == 0 { SHARES } else { id };
        let number = NUMBER.fetch_add(1, Ordering::SeqCst) % 2_000_000_000;
        let value = (staff.kept)(number);
        match connected.simple_query(&staff.code.write(id, number)).await {
            Ok(said) => match said.iter().find_map(changed) {
                Some(1) => staff.ledger.confirm(id, value),
                other => staff.complain(format!("row {id}: {other:?} rows were changed")),
            },
            Err(error) => {
                staff.ledger.doubt(id, value);
                client = staff.failed(&error);
                continue;
            }
        }
        staff.tally.statements.fetch_add(1, Ordering::SeqCst);
        if random.random_range(0..4) == 0 {
            match connected.simple_query(&staff.code.read(&format!("id = {id}"))).await {
                Ok(said) => {
                    let found = said.iter().find_map(second);
                    if !found.is_some_and(|found| staff.ledger.allows(id, found)) {
                        staff.complain(format!("row {id} was read as {found:?} after {value} was written"));
                    }
                    staff.tally.statements.fetch_add(1, Ordering::SeqCst);
                }
                Err(error) => {
                    client = staff.failed(&error);
                    continue;
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..4))).await;
    }
}

async fn connect(staff: &Staff) -> Option<Client> {
    let config: Config = staff.url.parse().expect("a URL");
    let mut config = config;
    config.application_name(staff.who);
    match config.connect(NoTls).await {
        Ok((client, connection)) => {
            tokio::spawn(connection);
            Some(client)
        }
        Err(_) => {
            // The server starts again after a crash.
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

impl Staff {
    fn complain(&self, what: String) {
        self.tally.errors.lock().expect("nobody panics here").push(format!("{}: {what}", self.who));
    }

    /// What a fault does is its own; anything else is an error that the migration has made.
    fn failed(&self, error: &tokio_postgres::Error) -> Option<Client> {
        let by_fault = match error.code() {
            // Ended by an administrator, by a crash, and while it starts again.
            Some(code) => ["57P01", "57P02", "57P03"].contains(&code.code()),
            None => {
                error.is_closed()
                    || std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>())
            }
        };
        if by_fault {
            self.tally.cut.fetch_add(1, Ordering::SeqCst);
        } else {
            self.complain(crate::text_of(error));
        }
        None
    }
}

fn changed(message: &SimpleQueryMessage) -> Option<u64> {
    match message {
        SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
        _ => None,
    }
}

fn second(message: &SimpleQueryMessage) -> Option<i64> {
    match message {
        SimpleQueryMessage::Row(row) => row.get(1).and_then(|text| text.parse().ok()),
        _ => None,
    }
}
