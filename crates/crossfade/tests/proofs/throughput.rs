//! What chunks cost and what they spare: one big UPDATE against the same UPDATE in chunks, in turns, with a client that changes single rows.
//!
//! `cargo test -p crossfade --test proofs throughput -- --ignored --nocapture` prints the figures; `CROSSFADE_ROWS` is the size of the table.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use crossfade_core::journal::State;

use crate::project::Command;
use crate::project::Project;
use crate::server::Database;
use crate::server::main_server;
use crate::server::run;

const UPDATE: &str = "UPDATE accounts SET balance = balance + 1, note = 'changed'";
const TURNS: u32 = 3;

/// One run: how long it took, and the longest that the client waited for a row.
struct Figures {
    took: Duration,
    longest: Duration,
}

#[test]
#[expect(clippy::print_stdout, reason = "its figures are for people")]
#[ignore = "it measures, and takes minutes"]
fn a_big_update_at_once_and_in_chunks() {
    let rows: u64 = std::env::var("CROSSFADE_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(1_000_000);
    run(async {
        for turn in 1..=TURNS {
            let at_once = measure(rows, async |database, _| database.run(UPDATE).await).await;
            let in_chunks = measure(rows, async |_, project| {
                let state = Command::Migrate.on(&project.migrator).await?;
                if state == Some(State::Applied) { Ok(()) } else { Err(format!("it is {state:?}")) }
            })
            .await;
            let per_second = |figures: &Figures| rows as f64 / figures.took.as_secs_f64();
            println!(
                "turn {turn}: at once {:.0} rows/s, longest wait {:.0?}; in chunks {:.0} rows/s ({:.2} of it), longest wait {:.0?}",
                per_second(&at_once),
                at_once.longest,
                per_second(&in_chunks),
                per_second(&in_chunks) / per_second(&at_once),
                in_chunks.longest
            );
            assert!(in_chunks.longest < Duration::from_secs(2), "a client waited {:?}", in_chunks.longest);
        }
    });
}

async fn measure(rows: u64, work: impl AsyncFnOnce(&Database, &Project) -> Result<(), String>) -> Figures {
    let database = Database::create(main_server()).await;
    let table = format!(
        "CREATE TABLE accounts (id bigserial PRIMARY KEY, balance int NOT NULL, note text, pad text);
         INSERT INTO accounts (balance, pad) SELECT g, repeat('p', 60) FROM generate_series(1, {rows}) AS g;
         VACUUM ANALYZE accounts; CHECKPOINT"
    );
    for statement in table.split(';') {
        database.run(statement).await.expect("the table can be made");
    }
    let project = Project::new(&database, &[("001_case.sql", &format!("{UPDATE};"))]);
    let stop = Arc::new(AtomicBool::new(false));
    let client = tokio::spawn(change_rows(database.url(), rows, stop.clone()));
    let begun = Instant::now();
    work(&database, &project).await.expect("it ends");
    let took = begun.elapsed();
    stop.store(true, Ordering::SeqCst);
    let longest = client.await.expect("the client does not panic");
    Figures { took, longest }
}

/// Changes one row after the other, all over the table, and says how long the slowest took.
async fn change_rows(url: String, rows: u64, stop: Arc<AtomicBool>) -> Duration {
    let client = crate::server::connect(&url).await;
    let mut longest = Duration::ZERO;
    let mut id: u64 = 1;
    while !stop.load(Ordering::SeqCst) {
        id = (id * 48_271 + 11) % rows + 1;
        let begun = Instant::now();
        let change = format!("UPDATE accounts SET pad = 'client' WHERE id = {id}");
        client.batch_execute(&change).await.expect("the client's write succeeds");
        longest = longest.max(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    longest
}
