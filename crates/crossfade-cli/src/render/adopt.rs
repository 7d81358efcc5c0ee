//! `adopt` for people: a line a migration, then what stands against taking the history over, or what to do next.

use crossfade::report::AdoptMigration;
use crossfade::report::AdoptReport;
use crossfade::report::AdoptState;
use crossfade::report::GivenBackReport;

use super::Paint;
use super::drift;
use super::human;

/// The whole report.
pub fn text(report: &AdoptReport, paint: Paint) -> String {
    let mut out = format!("database: {}\nhistory:  {} in {}\n\n", report.database, report.tool, report.table);
    out.push_str(&table(&report.migrations, paint));
    out.push('\n');
    for note in report.assumption.iter().chain(&report.notes) {
        out.push_str(&format!("{} {note}\n", paint.yellow("note:")));
    }
    for obstacle in &report.obstacles {
        out.push_str(&format!(
            "{} {}\n  {} {}\n",
            paint.red("obstacle:"),
            obstacle.what,
            paint.cyan("hint:"),
            obstacle.hint
        ));
    }
    if let Some(proof) = &report.proof {
        out.push_str(&drift::summary(proof, paint));
    }
    if report.is_disproved() {
        let proof = report.proof.as_deref().map(drift::script).unwrap_or_default();
        out.push_str(&format!(
            "\n{proof}\nthe files make another schema than the database has; nothing was taken over\n"
        ));
    } else if report.obstacles.is_empty() {
        out.push_str(&outcome(report));
    }
    out
}

fn outcome(report: &AdoptReport) -> String {
    let tool = report.tool;
    let new = report.migrations.iter().filter(|migration| migration.state.is_applied() && !migration.known).count();
    let new = human::counted(new as u64, "migration", "migrations");
    if !report.adopted {
        return format!("{new} would be taken over; nothing was changed\n");
    }
    let fence = match report.fenced {
        true => format!("{tool} can't write to its history any more; `crossfade adopt --unfence` lets it"),
        false => format!("{tool} must not run here any more; `crossfade adopt --fence` makes it fail"),
    };
    format!("{new} taken over; `crossfade migrate` goes on from here\n{fence}\n")
}

fn table(migrations: &[AdoptMigration], paint: Paint) -> String {
    let width = |title: &str, cell: fn(&AdoptMigration) -> &str| {
        migrations.iter().map(|migration| cell(migration).chars().count()).fold(title.len(), usize::max)
    };
    let version = width("VERSION", |migration| &migration.version);
    let name = width("NAME", |migration| &migration.name);
    let mut out = format!("{}\n", paint.bold(&format!("{:version$}  {:name$}  STATE", "VERSION", "NAME")));
    for migration in migrations {
        let known = if migration.known { ", known already" } else { "" };
        let state = format!("{}{known}", state(migration.state, paint));
        let at = migration.applied_at.as_ref().map(|at| format!("  {}", paint.dim(at))).unwrap_or_default();
        let line = format!("{:version$}  {:name$}  {state}{at}", migration.version, migration.name);
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn state(state: AdoptState, paint: Paint) -> String {
    match state {
        AdoptState::Verified | AdoptState::LineEnds => paint.green(state.text()),
        AdoptState::Unverified | AdoptState::NotSql => state.text().to_owned(),
        AdoptState::Differs | AdoptState::Missing => paint.red(state.text()),
        AdoptState::Pending => paint.dim(state.text()),
        AdoptState::Late => paint.yellow(state.text()),
    }
}

/// What was taken back.
pub fn given_back(report: &GivenBackReport) -> String {
    let mut out = String::new();
    if !report.migrations.is_empty() {
        let count = human::counted(report.migrations.len() as u64, "migration", "migrations");
        out.push_str(&format!("{count} forgotten; the other tool's history stands as it was\n"));
    }
    match report.unfenced.as_slice() {
        [] if report.migrations.is_empty() => out.push_str("there is no fence\n"),
        [] => {}
        tables => out.push_str(&format!("the fence around {} is gone\n", tables.join(", "))),
    }
    out
}
