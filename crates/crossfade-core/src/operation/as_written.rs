//! What harms no running code, and what a `direct` directive speaks for: it runs as it is written.

use super::Operation;
use super::Role;
use super::foreign_key::ForeignKey;
use super::made_rows::MadeRows;
use super::undo::way_back;
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
use crate::sql::AlterCommand;
use crate::sql::Made;
use crate::sql::ObjectKind;
use crate::sql::ObjectRef;
use crate::sql::Sql;
use crate::sql::StatementKind;
use crate::sql::TableName;
use crate::sql::made_by;
use crate::sql::own_not_null;
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
        super::view::project(catalog, &self.statement.parsed);
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
    mut hazards: Vec<String>,
    steps: &mut StepsBuilder<'_>,
) {
    let mut locks = table_locks(cx, touches(&statement.parsed.kind).1);
    for table in dropped_foreign_keys(cx.catalog, &statement.parsed.kind) {
        locks.retain(|lock| lock.table != table);
        locks.push(TableLock::new(table, LockMode::AccessExclusive));
    }
    locks.sort();
    let undo = way_back(cx, statement);
    let at = Some(statement.parsed.span);
    let rows = statement.parsed.rows_behind.map(|span| span.of(&cx.migration.text).to_owned());
    let phase = statement.phase.unwrap_or(Phase::Expand);
    if let StatementKind::NotInTransaction { .. } = &statement.parsed.kind {
        let run = Concurrently { run: statement.parsed.text.clone(), probe: Probe::Repeatable };
        return steps.outside(phase, summary(statement), run, locks);
    }
    let mut run = vec![crate::step::Statement { sql: statement.parsed.text.clone(), at, rows }];
    let made = if undo.is_none() && steps.keeps_made_rows() { MadeRows::of(cx, statement) } else { None };
    let undo = undo.or_else(|| Some((made.as_ref()?.take_back(), Vec::new())));
    if let Some(made) = made {
        run = vec![made.prepare().into(), crate::step::Statement::at(made.insert.clone(), statement.parsed.span)];
        hazards.push(
            "a rollback deletes the rows that it makes; those that are changed or pointed to by then stay".to_owned(),
        );
        steps.forget_made_rows(made.forget());
    }
    steps.as_written(phase, summary(statement), run, undo, locks, hazards);
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
pub(super) fn table_locks(cx: &PlanContext<'_>, touched: Vec<(ObjectRef, LockMode)>) -> Vec<TableLock> {
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
