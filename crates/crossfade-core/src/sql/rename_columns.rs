//! A statement over other columns: those that a rename in front of it has given new names, by their old ones. On the parse tree.

use std::collections::BTreeMap;

use pg_query::NodeEnum;
use pg_query::protobuf;
use pg_query::protobuf::AlterTableType as T;

use super::AlterCommand;
use super::ConstraintForm;
use super::IndexDefinition;
use super::ObjectRef;
use super::ParsedStatement;
use super::StatementKind;
use super::TableName;
use super::parsed_at;
use super::rewrite::deparse;
use super::rewrite::rename_in_expression;
use super::split::parse_alter;
use super::split::with_commands;
use super::statement::object;
use super::statement::object_of_names;
use super::statement::strings;

/// New names of columns.
type Names = BTreeMap<String, String>;

/// A `CREATE INDEX`, or an ALTER TABLE of one change that leaves the column what and where it is, over other columns. `own` are those of the table that it
/// works on, `referenced` those of the table that its FOREIGN KEY points to. None where it is something else, or not understood.
///
/// Names that the server gives are made of the names in the statement as it was.
pub fn with_columns_renamed(statement: &ParsedStatement, own: &Names, referenced: &Names) -> Option<ParsedStatement> {
    let mut renamed = over_others(statement, own, referenced)?;
    if let (Some(before), Some(index)) = (index_in(&mut statement.kind.clone()), index_in(&mut renamed.kind)) {
        let mut called = before.calls().clone();
        called.extend(own.iter().map(|(new, old)| (old.clone(), new.clone())));
        *index = index.clone().called(called);
    }
    Some(renamed)
}

/// The index that a statement makes, also for a key.
fn index_in(kind: &mut StatementKind) -> Option<&mut IndexDefinition> {
    match kind {
        StatementKind::CreateIndex(index) => Some(&mut index.definition),
        StatementKind::AlterTable { commands, .. } => match commands.as_mut_slice() {
            [AlterCommand::AddConstraint(constraint)] => match &mut constraint.form {
                ConstraintForm::Unique(key) | ConstraintForm::PrimaryKey(key) => Some(&mut key.index),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

fn over_others(statement: &ParsedStatement, own: &Names, referenced: &Names) -> Option<ParsedStatement> {
    match &statement.kind {
        StatementKind::CreateIndex(index) => {
            let renamed = index.definition.clone().renaming(own)?;
            parsed_at(statement.span, renamed.to_sql()?.as_str())
        }
        StatementKind::AlterTable { .. } => {
            let alter = parse_alter(statement)?;
            let [node] = alter.cmds.as_slice() else { return None };
            let Some(NodeEnum::AlterTableCmd(command)) = &node.node else { return None };
            let mut command = (**command).clone();
            match command.subtype() {
                T::AtAddConstraint => {
                    let Some(NodeEnum::Constraint(constraint)) = command.def.as_mut()?.node.as_mut() else {
                        return None;
                    };
                    rename_in_constraint(constraint, own, referenced)?;
                }
                T::AtSetNotNull | T::AtDropNotNull | T::AtColumnDefault | T::AtSetStatistics => {
                    rename(&mut command.name, own);
                }
                _ => return None,
            }
            with_commands(statement, &alter, vec![command])
        }
        _ => None,
    }
}

/// A statement that names one table, or points a FOREIGN KEY to it, over another one: an ALTER TABLE, a CREATE INDEX, the RENAME of a constraint or a column, a
/// comment on a table or a column. `put` has the table that a name stands for; none leaves it. None where it is something else, or nothing is put.
pub fn with_tables_put(
    statement: &ParsedStatement,
    put: &dyn Fn(&ObjectRef) -> Option<TableName>,
) -> Option<ParsedStatement> {
    let parsed = pg_query::parse(statement.text.as_str(), 0).ok()?;
    let mut node = parsed.protobuf.stmts.into_iter().next()?.stmt?.node?;
    let mut any = false;
    let mut in_relation = |relation: Option<&mut protobuf::RangeVar>| {
        if let Some(relation) = relation
            && let Some(table) = put(&object(Some(relation)))
        {
            relation.schemaname = table.schema.as_str().to_owned();
            relation.relname = table.name.as_str().to_owned();
            any = true;
        }
    };
    match &mut node {
        NodeEnum::AlterTableStmt(alter) => {
            in_relation(alter.relation.as_mut());
            for command in &mut alter.cmds {
                let Some(NodeEnum::AlterTableCmd(command)) = &mut command.node else { continue };
                let Some(definition) = command.def.as_mut().and_then(|def| def.node.as_mut()) else { continue };
                if let NodeEnum::Constraint(constraint) = definition {
                    in_relation(constraint.pktable.as_mut());
                }
            }
        }
        NodeEnum::IndexStmt(index) => in_relation(index.relation.as_mut()),
        NodeEnum::RenameStmt(rename)
            if matches!(
                rename.rename_type(),
                protobuf::ObjectType::ObjectTabconstraint | protobuf::ObjectType::ObjectColumn
            ) =>
        {
            in_relation(rename.relation.as_mut());
        }
        NodeEnum::CommentStmt(comment) => {
            let behind = match comment.objtype() {
                protobuf::ObjectType::ObjectTable => 0,
                protobuf::ObjectType::ObjectColumn => 1,
                _ => return None,
            };
            let Some(NodeEnum::List(list)) = comment.object.as_mut()?.node.as_mut() else { return None };
            let names = strings(&list.items);
            let (table, column) = names.split_at(names.len().checked_sub(behind)?);
            let put = put(&object_of_names(table)?)?;
            let parts = [put.schema.as_str(), put.name.as_str()].map(super::split::string);
            list.items = parts.into_iter().chain(column.iter().map(|name| super::split::string(name))).collect();
            any = true;
        }
        _ => return None,
    }
    if !any {
        return None;
    }
    parsed_at(statement.span, &deparse(node)?)
}

/// The statement with this name for the index that it makes.
pub fn with_index_name(statement: &ParsedStatement, name: &super::Ident) -> Option<ParsedStatement> {
    let StatementKind::CreateIndex(index) = &statement.kind else { return None };
    parsed_at(statement.span, index.definition.clone().named(name).to_sql()?.as_str())
}

/// The statement that makes a column NOT NULL, with this name for the constraint that it is from PostgreSQL 18 on.
pub fn with_not_null_name(statement: &ParsedStatement, name: &str) -> Option<ParsedStatement> {
    let alter = parse_alter(statement)?;
    let [node] = alter.cmds.as_slice() else { return None };
    let Some(NodeEnum::AlterTableCmd(command)) = &node.node else { return None };
    if command.subtype() != T::AtSetNotNull {
        return None;
    }
    let constraint = protobuf::Constraint {
        contype: protobuf::ConstrType::ConstrNotnull as i32,
        conname: name.to_owned(),
        keys: vec![super::split::string(&command.name)],
        initially_valid: true,
        is_enforced: true,
        ..protobuf::Constraint::default()
    };
    let add = protobuf::AlterTableCmd {
        subtype: T::AtAddConstraint as i32,
        def: super::split::boxed(NodeEnum::Constraint(Box::new(constraint))),
        behavior: protobuf::DropBehavior::DropRestrict as i32,
        ..protobuf::AlterTableCmd::default()
    };
    with_commands(statement, &alter, vec![add])
}

fn rename(name: &mut String, names: &Names) {
    if let Some(other) = names.get(name) {
        name.clone_from(other);
    }
}

fn rename_all(nodes: &mut [protobuf::Node], names: &Names) {
    for node in nodes {
        if let Some(NodeEnum::String(text)) = &mut node.node {
            rename(&mut text.sval, names);
        }
    }
}

fn rename_in_constraint(constraint: &mut protobuf::Constraint, own: &Names, referenced: &Names) -> Option<()> {
    use protobuf::ConstrType as C;
    match constraint.contype() {
        C::ConstrCheck => {
            let expression = constraint.raw_expr.as_ref()?;
            constraint.raw_expr = Some(Box::new(rename_in_expression(expression, own)?));
        }
        C::ConstrUnique | C::ConstrPrimary => {
            rename_all(&mut constraint.keys, own);
            rename_all(&mut constraint.including, own);
        }
        C::ConstrNotnull => rename_all(&mut constraint.keys, own),
        C::ConstrForeign => {
            rename_all(&mut constraint.fk_attrs, own);
            rename_all(&mut constraint.fk_del_set_cols, own);
            rename_all(&mut constraint.pk_attrs, referenced);
        }
        _ => return None,
    }
    Some(())
}
