//! The proofs on real servers: every case of the corpus, on every version at hand.
//!
//! `CROSSFADE_PG_BINS` lists the folders of the servers' binaries, separated by colons; without it those in the usual
//! place are taken. `CROSSFADE_FIXTURES=rename,split` runs a part of the corpus; `CROSSFADE_EVERY_CASE=1` runs what an ordinary run
//! samples, too. A proof runs all its cases and then reports everything that failed.

mod adopt;
mod alerts;
mod backfill;
mod baseline;
mod blocked;
mod clients;
mod copies;
mod crash;
mod defects;
mod doctor;
mod drift;
mod embedded;
mod files;
#[path = "../../../crossfade-core/tests/corpus/fixture.rs"]
mod fixture;
mod fresh;
mod generated;
mod goto;
mod history;
mod hooks;
mod kill;
mod laws;
mod layouts;
mod lint;
mod live;
mod locks;
mod made_rows;
mod model;
mod orphans;
mod park;
mod partitions;
mod plain;
mod pooler;
mod project;
mod quick;
mod rehearsal;
mod repair;
mod runbook;
mod runners;
mod scene;
mod schemas;
mod server;
mod signals;
mod snapshot;
mod soak;
mod squash;
mod stress;
mod survival;
mod sync;
mod there_and_back;
mod throttle;
mod throughput;
mod types;
mod upgrade;
mod usage;
mod waiting;
mod watcher;

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::time::Duration;

use crate::fixture::Fixture;
use crate::server::Server;
use crate::server::servers;

/// How long one case may take before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(300);

/// Every case on each of these servers, as far as it is for them.
fn cases(servers: &'static [Server], wanted: impl Fn(&Fixture) -> bool) -> Vec<(&'static Server, Fixture)> {
    let corpus: Vec<Fixture> = fixture::corpus().into_iter().filter(wanted).collect();
    let fits = |server: &Server, fixture: &Fixture| fixture.pg <= server.major();
    corpus
        .into_iter()
        .flat_map(|fixture| servers.iter().map(move |server| (server, fixture.clone())))
        .filter(|(server, fixture)| fits(server, fixture))
        .collect()
}

/// Every case on the main server, and each on one more: the oldest, the newest or one of those between, in turn. In every run each version
/// has its share, and all cases on all servers would take longer than anybody waits. With `CROSSFADE_EVERY_CASE` they do run.
fn spread(wanted: impl Fn(&Fixture) -> bool) -> Vec<(&'static Server, Fixture)> {
    let outer: Vec<u32> = server::outer_servers().iter().map(|server| server.major()).collect();
    let majors = || servers().iter().map(Server::major);
    let (main, oldest, newest) = (server::main_server().major(), majors().min(), majors().max());
    let between: Vec<u32> = majors().filter(|major| !outer.contains(major)).collect();
    let beside = |fixture: &Fixture| {
        let number = fixture.name.bytes().fold(0_usize, |sum, byte| sum + usize::from(byte));
        match number % 3 {
            0 if fixture.pg <= main => oldest,
            2 if fixture.pg <= main && !between.is_empty() => Some(between[number % between.len()]),
            _ => newest,
        }
    };
    let mut all = cases(servers(), wanted);
    all.retain(|(server, fixture)| every_case() || server.major() == main || beside(fixture) == Some(server.major()));
    all
}

/// Every case on one server, the main one or that which [`spread`] has beside it, in turn.
fn spread_thin(wanted: impl Fn(&Fixture) -> bool) -> Vec<(&'static Server, Fixture)> {
    let main = server::main_server().major();
    let mut all = spread(wanted);
    let beside: Vec<String> =
        all.iter().filter(|(server, _)| server.major() != main).map(|(_, fixture)| fixture.name.clone()).collect();
    let is_even =
        |fixture: &Fixture| fixture.name.bytes().fold(0_usize, |sum, byte| sum + usize::from(byte)).is_multiple_of(2);
    all.retain(|(server, fixture)| {
        every_case() || !beside.contains(&fixture.name) || (server.major() == main) == is_even(fixture)
    });
    all
}

/// Whether nothing is to be sampled.
fn every_case() -> bool {
    std::env::var_os("CROSSFADE_EVERY_CASE").is_some()
}

/// Runs a proof over its cases, two at a time, and reports all that failed.
fn prove<W>(cases: Vec<(&'static Server, Fixture)>, proof: impl Fn(&'static Server, Fixture) -> W + Sync)
where
    W: Future<Output = Result<(), String>>,
{
    let label = |(server, fixture): (&'static Server, Fixture)| {
        (format!("{} on {}", fixture.name, server.major()), (server, fixture))
    };
    each(cases.into_iter().map(label).collect(), PATIENCE, |(server, fixture)| proof(server, fixture));
}

/// Runs something over cases with labels, two at a time, and reports all that failed or took longer than this.
fn each<C: Send, W>(cases: Vec<(String, C)>, patience: Duration, proof: impl Fn(C) -> W + Sync)
where
    W: Future<Output = Result<(), String>>,
{
    let queue = Mutex::new(VecDeque::from(cases));
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("no proof panics").pop_front();
                    let Some((label, case)) = next else { return };
                    let result = std::panic::catch_unwind(AssertUnwindSafe(|| {
                        server::run(async { tokio::time::timeout(patience, proof(case)).await })
                            .unwrap_or_else(|_| Err(format!("no end in {patience:?}")))
                    }));
                    let result = result.unwrap_or_else(|_| Err("it panicked, see above".to_owned()));
                    if let Err(why) = result {
                        failures.lock().expect("no proof panics").push(format!("{label}: {why}"));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no proof panics");
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

/// What the server said, with its detail.
fn text_of(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} {} {}", db.code().code(), db.message(), db.detail().unwrap_or_default()),
        None => format!("{error:?}"),
    }
}
