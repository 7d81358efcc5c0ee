//! What a file does to a column behind the statement that renames it: until contract the column has its old name, so the statement stands in front of the
//! rename, over that name. Contract renames the column, and with it all that is on it.

use std::collections::BTreeMap;

use super::super::whole::destination;
use super::Reader;
use super::add::constraint_name;
use crate::catalog::Label;
use crate::catalog::Names;
use crate::catalog::Table;
use crate::migration::Statement;
use crate::sql::AlterCommand;
use crate::sql::ConstraintForm;
use crate::sql::Ident;
use crate::sql::ObjectKind;
use crate::sql::ObjectRef;
use crate::sql::ParsedStatement;
use crate::sql::StatementKind;
use crate::sql::TableName;
use crate::sql::with_columns_renamed;
use crate::sql::with_constraint_name;
use crate::sql::with_index_name;
use crate::sql::with_not_null_name;
use crate::sql::with_tables_put;

impl Reader<'_> {
    /// The statements with each RENAME of a column or a table behind those that work on it and can do so under its old name.
    pub(super) fn renames_last(&self, mut statements: Vec<Statement>, names: &mut Names) -> Vec<Statement> {
        // What renames a column of the table by its new name is such a statement, too.
        for at in (0..statements.len()).rev() {
            let Some((from, to)) = self.table_rename_of(&statements[at]) else { continue };
            move_behind(&mut statements, at, |statement| self.of_old_table(statement, &from, &to, names));
        }
        for at in (0..statements.len()).rev() {
            let renamed = self.rename_of(&statements[at]).or_else(|| self.succession_of(&statements, at));
            let Some((table, from, to)) = renamed else { continue };
            let old = BTreeMap::from([(to, from)]);
            move_behind(&mut statements, at, |statement| self.under_old_name(statement, &table, &old, names));
        }
        statements
    }

    /// The column that a statement renames in phases: its table, its name and its new one.
    fn rename_of(&self, statement: &Statement) -> Option<(TableName, String, String)> {
        let StatementKind::RenameColumn { table, from, to, .. } = &statement.parsed.kind else { return None };
        let phased = statement.direct.is_none() && statement.phase.is_none();
        let table = self.in_use(table).filter(|_| phased)?;
        table.column(from).map(|_| (table.name.clone(), from.clone(), to.clone()))
    }

    /// Whether the file gives one of its new columns the name of one that it drops.
    pub(super) fn succeeds(&self, table: &Table, columns: &[String]) -> bool {
        let statements = &self.cx.migration.statements;
        let mut all = (0..statements.len()).filter_map(|at| self.succession_of(statements, at));
        all.any(|(of, from, _)| of == table.name && columns.contains(&from))
    }

    /// A column that the file adds and gives the name of one that it drops: its table, and both names.
    fn succession_of(&self, statements: &[Statement], at: usize) -> Option<(TableName, String, String)> {
        let StatementKind::RenameColumn { table, from, to, .. } = &statements.get(at)?.parsed.kind else { return None };
        let table = self.in_use(table).filter(|table| table.column(from).is_none() && table.column(to).is_some())?;
        let does = |wanted: &dyn Fn(&AlterCommand) -> bool| {
            statements[..at].iter().any(|statement| match &statement.parsed.kind {
                StatementKind::AlterTable { table: of, commands, .. } => {
                    self.in_use(of).is_some_and(|of| of.name == table.name) && commands.iter().any(wanted)
                }
                _ => false,
            })
        };
        let adds = does(&|it| matches!(it, AlterCommand::AddColumn { column, .. } if column.name == *from));
        let drops = does(&|it| matches!(it, AlterCommand::DropColumn { column, .. } if column == to));
        (adds && drops).then(|| (table.name.clone(), from.clone(), to.clone()))
    }

    /// The table that a statement renames, or moves into another schema, in phases; and what it becomes.
    fn table_rename_of(&self, statement: &Statement) -> Option<(TableName, TableName)> {
        let StatementKind::Move { kind: ObjectKind::Table, object, to, .. } = &statement.parsed.kind else {
            return None;
        };
        let phased = statement.direct.is_none() && statement.phase.is_none();
        let table = self.in_use(object).filter(|_| phased)?;
        Some((table.name.clone(), destination(&table.name, to)))
    }

    /// Whether the file gives this name to a table in phases.
    pub(super) fn is_new_name(&self, name: &ObjectRef) -> bool {
        let mut moves = self.cx.migration.statements.iter().filter_map(|statement| self.table_rename_of(statement));
        moves.any(|(_, to)| self.catalog().resolve(name).is_none() && self.catalog().place(name) == to)
    }

    /// The statement, which names the table by its new name, by its old one.
    fn of_old_table(
        &self,
        statement: &Statement,
        from: &TableName,
        to: &TableName,
        names: &mut Names,
    ) -> Option<ParsedStatement> {
        let marked = statement.direct.is_some() || statement.phase.is_some() || !statement.up.is_empty();
        let renames_column = matches!(statement.parsed.kind, StatementKind::RenameColumn { .. });
        if marked || !renames_column && !self.leaves_the_form(statement) {
            return None;
        }
        let is_it = |name: &ObjectRef| self.catalog().resolve(name).is_none() && self.catalog().place(name) == *to;
        let named = self.named_by_server(&statement.parsed, to, names);
        let parsed = named.as_ref().unwrap_or(&statement.parsed);
        with_tables_put(parsed, &|name| is_it(name).then(|| from.clone()))
    }

    /// The view that shows a table under its new name until contract, where the file renames it.
    pub(super) fn stand_in_of(&self, table: &TableName) -> Option<TableName> {
        let mut moves = self.cx.migration.statements.iter().filter_map(|statement| self.table_rename_of(statement));
        moves.find(|(from, _)| from == table).map(|(_, to)| to)
    }

    /// Whether the file renames a column of the table in phases.
    pub(super) fn renames_in(&self, table: &Table) -> bool {
        let statements = &self.cx.migration.statements;
        let renamed = |at: usize| self.rename_of(&statements[at]).or_else(|| self.succession_of(statements, at));
        (0..statements.len()).filter_map(renamed).any(|(of, ..)| of == table.name)
    }

    /// Whether a statement behind this one renames the column in phases: its default waits for that.
    pub(super) fn is_renamed(&self, position: usize, table: &Table, column: &str) -> bool {
        let behind = self.cx.migration.statements.iter().skip(position);
        behind.filter_map(|statement| self.rename_of(statement)).any(|(of, from, _)| of == table.name && from == column)
    }

    /// The statement, which names the column by its new name, by its old one.
    fn under_old_name(
        &self,
        statement: &Statement,
        table: &TableName,
        old: &BTreeMap<String, String>,
        names: &mut Names,
    ) -> Option<ParsedStatement> {
        let (to, from) = old.iter().next()?;
        let parsed = &statement.parsed;
        let marked = statement.direct.is_some() || statement.phase.is_some() || !statement.up.is_empty();
        if marked || !parsed.words.contains(to) || parsed.words.contains(from) || !leaves_the_column(parsed) {
            return None;
        }
        let is_it = |name: &ObjectRef| self.catalog().resolve(name).is_some_and(|found| found.name == *table);
        let none = BTreeMap::new();
        let of = |name: &ObjectRef| if is_it(name) { old } else { &none };
        let (own, referenced) = match &parsed.kind {
            StatementKind::CreateIndex(index) => (of(&index.table), &none),
            StatementKind::AlterTable { table, commands, .. } => match commands.as_slice() {
                [AlterCommand::AddConstraint(constraint)] => match &constraint.form {
                    ConstraintForm::ForeignKey(key) => (of(table), key.references.as_ref().map_or(&none, of)),
                    _ => (of(table), &none),
                },
                _ => (of(table), &none),
            },
            _ => return None,
        };
        if own.is_empty() && referenced.is_empty() {
            return None;
        }
        // One that takes no NULL already is left as it is.
        let known = self.catalog().table(table).and_then(|table| table.column(from));
        let named = match &parsed.kind {
            StatementKind::AlterTable { commands, .. }
                if matches!(commands.as_slice(), [AlterCommand::SetNotNull { .. }])
                    && known.is_some_and(|column| column.not_null) =>
            {
                None
            }
            _ => self.named_by_server(parsed, table, names),
        };
        with_columns_renamed(named.as_ref().unwrap_or(parsed), own, referenced)
    }

    /// The statement with the name that the server would give to what it makes: by the new name of the column.
    fn named_by_server(
        &self,
        parsed: &ParsedStatement,
        table: &TableName,
        names: &mut Names,
    ) -> Option<ParsedStatement> {
        let major = self.catalog().major();
        match &parsed.kind {
            StatementKind::CreateIndex(index) if index.name.is_none() => {
                let name = names.choose(table, &index.definition.column_names(major), Label::Index);
                with_index_name(parsed, &name)
            }
            StatementKind::AlterTable { table: of, commands, .. } => match commands.as_slice() {
                [AlterCommand::AddConstraint(constraint)] if constraint.name.is_none() => {
                    let own = self.catalog().place(of) == *table && constraint.using_index.is_none();
                    let name = own.then(|| constraint_name(names, table, constraint, major))?;
                    with_constraint_name(parsed, &name)
                }
                _ if major < 18 => None,
                [AlterCommand::SetNotNull { column }] => {
                    let name: Ident = names.choose(table, std::slice::from_ref(column), Label::NotNull);
                    with_not_null_name(parsed, name.as_str())
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether a statement adds a FOREIGN KEY that has the word for another column: neither its own nor one that it points to.
    pub(super) fn means_another_column(&self, statement: &ParsedStatement, table: &TableName, column: &str) -> bool {
        let StatementKind::AlterTable { table: own, commands, .. } = &statement.kind else { return false };
        let [AlterCommand::AddConstraint(constraint)] = commands.as_slice() else { return false };
        let ConstraintForm::ForeignKey(key) = &constraint.form else { return false };
        let is_it = |name: &ObjectRef| self.catalog().resolve(name).is_some_and(|found| found.name == *table);
        let in_own = is_it(own) && constraint.columns.iter().any(|name| name == column);
        let points = key.references.as_ref().is_some_and(is_it);
        // Without columns it points to the primary key, whatever that is called.
        let in_referenced = points
            && (key.referenced_columns.iter().any(|name| name == column)
                || key.referenced_columns.is_empty() && !self.renames_column(table, column));
        !in_own && !in_referenced
    }

    fn renames_column(&self, table: &TableName, column: &str) -> bool {
        let mut renames = self.cx.migration.statements.iter().filter_map(|statement| self.rename_of(statement));
        renames.any(|(of, from, to)| of == *table && (from == column || to == column))
    }

    /// Whether a statement stands in front of the one that renames a column which it names, and may do so: the column stays, and what is on it
    /// goes along.
    pub(super) fn goes_in_front_of_rename(&self, position: usize, other: usize) -> bool {
        let statements = &self.cx.migration.statements;
        let (Some(statement), Some(rename)) = (statements.get(position), statements.get(other)) else { return false };
        let Some((_, _, to)) = self.rename_of(rename) else { return false };
        let view = matches!(&statement.parsed.kind, StatementKind::Other { what, .. } if what == "CREATE VIEW");
        position < other
            && (view || leaves_the_column(&statement.parsed))
            && statement.up.is_empty()
            && !statement.parsed.words.contains(&to)
    }
}

/// Puts a statement behind those of the later ones that `put` gives another form.
fn move_behind(statements: &mut [Statement], at: usize, mut put: impl FnMut(&Statement) -> Option<ParsedStatement>) {
    let mut last = at;
    for (behind, statement) in statements.iter_mut().enumerate().skip(at + 1) {
        let Some(parsed) = put(statement) else { continue };
        statement.parsed = parsed;
        last = behind;
    }
    statements[at..=last].rotate_left(1);
}

/// Whether it adds to a column, or loosens it, and leaves it what and where it is.
fn leaves_the_column(statement: &ParsedStatement) -> bool {
    match &statement.kind {
        StatementKind::CreateIndex(_) => true,
        StatementKind::AlterTable { commands, .. } => commands.iter().all(|command| match command {
            AlterCommand::AddConstraint(_)
            | AlterCommand::SetNotNull { .. }
            | AlterCommand::DropNotNull { .. }
            | AlterCommand::SetDefault { .. } => true,
            AlterCommand::Other { breaks, .. } => breaks.is_none(),
            _ => false,
        }),
        _ => false,
    }
}
