//! How many rows a statement may reach, as far as its WHERE says.

use pg_query::NodeEnum;
use pg_query::protobuf;

/// What a WHERE leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// There is none: every row.
    All,
    /// It is always true: every row.
    AlwaysTrue,
    /// It names one value of a column called `id`, or a list of such values: few rows.
    Few,
    /// It is never true.
    None,
    /// Any number of rows.
    Some,
}

pub(super) fn reach(filter: Option<&protobuf::Node>) -> Reach {
    let Some(node) = filter.and_then(|filter| filter.node.as_ref()) else { return Reach::All };
    match constant(node) {
        Some(true) => Reach::AlwaysTrue,
        Some(false) => Reach::None,
        None if is_few(node) => Reach::Few,
        None => Reach::Some,
    }
}

/// What a condition of constants says.
fn constant(node: &NodeEnum) -> Option<bool> {
    use protobuf::a_const::Val;
    match node {
        NodeEnum::AConst(constant) => match constant.val.as_ref()? {
            Val::Boolval(value) => Some(value.boolval),
            _ => None,
        },
        NodeEnum::TypeCast(cast) => match cast.arg.as_ref()?.node.as_ref()? {
            NodeEnum::AConst(constant) => match constant.val.as_ref()? {
                Val::Sval(text) => match text.sval.as_str() {
                    "t" | "true" => Some(true),
                    "f" | "false" => Some(false),
                    _ => None,
                },
                Val::Boolval(value) => Some(value.boolval),
                _ => None,
            },
            _ => None,
        },
        NodeEnum::AExpr(expr) => {
            let operand = |node: &Option<Box<protobuf::Node>>| match node.as_ref()?.node.as_ref()? {
                NodeEnum::AConst(constant) => constant.val.clone(),
                _ => None,
            };
            let (left, right) = (operand(&expr.lexpr)?, operand(&expr.rexpr)?);
            match operator(expr).as_str() {
                "=" => Some(left == right),
                "<>" | "!=" => Some(left != right),
                _ => None,
            }
        }
        NodeEnum::BoolExpr(expr) => {
            let mut parts = expr.args.iter().map(|arg| arg.node.as_ref().and_then(constant));
            match expr.boolop() {
                protobuf::BoolExprType::OrExpr => parts.any(|part| part == Some(true)).then_some(true),
                protobuf::BoolExprType::AndExpr => {
                    let parts: Vec<_> = parts.collect();
                    if parts.contains(&Some(false)) {
                        return Some(false);
                    }
                    parts.iter().all(|part| *part == Some(true)).then_some(true)
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn operator(expr: &protobuf::AExpr) -> String {
    super::super::statement::strings(&expr.name).pop().unwrap_or_default()
}

/// `id = 7`, `id IN (1, 2)`, also as one of several conditions that must all hold.
fn is_few(node: &NodeEnum) -> bool {
    match node {
        NodeEnum::AExpr(expr) => {
            use protobuf::AExprKind::AexprIn;
            use protobuf::AExprKind::AexprOp;
            let key = |node: &Option<Box<protobuf::Node>>| match node.as_ref().and_then(|node| node.node.as_ref()) {
                Some(NodeEnum::ColumnRef(column)) => {
                    super::super::statement::strings(&column.fields).last().is_some_and(|name| name == "id")
                }
                _ => false,
            };
            let value = |node: &Option<Box<protobuf::Node>>| match node.as_ref().and_then(|node| node.node.as_ref()) {
                Some(NodeEnum::AConst(_) | NodeEnum::ParamRef(_) | NodeEnum::TypeCast(_)) => true,
                Some(NodeEnum::List(list)) => list.items.len() <= 1000,
                _ => false,
            };
            matches!(expr.kind(), AexprOp | AexprIn)
                && operator(expr) == "="
                && (key(&expr.lexpr) && value(&expr.rexpr) || value(&expr.lexpr) && key(&expr.rexpr))
        }
        NodeEnum::BoolExpr(expr) if expr.boolop() == protobuf::BoolExprType::AndExpr => {
            expr.args.iter().any(|arg| arg.node.as_ref().is_some_and(is_few))
        }
        _ => false,
    }
}
