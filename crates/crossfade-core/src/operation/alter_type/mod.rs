//! ALTER COLUMN TYPE: a shadow column of the new type is kept in sync, filled, given what hangs on the old one, and swapped in at contract.
//!
//! All type changes of a file are one operation: columns can share an index, a constraint or a foreign key, and what they share is built
//! once. Tables that a foreign key joins are swapped in one transaction. Where the server does no work (a wider varchar), nothing is copied:
//! see [`is_catalog_only`].

mod attached;
mod catalog_only;
mod column;
mod foreign_key;
mod index;
mod late_key;
mod made_since;
mod partitions;
mod sequence;
mod swap;
mod taken_over;
mod way_back;

pub(super) use catalog_only::is_catalog_only;
pub(super) use catalog_only::retype_in;
pub(super) use taken_over::TakenOver;

use std::collections::BTreeMap;

use super::Operation;
use super::claim;
use super::not_null;
use super::sync_refusals;
use super::unknown_columns;
use super::whole::guard;
use crate::catalog::Catalog;
use crate::catalog::Column;
use crate::catalog::ConstraintKind;
use crate::catalog::Dependent;
use crate::catalog::Table;
use crate::finding::Finding;
use crate::plan::Around;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::Expr;
use crate::sql::Ident;
use crate::sql::Made;
use crate::sql::Span;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::step::Claim;
use crate::step::Phase;
use foreign_key::ForeignKey;
use index::IndexTree;

/// In which other way than its text says it is carried out.
const WAY: &str = "a second column of the new type is kept in step and takes the place of the old one at contract";

/// The type that a column gets.
#[derive(Clone, Debug)]
pub(super) struct NewType {
    pub type_name: Sql,
    pub base_type: String,
    pub modifiers: Vec<i64>,
    pub array: bool,
    pub collation: Option<Sql>,
    pub using: Option<Expr>,
}

/// A column that gets another type.
#[derive(Clone, Debug)]
pub(super) struct Retype {
    pub table: Table,
    pub column: Column,
    pub to: NewType,
    pub up: Option<Expr>,
    pub down: Option<Expr>,
    /// The default that the file gives it (none inside: it has none afterwards). None: as before.
    pub default: Option<Option<Expr>>,
    /// Whether it is NOT NULL afterwards.
    pub not_null: bool,
    /// The time zone that casts between `timestamp` and `timestamptz` go by at this place of the file, where it can be told.
    pub time_zone: Option<String>,
    /// Where the new type takes the place of the old one: the name that both have in their time, and the old one's from contract on.
    pub replaced: Option<(TableName, TableName)>,
    pub span: Span,
}

/// The columns of a file that get another type.
#[derive(Clone, Debug)]
pub(super) struct AlterType {
    columns: Vec<Retype>,
    /// Columns that keep their type and must keep their name: they are in a foreign key, a primary key or statistics together with one that
    /// changes, which are made again by name.
    joined: Vec<Claim>,
    /// Views that the file drops in front of the change and makes again behind it.
    remade: Vec<TableName>,
}

/// Which column stands for another: by name, by table.
type Names = BTreeMap<String, String>;

/// The columns of one table that get another type.
struct Part<'a> {
    cx: &'a PlanContext<'a>,
    table: &'a Table,
    columns: Vec<&'a Retype>,
    /// Foreign keys that are swapped with this table for one that stands beside them.
    keys: Vec<ForeignKey<'a>>,
    /// Its indexes over these columns, and those of its partitions.
    trees: Vec<IndexTree<'a>>,
}

impl AlterType {
    pub(super) fn new(cx: &PlanContext<'_>, columns: Vec<Retype>, remade: Vec<TableName>) -> AlterType {
        let mut operation = AlterType { columns, joined: Vec::new(), remade };
        let mut joined: Vec<Claim> =
            foreign_key::touched(&operation, cx).iter().flat_map(ForeignKey::columns).collect();
        for retype in &operation.columns {
            let (table, name) = (&retype.table, &retype.column.name);
            let keys = table.constraints_on(name).filter(|known| known.kind == ConstraintKind::PrimaryKey);
            let statistics = table.statistics.iter().map(|statistics| &statistics.columns);
            for columns in keys.map(|key| &key.columns).chain(statistics.filter(|columns| columns.contains(name))) {
                joined.extend(columns.iter().map(|column| claim(table, column)));
            }
        }
        joined.retain(|claim| {
            !operation.of(&claim.table).any(|retype| claim.column.as_ref() == Some(&retype.column.name))
        });
        joined.sort();
        joined.dedup();
        operation.joined = joined;
        operation
    }

    /// Columns that keep their type and must keep their name.
    pub(super) fn joined(&self) -> &[Claim] {
        &self.joined
    }

    fn of<'a>(&'a self, table: &'a TableName) -> impl Iterator<Item = &'a Retype> {
        self.columns.iter().filter(move |retype| retype.table.name == *table)
    }

    /// The names by which the columns of a table that change are known, as `name` says.
    fn names(&self, table: &TableName, name: impl Fn(&Retype) -> Ident) -> Names {
        self.of(table).map(|retype| (retype.column.name.clone(), name(retype).as_str().to_owned())).collect()
    }

    fn parts<'a>(&'a self, cx: &'a PlanContext<'a>) -> Vec<Part<'a>> {
        let keys = foreign_key::touched(self, cx);
        let mut parts: Vec<Part<'a>> = Vec::new();
        for retype in &self.columns {
            match parts.iter_mut().find(|part| part.table.name == retype.table.name) {
                Some(part) => part.columns.push(retype),
                None => {
                    let home = keys.iter().filter(|key| *key.home == retype.table.name && !key.is_late());
                    let home = home.cloned().collect();
                    parts.push(Part { cx, table: &retype.table, columns: vec![retype], keys: home, trees: Vec::new() });
                }
            }
        }
        for part in &mut parts {
            let columns: Vec<&str> = part.columns.iter().map(|retype| retype.column.name.as_str()).collect();
            part.trees = index::trees(cx, part.table, &columns);
        }
        parts
    }

    fn refuse(&self, cx: &PlanContext<'_>, retype: &Retype) -> Vec<String> {
        let (table, name) = (&retype.table, retype.column.name.as_str());
        let mut why = Vec::new();
        for constraint in table.constraints_on(name).filter(|constraint| constraint.kind == ConstraintKind::Exclude) {
            why.push(format!(
                "it is in the exclusion constraint {}, which can't be built beside the old one",
                constraint.name
            ));
        }
        for key in foreign_key::touched(self, cx).iter().filter(|key| key.touches(retype)) {
            why.extend(key.refuse());
        }
        let uses = table.dependents.iter().filter(|dependent| dependent.column.as_deref() == Some(name));
        let stays = |dependent: &&Dependent| dependent.view.as_ref().is_none_or(|view| !self.remade.contains(view));
        for dependent in uses.filter(|dependent| !dependent.foreign_key).filter(stays) {
            why.push(format!("{} uses it", dependent.description));
        }
        for trigger in table.triggers.iter().filter(|trigger| trigger.columns.iter().any(|column| column == name)) {
            why.push(format!("trigger {} names it", trigger.name));
        }
        if retype.time_zone.is_none() && retype.turns_zone() {
            why.push("the time zone that the file sets is no name".to_owned());
        }
        if retype.column.identity.is_some() && !matches!(retype.to.base_type.as_str(), "int2" | "int4" | "int8") {
            why.push("it is an identity column, whose type must be smallint, integer or bigint".to_owned());
        }
        for user in retype.column.identity_sequence.iter().flat_map(|sequence| &sequence.dependents) {
            why.push(format!("{user} uses its sequence"));
        }
        why.extend(index::trees(cx, table, &[name]).iter().filter_map(IndexTree::refuse));
        why.extend(partitions::refusals(cx, table, &retype.column));
        why
    }
}

impl Operation for AlterType {
    fn way(&self) -> Option<&'static str> {
        Some(WAY)
    }

    fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for retype in &self.columns {
            let (table, span) = (&retype.table, retype.span);
            findings.extend(sync_refusals(cx, table, &retype.column.name, span));
            let why = self.refuse(cx, retype);
            if !why.is_empty() {
                findings.push(Finding::error("alter-type", span, format!("the type of {}.{} can't be changed in phases: {}", table.name, retype.column.name, why.join("; ")))
                    .help("add a new column, fill it, and drop the old one (three statements in one file); or accept the lock and the rewrite: `-- crossfade: direct REASON`"));
            }
            let made = crate::operation::made(cx);
            if retype.keeps_default() && made.contains(&Made::Named(retype.to.base_type.clone())) {
                let message =
                    format!("the default of {}.{} can't become one of the new type", table.name, retype.column.name);
                findings.push(Finding::error("cast", span, message).help(
                    "ALTER COLUMN … DROP DEFAULT in front of it and SET DEFAULT behind it, in the same file: old code keeps the default until contract",
                ));
            }
            if retype.becomes_not_null() {
                findings.push(not_null::refuses_nulls(table, &retype.column.name, span).help(
                    "with `-- crossfade: up EXPR` in front of the change of its type, or USING, NULLs get another value until contract",
                ));
            }
            for expr in [&retype.up, &retype.down, &retype.to.using].into_iter().flatten() {
                findings.extend(unknown_columns(table, &[], expr, span, "the expression"));
            }
        }
        findings
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let parts = self.parts(cx);
        for retype in &self.columns {
            if retype.becomes_not_null() && retype.up.is_none() && retype.to.using.is_none() {
                let help = "write `-- crossfade: up EXPR` in front of the change of its type, with the value that these rows shall have";
                steps.assert_first(not_null::holds_none(&retype.table.name, &retype.column.name, help));
            }
            retype.lower(cx, steps);
        }
        for part in &parts {
            part.build(steps);
        }
        for key in parts.iter().flat_map(|part| &part.keys) {
            key.build(self, cx, steps);
        }
        let mut keys = foreign_key::touched(self, cx);
        keys.sort_by_key(|key| key.is_late() && !key.has_server_s_name());
        for key in &keys {
            if key.is_late() {
                key.lower_late(self, cx, steps);
            } else {
                steps.contract_around(key.home, key.away(), Around::default());
            }
            for other in [&key.child.name, &key.parent.name] {
                steps.contract_locks(key.home, other);
                if other != key.home && self.of(other).next().is_some() {
                    steps.contract_together(key.home, other);
                }
            }
        }
        for part in &parts {
            let (mut go, back) = part.swap();
            let since = part.nothing_made_since();
            go.insert(0, guard(&since));
            steps.early_assert(Phase::Contract, since);
            let table = &part.table.name;
            let columns: Vec<&str> = part.columns.iter().map(|retype| retype.column.name.as_str()).collect();
            let columns = columns.join(", ");
            let successor =
                if part.columns.len() == 1 { "the column of the new type" } else { "the columns of the new types" };
            steps.contract(table, format!("swap {columns} of {table} for {successor}"), go, back);
            if cx.policy.retain {
                part.way_back(self, steps);
                let drops = part.columns.iter().map(|retype| sql!("DROP COLUMN {}", retype.retired(cx)));
                let drop = sql!("ALTER TABLE {} {}", table, Sql::join(drops, ", "));
                steps.purge(table, format!("drop the old {columns} of {table}"), vec![drop]);
            }
        }
    }

    fn project(&self, catalog: &mut Catalog) {
        for retype in &self.columns {
            let tree: Vec<TableName> =
                catalog.tree(&retype.table).into_iter().map(|relation| relation.name.clone()).collect();
            for table in catalog.tables.iter_mut().filter(|table| tree.contains(&table.name)) {
                if let Some(column) = table.columns.iter_mut().find(|column| column.name == retype.column.name) {
                    retype_in(column, &retype.to.type_name, &retype.to.base_type, &retype.to.modifiers);
                    column.not_null = retype.not_null;
                }
            }
        }
    }

    fn claims(&self) -> Vec<Claim> {
        let own = self.columns.iter().map(|retype| claim(&retype.table, &retype.column.name));
        own.chain(self.joined.iter().cloned()).collect()
    }
}
