//! Where the value of a column comes from, as SQL over the number of a row.

use crossfade_core::sql;
use crossfade_core::sql::Ident;
use crossfade_core::sql::Number;
use crossfade_core::sql::Sql;
use crossfade_core::sql::TableName;

use super::formula::Formula;
use super::formula::one_of;
use super::shape::Shape;

/// A number for a formula, made from that of the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// That of the row: each its own.
    Alone,
    /// One of so many, strewn.
    Strewn(u64),
    /// A digit of the row's number: it, divided by the first, below the second. So several columns together are unique.
    Digit(u64, u64),
}

/// Where a value comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// The server: an identity, a sequence, an expression.
    Itself,
    /// A formula.
    Made { formula: Formula, feed: Feed, nulls: f64, common: Option<(Vec<String>, f64)> },
    /// A column of the row that a foreign key points to: which key, which column.
    Parent(usize, Ident),
    /// Nothing.
    Null,
}

/// A foreign key that is followed.
#[derive(Clone, Debug)]
pub struct Parent {
    /// The table that it points to.
    pub table: TableName,
    /// Its columns that are pointed to.
    pub columns: Vec<Ident>,
    /// Which of its rows.
    pub feed: Feed,
    /// The share of rows that point to nothing.
    pub nulls: f64,
}

impl Feed {
    /// The number, from that of the row; `salt` keeps columns apart.
    pub fn number(self, row: &Sql, salt: usize) -> Sql {
        match self {
            Feed::Alone => row.clone(),
            Feed::Digit(divide, below) => {
                sql!("({} / {} % {})", row, Number(divide as i64), Number(below.max(1) as i64))
            }
            Feed::Strewn(below) => sql!("({} % {})", strewn(row, salt), Number(below.max(1) as i64)),
        }
    }
}

/// A number from 0 on that is as good as by chance, and the same each time.
fn strewn(row: &Sql, salt: usize) -> Sql {
    sql!("pg_catalog.abs(pg_catalog.hashint8({} * 64 + {})::bigint)", row, Number(salt as i64))
}

/// A value, or NULL in this share of the rows.
fn or_null(value: Sql, share: f64, row: &Sql, salt: usize) -> Sql {
    let of_thousand = (share * 1000.0).round() as i64;
    if of_thousand == 0 {
        return value;
    }
    sql!("CASE WHEN {} % 1000 < {} THEN NULL ELSE {} END", strewn(row, salt + 32_000), Number(of_thousand), value)
}

impl Source {
    /// The value for a row's number; none where the server gives it. A parent's row goes by the name that [`parent_name`] has for it.
    pub fn value(&self, shape: &Shape, row: &Sql, salt: usize) -> Option<Sql> {
        match self {
            Source::Itself => None,
            Source::Null => Some(sql!("NULL::{}", shape.type_name)),
            Source::Parent(at, column) => Some(sql!("{}.{}", parent_name(*at), column)),
            Source::Made { formula, feed, nulls, common } => {
                let value = formula.sql(shape, &feed.number(row, salt))?;
                let value = match common {
                    None => value,
                    Some((values, share)) => sql!(
                        "CASE WHEN {} % 1000 < {} THEN {}::{} ELSE {} END",
                        strewn(row, salt + 48_000),
                        Number((share * 1000.0) as i64),
                        one_of(values, &strewn(row, salt + 56_000)),
                        shape.type_name,
                        value
                    ),
                };
                Some(or_null(value, *nulls, row, salt))
            }
        }
    }
}

/// What the rows of a parent are called while they are pointed to.
pub fn parent_name(at: usize) -> Ident {
    Ident::new(format!("crossfade_parent_{at}"))
}

impl Parent {
    /// The number of its row that a row points to.
    pub fn row(&self, row: &Sql, salt: usize) -> Sql {
        or_null(self.feed.number(row, salt), self.nulls, row, salt)
    }
}
