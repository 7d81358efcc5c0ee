//! Workflow commands of GitHub Actions: annotations on the lines of a pull request.
//!
//! GitHub shows ten errors, ten warnings and ten notices of a step and passes over the others, so the worst come first. A column is only taken where
//! the end is on the same line, and the end is left out: whether it counts bytes, characters or units of UTF-16 is not documented.

use crossfade_core::finding::Severity;

use super::Problem;
use super::Review;

/// One workflow command a problem.
pub fn annotations(review: &Review) -> String {
    review.worst_first().into_iter().map(annotation).collect()
}

fn annotation(problem: &Problem) -> String {
    let command = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let mut properties = vec![format!("file={}", property(&problem.path))];
    if let Some(place) = &problem.place {
        properties.push(format!("line={}", place.line));
        match place.end_line {
            end if end > place.line => properties.push(format!("endLine={end}")),
            _ => properties.push(format!("col={}", place.column)),
        }
    }
    properties.push(format!("title={}", property(&problem.rule)));
    let more = problem.body();
    let more = if more.is_empty() { String::new() } else { format!("\n{more}") };
    format!("::{command} {}::{}\n", properties.join(","), data(&format!("{}{more}", problem.message)))
}

/// A message is one line, and `%` begins an escape.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Properties end at `,`, and their list at `::`.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_is_one_line_whatever_it_says() {
        let problem = Problem {
            rule: "changed-file".to_owned(),
            severity: Severity::Warning,
            path: "a,b/50%:c.sql".to_owned(),
            place: None,
            message: "two\r\nlines, 100%::x".to_owned(),
            reasons: Vec::new(),
            help: Some("do\nthis".to_owned()),
            safe_sql: None,
            evidence: None,
            allowed: None,
            page: String::new(),
            fingerprint: String::new(),
        };
        assert_eq!(
            annotation(&problem),
            "::warning file=a%2Cb/50%25%3Ac.sql,title=changed-file::two%0D%0Alines, 100%25::x%0Ado%0Athis\n"
        );
    }
}
