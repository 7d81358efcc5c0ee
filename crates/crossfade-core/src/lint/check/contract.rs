//! Renames and drops: what running code relies on.

use crate::sql;
use crate::sql::ObjectRef;
use crate::sql::act::Change;
use crate::sql::act::Deed;
use crate::sql::act::Form;
use crate::sql::act::Thing;
use crate::sql::written;

use super::super::file::Look;
use super::super::file::More;
use super::super::world::Key;

use crate::sql::act::Act;

pub(super) fn check(look: &mut Look<'_>) {
    match &look.act.deed {
        Deed::Rename { thing, name, part, to, .. } => rename(look, *thing, name, part.as_deref(), to),
        Deed::SetSchema { thing, name, .. } if !look.is_new(name) && !takes_its_name(look, name) => {
            let table = matches!(thing, Thing::Table | Thing::View | Thing::MaterializedView).then_some(name);
            look.find("set-schema", format!("{name} goes to another schema"), More { table, safe: None });
        }
        Deed::RenameEnumValue { name, from } => {
            look.find("rename-enum-value", format!("'{from}' of {name} gets another name"), More::default());
        }
        Deed::Alter { thing: Thing::Table | Thing::ForeignTable | Thing::Type, table, changes, .. }
            if !look.is_new(table) =>
        {
            for change in changes {
                if let Change::DropColumn { column, cascade, .. } = change {
                    drop_column(look, table, column, *cascade);
                }
            }
        }
        Deed::Drop { thing, names, cascade, .. } => drop_thing(look, *thing, names, *cascade),
        Deed::Truncate { tables, cascade } => {
            let used: Vec<&ObjectRef> = tables.iter().filter(|table| !look.is_new(table)).collect();
            for table in &used {
                look.find("truncate", format!("{table} is emptied"), More { table: Some(table), safe: None });
            }
            if *cascade && !used.is_empty() {
                let message = "whatever points to it is emptied, too".to_owned();
                look.find("truncate-cascade", message, More::default());
            }
        }
        _ => {}
    }
}

/// The statements behind this one.
fn behind<'a>(look: &Look<'a>) -> impl Iterator<Item = &'a Act> {
    let end = look.act.span.end;
    look.acts.iter().filter(move |act| act.span.start >= end)
}

/// Whether a view takes a name that something has given up, in the same transaction.
fn takes_its_name(look: &Look<'_>, name: &ObjectRef) -> bool {
    let key = Key::of(name);
    look.file.in_transaction
        && behind(look)
            .take_while(|act| !matches!(act.deed, Deed::Commit))
            .any(|act| matches!(&act.deed, Deed::CreateView { name, .. } if Key::of(name) == key))
}

fn rename(look: &mut Look<'_>, thing: Thing, name: &ObjectRef, part: Option<&str>, to: &str) {
    if look.is_new(name) {
        return;
    }
    let of = || More { table: Some(name), safe: None };
    match (thing, part) {
        (Thing::Column, Some(column)) => {
            look.find("rename-column", format!("{name}.{column} gets the name {to}"), of());
        }
        (Thing::Table | Thing::View | Thing::MaterializedView | Thing::ForeignTable, _) => {
            if !takes_its_name(look, name) {
                let safe = sql!(
                    "-- in the same transaction\nCREATE VIEW {} AS SELECT * FROM {};",
                    written(name),
                    written(&ObjectRef { schema: name.schema.clone(), name: to.to_owned() })
                );
                look.find(
                    "rename-table",
                    format!("{name} gets the name {to}"),
                    More { table: Some(name), safe: Some(safe) },
                );
            }
        }
        (Thing::Schema, _) => {
            look.find("rename-schema", format!("the schema {name} gets the name {to}"), More::default())
        }
        (Thing::Function | Thing::Type | Thing::Domain | Thing::Sequence, _) => {
            if !look.file.types_made.contains_key(&Key::of(name)) {
                let what = thing.sql_name().to_lowercase();
                look.find("rename-object", format!("the {what} {name} gets the name {to}"), More::default());
            }
        }
        (
            Thing::Column
            | Thing::Index
            | Thing::Constraint
            | Thing::Trigger
            | Thing::Policy
            | Thing::Rule
            | Thing::Database
            | Thing::Extension
            | Thing::Other,
            _,
        ) => {}
    }
}

fn drop_column(look: &mut Look<'_>, table: &ObjectRef, column: &str, cascade: bool) {
    let of = || More { table: Some(table), safe: None };
    look.find("drop-column", format!("{table}.{column} is dropped"), of());
    let taken = look.world.table(table).and_then(|known| {
        let both = |constraint: &&super::super::world::KnownConstraint| {
            constraint.form != Form::Check
                && constraint.columns.len() > 1
                && constraint.columns.iter().any(|other| other == column)
        };
        known.constraints.iter().find(both).and_then(|constraint| constraint.name.clone())
    });
    let key = Key::of(table);
    let index = look.world.indexes.values().any(|index| {
        index.table == key
            && !index.constraint
            && index.columns.len() > 1
            && index.columns.iter().any(|other| other == column)
    });
    match (taken, index) {
        (Some(name), _) => {
            look.find("drop-column-takes-more", format!("{table}.{column} takes the constraint {name} along"), of());
        }
        (None, true) => {
            look.find(
                "drop-column-takes-more",
                format!("{table}.{column} takes an index over several columns along"),
                of(),
            );
        }
        (None, false) => {}
    }
    if cascade {
        look.find("drop-cascade", format!("{table}.{column} takes all along that uses it"), of());
    }
}

fn drop_thing(look: &mut Look<'_>, thing: Thing, names: &[ObjectRef], cascade: bool) {
    match thing {
        Thing::Table | Thing::ForeignTable => {
            for name in names.iter().filter(|name| !look.is_new(name)).collect::<Vec<_>>() {
                drop_table(look, name);
            }
        }
        Thing::Schema => {
            for name in names {
                if !look.file.schemas_made.contains(&name.name) {
                    look.find("drop-schema", format!("the schema {name} is dropped"), More::default());
                }
            }
        }
        Thing::Database => {
            for name in names {
                look.find("drop-database", format!("the database {name} is dropped"), More::default());
            }
        }
        Thing::View
        | Thing::MaterializedView
        | Thing::Function
        | Thing::Type
        | Thing::Domain
        | Thing::Sequence
        | Thing::Extension => {
            for name in names {
                let made = look.file.made.contains(&Key::of(name)) || look.file.types_made.contains_key(&Key::of(name));
                if !made && !look.file.views_made.contains(&Key::of(name)) && !made_again(look, name) {
                    let what = thing.sql_name().to_lowercase();
                    look.find("drop-object", format!("the {what} {name} is dropped"), More::default());
                }
            }
        }
        Thing::Index
        | Thing::Trigger
        | Thing::Policy
        | Thing::Rule
        | Thing::Column
        | Thing::Constraint
        | Thing::Other => {}
    }
    let used = names.iter().any(|name| !look.is_new(name)) || names.is_empty();
    if cascade && used && !matches!(thing, Thing::Column) {
        let what = names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        look.find("drop-cascade", format!("{what} takes all along that uses it"), More::default());
    }
}

/// Whether the file makes it again.
fn made_again(look: &Look<'_>, name: &ObjectRef) -> bool {
    let key = Key::of(name);
    behind(look).any(|act| match &act.deed {
        Deed::CreateView { name, .. }
        | Deed::CreateMaterializedView { name, .. }
        | Deed::CreateFunction { name, .. }
        | Deed::CreateType { name, .. }
        | Deed::CreateDomain { name, .. }
        | Deed::CreateSequence { name, .. } => Key::of(name) == key,
        _ => false,
    })
}

fn drop_table(look: &mut Look<'_>, name: &ObjectRef) {
    let of = || More { table: Some(name), safe: None };
    let key = Key::of(name);
    if behind(look).any(|act| matches!(&act.deed, Deed::CreateTable(table) if Key::of(&table.name) == key)) {
        look.find("drop-and-create-table", format!("{name} is made again, without its rows"), of());
    }
    let parent = look.world.table(name).and_then(|table| table.partition_of.clone());
    look.find("drop-table", format!("{name} is dropped"), of());
    if let Some(parent) = parent
        && !look.file.detached.contains(&key)
    {
        let parent = parent.shown();
        look.find(
            "drop-partition",
            format!("{name} is a partition of {parent}"),
            More { table: Some(&parent), safe: None },
        );
    }
}
