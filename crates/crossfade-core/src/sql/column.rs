//! A column as `ADD COLUMN` and `CREATE TABLE` define it.

use pg_query::NodeEnum;
use pg_query::protobuf;
use pg_query::protobuf::ConstrType;

use super::ConstraintDefinition;
use super::Expr;
use super::Ident;
use super::Sql;
use super::constraint::constraint_definition;
use super::rewrite::deparse;
use super::rewrite::deparse_type;
use super::statement::strings;
use crate::sql;

/// A column as `ADD COLUMN` defines it.
#[derive(Clone, Debug)]
pub struct ColumnDefinition {
    /// Its name.
    pub name: String,
    /// Its type; of a `serial` the integer type behind it.
    pub type_name: Sql,
    /// The type's name without a schema and modifiers.
    pub base_type: String,
    /// The type's schema where it is written.
    pub type_schema: Option<String>,
    /// The type's modifiers, where they are plain numbers.
    pub modifiers: Vec<i64>,
    /// Name, type, collation, storage and compression: the column without anything that its rows would have to obey.
    pub bare: Sql,
    /// `NOT NULL`, also where it follows from something else.
    pub not_null: bool,
    /// `DEFAULT`.
    pub default: Option<Expr>,
    /// Whether the default holds something that the parser can't show as an expression.
    pub odd_default: bool,
    /// CHECK, UNIQUE, PRIMARY KEY and REFERENCES that are written with the column.
    pub constraints: Vec<ConstraintDefinition>,
    /// Where its numbers come from: `serial` and `IDENTITY`.
    pub numbers: Option<Numbers>,
    /// `GENERATED ALWAYS AS (…)`.
    pub generated: Option<Generated>,
}

/// A column that counts.
#[derive(Clone, Debug)]
pub struct Numbers {
    /// `ALWAYS` or `BY DEFAULT` of an identity column; none for `serial`.
    pub identity: Option<&'static str>,
    /// The options of its sequence, as CREATE SEQUENCE takes them. None where they are not understood.
    pub options: Option<Sql>,
}

/// When a generated column is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generated {
    /// When the row is written.
    Stored,
    /// When it is read, PostgreSQL 18 and up.
    Virtual,
}

pub(super) fn base_type(type_name: Option<&protobuf::TypeName>) -> String {
    type_name.and_then(|type_name| strings(&type_name.names).last().cloned()).unwrap_or_default()
}

pub(super) fn modifiers(type_name: Option<&protobuf::TypeName>) -> Vec<i64> {
    let nodes = type_name.map(|type_name| type_name.typmods.as_slice()).unwrap_or_default();
    nodes
        .iter()
        .filter_map(|node| match node.node.as_ref() {
            Some(NodeEnum::AConst(constant)) => match constant.val.as_ref() {
                Some(protobuf::a_const::Val::Ival(number)) => Some(i64::from(number.ival)),
                _ => None,
            },
            _ => None,
        })
        .collect()
}

pub(super) fn collation(def: &protobuf::ColumnDef) -> Option<Sql> {
    let names = strings(&def.coll_clause.as_ref()?.collname);
    let parts = names.iter().map(|name| sql!("{}", Ident::new(name.as_str())));
    Some(Sql::join(parts, "."))
}

/// The integer type behind a `serial`.
fn serial(base_type: &str) -> Option<(&'static str, Sql)> {
    match base_type {
        "serial" | "serial4" => Some(("int4", sql!("integer"))),
        "bigserial" | "serial8" => Some(("int8", sql!("bigint"))),
        "smallserial" | "serial2" => Some(("int2", sql!("smallint"))),
        _ => None,
    }
}

pub(super) fn column_definition(def: &protobuf::ColumnDef) -> Option<ColumnDefinition> {
    let written = def.type_name.as_ref()?;
    let names = strings(&written.names);
    let counted = serial(names.last()?).filter(|_| names.len() == 1);
    let (base, type_name) = match &counted {
        Some((base, type_name)) => ((*base).to_owned(), type_name.clone()),
        None => (base_type(Some(written)), deparse_type(written)?),
    };
    let mut column = ColumnDefinition {
        name: def.colname.clone(),
        bare: bare(def, &type_name)?,
        type_name,
        base_type: base,
        type_schema: names.len().checked_sub(2).and_then(|at| names.get(at)).cloned(),
        modifiers: modifiers(Some(written)),
        not_null: def.is_not_null || counted.is_some(),
        default: None,
        odd_default: false,
        constraints: Vec::new(),
        numbers: counted.map(|_| Numbers { identity: None, options: Some(sql!("")) }),
        generated: None,
    };
    for node in &def.constraints {
        let Some(NodeEnum::Constraint(constraint)) = node.node.as_ref() else { continue };
        match constraint.contype() {
            ConstrType::ConstrNotnull => column.not_null = true,
            ConstrType::ConstrDefault => match constraint.raw_expr.as_ref().and_then(|node| Expr::from_node(node)) {
                Some(default) => column.default = Some(default),
                None => column.odd_default = true,
            },
            ConstrType::ConstrIdentity => {
                let identity = if constraint.generated_when == "a" { "ALWAYS" } else { "BY DEFAULT" };
                column.not_null = true;
                column.numbers =
                    Some(Numbers { identity: Some(identity), options: sequence_options(&constraint.options) });
            }
            ConstrType::ConstrGenerated => {
                let stored = constraint.generated_kind != "v";
                column.generated = Some(if stored { Generated::Stored } else { Generated::Virtual });
            }
            ConstrType::ConstrCheck | ConstrType::ConstrUnique | ConstrType::ConstrForeign => {
                column.constraints.push(constraint_definition(constraint));
            }
            ConstrType::ConstrPrimary => {
                column.not_null = true;
                column.constraints.push(constraint_definition(constraint));
            }
            _ => {}
        }
    }
    Some(column)
}

/// The definition without default, NOT NULL, constraints and anything that computes it.
fn bare(def: &protobuf::ColumnDef, type_name: &Sql) -> Option<Sql> {
    let collation = collation(def).map_or_else(|| sql!(""), |collation| sql!(" COLLATE {}", collation));
    let word = |word: &str| {
        let known = word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        known.then(|| Sql::from_source(word))
    };
    let mut clauses = Vec::new();
    if !def.storage_name.is_empty() {
        clauses.push(sql!(" STORAGE {}", word(&def.storage_name)?));
    }
    if !def.compression.is_empty() {
        clauses.push(sql!(" COMPRESSION {}", word(&def.compression)?));
    }
    Some(sql!("{} {}{}{}", Ident::new(def.colname.as_str()), type_name, Sql::join(clauses, ""), collation))
}

/// The options of an identity column's sequence. None where one is among them that CREATE SEQUENCE does not take.
fn sequence_options(options: &[protobuf::Node]) -> Option<Sql> {
    let named = options.iter().any(|node| match node.node.as_ref() {
        Some(NodeEnum::DefElem(element)) => element.defname == "sequence_name",
        _ => true,
    });
    if named {
        return None;
    }
    let sequence = protobuf::RangeVar {
        relname: "x".to_owned(),
        inh: true,
        relpersistence: "p".to_owned(),
        ..protobuf::RangeVar::default()
    };
    let create = protobuf::CreateSeqStmt {
        sequence: Some(sequence),
        options: options.to_vec(),
        ..protobuf::CreateSeqStmt::default()
    };
    let text = deparse(NodeEnum::CreateSeqStmt(create))?;
    text.strip_prefix("CREATE SEQUENCE x").map(|rest| Sql::from_source(rest.trim()))
}
