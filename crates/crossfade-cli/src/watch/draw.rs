//! From the model to cells, and to plain lines. Nothing here asks for the time or the terminal.

use crossfade::report::FailingHook;
use crossfade::report::Flight;
use crossfade::report::LockWait;
use crossfade::report::Snapshot;
use crossfade_core::journal::State;
use crossfade_core::journal::StepStatus;
use ratatui::Frame;
use ratatui::layout::Constraint;
use ratatui::layout::Layout;
use ratatui::layout::Rect;
use ratatui::style::Color;
use ratatui::style::Modifier;
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::text::Span;
use ratatui::widgets::Block;
use ratatui::widgets::Clear;
use ratatui::widgets::Gauge;
use ratatui::widgets::Paragraph;
use ratatui::widgets::Wrap;

use super::model::Model;
use super::words::broken;
use super::words::figures;
use super::words::line;
use super::words::name;
use super::words::seconds;
use super::words::session;
use super::words::time_of_day;
use super::words::words;
use crate::render;
use crate::render::Paint;
use crate::render::human;

const PHASES: [&str; 4] = ["expand", "migrate", "contract", "purge"];

/// What the keys do.
const HELP: [(&str, &str); 6] = [
    ("p", "pause what is shown, at the next safe point"),
    ("r", "let it go on"),
    ("Tab", "the next migration in flight"),
    ("?", "this help; Esc closes it"),
    ("q", "leave; the migration goes on"),
    ("", "`crossfade throttle` changes how hard it works"),
];

/// Styles, or none of them.
#[derive(Clone, Copy)]
struct Brush {
    colors: bool,
}

impl Brush {
    fn color(self, color: Color) -> Style {
        if self.colors { Style::new().fg(color) } else { Style::new() }
    }

    fn good(self) -> Style {
        self.color(Color::Green)
    }

    fn warn(self) -> Style {
        self.color(Color::Yellow)
    }

    fn bad(self) -> Style {
        self.color(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn soft(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    fn state(self, state: State) -> Style {
        match state {
            State::Failed => self.bad(),
            State::RollingBack => self.warn(),
            State::Ready | State::Contracted | State::Applied => self.good(),
            State::Pending | State::Expanding | State::Migrating | State::Contracting | State::RolledBack => {
                Style::new()
            }
        }
    }
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// The whole screen.
pub fn draw(frame: &mut Frame<'_>, model: &Model) {
    let brush = Brush { colors: model.colors };
    let head = head(model, brush);
    let body = flight(model, brush, usize::from(frame.area().width.saturating_sub(2)));
    let locks = model.snapshot.as_ref().map(|snapshot| locks(snapshot, brush)).unwrap_or_default();
    let foot = foot(model, brush, usize::from(frame.area().width));
    let has_bar = model.flight().is_some_and(|flight| flight.progress.is_some());
    let heights = [
        Constraint::Length(head.len() as u16),
        Constraint::Length(body.len() as u16 + if has_bar { 3 } else { 2 }),
        Constraint::Length(server_height(model)),
        Constraint::Max(locks.len() as u16 + 1),
        Constraint::Min(2),
        Constraint::Length(foot.len() as u16),
    ];
    let [top, middle, server_area, locks_area, events_area, bottom] = Layout::vertical(heights).areas(frame.area());
    frame.render_widget(Paragraph::new(head), top);
    draw_flight(frame, model, body, middle, brush);
    if let Some(snapshot) = &model.snapshot {
        frame.render_widget(Paragraph::new(server(snapshot, brush)).wrap(Wrap { trim: true }), server_area);
        titled(frame, "Lock waits", locks, locks_area);
        titled(frame, "Timeline", events(snapshot, events_area.height.saturating_sub(1), brush), events_area);
    }
    frame.render_widget(Paragraph::new(foot), bottom);
    if model.help {
        draw_help(frame);
    }
}

fn titled(frame: &mut Frame<'_>, title: &str, lines: Vec<Line<'_>>, area: Rect) {
    let all: Vec<Line<'_>> = std::iter::once(Line::styled(title.to_owned(), bold())).chain(lines).collect();
    frame.render_widget(Paragraph::new(all), area);
}

/// Which database, who runs, and whether it is reached.
fn head(model: &Model, brush: Brush) -> Vec<Line<'static>> {
    let name = Span::styled("Crossfade", bold());
    let mut lines = vec![Line::from(vec![name, Span::raw(format!("  {}", model.database))])];
    if let Some(snapshot) = &model.snapshot {
        let runner = match &snapshot.status.runner {
            Some(runner) => format!("run by process {} on {} since {}", runner.pid, runner.host, runner.since),
            None => "nobody runs a migration".to_owned(),
        };
        let mut spans = vec![Span::styled(runner, brush.soft())];
        if model.age >= model.stale {
            spans.push(Span::styled(format!("  seen {} ago", human::duration(model.age)), brush.warn()));
        }
        lines.push(Line::from(spans));
    }
    if let Some(failure) = &model.failure {
        lines.push(Line::styled(format!("the database is out of reach: {}", failure.error), brush.bad()));
        lines.push(Line::styled("it is asked again by itself", brush.soft()));
    } else if model.snapshot.is_none() {
        lines.push(Line::styled("asking …", brush.soft()));
    }
    lines
}

/// The lines of the migration that is looked at, without its bar. What may be long is broken at this width.
fn flight(model: &Model, brush: Brush, width: usize) -> Vec<Line<'static>> {
    let Some(flight) = model.flight() else {
        let words = match (&model.snapshot, &model.wanted, model.at_rest()) {
            (None, ..) => String::new(),
            (Some(_), None, _) => "nothing is under way".to_owned(),
            (Some(_), Some(_), Some(migration)) => {
                let next = migration.next.as_ref().map(|next| format!(": {next}")).unwrap_or_default();
                format!("{} {} is {}{next}", migration.version, migration.name, words(migration.state))
            }
            (Some(_), Some(wanted), None) => format!("there is no migration {wanted}"),
        };
        return vec![Line::raw(words)];
    };
    let mut lines = vec![phases(flight, brush)];
    if let Some(step) = &flight.step {
        lines.push(Line::raw(format!("step {} of {}: {}", step.number, step.of, step.summary)));
    }
    let mut long =
        |text: String, style: Style| lines.extend(broken(&text, width).map(|line| Line::styled(line, style)));
    if let Some([done, pace]) = figures(flight) {
        long(done, Style::new());
        long(pace, Style::new());
    }
    if let Some(pause) = &flight.pause {
        let since = pause.since.as_ref().map(|since| format!(" since {}", time_of_day(since))).unwrap_or_default();
        long(format!("‖ waits{since}: {}", pause.reason), brush.warn());
    }
    if !flight.waited.is_empty() {
        let waited = flight
            .waited
            .iter()
            .map(|one| format!("{} {} ({:.0} %)", one.signal, seconds(one.seconds), one.share * 100.0));
        long(format!("waited so far: {}", waited.collect::<Vec<_>>().join(", ")), brush.soft());
    }
    if flight.parked > 0 {
        long(format!("{} set aside", human::counted(flight.parked, "row", "rows")), brush.warn());
    }
    if let Some(old) = &flight.old_form {
        long(render::status::old_form(old, Paint::plain()), brush.warn());
    }
    if let Some(error) = &flight.error {
        long(format!("error: {error}"), brush.bad());
    }
    for failed in model.failed_alerts(flight) {
        long(render::status::untold(failed, Paint::plain()), brush.warn());
    }
    if let Some(next) = &flight.next {
        long(next.clone(), brush.soft());
    }
    lines
}

/// `✓ expand  ▸ migrate  · contract  · purge`.
fn phases(flight: &Flight, brush: Brush) -> Line<'static> {
    let current = flight.step.as_ref().map(|step| step.phase);
    let mut spans = Vec::new();
    for phase in PHASES {
        let steps: Vec<StepStatus> =
            flight.steps.iter().filter(|step| step.phase == phase).map(|step| step.status).collect();
        if steps.is_empty() {
            continue;
        }
        let is_bad = |status: &StepStatus| matches!(status, StepStatus::Failed | StepStatus::UndoFailed);
        let is_back = |status: &StepStatus| matches!(status, StepStatus::Undoing | StepStatus::Undone);
        let (mark, style) = if steps.iter().any(is_bad) {
            ("✗", brush.bad())
        } else if steps.iter().any(is_back) {
            ("↶", brush.warn())
        } else if steps.iter().all(|status| *status == StepStatus::Succeeded) {
            ("✓", brush.good())
        } else if current == Some(phase) {
            ("▸", bold())
        } else {
            ("·", brush.soft())
        };
        spans.push(Span::styled(format!("{mark} {phase}   "), style));
    }
    Line::from(spans)
}

fn draw_flight(frame: &mut Frame<'_>, model: &Model, lines: Vec<Line<'_>>, area: Rect, brush: Brush) {
    let block = match model.flight() {
        None => Block::bordered(),
        Some(flight) => {
            let title = match &flight.version {
                Some(version) => format!(" {version} {} ", flight.name),
                None => format!(" {} ", flight.key),
            };
            let state = Span::styled(format!(" {} ", words(flight.state)), brush.state(flight.state));
            let count = model.snapshot.as_ref().map_or(0, |snapshot| snapshot.flights.len());
            let block = Block::bordered().title(Span::styled(title, bold())).title(Line::from(state).right_aligned());
            match (count, model.position()) {
                (2.., Some(at)) => block.title_bottom(
                    Line::raw(format!(" {} of {count} in flight, Tab for the next ", at + 1)).right_aligned(),
                ),
                _ => block,
            }
        }
    };
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let progress = model.flight().and_then(|flight| flight.progress.as_ref());
    match progress {
        None => frame.render_widget(Paragraph::new(lines), inner),
        Some(progress) => {
            // Phases and step, then the bar, then the rest.
            let [above, bar, below] =
                Layout::vertical([Constraint::Length(2), Constraint::Length(1), Constraint::Min(0)]).areas(inner);
            let (first, rest) = lines.split_at(lines.len().min(2));
            frame.render_widget(Paragraph::new(first.to_vec()), above);
            let fraction = progress.fraction.clamp(0.0, 1.0);
            let style = if model.colors { Style::new().fg(Color::Cyan) } else { Style::new() };
            let gauge = Gauge::default()
                .ratio(fraction)
                .label(format!("{:.0} %", (fraction * 100.0).floor()))
                .use_unicode(true);
            frame.render_widget(gauge.gauge_style(style), bar);
            frame.render_widget(Paragraph::new(rest.to_vec()), below);
        }
    }
}

/// One row in a wide terminal, two in a narrow one.
fn server_height(model: &Model) -> u16 {
    if model.snapshot.is_some() { 2 } else { 0 }
}

/// Commit, lag, the oldest transaction, and signals that are over their limits.
fn server(snapshot: &Snapshot, brush: Brush) -> Line<'static> {
    let mut parts: Vec<Span<'static>> = Vec::new();
    let mut push = |text: String, style: Style| {
        if !parts.is_empty() {
            parts.push(Span::raw("  "));
        }
        parts.push(Span::styled(text, style));
    };
    let commit = snapshot.commit_seconds.map_or_else(|| "not measured".to_owned(), seconds);
    push(format!("commit {commit}"), Style::new());
    push(format!("duty {:.0} %", snapshot.duty * 100.0), Style::new());
    for replica in &snapshot.replicas {
        match (replica.lag_seconds, replica.lag_bytes) {
            (None, None) => push(format!("lag of {} unknown", replica.name), brush.warn()),
            (time, bytes) => {
                let lag: Vec<String> = time.map(seconds).into_iter().chain(bytes.map(human::bytes)).collect();
                push(format!("{} lags {}", replica.name, lag.join(", ")), Style::new());
            }
        }
    }
    if let Some(oldest) = snapshot.oldest_transaction_seconds {
        push(format!("oldest transaction {}", seconds(oldest)), Style::new());
    }
    for signal in snapshot.signals.iter().filter(|signal| signal.over) {
        let scope = if signal.scope.is_empty() { String::new() } else { format!(" {}", signal.scope) };
        push(format!("{}{scope} is over its limit", signal.signal), brush.warn());
    }
    for failing in &snapshot.failing_hooks {
        push(gets_nothing(failing), brush.bad());
    }
    if !snapshot.unseen.is_empty() {
        push(
            format!("{} can't be seen by this role", human::counted(snapshot.unseen.len() as u64, "thing", "things")),
            brush.soft(),
        );
    }
    Line::from(parts)
}

fn gets_nothing(failing: &FailingHook) -> String {
    format!("nothing gets through to {} since {}", failing.hook, time_of_day(&failing.since))
}

fn locks(snapshot: &Snapshot, brush: Brush) -> Vec<Line<'static>> {
    if snapshot.lock_waits.is_empty() {
        return vec![Line::styled("  nobody waits", brush.soft())];
    }
    let of = |wait: &LockWait| {
        let on = wait.relation.as_ref().map(|relation| format!(" on {relation}")).unwrap_or_default();
        let (who, time) = (name(&wait.waiter), seconds(wait.seconds));
        let waits = format!("  pid {} {who} waits {time} for {}{on}", wait.waiter.pid, wait.mode);
        let style = if wait.waiter.ours { Style::new() } else { brush.warn() };
        let behind =
            wait.blockers.iter().map(|blocker| Line::styled(format!("    behind {}", session(blocker)), brush.soft()));
        std::iter::once(Line::styled(waits, style)).chain(behind).collect::<Vec<_>>()
    };
    snapshot.lock_waits.iter().flat_map(of).collect()
}

/// As many as fit, the newest first.
fn events(snapshot: &Snapshot, rows: u16, brush: Brush) -> Vec<Line<'static>> {
    let all = render::history::laid_together(&snapshot.events, &snapshot.alerts);
    let newest = all.iter().rev().take(usize::from(rows));
    let line = |event: &crossfade::report::HistoryEvent| {
        let time = time_of_day(&event.at);
        let version = event.version.as_deref().unwrap_or("");
        let style = if event.error.is_some() { brush.bad() } else { Style::new() };
        let text = match &event.error {
            Some(error) => format!("{version} {}: {error}", event.text),
            None => format!("{version} {}", event.text),
        };
        Line::from(vec![Span::styled(format!("  {time} "), brush.soft()), Span::styled(text, style)])
    };
    newest.map(line).collect()
}

/// What was said last, and the keys.
fn foot(model: &Model, brush: Brush, width: usize) -> Vec<Line<'static>> {
    let said = model.message.iter().flat_map(|message| broken(message, width));
    let mut lines: Vec<Line<'static>> = said.map(|line| Line::styled(line, brush.warn())).collect();
    let mut spans = Vec::new();
    for (key, word) in [("p", "pause"), ("r", "resume"), ("?", "help"), ("q", "leave")] {
        spans.push(Span::styled(key, bold()));
        spans.push(Span::styled(format!(" {word}   "), brush.soft()));
    }
    lines.push(Line::from(spans));
    lines
}

fn draw_help(frame: &mut Frame<'_>) {
    let lines: Vec<Line<'_>> = HELP
        .iter()
        .map(|(key, words)| Line::from(vec![Span::styled(format!("{key:>4}  "), bold()), Span::raw(*words)]))
        .collect();
    let whole = frame.area();
    let (width, height) = (whole.width.min(58), whole.height.min(lines.len() as u16 + 2));
    let area = Rect::new((whole.width - width) / 2, (whole.height - height) / 2, width, height);
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" Keys ")), area);
}

/// The same as plain lines: one for the database where it is out of reach, one for each flight, one for each wait.
pub fn lines(model: &Model) -> Vec<String> {
    if let Some(failure) = &model.failure {
        return vec![format!("the database is out of reach: {}", failure.error)];
    }
    let Some(snapshot) = &model.snapshot else { return Vec::new() };
    let shown =
        |flight: &&Flight| model.wanted.is_none() || model.flight().is_some_and(|wanted| wanted.key == flight.key);
    let mut lines: Vec<String> = snapshot.flights.iter().filter(shown).map(line).collect();
    if lines.is_empty() {
        let plain = flight(model, Brush { colors: false }, usize::MAX);
        lines.extend(plain.into_iter().map(|line| line.to_string()));
    }
    for flight in snapshot.flights.iter().filter(shown) {
        let untold = |failed| format!("{}: {}", flight.name, render::status::untold(failed, Paint::plain()));
        lines.extend(model.failed_alerts(flight).iter().map(untold));
    }
    lines.extend(snapshot.failing_hooks.iter().map(|failing| format!("{}: {}", gets_nothing(failing), failing.error)));
    for wait in &snapshot.lock_waits {
        let behind: Vec<String> =
            wait.blockers.iter().map(|blocker| format!("pid {} {}", blocker.pid, blocker.application)).collect();
        let on = wait.relation.as_ref().map(|relation| format!(" on {relation}")).unwrap_or_default();
        let who = format!("pid {} {}", wait.waiter.pid, wait.waiter.application);
        lines.push(format!("{who} waits for {}{on} behind {}", wait.mode, behind.join(", ")));
    }
    lines
}
