//! Queries of an application, as far as they can be played: what they do, which relations they name, and what stands in the place of a parameter.

use std::collections::BTreeMap;

use pg_query::NodeEnum;
use serde_json::Value;

use super::ObjectRef;
use super::Span;
use super::Sql;
use super::SyntaxError;
use super::expr::relation_of;
use super::expr::string_of;
use super::parse::parse_file;

/// A statement of an application.
#[derive(Clone, Debug)]
pub struct Query {
    /// Where it stands in its file.
    pub span: Span,
    /// Its text.
    pub text: Sql,
    /// What it does.
    pub verb: QueryVerb,
    /// Every relation that it names.
    pub relations: Vec<ObjectRef>,
    /// What stands in the place of each parameter: by number, from 1.
    pub parameters: BTreeMap<i64, Parameter>,
}

/// What a query does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryVerb {
    /// It reads.
    Read,
    /// It changes rows.
    Write,
    /// Something else than rows: no part of an application's ordinary work.
    Other,
}

/// What a parameter stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameter {
    /// The column that it is compared with, or that it is the value of.
    pub column: Option<String>,
    /// Whether it is written into that column.
    pub written: bool,
}

impl Query {
    /// Reads the statements of a text.
    ///
    /// # Errors
    ///
    /// Where it is not SQL, with the place.
    pub fn read_all(text: &str) -> Result<Vec<Query>, SyntaxError> {
        let file = parse_file(text)?;
        file.statements.into_iter().map(|statement| Query::read(statement.span, statement.text)).collect()
    }

    fn read(span: Span, text: Sql) -> Result<Query, SyntaxError> {
        let parsed = pg_query::parse(text.as_str(), 0).map_err(|error| SyntaxError {
            message: error.to_string(),
            span,
            help: None,
        })?;
        let node = parsed.protobuf.stmts.first().and_then(|raw| raw.stmt.as_ref()).and_then(|stmt| stmt.node.as_ref());
        let mut found = Walk::default();
        let mut verb = QueryVerb::Other;
        if let Some(node) = node {
            verb = match node {
                NodeEnum::SelectStmt(select) if select.into_clause.is_none() => QueryVerb::Read,
                NodeEnum::InsertStmt(_)
                | NodeEnum::UpdateStmt(_)
                | NodeEnum::DeleteStmt(_)
                | NodeEnum::MergeStmt(_) => QueryVerb::Write,
                _ => QueryVerb::Other,
            };
            if let Ok(tree) = serde_json::to_value(node) {
                found.walk(&tree);
            }
        }
        // A WITH can write, too.
        if verb == QueryVerb::Read && found.writes {
            verb = QueryVerb::Write;
        }
        found.relations.sort();
        found.relations.dedup();
        Ok(Query { span, text, verb, relations: found.relations, parameters: found.parameters })
    }
}

#[derive(Default)]
struct Walk {
    relations: Vec<ObjectRef>,
    parameters: BTreeMap<i64, Parameter>,
    writes: bool,
}

impl Walk {
    fn walk(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.walk(item)),
            Value::Object(fields) => fields.iter().for_each(|(key, field)| self.node(key, field)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn node(&mut self, key: &str, field: &Value) {
        self.walk(field);
        match key {
            // Not a node of its own where it stands as the target of a statement.
            "RangeVar" => self.relations.extend(relation_of(field)),
            "relation" if field["relname"].is_string() => self.relations.extend(relation_of(field)),
            "ParamRef" => {
                self.parameters.entry(field["number"].as_i64().unwrap_or_default()).or_default();
            }
            "AExpr" => {
                if let Some(column) = columns(field).into_iter().next() {
                    self.settle(field, &column, false);
                }
            }
            "UpdateStmt" => {
                self.writes = true;
                for target in field["target_list"].as_array().into_iter().flatten() {
                    let target = &target["node"]["ResTarget"];
                    if let Some(name) = target["name"].as_str() {
                        self.settle(&target["val"], name, true);
                    }
                }
            }
            "InsertStmt" => {
                self.writes = true;
                self.insert(field);
            }
            "DeleteStmt" | "MergeStmt" => self.writes = true,
            _ => {}
        }
    }

    fn insert(&mut self, insert: &Value) {
        let names: Vec<&str> = insert["cols"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|column| column["node"]["ResTarget"]["name"].as_str())
            .collect();
        let rows = insert["select_stmt"]["node"]["SelectStmt"]["values_lists"].as_array().into_iter().flatten();
        for row in rows {
            let values = row["node"]["List"]["items"].as_array().into_iter().flatten();
            for (name, value) in names.iter().zip(values) {
                self.settle(value, name, true);
            }
        }
    }

    /// Says what the parameters in a part of the tree stand for, as far as that is not known yet.
    fn settle(&mut self, part: &Value, column: &str, written: bool) {
        for number in parameters(part) {
            let known = self.parameters.entry(number).or_default();
            if known.column.is_none() {
                *known = Parameter { column: Some(column.to_owned()), written };
            }
        }
    }
}

fn each<'v>(value: &'v Value, wanted: &str, found: &mut Vec<&'v Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| each(item, wanted, found)),
        Value::Object(fields) => {
            for (key, field) in fields {
                if key == wanted {
                    found.push(field);
                }
                each(field, wanted, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn parameters(part: &Value) -> Vec<i64> {
    let mut found = Vec::new();
    each(part, "ParamRef", &mut found);
    found.into_iter().filter_map(|parameter| parameter["number"].as_i64()).collect()
}

fn columns(part: &Value) -> Vec<String> {
    let mut found = Vec::new();
    each(part, "ColumnRef", &mut found);
    let last = |column: &&Value| column["fields"].as_array().and_then(|fields| fields.last()).and_then(string_of);
    found.iter().filter_map(last).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let queries = Query::read_all(text).map_err(|error| error.message);
        let shown: Vec<String> = queries
            .iter()
            .flatten()
            .map(|query| {
                let relations: Vec<String> = query.relations.iter().map(ToString::to_string).collect();
                let parameters: Vec<String> = query
                    .parameters
                    .iter()
                    .map(|(number, parameter)| {
                        let sign = if parameter.written { ":=" } else { "=" };
                        format!("${number}{sign}{}", parameter.column.as_deref().unwrap_or("?"))
                    })
                    .collect();
                format!("{:?} {} {}", query.verb, relations.join(","), parameters.join(" ")).trim_end().to_owned()
            })
            .collect();
        assert_eq!(shown.join("; "), expected, "{text}");
    }

    #[test]
    fn a_parameter_stands_for_the_column_beside_it() {
        check("SELECT * FROM users AS u WHERE u.id = $1 AND lower(email) = lower($2)", "Read users $1=id $2=email");
        check(
            "SELECT 1 FROM a.t WHERE x BETWEEN $1 AND $2 OR y = ANY ($3::int[]) LIMIT $4",
            "Read a.t $1=x $2=x $3=y $4=?",
        );
        check("UPDATE t SET a = $1, n = n + $2 WHERE id = $3", "Write t $1:=a $2=n $3=id");
        check("INSERT INTO t (a, b) VALUES ($1, upper($2)), ($3, 'x') RETURNING id", "Write t $1:=a $2:=b $3:=a");
        check("INSERT INTO t VALUES ($1)", "Write t $1=?");
        check("DELETE FROM t USING u WHERE t.id = u.id AND u.at < $1", "Write t,u $1=at");
        check("WITH gone AS (DELETE FROM t WHERE id = $1 RETURNING *) SELECT * FROM gone", "Write gone,t $1=id");
        check("SELECT 1; SELECT * INTO x FROM t; VACUUM t", "Read; Other t; Other t");
        check("BEGIN", "Other");
    }

    #[test]
    fn what_is_no_sql_is_an_error_with_its_place() {
        let error = Query::read_all("SELECT 1;\nSELEC 2").expect_err("it is none");
        assert_eq!(error.span.start, 10);
    }
}
