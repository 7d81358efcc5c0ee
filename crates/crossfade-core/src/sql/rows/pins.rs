//! Columns that a WHERE compares with given values: where they make up a unique key, few rows are found.

use pg_query::NodeEnum;
use pg_query::protobuf;

/// The most values of a list that pins a column.
const MOST_PINS: usize = 1000;

/// The columns that a WHERE compares with given values.
pub(super) fn pinned(filter: Option<&protobuf::Node>) -> Vec<String> {
    let Some(node) = filter.and_then(|filter| filter.node.as_ref()) else { return Vec::new() };
    match node {
        NodeEnum::BoolExpr(expr) if expr.boolop() == protobuf::BoolExprType::AndExpr => {
            expr.args.iter().flat_map(|arg| pinned(Some(arg))).collect()
        }
        NodeEnum::AExpr(expr) => {
            let equals = matches!(expr.kind(), protobuf::AExprKind::AexprOp | protobuf::AExprKind::AexprIn)
                && expr.name.iter().all(|name| matches!(&name.node, Some(NodeEnum::String(text)) if text.sval == "="));
            let column = |side: Option<&protobuf::Node>| match side.and_then(|side| side.node.as_ref()) {
                Some(NodeEnum::ColumnRef(column)) => match column.fields.last().and_then(|field| field.node.as_ref()) {
                    Some(NodeEnum::String(text)) => Some(text.sval.clone()),
                    _ => None,
                },
                _ => None,
            };
            let (left, right) = (expr.lexpr.as_deref(), expr.rexpr.as_deref());
            match (column(left), column(right)) {
                (Some(name), None) if equals && given(right) => vec![name],
                (None, Some(name)) if equals && given(left) => vec![name],
                _ => Vec::new(),
            }
        }
        _ => Vec::new(),
    }
}

/// Whether it is a value, or a short list of values.
fn given(node: Option<&protobuf::Node>) -> bool {
    match node.and_then(|node| node.node.as_ref()) {
        Some(NodeEnum::AConst(_)) => true,
        Some(NodeEnum::TypeCast(cast)) => given(cast.arg.as_deref()),
        Some(NodeEnum::List(list)) => list.items.len() <= MOST_PINS && list.items.iter().all(|item| given(Some(item))),
        _ => false,
    }
}
