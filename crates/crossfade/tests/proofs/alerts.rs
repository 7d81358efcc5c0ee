//! What hooks were told is kept in the journal: shown later, without secrets, bounded; and it holds up nothing where it can't be.

use std::net::TcpListener;

use crossfade::HistoryOptions;
use crossfade::Target;
use crossfade::hooks::HookEvent;
use crossfade::report::HistoryAlert;
use crossfade_core::journal::State;

use crate::hooks::scene;
use crate::hooks::warnings;
use crate::project::Command;
use crate::project::Project;
use crate::project::Watch;
use crate::project::said;
use crate::scene::RENAME;
use crate::scene::in_transaction;
use crate::server::run;

async fn alerts(project: &Project) -> Vec<HistoryAlert> {
    let history = project.migrator.history(&HistoryOptions::default()).await.expect("the history can be read");
    history.alerts.expect("they can be read")
}

/// Each in a line, in the order of the hooks' names.
fn told(alerts: &[HistoryAlert]) -> Vec<String> {
    let line =
        |alert: &HistoryAlert| format!("{} {}: {}", alert.hook, alert.event, alert.error.as_deref().unwrap_or("told"));
    let mut lines: Vec<String> = alerts.iter().map(line).collect();
    lines.sort();
    lines
}

/// Hooks that the doctor names, with what the status says of the migration.
async fn failing(project: &Project) -> (Vec<String>, Vec<String>) {
    let status = project.migrator.status().await.expect("the status can be read");
    let of_it = status.migrations[0].failed_alerts.iter().map(|failed| failed.hook.clone()).collect();
    let doctor = project.migrator.doctor().await.expect("the doctor looks");
    let hooks = doctor.complaints.iter().filter(|complaint| complaint.rule == "failing-hook");
    (hooks.map(|complaint| complaint.object.clone()).collect(), of_it)
}

#[test]
fn what_hooks_were_told_is_kept_without_secrets_and_shown_until_they_work() {
    run(async {
        let gone = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free").local_addr().expect("it listens");
        let hooks = format!(
            "[[hooks]]\nname = \"chat\"\non = [\"ready\", \"contracted\"]\nrun = \"echo s3cret; test -e works\"\n\
             [[hooks]]\nname = \"dead\"\non = [\"ready\"]\nwebhook = \"http://{gone}/s3cret\"\nretries = 0\n\
             [[hooks]]\nname = \"gate\"\non = [\"before-contract\"]\nrequired = true\nrun = \"test -e may\"\n\
             [[hooks]]\nname = \"notes\"\non = [\"before-expand\", \"ready\"]\nrun = \"true\"\n"
        );
        let (database, project) = scene(RENAME, &hooks).await;
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        let kept = alerts(&project).await;
        let expected = [
            "chat ready: it ended with exit code 1",
            "dead ready: it does not answer (1 try)",
            "notes before-expand: told",
            "notes ready: told",
        ];
        assert_eq!(told(&kept), expected);
        let history = project.migrator.history(&HistoryOptions::default()).await.expect("it can be read");
        let run_id = &history.events[0].run_id;
        assert!(
            kept.iter().all(|alert| alert.version.as_deref() == Some("001") && alert.run_id == *run_id),
            "{kept:?}"
        );
        let all = database.value("SELECT string_agg(a::text, ' ') FROM crossfade.alerts AS a").await;
        assert!(!all.contains("s3cret") && !all.contains("127.0.0.1") && !all.contains("test -e"), "{all}");
        let both = |names: &[&str]| names.iter().map(|name| format!("hook {name}")).collect::<Vec<_>>();
        assert_eq!(failing(&project).await, (both(&["chat", "dead"]), vec!["chat".to_owned(), "dead".to_owned()]));
        let doctor = project.migrator.doctor().await.expect("the doctor looks");
        let chat = doctor.complaints.iter().find(|complaint| complaint.object == "hook chat").expect("it was named");
        assert!(
            chat.why.contains("it ended with exit code 1") && chat.mend == ["crossfade hooks test --record"],
            "{chat:?}"
        );
        let seen = project.migrator.watcher().look().await.expect("it can be looked at");
        assert_eq!((seen.alerts.len(), seen.failing_hooks.len()), (4, 2));

        // A required one that fails stops the contract, and that is kept, too.
        Command::Contract.on(&project.migrator).await.expect_err("it is required");
        assert_eq!(alerts(&project).await.last().map(|last| last.hook.clone()), Some("gate".to_owned()));
        // A trial that came through mends it, and is no alert.
        project.write("works", "");
        let ready = HookEvent::by_name("ready");
        project.migrator.try_hooks_and_record(ready).await.expect("it can be written down");
        assert_eq!(failing(&project).await.0, both(&["dead", "gate"]));
        assert_eq!(alerts(&project).await.len(), 5);

        // So many are kept: the newest.
        let many = "INSERT INTO crossfade.alerts (at, hook, event, took_ms, test, actor, tool_version) \
            SELECT now(), 'many', 'ready', 1, false, 'x', '0' FROM generate_series(1, 1100)";
        database.run(many).await.expect("it is written");
        project.write("may", "");
        assert_eq!(Command::Contract.on(&project.migrator).await, Ok(Some(State::Contracted)));
        let kept = alerts(&project).await;
        let last = kept.last().map(|last| (last.hook.as_str(), last.event.as_str(), last.sent));
        assert_eq!((kept.len(), last), (1000, Some(("chat", "contracted", true))));
        assert_eq!(failing(&project).await, (Vec::new(), Vec::new()), "what is long gone is forgotten");
        assert_eq!(Command::Rollback.on(&project.migrator).await, Ok(Some(State::RolledBack)));
    });
}

#[test]
fn what_cannot_be_written_down_or_read_holds_up_nothing() {
    run(async {
        let hooks = "[[hooks]]\nname = \"chat\"\non = [\"ready\", \"contracted\"]\nrun = \"true\"\n";
        let (database, project) = scene(RENAME, hooks).await;
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        assert_eq!(told(&alerts(&project).await), ["chat ready: told"]);
        let locker = in_transaction(&database, "LOCK TABLE crossfade.alerts IN EXCLUSIVE MODE").await;
        let mut watch = Watch::default();
        let state = Command::Contract.watched(&project.migrator, &mut watch).await.map_err(|error| said(&error));
        assert_eq!((state, warnings(&watch)), (Ok(Some(State::Contracted)), Vec::new()));
        drop(locker);
        assert_eq!(told(&alerts(&project).await), ["chat ready: told"]);

        for statement in [
            "DO $$ BEGIN CREATE ROLE onlooker LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
            "GRANT USAGE ON SCHEMA crossfade TO onlooker",
            "GRANT SELECT ON ALL TABLES IN SCHEMA crossfade TO onlooker",
            "REVOKE ALL ON crossfade.alerts FROM onlooker",
        ] {
            database.run(statement).await.expect("rights can be given");
        }
        let target = Target::from_url(&database.url().replace("//postgres@", "//onlooker@")).expect("the URL is one");
        let onlooker = Project::on(target, &[("001_case.sql", RENAME)], |_| {}).migrator;
        assert_eq!(onlooker.status().await.expect("a status").migrations[0].state, State::Contracted);
        let history = onlooker.history(&HistoryOptions::default()).await.expect("a history");
        assert!(history.alerts.is_none() && !history.events.is_empty(), "{history:?}");
        onlooker.doctor().await.expect("a diagnosis");
        let seen = onlooker.watcher().look().await.expect("it can be looked at");
        assert!(seen.unseen.iter().any(|line| line.starts_with("what hooks were told")), "{:?}", seen.unseen);
    });
}
