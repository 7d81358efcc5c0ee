//! What hangs on a table or on one of its columns from outside, as `pg_depend` has it.
//!
//! A table's own indexes, constraints, statistics, defaults, triggers, sequences, partitions and children stand elsewhere in the
//! catalog. What names a table without a record in `pg_depend` (a function's body in a string, an application) can't be
//! found here.

use crossfade_core::catalog::Dependent;
use tokio_postgres::Client;

use super::Found;
use super::name;

/// The first arm is everything that names the table or a column, one CASE for each class that needs a special form and
/// a row of the second list for each that is the table's own. The second arm is what uses the table's row type.
///
/// A generated column is recorded as a column up to PostgreSQL 14, and as its expression from 15 on.
const DEPENDENTS: &str = "
    WITH reference AS (
        SELECT d.classid, d.objid, d.objsubid, d.refobjid, d.refobjsubid,
               bool_or(d.deptype <> 'n') OVER (PARTITION BY d.refobjid, d.classid, d.objid) AS goes_along
          FROM unnest($1) AS t(oid)
          JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid
         WHERE d.refobjsubid >= 0
    ), named AS (
        SELECT r.refobjid, r.refobjsubid,
               CASE WHEN rule.rulename = '_RETURN' THEN pg_describe_object('pg_class'::regclass, rule.ev_class, 0)
                    ELSE pg_describe_object(r.classid, r.objid, 0) END AS description,
               r.goes_along, CASE WHEN rule.rulename = '_RETURN' THEN rule.ev_class END AS view,
               false AS foreign_key
          FROM reference r
          JOIN pg_rewrite rule ON r.classid = 'pg_rewrite'::regclass AND rule.oid = r.objid
         WHERE rule.rulename <> '_RETURN' OR rule.ev_class <> r.refobjid
        UNION
        SELECT r.refobjid, r.refobjsubid,
               format('generated column %I.%I.%I', n.nspname, c.relname, a.attname), true, NULL, false
          FROM reference r
          LEFT JOIN pg_attrdef e ON r.classid = 'pg_attrdef'::regclass AND e.oid = r.objid
          JOIN pg_attribute a ON a.attrelid = COALESCE(e.adrelid, r.objid) AND a.attnum = COALESCE(e.adnum, r.objsubid)
          JOIN pg_class c ON c.oid = a.attrelid
          JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE a.attgenerated <> '' AND a.attrelid = r.refobjid AND r.refobjsubid > 0 AND a.attnum <> r.refobjsubid
           AND (e.oid IS NOT NULL OR r.classid = 'pg_class'::regclass AND r.objsubid > 0)
        UNION
        SELECT r.refobjid, r.refobjsubid, pg_describe_object(r.classid, r.objid, 0), r.goes_along, NULL, false
          FROM reference r
          JOIN pg_attrdef e ON r.classid = 'pg_attrdef'::regclass AND e.oid = r.objid
         WHERE e.adrelid <> r.refobjid
        UNION
        SELECT r.refobjid, r.refobjsubid,
               CASE WHEN k.contype = 'f'
                    THEN format('foreign key %I of table %I.%I', k.conname, n.nspname, c.relname)
                    ELSE pg_describe_object(r.classid, r.objid, 0) END,
               r.goes_along, NULL, k.contype = 'f'
          FROM reference r
          JOIN pg_constraint k ON r.classid = 'pg_constraint'::regclass AND k.oid = r.objid
          LEFT JOIN pg_class c ON c.oid = k.conrelid
          LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
          LEFT JOIN pg_constraint parent ON parent.oid = k.conparentid
         WHERE k.conrelid <> r.refobjid AND parent.confrelid IS DISTINCT FROM k.confrelid
        UNION
        SELECT r.refobjid, r.refobjsubid, pg_describe_object(r.classid, r.objid, 0), r.goes_along, NULL, false
          FROM reference r
          JOIN pg_trigger g ON r.classid = 'pg_trigger'::regclass AND g.oid = r.objid
         WHERE g.tgrelid <> r.refobjid AND NOT g.tgisinternal
        UNION
        SELECT r.refobjid, r.refobjsubid, pg_describe_object(r.classid, r.objid, r.objsubid), r.goes_along, NULL, false
          FROM reference r
         WHERE r.classid NOT IN ('pg_rewrite'::regclass, 'pg_attrdef'::regclass, 'pg_constraint'::regclass,
                                 'pg_trigger'::regclass, 'pg_class'::regclass, 'pg_type'::regclass,
                                 'pg_statistic_ext'::regclass)
        UNION
        SELECT c.oid, 0, pg_describe_object(d.classid, d.objid, d.objsubid), false, NULL, false
          FROM unnest($1) AS t(oid)
          JOIN pg_class c ON c.oid = t.oid
          JOIN pg_type rowtype ON rowtype.oid = c.reltype
          JOIN pg_depend d ON d.refclassid = 'pg_type'::regclass AND d.refobjid IN (rowtype.oid, rowtype.typarray)
         WHERE d.deptype = 'n' AND d.classid <> 'pg_rewrite'::regclass
    )
    SELECT n.refobjid AS oid, n.description, a.attname::text AS column, n.goes_along, n.foreign_key,
           vn.nspname::text AS view_schema, v.relname::text AS view_name
      FROM named n
      LEFT JOIN pg_class v ON v.oid = n.view
      LEFT JOIN pg_namespace vn ON vn.oid = v.relnamespace
      LEFT JOIN pg_attribute a ON n.refobjsubid > 0 AND a.attrelid = n.refobjid AND a.attnum = n.refobjsubid
     WHERE n.description IS NOT NULL
     ORDER BY n.refobjid, n.refobjsubid, n.description";

/// Fills the dependents of all tables.
pub(super) async fn read(client: &Client, found: &mut Found) -> Result<(), tokio_postgres::Error> {
    for row in found.query(client, DEPENDENTS).await? {
        if let Some(table) = found.table(row.try_get("oid")?) {
            table.dependents.push(Dependent {
                description: row.try_get("description")?,
                column: row.try_get("column")?,
                goes_along: row.try_get("goes_along")?,
                view: name(&row, "view_schema", "view_name")?,
                foreign_key: row.try_get("foreign_key")?,
            });
        }
    }
    Ok(())
}
