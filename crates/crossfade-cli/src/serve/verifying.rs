//! Compares old and new form again and again, beside the looks: what was found last, of each migration.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Instant;

use crossfade::AfterFailure;
use crossfade::KeepVerifyingOptions;
use crossfade::Migrator;
use crossfade::Stop;
use crossfade::observer::Notice;
use crossfade::observer::Observer;
use crossfade::report::ComparedReport;
use crossfade::report::KeptVerifyingReport;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::progress::Progress;

/// What is known of it now.
#[derive(Clone, Debug)]
pub struct Verified {
    options: KeepVerifyingOptions,
    /// By version.
    pub found: BTreeMap<String, Found>,
    /// Rounds that were gone to their end, and those that could not be.
    pub rounds: (u64, u64),
    error: Option<String>,
}

/// What was found of one migration.
#[derive(Clone, Debug)]
pub struct Found {
    pub at: Instant,
    pub rows: u64,
    pub differing: u64,
    name: String,
    keys: Vec<String>,
}

impl Verified {
    /// As documents have it, of the migrations that still wait for their deploy. Keys are values of rows.
    pub(super) fn report(&self, waits: impl Fn(&str) -> bool, hold_back: bool) -> KeptVerifyingReport {
        let found = self.found.iter().filter(|(version, _)| waits(version));
        KeptVerifyingReport {
            every_seconds: self.options.every.as_secs_f64(),
            duty: self.options.duty,
            rounds: self.rounds.0,
            failed_rounds: self.rounds.1,
            error: self.error.clone(),
            migrations: found
                .map(|(version, found)| ComparedReport {
                    version: version.clone(),
                    name: found.name.clone(),
                    rows: found.rows,
                    differing: found.differing,
                    keys: if hold_back { Vec::new() } else { found.keys.clone() },
                    age_seconds: found.at.elapsed().as_secs_f64(),
                })
                .collect(),
        }
    }
}

/// Notes what is found. People see on standard error what is new in it.
struct Noted {
    sender: watch::Sender<Verified>,
    /// Of this round.
    compared: BTreeSet<String>,
    shown: Progress,
}

impl Observer for Noted {
    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Compared { version, name, rows, differing, before, keys } => {
                self.compared.insert(version.clone());
                let found = Found { at: Instant::now(), rows, differing, name: name.clone(), keys: keys.clone() };
                self.sender.send_modify(|verified| {
                    verified.found.insert(version.clone(), found);
                });
                if differing != before {
                    self.shown.notice(Notice::Compared { version, name, rows, differing, before, keys });
                }
            }
            Notice::RoundEnded { error } => {
                let compared = std::mem::take(&mut self.compared);
                let mut is_news = false;
                self.sender.send_modify(|verified| {
                    match error {
                        None => {
                            verified.rounds.0 += 1;
                            verified.found.retain(|version, _| compared.contains(version));
                        }
                        Some(_) => verified.rounds.1 += 1,
                    }
                    is_news = verified.error.is_none();
                    verified.error.clone_from(&error);
                });
                if is_news {
                    self.shown.notice(Notice::RoundEnded { error });
                }
            }
            Notice::HookFailed { .. } => self.shown.notice(notice),
            Notice::LeaseHeld { .. }
            | Notice::MigrationStarted { .. }
            | Notice::Found { .. }
            | Notice::StepStarted { .. }
            | Notice::Progress { .. }
            | Notice::Blocked { .. }
            | Notice::Retrying { .. }
            | Notice::Paused { .. }
            | Notice::Resumed { .. }
            | Notice::StepFinished { .. }
            | Notice::MigrationStopped { .. }
            | Notice::Info { .. } => {}
        }
    }
}

/// Begins, and goes on until somebody asks to stop. The task ends once all hooks are told.
pub fn begin(
    migrator: Migrator,
    options: KeepVerifyingOptions,
    shown: Progress,
    stop: &Stop,
) -> (watch::Receiver<Verified>, JoinHandle<()>) {
    let options = KeepVerifyingOptions { after_failure: AfterFailure::GoOn, ..options };
    let verified = Verified { options, found: BTreeMap::new(), rounds: (0, 0), error: None };
    let (sender, receiver) = watch::channel(verified);
    let stop = stop.clone();
    let task = tokio::spawn(async move {
        let mut noted = Noted { sender, compared: BTreeSet::new(), shown };
        if let Err(error) = migrator.keep_verifying(None, options, &mut noted, &stop).await {
            noted.notice(Notice::RoundEnded { error: Some(error.chain()) });
        }
    });
    (receiver, task)
}
