//! What undoes a statement that runs as written: by its own text, by the schema before it, or with what the file makes.

use super::as_it_was;
use super::as_written::table_locks;
use super::as_written::touches;
use super::foreign_key::ForeignKey;
use super::put_back;
use super::view;
use crate::catalog::Catalog;
use crate::catalog::Table;
use crate::lock::LockMode;
use crate::lock::TableLock;
use crate::migration::Statement;
use crate::plan::PlanContext;
use crate::sql;
use crate::sql::AlterCommand;
use crate::sql::Commented;
use crate::sql::Ident;
use crate::sql::Literal;
use crate::sql::Made;
use crate::sql::ObjectRef;
use crate::sql::ParsedStatement;
use crate::sql::Sql;
use crate::sql::StatementKind;
use crate::sql::Target;
use crate::sql::UnlessThere;
use crate::sql::commented;
use crate::sql::gives_sequence;
use crate::sql::is_traceless;
use crate::sql::made_by;
use crate::sql::makes_schema;
use crate::sql::makes_unless_there;
use crate::sql::validates;
use crate::sql::works_on;
use crate::sql::written;

/// What undoes it, and what that locks. None where nobody knows.
pub(super) fn way_back(cx: &PlanContext<'_>, statement: &Statement) -> Option<(Sql, Vec<TableLock>)> {
    // What goes with something as a whole is not taken back a piece at a time: a later statement may have dropped or renamed the piece.
    let whole = statement.undo.clone().or_else(|| goes_with_own(cx, statement));
    let undo = whole.or_else(|| undo(cx.catalog, &statement.parsed.kind));
    let undo = undo.or_else(|| as_it_was::statement(cx.catalog, &statement.parsed));
    let undo = undo.or_else(|| put_back::statement(cx.catalog, &statement.parsed));
    let undo = undo.or_else(|| is_traceless(&statement.parsed).then(|| sql!("/* it leaves nothing behind */")));
    let undo = undo.or_else(|| unless_there(cx.catalog, &statement.parsed));
    let undo = undo.or_else(|| view::put_back(cx, statement)?.ok());
    // PostgreSQL can't take a value away from an enum, and one that nobody uses harms nobody.
    let stays = || matches!(made_by(&statement.parsed), Some(Made::EnumValue(_)));
    let undo = undo.or_else(|| stays().then(|| sql!("/* the new value stays in the enum */")));
    let undo = undo.or_else(|| uncomment(cx, statement))?;
    let locks = undo_locks(cx, &statement.parsed.kind, &undo);
    Some((undo, locks))
}

/// Of what is made where it is not there: the DROP, or nothing.
fn unless_there(catalog: &Catalog, statement: &ParsedStatement) -> Option<Sql> {
    let stays = || sql!("/* it was there before */");
    if let StatementKind::CreateTable { name, if_not_exists: true, .. } = &statement.kind {
        return catalog.resolve(name).map(|_| stays());
    }
    Some(match makes_unless_there(statement)? {
        UnlessThere::Schema(name) if catalog.schemas.contains(&name) || name == "public" => stays(),
        UnlessThere::Schema(name) => sql!("DROP SCHEMA {}", Ident::new(name.as_str())),
        UnlessThere::Extension(name) if catalog.extensions.contains(&name) || name == "plpgsql" => stays(),
        UnlessThere::Extension(name) => sql!("DROP EXTENSION {}", Ident::new(name.as_str())),
    })
}

/// The comment from before. One on something that the file makes goes with it.
fn uncomment(cx: &PlanContext<'_>, statement: &Statement) -> Option<Sql> {
    let text = |comment: &Option<String>| match comment {
        Some(comment) => sql!("{}", Literal(comment.clone())),
        None => sql!("NULL"),
    };
    let (name, column) = match commented(&statement.parsed)? {
        Commented::Table(name) => (name, None),
        Commented::Column(name, column) => (name, Some(column)),
    };
    let goes_along = || sql!("/* the comment goes with what it is on */");
    let Some(table) = cx.catalog.resolve(&name) else { return Some(goes_along()) };
    let Some(column) = column else {
        return Some(sql!("COMMENT ON TABLE {} IS {}", table.name, text(&table.comment)));
    };
    let renamed = cx.migration.statements.iter().find_map(|other| match &other.parsed.kind {
        StatementKind::RenameColumn { table: of, from, to, .. }
            if *to == column && cx.catalog.resolve(of).is_some_and(|found| found.name == table.name) =>
        {
            table.column(from)
        }
        _ => None,
    });
    Some(match table.column(&column).or(renamed) {
        Some(known) => {
            let column = Ident::new(column.as_str());
            sql!("COMMENT ON COLUMN {}.{} IS {}", table.name, column, text(&known.comment))
        }
        None => goes_along(),
    })
}

/// What is done to nothing but what the file itself makes goes with it: the way back drops that.
fn goes_with_own(cx: &PlanContext<'_>, statement: &Statement) -> Option<Sql> {
    if proves_own(cx, statement) {
        return Some(sql!("/* it goes with the constraint */"));
    }
    if changes_own_column(cx, statement) {
        return Some(sql!("/* it goes with the column */"));
    }
    let changed = works_on(&statement.parsed)?;
    let place = |name: &ObjectRef| cx.catalog.place(name);
    let before = || {
        let before = |other: &&Statement| other.parsed.span < statement.parsed.span && other.phase == statement.phase;
        cx.migration.statements.iter().filter(before)
    };
    let is_own = |target: &Target| {
        let makes = |other: &Statement| {
            let (class, name) = match (&other.parsed.kind, &other.parsed.makes) {
                (StatementKind::CreateTable { name, temporary: false, .. }, _) => ("pg_class", name),
                (_, Some(made)) => (made.class, &made.name),
                _ => {
                    return makes_schema(&other.parsed)
                        .is_some_and(|name| in_schema(target).is_some_and(|own| own == name));
                }
            };
            class == target.class && place(name) == place(&target.name)
        };
        // Whose way back is not known may have been there before; and so may what comes in the place of something.
        let is_new = |other: &Statement| other.undo.is_some() || undo(cx.catalog, &other.parsed.kind).is_some();
        let dropped = before().any(|other| match &other.parsed.kind {
            StatementKind::Drop { objects, .. } => objects.iter().any(|it| place(&it.name) == place(&target.name)),
            _ => false,
        });
        !dropped && before().any(|other| makes(other) && is_new(other))
    };
    if !changed.iter().all(is_own) {
        return None;
    }
    // Dropping the table would drop its sequence, and that has a way back of its own.
    let owned = gives_sequence(&statement.parsed);
    let owned = owned.map(|sequence| sql!("ALTER SEQUENCE {} OWNED BY NONE", written(&sequence)));
    Some(owned.unwrap_or_else(|| sql!("/* it goes with what the file makes */")))
}

/// What is done to columns that a statement in front of it adds.
fn changes_own_column(cx: &PlanContext<'_>, statement: &Statement) -> bool {
    let StatementKind::AlterTable { table, if_exists: false, commands, .. } = &statement.parsed.kind else {
        return false;
    };
    let Some(whole) = cx.catalog.resolve(table) else { return false };
    let before = || {
        let before = |other: &&Statement| other.parsed.span < statement.parsed.span && other.phase == statement.phase;
        cx.migration.statements.iter().filter(before)
    };
    let adds = |other: &Statement, name: &str| match &other.parsed.kind {
        StatementKind::AlterTable { table: of, commands, .. } => {
            let is_it = |command: &AlterCommand| matches!(command, AlterCommand::AddColumn { column, if_not_exists: false } if column.name == name);
            cx.catalog.resolve(of).is_some_and(|of| of.name == whole.name) && commands.iter().any(is_it)
        }
        _ => false,
    };
    commands.iter().all(|command| match command {
        AlterCommand::SetDefault { column, .. }
        | AlterCommand::SetNotNull { column }
        | AlterCommand::DropNotNull { column } => {
            whole.column(column).is_none() && before().any(|other| adds(other, column))
        }
        AlterCommand::AddColumn { .. }
        | AlterCommand::DropColumn { .. }
        | AlterCommand::AlterType { .. }
        | AlterCommand::AddConstraint(_)
        | AlterCommand::DropConstraint { .. }
        | AlterCommand::AttachPartition { .. }
        | AlterCommand::DetachPartition { .. }
        | AlterCommand::Other { .. } => false,
    })
}

/// VALIDATE of a constraint that a statement in front of it adds.
fn proves_own(cx: &PlanContext<'_>, statement: &Statement) -> bool {
    let Some((table, name)) = validates(&statement.parsed) else { return false };
    let before = cx.migration.statements.iter().filter(|other| other.parsed.span < statement.parsed.span);
    before.filter(|other| other.phase == statement.phase).any(|other| match &other.parsed.kind {
        StatementKind::AlterTable { table: of, commands, .. } => {
            let adds = |command: &AlterCommand| match command {
                AlterCommand::AddConstraint(added) => added.name.as_ref() == Some(&name),
                _ => false,
            };
            cx.catalog.place(of) == cx.catalog.place(&table) && commands.iter().any(adds)
        }
        _ => false,
    })
}

/// The schema that an object is, or that its name says it is in.
fn in_schema(target: &Target) -> Option<&str> {
    if target.class == "pg_namespace" { Some(&target.name.name) } else { target.name.schema.as_deref() }
}

/// What undoes a statement, where that follows from its text and the schema.
pub(super) fn undo(catalog: &Catalog, kind: &StatementKind) -> Option<Sql> {
    match kind {
        StatementKind::CreateTable { name, if_not_exists, parents, bound, .. }
            if !*if_not_exists || catalog.resolve(name).is_none() =>
        {
            let drop = sql!("DROP TABLE {}", written(name));
            // A partition that foreign keys may point to must be detached before it can be dropped.
            let detached =
                parents.first().filter(|_| bound.is_some()).filter(|parent| may_be_referenced(catalog, parent));
            Some(match detached {
                Some(parent) => {
                    sql!("ALTER TABLE {} DETACH PARTITION {}; {}", written(parent), written(name), drop)
                }
                None => drop,
            })
        }
        StatementKind::AlterTable { table, if_exists, commands, .. } => {
            let known = catalog.resolve(table);
            if *if_exists && known.is_none() {
                return None;
            }
            let was_there = |command: &&AlterCommand| match command {
                AlterCommand::AddColumn { column, if_not_exists: true } => {
                    known.is_some_and(|table| table.column(&column.name).is_some())
                }
                _ => false,
            };
            let changes = || commands.iter().rev().filter(|command| !was_there(command));
            let drops = changes().map(|command| undo_command(known, command)).collect::<Option<Vec<Sql>>>()?;
            if drops.is_empty() {
                return Some(sql!("/* it was there before */"));
            }
            Some(sql!("ALTER TABLE {} {}", written(table), Sql::join(drops, ", ")))
        }
        StatementKind::CreateIndex(index) if !index.if_not_exists => {
            let name = ObjectRef { schema: index.table.schema.clone(), name: index.name.clone()? };
            Some(sql!("DROP INDEX {}", written(&name)))
        }
        StatementKind::Other { undo, .. } => undo.clone(),
        StatementKind::CreateTable { .. }
        | StatementKind::CreateIndex(_)
        | StatementKind::RenameColumn { .. }
        | StatementKind::Drop { .. }
        | StatementKind::Move { .. }
        | StatementKind::DropIndex { .. }
        | StatementKind::Update(_)
        | StatementKind::Transaction(_)
        | StatementKind::NotInTransaction { .. }
        | StatementKind::CopyFromStdin { .. } => None,
    }
}

/// Whether foreign keys point to a table, or to what it is a part of; of one that the file makes that can't be told.
fn may_be_referenced(catalog: &Catalog, table: &ObjectRef) -> bool {
    let mut above = catalog.resolve(table);
    if above.is_none() {
        return true;
    }
    while let Some(table) = above {
        if ForeignKey::all(catalog).any(|key| *key.references == table.name) {
            return true;
        }
        above = table.partition_of.as_ref().and_then(|parent| catalog.table(parent));
    }
    false
}

/// What undoes one part of an ALTER TABLE.
fn undo_command(table: Option<&Table>, command: &AlterCommand) -> Option<Sql> {
    let known = |column: &str| table.and_then(|table| table.column(column));
    match command {
        AlterCommand::AddColumn { column, if_not_exists } if !*if_not_exists || table.is_some() => {
            Some(sql!("DROP COLUMN {}", Ident::new(column.name.as_str())))
        }
        AlterCommand::SetDefault { column, .. } => {
            let name = Ident::new(column.as_str());
            Some(match &known(column)?.default {
                Some(default) => sql!("ALTER COLUMN {} SET DEFAULT {}", name, default.expression),
                None => sql!("ALTER COLUMN {} DROP DEFAULT", name),
            })
        }
        AlterCommand::DropNotNull { column } => {
            let was = known(column)?.not_null;
            let name = Ident::new(column.as_str());
            Some(if was {
                sql!("ALTER COLUMN {} SET NOT NULL", name)
            } else {
                sql!("ALTER COLUMN {} DROP NOT NULL", name)
            })
        }
        // It changes nothing then.
        AlterCommand::SetNotNull { column } if known(column)?.not_null => {
            Some(sql!("ALTER COLUMN {} SET NOT NULL", Ident::new(column.as_str())))
        }
        AlterCommand::AddConstraint(constraint) => {
            let name = Ident::new(constraint.name.as_deref()?);
            Some(sql!("DROP CONSTRAINT {}", name))
        }
        AlterCommand::AttachPartition { partition, .. } => Some(sql!("DETACH PARTITION {}", written(partition))),
        AlterCommand::Other { sets: Some(setting), .. } => as_it_was::setting(table?, setting),
        AlterCommand::AddColumn { .. }
        | AlterCommand::DropColumn { .. }
        | AlterCommand::AlterType { .. }
        | AlterCommand::SetNotNull { .. }
        | AlterCommand::DetachPartition { .. }
        | AlterCommand::DropConstraint { .. }
        | AlterCommand::Other { .. } => None,
    }
}

/// What the way back of a statement locks. Dropping a table drops the triggers of its foreign keys from the tables that they point to, which
/// takes ACCESS EXCLUSIVE there (measured: reference lint-rules A13, 7); so does dropping a foreign key, a column or an index.
pub(super) fn undo_locks(cx: &PlanContext<'_>, kind: &StatementKind, undo: &Sql) -> Vec<TableLock> {
    let strongest = |(table, _): (ObjectRef, LockMode)| (table, LockMode::AccessExclusive);
    let mut touched: Vec<(ObjectRef, LockMode)> =
        touches(kind).1.into_iter().filter(|(_, mode)| *mode > LockMode::RowExclusive).map(strongest).collect();
    if let Ok(file) = crate::sql::parse_file(undo.as_str()) {
        touched.extend(file.statements.iter().flat_map(|statement| touches(&statement.kind).1));
    }
    touched.sort_by(|(a, first), (b, second)| a.cmp(b).then(second.cmp(first)));
    table_locks(cx, touched)
}
