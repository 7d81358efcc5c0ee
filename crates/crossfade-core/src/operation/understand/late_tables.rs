//! A new table that may point to a key which the file makes on a table in use: the key is built in migrate, so the table is made there, too, and what the file does
//! to it runs behind that.

use std::collections::BTreeSet;

use super::Reader;
use crate::migration::Statement;
use crate::sql::AlterCommand;
use crate::sql::ConstraintForm;
use crate::sql::ObjectRef;
use crate::sql::StatementKind;
use crate::sql::TableName;
use crate::sql::works_on;
use crate::step::Phase;

impl Reader<'_> {
    /// The statements, those about such tables in migrate.
    pub(super) fn tables_behind_keys(&self, statements: Vec<Statement>) -> Vec<Statement> {
        let mut keyed: BTreeSet<TableName> = BTreeSet::new();
        let mut late: BTreeSet<TableName> = BTreeSet::new();
        let place = |name: &ObjectRef| self.catalog().place(name);
        let each = statements.into_iter().map(|statement| {
            if statement.phase.is_some() || statement.direct.is_some() {
                return statement;
            }
            keyed.extend(self.keyed_by(&statement));
            let waits = match &statement.parsed.kind {
                StatementKind::CreateTable { name, references, temporary: false, .. } => {
                    let points = |name: &ObjectRef| {
                        self.catalog().resolve(name).is_some_and(|table| keyed.contains(&table.name))
                            || late.contains(&place(name))
                    };
                    let waits = references.iter().any(points);
                    late.extend(waits.then(|| place(name)));
                    waits
                }
                StatementKind::AlterTable { table, .. } | StatementKind::RenameColumn { table, .. } => {
                    late.contains(&place(table))
                }
                StatementKind::CreateIndex(index) => late.contains(&place(&index.table)),
                StatementKind::Update(update) => late.contains(&place(&update.table)),
                StatementKind::CopyFromStdin { table } => late.contains(&place(table)),
                StatementKind::Other { .. } => {
                    let words = &statement.parsed.words;
                    let own = works_on(&statement.parsed);
                    let is_late = |name: &ObjectRef| late.contains(&place(name));
                    own.is_some_and(|all| all.iter().any(|target| is_late(&target.name)))
                        || late.iter().any(|table| words.iter().any(|word| word == table.name.as_str()))
                }
                _ => false,
            };
            let phase = waits.then_some(Phase::Migrate);
            Statement { phase, ..statement }
        });
        each.collect()
    }

    /// The table in use that a statement makes a key of.
    fn keyed_by(&self, statement: &Statement) -> Option<TableName> {
        let table = match &statement.parsed.kind {
            StatementKind::CreateIndex(index) if index.unique => &index.table,
            StatementKind::AlterTable { table, commands, .. } => {
                let is_key = |command: &AlterCommand| match command {
                    AlterCommand::AddConstraint(constraint) => {
                        matches!(constraint.form, ConstraintForm::Unique(_) | ConstraintForm::PrimaryKey(_))
                    }
                    _ => false,
                };
                commands.iter().any(is_key).then_some(table)?
            }
            _ => return None,
        };
        self.in_use(table).map(|table| table.name.clone())
    }
}
