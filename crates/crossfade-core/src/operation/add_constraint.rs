//! ADD CHECK and ADD FOREIGN KEY on an existing table: NOT VALID first, then VALIDATE under a weak lock.

use super::Operation;
use super::Role;
use crate::catalog::Catalog;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::finding::Finding;
use crate::lock::LockMode;
use crate::lock::TableLock;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::ConstraintDefinition;
use crate::sql::ConstraintForm;
use crate::sql::Ident;
use crate::sql::Span;
use crate::sql::Sql;
use crate::step::Claim;
use crate::step::Phase;
use crate::step::Statement;
use crate::step::Validate;

/// A CHECK or a FOREIGN KEY.
#[derive(Clone, Debug)]
pub(super) struct AddConstraint {
    pub table: Table,
    pub constraint: ConstraintDefinition,
    /// The whole statement, which adds this constraint and nothing else.
    pub text: Sql,
    pub span: Span,
}

impl Operation for AddConstraint {
    fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.constraint.name.is_none() {
            findings.push(
                Finding::error(
                    "constraint-without-name",
                    self.span,
                    "the server's name for this constraint is not known beforehand",
                )
                .help("write ADD CONSTRAINT name …"),
            );
        }
        let foreign_key = matches!(self.constraint.form, ConstraintForm::ForeignKey(_));
        if foreign_key && self.table.kind == TableKind::Partitioned && cx.catalog.major() < 18 {
            findings.push(
                Finding::error(
                    "partitioned-foreign-key",
                    self.span,
                    "before PostgreSQL 18 a foreign key of a partitioned table can't be added NOT VALID",
                )
                .help("accept the locks on both tables: `-- crossfade: direct REASON`"),
            );
        }
        findings.push(Finding::warning(
            "new-write-restriction",
            self.span,
            "code that writes rows which break the constraint fails from now on",
        ));
        findings
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let Some(name) = &self.constraint.name else { return };
        let ident = Ident::new(name.as_str());
        let table = &self.table;
        let mut locks = Vec::new();
        match &self.constraint.form {
            ConstraintForm::ForeignKey(references) => {
                let referenced = references.as_ref().and_then(|references| cx.catalog.resolve(references));
                for relation in std::iter::once(table).chain(referenced) {
                    for relation in cx.catalog.tree(relation) {
                        locks.push(TableLock::new(relation.name.clone(), LockMode::ShareRowExclusive));
                    }
                }
            }
            ConstraintForm::Check(_)
            | ConstraintForm::Unique(_)
            | ConstraintForm::PrimaryKey(_)
            | ConstraintForm::Exclude
            | ConstraintForm::NotNull => {
                for relation in cx.catalog.tree(table) {
                    locks.push(TableLock::new(relation.name.clone(), LockMode::AccessExclusive));
                }
            }
        }
        locks.sort();
        locks.dedup();
        let add = Statement { sql: sql!("{} NOT VALID", self.text), at: Some(self.span) };
        let undo = sql!("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", table.name, ident);
        // Dropping a foreign key takes the strongest lock on both tables.
        let back = locks.iter().map(|lock| TableLock::new(lock.table.clone(), LockMode::AccessExclusive)).collect();
        let summary = format!("add {name} to {}, for new writes", table.name);
        // A column that this file adds may have no value yet; with one, the constraint can be proven.
        let new = self.constraint.columns.iter().any(|column| table.column(column).is_none());
        let phase = if new { Phase::Migrate } else { Phase::Expand };
        steps.as_written(phase, summary, add, Some((undo, back)), locks, Vec::new());
        steps.validate(
            Phase::Migrate,
            table,
            format!("prove {name} for the rows of {}", table.name),
            Validate {
                sql: sql!("ALTER TABLE {} VALIDATE CONSTRAINT {}", table.name, ident),
                help: "mend the rows that break it, then run `crossfade migrate` again; or `crossfade rollback`"
                    .to_owned(),
            },
        );
    }

    fn project(&self, _: &mut Catalog) {}

    fn role(&self) -> Role {
        Role::Index
    }

    fn claims(&self) -> Vec<Claim> {
        Vec::new()
    }
}
