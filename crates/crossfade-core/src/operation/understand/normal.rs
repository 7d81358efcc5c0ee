//! A file in normal form: an ALTER TABLE that does several things, some of them in phases, becomes one statement for each; and a constraint
//! that the file leaves the server to name has the name that the server would give it.

use std::collections::BTreeSet;

use super::Reader;
use super::add::constraint_name;
use super::unused;
use crate::catalog::Names;
use crate::finding::Finding;
use crate::migration::Migration;
use crate::migration::Statement;
use crate::migration::ValueDirective;
use crate::plan::PlanContext;
use crate::sql::AlterCommand;
use crate::sql::ConstraintForm;
use crate::sql::Ident;
use crate::sql::NoTable;
use crate::sql::ObjectKind;
use crate::sql::StatementKind;
use crate::sql::TableName;
use crate::sql::as_rename_of_a;
use crate::sql::split_alter;
use crate::sql::with_constraint_name;

impl Reader<'_> {
    /// The migration with each statement in normal form.
    pub(super) fn normal_form(&mut self) -> Migration {
        let cx: &PlanContext<'_> = self.cx;
        let mut names = Names::of(cx.catalog);
        let mut statements = Vec::new();
        for statement in &cx.migration.statements {
            let statement = &self.under_its_kind(statement);
            if let StatementKind::CreateTable { name, temporary: false, .. } = &statement.parsed.kind {
                self.created.insert(cx.catalog.place(name));
            }
            statements.extend(self.parts(statement).into_iter().map(|part| self.with_name(part, &mut names)));
        }
        self.created = BTreeSet::new();
        let statements = self.renames_last(statements, &mut names);
        let statements = self.over_new_columns(statements);
        let statements = self.tables_behind_keys(statements);
        let statements = self.in_order_of_phases(statements);
        Migration { statements, ..cx.migration.clone() }
    }

    /// A RENAME of a sequence or an index that is written as one of a table.
    fn under_its_kind(&self, statement: &Statement) -> Statement {
        let StatementKind::Move { kind: ObjectKind::Table, object, .. } = &statement.parsed.kind else {
            return statement.clone();
        };
        let catalog = self.catalog();
        if catalog.resolve(object).is_some() {
            return statement.clone();
        }
        let what = match catalog.object("sequence", object) {
            Some(_) => Some(NoTable::Sequence),
            None => catalog.index(object).map(|_| NoTable::Index),
        };
        let parsed = what.and_then(|what| as_rename_of_a(&statement.parsed, what));
        Statement { parsed: parsed.unwrap_or_else(|| statement.parsed.clone()), ..statement.clone() }
    }

    /// The statement with a name for the constraint that it adds.
    fn with_name(&self, mut statement: Statement, names: &mut Names) -> Statement {
        let StatementKind::AlterTable { table, commands, .. } = &statement.parsed.kind else { return statement };
        if let (Some(table), [AlterCommand::DropConstraint { name, .. }]) =
            (self.catalog().resolve(table), commands.as_slice())
        {
            names.free(&TableName { schema: table.name.schema.clone(), name: Ident::new(name.as_str()) });
        }
        if let (Some(table), [AlterCommand::DropColumn { column, .. }]) =
            (self.catalog().resolve(table), commands.as_slice())
        {
            // What is on it goes with it.
            let constraints = table.constraints_on(column).map(|known| &known.name);
            for gone in constraints.chain(table.indexes_on(column).map(|known| &known.name)) {
                names.free(&TableName { schema: table.name.schema.clone(), name: Ident::new(gone.as_str()) });
            }
        }
        if let [AlterCommand::AddConstraint(constraint)] = commands.as_slice()
            && constraint.name.is_none()
            && constraint.using_index.is_none()
            && statement.direct.is_none()
            && statement.phase.is_none()
            && let Some(table) = self.in_use(table)
        {
            let name = constraint_name(names, &table.name, constraint, self.cx.catalog.major());
            if let Some(named) = with_constraint_name(&statement.parsed, &name) {
                statement.parsed = named;
            }
        }
        statement
    }

    fn parts(&mut self, statement: &Statement) -> Vec<Statement> {
        let whole = || vec![statement.clone()];
        let StatementKind::AlterTable { table: name, commands, .. } = &statement.parsed.kind else { return whole() };
        let Some(table) = self.in_use(name).cloned() else {
            return match commands.as_slice() {
                [_, _, ..] if self.is_new_name(name) => self.parts_of(statement, commands).unwrap_or_else(whole),
                _ => self.at_once(statement, name, commands),
            };
        };
        if statement.direct.is_some() || statement.phase.is_some() {
            return whole();
        }
        let alone = self.cx.migration.statements.len() == 1;
        let at_once = commands.iter().all(|command| self.is_instant(&table, command, statement))
            && statement.up.is_empty()
            && statement.down.is_empty();
        let adds = commands
            .iter()
            .any(|command| matches!(command, AlterCommand::AddColumn { .. } | AlterCommand::DropConstraint { .. }));
        // What the file says of its own new columns belongs to them.
        let of_new = commands.iter().any(|command| match command {
            AlterCommand::SetDefault { column, .. } | AlterCommand::DropNotNull { column } => {
                table.column(column).is_none()
            }
            _ => false,
        });
        let renamed = self.renames_in(&table);
        match commands.as_slice() {
            // A column that is added at once may get its value from a later statement, and must stand alone for that; a constraint that goes
            // at once has a way back of its own.
            _ if at_once && (commands.len() == 1 || !renamed && !of_new && (alone || !adds)) => {
                return whole();
            }
            [AlterCommand::AddColumn { column, .. }] if column.constraints.is_empty() => return whole(),
            [AlterCommand::AddColumn { .. }] => {}
            [_] => return whole(),
            _ => {}
        }
        let Some(parts) = self.parts_of(statement, commands) else { return whole() };
        self.check_directives(statement, commands);
        parts
    }

    /// An ALTER TABLE's changes, each with the directives that speak for it. Where it can't be taken apart, that is said.
    pub(super) fn parts_of(&mut self, statement: &Statement, commands: &[AlterCommand]) -> Option<Vec<Statement>> {
        let parts = match commands {
            [AlterCommand::AddColumn { column, .. }] if !column.constraints.is_empty() => {
                split_alter(&statement.parsed)
            }
            [_] => Some(vec![statement.parsed.clone()]),
            _ => split_alter(&statement.parsed),
        };
        let Some(parts) = parts else {
            let message = "this ALTER TABLE does several things, and can't be taken apart";
            self.findings.push(
                Finding::error("mixed-alter-table", statement.parsed.span, message)
                    .help("split it into statements of one change each"),
            );
            return None;
        };
        let last = parts.len() - 1;
        let added = added(commands);
        let part = |(at, parsed): (usize, crate::sql::ParsedStatement)| {
            let mine = |all: &[ValueDirective], takes: &dyn Fn(&AlterCommand) -> Vec<String>| {
                let StatementKind::AlterTable { commands, .. } = &parsed.kind else { return Vec::new() };
                let columns = commands.first().map(takes).unwrap_or_default();
                let fits = |directive: &&ValueDirective| match &directive.column {
                    Some(column) => columns.contains(column),
                    None => columns.len() == 1,
                };
                all.iter().filter(fits).cloned().collect::<Vec<_>>()
            };
            Statement {
                up: mine(&statement.up, &|command| takes_up(command, &added)),
                down: mine(&statement.down, &takes_down),
                direct: None,
                undo: statement.undo.clone().filter(|_| at == last),
                phase: None,
                parsed,
            }
        };
        Some(parts.into_iter().enumerate().map(part).collect())
    }

    /// Each directive must speak for a change of the statement.
    pub(super) fn check_directives(&mut self, statement: &Statement, commands: &[AlterCommand]) {
        let added = added(commands);
        let up = |command: &AlterCommand| takes_up(command, &added);
        for (directives, takes) in [
            (&statement.up, &up as &dyn Fn(&AlterCommand) -> Vec<String>),
            (&statement.down, &takes_down as &dyn Fn(&AlterCommand) -> Vec<String>),
        ] {
            let takers: Vec<String> = commands.iter().flat_map(takes).collect();
            for directive in directives {
                match &directive.column {
                    Some(column) if takers.contains(column) => {}
                    None if takers.len() == 1 => {}
                    None if takers.len() > 1 => self.findings.push(
                        Finding::error(
                            "directive",
                            directive.span,
                            "the statement changes several columns; which one is this for?",
                        )
                        .help("name it: `up(COLUMN) EXPR`, `down(COLUMN) EXPR`"),
                    ),
                    Some(_) | None => self.findings.push(unused(directive)),
                }
            }
        }
    }
}

/// The columns that a statement adds.
fn added(commands: &[AlterCommand]) -> Vec<&str> {
    let added = commands.iter().filter_map(|command| match command {
        AlterCommand::AddColumn { column, .. } => Some(column.name.as_str()),
        _ => None,
    });
    added.collect()
}

/// The columns that an `up` in front of a change may be for. What it says of a column that the statement adds is that column's value, and no
/// mending for a constraint on it.
fn takes_up(command: &AlterCommand, added: &[&str]) -> Vec<String> {
    match command {
        AlterCommand::AddColumn { column, .. } => vec![column.name.clone()],
        AlterCommand::AlterType { column, .. } | AlterCommand::SetNotNull { column } => vec![column.clone()],
        AlterCommand::AddConstraint(constraint)
            if matches!(constraint.form, ConstraintForm::Check(_) | ConstraintForm::ForeignKey(_))
                && !constraint.not_valid =>
        {
            constraint.columns.iter().filter(|column| !added.contains(&column.as_str())).cloned().collect()
        }
        AlterCommand::DropColumn { .. }
        | AlterCommand::SetDefault { .. }
        | AlterCommand::DropNotNull { .. }
        | AlterCommand::AddConstraint(_)
        | AlterCommand::DropConstraint { .. }
        | AlterCommand::AttachPartition { .. }
        | AlterCommand::DetachPartition { .. }
        | AlterCommand::Other { .. } => Vec::new(),
    }
}

/// The column that a `down` in front of a change is for.
fn takes_down(command: &AlterCommand) -> Vec<String> {
    match command {
        AlterCommand::DropColumn { column, .. } | AlterCommand::AlterType { column, .. } => vec![column.clone()],
        AlterCommand::AddColumn { .. }
        | AlterCommand::SetNotNull { .. }
        | AlterCommand::SetDefault { .. }
        | AlterCommand::DropNotNull { .. }
        | AlterCommand::AddConstraint(_)
        | AlterCommand::DropConstraint { .. }
        | AlterCommand::AttachPartition { .. }
        | AlterCommand::DetachPartition { .. }
        | AlterCommand::Other { .. } => Vec::new(),
    }
}
