//! From the parse tree of one statement to what it does.

use pg_query::NodeEnum;
use pg_query::protobuf;
use pg_query::protobuf::ObjectType;
use pg_query::protobuf::TransactionStmtKind as K;
use pg_query::protobuf::VariableSetKind;

use super::Call;
use super::Deed;
use super::Thing;
use super::alter::change;
use super::alter::named;
use super::alter::option_text;
use super::create::created_as;
use super::create::foreign_table_deed;
use super::create::function_deed;
use super::create::index_deed;
use super::create::selected_into;
use super::create::table_deed;
use super::rows::reach;
use crate::lock::LockMode;
use crate::sql::ObjectRef;
use crate::sql::statement::object;
use crate::sql::statement::object_of_names;
use crate::sql::statement::strings;

fn thing(kind: ObjectType) -> Thing {
    match kind {
        ObjectType::ObjectTable => Thing::Table,
        ObjectType::ObjectView => Thing::View,
        ObjectType::ObjectMatview => Thing::MaterializedView,
        ObjectType::ObjectForeignTable => Thing::ForeignTable,
        ObjectType::ObjectIndex => Thing::Index,
        ObjectType::ObjectSequence => Thing::Sequence,
        ObjectType::ObjectType | ObjectType::ObjectAttribute => Thing::Type,
        ObjectType::ObjectDomain => Thing::Domain,
        ObjectType::ObjectFunction
        | ObjectType::ObjectProcedure
        | ObjectType::ObjectRoutine
        | ObjectType::ObjectAggregate => Thing::Function,
        ObjectType::ObjectSchema => Thing::Schema,
        ObjectType::ObjectDatabase => Thing::Database,
        ObjectType::ObjectExtension => Thing::Extension,
        ObjectType::ObjectTrigger => Thing::Trigger,
        ObjectType::ObjectPolicy => Thing::Policy,
        ObjectType::ObjectRule => Thing::Rule,
        ObjectType::ObjectColumn => Thing::Column,
        ObjectType::ObjectTabconstraint | ObjectType::ObjectDomconstraint => Thing::Constraint,
        _ => Thing::Other,
    }
}

fn named_object(node: &protobuf::Node) -> Option<ObjectRef> {
    match node.node.as_ref()? {
        NodeEnum::List(list) => object_of_names(&strings(&list.items)),
        NodeEnum::TypeName(type_name) => object_of_names(&strings(&type_name.names)),
        NodeEnum::ObjectWithArgs(function) => object_of_names(&strings(&function.objname)),
        NodeEnum::String(text) => Some(ObjectRef { schema: None, name: text.sval.clone() }),
        NodeEnum::RangeVar(relation) => Some(object(Some(relation))),
        _ => None,
    }
}

pub(super) fn relations(nodes: &[protobuf::Node]) -> Vec<ObjectRef> {
    nodes.iter().filter_map(named_object).collect()
}

pub(super) fn flag(options: &[protobuf::Node], name: &str) -> bool {
    options.iter().any(|option| match option.node.as_ref() {
        Some(NodeEnum::DefElem(element)) if element.defname == name => {
            let value = element.arg.as_ref().and_then(|arg| arg.node.as_ref()).map(option_text);
            !matches!(value.as_deref(), Some("false" | "off" | "0" | "no"))
        }
        _ => false,
    })
}

fn drop_deed(drop: &protobuf::DropStmt) -> Deed {
    let thing = thing(drop.remove_type());
    let on_table = matches!(thing, Thing::Trigger | Thing::Policy | Thing::Rule);
    let table = drop.objects.first().filter(|_| on_table).and_then(|node| match node.node.as_ref() {
        Some(NodeEnum::List(list)) => {
            let names = strings(&list.items);
            object_of_names(names.get(..names.len().saturating_sub(1)).unwrap_or_default())
        }
        _ => None,
    });
    Deed::Drop {
        thing,
        names: relations(&drop.objects),
        on: table,
        if_exists: drop.missing_ok,
        cascade: drop.behavior() == protobuf::DropBehavior::DropCascade,
        concurrently: drop.concurrent,
    }
}

fn rename_deed(rename: &protobuf::RenameStmt) -> Deed {
    let kind = thing(rename.rename_type());
    let name = match rename.relation.as_ref() {
        Some(relation) => object(Some(relation)),
        None => rename
            .object
            .as_ref()
            .and_then(|node| named_object(node))
            .unwrap_or_else(|| ObjectRef { schema: None, name: rename.subname.clone() }),
    };
    let part = (!rename.subname.is_empty()).then(|| rename.subname.clone());
    // ALTER TABLE may be written for a view or an index, too; which one it is the text can't say.
    Deed::Rename { thing: kind, name, part, to: rename.newname.clone() }
}

fn set_deed(set: &protobuf::VariableSetStmt) -> Deed {
    let name = set.name.to_ascii_lowercase();
    match set.kind() {
        VariableSetKind::VarSetValue => {
            let value = match set.args.as_slice() {
                [node] => node.node.as_ref().map(option_text),
                _ => None,
            };
            Deed::Set { name, value, local: set.is_local }
        }
        VariableSetKind::VarResetAll => Deed::Reset { name: None },
        VariableSetKind::VarSetDefault | VariableSetKind::VarReset => Deed::Reset { name: Some(name) },
        _ => Deed::Set { name, value: None, local: set.is_local },
    }
}

fn lock_mode(mode: i32) -> LockMode {
    let at = usize::try_from(mode).unwrap_or(8).clamp(1, 8) - 1;
    LockMode::ALL[at]
}

fn enum_deed(alter: &protobuf::AlterEnumStmt) -> Deed {
    let name = object_of_names(&strings(&alter.type_name)).unwrap_or(ObjectRef { schema: None, name: String::new() });
    if alter.old_val.is_empty() {
        Deed::AddEnumValue {
            name,
            value: alter.new_val.clone(),
            placed: !alter.new_val_neighbor.is_empty(),
            if_not_exists: alter.skip_if_new_val_exists,
        }
    } else {
        Deed::RenameEnumValue { name, from: alter.old_val.clone() }
    }
}

fn domain_deed(alter: &protobuf::AlterDomainStmt) -> Deed {
    let name = object_of_names(&strings(&alter.type_name)).unwrap_or(ObjectRef { schema: None, name: String::new() });
    match alter.subtype.as_str() {
        "C" => {
            let not_valid = match alter.def.as_ref().and_then(|def| def.node.as_ref()) {
                Some(NodeEnum::Constraint(constraint)) => constraint.skip_validation,
                _ => false,
            };
            Deed::ConstrainDomain { name, not_valid }
        }
        "O" => Deed::ConstrainDomain { name, not_valid: false },
        "X" => Deed::Drop {
            thing: Thing::Constraint,
            names: Vec::new(),
            on: Some(name),
            if_exists: alter.missing_ok,
            cascade: alter.behavior() == protobuf::DropBehavior::DropCascade,
            concurrently: false,
        },
        _ => Deed::Other { what: "ALTER DOMAIN".to_owned() },
    }
}

fn is_constraint(nodes: &[protobuf::Node]) -> bool {
    nodes.iter().any(|node| match node.node.as_ref() {
        Some(NodeEnum::Constraint(constraint)) => {
            matches!(constraint.contype(), protobuf::ConstrType::ConstrCheck | protobuf::ConstrType::ConstrNotnull)
        }
        _ => false,
    })
}

fn select_functions(select: &protobuf::SelectStmt) -> Vec<Call> {
    let node = protobuf::Node { node: Some(NodeEnum::SelectStmt(Box::new(select.clone()))) };
    named(&node).functions
}

/// What a statement does.
pub(super) fn deed(node: &NodeEnum) -> Deed {
    let other = |what: &str| Deed::Other { what: what.to_owned() };
    match node {
        NodeEnum::CreateStmt(create) => table_deed(create),
        NodeEnum::CreateForeignTableStmt(create) => foreign_table_deed(create),
        NodeEnum::CreateTableAsStmt(create) => created_as(create),
        NodeEnum::AlterTableStmt(alter) => Deed::Alter {
            thing: thing(alter.objtype()),
            table: object(alter.relation.as_ref()),
            changes: alter
                .cmds
                .iter()
                .filter_map(|node| match node.node.as_ref() {
                    Some(NodeEnum::AlterTableCmd(command)) => Some(change(command)),
                    _ => None,
                })
                .collect(),
        },
        NodeEnum::IndexStmt(index) => index_deed(index),
        NodeEnum::DropStmt(drop) => drop_deed(drop),
        NodeEnum::DropdbStmt(drop) => Deed::Drop {
            thing: Thing::Database,
            names: vec![ObjectRef { schema: None, name: drop.dbname.clone() }],
            on: None,
            if_exists: drop.missing_ok,
            cascade: false,
            concurrently: false,
        },
        NodeEnum::RenameStmt(rename) => rename_deed(rename),
        NodeEnum::AlterObjectSchemaStmt(alter) => Deed::SetSchema {
            thing: thing(alter.object_type()),
            name: match alter.relation.as_ref() {
                Some(relation) => object(Some(relation)),
                None => alter
                    .object
                    .as_ref()
                    .and_then(|node| named_object(node))
                    .unwrap_or(ObjectRef { schema: None, name: String::new() }),
            },
            to: alter.newschema.clone(),
        },
        NodeEnum::ReindexStmt(reindex) => {
            use protobuf::ReindexObjectType as R;
            Deed::Reindex {
                thing: match reindex.kind() {
                    R::ReindexObjectIndex => Thing::Index,
                    R::ReindexObjectTable => Thing::Table,
                    R::ReindexObjectSchema => Thing::Schema,
                    _ => Thing::Database,
                },
                name: match reindex.relation.as_ref() {
                    Some(relation) => Some(object(Some(relation))),
                    None => (!reindex.name.is_empty()).then(|| ObjectRef { schema: None, name: reindex.name.clone() }),
                },
                concurrently: flag(&reindex.params, "concurrently"),
            }
        }
        NodeEnum::TruncateStmt(truncate) => Deed::Truncate {
            tables: relations(&truncate.relations),
            cascade: truncate.behavior() == protobuf::DropBehavior::DropCascade,
        },
        NodeEnum::VacuumStmt(vacuum) if vacuum.is_vacuumcmd => Deed::Vacuum {
            full: flag(&vacuum.options, "full"),
            tables: vacuum
                .rels
                .iter()
                .filter_map(|node| match node.node.as_ref() {
                    Some(NodeEnum::VacuumRelation(relation)) => Some(object(relation.relation.as_ref())),
                    _ => None,
                })
                .collect(),
        },
        NodeEnum::ClusterStmt(cluster) => {
            Deed::Cluster { table: cluster.relation.as_ref().map(|relation| object(Some(relation))) }
        }
        NodeEnum::RefreshMatViewStmt(refresh) => Deed::Refresh {
            view: object(refresh.relation.as_ref()),
            concurrently: refresh.concurrent,
            filled: !refresh.skip_data,
        },
        NodeEnum::ViewStmt(view) => Deed::CreateView { name: object(view.view.as_ref()), replace: view.replace },
        NodeEnum::CreateFunctionStmt(function) => function_deed(function),
        NodeEnum::CreateTrigStmt(trigger) => {
            Deed::CreateTrigger { name: trigger.trigname.clone(), table: object(trigger.relation.as_ref()) }
        }
        NodeEnum::RuleStmt(rule) => Deed::CreateRule { table: object(rule.relation.as_ref()) },
        NodeEnum::CreatePolicyStmt(policy) => Deed::CreatePolicy { table: object(policy.table.as_ref()) },
        NodeEnum::CreateSchemaStmt(create) => {
            Deed::CreateSchema { name: create.schemaname.clone(), if_not_exists: create.if_not_exists }
        }
        NodeEnum::CreateSeqStmt(create) => {
            Deed::CreateSequence { name: object(create.sequence.as_ref()), if_not_exists: create.if_not_exists }
        }
        NodeEnum::CreateExtensionStmt(create) => Deed::CreateExtension { if_not_exists: create.if_not_exists },
        NodeEnum::CreateEnumStmt(create) => Deed::CreateType {
            name: object_of_names(&strings(&create.type_name))
                .unwrap_or(ObjectRef { schema: None, name: String::new() }),
            values: Some(strings(&create.vals)),
        },
        NodeEnum::CompositeTypeStmt(create) => Deed::CreateType { name: object(create.typevar.as_ref()), values: None },
        NodeEnum::CreateDomainStmt(create) => Deed::CreateDomain {
            name: object_of_names(&strings(&create.domainname))
                .unwrap_or(ObjectRef { schema: None, name: String::new() }),
            constrained: is_constraint(&create.constraints),
        },
        NodeEnum::AlterDomainStmt(alter) => domain_deed(alter),
        NodeEnum::AlterEnumStmt(alter) => enum_deed(alter),
        NodeEnum::LockStmt(lock) => Deed::Lock { tables: relations(&lock.relations), mode: lock_mode(lock.mode) },
        NodeEnum::InsertStmt(insert) => {
            let select = insert.select_stmt.as_ref().and_then(|node| node.node.as_ref());
            let selects = match select {
                Some(NodeEnum::SelectStmt(select)) => select.values_lists.is_empty(),
                _ => false,
            };
            let columns = insert.cols.iter().filter_map(|node| match node.node.as_ref() {
                Some(NodeEnum::ResTarget(target)) => Some(target.name.clone()),
                _ => None,
            });
            Deed::Insert { table: object(insert.relation.as_ref()), selects, columns: columns.collect() }
        }
        NodeEnum::UpdateStmt(update) => {
            Deed::Update { table: object(update.relation.as_ref()), reach: reach(update.where_clause.as_deref()) }
        }
        NodeEnum::DeleteStmt(delete) => {
            Deed::Delete { table: object(delete.relation.as_ref()), reach: reach(delete.where_clause.as_deref()) }
        }
        NodeEnum::MergeStmt(merge) => Deed::Merge { table: object(merge.relation.as_ref()) },
        NodeEnum::CopyStmt(_) => Deed::Copy,
        NodeEnum::VariableSetStmt(set) => set_deed(set),
        NodeEnum::TransactionStmt(transaction) => match transaction.kind() {
            K::TransStmtBegin | K::TransStmtStart => Deed::Begin,
            K::TransStmtCommit | K::TransStmtPrepare | K::TransStmtCommitPrepared => Deed::Commit,
            K::TransStmtSavepoint | K::TransStmtRelease | K::TransStmtRollbackTo => Deed::Savepoint,
            _ => Deed::Rollback,
        },
        NodeEnum::CallStmt(_) => Deed::Opaque {
            what: "CALL".to_owned(),
            why: "what a procedure does stands in its body, and that may be another one by then".to_owned(),
        },
        NodeEnum::ExecuteStmt(_) => Deed::Opaque {
            what: "EXECUTE".to_owned(),
            why: "what a prepared statement does stands elsewhere".to_owned(),
        },
        NodeEnum::SelectStmt(select) => match &select.into_clause {
            Some(into) => selected_into(into),
            None => Deed::Select { functions: select_functions(select) },
        },
        NodeEnum::CreatedbStmt(_) => Deed::Outside { what: "CREATE DATABASE" },
        NodeEnum::CreateTableSpaceStmt(_) => Deed::Outside { what: "CREATE TABLESPACE" },
        NodeEnum::DropTableSpaceStmt(_) => Deed::Outside { what: "DROP TABLESPACE" },
        NodeEnum::AlterSystemStmt(_) => Deed::Outside { what: "ALTER SYSTEM" },
        NodeEnum::CreateSubscriptionStmt(_) => Deed::Outside { what: "CREATE SUBSCRIPTION" },
        NodeEnum::DropSubscriptionStmt(_) => Deed::Outside { what: "DROP SUBSCRIPTION" },
        NodeEnum::GrantStmt(_) | NodeEnum::GrantRoleStmt(_) => Deed::Rights,
        NodeEnum::AlterOwnerStmt(_) => Deed::Owner,
        NodeEnum::CommentStmt(_) => Deed::Comment,
        NodeEnum::AlterRoleStmt(_) => other("ALTER ROLE"),
        found => {
            let what = format!("{:?}", found.to_ref());
            other(what.split(['(', ' ', '{']).next().unwrap_or("statement").trim_end_matches("Stmt"))
        }
    }
}
