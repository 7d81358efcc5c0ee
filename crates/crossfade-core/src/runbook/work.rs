//! How long a step takes, what it holds meanwhile, and how much room it needs.

use std::time::Duration;

use super::Subject;
use super::estimate::Basis;
use super::estimate::Bytes;
use super::estimate::Estimate;
use super::surroundings::Sample;
use super::surroundings::Surroundings;
use super::surroundings::TableSize;
use super::surroundings::Work;
use super::surroundings::scanned;
use crate::lock::LockMode;
use crate::migration::Migration;
use crate::sql::TableName;
use crate::step::Action;
use crate::step::Backfill;
use crate::step::Ddl;
use crate::step::Plan;
use crate::step::Probe;
use crate::step::Step;
use crate::units::show_duration;

/// How much slower or faster than an earlier run this one may be: the machine does other things, rows are wider.
const APART: f64 = 1.5;

/// What is read, sorted or written as the user wrote it, whatever lock it takes.
const OF_ROWS: [&str; 11] =
    ["insert", "update", "delete", "merge", "with", "select", "do", "call", "copy", "refresh", "values"];

/// A rate with a word for what it counts.
struct Rates {
    slow: f64,
    fast: f64,
    unit: &'static str,
}

/// How fast earlier runs were.
pub(crate) struct Measured {
    /// The slowest of them, in rows or bytes a second.
    pub slowest: f64,
    fastest: f64,
    /// Which runs, in words.
    pub basis: String,
}

impl Work {
    /// What is taken where nothing was measured. Source: docs/benchmarks.md for filling (120,000 to 240,000 rows a second on two cores and
    /// a local disk with nothing beside it), with room for slower disks, wider rows, rest and the throttle; the others are those of
    /// ordinary disks.
    fn assumed(self) -> Rates {
        match self {
            Work::Fill => Rates { slow: 5_000.0, fast: 100_000.0, unit: "rows/s" },
            Work::Verify => Rates { slow: 50_000.0, fast: 1_000_000.0, unit: "rows/s" },
            Work::Scan => Rates { slow: 50e6, fast: 1e9, unit: "bytes/s" },
            Work::Index => Rates { slow: 50_000.0, fast: 1_000_000.0, unit: "rows/s" },
        }
    }

    /// What it does, as in "N rows/s when …".
    fn doing(self) -> &'static str {
        match self {
            Work::Fill => "filling rows in chunks",
            Work::Verify => "comparing rows in chunks",
            Work::Scan => "reading a table once",
            Work::Index => "building an index CONCURRENTLY",
        }
    }

    /// How much of it a table is.
    fn amount(self, size: &TableSize) -> f64 {
        match self {
            Work::Fill | Work::Verify | Work::Index => size.rows as f64,
            Work::Scan => size.heap as f64,
        }
    }

    /// How fast earlier runs were, those on the same table before others.
    pub(crate) fn measured(self, table: &TableName, around: &Surroundings) -> Option<Measured> {
        let measured: Vec<(f64, &Sample)> = around
            .samples
            .iter()
            .filter(|sample| sample.work == self)
            .filter_map(|sample| rate(sample, around))
            .collect();
        // The same table is the best witness.
        let own: Vec<(f64, &Sample)> = measured.iter().filter(|(_, sample)| sample.table == *table).copied().collect();
        let measured = if own.is_empty() { measured } else { own };
        let newest = measured.first().map(|(_, sample)| *sample)?;
        let slowest = measured.iter().map(|(rate, _)| *rate).fold(f64::INFINITY, f64::min);
        let fastest = measured.iter().map(|(rate, _)| *rate).fold(0.0, f64::max);
        let unit = self.assumed().unit;
        let basis = format!(
            "{} at {} in {} here, the last one of {} by {}",
            self.doing(),
            between(slowest, fastest, unit),
            if measured.len() == 1 { "one earlier run".to_owned() } else { format!("{} earlier runs", measured.len()) },
            newest.table,
            newest.version
        );
        Some(Measured { slowest, fastest, basis })
    }

    fn of(self, amount: f64, table: &TableName, around: &Surroundings) -> Estimate {
        match self.measured(table, around) {
            Some(Measured { slowest, fastest, basis }) => {
                Estimate::at_rate(amount, slowest / APART, fastest * APART, Basis::Measured(basis))
            }
            None => {
                let Rates { slow, fast, unit } = self.assumed();
                let basis = format!("{} at {}", self.doing(), between(slow, fast, unit));
                Estimate::at_rate(amount, slow, fast, Basis::Assumed(basis))
            }
        }
    }
}

/// What a sample says of a rate; where its rows were not counted, by the table's present size.
fn rate<'a>(sample: &'a Sample, around: &Surroundings) -> Option<(f64, &'a Sample)> {
    let amount = match sample.rows {
        Some(rows) => rows as f64,
        None => sample.work.amount(around.size(&sample.table)?),
    };
    (amount > 0.0).then(|| (amount / sample.took.as_secs_f64(), sample))
}

fn between(slow: f64, fast: f64, unit: &str) -> String {
    let (slow, fast) = (rounded(slow), rounded(fast));
    let (slow, fast, unit) = if unit == "bytes/s" { (slow / 1e6, fast / 1e6, "MB/s") } else { (slow, fast, unit) };
    let show = |number: f64| if number < 1.0 { format!("{number:.2}") } else { grouped(number as u64) };
    if slow == fast { format!("{} {unit}", show(slow)) } else { format!("{} to {} {unit}", show(slow), show(fast)) }
}

/// To two digits: more would claim more than is known.
fn rounded(number: f64) -> f64 {
    if number <= 0.0 {
        return 0.0;
    }
    let unit = 10f64.powf(number.log10().floor() - 1.0);
    (number / unit).round() * unit
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let parts: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|part| std::str::from_utf8(part).ok()).collect();
    parts.join(",")
}

/// How long a step takes once it has its locks; none for a hold.
pub(super) fn time(step: &Step, subject: Subject<'_>, around: &Surroundings) -> Option<Estimate> {
    let rows =
        |counted: u64, table: &TableName| around.size(table).map_or(counted, |size| size.rows.max(counted)) as f64;
    Some(match &step.action {
        Action::Ddl(ddl) => as_ddl(step, ddl, subject.migration, around),
        Action::Concurrently(concurrently) => match &concurrently.probe {
            Probe::IndexIsValid { table, .. } => sized(Work::Index, table, around)
                .then(waits_for_others("CONCURRENTLY also waits for every transaction that is older than it")),
            Probe::IndexIsGone { .. } | Probe::PartitionIs { .. } => Estimate::at_once()
                .then(waits_for_others("CONCURRENTLY also waits for every transaction that is older than it")),
            Probe::Repeatable => Estimate::unknown("it runs as it is written, outside of a transaction"),
        },
        Action::Validate(_) => match scanned(step) {
            Some(table) => sized(Work::Scan, &table, around),
            None => Estimate::unknown("the plan does not say which table it reads"),
        },
        Action::Backfill(backfill) => {
            let counted = backfill.units.iter().map(|unit| unit.estimated_rows).sum();
            Work::Fill.of(rows(counted, &backfill.table), &backfill.table, around)
        }
        Action::Verify(verify) => {
            let counted = verify.units.iter().map(|unit| unit.estimated_rows).sum();
            Work::Verify.of(rows(counted, &verify.table), &verify.table, around)
        }
        // It does not say what it reads: at the most the biggest of the plan's tables.
        Action::Assert(_) => match around.of_plan(subject.plan).first() {
            Some(size) => Estimate { least_seconds: 0.0, ..sized(Work::Scan, &size.table, around) },
            None => Estimate::at_once(),
        },
        Action::Hold { .. } => return None,
    })
}

fn sized(work: Work, table: &TableName, around: &Surroundings) -> Estimate {
    match around.size(table) {
        Some(size) => work.of(work.amount(size), table, around),
        // It is made by the same run, and holds what that puts there.
        None => Estimate::at_once(),
    }
}

/// A remark that changes no figure: it can't be foreseen how long others take.
fn waits_for_others(why: &str) -> Estimate {
    Estimate { basis: vec![Basis::Unknown(why.to_owned())], ..Estimate::nothing() }
}

/// What of a transaction goes with the size of a table.
fn as_ddl(step: &Step, ddl: &Ddl, migration: Option<&Migration>, around: &Surroundings) -> Estimate {
    if !ddl.as_written {
        return Estimate::at_once();
    }
    let on_purpose = |at: Option<crate::sql::Span>| {
        let statements = migration.map(|migration| migration.statements.as_slice()).unwrap_or_default();
        let found = statements.iter().find(|statement| Some(statement.parsed.span) == at);
        found.is_some_and(|statement| statement.direct.is_some() || statement.phase.is_some())
    };
    let of_rows = |sql: &str| {
        let word = sql.split(|c: char| !c.is_ascii_alphabetic()).find(|word| !word.is_empty()).unwrap_or_default();
        OF_ROWS.contains(&word.to_ascii_lowercase().as_str())
    };
    if ddl.statements.iter().any(|statement| of_rows(statement.sql.as_str())) {
        return Estimate::unknown("it runs as it is written, and its time goes with the rows that it touches");
    }
    let biggest = step.locks.iter().filter_map(|lock| around.size(&lock.table)).max_by_key(|size| size.heap);
    match biggest {
        Some(size) if size.rows > 0 && ddl.statements.iter().any(|statement| on_purpose(statement.at)) => {
            let fastest = Estimate::nothing();
            let rewrite = Work::Scan.assumed();
            let slow = Estimate::at_rate(
                (size.heap + size.indexes) as f64,
                rewrite.slow / 5.0,
                f64::INFINITY,
                Basis::Assumed(format!(
                    "the file has it run as written: nothing but the catalog, or all of {} written anew at {}",
                    size.table,
                    between(rewrite.slow / 5.0, rewrite.slow / 5.0, rewrite.unit)
                )),
            );
            fastest.then(slow)
        }
        Some(_) | None => Estimate::at_once(),
    }
}

/// For how long a step holds its lock on a table.
pub(super) fn held(step: &Step, table: &TableName, time: Option<&Estimate>, around: &Surroundings) -> String {
    match &step.action {
        Action::Ddl(ddl) if !ddl.as_written => {
            format!("for milliseconds; no statement may take longer than {}", show_duration(around.strong_lock))
        }
        Action::Ddl(_) => match time {
            Some(time) if !time.may_exceed(Duration::from_secs(1)) => "for milliseconds".to_owned(),
            Some(_) | None if around.size(table).is_none_or(|size| size.rows == 0) => {
                "until the file's transaction ends".to_owned()
            }
            Some(_) | None => "until the file's transaction ends: as long as its statements take".to_owned(),
        },
        Action::Concurrently(_) => "while it runs".to_owned(),
        Action::Validate(_) | Action::Assert(_) => "while it reads the table".to_owned(),
        Action::Backfill(_) | Action::Verify(_) => "chunk by chunk, each for a fraction of a second".to_owned(),
        Action::Hold { .. } => "not at all".to_owned(),
    }
}

/// Whether a lock keeps an application out for longer than it would notice.
pub(super) fn is_long(step: &super::RunbookStep, lock: &super::HeldLock, around: &Surroundings) -> bool {
    let keeps_out = lock.mode.conflicts_with(LockMode::RowExclusive);
    let has_rows = around.size(&lock.table).is_some_and(|size| size.rows > 0);
    keeps_out && has_rows && step.time.as_ref().is_some_and(|time| time.may_exceed(Duration::from_secs(1)))
}

/// Room on the disk and in the log.
///
/// Source: docs/benchmarks.md. A striped fill made a table with its indexes 18 to 31 % bigger, one UPDATE of all rows 84 to 96 %; the log got twice
/// to three times the table.
pub(super) fn needs(plan: &Plan, around: &Surroundings) -> (Bytes, Bytes) {
    let (mut disk, mut wal) = (Bytes::default(), Bytes::default());
    let size = |table: &TableName| around.size(table).map_or(0, |size| size.heap + size.indexes);
    for step in &plan.steps {
        match &step.action {
            Action::Backfill(backfill) => {
                let all = size(&backfill.table);
                disk = disk.and(if is_striped(backfill) {
                    Bytes::share(all, 0.1, 0.5)
                } else {
                    Bytes::share(all, 0.3, 1.2)
                });
                wal = wal.and(Bytes::share(all, 0.5, 3.0));
            }
            Action::Concurrently(concurrently) => {
                if let Probe::IndexIsValid { table, .. } = &concurrently.probe {
                    let rows = around.size(table).map_or(0, |size| size.rows);
                    // An entry, and as much again while it is sorted.
                    disk = disk.and(Bytes { least: rows.saturating_mul(20), most: rows.saturating_mul(120) });
                    wal = wal.and(Bytes { least: rows.saturating_mul(20), most: rows.saturating_mul(60) });
                }
            }
            Action::Ddl(_) | Action::Validate(_) | Action::Verify(_) | Action::Assert(_) | Action::Hold { .. } => {}
        }
    }
    (disk, wal)
}

fn is_striped(backfill: &Backfill) -> bool {
    backfill.units.iter().all(|unit| unit.stripes > 1)
}
