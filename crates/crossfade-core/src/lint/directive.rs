//! `-- crossfade: allow RULE REASON`: a person has looked at it, and says why it is all right.
//!
//! It speaks for the statement behind it, or in front of it on the same line; `allow-file` for the whole file.

use super::finding::LintFinding;
use super::rules;
use super::settings::LintSettings;
use crate::sql::Span;
use crate::sql::act::Script;

/// One `allow`.
#[derive(Debug)]
struct Allow {
    span: Span,
    rule: String,
    reason: String,
    /// The statement that it speaks for; none for the whole file.
    over: Option<Span>,
    whole: bool,
    used: bool,
}

/// What a file's comments say to the rules.
#[derive(Debug, Default)]
pub(super) struct Directives {
    allows: Vec<Allow>,
    /// `no-transaction`.
    pub no_transaction: bool,
}

impl Directives {
    pub fn read(script: &Script) -> Directives {
        let mut directives = Directives::default();
        for note in &script.notes {
            let Some(body) = note.text.strip_prefix("crossfade:").map(str::trim) else { continue };
            if body == "no-transaction" {
                directives.no_transaction = true;
            }
            let (name, rest) = body.split_once(char::is_whitespace).unwrap_or((body, ""));
            let whole = name == "allow-file";
            if name != "allow" && !whole {
                continue;
            }
            let (rule, reason) = rest.trim().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
            let outer = || script.acts.iter().filter(|act| act.inside.is_none()).map(|act| act.span);
            let over = if note.alone {
                outer().find(|span| {
                    span.start >= note.span.end || span.start < note.span.start && note.span.end < span.end
                })
            } else {
                outer().rfind(|span| span.start < note.span.start)
            };
            directives.allows.push(Allow {
                span: note.span,
                rule: rule.to_owned(),
                reason: reason.trim().to_owned(),
                over,
                whole,
                used: false,
            });
        }
        directives
    }

    /// Takes out what is allowed, and says which `allow` is wrong or for nothing.
    pub fn apply(&mut self, settings: &LintSettings, found: &mut Vec<LintFinding>) -> Vec<LintFinding> {
        let allows = &mut self.allows;
        let allowed = found.extract_if(.., |finding| {
            let speaks = |allow: &&mut Allow| {
                let place =
                    allow.over.is_some_and(|over| over.start <= finding.span.start && finding.span.start < over.end);
                allow.rule == finding.rule && !allow.reason.is_empty() && (allow.whole || place)
            };
            let mut speaking = allows.iter_mut().filter(speaks).peekable();
            finding.allowed = speaking.peek().map(|allow| allow.reason.clone());
            speaking.for_each(|allow| allow.used = true);
            finding.allowed.is_some()
        });
        let allowed = allowed.collect();
        for allow in allows.iter().filter(|allow| !allow.used) {
            let known = rules::by_name(&allow.rule);
            let (rule, message) = match known {
                _ if allow.rule.is_empty() => ("bad-allow", "`allow` names no rule".to_owned()),
                None => ("bad-allow", format!("there is no rule `{}`", allow.rule)),
                Some(_) if allow.reason.is_empty() => ("bad-allow", format!("`allow {}` says no reason", allow.rule)),
                Some(rule) if settings.level(rule).is_none() => continue,
                Some(_) => {
                    ("unused-allow", format!("`allow {}` allows nothing: the rule finds nothing here", allow.rule))
                }
            };
            let rule = rules::get(rule);
            let Some(level) = settings.level(rule) else { continue };
            found.push(LintFinding {
                rule: rule.name.to_owned(),
                level,
                evidence: Default::default(),
                span: allow.span,
                message,
                effect: rule.effect.to_owned(),
                lock: None,
                blocked_for: None,
                safe_sql: None,
                phased: None,
                allowed: None,
            });
        }
        allowed
    }
}
