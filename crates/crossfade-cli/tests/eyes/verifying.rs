//! `serve --verify`: a difference that was made behind the back of the sync is seen on the page's document and in the metrics, told once, and goes once it is mended.

use nix::sys::signal::Signal;
use serde_json::Value;

use super::exposition;
use super::scene::Scene;
use super::scene::Served;
use super::scene::said;

const IN_001: &str = r#"{migration="001"}"#;

const HOOKS: &str = r#"
[contract]
quiet_for = "0s"
old_sessions = "warn"

[[hooks]]
on = ["differs", "agrees", "failed"]
run = "echo $CROSSFADE_EVENT >> told"

[[hooks]]
name = "broken"
on = ["differs"]
run = "exit 7"
"#;

/// 20,000 rows that wait for their deploy.
async fn ready() -> Scene {
    let scene = Scene::new().await;
    scene.configure(HOOKS);
    scene.let_it_go().await;
    let output = scene.call(&["migrate"]);
    assert!(output.status.success(), "{}", said(&output));
    scene
}

/// Rows that were read, and that differ, as the metrics have it.
fn measured(served: &Served, name: &str, labels: &str) -> Option<f64> {
    let metrics = exposition::read(&served.get("/metrics").body);
    exposition::check(&metrics);
    exposition::value(&metrics, &format!("crossfade_verify_{name}"), labels)
}

fn differ(status: &Value, rows: u64) -> bool {
    status["verify"]["migrations"][0]["differing"] == rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_difference_is_seen_and_goes_once_it_is_mended() {
    let scene = ready().await;
    let mut served = scene.serve_with("127.0.0.1:0", &["--verify", "--every", "100ms", "--duty", "1"]);
    assert_eq!(served.report["verify"], true);
    let status = served.until("it was compared", |status| differ(status, 0));
    assert_eq!(status["verify"]["migrations"][0]["rows"], 20_000, "{status:#}");
    assert_eq!(measured(&served, "differing_rows", IN_001), Some(0.0));
    assert!(measured(&served, "last_timestamp_seconds", IN_001).unwrap() > 1_700_000_000.0);

    let behind = "ALTER TABLE users DISABLE TRIGGER zzz_crossfade_u_001; UPDATE users SET email_address = 'lost' WHERE id IN (7, 8)";
    scene.client.batch_execute(behind).await.unwrap();
    let status = served.until("it differs", |status| differ(status, 2));
    let keys = status["verify"]["migrations"][0]["keys"].to_string();
    assert!(keys.contains('7') && keys.contains('8'), "{status:#}");
    assert_eq!(measured(&served, "differing_rows", IN_001), Some(2.0));
    assert_eq!(measured(&served, "compared_rows", IN_001), Some(20_000.0));
    // Keys are values: whoever asks from elsewhere gets none.
    let beyond = scene.serve_with("0.0.0.0:0", &["--verify", "--every", "1h"]);
    let status = beyond.until("it differs there, too", |status| differ(status, 2));
    assert_eq!(status["verify"]["migrations"][0]["keys"], serde_json::json!([]));
    // Others who compare at the same time are no harm, and nobody is told twice.
    let output = scene.call(&["verify", "--every", "1ms", "--duty", "1", "--rounds", "2"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert_eq!(scene.read("told"), "differs\n");
    // And what became of telling it is seen, too.
    let status = served.until("what the hooks were told is seen", |status| {
        status["snapshot"]["alerts"].as_array().is_some_and(|alerts| alerts.len() == 2)
    });
    let failed = &status["snapshot"]["status"]["migrations"][0]["failed_alerts"][0];
    assert_eq!(
        (&failed["hook"], &failed["error"]),
        (&"broken".into(), &"it ended with exit code 7".into()),
        "{status:#}"
    );
    let metrics = exposition::read(&served.get("/metrics").body);
    assert_eq!(exposition::value(&metrics, "crossfade_failing_hooks", ""), Some(1.0));
    let output = scene.call(&["contract", "001"]);
    assert!(output.status.code() == Some(3) && said(&output).contains("found 2 rows in which"), "{}", said(&output));

    scene.take_away().await;
    served.until("it can't be compared", |status| status["verify"]["error"].is_string());
    assert!(measured(&served, "rounds_total", r#"{result="failed"}"#).unwrap() >= 1.0);
    assert_eq!(measured(&served, "differing_rows", IN_001), Some(2.0), "what was seen stays");
    scene.give_back().await;
    served.until("it goes on by itself", |status| status["verify"]["error"].is_null());

    let client = super::scene::connect(&scene.database).await;
    let mend = "UPDATE users SET email_address = email WHERE id IN (7, 8); ALTER TABLE users ENABLE ALWAYS TRIGGER zzz_crossfade_u_001";
    client.batch_execute(mend).await.unwrap();
    served.until("it is mended", |status| differ(status, 0));
    assert_eq!(measured(&served, "differing_rows", IN_001), Some(0.0));

    // A runner goes on meanwhile: what is contracted has no two forms any more, and that is no failure.
    let failed = served.status()["verify"]["failed_rounds"].clone();
    let output = scene.call(&["contract", "001"]);
    assert!(output.status.success(), "{}", said(&output));
    let status = served.until("nothing is left to compare", |status| {
        status["verify"]["migrations"].as_array().is_some_and(|left| left.is_empty())
    });
    let rounds = status["verify"]["rounds"].as_u64();
    served.until("rounds go on", |status| status["verify"]["rounds"].as_u64() > rounds);
    assert_eq!(served.status()["verify"]["failed_rounds"], failed);
    assert_eq!(measured(&served, "differing_rows", IN_001), None);
    assert_eq!(served.ended_by(Signal::SIGTERM), Some(0));
    assert_eq!(scene.read("told"), "differs\nagrees\n", "a round that failed is no failed run");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_verify_nothing_is_compared_and_its_options_mean_nothing() {
    let scene = Scene::new().await;
    let served = scene.serve(false);
    let status = served.until("the database is seen", |status| status["snapshot"].is_object());
    assert_eq!((&served.report["verify"], &status["verify"]), (&Value::Bool(false), &Value::Null));
    for (arguments, words) in [
        (&["serve", "--every", "1m"][..], "--verify"),
        (&["serve", "--verify", "--duty", "2"], "--duty is 2"),
        (&["serve", "--verify", "--every", "1"], "--every: \"1\" has no unit"),
    ] {
        let output = scene.call(arguments);
        assert!(output.status.code() == Some(2) && said(&output).contains(words), "{arguments:?}: {}", said(&output));
    }
}
