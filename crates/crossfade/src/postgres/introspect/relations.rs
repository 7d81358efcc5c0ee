//! Tables, views and their sizes.
//!
//! A table of no blocks is empty. A small one without statistics is looked into, as far as the role may; any other is
//! taken to have rows, since it could take long to find out that all of them are dead. Sizes and rows of partitioned
//! tables are those of their leaves.

use std::collections::HashMap;
use std::collections::HashSet;

use crossfade_core::catalog::Grant;
use crossfade_core::catalog::Table;
use crossfade_core::catalog::TableKind;
use crossfade_core::sql;
use crossfade_core::sql::Number;
use crossfade_core::sql::Sql;
use tokio_postgres::Client;
use tokio_postgres::types::Oid;
use tokio_postgres::types::Type;

use super::Found;
use super::count_u64;
use super::name;
use super::query;
use super::server_text;

/// Up to this many blocks a table is looked into.
const SMALL_BLOCKS: u64 = 64;
/// Tables that one query looks into.
const LOOK_BATCH: usize = 50;
/// Rows taken for one block of a small table where no statistics exist.
const ROWS_PER_BLOCK: u64 = 60;
/// The same for any other: as many as fit of the narrowest that are common (a key and a number). To take a table for a big one costs nothing; the
/// other way round, one transaction would lock all of its rows.
const MOST_ROWS_PER_BLOCK: u64 = 226;

/// `pg_relation_size` is NULL for what was dropped since the snapshot. A look is worth it where no statistics tell of
/// rows, and possible where the role may read and row security would hide nothing.
const RELATIONS: &str = "
    SELECT c.oid, n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind,
           size.bytes, c.relpages, c.reltuples,
           am.amname::text AS access_method,
           (SELECT t.spcname::text FROM pg_tablespace AS t WHERE t.oid = c.reltablespace) AS tablespace,
           (SELECT o.option_value::int4 FROM pg_options_to_table(c.reloptions) o
             WHERE o.option_name = 'fillfactor') AS fill_factor,
           CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END AS partition_bound,
           CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END AS partition_by,
           CASE WHEN c.relowner <> current_user::regrole THEN pg_get_userbyid(c.relowner)::text END AS owner,
           c.relrowsecurity,
           EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN') AS has_rules,
           obj_description(c.oid, 'pg_class') AS comment,
           p.oid AS parent, pn.nspname::text AS parent_schema, p.relname::text AS parent_name,
           CASE WHEN c.relkind = 'p' THEN ARRAY(
               SELECT a.attname::text
                 FROM (SELECT k.attnum, k.position
                         FROM pg_partitioned_table pt, unnest(pt.partattrs) WITH ORDINALITY AS k(attnum, position)
                        WHERE pt.partrelid = c.oid
                       UNION ALL
                       SELECT d.objsubid, 1000 + d.objsubid
                         FROM pg_depend d
                        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid > 0
                          AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid = 0) k
                 JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
                GROUP BY a.attname ORDER BY min(k.position))
           ELSE '{}' END AS partition_key,
           COALESCE(CASE WHEN c.relkind = 'r' AND c.reltuples <= 0 AND size.bytes > 0 THEN
               has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT')
               AND NOT row_security_active(c.oid) END, false) AS worth_a_look
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
     CROSS JOIN LATERAL (SELECT CASE WHEN c.relkind IN ('r', 'm')
                                     THEN COALESCE(pg_relation_size(c.oid), 0) ELSE 0 END AS bytes OFFSET 0) size
      LEFT JOIN pg_am am ON am.oid = c.relam
      LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND c.relispartition
      LEFT JOIN pg_class p ON p.oid = i.inhparent
      LEFT JOIN pg_namespace pn ON pn.oid = p.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
       AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname <> $1
     ORDER BY n.nspname, c.relname";

const CHILDREN: &str = "
    SELECT i.inhparent AS oid, n.nspname::text AS schema, c.relname::text AS name
      FROM unnest($1) AS t(oid)
      JOIN pg_inherits i ON i.inhparent = t.oid
      JOIN pg_class c ON c.oid = i.inhrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE NOT c.relispartition AND c.relkind IN ('r', 'p', 'f')
     ORDER BY n.nspname, c.relname";

/// The owner has its rights by itself.
const GRANTS: &str = "
    SELECT t.oid, g.privilege_type::text AS privilege,
           CASE WHEN g.grantee <> 0 THEN pg_get_userbyid(g.grantee)::text END AS grantee,
           bool_or(g.is_grantable) AS grantable
      FROM unnest($1) AS t(oid)
      JOIN pg_class c ON c.oid = t.oid
     CROSS JOIN LATERAL aclexplode(c.relacl) AS g
     WHERE g.grantee <> c.relowner
     GROUP BY 1, 2, 3
     ORDER BY 1, 3 NULLS FIRST, 2";

const KEEP: &str = "SAVEPOINT look; SET LOCAL lock_timeout = '100ms'";
const LET_GO: &str = "ROLLBACK TO SAVEPOINT look; RELEASE SAVEPOINT look";

/// All relations, still without columns and what hangs on them.
pub(super) async fn read(client: &Client, own_schema: &str, block_size: u32) -> Result<Found, tokio_postgres::Error> {
    let rows = query(client, RELATIONS, &own_schema, Type::TEXT).await?;
    let mut found =
        Found { oids: Vec::with_capacity(rows.len()), tables: Vec::with_capacity(rows.len()), places: HashMap::new() };
    let mut parents: HashMap<Oid, Oid> = HashMap::new();
    let mut small = Vec::new();
    for row in rows {
        let oid: Oid = row.try_get("oid")?;
        let Some(table_name) = name(&row, "schema", "name")? else { continue };
        let kind = kind(row.try_get("kind")?);
        let blocks = count_u64(row.try_get("bytes")?) / u64::from(block_size.max(1));
        let fill_factor: Option<i32> = row.try_get("fill_factor")?;
        if let Some(parent) = row.try_get("parent")? {
            parents.insert(oid, parent);
        }
        if blocks > 0 && blocks <= SMALL_BLOCKS && row.try_get("worth_a_look")? {
            small.push(oid);
        }
        found.places.insert(oid, found.tables.len());
        found.oids.push(oid);
        found.tables.push(Table {
            name: table_name,
            kind,
            has_rows: blocks > 0 || kind == TableKind::Foreign,
            estimated_rows: estimate(kind, row.try_get("reltuples")?, row.try_get("relpages")?, blocks),
            blocks,
            access_method: row.try_get("access_method")?,
            tablespace: row.try_get("tablespace")?,
            fill_factor: fill_factor.and_then(|percent| u32::try_from(percent).ok()),
            partition_of: name(&row, "parent_schema", "parent_name")?,
            partition_bound: server_text(&row, "partition_bound")?,
            partition_by: server_text(&row, "partition_by")?,
            inheritance_children: Vec::new(),
            owner: row.try_get("owner")?,
            grants: Vec::new(),
            row_security: row.try_get("relrowsecurity")?,
            has_rules: row.try_get("has_rules")?,
            comment: row.try_get("comment")?,
            partition_key: row.try_get("partition_key")?,
            columns: Vec::new(),
            constraints: Vec::new(),
            indexes: Vec::new(),
            triggers: Vec::new(),
            policies: Vec::new(),
            dependents: Vec::new(),
            statistics: Vec::new(),
            view: None,
        });
    }
    for row in found.query(client, CHILDREN).await? {
        let Some(child) = name(&row, "schema", "name")? else { continue };
        if let Some(table) = found.table(row.try_get("oid")?) {
            table.inheritance_children.push(child);
        }
    }
    for row in found.query(client, GRANTS).await? {
        let grant = Grant {
            privilege: row.try_get("privilege")?,
            grantee: row.try_get("grantee")?,
            grantable: row.try_get("grantable")?,
        };
        if let Some(table) = found.table(row.try_get("oid")?) {
            table.grants.push(grant);
        }
    }
    for oid in empty_ones(client, &found, &small).await? {
        if let Some(table) = found.table(oid) {
            table.has_rows = false;
            table.estimated_rows = 0;
        }
    }
    sum_up_partitions(&mut found, &parents);
    Ok(found)
}

fn kind(letter: &str) -> TableKind {
    match letter {
        "p" => TableKind::Partitioned,
        "v" => TableKind::View,
        "m" => TableKind::MaterializedView,
        "f" => TableKind::Foreign,
        _ => TableKind::Table,
    }
}

/// As the server's own planner does it: the density that the last ANALYZE saw, times the blocks of today.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate; float casts saturate")]
fn estimate(kind: TableKind, rows: f32, pages: i32, blocks: u64) -> u64 {
    match kind {
        TableKind::View | TableKind::Partitioned => 0,
        TableKind::Foreign => rows.max(0.0) as u64,
        TableKind::Table | TableKind::MaterializedView if blocks == 0 => 0,
        TableKind::Table | TableKind::MaterializedView if rows < 0.0 || pages <= 0 => {
            blocks * if blocks > SMALL_BLOCKS { MOST_ROWS_PER_BLOCK } else { ROWS_PER_BLOCK }
        }
        TableKind::Table | TableKind::MaterializedView => {
            (f64::from(rows) / f64::from(pages) * blocks as f64).round() as u64
        }
    }
}

/// Those of `candidates` that hold no row. What can't be looked into in time counts as not empty; no lock is kept.
async fn empty_ones(client: &Client, found: &Found, candidates: &[Oid]) -> Result<HashSet<Oid>, tokio_postgres::Error> {
    let mut empty = HashSet::new();
    for batch in candidates.chunks(LOOK_BATCH) {
        let looks = batch.iter().filter_map(|oid| {
            let table = found.tables.get(*found.places.get(oid)?)?;
            Some(sql!("SELECT {}::oid, EXISTS (SELECT FROM ONLY {})", Number(i64::from(*oid)), table.name))
        });
        let look = Sql::join(looks, " UNION ALL ");
        client.batch_execute(KEEP).await?;
        let seen = client.query_typed(look.as_str(), &[]).await;
        client.batch_execute(LET_GO).await?;
        match seen {
            Ok(rows) => {
                for row in rows {
                    if !row.try_get::<_, bool>(1)? {
                        empty.insert(row.try_get(0)?);
                    }
                }
            }
            Err(error) if error.as_db_error().is_some() => {
                tracing::debug!(%error, tables = batch.len(), "small tables could not be looked into");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(empty)
}

fn sum_up_partitions(found: &mut Found, parents: &HashMap<Oid, Oid>) {
    for oid in found.oids.clone() {
        let Some(leaf) = found.table(oid) else { continue };
        if leaf.kind == TableKind::Partitioned {
            continue;
        }
        let (has_rows, rows, blocks) = (leaf.has_rows, leaf.estimated_rows, leaf.blocks);
        let mut below = oid;
        while let Some(&parent) = parents.get(&below) {
            if let Some(table) = found.table(parent) {
                table.has_rows |= has_rows;
                table.estimated_rows += rows;
                table.blocks += blocks;
            }
            below = parent;
        }
    }
}
