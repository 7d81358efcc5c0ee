//! The dashboard for Grafana asks for nothing that `/metrics` does not give.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::exposition;
use super::scene::Scene;

/// Every metric that an expression names.
fn named(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_');
    words.filter(|word| word.starts_with("crossfade_")).map(str::to_owned).collect()
}

/// Every value of this key, at any depth.
fn values<'v>(of: &'v Value, key: &str, found: &mut Vec<&'v str>) {
    match of {
        Value::Object(map) => {
            for (name, value) in map {
                if let (true, Some(text)) = (name == key, value.as_str()) {
                    found.push(text);
                }
                values(value, key, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| values(value, key, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dashboard_matches_the_metrics() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/grafana/crossfade.json");
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut expressions = Vec::new();
    values(&dashboard, "expr", &mut expressions);
    values(&dashboard, "definition", &mut expressions);
    assert!(expressions.len() > 10, "{expressions:?}");
    let asked: BTreeSet<String> = expressions.iter().flat_map(|expression| named(expression)).collect();
    assert!(expressions.iter().all(|expression| !named(expression).is_empty()), "{expressions:?}");

    let scene = Scene::new().await;
    let served = scene.serve(false);
    served.until("the database is seen", |status| status["snapshot"].is_object());
    let metrics = exposition::read(&served.get("/metrics").body);
    exposition::check(&metrics);
    let given: BTreeSet<String> = metrics.into_keys().collect();
    let missing: Vec<&String> = asked.difference(&given).collect();
    assert!(missing.is_empty(), "the dashboard asks for what is not there: {missing:?}\n{given:?}");
    // And all that is measured is on it, but for what says how the program itself does.
    let own = ["crossfade_build_info", "crossfade_look_duration_seconds", "crossfade_last_look_timestamp_seconds"];
    let unused: Vec<&String> = given.difference(&asked).filter(|name| !own.contains(&name.as_str())).collect();
    assert!(unused.is_empty(), "not on the dashboard: {unused:?}");
}
