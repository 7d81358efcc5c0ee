//! `drift` for people: the difference as a script on standard output, and what was compared beside it.

use crossfade::report::ChangeReport;
use crossfade::report::DriftReport;
use crossfade::report::Towards;

use super::Paint;
use super::human;
use super::indented;

/// The script; nothing where nothing differs.
pub fn script(report: &DriftReport) -> String {
    if report.changes.is_empty() {
        return String::new();
    }
    let what = match report.towards {
        Towards::Migrations => "Makes the database as its migrations say.",
        Towards::Database => "Makes what the migrations say as the database is.",
    };
    let mut out = indented(&format!("{what} Statement by statement, not in one transaction."), "-- ");
    out.extend(report.preamble.iter().map(|statement| format!("{statement};\n")));
    out + &changes(&report.changes)
}

/// Each change with its sentence and what to run.
pub fn changes(changes: &[ChangeReport]) -> String {
    let mut out = String::new();
    for change in changes {
        out.push('\n');
        out.push_str(&indented(&change.sentence, "-- "));
        if change.loses_data {
            out.push_str("-- loses data\n");
        }
        out.extend(change.sql.iter().map(|statement| format!("{};\n", statement.trim_end())));
    }
    out
}

/// What was compared with what, and how it came out.
pub fn summary(report: &DriftReport, paint: Paint) -> String {
    let mut out = String::new();
    for note in &report.notes {
        out.push_str(&format!("{}: {note}\n", paint.yellow("note")));
    }
    if !report.uncompared.is_empty() {
        out.push_str(&format!("not compared: {}\n", report.uncompared.join(", ")));
    }
    if report.ignored > 0 {
        let ignored = human::counted(report.ignored as u64, "object", "objects");
        out.push_str(&format!("ignored as crossfade.toml says: {ignored}\n"));
    }
    for migration in &report.under_way {
        let state = migration.state.name();
        out.push_str(&format!("{} {} is {state}, and was compared in that state\n", migration.version, migration.name));
    }
    let applied = human::counted(report.applied as u64, "migration", "migrations");
    let place = format!("{} and {applied} on {}", report.database, report.scratch);
    match report.changes.len() {
        0 => out.push_str(&format!("{} no drift between {place}\n", paint.green("✓"))),
        count => {
            let count = human::counted(count as u64, "change", "changes");
            out.push_str(&format!("{} {count} between {place}\n", paint.red("✗")));
        }
    }
    out
}
