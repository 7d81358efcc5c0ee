//! `history` for people: who, and below what they did, line by line.

use std::time::Duration;

use crossfade::report::HistoryAlert;
use crossfade::report::HistoryEvent;
use crossfade::report::HistoryReport;

use super::Paint;
use super::human;

/// The whole report.
pub fn text(report: &HistoryReport, paint: Paint) -> String {
    let all = laid_together(&report.events, report.alerts.as_deref().unwrap_or_default());
    if all.is_empty() {
        return "nothing has happened yet\n".to_owned();
    }
    let mut out = String::new();
    let mut last: Option<&HistoryEvent> = None;
    let mut events = all.iter().peekable();
    while let Some(event) = events.next() {
        if last.is_none_or(|last| who(last) != who(event) || last.run_id != event.run_id) {
            out.push_str(if last.is_some() { "\n" } else { "" });
            out.push_str(&heading(event, paint));
        }
        last = Some(event);
        // That a step began says nothing where its end follows.
        let merged = events.peek().is_some_and(|next| is_end_of(event, next) && who(next) == who(event));
        if !merged {
            out.push_str(&line(event, &event.sql, paint));
        } else if let Some(end) = events.next() {
            out.push_str(&line(end, &event.sql, paint));
            last = Some(end);
        }
    }
    if report.alerts.is_none() {
        out.push_str(&format!("\n{}\n", paint.dim("what hooks were told can't be read by this role")));
    }
    out
}

/// Events and alerts in the order of their times, and of one second those of one run together.
pub fn laid_together(events: &[HistoryEvent], alerts: &[HistoryAlert]) -> Vec<HistoryEvent> {
    let mut all: Vec<HistoryEvent> = Vec::new();
    let mut alerts = alerts.iter().peekable();
    for event in events {
        let comes_first = |alert: &&HistoryAlert, last: Option<&HistoryEvent>| {
            let closes = alert.run_id != event.run_id && last.is_some_and(|last| last.run_id == alert.run_id);
            alert.at < event.at || (alert.at == event.at && closes)
        };
        while let Some(alert) = alerts.next_if(|alert| comes_first(alert, all.last())) {
            all.push(told(alert));
        }
        all.push(event.clone());
    }
    all.extend(alerts.map(told));
    all
}

/// An alert as one line among the events.
fn told(alert: &HistoryAlert) -> HistoryEvent {
    let was = if alert.sent { "was told" } else { "was not told" };
    HistoryEvent {
        at: alert.at.clone(),
        run_id: alert.run_id.clone(),
        version: alert.version.clone(),
        name: alert.name.clone().unwrap_or_default(),
        event: "alert".to_owned(),
        text: format!("{} {was}: {}", alert.hook, alert.event),
        step: None,
        duration_ms: u64::try_from(alert.took_ms).ok(),
        error: alert.error.clone(),
        actor: alert.actor.clone(),
        db_user: Some(alert.db_user.clone()),
        host: alert.host.clone(),
        tool_version: alert.tool_version.clone(),
        git_commit: alert.git_commit.clone(),
        git_dirty: alert.git_dirty,
        ci_url: alert.ci_url.clone(),
        sql: Vec::new(),
    }
}

/// Whether the second is what became of the step that the first begins.
fn is_end_of(begin: &HistoryEvent, end: &HistoryEvent) -> bool {
    let pair = matches!(
        (begin.event.as_str(), end.event.as_str()),
        ("step_started", "step_succeeded" | "step_failed") | ("undo_started", "undo_succeeded" | "undo_failed")
    );
    pair && begin.version == end.version && begin.name == end.name && begin.step == end.step
}

/// Who did it and from where.
fn who(event: &HistoryEvent) -> String {
    let mut parts = vec![match &event.host {
        // Some actors are `user@host` themselves.
        Some(host) if !host.is_empty() && !event.actor.ends_with(&format!("@{host}")) => {
            format!("{} on {host}", event.actor)
        }
        Some(_) | None => event.actor.clone(),
    }];
    parts.extend(event.db_user.as_ref().filter(|role| **role != event.actor).map(|role| format!("as role {role}")));
    parts.push(format!("crossfade {}", event.tool_version));
    if let Some(commit) = &event.git_commit {
        let short = commit.get(..12).unwrap_or(commit);
        let dirty = if event.git_dirty == Some(true) { " with changes" } else { "" };
        parts.push(format!("commit {short}{dirty}"));
    }
    let page = event.ci_url.as_ref().map(|page| format!("\n{page}")).unwrap_or_default();
    format!("{}{page}", parts.join(", "))
}

fn heading(event: &HistoryEvent, paint: Paint) -> String {
    format!("{}\n", who(event).lines().map(|line| paint.bold(line)).collect::<Vec<_>>().join("\n"))
}

fn line(event: &HistoryEvent, sql: &[String], paint: Paint) -> String {
    let subject = match &event.version {
        Some(version) => format!("{version} {}", event.name),
        // A run that failed outside of a migration.
        None if event.name.is_empty() => "the run".to_owned(),
        None => format!("backfill {}", event.name),
    };
    let took = event.duration_ms.map(|ms| format!(", {}", human::duration(Duration::from_millis(ms))));
    let text = match event.error.is_some() {
        true => paint.red(&event.text),
        false => event.text.clone(),
    };
    let mut out = format!("  {}  {subject}  {text}{}\n", paint.dim(&event.at), took.unwrap_or_default());
    if let Some(error) = &event.error {
        out.push_str(&super::indented(error, "    "));
    }
    for statement in sql {
        out.push_str(&super::indented(&super::plan::closed(statement), "      "));
    }
    out
}

#[cfg(test)]
mod tests {
    use crossfade::report::REPORT_FORMAT;

    use super::*;

    fn event(at: &str, kind: &str, text: &str) -> HistoryEvent {
        HistoryEvent {
            at: format!("2026-01-31T{at}Z"),
            run_id: Some("r1".to_owned()),
            version: Some("002".to_owned()),
            name: "rename_email".to_owned(),
            event: kind.to_owned(),
            text: text.to_owned(),
            step: Some(1),
            duration_ms: None,
            error: None,
            actor: "alice".to_owned(),
            db_user: Some("deploy".to_owned()),
            host: Some("web1".to_owned()),
            tool_version: "0.1.0".to_owned(),
            git_commit: Some("3f2a1bc9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3".to_owned()),
            git_dirty: Some(true),
            ci_url: Some("https://ci.example.org/jobs/7".to_owned()),
            sql: Vec::new(),
        }
    }

    #[test]
    fn who_and_below_what_they_did() {
        let sql = vec!["ALTER TABLE users\n  ADD COLUMN email_address text".to_owned()];
        let bob = |event: HistoryEvent| HistoryEvent {
            run_id: None,
            actor: "bob@laptop".to_owned(),
            db_user: None,
            host: Some("laptop".to_owned()),
            git_commit: None,
            git_dirty: None,
            ci_url: None,
            ..event
        };
        let events = vec![
            event("12:00:00", "plan_recorded", "planned: 9 steps"),
            HistoryEvent { sql, ..event("12:00:01", "step_started", "step 1 of 9 (expand) begins: add it") },
            HistoryEvent {
                duration_ms: Some(12),
                ..event("12:00:02", "step_succeeded", "step 1 of 9 (expand) is done: add it")
            },
            HistoryEvent {
                step: Some(2),
                ..event("12:00:03", "step_started", "step 2 of 9 (migrate) begins: fill it")
            },
            bob(event("12:00:04", "requested", "a pause was asked for: sale until noon")),
            HistoryEvent {
                step: Some(2),
                error: Some("could not fill it: ERROR: division by zero".to_owned()),
                ..event("12:00:05", "step_failed", "step 2 of 9 (migrate) failed: fill it")
            },
            HistoryEvent {
                run_id: Some("r2".to_owned()),
                version: None,
                name: "public.t v w".to_owned(),
                git_dirty: Some(false),
                ..event("13:00:00", "plan_recorded", "planned: 2 steps")
            },
        ];
        let report = HistoryReport {
            format: REPORT_FORMAT,
            database: "localhost:5432/shop".to_owned(),
            events,
            alerts: Some(Vec::new()),
        };
        insta::assert_snapshot!(text(&report, Paint::plain()));
        let nothing = HistoryReport { events: Vec::new(), ..report };
        assert_eq!(text(&nothing, Paint::plain()), "nothing has happened yet\n");
    }

    #[test]
    fn alerts_stand_with_the_run_that_told_them() {
        let of = |at: &str, run: &str, error: Option<&str>| {
            let event = event(at, "alert", "");
            HistoryAlert {
                at: event.at,
                run_id: Some(run.to_owned()),
                version: event.version,
                name: Some(event.name),
                hook: "chat".to_owned(),
                event: "ready".to_owned(),
                sent: error.is_none(),
                error: error.map(str::to_owned),
                took_ms: 310,
                actor: event.actor,
                db_user: "deploy".to_owned(),
                host: event.host,
                tool_version: event.tool_version,
                git_commit: event.git_commit,
                git_dirty: event.git_dirty,
                ci_url: event.ci_url,
            }
        };
        let later = |event: HistoryEvent| HistoryEvent { run_id: Some("r2".to_owned()), ..event };
        let report = HistoryReport {
            format: REPORT_FORMAT,
            database: "localhost:5432/shop".to_owned(),
            events: vec![
                event("12:00:00", "plan_recorded", "planned: 9 steps"),
                later(event("12:00:01", "requested", "contract was asked for")),
            ],
            alerts: Some(vec![of("12:00:01", "r1", Some("it answered 404")), of("12:00:01", "r2", None)]),
        };
        let shown = text(&report, Paint::plain());
        let lines: Vec<&str> = shown.lines().filter(|line| line.starts_with("  ")).collect();
        let want = [
            "  2026-01-31T12:00:00Z  002 rename_email  planned: 9 steps",
            "  2026-01-31T12:00:01Z  002 rename_email  chat was not told: ready, 310 ms",
            "    it answered 404",
            "  2026-01-31T12:00:01Z  002 rename_email  contract was asked for",
            "  2026-01-31T12:00:01Z  002 rename_email  chat was told: ready, 310 ms",
        ];
        assert_eq!(lines, want);
        assert_eq!(shown.matches("alice on web1").count(), 2, "a heading a run: {shown}");
        let hidden = HistoryReport { alerts: None, ..report };
        assert!(text(&hidden, Paint::plain()).ends_with("what hooks were told can't be read by this role\n"));
    }
}
