//! Statements about whole objects: DROP, RENAME and SET SCHEMA.

use pg_query::NodeEnum;
use pg_query::protobuf;
use pg_query::protobuf::ObjectType;

use super::Ident;
use super::ParsedStatement;
use super::Sql;
use super::SqlPart;
use super::StatementKind;
use super::parsed_at;
use super::rewrite::deparse;
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

    /// What the catalog's list of objects calls it; relations with columns do not stand there.
    pub fn object_kind(self) -> &'static str {
        match self {
            ObjectKind::Table | ObjectKind::View | ObjectKind::MaterializedView => "relation",
            ObjectKind::Sequence => "sequence",
            ObjectKind::Type | ObjectKind::Domain => "type",
            ObjectKind::Function | ObjectKind::Procedure | ObjectKind::Routine | ObjectKind::Aggregate => "function",
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

/// What has a name among the tables, and is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTable {
    /// A sequence.
    Sequence,
    /// An index.
    Index,
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

/// An object that a statement makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewForm {
    /// The class of the server's catalog that it stands in.
    pub class: &'static str,
    /// Its name.
    pub name: ObjectRef,
    /// The names of its columns, where it is a view and they can be told from its text.
    pub columns: Option<Vec<String>>,
}

/// What a statement makes that a DROP in front of it may have taken away.
pub(super) fn made(node: &NodeEnum) -> Option<NewForm> {
    let by_names = |class, names: &[protobuf::Node]| {
        object_of_names(&strings(names)).map(|name| NewForm { class, name, columns: None })
    };
    let relation = |class, name: Option<&protobuf::RangeVar>, columns| NewForm { class, name: object(name), columns };
    match node {
        NodeEnum::ViewStmt(view) => {
            let columns = columns(&view.aliases, view.query.as_deref());
            Some(relation("pg_class", view.view.as_ref(), columns))
        }
        NodeEnum::CreateTableAsStmt(create) => {
            let into = create.into.as_ref()?;
            let columns = columns(&into.col_names, create.query.as_deref());
            Some(relation("pg_class", into.rel.as_ref(), columns))
        }
        NodeEnum::CreateSeqStmt(create) => Some(relation("pg_class", create.sequence.as_ref(), None)),
        NodeEnum::CompositeTypeStmt(create) => Some(relation("pg_type", create.typevar.as_ref(), None)),
        NodeEnum::CreateFunctionStmt(create) => by_names("pg_proc", &create.funcname),
        NodeEnum::CreateEnumStmt(create) => by_names("pg_type", &create.type_name),
        NodeEnum::CreateRangeStmt(create) => by_names("pg_type", &create.type_name),
        NodeEnum::CreateDomainStmt(create) => by_names("pg_type", &create.domainname),
        NodeEnum::DefineStmt(define) => match define.kind() {
            ObjectType::ObjectAggregate => by_names("pg_proc", &define.defnames),
            ObjectType::ObjectType => by_names("pg_type", &define.defnames),
            _ => None,
        },
        _ => None,
    }
}

/// The names of a query's columns, if all of them can be told: `*` and most expressions hide theirs.
fn columns(aliases: &[protobuf::Node], query: Option<&protobuf::Node>) -> Option<Vec<String>> {
    if !aliases.is_empty() {
        return Some(strings(aliases));
    }
    let Some(NodeEnum::SelectStmt(select)) = query?.node.as_ref() else { return None };
    let mut select = select.as_ref();
    while let Some(left) = &select.larg {
        select = left;
    }
    let name = |node: &protobuf::Node| {
        let Some(NodeEnum::ResTarget(target)) = node.node.as_ref() else { return None };
        if !target.name.is_empty() {
            return Some(target.name.clone());
        }
        match target.val.as_ref()?.node.as_ref()? {
            NodeEnum::ColumnRef(column) => match column.fields.last()?.node.as_ref()? {
                NodeEnum::String(name) => Some(name.sval.clone()),
                _ => None,
            },
            _ => None,
        }
    };
    select.target_list.iter().map(name).collect()
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

/// Tells a RENAME of a whole object that waits for contract, or is known by two names until then.
/// An `ALTER TABLE … RENAME TO` of what is no table, under its own kind: the server takes it for sequences and indexes, too.
pub fn as_rename_of_a(statement: &ParsedStatement, what: NoTable) -> Option<ParsedStatement> {
    let parsed = pg_query::parse(statement.text.as_str(), 0).ok()?;
    let NodeEnum::RenameStmt(mut rename) = parsed.protobuf.stmts.into_iter().next()?.stmt?.node? else { return None };
    let object_type = match what {
        NoTable::Sequence => ObjectType::ObjectSequence,
        NoTable::Index => ObjectType::ObjectIndex,
    };
    rename.rename_type = object_type as i32;
    parsed_at(statement.span, &deparse(NodeEnum::RenameStmt(rename))?)
}

pub(super) fn rename_statement(rename: &protobuf::RenameStmt) -> Option<StatementKind> {
    let kind = movable(rename.rename_type())?;
    let to = Destination::Name(rename.newname.clone());
    moved(kind, rename.relation.as_ref(), rename.object.as_deref(), to, rename.missing_ok)
}

/// The same for SET SCHEMA.
pub(super) fn schema_statement(alter: &protobuf::AlterObjectSchemaStmt) -> Option<StatementKind> {
    let kind = movable(alter.object_type())?;
    let to = Destination::Schema(alter.newschema.clone());
    moved(kind, alter.relation.as_ref(), alter.object.as_deref(), to, alter.missing_ok)
}

fn moved(
    kind: ObjectKind,
    relation: Option<&protobuf::RangeVar>,
    node: Option<&protobuf::Node>,
    to: Destination,
    if_exists: bool,
) -> Option<StatementKind> {
    let (object, arguments) = match relation {
        Some(relation) => (object(Some(relation)), None),
        None => (named(node?, kind)?.name, argument_types(node?)),
    };
    Some(StatementKind::Move { kind, object, arguments, to, if_exists })
}

/// The types of a function's arguments as the catalog names them, without schemas: `int4`, `text[]`.
fn argument_types(node: &protobuf::Node) -> Option<Vec<String>> {
    let Some(NodeEnum::ObjectWithArgs(function)) = node.node.as_ref() else { return None };
    let of = |node: &protobuf::Node| match node.node.as_ref() {
        Some(NodeEnum::TypeName(found)) => super::setting::type_name(found),
        _ => None,
    };
    if function.args_unspecified { None } else { function.objargs.iter().map(of).collect() }
}

fn movable(object_type: ObjectType) -> Option<ObjectKind> {
    let kind = ObjectKind::of(object_type)?;
    match kind {
        ObjectKind::Table
        | ObjectKind::View
        | ObjectKind::MaterializedView
        | ObjectKind::Sequence
        | ObjectKind::Type
        | ObjectKind::Domain
        | ObjectKind::Function
        | ObjectKind::Procedure
        | ObjectKind::Routine => Some(kind),
        ObjectKind::Aggregate => None,
    }
}

/// The name as a statement has it.
pub fn written(name: &ObjectRef) -> Sql {
    match &name.schema {
        Some(schema) => sql!("{}.{}", Ident::new(schema.as_str()), Ident::new(name.name.as_str())),
        None => sql!("{}", Ident::new(name.name.as_str())),
    }
}
