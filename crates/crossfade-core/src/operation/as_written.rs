//! What harms no running code, and what a `direct` directive speaks for: it runs as it is written.

use super::Operation;
use super::Role;
use super::foreign_key::ForeignKey;
use crate::catalog::Catalog;
use crate::catalog::Column;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::finding::Finding;
use crate::lock::LockMode;
use crate::lock::TableLock;
use crate::migration::Statement;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::AlterCommand;
use crate::sql::Commented;
use crate::sql::Ident;
use crate::sql::Literal;
use crate::sql::Made;
use crate::sql::ObjectKind;
use crate::sql::ObjectRef;
use crate::sql::Sql;
use crate::sql::StatementKind;
use crate::sql::TableName;
use crate::sql::commented;
use crate::sql::made_by;
use crate::sql::own_not_null;
use crate::sql::written;
use crate::step::Claim;
use crate::step::Concurrently;
use crate::step::Phase;
use crate::step::Probe;

/// A statement that runs as written.
#[derive(Clone, Debug)]
pub(super) struct AsWritten {
    pub statement: Statement,
    /// The existing table that it changes, for conflicts with what is in flight.
    pub claims: Vec<Claim>,
}

impl Operation for AsWritten {
    fn written(&self) -> Option<&Statement> {
        Some(&self.statement)
    }

    fn check(&self, _: &PlanContext<'_>) -> Vec<Finding> {
        Vec::new()
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        as_written(cx, &self.statement, Vec::new(), steps);
        let behind = |other: &&Statement| other.parsed.span > self.statement.parsed.span;
        if let Some(value @ Made::EnumValue(_)) = made_by(&self.statement.parsed)
            && cx.migration.statements.iter().filter(behind).any(|other| value.is_used_in(other.parsed.text.as_str()))
        {
            steps.commit();
        }
    }

    fn project(&self, catalog: &mut Catalog) {
        if let StatementKind::CreateTable { name, columns, parents, bound, .. } = &self.statement.parsed.kind {
            let place = catalog.place(name);
            let parent = parents.first().filter(|_| bound.is_some()).and_then(|parent| catalog.resolve(parent));
            let made = match parent {
                Some(parent) => partition(parent, place, &self.statement.parsed.text),
                None => {
                    Table { columns: columns.iter().map(super::add_column::projected).collect(), ..Table::empty(place) }
                }
            };
            if catalog.table(&made.name).is_none() {
                catalog.tables.push(made);
            }
        }
        if let StatementKind::Drop { kind, objects, .. } = &self.statement.parsed.kind
            && kind.object_kind() == "relation"
        {
            let found = objects.iter().filter_map(|object| catalog.resolve(&object.name));
            let gone = found.flat_map(|table| catalog.tree(table)).map(|table| table.name.clone()).collect();
            super::whole::remove(catalog, &gone);
        }
        if let StatementKind::Move { kind, object, to, .. } = &self.statement.parsed.kind
            && kind.object_kind() == "relation"
            && let Some(from) = catalog.resolve(object).map(|table| table.name.clone())
        {
            let to = super::whole::destination(&from, to);
            super::whole::rename(catalog, &from, &to);
        }
        let (name, changes): (&ObjectRef, Vec<Change<'_>>) = match &self.statement.parsed.kind {
            StatementKind::AlterTable { table, commands, .. } => (table, commands.iter().map(Change::Alter).collect()),
            StatementKind::RenameColumn { table, from, to, .. } => (table, vec![Change::Rename(from, to)]),
            _ => return,
        };
        let Some(table) = catalog.resolve(name) else { return };
        let tree: Vec<TableName> = catalog.tree(table).into_iter().map(|relation| relation.name.clone()).collect();
        for table in catalog.tables.iter_mut().filter(|table| tree.contains(&table.name)) {
            changes.iter().for_each(|change| apply(table, change));
        }
    }

    fn role(&self) -> Role {
        Role::AsWritten
    }

    fn claims(&self) -> Vec<Claim> {
        self.claims.clone()
    }
}

/// The model of a partition that a statement makes.
fn partition(parent: &Table, name: TableName, text: &Sql) -> Table {
    let own = own_not_null(text);
    let column = |column: &Column| Column { not_null: column.not_null || own.contains(&column.name), ..column.clone() };
    Table {
        partition_of: Some(parent.name.clone()),
        columns: parent.columns.iter().map(column).collect(),
        ..Table::empty(name)
    }
}

/// What a statement does to the model of a table.
enum Change<'a> {
    Alter(&'a AlterCommand),
    Rename(&'a str, &'a str),
}

fn apply(table: &mut Table, change: &Change<'_>) {
    let command = match change {
        Change::Rename(from, to) => return super::rename_column::rename_in(table, from, to),
        Change::Alter(command) => command,
    };
    let position = |table: &Table, name: &str| table.columns.iter().position(|column| column.name == name);
    match command {
        AlterCommand::AddColumn { column, .. } => {
            if table.column(&column.name).is_none() {
                table.columns.push(super::add_column::projected(column));
            }
        }
        AlterCommand::DropColumn { column, .. } => {
            table.columns.retain(|known| known.name != *column);
            table.constraints.retain(|constraint| !constraint.columns.contains(column));
            table.indexes.retain(|index| !index.columns.contains(column));
        }
        AlterCommand::AlterType { column, type_name, base_type, modifiers, .. } => {
            if let Some(at) = position(table, column) {
                super::alter_type::retype_in(&mut table.columns[at], type_name, base_type, modifiers);
            }
        }
        AlterCommand::SetNotNull { column } | AlterCommand::DropNotNull { column } => {
            if let Some(at) = position(table, column) {
                table.columns[at].not_null = matches!(command, AlterCommand::SetNotNull { .. });
            }
        }
        AlterCommand::DropConstraint { name, .. } => table.constraints.retain(|constraint| constraint.name != *name),
        AlterCommand::SetDefault { .. }
        | AlterCommand::AddConstraint(_)
        | AlterCommand::AttachPartition { .. }
        | AlterCommand::DetachPartition { .. }
        | AlterCommand::Other { .. } => {}
    }
}

/// Adds a statement's step, with what is to be said of it.
pub(crate) fn as_written(
    cx: &PlanContext<'_>,
    statement: &Statement,
    hazards: Vec<String>,
    steps: &mut StepsBuilder<'_>,
) {
    let mut locks = table_locks(cx, touches(&statement.parsed.kind).1);
    for table in dropped_foreign_keys(cx.catalog, &statement.parsed.kind) {
        locks.retain(|lock| lock.table != table);
        locks.push(TableLock::new(table, LockMode::AccessExclusive));
    }
    locks.sort();
    let stays = matches!(made_by(&statement.parsed), Some(Made::EnumValue(_)));
    let undo = statement.undo.clone().or_else(|| undo(cx.catalog, &statement.parsed.kind));
    // PostgreSQL can't take a value away from an enum, and one that nobody uses harms nobody.
    let undo = undo.or_else(|| stays.then(|| sql!("/* the new value stays in the enum */")));
    let undo = undo.or_else(|| uncomment(cx, statement));
    let undo = undo.map(|undo| {
        let locks = undo_locks(cx, &statement.parsed.kind, &undo);
        (undo, locks)
    });
    let at = Some(statement.parsed.span);
    let rows = statement.parsed.rows_behind.map(|span| span.of(&cx.migration.text).to_owned());
    let phase = statement.phase.unwrap_or(Phase::Expand);
    if let StatementKind::NotInTransaction { .. } = &statement.parsed.kind {
        let run = Concurrently { run: statement.parsed.text.clone(), probe: Probe::Repeatable };
        return steps.outside(phase, summary(statement), run, locks);
    }
    steps.as_written(
        phase,
        summary(statement),
        crate::step::Statement { sql: statement.parsed.text.clone(), at, rows },
        undo,
        locks,
        hazards,
    );
}

/// The beginning of a statement's text, in one line.
pub(super) fn summary(statement: &Statement) -> String {
    let one_line = statement.parsed.text.as_str().split_whitespace().collect::<Vec<_>>().join(" ");
    let shown: String = one_line.chars().take(90).collect();
    if one_line.is_empty() {
        touches(&statement.parsed.kind).0
    } else if shown.len() < one_line.len() {
        format!("{shown}…")
    } else {
        shown
    }
}

/// The locks on existing tables that keep writers or vacuum out, with what they reach below a partitioned table. A view is left out: the
/// server does not lock every kind of it by name.
fn table_locks(cx: &PlanContext<'_>, touched: Vec<(ObjectRef, LockMode)>) -> Vec<TableLock> {
    let mut locks: Vec<TableLock> = Vec::new();
    for (name, mode) in touched.into_iter().filter(|(_, mode)| *mode > LockMode::RowExclusive) {
        let table = cx.catalog.resolve(&name).or_else(|| cx.catalog.index(&name).map(|(table, _)| table));
        let Some(table) = table else { continue };
        for relation in cx.catalog.tree(table) {
            let lockable = matches!(relation.kind, TableKind::Table | TableKind::Partitioned);
            if lockable && !locks.iter().any(|lock| lock.table == relation.name) {
                locks.push(TableLock::new(relation.name.clone(), mode));
            }
        }
    }
    locks.sort();
    locks
}

/// Both sides of the foreign keys that a statement drops (measured: reference lint-rules A13).
fn dropped_foreign_keys(catalog: &Catalog, kind: &StatementKind) -> Vec<TableName> {
    let drops = |key: &ForeignKey<'_>| match kind {
        StatementKind::Drop { kind: ObjectKind::Table, objects, .. } => objects.iter().any(|object| {
            let dropped = catalog.resolve(&object.name).map(|table| &table.name);
            dropped.is_some_and(|dropped| *dropped == key.owner.name || dropped == key.references)
        }),
        StatementKind::AlterTable { table, commands, .. } => {
            let drops = |command: &AlterCommand| match command {
                AlterCommand::DropConstraint { name, .. } => *name == key.constraint.name,
                AlterCommand::DropColumn { column, .. } => key.constraint.columns.contains(column),
                AlterCommand::AddColumn { .. }
                | AlterCommand::AlterType { .. }
                | AlterCommand::SetNotNull { .. }
                | AlterCommand::SetDefault { .. }
                | AlterCommand::DropNotNull { .. }
                | AlterCommand::AddConstraint(_)
                | AlterCommand::AttachPartition { .. }
                | AlterCommand::DetachPartition { .. }
                | AlterCommand::Other { .. } => false,
            };
            catalog.resolve(table).is_some_and(|table| table.name == key.owner.name) && commands.iter().any(drops)
        }
        StatementKind::Drop { .. }
        | StatementKind::RenameColumn { .. }
        | StatementKind::Move { .. }
        | StatementKind::CreateIndex(_)
        | StatementKind::DropIndex { .. }
        | StatementKind::Update(_)
        | StatementKind::CreateTable { .. }
        | StatementKind::Transaction(_)
        | StatementKind::NotInTransaction { .. }
        | StatementKind::CopyFromStdin { .. }
        | StatementKind::Other { .. } => false,
    };
    ForeignKey::all(catalog).filter(drops).flat_map(|key| key.tables(catalog)).collect()
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

/// The tables that a statement locks, and how. Source: measured lock modes, reference lint-rules A1 to A9.
pub(super) fn touches(kind: &StatementKind) -> (String, Vec<(ObjectRef, LockMode)>) {
    match kind {
        StatementKind::AlterTable { table, commands, .. } => {
            let mut all = Vec::new();
            let mut strongest = LockMode::ShareUpdateExclusive;
            for command in commands {
                let mode = match command {
                    AlterCommand::AddConstraint(constraint) => match &constraint.form {
                        crate::sql::ConstraintForm::ForeignKey(key) => {
                            if let Some(references) = &key.references {
                                all.push((references.clone(), LockMode::ShareRowExclusive));
                            }
                            LockMode::ShareRowExclusive
                        }
                        crate::sql::ConstraintForm::Check(_)
                        | crate::sql::ConstraintForm::Unique(_)
                        | crate::sql::ConstraintForm::PrimaryKey(_)
                        | crate::sql::ConstraintForm::Exclude
                        | crate::sql::ConstraintForm::NotNull => LockMode::AccessExclusive,
                    },
                    AlterCommand::AttachPartition { partition, .. } => {
                        all.push((partition.clone(), LockMode::AccessExclusive));
                        LockMode::ShareUpdateExclusive
                    }
                    AlterCommand::DetachPartition { partition, .. } => {
                        all.push((partition.clone(), LockMode::AccessExclusive));
                        LockMode::AccessExclusive
                    }
                    AlterCommand::Other { lock, .. } => *lock,
                    AlterCommand::AddColumn { .. }
                    | AlterCommand::DropColumn { .. }
                    | AlterCommand::AlterType { .. }
                    | AlterCommand::SetNotNull { .. }
                    | AlterCommand::SetDefault { .. }
                    | AlterCommand::DropConstraint { .. }
                    | AlterCommand::DropNotNull { .. } => LockMode::AccessExclusive,
                };
                strongest = strongest.max(mode);
            }
            all.insert(0, (table.clone(), strongest));
            ("ALTER TABLE".to_owned(), all)
        }
        StatementKind::RenameColumn { table, .. } => {
            ("RENAME COLUMN".to_owned(), vec![(table.clone(), LockMode::AccessExclusive)])
        }
        StatementKind::CreateIndex(index) => ("CREATE INDEX".to_owned(), vec![(index.table.clone(), LockMode::Share)]),
        StatementKind::Drop { kind, objects, .. } => {
            let tables = objects.iter().filter(|_| *kind == ObjectKind::Table);
            let touched = tables.map(|object| (object.name.clone(), LockMode::AccessExclusive)).collect();
            (format!("DROP {}", kind.sql_name()), touched)
        }
        StatementKind::Move { kind, object, .. } => {
            let relation = (kind.object_kind() == "relation").then(|| (object.clone(), LockMode::AccessExclusive));
            (format!("ALTER {}", kind.sql_name()), relation.into_iter().collect())
        }
        StatementKind::DropIndex { .. } => ("DROP INDEX".to_owned(), Vec::new()),
        StatementKind::Update(update) => ("UPDATE".to_owned(), vec![(update.table.clone(), LockMode::RowExclusive)]),
        StatementKind::CreateTable { references, parents, .. } => {
            let references = references.iter().cloned().map(|table| (table, LockMode::ShareRowExclusive));
            let parents = parents.iter().cloned().map(|table| (table, LockMode::AccessExclusive));
            ("CREATE TABLE".to_owned(), references.chain(parents).collect())
        }
        StatementKind::Other { what, touches, .. } => (what.clone(), touches.clone()),
        StatementKind::NotInTransaction { what, touches, .. } => ((*what).to_owned(), touches.clone()),
        StatementKind::Transaction(_) | StatementKind::CopyFromStdin { .. } => ("statement".to_owned(), Vec::new()),
    }
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

/// What undoes a statement, where that follows from its text and the schema.
pub(super) fn undo(catalog: &Catalog, kind: &StatementKind) -> Option<Sql> {
    match kind {
        StatementKind::CreateTable { name, if_not_exists: false, parents, bound, .. } => {
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
        StatementKind::AlterTable { table, if_exists: false, commands, .. } => {
            let drops: Option<Vec<Sql>> =
                commands.iter().rev().map(|command| undo_command(catalog.resolve(table), command)).collect();
            Some(sql!("ALTER TABLE {} {}", written(table), Sql::join(drops?, ", ")))
        }
        StatementKind::CreateIndex(index) if !index.if_not_exists => {
            let name = ObjectRef { schema: index.table.schema.clone(), name: index.name.clone()? };
            Some(sql!("DROP INDEX {}", written(&name)))
        }
        StatementKind::Other { undo, .. } => undo.clone(),
        StatementKind::CreateTable { .. }
        | StatementKind::AlterTable { .. }
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
        AlterCommand::AddColumn { column, if_not_exists: false } => {
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
        AlterCommand::AddConstraint(constraint) => {
            let name = Ident::new(constraint.name.as_deref()?);
            Some(sql!("DROP CONSTRAINT {}", name))
        }
        AlterCommand::AttachPartition { partition, .. } => Some(sql!("DETACH PARTITION {}", written(partition))),
        AlterCommand::AddColumn { .. }
        | AlterCommand::DropColumn { .. }
        | AlterCommand::AlterType { .. }
        | AlterCommand::SetNotNull { .. }
        | AlterCommand::DetachPartition { .. }
        | AlterCommand::DropConstraint { .. }
        | AlterCommand::Other { .. } => None,
    }
}
