//! Operations: the open set. One file a kind of change; each is lowered into steps of the closed set.
//!
//! To add one: a file with a type that implements [`Operation`], its recognition in [`understand`], a fixture. The
//! executor, the journal and the screens do not change.

mod add_column;
mod add_constraint;
mod add_key;
mod alter_type;
mod as_it_was;
mod as_written;
mod change_rows;
mod cleared;
mod create_index;
mod drop_constraint;
mod drop_index;
mod drop_object;
mod drop_table;
mod foreign_key;
mod in_contract;
mod index_tree;
mod made_rows;
mod mend_check;
mod mend_foreign_key;
mod mend_not_null;
mod not_null;
mod partition;
mod put_back;
mod remake_views;
mod rename_column;
mod rename_function;
mod rename_relation;
mod rename_sequence;
mod rename_type;
mod rename_value;
mod replace;
mod replace_index;
mod replace_type;
mod set_not_null;
mod understand;
mod undo;
mod view;
mod view_of_new;
mod whole;

pub(crate) use as_written::as_written;
pub(crate) use understand::builtin_takes;
pub(crate) use understand::builtin_volatility;
pub(crate) use understand::made;
pub(crate) use understand::named_types;
pub(crate) use understand::takes_columns;
pub use understand::understand;
pub(crate) use understand::understand_by_place;
pub(crate) use whole::destination;

use crate::catalog::Catalog;
use crate::catalog::Column;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::finding::Finding;
use crate::migration::Statement;
use crate::plan::OldColumn;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql::Expr;
use crate::sql::Ident;
use crate::sql::ObjectRef;
use crate::sql::Span;
use crate::step::Claim;

/// How an operation goes with others of the same file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It runs as it is written, at once.
    AsWritten,
    /// It changes rows of a big table, and nothing of the schema.
    Rows,
    /// It builds an index.
    Index,
    /// It goes through phases.
    Phased,
}

/// One kind of schema change, as understood from one or several statements of a file.
pub trait Operation: std::fmt::Debug {
    /// May it be done, on this catalog?
    fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding>;
    /// Which steps do it?
    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>);
    /// What will the schema be afterwards?
    fn project(&self, catalog: &mut Catalog);
    /// Which tables and columns does it work on?
    fn claims(&self) -> Vec<Claim>;
    /// In which other way than its text says is it carried out? One line; none: as it is written.
    fn way(&self) -> Option<&'static str> {
        None
    }
    /// The statement that runs as it is written.
    fn written(&self) -> Option<&Statement> {
        None
    }
    /// How does it go with others of the same file?
    fn role(&self) -> Role {
        Role::Phased
    }
}

fn claim(table: &Table, column: &str) -> Claim {
    Claim { table: table.name.clone(), column: Some(column.to_owned()) }
}

/// What keeps a column from being kept in sync with another, whatever the operation.
fn sync_refusals(cx: &PlanContext<'_>, table: &Table, column: &str, span: Span) -> Vec<Finding> {
    let mut findings = Vec::new();
    let what = format!("{}.{column}", table.name);
    if !crate::plan::can_be_swept(table) {
        findings.push(
            Finding::error("not-a-table", span, format!("{} is no ordinary table", table.name))
                .help("phased changes need a table whose rows stand in blocks (heap, plain or partitioned)"),
        );
    }
    if table.partition_of.is_some() {
        findings.push(
            Finding::error("partition", span, format!("{} is a partition", table.name))
                .help("change the partitioned table; its partitions follow"),
        );
    }
    if !table.inheritance_children.is_empty() {
        findings.push(
            Finding::error(
                "inheritance",
                span,
                format!("{} has children by inheritance, and triggers do not reach them", table.name),
            )
            .help("change it by hand, or turn inheritance into partitioning first"),
        );
    }
    if cx.catalog.tree(table).iter().any(|relation| relation.partition_key.iter().any(|name| name == column)) {
        findings.push(Finding::error("partition-key", span, format!("{what} is part of the partition key"))
            .help("a trigger may not move a row to another partition: make a new table partitioned by the new column and move the rows"));
    }
    if let Some(found) = table.column(column)
        && found.generated.is_some()
    {
        findings.push(
            Finding::error("generated-column", span, format!("{what} is generated, so it can't be written"))
                .help("add the new generated column, deploy, then drop the old one"),
        );
    }
    if table.kind == TableKind::Partitioned
        && cx.catalog.leaves(table).iter().any(|leaf| leaf.kind == TableKind::Foreign)
    {
        findings.push(Finding::error(
            "foreign-partition",
            span,
            format!("a partition of {} is a foreign table", table.name),
        ));
    }
    findings
}

fn no_table(cx: &PlanContext<'_>, name: &ObjectRef, span: Span) -> Finding {
    missing_table(cx.catalog, name, span)
}

/// A relation that is not there, and one that may be meant.
pub(crate) fn missing_table(catalog: &Catalog, name: &ObjectRef, span: impl Into<Option<Span>>) -> Finding {
    let near = catalog.tables.iter().find(|table| table.name.name.as_str().eq_ignore_ascii_case(&name.name));
    let finding = Finding::error("no-such-table", span, format!("there is no table {name}"));
    match near {
        Some(table) => finding.help(format!("there is {}", table.name)),
        None => finding.help(format!("the search path is {}", catalog.search_path.join(", "))),
    }
}

/// A column that is not there, and those that are.
pub(crate) fn no_column(table: &Table, column: &str, span: impl Into<Option<Span>>) -> Finding {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    Finding::error("no-such-column", span, format!("{} has no column {column}", table.name))
        .help(format!("its columns are {}", names.join(", ")))
}

fn column_exists(table: &Table, column: &str, span: Span) -> Finding {
    Finding::error("column-exists", span, format!("{} already has a column {column}", table.name))
}

/// Columns that an expression names and the table does not have.
pub(crate) fn unknown_columns(
    table: &Table,
    added: &[&str],
    expr: &Expr,
    span: impl Into<Option<Span>>,
    what: &str,
) -> Vec<Finding> {
    let span = span.into();
    expr.columns()
        .filter(|column_use| table.column(&column_use.column).is_none() && !added.contains(&column_use.column.as_str()))
        .map(|column_use| {
            let mut finding = no_column(table, &column_use.column, span);
            finding.message = format!("{} ({what} names it)", finding.message);
            finding
        })
        .collect()
}

fn old_column(cx: &PlanContext<'_>, column: &Column, down: Option<Expr>) -> OldColumn {
    OldColumn {
        name: Ident::new(column.name.as_str()),
        type_name: column.type_name.clone(),
        default: column.default.clone(),
        not_null: column.not_null,
        down,
        retired: cx.own_name("old", &column.name),
    }
}

/// Functions of triggers on this table whose text names the column: they break when the name goes.
fn trigger_warnings(table: &Table, column: &str, span: Span) -> Vec<Finding> {
    let names_it = |source: &str| {
        source.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word.eq_ignore_ascii_case(column))
    };
    table
        .triggers
        .iter()
        .filter(|trigger| names_it(&trigger.source))
        .map(|trigger| {
            Finding::warning(
                "trigger-names-column",
                span,
                format!(
                    "function {} of trigger {} names {column}; it fails once that name is gone",
                    trigger.function, trigger.name
                ),
            )
            .help("make the function work with both forms before contract")
        })
        .collect()
}
