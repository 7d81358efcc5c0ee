//! `doctor` for people.

use crossfade::report::Complaint;
use crossfade::report::DoctorReport;
use crossfade_core::finding::Severity;

use super::Paint;
use super::indented;

/// The whole report.
pub fn text(report: &DoctorReport, paint: Paint) -> String {
    if report.complaints.is_empty() {
        return format!("nothing is left over in {}, and nothing waits\n", report.database);
    }
    let blocks: Vec<String> = report.complaints.iter().map(|complaint| block(complaint, paint)).collect();
    blocks.join("\n")
}

fn block(complaint: &Complaint, paint: Paint) -> String {
    let level = match complaint.severity {
        Severity::Error => paint.red("error"),
        Severity::Warning => paint.yellow("warning"),
        Severity::Note => paint.dim("note"),
    };
    let rule = paint.dim(&format!("[{}]", complaint.rule));
    let mut out = format!("{level}{rule} {}\n", paint.bold(&complaint.object));
    out.push_str(&indented(&complaint.why, "  "));
    for (at, way) in complaint.mend.iter().enumerate() {
        let end = if way.starts_with("crossfade ") { "" } else { ";" };
        out.push_str(&format!("  {}  {way}{end}\n", if at == 0 { "mend:" } else { "or:  " }));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_says_why_and_how_it_is_mended() {
        let complaint = |rule, severity, mend: &[&str]| Complaint {
            rule,
            severity,
            object: "index public.users_email on public.users".to_owned(),
            why: "no query uses it".to_owned(),
            mend: mend.iter().map(|way| (*way).to_owned()).collect(),
        };
        let complaints = vec![
            complaint("failed-migration", Severity::Error, &["crossfade migrate", "crossfade rollback 002"]),
            complaint("invalid-index", Severity::Warning, &["DROP INDEX CONCURRENTLY public.users_email"]),
        ];
        let mut report = DoctorReport { format: 1, database: "db:5432/shop".to_owned(), complaints };
        let want = "error[failed-migration] index public.users_email on public.users\n  no query uses it\n  \
                    mend:  crossfade migrate\n  or:    crossfade rollback 002\n\n\
                    warning[invalid-index] index public.users_email on public.users\n  no query uses it\n  \
                    mend:  DROP INDEX CONCURRENTLY public.users_email;\n";
        assert_eq!(text(&report, Paint::plain()), want);
        report.complaints.clear();
        assert_eq!(text(&report, Paint::plain()), "nothing is left over in db:5432/shop, and nothing waits\n");
    }
}
