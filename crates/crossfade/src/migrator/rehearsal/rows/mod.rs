//! Rows that are made up: as many as are wanted, of the right types, with what the statistics say of NULL and of different values, and so that keys,
//! foreign keys and checks hold. A table for which that can't be done stays empty, and why is said.
//!
//! All values are made on the scratch server, from numbers. Not here: rows of the real database; they are never copied.

mod choose;
mod formula;
mod shape;
mod source;

use std::collections::BTreeMap;

use crossfade_core::catalog::Catalog;
use crossfade_core::catalog::ConstraintKind;
use crossfade_core::catalog::Table;
use crossfade_core::catalog::TableKind;
use crossfade_core::sql;
use crossfade_core::sql::DollarQuoted;
use crossfade_core::sql::Ident;
use crossfade_core::sql::Number;
use crossfade_core::sql::Sql;
use crossfade_core::sql::TableName;
use tokio_postgres::Client;

pub use self::choose::Kitchen;
pub use self::choose::Recipe;
pub use self::choose::can_be;
pub use self::shape::Place;
pub use self::shape::Statistics;
pub use self::shape::checks;
pub use self::shape::shapes;
pub use self::shape::statistics;
pub use self::source::Source;
use self::source::parent_name;
use crate::error::Doing as _;
use crate::error::Result;
use crate::report::RehearsedTable;

/// Rows that have to be tried one by one are no more than this.
const ONE_BY_ONE: u64 = 5_000;

/// A row that is tried one by one may be refused so often for each that is taken.
const TRIES: u64 = 10;

/// With not one row taken of so many, the table stays empty.
const HOPELESS: i64 = 300;

/// What is made of a table's rows.
#[derive(Clone, Debug)]
pub struct Filled {
    /// How they are made; none where they can't be.
    pub recipe: Option<Recipe>,
    /// The table.
    pub table: TableName,
    /// What is told of it.
    pub told: RehearsedTable,
}

/// Fills every table, parents first. `wanted` says how many rows each is to have.
///
/// # Errors
///
/// When the scratch server can't be asked. A table that can't be filled is in what is returned.
pub async fn fill(kitchen: &Kitchen<'_>, wanted: &(dyn Fn(&Table) -> u64 + Sync)) -> Result<Vec<Filled>> {
    let mut made: BTreeMap<TableName, u64> = BTreeMap::new();
    let mut filled = Vec::new();
    for table in in_order(kitchen.catalog) {
        let asked = wanted(table);
        let one = match kitchen.recipe(table, asked, &made).await {
            Ok(recipe) => {
                let (rows, why) = if asked == 0 { (0, None) } else { sow(kitchen.client, &recipe, asked).await? };
                Filled { table: table.name.clone(), recipe: Some(recipe), told: told(table, rows, why) }
            }
            Err(why) => Filled { table: table.name.clone(), recipe: None, told: told(table, 0, Some(why)) },
        };
        made.insert(table.name.clone(), one.told.rows);
        filled.push(one);
    }
    kitchen.client.batch_execute("ANALYZE").await.doing("analyze the scratch database")?;
    Ok(filled)
}

/// How rows would be made, without making any. Foreign keys point to nothing.
pub async fn recipes(kitchen: &Kitchen<'_>) -> BTreeMap<TableName, Recipe> {
    let made: BTreeMap<TableName, u64> =
        kitchen.catalog.tables.iter().map(|table| (table.name.clone(), 1_000_000)).collect();
    let mut found = BTreeMap::new();
    for table in in_order(kitchen.catalog) {
        if let Ok(recipe) = kitchen.recipe(table, 1_000_000, &made).await {
            found.insert(table.name.clone(), recipe);
        }
    }
    found
}

fn told(table: &Table, rows: u64, why: Option<String>) -> RehearsedTable {
    RehearsedTable { table: table.name.to_string(), real_rows: None, rows, why }
}

/// Tables that hold rows by a name of their own: what a table points to comes in front of it, as far as that can be.
fn in_order(catalog: &Catalog) -> Vec<&Table> {
    let is_filled = |table: &&Table| {
        matches!(table.kind, TableKind::Table | TableKind::Partitioned) && table.partition_of.is_none()
    };
    let mut left: Vec<&Table> = catalog.tables.iter().filter(is_filled).collect();
    let mut order: Vec<&Table> = Vec::new();
    while !left.is_empty() {
        let is_there = |name: &TableName| !left.iter().any(|table| table.name == *name);
        let waits = |table: &Table, must: bool| {
            table.constraints.iter().filter(|key| key.kind == ConstraintKind::ForeignKey).any(|key| {
                let column = |name: &String| table.column(name).is_some_and(|column| column.not_null);
                let counts = !must || key.columns.iter().all(column);
                counts && key.references.as_ref().is_some_and(|parent| *parent != table.name && !is_there(parent))
            })
        };
        // In a ring of foreign keys, one that can be NULL is left for last.
        let next = left.iter().position(|table| !waits(table, false));
        let next = next.or_else(|| left.iter().position(|table| !waits(table, true))).unwrap_or(0);
        order.push(left.remove(next));
    }
    order
}

/// Makes rows. Returns how many there are, and why there are fewer than were asked for.
async fn sow(client: &Client, recipe: &Recipe, asked: u64) -> Result<(u64, Option<String>)> {
    let wanted = asked.min(recipe.most);
    let few = (wanted < asked).then(|| format!("its keys have no more than {wanted} values that can be made up"));
    for (at, parent) in recipe.parents.iter().enumerate() {
        let columns = Sql::join(parent.columns.iter().map(|column| sql!("{}", column)), ", ");
        let name = parent_name(at);
        let make = sql!(
            "DROP TABLE IF EXISTS pg_temp.{}; \
             CREATE TEMP TABLE {} AS SELECT pg_catalog.row_number() OVER (ORDER BY {}) - 1 AS \"crossfade_row\", {} FROM {}; \
             CREATE UNIQUE INDEX ON pg_temp.{} (\"crossfade_row\"); ANALYZE pg_temp.{}",
            name,
            name,
            columns,
            columns,
            parent.table,
            name,
            name
        );
        client.batch_execute(make.as_str()).await.doing("look up the rows that are pointed to")?;
    }
    // Where columns must go together, some of the rows do not: others are taken in their place.
    let numbers = if recipe.conditions.is_empty() || !recipe.fresh { wanted } else { wanted.saturating_mul(TRIES) };
    let numbers = sql!("pg_catalog.generate_series(0::bigint, {}) AS \"made\"(\"g\")", Number(numbers as i64 - 1));
    let all_at_once = insert(recipe, &numbers, wanted);
    let result = match client.execute(all_at_once.as_str(), &[]).await {
        Ok(rows) if rows < wanted => {
            (rows, few.or_else(|| Some("its checks refuse the others that were made up".to_owned())))
        }
        Ok(rows) => (rows, few),
        Err(error) if error.as_db_error().is_some() => one_by_one(client, recipe, wanted).await?,
        Err(error) => return Err(error).doing("make up rows"),
    };
    for at in 0..recipe.parents.len() {
        let drop = sql!("DROP TABLE pg_temp.{}", parent_name(at));
        client.batch_execute(drop.as_str()).await.doing("forget the rows that were pointed to")?;
    }
    Ok(result)
}

/// The statement that makes rows from numbers.
fn insert(recipe: &Recipe, numbers: &Sql, most: u64) -> Sql {
    let row = sql!("\"made\".\"g\"");
    let mut names = Vec::new();
    let mut values = Vec::new();
    for (salt, (shape, source)) in recipe.columns.iter().enumerate() {
        if let Some(value) = source.value(shape, &row, salt) {
            names.push(sql!("{}", shape.name));
            values.push(sql!("{} AS {}", value, shape.name));
        }
    }
    let joins = recipe.parents.iter().enumerate().map(|(at, parent)| {
        let name = parent_name(at);
        sql!(" LEFT JOIN pg_temp.{} ON {}.\"crossfade_row\" = {}", name, name, parent.row(&row, at + 1000))
    });
    let joins = Sql::join(joins, "");
    if names.is_empty() {
        // Every column has its value by itself.
        return sql!("INSERT INTO {} SELECT FROM {}", recipe.table, numbers);
    }
    sql!(
        "INSERT INTO {} ({}) SELECT * FROM (SELECT {} FROM {}{}) AS \"row\" WHERE {} LIMIT {}",
        recipe.table,
        Sql::join(names, ", "),
        Sql::join(values, ", "),
        numbers,
        joins,
        conditions(recipe),
        Number(most as i64)
    )
}

fn conditions(recipe: &Recipe) -> Sql {
    Sql::join(std::iter::once(sql!("true")).chain(recipe.conditions.iter().cloned()), " AND ")
}

/// Each row for itself, with others in the place of those that are refused.
async fn one_by_one(client: &Client, recipe: &Recipe, asked: u64) -> Result<(u64, Option<String>)> {
    let wanted = asked.min(ONE_BY_ONE);
    let one = insert(recipe, &sql!("(SELECT tried::bigint) AS \"made\"(\"g\")"), 1);
    let body = sql!(
        "DECLARE tried bigint := 0; taken bigint := 0; said text := ''; \
         BEGIN \
             WHILE taken < {} AND tried < {} LOOP \
                 BEGIN {}; IF FOUND THEN taken := taken + 1; END IF; EXCEPTION WHEN OTHERS THEN said := SQLERRM; END; \
                 tried := tried + 1; \
                 EXIT WHEN taken = 0 AND tried >= {}; \
             END LOOP; \
             PERFORM pg_catalog.set_config('crossfade.taken', taken::text, false), pg_catalog.set_config('crossfade.said', said, false); \
         END",
        Number(wanted as i64),
        Number((wanted * TRIES) as i64),
        one,
        Number(HOPELESS)
    );
    let run = sql!("DO {}", DollarQuoted(body));
    client.batch_execute(run.as_str()).await.doing(&format!("make up rows of {}", recipe.table))?;
    let query = "SELECT current_setting('crossfade.taken')::bigint, current_setting('crossfade.said')";
    let row = client.query_typed_one(query, &[]).await.doing("count the rows that were made up")?;
    let (taken, said): (i64, String) = (row.get(0), row.get(1));
    let taken = u64::try_from(taken).unwrap_or_default();
    Ok((taken, (taken < asked).then_some(said)))
}

/// Values for rows that are not there yet: one list for each column that is given a value, in the order of the recipe; with the positions of columns that
/// take theirs from a parent, and which column of it.
pub async fn fresh(client: &Client, recipe: &Recipe, from: i64, many: i64) -> Result<Fresh> {
    let row = sql!("\"made\".\"g\"");
    let mut columns = Vec::new();
    let (mut values, mut texts) = (Vec::new(), Vec::new());
    for (salt, (shape, source)) in recipe.columns.iter().enumerate() {
        match source {
            Source::Parent(..) => columns.push((shape.name.clone(), source.clone())),
            Source::Itself | Source::Null | Source::Made { .. } => {
                if let Some(value) = source.value(shape, &row, salt) {
                    columns.push((shape.name.clone(), source.clone()));
                    values.push(sql!("({})::{} AS {}", value, shape.type_name, shape.name));
                    texts.push(sql!("{}::text", shape.name));
                }
            }
        }
    }
    let mut rows = Vec::new();
    if !values.is_empty() {
        let query = sql!(
            "SELECT {} FROM (SELECT {} FROM pg_catalog.generate_series({}::bigint, {}::bigint) AS \"made\"(\"g\")) AS \"row\" WHERE {}",
            Sql::join(texts, ", "),
            Sql::join(values, ", "),
            Number(from),
            Number(from + many - 1),
            conditions(recipe)
        );
        rows = client.query(query.as_str(), &[]).await.doing("make up values")?;
    }
    let of_row = |row: &tokio_postgres::Row| -> Vec<Option<String>> {
        let mut given = 0;
        let next = |source: &Source| match source {
            Source::Parent(..) => None,
            Source::Itself | Source::Null | Source::Made { .. } => {
                given += 1;
                row.get::<_, Option<String>>(given - 1)
            }
        };
        columns.iter().map(|(_, source)| source).map(next).collect()
    };
    let rows = rows.iter().map(of_row).collect();
    Ok(Fresh { columns, rows })
}

/// Values for rows that are not there yet.
#[derive(Clone, Debug)]
pub struct Fresh {
    /// The columns that are given a value.
    pub columns: Vec<(Ident, Source)>,
    /// The values of each row; none also where they come from a parent.
    pub rows: Vec<Vec<Option<String>>>,
}
