//! Types, defaults and storage of columns.

use crate::sql::ObjectRef;
use crate::sql::act::Change;
use crate::sql::act::Deed;
use crate::sql::act::Form;
use crate::sql::act::Thing;

use super::super::file::Look;
use super::super::file::More;
use super::super::world::Key;

use super::super::world::KnownColumn;

pub(super) fn check(look: &mut Look<'_>) {
    match &look.act.deed {
        Deed::Alter { thing: Thing::Table, table, changes } if !look.is_new(table) => of_table(look, table, changes),
        Deed::Alter { thing: Thing::ForeignTable, table, changes } if !look.is_new(table) => {
            for (column, shown) in retyped(changes) {
                let message = format!("{table}.{column}, whose values stand elsewhere, becomes {shown}");
                look.find("alter-type-of-foreign-column", message, More { table: Some(table), safe: None });
            }
        }
        Deed::Alter { thing: Thing::Type, table: name, changes } if !is_new_type(look, name) => {
            for (attribute, shown) in retyped(changes) {
                let message = format!("{attribute} of the type {name} becomes {shown}");
                look.find("alter-type-of-attribute", message, More::default());
            }
        }
        _ => {}
    }
}

fn is_new_type(look: &Look<'_>, name: &ObjectRef) -> bool {
    look.file.types_made.contains_key(&Key::of(name))
}

/// Columns or attributes that get another type, and which one.
fn retyped(changes: &[Change]) -> Vec<(&str, String)> {
    let each = changes.iter().filter_map(|change| match change {
        Change::Type { column, base_type, modifiers, array, .. } => {
            Some((column.as_str(), written_type(&typed(base_type, modifiers, *array))))
        }
        _ => None,
    });
    each.collect()
}

fn typed(base_type: &str, modifiers: &[i64], array: bool) -> KnownColumn {
    let (base_type, modifiers) = (base_type.to_owned(), modifiers.to_vec());
    KnownColumn { base_type, modifiers, array, ..KnownColumn::default() }
}

fn of_table(look: &mut Look<'_>, table: &ObjectRef, changes: &[Change]) {
    for change in changes {
        let of = || More { table: Some(table), safe: None };
        match change {
            Change::Type { column, base_type, modifiers, array, using, collation } => {
                let new = typed(base_type, modifiers, *array);
                retype(look, table, column, &new, *using || *collation);
            }
            Change::Default { column, dropped } => {
                let what = if *dropped { "loses its default" } else { "gets another default" };
                look.find("change-default", format!("{table}.{column} {what}"), of());
            }
            Change::SetExpression { column }
                if !look.world.column(table, column).is_some_and(|known| known.is_virtual) =>
            {
                look.find("set-expression", format!("{table}.{column} is computed anew for every row"), of());
            }
            _ => {}
        }
    }
}

/// What a change of a type does to the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// Nothing: only the catalog changes.
    Free,
    /// Every row is written.
    Rewrite,
    /// Every row is written, and one may not fit.
    Narrow,
}

fn retype(look: &mut Look<'_>, table: &ObjectRef, column: &str, new: &KnownColumn, by_hand: bool) {
    let more = || More { table: Some(table), safe: None };
    let old = look.world.column(table, column).filter(|column| !column.base_type.is_empty());
    let work = match old {
        _ if by_hand => Work::Rewrite,
        Some(old) => work(old, new),
        None => Work::Rewrite,
    };
    let shown = written_type(new);
    let from = old.map(|old| format!(" from {}", written_type(old))).unwrap_or_default();
    match work {
        Work::Free => hidden(look, table, column),
        Work::Rewrite if old.is_none() && !by_hand => {
            let message = format!(
                "{table}.{column} becomes {shown}; from which type is not known, so every row may have to be written"
            );
            look.find("alter-type-rewrite", message, more());
        }
        Work::Rewrite => {
            look.find(
                "alter-type-rewrite",
                format!("{table}.{column} becomes {shown}{from}: every row is written"),
                more(),
            );
        }
        Work::Narrow => {
            let message = format!("{table}.{column} becomes {shown}{from}, which holds less");
            look.find("alter-type-narrowing", message, more());
        }
    }
    let key = Key::of(table);
    let own = look.world.table(table).is_some_and(|known| {
        known.constraints.iter().any(|constraint| {
            constraint.form == Form::ForeignKey && constraint.columns.iter().any(|other| other == column)
        })
    });
    let pointed_to = look.world.tables.values().any(|other| {
        other
            .constraints
            .iter()
            .any(|constraint| constraint.form == Form::ForeignKey && constraint.references.as_ref() == Some(&key))
    });
    let in_key = look.world.table(table).is_some_and(|known| {
        known.constraints.iter().any(|constraint| {
            matches!(constraint.form, Form::PrimaryKey | Form::Unique)
                && constraint.columns.iter().any(|other| other == column)
        })
    });
    if own || pointed_to && in_key {
        let message = format!("{table}.{column} is one side of a foreign key");
        look.find("alter-type-of-key", message, more());
    }
    let computed = look.world.table(table).and_then(|known| {
        let uses = known.columns.iter().find(|(_, other)| other.computed_from.iter().any(|from| from == column));
        let dependent = known.dependents.iter().find(|(of, _)| of.as_deref() == Some(column));
        uses.map(|(name, _)| format!("the generated column {name}")).or_else(|| dependent.map(|(_, what)| what.clone()))
    });
    if let Some(what) = computed {
        look.find("alter-type-blocked", format!("{what} uses {table}.{column}"), more());
    }
}

/// A change that writes nothing, on a column on which something stands.
fn hidden(look: &mut Look<'_>, table: &ObjectRef, column: &str) {
    let key = Key::of(table);
    let check = look.world.table(table).and_then(|known| {
        known.constraints.iter().find(|constraint| {
            constraint.form == Form::Check
                && constraint.validated
                && constraint.columns.iter().any(|other| other == column)
        })
    });
    let index =
        look.world.indexes.values().any(|index| index.table == key && index.reads.iter().any(|other| other == column));
    let what = match (check, index) {
        (Some(check), _) => format!("the CHECK {} is verified again", check.name.clone().unwrap_or_default()),
        (None, true) => "an index with an expression or a condition is built again".to_owned(),
        (None, false) => return,
    };
    let message = format!("{table}.{column} is changed in the catalog only, but {what}");
    look.find("alter-type-hidden-work", message, More { table: Some(table), safe: None });
}

/// What is free was measured: reference lint-rules A4.
fn work(old: &KnownColumn, new: &KnownColumn) -> Work {
    if old.array || new.array {
        return if old.array == new.array && (&old.base_type, &old.modifiers) == (&new.base_type, &new.modifiers) {
            Work::Free
        } else {
            Work::Rewrite
        };
    }
    let modifier = |column: &KnownColumn| column.modifiers.first().copied();
    let wider = |old: Option<i64>, new: Option<i64>| match (old, new) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(old), Some(new)) => new >= old,
    };
    let integers = ["int2", "int4", "int8"];
    let size = |name: &str| integers.iter().position(|other| *other == name);
    match (old.base_type.as_str(), new.base_type.as_str()) {
        ("varchar" | "text", "text") => Work::Free,
        ("varchar", "varchar") | ("varbit", "varbit") if wider(modifier(old), modifier(new)) => Work::Free,
        ("text", "varchar") if modifier(new).is_none() => Work::Free,
        ("varchar" | "text", "varchar" | "bpchar") | ("varbit", "varbit") => Work::Narrow,
        ("numeric", "numeric") => match (old.modifiers.as_slice(), new.modifiers.as_slice()) {
            (_, []) => Work::Free,
            ([old_precision, old_scale @ ..], [new_precision, new_scale @ ..]) => {
                let scale = |scale: &[i64]| scale.first().copied().unwrap_or(0);
                match (new_precision >= old_precision, scale(old_scale) == scale(new_scale)) {
                    (true, true) => Work::Free,
                    (true, false) => Work::Rewrite,
                    (false, _) => Work::Narrow,
                }
            }
            ([], _) => Work::Narrow,
        },
        ("timestamp", "timestamp") | ("timestamptz", "timestamptz") | ("time", "time") | ("timetz", "timetz") => {
            if wider(modifier(old), modifier(new)) {
                Work::Free
            } else {
                Work::Rewrite
            }
        }
        ("cidr", "inet") => Work::Free,
        (a, b) if a == b && old.modifiers == new.modifiers => Work::Free,
        (a, b) => match (size(a), size(b)) {
            (Some(a), Some(b)) if b < a => Work::Narrow,
            _ => Work::Rewrite,
        },
    }
}

fn written_type(column: &KnownColumn) -> String {
    let name = match column.base_type.as_str() {
        "int8" | "bigserial" => "bigint",
        "int4" | "serial" => "integer",
        "int2" => "smallint",
        "bool" => "boolean",
        other => other,
    };
    let modifiers: Vec<String> = column.modifiers.iter().map(ToString::to_string).collect();
    let modifiers = if modifiers.is_empty() { String::new() } else { format!("({})", modifiers.join(", ")) };
    format!("{name}{modifiers}{}", if column.array { "[]" } else { "" })
}
