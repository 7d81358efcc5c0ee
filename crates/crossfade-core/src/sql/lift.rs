//! A value that comes from other tables: a subquery in which every name of the row itself is written in one place.
//!
//! `(SELECT o.x FROM other o WHERE o.id = t.oid)` becomes `(SELECT (SELECT o.x FROM other o WHERE o.id = "_cf_row"."oid") FROM (SELECT "oid" AS
//! "oid") AS "_cf_row")`. So the names of the row can be put in as a statement or a trigger needs them, and none is caught by a table of the
//! subquery. Which names are the row's is found as the server finds it: from the innermost FROM outwards.

use serde_json::Value;

use super::Expr;
use super::Ident;
use super::ObjectRef;
use super::Sql;
use super::SqlPart as _;
use super::expr::SELECT;
use super::expr::relation_of;
use super::expr::span_of;
use super::expr::string_of;

/// The name of the row within a lifted subquery.
const ROW: &str = "_cf_row";

/// The row that an expression is computed for.
#[derive(Clone, Copy)]
pub struct Outer<'a> {
    /// What its table is called.
    pub name: &'a str,
    /// Its columns.
    pub columns: &'a [String],
    /// The columns of another relation; none where they are not known.
    pub columns_of: &'a dyn Fn(&ObjectRef) -> Option<Vec<String>>,
}

/// The list of what a lifted subquery takes from its row.
pub(super) fn row_of(sublink: &Value) -> Option<&Value> {
    let from = sublink["subselect"]["node"]["SelectStmt"]["from_clause"].as_array()?;
    from.iter().find_map(|item| {
        let item = &item["node"]["RangeSubselect"];
        let row = item["alias"]["aliasname"].as_str() == Some(ROW);
        row.then(|| &item["subquery"]["node"]["SelectStmt"]["target_list"])
    })
}

/// What stands in one FROM.
struct Item {
    name: String,
    columns: Option<Vec<String>>,
}

type Scope = Vec<Item>;

/// The names of the row, with their places.
struct Lifter<'a> {
    outer: Outer<'a>,
    found: Vec<(usize, usize, String)>,
}

impl Expr {
    /// The expression with its subqueries lifted.
    ///
    /// # Errors
    ///
    /// Why it can't be told what a name in it means.
    pub fn lifted(&self, outer: Outer<'_>) -> Result<Expr, String> {
        if !self.has_subquery() {
            return Ok(self.clone());
        }
        let wrapped = format!("{SELECT}{}", self.text);
        let parsed = pg_query::parse(&wrapped, 0).map_err(|error| error.to_string())?;
        let tree = serde_json::to_value(&parsed.protobuf.stmts).map_err(|error| error.to_string())?;
        let select = &tree[0]["stmt"]["node"]["SelectStmt"]["target_list"];
        let mut lifter = Lifter { outer, found: Vec::new() };
        lifter.walk(select, &mut Vec::new())?;
        let tokens = super::parse::scan(&wrapped).map_err(|error| error.to_string())?;
        lifter.found.sort();
        let (mut text, mut at) = (String::new(), 0);
        let mut columns: Vec<String> = Vec::new();
        for (location, parts, column) in lifter.found {
            let span = span_of(&tokens, location, parts).ok_or("a name in it is not found again")?;
            text.push_str(self.text.get(at..span.start).unwrap_or_default());
            crate::sql!("{}.{}", Ident::new(ROW), Ident::new(column.as_str())).write_sql(&mut text);
            at = span.end;
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
        text.push_str(self.text.get(at..).unwrap_or_default());
        let taken = columns
            .iter()
            .map(|column| crate::sql!("{} AS {}", Ident::new(column.as_str()), Ident::new(column.as_str())));
        let lifted = crate::sql!(
            "(SELECT {} FROM (SELECT {}) AS {})",
            Sql::from_source(&text),
            Sql::join(taken, ", "),
            Ident::new(ROW)
        );
        Expr::from_sql(&lifted).map_err(|error| error.message)
    }
}

impl Lifter<'_> {
    fn walk(&mut self, value: &Value, scopes: &mut Vec<Scope>) -> Result<(), String> {
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.walk(item, scopes)),
            Value::Object(fields) => fields.iter().try_for_each(|(key, field)| match key.as_str() {
                "ColumnRef" => self.column(field, scopes),
                "SelectStmt" => self.select(field, scopes),
                _ => self.walk(field, scopes),
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    fn select(&mut self, select: &Value, scopes: &mut Vec<Scope>) -> Result<(), String> {
        if !select["with_clause"].is_null() {
            return Err("a subquery with WITH is not understood".to_owned());
        }
        for side in ["larg", "rarg"] {
            if !select[side].is_null() {
                self.select(&select[side], scopes)?;
            }
        }
        let mut scope = Scope::new();
        for item in select["from_clause"].as_array().into_iter().flatten() {
            self.table_of(item, &mut scope)?;
        }
        // A subquery in FROM sees what stands around this one, and with LATERAL its neighbours, too.
        for item in select["from_clause"].as_array().into_iter().flatten() {
            self.subqueries_in_from(item, &scope, scopes)?;
        }
        scopes.push(scope);
        let mut result = Ok(());
        if let Value::Object(fields) = select {
            for (key, field) in fields {
                if matches!(key.as_str(), "from_clause" | "larg" | "rarg" | "sort_clause" | "group_clause") {
                    continue;
                }
                result = result.and_then(|()| self.walk(field, scopes));
            }
        }
        // ORDER BY and GROUP BY may name what the subquery returns.
        if let Some(scope) = scopes.last_mut() {
            let names = select["target_list"].as_array().into_iter().flatten();
            let names = names.filter_map(|target| target["node"]["ResTarget"]["name"].as_str()).map(str::to_owned);
            scope.push(Item { name: String::new(), columns: Some(names.collect()) });
        }
        for key in ["sort_clause", "group_clause"] {
            result = result.and_then(|()| self.walk(&select[key], scopes));
        }
        scopes.pop();
        result
    }

    fn table_of(&self, item: &Value, scope: &mut Scope) -> Result<(), String> {
        let Some((kind, field)) = item["node"].as_object().and_then(|node| node.iter().next()) else { return Ok(()) };
        let alias = field["alias"]["aliasname"].as_str().map(str::to_owned);
        if field["alias"]["colnames"].as_array().is_some_and(|names| !names.is_empty()) {
            return Err("a table in it gives its columns other names".to_owned());
        }
        match kind.as_str() {
            "RangeVar" => {
                let relation = relation_of(field).ok_or("a table in it has no name")?;
                let Some(columns) = (self.outer.columns_of)(&relation) else {
                    return Err(format!("there is no table {relation} yet"));
                };
                scope.push(Item { name: alias.unwrap_or(relation.name), columns: Some(columns) });
            }
            "JoinExpr" if alias.is_none() => {
                self.table_of(&field["larg"], scope)?;
                self.table_of(&field["rarg"], scope)?;
            }
            "RangeSubselect" | "RangeFunction" => {
                scope.push(Item { name: alias.unwrap_or_default(), columns: None });
            }
            _ => return Err("its FROM is not understood".to_owned()),
        }
        Ok(())
    }

    fn subqueries_in_from(&mut self, item: &Value, scope: &Scope, scopes: &mut Vec<Scope>) -> Result<(), String> {
        let Some((kind, field)) = item["node"].as_object().and_then(|node| node.iter().next()) else { return Ok(()) };
        match kind.as_str() {
            "JoinExpr" => {
                self.subqueries_in_from(&field["larg"], scope, scopes)?;
                self.subqueries_in_from(&field["rarg"], scope, scopes)?;
                self.beside(&field["quals"], scope, scopes)
            }
            "RangeSubselect" if field["lateral"].as_bool() != Some(true) => self.walk(&field["subquery"], scopes),
            "RangeSubselect" => self.beside(&field["subquery"], scope, scopes),
            "RangeFunction" => self.beside(&field["functions"], scope, scopes),
            _ => Ok(()),
        }
    }

    /// Within what sees its neighbours in FROM.
    fn beside(&mut self, value: &Value, scope: &Scope, scopes: &mut Vec<Scope>) -> Result<(), String> {
        scopes.push(scope.iter().map(|item| Item { name: item.name.clone(), columns: item.columns.clone() }).collect());
        let result = self.walk(value, scopes);
        scopes.pop();
        result
    }

    fn column(&mut self, field: &Value, scopes: &[Scope]) -> Result<(), String> {
        let parts: Vec<Option<String>> = field["fields"].as_array().into_iter().flatten().map(string_of).collect();
        let location = field["location"].as_u64().unwrap_or_default() as usize;
        let inner = || scopes.iter().rev().flatten();
        match parts.as_slice() {
            // `*` is that of the nearest FROM.
            [None] if !scopes.is_empty() => Ok(()),
            [.., Some(table), None] if inner().any(|item| item.name == *table) => Ok(()),
            [Some(name)] => {
                for scope in scopes.iter().rev() {
                    let known = |item: &Item| item.columns.as_ref().is_some_and(|columns| columns.contains(name));
                    if scope.iter().any(known) || scope.iter().any(|item| item.name == *name) {
                        return Ok(());
                    }
                    if scope.iter().any(|item| item.columns.is_none()) {
                        return Err(format!(
                            "it can't be told which table {name} belongs to: write the table in front of it"
                        ));
                    }
                }
                self.take(location, 1, name)
            }
            [.., Some(table), Some(_)] if inner().any(|item| item.name == *table) => Ok(()),
            [.., Some(table), Some(name)] if table == self.outer.name => self.take(location, parts.len(), name),
            [.., Some(table), Some(_)] => Err(format!("there is no table {table} in it")),
            _ => Err("it uses the row as a whole".to_owned()),
        }
    }

    fn take(&mut self, location: usize, parts: usize, name: &str) -> Result<(), String> {
        if !self.outer.columns.iter().any(|column| column == name) {
            return Err(format!("there is no column {name}"));
        }
        self.found.push((location, parts, name.to_owned()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lifted(text: &str) -> String {
        let columns_of = |name: &ObjectRef| match name.name.as_str() {
            "other" => Some(vec!["id".to_owned(), "x".to_owned(), "oid".to_owned()]),
            "third" => Some(vec!["id".to_owned(), "y".to_owned()]),
            _ => None,
        };
        let columns = ["id", "oid", "name", "c"].map(str::to_owned);
        let outer = Outer { name: "t", columns: &columns, columns_of: &columns_of };
        let expr = Expr::parse(text).map_err(|error| error.message).and_then(|expr| expr.lifted(outer));
        match expr {
            Err(why) => format!("{text}\n  refused: {why}"),
            Ok(expr) => {
                let again = Expr::from_sql(&expr.over_new()).map(|again| again.has_subquery());
                let reads: Vec<String> = expr.reads().iter().map(ToString::to_string).collect();
                format!("{text}\n  {}\n  reads {} {again:?}", expr.over_new(), reads.join(", "))
            }
        }
    }

    #[test]
    fn the_names_of_the_row_are_found_as_the_server_finds_them() {
        insta::assert_snapshot!(
            [
                "(SELECT o.x FROM other o WHERE o.id = t.oid)",
                "(SELECT x FROM other WHERE other.oid = t.oid AND name = 'a')",
                "coalesce((SELECT max(x) FROM other WHERE id = oid), c)",
                "CASE WHEN EXISTS (SELECT * FROM other o JOIN third h ON h.id = o.id AND h.y = c) THEN (SELECT y FROM third WHERE id = t.id ORDER BY y LIMIT 1) END",
                "(SELECT o.x FROM other o WHERE o.id IN (SELECT y FROM third WHERE third.id = o.oid AND y = name))",
                "(SELECT s.n FROM (SELECT count(*) AS n FROM other WHERE other.id = t.id) AS s)",
                "(SELECT n FROM (SELECT count(*) AS n FROM other) AS s)",
                "(SELECT x AS best FROM other WHERE id = c ORDER BY best)",
                "(SELECT x FROM unknown)",
                "(SELECT t FROM other)",
                "(SELECT x FROM other WHERE nothing = 1)",
                "(SELECT u.x FROM other)",
                "(WITH w AS (SELECT 1 AS x) SELECT x FROM w)",
                "(SELECT x FROM other UNION SELECT y FROM third WHERE y = name LIMIT 1)",
                "(SELECT max(x) FROM other)",
                "name || 'a'",
            ]
            .map(lifted)
            .join("\n")
        );
    }
}
