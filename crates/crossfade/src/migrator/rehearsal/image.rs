//! The rows of tables as they stand at a moment, each by its key and a checksum, over the columns that the old version knows.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crossfade_core::sql;
use crossfade_core::sql::Ident;
use crossfade_core::sql::Sql;
use crossfade_core::sql::TableName;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::stats::Written;
use crate::error::Doing as _;
use crate::error::Result;
use crate::report::ChangedRows;

/// A table as one version of the application sees it.
#[derive(Clone, Debug)]
pub struct Tracked {
    /// The table.
    pub name: TableName,
    /// The columns that tell its rows apart; empty where nothing does.
    pub key: Vec<Ident>,
    /// All columns.
    pub columns: Vec<Ident>,
}

/// Rows by key, with their checksums.
pub type Image = Vec<BTreeMap<String, String>>;

impl Tracked {
    fn row(columns: &[Ident]) -> Sql {
        sql!("ROW({})::text", Sql::join(columns.iter().map(|column| sql!("{}", column)), ", "))
    }

    /// The key as text, as the server writes a row.
    pub fn key_text(&self) -> Sql {
        Tracked::row(&self.key)
    }
}

/// The tables as they stand.
pub async fn take(client: &Client, tables: &[Option<Tracked>]) -> Result<Image> {
    let mut image = Vec::new();
    for table in tables {
        let Some(table) = table else {
            image.push(BTreeMap::new());
            continue;
        };
        let checksum = sql!("pg_catalog.md5({})", Tracked::row(&table.columns));
        // Without a key, equal rows are told apart by their number only.
        let query = if table.key.is_empty() {
            sql!(
                "SELECT \"sum\" || '-' || pg_catalog.row_number() OVER (PARTITION BY \"sum\"), \"sum\" FROM (SELECT {} AS \"sum\" FROM {}) AS \"all\"",
                checksum,
                table.name
            )
        } else {
            sql!("SELECT {}, {} FROM {}", table.key_text(), checksum, table.name)
        };
        let doing = format!("read the rows of {}", table.name);
        let rows = client.query_typed(query.as_str(), &[]).await.doing(&doing)?;
        image.push(rows.iter().map(|row| (row.get(0), row.get(1))).collect());
    }
    Ok(image)
}

/// Tables whose rows are not what they were, those aside that were written meanwhile; with a line for the first few of them.
pub fn changed(
    tables: &[Option<Tracked>],
    before: &Image,
    now: &Image,
    written: &Written,
) -> (Vec<ChangedRows>, Vec<String>) {
    let (mut found, mut lines) = (Vec::new(), Vec::new());
    for (at, (table, (before, now))) in tables.iter().zip(before.iter().zip(now)).enumerate() {
        let Some(table) = table else { continue };
        let is_written = |key: &String| written.contains_key(&(at, key.clone()));
        let keys: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
        let wrong: Vec<&String> =
            keys.into_iter().filter(|key| before.get(*key) != now.get(*key) && !is_written(key)).collect();
        if let Some(first) = wrong.first() {
            let what = match (before.get(*first), now.get(*first)) {
                (Some(_), None) => "is gone",
                (None, _) => "has come",
                (Some(_), Some(_)) => "holds something else",
            };
            let row = if table.key.is_empty() { "a row".to_owned() } else { format!("row {first}") };
            lines.push(format!("{} rows of {} are not what they were: {row} {what}", wrong.len(), table.name));
            found.push(ChangedRows {
                table: table.name.to_string(),
                before: before.len() as i64,
                after: now.len() as i64,
            });
        }
    }
    (found, lines)
}

/// Writes that are gone: rows that are not there, and columns that do not hold what was written last. One line for the first few of each table.
pub async fn lost(client: &Client, tables: &[Option<Tracked>], written: &Written) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for (at, table) in tables.iter().enumerate() {
        let Some(table) = table else { continue };
        let mine: Vec<(&String, &BTreeMap<String, Option<String>>)> =
            written.iter().filter(|((of, _), _)| *of == at).map(|((_, key), values)| (key, values)).collect();
        if mine.is_empty() || table.key.is_empty() {
            continue;
        }
        let texts = table.columns.iter().map(|column| sql!("{}::text", column));
        let query = sql!(
            "SELECT {}, ARRAY[{}]::text[] FROM {} WHERE {} = ANY ($1)",
            table.key_text(),
            Sql::join(texts, ", "),
            table.name,
            table.key_text()
        );
        let keys: Vec<&String> = mine.iter().map(|(key, _)| *key).collect();
        let doing = format!("read again what was written to {}", table.name);
        let rows = client.query_typed(query.as_str(), &[(&keys, Type::TEXT_ARRAY)]).await.doing(&doing)?;
        let there: BTreeMap<String, Vec<Option<String>>> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let mut wrong = Vec::new();
        for (key, values) in mine {
            let Some(row) = there.get(key) else {
                wrong.push(format!("row {key} is gone"));
                continue;
            };
            for (column, value) in values {
                let position = table.columns.iter().position(|known| known.as_str() == column);
                let (Some(value), Some(position)) = (value, position) else { continue };
                if row.get(position).and_then(Option::as_ref) != Some(value) {
                    let holds = row.get(position).and_then(Option::as_ref).map_or("NULL", String::as_str);
                    wrong.push(format!("{column} of row {key} should hold {value:?} and holds {holds:?}"));
                }
            }
        }
        if let Some(first) = wrong.first() {
            let many = if wrong.len() == 1 { "1 write".to_owned() } else { format!("{} writes", wrong.len()) };
            lines.push(format!("{many} to {} lost: {first}", table.name));
        }
    }
    Ok(lines)
}
