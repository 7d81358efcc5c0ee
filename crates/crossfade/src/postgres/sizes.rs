//! How big tables are, and who gets the log. Any role may ask, and nothing waits for long: a table that is locked is taken by what the catalog
//! says of its rows.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crossfade_core::catalog::Catalog;
use crossfade_core::runbook::TableSize;
use crossfade_core::sql::TableName;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::store::finish;
use crate::error::Doing as _;
use crate::error::Result;

/// `pg_table_size` waits for an ACCESS EXCLUSIVE lock.
const BEGIN: &str = "BEGIN READ ONLY; SET LOCAL lock_timeout = '1s'";

const SIZES: &str = "
    SELECT n.nspname::text, c.relname::text, pg_catalog.pg_table_size(c.oid), pg_catalog.pg_indexes_size(c.oid)
      FROM unnest($1, $2) AS asked(schema, name)
      JOIN pg_catalog.pg_namespace AS n ON n.nspname = asked.schema
      JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = asked.name
     WHERE c.relkind IN ('r', 'm')";

/// Receivers of the log without those that decode it; slots that decode it; the database's size, which takes the right to connect.
const RECEIVERS: &str = "
    SELECT (SELECT count(*) FROM pg_catalog.pg_stat_replication AS r
             WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_replication_slots AS s
                                WHERE s.slot_type = 'logical' AND s.active_pid = r.pid)),
           (SELECT count(*) FROM pg_catalog.pg_replication_slots
             WHERE slot_type = 'logical' AND database = pg_catalog.current_database()),
           pg_catalog.pg_database_size(pg_catalog.current_database())";

/// Who gets the log, and the database's size.
pub(crate) struct Receivers {
    pub replicas: u32,
    pub logical_slots: u32,
    pub database_bytes: u64,
}

/// The sizes of these tables, as far as they are there; of a partitioned one, those of its leaves together.
pub(crate) async fn sizes(client: &Client, catalog: &Catalog, names: &BTreeSet<TableName>) -> Result<Vec<TableSize>> {
    let asked: Vec<_> = names.iter().filter_map(|name| catalog.table(name)).collect();
    let relations: BTreeSet<&TableName> =
        asked.iter().flat_map(|table| catalog.tree(table)).map(|table| &table.name).collect();
    let measured = measure(client, &relations).await?;
    let size = |table: &&crossfade_core::catalog::Table| {
        let each = catalog.leaves(table).into_iter().map(|leaf| match measured.get(&leaf.name) {
            Some(sizes) => *sizes,
            None => (leaf.blocks * u64::from(catalog.block_size), 0),
        });
        let (heap, indexes) = each.fold((0, 0), |(heap, indexes), one| (heap + one.0, indexes + one.1));
        TableSize { table: table.name.clone(), rows: table.estimated_rows, heap, indexes }
    };
    Ok(asked.iter().map(size).collect())
}

async fn measure(client: &Client, names: &BTreeSet<&TableName>) -> Result<BTreeMap<TableName, (u64, u64)>> {
    let doing = "read the tables' sizes";
    let schemas: Vec<&str> = names.iter().map(|name| name.schema.as_str()).collect();
    let relations: Vec<&str> = names.iter().map(|name| name.name.as_str()).collect();
    client.batch_execute(BEGIN).await.doing(doing)?;
    let read = client.query_typed(SIZES, &[(&schemas, Type::TEXT_ARRAY), (&relations, Type::TEXT_ARRAY)]).await;
    let locked = |error: &tokio_postgres::Error| error.as_db_error().is_some();
    let rows = match read {
        Err(error) if locked(&error) => {
            tracing::debug!(%error, "the sizes are taken from the catalog");
            finish(client, Ok(()), doing).await?;
            Vec::new()
        }
        other => finish(client, other.doing(doing), doing).await?,
    };
    let size = |row: &tokio_postgres::Row| {
        let bytes = |at: usize| u64::try_from(row.get::<_, Option<i64>>(at).unwrap_or_default()).unwrap_or_default();
        (TableName::new(row.get::<_, String>(0), row.get::<_, String>(1)), (bytes(2), bytes(3)))
    };
    Ok(rows.iter().map(size).collect())
}

/// Who gets the log.
pub(crate) async fn receivers(client: &Client) -> Result<Receivers> {
    let row = client.query_typed_one(RECEIVERS, &[]).await.doing("read who gets the log")?;
    let count = |at: usize| u32::try_from(row.get::<_, i64>(at)).unwrap_or_default();
    Ok(Receivers {
        replicas: count(0),
        logical_slots: count(1),
        database_bytes: u64::try_from(row.get::<_, i64>(2)).unwrap_or_default(),
    })
}
