//! What a command that changes something has done.

use std::collections::BTreeSet;

use crossfade::report::BackfillReport;
use crossfade::report::RunReport;
use crossfade_core::journal::State;

use super::Paint;
use super::human;
use super::status;

/// What was not announced while it ran; where there was nothing to do, that.
pub fn text(report: &RunReport, announced: &BTreeSet<String>, paint: Paint) -> String {
    if report.migrations.is_empty() {
        return "nothing to do\n".to_owned();
    }
    let new = report.migrations.iter().filter(|migration| !announced.contains(&migration.version));
    new.map(|migration| line(&migration.version, &migration.name, migration.state, migration.next.as_deref(), paint))
        .collect()
}

/// One migration: where it is now, and what comes next.
pub fn line(version: &str, name: &str, state: State, next: Option<&str>, paint: Paint) -> String {
    let next = next.map(|next| format!(": {next}")).unwrap_or_default();
    format!("{version} {name} is {}{next}\n", status::state(state, paint))
}

/// What a backfill came to.
pub fn filled(report: &BackfillReport) -> String {
    let rows = human::counted(report.rows, "row", "rows");
    let sweeps = human::counted(u64::from(report.sweeps), "sweep", "sweeps");
    format!("{}: {rows} changed in {sweeps}, none is left\n", report.table)
}
