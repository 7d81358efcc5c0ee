//! Statements are understood together, not one by one: ADD + UPDATE + DROP is one replacement, ADD + UPDATE + SET NOT NULL one column.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::Operation;
use super::Role;
use super::add_column::AddColumn;
use super::add_constraint::AddConstraint;
use super::alter_type::AlterType;
use super::alter_type::NewType;
use super::alter_type::is_catalog_only;
use super::as_written::AsWritten;
use super::create_index::BuildIndex;
use super::drop_index::DropIndex;
use super::mend_not_null::MendNotNull;
use super::no_column;
use super::no_table;
use super::rename_column::RenameColumn;
use super::replace::Added;
use super::replace::Dropped;
use super::replace::Replace;
use super::set_not_null::SetNotNull;
use crate::catalog::Catalog;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::catalog::Volatility;
use crate::finding::Finding;
use crate::migration::Migration;
use crate::migration::Statement;
use crate::migration::ValueDirective;
use crate::plan::PlanContext;
use crate::sql;
use crate::sql::AlterCommand;
use crate::sql::ColumnDefinition;
use crate::sql::ConstraintForm;
use crate::sql::Expr;
use crate::sql::Ident;
use crate::sql::ObjectRef;
use crate::sql::Span;
use crate::sql::Sql;
use crate::sql::StatementKind;
use crate::sql::TableName;
use crate::sql::Update;
use crate::step::Claim;

/// A column that the file adds to a table that is in use.
struct Pending {
    definition: ColumnDefinition,
    span: Span,
    /// Its value for existing rows, as the statements up to here make it.
    value: Option<Expr>,
    default_later: Option<Expr>,
    /// The statement it comes from, for the case that it may run as written after all.
    statement: usize,
}

struct Reader<'a> {
    cx: &'a PlanContext<'a>,
    findings: Vec<Finding>,
    operations: Vec<(usize, Box<dyn Operation>)>,
    /// Tables that this file makes.
    created: BTreeSet<TableName>,
    pending: BTreeMap<TableName, Vec<Pending>>,
    dropped: BTreeMap<TableName, Vec<Dropped>>,
    /// `UPDATE t SET c = value WHERE c IS NULL`, until the SET NOT NULL that it prepares.
    mends: BTreeMap<(TableName, String), (usize, Expr)>,
    /// What phased operations work on: table and column names, and the statement.
    touched: Vec<(usize, TableName, String)>,
}

/// The tables that a file makes and that are not there yet.
pub fn created_tables(migration: &Migration, catalog: &Catalog) -> Vec<TableName> {
    let made = migration.statements.iter().filter_map(|statement| match &statement.parsed.kind {
        StatementKind::CreateTable { name, temporary: false, .. } => Some(catalog.place(name)),
        _ => None,
    });
    made.filter(|place| catalog.table(place).is_none()).collect()
}

/// Reads a file's statements into operations.
pub fn understand(cx: &PlanContext<'_>) -> (Vec<Box<dyn Operation>>, Vec<Finding>) {
    let mut reader = Reader {
        cx,
        findings: Vec::new(),
        operations: Vec::new(),
        created: BTreeSet::new(),
        pending: BTreeMap::new(),
        dropped: BTreeMap::new(),
        mends: BTreeMap::new(),
        touched: Vec::new(),
    };
    reader.find_mends();
    for (position, statement) in cx.migration.statements.iter().enumerate() {
        reader.read(position, statement);
    }
    reader.settle();
    reader.look_for_collisions();
    reader.look_for_interference();
    reader.operations.sort_by_key(|(position, _)| *position);
    let phased = reader.operations.iter().any(|(_, operation)| !is_as_written(operation.as_ref()));
    if phased {
        reader.require_undo();
    }
    (reader.operations.into_iter().map(|(_, operation)| operation).collect(), reader.findings)
}

fn is_as_written(operation: &dyn Operation) -> bool {
    operation.role() == Role::AsWritten
}

impl Reader<'_> {
    fn catalog(&self) -> &Catalog {
        self.cx.catalog
    }

    /// The existing table that a name means, unless the file makes it, or nobody can feel what happens to it.
    fn in_use(&self, name: &ObjectRef) -> Option<&Table> {
        let table = self.catalog().resolve(name)?;
        if self.created.contains(&table.name) || self.cx.new_tables.contains(&table.name) {
            return None;
        }
        let alone = self.catalog().other_sessions == 0;
        let unused = match table.kind {
            TableKind::Table | TableKind::Partitioned => alone && !table.has_rows,
            TableKind::View | TableKind::MaterializedView | TableKind::Foreign => {
                alone && !self.catalog().tables.iter().any(|table| table.has_rows)
            }
        };
        (!unused).then_some(table)
    }

    fn is_created(&self, name: &ObjectRef) -> bool {
        self.created.contains(&self.catalog().place(name))
    }

    fn write_as_is(&mut self, position: usize, statement: &Statement) {
        let (_, touches) = super::as_written::touches(&statement.parsed.kind);
        let claims = touches
            .iter()
            .filter_map(|(name, mode)| {
                let table = self.catalog().resolve(name)?;
                let words = &statement.parsed.words;
                let columns = table.columns.iter().filter(|column| words.contains(&column.name));
                (*mode > crate::lock::LockMode::RowExclusive).then(|| {
                    columns
                        .map(|column| Claim { table: table.name.clone(), column: Some(column.name.clone()) })
                        .collect::<Vec<_>>()
                })
            })
            .flatten()
            .collect();
        self.operations.push((position, Box::new(AsWritten { statement: statement.clone(), claims })));
    }

    /// `UPDATE t SET c = value WHERE c IS NULL` in front of `SET NOT NULL` gives the value for the NULLs of old code, too.
    fn find_mends(&mut self) {
        for (position, statement) in self.cx.migration.statements.iter().enumerate() {
            let StatementKind::Update(update) = &statement.parsed.kind else { continue };
            let (Some([item]), Some(filter), false, None) =
                (update.set.as_deref(), &update.filter, update.odd, &statement.direct)
            else {
                continue;
            };
            let Some(table) = self.in_use(&update.table) else { continue };
            if table.column(&item.column).is_none() || !is_null_test(filter, &item.column) {
                continue;
            }
            let key = (table.name.clone(), item.column.clone());
            let followed = self.cx.migration.statements[position + 1..].iter().any(|later| match &later.parsed.kind {
                StatementKind::AlterTable { table: name, commands, .. } => {
                    self.catalog().resolve(name).is_some_and(|found| found.name == key.0)
                        && commands
                            .iter()
                            .any(|command| matches!(command, AlterCommand::SetNotNull { column } if *column == key.1))
                }
                _ => false,
            });
            if followed {
                self.mends.insert(key, (position, item.value.clone()));
            }
        }
    }

    fn read(&mut self, position: usize, statement: &Statement) {
        let concurrently = matches!(&statement.parsed.kind, StatementKind::CreateIndex(index) if index.concurrently);
        if statement.direct.is_some() && !concurrently {
            self.no_values(statement);
            return self.write_as_is(position, statement);
        }
        let span = statement.parsed.span;
        match &statement.parsed.kind {
            StatementKind::AlterTable { table, commands, if_exists, .. } => {
                self.read_alter(position, statement, table, commands, *if_exists);
            }
            StatementKind::RenameColumn { table, from, to, if_exists } => {
                self.no_values(statement);
                match self.in_use(table).cloned() {
                    Some(table) if self.is_pending(&table.name, from) => self.refuse_chain(&table.name, from, span),
                    Some(table) => {
                        self.touch(position, &table.name, from);
                        self.touch(position, &table.name, to);
                        let together = self.renames_of(&table);
                        let rename = RenameColumn { table, from: from.clone(), to: to.clone(), span, together };
                        self.operations.push((position, Box::new(rename)));
                    }
                    None => self.unless_unknown(position, statement, table, *if_exists),
                }
            }
            StatementKind::CreateIndex(index) => {
                self.no_values(statement);
                match self.in_use(&index.table).cloned() {
                    Some(table) if !table.has_rows && self.catalog().other_sessions == 0 => {
                        self.write_as_is(position, statement)
                    }
                    Some(table) => {
                        self.operations.push((position, Box::new(BuildIndex { table, index: (**index).clone(), span })))
                    }
                    None if index.concurrently && !self.is_created(&index.table) => {
                        match self.catalog().resolve(&index.table).cloned() {
                            Some(table) => self
                                .operations
                                .push((position, Box::new(BuildIndex { table, index: (**index).clone(), span }))),
                            None => self.findings.push(no_table(self.cx, &index.table, span)),
                        }
                    }
                    None if index.concurrently => self.findings.push(
                        Finding::error(
                            "concurrently-on-new-table",
                            span,
                            "CONCURRENTLY can't run in the transaction that makes the table",
                        )
                        .help("leave CONCURRENTLY out: nobody waits for a table that is new"),
                    ),
                    None => self.unless_unknown(position, statement, &index.table, false),
                }
            }
            StatementKind::DropIndex { names, if_exists, cascade } => {
                self.read_drop_index(position, statement, names, *if_exists, *cascade)
            }
            StatementKind::Update(update) => self.read_update(position, statement, update),
            StatementKind::CreateTable { name, if_not_exists, .. } => {
                self.no_values(statement);
                let place = self.catalog().place(name);
                if !*if_not_exists || self.catalog().table(&place).is_none() {
                    self.created.insert(place);
                }
                self.write_as_is(position, statement);
            }
            StatementKind::Other { what, touches, breaks, .. } => {
                self.no_values(statement);
                let on_used = touches.is_empty() || touches.iter().any(|(name, _)| self.in_use(name).is_some());
                if let Some(why) = breaks
                    && on_used
                {
                    self.findings.push(
                        Finding::error("breaks-running-code", span, format!("{what} is not done in phases: {why}"))
                            .help("when no running code uses it any more, say so: put `-- crossfade: direct REASON` on the line before"),
                    );
                    return;
                }
                let big = touches
                    .iter()
                    .filter_map(|(name, _)| self.in_use(name))
                    .find(|table| table.estimated_rows > self.cx.policy.small_rows);
                if let (true, Some(table)) = (what == "DELETE", big) {
                    let message =
                        format!("one transaction over {}, which has about {} rows", table.name, table.estimated_rows);
                    self.findings.push(
                        Finding::warning("big-delete", span, message)
                            .help("rows that it finds stay locked until it is done"),
                    );
                }
                self.write_as_is(position, statement);
            }
            StatementKind::Transaction(_) | StatementKind::NotInTransaction { .. } | StatementKind::CopyFromStdin => {
                self.write_as_is(position, statement);
            }
        }
    }

    /// A directive with a value in front of a statement that takes none would be ignored; say so instead.
    fn no_values(&mut self, statement: &Statement) {
        for directive in statement.up.iter().chain(&statement.down) {
            self.findings.push(unused(directive));
        }
    }

    fn unless_unknown(&mut self, position: usize, statement: &Statement, table: &ObjectRef, if_exists: bool) {
        if !if_exists && self.catalog().resolve(table).is_none() && !self.is_created(table) && !self.may_be_made(table)
        {
            self.findings.push(no_table(self.cx, table, statement.parsed.span));
            return;
        }
        self.write_as_is(position, statement);
    }

    /// Whether a statement that can't be seen through (DO, a function call, CREATE TABLE AS) may have made it.
    fn may_be_made(&self, table: &ObjectRef) -> bool {
        self.cx.migration.statements.iter().any(|statement| match &statement.parsed.kind {
            StatementKind::Other { what, opaque, .. } => {
                *opaque
                    || (what.starts_with("CREATE") || what.starts_with("RENAME") || what.starts_with("Rename"))
                        && statement.parsed.words.contains(&table.name)
            }
            _ => false,
        })
    }

    fn touch(&mut self, position: usize, table: &TableName, column: &str) {
        self.touched.push((position, table.clone(), column.to_owned()));
    }

    fn is_pending(&self, table: &TableName, column: &str) -> bool {
        self.pending.get(table).is_some_and(|all| all.iter().any(|pending| pending.definition.name == column))
    }

    fn refuse_chain(&mut self, table: &TableName, column: &str, span: Span) {
        self.findings.push(
            Finding::error("changed-twice", span, format!("{table}.{column} is changed twice in one file"))
                .help("write what you mean in one statement, or put the second change into the next migration"),
        );
    }

    fn read_alter(
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
    fn is_instant(&self, table: &Table, command: &AlterCommand, statement: &Statement) -> bool {
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
            AlterCommand::SetDefault { .. } | AlterCommand::DropNotNull { .. } => true,
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

    /// The worst volatility of an expression's functions, as far as it is known: an unknown function may be volatile.
    fn volatility(&self, expr: &Expr) -> Volatility {
        expr.functions()
            .iter()
            .map(|(schema, name)| {
                let own = self.catalog().objects.iter().find(|object| {
                    object.kind == "function"
                        && object.name.name.as_str() == name
                        && schema.as_ref().is_none_or(|schema| schema == object.name.schema.as_str())
                });
                match own {
                    Some(object) => object.volatility.unwrap_or(Volatility::Volatile),
                    None => builtin_volatility(name),
                }
            })
            .max()
            .unwrap_or(Volatility::Immutable)
    }

    fn pend(
        &mut self,
        table: &Table,
        column: &ColumnDefinition,
        statement: &Statement,
        position: usize,
        value: Option<Expr>,
    ) {
        self.pending.entry(table.name.clone()).or_default().push(Pending {
            definition: column.clone(),
            span: statement.parsed.span,
            value,
            default_later: None,
            statement: position,
        });
    }

    fn set_later_default(&mut self, table: &Table, column: &str, default: Option<Expr>) {
        for pending in self.pending.get_mut(&table.name).into_iter().flatten() {
            if pending.definition.name == column {
                pending.default_later = default.clone();
                if default.is_none() {
                    pending.definition.default = None;
                }
            }
        }
    }

    fn check_directives(&mut self, statement: &Statement, commands: &[AlterCommand]) {
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

    fn read_command(
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
                        self.findings.push(super::column_exists(table, &column.name, span));
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

    fn read_set_not_null(&mut self, position: usize, statement: &Statement, table: &Table, column: &str) {
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

    fn read_drop_index(
        &mut self,
        position: usize,
        statement: &Statement,
        names: &[ObjectRef],
        if_exists: bool,
        cascade: bool,
    ) {
        self.no_values(statement);
        let span = statement.parsed.span;
        let found: Vec<Option<(Table, crate::catalog::Index)>> = names
            .iter()
            .map(|name| self.catalog().index(name).map(|(table, index)| (table.clone(), index.clone())))
            .collect();
        let unused = |table: &Table| !table.has_rows && self.catalog().other_sessions == 0;
        if found
            .iter()
            .all(|found| found.as_ref().is_none_or(|(table, _)| unused(table) || self.created.contains(&table.name)))
        {
            let missing = names.iter().zip(&found).find(|(_, found)| found.is_none());
            let makes_it = |name: &ObjectRef| {
                self.cx.migration.statements.iter().any(|statement| match &statement.parsed.kind {
                    StatementKind::CreateIndex(index) => index.name.as_ref() == Some(&name.name),
                    _ => false,
                })
            };
            if let Some((name, _)) = missing
                && !if_exists
                && !makes_it(name)
            {
                self.findings.push(Finding::error("no-such-index", span, format!("there is no index {name}")));
                return;
            }
            return self.write_as_is(position, statement);
        }
        for (name, found) in names.iter().zip(found) {
            match found {
                Some((table, index)) => {
                    self.operations.push((position, Box::new(DropIndex { table, index, cascade, span })))
                }
                None if if_exists => {}
                None => self.findings.push(Finding::error("no-such-index", span, format!("there is no index {name}"))),
            }
        }
    }

    fn read_update(&mut self, position: usize, statement: &Statement, update: &Update) {
        self.no_values(statement);
        let span = statement.parsed.span;
        let Some(table) = self.in_use(&update.table).cloned() else {
            return self.unless_unknown(position, statement, &update.table, false);
        };
        if self.mends.values().any(|(mend, _)| *mend == position) {
            return;
        }
        let names: Vec<&str> = match &update.set {
            Some(set) => set.iter().map(|item| item.column.as_str()).collect(),
            None => Vec::new(),
        };
        let into_pending = names.iter().filter(|name| self.is_pending(&table.name, name)).count();
        if into_pending == 0 && !statement.parsed.words.iter().any(|word| self.is_pending(&table.name, word)) {
            if table.estimated_rows > self.cx.policy.small_rows && update.filter.is_none() {
                self.findings.push(
                    Finding::error(
                        "update-whole-table",
                        span,
                        format!(
                            "one UPDATE locks all of the about {} rows of {} until it is done",
                            table.estimated_rows, table.name
                        ),
                    )
                    .help("fill in batches with `WHERE`, or accept the locks: `-- crossfade: direct REASON`"),
                );
                return;
            }
            return self.write_as_is(position, statement);
        }
        let simple = !update.odd && into_pending == names.len() && update.set.is_some();
        let exprs = || update.set.iter().flatten().map(|item| &item.value).chain(&update.filter);
        if !simple || exprs().any(|expr| expr.has_subquery() || expr.uses_whole_row()) {
            self.findings.push(
                Finding::error("update-not-understood", span, "this UPDATE fills a new column in a way that can't be kept true for rows that old code writes meanwhile")
                    .help("set only new columns, from columns of the same row; or write the value as `-- crossfade: up EXPR` in front of ADD COLUMN"),
            );
            return;
        }
        let volatile = update.set.iter().flatten().any(|item| self.volatility(&item.value) == Volatility::Volatile);
        let replaces = self.cx.migration.statements.iter().any(|other| match &other.parsed.kind {
            StatementKind::AlterTable { commands, .. } => commands.iter().any(|command| match command {
                AlterCommand::DropColumn { column, .. } => exprs().any(|expr| expr.names(column)),
                _ => false,
            }),
            _ => false,
        });
        if volatile && replaces {
            self.findings.push(
                Finding::error(
                    "volatile-value",
                    span,
                    "the new value is another one each time, so it can't be kept equal to the old column",
                )
                .help("use an expression that always gives the same value for the same row"),
            );
            return;
        }
        self.compose(&table, update, span);
    }

    /// What the columns hold after this UPDATE, given what they held before it.
    fn compose(&mut self, table: &Table, update: &Update, span: Span) {
        let Some(pending) = self.pending.get(&table.name) else { return };
        let current: BTreeMap<String, Sql> = pending
            .iter()
            .map(|pending| {
                let type_name = &pending.definition.type_name;
                let value = match (&pending.value, &pending.definition.default) {
                    (Some(value), _) => value.over_table(),
                    (None, Some(default)) => sql!("{}::{}", default.over_table(), type_name),
                    (None, None) => sql!("NULL::{}", type_name),
                };
                (pending.definition.name.clone(), value)
            })
            .collect();
        let untouched = |column: &str| {
            pending.iter().any(|pending| {
                pending.definition.name == column && pending.value.is_none() && pending.definition.default.is_none()
            })
        };
        let put = |expr: &Expr| {
            expr.render(|column| current.get(column).cloned().unwrap_or_else(|| sql!("{}", Ident::new(column))))
        };
        let mut values = Vec::new();
        for item in update.set.iter().flatten() {
            let names_pending = item.value.columns().any(|column_use| current.contains_key(&column_use.column));
            let filter = update
                .filter
                .as_ref()
                .filter(|filter| !(untouched(&item.column) && is_null_test(filter, &item.column)));
            let value = match filter {
                None if !names_pending => Ok(item.value.clone()),
                None => Expr::from_sql(&put(&item.value)),
                Some(filter) => {
                    let now = current.get(&item.column).cloned().unwrap_or_else(|| sql!("NULL"));
                    Expr::from_sql(&sql!("CASE WHEN {} THEN {} ELSE {} END", put(filter), put(&item.value), now))
                }
            };
            values.push((item.column.clone(), value));
        }
        for (column, value) in values {
            match value {
                Ok(value) => {
                    for pending in self.pending.get_mut(&table.name).into_iter().flatten() {
                        if pending.definition.name == column {
                            pending.value = Some(value.clone());
                            pending.span = span;
                        }
                    }
                }
                Err(error) => self.findings.push(Finding::error("update-not-understood", span, error.message)),
            }
        }
    }

    /// Turns what was gathered by table into operations.
    fn settle(&mut self) {
        let tables: BTreeSet<TableName> = self.pending.keys().chain(self.dropped.keys()).cloned().collect();
        for name in tables {
            let Some(table) = self.catalog().table(&name).cloned() else { continue };
            let pending = self.pending.remove(&name).unwrap_or_default();
            let dropped = self.dropped.remove(&name).unwrap_or_default();
            self.settle_table(&table, pending, dropped);
        }
    }

    fn settle_table(&mut self, table: &Table, pending: Vec<Pending>, dropped: Vec<Dropped>) {
        let (filled, instant): (Vec<Pending>, Vec<Pending>) = pending.into_iter().partition(|pending| {
            pending.value.is_some()
                || (pending.definition.not_null && pending.definition.default.as_ref().is_none_or(Expr::is_null))
                || pending.default_later.is_some()
        });
        for pending in &instant {
            let all_instant = self.cx.migration.statements.get(pending.statement).is_some_and(|statement| {
                match &statement.parsed.kind {
                    StatementKind::AlterTable { commands, .. } => commands.iter().all(|command| match command {
                        AlterCommand::AddColumn { column, .. } => instant
                            .iter()
                            .any(|other| other.statement == pending.statement && other.definition.name == column.name),
                        _ => false,
                    }),
                    _ => false,
                }
            });
            let first = instant
                .iter()
                .find(|other| other.statement == pending.statement)
                .is_some_and(|other| other.definition.name == pending.definition.name);
            if let Some(statement) = self.cx.migration.statements.get(pending.statement).cloned() {
                if all_instant && first {
                    self.write_as_is(pending.statement, &statement);
                } else if !all_instant {
                    self.findings.push(
                        Finding::error(
                            "mixed-alter-table",
                            statement.parsed.span,
                            format!(
                                "this ALTER TABLE adds {} at once and changes others in phases",
                                pending.definition.name
                            ),
                        )
                        .help("split it into statements of one change each"),
                    );
                }
            }
        }
        for pending in &filled {
            self.touch(pending.statement, &table.name, &pending.definition.name);
        }
        let mut groups = connect(&filled, &dropped);
        groups.sort_by_key(|(added, dropped)| {
            let first_added = added.iter().map(|at| filled[*at].statement).min();
            let first_dropped = dropped.iter().map(|at| dropped_position(self.cx, &self.touched, table, at)).min();
            (first_added.or(first_dropped), first_dropped)
        });
        let mut filled: Vec<Option<Pending>> = filled.into_iter().map(Some).collect();
        let mut dropped: Vec<Option<Dropped>> = dropped.into_iter().map(Some).collect();
        for (added_at, dropped_at) in groups {
            let added: Vec<Pending> = added_at.into_iter().filter_map(|at| filled[at].take()).collect();
            let gone: Vec<Dropped> = dropped_at.into_iter().filter_map(|at| dropped[at].take()).collect();
            if gone.is_empty() {
                for pending in added {
                    self.add_filled(table, pending);
                }
                continue;
            }
            let position = added.iter().map(|pending| pending.statement).min();
            let position = position.unwrap_or_else(|| {
                self.touched
                    .iter()
                    .find(|(_, name, column)| {
                        *name == table.name && gone.iter().any(|dropped| dropped.column.name == *column)
                    })
                    .map_or(0, |(at, _, _)| *at)
            });
            let added = added.into_iter().filter_map(|pending| {
                let Pending { definition, span, value, default_later, .. } = pending;
                value.map(|up| Added { column: definition, up, later_default: default_later, span })
            });
            let replace = Replace { table: table.clone(), dropped: gone, added: added.collect() };
            self.operations.push((position, Box::new(replace)));
        }
    }

    fn add_filled(&mut self, table: &Table, pending: Pending) {
        let Pending { definition, span, value, default_later, statement } = pending;
        let from_default = definition
            .default
            .as_ref()
            .is_some_and(|default| self.volatility(default) == Volatility::Volatile && value.as_ref() == Some(default));
        let constant = definition
            .default
            .clone()
            .filter(|default| !default.is_null() && self.volatility(default) < Volatility::Volatile);
        match value.or_else(|| constant.clone()) {
            Some(up) => {
                let operation = AddColumn { table: table.clone(), column: definition, span, up, from_default, later_default: default_later };
                self.operations.push((statement, Box::new(operation)));
            }
            None if !definition.not_null => {
                // Only a later default: nothing to fill.
                let up = Expr::parse("NULL").expect("NULL is an expression");
                let operation = AddColumn { table: table.clone(), column: definition, span, up, from_default: true, later_default: default_later };
                self.operations.push((statement, Box::new(operation)));
            }
            None => self.findings.push(
                Finding::error("up-needed", span, format!("{}.{} is NOT NULL, and its value for existing rows is not known", table.name, definition.name))
                    .help("write it in front of the statement: `-- crossfade: up EXPR`, or give the column a DEFAULT, or fill it with an UPDATE in this file"),
            ),
        }
    }

    /// A statement that runs as written and names what another changes in phases would see it half done.
    fn look_for_interference(&mut self) {
        let mut findings = Vec::new();
        for (position, operation) in &self.operations {
            let index = operation.role() == Role::Index;
            if !is_as_written(operation.as_ref()) && !index {
                continue;
            }
            let Some(statement) = self.cx.migration.statements.get(*position) else { continue };
            if statement.direct.is_some() {
                continue;
            }
            for (other, table, column) in &self.touched {
                let words = &statement.parsed.words;
                let added_here = self.cx.catalog.table(table).is_some_and(|table| table.column(column).is_none());
                let new_column_index = index && added_here && !self.is_rename_target(table, column);
                if other != position
                    && words.contains(column)
                    && words.iter().any(|word| word == table.name.as_str())
                    && !new_column_index
                {
                    findings.push(
                        Finding::error("interference", statement.parsed.span, format!("this names {table}.{column}, which this file changes in phases"))
                            .help("put it into the next migration, after contract; or say that it may run at once: `-- crossfade: direct REASON`"),
                    );
                    break;
                }
            }
        }
        self.findings.extend(findings);
    }

    /// Every rename of a column of this table in the file.
    fn renames_of(&self, table: &Table) -> BTreeMap<String, String> {
        let renames = self.cx.migration.statements.iter().filter_map(|statement| match &statement.parsed.kind {
            StatementKind::RenameColumn { table: name, from, to, .. }
                if self.catalog().resolve(name).is_some_and(|found| found.name == table.name) =>
            {
                Some((from.clone(), to.clone()))
            }
            _ => None,
        });
        renames.collect()
    }

    /// A column can be under way once. Columns whose types change can't share an index or a constraint: each would be built again for
    /// itself.
    fn look_for_collisions(&mut self) {
        let mut findings = Vec::new();
        for (at, (position, table, column)) in self.touched.iter().enumerate() {
            let span = self.cx.migration.statements.get(*position).map(|statement| statement.parsed.span);
            if self.touched[..at].iter().any(|(_, other, name)| other == table && name == column) {
                findings.push(
                    Finding::error("changed-twice", span, format!("{table}.{column} is changed twice in one file"))
                        .help("put the second change into the next migration"),
                );
            }
            let Some(found) = self.cx.catalog.table(table).filter(|_| self.changes_type(*position, column)) else {
                continue;
            };
            let with = |columns: &[String]| {
                columns.contains(column)
                    && self.touched[..at].iter().any(|(other, name, second)| {
                        name == table && columns.contains(second) && self.changes_type(*other, second)
                    })
            };
            let shared = found.indexes.iter().find(|index| with(&index.columns)).map(|index| &index.name);
            let shared = shared.or_else(|| found.constraints.iter().find(|it| with(&it.columns)).map(|it| &it.name));
            if let Some(shared) = shared {
                findings.push(
                    Finding::error(
                        "shared-index",
                        span,
                        format!("{shared} is over {column} and over another column whose type changes here"),
                    )
                    .help("change their types in two migrations, one after the other"),
                );
            }
        }
        self.findings.extend(findings);
    }

    fn changes_type(&self, position: usize, column: &str) -> bool {
        self.cx.migration.statements.get(position).is_some_and(|statement| match &statement.parsed.kind {
            StatementKind::AlterTable { commands, .. } => commands
                .iter()
                .any(|command| matches!(command, AlterCommand::AlterType { column: known, .. } if known == column)),
            _ => false,
        })
    }

    fn is_rename_target(&self, table: &TableName, column: &str) -> bool {
        self.cx.migration.statements.iter().any(|statement| match &statement.parsed.kind {
            StatementKind::RenameColumn { table: name, to, .. } => {
                to == column && self.cx.catalog.resolve(name).is_some_and(|found| found.name == *table)
            }
            _ => false,
        })
    }

    /// In a plan that can be rolled back, every statement needs a way back.
    fn require_undo(&mut self) {
        for statement in &self.cx.migration.statements {
            let position_of = self.operations.iter().any(|(position, operation)| {
                is_as_written(operation.as_ref())
                    && self
                        .cx
                        .migration
                        .statements
                        .get(*position)
                        .is_some_and(|known| known.parsed.span == statement.parsed.span)
            });
            if position_of && statement.undo.is_none() && super::as_written::undo(&statement.parsed.kind).is_none() {
                self.findings.push(
                    Finding::error("undo-needed", statement.parsed.span, "this file runs in phases and can be rolled back, but what undoes this statement is not known")
                        .help("write it in front of the statement: `-- crossfade: undo SQL`; or put the statement into a migration of its own"),
                );
            }
        }
    }
}

fn dropped_position(_: &PlanContext<'_>, touched: &[(usize, TableName, String)], table: &Table, at: &usize) -> usize {
    touched
        .iter()
        .filter(|(_, name, _)| *name == table.name)
        .map(|(position, _, _)| *position)
        .nth(*at)
        .unwrap_or(usize::MAX)
}

/// Which added and dropped columns belong together: one's value names the other.
fn connect(filled: &[Pending], dropped: &[Dropped]) -> Vec<(Vec<usize>, Vec<usize>)> {
    let mut group: Vec<usize> = (0..filled.len() + dropped.len()).collect();
    for (a, pending) in filled.iter().enumerate() {
        for (d, gone) in dropped.iter().enumerate() {
            let up_names = pending.value.as_ref().is_some_and(|value| value.names(&gone.column.name));
            let down_names = gone.down.as_ref().is_some_and(|down| down.names(&pending.definition.name));
            if up_names || down_names {
                let (keep, join) = (group[a], group[filled.len() + d]);
                group.iter_mut().filter(|id| **id == join).for_each(|id| *id = keep);
            }
        }
    }
    let ids: BTreeSet<usize> = group.iter().copied().collect();
    ids.into_iter()
        .map(|id| {
            let members =
                |from: usize, to: usize| (from..to).filter(|at| group[*at] == id).map(|at| at - from).collect();
            (members(0, filled.len()), members(filled.len(), group.len()))
        })
        .collect()
}

fn value_for(directives: &[ValueDirective], column: &str) -> Option<Expr> {
    let named = directives.iter().find(|directive| directive.column.as_deref() == Some(column));
    named
        .or_else(|| directives.iter().find(|directive| directive.column.is_none()))
        .map(|directive| directive.value.clone())
}

fn unused(directive: &ValueDirective) -> Finding {
    Finding::error("unused-directive", directive.span, "the statement behind this directive takes no such value")
        .help("`up` stands in front of ADD COLUMN, SET NOT NULL and ALTER TYPE, `down` in front of DROP COLUMN and ALTER TYPE")
}

fn is_null_test(filter: &Expr, column: &str) -> bool {
    let text = filter.over_table();
    [sql!("({} IS NULL)", Ident::new(column)), sql!("(({} IS NULL))", Ident::new(column))].contains(&text)
}

fn proven_not_null(table: &Table, column: &str) -> bool {
    table.constraints_on(column).any(|constraint| {
        constraint.validated
            && constraint.kind == crate::catalog::ConstraintKind::Check
            && constraint.definition.as_str().replace(['(', ')', '"'], "") == format!("CHECK {column} IS NOT NULL")
    })
}

fn new_type(command: &AlterCommand) -> Option<NewType> {
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

/// Volatility of the functions of PostgreSQL that stand in defaults. What is not here counts as volatile: filling in chunks is always right.
fn builtin_volatility(name: &str) -> Volatility {
    match name {
        "now"
        | "statement_timestamp"
        | "transaction_timestamp"
        | "date_trunc"
        | "to_char"
        | "to_date"
        | "to_timestamp"
        | "current_setting"
        | "current_database"
        | "current_schema"
        | "age"
        | "timezone"
        | "txid_current"
        | "pg_current_xact_id" => Volatility::Stable,
        "lower"
        | "upper"
        | "length"
        | "coalesce"
        | "md5"
        | "abs"
        | "round"
        | "floor"
        | "ceil"
        | "concat"
        | "concat_ws"
        | "substring"
        | "substr"
        | "split_part"
        | "trim"
        | "btrim"
        | "ltrim"
        | "rtrim"
        | "replace"
        | "regexp_replace"
        | "left"
        | "right"
        | "jsonb_build_object"
        | "jsonb_build_array"
        | "make_interval"
        | "make_date"
        | "array_to_string"
        | "string_to_array"
        | "initcap"
        | "strpos"
        | "position"
        | "translate"
        | "trunc"
        | "power"
        | "sqrt"
        | "mod"
        | "date_part"
        | "extract"
        | "jsonb_extract_path_text"
        | "greatest"
        | "least"
        | "nullif"
        | "to_jsonb"
        | "to_json"
        | "encode"
        | "decode"
        | "sha256"
        | "char_length"
        | "octet_length"
        | "reverse"
        | "lpad"
        | "rpad"
        | "repeat"
        | "cardinality"
        | "array_length" => Volatility::Immutable,
        _ => Volatility::Volatile,
    }
}
