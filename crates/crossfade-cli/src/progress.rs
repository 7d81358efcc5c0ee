//! Shows what happens while the migrator works: bars on a terminal, plain lines elsewhere.

use std::collections::BTreeSet;
use std::time::Duration;
use std::time::Instant;

use crossfade::error::FileFindings;
use crossfade::observer::Notice;
use crossfade::observer::Observer;
use crossfade_core::finding::Finding;
use indicatif::ProgressBar;
use indicatif::ProgressStyle;

use crate::commands::Sources;
use crate::render;
use crate::render::findings;
use crate::render::human;
use crate::screen::Screen;

/// Without a terminal, progress and the same blockers are repeated no more often than this.
const PAUSE: Duration = Duration::from_secs(5);

/// Shows notices on standard error.
#[derive(Debug)]
pub struct Progress {
    screen: Screen,
    sources: Sources,
    announced: BTreeSet<String>,
    step: Option<Running>,
}

#[derive(Debug)]
struct Running {
    number: usize,
    of: usize,
    summary: String,
    bar: Option<ProgressBar>,
    is_chunked: bool,
    said: Instant,
    blockers: Vec<String>,
}

impl Progress {
    /// Shows nothing yet.
    pub fn new(screen: Screen, sources: Sources) -> Progress {
        Progress { screen, sources, announced: BTreeSet::new(), step: None }
    }

    /// Versions of which the end was shown.
    pub fn announced(&self) -> &BTreeSet<String> {
        &self.announced
    }

    fn begin(&mut self, number: usize, of: usize, summary: String) {
        self.end();
        let bar = self.screen.bar();
        if let Some(bar) = &bar {
            bar.set_style(style("  {spinner} {msg}  {elapsed:.dim}"));
            bar.set_message(format!("{}{number}/{of} {summary}", self.screen.label()));
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        let blockers = Vec::new();
        self.step = Some(Running { number, of, summary, bar, is_chunked: false, said: Instant::now(), blockers });
    }

    /// Takes the bar away.
    fn end(&mut self) -> Option<Running> {
        let step = self.step.take()?;
        if let Some(bar) = &step.bar {
            bar.finish_and_clear();
        }
        Some(step)
    }

    fn found(&self, version: &str, finding: Finding) {
        let paint = self.screen.err();
        let text = match self.sources.of(version, None) {
            Some(source) => {
                findings::text(&FileFindings { path: source.path, text: source.text, findings: vec![finding] }, paint)
            }
            None => findings::without_text(&finding, paint),
        };
        self.screen.say(&text);
    }

    fn moved(&mut self, fraction: f64, text: &str) {
        let Some(step) = &mut self.step else { return };
        match &step.bar {
            Some(bar) => {
                if !step.is_chunked {
                    step.is_chunked = true;
                    bar.set_style(style("  {spinner} {prefix}\n    {bar:30} {msg}"));
                    bar.set_prefix(format!("{}{}/{} {}", self.screen.label(), step.number, step.of, step.summary));
                }
                bar.set_position((fraction.clamp(0.0, 1.0) * 1000.0) as u64);
                bar.set_message(text.to_owned());
            }
            None if step.said.elapsed() >= PAUSE => {
                step.said = Instant::now();
                self.screen.say(&render::progress::moved(step.number, step.of, text));
            }
            None => {}
        }
    }

    fn blocked(&mut self, summary: &str, attempt: u32, blockers: Vec<String>) {
        if let Some(step) = &mut self.step {
            let is_news = attempt <= 1 || step.blockers.len() != blockers.len() || step.said.elapsed() >= PAUSE;
            if !is_news {
                return;
            }
            step.said = Instant::now();
            step.blockers.clone_from(&blockers);
        }
        self.screen.say(&render::progress::blocked(summary, attempt, &blockers, self.screen.err()));
    }
}

impl Observer for Progress {
    fn notice(&mut self, notice: Notice) {
        let paint = self.screen.err();
        match notice {
            Notice::LeaseHeld { again: true, .. } => {}
            Notice::LeaseHeld { holder, again: false } => {
                self.screen.say(&render::progress::lease_held(&holder, paint))
            }
            Notice::MigrationStarted { version, name, done, steps, backward } => {
                self.screen.say(&render::progress::started(&version, &name, done, steps, backward, paint));
            }
            Notice::Found { version, finding } => self.found(&version, finding),
            Notice::StepStarted { number, of, phase: _, summary } => self.begin(number, of, summary),
            Notice::Progress { rows, estimated_rows, fraction, rate, eta } => {
                self.moved(fraction, &human::progress(rows, estimated_rows, fraction, rate, eta));
            }
            Notice::Blocked { summary, attempt, blockers } => self.blocked(&summary, attempt, blockers),
            Notice::Paused { reason, others } => self.screen.say(&render::progress::paused(&reason, &others, paint)),
            Notice::Resumed { after, reason } => self.screen.say(&render::progress::resumed(after, &reason, paint)),
            Notice::Retrying { reason } => self.screen.say(&render::progress::retrying(&reason, paint)),
            Notice::StepFinished { number, took } => {
                if let Some(step) = self.end() {
                    self.screen.say(&render::progress::finished(number, step.of, &step.summary, took, paint));
                }
            }
            Notice::MigrationStopped { version, name, state, next } => {
                self.end();
                self.screen.say(&render::run::line(&version, &name, state, next.as_deref(), paint));
                self.announced.insert(version);
            }
            Notice::Compared { version, name, rows, differing, keys, .. } => {
                self.screen.say(&render::verify::round(&version, &name, rows, differing, &keys, paint));
            }
            Notice::RoundEnded { error: None } => {}
            Notice::RoundEnded { error: Some(error) } => {
                let reason = format!("old and new form could not be compared ({error})");
                self.screen.say(&render::progress::retrying(&reason, paint));
            }
            Notice::HookFailed { hook, event, why } => {
                self.screen.say(&render::hooks::failed(&hook, event, &why, paint));
            }
            Notice::Info { text } => self.screen.say(&text),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner()).progress_chars("━╸─")
}
