//! The code quality report of GitLab: an array of issues, each with a fingerprint that no other has.

use crossfade_core::finding::Severity;
use serde_json::Value;
use serde_json::json;

use super::Problem;
use super::Review;

/// The report.
pub fn code_quality(review: &Review) -> String {
    let issues: Vec<Value> = review.problems.iter().map(issue).collect();
    format!("{:#}", Value::Array(issues))
}

fn issue(problem: &Problem) -> Value {
    let severity = match problem.severity {
        Severity::Error => "critical",
        Severity::Warning => "major",
        Severity::Note => "info",
    };
    let (begin, end) = problem.place.as_ref().map_or((1, 1), |place| (place.line, place.end_line));
    json!({
        "description": problem.message,
        "check_name": problem.rule,
        "fingerprint": problem.fingerprint,
        "severity": severity,
        "location": {"path": problem.path, "lines": {"begin": begin, "end": end}},
        "content": {"body": problem.body()},
    })
}
