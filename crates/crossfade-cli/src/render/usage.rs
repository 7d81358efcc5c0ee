//! `usage` for people.

use std::time::Duration;

use crossfade::report::MigrationUsage;
use crossfade::report::SeenBy;
use crossfade::report::SeenUse;
use crossfade::report::UsageReport;
use crossfade_core::journal::State;

use super::Paint;
use super::human;

/// The whole report.
pub fn text(report: &UsageReport, paint: Paint) -> String {
    if report.migrations.is_empty() {
        return "no migration has an old form that anybody could use\n".to_owned();
    }
    let blocks: Vec<String> = report.migrations.iter().map(|migration| block(migration, paint)).collect();
    blocks.join("\n")
}

fn block(usage: &MigrationUsage, paint: Paint) -> String {
    let since = usage.ready_since.as_ref().filter(|_| usage.state == State::Ready);
    let since = since.map(|since| format!(" since {since}")).unwrap_or_default();
    let title = paint.bold(&format!("{} {}", usage.version, usage.name));
    let mut out = format!("{title}  {}{since}\n", super::status::state(usage.state, paint));
    for form in &usage.old_forms {
        out.push_str(&format!("  old form: {form}\n"));
    }
    if usage.seen.is_empty() {
        out.push_str("  its use was not seen\n");
    }
    for seen in &usage.seen {
        out.push_str(&one(seen, paint));
    }
    for old in &usage.old_sessions {
        let sessions = human::counted(old.sessions.unsigned_abs(), "session", "sessions");
        let who = who(Some(&old.application), old.address.as_deref(), Some(&old.user));
        out.push_str(&format!(
            "  {} {sessions} of {who} from before the deploy could begin, the oldest since {}\n",
            paint.yellow("open"),
            old.oldest
        ));
    }
    for unseen in &usage.unseen {
        out.push_str(&super::indented(&format!("{} {unseen}", paint.dim("not seen:")), "  "));
    }
    if usage.state != State::Ready {
        return out;
    }
    if usage.reasons.is_empty() {
        out.push_str(&format!("  {} `crossfade contract {}` may go on\n", paint.green("✓"), usage.version));
    } else {
        out.push_str(&format!("  {} `crossfade contract {}` would be refused:\n", paint.red("✗"), usage.version));
        for reason in &usage.reasons {
            out.push_str(&super::indented(&format!("- {reason}"), "    "));
        }
    }
    out
}

fn one(seen: &SeenUse, paint: Paint) -> String {
    let ago = human::duration(Duration::try_from_secs_f64(seen.seconds_ago.max(0.0)).unwrap_or_default());
    let level = if seen.certain { paint.red("used") } else { paint.yellow("perhaps used") };
    let how = match seen.by {
        SeenBy::Write => "a write",
        SeenBy::Session => "the last statement of a session",
        SeenBy::Statement => "the calls of a statement",
    };
    let who = who(seen.application.as_deref(), seen.address.as_deref(), seen.user.as_deref());
    let times = match (seen.times, seen.by) {
        (Some(times), SeenBy::Statement) => format!(", {}", human::counted(times.unsigned_abs(), "call", "calls")),
        (Some(times), SeenBy::Write | SeenBy::Session) => {
            format!(", in {}", human::counted(times.unsigned_abs(), "minute", "minutes"))
        }
        (None, _) => String::new(),
    };
    let mut out = format!("  {level} {ago} ago: {}, by {how}: {who}{times}\n", seen.old_form);
    if let Some(doubt) = &seen.doubt {
        out.push_str(&super::indented(&format!("({doubt})"), "    "));
    }
    if let Some(statement) = &seen.statement {
        out.push_str(&super::indented(&paint.dim(statement), "    "));
    }
    out
}

pub(super) fn who(application: Option<&str>, address: Option<&str>, user: Option<&str>) -> String {
    let application = application.map(|name| if name.is_empty() { "no application name" } else { name });
    let user = user.filter(|user| !user.is_empty()).map(|user| format!("role {user}"));
    let named = match (application, user) {
        (Some(application), Some(user)) => format!("{application} ({user})"),
        (Some(application), None) => application.to_owned(),
        (None, Some(user)) => user,
        (None, None) => "somebody".to_owned(),
    };
    match address {
        Some(address) => format!("{named} from {address}"),
        None => named,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_uses_the_old_form_is_said_with_what_was_not_seen_and_the_verdict() {
        let seen = |by, certain: bool| SeenUse {
            old_form: "column users.email".to_owned(),
            by,
            certain,
            doubt: (!certain).then(|| "`*` reads every column".to_owned()),
            application: Some("web".to_owned()),
            address: Some("10.0.0.5".to_owned()),
            user: Some("app".to_owned()),
            statement: (by != SeenBy::Write).then(|| "SELECT email FROM users WHERE id = $1".to_owned()),
            times: (by != SeenBy::Session).then_some(3),
            last_seen: "2026-01-31T12:00:00Z".to_owned(),
            seconds_ago: 75.0,
        };
        let mut usage = MigrationUsage {
            version: "002".to_owned(),
            name: "rename".to_owned(),
            state: State::Ready,
            ready_since: Some("2026-01-31T11:00:00Z".to_owned()),
            quiet_for_seconds: 3600.0,
            old_forms: vec!["column users.email".to_owned()],
            seen: vec![seen(SeenBy::Write, true), seen(SeenBy::Statement, true), seen(SeenBy::Session, false)],
            old_sessions: Vec::new(),
            unseen: vec!["which statements read it".to_owned()],
            reasons: vec!["column users.email was used".to_owned()],
        };
        let report = |usage: &MigrationUsage| UsageReport {
            format: 1,
            database: "db:5432/shop".to_owned(),
            migrations: vec![usage.clone()],
        };
        let want = "002 rename  ready since 2026-01-31T11:00:00Z\n  old form: column users.email\n\
                    \x20 used 1 min 15 s ago: column users.email, by a write: web (role app) from 10.0.0.5, in 3 minutes\n\
                    \x20 used 1 min 15 s ago: column users.email, by the calls of a statement: web (role app) from 10.0.0.5, 3 calls\n\
                    \x20   SELECT email FROM users WHERE id = $1\n\
                    \x20 perhaps used 1 min 15 s ago: column users.email, by the last statement of a session: web (role app) from 10.0.0.5\n\
                    \x20   (`*` reads every column)\n    SELECT email FROM users WHERE id = $1\n\
                    \x20 not seen: which statements read it\n\
                    \x20 ✗ `crossfade contract 002` would be refused:\n    - column users.email was used\n";
        assert_eq!(text(&report(&usage), Paint::plain()), want);
        (usage.seen, usage.reasons, usage.unseen) = (Vec::new(), Vec::new(), Vec::new());
        let text = text(&report(&usage), Paint::plain());
        assert!(text.ends_with("  its use was not seen\n  ✓ `crossfade contract 002` may go on\n"), "{text}");
    }
}
