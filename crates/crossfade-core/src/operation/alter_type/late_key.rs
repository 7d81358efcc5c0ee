//! Foreign keys of and to partitioned tables, over a column that changes. No second one stands beside them before contract: the primary key of a
//! partitioned table can't be made of an index that is there, so that none could point to what becomes it; before PostgreSQL 18 a partitioned
//! table takes none that is not proven; and a foreign key to a partitioned table has copies, whose names the server makes of its columns'.
//!
//! So the transaction of the swap makes it again, not proven: each write is checked from then on, by the new type. Behind that it is proven for
//! the rows that were there, under weak locks. What could break it is looked for in migrate.

use super::super::foreign_key as known;
use super::super::foreign_key::Anew;
use super::super::foreign_key::Behind;
use super::super::foreign_key::Way;
use super::AlterType;
use super::Retype;
use super::foreign_key::ForeignKey;
use crate::catalog::Label;
use crate::catalog::Names;
use crate::catalog::Table;
use crate::plan::Around;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::plan::is_wider;
use crate::sql;
use crate::sql::Ident;
use crate::sql::Literal;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::step::Action;
use crate::step::Assert;
use crate::step::Ddl;
use crate::step::Phase;

impl ForeignKey<'_> {
    fn as_known(&self) -> known::ForeignKey<'_> {
        known::ForeignKey { owner: self.child, constraint: self.constraint, references: &self.parent.name }
    }

    /// Whether its name is of the kind that the server gives. Before PostgreSQL 18 the copies of a key to a partitioned table have such names, too:
    /// it must have its own before others' copies take what is free.
    pub(super) fn has_server_s_name(&self) -> bool {
        let name = Names::default().choose(&self.child.name, &self.constraint.columns, Label::ForeignKey);
        self.constraint.name.starts_with(name.as_str())
    }

    /// Made again in the transaction of the swap, and proven behind it; the same on the way back.
    pub(super) fn lower_late(&self, operation: &AlterType, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let (key, name) = (self.as_known(), self.known());
        steps.preflight(self.comparable(operation));
        let mut changed = operation.columns.iter().filter(|retype| self.touches(retype));
        if self.constraint.validated && !changed.all(keeps_values) {
            steps.assert(Phase::Migrate, self.found(operation, cx));
        }
        let help = |table: &TableName| {
            format!("rows of {table} break {name} in the new type: mend them, then run `crossfade contract` again")
        };
        let Anew { statements, behind, .. } = key.anew(cx.catalog, Way::There, &help);
        for Behind { says, action, locks } in behind {
            // Going back, the transaction of the swap takes away whatever is there by then.
            let undone = cx.policy.retain && matches!(action, Action::Ddl(_));
            let undo = undone.then(|| Action::Ddl(Ddl::default()));
            steps.behind_contract(says, action, undo, locks);
        }
        let there = Around { first: vec![key.drop()], last: statements };
        let back = if cx.policy.retain { self.late_way_back(cx, steps) } else { Around::default() };
        steps.contract_around(self.home, there, back);
    }

    /// What is done behind the transaction that swaps back stands in front of that in the plan: going back runs from the end.
    fn late_way_back(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) -> Around {
        let name = self.known();
        let help = |table: &TableName| {
            format!(
                "rows of {table} break {name} in the type from before: change them, then run `crossfade rollback` again"
            )
        };
        let Anew { owners, statements, behind } = self.as_known().anew(cx.catalog, Way::Back, &help);
        for Behind { says, action, locks } in behind.into_iter().rev() {
            steps.undo_only(Phase::Contract, format!("on the way back: {says}"), action, locks);
        }
        // On the partitions, too, where the whole has not taken them over yet.
        let mut owners: Vec<&TableName> = std::iter::once(&self.child.name).chain(&owners).collect();
        owners.dedup();
        let drop = |table: &TableName| sql!("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", table, name);
        Around { first: owners.into_iter().map(drop).collect(), last: statements }
    }

    /// Whether each row will find what it points to, by the new values.
    fn found(&self, operation: &AlterType, cx: &PlanContext<'_>) -> Assert {
        let names = |table: &Table| operation.names(&table.name, |retype| retype.shadow(cx));
        let (below, above) = (names(self.child), names(self.parent));
        let (child, parent, known) = (&self.child.name, &self.parent.name, self.known());
        let column = |names: &super::Names, column: &String| Ident::new(names.get(column).unwrap_or(column).as_str());
        let present = self.constraint.columns.iter().map(|name| sql!("c.{} IS NOT NULL", column(&below, name)));
        let pairs = self.constraint.columns.iter().zip(&self.constraint.referenced_columns);
        let equal =
            pairs.map(|(name, referenced)| sql!("p.{} = c.{}", column(&above, referenced), column(&below, name)));
        Assert {
            query: sql!(
                "SELECT count(*) || {} FROM {} AS c WHERE {} AND NOT EXISTS (SELECT FROM {} AS p WHERE {}) HAVING count(*) > 0",
                Literal(format!(" rows of {child} would break {known}")),
                child,
                Sql::join(present, " AND "),
                parent,
                Sql::join(equal, " AND ")
            ),
            message: format!("{known} of {child} holds for the new type"),
            help: "mend these rows, then run `crossfade migrate` again".to_owned(),
        }
    }
}

/// Whether equal values stay equal, and different ones different.
fn keeps_values(retype: &Retype) -> bool {
    retype.up.is_none() && retype.to.using.is_none() && is_wider(&retype.column.type_name, &retype.to.type_name)
}
