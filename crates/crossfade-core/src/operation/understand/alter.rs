//! ALTER TABLE, part by part: what is instant, what is gathered, what goes through phases.

use super::super::alter_type::NewType;
use super::super::alter_type::Retype;
use super::super::alter_type::is_catalog_only;
use super::super::cleared::Cleared;
use super::super::drop_constraint::is_key;
use super::super::drop_object::DropView;
use super::super::mend_not_null::MendNotNull;
use super::super::no_column;
use super::super::no_table;
use super::super::partition::Attach;
use super::super::partition::Detach;
use super::super::replace::Dropped;
use super::super::set_not_null::SetNotNull;
use super::super::whole::kind_of;
use super::Reader;
use super::value_for;
use crate::catalog::Dependent;
use crate::catalog::Table;
use crate::catalog::Volatility;
use crate::finding::Finding;
use crate::migration::Statement;
use crate::sql::AlterCommand;
use crate::sql::ConstraintForm;
use crate::sql::Expr;
use crate::sql::Generated;
use crate::sql::ObjectRef;
use crate::sql::Span;
use crate::sql::StatementKind;
use crate::sql::TableName;

impl Reader<'_> {
    pub(super) fn read_alter(
        &mut self,
        position: usize,
        statement: &Statement,
        name: &ObjectRef,
        commands: &[AlterCommand],
        if_exists: bool,
    ) {
        // What can't run in a transaction is a step of its own, whoever uses the table.
        let concurrent =
            |command: &AlterCommand| matches!(command, AlterCommand::DetachPartition { concurrently: true, .. });
        let steps = commands.iter().any(concurrent) && !self.is_created(name);
        let found = if steps { self.catalog().resolve(name) } else { self.in_use(name) };
        let Some(table) = found.cloned() else {
            self.no_values(statement);
            return self.unless_unknown(position, statement, name, if_exists);
        };
        let plain = commands.iter().all(|command| self.is_instant(&table, command, statement));
        if plain && statement.up.is_empty() && statement.down.is_empty() {
            match commands {
                [AlterCommand::AddColumn { column, .. }] => self.pend(&table, column, statement, position, None),
                [AlterCommand::SetDefault { column, .. }]
                    if self.is_retyped(&table, column) || self.is_renamed(position, &table, column) => {}
                [AlterCommand::SetNotNull { column }] if self.is_retyped(&table, column) => {}
                [AlterCommand::DropNotNull { column }]
                    if self.is_retyped(&table, column) && self.not_null_in_file(&table, column) == Some(true) => {}
                [AlterCommand::SetDefault { column, default }] if self.is_pending(&table.name, column) => {
                    self.set_later_default(position, &table, column, default.clone());
                }
                [AlterCommand::DropConstraint { name, if_exists, .. }] => {
                    self.read_loosening(position, statement, &table, name, *if_exists);
                }
                _ => self.write_as_is(position, statement),
            }
            return;
        }
        self.check_directives(statement, commands);
        for command in commands {
            self.read_command(position, statement, &table, command);
        }
    }

    /// Whether a part of an ALTER TABLE is done at once and harms nobody.
    pub(super) fn is_instant(&self, table: &Table, command: &AlterCommand, statement: &Statement) -> bool {
        match command {
            AlterCommand::AddColumn { column, .. } => {
                let filled = column.default.as_ref().is_some_and(|default| !default.is_null());
                let same_for_all =
                    column.default.as_ref().is_none_or(|default| self.volatility(default) < Volatility::Volatile);
                // A new column that is NULL everywhere breaks no foreign key, and the server does not look.
                let only_references = column
                    .constraints
                    .iter()
                    .all(|constraint| matches!(constraint.form, ConstraintForm::ForeignKey(_)) && !filled);
                same_for_all
                    && !column.odd_default
                    && (!column.not_null || filled)
                    && only_references
                    && column.numbers.is_none()
                    && (column.generated != Some(Generated::Stored) || self.is_small(table))
                    && (!self.is_constrained(column) || self.is_small(table))
                    && table.column(&column.name).is_none()
            }
            AlterCommand::SetDefault { .. } | AlterCommand::DropNotNull { .. } => true,
            AlterCommand::DropConstraint { name, .. } => {
                !table.constraints.iter().any(|constraint| constraint.name == *name && is_key(constraint))
            }
            AlterCommand::SetNotNull { column } => {
                !self.is_pending(&table.name, column)
                    && table.column(column).is_some_and(|found| found.not_null || proven_not_null(table, &found.name))
            }
            AlterCommand::AlterType { column, .. } => {
                statement.up.is_empty()
                    && !self.is_pending(&table.name, column)
                    && table.column(column).is_some_and(|found| {
                        new_type(command).is_some_and(|to| {
                            is_catalog_only(table, found, &to, self.time_zone_to_run_in(statement.parsed.span))
                        }) && !table.dependents.iter().any(|dependent| dependent.column.as_ref() == Some(column))
                    })
            }
            AlterCommand::AddConstraint(constraint) => match &constraint.form {
                ConstraintForm::Exclude => self.is_small(table),
                ConstraintForm::NotNull
                | ConstraintForm::Check(_)
                | ConstraintForm::ForeignKey(_)
                | ConstraintForm::Unique(_)
                | ConstraintForm::PrimaryKey(_) => constraint.not_valid || constraint.using_index.is_some(),
            },
            AlterCommand::Other { breaks, .. } => breaks.is_none(),
            AlterCommand::DropColumn { column, if_exists, .. } => *if_exists && table.column(column).is_none(),
            AlterCommand::AttachPartition { .. } | AlterCommand::DetachPartition { .. } => false,
        }
    }

    pub(super) fn read_command(
        &mut self,
        position: usize,
        statement: &Statement,
        table: &Table,
        command: &AlterCommand,
    ) {
        let span = statement.parsed.span;
        match command {
            AlterCommand::AddColumn { column, if_not_exists } => {
                if table.column(&column.name).is_some() {
                    if !if_not_exists {
                        let found = super::super::column_exists(table, &column.name, span);
                        self.findings.push(if self.is_dropped(&table.name, &column.name) {
                            found.help(
                                "directly, every value of it would be lost. If its type is to change, write that: `ALTER COLUMN … TYPE … USING …`; if the values may go, drop it in this migration and add it in the next",
                            )
                        } else {
                            found
                        });
                    }
                    return;
                }
                if let Some((what, help)) = self.hard_to_add(column) {
                    let message = format!(
                        "{}.{} with {what} rewrites the table under a lock that keeps out readers",
                        table.name, column.name
                    );
                    self.findings.push(Finding::error("add-column", span, message).help(help));
                    return;
                }
                if column.numbers.is_some() {
                    return self.pend_numbers(table, column, statement, position);
                }
                let value = self.up_of(statement, table, &column.name).or_else(|| {
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
                let views_go = *cascade && self.drop_views_of(position, table, column, span);
                self.dropped.entry(table.name.clone()).or_default().push(Dropped {
                    column: found,
                    down,
                    cascade: *cascade,
                    views_go,
                    span,
                });
            }
            AlterCommand::AlterType { column, .. } => {
                let (Some(mut found), Some(to)) = (table.column(column).cloned(), new_type(command)) else {
                    self.findings.push(if self.is_rename_target(&table.name, column) {
                        Finding::error(
                            "changed-twice",
                            span,
                            format!("{}.{column} is changed twice in one file", table.name),
                        )
                        .help("put the second change into the next migration")
                    } else if self.is_pending(&table.name, column) {
                        Finding::error("changed-twice", span, format!("{column} is new in this file"))
                            .help("add it with the right type")
                    } else {
                        no_column(table, column, span)
                    });
                    return;
                };
                self.touch(position, &table.name, column);
                let (up, down) = (value_for(&statement.up, column), value_for(&statement.down, column));
                if up.as_ref().is_some_and(Expr::has_subquery) {
                    let message = "the new value of a column whose type changes can't come from another table";
                    self.findings.push(
                        Finding::error("directive-expression", span, message)
                            .help("add a column with that value, and drop the old one in a later migration"),
                    );
                    return;
                }
                let time_zone = self.time_zone_at(span).map(str::to_owned);
                let default = self.default_in_file(table, column);
                // Until contract the old column is what the file makes of it at once.
                let said = self.not_null_in_file(table, column);
                let not_null = said.unwrap_or(found.not_null);
                found.not_null &= said != Some(false);
                let retype = Retype {
                    table: table.clone(),
                    column: found,
                    to,
                    up,
                    down,
                    default,
                    not_null,
                    time_zone,
                    replaced: None,
                    span,
                };
                let retype = self.with_mend(position, retype);
                self.retypes.push((position, retype));
            }
            AlterCommand::SetNotNull { column } => self.read_set_not_null(position, statement, table, column),
            AlterCommand::SetDefault { column, default } if self.is_pending(&table.name, column) => {
                self.set_later_default(position, table, column, default.clone());
            }
            AlterCommand::AddConstraint(constraint) => {
                self.read_constraint(position, statement, table, constraint);
            }
            AlterCommand::AttachPartition { partition, bound } => {
                let place = self.catalog().place(partition);
                let own = self
                    .catalog()
                    .resolve(partition)
                    .filter(|own| !self.created.contains(&own.name) && !self.cx.made_in_run.has(&own.name));
                if own.is_none() && self.catalog().resolve(partition).is_none() && !self.is_created(partition) {
                    self.findings.push(no_table(self.cx, partition, span));
                    return;
                }
                let operation = Attach {
                    parent: table.clone(),
                    partition: own.map_or(place, |own| own.name.clone()),
                    table: own.cloned(),
                    bound: bound.clone(),
                    text: statement.parsed.text.clone(),
                    span,
                };
                self.operations.push((position, Box::new(operation)));
            }
            AlterCommand::DetachPartition { partition, concurrently } => {
                let Some(own) = self.catalog().resolve(partition).cloned() else {
                    self.findings.push(no_table(self.cx, partition, span));
                    return;
                };
                let operation = Detach {
                    in_use: self.is_in_use(table),
                    parent: table.clone(),
                    partition: own,
                    concurrently: *concurrently,
                    span,
                };
                self.operations.push((position, Box::new(operation)));
            }
            // It is instant: only a directive that it does not take brings it here, and that is said already.
            AlterCommand::DropConstraint { name, cascade, .. } => {
                self.read_drop_key(position, span, table, name, *cascade);
            }
            AlterCommand::SetDefault { .. }
            | AlterCommand::DropNotNull { .. }
            | AlterCommand::Other { breaks: None, .. } => {}
            AlterCommand::Other { what, breaks: Some(why), .. } => self.findings.push(
                Finding::error("breaks-running-code", span, format!("{what} is not done in phases: {why}"))
                    .help("accept it: put `-- crossfade: direct REASON` on the line before"),
            ),
        }
    }

    /// CASCADE of a column takes the views that use it, as a DROP VIEW in front of it would. Whether it is so: where something else uses the column, too,
    /// the change is refused.
    fn drop_views_of(&mut self, position: usize, table: &Table, column: &str, span: Span) -> bool {
        let cleared = Cleared::before(self.cx, span);
        let uses = |dependent: &&Dependent| dependent.column.as_deref() == Some(column) && !cleared.has(dependent);
        let of_column: Vec<&Dependent> = table.dependents.iter().filter(uses).collect();
        let named: Option<Vec<&TableName>> = of_column.iter().map(|dependent| dependent.view.as_ref()).collect();
        let mut views: Vec<Table> =
            named.unwrap_or_default().into_iter().filter_map(|name| self.catalog().table(name)).cloned().collect();
        views.sort_by(|a, b| a.name.cmp(&b.name));
        views.dedup_by(|a, b| a.name == b.name);
        let Some(kind) = views.first().map(kind_of).filter(|kind| views.iter().all(|view| kind_of(view) == *kind))
        else {
            return false;
        };
        for view in &views {
            self.gone.push((position, view.name.clone()));
        }
        self.operations.push((position, Box::new(DropView { kind, views, cascade: true, cleared, span })));
        true
    }

    /// What the file says that a column's value is.
    pub(super) fn up_of(&mut self, statement: &Statement, table: &Table, column: &str) -> Option<Expr> {
        let value = value_for(&statement.up, column)?;
        match self.lifted(table, None, &value) {
            Ok(value) => Some(value),
            Err(why) => {
                let message = format!("the value of {column} is not understood: {why}");
                self.findings.push(Finding::error("directive-expression", statement.parsed.span, message));
                Some(value)
            }
        }
    }

    pub(super) fn read_set_not_null(&mut self, position: usize, statement: &Statement, table: &Table, column: &str) {
        let span = statement.parsed.span;
        if self.is_pending(&table.name, column) {
            let up = self.up_of(statement, table, column);
            for pending in self.pending.get_mut(&table.name).into_iter().flatten() {
                if pending.definition.name == column {
                    pending.not_null_later |= !pending.definition.not_null;
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
        // The new column is proven.
        if statement.up.is_empty() && self.is_retyped(table, column) {
            return;
        }
        let mend = self.mends.get(&(table.name.clone(), column.to_owned())).map(|(_, value)| value.clone());
        self.touch(position, &table.name, column);
        match self.up_of(statement, table, column).or(mend) {
            Some(up) => {
                let reads = self.reads_of(position, &up);
                let operation = MendNotNull { table: table.clone(), column: column.to_owned(), span, up, reads };
                self.operations.push((position, Box::new(operation)));
            }
            None => {
                let changed_before = self.is_written_before(position, table);
                let operation = SetNotNull { table: table.clone(), column: column.to_owned(), changed_before, span };
                self.operations.push((position, Box::new(operation)));
            }
        }
    }
}

impl Reader<'_> {
    /// The changes of one part each that the file makes to a table, as far as they are not marked to run as written.
    pub(super) fn changes_of<'a>(
        &'a self,
        table: &'a Table,
    ) -> impl Iterator<Item = (&'a Statement, &'a AlterCommand)> {
        let statements = self.cx.migration.statements.iter();
        let statements = statements.filter(|statement| statement.direct.is_none() && statement.phase.is_none());
        statements.flat_map(move |statement| {
            let commands = match &statement.parsed.kind {
                StatementKind::AlterTable { table: name, commands, .. }
                    if self.catalog().resolve(name).is_some_and(|found| found.name == table.name) =>
                {
                    commands.as_slice()
                }
                _ => &[],
            };
            commands.iter().map(move |command| (statement, command))
        })
    }

    /// Whether the column gets another type in phases: its default belongs to that change.
    pub(super) fn is_retyped(&self, table: &Table, column: &str) -> bool {
        self.changes_of(table).any(|(statement, command)| {
            matches!(command, AlterCommand::AlterType { column: known, .. } if known == column)
                && !self.is_instant(table, command, statement)
        })
    }

    /// The last default that the file gives to a column, or that it takes it away.
    pub(super) fn default_in_file(&self, table: &Table, column: &str) -> Option<Option<Expr>> {
        let defaults = self.changes_of(table).filter_map(|(_, command)| match command {
            AlterCommand::SetDefault { column: known, default } if known == column => Some(default.clone()),
            _ => None,
        });
        defaults.last()
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
