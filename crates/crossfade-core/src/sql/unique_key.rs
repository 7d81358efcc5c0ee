//! What must be the same in two rows for a unique index to refuse the second one.

use pg_query::NodeEnum;

use super::Expr;
use super::IndexDefinition;
use super::Sql;
use super::short_hash;

/// The key of a unique index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UniqueKey {
    values: Vec<Expr>,
    predicate: Option<Expr>,
    /// NULLS NOT DISTINCT.
    nulls_are_equal: bool,
}

impl IndexDefinition {
    /// Its key. None where it is not unique, or can't be read.
    pub fn unique_key(&self) -> Option<UniqueKey> {
        let statement = self.statement();
        let value = |param: &pg_query::protobuf::Node| match &param.node {
            Some(NodeEnum::IndexElem(element)) => match &element.expr {
                Some(expr) => Expr::from_node(expr),
                None => Some(Expr::column(&element.name)),
            },
            _ => None,
        };
        let values = statement.index_params.iter().map(value).collect::<Option<Vec<Expr>>>()?;
        let predicate = match &statement.where_clause {
            Some(predicate) => Some(Expr::from_node(predicate)?),
            None => None,
        };
        (statement.unique && !values.is_empty()).then_some(UniqueKey {
            values,
            predicate,
            nulls_are_equal: statement.nulls_not_distinct,
        })
    }
}

impl UniqueKey {
    /// Whether it is made of this column.
    pub fn names(&self, column: &str) -> bool {
        self.values.iter().chain(&self.predicate).any(|expr| expr.names(column))
    }

    /// A `bigint` that is the same for two new rows of a trigger that this key refuses beside each other, and NULL for a row that meets no other. `place` tells the keys of
    /// different tables apart. Values that are equal and look different (`1.0` and `1.00`, what a collation ignores) give different numbers.
    pub fn number_of_new_row(&self, place: &str) -> Sql {
        let values: Vec<Sql> = self.values.iter().map(Expr::over_new).collect();
        let row = Sql::join(values.iter().cloned(), ", ");
        let mut met: Vec<Sql> = self.predicate.iter().map(|predicate| predicate.over_new()).collect();
        if !self.nulls_are_equal {
            met.extend(values.iter().map(|value| crate::sql!("{} IS NOT NULL", value)));
        }
        let seed = i64::from_str_radix(&short_hash(&format!("{place} {}", row.as_str())), 16).unwrap_or_default();
        let number = crate::sql!("hashtextextended(ROW({})::text, {})", row, super::Number(seed));
        if met.is_empty() { number } else { crate::sql!("CASE WHEN {} THEN {} END", Sql::join(met, " AND "), number) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(definition: &str) -> Option<String> {
        let key = IndexDefinition::parse_text(definition)?.unique_key()?;
        Some(key.number_of_new_row("public.t").as_str().to_owned())
    }

    #[test]
    fn a_unique_key_is_read_with_its_expressions_and_its_predicate() {
        insta::assert_debug_snapshot!([
            number("CREATE UNIQUE INDEX i ON public.t USING btree (email)"),
            number(
                "CREATE UNIQUE INDEX i ON public.t (\"Order\", lower(email) DESC) INCLUDE (note) WHERE deleted_at IS NULL"
            ),
            number("CREATE UNIQUE INDEX i ON public.t (email) NULLS NOT DISTINCT"),
            number("CREATE INDEX i ON public.t (email)"),
        ]);
    }
}
