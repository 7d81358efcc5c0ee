//! What a column or a table owns beside rows: the sequences of identity columns and extended statistics.

use crossfade_core::catalog::ExtendedStatistics;
use crossfade_core::catalog::Grant;
use crossfade_core::catalog::IdentitySequence;
use tokio_postgres::Client;
use tokio_postgres::Row;
use tokio_postgres::types::Oid;

use super::Found;
use super::name;
use super::server_text;

/// A bound that is the type's own moves with the type.
const SEQUENCES: &str = "
    SELECT d.refobjid AS oid, d.refobjsubid::int2 AS number, s.seqstart, s.seqincrement,
           CASE WHEN s.seqmin <> CASE WHEN s.seqincrement > 0 THEN 1 ELSE bounds.least END THEN s.seqmin END AS minimum,
           CASE WHEN s.seqmax <> CASE WHEN s.seqincrement > 0 THEN bounds.greatest ELSE -1 END THEN s.seqmax END AS maximum,
           s.seqcache, s.seqcycle, obj_description(c.oid, 'pg_class') AS comment, c.relacl IS NOT NULL AS granted,
           ARRAY(SELECT DISTINCT pg_describe_object(u.classid, u.objid, u.objsubid)
                   FROM pg_depend u
                  WHERE u.refclassid = 'pg_class'::regclass AND u.refobjid = c.oid AND u.deptype <> 'i'
                  ORDER BY 1) AS dependents
      FROM unnest($1) AS t(oid)
      JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND d.deptype = 'i'
                      AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.refobjsubid > 0
      JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S'
      JOIN pg_sequence s ON s.seqrelid = c.oid
     CROSS JOIN LATERAL (SELECT CASE s.seqtypid WHEN 'int2'::regtype THEN -32768 WHEN 'int4'::regtype THEN -2147483648
                                                ELSE -9223372036854775808 END AS least,
                                CASE s.seqtypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647
                                                ELSE 9223372036854775807 END AS greatest) AS bounds
     ORDER BY 1, 2";

const GRANTS: &str = "
    SELECT d.refobjid AS oid, d.refobjsubid::int2 AS number, g.privilege_type AS privilege,
           CASE WHEN g.grantee <> 0 THEN pg_get_userbyid(g.grantee)::text END AS grantee,
           bool_or(g.is_grantable) AS grantable
      FROM unnest($1) AS t(oid)
      JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND d.deptype = 'i'
                      AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.refobjsubid > 0
      JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S'
     CROSS JOIN LATERAL aclexplode(c.relacl) AS g
     GROUP BY 1, 2, 3, 4
     ORDER BY 1, 2, 4 NULLS FIRST, 3";

const STATISTICS: &str = "
    SELECT s.stxrelid AS oid, n.nspname::text AS schema, s.stxname::text AS name,
           pg_get_statisticsobjdef(s.oid) AS definition,
           ARRAY(SELECT DISTINCT a.attname::text
                   FROM pg_depend d
                   JOIN pg_attribute a ON a.attrelid = s.stxrelid AND a.attnum = d.refobjsubid
                  WHERE d.classid = 'pg_statistic_ext'::regclass AND d.objid = s.oid
                    AND d.refclassid = 'pg_class'::regclass AND d.refobjid = s.stxrelid AND d.refobjsubid > 0
                  ORDER BY 1) AS columns,
           CASE WHEN s.stxstattarget >= 0 THEN s.stxstattarget::int4 END AS target,
           obj_description(s.oid, 'pg_statistic_ext') AS comment
      FROM unnest($1) AS t(oid)
      JOIN pg_statistic_ext s ON s.stxrelid = t.oid
      JOIN pg_namespace n ON n.oid = s.stxnamespace
     ORDER BY 1, 2, 3";

/// Fills the identity sequences of all columns.
pub(super) async fn sequences(client: &Client, found: &mut Found) -> Result<(), tokio_postgres::Error> {
    for row in found.query(client, SEQUENCES).await? {
        let sequence = sequence(&row)?;
        if let Some(column) = column(found, &row)? {
            column.identity_sequence = Some(sequence);
        }
    }
    for row in found.query(client, GRANTS).await? {
        let grant = Grant {
            privilege: row.try_get("privilege")?,
            grantee: row.try_get("grantee")?,
            grantable: row.try_get("grantable")?,
        };
        let sequence = column(found, &row)?.and_then(|column| column.identity_sequence.as_mut());
        if let Some(grants) = sequence.and_then(|sequence| sequence.grants.as_mut()) {
            grants.push(grant);
        }
    }
    Ok(())
}

fn column<'a>(
    found: &'a mut Found,
    row: &Row,
) -> Result<Option<&'a mut crossfade_core::catalog::Column>, tokio_postgres::Error> {
    let (oid, number): (Oid, i16) = (row.try_get("oid")?, row.try_get("number")?);
    Ok(found.table(oid).and_then(|table| table.columns.iter_mut().find(|column| column.number == number)))
}

fn sequence(row: &Row) -> Result<IdentitySequence, tokio_postgres::Error> {
    let granted: bool = row.try_get("granted")?;
    Ok(IdentitySequence {
        start: row.try_get("seqstart")?,
        increment: row.try_get("seqincrement")?,
        minimum: row.try_get("minimum")?,
        maximum: row.try_get("maximum")?,
        cache: row.try_get("seqcache")?,
        cycle: row.try_get("seqcycle")?,
        comment: row.try_get("comment")?,
        grants: granted.then(Vec::new),
        dependents: row.try_get("dependents")?,
    })
}

/// Fills the extended statistics of all tables.
pub(super) async fn statistics(client: &Client, found: &mut Found) -> Result<(), tokio_postgres::Error> {
    for row in found.query(client, STATISTICS).await? {
        let (Some(name), Some(definition)) = (name(&row, "schema", "name")?, server_text(&row, "definition")?) else {
            continue;
        };
        if let Some(table) = found.table(row.try_get("oid")?) {
            table.statistics.push(ExtendedStatistics {
                name,
                definition,
                columns: row.try_get("columns")?,
                target: row.try_get("target")?,
                comment: row.try_get("comment")?,
            });
        }
    }
    Ok(())
}
