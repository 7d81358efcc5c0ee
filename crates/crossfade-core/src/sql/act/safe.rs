//! A statement as it is written, with the word that makes it safe.

use crate::sql::Sql;
use crate::sql::parse::scan;

/// An `ADD CONSTRAINT` with NOT VALID behind it.
pub fn not_valid(text: &str) -> Sql {
    Sql::from_source(&[text, " NOT VALID"].concat())
}

/// A `CREATE INDEX` with CONCURRENTLY.
pub fn concurrently(text: &str) -> Option<Sql> {
    let tokens = scan(text).ok()?;
    let index = tokens.iter().find(|token| token.token() == pg_query::protobuf::Token::Index)?;
    let (before, behind) = text.split_at_checked(index.end as usize)?;
    Some(Sql::from_source(&[before, " CONCURRENTLY", behind].concat()))
}
