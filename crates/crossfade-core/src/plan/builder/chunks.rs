//! How a table is swept: the bounds of its chunks, its stripes, and the key of a row.

use super::StepsBuilder;
use crate::catalog::Catalog;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::sql;
use crate::sql::Ident;
use crate::sql::Literal;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::step::BackfillUnit;
use crate::step::ChunkBounds;
use crate::step::VerifyUnit;

impl StepsBuilder<'_> {
    pub(crate) fn bounds(&self) -> ChunkBounds {
        block_bounds(self.cx.catalog)
    }

    pub(super) fn in_chunk(&self, bounds: ChunkBounds) -> Sql {
        in_blocks(bounds, self.cx.catalog.block_size, &sql!("ctid"))
    }
}

/// How a chunk of blocks is bound on this server.
fn block_bounds(catalog: &Catalog) -> ChunkBounds {
    if catalog.major() >= 14 { ChunkBounds::TidRange } else { ChunkBounds::TidList }
}

/// Sets this in the rows of each relation where the condition holds.
pub(in crate::plan) fn sweep_units(
    catalog: &Catalog,
    table: &Table,
    relations: &[&Table],
    set: &Sql,
    condition: &Sql,
) -> Vec<BackfillUnit> {
    let (bounds, due) = (block_bounds(catalog), due(catalog, condition));
    let unit = |relation: &&Table| BackfillUnit {
        relation: relation.name.clone(),
        statement: sql!("UPDATE ONLY {} SET {} WHERE {}", relation.name, set, due),
        locate: locate(table, relation),
        bounds,
        stripes: stripes(relation),
        estimated_rows: relation.estimated_rows,
        keys: None,
    };
    relations.iter().map(unit).collect()
}

/// Counts the rows of each relation that differ, and names the first.
pub(in crate::plan) fn count_units(
    catalog: &Catalog,
    table: &Table,
    relations: &[&Table],
    differs: &Sql,
) -> Vec<VerifyUnit> {
    let bounds = block_bounds(catalog);
    let in_chunk = in_blocks(bounds, catalog.block_size, &sql!("ctid"));
    let key = row_key(table);
    let unit = |relation: &&Table| VerifyUnit {
        relation: relation.name.clone(),
        query: sql!(
            "SELECT count(*), count(*) FILTER (WHERE {}), (array_agg({}) FILTER (WHERE {}))[1:5] FROM ONLY {} WHERE {}",
            differs,
            key,
            differs,
            relation.name,
            in_chunk
        ),
        locate: locate(table, relation),
        bounds,
        estimated_rows: relation.estimated_rows,
    };
    relations.iter().map(unit).collect()
}

/// Whether a row, by its `ctid`, stands in the chunk.
pub(in crate::plan) fn in_blocks(bounds: ChunkBounds, block_size: u32, ctid: &Sql) -> Sql {
    let in_range = in_range(bounds, block_size, ctid);
    match in_stripe(bounds, ctid) {
        Some(in_stripe) => sql!("{} AND ({})", in_range, in_stripe),
        None => in_range,
    }
}

/// Whether a row stands in the blocks of the chunk, and, where TIDs are listed, in its stripe.
fn in_range(bounds: ChunkBounds, block_size: u32, ctid: &Sql) -> Sql {
    match bounds {
        ChunkBounds::TidRange => sql!("{} >= ($1::text)::tid AND {} < ($2::text)::tid", ctid, ctid),
        // Before 14 there is no TID range scan; the TIDs that a block can hold are written out.
        ChunkBounds::TidList | ChunkBounds::Keys => sql!(
            "{} = ANY (ARRAY(SELECT format('(%s,%s)', b, o)::tid FROM generate_series($1::int8, $2::int8 - 1) AS b, generate_series(1, {}) AS o WHERE $3::int4 = 1 OR o % $3::int4 = $4::int4))",
            ctid,
            crate::sql::Number(line_pointers(block_size) as i64)
        ),
    }
}

/// More than a block has line pointers: a row takes a header and a pointer at least.
pub(in crate::plan) fn line_pointers(block_size: u32) -> u64 {
    u64::from(block_size.max(8192) / 28)
}

/// Whether a row of the chunk's blocks is in its stripe, where [`in_range`] does not say that already.
fn in_stripe(bounds: ChunkBounds, ctid: &Sql) -> Option<Sql> {
    match bounds {
        ChunkBounds::TidRange => Some(sql!("$3::int4 = 1 OR {} % $3::int4 = $4::int4", line_pointer(ctid))),
        ChunkBounds::TidList | ChunkBounds::Keys => None,
    }
}

/// Whether a row of the chunk has to be changed.
///
/// A row of another stripe is not looked at: the server is free to try the condition first, and where that fails on the row, no chunk around it
/// would ever succeed. And no index is of use for the condition: each chunk would read all that the index finds, to keep a few rows of it.
fn due(catalog: &Catalog, condition: &Sql) -> Sql {
    let (bounds, ctid) = (block_bounds(catalog), sql!("ctid"));
    let in_range = in_range(bounds, catalog.block_size, &ctid);
    match in_stripe(bounds, &ctid) {
        Some(in_stripe) => sql!("{} AND CASE WHEN {} THEN ({}) IS TRUE ELSE false END", in_range, in_stripe, condition),
        None => sql!("{} AND ({}) IS TRUE", in_range, condition),
    }
}

/// The line pointer of a row on its page. A server has no function for it before PostgreSQL 19; the last two bytes of what a TID is sent as
/// say the same, and cost a tenth of reading its text.
fn line_pointer(ctid: &Sql) -> Sql {
    sql!(
        "(pg_catalog.get_byte(pg_catalog.tidsend({}), 5) + CASE WHEN $3::int4 <= 256 THEN 0 ELSE 256 * pg_catalog.get_byte(pg_catalog.tidsend({}), 4) END)",
        ctid,
        ctid
    )
}

/// What names a row to people: its primary key, else its place.
fn row_key(table: &Table) -> Sql {
    let key = table.key();
    if key.is_empty() {
        return sql!("ctid::text");
    }
    let parts = key
        .into_iter()
        .map(|name| sql!("{} || coalesce({}::text, 'NULL')", Literal(format!("{name}=")), Ident::new(name)));
    Sql::join(parts, " || ', ' || ")
}

pub(in crate::plan) fn locate(table: &Table, leaf: &Table) -> Sql {
    sql!("SELECT {} FROM ONLY {} WHERE ctid = ($1::text)::tid", row_key(table), leaf.name)
}

/// Stripes for a relation: half the rows of a page, from 4 to 16; one where pages have room or hold few rows.
///
/// Source: reference B3.4, measured: with k stripes about 1/k of the rows leave their page.
pub(in crate::plan) fn stripes(table: &Table) -> u32 {
    if table.blocks < 64 || table.fill_factor.is_some_and(|percent| percent <= 60) {
        return 1;
    }
    // Powers of two, which the halves of a stripe are parts of.
    match table.estimated_rows / table.blocks.max(1) {
        0..8 => 1,
        8..16 => 4,
        16..32 => 8,
        _ => 16,
    }
}

/// Dead row versions gone. Cutting off the empty end of a table would take ACCESS EXCLUSIVE.
pub(in crate::plan) fn vacuum(table: &TableName) -> Sql {
    sql!("VACUUM (TRUNCATE false) {}", table)
}

/// Kinds of relation that hold rows in blocks.
pub(crate) fn can_be_swept(table: &Table) -> bool {
    match table.kind {
        TableKind::Table => table.access_method.as_deref().is_none_or(|method| method == "heap"),
        TableKind::Partitioned => true,
        TableKind::View | TableKind::MaterializedView | TableKind::Foreign => false,
    }
}
