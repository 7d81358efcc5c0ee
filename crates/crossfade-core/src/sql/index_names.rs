//! The names that the server gives to the columns of an index; the index's own name is made of them where none is written.
//!
//! Source: PostgreSQL's FigureIndexColname and ChooseIndexColumnNames; measured on 13 to 18.

use pg_query::NodeEnum;
use pg_query::protobuf;
use pg_query::protobuf::JsonExprOp;
use pg_query::protobuf::MinMaxOp;

use super::MAX_IDENT_BYTES;
use super::text::cut;

/// The names of an index's columns, those of INCLUDE behind the keys.
pub(super) fn column_names<'a>(elements: impl Iterator<Item = &'a protobuf::IndexElem>, major: u32) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for element in elements {
        let wanted = if !element.indexcolname.is_empty() {
            element.indexcolname.clone()
        } else if !element.name.is_empty() {
            element.name.clone()
        } else {
            let figured = element.expr.as_deref().and_then(|expr| figure(expr, major));
            figured.map_or_else(|| "expr".to_owned(), |figured| figured.name)
        };
        let mut name = wanted.clone();
        let mut pass = 0;
        while names.contains(&name) {
            pass += 1;
            let number = pass.to_string();
            name = format!("{}{number}", cut(&wanted, MAX_IDENT_BYTES - number.len()));
        }
        names.push(name);
    }
    names
}

/// A name for an expression, and whether it is a good one: a cast's or a CASE's gives way to a better one further in.
struct Figured {
    name: String,
    good: bool,
}

fn good(name: impl Into<String>) -> Option<Figured> {
    Some(Figured { name: name.into(), good: true })
}

fn figure(node: &protobuf::Node, major: u32) -> Option<Figured> {
    let inner = |node: &Option<Box<protobuf::Node>>| node.as_deref().and_then(|node| figure(node, major));
    let or = |found: Option<Figured>, name: Option<String>| match found {
        Some(found) if found.good => Some(found),
        found => name.map(|name| Figured { name, good: false }).or(found),
    };
    match node.node.as_ref()? {
        NodeEnum::ColumnRef(column) => good(last_string(&column.fields)?),
        NodeEnum::AIndirection(indirection) => match last_string(&indirection.indirection) {
            Some(name) => good(name),
            None => inner(&indirection.arg),
        },
        NodeEnum::FuncCall(call) => {
            let name = last_string(&call.funcname)?;
            let sql_syntax = call.funcformat() == protobuf::CoercionForm::CoerceSqlSyntax;
            good(if sql_syntax && name == "extract" && major < 14 { "date_part".to_owned() } else { name })
        }
        NodeEnum::AExpr(expr) if expr.kind() == protobuf::AExprKind::AexprNullif => good("nullif"),
        NodeEnum::TypeCast(cast) => {
            or(inner(&cast.arg), cast.type_name.as_ref().and_then(|name| last_string(&name.names)))
        }
        NodeEnum::CollateClause(collate) => inner(&collate.arg),
        NodeEnum::CaseExpr(case) => or(inner(&case.defresult), Some("case".to_owned())),
        NodeEnum::AArrayExpr(_) => good("array"),
        NodeEnum::RowExpr(_) => good("row"),
        NodeEnum::CoalesceExpr(_) => good("coalesce"),
        NodeEnum::MinMaxExpr(expr) => good(if expr.op() == MinMaxOp::IsLeast { "least" } else { "greatest" }),
        NodeEnum::JsonFuncExpr(expr) => good(match expr.op() {
            JsonExprOp::JsonExistsOp => "json_exists",
            JsonExprOp::JsonQueryOp => "json_query",
            JsonExprOp::JsonValueOp => "json_value",
            _ => return None,
        }),
        _ => None,
    }
}

fn last_string(nodes: &[protobuf::Node]) -> Option<String> {
    nodes.iter().rev().find_map(|node| match node.node.as_ref() {
        Some(NodeEnum::String(text)) => Some(text.sval.clone()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::IndexDefinition;

    /// What the servers said: the part of the index's name between the table's and `_idx`.
    #[test]
    fn columns_are_named_as_the_server_names_them() {
        let check = |major: u32, keys: &str, expected: &str| {
            let index = IndexDefinition::parse_text(&format!("CREATE INDEX ON t {keys}")).expect(keys);
            assert_eq!(index.column_names(major).join("_"), expected, "{keys}");
        };
        for major in [13, 14, 15, 16, 17, 18] {
            check(major, "(a)", "a");
            check(major, "(a, b)", "a_b");
            check(major, "(a) INCLUDE (b)", "a_b");
            check(major, "(a, a, a)", "a_a1_a2");
            check(major, "(lower(email))", "lower");
            check(major, "(lower(email), upper(email), lower(email))", "lower_upper_lower1");
            check(major, "((a + b), (a - b))", "expr_expr1");
            check(major, "((j->>'x'))", "expr");
            check(major, "((email::varchar(10)))", "email");
            check(major, "((a::bigint))", "a");
            check(major, "((1::bigint))", "int8");
            check(major, "(('x'::text))", "text");
            check(major, "((((j->'a')->'b')::text))", "text");
            check(major, "((CASE WHEN a > 0 THEN b ELSE 0 END))", "case");
            check(major, "((CASE WHEN a > 0 THEN 0 ELSE b END))", "b");
            check(major, "((email COLLATE \"C\"))", "email");
            check(major, "((email LIKE 'x'))", "expr");
            check(major, "((row(a, b) IS NULL))", "expr");
            check(major, "((pg_catalog.upper(email)))", "upper");
            check(major, "((position('a' in email)), (overlay(email placing 'x' from 1)))", "position_overlay");
            check(
                major,
                "((greatest(a, b)), (nullif(a, b)), (arr[1]), (ARRAY[a, b]), (trim(email)), (substring(email from 1 for 2)), (ts AT TIME ZONE 'utc'))",
                "greatest_nullif_arr_array_btrim_substring_timezone",
            );
            check(major, "((coalesce(a, 0)))", "coalesce");
        }
        check(13, "((extract(year from ts)))", "date_part");
        check(14, "((extract(year from ts)))", "extract");
    }
}
