//! COMMENT ON a table or a column: on what, to know when it can run and what undoes it.

use pg_query::NodeEnum;
use pg_query::protobuf::ObjectType;

use super::ObjectRef;
use super::ParsedStatement;
use super::statement::object_of_names;
use super::statement::strings;

/// What a COMMENT speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Commented {
    /// A table.
    Table(ObjectRef),
    /// A column of it.
    Column(ObjectRef, String),
}

/// What a COMMENT speaks of. None for other statements, and for comments on anything else.
pub fn commented(statement: &ParsedStatement) -> Option<Commented> {
    let parsed = pg_query::parse(statement.text.as_str(), 0).ok()?;
    let NodeEnum::CommentStmt(comment) = parsed.protobuf.stmts.into_iter().next()?.stmt?.node? else { return None };
    let NodeEnum::List(list) = comment.object.as_ref()?.node.as_ref()? else { return None };
    let mut names = strings(&list.items);
    match comment.objtype() {
        ObjectType::ObjectTable => object_of_names(&names).map(Commented::Table),
        ObjectType::ObjectColumn => {
            let column = names.pop()?;
            object_of_names(&names).map(|table| Commented::Column(table, column))
        }
        _ => None,
    }
}
