//! Columns that go, with or without others in their place: DROP COLUMN alone; ADD COLUMN + UPDATE + DROP COLUMN; one column split into
//! several, several merged into one.

use super::Operation;
use super::add_column::preflight_up;
use super::add_column::projected;
use super::add_column::prove_not_null;
use super::claim;
use super::not_null;
use super::old_column;
use super::rename_column::rename_in;
use super::sync_refusals;
use super::trigger_warnings;
use super::unknown_columns;
use crate::catalog::Catalog;
use crate::catalog::Column;
use crate::catalog::ConstraintKind;
use crate::catalog::Table;
use crate::catalog::Volatility;
use crate::finding::Finding;
use crate::plan::Group;
use crate::plan::NewColumn;
use crate::plan::OldColumn;
use crate::plan::PlanContext;
use crate::plan::Shape;
use crate::plan::StepsBuilder;
use crate::plan::Until;
use crate::sql;
use crate::sql::AlterCommand;
use crate::sql::ColumnDefinition;
use crate::sql::ConstraintForm;
use crate::sql::Expr;
use crate::sql::Ident;
use crate::sql::Span;
use crate::sql::Sql;
use crate::sql::StatementKind;
use crate::sql::TableName;
use crate::step::Claim;
use crate::step::Preflight;

/// A column that goes.
#[derive(Clone, Debug)]
pub(super) struct Dropped {
    pub column: Column,
    pub down: Option<Expr>,
    pub cascade: bool,
    /// Whether the views that use it go with it.
    pub views_go: bool,
    pub span: Span,
}

/// A column that comes.
#[derive(Clone, Debug)]
pub(super) struct Added {
    pub column: ColumnDefinition,
    pub up: Expr,
    pub later_default: Option<Expr>,
    /// The name of its NOT NULL from PostgreSQL 18 on, where it gets another name than its own.
    pub not_null_name: Option<String>,
    pub span: Span,
}

impl Added {
    /// Its default from contract on.
    fn default(&self) -> Option<&Expr> {
        self.later_default.as_ref().or(self.column.default.as_ref()).filter(|default| !default.is_null())
    }
}

/// Columns that go and columns that come in their place.
#[derive(Clone, Debug)]
pub(super) struct Replace {
    pub table: Table,
    pub dropped: Vec<Dropped>,
    pub added: Vec<Added>,
    /// Whether the one that comes gets the name of the one that goes: then both versions of the application know that name only.
    pub under_one_name: bool,
}

impl Replace {
    /// The name that a column which comes has in the end, where that is another one.
    fn final_name(&self) -> Option<(Ident, Ident)> {
        match (self.under_one_name, self.added.as_slice(), self.dropped.as_slice()) {
            (true, [added], [dropped]) => {
                Some((Ident::new(added.column.name.as_str()), Ident::new(dropped.column.name.as_str())))
            }
            _ => None,
        }
    }

    /// The way back, as it is said after contract.
    fn down_after_contract(&self, dropped: &Dropped) -> Option<Expr> {
        let down = self.down(dropped)?;
        let Some((from, to)) = self.final_name() else { return Some(down) };
        let text =
            down.render(|name| if name == from.as_str() { sql!("{}", to) } else { sql!("{}", Ident::new(name)) });
        Expr::from_sql(&text).ok()
    }

    /// The old column's value for rows that new code writes: as the file says, or the inverse of `up` where that is certain.
    fn down(&self, dropped: &Dropped) -> Option<Expr> {
        if dropped.down.is_some() {
            return dropped.down.clone();
        }
        let name = dropped.column.name.as_str();
        let [added] = self.added.as_slice() else { return None };
        if self.dropped.len() != 1 {
            return None;
        }
        let new = Ident::new(added.column.name.as_str());
        if added.up.as_column() == Some(name) && lossless(&dropped.column.base_type, &added.column.base_type) {
            return Expr::from_sql(&sql!("{}::{}", new, dropped.column.type_name)).ok();
        }
        let uses: Vec<&str> = added.up.columns().map(|column_use| column_use.column.as_str()).collect();
        let only_cast = uses == [name]
            && added.up.functions().is_empty()
            && added.up.as_written().trim_start_matches(['"', '(']).starts_with(name)
            && added.up.as_written().matches("::").count() == 1
            && !added.up.as_written().contains(['+', '-', '*', '/', '|', '\'']);
        if only_cast && lossless(&dropped.column.base_type, &added.column.base_type) {
            return Expr::from_sql(&sql!("{}::{}", new, dropped.column.type_name)).ok();
        }
        None
    }
}

/// Whether a cast from one type to another keeps every value.
fn lossless(from: &str, to: &str) -> bool {
    from == to
        || matches!(
            (from, to),
            ("int2", "int4" | "int8" | "numeric" | "text")
                | ("int4", "int8" | "numeric" | "text" | "float8")
                | ("int8", "numeric" | "text")
                | ("varchar", "text")
                | ("float4", "float8")
                | ("uuid" | "bool" | "date", "text")
                | ("date", "timestamp")
                | ("cidr", "inet")
                | ("json", "jsonb")
        )
}

impl Operation for Replace {
    fn way(&self) -> Option<&'static str> {
        Some("old and new columns are kept in step; the old ones go at contract, and their values stay until purge")
    }

    fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        let added: Vec<&str> = self.added.iter().map(|added| added.column.name.as_str()).collect();
        for dropped in &self.dropped {
            let name = &dropped.column.name;
            let what = format!("{}.{name}", self.table.name);
            findings.extend(
                sync_refusals(cx, &self.table, name, dropped.span)
                    .into_iter()
                    .filter(|finding| finding.rule != "generated-column"),
            );
            let cleared = super::cleared::Cleared::before(cx, dropped.span);
            let dependents: Vec<&str> = self
                .table
                .dependents
                .iter()
                .filter(|dependent| dependent.column.as_deref() == Some(name) && !cleared.has(dependent))
                .filter(|dependent| !dropped.views_go || dependent.view.is_none())
                .map(|dependent| dependent.description.as_str())
                .collect();
            if !dependents.is_empty() {
                let help = if dropped.cascade {
                    "drop or change each of them in a statement of its own first; CASCADE takes views along, and nothing else"
                } else {
                    "PostgreSQL refuses the drop while they use the column: drop or change them first; or write CASCADE, which takes views along"
                };
                findings.push(
                    Finding::error("dependents", dropped.span, format!("{} uses {what}", dependents.join(", ")))
                        .help(help),
                );
            }
            let down = self.down(dropped);
            if let Some(down) = &down {
                findings.extend(unknown_columns(&self.table, &added, down, dropped.span, "`down`"));
                if down.names(name) {
                    findings.push(
                        Finding::error(
                            "down-names-old",
                            dropped.span,
                            format!("`down` names {name}, the column it shall give a value to"),
                        )
                        .help("write it over the columns that stay"),
                    );
                }
            }
            if down.is_none() && !self.added.is_empty() {
                let new = self
                    .added
                    .iter()
                    .map(|added| format!("{} = {}", added.column.name, added.up.as_written()))
                    .collect::<Vec<_>>()
                    .join(", ");
                findings.push(Finding::error("down-needed", dropped.span, format!("old code reads {what}, and its value for rows that new code writes is not known"))
                    .help(format!("the file says {new}; write the way back in front of the DROP: `-- crossfade: down EXPR` over the new columns (or `down NULL`)")));
            } else if down.is_none()
                && dropped.column.not_null
                && dropped.column.default.is_none()
                && dropped.column.identity.is_none()
            {
                findings.push(Finding::error("down-needed", dropped.span, format!("{what} is NOT NULL without a default: new code that does not know it could not insert"))
                    .help(format!("write its value for such rows in front of the DROP: `-- crossfade: down EXPR`, for example `-- crossfade: down {}`", example(&dropped.column))));
            }
            findings.extend(down.as_ref().and_then(|down| self.null_for_not_null(dropped, down)));
            findings.extend(trigger_warnings(&self.table, name, dropped.span));
            findings.extend(self.names_taken(cx, name));
        }
        for added in &self.added {
            findings.extend(unknown_columns(&self.table, &[], &added.up, added.span, "its value"));
        }
        findings
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let table = &self.table.name;
        let new: Vec<NewColumn> = self
            .added
            .iter()
            .map(|added| NewColumn {
                name: Ident::new(added.column.name.as_str()),
                type_name: added.column.type_name.clone(),
                up: added.up.clone(),
                default: added.default().cloned(),
                not_null: added.column.not_null,
            })
            .collect();
        for added in &self.added {
            steps.add_column(table, added.column.bare.clone());
            steps.preflight(preflight_up(&self.table, &added.up, &added.column.type_name, added.span));
        }
        let old: Vec<_> = self
            .dropped
            .iter()
            .map(|dropped| old_column(cx, &dropped.column, self.down_after_contract(dropped)))
            .collect();
        for (dropped, column) in self.dropped.iter().zip(&old) {
            if let Some(down) = &self.down(dropped) {
                steps.preflight(self.preflight_down(down, column.type_name.as_str(), dropped));
            }
        }
        // Without values to keep it is only seen who still writes them; nobody writes what is generated.
        let is_kept = !new.is_empty() || old.iter().any(|column| column.down.is_some());
        let is_written = |dropped: &Dropped| is_kept || dropped.column.generated.is_none();
        let seen: Vec<_> = self
            .dropped
            .iter()
            .zip(&old)
            .filter(|(dropped, _)| is_written(dropped))
            .map(|(_, column)| column.clone())
            .collect();
        if is_kept || !seen.is_empty() {
            steps.sync(
                table,
                Group {
                    shape: match self.final_name() {
                        Some((_, name)) => Shape::Retype { name },
                        None => Shape::Replace,
                    },
                    old: seen,
                    new,
                    until: Until::Contract,
                    mend: Vec::new(),
                    loud: !self.under_one_name,
                    counts: false,
                },
            );
        }
        let mut under_final_name = Vec::new();
        for added in &self.added {
            let name = Ident::new(added.column.name.as_str());
            let mut end = Vec::from_iter(added.default().map(|default| {
                sql!("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}", table, name, default.over_table())
            }));
            if added.column.not_null {
                let mut proven = prove_not_null(cx, &self.table, &added.column.name, steps);
                if let (Some(known), Some((_, to))) = (&added.not_null_name, self.final_name()) {
                    let set =
                        sql!("ALTER TABLE {} ADD CONSTRAINT {} NOT NULL {}", table, Ident::new(known.as_str()), to);
                    proven.splice(..1, [set]);
                    under_final_name.append(&mut proven);
                }
                end.extend(proven);
            }
            if !end.is_empty() {
                steps.contract(table, format!("{name} of {table} is what the file says"), end, Vec::new());
            }
        }
        let rename = |(from, to): (Ident, Ident)| sql!("ALTER TABLE {} RENAME COLUMN {} TO {}", table, from, to);
        let takes_its_name = self.final_name();
        for column in &old {
            if cx.policy.retain {
                let mut there = vec![sql!("ALTER TABLE {} RENAME COLUMN {} TO {}", table, column.name, column.retired)];
                let mut back = vec![sql!("ALTER TABLE {} RENAME COLUMN {} TO {}", table, column.retired, column.name)];
                if self.may_miss(column) || self.under_one_name && column.not_null {
                    let name = column.name.as_str();
                    there.splice(0..0, not_null::lift(cx, &self.table, name));
                    back.extend(not_null::set(&self.table, name));
                    back.push(not_null::forget_proof(cx, &self.table, name));
                    let help = format!(
                        "old code needs one: give {} a value in each of them, then run `crossfade rollback` again; or stay, and run `crossfade purge {}`",
                        column.retired, cx.migration.version
                    );
                    let both = (name, &column.retired);
                    not_null::prove_on_the_way_back(cx, &self.table, both, help.clone(), steps);
                    not_null::ask_on_the_way_back(&self.table, both, help, steps);
                }
                let mut says = format!("retire {} of {table} as {}", column.name, column.retired);
                if let Some((from, to)) = takes_its_name.clone() {
                    says = format!("{says}; {from} takes its name");
                    there.push(rename((from.clone(), to.clone())));
                    there.append(&mut under_final_name);
                    back.insert(0, rename((to.clone(), from)));
                    if self.added.iter().any(|added| added.not_null_name.is_some()) {
                        // The old column's NOT NULL needs the name.
                        back.insert(0, sql!("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL", table, to));
                    }
                }
                steps.contract(table, says, there, back);
                steps.purge(
                    table,
                    format!("drop {} of {table}", column.retired),
                    vec![sql!("ALTER TABLE {} DROP COLUMN {}", table, column.retired)],
                );
            } else {
                steps.contract(
                    table,
                    format!("drop {} of {table}", column.name),
                    std::iter::once(sql!("ALTER TABLE {} DROP COLUMN {}", table, column.name))
                        .chain(takes_its_name.clone().map(rename))
                        .chain(std::mem::take(&mut under_final_name))
                        .collect(),
                    Vec::new(),
                );
            }
        }
    }

    fn project(&self, catalog: &mut Catalog) {
        let tree: Vec<TableName> = catalog.tree(&self.table).into_iter().map(|table| table.name.clone()).collect();
        let gone = |name: &String| self.dropped.iter().any(|dropped| dropped.column.name == *name);
        for table in catalog.tables.iter_mut().filter(|table| tree.contains(&table.name)) {
            table.columns.retain(|column| !gone(&column.name));
            table.constraints.retain(|constraint| !constraint.columns.iter().any(gone));
            table.indexes.retain(|index| !index.columns.iter().any(gone));
            table.columns.extend(self.added.iter().map(|added| projected(&added.column)));
            if let Some((from, to)) = self.final_name() {
                rename_in(table, from.as_str(), to.as_str());
            }
        }
    }

    fn claims(&self) -> Vec<Claim> {
        let dropped = self.dropped.iter().map(|dropped| claim(&self.table, &dropped.column.name));
        let added = self.added.iter().map(|added| claim(&self.table, &added.column.name));
        dropped.chain(added).collect()
    }
}

impl Replace {
    /// What is on a column that goes keeps its name until the purge.
    fn names_taken(&self, cx: &PlanContext<'_>, column: &str) -> Vec<Finding> {
        let constraints = self.table.constraints_on(column).map(|known| known.name.as_str());
        let kept: Vec<&str> =
            constraints.chain(self.table.indexes_on(column).map(|known| known.name.as_str())).collect();
        // What a statement of its own drops is gone by then, or speaks for itself.
        let dropped: Vec<&str> = cx.migration.statements.iter().flat_map(|it| dropped_by(&it.parsed.kind)).collect();
        let mut findings = Vec::new();
        for statement in &cx.migration.statements {
            let made = match &statement.parsed.kind {
                StatementKind::CreateIndex(index) => index.name.as_deref(),
                StatementKind::AlterTable { commands, .. } => match commands.as_slice() {
                    [AlterCommand::AddConstraint(added)] if !matches!(added.form, ConstraintForm::NotNull) => {
                        added.name.as_deref()
                    }
                    _ => None,
                },
                _ => None,
            };
            if let Some(name) = made.filter(|name| kept.contains(name) && !dropped.contains(name)) {
                let message =
                    format!("{name} is on {}.{column}, which the file drops, until the purge", self.table.name);
                findings
                    .push(Finding::error("name-taken", statement.parsed.span, message).help(
                        "give the new one another name, or put it into a migration behind the purge of this one",
                    ));
            }
        }
        findings
    }

    /// Whether new code may write rows for which a column that takes no NULL has no value. What a key or the replica identity stands on stays as it is.
    fn may_miss(&self, column: &OldColumn) -> bool {
        let Some(down) = column.down.as_ref().filter(|_| column.not_null) else { return false };
        let name = column.name.as_str();
        let stands_in = column.default.as_ref().is_some_and(|default| default.volatility < Volatility::Volatile);
        let is_key = self.table.constraints_on(name).any(|known| known.kind == ConstraintKind::PrimaryKey)
            || self.table.indexes_on(name).any(|index| index.replica_identity)
            || self.table.column(name).is_some_and(|column| column.identity.is_some());
        let reads_null = || {
            let never = |name: &str| self.added.iter().any(|added| added.column.name == name && added.column.not_null);
            let kept = |name: &str| self.table.column(name).is_some_and(|column| column.not_null);
            // Only a column as it is has a value for certain where that column has one.
            down.columns().next().is_some() && !down.as_column().is_some_and(|name| never(name) || kept(name))
        };
        !stands_in && !is_key && reads_null()
    }

    /// A write that the direct way takes and the sync can't: it leaves new columns NULL of which the old one's value is made, and the old one is NOT NULL.
    fn null_for_not_null(&self, dropped: &Dropped, down: &Expr) -> Option<Finding> {
        let column = &dropped.column;
        // A default that is not volatile stands in for NULL.
        if !column.not_null || column.default.is_some() || column.identity.is_some() || !down.is_null_of_nulls() {
            return None;
        }
        let takes_null = |name: &str| {
            let added = self.added.iter().find(|added| added.column.name == name).map(|added| added.column.not_null);
            !added.or_else(|| self.table.column(name).map(|column| column.not_null)).unwrap_or(true)
        };
        let mut may_be_null: Vec<&str> =
            down.columns().map(|read| read.column.as_str()).filter(|name| takes_null(name)).collect();
        may_be_null.sort_unstable();
        may_be_null.dedup();
        if may_be_null.is_empty() {
            return None;
        }
        let new = may_be_null.join(" and ");
        let (what, first) = (format!("{}.{}", self.table.name, column.name), may_be_null[0]);
        Some(
            Finding::warning(
                "null-for-not-null",
                dropped.span,
                format!("{what} is NOT NULL, and {new} may be NULL: until contract a write of new code that leaves NULL there fails, and behind it holds up the way back"),
            )
            .help(format!("let `down` give a value for NULL, as in `coalesce({first}, …)`, or make {first} NOT NULL in the file")),
        )
    }

    fn preflight_down(&self, down: &Expr, type_name: &str, dropped: &Dropped) -> Preflight {
        let added: Vec<Sql> = self
            .added
            .iter()
            .map(|added| sql!(", NULL::{} AS {}", added.column.type_name, Ident::new(added.column.name.as_str())))
            .collect();
        let type_name = crate::sql::ServerText::from_server(type_name);
        Preflight {
            query: sql!(
                "SELECT ({}::{})::text FROM (SELECT t.*{} FROM ONLY {} AS t) AS t LIMIT 0",
                down.over_table(),
                type_name,
                Sql::join(added, ""),
                self.table.name
            ),
            finding: Finding::error(
                "expression",
                dropped.span,
                format!("the server refuses `down` for {}: {}", dropped.column.name, down.as_written()),
            ),
        }
    }
}

/// The constraints and indexes that a statement drops by name.
fn dropped_by(kind: &StatementKind) -> Vec<&str> {
    match kind {
        StatementKind::DropIndex { names, .. } => names.iter().map(|name| name.name.as_str()).collect(),
        StatementKind::AlterTable { commands, .. } => {
            let names = commands.iter().filter_map(|command| match command {
                AlterCommand::DropConstraint { name, .. } => Some(name.as_str()),
                _ => None,
            });
            names.collect()
        }
        _ => Vec::new(),
    }
}

fn example(column: &Column) -> &'static str {
    match column.base_type.as_str() {
        "int2" | "int4" | "int8" | "numeric" | "float4" | "float8" => "0",
        "bool" => "false",
        "timestamp" | "timestamptz" | "date" => "now()",
        "uuid" => "gen_random_uuid()",
        "json" | "jsonb" => "'{}'",
        _ => "''",
    }
}
