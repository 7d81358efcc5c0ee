//! ADD COLUMN that is not instant by itself: a volatile default (it would rewrite the table), or a value for existing rows.
//!
//! What is instant (nullable; a default that is the same for all rows, PostgreSQL 11 and up) runs as written.

use super::Operation;
use super::claim;
use super::unknown_columns;
use crate::catalog::Catalog;
use crate::catalog::Column;
use crate::catalog::Table;
use crate::finding::Finding;
use crate::lock::LockMode;
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
use crate::sql::ServerText;
use crate::sql::Span;
use crate::sql::Sql;
use crate::sql::SqlPart;
use crate::step::Claim;
use crate::step::Phase;
use crate::step::Preflight;
use crate::step::Validate;

/// A column that is added and filled.
#[derive(Clone, Debug)]
pub(super) struct AddColumn {
    pub table: Table,
    pub column: ColumnDefinition,
    pub span: Span,
    /// The value for existing rows, and whether it is the column's own volatile default.
    pub up: Expr,
    pub from_default: bool,
    /// `SET DEFAULT` that stands later in the file.
    pub later_default: Option<Expr>,
}

/// How a column of this definition is added while no value is known: its type, without default and NOT NULL.
pub(super) fn bare(column: &ColumnDefinition) -> Sql {
    let collation =
        column.collation.as_ref().map(|collation| sql!(" COLLATE {}", collation)).unwrap_or_else(|| sql!(""));
    sql!("{} {}{}", Ident::new(column.name.as_str()), column.type_name, collation)
}

/// A type's modifier as the catalog keeps it (`atttypmod`). Source: the typmod functions of each type.
pub(super) fn type_modifier(base_type: &str, modifiers: &[i64]) -> i32 {
    match (base_type, modifiers) {
        ("varchar" | "bpchar", [size]) => i32::try_from(*size).map_or(-1, |size| size + 4),
        ("numeric", [precision, rest @ ..]) => {
            let scale = rest.first().copied().unwrap_or(0) & 0x7ff;
            i32::try_from((precision << 16) | scale).map_or(-1, |packed| packed + 4)
        }
        ("varbit" | "bit" | "time" | "timetz" | "timestamp" | "timestamptz", [size]) => {
            i32::try_from(*size).unwrap_or(-1)
        }
        _ => -1,
    }
}

/// The column as it will be in the catalog.
pub(super) fn projected(column: &ColumnDefinition) -> Column {
    let mut type_name = String::new();
    column.type_name.write_sql(&mut type_name);
    Column {
        name: column.name.clone(),
        type_name: ServerText::from_server(type_name),
        base_type: match column.base_type.as_str() {
            "serial" | "serial4" => "int4".to_owned(),
            "bigserial" | "serial8" => "int8".to_owned(),
            "smallserial" | "serial2" => "int2".to_owned(),
            _ => column.base_type.clone(),
        },
        type_modifier: type_modifier(&column.base_type, &column.modifiers),
        not_null: column.not_null
            || column.extras.iter().any(|extra| matches!(*extra, "serial" | "PRIMARY KEY" | "IDENTITY")),
        default: column.default.as_ref().map(|default| crate::catalog::ColumnDefault {
            expression: ServerText::from_server(default.as_written()),
            volatility: crate::catalog::Volatility::Immutable,
        }),
        ..Column::default()
    }
}

impl Operation for AddColumn {
    fn check(&self, _: &PlanContext<'_>) -> Vec<Finding> {
        unknown_columns(&self.table, &[&self.column.name], &self.up, self.span, "`up`")
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let name = Ident::new(self.column.name.as_str());
        let until = if self.from_default { Until::Verified } else { Until::Contract };
        steps.add_column(&self.table.name, bare(&self.column));
        steps.preflight(preflight_up(&self.table, &self.up, &self.column.type_name, self.span));
        steps.sync(
            &self.table.name,
            Group {
                shape: Shape::Replace,
                old: Vec::new(),
                new: vec![NewColumn {
                    name: name.clone(),
                    type_name: self.column.type_name.clone(),
                    up: self.up.clone(),
                }],
                until,
                mend: None,
                loud: !self.from_default,
            },
        );
        let default = self.later_default.as_ref().or(self.column.default.as_ref());
        let set_default = default.map(|default| {
            sql!("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}", self.table.name, name, default.over_table())
        });
        if self.from_default {
            let mut end = Vec::from_iter(set_default);
            if self.column.not_null {
                end.extend(prove_not_null(cx, &self.table, &self.column.name, steps));
            }
            if !end.is_empty() {
                let says = format!("set the default and the constraints of {name} on {}", self.table.name);
                steps.ddl(Phase::Migrate, &self.table, LockMode::AccessExclusive, says, end, Vec::new());
            }
            return;
        }
        let mut end = Vec::from_iter(set_default);
        if self.column.not_null {
            end.extend(prove_not_null(cx, &self.table, &self.column.name, steps));
        }
        steps.contract(
            &self.table.name,
            format!("{name} of {} is what the file says; old rows need no help any more", self.table.name),
            end,
            Vec::new(),
        );
    }

    fn project(&self, catalog: &mut Catalog) {
        if let Some(table) = catalog.tables.iter_mut().find(|table| table.name == self.table.name) {
            table.columns.push(projected(&self.column));
        }
    }

    fn claims(&self) -> Vec<Claim> {
        vec![claim(&self.table, &self.column.name)]
    }
}

/// Adds the steps that prove a column to hold no NULL, and returns the statements that make use of the proof: SET NOT NULL without a
/// scan.
///
/// Source: reference B6: a validated CHECK lets SET NOT NULL skip its scan, PostgreSQL 12 and up.
pub(super) fn prove_not_null(
    cx: &PlanContext<'_>,
    table: &Table,
    column: &str,
    steps: &mut StepsBuilder<'_>,
) -> Vec<Sql> {
    let check = cx.own_name("nn", column);
    let name = Ident::new(column);
    steps.ddl(
        Phase::Migrate,
        table,
        LockMode::AccessExclusive,
        format!("enforce {}.{column} IS NOT NULL for new writes", table.name),
        vec![sql!("ALTER TABLE {} ADD CONSTRAINT {} CHECK ({} IS NOT NULL) NOT VALID", table.name, check, name)],
        vec![sql!("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", table.name, check)],
    );
    steps.validate(
        Phase::Migrate,
        table,
        format!("prove that {}.{column} holds no NULL", table.name),
        Validate {
            sql: sql!("ALTER TABLE {} VALIDATE CONSTRAINT {}", table.name, check),
            help: format!("a row has NULL in {column}: give it a value, then run `crossfade migrate` again"),
        },
    );
    vec![
        sql!("ALTER TABLE {} ALTER COLUMN {} SET NOT NULL", table.name, name),
        sql!("ALTER TABLE {} DROP CONSTRAINT {}", table.name, check),
    ]
}

/// The server must accept the value before anything is changed.
pub(super) fn preflight_up(table: &Table, up: &Expr, type_name: &Sql, span: Span) -> Preflight {
    Preflight {
        query: sql!("SELECT ({}::{})::text FROM ONLY {} LIMIT 0", up.over_table(), type_name, table.name),
        finding: Finding::error(
            "expression",
            span,
            format!("the server refuses the new column's value {}", up.as_written()),
        ),
    }
}
