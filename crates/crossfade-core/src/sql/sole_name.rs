//! RENAME of what can have one name only: nothing stands in for it under another one.

use pg_query::NodeEnum;

use super::ObjectRef;
use super::ParsedStatement;
use super::statement::object_of_names;
use super::statement::strings;

/// What gets another name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SoleName {
    /// A value of an enum.
    Value {
        /// The enum.
        of: ObjectRef,
        /// The value.
        from: String,
        /// Its new name.
        to: String,
    },
}

/// What a statement gives another name to. None for other statements.
pub fn sole_name(statement: &ParsedStatement) -> Option<SoleName> {
    let parsed = pg_query::parse(statement.text.as_str(), 0).ok()?;
    match parsed.protobuf.stmts.into_iter().next()?.stmt?.node? {
        NodeEnum::AlterEnumStmt(alter) if !alter.old_val.is_empty() => Some(SoleName::Value {
            of: object_of_names(&strings(&alter.type_name))?,
            from: alter.old_val,
            to: alter.new_val,
        }),
        _ => None,
    }
}
