//! What statements really do on a server: the locks that they take, the tables that they write anew, the tables that they read as a whole, as the server
//! itself reports it.

use std::collections::BTreeMap;

use crossfade_core::lock::LockMode;
use tokio_postgres::Client;

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

/// Runs statements in one transaction, which is then undone or kept, and looks at what they did. A statement that can't run in a transaction is
/// run without one; of that only what was written anew is seen.
///
/// # Errors
///
/// When the server can't be asked. That it refuses a statement is a part of what was seen.
pub async fn trace(client: &Client, statements: &[&str], keep: bool) -> Result<Traced> {
    client.batch_execute("BEGIN").await.doing("begin a transaction")?;
    let before = relations(client).await?;
    for statement in statements {
        let Err(error) = client.batch_execute(statement).await else { continue };
        client.batch_execute("ROLLBACK").await.doing("undo the statement")?;
        let Some(db) = error.as_db_error() else { return Err(error).doing("trace a statement") };
        if db.code().code() == "25001" {
            return outside(client, statements).await;
        }
        return Ok(Traced { failed: Some(db.message().to_owned()), ..Traced::default() });
    }
    let locks = client.query_typed(LOCKS, &[]).await.doing("look at the locks")?;
    let after = relations(client).await?;
    let mut traced = compare(&before, &after);
    for row in &locks {
        let (relation, mode): (u32, &str) = (row.get(0), row.get(1));
        let mode = LockMode::ALL.into_iter().find(|known| known.pg_locks_name() == mode);
        if let (Some(relation), Some(mode)) = (before.get(&relation), mode)
            && mode > LockMode::AccessShare
        {
            let held = traced.locks.entry(relation.name.clone()).or_insert(mode);
            *held = (*held).max(mode);
        }
    }
    client.batch_execute(if keep { "COMMIT" } else { "ROLLBACK" }).await.doing("end the transaction")?;
    Ok(traced)
}

async fn outside(client: &Client, statements: &[&str]) -> Result<Traced> {
    let before = relations(client).await?;
    for statement in statements {
        if let Err(error) = client.batch_execute(statement).await {
            let Some(db) = error.as_db_error() else { return Err(error).doing("trace a statement") };
            return Ok(Traced { failed: Some(db.message().to_owned()), ..Traced::default() });
        }
    }
    let after = relations(client).await?;
    Ok(Traced { scanned: Vec::new(), ..compare(&before, &after) })
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
