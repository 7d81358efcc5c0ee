//! Watches the locks that the migration takes on tables, from a session of its own, beside what its plan declares.
//!
//! It looks every few milliseconds: what is shorter can stay unseen. What the applications waited for is measured by them, without such gaps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use crossfade_core::catalog::Catalog;
use crossfade_core::lock::LockMode;
use crossfade_core::sql::TableName;
use crossfade_core::step::Phase;
use crossfade_core::step::Plan;
use tokio::task::JoinHandle;
use tokio_postgres::types::Type;

use super::stats::Stats;
use super::stats::millis;
use crate::error::Result;
use crate::postgres::Target;
use crate::postgres::lease::APPLICATION;
use crate::report::RehearsedLock;

/// The time between two looks.
const INTERVAL: Duration = Duration::from_millis(5);

/// What any change of rows takes: it stands in nobody's way.
const ORDINARY: LockMode = LockMode::RowExclusive;

const LOCKS: &str = "
    SELECT n.nspname::text, c.relname::text, l.mode
      FROM pg_catalog.pg_locks AS l
      JOIN pg_catalog.pg_stat_activity AS a USING (pid)
      JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
     WHERE l.locktype = 'relation' AND l.granted AND a.datname = pg_catalog.current_database()
       AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
       AND pg_catalog.starts_with(a.application_name, $1) AND a.pid <> pg_catalog.pg_backend_pid()
       AND c.relkind IN ('r', 'p')";

/// By part of the rehearsal and table: the strongest mode, and the longest that it was held.
type Seen = BTreeMap<(usize, TableName), (LockMode, Duration)>;

/// The watcher. It ends when this is dropped.
#[derive(Debug)]
pub struct LockWatch {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

impl Drop for LockWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl LockWatch {
    /// Begins to watch.
    pub async fn start(target: &Target, stats: Arc<Stats>) -> Result<LockWatch> {
        let client = target.connect("a watcher of locks").await?;
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let shared = seen.clone();
        let task = tokio::spawn(async move {
            let mut held: BTreeMap<(TableName, LockMode), Instant> = BTreeMap::new();
            let mut ticks = tokio::time::interval(INTERVAL);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let stage = stats.now();
                // It ends with the connection, and that with the rehearsal.
                let Ok(rows) = client.query_typed(LOCKS, &[(&APPLICATION, Type::TEXT)]).await else { return };
                // On a busy machine the answer may tell of the next part already.
                if stats.now() != stage {
                    continue;
                }
                let now = Instant::now();
                let mut still = BTreeMap::new();
                let mut seen = shared.lock().unwrap_or_else(PoisonError::into_inner);
                for row in rows {
                    let mode: String = row.get(2);
                    let Some(mode) = LockMode::ALL.into_iter().find(|known| known.pg_locks_name() == mode) else {
                        continue;
                    };
                    let table = TableName::new(row.get::<_, String>(0), row.get::<_, String>(1));
                    let since = held.get(&(table.clone(), mode)).copied().unwrap_or(now);
                    let entry = seen.entry((stage, table.clone())).or_insert((mode, Duration::ZERO));
                    if mode > entry.0 {
                        *entry = (mode, Duration::ZERO);
                    }
                    if mode == entry.0 {
                        // Seen once, it was held for one interval on average.
                        entry.1 = entry.1.max(now - since + INTERVAL);
                    }
                    still.insert((table, mode), since);
                }
                drop(seen);
                held = still;
            }
        });
        Ok(LockWatch { seen, task })
    }

    /// What was seen on the tables of this catalog, beside what the plan declares for each part.
    pub fn compare(&self, stages: &[(String, Span)], plan: &Plan, catalog: &Catalog) -> Vec<RehearsedLock> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        for ((stage, table), (mode, held)) in seen.iter() {
            let (Some((name, span)), Some(_)) = (stages.get(*stage), catalog.table(table)) else { continue };
            let declared = span.declared(plan, catalog, table);
            if *mode <= ORDINARY && declared.is_none_or(|declared| declared <= ORDINARY) {
                continue;
            }
            found.push(RehearsedLock {
                stage: name.clone(),
                table: table.to_string(),
                seen: *mode,
                declared,
                held_ms: millis(*held),
                stronger: *mode > declared.unwrap_or(ORDINARY).max(ORDINARY),
            });
        }
        found
    }
}

/// What of a plan runs in a part of the rehearsal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// Nothing.
    Nothing,
    /// One phase.
    One(Phase),
    /// Any, or the way back.
    Any,
}

impl Span {
    /// The strongest lock on a table, on itself or by way of what it is a partition of.
    fn declared(self, plan: &Plan, catalog: &Catalog, table: &TableName) -> Option<LockMode> {
        let steps = plan.steps.iter().filter(|step| match self {
            Span::Nothing => false,
            Span::One(phase) => step.phase == phase,
            Span::Any => true,
        });
        let mut above = vec![table];
        while let Some(parent) = above.last().and_then(|name| catalog.table(name)?.partition_of.as_ref()) {
            above.push(parent);
        }
        let locks = steps.flat_map(|step| &step.locks);
        locks
            .filter(|lock| lock.table == *table || (!lock.only && above.contains(&&lock.table)))
            .map(|lock| lock.mode)
            .max()
    }
}
