//! CREATE TABLE … PARTITION OF, where a big DEFAULT partition would be read under a lock: a CHECK proves before it that this holds none of the rows.
//!
//! The partition itself is made between the two: see [`MakePartition`](super::MakePartition).

use super::Proof;
use super::condition::own_condition;
use crate::catalog::Catalog;
use crate::catalog::Table;
use crate::finding::Finding;
use crate::lock::LockMode;
use crate::lock::TableLock;
use crate::operation::Operation;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::PartitionBound;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::step::Claim;
use crate::step::Phase;

/// What is done in front of the statement, or behind it.
#[derive(Clone, Debug)]
pub(in crate::operation) struct Making {
    default: Table,
    partition: TableName,
    condition: Sql,
    done: bool,
}

impl Making {
    /// None where there is nothing to prove.
    pub fn new(cx: &PlanContext<'_>, parent: &Table, partition: TableName, bound: &PartitionBound) -> Option<Making> {
        let default = cx.catalog.default_partition(parent)?;
        if default.estimated_rows <= cx.policy.small_rows {
            return None;
        }
        let condition = own_condition(cx.catalog, parent, bound, &partition)?;
        Some(Making { default: default.clone(), partition, condition, done: false })
    }

    /// What is done behind it.
    pub fn done(self) -> Making {
        Making { done: true, ..self }
    }
}

impl Operation for Making {
    fn way(&self) -> Option<&'static str> {
        Some("a CHECK that is validated beside the running code spares the scans")
    }

    fn check(&self, _: &PlanContext<'_>) -> Vec<Finding> {
        let message =
            format!("rows of {} that are written to {} fail until it is made", self.partition, self.default.name);
        if self.done { Vec::new() } else { vec![Finding::warning("new-write-restriction", None, message)] }
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let proof = Proof {
            table: &self.default.name,
            name: cx.own_name("pd", self.partition.name.as_str()),
            condition: sql!("NOT {}", self.condition),
            says: format!("{} holds no row of {}", self.default.name, self.partition),
            help: "move these rows away, then run `crossfade migrate` again: the server refuses to make the partition"
                .to_owned(),
        };
        if !self.done {
            return proof.add(cx, steps, Phase::Expand);
        }
        let tree = cx.catalog.tree(&self.default).into_iter();
        let locks: Vec<TableLock> =
            tree.map(|table| TableLock::only(table.name.clone(), LockMode::AccessExclusive)).collect();
        let says = format!("{} is made: its bound holds by itself", self.partition);
        steps.locked(Phase::Expand, says, locks, vec![proof.drop()], None);
    }

    fn project(&self, _: &mut Catalog) {}

    fn claims(&self) -> Vec<Claim> {
        Vec::new()
    }
}
