//! ADD CHECK and ADD FOREIGN KEY on an existing table: NOT VALID first, then VALIDATE under a weak lock.

use std::collections::BTreeSet;

use super::Operation;
use super::Role;
use super::foreign_key::take_over_locks;
use crate::catalog::Catalog;
use crate::catalog::ConstraintKind;
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
use crate::sql::ObjectRef;
use crate::sql::Span;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::sql::alter_table_on;
use crate::step::Action;
use crate::step::Claim;
use crate::step::Ddl;
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
    fn way(&self) -> Option<&'static str> {
        Some("added NOT VALID, and validated beside the running code")
    }

    fn check(&self, _: &PlanContext<'_>) -> Vec<Finding> {
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
        // A column that this file adds may have no value yet; with one, the constraint can be proven.
        let new = self.constraint.columns.iter().any(|column| table.column(column).is_none());
        let phase = if new || self.waits_for_a_key(cx.catalog) { Phase::Migrate } else { Phase::Expand };
        let mut locks = Vec::new();
        match &self.constraint.form {
            ConstraintForm::ForeignKey(key) if self.is_leafwise(cx) => {
                return self.lower_leafwise(cx, steps, phase, &ident, key.references.as_ref());
            }
            ConstraintForm::ForeignKey(key) => {
                let referenced = key.references.as_ref().and_then(|references| cx.catalog.resolve(references));
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
        let add = Statement::at(sql!("{} NOT VALID", self.text), self.span);
        let undo = sql!("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", table.name, ident);
        // Dropping a foreign key takes the strongest lock on both tables.
        let back = locks.iter().map(|lock| TableLock::new(lock.table.clone(), LockMode::AccessExclusive)).collect();
        let summary = format!("add {name} to {}, for new writes", table.name);
        steps.as_written(phase, summary, vec![add], Some((undo, back)), locks, Vec::new());
        steps.validate(
            Phase::Migrate,
            table,
            format!("prove {name} for the rows of {}", table.name),
            Validate { sql: sql!("ALTER TABLE {} VALIDATE CONSTRAINT {}", table.name, ident), help: help() },
        );
    }

    fn project(&self, catalog: &mut Catalog) {
        if !matches!(self.constraint.form, ConstraintForm::NotNull) {
            return;
        }
        let tree: Vec<_> = catalog.tree(&self.table).into_iter().map(|relation| relation.name.clone()).collect();
        for table in catalog.tables.iter_mut().filter(|table| tree.contains(&table.name)) {
            for column in table.columns.iter_mut().filter(|column| self.constraint.columns.contains(&column.name)) {
                column.not_null = true;
            }
        }
    }

    fn role(&self) -> Role {
        Role::Index
    }

    fn claims(&self) -> Vec<Claim> {
        Vec::new()
    }
}

fn help() -> String {
    "mend the rows that break it, then run `crossfade migrate` again; or `crossfade rollback`".to_owned()
}

impl AddConstraint {
    /// Whether it points to a key that the same file makes, which is built in migrate.
    fn waits_for_a_key(&self, catalog: &Catalog) -> bool {
        let ConstraintForm::ForeignKey(key) = &self.constraint.form else { return false };
        let Some(referenced) = key.references.as_ref().and_then(|name| catalog.resolve(name)) else { return false };
        let columns: BTreeSet<&str> = match key.referenced_columns.as_slice() {
            [] => return referenced.key().is_empty(),
            given => given.iter().map(String::as_str).collect(),
        };
        let is_there = referenced.indexes.iter().any(|index| {
            let own: BTreeSet<&str> = index.columns.iter().map(String::as_str).collect();
            index.unique && index.valid && own.is_superset(&columns)
        });
        !is_there
    }

    /// Before PostgreSQL 18 a partitioned table can't have a foreign key NOT VALID.
    fn is_leafwise(&self, cx: &PlanContext<'_>) -> bool {
        self.table.kind == TableKind::Partitioned && cx.catalog.major() < 18
    }

    /// Each leaf gets the foreign key and proves it. The one on top then takes these over without reading a row; their triggers go from the
    /// table that they point to, which is a strong lock there, and short.
    ///
    /// Source: reference B9; measured on 13 to 17.
    fn lower_leafwise(
        &self,
        cx: &PlanContext<'_>,
        steps: &mut StepsBuilder<'_>,
        phase: Phase,
        name: &Ident,
        references: Option<&ObjectRef>,
    ) {
        let table = &self.table;
        let referenced = references.and_then(|references| cx.catalog.resolve(references));
        let below = |table: &Table| -> Vec<TableName> {
            cx.catalog.tree(table).into_iter().map(|below| below.name.clone()).collect()
        };
        let targets: Vec<TableName> = referenced.into_iter().flat_map(below).collect();
        let lock = |names: &[TableName], mode: LockMode| -> Vec<TableLock> {
            names.iter().map(|name| TableLock::only(name.clone(), mode)).collect()
        };
        let drop = |table: &TableName| sql!("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", table, name);
        let there = |leaf: &Table| {
            leaf.constraints.iter().any(|own| {
                own.kind == ConstraintKind::ForeignKey
                    && own.columns == self.constraint.columns
                    && own.references.as_ref() == referenced.map(|table| &table.name)
            })
        };
        let leaves: Vec<&Table> = cx.catalog.leaves(table).into_iter().filter(|leaf| !there(leaf)).collect();
        for leaf in &leaves {
            let Some(add) = alter_table_on(&self.text, &leaf.name) else { continue };
            let one: Vec<TableName> = std::iter::once(leaf.name.clone()).chain(targets.iter().cloned()).collect();
            steps.as_written(
                phase,
                format!("add {name} to {}, for new writes", leaf.name),
                vec![Statement::at(sql!("{} NOT VALID", add), self.span)],
                Some((drop(&leaf.name), lock(&one, LockMode::AccessExclusive))),
                lock(&one, LockMode::ShareRowExclusive),
                Vec::new(),
            );
        }
        for leaf in &leaves {
            steps.validate_locked(
                Phase::Migrate,
                format!("prove {name} for the rows of {}", leaf.name),
                sql!("ALTER TABLE {} VALIDATE CONSTRAINT {}", leaf.name, name),
                help(),
                lock(std::slice::from_ref(&leaf.name), LockMode::ShareUpdateExclusive),
            );
        }
        let locks = take_over_locks(cx.catalog, table, referenced);
        let all: Vec<TableName> = locks.iter().map(|lock| lock.table.clone()).collect();
        let back = lock(&all, LockMode::AccessExclusive);
        let statement = |sql: Sql, at| Statement { sql, at, rows: None };
        let take_over = vec![statement(self.text.clone(), Some(self.span))];
        steps.step(
            Phase::Migrate,
            format!("{} takes over {name} of its partitions", table.name),
            Action::Ddl(Ddl { lock_first: locks, statements: take_over, as_written: false }),
            Some(Action::Ddl(Ddl {
                lock_first: back.clone(),
                statements: vec![statement(drop(&table.name), None)],
                as_written: false,
            })),
            back,
        );
    }
}
