//! Partitions in the order in which the server goes through them, which decides who gets which name.

use std::cmp::Ordering;

use super::Catalog;
use super::Table;
use crate::sql::Expr;
use crate::sql::PartitionBound;
use crate::sql::RangeEnd;

impl Catalog {
    /// The direct partitions of a table, as the server orders them: by their bounds, the DEFAULT partition last.
    pub fn partitions<'a>(&'a self, table: &Table) -> Vec<&'a Table> {
        let mut all: Vec<(&Table, Option<PartitionBound>)> = self
            .tables
            .iter()
            .filter(|child| child.partition_of.as_ref() == Some(&table.name))
            .map(|child| (child, child.partition_bound.as_ref().and_then(PartitionBound::parse)))
            .collect();
        let numeric: Vec<bool> = table
            .partition_key
            .iter()
            .map(|name| table.column(name).is_some_and(|column| is_number(&column.base_type)))
            .collect();
        all.sort_by(|(_, a), (_, b)| order(a.as_ref(), b.as_ref(), &numeric));
        all.into_iter().map(|(child, _)| child).collect()
    }

    /// The partition that takes what no other takes.
    pub fn default_partition<'a>(&'a self, table: &Table) -> Option<&'a Table> {
        self.tables.iter().find(|child| {
            child.partition_of.as_ref() == Some(&table.name)
                && child.partition_bound.as_ref().is_some_and(|bound| bound.as_str() == "DEFAULT")
        })
    }
}

fn is_number(base_type: &str) -> bool {
    matches!(base_type, "int2" | "int4" | "int8" | "numeric" | "float4" | "float8" | "oid")
}

fn order(a: Option<&PartitionBound>, b: Option<&PartitionBound>, numeric: &[bool]) -> Ordering {
    use PartitionBound as B;
    let (Some(a), Some(b)) = (a, b) else { return a.is_none().cmp(&b.is_none()) };
    match (a, b) {
        (B::Default, B::Default) => Ordering::Equal,
        (B::Default, B::Hash { .. } | B::List(_) | B::Range { .. }) => Ordering::Greater,
        (B::Hash { .. } | B::List(_) | B::Range { .. }, B::Default) => Ordering::Less,
        (B::Hash { modulus: m, remainder: r }, B::Hash { modulus: n, remainder: s }) => (m, r).cmp(&(n, s)),
        (B::Range { to: a, .. }, B::Range { to: b, .. }) => a
            .iter()
            .zip(b)
            .enumerate()
            .map(|(at, (a, b))| end_order(a, b, numeric.get(at).copied().unwrap_or_default()))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal),
        (B::List(a), B::List(b)) => {
            let numeric = numeric.first().copied().unwrap_or_default();
            match (least(a, numeric), least(b, numeric)) {
                (Some(a), Some(b)) => value_order(a, b, numeric),
                // The one that takes nothing but NULL comes behind all values.
                (a, b) => a.is_none().cmp(&b.is_none()),
            }
        }
        // The partitions of one table are all of one kind.
        (B::Hash { .. }, B::List(_) | B::Range { .. })
        | (B::List(_), B::Hash { .. } | B::Range { .. })
        | (B::Range { .. }, B::Hash { .. } | B::List(_)) => Ordering::Equal,
    }
}

fn least(values: &[Option<Expr>], numeric: bool) -> Option<&Expr> {
    values.iter().flatten().min_by(|a, b| value_order(a, b, numeric))
}

fn end_order(a: &RangeEnd, b: &RangeEnd, numeric: bool) -> Ordering {
    let rank = |end: &RangeEnd| match end {
        RangeEnd::Min => 0,
        RangeEnd::Value(_) => 1,
        RangeEnd::Max => 2,
    };
    match (a, b) {
        (RangeEnd::Value(a), RangeEnd::Value(b)) => value_order(a, b, numeric),
        (RangeEnd::Min | RangeEnd::Value(_) | RangeEnd::Max, RangeEnd::Min | RangeEnd::Value(_) | RangeEnd::Max) => {
            rank(a).cmp(&rank(b))
        }
    }
}

/// Numbers by their size; anything else by its text, which is right for ISO dates and for the C collation.
fn value_order(a: &Expr, b: &Expr, numeric: bool) -> Ordering {
    let (a, b) = (literal(a), literal(b));
    let numbers = if numeric { a.parse::<f64>().ok().zip(b.parse::<f64>().ok()) } else { None };
    match numbers {
        Some((x, y)) => x.total_cmp(&y),
        None => a.cmp(&b),
    }
}

fn literal(value: &Expr) -> String {
    value.over_table().as_str().trim_matches(['(', ')', '\'', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Column;
    use crate::sql::ServerText;
    use crate::sql::TableName;

    #[test]
    fn partitions_come_in_the_server_s_order() {
        let check = |key: &str, bounds: &[&str]| {
            let mut parent = Table::empty(TableName::new("public", "p"));
            parent.partition_key = vec!["id".to_owned()];
            parent.columns = vec![Column { name: "id".to_owned(), base_type: key.to_owned(), ..Column::default() }];
            let child = |(at, bound): (usize, &&str)| Table {
                partition_of: Some(parent.name.clone()),
                partition_bound: Some(ServerText::from_server(*bound)),
                ..Table::empty(TableName::new("public", format!("c{at}")))
            };
            let mut tables: Vec<Table> = bounds.iter().enumerate().map(child).collect();
            tables.reverse();
            let catalog = Catalog { tables, ..Catalog::default() };
            let found: Vec<&str> = catalog
                .partitions(&parent)
                .iter()
                .filter_map(|table| table.partition_bound.as_ref().map(ServerText::as_str))
                .collect();
            assert_eq!(found, bounds);
        };
        check(
            "int4",
            &[
                "FOR VALUES FROM (MINVALUE) TO ('-10')",
                "FOR VALUES FROM ('-10') TO ('-5')",
                "FOR VALUES FROM (0) TO (20)",
                "FOR VALUES FROM (20) TO (100)",
                "FOR VALUES FROM (100) TO (MAXVALUE)",
                "DEFAULT",
            ],
        );
        check(
            "date",
            &["FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')", "FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')"],
        );
        check(
            "int4",
            &[
                "FOR VALUES IN (12, 1)",
                "FOR VALUES IN (2, 9)",
                "FOR VALUES IN (NULL, 7)",
                "FOR VALUES IN (NULL)",
                "DEFAULT",
            ],
        );
        check("text", &["FOR VALUES IN ('10')", "FOR VALUES IN ('9')"]);
        check("int4", &["FOR VALUES WITH (modulus 2, remainder 1)", "FOR VALUES WITH (modulus 4, remainder 0)"]);
    }
}
