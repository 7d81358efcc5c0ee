//! The families of signals, and one look at each.

use std::time::Duration;

use crossfade_core::sql;
use crossfade_core::sql::TableName;
use crossfade_core::throttle::Reading;
use crossfade_core::throttle::Settings;
use crossfade_core::throttle::Signal;
use crossfade_core::throttle::Work;
use tokio_postgres::Client;

use super::archive;
use super::replicas;
use super::sessions;
use super::slots;
use super::tables;
use crate::error::Result;

/// Signals that are measured together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    Requests,
    Calendar,
    Replicas,
    Slots,
    Archive,
    Sessions,
    Tables,
    Pulse,
    Query,
    Critical,
    Http,
}

impl Family {
    pub const ALL: [Family; 11] = [
        Family::Requests,
        Family::Calendar,
        Family::Replicas,
        Family::Slots,
        Family::Archive,
        Family::Sessions,
        Family::Tables,
        Family::Pulse,
        Family::Query,
        Family::Critical,
        Family::Http,
    ];

    /// Those that are read from the server's statistics.
    pub const OF_THE_SERVER: [Family; 5] =
        [Family::Replicas, Family::Slots, Family::Archive, Family::Sessions, Family::Tables];

    /// Which of its signals are switched on, and count for this work.
    pub fn covers(self, settings: &Settings, work: Work) -> Vec<Signal> {
        let on = |signal: Signal, on: bool| on.then_some(signal);
        let signals = match self {
            Family::Requests => vec![Some(Signal::Request)],
            Family::Calendar => vec![
                on(Signal::Window, !settings.window.is_empty()),
                on(Signal::Blackout, !settings.blackout.is_empty()),
            ],
            Family::Replicas => vec![
                on(Signal::ReplicaLag, settings.replica_lag.is_some()),
                on(Signal::ReplicaBytes, settings.replica_bytes.is_some()),
            ],
            Family::Slots => vec![on(Signal::Slots, settings.slots.is_some())],
            Family::Archive => vec![on(Signal::Archive, settings.archive.is_some())],
            Family::Sessions => vec![
                on(Signal::Active, settings.active.is_some()),
                on(Signal::XminAge, settings.xmin_age.is_some()),
                on(Signal::XminXids, settings.xmin_xids.is_some()),
            ],
            Family::Tables => vec![
                on(Signal::Waiters, settings.waiters.is_some()),
                on(Signal::Autovacuum, settings.autovacuum.is_some()),
                on(Signal::DeadTuples, settings.dead_tuples.is_some()),
            ],
            Family::Pulse => vec![on(Signal::Commit, settings.commit.is_some())],
            Family::Query => vec![on(Signal::Query, settings.query.is_some())],
            Family::Critical => vec![on(Signal::Critical, settings.critical.is_some())],
            Family::Http => vec![on(Signal::Http, settings.http.is_some())],
        };
        signals.into_iter().flatten().filter(|signal| signal.counts_for(work)).collect()
    }
}

/// What a look came to.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub readings: Vec<Reading>,
    /// What this role may not see and nobody has asked for: a default counts as far as the role may see.
    pub blind: Vec<(Signal, String)>,
}

impl Seen {
    pub fn push(&mut self, reading: Reading) {
        self.readings.push(reading);
    }

    /// Something can't be seen. It holds the work up only where somebody has asked for it.
    pub fn blind(&mut self, signal: Signal, is_said: bool, why: &str) {
        if is_said {
            self.push(Reading::unmeasurable(signal, "", why));
        } else {
            self.blind.push((signal, why.to_owned()));
        }
    }
}

/// What a look needs, and what it remembers from the looks before it.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub replicas: replicas::Memory,
    pub archive: archive::Memory,
    pub tables: tables::Memory,
}

/// The right that a role needs to see what others do.
pub(super) const NEEDS_PG_MONITOR: &str = "this role may not see it; GRANT pg_monitor TO it";

/// Which sessions are ours: the condition on a row `a` of pg_stat_activity.
pub(super) fn is_ours() -> sql::Sql {
    sql!("(a.pid = pg_catalog.pg_backend_pid() OR a.application_name LIKE 'crossfade%')")
}

/// Looks at one family that is read from the server's statistics.
pub(super) async fn look(
    family: Family,
    client: &Client,
    settings: &Settings,
    tables: &[TableName],
    memory: &mut Memory,
    now: Duration,
) -> Result<Seen> {
    match family {
        Family::Replicas => replicas::look(client, settings, &mut memory.replicas, now).await,
        Family::Slots => slots::look(client, settings).await,
        Family::Archive => archive::look(client, settings, &mut memory.archive).await,
        Family::Sessions => sessions::look(client, settings).await,
        Family::Tables => tables::look(client, settings, tables, &mut memory.tables, now).await,
        Family::Requests | Family::Calendar | Family::Pulse | Family::Query | Family::Critical | Family::Http => {
            Ok(Seen::default())
        }
    }
}
