//! One alert as a value, and the forms in which it goes out. Pure.

use std::collections::BTreeMap;

use crossfade_core::journal::State;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use super::event::HookEvent;
use super::event::Kind;

/// The format of the document that a hook gets.
const ALERT_FORMAT: u32 = 1;

/// Slack and PagerDuty cut texts off that are longer.
const LONGEST_TEXT: usize = 1000;

/// So much of a text goes into a variable. The document has all of it.
const LONGEST_VARIABLE: usize = 8000;

/// What stays the same throughout a run.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Origin {
    /// The database, without secrets.
    pub database: String,
    pub run_id: String,
    pub host: String,
    pub actor: Option<String>,
    pub git_commit: Option<String>,
    pub ci_url: Option<String>,
}

/// What a hook is told.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Alert {
    format: u32,
    #[serde(serialize_with = "by_name")]
    pub event: HookEvent,
    /// For people, one line.
    pub message: String,
    pub version: Option<String>,
    pub name: Option<String>,
    pub state: Option<State>,
    pub phase: Option<&'static str>,
    pub error: Option<String>,
    /// Why it waits, or who is in the way; one line each.
    pub reasons: Vec<String>,
    /// What to do next.
    pub next: Option<String>,
    /// Whether it is only a trial.
    pub test: bool,
    #[serde(flatten)]
    pub origin: Origin,
}

fn by_name<S: serde::Serializer>(event: &HookEvent, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(event.name())
}

impl Alert {
    /// Of an event, with what is known so far.
    pub fn new(event: HookEvent, origin: &Origin) -> Alert {
        Alert {
            format: ALERT_FORMAT,
            event,
            message: String::new(),
            version: None,
            name: None,
            state: None,
            phase: None,
            error: None,
            reasons: Vec::new(),
            next: None,
            test: false,
            origin: origin.clone(),
        }
    }

    /// Says it in one line.
    #[must_use]
    pub fn told(mut self) -> Alert {
        let title = match (&self.version, &self.name) {
            (Some(version), Some(name)) => format!("migration {version} {name}"),
            (Some(version), None) => format!("migration {version}"),
            (None, Some(name)) => name.clone(),
            (None, None) => "crossfade".to_owned(),
        };
        let reasons = || self.reasons.join("; ");
        let what = match self.event {
            HookEvent::Before(phase) => format!("{} begins", phase.name()),
            HookEvent::After(phase) => format!("{} is done", phase.name()),
            HookEvent::BeforeRollback => "is about to be undone".to_owned(),
            HookEvent::Ready => "is ready: it waits for the deploy".to_owned(),
            HookEvent::Contracted => "is contracted: the old form is retained".to_owned(),
            HookEvent::Applied => "is applied".to_owned(),
            HookEvent::RolledBack => "is rolled back".to_owned(),
            HookEvent::Failed => format!("failed: {}", self.error.as_deref().unwrap_or("no reason is known")),
            HookEvent::Stopped => "was stopped at a safe point".to_owned(),
            HookEvent::Blocked => format!("waits for a lock; in the way: {}", reasons()),
            HookEvent::Paused => format!("waits: {}", reasons()),
            HookEvent::Resumed => "goes on".to_owned(),
            HookEvent::Differs => format!("old and new form differ: {}", reasons()),
            HookEvent::Agrees => "old and new form agree again".to_owned(),
            HookEvent::RehearsalFailed => format!("its rehearsal failed: {}", reasons()),
        };
        let trial = if self.test { "[test] " } else { "" };
        self.message = format!("{trial}{title} on {}: {what}", self.origin.database);
        self
    }

    /// The document.
    pub fn json(&self) -> Value {
        serde_json::to_value(self)
            .unwrap_or_else(|error| json!({ "message": self.message, "error": error.to_string() }))
    }

    /// The environment of a command. What is not known is an empty text, so that a script under `set -u` works.
    pub fn variables(&self) -> BTreeMap<&'static str, String> {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        BTreeMap::from([
            ("CROSSFADE_EVENT", self.event.name().to_owned()),
            ("CROSSFADE_MESSAGE", self.message.clone()),
            ("CROSSFADE_VERSION", text(&self.version)),
            ("CROSSFADE_NAME", text(&self.name)),
            ("CROSSFADE_STATE", self.state.map(State::name).unwrap_or_default().to_owned()),
            ("CROSSFADE_PHASE", self.phase.unwrap_or_default().to_owned()),
            ("CROSSFADE_ERROR", text(&self.error)),
            ("CROSSFADE_DATABASE", self.origin.database.clone()),
            ("CROSSFADE_RUN_ID", self.origin.run_id.clone()),
            ("CROSSFADE_HOST", self.origin.host.clone()),
            ("CROSSFADE_ACTOR", text(&self.origin.actor)),
            ("CROSSFADE_GIT_COMMIT", text(&self.origin.git_commit)),
            ("CROSSFADE_CI_URL", text(&self.origin.ci_url)),
            ("CROSSFADE_TEST", if self.test { "1" } else { "" }.to_owned()),
        ])
        .into_iter()
        // A variable can't hold a NUL, nor more than the system allows; a command with either would not start.
        .map(|(name, value)| (name, cut(&value.replace('\0', ""), LONGEST_VARIABLE)))
        .collect()
    }

    /// A message for Slack's incoming webhooks, and for those who take the same.
    pub fn slack(&self) -> Value {
        let sign = match self.event.kind() {
            Kind::Trouble => ":warning: ",
            Kind::Relief => ":white_check_mark: ",
            Kind::Before | Kind::After => "",
        };
        let mut lines = vec![format!("{sign}{}", escaped(&self.message))];
        lines.extend(self.next.iter().map(|next| escaped(next)));
        let who: Vec<String> = [self.origin.actor.as_deref(), self.origin.ci_url.as_deref()]
            .into_iter()
            .flatten()
            .map(escaped)
            .chain([format!("run {}", self.origin.run_id)])
            .collect();
        lines.push(format!("_{}_", who.join(", ")));
        json!({ "text": lines.join("\n") })
    }

    /// An event of PagerDuty's Events API, version 2. All of a migration have one key, so that what solves it closes what it opened.
    pub fn pagerduty(&self, routing_key: &str) -> Value {
        let version = self.version.as_deref().unwrap_or("-");
        let dedup_key = format!("crossfade/{}/{version}", self.origin.database);
        let is_over = match self.event.kind() {
            Kind::Trouble => false,
            Kind::Before | Kind::After | Kind::Relief => true,
        };
        if is_over {
            return json!({ "routing_key": routing_key, "event_action": "resolve", "dedup_key": cut(&dedup_key, 255) });
        }
        let severity = if self.event == HookEvent::Failed { "error" } else { "warning" };
        let mut event = json!({
            "routing_key": routing_key,
            "event_action": "trigger",
            "dedup_key": cut(&dedup_key, 255),
            "client": "crossfade",
            "payload": {
                "summary": cut(&self.message, LONGEST_TEXT),
                "source": self.origin.database,
                "severity": severity,
                "component": "crossfade",
                "class": self.event.name(),
                "custom_details": self.json(),
            },
        });
        if let Some(url) = &self.origin.ci_url {
            event["client_url"] = json!(url);
        }
        event
    }
}

/// Slack's three special characters.
fn escaped(text: &str) -> String {
    cut(text, LONGEST_TEXT).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest.saturating_sub(1)) {
        Some((at, _)) if text.chars().count() > longest => format!("{}…", &text[..at]),
        Some(_) | None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> Alert {
        let origin = Origin { database: "shop on db".to_owned(), run_id: "r1".to_owned(), ..Origin::default() };
        let mut alert = Alert::new(HookEvent::Failed, &origin);
        alert.version = Some("002".to_owned());
        alert.name = Some("rename".to_owned());
        alert.error = Some("a < b & c\0".to_owned());
        alert.told()
    }

    #[test]
    fn it_is_said_in_one_line() {
        assert_eq!(failed().message, "migration 002 rename on shop on db: failed: a < b & c\0");
    }

    #[test]
    fn every_variable_is_there_and_none_holds_a_nul() {
        let variables = failed().variables();
        assert_eq!((variables["CROSSFADE_EVENT"].as_str(), variables["CROSSFADE_PHASE"].as_str()), ("failed", ""));
        assert_eq!(variables["CROSSFADE_ERROR"], "a < b & c");
    }

    #[test]
    fn slack_gets_a_text_with_its_characters_escaped() {
        let text = failed().slack()["text"].as_str().unwrap().to_owned();
        assert!(text.contains("failed: a &lt; b &amp; c") && text.ends_with("_run r1_"), "{text}");
    }

    #[test]
    fn pagerduty_closes_what_it_opened() {
        let opened = failed().pagerduty("key");
        let mut ready = failed();
        ready.event = HookEvent::Ready;
        let closed = ready.pagerduty("key");
        assert_eq!(
            (opened["event_action"].as_str(), closed["event_action"].as_str()),
            (Some("trigger"), Some("resolve"))
        );
        assert_eq!(opened["dedup_key"], closed["dedup_key"]);
        assert_eq!(opened["payload"]["severity"], "error");
        assert_eq!(opened["payload"]["custom_details"]["event"], "failed");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
    }
}
