//! Whether the server takes two indexes for the same, as it does when it looks for an index of a partition that it can attach.
//!
//! Source: PostgreSQL's CompareIndexInfo. Order of the keys (DESC, NULLS FIRST), storage parameters and tablespaces do not count.

use pg_query::NodeEnum;
use pg_query::protobuf;

use super::Expr;
use super::rewrite::IndexDefinition;

/// What two definitions tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sameness {
    /// The server takes them for the same.
    Same,
    /// It depends on what only the server knows: a default operator class or collation, or how it writes an expression.
    Unclear,
    /// It takes them for different ones.
    Different,
}

use Sameness::Different;
use Sameness::Same;
use Sameness::Unclear;

impl IndexDefinition {
    /// Compares two definitions; columns of the same name are the same column.
    pub fn compare(&self, other: &IndexDefinition) -> Sameness {
        let (a, b) = (self.statement(), other.statement());
        let method = |statement: &protobuf::IndexStmt| match statement.access_method.as_str() {
            "" => "btree".to_owned(),
            method => method.to_owned(),
        };
        let include = |statement: &protobuf::IndexStmt| {
            elements(&statement.index_including_params).map(|element| element.name.clone()).collect::<Vec<_>>()
        };
        let alike = a.unique == b.unique
            && a.nulls_not_distinct == b.nulls_not_distinct
            && method(a) == method(b)
            && a.index_params.len() == b.index_params.len()
            && include(a) == include(b)
            && a.where_clause.is_some() == b.where_clause.is_some();
        if !alike {
            return Different;
        }
        let keys = elements(&a.index_params).zip(elements(&b.index_params)).map(|(a, b)| compare_keys(a, b));
        let predicate = match (&a.where_clause, &b.where_clause) {
            (Some(a), Some(b)) => compare_expressions(a, b),
            (None, _) | (_, None) => Same,
        };
        keys.max().unwrap_or(Same).max(predicate)
    }
}

fn elements(nodes: &[protobuf::Node]) -> impl Iterator<Item = &protobuf::IndexElem> {
    nodes.iter().filter_map(|node| match node.node.as_ref() {
        Some(NodeEnum::IndexElem(element)) => Some(element.as_ref()),
        _ => None,
    })
}

/// The column of a key that is nothing but a column, also where it is written as an expression.
fn column(element: &protobuf::IndexElem) -> Option<String> {
    if !element.name.is_empty() {
        return Some(element.name.clone());
    }
    match element.expr.as_ref()?.node.as_ref()? {
        NodeEnum::ColumnRef(reference) => match reference.fields.last()?.node.as_ref()? {
            NodeEnum::String(name) => Some(name.sval.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn compare_keys(a: &protobuf::IndexElem, b: &protobuf::IndexElem) -> Sameness {
    let what = match (column(a), column(b), &a.expr, &b.expr) {
        (Some(a), Some(b), _, _) if a == b => Same,
        (None, None, Some(a), Some(b)) => compare_expressions(a, b),
        _ => Different,
    };
    let names = |nodes: &[protobuf::Node]| {
        nodes
            .iter()
            .filter_map(|node| match node.node.as_ref() {
                Some(NodeEnum::String(name)) => Some(name.sval.clone()),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    let (mine, other) = (names(&a.opclass), names(&b.opclass));
    let never_default = |names: &[String]| {
        names.last().is_some_and(|name| {
            name.ends_with("_pattern_ops") || name.ends_with("_path_ops") || name.ends_with("_trgm_ops")
        })
    };
    let opclass = if mine == other {
        Same
    } else if never_default(&mine) || never_default(&other) {
        Different
    } else {
        Unclear
    };
    let collation = if names(&a.collation) == names(&b.collation) { Same } else { Unclear };
    what.max(opclass).max(collation)
}

/// The server adds casts and brackets to what was written; the same columns may mean the same expression.
fn compare_expressions(a: &protobuf::Node, b: &protobuf::Node) -> Sameness {
    let (Some(a), Some(b)) = (Expr::from_node(a), Expr::from_node(b)) else { return Unclear };
    let columns = |expr: &Expr| expr.columns().map(|found| found.column.clone()).collect::<Vec<_>>();
    if a.over_table() == b.over_table() {
        Same
    } else if columns(&a) == columns(&b) {
        Unclear
    } else {
        Different
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_compared_as_the_server_does() {
        let check = |written: &str, there: &str, expected: Sameness| {
            let parse = |text: &str| IndexDefinition::parse_text(&format!("CREATE {text}")).expect("it is an index");
            assert_eq!(parse(written).compare(&parse(there)), expected, "{written} / {there}");
        };
        check("INDEX ON p (v)", "INDEX x ON s.t USING btree (v DESC) WITH (fillfactor='90')", Same);
        check("INDEX ON p ((v))", "INDEX x ON t USING btree (v)", Same);
        check("INDEX ON p (v)", "UNIQUE INDEX x ON t USING btree (v)", Different);
        check("INDEX ON p (v)", "INDEX x ON t USING hash (v)", Different);
        check("INDEX ON p (v)", "INDEX x ON t USING btree (v, w)", Different);
        check("INDEX ON p (v)", "INDEX x ON t USING btree (v) INCLUDE (w)", Different);
        check("INDEX ON p (v)", "INDEX x ON t USING btree (v) WHERE (v > 1)", Different);
        check("INDEX ON p (v)", "INDEX x ON t USING btree (v text_pattern_ops)", Different);
        check("INDEX ON p (v text_ops)", "INDEX x ON t USING btree (v)", Unclear);
        check("INDEX ON p (v COLLATE \"C\")", "INDEX x ON t USING btree (v)", Unclear);
        check("INDEX ON p (lower(v))", "INDEX x ON t USING btree (lower((v)::text))", Unclear);
        check("INDEX ON p (lower(v))", "INDEX x ON t USING btree (lower(v))", Same);
        check("INDEX ON p (lower(v))", "INDEX x ON t USING btree (lower(w))", Different);
        check("INDEX ON p (v) WHERE v > 1", "INDEX x ON t USING btree (v) WHERE (v > 1)", Same);
    }
}
