//! `check` for people.

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
