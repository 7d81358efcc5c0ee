//! ALTER TABLE, columns and constraints, from the parse tree.

use pg_query::NodeEnum;
use pg_query::protobuf;
use pg_query::protobuf::AlterTableType as T;
use pg_query::protobuf::ConstrType;

use super::Call;
use super::Change;
use super::Form;
use super::NewColumn;
use super::NewConstraint;
use super::NewDefault;
use super::Trigger;
use crate::sql::column::base_type;
use crate::sql::column::modifiers;
use crate::sql::expr::string_of;
use crate::sql::statement::object;
use crate::sql::statement::strings;

/// What an expression names.
#[derive(Default)]
pub(super) struct Named {
    pub functions: Vec<Call>,
    pub columns: Vec<String>,
}

/// The functions and columns of an expression.
pub(super) fn named(node: &protobuf::Node) -> Named {
    let mut found = Named::default();
    if !matches!(&node.node, Some(NodeEnum::AConst(_)))
        && let Ok(value) = serde_json::to_value(node)
    {
        walk(&value, &mut found);
    }
    found
}

fn walk(value: &serde_json::Value, found: &mut Named) {
    match value {
        serde_json::Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
        serde_json::Value::Object(fields) => {
            for (key, field) in fields {
                let names = |list: &str| -> Vec<String> {
                    field[list].as_array().into_iter().flatten().filter_map(string_of).collect()
                };
                match key.as_str() {
                    "FuncCall" => {
                        if let Some((name, schema)) = names("funcname").split_last() {
                            let arguments = field["args"].as_array().map_or(0, Vec::len);
                            let call = Call { schema: schema.last().cloned(), name: name.clone(), arguments };
                            found.functions.push(call);
                        }
                    }
                    "ColumnRef" => found.columns.extend(names("fields").pop()),
                    _ => {}
                }
                walk(field, found);
            }
        }
        _ => {}
    }
}

fn is_null(node: &protobuf::Node) -> bool {
    match &node.node {
        Some(NodeEnum::AConst(constant)) => constant.isnull,
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_ref().is_some_and(|arg| is_null(arg)),
        _ => false,
    }
}

fn type_schema(type_name: Option<&protobuf::TypeName>) -> Option<String> {
    let names = strings(&type_name?.names);
    names.len().checked_sub(2).and_then(|at| names.get(at)).cloned()
}

fn is_array(type_name: Option<&protobuf::TypeName>) -> bool {
    type_name.is_some_and(|name| !name.array_bounds.is_empty())
}

pub(super) fn new_column(def: &protobuf::ColumnDef) -> NewColumn {
    let mut column = NewColumn {
        name: def.colname.clone(),
        type_schema: type_schema(def.type_name.as_ref()),
        base_type: base_type(def.type_name.as_ref()),
        modifiers: modifiers(def.type_name.as_ref()),
        array: is_array(def.type_name.as_ref()),
        not_null: def.is_not_null,
        ..NewColumn::default()
    };
    for node in &def.constraints {
        let Some(NodeEnum::Constraint(constraint)) = node.node.as_ref() else { continue };
        match constraint.contype() {
            ConstrType::ConstrNotnull => column.not_null = true,
            ConstrType::ConstrDefault => {
                column.default = constraint
                    .raw_expr
                    .as_ref()
                    .map(|node| NewDefault { null: is_null(node), functions: named(node).functions });
            }
            ConstrType::ConstrIdentity => {
                column.not_null = true;
                column.identity = true;
            }
            ConstrType::ConstrGenerated => {
                column.generated = Some(constraint.generated_kind != "v");
                column.computed_from = constraint.raw_expr.as_ref().map(|node| named(node).columns).unwrap_or_default();
            }
            ConstrType::ConstrPrimary => {
                column.not_null = true;
                column.constraints.push(new_constraint(constraint));
            }
            ConstrType::ConstrCheck | ConstrType::ConstrUnique | ConstrType::ConstrForeign => {
                column.constraints.push(new_constraint(constraint));
            }
            ConstrType::ConstrAttrNotEnforced => {
                if let Some(last) = column.constraints.last_mut() {
                    last.enforced = false;
                }
            }
            _ => {}
        }
    }
    let name = column.name.clone();
    for constraint in column.constraints.iter_mut().filter(|constraint| constraint.form != Form::Check) {
        constraint.columns = vec![name.clone()];
    }
    column
}

pub(super) fn new_constraint(constraint: &protobuf::Constraint) -> NewConstraint {
    let form = match constraint.contype() {
        ConstrType::ConstrCheck => Form::Check,
        ConstrType::ConstrForeign => Form::ForeignKey,
        ConstrType::ConstrUnique => Form::Unique,
        ConstrType::ConstrPrimary => Form::PrimaryKey,
        ConstrType::ConstrExclusion => Form::Exclude,
        _ => Form::NotNull,
    };
    let condition = constraint.raw_expr.as_ref().filter(|_| form == Form::Check);
    let named = condition.map(|node| named(node)).unwrap_or_default();
    let mut proves_not_null = Vec::new();
    if let Some(node) = condition {
        proofs(node, &mut proves_not_null);
    }
    let mut columns = match form {
        Form::Check => named.columns,
        Form::ForeignKey => strings(&constraint.fk_attrs),
        Form::Unique | Form::PrimaryKey | Form::Exclude | Form::NotNull => strings(&constraint.keys),
    };
    columns.dedup();
    NewConstraint {
        name: (!constraint.conname.is_empty()).then(|| constraint.conname.clone()),
        form,
        columns,
        referenced: strings(&constraint.pk_attrs),
        references: constraint.pktable.as_ref().map(|table| object(Some(table))),
        including: strings(&constraint.including),
        nulls_not_distinct: constraint.nulls_not_distinct,
        deferrable: constraint.deferrable.then_some(constraint.initdeferred),
        index_options: !constraint.options.is_empty() || !constraint.indexspace.is_empty(),
        not_valid: constraint.skip_validation,
        using_index: (!constraint.indexname.is_empty()).then(|| constraint.indexname.clone()),
        enforced: constraint.is_enforced || !matches!(form, Form::Check | Form::ForeignKey),
        proves_not_null,
        functions: named.functions,
    }
}

/// Columns that a condition says are not NULL: `x IS NOT NULL`, also beside others that must hold, and `NOT (x IS NULL)`. What else implies it the
/// server does not see. Source: measured, reference lint-rules A2.
fn proofs(node: &protobuf::Node, proven: &mut Vec<String>) {
    use protobuf::BoolExprType;
    use protobuf::NullTestType;
    let null_test = |node: &protobuf::Node, kind: NullTestType| match node.node.as_ref()? {
        NodeEnum::NullTest(test) if test.nulltesttype() == kind => match test.arg.as_ref()?.node.as_ref()? {
            NodeEnum::ColumnRef(column) => strings(&column.fields).pop(),
            _ => None,
        },
        _ => None,
    };
    proven.extend(null_test(node, NullTestType::IsNotNull));
    if let Some(NodeEnum::BoolExpr(expr)) = &node.node {
        match expr.boolop() {
            BoolExprType::AndExpr => expr.args.iter().for_each(|arg| proofs(arg, proven)),
            BoolExprType::NotExpr => {
                proven.extend(expr.args.iter().filter_map(|arg| null_test(arg, NullTestType::IsNull)));
            }
            _ => {}
        }
    }
}

/// `USING c`, `USING c::type`, `USING CAST(c AS type)`: what is done without it, too.
fn is_plain_using(node: &protobuf::Node, column: &str) -> bool {
    match &node.node {
        Some(NodeEnum::ColumnRef(found)) => strings(&found.fields).last().is_some_and(|name| name == column),
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_ref().is_some_and(|arg| is_plain_using(arg, column)),
        _ => false,
    }
}

fn options(list: Option<&NodeEnum>) -> Vec<(String, String)> {
    let Some(NodeEnum::List(list)) = list else { return Vec::new() };
    let each = list.items.iter().filter_map(|node| match node.node.as_ref() {
        Some(NodeEnum::DefElem(element)) => {
            let value = element.arg.as_ref().and_then(|arg| arg.node.as_ref());
            Some((element.defname.clone(), value.map(option_text).unwrap_or_default()))
        }
        _ => None,
    });
    each.collect()
}

pub(super) fn option_text(node: &NodeEnum) -> String {
    match node {
        NodeEnum::String(text) => text.sval.clone(),
        NodeEnum::Integer(number) => number.ival.to_string(),
        NodeEnum::Float(number) => number.fval.clone(),
        NodeEnum::Boolean(value) => value.boolval.to_string(),
        NodeEnum::TypeName(name) => strings(&name.names).pop().unwrap_or_default(),
        NodeEnum::AConst(constant) => match constant.val.as_ref() {
            Some(protobuf::a_const::Val::Sval(text)) => text.sval.clone(),
            Some(protobuf::a_const::Val::Ival(number)) => number.ival.to_string(),
            Some(protobuf::a_const::Val::Fval(number)) => number.fval.clone(),
            Some(protobuf::a_const::Val::Boolval(value)) => value.boolval.to_string(),
            _ => String::new(),
        },
        _ => String::new(),
    }
}

pub(super) fn change(command: &protobuf::AlterTableCmd) -> Change {
    let column = command.name.clone();
    let def = command.def.as_ref().and_then(|def| def.node.as_ref());
    let cascade = command.behavior() == protobuf::DropBehavior::DropCascade;
    match (command.subtype(), def) {
        (T::AtAddColumn, Some(NodeEnum::ColumnDef(def))) => {
            Change::AddColumn { column: Box::new(new_column(def)), if_not_exists: command.missing_ok }
        }
        (T::AtDropColumn, _) => Change::DropColumn { column, if_exists: command.missing_ok, cascade },
        (T::AtAlterColumnType, Some(NodeEnum::ColumnDef(def))) => Change::Type {
            base_type: base_type(def.type_name.as_ref()),
            modifiers: modifiers(def.type_name.as_ref()),
            array: is_array(def.type_name.as_ref()),
            using: def.raw_default.as_ref().is_some_and(|using| !is_plain_using(using, &column)),
            collation: def.coll_clause.is_some(),
            column,
        },
        (T::AtSetNotNull, _) => Change::SetNotNull { column },
        (T::AtDropNotNull, _) => Change::DropNotNull { column },
        (T::AtColumnDefault, def) => Change::Default { column, dropped: def.is_none() },
        (T::AtSetExpression, _) => Change::SetExpression { column },
        (T::AtDropExpression, _) => Change::DropExpression,
        (T::AtAddIdentity, _) => Change::AddIdentity,
        (T::AtSetIdentity | T::AtDropIdentity, _) => Change::AlterIdentity,
        (T::AtAddConstraint, Some(NodeEnum::Constraint(constraint))) => {
            Change::AddConstraint(Box::new(new_constraint(constraint)))
        }
        (T::AtDropConstraint, _) => Change::DropConstraint { name: column, if_exists: command.missing_ok },
        (T::AtValidateConstraint, _) => Change::Validate { name: column },
        (T::AtAttachPartition, Some(NodeEnum::PartitionCmd(partition))) => Change::Attach {
            partition: object(partition.name.as_ref()),
            default_partition: partition.bound.as_ref().is_some_and(|bound| bound.is_default),
        },
        (T::AtDetachPartition, Some(NodeEnum::PartitionCmd(partition))) => {
            Change::Detach { partition: object(partition.name.as_ref()), concurrently: partition.concurrent }
        }
        (T::AtEnableTrig | T::AtEnableAlwaysTrig | T::AtEnableReplicaTrig, _) => {
            Change::SwitchTrigger { trigger: Trigger::Named(column), on: true }
        }
        (T::AtDisableTrig, _) => Change::SwitchTrigger { trigger: Trigger::Named(column), on: false },
        (T::AtEnableTrigAll, _) => Change::SwitchTrigger { trigger: Trigger::All, on: true },
        (T::AtDisableTrigAll, _) => Change::SwitchTrigger { trigger: Trigger::All, on: false },
        (T::AtEnableTrigUser, _) => Change::SwitchTrigger { trigger: Trigger::User, on: true },
        (T::AtDisableTrigUser, _) => Change::SwitchTrigger { trigger: Trigger::User, on: false },
        (T::AtSetLogged, _) => Change::Logged(true),
        (T::AtSetUnLogged, _) => Change::Logged(false),
        (T::AtSetTableSpace, _) => Change::Tablespace(column),
        (T::AtSetAccessMethod, _) => Change::AccessMethod(column),
        (T::AtSetStorage | T::AtSetCompression, _) => Change::Storage,
        (T::AtSetRelOptions | T::AtResetRelOptions, def) => Change::Options(options(def)),
        (T::AtEnableRowSecurity | T::AtForceRowSecurity, _) => Change::RowSecurity { on: true },
        (T::AtDisableRowSecurity | T::AtNoForceRowSecurity, _) => Change::RowSecurity { on: false },
        (T::AtReplicaIdentity, Some(NodeEnum::ReplicaIdentityStmt(identity))) => {
            Change::ReplicaIdentity(identity.identity_type.clone())
        }
        (T::AtChangeOwner, _) => Change::Owner,
        (T::AtEnableRule | T::AtEnableAlwaysRule | T::AtEnableReplicaRule | T::AtDisableRule, _) => Change::SwitchRule,
        (T::AtAddInherit | T::AtDropInherit, _) => Change::Inherit,
        (T::AtSetStatistics, _) => Change::Weak,
        (T::AtSetOptions | T::AtResetOptions, _) => Change::Weak,
        (T::AtClusterOn | T::AtDropCluster, _) => Change::Weak,
        (T::AtDetachPartitionFinalize, _) => Change::Weak,
        _ => Change::Other,
    }
}
