//! A partitioned table's key and a partition's bound, read from the server's text or from a statement.

use pg_query::NodeEnum;
use pg_query::protobuf;

use super::Expr;
use super::ServerText;

/// Which rows a partition takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartitionBound {
    /// Those that no other partition takes.
    Default,
    /// `WITH (MODULUS …, REMAINDER …)`.
    Hash {
        /// The modulus.
        modulus: i32,
        /// The remainder.
        remainder: i32,
    },
    /// `IN (…)`; none stands for NULL.
    List(Vec<Option<Expr>>),
    /// `FROM (…) TO (…)`.
    Range {
        /// The lower end, which belongs to it.
        from: Vec<RangeEnd>,
        /// The upper end, which does not.
        to: Vec<RangeEnd>,
    },
}

/// One column's part of the end of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeEnd {
    /// `MINVALUE`.
    Min,
    /// A value.
    Value(Expr),
    /// `MAXVALUE`.
    Max,
}

impl PartitionBound {
    /// Reads `FOR VALUES …` or `DEFAULT`, as `pg_get_expr` returns it. None where a value is computed.
    pub fn parse(text: &ServerText) -> Option<PartitionBound> {
        let wrapped = format!("ALTER TABLE x ATTACH PARTITION y {}", text.as_str());
        let parsed = pg_query::parse(&wrapped, 0).ok()?;
        let NodeEnum::AlterTableStmt(alter) = parsed.protobuf.stmts.into_iter().next()?.stmt?.node? else {
            return None;
        };
        let NodeEnum::AlterTableCmd(command) = alter.cmds.into_iter().next()?.node? else { return None };
        let NodeEnum::PartitionCmd(partition) = command.def?.node? else { return None };
        PartitionBound::from_spec(partition.bound.as_ref()?)
    }

    pub(super) fn from_spec(spec: &protobuf::PartitionBoundSpec) -> Option<PartitionBound> {
        if spec.is_default {
            return Some(PartitionBound::Default);
        }
        match spec.strategy.as_str() {
            "h" => Some(PartitionBound::Hash { modulus: spec.modulus, remainder: spec.remainder }),
            "l" => {
                let values = spec.listdatums.iter().map(|node| match node.node.as_ref()? {
                    NodeEnum::AConst(constant) if constant.isnull => Some(None),
                    _ => literal(node).map(Some),
                });
                values.collect::<Option<_>>().map(PartitionBound::List)
            }
            "r" => Some(PartitionBound::Range { from: ends(&spec.lowerdatums)?, to: ends(&spec.upperdatums)? }),
            _ => None,
        }
    }
}

fn ends(nodes: &[protobuf::Node]) -> Option<Vec<RangeEnd>> {
    nodes.iter().map(end).collect()
}

/// The parser takes MINVALUE and MAXVALUE for columns.
fn end(node: &protobuf::Node) -> Option<RangeEnd> {
    if let Some(NodeEnum::ColumnRef(column)) = node.node.as_ref()
        && let [only] = column.fields.as_slice()
        && let Some(NodeEnum::String(name)) = only.node.as_ref()
    {
        return match name.sval.as_str() {
            "minvalue" => Some(RangeEnd::Min),
            "maxvalue" => Some(RangeEnd::Max),
            _ => None,
        };
    }
    literal(node).map(RangeEnd::Value)
}

fn literal(node: &protobuf::Node) -> Option<Expr> {
    if is_literal(node) { Expr::from_node(node) } else { None }
}

/// How a table is partitioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionStrategy {
    /// `RANGE`.
    Range,
    /// `LIST`.
    List,
    /// `HASH`.
    Hash,
}

/// A partition key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionKey {
    /// How it parts.
    pub strategy: PartitionStrategy,
    /// Its columns and expressions.
    pub parts: Vec<KeyPart>,
}

/// A part of a partition key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPart {
    /// What is looked at.
    pub value: Expr,
    /// The column, where it is nothing else.
    pub column: Option<String>,
    /// Whether a collation or an operator class is written.
    pub special: bool,
}

impl PartitionKey {
    /// Reads `RANGE (…)`, `LIST (…)` or `HASH (…)`, as `pg_get_partkeydef` returns it.
    pub fn parse(text: &ServerText) -> Option<PartitionKey> {
        let wrapped = format!("CREATE TABLE x () PARTITION BY {}", text.as_str());
        let parsed = pg_query::parse(&wrapped, 0).ok()?;
        let NodeEnum::CreateStmt(create) = parsed.protobuf.stmts.into_iter().next()?.stmt?.node? else { return None };
        let spec = create.partspec?;
        let strategy = match spec.strategy() {
            protobuf::PartitionStrategy::Range => PartitionStrategy::Range,
            protobuf::PartitionStrategy::List => PartitionStrategy::List,
            protobuf::PartitionStrategy::Hash => PartitionStrategy::Hash,
            protobuf::PartitionStrategy::Undefined => return None,
        };
        let parts = spec.part_params.iter().map(|node| match node.node.as_ref()? {
            NodeEnum::PartitionElem(element) => {
                let column = (!element.name.is_empty()).then(|| element.name.clone());
                let value = match &column {
                    Some(name) => Expr::column(name),
                    None => Expr::from_node(element.expr.as_ref()?)?,
                };
                let special = !element.collation.is_empty() || !element.opclass.is_empty();
                Some(KeyPart { value, column, special })
            }
            _ => None,
        });
        Some(PartitionKey { strategy, parts: parts.collect::<Option<_>>()? })
    }
}

/// Whether a bound's value is written as it is, and not computed.
fn is_literal(node: &protobuf::Node) -> bool {
    match node.node.as_ref() {
        Some(NodeEnum::AConst(_)) => true,
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref().is_some_and(is_literal),
        Some(NodeEnum::AExpr(expr)) => expr.lexpr.is_none() && expr.rexpr.as_deref().is_some_and(is_literal),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read() {
        let check = |text: &str, expected: &str| {
            let bound = PartitionBound::parse(&ServerText::from_server(text)).expect(text);
            let value = |value: &Expr| value.over_table().to_string();
            let end = |end: &RangeEnd| match end {
                RangeEnd::Min => "min".to_owned(),
                RangeEnd::Max => "max".to_owned(),
                RangeEnd::Value(found) => value(found),
            };
            let all = |ends: &[RangeEnd]| ends.iter().map(end).collect::<Vec<_>>().join(",");
            let said = match bound {
                PartitionBound::Default => "default".to_owned(),
                PartitionBound::Hash { modulus, remainder } => format!("{remainder} of {modulus}"),
                PartitionBound::List(values) => values
                    .iter()
                    .map(|found| found.as_ref().map_or_else(|| "NULL".to_owned(), value))
                    .collect::<Vec<_>>()
                    .join(","),
                PartitionBound::Range { from, to } => format!("{} to {}", all(&from), all(&to)),
            };
            assert_eq!(said, expected);
        };
        check("DEFAULT", "default");
        check("FOR VALUES WITH (modulus 4, remainder 1)", "1 of 4");
        check("FOR VALUES IN ('a', NULL)", "('a'),NULL");
        check("FOR VALUES FROM (MINVALUE, 0) TO ('-10', MAXVALUE)", "min,(0) to ('-10'),max");
    }
}
