//! Transactions, timeouts, how long locks are held.

use crate::sql;
use crate::sql::ObjectRef;
use crate::sql::act::Change;
use crate::sql::act::Deed;
use crate::sql::act::Form;
use crate::sql::act::Thing;

use super::super::file::Look;
use super::super::file::More;
use super::super::world::Key;

use super::super::file::Runner;
use super::locks;
use crate::lock::LockMode;

pub(super) fn check(look: &mut Look<'_>) {
    if !look.runs_now() {
        return;
    }
    control(look);
    let locks: Vec<(ObjectRef, LockMode)> = locks::of(&look.act.deed, look.world)
        .into_iter()
        .filter(|(table, mode)| *mode > LockMode::ShareUpdateExclusive && !look.is_new(table))
        .collect();
    if look.runner() == Runner::Other {
        timeouts(look, &locks);
        wide(look, &locks);
        retry(look);
    }
    let strong = look.file.held.iter().find(|held| held.mode >= LockMode::Share);
    if let Some(held) = strong
        && look.file.in_transaction
        && locks::is_long(&look.act.deed, |table| look.is_new(table))
    {
        let message = format!("this may take long, and {} is held in {} mode meanwhile", held.shown, held.mode);
        look.find("slow-under-lock", message, More { table: Some(&held.table.shown()), safe: None });
    }
    combine(look);
}

/// Whether `BEGIN` and `COMMIT` stand around the whole file.
fn is_outer(look: &Look<'_>) -> bool {
    let outer = |act: Option<&crate::sql::act::Act>, begin: bool| match act.map(|act| &act.deed) {
        Some(Deed::Begin) => begin,
        Some(Deed::Commit) => !begin,
        _ => false,
    };
    let this = look.act.span;
    let at = [look.acts.first(), look.acts.last()].into_iter().flatten().any(|act| act.span == this);
    at && outer(look.acts.first(), true) && outer(look.acts.last(), false)
}

fn control(look: &mut Look<'_>) {
    let what = match &look.act.deed {
        Deed::Begin => "BEGIN",
        Deed::Commit => "COMMIT",
        Deed::Rollback => "ROLLBACK",
        _ => return,
    };
    let twice = what == "BEGIN" && look.file.begun.is_some();
    if what != "BEGIN" && look.file.begun.is_none() && !look.file.wrapped {
        return look.find("transaction-in-file", format!("{what} without a BEGIN"), More::default());
    }
    if (look.file.wrapped || twice) && !is_outer(look) {
        look.find("transaction-in-file", format!("{what} in a file that is a transaction"), More::default());
    }
}

fn timeouts(look: &mut Look<'_>, locks: &[(ObjectRef, LockMode)]) {
    let slow = matches!(&look.act.deed, Deed::Alter { changes, .. } if changes.iter().all(|change| matches!(change, Change::Validate { .. })));
    let Some((table, mode)) = locks.iter().max_by_key(|(_, mode)| *mode) else { return };
    let name = table.clone();
    if !look.file.timeouts.contains_key("lock_timeout") {
        let safe = sql!("SET lock_timeout = '2s';");
        let message = format!("{name} is locked in {mode} mode without a lock_timeout");
        look.find("missing-lock-timeout", message, More { table: Some(&name), safe: Some(safe) });
    }
    if !slow && !look.file.timeouts.contains_key("statement_timeout") {
        let message = format!("{name} is locked in {mode} mode without a statement_timeout");
        look.find("missing-statement-timeout", message, More { table: Some(&name), safe: None });
    }
}

fn wide(look: &mut Look<'_>, locks: &[(ObjectRef, LockMode)]) {
    let strong = |mode: LockMode| mode == LockMode::AccessExclusive;
    for (table, mode) in locks {
        let key = Key::of(table);
        let other = look.file.held.iter().find(|held| held.table != key && strong(held.mode));
        if let Some(other) = other
            && strong(*mode)
            && look.file.in_transaction
        {
            let message = format!("{table} is locked while {} still is", other.shown);
            look.find("wide-lock-window", message, More { table: Some(table), safe: None });
            return;
        }
    }
}

/// What can't be run again where no transaction undoes it.
fn retry(look: &mut Look<'_>) {
    let end = look.act.span.end;
    let mut behind = look.acts.iter().filter(|act| act.span.start >= end);
    // Where more comes behind the COMMIT, what was committed stays when that fails.
    let goes_on = look.file.begun.is_some()
        && behind.by_ref().any(|act| matches!(act.deed, Deed::Commit))
        && behind.any(|act| !matches!(act.deed, Deed::Begin | Deed::Commit | Deed::Rollback | Deed::Comment));
    let kept = goes_on && is_written_down(look);
    let undone = look.file.in_transaction && (!goes_on || kept);
    if undone || look.file.statements < 2 || look.act.inside.is_some() {
        return;
    }
    let what = match &look.act.deed {
        Deed::CreateTable(table) if !table.if_not_exists && !table.temporary => "CREATE TABLE",
        Deed::CreateIndex(index) if !index.if_not_exists && !index.concurrently => "CREATE INDEX",
        Deed::CreateSchema { if_not_exists: false, .. } => "CREATE SCHEMA",
        Deed::CreateSequence { if_not_exists: false, .. } => "CREATE SEQUENCE",
        Deed::CreateExtension { if_not_exists: false, .. } => "CREATE EXTENSION",
        Deed::CreateType { .. } => "CREATE TYPE",
        Deed::AddEnumValue { if_not_exists: false, .. } => "ADD VALUE",
        Deed::Drop { if_exists: false, .. } => "DROP",
        Deed::Alter { table, changes, .. } => {
            let fragile = |change: &Change| match change {
                Change::AddColumn { if_not_exists, .. } => !if_not_exists,
                Change::DropColumn { if_exists, .. } | Change::DropConstraint { if_exists, .. } => !if_exists,
                Change::AddConstraint(constraint) => !dropped_before(look, table, constraint.name.as_deref()),
                _ => false,
            };
            if !changes.iter().any(fragile) {
                return;
            }
            "ALTER TABLE"
        }
        _ => return,
    };
    look.find("not-retryable", format!("{what} fails where it was done already"), More::default());
}

/// Whether the transaction that is open writes into a tool's history that it was done: then it is not run again.
fn is_written_down(look: &Look<'_>) -> bool {
    let histories = ["alembic_version", "schema_migrations", "flyway_schema_history", "goose_db_version"];
    let begun = look.file.begun.map_or(0, |begun| begun.end);
    let open = look.acts.iter().filter(|act| act.span.start >= begun);
    let mut open = open.take_while(|act| !matches!(act.deed, Deed::Commit | Deed::Rollback));
    open.any(|act| match &act.deed {
        Deed::Update { table, .. } | Deed::Insert { table, .. } => histories.contains(&table.name.as_str()),
        _ => false,
    })
}

/// Whether a constraint of this name is dropped in front of this statement, where it is there.
fn dropped_before(look: &Look<'_>, table: &ObjectRef, name: Option<&str>) -> bool {
    let start = look.act.span.start;
    look.acts.iter().filter(|act| act.span.end <= start).any(|act| match &act.deed {
        Deed::Alter { table: other, changes, .. } if Key::of(other) == Key::of(table) => changes.iter().any(|change| {
            matches!(change, Change::DropConstraint { name: dropped, if_exists: true } if Some(dropped.as_str()) == name)
        }),
        _ => false,
    })
}

fn combine(look: &mut Look<'_>) {
    let Deed::Alter { thing: Thing::Table, table, changes, .. } = &look.act.deed else { return };
    let at = look.acts.iter().position(|act| act.span == look.act.span).filter(|at| *at > 0);
    let Some(before) = at.and_then(|at| look.acts.get(at - 1)) else { return };
    let apart = |change: &Change| match change {
        Change::Validate { .. } | Change::SetNotNull { .. } | Change::DropConstraint { .. } => true,
        Change::AddConstraint(constraint) => constraint.not_valid || constraint.form == Form::ForeignKey,
        _ => false,
    };
    if let Deed::Alter { thing: Thing::Table, table: other, changes: others, .. } = &before.deed
        && Key::of(other) == Key::of(table)
        && !look.is_new(table)
        && !changes.iter().chain(others).any(apart)
    {
        let message = format!("{table} is altered again");
        look.find("combine-alter-tables", message, More { table: Some(table), safe: None });
    }
}

pub(super) fn at_the_end(look: &mut Look<'_>) {
    if let Some(begun) = look.file.begun {
        let rule = super::super::rules::get("uncommitted-transaction");
        look.report(rule, begun, "this transaction is never committed".to_owned(), More::default());
    }
}
