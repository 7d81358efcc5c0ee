//! `lint` for people: each finding at its place, with its reason and what to write instead.

use annotate_snippets::AnnotationKind;
use annotate_snippets::Group;
use annotate_snippets::Level;
use annotate_snippets::Renderer;
use annotate_snippets::Snippet;
use crossfade::report::LintReport;
use crossfade::report::LintedFile;
use crossfade_core::finding::Severity;
use crossfade_core::lint::LintFinding;
use crossfade_core::sql::Span;

use super::Paint;
use super::human;
use super::shown;

/// The whole report.
pub fn text(report: &LintReport, paint: Paint) -> String {
    let mut out: String = report.sources.iter().map(|file| of_file(file, paint)).collect();
    let files = human::counted(report.files as u64, "file", "files");
    let counted = [
        (Severity::Error, "error", "errors"),
        (Severity::Warning, "warning", "warnings"),
        (Severity::Note, "note", "notes"),
    ];
    let counts: Vec<String> = counted
        .into_iter()
        .filter_map(|(level, one, many)| {
            let count = report.count(level);
            (count > 0).then(|| human::counted(count as u64, one, many))
        })
        .collect();
    let mark = if report.reaches(Severity::Error) { paint.red("✗") } else { paint.green("✓") };
    let counts = if counts.is_empty() { "nothing was found".to_owned() } else { counts.join(", ") };
    out.push_str(&format!("{mark} {files}: {counts}\n"));
    out
}

fn of_file(file: &LintedFile, paint: Paint) -> String {
    let renderer = if paint.is_styled() { Renderer::styled() } else { Renderer::plain() };
    let path = shown(&file.path);
    let each = file.findings.iter().map(|finding| {
        let notes = notes(finding);
        format!("{}\n\n", renderer.render(&[group(finding, &notes, &path, &file.text)]))
    });
    each.collect()
}

/// Why it is bad, or what is done about it, a sentence each.
pub(super) fn reasons(finding: &LintFinding) -> Vec<String> {
    let lock = finding.lock.map(|lock| format!(" ({lock})")).unwrap_or_default();
    let mut said = match &finding.phased {
        Some(phased) => vec![format!("runs phased: {phased}")],
        None => vec![format!("{}{lock}", finding.effect)],
    };
    if let Some(blocked) = &finding.blocked_for {
        let (rows, bytes) = (human::count(blocked.rows), human::bytes(blocked.bytes));
        let time = human::duration(blocked.time);
        let measured = blocked.measured.as_ref().map(|basis| format!(" ({basis})")).unwrap_or_default();
        said.push(format!("{} has about {rows} rows, {bytes}: blocked for about {time}{measured}", blocked.table));
    }
    said
}

/// What stands below the text of the file.
fn notes(finding: &LintFinding) -> Vec<(Level<'static>, String)> {
    let mut notes: Vec<_> = reasons(finding).into_iter().map(|said| (Level::NOTE, said)).collect();
    if let (None, Some(safe)) = (&finding.phased, &finding.safe_sql) {
        notes.push((Level::HELP, format!("write\n{safe}")));
    }
    notes
}

fn group<'a>(
    finding: &'a LintFinding,
    notes: &'a [(Level<'static>, String)],
    path: &'a str,
    text: &'a str,
) -> Group<'a> {
    let level = match finding.level {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let snippet =
        Snippet::source(text).path(path).annotation(AnnotationKind::Primary.span(first_line(finding.span, text)));
    let group = level.primary_title(finding.message.as_str()).id(finding.rule.as_str()).element(snippet);
    notes.iter().fold(group, |group, (level, note)| group.element(level.clone().message(note.as_str())))
}

/// The part of the text to mark: of a long statement its first line.
fn first_line(span: Span, text: &str) -> std::ops::Range<usize> {
    let first = span.of(text).lines().next().unwrap_or_default().trim_end();
    let start = span.start.min(text.len());
    start..start + first.len()
}
