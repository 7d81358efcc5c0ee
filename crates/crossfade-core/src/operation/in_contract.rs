//! A statement about a column that waits for contract: it comes in the transaction in which the column and the table get their names and their place, over the
//! table's old name.

use super::Operation;
use super::undo::way_back;
use crate::catalog::Catalog;
use crate::finding::Finding;
use crate::migration::Statement;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql::TableName;
use crate::step::Claim;

/// The statement, behind what is done to the column.
#[derive(Clone, Debug)]
pub(super) struct InContract {
    pub statement: Statement,
    pub table: TableName,
    pub says: String,
}

impl Operation for InContract {
    fn way(&self) -> Option<&'static str> {
        Some("at contract")
    }

    fn check(&self, _: &PlanContext<'_>) -> Vec<Finding> {
        Vec::new()
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let undo = way_back(cx, &self.statement).map(|(undo, _)| undo);
        let text = self.statement.parsed.text.clone();
        steps.contract(&self.table, self.says.clone(), vec![text], Vec::from_iter(undo));
    }

    fn project(&self, _: &mut Catalog) {}

    fn claims(&self) -> Vec<Claim> {
        Vec::new()
    }
}
