//! Findings at their place: file, line, column, the text and a mark under it.

use std::ops::Range;

use annotate_snippets::AnnotationKind;
use annotate_snippets::Group;
use annotate_snippets::Level;
use annotate_snippets::Origin;
use annotate_snippets::Renderer;
use annotate_snippets::Snippet;
use crossfade::error::FileFindings;
use crossfade_core::finding::Finding;
use crossfade_core::finding::Severity;

use super::Paint;
use super::indented;
use super::shown;

/// All findings of one file.
pub fn text(file: &FileFindings, paint: Paint) -> String {
    let renderer = if paint.is_styled() { Renderer::styled() } else { Renderer::plain() };
    if file.path.as_os_str().is_empty() {
        return file.findings.iter().map(|finding| without_text(finding, paint)).collect();
    }
    let path = shown(&file.path);
    file.findings
        .iter()
        .map(|finding| format!("{}\n\n", renderer.render(&[group(finding, &path, &file.text)])))
        .collect()
}

/// A finding of which the file is not at hand.
pub fn without_text(finding: &Finding, paint: Paint) -> String {
    let severity = match finding.severity {
        Severity::Error => paint.red("error"),
        Severity::Warning => paint.yellow("warning"),
        Severity::Note => paint.green("note"),
    };
    let help = finding.help.as_ref().map(|help| indented(&format!("help: {help}"), "  ")).unwrap_or_default();
    format!("{severity}[{}]: {}\n{help}", finding.rule, finding.message)
}

fn group<'a>(finding: &'a Finding, path: &'a str, text: &'a str) -> Group<'a> {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let title = level.primary_title(finding.message.as_str()).id(finding.rule.as_str());
    let group = match mark(finding, text) {
        Some(mark) => title.element(Snippet::source(text).path(path).annotation(AnnotationKind::Primary.span(mark))),
        None => title.element(Origin::path(path)),
    };
    match &finding.help {
        Some(help) => group.element(Level::HELP.message(help.as_str())),
        None => group,
    }
}

/// The part of the text to mark: of a long statement its first line.
fn mark(finding: &Finding, text: &str) -> Option<Range<usize>> {
    let span = finding.span?;
    let marked = text.get(span.start..span.end)?;
    let first = marked.lines().next().unwrap_or_default().trim_end();
    Some(span.start..span.start + first.len())
}
