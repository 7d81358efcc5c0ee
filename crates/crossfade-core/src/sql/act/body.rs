//! What stands in DO blocks and in the bodies of functions.

use pg_query::NodeEnum;
use pg_query::protobuf;

use super::Act;
use super::Body;
use super::Deed;
use super::read::deed;
use super::script::Script;
use crate::sql::Span;

/// A DO block.
pub(super) fn block(block: &protobuf::DoStmt, text: &str, at: Span, script: &mut Script) {
    let foreign = block.args.iter().any(|option| match option.node.as_ref() {
        Some(NodeEnum::DefElem(element)) if element.defname == "language" => {
            let language = element.arg.as_ref().and_then(|arg| arg.node.as_ref()).map(super::alter::option_text);
            language.is_some_and(|language| !language.eq_ignore_ascii_case("plpgsql"))
        }
        _ => false,
    });
    if foreign {
        return opaque(script, at, None, "DO", "it is in another language than PL/pgSQL");
    }
    match pg_query::parse_plpgsql(text) {
        Ok(tree) => statements(&tree, text, at, Body::Do, script),
        Err(_) => opaque(script, at, None, "DO", "its body is not understood"),
    }
}

/// A function or a procedure.
pub(super) fn function(function: &protobuf::CreateFunctionStmt, text: &str, at: Span, script: &mut Script) {
    let option = |name: &str| {
        function.options.iter().find_map(|option| match option.node.as_ref() {
            Some(NodeEnum::DefElem(element)) if element.defname == name => element.arg.as_ref()?.node.as_ref(),
            _ => None,
        })
    };
    let language = option("language").map(super::alter::option_text).unwrap_or_else(|| "sql".to_owned());
    match language.to_ascii_lowercase().as_str() {
        "sql" => {
            let Some(NodeEnum::List(list)) = option("as") else { return };
            let body = list.items.iter().find_map(|node| match node.node.as_ref() {
                Some(NodeEnum::String(text)) => Some(text.sval.as_str()),
                _ => None,
            });
            sql(body.unwrap_or_default(), text, at, Body::Function, script);
        }
        "plpgsql" => match pg_query::parse_plpgsql(text) {
            Ok(tree) => statements(&tree, text, at, Body::Function, script),
            Err(_) => opaque(script, at, Some(Body::Function), "the function", "its body is not understood"),
        },
        // What another language does to the database is its own business, when it is called.
        _ => {}
    }
}

fn opaque(script: &mut Script, at: Span, inside: Option<Body>, what: &str, why: &str) {
    script.acts.push(Act { span: at, deed: Deed::Opaque { what: what.to_owned(), why: why.to_owned() }, inside });
}

/// Statements of SQL in a body. A place is found where the body has it word by word.
fn sql(query: &str, text: &str, at: Span, inside: Body, script: &mut Script) {
    let span = match text.find(query.trim()).filter(|_| !query.trim().is_empty()) {
        Some(found) => Span::new(at.start + found, at.start + found + query.trim().len()),
        None => at,
    };
    let Ok(parsed) = pg_query::parse(query, 0) else {
        return opaque(script, span, Some(inside), "a statement", "it is not understood");
    };
    for raw in &parsed.protobuf.stmts {
        let Some(node) = raw.stmt.as_ref().and_then(|stmt| stmt.node.as_ref()) else { continue };
        let found = deed(node);
        // A query in a body reads; what it calls is the body's business.
        if !matches!(found, Deed::Select { .. }) {
            script.acts.push(Act { span, deed: found, inside: Some(inside) });
        }
    }
}

/// The statements of a PL/pgSQL body, in the order in which they stand.
fn statements(tree: &serde_json::Value, text: &str, at: Span, inside: Body, script: &mut Script) {
    match tree {
        serde_json::Value::Array(items) => {
            items.iter().for_each(|item| statements(item, text, at, inside, script));
        }
        serde_json::Value::Object(fields) => {
            for (kind, value) in fields {
                match kind.as_str() {
                    "PLpgSQL_stmt_execsql" => {
                        if let Some(query) = value["sqlstmt"]["PLpgSQL_expr"]["query"].as_str() {
                            let into = value["into"].as_bool().unwrap_or(false);
                            if !into || !query.trim_start().to_ascii_lowercase().starts_with("select") {
                                sql(query, text, at, inside, script);
                            }
                        }
                    }
                    "PLpgSQL_stmt_dynexecute" => execute(value, text, at, inside, script),
                    "PLpgSQL_stmt_dynfors" | "PLpgSQL_stmt_return_query" | "PLpgSQL_stmt_open" => {}
                    _ => statements(value, text, at, inside, script),
                }
            }
        }
        _ => {}
    }
}

/// `EXECUTE`: of one plain text it is known what it does, of anything else not.
fn execute(value: &serde_json::Value, text: &str, at: Span, inside: Body, script: &mut Script) {
    let query = value["query"]["PLpgSQL_expr"]["query"].as_str().unwrap_or_default();
    let span = match text.find(query.trim()).filter(|_| !query.trim().is_empty()) {
        Some(found) => Span::new(at.start + found, at.start + found + query.trim().len()),
        None => at,
    };
    match literal(query) {
        Some(statement) => {
            let before = script.acts.len();
            sql(&statement, &statement, span, inside, script);
            script.acts.iter_mut().skip(before).for_each(|act| act.span = span);
        }
        None => opaque(script, span, Some(inside), "EXECUTE", "the statement is put together when it runs"),
    }
}

/// The text of a query that is one literal.
fn literal(query: &str) -> Option<String> {
    let parsed = pg_query::parse(&["SELECT ", query].concat(), 0).ok()?;
    let NodeEnum::SelectStmt(select) = parsed.protobuf.stmts.into_iter().next()?.stmt?.node? else { return None };
    let [target] = select.target_list.as_slice() else { return None };
    let NodeEnum::ResTarget(target) = target.node.as_ref()? else { return None };
    match target.val.as_ref()?.node.as_ref()? {
        NodeEnum::AConst(constant) => match constant.val.as_ref()? {
            protobuf::a_const::Val::Sval(text) => Some(text.sval.clone()),
            _ => None,
        },
        _ => None,
    }
}
