//! From the parser's tree to the kind of a statement.

use pg_query::NodeEnum;
use pg_query::protobuf;
use pg_query::protobuf::ObjectType;
use pg_query::protobuf::TransactionStmtKind;

use super::ObjectRef;
use super::StatementKind;
use super::TransactionControl;
use super::object;
use super::object_of_names;
use super::rest::other_statement;
use super::strings;
use super::table::alter_table;
use super::table::create_index;
use super::table::create_table;
use super::table::update_statement;
use crate::lock::LockMode;
use crate::sql::whole;

fn dropped_object(node: &protobuf::Node) -> Option<ObjectRef> {
    match node.node.as_ref()? {
        NodeEnum::List(list) => object_of_names(&strings(&list.items)),
        NodeEnum::TypeName(type_name) => object_of_names(&strings(&type_name.names)),
        NodeEnum::ObjectWithArgs(function) => object_of_names(&strings(&function.objname)),
        _ => None,
    }
}

/// Tells what a parsed statement is.
pub(in crate::sql) fn classify(node: &NodeEnum) -> StatementKind {
    let mut kind = kind_of(node);
    if let StatementKind::Other { undo, .. } = &mut kind
        && undo.is_none()
    {
        *undo = crate::sql::undo::undo(node);
    }
    kind
}

fn kind_of(node: &NodeEnum) -> StatementKind {
    match node {
        NodeEnum::AlterTableStmt(alter) if alter.objtype() == ObjectType::ObjectTable => alter_table(alter),
        NodeEnum::RenameStmt(rename) => whole::rename_statement(rename).unwrap_or_else(|| rename_statement(rename)),
        NodeEnum::IndexStmt(index) => create_index(index),
        NodeEnum::DropStmt(drop) if drop.remove_type() == ObjectType::ObjectIndex => StatementKind::DropIndex {
            names: drop.objects.iter().filter_map(dropped_object).collect(),
            if_exists: drop.missing_ok,
            cascade: drop.behavior() == protobuf::DropBehavior::DropCascade,
        },
        NodeEnum::DropStmt(drop) => whole::drop_statement(drop).unwrap_or_else(|| other_statement(node)),
        NodeEnum::AlterObjectSchemaStmt(alter) => {
            whole::schema_statement(alter).unwrap_or_else(|| other_statement(node))
        }
        NodeEnum::UpdateStmt(update) => StatementKind::Update(update_statement(update)),
        NodeEnum::CreateStmt(create) => create_table(create),
        NodeEnum::TransactionStmt(transaction) => StatementKind::Transaction(match transaction.kind() {
            TransactionStmtKind::TransStmtBegin | TransactionStmtKind::TransStmtStart => TransactionControl::Begin,
            TransactionStmtKind::TransStmtCommit if !transaction.chain => TransactionControl::Commit,
            TransactionStmtKind::TransStmtSavepoint
            | TransactionStmtKind::TransStmtRelease
            | TransactionStmtKind::TransStmtRollbackTo => TransactionControl::Savepoint,
            _ => TransactionControl::Other,
        }),
        NodeEnum::CopyStmt(copy) if copy.is_from && copy.filename.is_empty() && !copy.is_program => {
            StatementKind::CopyFromStdin { table: object(copy.relation.as_ref()) }
        }
        other => match not_in_transaction(other) {
            Some(what) => {
                let repeatable = matches!(what, "VACUUM" | "REINDEX" | "CLUSTER" | "ALTER SYSTEM" | "DISCARD");
                StatementKind::NotInTransaction { what, repeatable, touches: touched_outside(other) }
            }
            None => other_statement(other),
        },
    }
}

/// Statements that the server refuses inside of a transaction block (25001). Source: measured, reference E3.
fn not_in_transaction(node: &NodeEnum) -> Option<&'static str> {
    match node {
        NodeEnum::VacuumStmt(vacuum) if vacuum.is_vacuumcmd => Some("VACUUM"),
        NodeEnum::CreatedbStmt(_) => Some("CREATE DATABASE"),
        NodeEnum::DropdbStmt(_) => Some("DROP DATABASE"),
        NodeEnum::CreateTableSpaceStmt(_) => Some("CREATE TABLESPACE"),
        NodeEnum::DropTableSpaceStmt(_) => Some("DROP TABLESPACE"),
        NodeEnum::AlterSystemStmt(_) => Some("ALTER SYSTEM"),
        NodeEnum::DiscardStmt(_) => Some("DISCARD"),
        NodeEnum::CreateSubscriptionStmt(_) => Some("CREATE SUBSCRIPTION"),
        NodeEnum::DropSubscriptionStmt(_) => Some("DROP SUBSCRIPTION"),
        NodeEnum::ClusterStmt(cluster) if cluster.relation.is_none() => Some("CLUSTER"),
        NodeEnum::ReindexStmt(reindex) => {
            let concurrent = reindex.params.iter().any(|param| match param.node.as_ref() {
                Some(NodeEnum::DefElem(element)) => element.defname == "concurrently",
                _ => false,
            });
            let whole = !matches!(
                reindex.kind(),
                protobuf::ReindexObjectType::ReindexObjectIndex | protobuf::ReindexObjectType::ReindexObjectTable
            );
            (concurrent || whole).then_some("REINDEX")
        }
        _ => None,
    }
}

fn rename_statement(rename: &protobuf::RenameStmt) -> StatementKind {
    let table = object(rename.relation.as_ref());
    match rename.rename_type() {
        ObjectType::ObjectColumn if rename.relation_type() == ObjectType::ObjectTable => StatementKind::RenameColumn {
            table,
            from: rename.subname.clone(),
            to: rename.newname.clone(),
            if_exists: rename.missing_ok,
        },
        ObjectType::ObjectTabconstraint => other("RENAME CONSTRAINT", vec![(table, LockMode::AccessExclusive)], None),
        ObjectType::ObjectIndex => other("RENAME INDEX", vec![], None),
        ObjectType::ObjectTrigger | ObjectType::ObjectPolicy | ObjectType::ObjectRule => {
            other("RENAME TRIGGER", vec![(table, LockMode::AccessExclusive)], None)
        }
        _ => other("RENAME", vec![], Some("running code may use the old name")),
    }
}

/// What VACUUM, REINDEX and CLUSTER lock. Source: the manual, measured.
fn touched_outside(node: &NodeEnum) -> Vec<(ObjectRef, LockMode)> {
    match node {
        NodeEnum::VacuumStmt(vacuum) => {
            let full = vacuum.options.iter().any(|option| match option.node.as_ref() {
                Some(NodeEnum::DefElem(element)) => element.defname == "full",
                _ => false,
            });
            let mode = if full { LockMode::AccessExclusive } else { LockMode::ShareUpdateExclusive };
            let tables = vacuum.rels.iter().filter_map(|node| match node.node.as_ref() {
                Some(NodeEnum::VacuumRelation(relation)) => Some((object(relation.relation.as_ref()), mode)),
                _ => None,
            });
            tables.collect()
        }
        NodeEnum::ReindexStmt(reindex) if reindex.relation.is_some() => {
            vec![(object(reindex.relation.as_ref()), LockMode::ShareUpdateExclusive)]
        }
        _ => Vec::new(),
    }
}

pub(super) fn other(what: &str, touches: Vec<(ObjectRef, LockMode)>, breaks: Option<&str>) -> StatementKind {
    StatementKind::Other {
        what: what.to_owned(),
        touches,
        breaks: breaks.map(str::to_owned),
        undo: None,
        opaque: false,
    }
}

/// A COPY with its rows behind it inserts them, as an INSERT would.
pub(in crate::sql) fn copy_with_rows(table: ObjectRef) -> StatementKind {
    other("COPY", vec![(table, LockMode::RowExclusive)], None)
}
