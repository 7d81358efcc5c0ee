//! `rehearse` for people and for a pull request: what went wrong first, then what was played and what it took.

use std::time::Duration;

use crossfade::report::Calls;
use crossfade::report::RehearsalReport;
use crossfade::report::RehearsedApplication;
use crossfade::report::RehearsedLock;
use crossfade::report::RehearsedStep;
use crossfade::report::RehearsedTable;
use crossfade::report::RehearsedWayBack;

use super::Paint;
use super::drift;
use super::human;
use super::indented;
use super::markdown::block;
use super::markdown::code;
use super::markdown::folded;
use super::markdown::head;
use super::markdown::row;
use super::markdown::text as plain;

/// So many queries that were left out are shown to people.
const LEFT_OUT_SHOWN: usize = 10;

/// For a terminal.
pub fn text(report: &RehearsalReport, paint: Paint) -> String {
    let mut out = format!("{}\n", paint.bold(&title(report)));
    out.push_str(&format!("  {}\n", place(report)));
    for table in &report.tables {
        out.push_str(&format!("  {}: {}\n", table.table, rows(table)));
    }
    for (which, application) in [("old", &report.old), ("new", &report.new)] {
        out.push_str(&format!("  {which} version: {}\n", queries(application)));
        for left in application.left_out.iter().take(LEFT_OUT_SHOWN) {
            out.push_str(&format!("    left out: {}: {}\n", left.query, left.why));
        }
        if application.left_out.len() > LEFT_OUT_SHOWN {
            let more = application.left_out.len() - LEFT_OUT_SHOWN;
            out.push_str(&format!("    left out: {more} more; --json has all\n"));
        }
    }
    out.push_str(&format!("\n{}\n", paint.bold("what happened")));
    for stage in &report.stages {
        let [old, new] = [("old", &stage.old), ("new", &stage.new)]
            .map(|(which, calls)| calls.as_ref().map(|calls| format!("{which} version: {}", shown(calls))));
        let who: Vec<String> = old.into_iter().chain(new).collect();
        let who = if who.is_empty() { "no version runs".to_owned() } else { who.join("; ") };
        out.push_str(&format!("  {:<28} {:>8}  {who}\n", stage.name, time(stage.took_ms)));
    }
    if !report.steps.is_empty() {
        out.push_str(&format!("\n{}\n", paint.bold("steps, here and at the real size")));
        for step in &report.steps {
            let real = real(step);
            out.push_str(&format!(
                "  {} {:<8} {:>8}  {real:<18} {}\n",
                step.number,
                step.phase.name(),
                time(step.took_ms),
                step.summary
            ));
        }
    }
    if !report.locks.is_empty() {
        out.push_str(&format!("\n{}\n", paint.bold("locks that keep others out")));
        for lock in &report.locks {
            let mark = if lock.stronger { paint.red("✗") } else { paint.green("✓") };
            out.push_str(&format!("  {mark} {:<28} {}: {}, {}\n", lock.stage, lock.table, lock.seen, declared(lock)));
        }
    }
    for way in &report.ways_back {
        out.push_str(&way_back(way, paint));
    }
    for note in &report.notes {
        out.push_str(&format!("{}: {note}\n", paint.yellow("note")));
    }
    out.push('\n');
    for problem in &report.problems {
        out.push_str(&format!("{} {problem}\n", paint.red("✗")));
    }
    if report.is_clean() {
        out.push_str(&format!("{} {} was rehearsed and nothing went wrong\n", paint.green("✓"), name(report)));
    }
    out
}

/// For a pull request.
pub fn markdown(report: &RehearsalReport) -> String {
    let title = format!("{} {}", code(&report.version), plain(&report.name));
    let mut out = format!("# Rehearsal of migration {title}\n\n");
    if report.is_clean() {
        out.push_str("✅ Nothing went wrong.\n\n");
    } else {
        out.push_str("❌ **It went wrong.**\n\n");
        out.extend(report.problems.iter().map(|problem| format!("- {}\n", plain(problem))));
        out.push('\n');
    }
    out.push_str(&format!("{}.\n\n", plain(&place(report))));
    if !report.tables.is_empty() {
        out.push_str(&head(["table", "rows"]));
        out.extend(report.tables.iter().map(|table| row([code(&table.table), plain(&rows(table))])));
        out.push('\n');
    }
    out.push_str("## What happened\n\n");
    out.push_str(&head(["part", "time", "old version", "new version"]));
    for stage in &report.stages {
        let cell =
            |calls: &Option<Calls>| calls.as_ref().map_or("does not run".to_owned(), |calls| plain(&shown(calls)));
        out.push_str(&row([plain(&stage.name), time(stage.took_ms), cell(&stage.old), cell(&stage.new)]));
    }
    out.push('\n');
    for (which, application) in [("old", &report.old), ("new", &report.new)] {
        out.push_str(&format!("- The {which} version: {}.\n", plain(&queries(application))));
    }
    out.push('\n');
    if !report.steps.is_empty() {
        out.push_str("## Steps\n\n");
        out.push_str(&head(["step", "phase", "here", "at the real size", "what"]));
        for step in &report.steps {
            out.push_str(&row([
                step.number.to_string(),
                step.phase.name().to_owned(),
                time(step.took_ms),
                real(step),
                plain(&step.summary),
            ]));
        }
        out.push('\n');
    }
    if !report.locks.is_empty() {
        out.push_str("## Locks that keep others out\n\n");
        out.push_str(&head(["part", "table", "seen", "declared", ""]));
        for lock in &report.locks {
            let mark = if lock.stronger { "❌" } else { "✅" };
            let mode = lock.declared.map_or("none".to_owned(), |mode| mode.to_string());
            out.push_str(&row([plain(&lock.stage), code(&lock.table), lock.seen.to_string(), mode, mark.to_owned()]));
        }
        out.push('\n');
    }
    if !report.ways_back.is_empty() {
        out.push_str("## Ways back\n\n");
        out.extend(report.ways_back.iter().map(way_back_in_markdown));
        out.push('\n');
    }
    let left: Vec<_> = report.old.left_out.iter().chain(&report.new.left_out).collect();
    if !left.is_empty() {
        let lines: String =
            left.iter().map(|left| format!("- {}: {}\n", code(&left.query), plain(&left.why))).collect();
        out.push_str(&folded(&format!("{} left out", human::counted(left.len() as u64, "query", "queries")), &lines));
    }
    out.extend(report.notes.iter().map(|note| format!("\n> {}\n", plain(note))));
    out
}

fn name(report: &RehearsalReport) -> String {
    format!("{} {}", report.version, report.name)
}

fn title(report: &RehearsalReport) -> String {
    format!("rehearsal of {}", name(report))
}

fn place(report: &RehearsalReport) -> String {
    let schema = match &report.database {
        Some(database) => format!("with the schema of {database}"),
        None => "with the schema that the migrations before it make".to_owned(),
    };
    let first = match report.before.as_slice() {
        [] => String::new(),
        before => format!(", after {}", before.join(", ")),
    };
    format!("On {}, {schema}{first}; rows are made up", report.scratch)
}

fn rows(table: &RehearsedTable) -> String {
    let of = table.real_rows.map(|real| format!(" in the place of about {}", human::count(real))).unwrap_or_default();
    let made = match table.rows {
        0 => "empty".to_owned(),
        rows => human::counted(rows, "row", "rows"),
    };
    let why = table.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{made}{of}{why}")
}

fn queries(application: &RehearsedApplication) -> String {
    let left = match application.left_out.len() {
        0 => String::new(),
        left => format!(", and {left} left out"),
    };
    let many = human::counted(application.queries as u64, "query", "queries");
    format!("{many}, {}{left}", application.source)
}

fn shown(calls: &Calls) -> String {
    let statements = human::counted(calls.statements, "statement", "statements");
    let longest = time(calls.longest_ms);
    let mut out = match calls.errors {
        0 => format!("{statements}, the longest {longest}"),
        errors => format!("{statements}, the longest {longest}, {}", human::counted(errors, "error", "errors")),
    };
    for message in &calls.messages {
        out.push_str(&format!(": {message}"));
    }
    out
}

fn time(ms: u64) -> String {
    human::duration(Duration::from_millis(ms))
}

fn real(step: &RehearsedStep) -> String {
    step.real.as_ref().map_or("–".to_owned(), |time| human::range(time.least_seconds, time.most_seconds))
}

fn declared(lock: &RehearsedLock) -> String {
    match (lock.declared, lock.stronger) {
        (Some(mode), true) => format!("and the plan declares {mode}"),
        (Some(_), false) => "as declared".to_owned(),
        (None, true) => "and the plan declares none".to_owned(),
        (None, false) => "which keeps nobody out".to_owned(),
    }
}

fn way_back(way: &RehearsedWayBack, paint: Paint) -> String {
    let mut out = format!("\nrollback from {}: {}\n", way.from, left(way));
    if !way.changes.is_empty() {
        out.push_str(&indented(&paint.dim(&drift::changes(&way.changes)), "    "));
    }
    out
}

fn way_back_in_markdown(way: &RehearsedWayBack) -> String {
    let mark = if way.is_right() { "✅" } else { "❌" };
    let mut out = format!("- {mark} from {}: {}\n", way.from, plain(&left(way)));
    if !way.changes.is_empty() {
        out.push_str(&format!("\n{}", indented(&block("sql", &drift::changes(&way.changes)), "  ")));
    }
    out
}

/// What a way back left.
fn left(way: &RehearsedWayBack) -> String {
    match (&way.error, way.changes.is_empty(), way.rows.as_slice()) {
        (Some(error), _, _) => error.clone(),
        (None, true, []) => "the schema and the rows are what they were".to_owned(),
        (None, true, rows) => {
            let tables: Vec<&str> = rows.iter().map(|rows| rows.table.as_str()).collect();
            format!("the schema is what it was, and the rows of {} are not", tables.join(", "))
        }
        (None, false, _) => "the schema is not what it was; what would make it so:".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use crossfade::report::LeftOut;
    use crossfade::report::RehearsedStage;
    use crossfade_core::lock::LockMode;
    use crossfade_core::runbook::Estimate;
    use crossfade_core::step::Phase;

    use super::*;

    fn calls(statements: u64, messages: &[&str]) -> Option<Calls> {
        let messages: Vec<String> = messages.iter().map(|message| (*message).to_owned()).collect();
        Some(Calls { statements, errors: messages.len() as u64, messages, longest_ms: 12 })
    }

    fn report() -> RehearsalReport {
        RehearsalReport {
            format: 1,
            problems: Vec::new(),
            version: "002".to_owned(),
            name: "rename".to_owned(),
            database: Some("db:5432/shop".to_owned()),
            scratch: "a private server (PostgreSQL 15)".to_owned(),
            before: vec!["001 first".to_owned()],
            phased: true,
            tables: vec![
                RehearsedTable {
                    table: "public.users".to_owned(),
                    real_rows: Some(1_200_000),
                    rows: 100_000,
                    why: None,
                },
                RehearsedTable {
                    table: "public.maps".to_owned(),
                    real_rows: None,
                    rows: 0,
                    why: Some("no value of type path can be made up for its column form".to_owned()),
                },
            ],
            old: RehearsedApplication {
                source: "pg_stat_statements of db:5432/shop".to_owned(),
                queries: 7,
                left_out: vec![LeftOut { query: "SELECT $1 | x".to_owned(), why: "it is not understood".to_owned() }],
            },
            new: RehearsedApplication { source: "new.sql".to_owned(), queries: 1, left_out: Vec::new() },
            stages: vec![
                RehearsedStage { name: "before".to_owned(), took_ms: 1_000, old: calls(90, &[]), new: None },
                RehearsedStage { name: "ready".to_owned(), took_ms: 1_002, old: calls(80, &[]), new: calls(70, &[]) },
                RehearsedStage { name: "rollback from contracted".to_owned(), took_ms: 9, old: None, new: None },
            ],
            steps: vec![RehearsedStep {
                number: 1,
                phase: Phase::Expand,
                summary: "add email_address to public.users".to_owned(),
                took_ms: 8,
                real: Some(Estimate { least_seconds: 4.0, most_seconds: Some(40.0), basis: Vec::new() }),
            }],
            locks: vec![RehearsedLock {
                stage: "expand".to_owned(),
                table: "public.users".to_owned(),
                seen: LockMode::AccessExclusive,
                declared: Some(LockMode::AccessExclusive),
                held_ms: 5,
                stronger: false,
            }],
            ways_back: vec![RehearsedWayBack {
                from: "ready".to_owned(),
                error: None,
                changes: Vec::new(),
                rows: Vec::new(),
            }],
            failed: None,
            lost: Vec::new(),
            notes: vec!["the scratch server is PostgreSQL 15".to_owned()],
        }
    }

    fn wrong() -> RehearsalReport {
        let mut report = report();
        report.stages[1].new = calls(70, &["ERROR: no such column | <b>, from UPDATE users"]);
        report.locks[0].declared = None;
        report.locks[0].stronger = true;
        report.ways_back[0].error = Some("it has no way back".to_owned());
        report.problems =
            vec!["1 error of the new version in ready".to_owned(), "ready: 1 write to public.users lost".to_owned()];
        report
    }

    #[test]
    fn people_see_what_was_played() {
        insta::assert_snapshot!("clean", text(&report(), Paint::plain()));
        insta::assert_snapshot!("wrong", text(&wrong(), Paint::plain()));
    }

    #[test]
    fn a_pull_request_sees_what_went_wrong_first() {
        insta::assert_snapshot!("markdown_clean", markdown(&report()));
        insta::assert_snapshot!("markdown_wrong", markdown(&wrong()));
    }
}
