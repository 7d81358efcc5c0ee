//! What CREATE TABLE, CREATE INDEX and CREATE FUNCTION make.

use pg_query::NodeEnum;
use pg_query::protobuf;
use pg_query::protobuf::ObjectType;

use super::Deed;
use super::NewIndex;
use super::NewTable;
use super::alter::named;
use super::alter::new_column;
use super::alter::new_constraint;
use super::read::flag;
use super::read::relations;
use crate::sql::ObjectRef;
use crate::sql::statement::object;
use crate::sql::statement::object_of_names;
use crate::sql::statement::strings;

/// A table of which no more is known than its name and where its rows are kept.
fn of_relation(relation: Option<&protobuf::RangeVar>) -> NewTable {
    let persistence = relation.map(|relation| relation.relpersistence.as_str());
    NewTable {
        name: object(relation),
        columns: Vec::new(),
        constraints: Vec::new(),
        partition_of: None,
        default_partition: false,
        partitioned: false,
        partition_key: Vec::new(),
        inherits: Vec::new(),
        temporary: persistence == Some("t"),
        unlogged: persistence == Some("u"),
        if_not_exists: false,
        filled: None,
        open: false,
        foreign: false,
    }
}

fn new_table(create: &protobuf::CreateStmt) -> NewTable {
    let key = create.partspec.iter().flat_map(|spec| &spec.part_params).map(|node| match node.node.as_ref() {
        Some(NodeEnum::PartitionElem(element)) => Some(element.name.clone()).filter(|name| !name.is_empty()),
        _ => None,
    });
    let mut table = NewTable {
        default_partition: create.partbound.as_ref().is_some_and(|bound| bound.is_default),
        partitioned: create.partspec.is_some(),
        partition_key: key.collect(),
        inherits: relations(&create.inh_relations),
        if_not_exists: create.if_not_exists,
        open: create.of_typename.is_some(),
        ..of_relation(create.relation.as_ref())
    };
    if create.partbound.is_some() {
        table.partition_of = table.inherits.pop();
    }
    for element in &create.table_elts {
        match element.node.as_ref() {
            Some(NodeEnum::ColumnDef(def)) => table.columns.push(new_column(def)),
            Some(NodeEnum::Constraint(constraint)) => table.constraints.push(new_constraint(constraint)),
            Some(NodeEnum::TableLikeClause(_)) => table.open = true,
            _ => {}
        }
    }
    table
}

pub(super) fn table_deed(create: &protobuf::CreateStmt) -> Deed {
    Deed::CreateTable(Box::new(new_table(create)))
}

pub(super) fn foreign_table_deed(create: &protobuf::CreateForeignTableStmt) -> Deed {
    let Some(base) = &create.base_stmt else { return Deed::Other { what: "CREATE FOREIGN TABLE".to_owned() } };
    Deed::CreateTable(Box::new(NewTable { foreign: true, ..new_table(base) }))
}

pub(super) fn created_as(create: &protobuf::CreateTableAsStmt) -> Deed {
    let into = create.into.as_ref();
    let relation = into.and_then(|into| into.rel.as_ref());
    let filled = into.is_some_and(|into| !into.skip_data);
    if create.objtype() == ObjectType::ObjectMatview {
        return Deed::CreateMaterializedView { name: object(relation), filled };
    }
    let if_not_exists = create.if_not_exists;
    Deed::CreateTable(Box::new(NewTable { if_not_exists, filled: Some(filled), open: true, ..of_relation(relation) }))
}

/// `SELECT … INTO`.
pub(super) fn selected_into(into: &protobuf::IntoClause) -> Deed {
    Deed::CreateTable(Box::new(NewTable { filled: Some(true), open: true, ..of_relation(into.rel.as_ref()) }))
}

pub(super) fn index_deed(index: &protobuf::IndexStmt) -> Deed {
    let columns = index.index_params.iter().map(|node| match node.node.as_ref() {
        Some(NodeEnum::IndexElem(element)) => Some(element.name.clone()).filter(|name| !name.is_empty()),
        _ => None,
    });
    let expressions = index.index_params.iter().filter_map(|node| match node.node.as_ref() {
        Some(NodeEnum::IndexElem(element)) => element.expr.as_deref(),
        _ => None,
    });
    let reads = expressions.chain(index.where_clause.as_deref()).flat_map(|node| named(node).columns).collect();
    Deed::CreateIndex(Box::new(NewIndex {
        reads,
        name: (!index.idxname.is_empty()).then(|| index.idxname.clone()),
        table: object(index.relation.as_ref()),
        only: index.relation.as_ref().is_some_and(|relation| !relation.inh),
        concurrently: index.concurrent,
        if_not_exists: index.if_not_exists,
        unique: index.unique,
        columns: columns.collect(),
        method: index.access_method.clone(),
        partial: index.where_clause.is_some(),
    }))
}

pub(super) fn function_deed(function: &protobuf::CreateFunctionStmt) -> Deed {
    let sets_path = function.options.iter().any(|option| match option.node.as_ref() {
        Some(NodeEnum::DefElem(element)) if element.defname == "set" => {
            matches!(element.arg.as_ref().and_then(|arg| arg.node.as_ref()),
                Some(NodeEnum::VariableSetStmt(set)) if set.name == "search_path")
        }
        _ => false,
    });
    Deed::CreateFunction {
        name: object_of_names(&strings(&function.funcname)).unwrap_or(ObjectRef { schema: None, name: String::new() }),
        replace: function.replace,
        security_definer: flag(&function.options, "security"),
        search_path: sets_path,
    }
}
