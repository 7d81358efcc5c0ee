//! What hooks did, and what went wrong with them.

use std::time::Duration;

use crossfade::hooks::HookEvent;
use crossfade::report::HooksReport;

use super::Paint;
use super::human;
use super::indented;

/// A hook failed while something ran.
pub fn failed(hook: &str, event: Option<HookEvent>, why: &str, paint: Paint) -> String {
    let event = event.map(|event| format!(" on {event}")).unwrap_or_default();
    format!("{} {hook}{event}: {why}", paint.yellow("warning:"))
}

/// What came back from each.
pub fn text(report: &HooksReport, paint: Paint) -> String {
    if report.hooks.is_empty() {
        return "no hook is called for that; [[hooks]] in crossfade.toml has them\n".to_owned();
    }
    let mut out = String::new();
    for hook in &report.hooks {
        let took = human::duration(Duration::from_millis(hook.took_ms));
        let (sign, what) = match &hook.error {
            None => (paint.green("✓"), hook.answer.clone().unwrap_or_default()),
            Some(why) => (paint.red("✗"), why.clone()),
        };
        out.push_str(&format!("{sign} {} on {} {}\n", hook.name, hook.event, paint.dim(&format!("({took})"))));
        for line in what.lines() {
            out.push_str(&indented(line, "    "));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use crossfade::report::HookReport;

    use super::*;

    #[test]
    fn what_came_back_stands_below_its_hook() {
        let hook = |answer: Option<&str>, error: Option<&str>| HookReport {
            name: "team".to_owned(),
            kind: "slack",
            on: vec!["failed"],
            event: "failed",
            required: false,
            took_ms: 12,
            answer: answer.map(str::to_owned),
            error: error.map(str::to_owned),
        };
        let hooks = vec![hook(Some("200 ok"), None), hook(None, Some("it answered 404"))];
        let report = HooksReport { format: 1, database: "x".to_owned(), hooks };
        let said = text(&report, Paint::plain());
        assert_eq!(said, "✓ team on failed (12 ms)\n    200 ok\n✗ team on failed (12 ms)\n    it answered 404\n");
        let said = failed("team", Some(HookEvent::Failed), "it answered 404", Paint::plain());
        assert_eq!(said, "warning: team on failed: it answered 404");
    }
}
