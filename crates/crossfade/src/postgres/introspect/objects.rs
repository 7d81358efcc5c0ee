//! Objects that are no tables, and who else is connected.

use crossfade_core::catalog::Object;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::count_u32;
use super::name;
use super::query;
use super::volatility;

/// Overloaded functions are one object of the worst volatility. Array types and the row types of tables are no objects
/// of their own.
const OBJECTS: &str = "
    SELECT o.kind, n.nspname::text AS schema, o.name, max(o.level) AS volatility, bool_or(o.constrained) AS constrained
      FROM (SELECT CASE WHEN c.relkind = 'c' THEN 'composite' ELSE 'type' END AS kind, t.typnamespace AS namespace, t.typname::text AS name, NULL::int4 AS level,
                   EXISTS (WITH RECURSIVE domains AS (
                               SELECT t.oid, t.typnotnull, t.typbasetype WHERE t.typtype = 'd'
                               UNION ALL
                               SELECT b.oid, b.typnotnull, b.typbasetype FROM domains d JOIN pg_type b ON b.oid = d.typbasetype AND b.typtype = 'd')
                           SELECT FROM domains d
                            WHERE d.typnotnull OR EXISTS (SELECT FROM pg_constraint k WHERE k.contypid = d.oid)) AS constrained
              FROM pg_type t
              LEFT JOIN pg_class c ON c.oid = t.typrelid
             WHERE (t.typtype <> 'c' AND t.typtype <> 'p' OR c.relkind = 'c')
               AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
            UNION ALL
            SELECT 'sequence', c.relnamespace, c.relname::text, NULL, false
              FROM pg_class c WHERE c.relkind = 'S'
            UNION ALL
            SELECT 'function', p.pronamespace, p.proname::text,
                   CASE p.provolatile WHEN 'v' THEN 2 WHEN 's' THEN 1 ELSE 0 END, false
              FROM pg_proc p) o
      JOIN pg_namespace n ON n.oid = o.namespace
     WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname <> $1
     GROUP BY 1, 2, 3
     ORDER BY 1, 2, 3";

/// An ordinary role sees the names of others' sessions but not their kinds: what has a user and can't be told apart
/// counts.
const OTHER_SESSIONS: &str = "
    SELECT count(*)::int4
      FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND usesysid IS NOT NULL
       AND COALESCE(backend_type, 'client backend') = 'client backend'
       AND COALESCE(application_name, '') NOT LIKE 'crossfade%'";

/// Types, sequences and functions outside of the system's schemas and of `own_schema`.
pub(super) async fn read(client: &Client, own_schema: &str) -> Result<Vec<Object>, tokio_postgres::Error> {
    let mut objects = Vec::new();
    for row in query(client, OBJECTS, &own_schema, Type::TEXT).await? {
        let Some(object) = name(&row, "schema", "name")? else { continue };
        let level: Option<i32> = row.try_get("volatility")?;
        objects.push(Object {
            kind: row.try_get("kind")?,
            name: object,
            volatility: level.map(volatility),
            constrained: row.try_get("constrained")?,
        });
    }
    Ok(objects)
}

/// How many sessions of others are in this database.
pub(super) async fn other_sessions(client: &Client) -> Result<u32, tokio_postgres::Error> {
    match client.query_typed(OTHER_SESSIONS, &[]).await?.first() {
        Some(row) => Ok(count_u32(row.try_get(0)?)),
        None => Ok(0),
    }
}
