//! A constraint as `ADD CONSTRAINT` defines it.

use pg_query::NodeEnum;
use pg_query::protobuf;
use pg_query::protobuf::ConstrType;

use super::Expr;
use super::IndexDefinition;
use super::ObjectRef;
use super::statement::object;
use super::statement::strings;

/// A constraint that is added to an existing table.
#[derive(Clone, Debug)]
pub struct ConstraintDefinition {
    /// Its name where it is given.
    pub name: Option<String>,
    /// What it is.
    pub form: ConstraintForm,
    /// The columns that it speaks of; of an EXCLUDE as far as they are plain.
    pub columns: Vec<String>,
    /// `NOT VALID`.
    pub not_valid: bool,
    /// `USING INDEX`.
    pub using_index: Option<String>,
}

/// The forms of constraints.
#[derive(Clone, Debug)]
pub enum ConstraintForm {
    /// `CHECK`, with its condition where it can be shown as an expression.
    Check(Option<Expr>),
    /// `FOREIGN KEY`.
    ForeignKey(Box<ForeignKeyDefinition>),
    /// `UNIQUE`.
    Unique(Box<KeyDefinition>),
    /// `PRIMARY KEY`.
    PrimaryKey(Box<KeyDefinition>),
    /// `EXCLUDE`.
    Exclude,
    /// `NOT NULL` with a name, PostgreSQL 18 and up.
    NotNull,
}

/// What stands behind a FOREIGN KEY.
#[derive(Clone, Debug)]
pub struct ForeignKeyDefinition {
    /// The table that it points to.
    pub references: Option<ObjectRef>,
    /// The columns that it points to; empty where they are left to that table's primary key.
    pub referenced_columns: Vec<String>,
    /// `MATCH FULL`.
    pub full: bool,
    /// Whether it refuses a DELETE of what is pointed to, and does nothing of its own then.
    pub refuses_delete: bool,
    /// Whether it refuses that the columns that are pointed to change.
    pub refuses_update: bool,
    /// Whether it may be checked at commit.
    pub deferrable: bool,
    /// Whether it is checked at all.
    pub enforced: bool,
    /// `PERIOD`: ranges of time point to others.
    pub period: bool,
}

/// What stands behind a UNIQUE or a PRIMARY KEY.
#[derive(Clone, Debug)]
pub struct KeyDefinition {
    /// The index that enforces it, without a name and a table.
    pub index: IndexDefinition,
    /// When it is checked.
    pub timing: Timing,
    /// `NULLS NOT DISTINCT`.
    pub nulls_not_distinct: bool,
    /// `WITHOUT OVERLAPS`: it needs an index that is no btree.
    pub without_overlaps: bool,
}

/// When a constraint is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// At once, always.
    Immediate,
    /// `DEFERRABLE`: at once, unless a session defers it.
    Deferrable,
    /// `DEFERRABLE INITIALLY DEFERRED`: at commit.
    Deferred,
}

impl Timing {
    /// As it is written behind a constraint.
    pub fn sql(self) -> super::Sql {
        match self {
            Timing::Immediate => crate::sql!(""),
            Timing::Deferrable => crate::sql!(" DEFERRABLE"),
            Timing::Deferred => crate::sql!(" DEFERRABLE INITIALLY DEFERRED"),
        }
    }
}

pub(super) fn constraint_definition(constraint: &protobuf::Constraint) -> ConstraintDefinition {
    let check = || constraint.raw_expr.as_ref().and_then(|node| Expr::from_node(node));
    let (form, columns) = match constraint.contype() {
        ConstrType::ConstrCheck => {
            let condition = check();
            let mut columns: Vec<String> = Vec::new();
            for column_use in condition.iter().flat_map(Expr::columns) {
                if !columns.contains(&column_use.column) {
                    columns.push(column_use.column.clone());
                }
            }
            (ConstraintForm::Check(condition), columns)
        }
        ConstrType::ConstrForeign => {
            (ConstraintForm::ForeignKey(Box::new(foreign_key(constraint))), strings(&constraint.fk_attrs))
        }
        ConstrType::ConstrUnique => (ConstraintForm::Unique(Box::new(key(constraint))), strings(&constraint.keys)),
        ConstrType::ConstrPrimary => (ConstraintForm::PrimaryKey(Box::new(key(constraint))), strings(&constraint.keys)),
        ConstrType::ConstrExclusion => (ConstraintForm::Exclude, excluded(constraint)),
        _ => (ConstraintForm::NotNull, strings(&constraint.keys)),
    };
    ConstraintDefinition {
        name: (!constraint.conname.is_empty()).then(|| constraint.conname.clone()),
        form,
        columns,
        not_valid: constraint.skip_validation,
        using_index: (!constraint.indexname.is_empty()).then(|| constraint.indexname.clone()),
    }
}

fn key(constraint: &protobuf::Constraint) -> KeyDefinition {
    let element = |name: String| {
        let element = protobuf::IndexElem {
            name,
            ordering: protobuf::SortByDir::SortbyDefault as i32,
            nulls_ordering: protobuf::SortByNulls::SortbyNullsDefault as i32,
            ..protobuf::IndexElem::default()
        };
        protobuf::Node { node: Some(NodeEnum::IndexElem(Box::new(element))) }
    };
    let statement = protobuf::IndexStmt {
        relation: Some(protobuf::RangeVar {
            inh: true,
            relpersistence: "p".to_owned(),
            ..protobuf::RangeVar::default()
        }),
        access_method: "btree".to_owned(),
        table_space: constraint.indexspace.clone(),
        index_params: strings(&constraint.keys).into_iter().map(element).collect(),
        index_including_params: strings(&constraint.including).into_iter().map(element).collect(),
        options: constraint.options.clone(),
        unique: true,
        nulls_not_distinct: constraint.nulls_not_distinct,
        ..protobuf::IndexStmt::default()
    };
    let timing = match (constraint.deferrable, constraint.initdeferred) {
        (_, true) => Timing::Deferred,
        (true, false) => Timing::Deferrable,
        (false, false) => Timing::Immediate,
    };
    KeyDefinition {
        index: IndexDefinition::from_statement(&statement),
        timing,
        nulls_not_distinct: constraint.nulls_not_distinct,
        without_overlaps: constraint.without_overlaps,
    }
}

fn foreign_key(constraint: &protobuf::Constraint) -> ForeignKeyDefinition {
    // NO ACTION and RESTRICT.
    let refuses = |action: &str| matches!(action, "a" | "r" | "");
    ForeignKeyDefinition {
        references: constraint.pktable.as_ref().map(|table| object(Some(table))),
        referenced_columns: strings(&constraint.pk_attrs),
        full: constraint.fk_matchtype == "f",
        refuses_delete: refuses(&constraint.fk_del_action),
        refuses_update: refuses(&constraint.fk_upd_action),
        deferrable: constraint.deferrable,
        enforced: constraint.is_enforced,
        period: constraint.fk_with_period || constraint.pk_with_period,
    }
}

fn excluded(constraint: &protobuf::Constraint) -> Vec<String> {
    let elements = constraint.exclusions.iter().filter_map(|node| match node.node.as_ref() {
        Some(NodeEnum::List(pair)) => pair.items.first(),
        _ => None,
    });
    let names = elements.filter_map(|node| match node.node.as_ref() {
        Some(NodeEnum::IndexElem(element)) => Some(element.name.clone()),
        _ => None,
    });
    names.filter(|name| !name.is_empty()).collect()
}
