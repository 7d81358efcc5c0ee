//! New columns.

use crate::catalog::Volatility;
use crate::operation::builtin_takes;
use crate::operation::builtin_volatility;
use crate::sql;
use crate::sql::Ident;
use crate::sql::ObjectRef;
use crate::sql::act::Call;
use crate::sql::act::Change;
use crate::sql::act::Deed;
use crate::sql::act::Form;
use crate::sql::act::NewColumn;
use crate::sql::act::Thing;
use crate::sql::written;

use super::super::file::Look;
use super::super::file::More;
use super::super::world::Key;
use super::super::world::KnownType;

pub(super) fn check(look: &mut Look<'_>) {
    match &look.act.deed {
        Deed::Alter { thing: Thing::Table, table, changes, .. } => {
            for change in changes {
                if let Change::AddColumn { column, .. } = change {
                    added(look, table, column);
                }
            }
        }
        Deed::CreateTable(table) if !table.temporary => {
            for column in &table.columns {
                json(look, &table.name, column);
            }
        }
        _ => {}
    }
}

fn added(look: &mut Look<'_>, table: &ObjectRef, column: &NewColumn) {
    json(look, table, column);
    if look.is_new(table) {
        return;
    }
    let what = format!("{table}.{}", column.name);
    let (on, name) = (written(table), Ident::new(column.name.as_str()));
    let more = |safe| More { table: Some(table), safe };
    let volatile =
        column.default.as_ref().and_then(|default| default.functions.iter().find(|call| is_volatile(look, call)));
    if column.is_serial() {
        look.find(
            "add-column-serial",
            format!("{what} is a {}: every row gets a number", column.base_type),
            more(None),
        );
    } else if column.identity {
        look.find("add-column-identity", format!("{what} counts: every row gets a number"), more(None));
    } else if column.generated == Some(true) {
        look.find("add-column-generated-stored", format!("{what} is computed for every row, and stored"), more(None));
    } else if let Some(Call { name, arguments, .. }) = volatile {
        let message = if builtin_volatility(name) < Volatility::Volatile {
            let given = if *arguments == 1 { "one argument".to_owned() } else { format!("{arguments} arguments") };
            format!(
                "{what} has the default {name}() with {given}, which is none of PostgreSQL's own, and so may be another value in each row"
            )
        } else {
            format!("{what} has the default {name}(), which is another value in each row")
        };
        look.find("add-column-volatile-default", message, more(None));
    } else if is_constrained(look, column) {
        let message = format!("{what} is of {}, a domain with a constraint", column.base_type);
        look.find("add-column-constrained-domain", message, more(None));
    } else if column.not_null
        && !column.is_filled()
        && !column.constraints.iter().any(|own| own.form == Form::PrimaryKey)
    {
        look.find(
            "add-column-not-null-no-default",
            format!("{what} is NOT NULL, and the rows that are there have no value for it"),
            more(None),
        );
    }
    for constraint in &column.constraints {
        match constraint.form {
            Form::Check if constraint.enforced => {
                look.find("add-column-inline-check", format!("{what} comes with a CHECK"), more(None));
            }
            Form::ForeignKey if constraint.enforced && column.is_filled() => {
                let to = constraint.references.as_ref().map(ToString::to_string).unwrap_or_default();
                look.find(
                    "add-column-inline-references",
                    format!("{what} points to {to} and has a value in every row"),
                    more(None),
                );
            }
            Form::Unique | Form::PrimaryKey => {
                let index = Ident::new(look.world.name_of(&Key::of(table), constraint));
                let key = if constraint.form == Form::Unique { sql!("UNIQUE") } else { sql!("PRIMARY KEY") };
                let message = format!("{what} comes with a {key}");
                let build = sql!("CREATE UNIQUE INDEX CONCURRENTLY {} ON {} ({});", index, on, name);
                let take = sql!("ALTER TABLE {} ADD CONSTRAINT {} {} USING INDEX {};", on, index, key, index);
                look.find(
                    "add-column-inline-unique",
                    message,
                    more(Some(sql!("-- the column without {} first, then\n{}\n{}", key, build, take))),
                );
            }
            Form::Check | Form::ForeignKey | Form::Exclude | Form::NotNull => {}
        }
    }
}

fn json(look: &mut Look<'_>, table: &ObjectRef, column: &NewColumn) {
    if column.base_type == "json" && matches!(column.type_schema.as_deref(), None | Some("pg_catalog")) {
        let message = format!("{table}.{} is of type json", column.name);
        look.find("add-column-json", message, More { table: Some(table), safe: None });
    }
}

/// Whether a column is of a domain that is known to have a constraint.
fn is_constrained(look: &Look<'_>, column: &NewColumn) -> bool {
    let name = ObjectRef { schema: column.type_schema.clone(), name: column.base_type.clone() };
    !column.array && matches!(look.world.types.get(&Key::of(&name)), Some(KnownType::Domain { constrained: true }))
}

/// Whether a function may give another value in each row, as far as it is known.
fn is_volatile(look: &Look<'_>, Call { schema, name, arguments }: &Call) -> bool {
    let builtin = matches!(schema.as_deref(), None | Some("pg_catalog")) && builtin_takes(name, *arguments);
    if builtin && builtin_volatility(name) < Volatility::Volatile {
        return false;
    }
    !look.world.steady_functions.iter().any(|steady| steady == name)
}
