//! The front door, thin: which migrations, in which order, and who may.

mod adoption;
mod backfill;
mod baseline;
mod check;
mod contract;
mod drift;
mod git;
mod goto;
mod history;
mod keeper;
mod lint;
mod on_scratch;
mod options;
mod pending;
mod places;
mod planning;
mod preview;
mod purge;
mod readiness;
mod rehearsal;
mod renumber;
mod repair;
mod rollback;
mod runbook;
mod session;
mod shared;
mod squash;
mod squashed;
mod start;
mod status;
mod steering;
mod there_and_back;
mod tolerance;
mod trail;
mod usage;
mod verify;
mod waiting;
mod watcher;
mod way_back;

pub use baseline::BaselineOptions;
pub use check::CheckOptions;
pub use contract::ContractOptions;
pub use drift::DriftOptions;
pub use goto::GotoOptions;
pub use goto::RedoOptions;
pub use lint::LintOptions;
pub use options::BackfillOptions;
pub use options::MigrateOptions;
pub use options::RunOptions;
pub use readiness::Readiness;
pub use rehearsal::RehearseOptions;
pub use rehearsal::RehearseSource;
pub use rehearsal::RowsWanted;
pub use renumber::RenumberOptions;
pub use repair::RepairAction;
pub use repair::RepairOptions;
pub use squash::SquashOptions;
pub use start::StartOptions;
pub use steering::LiveChange;
pub use there_and_back::TestOptions;
pub use trail::HistoryOptions;
pub use trail::HistorySince;
pub use verify::AfterFailure;
pub use verify::KeepVerifyingOptions;
pub use watcher::Watcher;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossfade_core::plan::BackfillRequest;

use crate::audit::Audit;
use crate::config::Config;
use crate::doctor::Doctor;
use crate::error::Result;
use crate::hooks::HookEvent;
use crate::hooks::Teller;
use crate::hooks::trial;
use crate::observer::Observer;
use crate::postgres::Target;
use crate::postgres::lease::APPLICATION;
use crate::postgres::store::Fault;
use crate::postgres::store::Run;
use crate::report::BackfillReport;
use crate::report::BaselineReport;
use crate::report::CheckReport;
use crate::report::DoctorReport;
use crate::report::DriftReport;
use crate::report::GotoReport;
use crate::report::HistoryReport;
use crate::report::HooksReport;
use crate::report::LintReport;
use crate::report::PlanReport;
use crate::report::REPORT_FORMAT;
use crate::report::RehearsalReport;
use crate::report::RenumberReport;
use crate::report::RepairReport;
use crate::report::RunReport;
use crate::report::RunbookReport;
use crate::report::SquashReport;
use crate::report::StatusReport;
use crate::report::TestReport;
use crate::report::ThrottleReport;
use crate::report::UsageReport;
use crate::report::VerifyReport;
use crate::source::Embedded;
use crate::source::SourceFile;
use crate::stop::Stop;

/// Runs migrations of one folder against one database.
#[derive(Clone, Debug)]
pub struct Migrator {
    config: Config,
    target: Target,
    embedded: Option<Embedded>,
    audit: Audit,
    fault: Option<Fault>,
    /// The run that it is at, where it is one.
    run: Option<Run>,
    teller: Arc<Teller>,
    /// What it runs in the place of the folder's files.
    sources: Option<Arc<Vec<SourceFile>>>,
}

impl Migrator {
    /// For this folder and this database. Nothing is connected yet.
    pub fn new(config: Config, target: Target) -> Migrator {
        Migrator {
            config,
            target,
            embedded: None,
            audit: Audit::default(),
            fault: None,
            run: None,
            teller: Arc::default(),
            sources: None,
        }
    }

    /// For migrations that are part of the program, made by [`embed!`](crate::embed). The folder of the configuration is not looked at. Nothing is connected yet.
    pub fn embedded(config: Config, target: Target, migrations: &Embedded) -> Migrator {
        let config = Config { migrations: PathBuf::from(migrations.folder()), ..config };
        Migrator { embedded: Some(*migrations), ..Migrator::new(config, target) }
    }

    /// The database that it is for.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// With what of the hooks stands in variables of the environment, which the caller reads.
    #[must_use]
    pub fn hooks_from(mut self, lookup: &dyn Fn(&str) -> Option<String>) -> Migrator {
        self.config.hooks.resolve(lookup);
        self
    }

    /// With what stands beside each event that its commands write.
    #[must_use]
    pub fn audited(mut self, audit: Audit) -> Migrator {
        self.audit = audit;
        self
    }

    /// For tests of the recovery: the work ends with an error once so many events and cursors are written, and writes nothing more, as if
    /// the process had died there.
    #[doc(hidden)]
    #[must_use]
    pub fn crashing_after(mut self, appends: u32) -> Migrator {
        self.fault = Some(Fault::after(appends));
        self
    }

    /// Tells each hook a sample: of this event, or of the first that it is on. Connects to no database.
    pub async fn try_hooks(&self, event: Option<HookEvent>) -> HooksReport {
        trial(&self.config.hooks, event, &self.origin(&self.new_run())).await.0
    }

    /// The same, and writes down in the journal what came of it: a hook that failed counts as mended once its sample came through.
    ///
    /// # Errors
    ///
    /// When it can't be written down: there is no journal, or the role may not. The hooks were called then all the same.
    pub async fn try_hooks_and_record(&self, event: Option<HookEvent>) -> Result<HooksReport> {
        keeper::recorded_trial(self, event).await
    }

    /// Every migration and its state. Changes nothing, and needs no right to change anything.
    ///
    /// # Errors
    ///
    /// When the files or the database can't be read.
    pub async fn status(&self) -> Result<StatusReport> {
        status::report(self).await
    }

    /// For looking again and again, over one connection. Nothing is connected yet; it changes nothing, and needs no right to.
    pub fn watcher(&self) -> Watcher {
        Watcher::new(self)
    }

    /// Every event of the journal in order, with who did it and from where. Changes nothing.
    ///
    /// # Errors
    ///
    /// When the database can't be read, or the version or the time means nothing.
    pub async fn history(&self, options: &HistoryOptions) -> Result<HistoryReport> {
        trail::report(self, options).await
    }

    /// Looks for what is left over in the database or waits for a person. Changes nothing, and needs no right to.
    ///
    /// # Errors
    ///
    /// When the database can't be read.
    pub async fn doctor(&self) -> Result<DoctorReport> {
        let client = self.target.connect(APPLICATION).await?;
        let retain = self.config.retain.as_secs_f64();
        let hooks = self.hook_names();
        let complaints = Doctor { client: &client, store: &self.store(), retain, hooks: &hooks }.complaints().await?;
        Ok(DoctorReport { format: REPORT_FORMAT, database: self.target.display(), complaints })
    }

    /// Compares the database's schema with what its migrations make on a scratch database. Changes nothing in the database, and needs no right to.
    ///
    /// # Errors
    ///
    /// When the database can't be read, or the migrations can't be run on a scratch database.
    pub async fn drift(&self, options: &DriftOptions, observer: &mut dyn Observer, stop: &Stop) -> Result<DriftReport> {
        drift::report(self, options, observer, stop).await
    }

    /// Goes every way back of the folder's migrations on a scratch database, and compares where it leads. The database is not connected to.
    ///
    /// # Errors
    ///
    /// When the files can't be read, or there is no scratch database to be had. A way that is wrong stands in the report.
    pub async fn test(&self, options: &TestOptions, observer: &mut dyn Observer, stop: &Stop) -> Result<TestReport> {
        there_and_back::test(self, options, observer, stop).await
    }

    /// Goes the whole way of one migration, there and back, on a scratch database that is like the real one, while both versions of the application run. The
    /// database is only read. Hooks are told where it fails.
    ///
    /// # Errors
    ///
    /// When the database or the files can't be read, there is no scratch database to be had, or the migration can't be run at all. What went wrong on the way
    /// stands in the report.
    pub async fn rehearse(
        &self,
        options: &RehearseOptions,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<RehearsalReport> {
        let result = rehearsal::rehearse(self, options, observer, stop).await;
        rehearsal::tell(self, options, &result, observer, stop).await;
        result
    }

    /// What the folder shows before any database sees it: order and changed files against a base branch, syntax, ways back. The database is not connected
    /// to.
    ///
    /// # Errors
    ///
    /// When the folder or the base can't be read. What is wrong with the files stands in the report.
    pub async fn check(&self, options: &CheckOptions, observer: &mut dyn Observer, stop: &Stop) -> Result<CheckReport> {
        check::check(self, options, observer, stop).await
    }

    /// What the files would do to those who use the database meanwhile. The database is not connected to.
    ///
    /// # Errors
    ///
    /// When the files can't be read. What is wrong with them stands in the report.
    pub async fn lint(&self, options: &LintOptions) -> Result<LintReport> {
        lint::lint(self, options).await
    }

    /// The plans of one migration, or of all that are pending.
    ///
    /// # Errors
    ///
    /// When the files or the database can't be read, or a migration is refused.
    pub async fn plan(&self, version: Option<&str>) -> Result<PlanReport> {
        self.plans(&version.map(str::to_owned).into_iter().collect::<Vec<_>>()).await
    }

    /// The plans of these migrations; without any, of all that are pending.
    ///
    /// # Errors
    ///
    /// When the files or the database can't be read, or a migration is refused.
    pub async fn plans(&self, versions: &[String]) -> Result<PlanReport> {
        preview::preview(self, versions).await?.report()
    }

    /// The runbooks of these migrations; without any, of all that are pending. A migration that is refused stands in the report.
    ///
    /// # Errors
    ///
    /// When the files or the database can't be read.
    pub async fn runbook(&self, versions: &[String]) -> Result<RunbookReport> {
        runbook::runbook(self, versions).await
    }

    /// Everything that is pending, each as far as is safe without a deploy.
    ///
    /// # Errors
    ///
    /// When a migration is refused or fails, or another runner is at work.
    pub async fn migrate(
        &self,
        options: MigrateOptions,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<RunReport> {
        let (mut own, mut told) = self.told(observer);
        if let Some(workers) = options.workers {
            own = own.with_workers(workers);
        }
        let result = own.run_pending(options, &mut told, stop).await;
        told.end(result, stop).await
    }

    /// After the deploy: removes the old form. Without a version: of every migration that is ready, in order.
    ///
    /// # Errors
    ///
    /// When a migration is not ready, its old form is not proven to be out of use, a step fails, or another runner is at work.
    pub async fn contract(
        &self,
        version: Option<&str>,
        options: &ContractOptions,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<RunReport> {
        let (own, mut told) = self.told(observer);
        let result = contract::run(&own, version, options, &mut told, stop).await;
        told.end(result, stop).await
    }

    /// Who still uses the old form of a migration, or of all that wait for the deploy, and why contract would be refused. What it sees of calls of statements it
    /// writes down where it may, so that the next look can tell which were called since; it changes nothing else.
    ///
    /// # Errors
    ///
    /// When the version is not known or the database can't be read.
    pub async fn usage(&self, version: Option<&str>) -> Result<UsageReport> {
        usage::report(self, version).await
    }

    /// Drops what was retained. Without a version: of every migration that is contracted.
    ///
    /// # Errors
    ///
    /// When a migration is not contracted, a step fails, or another runner is at work.
    pub async fn purge(
        &self,
        version: Option<&str>,
        options: RunOptions,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<RunReport> {
        let (own, mut told) = self.told(observer);
        let result = purge::run(&own, version, options, &mut told, stop).await;
        told.end(result, stop).await
    }

    /// Undoes one migration: the given one, or the newest.
    ///
    /// # Errors
    ///
    /// When there is no way back, a step fails, or another runner is at work.
    pub async fn rollback(
        &self,
        version: Option<&str>,
        options: RunOptions,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<RunReport> {
        let (own, mut told) = self.told(observer);
        let result = rollback::run(&own, version, options, &mut told, stop).await;
        told.end(result, stop).await
    }

    /// Shows what differs between the files and what was run, or accepts it. Showing changes nothing.
    ///
    /// # Errors
    ///
    /// When the version is not known, what differs is under way, or another runner is at work.
    pub async fn repair(
        &self,
        options: &RepairOptions,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<RepairReport> {
        repair::run(self, options, observer, stop).await
    }

    /// Puts one file in the place of all up to a version, once both were run on scratch databases and make the same.
    ///
    /// # Errors
    ///
    /// When not all of it is applied, a file can't be a part of one, the two do not make the same, or a file can't be written.
    pub async fn squash(
        &self,
        options: &SquashOptions,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<SquashReport> {
        squash::run(self, options, observer, stop).await
    }

    /// Goes down or up until this version is the newest one. The whole way is looked at before its first step.
    ///
    /// # Errors
    ///
    /// When one of the migrations on the way can't be undone or run, a step fails, or another runner is at work.
    pub async fn goto(&self, options: &GotoOptions, observer: &mut dyn Observer, stop: &Stop) -> Result<GotoReport> {
        if options.dry_run {
            return goto::go(self, options, observer, stop).await;
        }
        let (own, mut told) = self.told(observer);
        let result = goto::go(&own, options, &mut told, stop).await;
        told.end(result, stop).await
    }

    /// Undoes one migration and runs its file again: for development.
    ///
    /// # Errors
    ///
    /// When there is no way back, its file is not there or is refused, a step fails, or another runner is at work.
    pub async fn redo(&self, options: &RedoOptions, observer: &mut dyn Observer, stop: &Stop) -> Result<RunReport> {
        let (own, mut told) = self.told(observer);
        let result = goto::redo(&own, options, &mut told, stop).await;
        told.end(result, stop).await
    }

    /// Writes every file up to a version down as applied, without running anything: the database was there before its history.
    ///
    /// # Errors
    ///
    /// When there is a history beyond it, the version is not known, the database is empty, or another runner is at work.
    pub async fn baseline(
        &self,
        options: &BaselineOptions,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<BaselineReport> {
        baseline::run(self, options, observer, stop).await
    }

    /// Copies one column in small transactions, for an expand that was made by hand. What was begun and not finished goes on.
    ///
    /// # Errors
    ///
    /// When the request is refused, a row can't be filled, rows are left after many sweeps, or another runner is at work.
    pub async fn backfill(
        &self,
        request: &BackfillRequest,
        options: BackfillOptions,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<BackfillReport> {
        let (mut own, mut told) = self.told(observer);
        if let Some(workers) = options.workers {
            own = own.with_workers(workers);
        }
        let result = backfill::run(&own, request, options, &mut told, stop).await;
        told.end(result, stop).await
    }

    /// Gives pending files that come before what was run already, or have the version of another, the next free versions. The database is only
    /// read, and what was run keeps its version.
    ///
    /// # Errors
    ///
    /// When it can't be told what was run, a file is not there or was run, or one can't be renamed.
    pub async fn renumber(&self, options: &RenumberOptions) -> Result<RenumberReport> {
        renumber::run(self, options).await
    }

    /// Asks whoever runs a migration to wait at the next safe point: of this one, or of all that are under way. Needs no lease.
    ///
    /// # Errors
    ///
    /// When there is nothing to pause.
    pub async fn pause(&self, version: Option<&str>, reason: Option<&str>) -> Result<RunReport> {
        steering::pause(self, version, reason).await
    }

    /// Lets what is paused go on: this one, or all. Needs no lease, and runs nothing itself.
    ///
    /// # Errors
    ///
    /// When nothing is paused.
    pub async fn resume(&self, version: Option<&str>) -> Result<RunReport> {
        steering::resume(self, version).await
    }

    /// The settings of the throttle, and what every signal says now.
    ///
    /// # Errors
    ///
    /// When the database can't be read.
    pub async fn throttle(&self) -> Result<ThrottleReport> {
        steering::report(self).await
    }

    /// Changes live settings of the throttle, for so long where that is said. Whoever runs picks them up. Needs no lease.
    ///
    /// # Errors
    ///
    /// When a value is not understood, or there is no journal yet.
    pub async fn set_throttle(&self, changes: &[LiveChange], during: Option<Duration>) -> Result<()> {
        steering::set(self, changes, during).await
    }

    /// Compares old and new form again. Changes nothing.
    ///
    /// # Errors
    ///
    /// When the version is not known or the tables can't be read.
    pub async fn verify(
        &self,
        version: Option<&str>,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<VerifyReport> {
        verify::once(self, version, observer, stop).await
    }

    /// The same again and again while migrations wait for the deploy, at a low cost. What it finds is written down: `contract` is refused after a difference,
    /// and hooks on `differs` and `agrees` are told. Returns what the last round found.
    ///
    /// # Errors
    ///
    /// When the version is not known, or the tables can't be read or what was found can't be written. A server that is away is waited for.
    pub async fn keep_verifying(
        &self,
        version: Option<&str>,
        options: KeepVerifyingOptions,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<VerifyReport> {
        let (own, mut told) = self.told(observer);
        let result = verify::keep_on(&own, version, options, &mut told, stop).await;
        told.end(result, stop).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observer::Unobserved;

    fn is_send<T: Send>(_: T) {}

    /// An application spawns it as a task.
    #[test]
    fn every_command_can_be_spawned() {
        let migrator = Migrator::new(Config::default(), Target::from_url("postgres://x@localhost/x").unwrap());
        let stop = Stop::default();
        is_send(migrator.status());
        is_send(migrator.plan(None));
        is_send(migrator.runbook(&[]));
        is_send(migrator.history(&HistoryOptions::default()));
        is_send(migrator.migrate(MigrateOptions::default(), &mut Unobserved, &stop));
        is_send(migrator.contract(None, &ContractOptions::default(), &mut Unobserved, &stop));
        is_send(migrator.usage(None));
        is_send(migrator.rollback(None, RunOptions::default(), &mut Unobserved, &stop));
        is_send(migrator.purge(None, RunOptions::default(), &mut Unobserved, &stop));
        let request = BackfillRequest::read("t", "a", "b", None, None).unwrap();
        is_send(migrator.backfill(&request, BackfillOptions::default(), &mut Unobserved, &stop));
        is_send(migrator.goto(&GotoOptions::default(), &mut Unobserved, &stop));
        is_send(migrator.redo(&RedoOptions::default(), &mut Unobserved, &stop));
        is_send(migrator.repair(&RepairOptions::default(), &mut Unobserved, &stop));
        is_send(migrator.baseline(&BaselineOptions::default(), &mut Unobserved, &stop));
        is_send(migrator.wait_for_database(Duration::ZERO, &mut Unobserved, &stop));
        is_send(migrator.wait_until_at_least("1", Duration::ZERO, &mut Unobserved, &stop));
        is_send(migrator.is_at_least("1"));
        is_send(migrator.is_up_to_date());
        is_send(migrator.start(&StartOptions::default(), &mut Unobserved, &stop));
        is_send(migrator.verify(None, &mut Unobserved, &stop));
        is_send(migrator.keep_verifying(None, KeepVerifyingOptions::default(), &mut Unobserved, &stop));
        is_send(migrator.pause(None, None));
        is_send(migrator.resume(None));
        is_send(migrator.renumber(&RenumberOptions::default()));
        is_send(migrator.throttle());
        is_send(migrator.set_throttle(&[], None));
    }
}
