//! Snapshots of the screen, from looks made by hand.

use std::sync::Arc;
use std::time::Duration;

use crossfade::report::*;
use crossfade_core::journal::State;
use crossfade_core::journal::StepStatus;
use insta::assert_snapshot;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

use super::draw;
use super::model::Key;
use super::model::Model;
use super::model::Wish;
use crate::sight::Failure;

fn session(pid: i32, application: &str, ours: bool, query: &str) -> SessionReport {
    SessionReport {
        pid,
        application: application.to_owned(),
        user: Some("shop".to_owned()),
        address: Some("10.0.0.7".to_owned()),
        state: Some(if ours { "active" } else { "idle in transaction" }.to_owned()),
        transaction_seconds: Some(2.5),
        query: Some(query.to_owned()),
        ours,
    }
}

fn step(number: usize, phase: &'static str, summary: &str, status: StepStatus) -> FlightStep {
    let took_ms = (status == StepStatus::Succeeded).then_some(12);
    FlightStep { number, phase, kind: "ddl", summary: summary.to_owned(), status, took_ms }
}

/// A fill that waits for a replica.
pub fn flight() -> Flight {
    let fill = "fill email_address of public.users for existing rows";
    Flight {
        key: "002".to_owned(),
        version: Some("002".to_owned()),
        name: "rename_email".to_owned(),
        state: State::Migrating,
        next: Some("`crossfade migrate` goes on".to_owned()),
        step: Some(StepReport { number: 2, of: 5, phase: "migrate", summary: fill.to_owned() }),
        progress: Some(ProgressReport {
            rows: 412_000,
            estimated_rows: 1_000_000,
            fraction: 0.414,
            rows_per_second: 52_000.0,
            eta_seconds: Some(11.4),
            eta_with_pauses_seconds: Some(65.0),
        }),
        blocks: Some(BlocksReport { done: 4_142, all: 10_004 }),
        pace: Some(48_112.0),
        pause: Some(PauseReport {
            signal: "replica_lag".to_owned(),
            reason: "replica standby1 is 12.3 s behind (limit 5.0 s)".to_owned(),
            since: Some("2026-01-31T12:00:00Z".to_owned()),
            by: None,
            host: None,
        }),
        waited: vec![WaitedReport {
            signal: "replica_lag".to_owned(),
            scope: "standby1".to_owned(),
            reason: "replica standby1 is 12.3 s behind".to_owned(),
            times: 3,
            seconds: 31.0,
            share: 0.29,
        }],
        parked: 2,
        old_form: None,
        error: None,
        steps: vec![
            step(1, "expand", "add email_address to public.users", StepStatus::Succeeded),
            step(2, "migrate", fill, StepStatus::Running),
            step(3, "migrate", "verify", StepStatus::NotStarted),
            step(4, "contract", "wait for the deploy", StepStatus::NotStarted),
            step(5, "purge", "drop the copy", StepStatus::NotStarted),
        ],
        tables: vec!["public.users".to_owned()],
    }
}

fn event(at: &str, version: &str, text: &str, error: Option<&str>) -> HistoryEvent {
    HistoryEvent {
        at: format!("2026-01-31T{at}Z"),
        run_id: None,
        version: Some(version.to_owned()),
        name: "rename_email".to_owned(),
        event: "step_started".to_owned(),
        text: text.to_owned(),
        step: Some(1),
        duration_ms: None,
        error: error.map(str::to_owned),
        actor: "ann".to_owned(),
        db_user: None,
        host: None,
        tool_version: "0.1.0".to_owned(),
        git_commit: None,
        git_dirty: None,
        ci_url: None,
        sql: Vec::new(),
    }
}

/// A look with these flights, and a session that waits.
pub fn snapshot(flights: Vec<Flight>) -> Snapshot {
    let runner = Runner { host: "web1".to_owned(), pid: 4711, since: "2026-01-31T11:58:00Z".to_owned() };
    Snapshot {
        format: REPORT_FORMAT,
        taken_at: "2026-01-31T12:00:00Z".to_owned(),
        took_seconds: 0.02,
        status: StatusReport {
            format: REPORT_FORMAT,
            database: "db.example.org:5432/shop".to_owned(),
            layout: Some("plain"),
            runner: Some(runner),
            migrations: Vec::new(),
            backfills: Vec::new(),
            warnings: Vec::new(),
            problems: Vec::new(),
        },
        flights,
        lock_waits: vec![LockWait {
            waiter: session(20_829, "web", false, "UPDATE users SET seen = now()"),
            mode: "RowExclusiveLock".to_owned(),
            relation: Some("users".to_owned()),
            seconds: 3.2,
            blockers: vec![session(
                20_886,
                "crossfade worker 1f 3",
                true,
                "ALTER TABLE public.users ADD COLUMN email_address text",
            )],
        }],
        replicas: vec![ReplicaReport {
            name: "standby1".to_owned(),
            lag_seconds: Some(12.3),
            lag_bytes: Some(50_331_648),
            error: None,
        }],
        signals: vec![SignalReport {
            signal: "replica_lag",
            scope: "standby1".to_owned(),
            value: Some(12.3),
            limit: Some(5.0),
            over: true,
            text: "replica standby1 is 12.3 s behind (limit 5.0 s)".to_owned(),
            error: None,
        }],
        duty: 0.7,
        commit_seconds: Some(0.004),
        oldest_transaction_seconds: Some(2.5),
        events: vec![
            event("11:58:00", "002", "planned: 5 steps", None),
            event(
                "11:58:01",
                "002",
                "step 1 of 5 (expand) fails: add email_address",
                Some("canceling statement due to lock timeout"),
            ),
            event(
                "11:58:09",
                "002",
                "step 2 of 5 (migrate) begins: fill email_address of public.users for existing rows",
                None,
            ),
        ],
        alerts: Vec::new(),
        failing_hooks: Vec::new(),
        unseen: vec!["xmin_age: this role may not see it".to_owned()],
    }
}

fn model(flights: Vec<Flight>, colors: bool) -> Model {
    let mut model = Model::new("db.example.org:5432/shop".to_owned(), None, colors, Duration::from_secs(1));
    model.snapshot = Some(Arc::new(snapshot(flights)));
    model.age = Duration::from_millis(400);
    model
}

fn drawn(model: &Model, width: u16, height: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("it is only memory");
    terminal.draw(|frame| draw::draw(frame, model)).expect("it is only memory");
    terminal
}

#[test]
fn a_fill_at_both_sizes() {
    let model = model(vec![flight()], true);
    assert_snapshot!("narrow", drawn(&model, 80, 24).backend());
    assert_snapshot!("wide", drawn(&model, 120, 40).backend());
}

/// The same signs, and no colour in any cell.
#[test]
fn without_colours_the_same_is_said() {
    let (plain, colored) = (model(vec![flight()], false), model(vec![flight()], true));
    let (plain, colored) = (drawn(&plain, 80, 24), drawn(&colored, 80, 24));
    let text = |terminal: &Terminal<TestBackend>| terminal.backend().to_string();
    assert_eq!(text(&plain), text(&colored));
    let has_color = |terminal: &Terminal<TestBackend>| {
        terminal.backend().buffer().content().iter().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
    };
    assert!(has_color(&colored) && !has_color(&plain));
}

#[test]
fn what_is_not_there_is_said() {
    let mut nothing = model(Vec::new(), true);
    assert_snapshot!("nothing", drawn(&nothing, 80, 24).backend());
    nothing.wanted = Some("009".to_owned());
    assert!(drawn(&nothing, 80, 24).backend().to_string().contains("there is no migration 009"));

    let mut away = Model::new("db.example.org:5432/shop".to_owned(), None, true, Duration::from_secs(1));
    assert!(drawn(&away, 80, 24).backend().to_string().contains("asking …"));
    away.failure = Some(Failure { error: "could not connect: connection refused".to_owned(), hint: None });
    assert!(drawn(&away, 80, 24).backend().to_string().contains("the database is out of reach: could not connect"));
    away.snapshot = Some(Arc::new(snapshot(vec![flight()])));
    away.age = Duration::from_secs(90);
    assert_snapshot!("away", drawn(&away, 80, 24).backend());
}

#[test]
fn the_help_names_every_key() {
    let mut model = model(vec![flight()], true);
    assert_eq!(model.press(Key::Help), Wish::Nothing);
    assert_snapshot!("help", drawn(&model, 80, 24).backend());
    model.press(Key::Close);
    assert!(!drawn(&model, 80, 24).backend().to_string().contains("Keys"));
}

/// However small it is, it does not panic, and the first lines are there.
#[test]
fn any_size_can_be_drawn() {
    let mut model = model(vec![flight(), Flight { key: "003".to_owned(), ..flight() }], true);
    model.help = true;
    for (width, height) in [(0, 0), (1, 1), (2, 3), (10, 4), (20, 200), (300, 5)] {
        let _ = drawn(&model, width, height);
    }
    model.help = false;
    assert!(drawn(&model, 40, 6).backend().to_string().contains("Crossfade"));
}

#[test]
fn keys_act_on_the_migration_that_is_shown() {
    let later = Flight { key: "003".to_owned(), version: Some("003".to_owned()), state: State::Ready, ..flight() };
    let backfill = Flight { key: "crossfade backfill t a b".to_owned(), version: None, ..flight() };
    let mut model = model(vec![later, flight(), backfill], true);
    // The first that is under way, not the one that waits for its deploy.
    assert_eq!(model.press(Key::Pause), Wish::Pause(Some("002".to_owned())));
    model.press(Key::Next);
    assert_eq!(model.press(Key::Resume), Wish::Resume(None));
    model.press(Key::Next);
    assert_eq!(model.press(Key::Pause), Wish::Pause(Some("003".to_owned())));
    model.press(Key::Previous);
    model.press(Key::Previous);
    assert_eq!(model.flight().map(|flight| flight.key.as_str()), Some("002"));
    assert_eq!(model.press(Key::Leave), Wish::Leave);

    let mut nothing = super::tests::model(Vec::new(), true);
    assert_eq!((nothing.press(Key::Pause), nothing.message.is_some()), (Wish::Nothing, true));
    nothing.press(Key::Next);
    assert_eq!(nothing.message, None);
}

#[test]
fn what_was_asked_for_is_found_by_its_number() {
    let mut model = model(vec![flight(), Flight { key: "003".to_owned(), ..flight() }], true);
    model.wanted = Some("3".to_owned());
    assert_eq!(model.position(), Some(1));
    model.wanted = Some("30".to_owned());
    assert_eq!(model.position(), None);
}

#[test]
fn who_uses_the_old_form_is_shown() {
    let last = SeenUse {
        old_form: "column users.email".to_owned(),
        by: SeenBy::Write,
        certain: true,
        doubt: None,
        application: Some("web".to_owned()),
        address: Some("10.0.0.7".to_owned()),
        user: Some("shop".to_owned()),
        statement: Some("UPDATE users SET email = $1".to_owned()),
        times: Some(12),
        last_seen: "2026-01-31T11:48:00Z".to_owned(),
        seconds_ago: 720.0,
    };
    let old = OldFormStatus { last: Some(last), reasons: 2 };
    let ready = Flight { state: State::Ready, progress: None, pause: None, old_form: Some(old), ..flight() };
    let shown = model(vec![ready], true);
    let text = drawn(&shown, 80, 24).backend().to_string();
    assert!(text.contains("old form last used 12 min ago by web"), "{text}");
    assert!(draw::lines(&shown).iter().any(|line| line.ends_with("its old form was seen in use")));
}

#[test]
fn alerts_that_did_not_get_through_are_shown() {
    let told = |event: &str, error: Option<&str>| HistoryAlert {
        at: "2026-01-31T11:59:00Z".to_owned(),
        hook: "chat".to_owned(),
        event: event.to_owned(),
        version: Some("002".to_owned()),
        name: Some("rename_email".to_owned()),
        sent: error.is_none(),
        error: error.map(str::to_owned),
        took_ms: 12,
        run_id: None,
        actor: "ann".to_owned(),
        db_user: "ann".to_owned(),
        host: None,
        tool_version: "0.1.0".to_owned(),
        git_commit: None,
        git_dirty: None,
        ci_url: None,
    };
    let failed = FailedAlert {
        hook: "pager".to_owned(),
        event: "blocked".to_owned(),
        at: "2026-01-31T11:59:00Z".to_owned(),
        error: "it answered 500".to_owned(),
    };
    let failing = FailingHook {
        hook: "pager".to_owned(),
        alerts: 3,
        since: "2026-01-31T11:50:00Z".to_owned(),
        event: "blocked".to_owned(),
        at: "2026-01-31T11:59:00Z".to_owned(),
        error: "it answered 500".to_owned(),
    };
    let mut seen = snapshot(vec![flight()]);
    seen.status.migrations = vec![crate::render::tests::migration("002", "rename_email", State::Migrating)];
    seen.status.migrations[0].failed_alerts = vec![failed];
    seen.alerts = vec![told("expanded", None), told("blocked", Some("it answered 404"))];
    seen.failing_hooks = vec![failing];
    let mut shown = model(Vec::new(), true);
    shown.snapshot = Some(Arc::new(seen));
    assert_snapshot!("alerts", drawn(&shown, 100, 30).backend());
    assert_snapshot!("alerts_plain", draw::lines(&shown).join("\n"));
}

#[test]
fn plain_lines() {
    let mut plain = model(vec![flight()], false);
    assert_snapshot!("plain", draw::lines(&plain).join("\n"));
    plain.failure = Some(Failure { error: "could not connect".to_owned(), hint: None });
    assert_eq!(draw::lines(&plain), ["the database is out of reach: could not connect"]);
    assert_eq!(draw::lines(&model(Vec::new(), false)).first().map(String::as_str), Some("nothing is under way"));
}
