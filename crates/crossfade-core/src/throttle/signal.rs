//! What is measured, as values.

use std::time::Duration;

use crate::units::show_bytes;

/// What a signal does to the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Above its limit the work waits.
    Budget,
    /// It steers the share of the time that the work may take.
    Gradual,
    /// Above its limit twice, the command ends at the next safe point.
    Critical,
}

/// What kind of work is throttled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// It writes: a backfill.
    Writes,
    /// It only reads: a verification. To wait would make no replica catch up and no slot smaller.
    Reads,
}

/// What can hold the work up. In the order in which reasons are named when there are several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// Somebody asked for a pause.
    Request,
    /// A day on which nothing runs.
    Blackout,
    /// The time of the day.
    Window,
    /// The user's query that ends the run.
    Critical,
    /// The user's query.
    Query,
    /// The user's HTTP check.
    Http,
    /// How far replicas are behind, in time.
    ReplicaLag,
    /// How far replicas are behind, in WAL.
    ReplicaBytes,
    /// WAL that a replication slot retains.
    Slots,
    /// WAL segments that wait for the archive.
    Archive,
    /// The oldest transaction that keeps dead rows from being reclaimed, in time.
    XminAge,
    /// The same in transactions.
    XminXids,
    /// An autovacuum at work on the table.
    Autovacuum,
    /// Dead rows of the table.
    DeadTuples,
    /// Sessions of others that are at work.
    Active,
    /// Sessions that wait for a lock on the table.
    Waiters,
    /// How long a commit takes.
    Commit,
}

impl Signal {
    /// All signals.
    pub const ALL: [Signal; 17] = [
        Signal::Request,
        Signal::Blackout,
        Signal::Window,
        Signal::Critical,
        Signal::Query,
        Signal::Http,
        Signal::ReplicaLag,
        Signal::ReplicaBytes,
        Signal::Slots,
        Signal::Archive,
        Signal::XminAge,
        Signal::XminXids,
        Signal::Autovacuum,
        Signal::DeadTuples,
        Signal::Active,
        Signal::Waiters,
        Signal::Commit,
    ];

    /// As documents and settings spell it.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Request => "pause",
            Signal::Blackout => "blackout",
            Signal::Window => "window",
            Signal::Critical => "critical",
            Signal::Query => "query",
            Signal::Http => "http",
            Signal::ReplicaLag => "replica_lag",
            Signal::ReplicaBytes => "replica_bytes",
            Signal::Slots => "slots",
            Signal::Archive => "archive",
            Signal::XminAge => "xmin_age",
            Signal::XminXids => "xmin_xids",
            Signal::Autovacuum => "autovacuum",
            Signal::DeadTuples => "dead_tuples",
            Signal::Active => "active",
            Signal::Waiters => "waiters",
            Signal::Commit => "commit",
        }
    }

    /// What it does to the work.
    pub fn kind(self) -> Kind {
        match self {
            Signal::Request
            | Signal::Blackout
            | Signal::Window
            | Signal::Query
            | Signal::Http
            | Signal::ReplicaLag
            | Signal::ReplicaBytes
            | Signal::Slots
            | Signal::Archive
            | Signal::XminAge
            | Signal::XminXids
            | Signal::Autovacuum
            | Signal::DeadTuples => Kind::Budget,
            Signal::Active | Signal::Waiters | Signal::Commit => Kind::Gradual,
            Signal::Critical => Kind::Critical,
        }
    }

    /// Whether it holds this kind of work up.
    pub fn counts_for(self, work: Work) -> bool {
        match self {
            Signal::Request
            | Signal::Blackout
            | Signal::Window
            | Signal::Critical
            | Signal::Query
            | Signal::Http
            | Signal::Active
            | Signal::Waiters
            | Signal::Commit => true,
            Signal::ReplicaLag
            | Signal::ReplicaBytes
            | Signal::Slots
            | Signal::Archive
            | Signal::XminAge
            | Signal::XminXids
            | Signal::Autovacuum
            | Signal::DeadTuples => work == Work::Writes,
        }
    }

    /// Whether it speaks of the server's state, so that the work comes back slowly once it is better.
    pub fn is_of_the_server(self) -> bool {
        match self {
            Signal::Request | Signal::Blackout | Signal::Window => false,
            Signal::Critical
            | Signal::Query
            | Signal::Http
            | Signal::ReplicaLag
            | Signal::ReplicaBytes
            | Signal::Slots
            | Signal::Archive
            | Signal::XminAge
            | Signal::XminXids
            | Signal::Autovacuum
            | Signal::DeadTuples
            | Signal::Active
            | Signal::Waiters
            | Signal::Commit => true,
        }
    }

    /// A value of this signal as people read it.
    pub fn show(self, value: f64) -> String {
        let time = |seconds: f64| match seconds {
            seconds if seconds < 1.0 => format!("{:.0} ms", seconds * 1000.0),
            seconds if seconds < 120.0 => format!("{seconds:.1} s"),
            seconds => format!("{:.0} min", seconds / 60.0),
        };
        match self {
            Signal::ReplicaLag | Signal::XminAge | Signal::Autovacuum | Signal::Commit => time(value),
            // A value is shown to about three digits; a limit is exact.
            Signal::ReplicaBytes | Signal::Slots => {
                let (bytes, mut unit) = (value.max(0.0) as u64, 1_u64);
                while bytes / unit > 9_999 {
                    unit *= 1024;
                }
                show_bytes(bytes / unit * unit)
            }
            Signal::DeadTuples => format!("{:.0} %", value * 100.0),
            Signal::Request
            | Signal::Blackout
            | Signal::Window
            | Signal::Critical
            | Signal::Query
            | Signal::Http
            | Signal::Archive
            | Signal::XminXids
            | Signal::Active
            | Signal::Waiters => format!("{value}"),
        }
    }
}

/// What a look at something came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    /// A number, in the signal's unit: seconds, bytes, a share, a count; for what only says yes or no, 1 for "wait".
    Value(f64),
    /// It can't be known, and why.
    Unmeasurable(String),
}

/// One value of one signal.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Of what.
    pub signal: Signal,
    /// Of which of several: a standby, a slot. Empty where there is only one.
    pub scope: String,
    /// The value.
    pub measure: Measure,
    /// From here on it is too much.
    pub limit: f64,
    /// What was seen, for people: `standby walreceiver is 12.3 s behind`.
    pub text: String,
}

impl Reading {
    /// A number against its limit.
    pub fn value(signal: Signal, scope: &str, value: f64, limit: f64, text: impl Into<String>) -> Reading {
        Reading { signal, scope: scope.to_owned(), measure: Measure::Value(value), limit, text: text.into() }
    }

    /// A condition, which holds the work up or does not.
    pub fn condition(signal: Signal, scope: &str, waits: bool, text: impl Into<String>) -> Reading {
        Reading::value(signal, scope, if waits { 1.0 } else { 0.0 }, 0.0, text)
    }

    /// What can't be known.
    pub fn unmeasurable(signal: Signal, scope: &str, why: impl Into<String>) -> Reading {
        let why = why.into();
        let text = format!("{} can't be measured: {why}", signal.name());
        Reading { signal, scope: scope.to_owned(), measure: Measure::Unmeasurable(why), limit: 0.0, text }
    }

    /// The number, where it is known.
    pub fn number(&self) -> Option<f64> {
        match self.measure {
            Measure::Value(value) => Some(value),
            Measure::Unmeasurable(_) => None,
        }
    }

    /// Whether it is above its limit, or can't be known.
    pub fn is_over(&self) -> bool {
        match self.measure {
            Measure::Value(value) => value > self.limit || value.is_nan(),
            Measure::Unmeasurable(_) => true,
        }
    }

    /// Whether it is so far below its limit that the work may go on.
    pub(super) fn is_calm(&self) -> bool {
        match self.measure {
            Measure::Value(value) => value <= self.limit * super::decide::RESUME_BELOW,
            Measure::Unmeasurable(_) => false,
        }
    }

    /// What was seen, and the limit that it is over.
    pub fn reason(&self) -> String {
        match self.measure {
            Measure::Value(_) if self.limit > 0.0 => {
                format!("{} (limit {})", self.text, self.signal.show(self.limit))
            }
            Measure::Value(_) | Measure::Unmeasurable(_) => self.text.clone(),
        }
    }
}

/// What one look at one family of signals came to. The last one is kept until the next.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The signals that this family watches now: those that are switched on.
    pub covers: Vec<Signal>,
    /// When it was taken, on the caller's clock.
    pub at: Duration,
    /// What was seen.
    pub readings: Vec<Reading>,
    /// Why looks after it failed.
    pub error: Option<String>,
}
