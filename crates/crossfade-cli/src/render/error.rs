//! A failure: for people a message, its causes and a hint; for programs a document.

use std::error::Error as _;

use crossfade::Error;
use crossfade::ErrorKind;
use crossfade::error::FileFindings;
use crossfade::error::describe;
use crossfade::report::REPORT_FORMAT;
use crossfade_core::finding::Finding;
use crossfade_core::finding::Severity;
use crossfade_core::sql::Span;
use serde::Serialize;

use super::Paint;
use super::findings;
use super::shown;

/// For people.
pub fn text(error: &Error, paint: Paint) -> String {
    let mut out: String = error.findings().iter().map(|file| findings::text(file, paint)).collect();
    out.push_str(&format!("{} {error}\n", paint.red("error:")));
    for cause in causes(error) {
        out.push_str(&format!("  {} {}\n", paint.dim("caused by:"), hanging(&cause)));
    }
    if let Some(hint) = error.hint_text() {
        out.push_str(&format!("  {} {}\n", paint.cyan("hint:"), hanging(hint)));
    }
    out
}

/// Further lines of a text, below its first.
fn hanging(text: &str) -> String {
    text.trim_end().lines().collect::<Vec<_>>().join("\n    ")
}

/// Every cause that says something of its own.
fn causes(error: &Error) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        next = cause.source();
        let text = describe(cause);
        // The client's own error for what the server said: the server's words are its source.
        let is_frame = cause.is::<tokio_postgres::Error>() && text == "db error" && next.is_some();
        if !is_frame && !text.is_empty() && causes.last() != Some(&text) {
            causes.push(text);
        }
    }
    causes
}

/// For programs.
#[derive(Debug, Serialize)]
pub struct Document {
    format: u32,
    error: Body,
}

/// What it says.
#[derive(Debug, Serialize)]
pub struct Body {
    kind: &'static str,
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sql_state: Option<String>,
    findings: Vec<Place>,
}

#[derive(Debug, Serialize)]
struct Place {
    file: String,
    line: Option<usize>,
    column: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_line: Option<usize>,
    rule: String,
    severity: Severity,
    message: String,
    help: Option<String>,
}

/// For programs.
pub fn document(error: &Error) -> Document {
    Document { format: REPORT_FORMAT, error: body(error) }
}

/// The same, as a part of another document.
pub fn body(error: &Error) -> Body {
    let kind = match error.kind() {
        ErrorKind::Failed => "failed",
        ErrorKind::Usage => "usage",
        ErrorKind::Refused => "refused",
    };
    let findings = error
        .findings()
        .iter()
        .flat_map(|file| file.findings.iter().map(move |finding| place(finding, file)))
        .collect();
    let hint = error.hint_text().map(str::to_owned);
    Body { kind, message: error.to_string(), causes: causes(error), hint, sql_state: error.sql_state(), findings }
}

fn place(finding: &Finding, file: &FileFindings) -> Place {
    let start = finding.span.map(|span| span.line_and_column(&file.text));
    let end = finding.span.map(|span| Span::new(span.end, span.end).line_and_column(&file.text).0);
    Place {
        file: shown(&file.path),
        line: start.map(|(line, _)| line),
        column: start.map(|(_, column)| column),
        end_line: end,
        rule: finding.rule.clone(),
        severity: finding.severity,
        message: finding.message.clone(),
        help: finding.help.clone(),
    }
}
