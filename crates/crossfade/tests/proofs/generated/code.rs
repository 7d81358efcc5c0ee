//! What the two versions of an application write, by the schema that each knows, within what both allow.

use super::schema::Column;
use super::schema::Schema;
use super::schema::Table;
use super::value::quoted;

/// Statements of the version that knows `here`, while the other knows `there`. As in the corpus, `:r` stands for a number.
pub fn code(here: &Schema, there: &Schema, draw: u32) -> Vec<String> {
    let mut statements = Vec::new();
    for table in &here.tables {
        let other = there.table(table.id).unwrap_or(table);
        let sql = table.sql();
        if let Some((names, values)) = given(table, other, "1000 + :r") {
            statements.push(format!("INSERT INTO {sql} ({names}) VALUES ({values})"));
        }
        // Some row; on a partitioned table one of each partition at most.
        let one = format!("WHERE ctid IN (SELECT ctid FROM {sql} LIMIT 1 OFFSET {})", draw % 3);
        let is_bound = |column: &Column| {
            [table, other].iter().any(|table| table.is_unique(column.id) || table.references(column.id))
        };
        let free: Vec<&Column> = table
            .columns
            .iter()
            .filter(|column| !column.automatic && !is_bound(column) && column.name != "id")
            .collect();
        for at in [draw as usize, draw as usize / 8] {
            if let Some(column) = free.get(at % free.len().max(1)) {
                let value = written(column, other, draw);
                statements.push(format!("UPDATE {sql} SET {} = {value} {one}", quoted(&column.name)));
            }
        }
        if !here.is_referenced(table.id) && !there.is_referenced(table.id) && draw.is_multiple_of(2) {
            statements.push(format!("DELETE FROM {sql} {one}"));
        }
    }
    statements
}

/// A value that both forms of the column take.
fn written(column: &Column, other: &Table, draw: u32) -> String {
    match !must(column, other) && draw % 5 == 4 {
        true => "NULL".to_owned(),
        false => kind(column, other).written(draw).to_owned(),
    }
}

/// Whether either form of the column takes no NULL.
fn must(column: &Column, other: &Table) -> bool {
    column.not_null || column.never_null || other.column(column.id).is_some_and(|other| other.not_null)
}

/// The kind of the narrower form: what it takes is written in a way that the other takes, too.
fn kind(column: &Column, other: &Table) -> super::value::Kind {
    let other = other.column(column.id).map_or(column.kind, |other| other.kind);
    if column.kind.words() && !other.words() { other } else { column.kind }
}

/// Columns and values of a new row, or nothing where a row needs what can't be made up.
pub fn given(table: &Table, other: &Table, number: &str) -> Option<(String, String)> {
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for column in table.columns.iter().filter(|column| !column.automatic) {
        let must = must(column, other);
        let value = if table.references(column.id) || other.references(column.id) {
            if must {
                return None;
            }
            "NULL".to_owned()
        } else if table.is_unique(column.id) || other.is_unique(column.id) {
            kind(column, other).unique(number)?
        } else {
            kind(column, other).written(column.id as u32).to_owned()
        };
        // Some columns are left to the server.
        if must || column.id % 3 != 0 {
            names.push(quoted(&column.name));
            values.push(value);
        }
    }
    (!names.is_empty()).then(|| (names.join(", "), values.join(", ")))
}
