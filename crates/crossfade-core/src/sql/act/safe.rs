//! A statement as it is written, with the word that makes it safe.

use crate::sql;
use crate::sql::Ident;
use crate::sql::Sql;
use crate::sql::parse::scan;

/// An `ADD CONSTRAINT` with NOT VALID behind it.
pub fn not_valid(text: &str) -> Sql {
    Sql::from_source(&[text, " NOT VALID"].concat())
}

/// An `ADD CONSTRAINT` without a name, with this one.
pub fn with_name(text: &str, name: &Ident) -> Option<Sql> {
    let tokens = scan(text).ok()?;
    let add = tokens.iter().find(|token| token.token() == pg_query::protobuf::Token::AddP)?;
    let (before, behind) = text.split_at_checked(add.end as usize)?;
    let named = Sql::join([Sql::from_source(before), sql!(" CONSTRAINT {}", name), Sql::from_source(behind)], "");
    // A table may be called `add`, too.
    pg_query::parse(named.as_str(), 0).is_ok().then_some(named)
}

/// A `CREATE INDEX` with CONCURRENTLY.
pub fn concurrently(text: &str) -> Option<Sql> {
    let tokens = scan(text).ok()?;
    let index = tokens.iter().find(|token| token.token() == pg_query::protobuf::Token::Index)?;
    let (before, behind) = text.split_at_checked(index.end as usize)?;
    Some(Sql::from_source(&[before, " CONCURRENTLY", behind].concat()))
}
