//! `status` for people: a table, one line a migration.

use std::time::Duration;

use crossfade::report::FailedAlert;
use crossfade::report::MigrationStatus;
use crossfade::report::OldFormStatus;
use crossfade::report::PauseReport;
use crossfade::report::ProgressReport;
use crossfade::report::StatusReport;
use crossfade::report::StepReport;
use crossfade::report::WaitedReport;
use crossfade_core::journal::State;

use super::Paint;
use super::human;

/// The whole report.
pub fn text(report: &StatusReport, paint: Paint) -> String {
    let mut out = format!("database: {}\n", report.database);
    if let Some(layout) = report.layout.filter(|layout| *layout != "plain") {
        out.push_str(&format!("layout:   {layout}\n"));
    }
    if let Some(runner) = &report.runner {
        out.push_str(&format!("runner:   {} pid {}, since {}\n", runner.host, runner.pid, runner.since));
    }
    out.push('\n');
    if report.migrations.is_empty() {
        out.push_str("no migrations yet; crossfade new NAME makes one\n");
    } else {
        out.push_str(&table(&report.migrations, paint));
    }
    if !report.backfills.is_empty() {
        out.push_str(&format!("\n{}\n", paint.bold("BACKFILLS")));
    }
    for backfill in &report.backfills {
        let detail = where_it_is(backfill.step.as_ref(), backfill.progress.as_ref(), backfill.parked).join("; ");
        out.push_str(format!("{}  {}  {detail}", backfill.command, state(backfill.state, paint)).trim_end());
        out.push('\n');
        out.push_str(&super::indented(&waiting(backfill.pause.as_ref(), &backfill.waited, paint), "  "));
        if let Some(error) = &backfill.error {
            out.push_str(&super::indented(error, "  "));
        }
    }
    if !report.warnings.is_empty() || !report.problems.is_empty() {
        out.push('\n');
    }
    for warning in &report.warnings {
        out.push_str(&format!("{} {warning}\n", paint.yellow("warning:")));
    }
    for problem in &report.problems {
        out.push_str(&format!("{} {problem}\n", paint.red("problem:")));
    }
    out
}

/// A state in its colour.
pub fn state(state: State, paint: Paint) -> String {
    let text = state.name();
    match state {
        State::Pending | State::RolledBack => paint.dim(text),
        State::Expanding | State::Migrating | State::Contracting | State::RollingBack => paint.cyan(text),
        State::Ready | State::Contracted => paint.yellow(text),
        State::Applied => paint.green(text),
        State::Failed => paint.red(text),
    }
}

fn table(migrations: &[MigrationStatus], paint: Paint) -> String {
    let width = |title: &str, cell: fn(&MigrationStatus) -> &str| {
        migrations.iter().map(|migration| cell(migration).chars().count()).fold(title.len(), usize::max)
    };
    let version = width("VERSION", |migration| &migration.version);
    let name = width("NAME", |migration| &migration.name);
    let state = width("STATE", |migration| migration.state.name());
    let heading = format!("{:version$}  {:name$}  {:state$}", "VERSION", "NAME", "STATE");
    let mut out = format!("{}\n", paint.bold(heading.trim_end()));
    for migration in migrations {
        let pad = " ".repeat(state - migration.state.name().len());
        let cell = format!("{}{pad}", self::state(migration.state, paint));
        let line =
            format!("{:version$}  {:name$}  {cell}  {}", migration.version, migration.name, detail(migration, paint));
        out.push_str(line.trim_end());
        out.push('\n');
        let indent = " ".repeat(version + name + state + 6);
        out.push_str(&super::indented(&waiting(migration.pause.as_ref(), &migration.waited, paint), &indent));
        if let Some(error) = &migration.error {
            out.push_str(&super::indented(error, &indent));
        }
        for failed in &migration.failed_alerts {
            out.push_str(&super::indented(&untold(failed, paint), &indent));
        }
    }
    out
}

/// An alert that did not get through.
pub fn untold(failed: &FailedAlert, paint: Paint) -> String {
    let FailedAlert { hook, event, at, error } = failed;
    format!("{} {hook} was not told of {event} at {at}: {error}", paint.yellow("!"))
}

/// Why it waits now, and what it has waited for so far, one line each.
fn waiting(pause: Option<&PauseReport>, waited: &[WaitedReport], paint: Paint) -> String {
    let now = pause.map(|pause| waits(pause, paint));
    let before = waited.iter().map(|waited| paint.dim(&has_waited(waited)));
    now.into_iter().chain(before).collect::<Vec<_>>().join("\n")
}

fn waits(pause: &PauseReport, paint: Paint) -> String {
    // Who asked for a pause says since when in the reason.
    let since = pause.since.as_ref().filter(|_| pause.by.is_none());
    let since = since.map(|since| format!(" since {since}")).unwrap_or_default();
    format!("{} waits{since}: {}", paint.yellow("‖"), pause.reason)
}

fn has_waited(waited: &WaitedReport) -> String {
    let scope = if waited.scope.is_empty() { String::new() } else { format!(" {}", waited.scope) };
    let time = Duration::try_from_secs_f64(waited.seconds).unwrap_or_default();
    let times = human::counted(waited.times.unsigned_abs(), "pause", "pauses");
    let share = (waited.share * 100.0).round();
    format!("waited {share} % of its time for {}{scope} ({} in {times})", waited.signal, human::duration(time))
}

/// The step that it is at, how far that has come, and what is set aside.
fn where_it_is(step: Option<&StepReport>, progress: Option<&ProgressReport>, parked: u64) -> Vec<String> {
    let mut parts = Vec::new();
    if let Some(step) = step {
        parts.push(format!("step {}/{}: {}", step.number, step.of, step.summary));
    }
    if let Some(progress) = progress {
        let left = progress.eta_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let (rows, rate) = (progress.rows, progress.rows_per_second);
        parts.push(human::progress(rows, progress.estimated_rows, progress.fraction, rate, left));
        let more = progress.eta_with_pauses_seconds.zip(progress.eta_seconds).filter(|(all, work)| all - work >= 1.0);
        if let Some(left) = more.and_then(|(all, _)| Duration::try_from_secs_f64(all).ok()) {
            parts.push(format!("{} left with pauses as so far", human::duration(left)));
        }
    }
    if parked > 0 {
        parts.push(format!("{} parked", human::counted(parked, "row", "rows")));
    }
    parts
}

/// Where it is, what it waits for, when it was done.
fn detail(migration: &MigrationStatus, paint: Paint) -> String {
    // Where it waits, `next` says what for.
    let waits = matches!(migration.state, State::Ready | State::Contracted) && migration.next.is_some();
    let mut parts =
        where_it_is(migration.step.as_ref().filter(|_| !waits), migration.progress.as_ref(), migration.parked);
    if let Some(at) = &migration.applied_at {
        let by = migration.applied_by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
        let took = migration.duration_ms.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
        let took = took.map(|took| format!(" in {}", human::duration(took))).unwrap_or_default();
        parts.push(paint.dim(&format!("{at}{by}{took}")));
    }
    if let Some(until) = &migration.retained_until {
        parts.push(format!("old form kept until {until}"));
    }
    if let Some(old) = &migration.old_form {
        parts.push(old_form(old, paint));
    }
    if migration.out_of_order {
        parts.push(paint.yellow("out of order"));
    }
    parts.extend(migration.next.clone());
    if migration.origin != "crossfade" {
        parts.push(paint.dim(&taken_over(&migration.origin)));
    }
    match (migration.file, &migration.missing_because) {
        (true, _) => {}
        (false, Some(why)) => parts.push(paint.dim(&format!("no file ({why})"))),
        (false, None) => parts.push(paint.yellow("its file is missing")),
    }
    parts.join("; ")
}

/// Who was seen last to use the old form.
pub fn old_form(old: &OldFormStatus, paint: Paint) -> String {
    let Some(last) = &old.last else {
        return match old.reasons {
            0 => "no use of the old form was seen".to_owned(),
            _ => paint
                .yellow("no use of the old form was seen, and contract would be refused: `crossfade usage` says why"),
        };
    };
    let ago = human::duration(Duration::try_from_secs_f64(last.seconds_ago.max(0.0)).unwrap_or_default());
    let who = super::usage::who(last.application.as_deref(), last.address.as_deref(), last.user.as_deref());
    let refused = if old.reasons > 0 { ", and contract would be refused" } else { "" };
    paint.yellow(&format!("old form last used {ago} ago by {who}{refused}"))
}

/// Where a migration comes from that crossfade has not run.
fn taken_over(origin: &str) -> String {
    match origin {
        "baseline" => "counted as applied".to_owned(),
        tool => format!("run by {tool}"),
    }
}
