//! CREATE TABLE … PARTITION OF: the partition is made as a table like its parent, and attached. Attaching keeps out nobody who reads or writes the
//! parent, where PARTITION OF takes ACCESS EXCLUSIVE on it; it ends the same.
//!
//! Where that can't be had, it runs as written, and the plan says why.

use super::locks;
use crate::catalog::Catalog;
use crate::catalog::ConstraintKind;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::finding::Finding;
use crate::lock::LockMode;
use crate::lock::TableLock;
use crate::operation::Operation;
use crate::operation::Role;
use crate::operation::as_written;
use crate::operation::as_written::AsWritten;
use crate::operation::as_written::summary;
use crate::operation::undo::undo;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::PartitionParent;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::sql::partition_by_attaching;
use crate::step::Claim;
use crate::step::Phase;
use crate::step::Statement;

/// A partition of a table that is in use.
#[derive(Debug)]
pub(in crate::operation) struct MakePartition {
    pub statement: AsWritten,
    pub parent: Table,
    pub partition: TableName,
}

impl MakePartition {
    /// The statements that make and attach it; else why it runs as written.
    fn statements(&self, catalog: &Catalog) -> Result<Vec<Sql>, &'static str> {
        let parent = &self.parent;
        // From 17 on, its partitions get it.
        if parent.kind != TableKind::Partitioned || parent.access_method.is_some() {
            return Err("the parent has an access method of its own");
        }
        let unusual = parent.constraints.iter().any(|constraint| {
            let unproven = match constraint.kind {
                ConstraintKind::ForeignKey | ConstraintKind::NotNull => !constraint.validated,
                ConstraintKind::Check
                | ConstraintKind::Unique
                | ConstraintKind::PrimaryKey
                | ConstraintKind::Exclude => false,
            };
            unproven || constraint.definition.as_str().contains("NOT ENFORCED")
        });
        if unusual {
            return Err(
                "the parent has a constraint that is NOT ENFORCED, or a foreign key or NOT NULL that is not valid",
            );
        }
        let like = PartitionParent {
            constraints: parent.constraints.iter().map(|constraint| constraint.name.as_str()).collect(),
            not_null: parent
                .columns
                .iter()
                .filter(|column| column.not_null)
                .map(|column| column.name.as_str())
                .collect(),
            tablespace: parent.tablespace.as_deref(),
            major: catalog.major(),
        };
        partition_by_attaching(&self.statement.statement.parsed.text, &like)
    }

    /// What attaching locks: the new table is nobody else's yet, and has no foreign key whose triggers would go.
    fn locks(&self, catalog: &Catalog) -> Vec<TableLock> {
        let mut all = self.locks_on(catalog, LockMode::ShareUpdateExclusive);
        let default = catalog.default_partition(&self.parent).map(|default| catalog.tree(default)).unwrap_or_default();
        for lock in all.iter_mut().filter(|lock| lock.mode == LockMode::AccessExclusive) {
            if !default.iter().any(|table| table.name == lock.table) {
                lock.mode = LockMode::ShareRowExclusive;
            }
        }
        all
    }

    /// On the way back the triggers of foreign keys go, on both sides.
    fn back_locks(&self, catalog: &Catalog) -> Vec<TableLock> {
        let mut all = self.locks_on(catalog, LockMode::AccessExclusive);
        all.iter_mut().for_each(|lock| lock.mode = LockMode::AccessExclusive);
        all
    }

    fn locks_on(&self, catalog: &Catalog, on_parent: LockMode) -> Vec<TableLock> {
        let mut all = locks(catalog, &self.parent, on_parent, &self.partition, LockMode::AccessExclusive);
        all.retain(|lock| lock.table != self.partition);
        all
    }
}

impl Operation for MakePartition {
    fn way(&self) -> Option<&'static str> {
        Some("made beside its parent, and attached with a CHECK that spares the scans")
    }

    fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        self.statement.check(cx)
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let statement = &self.statement.statement;
        let statements = match self.statements(cx.catalog) {
            Ok(statements) => statements,
            Err(why) => {
                let hazard = format!("{} is locked with ACCESS EXCLUSIVE for a moment: {why}", self.parent.name);
                return as_written(cx, statement, vec![hazard], steps);
            }
        };
        let phase = statement.phase.unwrap_or(Phase::Expand);
        let undo = statement.undo.clone().or_else(|| undo(cx.catalog, &statement.parsed.kind));
        let mut undo = undo.map(|undo| (undo, self.back_locks(cx.catalog)));
        let mut locks = self.locks(cx.catalog);
        for sql in statements {
            let run = Statement::at(sql, statement.parsed.span);
            // One way back for all of them.
            let back = undo.take().unwrap_or_else(|| (sql!("/* it goes with the table */"), Vec::new()));
            let locks = std::mem::take(&mut locks);
            steps.as_written(phase, summary(statement), vec![run], Some(back), locks, Vec::new());
        }
    }

    fn project(&self, catalog: &mut Catalog) {
        self.statement.project(catalog);
    }

    fn claims(&self) -> Vec<Claim> {
        self.statement.claims()
    }

    fn role(&self) -> Role {
        Role::AsWritten
    }
}
