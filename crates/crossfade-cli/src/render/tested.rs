//! `test` for people: one line a migration, and under it what is wrong, as SQL that would mend it.

use crossfade::report::TestReport;
use crossfade::report::TestedMigration;
use crossfade::report::TestedWay;
use crossfade::report::Way;

use super::Paint;
use super::drift;
use super::human;
use super::indented;

/// The whole report.
pub fn text(report: &TestReport, paint: Paint) -> String {
    let mut out = String::new();
    for migration in &report.migrations {
        out.push_str(&one(migration, paint));
    }
    for note in &report.notes {
        out.push_str(&format!("{}: {note}\n", paint.yellow("note")));
    }
    let wrong = report.migrations.iter().filter(|migration| !is_right(migration)).count();
    let all = human::counted(report.migrations.len() as u64, "migration", "migrations");
    let verdict = match wrong {
        0 => format!("{} {all}: every way back leads to where it came from", paint.green("✓")),
        wrong => format!("{} {wrong} of {all}: a way does not lead where it should", paint.red("✗")),
    };
    format!("{out}{verdict} ({})\n", report.scratch)
}

fn is_right(migration: &TestedMigration) -> bool {
    migration.ways.iter().all(TestedWay::is_right)
}

fn one(migration: &TestedMigration, paint: Paint) -> String {
    let title = format!("{} {}", migration.version, migration.name);
    let right: Vec<&str> = migration.ways.iter().filter(|way| way.is_right()).map(|way| name(way.way)).collect();
    let mark = match (is_right(migration), right.is_empty()) {
        (false, _) => paint.red("✗"),
        (true, true) => paint.dim("–"),
        (true, false) => paint.green("✓"),
    };
    let mut said: Vec<String> = Vec::new();
    if !right.is_empty() {
        said.push(right.join(", "));
    }
    said.extend(migration.skipped.iter().map(|why| paint.dim(why)));
    if let Some(taken) = migration.seeded {
        said.push(paint.dim(&human::counted(taken as u64, "statement of the seed fits", "statements of the seed fit")));
    }
    let colon = if said.is_empty() { "" } else { ": " };
    let mut out = format!("{mark} {title}{colon}{}\n", said.join("; "));
    for way in migration.ways.iter().filter(|way| !way.is_right()) {
        out.push_str(&wrong(way, paint));
    }
    out
}

fn wrong(way: &TestedWay, paint: Paint) -> String {
    if let Some(error) = &way.error {
        return format!("    {} fails: {error}\n", paint.red(name(way.way)));
    }
    let what = match way.way {
        Way::UpAgain => "leads to another schema than the first time; what would make it the same:",
        Way::Up | Way::Contract | Way::RollbackFromReady | Way::RollbackFromContracted | Way::Down => {
            "does not restore what was there; what would:"
        }
    };
    let mut out = format!("    {} {what}\n", paint.red(name(way.way)));
    let preamble: String = way.preamble.iter().map(|statement| format!("{statement};\n")).collect();
    out.push_str(&indented(preamble.as_str(), "    "));
    out.push_str(&indented(&drift::changes(&way.changes), "    "));
    for table in &way.rows {
        let rows = human::counted(table.before.unsigned_abs(), "row", "rows");
        out.push_str(&format!(
            "    the rows of {} are not what they were: {rows} before, {} now\n",
            table.table, table.after
        ));
    }
    out
}

fn name(way: Way) -> &'static str {
    match way {
        Way::Up => "up",
        Way::RollbackFromReady => "rollback from ready",
        Way::Contract => "contract",
        Way::RollbackFromContracted => "rollback from contracted",
        Way::Down => "down",
        Way::UpAgain => "up again",
    }
}
