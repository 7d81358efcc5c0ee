//! Hooks: what fails among them fails nothing else, what is required stops before anything is done, and what happened is told in its order.

use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;

use crossfade::Config;
use crossfade::ErrorKind;
use crossfade::MigrateOptions;
use crossfade::Stop;
use crossfade::observer::Notice;
use crossfade_core::journal::State;
use serde_json::Value;

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
use crate::scene::in_transaction;
use crate::scene::until;
use crate::server::Database;
use crate::server::run;
use crate::snapshot::Snapshot;

/// A table and a folder with this migration and these hooks. `FOLDER` in them is the folder.
pub async fn scene(migration: &str, hooks: &str) -> (Database, Project) {
    let database = database(TABLE).await;
    let project = with_hooks(&database, migration, hooks);
    (database, project)
}

fn with_hooks(database: &Database, migration: &str, hooks: &str) -> Project {
    let hooks = Config::parse(hooks, Path::new("crossfade.toml")).expect("the hooks are understood").hooks;
    Project::with(database, &[("001_case.sql", migration)], |config| {
        config.hooks = hooks;
        config.hooks.folder.clone_from(&config.migrations);
    })
}

/// A hook that writes down what it is told, one line each.
const NOTES: &str = "[[hooks]]\non = [\"before-expand\", \"after-expand\", \"before-migrate\", \"after-migrate\", \"before-contract\", \
    \"after-contract\", \"before-purge\", \"after-purge\", \"before-rollback\", \"ready\", \"contracted\", \"applied\", \"rolled-back\", \
    \"failed\", \"stopped\"]\nrun = \"echo $CROSSFADE_EVENT $CROSSFADE_VERSION $CROSSFADE_STATE >> notes\"\n";

fn notes(project: &Project) -> Vec<String> {
    let text = std::fs::read_to_string(project.path().join("notes")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

pub fn warnings(watch: &Watch) -> Vec<String> {
    let each = watch.notices.iter().filter_map(|notice| match notice {
        Notice::HookFailed { hook, event, why } => {
            Some(format!("{hook} {}: {why}", event.map(|event| event.name()).unwrap_or_default()))
        }
        _ => None,
    });
    each.collect()
}

/// What an HTTP server of the test's own answers, one after the other; the last one for ever.
#[derive(Clone, Copy)]
enum Answer {
    Status(u16),
    Slow(Duration),
}

/// Listens on a port of this machine.
struct Listener {
    url: String,
    bodies: Arc<Mutex<Vec<Value>>>,
}

impl Listener {
    fn start(answers: &'static [Answer]) -> Listener {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let url = format!("http://127.0.0.1:{}/token/s3cret", listener.local_addr().expect("it listens").port());
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let heard = bodies.clone();
        std::thread::spawn(move || {
            for (turn, stream) in listener.incoming().enumerate() {
                let Ok(mut stream) = stream else { return };
                let answer = answers[turn.min(answers.len() - 1)];
                let heard = heard.clone();
                std::thread::spawn(move || {
                    let Some(body) = body_of(&mut stream) else { return };
                    let status = match answer {
                        Answer::Status(status) => status,
                        Answer::Slow(time) => {
                            std::thread::sleep(time);
                            200
                        }
                    };
                    if status == 200 {
                        heard.lock().expect("nobody panics here").push(body);
                    }
                    // Whoever asked may have given up.
                    let _ = write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: 4\r\nconnection: close\r\n\r\nwell");
                });
            }
        });
        Listener { url, bodies }
    }

    fn heard(&self) -> Vec<Value> {
        self.bodies.lock().expect("nobody panics here").clone()
    }

    fn events(&self) -> Vec<String> {
        self.heard().iter().map(|body| body["event"].as_str().unwrap_or_default().to_owned()).collect()
    }

    async fn until_heard(&self) {
        let begun = Instant::now();
        while self.heard().is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing is told");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn hook(&self, on: &str, rest: &str) -> String {
        format!("[[hooks]]\non = [{on}]\nwebhook = \"{}\"\n{rest}\n", self.url)
    }
}

fn body_of(stream: &mut std::net::TcpStream) -> Option<Value> {
    let mut read = Vec::new();
    let mut some = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"))?.trim().parse().ok()?;
            if body.len() >= length {
                return serde_json::from_str(body).ok();
            }
        }
        let more = stream.read(&mut some).ok().filter(|more| *more > 0)?;
        read.extend_from_slice(&some[..more]);
    }
}

#[test]
fn a_required_hook_that_fails_before_contract_leaves_everything_as_it_was() {
    run(async {
        let hooks = "[[hooks]]\nname = \"backup\"\non = [\"before-contract\"]\nrequired = true\n\
            run = \"echo asked $CROSSFADE_STATE >> notes; test -e may || { echo no room left >&2; exit 3; }\"\n";
        let (database, project) = scene(RENAME, hooks).await;
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        assert!(notes(&project).is_empty());
        let was = Snapshot::seen(&database).await;
        let events = "SELECT count(*)::text FROM crossfade.events";
        let recorded = database.value(events).await;
        let error = Command::Contract.watched(&project.migrator, &mut Watch::default()).await.expect_err("required");
        assert_eq!(error.kind(), ErrorKind::Failed);
        let text = said(&error);
        assert!(
            text.contains("backup is required before contract") && text.contains("exit code 3: no room left"),
            "{text}"
        );
        assert_eq!(was.schema_difference(&Snapshot::seen(&database).await), None);
        assert_eq!((project.state().await, database.value(events).await), (State::Ready, recorded));
        project.write("may", "");
        assert_eq!(Command::Contract.on(&project.migrator).await, Ok(Some(State::Contracted)));
        assert_eq!(notes(&project), ["asked ready", "asked ready"], "once for each try");
    });
}

#[test]
fn a_required_hook_stops_before_the_first_step_and_before_the_way_back() {
    run(async {
        let hooks =
            "[[hooks]]\non = [\"before-expand\", \"before-rollback\"]\nrequired = true\nrun = \"test -e may\"\n";
        let (database, project) = scene(RENAME, hooks).await;
        let was = Snapshot::seen(&database).await;
        let refused = Command::Migrate.on(&project.migrator).await.expect_err("required");
        assert!(refused.contains("hook 1 (command) is required before expand of migration 001 case"), "{refused}");
        assert_eq!(was.schema_difference(&Snapshot::seen(&database).await), None);
        project.write("may", "");
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        std::fs::remove_file(project.path().join("may")).expect("it is there");
        let refused = Command::Rollback.on(&project.migrator).await.expect_err("required");
        assert!(refused.contains("before the way back"), "{refused}");
        assert_eq!(project.state().await, State::Ready);
        project.write("may", "");
        assert_eq!(Command::Rollback.on(&project.migrator).await, Ok(Some(State::RolledBack)));
        assert_eq!(was.schema_difference(&Snapshot::seen(&database).await), None);
    });
}

#[test]
fn a_required_hook_stops_what_is_undone_by_its_down_file() {
    run(async {
        let hooks = "[[hooks]]\non = [\"before-rollback\"]\nrequired = true\nrun = \"false\"\n";
        let (database, project) = scene("CREATE TABLE n (id int);", hooks).await;
        project.write("001_case_down.sql", "DROP TABLE n;");
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        Command::Rollback.on(&project.migrator).await.expect_err("required");
        assert_eq!(project.state().await, State::Applied);
        assert_eq!(database.value("SELECT to_regclass('n')::text").await, "n");
    });
}

#[test]
fn failing_hooks_fail_nothing_and_are_shown_without_their_secrets() {
    run(async {
        let gone = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free").local_addr().expect("it listens");
        let angry = Listener::start(&[Answer::Status(403)]);
        let hooks = format!(
            "[[hooks]]\nname = \"dead\"\non = [\"ready\"]\nwebhook = \"http://{gone}/s3cret\"\nretries = 1\n{}\
             [[hooks]]\non = [\"before-expand\", \"ready\"]\nrun = \"echo s3cret >/dev/null; exit 4\"\n\
             [[hooks]]\non = [\"ready\"]\nwebhook_env = \"NOT_THERE\"\nformat = \"slack\"\n",
            angry.hook("\"ready\"", "name = \"angry\"")
        );
        let (_database, project) = scene(RENAME, &hooks).await;
        let mut watch = Watch::default();
        let state = Command::Migrate.watched(&project.migrator, &mut watch).await.map_err(|error| said(&error));
        assert_eq!(state, Ok(Some(State::Ready)));
        let mut shown = warnings(&watch);
        shown.sort();
        assert_eq!(shown.len(), 5, "{shown:?}");
        assert_eq!(shown[0], "angry ready: it answered 403 well");
        assert!(shown[1].starts_with("dead ready: it does not answer") && shown[1].ends_with("(2 tries)"), "{shown:?}");
        assert_eq!(shown[2], "hook 3 (command) before-expand: it ended with exit code 4");
        assert_eq!(shown[3], "hook 3 (command) ready: it ended with exit code 4");
        assert_eq!(shown[4], "hook 4 (slack) ready: NOT_THERE is not set");
        assert!(!format!("{:?} {:?}", watch.notices, project.migrator).contains("s3cret"));
    });
}

#[test]
fn what_fails_at_first_is_tried_again() {
    run(async {
        let listener = Listener::start(&[Answer::Status(503), Answer::Status(429), Answer::Status(200)]);
        let (_database, project) = scene(RENAME, &listener.hook("\"ready\"", "")).await;
        let mut watch = Watch::default();
        Command::Migrate.watched(&project.migrator, &mut watch).await.expect("it is migrated");
        assert_eq!((listener.events(), warnings(&watch)), (vec!["ready".to_owned()], Vec::new()));
        let run_id = listener.heard()[0]["run_id"].as_str().map(str::to_owned);
        let history = project.migrator.history(&crossfade::HistoryOptions::default()).await.expect("it can be read");
        assert_eq!(history.events[0].run_id, run_id, "the journal has the same run");
    });
}

#[test]
fn a_slow_webhook_holds_up_nothing_but_the_end_and_that_not_for_long() {
    run(async {
        let listener = Listener::start(const { &[Answer::Slow(Duration::from_secs(300))] });
        let on = "\"before-expand\", \"after-expand\", \"before-migrate\", \"ready\"";
        let hooks = format!("{}{NOTES}", listener.hook(on, "name = \"slow\"\ntimeout = \"6s\""));
        let (database, project) = scene(RENAME, &hooks).await;
        let mut running = Running::start(&project, Start::Migrate);
        let begun = Instant::now();
        // The other hook is told meanwhile, and by the end of the migration no lock is left.
        while !notes(&project).iter().any(|note| note.starts_with("ready")) {
            assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", notes(&project));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let ready = Instant::now();
        // Half of what the webhook is given: what were held until it ends would be seen, on a busy machine, too.
        database.run("SET lock_timeout = '3s'; LOCK TABLE t").await.expect("no lock is held");
        let open = "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'crossfade%' AND state LIKE 'idle in%'";
        until(&database, open).await;
        assert!(!running.is_over(), "the webhook is waited for, and no transaction is open");
        let (result, watch) = running.end().await;
        assert_eq!(result.map_err(|error| said(&error)), Ok(Some(State::Ready)));
        assert!(ready.elapsed() < Duration::from_secs(100), "it took {:?} more", ready.elapsed());
        let shown = warnings(&watch);
        assert!(shown.last().is_some_and(|last| last.contains("could not be sent within 6s")), "{shown:?}");
    });
}

#[test]
fn the_events_of_a_whole_life_come_in_their_order() {
    run(async {
        let (_database, project) = scene(RENAME, NOTES).await;
        Command::Migrate.on(&project.migrator).await.expect("it is migrated");
        Command::Rollback.on(&project.migrator).await.expect("it is undone");
        let stop = Stop::default();
        let options = MigrateOptions { complete: true, ..MigrateOptions::default() };
        project.migrator.migrate(options, &mut Watch::default(), &stop).await.expect("it is migrated");
        let up = [
            "before-expand 001 expanding",
            "after-expand 001 expanding",
            "before-migrate 001 migrating",
            "after-migrate 001 migrating",
            "ready 001 ready",
        ];
        let back = ["before-rollback 001 ready", "rolled-back 001 rolled_back"];
        let down = [
            "before-contract 001 ready",
            "after-contract 001 contracting",
            "contracted 001 contracted",
            "applied 001 applied",
        ];
        assert_eq!(notes(&project), [&up[..], &back, &up, &down].concat());
    });
}

/// A table that is dropped has nothing to expand and nothing to fill, but something to purge.
#[test]
fn a_phase_with_nothing_to_do_is_not_told() {
    run(async {
        let (_database, project) = scene("DROP TABLE t;", NOTES).await;
        for command in [Command::Migrate, Command::Contract, Command::Purge] {
            command.on(&project.migrator).await.expect("it goes through");
        }
        let told = notes(&project);
        let from = told.iter().position(|line| line.starts_with("ready")).expect("it was ready");
        let expected = [
            "ready 001 ready",
            "before-contract 001 ready",
            "after-contract 001 contracting",
            "contracted 001 contracted",
            "before-purge 001 contracted",
            "after-purge 001 contracted",
            "applied 001 applied",
        ];
        assert_eq!(told[from..], expected, "{told:?}");
        assert!(!told.iter().any(|line| line.contains("migrate ")), "{told:?}");
    });
}

#[test]
fn many_small_files_tell_their_phases_too() {
    run(async {
        let (_database, project) = scene("CREATE TABLE n (id int);", NOTES).await;
        project.write("002_more.sql", "ALTER TABLE n ADD COLUMN more int;");
        Command::Migrate.on(&project.migrator).await.expect("they are migrated");
        let each = |version: &str| {
            ["before-expand V expanding", "after-expand V expanding", "applied V applied"]
                .map(|line| line.replace('V', version))
        };
        assert_eq!(notes(&project), [each("001"), each("002")].concat());
    });
}

#[test]
fn a_failure_is_told_with_its_error_and_what_is_refused_is_none() {
    run(async {
        let listener = Listener::start(&[Answer::Status(200)]);
        let hooks = listener.hook("\"failed\", \"ready\"", "");
        let (database, project) = scene("ALTER TABLE t ADD COLUMN m int; SELECT 1 / 0;", &hooks).await;
        Command::Migrate.on(&project.migrator).await.expect_err("it divides by zero");
        let failed = listener.heard().remove(0);
        assert_eq!(
            (failed["event"].as_str(), failed["version"].as_str(), failed["phase"].as_str()),
            (Some("failed"), Some("001"), Some("expand"))
        );
        assert_eq!(failed["state"], "failed");
        assert!(failed["error"].as_str().is_some_and(|error| error.contains("division by zero")), "{failed}");
        let refused = with_hooks(&database, "ALTER TABLE t RENAME COLUMN no TO yes;", &hooks);
        refused.write("001_case.sql", "ALTER TABLE t RENAME COLUMN no TO yes;");
        Command::Migrate.on(&refused.migrator).await.expect_err("there is no such column");
        assert_eq!(listener.events(), ["failed"]);
    });
}

#[test]
fn a_lock_that_is_not_to_be_had_is_told_once() {
    run(async {
        let listener = Listener::start(&[Answer::Status(200)]);
        let on = "\"blocked\", \"ready\"";
        let hooks = format!(
            "{}{}",
            listener.hook(on, "after = \"500ms\""),
            "[[hooks]]\non = [\"blocked\"]\nrun = \"echo $CROSSFADE_EVENT >> notes\"\n"
        );
        let (database, project) = scene(RENAME, &hooks).await;
        let blocker = in_transaction(&database, "SELECT count(*) FROM t").await;
        let mut migrate = Running::start(&project, Start::Migrate);
        listener.until_heard().await;
        // Many attempts more, and it is told once all the same.
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(!migrate.is_over());
        assert_eq!(listener.events(), ["blocked"]);
        let reasons = listener.heard()[0]["reasons"].to_string();
        assert!(reasons.contains("the blocker") && reasons.contains("pid "), "{reasons}");
        blocker.batch_execute("COMMIT").await.expect("it commits");
        migrate.end().await.0.expect("it goes on");
        assert_eq!(listener.events(), ["blocked", "ready"]);
        assert!(notes(&project).is_empty(), "30 s are not over");
    });
}

/// It holds no lock that conflicts, and a build waits for it all the same: without a word, before this was so.
#[test]
fn an_index_build_that_waits_for_an_old_transaction_is_told() {
    run(async {
        let listener = Listener::start(&[Answer::Status(200)]);
        let hooks = listener.hook("\"blocked\", \"applied\"", "after = \"500ms\"");
        let (database, project) = scene("CREATE INDEX t_by_id ON t (id);", &hooks).await;
        let blocker = in_transaction(&database, "INSERT INTO t (id) VALUES (-7)").await;
        let mut migrate = Running::start(&project, Start::Migrate);
        listener.until_heard().await;
        assert!(!migrate.is_over());
        assert_eq!(listener.events(), ["blocked"]);
        let reasons = listener.heard()[0]["reasons"].to_string();
        assert!(reasons.contains("the blocker") && reasons.contains("is waited for"), "{reasons}");
        blocker.batch_execute("ROLLBACK").await.expect("it ends");
        migrate.end().await.0.expect("it goes on");
        assert_eq!(listener.events(), ["blocked", "applied"]);
    });
}

#[test]
fn a_pause_that_lasts_is_told_and_so_is_its_end() {
    run(async {
        let listener = Listener::start(&[Answer::Status(200)]);
        let hooks = listener.hook("\"paused\", \"resumed\", \"stopped\"", "after = \"200ms\"");
        let database = database(TABLE).await;
        let project = with_hooks(&database, RENAME, &hooks);
        let held = in_transaction(&database, "SELECT count(*) FROM t WHERE id = 5").await;
        let migrate = Running::start(&project, Start::Migrate);
        // Before it is at work, a pause would be a refusal.
        until(&database, WAITS).await;
        project.migrator.pause(Some("001"), Some("a sale")).await.expect("it is under way");
        held.batch_execute("COMMIT").await.expect("it commits");
        listener.until_heard().await;
        assert!(listener.heard()[0]["message"].as_str().is_some_and(|text| text.contains("a sale")));
        project.migrator.resume(None).await.expect("it was paused");
        migrate.end().await.0.expect("it goes on");
        assert_eq!(listener.events(), ["paused", "resumed"]);
    });
}

/// Ctrl-C while a command runs, as it were: it is ended, and nothing of the phase was done.
#[test]
fn a_stop_ends_a_hook_that_is_waited_for() {
    run(async {
        let hooks = format!(
            "[[hooks]]\non = [\"before-expand\"]\nrun = \"touch begun; sleep 20; touch ended\"\n{}",
            "[[hooks]]\non = [\"stopped\"]\nrun = \"echo $CROSSFADE_EVENT >> notes\"\n"
        );
        let (database, project) = scene(RENAME, &hooks).await;
        let was = Snapshot::seen(&database).await;
        let (stop, folder) = (Stop::default(), project.path().to_owned());
        let asked = stop.clone();
        let asker = tokio::spawn(async move {
            while !folder.join("begun").exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            asked.request();
        });
        let begun = Instant::now();
        let result = project.migrator.migrate(MigrateOptions::default(), &mut Watch::default(), &stop).await;
        asker.await.expect("it does not panic");
        let text = said(&result.expect_err("it was stopped"));
        assert!(text.contains("stopped while hook 1 (command) ran, before expand"), "{text}");
        assert!(begun.elapsed() < Duration::from_secs(60));
        assert_eq!(was.schema_difference(&Snapshot::seen(&database).await), None);
        assert_eq!(notes(&project), ["stopped"]);
        assert_eq!(Command::Migrate.on(&without_hooks(&project, &database)).await, Ok(Some(State::Ready)));
    });
}

fn without_hooks(project: &Project, database: &Database) -> crossfade::Migrator {
    let config = Config { migrations: project.path().to_owned(), ..Config::default() };
    crossfade::Migrator::new(config, database.target())
}

/// As if the process had died while the hook ran: the next run asks again and goes on.
#[test]
fn a_run_that_is_killed_in_a_hook_is_gone_on_with() {
    run(async {
        let hooks = "[[hooks]]\non = [\"before-migrate\"]\nrequired = true\nrun = \"echo $CROSSFADE_EVENT >> notes; test -e may || sleep 5\"\n";
        let (_database, project) = scene(RENAME, hooks).await;
        let migrate = Running::start(&project, Start::Migrate);
        let begun = Instant::now();
        while notes(&project).is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(60), "the hook is not called");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        migrate.kill();
        assert_eq!(project.state().await, State::Migrating);
        project.write("may", "");
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        assert_eq!(notes(&project), ["before-migrate", "before-migrate"]);
    });
}

#[test]
fn a_trial_calls_each_and_shows_what_came_back() {
    run(async {
        let listener = Listener::start(&[Answer::Status(200)]);
        let hooks = format!(
            "{}[[hooks]]\non = [\"failed\"]\nrun = \"echo told of $CROSSFADE_EVENT, test $CROSSFADE_TEST; cat >/dev/null\"\n\
             [[hooks]]\non = [\"blocked\"]\nrun = \"exit 9\"\n{}",
            listener.hook("\"failed\", \"ready\"", "format = \"slack\""),
            listener.hook("\"failed\", \"applied\"", "format = \"pagerduty\"\nrouting_key = \"s3cret\"")
        );
        let (_database, project) = scene(RENAME, &hooks).await;
        let report = project.migrator.try_hooks(None).await;
        let came: Vec<String> = report
            .hooks
            .iter()
            .map(|hook| format!("{} {}: {:?} {:?}", hook.name, hook.event, hook.answer, hook.error))
            .collect();
        assert_eq!(
            came,
            [
                "hook 1 (slack) failed: Some(\"200 well\") None",
                "hook 2 (command) failed: Some(\"told of failed, test 1\") None",
                "hook 3 (command) blocked: None Some(\"it ended with exit code 9\")",
                "hook 4 (pagerduty) failed: Some(\"200 well\") None",
            ]
        );
        let heard = listener.heard();
        assert!(heard[0]["text"].as_str().is_some_and(|text| text.contains("[test] migration 000")), "{heard:?}");
        assert_eq!(
            (heard[1]["event_action"].as_str(), heard[1]["routing_key"].as_str()),
            (Some("trigger"), Some("s3cret"))
        );
        assert!(!format!("{report:?}").contains("s3cret"));
        assert_eq!(project.migrator.try_hooks(crossfade::hooks::HookEvent::by_name("ready")).await.hooks.len(), 1);
    });
}
