//! What the same file makes on a column of another type is made on its successor, and is on the column from contract on.

use super::super::Operation;
use super::super::rename_column::rename_in;
use crate::catalog::Catalog;
use crate::finding::Finding;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql::Span;
use crate::sql::TableName;
use crate::step::Claim;

/// The end of a type change in the model: the successor has the column's name. Of steps it has none, contract's are those of the change.
#[derive(Clone, Debug)]
pub(in super::super) struct TakenOver {
    pub table: TableName,
    pub successor: String,
    pub column: String,
    pub span: Span,
}

impl Operation for TakenOver {
    fn way(&self) -> Option<&'static str> {
        Some(super::WAY)
    }

    fn check(&self, _: &PlanContext<'_>) -> Vec<Finding> {
        Vec::new()
    }

    fn lower(&self, _: &PlanContext<'_>, _: &mut StepsBuilder<'_>) {}

    fn project(&self, catalog: &mut Catalog) {
        let Some(table) = catalog.table(&self.table) else { return };
        let tree: Vec<TableName> = catalog.tree(table).into_iter().map(|relation| relation.name.clone()).collect();
        for table in catalog.tables.iter_mut().filter(|table| tree.contains(&table.name)) {
            rename_in(table, &self.successor, &self.column);
        }
    }

    fn claims(&self) -> Vec<Claim> {
        Vec::new()
    }
}
