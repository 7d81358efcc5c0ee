//! `check` for people, and as annotations of GitHub Actions.

use crossfade::report::CheckFinding;
use crossfade::report::CheckReport;
use crossfade_core::finding::Severity;

use super::Paint;
use super::findings;
use super::human;

/// The whole report.
pub fn text(report: &CheckReport, paint: Paint) -> String {
    let mut out: String = report.sources.iter().map(|file| findings::text(file, paint)).collect();
    for plan in report.plans.iter().flatten() {
        let how = if plan.phased { "in phases" } else { "goes through in one run" };
        out.push_str(&format!("{} {}: {how}\n", plan.version, plan.name));
        out.extend(plan.steps.iter().map(|step| format!("    {step}\n")));
    }
    for note in &report.notes {
        out.push_str(&format!("{}: {note}\n", paint.yellow("note")));
    }
    let files = human::counted(report.files as u64, "migration", "migrations");
    let place = match &report.base {
        Some(base) => format!("{files}, {} not on {}", report.new.len(), base.name),
        None => files,
    };
    let count = |severity| report.findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let warned = match warnings {
        0 => String::new(),
        count => format!(", {}", human::counted(count as u64, "warning", "warnings")),
    };
    match errors {
        0 => out.push_str(&format!("{} {place}: nothing stands in the way{warned}\n", paint.green("✓"))),
        count => {
            let errors = human::counted(count as u64, "error", "errors");
            out.push_str(&format!("{} {place}: {errors}{warned}\n", paint.red("✗")));
        }
    }
    out
}

/// One workflow command a finding.
pub fn annotations(report: &CheckReport) -> String {
    report.findings.iter().map(annotation).collect()
}

fn annotation(finding: &CheckFinding) -> String {
    let command = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let mut properties = vec![format!("file={}", property(&finding.path))];
    properties.extend(finding.line.map(|line| format!("line={line}")));
    properties.extend(finding.column.map(|column| format!("col={column}")));
    properties.push(format!("title={}", property(&finding.rule)));
    let help = finding.help.as_ref().map(|help| format!("\n{help}")).unwrap_or_default();
    format!("::{command} {}::{}\n", properties.join(","), data(&format!("{}{help}", finding.message)))
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
        let finding = CheckFinding {
            rule: "changed-file".to_owned(),
            severity: Severity::Warning,
            path: "a,b/50%:c.sql".to_owned(),
            line: Some(3),
            column: None,
            message: "two\r\nlines, 100%::x".to_owned(),
            help: Some("do\nthis".to_owned()),
        };
        assert_eq!(
            annotation(&finding),
            "::warning file=a%2Cb/50%25%3Ac.sql,line=3,title=changed-file::two%0D%0Alines, 100%25::x%0Ado%0Athis\n"
        );
    }
}
