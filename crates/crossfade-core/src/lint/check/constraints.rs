//! Constraints.

use crate::sql;
use crate::sql::Ident;
use crate::sql::ObjectRef;
use crate::sql::act::Change;
use crate::sql::act::Deed;
use crate::sql::act::Form;
use crate::sql::act::Thing;
use crate::sql::written;

use super::super::file::Look;
use super::super::file::More;
use super::super::world::Key;

use super::super::file::Runner;
use crate::sql::act::NewConstraint;
use crate::sql::act::not_valid;
use crate::sql::act::with_name;

pub(super) fn check(look: &mut Look<'_>) {
    match &look.act.deed {
        Deed::Alter { thing: Thing::Table | Thing::ForeignTable, table, changes, .. } => {
            for change in changes {
                altered(look, table, change, changes);
            }
        }
        Deed::CreateTable(table) => {
            let own = table.columns.iter().flat_map(|column| &column.constraints).chain(&table.constraints);
            for constraint in own {
                in_new_table(look, &table.name, constraint);
            }
        }
        _ => {}
    }
}

fn of<'a>(table: &'a ObjectRef, safe: Option<sql::Sql>) -> More<'a> {
    More { table: Some(table), safe }
}

/// Foreign keys that were added and have no index, now that all is made.
pub(super) fn at_the_end(look: &mut Look<'_>) {
    for act in look.acts {
        let (table, constraints): (&ObjectRef, Vec<&NewConstraint>) = match &act.deed {
            Deed::Alter { table, changes, .. } => (table, changes.iter().flat_map(added).collect()),
            Deed::CreateTable(table) => {
                let own = table.columns.iter().flat_map(|column| &column.constraints).chain(&table.constraints);
                (&table.name, own.collect())
            }
            _ => continue,
        };
        let known = look.world.complete || look.world.table(table).is_some_and(|table| table.complete);
        for key in constraints.iter().filter(|constraint| constraint.form == Form::ForeignKey && known) {
            let covers = |columns: &[String]| {
                let first = columns.get(..key.columns.len()).unwrap_or_default();
                !key.columns.is_empty()
                    && key.columns.iter().all(|column| first.contains(column))
                    && first.len() == key.columns.len()
            };
            let place = Key::of(table);
            let found =
                look.world.indexes.values().any(|index| index.table == place && index.plain && covers(&index.columns));
            if !found && !key.columns.is_empty() {
                let rule = super::super::rules::get("foreign-key-without-index");
                let columns = key.columns.iter().map(|column| sql!("{}", Ident::new(column.as_str())));
                let safe = sql!("CREATE INDEX CONCURRENTLY ON {} ({});", written(table), sql::Sql::join(columns, ", "));
                let message = format!("no index of {table} begins with {}", key.columns.join(", "));
                look.report(rule, act.span, message, of(table, Some(safe)));
            }
        }
    }
}

/// The constraints that a part of an ALTER TABLE adds.
fn added(change: &Change) -> Vec<&NewConstraint> {
    match change {
        Change::AddConstraint(constraint) => vec![constraint],
        Change::AddColumn { column, .. } => column.constraints.iter().collect(),
        _ => Vec::new(),
    }
}

fn in_new_table(look: &mut Look<'_>, table: &ObjectRef, constraint: &NewConstraint) {
    common(look, table, constraint);
    if let (Form::ForeignKey, Some(parent)) = (constraint.form, &constraint.references)
        && !look.is_new(parent)
        && parent != table
        && look.runner() == Runner::Other
        && !look.file.timeouts.contains_key("lock_timeout")
    {
        look.find("foreign-key-in-new-table", format!("{table} points to {parent}, which is in use"), of(parent, None));
    }
    several(look, table, constraint);
}

fn several(look: &mut Look<'_>, table: &ObjectRef, constraint: &NewConstraint) {
    let Some(parent) = constraint.references.as_ref().filter(|_| constraint.form == Form::ForeignKey) else { return };
    let key = Key::of(parent);
    let others = look.file.parents.iter().filter(|other| **other != key).count();
    if look.file.in_transaction && others > 0 && !look.is_new(parent) && key != Key::of(table) {
        let message =
            format!("{table} points to {parent}, and this transaction has locked another table for that already");
        look.find("several-foreign-keys", message, of(parent, None));
    }
}

/// What holds for a table that is new, too.
fn common(look: &mut Look<'_>, table: &ObjectRef, constraint: &NewConstraint) {
    if !constraint.enforced {
        look.find("not-enforced-constraint", format!("a constraint of {table} is not enforced"), of(table, None));
    }
    let volatile = constraint.functions.iter().find(|call| {
        [
            "now",
            "clock_timestamp",
            "statement_timestamp",
            "transaction_timestamp",
            "random",
            "gen_random_uuid",
            "timeofday",
        ]
        .contains(&call.name.as_str())
    });
    if let (Form::Check, Some(call)) = (constraint.form, volatile) {
        let message = format!("a CHECK of {table} calls {}()", call.name);
        look.find("volatile-check", message, of(table, None));
    }
    if let (Form::ForeignKey, Some(parent)) = (constraint.form, &constraint.references) {
        types_differ(look, table, constraint, parent);
    }
}

fn types_differ(look: &mut Look<'_>, table: &ObjectRef, constraint: &NewConstraint, parent: &ObjectRef) {
    let ([column], Some(target)) = (constraint.columns.as_slice(), look.world.table(parent)) else { return };
    let key = target.constraints.iter().find(|other| other.form == Form::PrimaryKey);
    let referenced = match constraint.referenced.as_slice() {
        [one] => Some(one),
        [] => key.and_then(|key| match key.columns.as_slice() {
            [one] => Some(one),
            _ => None,
        }),
        _ => None,
    };
    let Some(to) = referenced.and_then(|name| target.columns.get(name)) else { return };
    let own = look.own_type(table, column);
    let base = |name: &str| match name {
        "bigserial" | "serial8" => "int8".to_owned(),
        "serial" | "serial4" => "int4".to_owned(),
        "smallserial" | "serial2" => "int2".to_owned(),
        "varchar" | "bpchar" => "text".to_owned(),
        other => other.to_owned(),
    };
    if let Some(own) = own
        && !to.base_type.is_empty()
        && base(&own) != base(&to.base_type)
    {
        let message = format!("{table}.{column} is {own}, and what it points to is {}", to.base_type);
        look.find("foreign-key-type-mismatch", message, of(table, None));
    }
}

fn altered(look: &mut Look<'_>, table: &ObjectRef, change: &Change, all: &[Change]) {
    for constraint in added(change) {
        common(look, table, constraint);
    }
    if look.is_new(table) {
        return;
    }
    let on = written(table);
    match change {
        Change::AddConstraint(constraint) => add(look, table, constraint),
        Change::AddColumn { column, .. } => {
            for constraint in &column.constraints {
                several(look, table, constraint);
                if constraint.enforced {
                    restricts(look, table);
                }
            }
        }
        Change::SetNotNull { column } => {
            let known = look.world.column(table, column).is_some_and(|column| column.not_null);
            let name = Ident::new(column.as_str());
            if known {
                return;
            }
            if look.world.is_proven(table, column) {
                let proof = look.world.table(table).and_then(|known| {
                    known
                        .constraints
                        .iter()
                        .find(|constraint| constraint.validated && constraint.proves_not_null.contains(column))
                });
                let proof = proof.and_then(|proof| proof.name.clone());
                let dropped = |change: &Change| matches!(change, Change::DropConstraint { name, .. } if Some(name) == proof.as_ref());
                if all.iter().any(dropped) {
                    let message =
                        format!("{table}.{column} becomes NOT NULL, and the CHECK that proves it goes with it");
                    look.find("set-not-null-with-drop-check", message, of(table, None));
                }
                return;
            }
            let check = Ident::new([column.as_str(), "_given"].concat());
            let add = sql!("ALTER TABLE {} ADD CONSTRAINT {} CHECK ({} IS NOT NULL) NOT VALID;", on, check, name);
            let validate = sql!("-- in another transaction\nALTER TABLE {} VALIDATE CONSTRAINT {};", on, check);
            let set = sql!("ALTER TABLE {} ALTER COLUMN {} SET NOT NULL;", on, name);
            let drop = sql!("ALTER TABLE {} DROP CONSTRAINT {};", on, check);
            let safe = sql!("{}\n{}\n{}\n{}", add, validate, set, drop);
            look.find("set-not-null-scanning", format!("{table}.{column} becomes NOT NULL"), of(table, Some(safe)));
            restricts(look, table);
        }
        Change::DropNotNull { column } => {
            look.find("drop-not-null", format!("{table}.{column} may be NULL from here on"), of(table, None));
        }
        Change::DropConstraint { name, .. } => dropped(look, table, name, all),
        Change::Validate { name } => {
            let key = Key::of(table);
            let added = look.file.not_valid.iter().find(|(table, constraint, transaction)| {
                *table == key && constraint.as_ref() == Some(name) && *transaction == look.file.transaction
            });
            if added.is_some() && look.file.in_transaction {
                look.find(
                    "validate-in-adding-transaction",
                    format!("{name} of {table} is validated in the transaction that adds it"),
                    of(table, None),
                );
            }
            if look.world.table(table).is_some_and(|table| table.partitioned) {
                let message = format!("{name} is validated for all partitions of {table} at once");
                look.find("validate-partitioned", message, of(table, None));
            }
        }
        _ => {}
    }
}

fn restricts(look: &mut Look<'_>, table: &ObjectRef) {
    look.find("new-write-restriction", format!("{table} refuses more than before"), of(table, None));
}

fn dropped(look: &mut Look<'_>, table: &ObjectRef, name: &str, all: &[Change]) {
    let known = look.world.constraint(table, name).map(|found| (found.form, found.proves_not_null.clone()));
    let identity = look.world.table(table).is_some_and(|table| table.replica_identity);
    match known {
        Some((Form::PrimaryKey, _)) if !identity => {
            look.find("drop-primary-key", format!("{table} loses its primary key {name}"), of(table, None));
        }
        Some((Form::PrimaryKey, _)) => {}
        // A CHECK that only proved what is NOT NULL by now.
        Some((Form::Check, proven))
            if !proven.is_empty()
                && proven.iter().all(|column| {
                    look.world.column(table, column).is_some_and(|column| column.not_null)
                        || all
                            .iter()
                            .any(|change| matches!(change, Change::SetNotNull { column: set } if set == column))
                }) => {}
        // It is put in its place again.
        _ if all
            .iter()
            .any(|change| matches!(change, Change::AddConstraint(added) if added.name.as_deref() == Some(name))) => {}
        _ => look.find("drop-constraint", format!("{table} loses its constraint {name}"), of(table, None)),
    }
}

fn add(look: &mut Look<'_>, table: &ObjectRef, constraint: &NewConstraint) {
    let partitioned = look.world.table(table).is_some_and(|table| table.partitioned);
    let name = constraint.name.clone();
    let shown = name.clone().unwrap_or_else(|| "the constraint".to_owned());
    several(look, table, constraint);
    if constraint.enforced && constraint.using_index.is_none() {
        restricts(look, table);
    }
    match constraint.form {
        Form::Check if !constraint.not_valid && constraint.enforced => {
            let safe = in_two_steps(look, table, constraint);
            look.find("add-check-validating", format!("{shown} of {table} is checked for every row"), of(table, safe));
        }
        Form::ForeignKey => foreign_key(look, table, constraint, partitioned, &shown),
        Form::Unique | Form::PrimaryKey if constraint.using_index.is_none() => {
            let (rule, key) = match constraint.form {
                Form::Unique => ("add-unique-blocking", sql!("UNIQUE")),
                _ => ("add-primary-key-blocking", sql!("PRIMARY KEY")),
            };
            let safe = by_an_index(look, table, constraint, &key);
            let columns = constraint.columns.join(", ");
            look.find(rule, format!("{table} gets a {key} over {columns}"), of(table, safe));
        }
        Form::PrimaryKey => {
            let index =
                constraint.using_index.as_ref().and_then(|name| look.world.indexes.get(&Key::of(table).beside(name)));
            let open = index.map(|index| {
                let known = |column: &&String| {
                    !look.world.column(table, column).is_some_and(|column| column.not_null)
                        && !look.world.is_proven(table, column)
                };
                index.columns.iter().filter(known).cloned().collect::<Vec<_>>()
            });
            if let Some(open) = open.filter(|open| !open.is_empty()) {
                let message = format!("{table} gets a PRIMARY KEY over {}, which may be NULL", open.join(", "));
                look.find("primary-key-over-nullable", message, of(table, None));
            }
        }
        Form::Exclude => {
            look.find("add-exclusion-constraint", format!("{shown} of {table} builds an index"), of(table, None));
        }
        Form::NotNull if !constraint.not_valid => {
            let column = constraint.columns.join(", ");
            let known = constraint.columns.iter().all(|column| {
                look.world.column(table, column).is_some_and(|column| column.not_null)
                    || look.world.is_proven(table, column)
            });
            if !known {
                look.find("set-not-null-scanning", format!("{table}.{column} becomes NOT NULL"), of(table, None));
            }
        }
        Form::Check | Form::Unique | Form::NotNull => {}
    }
    let scans = !constraint.not_valid && constraint.enforced && constraint.using_index.is_none();
    if partitioned && scans && constraint.form != Form::ForeignKey {
        let message = format!("{shown} is made on all partitions of {table} at once");
        look.find("partitioned-fanout", message, of(table, None));
    }
}

/// The index first, beside the others' work, then the constraint on it.
fn by_an_index(look: &Look<'_>, table: &ObjectRef, constraint: &NewConstraint, key: &sql::Sql) -> Option<sql::Sql> {
    if constraint.index_options || look.world.table(table).is_some_and(|table| table.partitioned) {
        return None;
    }
    let list = |names: &[String]| {
        let names = names.iter().map(|name| sql!("{}", Ident::new(name.as_str())));
        sql::Sql::join(names, ", ")
    };
    let on = written(table);
    let name = Ident::new(look.world.name_of(&Key::of(table), constraint));
    let including = match constraint.including.as_slice() {
        [] => sql!(""),
        names => sql!(" INCLUDE ({})", list(names)),
    };
    let nulls = if constraint.nulls_not_distinct { sql!(" NULLS NOT DISTINCT") } else { sql!("") };
    let deferrable = match constraint.deferrable {
        None => sql!(""),
        Some(false) => sql!(" DEFERRABLE"),
        Some(true) => sql!(" DEFERRABLE INITIALLY DEFERRED"),
    };
    let columns = list(&constraint.columns);
    let build = sql!("CREATE UNIQUE INDEX CONCURRENTLY {} ON {} ({}){}{};", name, on, columns, including, nulls);
    let take = sql!("ALTER TABLE {} ADD CONSTRAINT {} {} USING INDEX {}{};", on, name, key, name, deferrable);
    Some(sql!("{}\n{}", build, take))
}

/// NOT VALID, then VALIDATE: of a statement that adds nothing else.
fn in_two_steps(look: &Look<'_>, table: &ObjectRef, constraint: &NewConstraint) -> Option<sql::Sql> {
    let alone = matches!(&look.act.deed, Deed::Alter { changes, .. } if changes.len() == 1);
    let text = look.written().filter(|_| alone)?;
    let name = Ident::new(look.world.name_of(&Key::of(table), constraint));
    let named = match &constraint.name {
        Some(_) => None,
        None => Some(with_name(text, &name)?),
    };
    let add = not_valid(named.as_ref().map_or(text, |named| named.as_str()));
    let validate = sql!("ALTER TABLE {} VALIDATE CONSTRAINT {};", written(table), name);
    Some(sql!("{};\n-- in another transaction\n{}", add, validate))
}

fn foreign_key(look: &mut Look<'_>, table: &ObjectRef, constraint: &NewConstraint, partitioned: bool, shown: &str) {
    let to = constraint.references.as_ref().map(ToString::to_string).unwrap_or_default();
    if constraint.not_valid {
        if partitioned && !look.server(18) {
            let message = format!("{shown} of {table}, which is partitioned, can't be NOT VALID");
            look.find("foreign-key-not-valid-partitioned", message, of(table, None));
        }
    } else if constraint.enforced {
        let safe = in_two_steps(look, table, constraint).filter(|_| !partitioned || look.server(18));
        let message = format!("every row of {table} is looked up in {to}");
        look.find("add-foreign-key-validating", message, of(table, safe));
    }
}
