//! A history as its tool's table has it.

use crossfade_core::sql::Sql;
use tokio_postgres::Client;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::recognise::Found;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;

/// What a row of a history says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// This migration is applied, and a file stands for it.
    File,
    /// This migration is applied, and was never SQL.
    NotSql,
    /// Everything up to this one is applied: the tool keeps only one number.
    UpTo,
    /// Everything up to this one counts as applied: the database was there before the tool.
    Baseline,
    /// Something is unfinished that only a person can mend.
    Unsettled,
}

impl Says {
    fn read(kind: &str) -> Option<Says> {
        match kind {
            "file" => Some(Says::File),
            "not sql" => Some(Says::NotSql),
            "up to" => Some(Says::UpTo),
            "baseline" => Some(Says::Baseline),
            "unsettled" => Some(Says::Unsettled),
            _ => None,
        }
    }
}

/// A row of a history, in the words of all tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub says: Says,
    /// What the tool calls the migration.
    pub identity: String,
    pub name: Option<String>,
    /// When it was applied, as PostgreSQL reads it.
    pub applied_at: Option<String>,
    pub checksum: Option<String>,
    /// The text that was run, where the tool keeps it.
    pub sql: Option<String>,
    /// Which of several histories in one table it belongs to.
    pub project: Option<String>,
    /// Of what is unsettled: why.
    pub note: Option<String>,
}

impl Entry {
    /// The columns of a room's query; those that it lacks are empty. All but `says` and `identity` may be missing.
    fn of(row: &Row) -> Result<Entry> {
        let text = |name: &str| -> Option<String> {
            let at = row.columns().iter().position(|column| column.name() == name)?;
            row.get(at)
        };
        let kind = text("says").unwrap_or_default();
        let says = Says::read(&kind)
            .ok_or_else(|| Error::failed(format!("a history says {kind} of a migration, which is not understood")))?;
        Ok(Entry {
            says,
            identity: text("identity").unwrap_or_default(),
            name: text("name").filter(|name| !name.is_empty()),
            applied_at: text("applied_at"),
            checksum: text("checksum").filter(|sum| !sum.is_empty()),
            sql: text("sql"),
            project: text("project"),
            note: text("note").filter(|note| !note.trim().is_empty()),
        })
    }
}

/// Reads the history, with what is unfinished in the table beside it.
pub(super) async fn read(client: &Client, found: &Found) -> Result<Vec<Entry>> {
    let room = found.tool.room();
    let mut entries = query(client, found, &room.history(&found.table)).await?;
    if let Some((beside, of_it)) = room.beside(&found.table) {
        let exists = client
            .query_typed_one(
                "SELECT EXISTS (SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
                 WHERE n.nspname = $1 AND c.relname = $2)",
                &[(&beside.schema.as_str(), Type::NAME), (&beside.name.as_str(), Type::NAME)],
            )
            .await
            .doing("look for what stands beside the history")?;
        if exists.get(0) {
            entries.extend(query(client, found, &of_it).await?);
        }
    }
    Ok(entries)
}

async fn query(client: &Client, found: &Found, query: &Sql) -> Result<Vec<Entry>> {
    let rows = client.query_typed(query.as_str(), &[]).await.map_err(|error| {
        Error::failed(format!("could not read the history of {} in {}", found.tool, found.table))
            .hint("the role needs SELECT on that table; where it is another tool's, name the tool: `--from TOOL`")
            .caused_by(error)
    })?;
    rows.iter().map(Entry::of).collect()
}
