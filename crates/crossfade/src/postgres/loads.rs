//! How much tables are used, as the server counts it. Any role may ask.

use std::collections::BTreeMap;

use crossfade_core::catalog::Catalog;
use crossfade_core::lint::Load;
use crossfade_core::sql::TableName;
use tokio_postgres::Client;

use crate::error::Doing as _;
use crate::error::Result;

/// From PostgreSQL 15 on a database has no time of a reset until somebody resets it; then its counters are as old as those of the server as a whole. An
/// hour is the least: right after a reset, or where a table was just filled, a handful of statements would look like a flood.
const LOADS: &str = "
    SELECT u.schemaname::text, u.relname::text,
           ((u.seq_scan + coalesce(u.idx_scan, 0)) / since.seconds)::float8,
           ((u.n_tup_ins + u.n_tup_upd + u.n_tup_del) / since.seconds)::float8
      FROM pg_catalog.pg_stat_user_tables AS u,
           (SELECT greatest(3600, extract(epoch FROM pg_catalog.now() - coalesce(d.stats_reset, least(b.stats_reset, a.stats_reset)))) AS seconds
              FROM pg_catalog.pg_stat_database AS d, pg_catalog.pg_stat_bgwriter AS b, pg_catalog.pg_stat_archiver AS a
             WHERE d.datname = pg_catalog.current_database()) AS since";

/// How much each table is used; a partitioned one as much as its partitions together.
pub(crate) async fn loads(client: &Client, catalog: &Catalog) -> Result<Vec<Load>> {
    let rows = client.query_typed(LOADS, &[]).await.doing("read how much tables are used")?;
    let of = |row: &tokio_postgres::Row| {
        let table = TableName::new(row.get::<_, String>(0), row.get::<_, String>(1));
        (table, (row.get::<_, f64>(2), row.get::<_, f64>(3)))
    };
    let counted: BTreeMap<TableName, (f64, f64)> = rows.iter().map(of).collect();
    let load = |table: &crossfade_core::catalog::Table| {
        let each = catalog.tree(table).into_iter().filter_map(|part| counted.get(&part.name));
        let (scans, writes) = each.fold((0.0, 0.0), |(scans, writes), one| (scans + one.0, writes + one.1));
        Load { table: table.name.clone(), scans, writes }
    };
    Ok(catalog.tables.iter().map(load).collect())
}
