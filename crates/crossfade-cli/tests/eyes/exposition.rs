//! Reads the text that Prometheus scrapes, and holds it against the conventions.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// One metric, as it is declared.
#[derive(Debug, Default)]
pub struct Metric {
    pub help: String,
    pub kind: String,
    /// Of each line what stands behind the name.
    pub lines: Vec<String>,
}

/// Base units, and what counts things. https://prometheus.io/docs/practices/naming/
const UNITS: [&str; 10] =
    ["seconds", "bytes", "ratio", "info", "rows", "total", "steps", "migrations", "waiters", "hooks"];

/// Words for what has no unit: a yes or no, a position, a count of named things.
const WITHOUT: [&str; 9] = ["obstacles", "up", "active", "paused", "step", "waiting", "limit", "problems", "all"];

/// All metrics by name. Fails at a line that can't be read or has no declaration before it.
pub fn read(text: &str) -> BTreeMap<String, Metric> {
    let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            let known = metrics.insert(name.to_owned(), Metric { help: help.to_owned(), ..Metric::default() });
            assert!(known.is_none(), "{name} is declared twice");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            metrics.get_mut(name).unwrap().kind = kind.to_owned();
        } else {
            assert!(!line.starts_with('#'), "{line}");
            let end = line.find(['{', ' ']).unwrap();
            let (name, rest) = line.split_at(end);
            let value: f64 = rest.rsplit(' ').next().unwrap().parse().unwrap();
            assert!(value.is_finite(), "{line}");
            let metric = metrics.get_mut(name).unwrap_or_else(|| panic!("{line} was not declared"));
            metric.lines.push(rest.to_owned());
        }
    }
    metrics
}

/// Fails where a metric is named against the conventions, or a series is there twice.
pub fn check(metrics: &BTreeMap<String, Metric>) {
    assert!(metrics.len() > 20, "{metrics:?}");
    for (name, metric) in metrics {
        assert!(name.starts_with("crossfade_"), "{name}");
        assert!(name.chars().all(|sign| sign.is_ascii_lowercase() || sign == '_'), "{name}");
        assert!(!metric.help.is_empty(), "{name} says nothing of itself");
        let last = name.rsplit('_').next().unwrap();
        assert!(UNITS.contains(&last) || WITHOUT.contains(&last), "{name} ends in no unit");
        match metric.kind.as_str() {
            "counter" => assert_eq!(last, "total", "{name}"),
            "gauge" => assert_ne!(last, "total", "{name}"),
            kind => panic!("{name} is a {kind}"),
        }
        for scaled in ["milliseconds", "_ms", "_kb", "percent", "minutes"] {
            assert!(!name.contains(scaled), "{name} is in no base unit");
        }
        let series: BTreeSet<&str> = metric.lines.iter().map(|line| line.rsplit_once(' ').unwrap().0).collect();
        assert_eq!(series.len(), metric.lines.len(), "{name} has a series twice");
        if last == "info" {
            assert!(metric.lines.iter().all(|line| line.ends_with(" 1") || line.ends_with(" 1.0")), "{name}");
        }
    }
}

/// The value of one series.
pub fn value(metrics: &BTreeMap<String, Metric>, name: &str, labels: &str) -> Option<f64> {
    let lines = &metrics.get(name).unwrap_or_else(|| panic!("there is no {name}")).lines;
    let line = lines.iter().find(|line| line.starts_with(labels))?;
    line.rsplit(' ').next().unwrap().parse().ok()
}
