//! DROP CONSTRAINT: what goes at once, what goes at contract, and what it can't go together with.

use super::super::Role;
use super::super::drop_constraint::DropCheck;
use super::super::drop_constraint::DropKey;
use super::Reader;
use crate::catalog::Constraint;
use crate::catalog::ConstraintKind;
use crate::catalog::Table;
use crate::finding::Finding;
use crate::migration::Statement;
use crate::sql::AlterCommand;
use crate::sql::ConstraintForm;
use crate::sql::Span;
use crate::sql::StatementKind;

/// A constraint that goes, until it is known whether the file runs in phases.
pub(super) enum Loosened {
    Check(Box<DropCheck>),
    Key(Box<DropKey>),
}

impl Reader<'_> {
    /// A constraint that is no key, as the only change of its statement.
    pub(super) fn read_loosening(
        &mut self,
        position: usize,
        statement: &Statement,
        table: &Table,
        name: &str,
        if_exists: bool,
    ) {
        let adds_it = |other: &Statement| match &other.parsed.kind {
            StatementKind::AlterTable { commands, .. } => commands.iter().any(|command| {
                matches!(command, AlterCommand::AddConstraint(added) if added.name.as_deref() == Some(name))
                    || matches!(command, AlterCommand::AddColumn { .. })
            }),
            _ => false,
        };
        match table.constraints.iter().find(|constraint| constraint.name == name) {
            None if self.cx.migration.statements.iter().take(position).any(adds_it) => {
                self.write_as_is(position, statement);
            }
            None if if_exists => self.nothing_to_do(position, statement),
            None => {
                let names: Vec<&str> = table.constraints.iter().map(|constraint| constraint.name.as_str()).collect();
                let message = format!("{} has no constraint {name}", table.name);
                self.findings.push(
                    Finding::error("no-such-constraint", statement.parsed.span, message)
                        .help(format!("it has {}", names.join(", "))),
                );
            }
            Some(found) if found.kind == ConstraintKind::NotNull || statement.undo.is_some() => {
                self.write_as_is(position, statement);
            }
            Some(found) => {
                let (constraint, statement) = (found.clone(), statement.clone());
                let drop = DropCheck { table: table.clone(), constraint, statement };
                self.loosened.push((position, Loosened::Check(Box::new(drop))));
            }
        }
    }

    pub(super) fn read_drop_key(&mut self, position: usize, span: Span, table: &Table, name: &str, cascade: bool) {
        let Some(found) = table.constraints.iter().find(|constraint| constraint.name == name) else { return };
        let drop = DropKey { table: table.clone(), constraint: found.clone(), cascade, span };
        self.loosened.push((position, Loosened::Key(Box::new(drop))));
    }

    /// Where nothing else of the file runs in phases, a constraint goes with its neighbours, in their transaction.
    pub(super) fn settle_loosened(&mut self) {
        let loosened = std::mem::take(&mut self.loosened);
        let phased = self.operations.iter().any(|(_, operation)| operation.role() != Role::AsWritten)
            || loosened.iter().any(|(_, loosened)| matches!(loosened, Loosened::Key(_)));
        for (position, loosened) in loosened {
            match loosened {
                Loosened::Check(drop) => {
                    self.look_at_loosened(position, &drop.table, &drop.constraint, false);
                    if phased {
                        self.operations.push((position, drop));
                    } else {
                        self.write_as_is(position, &drop.statement);
                    }
                }
                Loosened::Key(drop) => {
                    self.look_at_loosened(position, &drop.table, &drop.constraint, true);
                    self.operations.push((position, drop));
                }
            }
        }
    }

    /// A change of a column's type takes the column's constraints along, and a key comes back over the columns that it knew.
    fn look_at_loosened(&mut self, position: usize, table: &Table, constraint: &Constraint, key: bool) {
        let Some(statement) = self.cx.migration.statements.get(position) else { return };
        let span = statement.parsed.span;
        let changes_type = |other: usize| {
            self.cx.migration.statements.get(other).is_some_and(|statement| match &statement.parsed.kind {
                StatementKind::AlterTable { commands, .. } => {
                    commands.iter().any(|command| matches!(command, AlterCommand::AlterType { .. }))
                }
                _ => false,
            })
        };
        let touched =
            self.touched.iter().filter(|(other, name, _)| *name == table.name && (key || changes_type(*other)));
        let joined =
            self.joined.iter().filter(|claim| claim.table == table.name).filter_map(|claim| claim.column.as_ref());
        let mut columns = touched.map(|(_, _, column)| column).chain(joined);
        let column = columns.find(|column| constraint.columns.contains(column)).cloned();
        if let Some(column) = column {
            let message = format!("{} is over {column}, which this file changes in phases", constraint.name);
            self.findings.push(
                Finding::error("interference", span, message)
                    .help("drop it in a migration of its own, before this one"),
            );
        }
        let again = |other: &Statement| match &other.parsed.kind {
            StatementKind::AlterTable { table: named, commands, .. } => {
                self.catalog().resolve(named).is_some_and(|found| found.name == table.name)
                    && commands.iter().any(|command| {
                        matches!(command, AlterCommand::AddConstraint(added)
                            if added.name.as_ref() == Some(&constraint.name)
                                && !matches!(added.form, ConstraintForm::Unique(_) | ConstraintForm::PrimaryKey(_)))
                    })
            }
            _ => false,
        };
        if key && self.cx.migration.statements.iter().any(again) {
            let message = format!("{} is dropped at contract, and added again in the same file", constraint.name);
            self.findings.push(
                Finding::error("changed-twice", span, message)
                    .help("give the new one another name, or add it in the next migration"),
            );
        }
    }
}
