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
use crate::sql::Literal;
use crate::sql::ServerText;
use crate::sql::Span;
use crate::sql::Sql;
use crate::sql::SqlPart;
use crate::sql::TableName;
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
    /// What its value takes from other tables.
    pub reads: Vec<Claim>,
    /// The sequence that its numbers come from, where it counts.
    pub sequence: Option<TableName>,
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
        base_type: column.base_type.clone(),
        type_modifier: type_modifier(&column.base_type, &column.modifiers),
        not_null: column.not_null,
        default: column.default.as_ref().map(|default| crate::catalog::ColumnDefault {
            expression: ServerText::from_server(default.as_written()),
            volatility: crate::catalog::Volatility::Immutable,
        }),
        ..Column::default()
    }
}

impl Operation for AddColumn {
    fn way(&self) -> Option<&'static str> {
        Some("added empty, filled a part at a time, and made what it is to be at contract")
    }

    fn check(&self, _: &PlanContext<'_>) -> Vec<Finding> {
        unknown_columns(&self.table, &[&self.column.name], &self.up, self.span, "`up`")
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        self.lower_sequence(steps);
        let name = Ident::new(self.column.name.as_str());
        let until = if self.from_default { Until::Verified } else { Until::Contract };
        let default = self.later_default.as_ref().or(self.column.default.as_ref());
        steps.add_column(&self.table.name, self.column.bare.clone());
        if self.sequence.is_none() {
            steps.preflight(preflight_up(&self.table, &self.up, &self.column.type_name, self.span));
        }
        steps.sync(
            &self.table.name,
            Group {
                shape: Shape::Replace,
                old: Vec::new(),
                new: vec![NewColumn {
                    name: name.clone(),
                    type_name: self.column.type_name.clone(),
                    up: self.up.clone(),
                    default: None,
                    not_null: false,
                }],
                until,
                mend: Vec::new(),
                loud: !self.from_default,
                counts: self.sequence.is_some(),
            },
        );
        let set_default = default.map(|default| {
            sql!("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}", self.table.name, name, default.over_table())
        });
        if self.from_default {
            let mut end = Vec::from_iter(set_default);
            if self.column.not_null {
                end.extend(prove_not_null(cx, &self.table, &self.column.name, steps));
            }
            let back = self.numbers(&mut end);
            if !end.is_empty() {
                let says = format!("set the default and the constraints of {name} on {}", self.table.name);
                steps.ddl(Phase::Migrate, &self.table, LockMode::AccessExclusive, says, end, back);
            }
            self.lower_end_of_sequence(steps);
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
        let tree: Vec<TableName> = catalog.tree(&self.table).into_iter().map(|table| table.name.clone()).collect();
        for table in catalog.tables.iter_mut().filter(|table| tree.contains(&table.name)) {
            table.columns.push(projected(&self.column));
        }
    }

    fn claims(&self) -> Vec<Claim> {
        std::iter::once(claim(&self.table, &self.column.name)).chain(self.reads.iter().cloned()).collect()
    }
}

impl AddColumn {
    fn identity(&self) -> Option<&'static str> {
        self.column.numbers.as_ref().and_then(|numbers| numbers.identity)
    }

    /// The sequence comes first: the backfill and the sync take the column's values from it.
    fn lower_sequence(&self, steps: &mut StepsBuilder<'_>) {
        let (Some(sequence), Some(numbers)) = (&self.sequence, &self.column.numbers) else { return };
        let options = numbers.options.clone().unwrap_or_default();
        steps.apart(
            Phase::Expand,
            format!("make the sequence {sequence}"),
            vec![sql!("CREATE SEQUENCE {} AS {} {}", sequence, self.column.type_name, options)],
            vec![sql!("DROP SEQUENCE IF EXISTS {}", sequence)],
        );
    }

    /// What makes the column count by itself, and what takes that back: the sequence is the column's from here on, or gives its numbers to
    /// the one of the identity.
    fn numbers(&self, end: &mut Vec<Sql>) -> Vec<Sql> {
        let (Some(sequence), Some(numbers)) = (&self.sequence, &self.column.numbers) else { return Vec::new() };
        let (table, name) = (&self.table.name, Ident::new(self.column.name.as_str()));
        let Some(identity) = self.identity() else {
            end.push(sql!("ALTER SEQUENCE {} OWNED BY {}.{}", sequence, table, name));
            return vec![sql!("ALTER SEQUENCE {} OWNED BY NONE", sequence)];
        };
        let options = numbers.options.clone().filter(|options| !options.is_empty());
        let options = options.map_or_else(|| sql!(""), |options| sql!(" ({})", options));
        end.push(sql!(
            "ALTER TABLE {} ALTER COLUMN {} ADD GENERATED {} AS IDENTITY{}",
            table,
            name,
            ServerText::from_server(identity),
            options
        ));
        end.push(sql!(
            "SELECT pg_catalog.setval(pg_catalog.pg_get_serial_sequence({}, {})::pg_catalog.regclass, last_value, is_called) FROM {}",
            Literal(sql!("{}", table).to_string()),
            Literal(self.column.name.clone()),
            sequence
        ));
        // The sync is off by now: rows that are written until the column goes have no number.
        vec![
            sql!("ALTER TABLE {} ALTER COLUMN {} DROP IDENTITY IF EXISTS", table, name),
            sql!("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL", table, name),
        ]
    }

    /// An identity column has a sequence of its own; ours has done its work.
    fn lower_end_of_sequence(&self, steps: &mut StepsBuilder<'_>) {
        if let (Some(sequence), Some(_)) = (&self.sequence, self.identity()) {
            let says = format!("drop the sequence {sequence}, which nothing uses any more");
            steps.apart(Phase::Migrate, says, vec![sql!("DROP SEQUENCE {}", sequence)], Vec::new());
        }
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
