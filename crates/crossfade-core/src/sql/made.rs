//! What a statement makes that expressions further down in the file may use, and that the server does not know before.

use pg_query::NodeEnum;
use pg_query::protobuf;

use super::ParsedStatement;
use super::statement::strings;

/// Something that is not there before the statement has run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    /// A type, a function or a sequence of this name.
    Named(String),
    /// A value of an enum that is there: PostgreSQL lets nobody use it before it is committed.
    EnumValue(String),
    /// An extension: whatever it brings.
    Anything,
}

impl Made {
    /// Whether a text may use it.
    pub fn is_used_in(&self, text: &str) -> bool {
        match self {
            Made::Named(name) => text.contains(name.as_str()),
            Made::EnumValue(value) => text.contains(&format!("'{}'", value.replace('\'', "''"))),
            Made::Anything => true,
        }
    }
}

/// What the statement makes.
pub fn made_by(statement: &ParsedStatement) -> Option<Made> {
    let parsed = pg_query::parse(statement.text.as_str(), 0).ok()?;
    let last = |names: &[protobuf::Node]| strings(names).pop().map(Made::Named);
    match parsed.protobuf.stmts.into_iter().next()?.stmt?.node? {
        NodeEnum::CreateEnumStmt(create) => last(&create.type_name),
        NodeEnum::CreateRangeStmt(create) => last(&create.type_name),
        NodeEnum::CreateDomainStmt(create) => last(&create.domainname),
        NodeEnum::CompositeTypeStmt(create) => create.typevar.map(|name| Made::Named(name.relname)),
        NodeEnum::CreateSeqStmt(create) => create.sequence.map(|name| Made::Named(name.relname)),
        NodeEnum::CreateFunctionStmt(create) => last(&create.funcname),
        NodeEnum::DefineStmt(create) => last(&create.defnames),
        NodeEnum::AlterEnumStmt(alter) if alter.old_val.is_empty() => Some(Made::EnumValue(alter.new_val)),
        NodeEnum::CreateExtensionStmt(_) | NodeEnum::DoStmt(_) => Some(Made::Anything),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(text: &str) -> Option<Made> {
        super::super::parse_file(text).ok().and_then(|file| made_by(&file.statements[0]))
    }

    #[test]
    fn what_a_statement_makes_is_known() {
        let named = |name: &str| Some(Made::Named(name.to_owned()));
        assert_eq!(made("CREATE TYPE s.\"Mood\" AS ENUM ('a')"), named("Mood"));
        assert_eq!(made("CREATE DOMAIN positive AS int"), named("positive"));
        assert_eq!(made("CREATE OR REPLACE FUNCTION s.f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'"), named("f"));
        assert_eq!(made("CREATE EXTENSION citext"), Some(Made::Anything));
        assert_eq!(made("ALTER TYPE mood RENAME VALUE 'a' TO 'b'"), None);
        let value = made("ALTER TYPE mood ADD VALUE IF NOT EXISTS 'it''s' BEFORE 'a'").expect("it adds a value");
        assert!(value.is_used_in("UPDATE t SET m = 'it''s'") && !value.is_used_in("UPDATE t SET m = 'it'"));
    }
}
