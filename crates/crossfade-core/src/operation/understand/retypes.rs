//! What a file does to a column whose type it changes in phases: an index and a constraint are made on the new column, which takes the old one's name at contract.

use std::collections::BTreeMap;

use super::super::alter_type::Retype;
use super::Reader;
use crate::catalog::Table;
use crate::migration::Statement;
use crate::sql;
use crate::sql::AlterCommand;
use crate::sql::ConstraintForm;
use crate::sql::Expr;
use crate::sql::Ident;
use crate::sql::ObjectRef;
use crate::sql::ParsedStatement;
use crate::sql::StatementKind;
use crate::sql::with_columns_renamed;

impl Reader<'_> {
    /// The statements, those that make something on a column of another type over the column that takes its place.
    pub(super) fn over_new_columns(&self, statements: Vec<Statement>) -> Vec<Statement> {
        let over = |statement: Statement| match self.over_new_column(&statement) {
            Some(parsed) => Statement { parsed, ..statement },
            None => statement,
        };
        statements.into_iter().map(over).collect()
    }

    fn over_new_column(&self, statement: &Statement) -> Option<ParsedStatement> {
        let marked = statement.direct.is_some() || statement.phase.is_some() || !statement.up.is_empty();
        let (table, columns) = made_on(&statement.parsed)?;
        let table = self.in_use(table).filter(|_| !marked)?;
        let new: BTreeMap<String, String> = columns
            .into_iter()
            .filter(|column| self.is_retyped(table, column))
            .map(|column| (column.to_owned(), self.cx.own_name("new", column).as_str().to_owned()))
            .collect();
        if new.is_empty() { None } else { with_columns_renamed(&statement.parsed, &new, &BTreeMap::new()) }
    }

    /// With the value that an UPDATE of the file gives to what is NULL, in front of the type change or behind it.
    pub(super) fn with_mend(&self, position: usize, mut retype: Retype) -> Retype {
        let column = retype.column.name.clone();
        let mend = self.mends.get(&(retype.table.name.clone(), column.clone()));
        let Some(((at, mend), value)) = mend.zip(retype.up_expr()) else { return retype };
        let mend = mend.over_table();
        let text = if *at > position {
            sql!("coalesce({}::{}, {})", value.over_table(), retype.to.type_name, mend)
        } else {
            value.render(|name| {
                let own = Ident::new(name);
                if name == column { sql!("coalesce({}, {})", own, mend) } else { sql!("{}", own) }
            })
        };
        if let Ok(up) = Expr::from_sql(&text) {
            retype.up = Some(up);
        }
        retype
    }

    /// Whether the file makes the column NOT NULL, or takes that off: the last one that it says.
    pub(super) fn not_null_in_file(&self, table: &Table, column: &str) -> Option<bool> {
        let said = self.changes_of(table).filter_map(|(statement, command)| match command {
            AlterCommand::SetNotNull { column: known } if known == column && statement.up.is_empty() => Some(true),
            AlterCommand::DropNotNull { column: known } if known == column => Some(false),
            _ => None,
        });
        said.last()
    }

    /// Whether a statement takes NOT NULL off a column, which stays so for a change of its type.
    pub(super) fn loosens_a_retyped(&self, statement: &ParsedStatement) -> bool {
        let StatementKind::AlterTable { table, commands, .. } = &statement.kind else { return false };
        let Some(table) = self.in_use(table) else { return false };
        commands.iter().all(|command| match command {
            AlterCommand::DropNotNull { column } => self.is_retyped(table, column),
            _ => false,
        })
    }
}

/// The table and the columns that a statement makes an index or a constraint on, where it makes nothing else.
fn made_on(statement: &ParsedStatement) -> Option<(&ObjectRef, Vec<&str>)> {
    match &statement.kind {
        StatementKind::CreateIndex(index) => Some((&index.table, index.columns.iter().map(String::as_str).collect())),
        StatementKind::AlterTable { table, commands, .. } => match commands.as_slice() {
            // One that is NOT VALID runs as it is written, before the new column is there.
            [AlterCommand::AddConstraint(constraint)] if !constraint.not_valid => match &constraint.form {
                ConstraintForm::Check(_) | ConstraintForm::Unique(_) | ConstraintForm::ForeignKey(_) => {
                    Some((table, constraint.columns.iter().map(String::as_str).collect()))
                }
                ConstraintForm::PrimaryKey(_) | ConstraintForm::Exclude | ConstraintForm::NotNull => None,
            },
            _ => None,
        },
        _ => None,
    }
}
