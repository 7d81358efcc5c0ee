//! The fence around another tool's history: a trigger that refuses every write, so that a forgotten deploy of that tool fails loudly and
//! changes nothing.

use crossfade_core::sql;
use crossfade_core::sql::Ident;
use crossfade_core::sql::Literal;
use crossfade_core::sql::TableName;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::tool::Tool;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;

/// The trigger's name.
const TRIGGER: &str = "crossfade_fence";

/// Puts it up, in the transaction that is open. `schema` is the journal's.
pub(super) async fn put_up(client: &Client, schema: &Ident, tool: Tool, table: &TableName) -> Result<()> {
    let function = sql!(
        "CREATE OR REPLACE FUNCTION {}.fence() RETURNS trigger LANGUAGE plpgsql AS $fence$ BEGIN \
         RAISE EXCEPTION 'crossfade has taken over the migrations of % on this database', TG_ARGV[0] USING ERRCODE = 'object_not_in_prerequisite_state', \
         DETAIL = pg_catalog.format('The history in %I.%I is fenced; nothing was changed.', TG_TABLE_SCHEMA, TG_TABLE_NAME), \
         HINT = 'Run `crossfade migrate` instead. `crossfade adopt --unfence` takes the fence away.'; END $fence$",
        schema
    );
    let trigger = sql!(
        "CREATE TRIGGER {} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {} FOR EACH STATEMENT EXECUTE FUNCTION {}.fence({})",
        Ident::new(TRIGGER),
        table,
        schema,
        Literal(tool.name().to_owned())
    );
    for statement in [function, trigger] {
        client.batch_execute(statement.as_str()).await.map_err(|error| {
            Error::failed(format!("could not put a fence around {table}"))
                .hint("the role needs the right TRIGGER on that table, or must own it")
                .caused_by(error)
        })?;
    }
    Ok(())
}

/// The tables that have one.
pub(crate) async fn fenced(client: &Client, schema: &Ident) -> Result<Vec<TableName>> {
    let query = "SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_trigger AS t \
                 JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
                 JOIN pg_catalog.pg_proc AS f ON f.oid = t.tgfoid JOIN pg_catalog.pg_namespace AS s ON s.oid = f.pronamespace \
                 WHERE t.tgname = $1 AND s.nspname = $2 ORDER BY 1, 2";
    let rows = client
        .query_typed(query, &[(&TRIGGER, Type::NAME), (&schema.as_str(), Type::NAME)])
        .await
        .doing("look for fences")?;
    Ok(rows.iter().map(|row| TableName::new(row.get::<_, String>(0), row.get::<_, String>(1))).collect())
}

/// Takes all away, in the transaction that is open. Returns the tables that had one.
pub(crate) async fn take_down(client: &Client, schema: &Ident) -> Result<Vec<TableName>> {
    let tables = fenced(client, schema).await?;
    for table in &tables {
        let drop = sql!("DROP TRIGGER {} ON {}", Ident::new(TRIGGER), table);
        client.batch_execute(drop.as_str()).await.map_err(|error| {
            Error::failed(format!("could not take the fence around {table} away"))
                .hint("the role must own that table")
                .caused_by(error)
        })?;
    }
    let drop = sql!("DROP FUNCTION IF EXISTS {}.fence()", schema);
    client.batch_execute(drop.as_str()).await.doing("take the fence away")?;
    Ok(tables)
}
