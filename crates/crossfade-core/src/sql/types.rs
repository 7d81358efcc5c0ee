//! The types that a statement or an expression names, and the same text with other types in their place.
//!
//! Only what stands as a type is found: behind `::`, in CAST, in a column's definition, among a function's arguments. What a string
//! holds (a function's body, `'x'::regtype`) is not.

use pg_query::NodeEnum;
use pg_query::protobuf;
use pg_query::protobuf::Node;
use serde_json::Value;

use super::Expr;
use super::Ident;
use super::ObjectRef;
use super::ParsedStatement;
use super::Span;
use super::Sql;
use super::SqlPart as _;
use super::TableName;
use super::expr::SELECT;
use super::expr::string_of;
use super::parse_file;
use super::rewrite::deparse;

/// The types that a statement names, system types aside.
pub fn named_types(statement: &Sql) -> Vec<ObjectRef> {
    places(statement.as_str()).into_iter().map(|(_, name)| name).collect()
}

/// The statement with other types where `put` gives one. None where that is no statement any more.
pub fn with_types(
    statement: &ParsedStatement,
    put: &dyn Fn(&ObjectRef) -> Option<TableName>,
) -> Option<ParsedStatement> {
    let Some(text) = replaced(statement.text.as_str(), put) else { return Some(statement.clone()) };
    let part = parse_file(&text).ok()?.statements.into_iter().next()?;
    Some(ParsedStatement { span: statement.span, ..part })
}

/// A CREATE TYPE or CREATE DOMAIN under another name.
pub fn created_as(statement: &ParsedStatement, name: &TableName) -> Option<ParsedStatement> {
    let parsed = pg_query::parse(statement.text.as_str(), 0).ok()?;
    let mut node = parsed.protobuf.stmts.into_iter().next()?.stmt?.node?;
    let parts = || {
        let part =
            |part: &Ident| Node { node: Some(NodeEnum::String(protobuf::String { sval: part.as_str().to_owned() })) };
        vec![part(&name.schema), part(&name.name)]
    };
    match &mut node {
        NodeEnum::CreateEnumStmt(create) => create.type_name = parts(),
        NodeEnum::CreateRangeStmt(create) => create.type_name = parts(),
        NodeEnum::CreateDomainStmt(create) => create.domainname = parts(),
        NodeEnum::CompositeTypeStmt(create) => {
            let place = create.typevar.as_mut()?;
            name.schema.as_str().clone_into(&mut place.schemaname);
            name.name.as_str().clone_into(&mut place.relname);
        }
        _ => return None,
    }
    let part = parse_file(&deparse(node)?).ok()?.statements.into_iter().next()?;
    Some(ParsedStatement { span: statement.span, ..part })
}

impl Expr {
    /// The expression with other types where `put` gives one.
    pub fn with_types(&self, put: &dyn Fn(&ObjectRef) -> Option<TableName>) -> Option<Expr> {
        let whole = format!("{SELECT}{}", self.as_written());
        match replaced(&whole, put) {
            Some(text) => Expr::parse(text.strip_prefix(SELECT)?).ok(),
            None => Some(self.clone()),
        }
    }
}

fn replaced(text: &str, put: &dyn Fn(&ObjectRef) -> Option<TableName>) -> Option<String> {
    let mut places = places(text);
    places.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
    let mut out = text.to_owned();
    let mut any = false;
    for (span, name) in places {
        if let Some(new) = put(&name) {
            let mut written = String::new();
            new.write_sql(&mut written);
            out.replace_range(span.start..span.end, &written);
            any = true;
        }
    }
    any.then_some(out)
}

fn places(text: &str) -> Vec<(Span, ObjectRef)> {
    let Ok(parsed) = pg_query::parse(text, 0) else { return Vec::new() };
    let (Ok(tree), Ok(tokens)) = (serde_json::to_value(&parsed.protobuf.stmts), super::parse::scan(text)) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    walk(&tree, &mut found);
    let place = |(location, names): (usize, Vec<String>)| {
        let at = tokens.iter().position(|token| token.start as usize == location)?;
        // A system type by its SQL name (`int`) is one word, though the parser gives it a schema.
        let last = at + 2 * (names.len() - 1);
        let dots = (at + 1..last).step_by(2).all(|dot| {
            tokens.get(dot).is_some_and(|token| text.get(token.start as usize..token.end as usize) == Some("."))
        });
        let (name, schema) = names.split_last().filter(|_| dots)?;
        let span = Span::new(location, tokens.get(last)?.end as usize);
        Some((span, ObjectRef { schema: schema.last().cloned(), name: name.clone() }))
    };
    let mut all: Vec<(Span, ObjectRef)> = found.into_iter().filter_map(place).collect();
    all.sort_by_key(|(span, _)| span.start);
    all.dedup_by_key(|(span, _)| span.start);
    all
}

/// A type's name is the one node of the parse tree that has modifiers.
fn walk(value: &Value, found: &mut Vec<(usize, Vec<String>)>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
        Value::Object(fields) => {
            if let (Some(names), Some(_), Some(location)) =
                (fields.get("names"), fields.get("typmods"), fields.get("location").and_then(Value::as_u64))
            {
                let names: Vec<String> = names.as_array().into_iter().flatten().filter_map(string_of).collect();
                if !names.is_empty() {
                    found.push((location as usize, names));
                }
            }
            fields.values().for_each(|field| walk(field, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(name: &ObjectRef) -> Option<TableName> {
        let known = name.name == "mood" && name.schema.as_ref().is_none_or(|schema| schema == "s");
        known.then(|| TableName::new("s", "Other \"one\""))
    }

    fn retyped(text: &str) -> String {
        let file = parse_file(text).expect("it is SQL");
        with_types(&file.statements[0], &put).map_or_else(|| "none".to_owned(), |it| it.text.to_string())
    }

    #[test]
    fn types_are_replaced_where_they_stand_as_types() {
        let lines = [
            "SELECT 'a'::mood, CAST(x AS s.mood[]), mood FROM mood WHERE other.mood = 'b'::other.mood",
            "CREATE TABLE mood (id int, mood mood NOT NULL DEFAULT 'mood'::\"mood\", all_of_them mood[], \"Mood\" \"Mood\")",
            "ALTER TABLE t ALTER COLUMN mood TYPE mood USING mood::text::mood",
            "CREATE FUNCTION mood(a mood, b int) RETURNS SETOF s.mood LANGUAGE sql AS 'SELECT $1::mood'",
            "INSERT INTO mood (mood) VALUES ('mood')",
        ]
        .map(retyped);
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn an_expression_keeps_all_but_its_types() {
        let expr = Expr::parse("CASE mood WHEN 'a' THEN 'b' ELSE mood::text END::mood").expect("it is one");
        let expr = expr.with_types(&put).map(|expr| expr.as_written().to_owned());
        insta::assert_snapshot!(expr.unwrap_or_default());
    }
}
