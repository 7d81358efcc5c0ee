//! The whole way of a migration, under the load of both versions: forward, back, forward again, through contract, back, and on to the end.
//!
//! Each version runs when it must work: the old one until contract, the new one from ready on. While what is contracted is undone, neither can: the new
//! form goes before the old code is back.

use std::collections::BTreeSet;
use std::time::Duration;

use crossfade_core::journal::State;
use crossfade_core::schema::Compare;
use crossfade_core::schema::DatabaseSchema;
use crossfade_core::schema::difference;
use crossfade_core::step::Phase;
use tokio_postgres::Client;

use super::fleet::Fleet;
use super::image;
use super::image::Image;
use super::image::Tracked;
use super::locks::Span;
use super::stats::Ledger;
use super::stats::Written;
use super::stats::millis;
use crate::error::Result;
use crate::migrator::ContractOptions;
use crate::migrator::MigrateOptions;
use crate::migrator::Migrator;
use crate::migrator::RunOptions;
use crate::migrator::on_scratch::in_full;
use crate::migrator::shared::same_version;
use crate::observer::Notice;
use crate::observer::Observer;
use crate::report::RehearsalFailure;
use crate::report::RehearsedStep;
use crate::report::RehearsedWayBack;
use crate::report::RunReport;
use crate::report::drift_changes;
use crate::schema;
use crate::source::SourceFile;
use crate::stop::Stop;

/// The way, and what it shows.
pub struct Walk<'w> {
    pub own: Migrator,
    pub file: &'w SourceFile,
    pub fleet: &'w Fleet,
    /// A session that looks at rows.
    pub client: Client,
    /// The tables that are watched, as each version knows them; at one position the same table.
    pub old: Vec<Option<Tracked>>,
    pub new: Vec<Option<Tracked>>,
    /// Columns that are the same in both forms.
    pub same: BTreeSet<(usize, String)>,
    /// Whether queries write that tell nothing of the rows.
    pub writes_unknown: bool,
    pub schema: DatabaseSchema,
    /// How long the parts are that only wait.
    pub hold: Duration,
    pub observer: &'w mut dyn Observer,
    pub stop: &'w Stop,
    pub found: Found,
}

/// What the way shows.
#[derive(Default)]
pub struct Found {
    pub phased: bool,
    pub steps: Vec<RehearsedStep>,
    pub ways_back: Vec<RehearsedWayBack>,
    pub failed: Option<RehearsalFailure>,
    pub lost: Vec<String>,
    pub notes: Vec<String>,
    /// What was written, of which the present form tells.
    ledger: Ledger,
}

/// The way came to an end before its end.
struct Ended;

type Gone<T> = Result<Result<T, Ended>>;

/// From where a way back goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Ready,
    Contracted,
    Applied,
}

impl From {
    fn name(self) -> &'static str {
        match self {
            From::Ready => "ready",
            From::Contracted => "contracted",
            From::Applied => "applied",
        }
    }
}

/// Shows the phases to the fleet, and keeps the times of the steps.
struct Follow<'f, 'w> {
    fleet: &'f Fleet,
    observer: &'f mut (dyn Observer + 'w),
    steps: &'f mut Vec<RehearsedStep>,
    at: Option<RehearsedStep>,
    phase: Option<Phase>,
    round: usize,
    backward: bool,
}

impl Observer for Follow<'_, '_> {
    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::StepStarted { number, of: _, phase, summary } if !self.backward => {
                if self.phase != Some(phase) {
                    self.phase = Some(phase);
                    let name = named(phase.name(), self.round);
                    self.fleet.stats.begin(&name, Span::One(phase));
                    self.observer.notice(Notice::Info { text: name });
                }
                self.at = Some(RehearsedStep { number, phase, summary, took_ms: 0, real: None });
            }
            Notice::StepFinished { number, took } => {
                let is_new = self.steps.iter().all(|step| step.number != number);
                if let Some(step) = self.at.take().filter(|step| step.number == number && is_new) {
                    self.steps.push(RehearsedStep { took_ms: millis(took), ..step });
                }
            }
            Notice::Found { .. }
            | Notice::LeaseHeld { .. }
            | Notice::MigrationStarted { .. }
            | Notice::StepStarted { .. }
            | Notice::Progress { .. }
            | Notice::Blocked { .. }
            | Notice::Retrying { .. }
            | Notice::Paused { .. }
            | Notice::Resumed { .. }
            | Notice::MigrationStopped { .. }
            | Notice::Compared { .. }
            | Notice::RoundEnded { .. }
            | Notice::HookFailed { .. }
            | Notice::Info { .. } => {}
        }
    }
}

fn named(what: &str, round: usize) -> String {
    if round > 1 { format!("{what} ({round})") } else { what.to_owned() }
}

impl Walk<'_> {
    /// Goes the whole way. An error of the migration on it stands in what was found.
    pub async fn go(&mut self) -> Result<()> {
        match self.whole().await? {
            Ok(()) | Err(Ended) => Ok(()),
        }
    }

    async fn whole(&mut self) -> Gone<()> {
        self.part("before", Span::Nothing, true, false).await?;
        let first = self.image().await?;
        let Ok(state) = self.forward(1).await? else { return Ok(Err(Ended)) };
        match state {
            Some(State::Ready) => self.phased(&first).await,
            Some(State::Applied) => self.at_once(&first).await,
            Some(state) => self.fail("migrate", &format!("it ended as {}", state.name())),
            None => self.fail("migrate", "nothing was run"),
        }
    }

    async fn phased(&mut self, first: &Image) -> Gone<()> {
        self.found.phased = true;
        self.part("ready", Span::Nothing, true, true).await?;
        self.both_forms_hold().await?;
        if self.back(From::Ready, first).await?.is_err() {
            return Ok(Err(Ended));
        }
        let contracted = match self.on_to_contracted(2).await? {
            Ok(state) => state,
            Err(Ended) => return Ok(Err(Ended)),
        };
        if contracted == Some(State::Contracted) {
            if self.back(From::Contracted, first).await?.is_err() {
                return Ok(Err(Ended));
            }
            if self.on_to_contracted(3).await?.is_err() {
                return Ok(Err(Ended));
            }
            let Ok(_) = self.command(Command::Purge, 1).await? else { return Ok(Err(Ended)) };
        } else {
            self.found.notes.push("nothing is retained, so there is no way back behind contract".to_owned());
        }
        self.part("purged", Span::Nothing, false, true).await?;
        self.new_form_holds().await?;
        Ok(Ok(()))
    }

    /// Forward, the deploy, and contract.
    async fn on_to_contracted(&mut self, round: usize) -> Gone<Option<State>> {
        let Ok(state) = self.forward(round).await? else { return Ok(Err(Ended)) };
        if state != Some(State::Ready) {
            return self.fail("migrate", "it is not ready a second time");
        }
        self.part(&named("ready", round), Span::Nothing, true, true).await?;
        self.both_forms_hold().await?;
        self.part(&named("deployed", round - 1), Span::Nothing, false, true).await?;
        let Ok(state) = self.command(Command::Contract, round - 1).await? else { return Ok(Err(Ended)) };
        self.part(&named("contracted", round - 1), Span::Nothing, false, true).await?;
        self.new_form_holds().await?;
        Ok(Ok(state))
    }

    /// Of what needs no phases, or runs as it is written.
    async fn at_once(&mut self, first: &Image) -> Gone<()> {
        self.part("applied", Span::Nothing, true, true).await?;
        self.both_forms_hold().await?;
        if self.file.down.is_none() {
            self.found.notes.push("it has no down file, and so no way back that could be tried".to_owned());
            return Ok(Ok(()));
        }
        if self.back(From::Applied, first).await?.is_err() {
            return Ok(Err(Ended));
        }
        let Ok(_) = self.forward(2).await? else { return Ok(Err(Ended)) };
        self.part("applied (2)", Span::Nothing, true, true).await?;
        self.both_forms_hold().await?;
        Ok(Ok(()))
    }

    /// A part in which these versions run for a time, and the migration waits.
    async fn part(&mut self, name: &str, span: Span, old: bool, new: bool) -> Result<()> {
        self.begin(name, span, old, new).await?;
        self.stop.sleep(self.hold).await;
        self.go_on()
    }

    async fn begin(&mut self, name: &str, span: Span, old: bool, new: bool) -> Result<()> {
        self.go_on()?;
        self.fleet.run(old, new).await;
        self.fleet.stats.begin(name, span);
        self.observer.notice(Notice::Info { text: name.to_owned() });
        Ok(())
    }

    fn go_on(&self) -> Result<()> {
        if self.stop.is_requested() {
            return Err(super::stopped());
        }
        Ok(())
    }

    fn fail<T>(&mut self, stage: &str, why: &str) -> Gone<T> {
        self.found.failed = Some(RehearsalFailure { stage: stage.to_owned(), error: why.to_owned() });
        Ok(Err(Ended))
    }

    /// As far as it goes without a deploy, while the old version runs.
    async fn forward(&mut self, round: usize) -> Gone<Option<State>> {
        self.fleet.run(true, false).await;
        self.command(Command::Migrate, round).await
    }

    async fn command(&mut self, command: Command, round: usize) -> Gone<Option<State>> {
        self.go_on()?;
        let mut follow = Follow {
            fleet: self.fleet,
            observer: &mut *self.observer,
            steps: &mut self.found.steps,
            at: None,
            phase: None,
            round,
            backward: command == Command::Rollback,
        };
        let ran = command.run(&self.own, &self.file.version, &mut follow, self.stop).await;
        self.go_on()?;
        match ran {
            Ok(report) => Ok(Ok(self.state_in(&report))),
            // Before anything has happened it is no finding of the rehearsal: the migration can't be run at all.
            Err(error) if error.kind() == crate::ErrorKind::Refused && self.found.steps.is_empty() => Err(error),
            Err(error) => {
                let stage = self.fleet.stats.stage();
                self.fail(&stage, &in_full(&error))
            }
        }
    }

    fn state_in(&self, report: &RunReport) -> Option<State> {
        let mine = report.migrations.iter().find(|migration| same_version(&migration.version, &self.file.version));
        mine.map(|migration| migration.state)
    }

    async fn image(&self) -> Result<Image> {
        let _still = self.fleet.hold().await;
        image::take(&self.client, &self.old).await
    }

    /// Everything that was written in either form is there.
    async fn both_forms_hold(&mut self) -> Result<()> {
        let _still = self.fleet.hold().await;
        self.found.take_in(self.fleet.take_ledger());
        let mut lost = self.lost(&self.old, &self.found.ledger.old).await?;
        lost.extend(self.lost(&self.new, &self.found.ledger.new).await?);
        self.found.lost(&self.fleet.stats.stage(), lost);
        Ok(())
    }

    async fn new_form_holds(&mut self) -> Result<()> {
        let _still = self.fleet.hold().await;
        self.found.take_in(self.fleet.take_ledger());
        let lost = self.lost(&self.new, &self.found.ledger.new).await?;
        self.found.lost(&self.fleet.stats.stage(), lost);
        Ok(())
    }

    /// Writes that are gone. Where queries write of which nothing is known, any may have been written over.
    async fn lost(&self, tables: &[Option<Tracked>], written: &Written) -> Result<Vec<String>> {
        if self.writes_unknown { Ok(Vec::new()) } else { image::lost(&self.client, tables, written).await }
    }

    /// Back, and what that leaves.
    async fn back(&mut self, from: From, first: &Image) -> Gone<()> {
        self.fleet.rest_unknown_writes(true).await;
        // Where rows change that nothing is known of, only what stands now can be compared with; and behind contract it can't be read in the old form.
        let now = if self.writes_unknown && from != From::Contracted { Some(self.image().await?) } else { None };
        let wanted = now.as_ref().or(if self.writes_unknown { None } else { Some(first) });
        let old_runs = from != From::Contracted;
        let name = format!("rollback from {}", from.name());
        self.begin(&name, Span::Any, old_runs, false).await?;
        let gone = self.command(Command::Rollback, 1).await?;
        let mut way =
            RehearsedWayBack { from: from.name().to_owned(), error: None, changes: Vec::new(), rows: Vec::new() };
        if gone.is_err() {
            // It stands with the way, and not twice.
            way.error = self.found.failed.take().map(|failed| failed.error);
            self.found.ways_back.push(way);
            return Ok(Err(Ended));
        }
        {
            let _still = self.fleet.hold().await;
            self.found.take_in(self.fleet.take_ledger());
            let is = schema::look(&self.own.target, self.own.config.schema.as_str()).await?;
            way.changes = drift_changes(&difference(&self.schema, &is, Compare { owners: true }));
            if way.changes.is_empty() {
                let rows = image::take(&self.client, &self.old).await?;
                let written = self.found.in_old_form(&self.same);
                if let Some(wanted) = wanted {
                    let (changed, lines) = image::changed(&self.old, wanted, &rows, &written);
                    way.rows = changed;
                    self.found.lost(&name, lines);
                }
                let lost = self.lost(&self.old, &written).await?;
                self.found.lost(&name, lost);
            }
        }
        if self.writes_unknown && from == From::Contracted {
            let note = "after the rollback from contracted rows were not compared: queries that are given changed rows that are not known";
            self.found.notes.push(note.to_owned());
        }
        self.found.ways_back.push(way);
        self.fleet.rest_unknown_writes(false).await;
        self.part(&format!("rolled back from {}", from.name()), Span::Nothing, true, false).await?;
        Ok(Ok(()))
    }
}

/// Why a contract of a rehearsal is not held up.
const FORCED: &str = "a rehearsal: the old version was stopped a moment ago";

/// What is run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Command {
    Migrate,
    Contract,
    Purge,
    Rollback,
}

impl Command {
    async fn run(self, own: &Migrator, version: &str, observer: &mut dyn Observer, stop: &Stop) -> Result<RunReport> {
        match self {
            Command::Migrate => {
                let options = MigrateOptions { to: Some(version.to_owned()), ..MigrateOptions::default() };
                own.migrate(options, observer, stop).await
            }
            // The one place where what stands in the way of a contract is passed over: the old version ran a moment ago.
            Command::Contract => {
                let options = ContractOptions { force: Some(FORCED.to_owned()), ..ContractOptions::default() };
                own.contract(Some(version), &options, observer, stop).await
            }
            Command::Purge => own.purge(Some(version), RunOptions::default(), observer, stop).await,
            Command::Rollback => own.rollback(Some(version), RunOptions::default(), observer, stop).await,
        }
    }
}

impl Found {
    fn take_in(&mut self, ledger: Ledger) {
        merge(&mut self.ledger.old, ledger.old);
        merge(&mut self.ledger.new, ledger.new);
    }

    /// What must be in the old form: all that the old version wrote, and of the new version's writes what is the same in both. The rest of those is gone
    /// with the new form.
    fn in_old_form(&mut self, same: &BTreeSet<(usize, String)>) -> Written {
        for ((table, _), values) in &mut self.ledger.new {
            values.retain(|column, _| same.contains(&(*table, column.clone())));
        }
        let mut all = self.ledger.old.clone();
        merge(&mut all, self.ledger.new.clone());
        all
    }

    fn lost(&mut self, stage: &str, lines: Vec<String>) {
        self.lost.extend(lines.into_iter().map(|line| format!("{stage}: {line}")));
    }
}

fn merge(into: &mut Written, from: Written) {
    for (row, values) in from {
        into.entry(row).or_default().extend(values);
    }
}
