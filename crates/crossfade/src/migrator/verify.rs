//! `verify`: old and new form are compared once more; or, while a migration waits for the deploy, again and again.

use std::time::Duration;

use crossfade_core::journal::State;
use crossfade_core::step::Action;
use crossfade_core::step::Phase;

use super::Migrator;
use super::session::Reader;
use super::shared::choose;
use crate::error::Error;
use crate::error::Result;
use crate::observer::Notice;
use crate::observer::Observer;
use crate::postgres::lease::APPLICATION;
use crate::postgres::store::TrackedRow;
use crate::report::REPORT_FORMAT;
use crate::report::VerifyReport;
use crate::report::VerifyTable;
use crate::stop::Stop;
use crate::throttle::Gate;

/// How old and new form are compared again and again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeepVerifyingOptions {
    /// From the end of a round to the beginning of the next.
    pub every: Duration,
    /// The share of the time in which it reads, above 0 and up to 1; the rest is pause.
    pub duty: f64,
    /// So many rounds; none: until it is stopped.
    pub rounds: Option<u32>,
    /// What becomes of the rest when a round can't be gone.
    pub after_failure: AfterFailure,
}

/// What comes after a round that failed. A server that is away is waited for in both cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailure {
    /// Nothing: its error is that of the whole.
    End,
    /// The next round.
    GoOn,
}

/// After a round that failed the next one comes no later than this.
const RETRY: Duration = Duration::from_secs(60);

/// A round that has not ended so long after somebody asked to stop is given up: it only reads.
const GRACE: Duration = Duration::from_secs(3);

impl Default for KeepVerifyingOptions {
    fn default() -> KeepVerifyingOptions {
        KeepVerifyingOptions {
            every: Duration::from_secs(600),
            duty: 0.1,
            rounds: None,
            after_failure: AfterFailure::End,
        }
    }
}

pub(super) async fn once(
    migrator: &Migrator,
    version: Option<&str>,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<VerifyReport> {
    let rows = migrator.look().await?;
    let chosen = choose(&rows, version)?;
    let mut tables = Vec::new();
    for row in chosen.into_iter().filter(|row| row.state == State::Ready) {
        tables.extend(compare(migrator, row, &Gate::open(), observer, stop).await?);
    }
    Ok(VerifyReport { format: REPORT_FORMAT, tables })
}

/// Round after round, until it is stopped or has gone so many. A round that can't be gone because the server is away is said, and gone next time.
pub(super) async fn keep_on(
    migrator: &Migrator,
    version: Option<&str>,
    options: KeepVerifyingOptions,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<VerifyReport> {
    let gate = Gate::resting(options.duty.clamp(0.001, 1.0));
    let mut last = Vec::new();
    let mut rounds = 0;
    loop {
        let went = tokio::select! {
            went = round(migrator, version, &gate, observer, stop) => went,
            () = async { stop.requested().await; tokio::time::sleep(GRACE).await } => {
                return Ok(VerifyReport { format: REPORT_FORMAT, tables: last });
            }
        };
        let mut rest = options.every;
        match went {
            Ok(tables) => {
                last = tables;
                observer.notice(Notice::RoundEnded { error: None });
            }
            Err(_) if stop.is_requested() => {}
            Err(error) if error.is_connection_lost() || options.after_failure == AfterFailure::GoOn => {
                rest = rest.min(RETRY);
                observer.notice(Notice::RoundEnded { error: Some(error.chain()) });
            }
            Err(error) => return Err(error),
        }
        rounds += 1;
        if stop.is_requested() || options.rounds.is_some_and(|most| rounds >= most) {
            return Ok(VerifyReport { format: REPORT_FORMAT, tables: last });
        }
        stop.sleep(rest).await;
        if stop.is_requested() {
            return Ok(VerifyReport { format: REPORT_FORMAT, tables: last });
        }
    }
}

async fn round(
    migrator: &Migrator,
    version: Option<&str>,
    gate: &Gate,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<Vec<VerifyTable>> {
    let rows = migrator.look().await?;
    let chosen = choose(&rows, version)?;
    let mut all = Vec::new();
    for row in chosen.into_iter().filter(|row| row.state == State::Ready) {
        let compared = compare(migrator, row, gate, observer, stop).await;
        if stop.is_requested() {
            break;
        }
        // Whoever runs it may have gone on meanwhile: then what was compared is no pair of forms any more.
        if compared.as_ref().map_or_else(|error| !error.is_connection_lost(), |tables| differs(tables))
            && !still_waits(migrator, row).await?
        {
            continue;
        }
        let tables = compared?;
        remember(migrator, row, &tables, observer).await?;
        all.extend(tables);
    }
    if all.is_empty() && !stop.is_requested() {
        observer.notice(Notice::Info { text: "no migration waits for the deploy with two forms".to_owned() });
    }
    Ok(all)
}

fn differs(tables: &[VerifyTable]) -> bool {
    tables.iter().any(|table| table.differing > 0)
}

/// Whether it waits for the deploy as it did when it was looked at.
async fn still_waits(migrator: &Migrator, row: &TrackedRow) -> Result<bool> {
    let now = migrator.look().await?;
    Ok(now.iter().any(|now| now.version == row.version && now.plan_id == row.plan_id && now.state == State::Ready))
}

async fn compare(
    migrator: &Migrator,
    row: &TrackedRow,
    gate: &Gate,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<Vec<VerifyTable>> {
    let mut tables = Vec::new();
    let mut reader = Reader::open(migrator, row, observer, stop).await?;
    for step in reader.plan().steps.clone() {
        if let (Action::Verify(verify), Phase::Migrate) = (&step.action, step.phase) {
            let found = reader.compare(verify, gate).await?;
            tables.push(VerifyTable {
                version: row.version.clone(),
                table: verify.table.to_string(),
                rows: found.rows,
                differing: found.differing,
                keys: found.keys,
            });
        }
    }
    Ok(tables)
}

/// Writes down what a round found, for contract and for those who are told.
async fn remember(
    migrator: &Migrator,
    row: &TrackedRow,
    tables: &[VerifyTable],
    observer: &mut dyn Observer,
) -> Result<()> {
    if tables.is_empty() {
        return Ok(());
    }
    let client = migrator.target.connect(APPLICATION).await?;
    let store = migrator.recording_store();
    let (rows, differing) =
        tables.iter().fold((0, 0), |(rows, differing), table| (rows + table.rows, differing + table.differing));
    let before = if store.has_usage(&client).await? {
        store.save_verify(&client, row.plan_id, rows, differing).await.map_err(|error| {
            Error::failed("what was found could not be written down")
                .hint("the role needs INSERT and UPDATE on `compared` in the journal's schema")
                .caused_by(error)
        })?
    } else {
        0
    };
    observer.notice(Notice::Compared {
        version: row.version.clone(),
        name: row.name.clone(),
        rows,
        differing,
        before,
        keys: tables
            .iter()
            .flat_map(|table| table.keys.iter().map(move |key| format!("{}: {key}", table.table)))
            .collect(),
    });
    Ok(())
}
