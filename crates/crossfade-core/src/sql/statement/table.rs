//! Statements that make and change tables, their indexes and their rows.

use pg_query::NodeEnum;
use pg_query::protobuf;
use pg_query::protobuf::AlterTableType;
use pg_query::protobuf::ConstrType;

use super::AlterCommand;
use super::CreateIndex;
use super::ObjectRef;
use super::SetItem;
use super::Setting;
use super::StatementKind;
use super::Update;
use super::object;
use super::strings;
use crate::lock::LockMode;
use crate::sql::ColumnDefinition;
use crate::sql::Expr;
use crate::sql::Ident;
use crate::sql::IndexDefinition;
use crate::sql::PartitionBound;
use crate::sql::Sql;
use crate::sql::column::base_type;
use crate::sql::column::collation;
use crate::sql::column::column_definition;
use crate::sql::column::modifiers;
use crate::sql::constraint::constraint_definition;
use crate::sql::rewrite::deparse_type;

pub(super) fn alter_table(alter: &protobuf::AlterTableStmt) -> StatementKind {
    let commands = alter
        .cmds
        .iter()
        .filter_map(|command| match command.node.as_ref() {
            Some(NodeEnum::AlterTableCmd(command)) => Some(alter_command(command)),
            _ => None,
        })
        .collect();
    let only = alter.relation.as_ref().is_some_and(|relation| !relation.inh);
    StatementKind::AlterTable { table: object(alter.relation.as_ref()), if_exists: alter.missing_ok, only, commands }
}

fn alter_command(command: &protobuf::AlterTableCmd) -> AlterCommand {
    let column = command.name.clone();
    let definition = command.def.as_ref().and_then(|def| def.node.as_ref());
    let sets = Setting::of(command);
    let plain =
        |what: &str, lock| AlterCommand::Other { what: what.to_owned(), lock, breaks: None, sets: sets.clone() };
    let breaking = |what: &str, why: &str| AlterCommand::Other {
        what: what.to_owned(),
        lock: LockMode::AccessExclusive,
        breaks: Some(why.to_owned()),
        sets: None,
    };
    use AlterTableType as T;
    match (command.subtype(), definition) {
        (T::AtAddColumn, Some(NodeEnum::ColumnDef(def))) => match column_definition(def) {
            Some(column) => AlterCommand::AddColumn { column, if_not_exists: command.missing_ok },
            None => breaking("ADD COLUMN", "its definition is not understood"),
        },
        (T::AtDropColumn, _) => AlterCommand::DropColumn {
            column,
            if_exists: command.missing_ok,
            cascade: command.behavior() == protobuf::DropBehavior::DropCascade,
        },
        (T::AtAlterColumnType, Some(NodeEnum::ColumnDef(def))) => {
            let using = def.raw_default.as_ref().map(|node| Expr::from_node(node));
            match (def.type_name.as_ref().and_then(deparse_type), using) {
                (Some(type_name), None | Some(Some(_))) => AlterCommand::AlterType {
                    column,
                    type_name,
                    base_type: base_type(def.type_name.as_ref()),
                    modifiers: modifiers(def.type_name.as_ref()),
                    array: def.type_name.as_ref().is_some_and(|name| !name.array_bounds.is_empty()),
                    collation: collation(def),
                    using: def.raw_default.as_ref().and_then(|node| Expr::from_node(node)),
                },
                _ => breaking("ALTER COLUMN TYPE", "its type or its USING is not understood"),
            }
        }
        (T::AtSetNotNull, _) => AlterCommand::SetNotNull { column },
        (T::AtDropNotNull, _) => AlterCommand::DropNotNull { column },
        (T::AtColumnDefault, None) => AlterCommand::SetDefault { column, default: None },
        (T::AtColumnDefault, Some(node)) => {
            let node = protobuf::Node { node: Some(node.clone()) };
            match Expr::from_node(&node) {
                Some(default) => AlterCommand::SetDefault { column, default: Some(default) },
                None => plain("SET DEFAULT", LockMode::AccessExclusive),
            }
        }
        (T::AtAddConstraint, Some(NodeEnum::Constraint(constraint))) => {
            AlterCommand::AddConstraint(constraint_definition(constraint))
        }
        (T::AtDropConstraint, _) => AlterCommand::DropConstraint {
            name: column,
            if_exists: command.missing_ok,
            cascade: command.behavior() == protobuf::DropBehavior::DropCascade,
        },
        (T::AtValidateConstraint, _) => plain("VALIDATE CONSTRAINT", LockMode::ShareUpdateExclusive),
        (T::AtSetStatistics, _) => plain("SET STATISTICS", LockMode::ShareUpdateExclusive),
        (T::AtSetOptions | T::AtResetOptions, _) => plain("SET (attribute options)", LockMode::ShareUpdateExclusive),
        (T::AtSetRelOptions | T::AtResetRelOptions, _) => {
            plain("SET (storage parameters)", LockMode::ShareUpdateExclusive)
        }
        (T::AtSetStorage, _) => plain("SET STORAGE", LockMode::AccessExclusive),
        (T::AtSetCompression, _) => plain("SET COMPRESSION", LockMode::AccessExclusive),
        (T::AtClusterOn | T::AtDropCluster, _) => plain("CLUSTER ON", LockMode::ShareUpdateExclusive),
        (T::AtEnableTrig | T::AtEnableAlwaysTrig | T::AtEnableReplicaTrig | T::AtDisableTrig, _) => {
            plain("ENABLE/DISABLE TRIGGER", LockMode::ShareRowExclusive)
        }
        (T::AtSetLogged, _) => breaking("SET LOGGED", "it rewrites the whole table under ACCESS EXCLUSIVE"),
        (T::AtSetUnLogged, _) => breaking("SET UNLOGGED", "it rewrites the whole table under ACCESS EXCLUSIVE"),
        (T::AtSetTableSpace, _) => breaking("SET TABLESPACE", "it copies the whole table under ACCESS EXCLUSIVE"),
        (T::AtSetAccessMethod, _) => {
            breaking("SET ACCESS METHOD", "it rewrites the whole table under ACCESS EXCLUSIVE")
        }
        (T::AtAttachPartition, Some(NodeEnum::PartitionCmd(partition))) => AlterCommand::AttachPartition {
            partition: object(partition.name.as_ref()),
            bound: partition.bound.as_ref().and_then(PartitionBound::from_spec),
        },
        (T::AtDetachPartition, Some(NodeEnum::PartitionCmd(partition))) => AlterCommand::DetachPartition {
            partition: object(partition.name.as_ref()),
            concurrently: partition.concurrent,
        },
        (T::AtSetExpression, _) => breaking("SET EXPRESSION", "it rewrites the whole table under ACCESS EXCLUSIVE"),
        (subtype, _) => {
            let name = subtype.as_str_name().trim_start_matches("AT_").trim_start_matches("At").to_owned();
            plain(&format!("ALTER TABLE ({name})"), LockMode::AccessExclusive)
        }
    }
}

pub(super) fn create_index(index: &protobuf::IndexStmt) -> StatementKind {
    let definition = IndexDefinition::from_statement(index);
    StatementKind::CreateIndex(Box::new(CreateIndex {
        name: (!index.idxname.is_empty()).then(|| index.idxname.clone()),
        table: object(index.relation.as_ref()),
        concurrently: index.concurrent,
        if_not_exists: index.if_not_exists,
        unique: index.unique,
        columns: definition.columns(),
        definition,
    }))
}

pub(super) fn update_statement(update: &protobuf::UpdateStmt) -> Update {
    let mut set = Vec::new();
    let mut plain = true;
    for target in &update.target_list {
        match target.node.as_ref() {
            Some(NodeEnum::ResTarget(target)) if target.indirection.is_empty() => {
                match target.val.as_ref().and_then(|node| Expr::from_node(node)) {
                    Some(value) => set.push(SetItem { column: target.name.clone(), value }),
                    None => plain = false,
                }
            }
            _ => plain = false,
        }
    }
    let filter = update.where_clause.as_ref().map(|node| Expr::from_node(node));
    let odd = !update.from_clause.is_empty()
        || update.with_clause.is_some()
        || update.returning_clause.is_some()
        || matches!(filter, Some(None));
    Update { table: object(update.relation.as_ref()), set: plain.then_some(set), filter: filter.flatten(), odd }
}

pub(super) fn create_table(create: &protobuf::CreateStmt) -> StatementKind {
    let mut references = Vec::new();
    let mut visit = |node: &protobuf::Node| {
        if let Some(NodeEnum::Constraint(constraint)) = node.node.as_ref() {
            references.extend(constraint.pktable.as_ref().map(|table| object(Some(table))));
        }
    };
    for element in &create.table_elts {
        visit(element);
        if let Some(NodeEnum::ColumnDef(def)) = element.node.as_ref() {
            def.constraints.iter().for_each(&mut visit);
        }
    }
    let parents = create
        .inh_relations
        .iter()
        .filter_map(|node| match node.node.as_ref() {
            Some(NodeEnum::RangeVar(relation)) => Some(object(Some(relation))),
            _ => None,
        })
        .collect();
    let mut columns: Vec<ColumnDefinition> = create
        .table_elts
        .iter()
        .filter_map(|element| match element.node.as_ref() {
            Some(NodeEnum::ColumnDef(def)) => column_definition(def),
            _ => None,
        })
        .collect();
    let keys = create.table_elts.iter().filter_map(|element| match element.node.as_ref() {
        Some(NodeEnum::Constraint(constraint)) if constraint.contype() == ConstrType::ConstrPrimary => {
            Some(strings(&constraint.keys))
        }
        _ => None,
    });
    for key in keys.flatten() {
        columns.iter_mut().filter(|column| column.name == key).for_each(|column| column.not_null = true);
    }
    StatementKind::CreateTable {
        name: object(create.relation.as_ref()),
        columns,
        references,
        parents,
        bound: create.partbound.as_ref().and_then(PartitionBound::from_spec),
        temporary: create.relation.as_ref().is_some_and(|relation| relation.relpersistence == "t"),
        if_not_exists: create.if_not_exists,
    }
}

pub(super) fn undo_create(template: &'static str, name: &ObjectRef) -> Sql {
    let name_sql = match &name.schema {
        Some(schema) => crate::sql!("{}.{}", Ident::new(schema.as_str()), Ident::new(name.name.as_str())),
        None => crate::sql!("{}", Ident::new(name.name.as_str())),
    };
    Sql::build(template, &[&name_sql])
}
