//! ADD CHECK with a value for rows that break it: they are mended, old code's rows too, and what they held is kept for the way back.

use super::Operation;
use super::Role;
use super::add_column::preflight_up;
use super::claim;
use super::old_column;
use super::sync_refusals;
use super::unknown_columns;
use crate::catalog::Catalog;
use crate::catalog::Table;
use crate::finding::Finding;
use crate::lock::LockMode;
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
use crate::sql::Sql;
use crate::sql::TableName;
use crate::step::Claim;
use crate::step::Phase;
use crate::step::Validate;

/// A CHECK, and what a column becomes in rows that break it.
#[derive(Clone, Debug)]
pub(super) struct MendCheck {
    pub table: Table,
    pub name: String,
    /// The whole statement, which adds this constraint and nothing else.
    pub text: Sql,
    pub rule: Expr,
    pub column: String,
    pub up: Expr,
    pub span: Span,
}

impl Operation for MendCheck {
    fn way(&self) -> Option<&'static str> {
        Some("rows are mended a part at a time, and the CHECK is added NOT VALID and validated beside the running code")
    }

    fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        let mut findings = sync_refusals(cx, &self.table, &self.column, self.span);
        findings.extend(unknown_columns(&self.table, &[], &self.up, self.span, "`up`"));
        findings.extend(unknown_columns(&self.table, &[], &self.rule, self.span, "the CHECK"));
        findings
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let Some(column) = self.table.column(&self.column) else { return };
        let (table, name) = (&self.table.name, Ident::new(self.name.as_str()));
        let marker = cx.own_name("mended", &self.name);
        let kept = cx.own_name("was", &self.name);
        steps.preflight(preflight_up(&self.table, &self.up, &sql!("{}", column.type_name), self.span));
        steps.sync(
            table,
            Group {
                shape: Shape::Mend {
                    marker: marker.clone(),
                    kept: vec![kept.clone()],
                    rule: Rule::Check(self.rule.clone()),
                },
                old: vec![old_column(cx, column, None)],
                new: Vec::new(),
                until: Until::Contract,
                mend: vec![self.up.clone()],
                loud: true,
                counts: false,
            },
        );
        steps.ddl(
            Phase::Migrate,
            &self.table,
            LockMode::AccessExclusive,
            format!("add {name} to {table}, for new writes"),
            vec![sql!("{} NOT VALID", self.text)],
            vec![sql!("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", table, name)],
        );
        steps.validate(
            Phase::Migrate,
            &self.table,
            format!("prove {name} for the rows of {table}"),
            Validate { sql: sql!("ALTER TABLE {} VALIDATE CONSTRAINT {}", table, name), help: value_breaks_it() },
        );
        stop_mending(cx, steps, table, &name, &self.column, &[marker, kept]);
    }

    fn project(&self, _: &mut Catalog) {}

    fn role(&self) -> Role {
        Role::Phased
    }

    fn claims(&self) -> Vec<Claim> {
        vec![claim(&self.table, &self.column)]
    }
}

/// What to do where a mended row does not hold.
pub(super) fn value_breaks_it() -> String {
    "the value of `up` breaks the constraint, too: `crossfade rollback`, and write another".to_owned()
}

/// Contract ends the help for old code's rows; what was mended is remembered until the purge.
pub(super) fn stop_mending(
    cx: &PlanContext<'_>,
    steps: &mut StepsBuilder<'_>,
    table: &TableName,
    constraint: &Ident,
    column: &str,
    remembered: &[Ident],
) {
    let drops = remembered.iter().map(|name| sql!("DROP COLUMN {}", name));
    let forget = vec![sql!("ALTER TABLE {} {}", table, Sql::join(drops, ", "))];
    let says = format!("old rows of {table} need no help with {constraint} any more");
    if cx.policy.retain {
        steps.contract(table, says, Vec::new(), Vec::new());
        steps.purge(table, format!("forget what {table}.{column} was before it was mended"), forget);
    } else {
        steps.contract(table, says, forget, Vec::new());
    }
}
