//! Objects that are no tables, and who else is connected.

use crossfade_core::catalog::Function;
use crossfade_core::catalog::Grant;
use crossfade_core::catalog::Object;
use tokio_postgres::Client;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::count_u32;
use super::name;
use super::query;
use super::server_text;
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

const LABELS: &str = "
    SELECT n.nspname::text AS schema, t.typname::text AS name,
           ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder) AS labels
      FROM pg_type t
      JOIN pg_namespace n ON n.oid = t.typnamespace
     WHERE t.typtype = 'e' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname <> $1
     ORDER BY 1, 2";

/// What `pg_get_functiondef` writes begins with the qualified name, quoted as `quote_ident` does.
const FUNCTIONS: &str = "
    SELECT n.nspname::text AS schema, p.proname::text AS name, p.prokind = 'p' AS procedure,
           ARRAY(SELECT COALESCE(e.typname || '[]', t.typname)::text
                   FROM unnest(p.proargtypes) WITH ORDINALITY AS a(oid, position)
                   JOIN pg_type t ON t.oid = a.oid
                   LEFT JOIN pg_type e ON e.typarray = t.oid
                  ORDER BY a.position) AS types,
           array_to_string(ARRAY(SELECT format_type(a.oid, NULL)
                                   FROM unnest(p.proargtypes) WITH ORDINALITY AS a(oid, position)
                                  ORDER BY a.position), ', ') AS arguments,
           substr(pg_get_functiondef(p.oid),
                  length(format('CREATE OR REPLACE %s %I.%I', CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END,
                                n.nspname, p.proname)) + 1) AS definition,
           CASE WHEN p.proowner <> current_user::regrole
                THEN pg_get_userbyid(p.proowner)::text END AS owner,
           p.proacl IS NOT NULL AS granted, g.privileges, g.grantees, g.grantable
      FROM pg_proc p
      JOIN pg_namespace n ON n.oid = p.pronamespace
      LEFT JOIN LATERAL (SELECT array_agg(a.privilege_type ORDER BY a.grantee, a.privilege_type) AS privileges,
                                array_agg(CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee)::text END
                                          ORDER BY a.grantee, a.privilege_type) AS grantees,
                                array_agg(a.is_grantable ORDER BY a.grantee, a.privilege_type) AS grantable
                           FROM aclexplode(p.proacl) AS a WHERE a.grantee <> p.proowner) AS g ON true
     WHERE p.prokind <> 'a' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname <> $1
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
     ORDER BY 1, 2, 5";

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
            labels: Vec::new(),
            functions: Vec::new(),
        });
    }
    for row in query(client, LABELS, &own_schema, Type::TEXT).await? {
        if let Some(object) = find(&mut objects, "type", &row)? {
            object.labels = row.try_get("labels")?;
        }
    }
    for row in query(client, FUNCTIONS, &own_schema, Type::TEXT).await? {
        let function = function(&row)?;
        if let Some(object) = find(&mut objects, "function", &row)? {
            object.functions.extend(function);
        }
    }
    Ok(objects)
}

fn find<'o>(objects: &'o mut [Object], kind: &str, row: &Row) -> Result<Option<&'o mut Object>, tokio_postgres::Error> {
    let full = name(row, "schema", "name")?;
    Ok(objects.iter_mut().find(|object| object.kind == kind && Some(&object.name) == full.as_ref()))
}

/// None where the server gives no definition: the function was dropped meanwhile.
fn function(row: &Row) -> Result<Option<Function>, tokio_postgres::Error> {
    let (Some(arguments), Some(definition)) = (server_text(row, "arguments")?, server_text(row, "definition")?) else {
        return Ok(None);
    };
    let granted: bool = row.try_get("granted")?;
    let privileges: Option<Vec<String>> = row.try_get("privileges")?;
    let grantees: Option<Vec<Option<String>>> = row.try_get("grantees")?;
    let grantable: Option<Vec<bool>> = row.try_get("grantable")?;
    let rights = privileges.unwrap_or_default().into_iter().zip(grantees.unwrap_or_default());
    let rights = rights.zip(grantable.unwrap_or_default());
    let grants = rights.map(|((privilege, grantee), grantable)| Grant { privilege, grantee, grantable });
    Ok(Some(Function {
        procedure: row.try_get("procedure")?,
        types: row.try_get("types")?,
        arguments,
        definition,
        owner: row.try_get("owner")?,
        grants: granted.then(|| grants.collect()),
    }))
}

/// The names of schemas and of extensions that are not in every database.
pub(super) async fn names(
    client: &Client,
    own_schema: &str,
) -> Result<(Vec<String>, Vec<String>), tokio_postgres::Error> {
    let query = "SELECT ARRAY(SELECT nspname::text FROM pg_namespace
                                WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public', $1) ORDER BY 1) AS schemas,
                        ARRAY(SELECT extname::text FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1) AS extensions";
    let rows = client.query_typed(query, &[(&own_schema, Type::TEXT)]).await?;
    let Some(row) = rows.first() else { return Ok((Vec::new(), Vec::new())) };
    Ok((row.try_get("schemas")?, row.try_get("extensions")?))
}

/// How many sessions of others are in this database.
pub(super) async fn other_sessions(client: &Client) -> Result<u32, tokio_postgres::Error> {
    match client.query_typed(OTHER_SESSIONS, &[]).await?.first() {
        Some(row) => Ok(count_u32(row.try_get(0)?)),
        None => Ok(0),
    }
}
