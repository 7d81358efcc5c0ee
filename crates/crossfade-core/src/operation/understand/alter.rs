//! ALTER TABLE, part by part: what is instant, what is gathered, what goes through phases.

use super::super::add_constraint::AddConstraint;
use super::super::alter_type::AlterType;
use super::super::alter_type::NewType;
use super::super::alter_type::is_catalog_only;
use super::super::mend_not_null::MendNotNull;
use super::super::no_column;
use super::super::replace::Dropped;
use super::super::set_not_null::SetNotNull;
use super::Reader;
use super::unused;
use super::value_for;
use crate::catalog::Table;
use crate::catalog::Volatility;
use crate::finding::Finding;
use crate::migration::Statement;
use crate::sql::AlterCommand;
use crate::sql::ConstraintForm;
use crate::sql::ObjectRef;

impl Reader<'_> {
    pub(super) fn read_alter(
        &mut self,
        position: usize,
        statement: &Statement,
        name: &ObjectRef,
        commands: &[AlterCommand],
        if_exists: bool,
    ) {
        let Some(table) = self.in_use(name).cloned() else {
            self.no_values(statement);
            return self.unless_unknown(position, statement, name, if_exists);
        };
        let plain = commands.iter().all(|command| self.is_instant(&table, command, statement));
        if plain && statement.up.is_empty() && statement.down.is_empty() {
            for command in commands {
                if let AlterCommand::AddColumn { column, .. } = command {
                    self.pend(&table, column, statement, position, None);
                }
            }
            let only_adds = commands.iter().all(|command| matches!(command, AlterCommand::AddColumn { .. }));
            let defaults_pending = commands.iter().all(|command| match command {
                AlterCommand::SetDefault { column, .. } => self.is_pending(&table.name, column),
                _ => false,
            });
            if defaults_pending {
                for command in commands {
                    if let AlterCommand::SetDefault { column, default } = command {
                        self.set_later_default(&table, column, default.clone());
                    }
                }
                return;
            }
            if !only_adds {
                self.write_as_is(position, statement);
            }
            return;
        }
        self.check_directives(statement, commands);
        for command in commands {
            self.read_command(position, statement, &table, command, commands.len());
        }
    }

    /// Whether a part of an ALTER TABLE is done at once and harms nobody.
    pub(super) fn is_instant(&self, table: &Table, command: &AlterCommand, statement: &Statement) -> bool {
        match command {
            AlterCommand::AddColumn { column, .. } => {
                let default_is_constant =
                    column.default.as_ref().is_none_or(|default| self.volatility(default) < Volatility::Volatile);
                let filled = column.default.as_ref().is_some_and(|default| !default.is_null());
                let references_checked = column.extras.contains(&"REFERENCES") && filled;
                let harmless = !references_checked
                    && column
                        .extras
                        .iter()
                        .all(|extra| matches!(*extra, "VIRTUAL" | "STORAGE" | "COMPRESSION" | "REFERENCES"));
                default_is_constant
                    && !column.odd_default
                    && (!column.not_null || filled)
                    && harmless
                    && table.column(&column.name).is_none()
            }
            AlterCommand::SetDefault { .. }
            | AlterCommand::DropNotNull { .. }
            | AlterCommand::DropConstraint { .. } => true,
            AlterCommand::SetNotNull { column } => {
                !self.is_pending(&table.name, column)
                    && table.column(column).is_some_and(|found| found.not_null || proven_not_null(table, &found.name))
            }
            AlterCommand::AlterType { column, .. } => {
                statement.up.is_empty()
                    && !self.is_pending(&table.name, column)
                    && table.column(column).is_some_and(|found| {
                        new_type(command).is_some_and(|to| is_catalog_only(table, found, &to))
                            && !table.dependents.iter().any(|dependent| dependent.column.as_ref() == Some(column))
                    })
            }
            AlterCommand::AddConstraint(constraint) => constraint.not_valid || constraint.using_index.is_some(),
            AlterCommand::Other { breaks, .. } => breaks.is_none(),
            AlterCommand::DropColumn { column, if_exists, .. } => *if_exists && table.column(column).is_none(),
        }
    }

    pub(super) fn check_directives(&mut self, statement: &Statement, commands: &[AlterCommand]) {
        let takes_up = |column: &str| {
            commands.iter().any(|command| match command {
                AlterCommand::AddColumn { column: added, .. } => added.name == column,
                AlterCommand::AlterType { column: known, .. } | AlterCommand::SetNotNull { column: known } => {
                    known == column
                }
                _ => false,
            })
        };
        let takes_down = |column: &str| {
            commands.iter().any(|command| match command {
                AlterCommand::DropColumn { column: known, .. } | AlterCommand::AlterType { column: known, .. } => {
                    known == column
                }
                _ => false,
            })
        };
        let ups = commands
            .iter()
            .filter(|command| {
                matches!(
                    command,
                    AlterCommand::AddColumn { .. } | AlterCommand::AlterType { .. } | AlterCommand::SetNotNull { .. }
                )
            })
            .count();
        let downs = commands
            .iter()
            .filter(|command| matches!(command, AlterCommand::DropColumn { .. } | AlterCommand::AlterType { .. }))
            .count();
        for (directives, count, takes) in [
            (&statement.up, ups, &takes_up as &dyn Fn(&str) -> bool),
            (&statement.down, downs, &takes_down as &dyn Fn(&str) -> bool),
        ] {
            for directive in directives {
                match &directive.column {
                    Some(column) if takes(column) => {}
                    None if count == 1 => {}
                    None if count > 1 => self.findings.push(
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

    pub(super) fn read_command(
        &mut self,
        position: usize,
        statement: &Statement,
        table: &Table,
        command: &AlterCommand,
        of: usize,
    ) {
        let span = statement.parsed.span;
        match command {
            AlterCommand::AddColumn { column, if_not_exists } => {
                if table.column(&column.name).is_some() {
                    if !if_not_exists {
                        self.findings.push(super::super::column_exists(table, &column.name, span));
                    }
                    return;
                }
                let hard: Vec<&str> = column
                    .extras
                    .iter()
                    .copied()
                    .filter(|extra| !matches!(*extra, "VIRTUAL" | "STORAGE" | "COMPRESSION" | "REFERENCES"))
                    .collect();
                let checked = column.extras.contains(&"REFERENCES")
                    && column.default.as_ref().is_some_and(|default| !default.is_null());
                let hard = if checked { vec!["REFERENCES and a DEFAULT"] } else { hard };
                if !hard.is_empty() || column.odd_default {
                    let what = if column.odd_default {
                        "a default that is not understood".to_owned()
                    } else {
                        hard.join(", ")
                    };
                    self.findings.push(
                        Finding::error("add-column", span, format!("{}.{} with {what} locks the table while every row is written or checked", table.name, column.name))
                            .help("add the column without it first, then the constraint or index in a statement of its own; or accept the lock: `-- crossfade: direct REASON`"),
                    );
                    return;
                }
                let value = value_for(&statement.up, &column.name).or_else(|| {
                    column.default.clone().filter(|default| self.volatility(default) == Volatility::Volatile)
                });
                self.pend(table, column, statement, position, value);
            }
            AlterCommand::DropColumn { column, if_exists, cascade } => {
                let Some(found) = table.column(column).cloned() else {
                    if self.is_pending(&table.name, column) {
                        self.refuse_chain(&table.name, column, span);
                    } else if !if_exists {
                        self.findings.push(no_column(table, column, span));
                    }
                    return;
                };
                self.touch(position, &table.name, column);
                let down = value_for(&statement.down, column);
                self.dropped.entry(table.name.clone()).or_default().push(Dropped {
                    column: found,
                    down,
                    cascade: *cascade,
                    span,
                });
            }
            AlterCommand::AlterType { column, .. } => {
                let (Some(found), Some(to)) = (table.column(column).cloned(), new_type(command)) else {
                    self.findings.push(if self.is_pending(&table.name, column) {
                        Finding::error("changed-twice", span, format!("{column} is new in this file"))
                            .help("add it with the right type")
                    } else {
                        no_column(table, column, span)
                    });
                    return;
                };
                self.touch(position, &table.name, column);
                let (up, down) = (value_for(&statement.up, column), value_for(&statement.down, column));
                self.operations
                    .push((position, Box::new(AlterType { table: table.clone(), column: found, to, up, down, span })));
            }
            AlterCommand::SetNotNull { column } => self.read_set_not_null(position, statement, table, column),
            AlterCommand::SetDefault { column, default } if self.is_pending(&table.name, column) => {
                self.set_later_default(table, column, default.clone());
            }
            AlterCommand::AddConstraint(constraint)
                if of == 1 && matches!(constraint.form, ConstraintForm::Check | ConstraintForm::ForeignKey(_)) =>
            {
                let operation = AddConstraint {
                    table: table.clone(),
                    constraint: constraint.clone(),
                    text: statement.parsed.text.clone(),
                    span,
                };
                self.operations.push((position, Box::new(operation)));
            }
            AlterCommand::AddConstraint(constraint) => {
                let what = match &constraint.form {
                    ConstraintForm::Check => "CHECK beside other changes",
                    ConstraintForm::ForeignKey(_) => "FOREIGN KEY beside other changes",
                    ConstraintForm::Unique => "UNIQUE",
                    ConstraintForm::PrimaryKey => "PRIMARY KEY",
                    ConstraintForm::Other(what) => what,
                };
                self.findings.push(
                    Finding::error("add-constraint", span, format!("adding {what} locks {} while all of it is read", table.name))
                        .help("CHECK and FOREIGN KEY: put each into a statement of its own. UNIQUE: CREATE UNIQUE INDEX in one migration, ADD CONSTRAINT … USING INDEX in the next. Or accept the lock: `-- crossfade: direct REASON`"),
                );
            }
            AlterCommand::SetDefault { .. }
            | AlterCommand::DropNotNull { .. }
            | AlterCommand::DropConstraint { .. }
            | AlterCommand::Other { breaks: None, .. } => {
                self.findings.push(
                    Finding::error(
                        "mixed-alter-table",
                        span,
                        "this ALTER TABLE does several things, some in phases and some at once",
                    )
                    .help("split it into statements of one change each"),
                );
            }
            AlterCommand::Other { what, breaks: Some(why), .. } => self.findings.push(
                Finding::error("breaks-running-code", span, format!("{what} is not done in phases: {why}"))
                    .help("accept it: put `-- crossfade: direct REASON` on the line before"),
            ),
        }
    }

    pub(super) fn read_set_not_null(&mut self, position: usize, statement: &Statement, table: &Table, column: &str) {
        let span = statement.parsed.span;
        if self.is_pending(&table.name, column) {
            let up = value_for(&statement.up, column);
            for pending in self.pending.get_mut(&table.name).into_iter().flatten() {
                if pending.definition.name == column {
                    pending.definition.not_null = true;
                    pending.span = if up.is_some() { span } else { pending.span };
                    if let Some(up) = &up {
                        pending.value = Some(up.clone());
                    }
                }
            }
            return;
        }
        let Some(found) = table.column(column) else {
            self.findings.push(no_column(table, column, span));
            return;
        };
        if found.not_null {
            return;
        }
        let mend = self.mends.get(&(table.name.clone(), column.to_owned())).map(|(_, value)| value.clone());
        self.touch(position, &table.name, column);
        match value_for(&statement.up, column).or(mend) {
            Some(up) => {
                let operation = MendNotNull { table: table.clone(), column: column.to_owned(), span, up };
                self.operations.push((position, Box::new(operation)));
            }
            None => {
                let operation = SetNotNull { table: table.clone(), column: column.to_owned(), span };
                self.operations.push((position, Box::new(operation)));
            }
        }
    }
}

pub(super) fn new_type(command: &AlterCommand) -> Option<NewType> {
    match command {
        AlterCommand::AlterType { type_name, base_type, modifiers, array, collation, using, .. } => Some(NewType {
            type_name: type_name.clone(),
            base_type: base_type.clone(),
            modifiers: modifiers.clone(),
            array: *array,
            collation: collation.clone(),
            using: using.clone(),
        }),
        _ => None,
    }
}

pub(super) fn proven_not_null(table: &Table, column: &str) -> bool {
    table.constraints_on(column).any(|constraint| {
        constraint.validated
            && constraint.kind == crate::catalog::ConstraintKind::Check
            && constraint.definition.as_str().replace(['(', ')', '"'], "") == format!("CHECK {column} IS NOT NULL")
    })
}
