//! What is attached to a table and is its own: indexes, constraints and triggers.

use crossfade_core::catalog::Constraint;
use crossfade_core::catalog::ConstraintKind;
use crossfade_core::catalog::Index;
use crossfade_core::catalog::Policy;
use crossfade_core::catalog::Trigger;
use tokio_postgres::Client;
use tokio_postgres::Row;
use tokio_postgres::types::Oid;

use super::Found;
use super::name;
use super::server_text;

/// `pg_depend` has the columns of expressions and of the predicate, also for an index that a constraint owns.
const INDEXES: &str = "
    SELECT i.indrelid AS oid, c.relname::text AS name, pg_get_indexdef(i.indexrelid) AS definition,
           ARRAY(SELECT a.attname::text
                   FROM (SELECT k.attnum, k.position FROM unnest(i.indkey) WITH ORDINALITY AS k(attnum, position)
                         UNION ALL
                         SELECT d.refobjsubid, 1000 + d.refobjsubid
                           FROM pg_depend d
                          WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
                            AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid) k
                   JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                  WHERE a.attnum > 0
                  GROUP BY a.attname ORDER BY min(k.position)) AS columns,
           i.indisunique, i.indisprimary, i.indisvalid, i.indisreplident, i.indisclustered,
           i.indexprs IS NOT NULL OR i.indpred IS NOT NULL AS expression_or_predicate,
           (SELECT k.conname::text FROM pg_constraint k
             WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')
             ORDER BY k.oid LIMIT 1) AS constraint_name,
           obj_description(i.indexrelid, 'pg_class') AS comment,
           pn.nspname::text AS parent_schema, p.relname::text AS parent_name
      FROM unnest($1) AS t(oid)
      JOIN pg_index i ON i.indrelid = t.oid
      JOIN pg_class c ON c.oid = i.indexrelid
      LEFT JOIN pg_inherits h ON h.inhrelid = i.indexrelid
      LEFT JOIN pg_class p ON p.oid = h.inhparent
      LEFT JOIN pg_namespace pn ON pn.oid = p.relnamespace
     ORDER BY c.relname";

/// A zero in `conkey` is the whole row for a CHECK, and an expression for an EXCLUDE.
const CONSTRAINTS: &str = "
    SELECT k.conrelid AS oid, k.conname::text AS name, k.contype::text AS kind,
           CASE WHEN k.contype = 'c' AND 0 = ANY (k.conkey) THEN
               ARRAY(SELECT a.attname::text FROM pg_attribute a
                      WHERE a.attrelid = k.conrelid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
           ELSE
               ARRAY(SELECT a.attname::text
                       FROM unnest(k.conkey) WITH ORDINALITY AS c(attnum, position)
                       JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = c.attnum
                      ORDER BY c.position)
           END AS columns,
           pg_get_constraintdef(k.oid) AS definition,
           k.convalidated, k.condeferrable,
           CASE WHEN k.contype IN ('p', 'u', 'x') THEN
               (SELECT c.relname::text FROM pg_class c WHERE c.oid = k.conindid) END AS index_name,
           fn.nspname::text AS references_schema, f.relname::text AS references_name,
           ARRAY(SELECT a.attname::text
                   FROM unnest(k.confkey) WITH ORDINALITY AS c(attnum, position)
                   JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = c.attnum
                  ORDER BY c.position) AS referenced_columns,
           k.coninhcount > 0 OR k.conparentid <> 0 AS inherited,
           obj_description(k.oid, 'pg_constraint') AS comment
      FROM unnest($1) AS t(oid)
      JOIN pg_constraint k ON k.conrelid = t.oid
      LEFT JOIN pg_class f ON f.oid = k.confrelid
      LEFT JOIN pg_namespace fn ON fn.oid = f.relnamespace
     WHERE k.contype IN ('c', 'u', 'p', 'f', 'x', 'n')
     ORDER BY k.conname, k.oid";

/// Up to PostgreSQL 14 a partition's copy of its parent's trigger is marked internal, as are the triggers of
/// constraints.
const TRIGGERS: &str = "
    SELECT g.tgrelid AS oid, g.tgname::text AS name,
           g.tgtype & 1 <> 0 AS row, g.tgtype & 2 <> 0 AS before, g.tgtype & 16 <> 0 AS on_update,
           g.tgenabled <> 'D' AS enabled,
           ARRAY(SELECT a.attname::text
                   FROM (SELECT k.attnum, k.position FROM unnest(g.tgattr) WITH ORDINALITY AS k(attnum, position)
                         UNION ALL
                         SELECT d.refobjsubid, 10000 + d.refobjsubid
                           FROM pg_depend d
                          WHERE d.classid = 'pg_trigger'::regclass AND d.objid = g.oid
                            AND d.refclassid = 'pg_class'::regclass AND d.refobjid = g.tgrelid) k
                   JOIN pg_attribute a ON a.attrelid = g.tgrelid AND a.attnum = k.attnum
                  WHERE a.attnum > 0
                  GROUP BY a.attname ORDER BY min(k.position)) AS columns,
           quote_ident(n.nspname) || '.' || quote_ident(p.proname) AS function,
           p.prosrc AS source,
           CASE WHEN g.tgparentid = 0 THEN pg_get_triggerdef(g.oid) END AS definition,
           CASE g.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' END AS firing,
           obj_description(g.oid, 'pg_trigger') AS comment
      FROM unnest($1) AS t(oid)
      JOIN pg_trigger g ON g.tgrelid = t.oid
      JOIN pg_proc p ON p.oid = g.tgfoid
      JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE NOT g.tgisinternal OR (g.tgparentid <> 0 AND g.tgconstraint = 0)
     ORDER BY g.tgname";

const POLICIES: &str = "
    SELECT p.polrelid AS oid, p.polname::text AS name,
           concat_ws(' ', format('CREATE POLICY %I ON %s', p.polname, p.polrelid::regclass),
                     CASE WHEN NOT p.polpermissive THEN 'AS RESTRICTIVE' END,
                     'FOR ' || CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' END,
                     'TO ' || NULLIF((SELECT string_agg(quote_ident(r.rolname), ', ' ORDER BY r.rolname)
                                        FROM pg_roles r WHERE r.oid = ANY (p.polroles)), ''),
                     'USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
                     'WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')') AS definition,
           obj_description(p.oid, 'pg_policy') AS comment
      FROM unnest($1) AS t(oid)
      JOIN pg_policy p ON p.polrelid = t.oid
     ORDER BY p.polname";

/// Fills the indexes of all tables. Those dropped since the snapshot have no definition any more and are left out.
pub(super) async fn indexes(client: &Client, found: &mut Found) -> Result<(), tokio_postgres::Error> {
    for row in found.query(client, INDEXES).await? {
        let Some(definition) = server_text(&row, "definition")? else { continue };
        let Some(table) = found.table(row.try_get("oid")?) else { continue };
        table.indexes.push(Index {
            name: row.try_get("name")?,
            definition,
            columns: row.try_get("columns")?,
            unique: row.try_get("indisunique")?,
            primary: row.try_get("indisprimary")?,
            expression_or_predicate: row.try_get("expression_or_predicate")?,
            valid: row.try_get("indisvalid")?,
            constraint: row.try_get("constraint_name")?,
            attached_to: name(&row, "parent_schema", "parent_name")?,
            replica_identity: row.try_get("indisreplident")?,
            clustered: row.try_get("indisclustered")?,
            comment: row.try_get("comment")?,
        });
    }
    Ok(())
}

/// Fills the constraints of all tables, whose indexes must be filled already.
pub(super) async fn constraints(client: &Client, found: &mut Found) -> Result<(), tokio_postgres::Error> {
    for row in found.query(client, CONSTRAINTS).await? {
        let oid: Oid = row.try_get("oid")?;
        let Some(mut constraint) = constraint(&row)? else { continue };
        let Some(table) = found.table(oid) else { continue };
        if constraint.kind == ConstraintKind::Exclude {
            let index = table.indexes.iter().find(|index| Some(&index.name) == constraint.index.as_ref());
            constraint.columns = index.map(|index| index.columns.clone()).unwrap_or(constraint.columns);
        }
        table.constraints.push(constraint);
    }
    Ok(())
}

fn constraint(row: &Row) -> Result<Option<Constraint>, tokio_postgres::Error> {
    let (Some(kind), Some(definition)) = (constraint_kind(row.try_get("kind")?), server_text(row, "definition")?)
    else {
        return Ok(None);
    };
    Ok(Some(Constraint {
        name: row.try_get("name")?,
        kind,
        columns: row.try_get("columns")?,
        definition,
        validated: row.try_get("convalidated")?,
        deferrable: row.try_get("condeferrable")?,
        index: row.try_get("index_name")?,
        references: name(row, "references_schema", "references_name")?,
        referenced_columns: row.try_get("referenced_columns")?,
        inherited: row.try_get("inherited")?,
        comment: row.try_get("comment")?,
    }))
}

fn constraint_kind(letter: &str) -> Option<ConstraintKind> {
    match letter {
        "c" => Some(ConstraintKind::Check),
        "u" => Some(ConstraintKind::Unique),
        "p" => Some(ConstraintKind::PrimaryKey),
        "f" => Some(ConstraintKind::ForeignKey),
        "x" => Some(ConstraintKind::Exclude),
        "n" => Some(ConstraintKind::NotNull),
        _ => None,
    }
}

/// Fills the triggers of all tables.
pub(super) async fn triggers(client: &Client, found: &mut Found) -> Result<(), tokio_postgres::Error> {
    for row in found.query(client, TRIGGERS).await? {
        let Some(table) = found.table(row.try_get("oid")?) else { continue };
        table.triggers.push(Trigger {
            name: row.try_get("name")?,
            before: row.try_get("before")?,
            row: row.try_get("row")?,
            on_update: row.try_get("on_update")?,
            enabled: row.try_get("enabled")?,
            columns: row.try_get("columns")?,
            function: row.try_get("function")?,
            source: row.try_get("source")?,
            definition: server_text(&row, "definition")?,
            firing: server_text(&row, "firing")?,
            comment: row.try_get("comment")?,
        });
    }
    Ok(())
}

/// Fills the policies of all tables.
pub(super) async fn policies(client: &Client, found: &mut Found) -> Result<(), tokio_postgres::Error> {
    for row in found.query(client, POLICIES).await? {
        let Some(definition) = server_text(&row, "definition")? else { continue };
        let Some(table) = found.table(row.try_get("oid")?) else { continue };
        table.policies.push(Policy { name: row.try_get("name")?, definition, comment: row.try_get("comment")? });
    }
    Ok(())
}
