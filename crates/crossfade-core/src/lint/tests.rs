//! Every rule finds its bad case, and nothing in its good one.

use super::*;

fn settings(rule: &Rule) -> LintSettings {
    let levels = [(rule.name.to_owned(), Some(rule.level.unwrap_or(crate::finding::Severity::Warning)))];
    LintSettings { levels: levels.into_iter().collect(), server_version: rule.servers.0, ..LintSettings::default() }
}

/// The findings of the last of these files.
fn found(settings: &LintSettings, files: &[&str]) -> Vec<LintFinding> {
    let mut linter = Linter::new(settings);
    let mut last = Vec::new();
    for text in files {
        last = linter.file(&read_script(text));
    }
    last
}

fn names(settings: &LintSettings, files: &[&str]) -> Vec<String> {
    found(settings, files).into_iter().map(|finding| finding.rule).collect()
}

#[test]
fn every_rule_finds_its_bad_case_and_nothing_in_its_good_one() {
    for rule in rules::all() {
        let settings = settings(rule);
        let bad = found(&settings, &[rule.setup, rule.bad]);
        assert!(bad.iter().any(|finding| finding.rule == rule.name), "{}: {bad:?}", rule.name);
        let good = names(&settings, &[rule.setup, rule.good]);
        assert!(!good.iter().any(|name| name == rule.name), "{}: {good:?}", rule.name);
        let words = [rule.title, rule.effect, rule.bad, rule.good, rule.exceptions, rule.source];
        assert!(words.iter().all(|text| !text.is_empty()), "{} has an empty page", rule.name);
    }
}

#[test]
fn names_are_distinct_and_in_kebab_case() {
    let mut names: Vec<&str> = rules::all().map(|rule| rule.name).collect();
    let plain = |name: &&&str| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    assert_eq!(names.iter().filter(plain).count(), names.len());
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rules::all().count());
}
