//! Views that the file drops and makes again around a change of the type of a column that they show. The old ones stay until contract, which drops them,
//! changes the type and makes the new ones in one transaction. They can't be retired: the old column could not go while one is over it. What they were
//! stands in the plan, for the way back.

use super::Operation;
use super::view::made_again;
use super::whole::remove;
use super::whole::whole_claim;
use crate::catalog::Catalog;
use crate::catalog::Table;
use crate::finding::Finding;
use crate::migration::Statement;
use crate::plan::Around;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::step::Claim;

/// The views of a file that are made again.
#[derive(Clone, Debug)]
pub(super) struct RemakeViews {
    pub views: Vec<Table>,
    /// What makes them, and what is about nothing but them, in the file's order.
    pub statements: Vec<Statement>,
    /// The tables whose columns they show and that change.
    pub tables: Vec<TableName>,
}

impl RemakeViews {
    /// Each behind those that it is over.
    fn below_first(&self) -> Vec<&Table> {
        let mut left: Vec<&Table> = self.views.iter().collect();
        let mut all = Vec::new();
        while !left.is_empty() {
            let is_over = |view: &Table, below: &Table| {
                below.dependents.iter().any(|dependent| dependent.view.as_ref() == Some(&view.name))
            };
            let next = left.iter().position(|view| !left.iter().any(|below| is_over(view, below)));
            all.push(left.remove(next.unwrap_or(0)));
        }
        all
    }
}

impl Operation for RemakeViews {
    fn way(&self) -> Option<&'static str> {
        Some("the old view stays until contract, which makes the new one")
    }

    fn check(&self, _: &PlanContext<'_>) -> Vec<Finding> {
        Vec::new()
    }

    fn lower(&self, _: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let Some((first, others)) = self.tables.split_first() else { return };
        let names = Sql::join(self.views.iter().map(|view| sql!("{}", view.name)), ", ");
        let make = self.statements.iter().map(|statement| statement.parsed.text.clone()).collect();
        let there = Around { first: vec![sql!("DROP VIEW {}", names)], last: make };
        let restore = self.below_first().into_iter().filter_map(|view| Some((view, view.view.as_ref()?)));
        let restore = restore.flat_map(|(view, form)| made_again(view, form)).collect();
        let back = Around { first: vec![sql!("DROP VIEW IF EXISTS {}", names)], last: restore };
        steps.contract_views(first, there, back);
        for other in others {
            steps.contract_together(first, other);
        }
    }

    fn project(&self, catalog: &mut Catalog) {
        remove(catalog, &self.views.iter().map(|view| view.name.clone()).collect());
    }

    fn claims(&self) -> Vec<Claim> {
        self.views.iter().map(whole_claim).collect()
    }
}
