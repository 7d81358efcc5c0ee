//! What a server did, laid beside what the rules say: what it did not do is no finding, and what no rule knew is one.

use super::finding::Evidence;
use super::finding::LintFinding;
use super::rules;
use super::settings::LintSettings;
use crate::lock::LockMode;
use crate::sql::Span;

/// What a statement did on a scratch server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The strongest lock on a table that was there before, and the table.
    pub lock: Option<(String, LockMode)>,
    /// Tables that were written anew.
    pub rewritten: Vec<String>,
    /// Tables that were read as a whole.
    pub scanned: Vec<String>,
    /// Whether it can't run in a transaction, so that what it reads is not seen.
    pub outside: bool,
    /// What the server said where it refused.
    pub failed: Option<String>,
}

/// Lays what was seen beside what was found in a file.
pub fn witnessed(settings: &LintSettings, findings: &mut Vec<LintFinding>, seen: &[(Span, Seen)]) {
    for (span, seen) in seen {
        let inside = |finding: &LintFinding| span.start <= finding.span.start && finding.span.start < span.end;
        if let Some(message) = &seen.failed {
            findings.extend(about(
                settings,
                "traced-failure",
                *span,
                format!("the scratch server refuses this: {message}"),
                None,
            ));
            continue;
        }
        let lock = seen.lock.as_ref().map(|(_, mode)| *mode);
        findings.retain_mut(|finding| {
            if !inside(finding) {
                return true;
            }
            let cost = rules::by_name(&finding.rule).and_then(|rule| rule.cost);
            let contract = rules::by_name(&finding.rule).is_some_and(|rule| rule.theme == super::Theme::Contract);
            let Some(cost) = cost.filter(|_| !contract) else { return true };
            let done = (!cost.rewrite || !seen.rewritten.is_empty())
                && (!cost.scan || cost.rewrite || seen.outside || !seen.scanned.is_empty())
                && lock.is_some_and(|lock| lock >= cost.lock);
            if done {
                finding.evidence = Evidence::Trace;
                finding.lock = lock;
            }
            // One that can't run in a transaction may be over before its locks are seen.
            done || lock.is_none()
        });
        let known = findings.iter().any(|finding| {
            inside(finding)
                && rules::by_name(&finding.rule)
                    .and_then(|rule| rule.cost)
                    .is_some_and(|cost| cost.rewrite || cost.scan)
        });
        let blocks = lock.is_some_and(|lock| lock >= LockMode::Share);
        let shown = lock.map(|lock| format!(" in {lock} mode")).unwrap_or_default();
        if let (Some(table), false) = (seen.rewritten.first(), known) {
            let message = format!("{table} was written anew{shown}");
            findings.extend(about(settings, "traced-rewrite", *span, message, lock));
        } else if let (Some(table), false, true) = (seen.scanned.first(), known, blocks) {
            let message = format!("{table} was read as a whole{shown}");
            findings.extend(about(settings, "traced-scan", *span, message, lock));
        }
    }
    findings.sort_by(|a, b| (a.span, &a.rule).cmp(&(b.span, &b.rule)));
}

fn about(
    settings: &LintSettings,
    rule: &'static str,
    span: Span,
    message: String,
    lock: Option<LockMode>,
) -> Option<LintFinding> {
    let rule = rules::get(rule);
    Some(LintFinding {
        rule: rule.name.to_owned(),
        level: settings.level(rule)?,
        evidence: Evidence::Trace,
        span,
        message,
        effect: rule.effect.to_owned(),
        lock,
        blocked_for: None,
        safe_sql: None,
        phased: None,
        allowed: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Linter;
    use super::super::read_script;
    use super::*;

    fn rules_of(text: &str, seen: &[(Span, Seen)]) -> Vec<(String, Evidence)> {
        let settings = LintSettings::default();
        let mut found = Linter::new(&settings).file(text, &read_script(text)).found;
        witnessed(&settings, &mut found, seen);
        found.into_iter().map(|finding| (finding.rule, finding.evidence)).collect()
    }

    #[test]
    fn what_the_server_did_not_do_is_no_finding_and_what_nobody_knew_is_one() {
        let text = "ALTER TABLE t ALTER COLUMN a TYPE text;";
        let span = Span::new(0, text.len() - 1);
        let lock = Some(("public.t".to_owned(), LockMode::AccessExclusive));
        let table = || vec!["public.t".to_owned()];
        let free = Seen { lock: lock.clone(), ..Seen::default() };
        assert_eq!(rules_of(text, &[(span, free.clone())]), []);
        let rewritten = Seen { rewritten: table(), scanned: table(), ..free.clone() };
        assert_eq!(rules_of(text, &[(span, rewritten.clone())]), [("alter-type-rewrite".to_owned(), Evidence::Trace)]);
        let unknown = "ALTER TABLE t ADD COLUMN b integer;";
        let span = Span::new(0, unknown.len() - 1);
        assert_eq!(rules_of(unknown, &[(span, rewritten)]), [("traced-rewrite".to_owned(), Evidence::Trace)]);
        let scanned = Seen { scanned: table(), ..free };
        assert_eq!(rules_of(unknown, &[(span, scanned)]), [("traced-scan".to_owned(), Evidence::Trace)]);
        let failed = Seen { failed: Some("no".to_owned()), ..Seen::default() };
        assert_eq!(rules_of(unknown, &[(span, failed)]), [("traced-failure".to_owned(), Evidence::Trace)]);
    }
}
