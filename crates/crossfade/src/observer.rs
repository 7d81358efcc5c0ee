//! What happens while the migrator works, for whoever shows it.

use std::time::Duration;

use crossfade_core::finding::Finding;
use crossfade_core::finding::Severity;
use crossfade_core::step::Phase;

use crate::hooks::HookEvent;

/// Somebody who watches. Called often; must be quick.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn notice(&mut self, notice: Notice);
}

/// Watches nothing.
#[derive(Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn notice(&mut self, _: Notice) {}
}

/// Writes all of it to the application's log, by `tracing`: what happened at INFO, what is in the way or needs somebody at WARN, progress at DEBUG.
#[derive(Clone, Copy, Debug, Default)]
pub struct Logged;

impl Observer for Logged {
    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::LeaseHeld { again: true, .. } => {}
            Notice::LeaseHeld { holder, again: false } => {
                tracing::info!(holder, "another runner migrates; waiting for it")
            }
            Notice::MigrationStarted { version, name, done, steps, backward } => {
                tracing::info!(version, name, done, steps, backward, "migration begins or goes on");
            }
            Notice::Found { version, finding } => match finding.severity {
                Severity::Error | Severity::Warning => {
                    tracing::warn!(version, rule = %finding.rule, help = finding.help, "{}", finding.message);
                }
                Severity::Note => {
                    tracing::info!(version, rule = %finding.rule, help = finding.help, "{}", finding.message)
                }
            },
            Notice::StepStarted { number, of, phase, summary } => {
                tracing::info!(number, of, phase = phase.name(), summary, "step begins");
            }
            Notice::Progress { rows, estimated_rows, fraction, rate, eta } => {
                tracing::debug!(rows, estimated_rows, fraction, rate, ?eta, "step moves on");
            }
            Notice::Blocked { summary, attempt, blockers } => {
                tracing::warn!(summary, attempt, ?blockers, "a lock is not to be had");
            }
            Notice::Retrying { reason } => tracing::warn!(reason, "tried again"),
            Notice::Paused { reason, others } => tracing::info!(reason, ?others, "the work waits"),
            Notice::Resumed { after, reason } => tracing::info!(?after, reason, "the work goes on"),
            Notice::StepFinished { number, took } => tracing::info!(number, ?took, "step is done"),
            Notice::MigrationStopped { version, name, state, next } => {
                tracing::info!(version, name, state = state.name(), next, "migration came as far as it goes now");
            }
            Notice::Compared { version, rows, differing: 0, .. } => {
                tracing::debug!(version, rows, "old and new form agree");
            }
            Notice::Compared { version, rows, differing, keys, .. } => {
                tracing::warn!(version, rows, differing, keys = keys.join(" | "), "old and new form differ");
            }
            Notice::RoundEnded { error: None } => tracing::debug!("a round of comparing old and new form is over"),
            Notice::RoundEnded { error: Some(error) } => {
                tracing::warn!(error, "old and new form could not be compared");
            }
            Notice::HookFailed { hook, event, why } => {
                tracing::warn!(hook, event = event.map(HookEvent::name), why, "a hook failed");
            }
            Notice::Info { text } => tracing::info!("{text}"),
        }
    }
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Notice {
    /// Another runner holds the lease, and we wait for it.
    LeaseHeld {
        /// Who: host, process, since when.
        holder: String,
        /// Whether that was said before, and it still waits.
        again: bool,
    },
    /// A migration begins or goes on.
    MigrationStarted {
        /// Its version.
        version: String,
        /// Its name.
        name: String,
        /// Steps that are done already: more than 0 when it is resumed.
        done: usize,
        /// Steps in all.
        steps: usize,
        /// Whether it is being undone.
        backward: bool,
    },
    /// A warning or a note that came up while planning.
    Found {
        /// The migration's version.
        version: String,
        /// The finding.
        finding: Finding,
    },
    /// A step begins.
    StepStarted {
        /// Its position, from 1.
        number: usize,
        /// Steps in all.
        of: usize,
        /// Its phase.
        phase: Phase,
        /// What it does, one line.
        summary: String,
    },
    /// A chunked step moved on.
    Progress {
        /// Rows so far.
        rows: u64,
        /// Rows in all, as the statistics have it.
        estimated_rows: u64,
        /// How much of the table is swept, 0 to 1.
        fraction: f64,
        /// Rows a second of late.
        rate: f64,
        /// Time that is left at this rate.
        eta: Option<Duration>,
    },
    /// A strong lock is not to be had at once.
    Blocked {
        /// What it is for.
        summary: String,
        /// Tries so far.
        attempt: u32,
        /// Who is in the way, one line each: pid, application, state, since when, query.
        blockers: Vec<String>,
    },
    /// Something passing went wrong and is tried again.
    Retrying {
        /// What went wrong.
        reason: String,
    },
    /// The work waits: somebody paused it, or the throttle says so.
    Paused {
        /// Why: who asked since when, or what is over which limit.
        reason: String,
        /// What else holds it up.
        others: Vec<String>,
    },
    /// The work goes on.
    Resumed {
        /// How long it waited.
        after: Duration,
        /// Why it did.
        reason: String,
    },
    /// A step is done.
    StepFinished {
        /// Its position, from 1.
        number: usize,
        /// How long it took.
        took: Duration,
    },
    /// A migration came as far as it goes now.
    MigrationStopped {
        /// Its version.
        version: String,
        /// Its name.
        name: String,
        /// Its state now.
        state: crossfade_core::journal::State,
        /// What it waits for, or what to do next.
        next: Option<String>,
    },
    /// Old and new form were compared, in one round of many.
    Compared {
        /// The migration's version.
        version: String,
        /// Its name.
        name: String,
        /// Rows that were read.
        rows: u64,
        /// Rows that differ.
        differing: u64,
        /// Rows that differed the time before.
        before: u64,
        /// The first of them, each with its table.
        keys: Vec<String>,
    },
    /// A round of comparing is over; another one may come.
    RoundEnded {
        /// Why it could not be gone to its end.
        error: Option<String>,
    },
    /// A hook failed. The run goes on all the same.
    HookFailed {
        /// What it is called.
        hook: String,
        /// What it was to be told; none where several alerts are meant.
        event: Option<HookEvent>,
        /// Why.
        why: String,
    },
    /// Something worth a line.
    Info {
        /// The line.
        text: String,
    },
}
