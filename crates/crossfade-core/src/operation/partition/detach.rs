//! DETACH PARTITION, at contract: code that reads the parent no longer sees its rows.
//!
//! From PostgreSQL 14 it goes CONCURRENTLY, unless there is a DEFAULT partition. A CHECK that says what the bound said stays until the purge, so that the
//! way back reads no row.

use std::collections::BTreeSet;

use super::Proof;
use super::condition::condition;
use super::condition::own_condition;
use super::locks;
use crate::catalog::Catalog;
use crate::catalog::ConstraintKind;
use crate::catalog::Label;
use crate::catalog::Names;
use crate::catalog::Table;
use crate::finding::Finding;
use crate::lock::LockMode;
use crate::lock::TableLock;
use crate::operation::Operation;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::Ident;
use crate::sql::PartitionBound;
use crate::sql::Span;
use crate::sql::Sql;
use crate::sql::StatementKind;
use crate::sql::TableName;
use crate::step::Action;
use crate::step::Claim;
use crate::step::Concurrently;
use crate::step::Ddl;
use crate::step::Phase;
use crate::step::Probe;
use crate::step::Statement;

/// A partition that becomes a table of its own.
#[derive(Clone, Debug)]
pub(in crate::operation) struct Detach {
    pub parent: Table,
    pub partition: Table,
    /// CONCURRENTLY is written: the server then leaves a CHECK behind, and so do we.
    pub concurrently: bool,
    /// Whether somebody uses the parent. Else it is done at once, and all that is left is that CONCURRENTLY runs in no transaction.
    pub in_use: bool,
    pub span: Span,
}

impl Operation for Detach {
    fn way(&self) -> Option<&'static str> {
        Some("detached CONCURRENTLY, where the server can")
    }

    fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        let name = &self.partition.name;
        if self.partition.partition_of.as_ref() != Some(&self.parent.name) {
            let message = format!("{name} is no partition of {}", self.parent.name);
            findings.push(Finding::error("no-such-partition", self.span, message));
            return findings;
        }
        if self.concurrently && !self.can_be_concurrent(cx) {
            findings.push(
                Finding::error(
                    "detach-concurrently",
                    self.span,
                    "the server can't do it CONCURRENTLY: that needs PostgreSQL 14, and no DEFAULT partition",
                )
                .help("leave CONCURRENTLY out"),
            );
        }
        let referencing = cx.catalog.tables.iter().find(|table| {
            let refers = table.constraints.iter().any(|constraint| {
                constraint.kind == ConstraintKind::ForeignKey
                    && constraint.references.as_ref() == Some(&self.parent.name)
            });
            refers && table.estimated_rows > cx.policy.small_rows
        });
        if let Some(referencing) = referencing {
            findings.push(
                Finding::error(
                    "detach-referenced",
                    self.span,
                    format!("{} points to {} and is read under a lock, to see that nothing points to {name}", referencing.name, self.parent.name),
                )
                .help("drop its foreign key first, and add it again afterwards; or accept the lock: `-- crossfade: direct REASON`"),
            );
        }
        findings.push(Finding::warning(
            "rows-leave",
            self.span,
            format!("from contract on, {} no longer shows the rows of {name}", self.parent.name),
        ));
        findings
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let left =
            if self.can_be_concurrent(cx) { self.lower_concurrently(cx, steps) } else { self.lower_short(cx, steps) };
        if let Some(drop) = left.filter(|_| !self.is_dropped(cx)) {
            let phase = if cx.policy.retain { Phase::Purge } else { Phase::Contract };
            let says = format!("{} may hold any row", self.partition.name);
            steps.locked(phase, says, self.own_locks(cx), vec![drop], None);
        }
    }

    fn project(&self, catalog: &mut Catalog) {
        for table in &mut catalog.tables {
            if table.name == self.partition.name {
                table.partition_of = None;
                table.partition_bound = None;
                table.indexes.iter_mut().for_each(|index| index.attached_to = None);
            }
        }
    }

    fn claims(&self) -> Vec<Claim> {
        let key = self.parent.partition_key.iter();
        key.map(|column| Claim { table: self.parent.name.clone(), column: Some(column.clone()) })
            .chain([Claim { table: self.partition.name.clone(), column: None }])
            .collect()
    }
}

impl Detach {
    fn can_be_concurrent(&self, cx: &PlanContext<'_>) -> bool {
        cx.catalog.major() >= 14 && cx.catalog.default_partition(&self.parent).is_none()
    }

    fn attach_again(&self) -> Sql {
        let bound = self.partition.partition_bound.clone().unwrap_or_default();
        sql!("ALTER TABLE {} ATTACH PARTITION {} {}", self.parent.name, self.partition.name, bound)
    }

    /// Whether the file drops it behind this: the CHECK goes with it.
    fn is_dropped(&self, cx: &PlanContext<'_>) -> bool {
        let name = &self.partition.name;
        cx.migration.statements.iter().any(|statement| match &statement.parsed.kind {
            StatementKind::Drop { objects, .. } => {
                objects.iter().any(|object| cx.catalog.resolve(&object.name).is_some_and(|table| table.name == *name))
            }
            _ => false,
        })
    }

    fn own_locks(&self, cx: &PlanContext<'_>) -> Vec<TableLock> {
        let tree = cx.catalog.tree(&self.partition).into_iter();
        tree.map(|table| TableLock::only(table.name.clone(), LockMode::AccessExclusive)).collect()
    }

    /// The server leaves a CHECK of the bound, which proves the rows on the way back. Returns what drops it when nobody goes back any more.
    fn lower_concurrently(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) -> Option<Sql> {
        let (parent, partition) = (&self.parent.name, &self.partition.name);
        let probe = |attached: bool| Probe::PartitionIs {
            parent: parent.clone(),
            partition: partition.clone(),
            attached,
            finalize: sql!("ALTER TABLE {} DETACH PARTITION {} FINALIZE", parent, partition),
        };
        let left = Names::of(cx.catalog).choose(partition, &self.only_column(cx.catalog), Label::Check);
        let drop = sql!("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", partition, left);
        let undo = Ddl { lock_first: self.own_locks(cx), statements: vec![drop.clone().into()], as_written: false };
        let run = Concurrently {
            run: sql!("ALTER TABLE {} DETACH PARTITION {} CONCURRENTLY", parent, partition),
            probe: probe(false),
        };
        let taken =
            locks(cx.catalog, &self.parent, LockMode::ShareUpdateExclusive, partition, LockMode::AccessExclusive);
        if !self.in_use {
            steps.outside(Phase::Expand, format!("detach {partition} from {parent}"), run, taken);
            return None;
        }
        steps.undo_only(
            Phase::Contract,
            format!("on the way back: drop the CHECK that the server left on {partition}"),
            Action::Ddl(undo),
            self.own_locks(cx),
        );
        steps.step(
            Phase::Contract,
            format!("detach {partition} from {parent}"),
            Action::Concurrently(run),
            Some(Action::Concurrently(Concurrently { run: self.attach_again(), probe: probe(true) })),
            taken,
        );
        (!self.concurrently).then_some(drop)
    }

    /// The column that the bound speaks of, where it is one alone: it stands in the name of that CHECK.
    fn only_column(&self, catalog: &Catalog) -> Vec<String> {
        let mut columns = BTreeSet::new();
        let mut above = Some(&self.parent);
        while let Some(table) = above {
            columns.extend(table.partition_key.iter().cloned());
            above = table.partition_of.as_ref().and_then(|name| catalog.table(name));
        }
        if columns.len() == 1 { columns.into_iter().collect() } else { Vec::new() }
    }

    /// One short transaction, with a CHECK that proves the rows on the way back. What went to the DEFAULT partition meanwhile moves then to where
    /// it belongs. Returns what drops the CHECK.
    fn lower_short(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) -> Option<Sql> {
        let (parent, partition) = (&self.parent.name, &self.partition.name);
        let bound = self.partition.partition_bound.as_ref().and_then(PartitionBound::parse);
        let condition = bound.as_ref().and_then(|bound| condition(cx.catalog, &self.parent, bound, partition));
        let proof = condition.map(|condition| Proof {
            table: partition,
            name: cx.own_name("pb", partition.name.as_str()),
            condition,
            says: format!("{partition} holds what its bound says"),
            help: "run `crossfade migrate` again".to_owned(),
        });
        if let Some(proof) = &proof {
            proof.add(cx, steps, Phase::Migrate);
        }
        let all = locks(cx.catalog, &self.parent, LockMode::AccessExclusive, partition, LockMode::AccessExclusive);
        let detach = sql!("ALTER TABLE {} DETACH PARTITION {}", parent, partition);
        let default = cx.catalog.default_partition(&self.parent).filter(|default| default.name != *partition);
        let moved = default.and_then(|default| {
            let condition = own_condition(cx.catalog, &self.parent, bound.as_ref()?, partition)?;
            Some(move_rows(&self.partition, &default.name, &condition))
        });
        let back = moved.into_iter().chain([self.attach_again()]).map(Statement::from).collect();
        steps.step(
            Phase::Contract,
            format!("detach {partition} from {parent}"),
            Action::Ddl(Ddl { lock_first: all.clone(), statements: vec![detach.into()], as_written: false }),
            Some(Action::Ddl(Ddl { lock_first: all.clone(), statements: back, as_written: true })),
            all,
        );
        proof.map(|proof| proof.drop())
    }
}

/// Moves rows from one table to another one of the same columns.
fn move_rows(to: &Table, from: &TableName, condition: &Sql) -> Sql {
    let columns = to.columns.iter().filter(|column| column.generated.is_none());
    let columns = Sql::join(columns.map(|column| sql!("{}", Ident::new(column.name.as_str()))), ", ");
    sql!(
        "WITH moved AS (DELETE FROM {} WHERE {} RETURNING {}) INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM moved",
        from,
        condition,
        columns,
        to.name,
        columns,
        columns
    )
}
