//! Statements about whole objects: DROP, RENAME and SET SCHEMA.

use pg_query::NodeEnum;
use pg_query::protobuf;
use pg_query::protobuf::ObjectType;

use super::Ident;
use super::Sql;
use super::SqlPart;
use super::StatementKind;
use super::statement::ObjectRef;
use super::statement::object;
use super::statement::object_of_names;
use super::statement::strings;
use crate::sql;

/// A kind of object that can be retired: it keeps what it holds under another name, and comes back by a rename.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKind {
    /// A table, partitioned or not.
    Table,
    /// A view.
    View,
    /// A materialized view.
    MaterializedView,
    /// A sequence.
    Sequence,
    /// A type.
    Type,
    /// A domain.
    Domain,
    /// A function.
    Function,
    /// A procedure.
    Procedure,
    /// A function, procedure or aggregate.
    Routine,
    /// An aggregate.
    Aggregate,
}

impl ObjectKind {
    /// As DROP and ALTER write it.
    pub fn sql_name(self) -> &'static str {
        match self {
            ObjectKind::Table => "TABLE",
            ObjectKind::View => "VIEW",
            ObjectKind::MaterializedView => "MATERIALIZED VIEW",
            ObjectKind::Sequence => "SEQUENCE",
            ObjectKind::Type => "TYPE",
            ObjectKind::Domain => "DOMAIN",
            ObjectKind::Function => "FUNCTION",
            ObjectKind::Procedure => "PROCEDURE",
            ObjectKind::Routine => "ROUTINE",
            ObjectKind::Aggregate => "AGGREGATE",
        }
    }

    /// The class of the server's catalog that its objects stand in.
    pub fn catalog_class(self) -> &'static str {
        match self {
            ObjectKind::Table | ObjectKind::View | ObjectKind::MaterializedView | ObjectKind::Sequence => "pg_class",
            ObjectKind::Type | ObjectKind::Domain => "pg_type",
            ObjectKind::Function | ObjectKind::Procedure | ObjectKind::Routine | ObjectKind::Aggregate => "pg_proc",
        }
    }

    fn of(object_type: ObjectType) -> Option<ObjectKind> {
        match object_type {
            ObjectType::ObjectTable => Some(ObjectKind::Table),
            ObjectType::ObjectView => Some(ObjectKind::View),
            ObjectType::ObjectMatview => Some(ObjectKind::MaterializedView),
            ObjectType::ObjectSequence => Some(ObjectKind::Sequence),
            ObjectType::ObjectType => Some(ObjectKind::Type),
            ObjectType::ObjectDomain => Some(ObjectKind::Domain),
            ObjectType::ObjectFunction => Some(ObjectKind::Function),
            ObjectType::ObjectProcedure => Some(ObjectKind::Procedure),
            ObjectType::ObjectRoutine => Some(ObjectKind::Routine),
            ObjectType::ObjectAggregate => Some(ObjectKind::Aggregate),
            _ => None,
        }
    }
}

impl SqlPart for ObjectKind {
    fn write_sql(&self, out: &mut String) {
        out.push_str(self.sql_name());
    }
}

/// An object as a statement names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedObject {
    /// Its name.
    pub name: ObjectRef,
    /// The types of its arguments, as they are written between the parentheses.
    pub arguments: Option<Sql>,
}

/// Where an object goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// `RENAME TO`.
    Name(String),
    /// `SET SCHEMA`.
    Schema(String),
}

fn arguments(function: &protobuf::ObjectWithArgs, aggregate: bool) -> Option<Sql> {
    if function.args_unspecified {
        return None;
    }
    let types: Option<Vec<Sql>> = function
        .objargs
        .iter()
        .map(|node| match node.node.as_ref() {
            Some(NodeEnum::TypeName(type_name)) => super::rewrite::deparse_type(type_name),
            _ => None,
        })
        .collect();
    let types = types?;
    if types.is_empty() && aggregate { Some(sql!("*")) } else { Some(Sql::join(types, ", ")) }
}

fn named(node: &protobuf::Node, kind: ObjectKind) -> Option<NamedObject> {
    let plain =
        |names: &[protobuf::Node]| object_of_names(&strings(names)).map(|name| NamedObject { name, arguments: None });
    match node.node.as_ref()? {
        NodeEnum::List(list) => plain(&list.items),
        NodeEnum::TypeName(type_name) => plain(&type_name.names),
        NodeEnum::ObjectWithArgs(function) => Some(NamedObject {
            name: object_of_names(&strings(&function.objname))?,
            arguments: arguments(function, kind == ObjectKind::Aggregate),
        }),
        _ => None,
    }
}

/// Tells a DROP of objects that can be retired.
pub(super) fn drop_statement(drop: &protobuf::DropStmt) -> Option<StatementKind> {
    let kind = ObjectKind::of(drop.remove_type())?;
    let objects: Option<Vec<NamedObject>> = drop.objects.iter().map(|node| named(node, kind)).collect();
    Some(StatementKind::Drop {
        kind,
        objects: objects?,
        if_exists: drop.missing_ok,
        cascade: drop.behavior() == protobuf::DropBehavior::DropCascade,
    })
}

/// Tells a RENAME of a whole table or view.
pub(super) fn rename_statement(rename: &protobuf::RenameStmt) -> Option<StatementKind> {
    let kind = relation_kind(rename.rename_type())?;
    Some(StatementKind::Move {
        kind,
        object: object(rename.relation.as_ref()),
        to: Destination::Name(rename.newname.clone()),
        if_exists: rename.missing_ok,
    })
}

/// Tells a SET SCHEMA of a whole table or view.
pub(super) fn schema_statement(alter: &protobuf::AlterObjectSchemaStmt) -> Option<StatementKind> {
    let kind = relation_kind(alter.object_type())?;
    Some(StatementKind::Move {
        kind,
        object: object(alter.relation.as_ref()),
        to: Destination::Schema(alter.newschema.clone()),
        if_exists: alter.missing_ok,
    })
}

fn relation_kind(object_type: ObjectType) -> Option<ObjectKind> {
    let kind = ObjectKind::of(object_type)?;
    matches!(kind, ObjectKind::Table | ObjectKind::View | ObjectKind::MaterializedView).then_some(kind)
}

/// The name as a statement has it.
pub fn written(name: &ObjectRef) -> Sql {
    match &name.schema {
        Some(schema) => sql!("{}.{}", Ident::new(schema.as_str()), Ident::new(name.name.as_str())),
        None => sql!("{}", Ident::new(name.name.as_str())),
    }
}
