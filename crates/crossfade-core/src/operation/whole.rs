//! What operations on whole objects have in common: names, claims, and what hangs on them.

use std::collections::BTreeSet;

use super::cleared::Cleared;
use crate::catalog::Catalog;
use crate::catalog::Dependent;
use crate::catalog::Grant;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::plan::PlanContext;
use crate::sql;
use crate::sql::Destination;
use crate::sql::Ident;
use crate::sql::ObjectKind;
use crate::sql::ServerText;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::step::Claim;

/// The name that an object has from contract to purge.
pub(super) fn retired(cx: &PlanContext<'_>, name: &TableName) -> TableName {
    TableName { schema: name.schema.clone(), name: cx.own_name("old", name.name.as_str()) }
}

/// The whole of a table, so that nobody else touches any of its columns.
pub(super) fn whole_claim(table: &Table) -> Claim {
    Claim { table: table.name.clone(), column: None }
}

/// What a relation is to DROP and ALTER.
pub(super) fn kind_of(table: &Table) -> ObjectKind {
    match table.kind {
        TableKind::Table | TableKind::Partitioned | TableKind::Foreign => ObjectKind::Table,
        TableKind::View => ObjectKind::View,
        TableKind::MaterializedView => ObjectKind::MaterializedView,
    }
}

/// The views among these, and the views over them, each once.
pub(super) fn views_above<'c>(catalog: &'c Catalog, dependents: &[&Dependent]) -> Vec<&'c Table> {
    let mut found: Vec<&Table> = Vec::new();
    let mut next: Vec<&TableName> = dependents.iter().filter_map(|dependent| dependent.view.as_ref()).collect();
    while let Some(name) = next.pop() {
        if let Some(view) = catalog.table(name).filter(|view| !found.iter().any(|known| known.name == view.name)) {
            next.extend(view.dependents.iter().filter_map(|dependent| dependent.view.as_ref()));
            found.push(view);
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// What hangs on these views and is no view.
pub(super) fn hinders_views(views: &[&Table], cleared: &Cleared) -> Vec<String> {
    let hinders = |dependent: &&Dependent| !dependent.goes_along && dependent.view.is_none() && !cleared.has(dependent);
    let all = views.iter().flat_map(|view| &view.dependents);
    all.filter(hinders).map(|dependent| dependent.description.clone()).collect()
}

/// Takes relations out of the model, with the foreign keys that point to them.
pub(super) fn remove(catalog: &mut Catalog, gone: &BTreeSet<TableName>) {
    catalog.tables.retain(|table| !gone.contains(&table.name));
    for table in &mut catalog.tables {
        table.constraints.retain(|it| !it.references.as_ref().is_some_and(|references| gone.contains(references)));
        table.dependents.retain(|it| !it.view.as_ref().is_some_and(|view| gone.contains(view)));
    }
}

/// Gives a right on a relation, or on one column of it.
pub(super) fn grant(grant: &Grant, column: Option<&Ident>, relation: &TableName) -> Sql {
    let grantee = grant.grantee.as_ref().map(|role| sql!("{}", Ident::new(role.as_str())));
    let grantee = grantee.unwrap_or_else(|| sql!("PUBLIC"));
    let option = if grant.grantable { sql!(" WITH GRANT OPTION") } else { sql!("") };
    let privilege = ServerText::from_server(grant.privilege.as_str());
    let what = column.map_or_else(|| sql!("{}", privilege), |column| sql!("{} ({})", privilege, column));
    sql!("GRANT {} ON {} TO {}{}", what, relation, grantee, option)
}

/// Gives a relation of the model another name, wherever it is named.
pub(super) fn rename(catalog: &mut Catalog, from: &TableName, to: &TableName) {
    let put = |name: &mut TableName| {
        if name == from {
            name.clone_from(to);
        }
    };
    for table in &mut catalog.tables {
        put(&mut table.name);
        table.partition_of.iter_mut().for_each(put);
        table.inheritance_children.iter_mut().for_each(put);
        table.constraints.iter_mut().filter_map(|it| it.references.as_mut()).for_each(put);
        table.dependents.iter_mut().filter_map(|it| it.view.as_mut()).for_each(put);
    }
}

/// The full name that an object has where it goes.
pub(super) fn destination(from: &TableName, to: &Destination) -> TableName {
    match to {
        Destination::Name(name) => TableName { schema: from.schema.clone(), name: Ident::new(name.as_str()) },
        Destination::Schema(schema) => TableName { schema: Ident::new(schema.as_str()), name: from.name.clone() },
    }
}

/// Takes an object from one name to the other.
pub(super) fn moved(kind: ObjectKind, from: &TableName, to: &TableName) -> Sql {
    if from.schema == to.schema {
        sql!("ALTER {} {} RENAME TO {}", kind, from, to.name)
    } else {
        sql!("ALTER {} {} SET SCHEMA {}", kind, from, to.schema)
    }
}
