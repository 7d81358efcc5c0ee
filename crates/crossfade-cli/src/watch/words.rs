//! What is shown, in words: the same for the screen and for plain lines.

use std::time::Duration;

use crossfade::report::Flight;
use crossfade::report::SessionReport;
use crossfade_core::journal::State;

use crate::render::human;

/// A flight on one line.
pub fn line(flight: &Flight) -> String {
    let title = match &flight.version {
        Some(version) => format!("{version} {}", flight.name),
        None => flight.key.clone(),
    };
    let mut parts = vec![format!("{title} is {}", words(flight.state))];
    parts.extend(flight.step.as_ref().map(|step| format!("step {} of {}, {}", step.number, step.of, step.summary)));
    parts.extend(flight.progress.as_ref().map(|progress| format!("{:.0} %", (progress.fraction * 100.0).floor())));
    parts.extend(figures(flight).into_iter().flatten());
    parts.extend(flight.pause.as_ref().map(|pause| format!("waits: {}", pause.reason)));
    // How long ago changes with each look, so only that it was.
    parts.extend(
        flight.old_form.as_ref().and_then(|old| old.last.as_ref()).map(|_| "its old form was seen in use".to_owned()),
    );
    parts.extend(flight.error.as_ref().map(|error| format!("error: {error}")));
    parts.join("; ")
}

/// Rows and blocks; rate and time left.
pub fn figures(flight: &Flight) -> Option<[String; 2]> {
    let progress = flight.progress.as_ref()?;
    let rows = format!("{} of about {} rows", human::count(progress.rows), human::count(progress.estimated_rows));
    let blocks =
        flight.blocks.map(|blocks| format!(", {} of {} blocks", human::count(blocks.done), human::count(blocks.all)));
    let rate = human::rate(flight.pace.unwrap_or(progress.rows_per_second));
    let left =
        progress.eta_with_pauses_seconds.or(progress.eta_seconds).map(|left| format!(", {} left", seconds(left)));
    Some([rows + &blocks.unwrap_or_default(), rate + &left.unwrap_or_default()])
}

/// A session with what it does.
pub fn session(session: &SessionReport) -> String {
    let who =
        if session.application.is_empty() { session.user.as_deref().unwrap_or("?") } else { &session.application };
    let state = session.state.as_deref().unwrap_or("state not visible");
    let since = session.transaction_seconds.map(|open| format!(", {}", seconds(open))).unwrap_or_default();
    let query = session.query.as_ref().map(|query| format!(": {query}")).unwrap_or_default();
    format!("pid {} {who} ({state}{since}){query}", session.pid)
}

/// What it calls itself, else its role.
pub fn name(session: &SessionReport) -> &str {
    if session.application.is_empty() { session.user.as_deref().unwrap_or("?") } else { &session.application }
}

/// A text in lines of at most so many signs, broken between words.
pub fn broken(text: &str, width: usize) -> impl Iterator<Item = String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        let is_full = !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width;
        if is_full {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.into_iter()
}

/// `12:00:00` of `2026-01-31T12:00:00Z`.
pub fn time_of_day(at: &str) -> &str {
    at.get(11..19).unwrap_or(at)
}

/// A time, for people.
pub fn seconds(seconds: f64) -> String {
    human::duration(Duration::from_secs_f64(seconds.clamp(0.0, 1e9)))
}

/// A state, for people.
pub fn words(state: State) -> String {
    state.name().replace('_', " ")
}
