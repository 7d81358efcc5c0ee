//! RENAME and SET SCHEMA of a table or a view: until contract a view under the new name shows the old relation, which is left alone. Contract
//! drops that view and moves the relation itself, in one transaction (docs/decisions/0015).

use super::Operation;
use super::whole::destination;
use super::whole::grant;
use super::whole::kind_of;
use super::whole::moved;
use super::whole::name_taken;
use super::whole::rename;
use crate::catalog::Catalog;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::finding::Finding;
use crate::lock::LockMode;
use crate::lock::TableLock;
use crate::plan::Around;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::Destination;
use crate::sql::Ident;
use crate::sql::Span;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::step::Claim;
use crate::step::Phase;

/// A relation that gets another name or goes into another schema.
#[derive(Clone, Debug)]
pub(super) struct RenameRelation {
    pub table: Table,
    pub to: Destination,
    pub span: Span,
}

impl RenameRelation {
    fn target(&self) -> TableName {
        destination(&self.table.name, &self.to)
    }

    /// The view that new code uses until contract, with the rights of what it shows.
    fn stand_in(&self, table: &Table) -> Vec<Sql> {
        let view = self.target();
        // Row security goes by who asks. Without it the view's own rights decide: as invoker, one would need those on all its columns.
        let options = if table.row_security { sql!(" WITH (security_invoker = true)") } else { sql!("") };
        let columns = table.columns.iter().map(|column| sql!("{}", Ident::new(column.name.as_str())));
        let mut all =
            vec![sql!("CREATE VIEW {}{} AS SELECT {} FROM {}", view, options, Sql::join(columns, ", "), table.name)];
        all.extend(
            table.owner.as_ref().map(|owner| sql!("ALTER VIEW {} OWNER TO {}", view, Ident::new(owner.as_str()))),
        );
        all.extend(table.grants.iter().map(|right| grant(right, None, &view)));
        for column in &table.columns {
            let name = Ident::new(column.name.as_str());
            all.extend(column.grants.iter().map(|right| grant(right, Some(&name), &view)));
        }
        all
    }

    /// Whoever uses the view locks it first and its table then, so contract does the same. Other relations can't be locked by name, or what
    /// is below them would be, too.
    fn locks(&self, cx: &PlanContext<'_>, names: &[&TableName]) -> Vec<TableLock> {
        if !matches!(self.table.kind, TableKind::Table | TableKind::Partitioned) {
            return Vec::new();
        }
        let below = cx.catalog.tree(&self.table).into_iter().skip(1).map(|table| table.name.clone());
        let all = names.iter().map(|name| (*name).clone()).chain(below);
        all.map(|name| TableLock::new(name, LockMode::AccessExclusive)).collect()
    }
}

impl Operation for RenameRelation {
    fn way(&self) -> Option<&'static str> {
        Some("a view has the new name until contract")
    }

    fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        let (name, target) = (&self.table.name, self.target());
        findings.extend(name_taken(cx.catalog, &target, self.span, |object| object.kind != "function"));
        let by_column = self.table.columns.iter().any(|column| !column.grants.is_empty());
        if self.table.row_security && (cx.catalog.major() < 15 || by_column) {
            let why = if by_column {
                "rights on single columns do not reach"
            } else {
                "before PostgreSQL 15 it does not reach"
            };
            findings.push(
                Finding::error("row-security", self.span, format!("{name} has row security, and {why} through a view"))
                    .help("make a view of the new name yourself, deploy, and rename when no code uses the old name; or accept that old code fails at once: `-- crossfade: direct REASON`"),
            );
        }
        findings.push(
            Finding::warning("view-until-contract", self.span, format!("until contract {target} is a view of {name}"))
                .help("reads, INSERT, UPDATE, DELETE, RETURNING and ON CONFLICT (column) work through it; TRUNCATE, COPY, ON CONFLICT ON CONSTRAINT, ctid, pg_get_serial_sequence and GROUP BY the key alone do not"),
        );
        findings
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let (from, to, kind) = (&self.table.name, self.target(), kind_of(&self.table));
        let drop = sql!("DROP VIEW IF EXISTS {}", to);
        let says = format!("make {to}, a view of {from} with its rights");
        // Columns that the file renames have their new names in it.
        let now = steps.now().table(from).unwrap_or(&self.table).clone();
        let made = self.stand_in(&now);
        steps.late(Phase::Expand, says, (Vec::new(), made), Some((Vec::new(), vec![drop.clone()])));
        if now.columns.iter().zip(&self.table.columns).any(|(now, before)| now.name != before.name) {
            // It shows copies, which go in the transaction that gives the columns themselves these names.
            steps.contract_renames(from, &to);
            let go = Around { first: vec![drop], last: vec![moved(kind, from, &to)] };
            return steps.contract_around(from, go, Around { first: vec![moved(kind, &to, from)], last: Vec::new() });
        }
        let there = (self.locks(cx, &[&to, from]), vec![drop, moved(kind, from, &to)]);
        let back = (self.locks(cx, &[&to]), vec![moved(kind, &to, from)]);
        steps.late(Phase::Contract, format!("drop the view, make {from} be {to}"), there, Some(back));
    }

    fn project(&self, catalog: &mut Catalog) {
        rename(catalog, &self.table.name, &self.target());
    }

    fn claims(&self) -> Vec<Claim> {
        [self.table.name.clone(), self.target()].map(|table| Claim { table, column: None }).to_vec()
    }
}
