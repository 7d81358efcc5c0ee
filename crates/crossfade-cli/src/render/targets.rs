//! A command on several targets: one line each.

use std::time::Duration;

use crossfade::report::MigrationStatus;
use crossfade::report::PlanReport;
use crossfade::report::RunMigration;
use crossfade::report::StatusReport;
use crossfade::report::TargetState;
use crossfade_core::journal::State;

use super::Paint;
use super::human;

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it is called.
    pub name: String,
    /// Whether it went first.
    pub canary: bool,
    /// How it ended.
    pub state: TargetState,
    /// How long it took.
    pub took: Duration,
    /// What there is to say.
    pub words: String,
}

/// The table, and how many ended how.
pub fn table(lines: &[Line], paint: Paint) -> String {
    if lines.is_empty() {
        return "no targets: no query of crossfade.toml gives one\n".to_owned();
    }
    let name = lines.iter().map(|line| line.name.chars().count()).fold("TARGET".len(), usize::max);
    let result = lines.iter().map(|line| line.state.words().len()).fold("RESULT".len(), usize::max);
    let heading = format!("{:name$}  {:result$}  {:>9}  {}", "TARGET", "RESULT", "TOOK", "MIGRATIONS");
    let mut out = format!("{}\n", paint.bold(&heading));
    for line in lines {
        let words = line.state.words();
        let pad = " ".repeat(result - words.len());
        let took = if line.state == TargetState::NotBegun { String::new() } else { human::duration(line.took) };
        let canary = if line.canary { paint.dim(" (canary)") } else { String::new() };
        let row =
            format!("{:name$}  {}{pad}  {took:>9}  {}{canary}", line.name, painted(line.state, paint), line.words);
        out.push_str(row.trim_end());
        out.push('\n');
    }
    let count = |state: TargetState| lines.iter().filter(|line| line.state == state).count();
    let states =
        [TargetState::Done, TargetState::Failed, TargetState::Refused, TargetState::Stopped, TargetState::NotBegun];
    let counts = states.into_iter().map(|state| (count(state), state.words())).filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, words)| format!("{count} {words}")).collect();
    out.push_str(&format!("{}: {}\n", human::counted(lines.len() as u64, "target", "targets"), counts.join(", ")));
    out
}

fn painted(state: TargetState, paint: Paint) -> String {
    match state {
        TargetState::Done => paint.green(state.words()),
        TargetState::Failed | TargetState::Refused => paint.red(state.words()),
        TargetState::Stopped => paint.yellow(state.words()),
        TargetState::NotBegun => paint.dim(state.words()),
    }
}

/// Where the migrations of a target stand: `at 043: 1 ready, 42 applied`.
pub fn ran(migrations: &[RunMigration]) -> String {
    standing(migrations.iter().map(|migration| (migration.version.as_str(), migration.state)))
}

/// The same, with what is wrong.
pub fn status(report: &StatusReport) -> String {
    let migrations = report.migrations.iter();
    let mut words =
        vec![standing(migrations.map(|migration: &MigrationStatus| (migration.version.as_str(), migration.state)))];
    if let Some(runner) = &report.runner {
        words.push(format!("{} pid {} is at work", runner.host, runner.pid));
    }
    if !report.problems.is_empty() {
        words.push(human::counted(report.problems.len() as u64, "problem", "problems"));
    }
    words.join("; ")
}

/// What would be run.
pub fn planned(report: &PlanReport) -> String {
    match report.plans.as_slice() {
        [] => "nothing to do".to_owned(),
        plans => {
            let steps: usize = plans.iter().map(|plan| plan.steps.len()).sum();
            let versions: Vec<&str> = plans.iter().map(|plan| plan.version.as_str()).collect();
            format!("{} in {}", versions.join(", "), human::counted(steps as u64, "step", "steps"))
        }
    }
}

fn standing<'m>(migrations: impl Iterator<Item = (&'m str, State)>) -> String {
    let all: Vec<(&str, State)> = migrations.collect();
    let newest = all.iter().rev().find(|(_, state)| !matches!(state, State::Pending | State::RolledBack));
    let mut counts: Vec<(State, u64)> = Vec::new();
    for (_, state) in all.iter().rev() {
        match counts.iter_mut().find(|(known, _)| known == state) {
            Some((_, count)) => *count += 1,
            None => counts.push((*state, 1)),
        }
    }
    let counts: Vec<String> = counts.iter().map(|(state, count)| format!("{count} {}", state.name())).collect();
    match (newest, counts.is_empty()) {
        (_, true) => "nothing to do".to_owned(),
        (Some((version, _)), false) => format!("at {version}: {}", counts.join(", ")),
        (None, false) => counts.join(", "),
    }
}
