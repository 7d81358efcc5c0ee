//! RENAME and SET SCHEMA of a sequence: at contract. Two sequences would count apart, and nothing stands in for one under another name
//! (docs/decisions/0025).

use super::Operation;
use super::whole::destination;
use super::whole::moved;
use super::whole::name_taken;
use super::whole::unnamed_elsewhere;
use crate::catalog::Catalog;
use crate::catalog::Column;
use crate::catalog::Object;
use crate::catalog::Table;
use crate::finding::Finding;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql::Destination;
use crate::sql::ObjectKind;
use crate::sql::Span;
use crate::sql::TableName;
use crate::step::Action;
use crate::step::Claim;
use crate::step::Phase;

/// A sequence that gets another name or goes into another schema.
#[derive(Clone, Debug)]
pub(super) struct RenameSequence {
    pub name: TableName,
    pub to: Destination,
    /// Tables with a column that owns it, or takes its default from it.
    pub tables: Vec<TableName>,
    pub span: Span,
}

/// How a sequence's name ends where it stands in a text, as `nextval` has it.
pub(super) fn in_texts(name: &TableName) -> Vec<String> {
    let name = name.name.as_str().replace('\'', "''");
    vec![format!("{name}'"), format!("{}\"'", name.replace('"', "\"\""))]
}

/// The tables that take numbers from a sequence, as far as the catalog tells.
pub(super) fn tables_of(catalog: &Catalog, name: &TableName) -> Vec<TableName> {
    let texts = in_texts(name);
    let takes = |column: &Column| {
        let default = column.default.as_ref().map(|default| default.expression.as_str());
        column.owned_sequence.as_ref() == Some(name)
            || default.is_some_and(|default| texts.iter().any(|text| default.contains(text.as_str())))
    };
    let takes_part = |table: &&Table| table.columns.iter().any(takes);
    catalog.tables.iter().filter(takes_part).map(|table| table.name.clone()).collect()
}

impl RenameSequence {
    fn target(&self) -> TableName {
        destination(&self.name, &self.to)
    }

    /// The column that owns it.
    fn owner(&self, catalog: &Catalog) -> Option<String> {
        catalog.tables.iter().find_map(|table| {
            let owns = |column: &&Column| column.owned_sequence.as_ref() == Some(&self.name);
            table.columns.iter().find(owns).map(|column| format!("{}.{}", table.name, column.name))
        })
    }
}

impl Operation for RenameSequence {
    fn way(&self) -> Option<&'static str> {
        Some("at contract: code of the deploy must work with either name")
    }

    fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        let (name, target) = (&self.name, self.target());
        let mut findings = Vec::new();
        let is_relation = |object: &Object| matches!(object.kind.as_str(), "sequence" | "composite");
        findings.extend(name_taken(cx.catalog, &target, self.span, is_relation));
        if let (Destination::Schema(_), Some(owner)) = (&self.to, self.owner(cx.catalog)) {
            findings.push(
                Finding::error(
                    "dependents",
                    self.span,
                    format!("{name} belongs to {owner} and stands where its table does"),
                )
                .help("ALTER TABLE … SET SCHEMA takes it along; ALTER SEQUENCE … OWNED BY NONE frees it"),
            );
        }
        findings.push(
            Finding::warning(
                "old-name-until-contract",
                self.span,
                format!("until contract the sequence is known as {name} alone, and from then on as {target} alone"),
            )
            .help("defaults of columns go on with it; code that is deployed while this waits must not name it: a column's DEFAULT gives the number, `pg_get_serial_sequence` the name of one that belongs to a column"),
        );
        findings
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let (name, target) = (&self.name, self.target());
        let assert = unnamed_elsewhere(cx, "a sequence", in_texts(name));
        let summary = format!("check that {}", assert.message);
        steps.behind_contract(summary, Action::Assert(assert), None, Vec::new());
        let (go, back) = (moved(ObjectKind::Sequence, name, &target), moved(ObjectKind::Sequence, &target, name));
        let says = format!("make sequence {name} be {target}");
        steps.late(Phase::Contract, says, (Vec::new(), vec![go]), Some((Vec::new(), vec![back])));
    }

    fn project(&self, catalog: &mut Catalog) {
        let target = self.target();
        let own = |object: &&mut Object| object.name == self.name && object.kind == "sequence";
        catalog.objects.iter_mut().filter(own).for_each(|object| object.name = target.clone());
        let columns = catalog.tables.iter_mut().flat_map(|table| &mut table.columns);
        let owned = columns.filter_map(|column| column.owned_sequence.as_mut());
        owned.filter(|sequence| **sequence == self.name).for_each(|sequence| sequence.clone_from(&target));
    }

    fn claims(&self) -> Vec<Claim> {
        let names = [self.name.clone(), self.target()].into_iter().chain(self.tables.iter().cloned());
        names.map(|table| Claim { table, column: None }).collect()
    }
}
