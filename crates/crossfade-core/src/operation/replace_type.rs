//! A type makes room for another one of its name: renamed, made anew, and the columns given the new one, all in one file. Until contract the new
//! type has a name of ours. In the transaction that swaps the columns the two types change their names.

use super::Operation;
use super::cleared::Cleared;
use super::drop_object::DropObject;
use super::whole::moved;
use super::whole::rename_type;
use crate::catalog::Catalog;
use crate::catalog::ConstraintKind;
use crate::catalog::Table;
use crate::finding::Finding;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::ObjectKind;
use crate::sql::Span;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::step::Claim;
use crate::step::Phase;

/// A type that another one takes the place of.
#[derive(Clone, Debug)]
pub(super) struct ReplaceType {
    /// The name that both have in their time.
    pub name: TableName,
    /// The new one until contract.
    pub shadow: TableName,
    /// The name that the file gives to the old one.
    pub renamed: TableName,
    /// The statement that makes the new one.
    pub made_at: Span,
    /// The statement that drops the old one.
    pub dropped_at: Option<Span>,
    pub cleared: Cleared,
    /// The columns that get the new type.
    pub columns: Vec<(Table, String)>,
    pub span: Span,
}

impl ReplaceType {
    /// The old type from contract on.
    pub(super) fn after(&self, cx: &PlanContext<'_>) -> TableName {
        match self.dropped_at {
            Some(_) => super::whole::retired(cx, &self.name),
            None => self.renamed.clone(),
        }
    }

    fn tables(&self) -> Vec<&TableName> {
        let mut names: Vec<&TableName> = self.columns.iter().map(|(table, _)| &table.name).collect();
        names.sort();
        names.dedup();
        names
    }

    /// What contract does to the names, and what takes it back.
    fn exchange(&self, cx: &PlanContext<'_>) -> (Vec<Sql>, Vec<Sql>) {
        let (name, shadow, after) = (&self.name, &self.shadow, self.after(cx));
        let kind = ObjectKind::Type;
        if self.dropped_at.is_some() && !cx.policy.retain {
            return (vec![sql!("DROP TYPE {}", name), moved(kind, shadow, name)], Vec::new());
        }
        // Where the old one goes into another schema, the new one may not be there yet, and the other way round.
        (
            vec![moved(kind, name, &after), moved(kind, shadow, name)],
            vec![moved(kind, name, shadow), moved(kind, &after, name)],
        )
    }
}

impl Operation for ReplaceType {
    fn way(&self) -> Option<&'static str> {
        Some("a new type beside the old one; columns are changed in step, and the old one goes at contract")
    }

    fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        let taken = |object: &crate::catalog::Object| {
            object.name == self.renamed && matches!(object.kind.as_str(), "type" | "composite")
        };
        if cx.catalog.table(&self.renamed).is_some() || cx.catalog.objects.iter().any(taken) {
            let message = format!("there is already something of the name {}", self.renamed);
            findings.push(
                Finding::error("name-taken", self.span, message)
                    .help("take another name, or drop what has it first, in a migration of its own"),
            );
        }
        for (table, column) in &self.columns {
            let indexes = table.indexes_on(column).filter(|index| index.expression_or_predicate);
            let checks = table.constraints_on(column).filter(|known| known.kind == ConstraintKind::Check);
            let all = indexes.map(|index| &index.name).chain(checks.map(|check| &check.name));
            let all: Vec<&str> = all.map(String::as_str).collect();
            if !all.is_empty() {
                let message = format!(
                    "{} names values of the old {} in {}.{column}, and can't become one over the new type",
                    all.join(", "),
                    self.name,
                    table.name
                );
                findings.push(
                    Finding::error("dependents", self.span, message)
                        .help("drop it in a migration before this one, and make it again in one behind it"),
                );
            }
        }
        findings
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        if self.dropped_at.is_some() {
            DropObject {
                kind: ObjectKind::Type,
                objects: vec![(self.name.clone(), None)],
                cleared: self.cleared.clone(),
                span: self.span,
            }
            .ask_first(steps);
        }
        let (go, back) = self.exchange(cx);
        let tables = self.tables();
        match tables.last() {
            Some(last) => {
                for other in &tables[..tables.len() - 1] {
                    steps.contract_together(last, other);
                }
                steps.contract(last, format!("give the new {} its name", self.name), go, back);
            }
            None => {
                let back = (!back.is_empty()).then_some((Vec::new(), back));
                let says = format!("give the new {} its name", self.name);
                steps.late(Phase::Contract, says, (Vec::new(), go), back);
            }
        }
        if self.dropped_at.is_some() && cx.policy.retain {
            let gone = vec![sql!("DROP TYPE {}", self.after(cx))];
            steps.late(Phase::Purge, format!("drop the old {}", self.name), (Vec::new(), gone), None);
        }
    }

    fn project(&self, catalog: &mut Catalog) {
        let old = catalog.objects.iter().position(|object| object.name == self.name && object.kind != "function");
        if let (None, Some(at)) = (self.dropped_at, old) {
            let object = crate::catalog::Object { name: self.renamed.clone(), ..catalog.objects[at].clone() };
            catalog.objects.push(object);
        }
        rename_type(catalog, &self.name, &self.renamed);
        rename_type(catalog, &self.shadow, &self.name);
    }

    fn claims(&self) -> Vec<Claim> {
        [&self.name, &self.renamed].map(|name| Claim { table: name.clone(), column: None }).to_vec()
    }
}
