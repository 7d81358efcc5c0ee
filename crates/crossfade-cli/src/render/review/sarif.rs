//! SARIF 2.1.0, as code scanning of GitHub and others read it. Written by hand: it is one object, and a test holds it against the official schema.

use std::collections::BTreeMap;

use crossfade_core::finding::Severity;
use crossfade_core::lint::rules;
use percent_encoding::AsciiSet;
use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::utf8_percent_encode;
use serde_json::Value;
use serde_json::json;

use super::Problem;
use super::Review;
use super::title;

/// What stands in a path of a URI as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The log of one run.
pub fn sarif(review: &Review, version: &str) -> String {
    // By name, with the page of each.
    let mut known: BTreeMap<&str, &str> = BTreeMap::new();
    let all = || review.problems.iter().chain(&review.allowed);
    for problem in all() {
        known.entry(&problem.rule).or_insert(&problem.page);
    }
    let names: Vec<&str> = known.keys().copied().collect();
    let results: Vec<Value> = all().map(|problem| result(problem, &names)).collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": review.tool,
                "semanticVersion": version,
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": known.iter().map(|(name, page)| rule(name, page)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{log:#}")
}

fn rule(name: &str, page: &str) -> Value {
    let mut about = json!({
        "id": name,
        "shortDescription": {"text": title(name)},
        "helpUri": page,
    });
    if let (Some(rule), Some(about)) = (rules::by_name(name), about.as_object_mut()) {
        about.insert("fullDescription".to_owned(), json!({"text": format!("{}: {}", rule.title, rule.effect)}));
        about.insert("help".to_owned(), json!({"text": format!("{}\n{page}", rule.effect)}));
        about.insert(
            "defaultConfiguration".to_owned(),
            json!({"level": level(rule.level.unwrap_or(Severity::Warning))}),
        );
    }
    about
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

fn result(problem: &Problem, names: &[&str]) -> Value {
    let mut place = json!({"artifactLocation": {"uri": uri(&problem.path)}});
    if let (Some(at), Some(place)) = (&problem.place, place.as_object_mut()) {
        let region = json!({
            "startLine": at.line,
            "startColumn": at.column,
            "endLine": at.end_line,
            "endColumn": at.end_column,
            "snippet": {"text": at.text},
        });
        place.insert("region".to_owned(), region);
    }
    let body = problem.body();
    let text = if body.is_empty() { problem.message.clone() } else { format!("{}\n{body}", problem.message) };
    let suppression = |reason: &String| json!({"kind": "inSource", "status": "accepted", "justification": reason});
    let suppressions: Vec<Value> = problem.allowed.iter().map(suppression).collect();
    json!({
        "ruleId": problem.rule,
        "ruleIndex": names.iter().position(|name| *name == problem.rule),
        "level": level(problem.severity),
        "message": {"text": text},
        "locations": [{"physicalLocation": place}],
        // GitHub knows the first, and takes anything for its value.
        "partialFingerprints": {
            "primaryLocationLineHash": format!("{}:1", problem.fingerprint),
            "crossfade/v1": problem.fingerprint,
        },
        "properties": {"evidence": problem.evidence},
        // None at all would say that it is not known.
        "suppressions": suppressions,
    })
}

/// Relative to the folder that the command ran in; a path from the root is a URI of its own.
fn uri(path: &str) -> String {
    let encoded = utf8_percent_encode(path, PATH).to_string();
    if path.starts_with('/') { format!("file://{encoded}") } else { encoded }
}
