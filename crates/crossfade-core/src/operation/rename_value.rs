//! RENAME of a value of an enum: as it is written, at contract. A column can't hold one value under two names, so nothing stands in for the new one
//! (docs/decisions/0025).

use super::Operation;
use super::as_written::as_written;
use super::whole::type_of;
use super::whole::unnamed_elsewhere;
use crate::catalog::Catalog;
use crate::catalog::Object;
use crate::catalog::Table;
use crate::finding::Finding;
use crate::migration::Statement;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::Literal;
use crate::sql::Made;
use crate::sql::TableName;
use crate::step::Action;
use crate::step::Assert;
use crate::step::Claim;

/// A value that gets another name.
#[derive(Clone, Debug)]
pub(super) struct RenameValue {
    /// The statement, with its phase and its way back.
    pub statement: Statement,
    /// The enum.
    pub of: TableName,
    pub from: String,
    pub to: String,
    /// The enum's values in front of the statement.
    pub labels: Vec<String>,
    /// Relations with a column of the enum, or of arrays of it.
    pub tables: Vec<TableName>,
    /// For the first rename of the file: the names of values that go in it.
    pub go: Vec<String>,
}

/// The relations that have a column of a type, or of arrays of it.
pub(super) fn relations_of(catalog: &Catalog, of: &TableName) -> Vec<TableName> {
    let has = |table: &&Table| table.columns.iter().any(|column| type_of(column).as_ref() == Some(of));
    catalog.tables.iter().filter(has).map(|table| table.name.clone()).collect()
}

impl RenameValue {
    /// No trigger function of another migration has one of these names in its text: each write would fail.
    fn unnamed(&self, cx: &PlanContext<'_>) -> Assert {
        let quoted = |name: &String| sql!("{}", Literal(name.clone())).to_string();
        unnamed_elsewhere(cx, "a value", self.go.iter().map(quoted).collect())
    }

    /// Functions whose text has the old name.
    fn functions<'c>(&self, catalog: &'c Catalog) -> Vec<&'c TableName> {
        let old = Made::EnumValue(self.from.clone());
        let names_it =
            |object: &&Object| object.functions.iter().any(|function| old.is_used_in(function.definition.as_str()));
        catalog.objects.iter().filter(names_it).map(|object| &object.name).collect()
    }
}

impl Operation for RenameValue {
    fn way(&self) -> Option<&'static str> {
        Some("at contract: code of the deploy must work with either name")
    }

    fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        let span = self.statement.parsed.span;
        let (of, from, to) = (&self.of, Literal(self.from.clone()), Literal(self.to.clone()));
        let (from, to) = (sql!("{}", from), sql!("{}", to));
        let mut findings = Vec::new();
        if !self.labels.contains(&self.from) {
            findings.push(
                Finding::error("no-such-value", span, format!("{of} has no value {from}"))
                    .help(format!("its values are {}", self.labels.join(", "))),
            );
        }
        if self.labels.contains(&self.to) {
            findings.push(
                Finding::error("name-taken", span, format!("{of} has a value {to} already"))
                    .help("take another name; rows go from one value to another by an UPDATE"),
            );
        }
        findings.push(
            Finding::warning(
                "old-name-until-contract",
                span,
                format!("until contract the value is known as {from} alone, and from then on as {to} alone"),
            )
            .help(format!(
                "code that is deployed while this waits must write and read it under either name; the way without such code is a new column of another enum (`up` and `down` say what becomes of {from}), and a DROP of the old one"
            )),
        );
        for function in self.functions(cx.catalog) {
            findings.push(
                Finding::warning(
                    "function-names-value",
                    span,
                    format!("function {function} has {from} in its text; if that is this value, it fails once the name is gone"),
                )
                .help("make the function work with both names before contract"),
            );
        }
        findings
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        if !self.go.is_empty() {
            let assert = self.unnamed(cx);
            let summary = format!("check that {}", assert.message);
            steps.behind_contract(summary, Action::Assert(assert), None, Vec::new());
        }
        as_written(cx, &self.statement, Vec::new(), steps);
    }

    fn project(&self, catalog: &mut Catalog) {
        let own = |object: &&mut Object| object.name == self.of && object.kind == "type";
        let labels = catalog.objects.iter_mut().filter(own).flat_map(|object| &mut object.labels);
        labels.filter(|label| **label == self.from).for_each(|label| label.clone_from(&self.to));
    }

    fn claims(&self) -> Vec<Claim> {
        let names = std::iter::once(&self.of).chain(&self.tables);
        names.map(|name| Claim { table: name.clone(), column: None }).collect()
    }
}
