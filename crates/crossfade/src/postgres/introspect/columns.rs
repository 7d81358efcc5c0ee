//! Columns and their privileges.
//!
//! How volatile a default is can't be read from `pg_depend`, which leaves out what ships with the server. So it is read
//! from the stored expression itself: the functions and operators that its nodes name, and the nodes that are volatile
//! without naming one.
//!
//! Among a column's options the server keeps a mark of its own, `pg_attver` (seen in 15.20): it changes when a table is altered, no dump shows
//! it, and it is left out.

use std::collections::HashMap;

use crossfade_core::catalog::Column;
use crossfade_core::catalog::ColumnDefault;
use crossfade_core::catalog::Grant;
use crossfade_core::sql::ServerText;
use tokio_postgres::Client;
use tokio_postgres::Row;
use tokio_postgres::types::Oid;

use super::Found;
use super::name;
use super::server_text;
use super::volatility;

/// A stored node writes names with their blanks escaped, so no literal or name can pass for `:funcid 61`. A cast by way
/// of text (`COERCEVIAIO`) names no function: the type's own input function may look at settings, hence stable.
///
/// A NOT NULL that is not validated (PostgreSQL 18) sets `attnotnull` although nulls may be there: it does not count
/// yet.
const COLUMNS: &str = "
    WITH RECURSIVE domain(oid, base, constrained) AS (
        SELECT t.oid, t.typbasetype,
               t.typnotnull OR EXISTS (SELECT FROM pg_constraint k WHERE k.contypid = t.oid)
          FROM pg_type t WHERE t.typtype = 'd'
        UNION ALL
        SELECT d.oid, t.typbasetype,
               d.constrained OR t.typnotnull OR EXISTS (SELECT FROM pg_constraint k WHERE k.contypid = t.oid)
          FROM domain d JOIN pg_type t ON t.oid = d.base WHERE t.typtype = 'd'
    ), resolved AS (
        SELECT d.oid, max(b.typname::text) AS base, bool_or(d.constrained) AS constrained
          FROM domain d JOIN pg_type b ON b.oid = d.base WHERE b.typtype <> 'd' GROUP BY d.oid
    ), expression AS (
        SELECT e.adrelid, e.adnum, pg_get_expr(e.adbin, e.adrelid) AS text, e.adbin::text AS tree
          FROM unnest($1) AS t(oid) JOIN pg_attrdef e ON e.adrelid = t.oid
    ), called AS (
        SELECT e.adrelid, e.adnum, m.number[1]::oid AS function
          FROM expression e, regexp_matches(e.tree, ':(?:func|opfunc|aggfn|winfn)(?:id|oid) ([0-9]+)', 'g') AS m(number)
        UNION ALL
        SELECT e.adrelid, e.adnum, o.oprcode
          FROM expression e, regexp_matches(e.tree, ':opno ([0-9]+)', 'g') AS m(number)
          JOIN pg_operator o ON o.oid = m.number[1]::oid
    ), worst AS (
        SELECT c.adrelid, c.adnum,
               max(CASE p.provolatile WHEN 'v' THEN 2 WHEN 's' THEN 1 ELSE 0 END) AS level
          FROM called c JOIN pg_proc p ON p.oid = c.function GROUP BY c.adrelid, c.adnum
    )
    SELECT a.attrelid AS oid, a.attname::text AS name, a.attnum AS number,
           format_type(a.atttypid, a.atttypmod) AS type_name,
           COALESCE(r.base, t.typname::text) AS base_type,
           a.atttypmod AS type_modifier,
           COALESCE(r.constrained, false) AS constrained_domain,
           a.attnotnull AND (a.attrelid, a.attnum) NOT IN (
               SELECT k.conrelid, k.conkey[1] FROM pg_constraint k
                WHERE k.contype = 'n' AND k.conrelid <> 0 AND NOT k.convalidated) AS not_null,
           CASE WHEN a.attgenerated = '' THEN e.text END AS default_expression,
           CASE WHEN a.attgenerated <> '' THEN e.text END AS generated,
           greatest(w.level,
                    CASE WHEN e.tree LIKE '%{NEXTVALUEEXPR %' THEN 2
                         WHEN e.tree LIKE '%{SQLVALUEFUNCTION %' OR e.tree LIKE '%{COERCEVIAIO %' THEN 1
                         ELSE 0 END) AS volatility,
           CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END AS identity,
           CASE WHEN a.attcollation <> t.typcollation AND a.attcollation <> 0 THEN
               (SELECT quote_ident(cn.nspname) || '.' || quote_ident(co.collname)
                  FROM pg_collation co JOIN pg_namespace cn ON cn.oid = co.collnamespace
                 WHERE co.oid = a.attcollation) END AS collation,
           col_description(a.attrelid, a.attnum) AS comment,
           CASE WHEN a.attstattarget >= 0 THEN a.attstattarget::int4 END AS statistics,
           CASE WHEN a.attstorage <> t.typstorage THEN
               CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL'
                                 WHEN 'm' THEN 'MAIN' WHEN 'x' THEN 'EXTENDED' END END AS storage,
           ARRAY(SELECT o.name FROM unnest(a.attoptions) AS o(name) WHERE o.name !~ '^pg_attver=') AS options,
           s.schema AS sequence_schema, s.name AS sequence_name
      FROM unnest($1) AS rel(oid)
      JOIN pg_attribute a ON a.attrelid = rel.oid AND a.attnum > 0 AND NOT a.attisdropped
      JOIN pg_type t ON t.oid = a.atttypid
      LEFT JOIN resolved r ON r.oid = t.oid
      LEFT JOIN expression e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
      LEFT JOIN worst w ON w.adrelid = a.attrelid AND w.adnum = a.attnum
      LEFT JOIN (SELECT DISTINCT ON (d.refobjid, d.refobjsubid)
                        d.refobjid, d.refobjsubid, sn.nspname::text AS schema, sc.relname::text AS name
                   FROM pg_class sc
                   JOIN pg_namespace sn ON sn.oid = sc.relnamespace
                   JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = sc.oid AND d.objsubid = 0
                                   AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
                                   AND d.deptype IN ('a', 'i')
                  WHERE sc.relkind = 'S'
                  ORDER BY d.refobjid, d.refobjsubid, d.deptype DESC, sc.oid) s
        ON s.refobjid = a.attrelid AND s.refobjsubid = a.attnum
     ORDER BY a.attrelid, a.attnum";

const GRANTS: &str = "
    SELECT a.attrelid AS oid, a.attnum AS number,
           g.privilege_type AS privilege,
           CASE WHEN g.grantee <> 0 THEN pg_get_userbyid(g.grantee)::text END AS grantee,
           bool_or(g.is_grantable) AS grantable
      FROM unnest($1) AS t(oid)
      JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attacl IS NOT NULL
     CROSS JOIN LATERAL aclexplode(a.attacl) AS g
     GROUP BY 1, 2, 3, 4
     ORDER BY 1, 2, 4 NULLS FIRST, 3";

/// Fills the columns of all tables.
pub(super) async fn read(client: &Client, found: &mut Found) -> Result<(), tokio_postgres::Error> {
    let mut grants = grants(client, found).await?;
    for row in found.query(client, COLUMNS).await? {
        let oid: Oid = row.try_get("oid")?;
        let mut column = column(&row)?;
        column.grants = grants.remove(&(oid, column.number)).unwrap_or_default();
        if let Some(table) = found.table(oid) {
            table.columns.push(column);
        }
    }
    Ok(())
}

fn column(row: &Row) -> Result<Column, tokio_postgres::Error> {
    let default = server_text(row, "default_expression")?;
    let level: i32 = row.try_get("volatility")?;
    Ok(Column {
        name: row.try_get("name")?,
        number: row.try_get("number")?,
        type_name: ServerText::from_server(row.try_get::<_, String>("type_name")?),
        base_type: row.try_get("base_type")?,
        type_modifier: row.try_get("type_modifier")?,
        constrained_domain: row.try_get("constrained_domain")?,
        not_null: row.try_get("not_null")?,
        default: default.map(|expression| ColumnDefault { expression, volatility: volatility(level) }),
        generated: server_text(row, "generated")?,
        identity: row.try_get("identity")?,
        collation: server_text(row, "collation")?,
        comment: row.try_get("comment")?,
        statistics: row.try_get("statistics")?,
        storage: row.try_get("storage")?,
        grants: Vec::new(),
        options: row.try_get("options")?,
        owned_sequence: name(row, "sequence_schema", "sequence_name")?,
        identity_sequence: None,
    })
}

type GrantsByColumn = HashMap<(Oid, i16), Vec<Grant>>;

async fn grants(client: &Client, found: &Found) -> Result<GrantsByColumn, tokio_postgres::Error> {
    let mut grants = GrantsByColumn::new();
    for row in found.query(client, GRANTS).await? {
        let place = (row.try_get("oid")?, row.try_get("number")?);
        grants.entry(place).or_default().push(Grant {
            privilege: row.try_get("privilege")?,
            grantee: row.try_get("grantee")?,
            grantable: row.try_get("grantable")?,
        });
    }
    Ok(grants)
}
