//! Reads the catalog of a live server into a [`Catalog`].
//!
//! A handful of queries, each over all tables at once, in one read-only transaction with one snapshot. What the server
//! renders is rendered with an empty search path and fixed settings, so it neither depends on who asks nor changes from
//! run to run. Any role may ask; what it lacks the right to read is taken at its worst (a table that can't be read has
//! rows).
//!
//! Not here: what the facts mean (the core decides that), writing of any kind, and limits on time. An ACCESS EXCLUSIVE
//! lock, held or waited for, makes `pg_relation_size` and `pg_get_expr` wait: a session that must not wait sets
//! `lock_timeout`.

mod attachments;
mod columns;
mod dependents;
mod extras;
mod objects;
mod relations;
mod views;

use std::collections::HashMap;

use crossfade_core::catalog::Catalog;
use crossfade_core::catalog::Table;
use crossfade_core::catalog::Volatility;
use crossfade_core::sql::ServerText;
use crossfade_core::sql::TableName;
use tokio_postgres::Client;
use tokio_postgres::Row;
use tokio_postgres::types::Oid;
use tokio_postgres::types::ToSql;
use tokio_postgres::types::Type;

/// The catalog could not be read.
#[derive(Debug, thiserror::Error)]
#[error("read {part} from the server's catalog")]
pub struct IntrospectError {
    /// What was being read.
    pub part: &'static str,
    /// What the server or the connection said.
    #[source]
    pub source: tokio_postgres::Error,
}

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL lock_timeout = '5s'";

/// Settings that would show in rendered expressions; `pg_temp` stands last so that no temporary object hides a
/// system's.
const RENDER: &str = "
    SET LOCAL search_path = pg_catalog, pg_temp;
    SET LOCAL quote_all_identifiers = off;
    SET LOCAL DateStyle = 'ISO, YMD';
    SET LOCAL IntervalStyle = 'postgres';
    SET LOCAL extra_float_digits = 1;
    SET LOCAL bytea_output = 'hex';
    SET LOCAL jit = off";

const SESSION: &str = "
    SELECT current_setting('server_version_num')::int4 AS server_version,
           current_setting('block_size')::int4 AS block_size,
           ARRAY(SELECT s.name::text
                   FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS s(name, position)
                  WHERE s.name <> 'pg_catalog' AND s.name !~ '^pg_temp'
                  ORDER BY s.position) AS search_path,
           pg_catalog.current_setting('TimeZone') AS time_zone";

/// Reads everything outside of the system's schemas and of `own_schema`, from one snapshot.
///
/// The client must not be inside of a transaction. If the future is dropped before it is done, the client is left
/// inside of one.
///
/// # Errors
///
/// When the connection is lost or the server refuses, for example for `lock_timeout`. The transaction is rolled back.
pub async fn introspect(client: &Client, own_schema: &str) -> Result<Catalog, IntrospectError> {
    begin(client).await?;
    end(client, read(client, own_schema).await).await
}

/// Begins a transaction in which everything is read from one snapshot.
pub(crate) async fn begin(client: &Client) -> Result<(), IntrospectError> {
    at("a snapshot", client.batch_execute(BEGIN).await)
}

/// From here on the server renders in one way, whoever asks.
pub(crate) async fn render_plainly(client: &Client) -> Result<(), IntrospectError> {
    at("the session's settings", client.batch_execute(RENDER).await)
}

/// Ends the transaction.
pub(crate) async fn end<T>(client: &Client, read: Result<T, IntrospectError>) -> Result<T, IntrospectError> {
    let end = client.batch_execute(if read.is_ok() { "COMMIT" } else { "ROLLBACK" }).await;
    let read = read?;
    at("the end of the snapshot", end)?;
    Ok(read)
}

async fn read(client: &Client, own_schema: &str) -> Result<Catalog, IntrospectError> {
    let mut catalog = at("the session's settings", session(client).await)?;
    render_plainly(client).await?;
    catalog.other_sessions = at("other sessions", objects::other_sessions(client).await)?;
    let mut found = at("tables", relations::read(client, own_schema, catalog.block_size).await)?;
    at("columns", columns::read(client, &mut found).await)?;
    at("indexes", attachments::indexes(client, &mut found).await)?;
    at("constraints", attachments::constraints(client, &mut found).await)?;
    at("triggers", attachments::triggers(client, &mut found).await)?;
    at("policies", attachments::policies(client, &mut found).await)?;
    at("identity sequences", extras::sequences(client, &mut found).await)?;
    at("extended statistics", extras::statistics(client, &mut found).await)?;
    at("views", views::read(client, &mut found).await)?;
    at("dependents", dependents::read(client, &mut found).await)?;
    catalog.objects = at("objects", objects::read(client, own_schema).await)?;
    (catalog.schemas, catalog.extensions) = at("schemas and extensions", objects::names(client, own_schema).await)?;
    catalog.tables = found.tables;
    Ok(catalog)
}

async fn session(client: &Client) -> Result<Catalog, tokio_postgres::Error> {
    let row = client.query_typed(SESSION, &[]).await?.into_iter().next();
    let Some(row) = row else { return Ok(Catalog::default()) };
    Ok(Catalog {
        server_version: count_u32(row.try_get("server_version")?),
        block_size: count_u32(row.try_get("block_size")?),
        search_path: row.try_get("search_path")?,
        time_zone: row.try_get("time_zone")?,
        ..Catalog::default()
    })
}

fn at<T>(part: &'static str, result: Result<T, tokio_postgres::Error>) -> Result<T, IntrospectError> {
    result.map_err(|source| IntrospectError { part, source })
}

/// The tables found so far, with their object ids.
struct Found {
    oids: Vec<Oid>,
    tables: Vec<Table>,
    places: HashMap<Oid, usize>,
}

impl Found {
    fn table(&mut self, oid: Oid) -> Option<&mut Table> {
        let place = *self.places.get(&oid)?;
        self.tables.get_mut(place)
    }

    /// Runs a query whose only parameter is the array of all tables.
    async fn query(&self, client: &Client, sql: &str) -> Result<Vec<Row>, tokio_postgres::Error> {
        query(client, sql, &self.oids, Type::OID_ARRAY).await
    }
}

/// Runs a query without leaving a prepared statement behind, which a pooler could hand to another client.
async fn query(
    client: &Client,
    sql: &str,
    parameter: &(dyn ToSql + Sync),
    kind: Type,
) -> Result<Vec<Row>, tokio_postgres::Error> {
    client.query_typed(sql, &[(parameter, kind)]).await
}

fn name(row: &Row, schema: &str, name: &str) -> Result<Option<TableName>, tokio_postgres::Error> {
    let (schema, name): (Option<String>, Option<String>) = (row.try_get(schema)?, row.try_get(name)?);
    Ok(schema.zip(name).map(|(schema, name)| TableName::new(schema, name)))
}

fn server_text(row: &Row, column: &str) -> Result<Option<ServerText>, tokio_postgres::Error> {
    let text: Option<String> = row.try_get(column)?;
    Ok(text.map(ServerText::from_server))
}

/// From the 0, 1 and 2 that the queries write.
fn volatility(level: i32) -> Volatility {
    match level {
        i32::MIN..=0 => Volatility::Immutable,
        1 => Volatility::Stable,
        2..=i32::MAX => Volatility::Volatile,
    }
}

fn count_u32(number: i32) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

fn count_u64(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
