//! SET NOT NULL with a value for NULLs: rows are mended, old code's NULLs too, and each mended row is remembered for the way back.

use super::Operation;
use super::add_column::preflight_up;
use super::add_column::prove_not_null;
use super::claim;
use super::old_column;
use super::sync_refusals;
use super::unknown_columns;
use crate::catalog::Catalog;
use crate::catalog::Table;
use crate::finding::Finding;
use crate::plan::Group;
use crate::plan::PlanContext;
use crate::plan::Rule;
use crate::plan::Shape;
use crate::plan::StepsBuilder;
use crate::plan::Until;
use crate::sql;
use crate::sql::Expr;
use crate::sql::Ident;
use crate::sql::Span;
use crate::step::Claim;

/// A column whose NULLs are mended, and that becomes NOT NULL.
#[derive(Clone, Debug)]
pub(super) struct MendNotNull {
    pub table: Table,
    pub column: String,
    pub span: Span,
    pub up: Expr,
    /// What the value takes from other tables.
    pub reads: Vec<Claim>,
}

impl Operation for MendNotNull {
    fn way(&self) -> Option<&'static str> {
        Some(
            "NULLs are filled a part at a time, and a CHECK that is validated beside the running code proves the NOT NULL",
        )
    }

    fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        let mut findings = sync_refusals(cx, &self.table, &self.column, self.span);
        findings.extend(unknown_columns(&self.table, &[], &self.up, self.span, "`up`"));
        findings
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let Some(column) = self.table.column(&self.column) else { return };
        let name = Ident::new(self.column.as_str());
        let marker = cx.own_name("was_null", &self.column);
        steps.preflight(preflight_up(&self.table, &self.up, &sql!("{}", column.type_name), self.span));
        steps.sync(
            &self.table.name,
            Group {
                shape: Shape::Mend { marker: marker.clone(), kept: Vec::new(), rule: Rule::NotNull },
                old: vec![old_column(cx, column, None)],
                new: Vec::new(),
                until: Until::Contract,
                mend: vec![self.up.clone()],
                loud: true,
                counts: false,
            },
        );
        let end = prove_not_null(cx, &self.table, &self.column, steps);
        let table = &self.table.name;
        let (says, drop_marker) =
            (format!("{table}.{} is NOT NULL", self.column), sql!("ALTER TABLE {} DROP COLUMN {}", table, marker));
        let mut statements = end;
        if cx.policy.retain {
            steps.purge(table, format!("forget which values of {table}.{} were NULL", self.column), vec![drop_marker]);
        } else {
            statements.push(drop_marker);
        }
        steps.contract(
            table,
            says,
            statements,
            vec![sql!("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL", table, name)],
        );
    }

    fn project(&self, catalog: &mut Catalog) {
        super::not_null::in_model(catalog, &self.table, &self.column);
    }

    fn claims(&self) -> Vec<Claim> {
        std::iter::once(claim(&self.table, &self.column)).chain(self.reads.iter().cloned()).collect()
    }
}
