//! `renumber` for people: what was called what.

use crossfade::report::RenumberReport;

use super::Paint;
use super::shown;

/// The whole report.
pub fn text(report: &RenumberReport, paint: Paint) -> String {
    if report.migrations.is_empty() {
        return "nothing to renumber\n".to_owned();
    }
    let mut out = String::new();
    for migration in &report.migrations {
        let title = format!("{} {} becomes {}", migration.version, migration.name, migration.new_version);
        out.push_str(&format!("{}\n", paint.bold(&title)));
        for file in &migration.files {
            out.push_str(&format!("  {} -> {}\n", shown(&file.from), shown(&file.to)));
        }
    }
    if report.dry_run {
        out.push_str("nothing was renamed (--dry-run)\n");
    }
    out
}
