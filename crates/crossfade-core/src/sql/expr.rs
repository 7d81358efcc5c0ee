//! An expression of the user's, cut from a parsed file, with what it names.

use pg_query::NodeEnum;
use serde_json::Value;

use super::ObjectRef;
use super::Span;
use super::Sql;
use super::SqlPart;
use super::SyntaxError;

/// A scalar expression over the columns of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expr {
    pub(super) text: String,
    uses: Vec<ColumnUse>,
    functions: Vec<(Option<String>, String)>,
    subquery: bool,
    whole_row: bool,
    reads: Vec<ObjectRef>,
    read_columns: Vec<String>,
    moment: bool,
    meets_null: bool,
}

/// A column that an expression names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnUse {
    span: Span,
    /// The table or alias in front of it.
    pub qualifier: Option<String>,
    /// The column.
    pub column: String,
}

pub(super) const SELECT: &str = "SELECT ";

/// Functions that PostgreSQL calls stable, and that say something else in the next transaction.
const MOMENTS: [&str; 8] = [
    "now",
    "transaction_timestamp",
    "statement_timestamp",
    "txid_current",
    "txid_current_if_assigned",
    "txid_current_snapshot",
    "pg_current_xact_id",
    "pg_current_snapshot",
];

/// Functions that give NULL where an argument is NULL. Source: `proisstrict` in `pg_proc` of PostgreSQL 13 to 18.
const NULL_OF_NULL: [&str; 30] = [
    "abs",
    "btrim",
    "ceil",
    "char_length",
    "date_trunc",
    "floor",
    "initcap",
    "left",
    "length",
    "lower",
    "lpad",
    "ltrim",
    "md5",
    "regexp_replace",
    "replace",
    "reverse",
    "right",
    "round",
    "rpad",
    "rtrim",
    "split_part",
    "strpos",
    "substr",
    "substring",
    "to_char",
    "to_date",
    "to_number",
    "to_timestamp",
    "trunc",
    "upper",
];

/// Nodes that may be something else than NULL over nothing but NULLs.
const MEETS_NULL: [&str; 9] = [
    "CoalesceExpr",
    "CaseExpr",
    "NullTest",
    "BooleanTest",
    "BoolExpr",
    "MinMaxExpr",
    "AArrayExpr",
    "RowExpr",
    "XmlExpr",
];

impl Expr {
    /// Reads one expression.
    ///
    /// # Errors
    ///
    /// When the text is not exactly one expression.
    pub fn parse(text: &str) -> Result<Expr, SyntaxError> {
        let text = text.trim();
        let wrapped = format!("{SELECT}{text}");
        let parsed = pg_query::parse(&wrapped, 0).map_err(|error| {
            let mut error = super::error::locate(&wrapped, &error.to_string());
            error.span =
                Span::new(error.span.start.saturating_sub(SELECT.len()), error.span.end.saturating_sub(SELECT.len()));
            error
        })?;
        let not_one = || SyntaxError {
            message: "this is not one expression".to_owned(),
            span: Span::new(0, text.len()),
            help: Some("write what could stand behind SELECT, without a column list, FROM or WHERE".to_owned()),
        };
        let [statement] = parsed.protobuf.stmts.as_slice() else { return Err(not_one()) };
        let Some(NodeEnum::SelectStmt(select)) = statement.stmt.as_ref().and_then(|stmt| stmt.node.as_ref()) else {
            return Err(not_one());
        };
        let plain = select.target_list.len() == 1
            && select.from_clause.is_empty()
            && select.where_clause.is_none()
            && select.group_clause.is_empty()
            && select.sort_clause.is_empty()
            && select.limit_count.is_none()
            && select.distinct_clause.is_empty()
            && select.values_lists.is_empty()
            && select.larg.is_none()
            && select.into_clause.is_none()
            && select.locking_clause.is_empty();
        let unnamed = match select.target_list.first().and_then(|target| target.node.as_ref()) {
            Some(NodeEnum::ResTarget(target)) => target.name.is_empty(),
            _ => false,
        };
        if !plain || !unnamed {
            return Err(not_one());
        }
        let tree = serde_json::to_value(&select.target_list).map_err(|_| not_one())?;
        let mut found = Found::default();
        walk(&tree, &mut found);
        if found.parameter {
            return Err(SyntaxError {
                message: "a parameter such as $1 has no value here".to_owned(),
                span: Span::new(0, text.len()),
                help: Some("write the value itself".to_owned()),
            });
        }
        let tokens = super::parse::scan(&wrapped).map_err(|_| not_one())?;
        let mut uses = Vec::new();
        for (location, names) in found.columns {
            let Some(span) = span_of(&tokens, location, names.len()) else { return Err(not_one()) };
            let column = names.last().cloned().unwrap_or_default();
            let qualifier = (names.len() > 1).then(|| names[names.len() - 2].clone());
            uses.push(ColumnUse { span, qualifier, column });
        }
        uses.sort_by_key(|column_use| column_use.span.start);
        Ok(Expr {
            text: text.to_owned(),
            uses,
            functions: found.functions,
            subquery: found.subquery,
            whole_row: found.whole_row,
            reads: found.reads,
            read_columns: found.read_columns,
            moment: found.moment,
            meets_null: found.meets_null,
        })
    }

    /// Takes an expression out of a parsed statement.
    pub(super) fn from_node(node: &pg_query::protobuf::Node) -> Option<Expr> {
        let text = super::rewrite::deparse_expression(node)?;
        Expr::parse(&text).ok()
    }

    /// A reference to one column.
    pub fn column(name: &str) -> Expr {
        let mut text = String::new();
        super::Ident::new(name).write_sql(&mut text);
        let span = Span::new(0, text.len());
        Expr {
            text,
            uses: vec![ColumnUse { span, qualifier: None, column: name.to_owned() }],
            functions: Vec::new(),
            subquery: false,
            whole_row: false,
            reads: Vec::new(),
            read_columns: Vec::new(),
            moment: false,
            meets_null: false,
        }
    }

    /// An expression from safe text.
    ///
    /// # Errors
    ///
    /// When it is not exactly one expression.
    pub fn from_sql(sql: &Sql) -> Result<Expr, SyntaxError> {
        Expr::parse(sql.as_str())
    }

    /// Its text as it stands, for another expression around it.
    pub fn verbatim(&self) -> Sql {
        Sql::from_source(&self.text)
    }

    /// As it was written.
    pub fn as_written(&self) -> &str {
        &self.text
    }

    /// The columns that it names, in order.
    pub fn columns(&self) -> impl Iterator<Item = &ColumnUse> {
        self.uses.iter()
    }

    /// Whether it names this column.
    pub fn names(&self, column: &str) -> bool {
        self.uses.iter().any(|column_use| column_use.column == column)
    }

    /// The functions that it calls: schema where it is written, and name.
    pub fn functions(&self) -> &[(Option<String>, String)] {
        &self.functions
    }

    /// Whether its value depends on the moment or on the transaction (`now()`, `CURRENT_DATE`), and so is another one in each chunk.
    pub fn asks_the_moment(&self) -> bool {
        self.moment || self.functions.iter().any(|(_, name)| MOMENTS.contains(&name.as_str()))
    }

    /// Whether it is NULL for certain where each column that it names is: it is made of operators, casts and functions that give NULL for NULL. Not
    /// for certain where it says what stands for NULL (COALESCE, CASE, IS NULL), or where it can't be told.
    pub fn is_null_of_nulls(&self) -> bool {
        let strict = |(schema, name): &(Option<String>, String)| {
            schema.as_deref().is_none_or(|schema| schema == "pg_catalog") && NULL_OF_NULL.contains(&name.as_str())
        };
        let is_open = self.meets_null || self.subquery || self.whole_row || !self.reads.is_empty() || self.moment;
        !is_open && !self.uses.is_empty() && self.functions.iter().all(strict)
    }

    /// Whether it holds a subquery.
    pub fn has_subquery(&self) -> bool {
        self.subquery
    }

    /// The relations that its lifted subqueries read.
    pub fn reads(&self) -> &[ObjectRef] {
        &self.reads
    }

    /// The columns that its lifted subqueries name, by their last name.
    pub fn read_columns(&self) -> &[String] {
        &self.read_columns
    }

    /// Whether it uses the row as a whole (`t.*`).
    pub fn uses_whole_row(&self) -> bool {
        self.whole_row
    }

    /// Whether it is nothing but one column, and which.
    pub fn as_column(&self) -> Option<&str> {
        match self.uses.as_slice() {
            [only] if only.span == Span::new(0, self.text.len()) => Some(&only.column),
            _ => None,
        }
    }

    /// Whether it is the literal NULL.
    pub fn is_null(&self) -> bool {
        self.text.eq_ignore_ascii_case("null")
    }

    /// The expression with each column written as `write` says, in parentheses.
    pub fn render(&self, write: impl Fn(&str) -> Sql) -> Sql {
        let mut out = String::from("(");
        let mut at = 0;
        for column_use in &self.uses {
            out.push_str(&self.text[at..column_use.span.start]);
            write(&column_use.column).write_sql(&mut out);
            at = column_use.span.end;
        }
        out.push_str(&self.text[at..]);
        // A trailing line comment must not swallow the parenthesis.
        out.push_str(if self.text.contains("--") { "\n)" } else { ")" });
        Sql::from_source(&out)
    }

    /// The expression over the plain columns of its table.
    pub fn over_table(&self) -> Sql {
        self.render(|column| crate::sql!("{}", super::Ident::new(column)))
    }

    /// The expression over the new row of a trigger.
    pub fn over_new(&self) -> Sql {
        self.render(|column| crate::sql!("NEW.{}", super::Ident::new(column)))
    }
}

/// The place of a name of so many parts in an expression, from where it begins behind [`SELECT`].
pub(super) fn span_of(tokens: &[pg_query::protobuf::ScanToken], location: usize, parts: usize) -> Option<Span> {
    let at = tokens.iter().position(|token| token.start as usize == location)?;
    let last = tokens.get(at + 2 * (parts - 1))?;
    Some(Span::new(location - SELECT.len(), last.end as usize - SELECT.len()))
}

#[derive(Default)]
struct Found {
    columns: Vec<(usize, Vec<String>)>,
    functions: Vec<(Option<String>, String)>,
    subquery: bool,
    whole_row: bool,
    reads: Vec<ObjectRef>,
    read_columns: Vec<String>,
    moment: bool,
    parameter: bool,
    meets_null: bool,
}

/// Every node of the parse tree, as the parser's own serialisation has it. Scalar nodes are objects with one key.
fn walk(value: &Value, found: &mut Found) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
        Value::Object(fields) => {
            for (key, field) in fields {
                found.meets_null |= MEETS_NULL.contains(&key.as_str()) || is_distinct(key, field);
                match key.as_str() {
                    "ColumnRef" => {
                        let parts: Vec<Option<String>> =
                            field["fields"].as_array().into_iter().flatten().map(string_of).collect();
                        let location = field["location"].as_u64();
                        match (parts.iter().cloned().collect::<Option<Vec<String>>>(), location) {
                            (Some(names), Some(location)) if !names.is_empty() => {
                                found.columns.push((location as usize, names));
                            }
                            _ => found.whole_row = true,
                        }
                    }
                    "FuncCall" => {
                        let names: Vec<String> =
                            field["funcname"].as_array().into_iter().flatten().filter_map(string_of).collect();
                        if let Some((name, schema)) = names.split_last() {
                            found.functions.push((schema.last().cloned(), name.clone()));
                        }
                        walk(field, found);
                    }
                    "SubLink" => match super::lift::row_of(field) {
                        Some(row) => walk_lifted(field, row, found),
                        None => {
                            found.subquery = true;
                            walk(field, found);
                        }
                    },
                    "SqlvalueFunction" => found.moment = true,
                    "ParamRef" => found.parameter = true,
                    "RangeVar" => found.reads.extend(relation_of(field)),
                    _ => walk(field, found),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// `IS [NOT] DISTINCT FROM`, which NULLs have an answer to. NULLIF has none, and stands among the operators as well.
fn is_distinct(key: &str, field: &Value) -> bool {
    use pg_query::protobuf::AExprKind;
    let kinds = [AExprKind::AexprDistinct as i64, AExprKind::AexprNotDistinct as i64];
    key == "AExpr" && field["kind"].as_i64().is_some_and(|kind| kinds.contains(&kind))
}

/// A lifted subquery: what it takes from the row is written in one place; every other name in it is another relation's.
fn walk_lifted(sublink: &Value, row: &Value, found: &mut Found) {
    walk(row, found);
    let mut inner = Found::default();
    if let Value::Object(fields) = sublink {
        fields.values().for_each(|field| walk(field, &mut inner));
    }
    found.functions.append(&mut inner.functions);
    found.reads.append(&mut inner.reads);
    found.read_columns.extend(inner.columns.into_iter().filter_map(|(_, mut names)| names.pop()));
    found.read_columns.append(&mut inner.read_columns);
    found.moment |= inner.moment;
    found.parameter |= inner.parameter;
}

/// The relation that a node of FROM names.
pub(super) fn relation_of(node: &Value) -> Option<ObjectRef> {
    let part = |name: &str| node[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    Some(ObjectRef { schema: part("schemaname"), name: part("relname")? })
}

pub(super) fn string_of(node: &Value) -> Option<String> {
    node["node"]["String"]["sval"].as_str().or_else(|| node["String"]["sval"].as_str()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over_new(text: &str) -> String {
        Expr::parse(text).map_or_else(|error| format!("error: {error}"), |expr| expr.over_new().to_string())
    }

    #[test]
    fn columns_are_found_wherever_they_stand() {
        assert_eq!(over_new("price * 100"), r#"(NEW."price" * 100)"#);
        assert_eq!(over_new("(u.price * 100)::integer"), r#"((NEW."price" * 100)::integer)"#);
        assert_eq!(
            over_new("CASE WHEN a IS NULL THEN coalesce(b, 'a') ELSE \"A b\" END"),
            r#"(CASE WHEN NEW."a" IS NULL THEN coalesce(NEW."b", 'a') ELSE NEW."A b" END)"#
        );
        assert_eq!(over_new("split_part(name, ' ', 1)"), r#"(split_part(NEW."name", ' ', 1))"#);
        assert_eq!(over_new("ARRAY[a, b] || public.t.c -- why"), "(ARRAY[NEW.\"a\", NEW.\"b\"] || NEW.\"c\" -- why\n)");
        assert_eq!(over_new("firstname || name"), r#"(NEW."firstname" || NEW."name")"#);
    }

    #[test]
    fn only_one_expression_is_taken() {
        for text in [
            "",
            "$1",
            "(SELECT x FROM t WHERE x = $2)",
            "a, b",
            "a FROM t",
            "1; DROP TABLE t",
            "a AS b",
            "a WHERE true",
            "1 UNION SELECT 2",
        ] {
            assert!(Expr::parse(text).is_err(), "{text}");
        }
        assert!(Expr::parse("(SELECT max(x) FROM t)").is_ok_and(|expr| expr.has_subquery()));
        assert!(Expr::parse("t.*").is_ok_and(|expr| expr.uses_whole_row()));
    }

    #[test]
    fn what_is_null_for_nulls_is_known_where_it_is_certain() {
        for text in [
            "a",
            "a / 100.0",
            "first_name || ' ' || last_name",
            "(a::numeric(10,2))::text",
            "pg_catalog.split_part(a, ' ', 1)",
            "a ->> 'key'",
            "NULLIF(a, 3)",
            "trim(a)",
            "(a)[1]",
        ] {
            assert!(Expr::parse(text).is_ok_and(|expr| expr.is_null_of_nulls()), "{text}");
        }
        for text in [
            "coalesce(a, 0) / 100.0",
            "CASE WHEN a > 3 THEN 1 ELSE 2 END",
            "a IS NULL",
            "a IS DISTINCT FROM 3",
            "greatest(a, 0)",
            "concat(a, b)",
            "own.round(a)",
            "something(a)",
            "(SELECT max(x) FROM t WHERE t.y = a)",
            "ARRAY[a]",
            "7",
            "now()",
            "NOT a",
        ] {
            assert!(Expr::parse(text).is_ok_and(|expr| !expr.is_null_of_nulls()), "{text}");
        }
    }

    #[test]
    fn what_depends_on_the_moment_is_known() {
        for text in [
            "now()",
            "a + CURRENT_DATE",
            "pg_catalog.now()",
            "localtimestamp",
            "(SELECT max(x) FROM t WHERE y < now())",
        ] {
            assert!(Expr::parse(text).is_ok_and(|expr| expr.asks_the_moment()), "{text}");
        }
        assert!(Expr::parse("a || 'now()'").is_ok_and(|expr| !expr.asks_the_moment()));
    }
}
