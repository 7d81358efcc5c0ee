//! Columns that go, with or without others in their place: DROP COLUMN alone; ADD COLUMN + UPDATE + DROP COLUMN; one column split into
//! several, several merged into one.

use super::Operation;
use super::add_column::preflight_up;
use super::add_column::projected;
use super::add_column::prove_not_null;
use super::claim;
use super::old_column;
use super::sync_refusals;
use super::trigger_warnings;
use super::unknown_columns;
use crate::catalog::Catalog;
use crate::catalog::Column;
use crate::catalog::Table;
use crate::finding::Finding;
use crate::plan::Group;
use crate::plan::NewColumn;
use crate::plan::PlanContext;
use crate::plan::Shape;
use crate::plan::StepsBuilder;
use crate::plan::Until;
use crate::sql;
use crate::sql::ColumnDefinition;
use crate::sql::Expr;
use crate::sql::Ident;
use crate::sql::Span;
use crate::sql::Sql;
use crate::step::Claim;
use crate::step::Preflight;

/// A column that goes.
#[derive(Clone, Debug)]
pub(super) struct Dropped {
    pub column: Column,
    pub down: Option<Expr>,
    pub cascade: bool,
    pub span: Span,
}

/// A column that comes.
#[derive(Clone, Debug)]
pub(super) struct Added {
    pub column: ColumnDefinition,
    pub up: Expr,
    pub later_default: Option<Expr>,
    pub span: Span,
}

/// Columns that go and columns that come in their place.
#[derive(Clone, Debug)]
pub(super) struct Replace {
    pub table: Table,
    pub dropped: Vec<Dropped>,
    pub added: Vec<Added>,
}

impl Replace {
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
                .map(|dependent| dependent.description.as_str())
                .collect();
            if !dependents.is_empty() {
                let help = if dropped.cascade {
                    "drop or change each of them in a statement of its own first; CASCADE would take them all, unseen"
                } else {
                    "PostgreSQL refuses the drop while they use the column: drop or change them first"
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
            findings.extend(trigger_warnings(&self.table, name, dropped.span));
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
            })
            .collect();
        for added in &self.added {
            steps.add_column(table, added.column.bare.clone());
            steps.preflight(preflight_up(&self.table, &added.up, &added.column.type_name, added.span));
        }
        let old: Vec<_> =
            self.dropped.iter().map(|dropped| old_column(cx, &dropped.column, self.down(dropped))).collect();
        for (dropped, column) in self.dropped.iter().zip(&old) {
            if let Some(down) = &column.down {
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
                    shape: Shape::Replace,
                    old: seen,
                    new,
                    until: Until::Contract,
                    mend: Vec::new(),
                    loud: true,
                    counts: false,
                },
            );
        }
        for added in &self.added {
            let name = Ident::new(added.column.name.as_str());
            let default = added.later_default.as_ref().or(added.column.default.as_ref());
            let mut end = Vec::from_iter(default.map(|default| {
                sql!("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}", table, name, default.over_table())
            }));
            if added.column.not_null {
                end.extend(prove_not_null(cx, &self.table, &added.column.name, steps));
            }
            if !end.is_empty() {
                steps.contract(table, format!("{name} of {table} is what the file says"), end, Vec::new());
            }
        }
        for column in &old {
            if cx.policy.retain {
                steps.contract(
                    table,
                    format!("retire {} of {table} as {}", column.name, column.retired),
                    vec![sql!("ALTER TABLE {} RENAME COLUMN {} TO {}", table, column.name, column.retired)],
                    vec![sql!("ALTER TABLE {} RENAME COLUMN {} TO {}", table, column.retired, column.name)],
                );
                steps.purge(
                    table,
                    format!("drop {} of {table}", column.retired),
                    vec![sql!("ALTER TABLE {} DROP COLUMN {}", table, column.retired)],
                );
            } else {
                steps.contract(
                    table,
                    format!("drop {} of {table}", column.name),
                    vec![sql!("ALTER TABLE {} DROP COLUMN {}", table, column.name)],
                    Vec::new(),
                );
            }
        }
    }

    fn project(&self, catalog: &mut Catalog) {
        let Some(table) = catalog.tables.iter_mut().find(|table| table.name == self.table.name) else { return };
        let gone = |name: &String| self.dropped.iter().any(|dropped| dropped.column.name == *name);
        table.columns.retain(|column| !gone(&column.name));
        table.constraints.retain(|constraint| !constraint.columns.iter().any(gone));
        table.indexes.retain(|index| !index.columns.iter().any(gone));
        table.columns.extend(self.added.iter().map(|added| projected(&added.column)));
    }

    fn claims(&self) -> Vec<Claim> {
        let dropped = self.dropped.iter().map(|dropped| claim(&self.table, &dropped.column.name));
        let added = self.added.iter().map(|added| claim(&self.table, &added.column.name));
        dropped.chain(added).collect()
    }
}

impl Replace {
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
