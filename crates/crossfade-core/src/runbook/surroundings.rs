//! What is known of the database that a migration is about to run on: sizes, replicas, and how fast earlier runs were.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use crate::journal::Event;
use crate::sql::TableName;
use crate::step::Action;
use crate::step::Plan;
use crate::step::Probe;
use crate::step::Step;
use crate::step::StepId;

/// What took less says nothing of a rate: connecting and planning weigh more in it than the rows.
const WORTH_MEASURING: Duration = Duration::from_secs(1);

/// What is known of the database and of how the work will be done.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Tables with their sizes.
    pub tables: Vec<TableSize>,
    /// What earlier runs took, the newest first.
    pub samples: Vec<Sample>,
    /// Physical standbys and other receivers of the log that are connected.
    pub replicas: u32,
    /// Replication slots that hand out changes row by row.
    pub logical_slots: u32,
    /// The database's size.
    pub database_bytes: u64,
    /// How long a strong lock is asked for at a time.
    pub lock_timeout: Duration,
    /// How long it is tried again.
    pub lock_budget: Duration,
    /// How long a transaction of ours may hold a strong lock, statement by statement.
    pub strong_lock: Duration,
    /// How long the old form is retained.
    pub retain: Duration,
}

/// A table's size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableSize {
    /// The table.
    pub table: TableName,
    /// Rows, as the statistics have it.
    pub rows: u64,
    /// Bytes of its rows, with what is stored out of line.
    pub heap: u64,
    /// Bytes of its indexes.
    pub indexes: u64,
}

/// Work whose time goes with a table's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Changing rows in chunks.
    Fill,
    /// Comparing rows in chunks.
    Verify,
    /// Reading the table once, to prove a constraint.
    Scan,
    /// Building an index beside the application's work.
    Index,
}

/// What an earlier step took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// The work.
    pub work: Work,
    /// The table.
    pub table: TableName,
    /// Rows of it; none where only the table's present size can say that.
    pub rows: Option<u64>,
    /// How long it took.
    pub took: Duration,
    /// The migration that it was a step of.
    pub version: String,
}

impl Surroundings {
    /// A table's size; none for one that is not there yet.
    pub fn size(&self, table: &TableName) -> Option<&TableSize> {
        self.tables.iter().find(|size| size.table == *table)
    }

    /// The tables that a plan locks or changes, the biggest first.
    pub(super) fn of_plan(&self, plan: &Plan) -> Vec<TableSize> {
        let touched = tables(plan);
        let mut found: Vec<TableSize> =
            self.tables.iter().filter(|size| touched.contains(&size.table)).cloned().collect();
        found.sort_by(|one, other| {
            (other.heap + other.indexes, &one.table).cmp(&(one.heap + one.indexes, &other.table))
        });
        found
    }
}

/// The tables that a plan locks or changes, as far as it says so.
pub fn tables(plan: &Plan) -> BTreeSet<TableName> {
    let mut found = BTreeSet::new();
    for step in &plan.steps {
        found.extend(step.locks.iter().map(|lock| lock.table.clone()));
        match &step.action {
            Action::Backfill(backfill) => {
                found.insert(backfill.table.clone());
            }
            Action::Verify(verify) => {
                found.insert(verify.table.clone());
            }
            Action::Concurrently(concurrently) => {
                if let Probe::IndexIsValid { table, .. } = &concurrently.probe {
                    found.insert(table.clone());
                }
            }
            Action::Ddl(_) | Action::Validate(_) | Action::Assert(_) | Action::Hold { .. } => {}
        }
    }
    found
}

/// What the steps of a stored plan took. Only what ran from its beginning to its end without an interruption counts.
pub fn samples(plan: &Plan, events: &[Event]) -> Vec<Sample> {
    let mut found = Vec::new();
    for event in events {
        let Event::StepSucceeded { step, took_ms } = event else { continue };
        let took = Duration::from_millis(*took_ms);
        let starts = events.iter().filter(|event| matches!(event, Event::StepStarted { step: begun } if begun == step));
        if took < WORTH_MEASURING || starts.count() != 1 {
            continue;
        }
        let Some((work, table, rows)) = plan.step(*step).and_then(|of| work_of(of, *step, events)) else { continue };
        found.push(Sample { work, table, rows, took, version: plan.version.clone() });
    }
    found
}

fn work_of(step: &Step, id: StepId, events: &[Event]) -> Option<(Work, TableName, Option<u64>)> {
    match &step.action {
        Action::Backfill(backfill) => {
            let done = |event: &Event| match event {
                Event::ChunkDone { step, rows, .. } if *step == id => Some(*rows),
                _ => None,
            };
            let rows: u64 = events.iter().filter_map(done).sum();
            (rows > 0).then(|| (Work::Fill, backfill.table.clone(), Some(rows)))
        }
        Action::Verify(verify) => {
            let rows = verify.units.iter().map(|unit| unit.estimated_rows).sum();
            (rows > 0).then(|| (Work::Verify, verify.table.clone(), Some(rows)))
        }
        Action::Validate(_) => scanned(step).map(|table| (Work::Scan, table, None)),
        Action::Concurrently(concurrently) => match &concurrently.probe {
            Probe::IndexIsValid { table, .. } => Some((Work::Index, table.clone(), None)),
            Probe::IndexIsGone { .. } | Probe::PartitionIs { .. } | Probe::Repeatable => None,
        },
        Action::Ddl(_) | Action::Assert(_) | Action::Hold { .. } => None,
    }
}

/// The table that a validation reads: of a foreign key it locks both, and reads the one that it locks more.
pub(super) fn scanned(step: &Step) -> Option<TableName> {
    step.locks.iter().max_by_key(|lock| lock.mode).map(|lock| lock.table.clone())
}
