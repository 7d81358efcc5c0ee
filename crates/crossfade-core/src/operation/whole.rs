//! What operations on whole objects have in common: names, claims, and what hangs on them.

use std::collections::BTreeSet;

use super::cleared::Cleared;
use crate::catalog::Catalog;
use crate::catalog::Column;
use crate::catalog::Constraint;
use crate::catalog::Dependent;
use crate::catalog::Grant;
use crate::catalog::Object;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::finding::Finding;
use crate::plan::PlanContext;
use crate::sql;
use crate::sql::Destination;
use crate::sql::DollarQuoted;
use crate::sql::Ident;
use crate::sql::Literal;
use crate::sql::MAX_IDENT_BYTES;
use crate::sql::ObjectKind;
use crate::sql::ObjectRef;
use crate::sql::ServerText;
use crate::sql::Span;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::sql::cut;
use crate::step::Assert;
use crate::step::Claim;
use crate::step::GUARD_STATE;

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

/// The comment of a constraint that is made again.
pub(super) fn constraint_comment(table: &Table, constraint: &Constraint) -> Option<Sql> {
    let (name, comment) = (Ident::new(constraint.name.as_str()), constraint.comment.clone()?);
    Some(sql!("COMMENT ON CONSTRAINT {} ON {} IS {}", name, table.name, Literal(comment)))
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
pub(crate) fn destination(from: &TableName, to: &Destination) -> TableName {
    match to {
        Destination::Name(name) => TableName { schema: from.schema.clone(), name: Ident::new(name.as_str()) },
        Destination::Schema(schema) => TableName { schema: Ident::new(schema.as_str()), name: from.name.clone() },
    }
}

/// What is against a new name of something that tables and indexes share their names with, where `is_taken_by` says of each other object whether it does.
pub(super) fn name_taken(
    catalog: &Catalog,
    target: &TableName,
    span: Span,
    is_taken_by: impl Fn(&Object) -> bool,
) -> Option<Finding> {
    let in_schema = |table: &&Table| table.name.schema == target.schema;
    let mut indexes = catalog.tables.iter().filter(in_schema).flat_map(|table| &table.indexes);
    let taken = catalog.table(target).is_some()
        || catalog.objects.iter().any(|object| object.name == *target && is_taken_by(object))
        || indexes.any(|index| index.name == target.name.as_str());
    let finding = || {
        Finding::error("name-taken", span, format!("there is already something of the name {target}"))
            .help("take another name, or drop what has it first, in a migration of its own")
    };
    taken.then(finding)
}

/// The full name that the server rendered, where it is one.
fn named_at(text: &str) -> Option<TableName> {
    let file = crate::sql::parse_file(sql!("SELECT NULL::{}", ServerText::from_server(text)).as_str()).ok()?;
    let names = crate::sql::named_types(&file.statements.first()?.text);
    let ObjectRef { schema, name } = names.into_iter().next()?;
    Some(TableName::new(schema?, name))
}

/// Asks again in the transaction that must not go on otherwise: what was true when it was asserted may not be any more.
pub(super) fn guard(assert: &Assert) -> Sql {
    let body = sql!(
        "DECLARE wrong text; BEGIN SELECT string_agg(w, ', ') INTO wrong FROM ({}) AS q(w); IF wrong IS NOT NULL THEN RAISE EXCEPTION USING ERRCODE = {}, MESSAGE = wrong, HINT = {}; END IF; END",
        assert.query,
        Literal(GUARD_STATE.to_owned()),
        Literal(assert.help.clone())
    );
    sql!("DO {}", DollarQuoted(body))
}

/// No trigger function of another migration has one of these in its text: each write would fail once the name is gone.
pub(super) fn unnamed_elsewhere(cx: &PlanContext<'_>, what: &str, texts: Vec<String>) -> Assert {
    let has = texts.into_iter().map(|text| sql!("pg_catalog.strpos(p.prosrc, {}) > 0", Literal(text)));
    Assert {
        query: sql!(
            "SELECT p.oid::pg_catalog.regproc::pg_catalog.text || ' has the old name in its text' FROM pg_catalog.pg_proc AS p \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace WHERE n.nspname = {} \
             AND pg_catalog.starts_with(p.proname::pg_catalog.text, 'sync_') \
             AND NOT pg_catalog.starts_with(p.proname::pg_catalog.text, {}) AND ({}) ORDER BY 1",
            Literal(cx.policy.schema.as_str().to_owned()),
            Literal(format!("sync_{}_", cx.migration.version)),
            Sql::join(has, " OR ")
        ),
        message: format!("no trigger of another migration names {what} that gets another name"),
        help: "finish that migration first (contract and purge), or roll it back; then run `crossfade contract` again"
            .to_owned(),
    }
}

/// The type of a column, or that of its elements, where it is none of the system's.
pub(super) fn type_of(column: &Column) -> Option<TableName> {
    let text = column.type_name.as_str();
    named_at(text.strip_suffix("[]").unwrap_or(text))
}

/// The server's name for the type of an array, after that of its elements.
pub(super) fn array_of(name: &str) -> String {
    format!("_{}", cut(name, MAX_IDENT_BYTES - 1))
}

/// Gives a type of the model another name, wherever a column has it.
pub(super) fn rename_type(catalog: &mut Catalog, from: &TableName, to: &TableName) {
    let columns = catalog.tables.iter_mut().flat_map(|table| &mut table.columns);
    for column in columns.filter(|column| type_of(column).as_ref() == Some(from)) {
        let array = if column.type_name.as_str().ends_with("[]") { sql!("[]") } else { sql!("") };
        column.type_name = ServerText::from_server(sql!("{}{}", to, array).to_string());
        let known = [from.name.as_str().to_owned(), array_of(from.name.as_str())];
        if known.contains(&column.base_type) {
            let name = to.name.as_str();
            column.base_type = if array.is_empty() { name.to_owned() } else { array_of(name) };
        }
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
