//! What statements really do on a server: the locks that they take, the tables that they write anew, the tables that they read as a whole, as the server
//! itself reports it.

use std::collections::BTreeMap;
use std::time::Duration;

use crossfade_core::lock::LockMode;
use crossfade_core::sql;
use crossfade_core::sql::TableName;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::error::Doing as _;
use crate::error::Result;

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traced {
    /// The strongest lock on each table, partitioned or foreign table, view and materialized view that was there before.
    pub locks: BTreeMap<String, LockMode>,
    /// Tables whose file is another one.
    pub rewritten: Vec<String>,
    /// Tables that were read as a whole.
    pub scanned: Vec<String>,
    /// Whether it can't run in a transaction: then what it read is not seen.
    pub outside: bool,
    /// What the server said where it refused.
    pub failed: Option<String>,
}

/// A relation as it was.
struct Relation {
    name: String,
    file: Option<u32>,
    scans: i64,
}

/// Relations with rows of their own or of their partitions; of the journal and the system nothing.
const RELATIONS: &str = "
    SELECT c.oid, pg_catalog.format('%s.%s', n.nspname, c.relname), pg_catalog.pg_relation_filenode(c.oid), coalesce(s.seq_scan, 0)
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_stat_xact_user_tables AS s ON s.relid = c.oid
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'";

const LOCKS: &str = "
    SELECT relation, mode FROM pg_catalog.pg_locks
    WHERE locktype = 'relation' AND pid = pg_catalog.pg_backend_pid() AND granted AND relation IS NOT NULL";

async fn relations(client: &Client) -> Result<BTreeMap<u32, Relation>> {
    let rows = client.query_typed(RELATIONS, &[]).await.doing("look at the tables")?;
    let relation =
        |row: &tokio_postgres::Row| (row.get(0), Relation { name: row.get(1), file: row.get(2), scans: row.get(3) });
    Ok(rows.iter().map(relation).collect())
}

/// Tables that can be locked by hand.
const TABLES: &str = "
    SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'";

/// Locks of another session, those included that it waits for; and whether it waits.
const OTHERS: &str = "
    SELECT relation, mode, NOT granted OR pg_catalog.cardinality(pg_catalog.pg_blocking_pids(pid)) > 0 FROM pg_catalog.pg_locks
    WHERE locktype = 'relation' AND pid = $1 AND relation IS NOT NULL";

/// How often the locks of a statement outside of a transaction are looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Runs statements in one transaction, which is then undone or kept, and looks at what they did. A statement that can't run in a transaction is
/// run without one, while the second connection makes it wait for its first lock and looks which one that is.
///
/// # Errors
///
/// When the server can't be asked. That it refuses a statement is a part of what was seen.
pub async fn trace(client: &Client, beside: &Client, statements: &[&str], keep: bool) -> Result<Traced> {
    client.batch_execute("BEGIN").await.doing("begin a transaction")?;
    let before = relations(client).await?;
    for statement in statements {
        let Err(error) = client.batch_execute(statement).await else { continue };
        client.batch_execute("ROLLBACK").await.doing("undo the statement")?;
        let Some(db) = error.as_db_error() else { return Err(error).doing("trace a statement") };
        if db.code().code() == "25001" {
            return outside(client, beside, statements).await;
        }
        return Ok(Traced { failed: Some(db.message().to_owned()), ..Traced::default() });
    }
    let locks = client.query_typed(LOCKS, &[]).await.doing("look at the locks")?;
    let after = relations(client).await?;
    let mut traced = compare(&before, &after);
    locks.iter().for_each(|row| traced.take_lock(&before, row));
    client.batch_execute(if keep { "COMMIT" } else { "ROLLBACK" }).await.doing("end the transaction")?;
    Ok(traced)
}

impl Traced {
    fn take_lock(&mut self, before: &BTreeMap<u32, Relation>, row: &tokio_postgres::Row) {
        let (relation, mode): (u32, &str) = (row.get(0), row.get(1));
        let mode = LockMode::ALL.into_iter().find(|known| known.pg_locks_name() == mode);
        if let (Some(relation), Some(mode)) = (before.get(&relation), mode)
            && mode > LockMode::AccessShare
        {
            let held = self.locks.entry(relation.name.clone()).or_insert(mode);
            *held = (*held).max(mode);
        }
    }
}

async fn outside(client: &Client, beside: &Client, statements: &[&str]) -> Result<Traced> {
    let before = relations(client).await?;
    let mut traced = Traced { outside: true, ..Traced::default() };
    for statement in statements {
        hold(beside).await?;
        let done = watched(client, beside, statement, (&before, &mut traced)).await;
        beside.batch_execute("COMMIT").await.doing("let the tables go")?;
        if let Err(error) = done? {
            let Some(db) = error.as_db_error() else { return Err(error).doing("trace a statement") };
            return Ok(Traced { failed: Some(db.message().to_owned()), outside: true, ..Traced::default() });
        }
    }
    let after = relations(client).await?;
    let Traced { rewritten, .. } = compare(&before, &after);
    Ok(Traced { rewritten, ..traced })
}

/// Takes a lock on every table that keeps out whatever is stronger than a write, and nothing else.
async fn hold(beside: &Client) -> Result<()> {
    let doing = "hold the tables";
    beside.batch_execute("BEGIN").await.doing(doing)?;
    for row in beside.query_typed(TABLES, &[]).await.doing(doing)? {
        let table = TableName::new(row.get::<_, String>(0), row.get::<_, String>(1));
        let lock = sql!("LOCK TABLE ONLY {} IN SHARE UPDATE EXCLUSIVE MODE", table);
        beside.batch_execute(lock.as_str()).await.doing(doing)?;
    }
    Ok(())
}

/// Runs a statement, and looks at its locks until it is done; the tables are let go as soon as it waits.
async fn watched(
    client: &Client,
    beside: &Client,
    statement: &str,
    (before, traced): (&BTreeMap<u32, Relation>, &mut Traced),
) -> Result<std::result::Result<(), tokio_postgres::Error>> {
    let doing = "look at the locks";
    let pid: i32 = client.query_typed_one("SELECT pg_catalog.pg_backend_pid()", &[]).await.doing(doing)?.get(0);
    let mut running = std::pin::pin!(client.batch_execute(statement));
    loop {
        tokio::select! {
            done = &mut running => return Ok(done),
            () = tokio::time::sleep(LOOK) => {
                let rows = beside.query_typed(OTHERS, &[(&pid, Type::INT4)]).await.doing(doing)?;
                rows.iter().for_each(|row| traced.take_lock(before, row));
                if rows.iter().any(|row| row.get(2)) {
                    beside.batch_execute("COMMIT; BEGIN").await.doing("let the tables go")?;
                }
            }
        }
    }
}

fn compare(before: &BTreeMap<u32, Relation>, after: &BTreeMap<u32, Relation>) -> Traced {
    let mut traced = Traced::default();
    for (oid, was) in before {
        let Some(is) = after.get(oid) else { continue };
        if was.file != is.file {
            traced.rewritten.push(was.name.clone());
        }
        if is.scans > was.scans {
            traced.scanned.push(was.name.clone());
        }
    }
    traced
}
