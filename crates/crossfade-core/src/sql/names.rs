//! What a statement of an application names: relations, columns, `*`. Without the catalog it is not known which table a name without a
//! qualifier belongs to, so all of it is kept, and somebody else judges.

use serde_json::Value;

use super::ObjectRef;
use super::expr::relation_of;
use super::expr::string_of;
use super::parse::scan;

/// A relation as a statement has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedRelation {
    /// Its name.
    pub relation: ObjectRef,
    /// What the rest of the statement calls it.
    pub alias: Option<String>,
}

/// What a statement names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Its relations, without the names of WITH.
    pub relations: Vec<NamedRelation>,
    /// Its columns, each with its qualifier where one is written.
    pub columns: Vec<(Option<String>, String)>,
    /// Its `*`, each with its qualifier where one is written.
    pub stars: Vec<Option<String>>,
    /// The columns that it writes, each with the table.
    pub written: Vec<(ObjectRef, String)>,
    /// Tables that it writes without a list of columns.
    pub unlisted: Vec<ObjectRef>,
    /// Tables that it copies out, whatever columns are listed: that is what a backup looks like.
    pub copied_out: Vec<ObjectRef>,
}

/// Reads one statement, or several. Nothing where the text is no SQL, as when it was cut off.
pub fn names_in(text: &str) -> Option<Names> {
    let parsed = pg_query::parse(text, 0).ok()?;
    let tree = serde_json::to_value(&parsed.protobuf.stmts).ok()?;
    let mut names = Names::default();
    let mut with = Vec::new();
    walk(&tree, &mut names, &mut with);
    names.relations.retain(|named| named.relation.schema.is_some() || !with.contains(&named.relation.name));
    Some(names)
}

/// A statement without the values in it, as `pg_stat_statements` would show it: values are nobody's business. Nothing where the text is no SQL.
pub fn without_values(text: &str) -> Option<String> {
    pg_query::normalize(text).ok()
}

/// What two statements have in common that differ in nothing but values and parameters.
pub fn fingerprint(text: &str) -> Option<String> {
    pg_query::fingerprint(text, 0, pg_query::FingerprintOptions::FULL_RELNAME).ok().map(|fingerprint| fingerprint.hex)
}

/// The words of a text that need not be SQL: its names as the server would read them, in their order.
pub fn words_in(text: &str) -> Vec<String> {
    // What is cut in the middle of a string or of a quoted name can't be scanned to its end.
    let tokens = (0..=text.len()).rev().filter(|end| text.is_char_boundary(*end));
    let mut tries = tokens.map(|end| &text[..end]).take(256);
    let Some((text, tokens)) = tries.find_map(|text| scan(text).ok().map(|tokens| (text, tokens))) else {
        let words = text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '$');
        return words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    };
    let piece = |token: &pg_query::protobuf::ScanToken| text.get(token.start as usize..token.end as usize);
    let words = tokens.iter().filter_map(piece).filter_map(|piece| match piece.strip_prefix('"') {
        Some(quoted) => Some(quoted.strip_suffix('"').unwrap_or(quoted).replace("\"\"", "\"")),
        None => piece.starts_with(|c: char| c.is_alphabetic() || c == '_').then(|| piece.to_lowercase()),
    });
    words.collect()
}

fn walk(value: &Value, names: &mut Names, with: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, names, with)),
        Value::Object(fields) => {
            if let Some(relation) = relation(value) {
                names.relations.push(relation);
                return;
            }
            for (key, field) in fields {
                match key.as_str() {
                    "ColumnRef" => column(field, names),
                    "InsertStmt" => written(field, "cols", true, names),
                    "UpdateStmt" => written(field, "target_list", false, names),
                    "CopyStmt" => copied(field, names),
                    "MergeStmt" => merged(field, names),
                    "CommonTableExpr" => with.extend(field["ctename"].as_str().map(str::to_owned)),
                    _ => {}
                }
                walk(field, names, with);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn relation(value: &Value) -> Option<NamedRelation> {
    let alias = value["alias"]["aliasname"].as_str().filter(|alias| !alias.is_empty()).map(str::to_owned);
    Some(NamedRelation { relation: relation_of(value)?, alias })
}

fn column(column: &Value, names: &mut Names) {
    let fields = column["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
    let qualifier = fields.len().checked_sub(2).and_then(|at| fields.get(at)).and_then(string_of);
    let Some(last) = fields.last() else { return };
    match string_of(last) {
        Some(name) => names.columns.push((qualifier, name)),
        None => names.stars.push(qualifier),
    }
}

fn targets<'v>(list: &'v Value) -> impl Iterator<Item = String> + 'v {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| item["node"]["ResTarget"]["name"].as_str())
        .map(str::to_owned)
}

fn written(statement: &Value, list: &str, may_lack: bool, names: &mut Names) {
    let Some(NamedRelation { relation, .. }) = relation(&statement["relation"]) else { return };
    let columns: Vec<String> = targets(&statement[list]).collect();
    if columns.is_empty() && may_lack && !statement["select_stmt"].is_null() {
        names.unlisted.push(relation.clone());
    }
    let conflict = &statement["on_conflict_clause"];
    let inferred = conflict["infer"]["index_elems"].as_array().into_iter().flatten();
    let inferred = inferred.filter_map(|item| item["node"]["IndexElem"]["name"].as_str()).map(str::to_owned);
    let all =
        columns.into_iter().chain(targets(&conflict["target_list"])).chain(inferred.filter(|name| !name.is_empty()));
    names.written.extend(all.map(|column| (relation.clone(), column)));
}

fn copied(statement: &Value, names: &mut Names) {
    let Some(NamedRelation { relation, .. }) = relation(&statement["relation"]) else { return };
    let columns = statement["attlist"].as_array().into_iter().flatten();
    let columns: Vec<String> =
        columns.filter_map(|item| item["node"]["String"]["sval"].as_str()).map(str::to_owned).collect();
    if statement["is_from"].as_bool() != Some(true) {
        names.copied_out.push(relation);
    } else if columns.is_empty() {
        names.unlisted.push(relation);
    } else {
        names.written.extend(columns.into_iter().map(|column| (relation.clone(), column)));
    }
}

fn merged(statement: &Value, names: &mut Names) {
    let Some(NamedRelation { relation, .. }) = relation(&statement["relation"]) else { return };
    for clause in statement["merge_when_clauses"].as_array().into_iter().flatten() {
        let clause = &clause["node"]["MergeWhenClause"];
        let columns: Vec<String> = targets(&clause["target_list"]).collect();
        let inserts = clause["values"].as_array().is_some_and(|values| !values.is_empty());
        if columns.is_empty() && inserts {
            names.unlisted.push(relation.clone());
        }
        names.written.extend(columns.into_iter().map(|column| (relation.clone(), column)));
    }
}
