//! `serve`: what is scraped and asked while a migration runs, who may act, and a database that goes away.

use std::process::Stdio;

use nix::sys::signal::Signal;

use super::exposition;
use super::scene::Scene;
use super::scene::TOKEN;
use super::scene::said;
use super::scene::until;

const IN_001: &str = r#"{migration="001"}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_backfill_is_seen_from_outside() {
    let scene = Scene::new().await;
    let mut served = scene.serve(false);
    assert_eq!((&served.report["loopback"], &served.report["actions"]), (&true.into(), &false.into()));
    served.until("the database is seen", |status| status["snapshot"].is_object());
    let migrate = scene.migrating();
    let locker = scene.locked_in_the_middle().await;
    scene.let_it_go().await;
    let status = served.until("the fill waits for the locked row", |status| {
        let flight = &status["snapshot"]["flights"][0];
        flight["progress"]["fraction"].as_f64().is_some_and(|fraction| fraction > 0.1)
            && status["snapshot"]["lock_waits"][0]["waiter"]["ours"] == true
    });
    let snapshot = &status["snapshot"];
    let flight = &snapshot["flights"][0];
    assert_eq!((&flight["key"], &flight["state"]), (&"001".into(), &"migrating".into()));
    assert!(flight["progress"]["fraction"].as_f64().unwrap() < 1.0, "{flight:#}");
    assert!(flight["blocks"]["done"].as_u64() < flight["blocks"]["all"].as_u64(), "{flight:#}");
    assert!(flight["steps"].as_array().unwrap().iter().any(|step| step["status"] == "running"), "{flight:#}");
    assert_eq!(flight["tables"], serde_json::json!(["public.users"]));
    let wait = &snapshot["lock_waits"][0];
    assert_eq!(wait["blockers"][0]["state"], "idle in transaction", "{wait:#}");
    assert!(wait["blockers"][0]["query"].as_str().unwrap().contains("FOR UPDATE"), "{wait:#}");
    assert!(snapshot["events"].as_array().unwrap().iter().any(|event| event["actor"] == "ann"), "{snapshot:#}");
    assert!(snapshot["status"]["runner"].is_object() && snapshot["commit_seconds"].is_f64(), "{snapshot:#}");

    let answer = served.get("/metrics");
    assert!(answer.headers.contains("content-type: text/plain; version=0.0.4"), "{}", answer.headers);
    let metrics = exposition::read(&answer.body);
    exposition::check(&metrics);
    let value = |name: &str, labels: &str| exposition::value(&metrics, name, labels);
    let ratio = value("crossfade_backfill_progress_ratio", IN_001).unwrap();
    assert!(ratio > 0.0 && ratio < 1.0, "{ratio}");
    assert!(value("crossfade_backfill_rows_total", IN_001).unwrap() > 0.0);
    assert_eq!(value("crossfade_migrations", r#"{state="migrating"}"#), Some(1.0));
    assert_eq!(value("crossfade_lock_waiters", r#"{waiter="crossfade"}"#), Some(1.0));
    assert_eq!((value("crossfade_up", ""), value("crossfade_runner_active", "")), (Some(1.0), Some(1.0)));
    let info = r#"{migration="001",name="rename",state="migrating",phase="migrate"}"#;
    assert_eq!(value("crossfade_migration_info", info), Some(1.0));
    let open = served.send("GET", "/metrics", &[("Accept", "application/openmetrics-text;version=1.0.0")], "");
    assert!(open.headers.contains("openmetrics-text") && open.body.ends_with("# EOF\n"), "{}", open.headers);

    assert_eq!((served.get("/healthz").code, served.get("/readyz").code), (200, 200));
    let runbook = served.get("/api/v1/runbook").json();
    assert!(runbook["html"].as_str().unwrap().contains("<h2>"), "{runbook:#}");
    assert_eq!(served.get("/nothing").code, 404);

    drop(locker);
    let ended = migrate.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", said(&ended));
    served.until("it is ready", |status| status["snapshot"]["flights"][0]["state"] == "ready");
    assert_eq!(served.ended_by(Signal::SIGTERM), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn actions_need_the_token_and_really_act() {
    let scene = Scene::new().await;
    let closed = scene.serve(false);
    let answer = closed.post("/api/v1/pause", Some(TOKEN), "");
    assert!(answer.code == 403 && answer.body.contains("actions are switched off"), "{answer:?}");

    let mut served = scene.serve(true);
    assert_eq!(served.report["actions"], true);
    let nothing = served.post("/api/v1/pause", Some(TOKEN), "");
    assert!(nothing.code == 409 && nothing.json()["error"]["message"] == "nothing is under way", "{nothing:?}");
    let migrate = scene.migrating();
    for (token, path) in [(None, "pause"), (Some("0123456789abcdef0123456789abcdeF"), "pause"), (None, "throttle")] {
        let answer = served.post(&format!("/api/v1/{path}"), token, "{}");
        assert!(answer.code == 401 && answer.headers.contains("www-authenticate: bearer"), "{answer:?}");
    }
    let answer = served.send("GET", "/api/v1/pause", &[("Authorization", &format!("Bearer {TOKEN}"))], "");
    assert_eq!(answer.code, 405);
    assert!(scene.migration()["pause"]["by"].is_null(), "nobody was let in");

    let paused = served.post("/api/v1/pause", Some(TOKEN), r#"{"version": "001", "reason": "sale until noon"}"#);
    assert_eq!((paused.code, &paused.json()["migrations"][0]["version"]), (200, &"001".into()), "{paused:?}");
    scene.let_it_go().await;
    // The query holds it up no more; the person does.
    let waits = |migration: &serde_json::Value| {
        let waited = migration["waited"].as_array().unwrap();
        migration["pause"]["by"] == "ann" && waited.iter().any(|waited| waited["signal"] == "pause")
    };
    until("it waits for the person", || scene.migration(), waits);
    assert_eq!(scene.migration()["state"], "migrating");
    let status = served.until("the pause is seen", |status| status["snapshot"]["flights"][0]["pause"]["by"] == "ann");
    let reason = status["snapshot"]["flights"][0]["pause"]["reason"].as_str().unwrap();
    assert!(reason.ends_with("sale until noon"), "{reason}");
    let metrics = exposition::read(&served.get("/metrics").body);
    assert_eq!(exposition::value(&metrics, "crossfade_migration_paused", IN_001), Some(1.0));
    assert_eq!(exposition::value(&metrics, "crossfade_actions_total", r#"{result="denied"}"#), Some(3.0));

    let wrong = served.post("/api/v1/throttle", Some(TOKEN), r#"{"settings": {"speed": "1"}}"#);
    assert!(wrong.code == 400 && wrong.body.contains("is no key of the throttle"), "{wrong:?}");
    assert_eq!(served.post("/api/v1/throttle", Some(TOKEN), r#"{"duty": "1"}"#).code, 400);
    let set = served.post("/api/v1/throttle", Some(TOKEN), r#"{"settings": {"duty": "0.25"}, "for": "1h"}"#);
    assert!(set.code == 200 && set.json()["settings"][0]["value"] == "0.25", "{set:?}");
    served.until("the setting is seen", |status| status["snapshot"]["duty"] == 0.25);

    let resumed = served.post("/api/v1/resume", Some(TOKEN), "");
    assert_eq!(resumed.code, 200, "{resumed:?}");
    let ended = migrate.wait_with_output().unwrap();
    assert!(ended.status.success() && said(&ended).contains("001 rename is ready"), "{}", said(&ended));
    assert_eq!(served.ended_by(Signal::SIGINT), Some(0));
}

/// A page elsewhere whose name points to this machine is not answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_by_a_foreign_name_is_not_answered() {
    let scene = Scene::new().await;
    let served = scene.serve(true);
    for path in ["/", "/metrics", "/api/v1/status"] {
        let answer = served.send("GET", path, &[("Host", "evil.example.org:8432")], "");
        assert!(answer.code == 421 && !answer.body.contains("eyes_"), "{answer:?}");
        assert_eq!(served.send("GET", path, &[("Host", "localhost")], "").code, 200);
    }
    let headers = [("Host", "evil.example.org"), ("Authorization", &format!("Bearer {TOKEN}"))];
    assert_eq!(served.send("POST", "/api/v1/pause", &headers, "").code, 421);
    let page = served.get("/");
    for header in
        ["content-security-policy: default-src 'none'; script-src 'sha256-", "x-frame-options: deny", "nosniff"]
    {
        assert!(page.headers.contains(header), "{header} is not in {}", page.headers);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_comes_back_by_itself() {
    let scene = Scene::new().await;
    scene.take_away().await;
    let mut served = scene.serve(false);
    let away = |status: &serde_json::Value| status["unreached"]["error"].is_string();
    let status = served.until("it is away", away);
    assert!(status["snapshot"].is_null(), "{status:#}");
    assert_eq!((served.get("/healthz").code, served.get("/readyz").code, served.get("/").code), (200, 503, 200));
    let metrics = exposition::read(&served.get("/metrics").body);
    assert_eq!(exposition::value(&metrics, "crossfade_up", ""), Some(0.0));
    scene.give_back().await;
    served.until("it is back", |status| status["snapshot"].is_object() && status["unreached"].is_null());
    assert_eq!(served.get("/readyz").code, 200);

    // What was seen stays, and is said to be old.
    scene.take_away().await;
    let status = served.until("it is away again", away);
    assert!(status["snapshot"].is_object() && status["age_seconds"].is_f64(), "{status:#}");
    scene.give_back().await;
    served.until("it is back again", |status| status["unreached"].is_null());
    assert_eq!(served.ended_by(Signal::SIGTERM), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_says_where_it_listens_and_what_is_wrong() {
    let scene = Scene::new().await;
    let beyond = scene.serve_at("0.0.0.0:0", false);
    assert_eq!(beyond.report["loopback"], false);
    let status = beyond.until("it is seen", |status| status["snapshot"].is_object());
    assert_eq!(status["queries_held_back"], true);

    let taken = beyond.address.clone();
    let wrong = [
        (vec!["serve", "--listen", &taken], 1, "could not listen at"),
        (vec!["serve", "--interval", "1"], 2, "--interval: \"1\" has no unit"),
        (vec!["serve", "--interval", "5ms"], 2, "is less than 100ms"),
        (vec!["serve", "--token-file", "nowhere"], 2, "--token-file can't be used"),
    ];
    for (arguments, code, words) in wrong {
        let output = scene.call(&arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(words), "{arguments:?}: {}", said(&output));
    }
    let mut short = scene.command(&["serve"]);
    let output = short.env("CROSSFADE_SERVE_TOKEN", "guessable").stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(!said(&output).contains("guessable"), "{}", said(&output));
}
