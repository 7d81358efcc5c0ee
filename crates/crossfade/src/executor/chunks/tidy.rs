//! What a big table wants after many of its rows were changed: new statistics, and its dead row versions gone where nobody sees them any more.

use crossfade_core::sql;
use crossfade_core::sql::Sql;
use crossfade_core::step::Backfill;
use tokio_postgres::types::Type;

use crate::error::Doing as _;
use crate::error::Result;
use crate::executor::Executor;
use crate::executor::stopped;
use crate::observer::Notice;

/// The pace of a VACUUM beside an application: some times that of autovacuum by default, which a table waits for too long.
const GENTLE: &str = "SET vacuum_cost_delay = '2ms'; SET vacuum_cost_limit = 1000; SET lock_timeout = '5s'";

/// An ANALYZE is one transaction with a snapshot: pauses in it would only keep that open for longer.
const BRISK: &str = "SET vacuum_cost_delay = 0; SET lock_timeout = '5s'";

/// The next transaction when a backfill began or was taken up again: dead row versions of it can go once no snapshot is older.
pub(super) struct Horizon(String);

impl Executor<'_> {
    /// Remembers where a backfill begins.
    pub(super) async fn horizon(&self, backfill: &Backfill) -> Result<Option<Horizon>> {
        if backfill.tidy.is_none() {
            return Ok(None);
        }
        let query = "SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text";
        let row = self.client.query_typed_one(query, &[]).await.doing("look at the server's transactions")?;
        Ok(Some(Horizon(row.get(0))))
    }

    /// Dead row versions first: VACUUM marks on each page what is known of its rows. An ANALYZE in front of it, one transaction, would have to do that on every page
    /// that it reads, and to write those; behind it, it only reads.
    pub(super) async fn tidy(&mut self, backfill: &Backfill, horizon: Option<Horizon>) -> Result<()> {
        let (Some(tidy), Some(horizon)) = (&backfill.tidy, horizon) else { return Ok(()) };
        if let Some(vacuum) = &tidy.vacuum {
            self.vacuum(backfill, vacuum, &horizon).await?;
        }
        self.attempt(BRISK, &tidy.analyze, &format!("the statistics of {} are left to autovacuum", backfill.table))
            .await
    }

    async fn vacuum(&mut self, backfill: &Backfill, vacuum: &Sql, horizon: &Horizon) -> Result<()> {
        // Who holds back the horizon, where somebody does: a session, a prepared transaction, a slot.
        let query = "SELECT what FROM (\
             SELECT 'process ' || pid || coalesce(' (' || nullif(application_name, '') || ')', '') AS what, pg_catalog.age(backend_xmin) AS old \
             FROM pg_catalog.pg_stat_activity WHERE backend_xmin IS NOT NULL AND pid <> pg_catalog.pg_backend_pid() AND backend_type <> 'autovacuum worker' \
             UNION ALL SELECT 'prepared transaction ' || gid, pg_catalog.age(transaction) FROM pg_catalog.pg_prepared_xacts \
             UNION ALL SELECT 'replication slot ' || slot_name, pg_catalog.age(xmin) FROM pg_catalog.pg_replication_slots WHERE xmin IS NOT NULL) AS holders \
             WHERE old > pg_catalog.age(pg_catalog.xid($1::text::xid8)) ORDER BY old DESC LIMIT 1";
        let held = self
            .client
            .query_typed_opt(query, &[(&horizon.0, Type::TEXT)])
            .await
            .doing("look who holds old snapshots")?;
        if let Some(row) = held {
            let holder: String = row.get(0);
            let text = format!("{} is not vacuumed: {holder} still sees what was there before", backfill.table);
            self.observer.notice(Notice::Info { text });
            return Ok(());
        }
        self.attempt(GENTLE, vacuum, &format!("the dead rows of {} are left to autovacuum", backfill.table)).await
    }

    /// Runs what may as well not be done.
    async fn attempt(&mut self, pace: &str, statement: &Sql, otherwise: &str) -> Result<()> {
        self.client.batch_execute(pace).await.doing("prepare the session")?;
        let run = async { self.client.batch_execute(statement.as_str()).await.doing("tidy up") };
        let done = tokio::select! {
            done = run => done,
            () = self.stop.requested() => {
                // What is left of it is autovacuum's. The session ends with the command.
                return Err(stopped(&self.stored.plan, self.progress()?.direction, "behind the last chunk"));
            }
        };
        if let Err(error) = &done {
            if error.is_connection_lost() {
                return done;
            }
            self.observer.notice(Notice::Info { text: format!("{otherwise} ({})", error.chain()) });
        }
        let back = sql!("SET lock_timeout = 0; RESET vacuum_cost_delay; RESET vacuum_cost_limit");
        self.client.batch_execute(back.as_str()).await.doing("prepare the session")
    }
}
