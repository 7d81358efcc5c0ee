//! What holds a backfill up, on a real server: it waits, says why, and goes on by itself.

use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use crossfade::Config;
use crossfade::ErrorKind;
use crossfade::LiveChange;
use crossfade::observer::Notice;
use crossfade_core::journal::State;
use crossfade_core::throttle::Key;

use crate::project::Command;
use crate::project::Project;
use crate::project::Watch;
use crate::project::said;
use crate::scene::RENAME;
use crate::scene::Running;
use crate::scene::Start;
use crate::scene::TABLE;
use crate::scene::WAITS;
use crate::scene::database;
use crate::scene::expanded;
use crate::scene::in_transaction;
use crate::scene::scene;
use crate::scene::until;
use crate::server::Database;
use crate::server::run;

/// A table, a rename of a column of it, and these settings.
async fn throttled(settings: &'static [(Key, &'static str)]) -> (Database, Project) {
    let database = database(TABLE).await;
    let project = Project::with(&database, &[("001_case.sql", RENAME)], |config: &mut Config| {
        for (key, text) in settings {
            config.throttle.set_text(*key, text).expect("a setting");
        }
    });
    (database, project)
}

/// Why it waited, in order.
pub fn pauses(watch: &Watch) -> Vec<String> {
    let reasons = watch.notices.iter().filter_map(|notice| match notice {
        Notice::Paused { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    reasons.collect()
}

/// It must not have changed a row, and is still there.
pub async fn waits(database: &Database, running: &mut Running) {
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(!running.is_over(), "it waits");
    assert_eq!(database.value("SELECT count(w) FROM t").await, "0", "nothing was filled");
    let idle = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'crossfade worker%' \
                AND state LIKE 'idle in transaction%' AND xact_start < clock_timestamp() - interval '1 second'";
    assert_eq!(database.value(idle).await, "0", "who waits has no transaction open");
}

pub async fn goes_on(running: Running) -> Watch {
    let (result, watch) = running.end().await;
    assert_eq!(result.map_err(|error| said(&error)), Ok(Some(State::Ready)));
    assert!(watch.notices.iter().any(|notice| matches!(notice, Notice::Resumed { .. })), "it says that it goes on");
    watch
}

#[test]
fn a_query_of_the_users_holds_it_up() {
    run(async {
        let (database, project) = throttled(&[(Key::Query, "SELECT count(*) FROM busy")]).await;
        database.run("CREATE TABLE busy (); INSERT INTO busy DEFAULT VALUES").await.expect("a table");
        let mut running = Running::start(&project, Start::Migrate);
        waits(&database, &mut running).await;
        database.run("DELETE FROM busy").await.expect("it is quiet again");
        let watch = goes_on(running).await;
        assert_eq!(pauses(&watch), ["the query says 1"]);
    });
}

/// Answers every request, HEAD with 405, and GET with the status that it is told.
fn answer(status: Arc<AtomicU16>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.expect("somebody connects");
            let mut request = [0_u8; 1024];
            let read = connection.read(&mut request).expect("somebody asks");
            let status = if request[..read].starts_with(b"HEAD") { 405 } else { status.load(Ordering::SeqCst) };
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            // Whoever asked may be gone.
            let _ = connection.write_all(answer.as_bytes());
        }
    });
    format!("http://{address}/check/pg/main")
}

#[test]
fn an_http_check_holds_it_up() {
    run(async {
        let status = Arc::new(AtomicU16::new(429));
        let address = answer(status.clone());
        let database = database(TABLE).await;
        let project = Project::with(&database, &[("001_case.sql", RENAME)], |config: &mut Config| {
            config.throttle.set_text(Key::Http, &address).expect("an address");
        });
        let mut running = Running::start(&project, Start::Migrate);
        waits(&database, &mut running).await;
        status.store(200, Ordering::SeqCst);
        let watch = goes_on(running).await;
        assert_eq!(pauses(&watch), [format!("{address} says 429: too much load")]);
    });
}

#[test]
fn an_http_check_that_nobody_answers_holds_it_up() {
    run(async {
        let (database, project) = throttled(&[(Key::Http, "http://127.0.0.1:1/check")]).await;
        let mut running = Running::start(&project, Start::Migrate);
        waits(&database, &mut running).await;
        let change = LiveChange { key: Key::Http, value: Some("off".to_owned()) };
        project.migrator.set_throttle(&[change], Some(Duration::from_secs(3600))).await.expect("it can be set");
        let watch = goes_on(running).await;
        let first = &pauses(&watch)[0];
        assert!(first.starts_with("http can't be measured: http://127.0.0.1:1/check does not answer"), "{first}");
        let shown = project.migrator.throttle().await.expect("it can be looked at");
        assert!(shown.settings.iter().any(|setting| setting.key == "http" && setting.until.is_some()), "{shown:?}");
    });
}

#[test]
fn a_query_that_can_not_be_asked_holds_it_up() {
    run(async {
        let (database, project) = throttled(&[(Key::Query, "SELECT count(*) FROM busy")]).await;
        let mut running = Running::start(&project, Start::Migrate);
        waits(&database, &mut running).await;
        database.run("CREATE TABLE busy ()").await.expect("a table");
        let watch = goes_on(running).await;
        assert_eq!(pauses(&watch), ["query can't be measured: relation \"busy\" does not exist"]);
    });
}

#[test]
fn an_ordinary_server_is_not_held_up() {
    run(async {
        let (_database, project) = throttled(&[]).await;
        let (result, watch) = Running::start(&project, Start::Migrate).end().await;
        assert_eq!(result.map_err(|error| said(&error)), Ok(Some(State::Ready)));
        assert_eq!(pauses(&watch), Vec::<String>::new());
    });
}

#[test]
fn a_closed_window_holds_it_up_and_a_live_setting_opens_it() {
    run(async {
        // A day of the past is no day without work; a window of one minute, twelve hours from now.
        let database = database(TABLE).await;
        let minute = database.value("SELECT to_char(now() AT TIME ZONE 'UTC' + interval '12 hours', 'HH24:MI')").await;
        let next =
            database.value("SELECT to_char(now() AT TIME ZONE 'UTC' + interval '12 hours 1 minute', 'HH24:MI')").await;
        let window = format!("{minute}-{next} UTC");
        let project = Project::with(&database, &[("001_case.sql", RENAME)], |config: &mut Config| {
            config.throttle.set_text(Key::Window, &window).expect("a window");
            config.throttle.set_text(Key::Blackout, "2020-01-01").expect("a day");
        });
        let mut running = Running::start(&project, Start::Migrate);
        waits(&database, &mut running).await;
        let shown = project.migrator.throttle().await.expect("it can be looked at");
        let closed = shown.signals.iter().find(|signal| signal.signal == "window").expect("it is looked at");
        assert!(closed.over && closed.text.starts_with(&format!("outside of the window {window}")), "{closed:?}");

        let change = LiveChange { key: Key::Window, value: Some("off".to_owned()) };
        let begun = Instant::now();
        project.migrator.set_throttle(std::slice::from_ref(&change), None).await.expect("it can be set");
        let watch = goes_on(running).await;
        assert!(begun.elapsed() < Duration::from_secs(60), "it took {:?}", begun.elapsed());
        assert!(
            pauses(&watch)[0].starts_with(&format!("outside of the window {window}; it opens at ")),
            "{:?}",
            pauses(&watch)
        );
        let shown = project.migrator.throttle().await.expect("it can be looked at");
        let set = shown.settings.iter().find(|setting| setting.key == "window").expect("it is a setting");
        assert_eq!((set.source, set.value.as_str(), set.set_by.as_deref()), ("live", "off", Some("postgres")));
        let back = LiveChange { value: None, ..change };
        project.migrator.set_throttle(&[back], None).await.expect("it can be taken back");
        let shown = project.migrator.throttle().await.expect("it can be looked at");
        let set = shown.settings.iter().find(|setting| setting.key == "window").expect("it is a setting");
        assert_eq!((set.source, set.value.as_str()), ("file", window.as_str()));
    });
}

#[test]
fn somebody_else_pauses_it_and_lets_it_go_on() {
    run(async {
        let (database, project) = expanded().await;
        let blocker = in_transaction(&database, "UPDATE t SET n = 0 WHERE id = 300").await;
        let mut running = Running::start(&project, Start::Migrate);
        until(&database, WAITS).await;
        let paused = project.migrator.pause(None, Some("sale until noon")).await.expect("it is under way");
        assert_eq!(paused.migrations.len(), 1);
        // Twice is once.
        project.migrator.pause(Some("001"), None).await.expect("it is under way");
        assert_eq!(
            database.value("SELECT count(*) FROM crossfade.events WHERE event ->> 'request' = 'pause'").await,
            "1"
        );
        tokio::time::sleep(Duration::from_millis(1500)).await;
        blocker.batch_execute("COMMIT").await.expect("it commits");
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(!running.is_over(), "it waits in place");

        let status = project.migrator.status().await.expect("the status can be read");
        let pause = status.migrations[0].pause.clone().expect("it is paused");
        assert_eq!((pause.signal.as_str(), pause.by.as_deref()), ("pause", Some("postgres")));
        assert!(
            pause.reason.contains("paused by postgres on ") && pause.reason.ends_with(": sale until noon"),
            "{pause:?}"
        );
        let waited = &status.migrations[0].waited;
        assert!(waited.iter().any(|waited| waited.signal == "pause" && waited.share > 0.0), "{waited:?}");

        project.migrator.resume(None).await.expect("it is paused");
        let watch = goes_on(running).await;
        assert_eq!(pauses(&watch), [pause.reason]);
        assert!(project.migrator.status().await.expect("it can be read").migrations[0].pause.is_none());
        let refused = project.migrator.resume(None).await.expect_err("nothing is paused");
        assert_eq!(refused.kind(), ErrorKind::Refused);
    });
}

#[test]
fn what_is_paused_is_not_begun_again_but_rolled_back() {
    run(async {
        let (database, project) = expanded().await;
        project.migrator.pause(Some("1"), Some("not now")).await.expect("it is under way");
        let refused =
            Command::Migrate.watched(&project.migrator, &mut Watch::default()).await.expect_err("it is paused");
        assert_eq!(refused.kind(), ErrorKind::Refused);
        assert!(
            said(&refused).contains("not now") && said(&refused).contains("crossfade resume 001"),
            "{}",
            said(&refused)
        );
        assert_eq!(database.value("SELECT count(w) FROM t").await, "0");
        let next = project.migrator.status().await.expect("it can be read").migrations[0].next.clone();
        assert_eq!(next.as_deref(), Some("it is paused; `crossfade resume 001` lets it go on"));
        assert_eq!(Command::Rollback.on(&project.migrator).await, Ok(Some(State::RolledBack)));
        let refused = project.migrator.pause(Some("001"), None).await.expect_err("it is over");
        assert!(said(&refused).contains("is not under way"), "{}", said(&refused));
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
    });
}

#[test]
fn what_waits_for_the_deploy_can_be_paused_against_contract() {
    run(async {
        let (database, project) = scene(RENAME).await;
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        assert!(project.migrator.pause(None, None).await.is_err(), "nothing runs");
        project.migrator.pause(Some("001"), None).await.expect("it is not over");
        assert!(Command::Contract.on(&project.migrator).await.is_err_and(|said| said.contains("paused by")));
        let asked = "SELECT count(*) FROM crossfade.events WHERE event ->> 'request' = 'contract'";
        assert_eq!(database.value(asked).await, "0", "it is not remembered, either");
        project.migrator.resume(Some("001")).await.expect("it is paused");
        assert_eq!(Command::Contract.on(&project.migrator).await, Ok(Some(State::Contracted)));
    });
}
