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
mod lint;
mod on_scratch;
mod places;
mod planning;
mod preview;
mod readiness;
mod rehearsal;
mod renumber;
mod repair;
mod runbook;
mod session;
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
pub use verify::KeepVerifyingOptions;
pub use watcher::Watcher;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossfade_core::journal::Direction;
use crossfade_core::journal::Request;
use crossfade_core::journal::State;
use crossfade_core::plan::BackfillRequest;
use crossfade_core::sql::Ident;
use crossfade_core::throttle::Settings;

use crate::audit::Audit;
use crate::config::Blocks;
use crate::config::Config;
use crate::config::ContractConfig;
use crate::config::OutOfOrder;
use crate::doctor::Doctor;
use crate::error::Error;
use crate::error::Result;
use crate::hooks::HookEvent;
use crate::hooks::Hooks;
use crate::hooks::Origin;
use crate::hooks::Teller;
use crate::hooks::Told;
use crate::hooks::trial;
use crate::observer::Notice;
use crate::observer::Observer;
use crate::postgres::Target;
use crate::postgres::lease::APPLICATION;
use crate::postgres::store::Fault;
use crate::postgres::store::Run;
use crate::postgres::store::Store;
use crate::postgres::store::TrackedRow;
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
use crate::report::RunMigration;
use crate::report::RunReport;
use crate::report::RunbookReport;
use crate::report::SquashReport;
use crate::report::StatusReport;
use crate::report::TestReport;
use crate::report::ThrottleReport;
use crate::report::UsageReport;
use crate::report::VerifyReport;
use crate::scratch::ScratchDatabase;
use crate::source::Embedded;
use crate::source::FileKind;
use crate::source::Folder;
use crate::source::Medium;
use crate::source::SourceFile;
use crate::source::compare_versions;
use crate::stop::Stop;
use session::Session;

/// What `migrate` is to do.
#[derive(Clone, Debug, Default)]
pub struct MigrateOptions {
    /// Up to this version; none for all.
    pub to: Option<String>,
    /// Through contract and purge, without waiting.
    pub complete: bool,
    /// Wait for another runner to finish, instead of refusing.
    pub wait: bool,
    /// How many connections fill rows at the same time; none: as the configuration says.
    pub workers: Option<usize>,
    /// Set rows aside whose new value can't be computed, and go on around them.
    pub park: bool,
    /// Run files that come before what was run already, whatever the configuration says.
    pub allow_out_of_order: bool,
}

/// What any command that changes something takes.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Wait for another runner to finish, instead of refusing.
    pub wait: bool,
}

/// What `backfill` is to do, beside what it copies.
#[derive(Clone, Copy, Debug, Default)]
pub struct BackfillOptions {
    /// Rows that one transaction may change at the most.
    pub batch_size: Option<u64>,
    /// How many connections fill rows at the same time; none: as the configuration says.
    pub workers: Option<usize>,
    /// Set rows aside that the server refuses, and go on around them.
    pub park: bool,
    /// Wait for another runner to finish, instead of refusing.
    pub wait: bool,
}

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

    /// For what compares whole databases.
    fn refuse_one_schema(&self, command: &str) -> Result<()> {
        match self.target.schema() {
            None => Ok(()),
            Some(schema) => {
                Err(Error::usage(format!("{command} looks at a whole database, and not at the schema {schema} alone"))
                    .hint("docs/targets.md says what can be done for a tenant"))
            }
        }
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

    fn schema(&self) -> Ident {
        Ident::new(self.config.schema.as_str())
    }

    /// For reading.
    fn store(&self) -> Store {
        Store { fault: self.fault.clone(), ..Store::new(&self.schema()) }
    }

    /// For a command that writes: a run of its own, or the one that it is at.
    fn recording_store(&self) -> Store {
        Store { run: self.run.clone().unwrap_or_else(|| self.new_run()), ..self.store() }
    }

    fn new_run(&self) -> Run {
        let mut audit = self.audit.clone();
        // A repository around a program that holds its migrations says nothing about them.
        if audit.git_commit.is_none() && self.embedded.is_none() {
            audit.git_commit = crate::source::head_commit(&self.config.migrations);
        }
        Run::new(audit)
    }

    /// One run, of which the hooks are told.
    fn told<'o>(&self, observer: &'o mut dyn Observer) -> (Migrator, Told<'o>) {
        let run = self.new_run();
        let teller = Arc::new(Teller::start(&self.config.hooks, self.origin(&run)));
        let own = Migrator { run: Some(run), teller: teller.clone(), ..self.clone() };
        (own, Told::new(teller, observer))
    }

    fn origin(&self, run: &Run) -> Origin {
        Origin {
            database: self.target.display(),
            run_id: run.id.clone(),
            host: run.host.clone(),
            actor: run.audit.actor.clone(),
            git_commit: run.audit.git_commit.clone(),
            ci_url: run.audit.ci_url.clone(),
        }
    }

    /// Tells each hook a sample: of this event, or of the first that it is on. Connects to no database.
    pub async fn try_hooks(&self, event: Option<HookEvent>) -> HooksReport {
        trial(&self.config.hooks, event, &self.origin(&self.new_run())).await
    }

    fn files(&self) -> Result<Vec<SourceFile>> {
        match &self.sources {
            Some(sources) => Ok(sources.to_vec()),
            None => self.folder().map(|folder| folder.files),
        }
    }

    /// The same configuration on a scratch database, with these migrations.
    fn on_scratch(&self, database: &ScratchDatabase, sources: Arc<Vec<SourceFile>>) -> Migrator {
        let mut config = self.config.clone();
        config.out_of_order = OutOfOrder::Allow;
        // Nobody else is there, and nobody wants to hear of it.
        config.throttle = Settings::default();
        config.hooks = Hooks::default();
        config.backfill.duty = 1.0;
        config.contract =
            ContractConfig { quiet_for: Duration::ZERO, old_sessions: Blocks::Warn, ..ContractConfig::default() };
        Migrator { sources: Some(sources), ..Migrator::new(config, database.target().clone()) }
    }

    fn folder(&self) -> Result<Folder> {
        crate::source::load_folder(self.medium(), &self.config.migrations, self.config.layout)
    }

    fn medium(&self) -> Medium<'_> {
        self.embedded.as_ref().map_or(Medium::Disk, Medium::Program)
    }

    /// Whether there are files at all: an image may hold the program alone.
    fn has_files(&self) -> bool {
        self.embedded.is_some() || self.config.migrations.exists()
    }

    /// The files, each under the version that the tracking table has for it: `1` and `001` are one.
    fn files_as(&self, rows: &[TrackedRow]) -> Result<Vec<SourceFile>> {
        Ok(history::as_tracked(self.files()?, rows))
    }

    /// Where the way back of a migration would have to be written that has none.
    fn where_to_write_the_way_back(&self, row: &TrackedRow) -> Option<String> {
        let folder = self.folder().ok()?;
        let file = folder.files.iter().find(|file| same_version(&file.version, &row.version))?;
        folder.where_to_write_the_way_back(file)
    }

    /// The same; none where there is no folder: an image may hold the program alone.
    fn files_where_there(&self, rows: &[TrackedRow]) -> Result<Vec<SourceFile>> {
        if self.has_files() { self.files_as(rows) } else { Ok(Vec::new()) }
    }

    /// The tracking table as it is, without the lease. Makes nothing.
    async fn look(&self) -> Result<Vec<TrackedRow>> {
        let client = self.target.connect(APPLICATION).await?;
        let store = self.store();
        if store.exists(&client).await? { store.rows(&client).await } else { Ok(Vec::new()) }
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
        let complaints = Doctor { client: &client, store: &self.store(), retain }.complaints().await?;
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

    async fn run_pending(
        &self,
        options: MigrateOptions,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<RunReport> {
        let mut rows = self.look().await?;
        let files = self.files_as(&rows)?;
        for text in tolerance::tolerate(self, &files, &mut rows).await? {
            observer.notice(Notice::Info { text });
        }
        let late = if options.allow_out_of_order { OutOfOrder::Allow } else { self.config.out_of_order };
        for text in history::check(&files, &rows, late)? {
            observer.notice(Notice::Info { text });
        }
        let wanted = self.up_to(&files, options.to.as_deref())?;
        let tracked = history::by_version(&rows);
        let row_of = |file: &SourceFile| tracked.get(file.version.as_str()).copied();
        if !wanted.iter().any(|file| needs_work(file, row_of(file), options.complete)) {
            let report = wanted.iter().filter_map(|file| row_of(file)).map(run_migration).collect();
            observer.notice(Notice::Info { text: "nothing to do".to_owned() });
            return Ok(RunReport { format: REPORT_FORMAT, migrations: report });
        }
        let mut session = Session::open(self, options.wait, observer, stop).await?;
        session.park = options.park;
        session.know(&files);
        let rows = session.rows_as(&files).await?;
        history::check(&files, &rows, late)?;
        let done = run_each(&mut session, &wanted, &rows, options.complete).await?;
        Ok(RunReport { format: REPORT_FORMAT, migrations: done })
    }

    fn with_workers(&self, workers: usize) -> Migrator {
        let mut own = self.clone();
        own.config.backfill.workers = workers.clamp(1, crate::config::MOST_WORKERS);
        own
    }

    /// The files up to a version; what is repeatable only with all of them.
    fn up_to<'f>(&self, files: &'f [SourceFile], to: Option<&str>) -> Result<Vec<&'f SourceFile>> {
        let Some(to) = to else { return Ok(files.iter().collect()) };
        let versioned = || files.iter().filter(|file| file.kind != FileKind::Repeatable);
        if !versioned().any(|file| same_version(&file.version, to)) {
            return Err(Error::usage(format!("there is no migration {to}")).hint(format!(
                "the versions are {}",
                versioned().map(|file| file.version.as_str()).collect::<Vec<_>>().join(", ")
            )));
        }
        let is_wanted = |file: &&SourceFile| compare_versions(&file.version, to) != std::cmp::Ordering::Greater;
        if versioned().all(|file| is_wanted(&file)) {
            return Ok(files.iter().collect());
        }
        Ok(versioned().filter(is_wanted).collect())
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
        let result = own.run_purge(version, options, &mut told, stop).await;
        told.end(result, stop).await
    }

    async fn run_purge(
        &self,
        version: Option<&str>,
        options: RunOptions,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<RunReport> {
        let mut session = Session::open_existing(self, options.wait, observer, stop).await?;
        let rows = session.rows().await?;
        let chosen = choose(&rows, version)?;
        let mut due = Vec::new();
        for row in &chosen {
            if row.state == State::Contracted || (row.state == State::Failed && session.purge_has_begun(row).await?) {
                due.push(*row);
            }
        }
        if due.is_empty() {
            if let (Some(_), Some(row)) = (version, chosen.first())
                && row.state != State::Applied
            {
                return Err(Error::refused(format!(
                    "migration {} {} retains nothing: it is {}",
                    row.version,
                    row.name,
                    row.state.name()
                ))
                .hint("purge comes after contract"));
            }
            session.observer.notice(Notice::Info { text: "nothing is retained".to_owned() });
            return Ok(RunReport {
                format: REPORT_FORMAT,
                migrations: chosen.into_iter().map(run_migration).collect(),
            });
        }
        let mut done = Vec::new();
        for row in due {
            done.push(session.go_on(row, Some(Request::Purge)).await?);
        }
        Ok(RunReport { format: REPORT_FORMAT, migrations: done })
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
        let result = own.run_rollback(version, options, &mut told, stop).await;
        told.end(result, stop).await
    }

    async fn run_rollback(
        &self,
        version: Option<&str>,
        options: RunOptions,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<RunReport> {
        let mut session = Session::open_existing(self, options.wait, observer, stop).await?;
        let rows = session.rows().await?;
        let row = match version {
            Some(_) => choose(&rows, version)?.into_iter().next(),
            None => {
                let under_way = rows.iter().rev().find(|row| row.state == State::RollingBack);
                under_way.or_else(|| history::last_run(&rows))
            }
        };
        if let Some(row) = row.filter(|row| history::is_repeatable(row)) {
            return Err(Error::refused(format!("{} is repeatable, and has no way back", row.version))
                .hint("give its file the text that it had before, and run `crossfade migrate`"));
        }
        let Some(row) = row.filter(|row| row.state != State::RolledBack) else {
            session.observer.notice(Notice::Info { text: "there is nothing to roll back".to_owned() });
            return Ok(RunReport { format: REPORT_FORMAT, migrations: Vec::new() });
        };
        let files = self.files_where_there(&rows)?;
        let done = session.undo(row, &rows, &files).await?;
        Ok(RunReport { format: REPORT_FORMAT, migrations: vec![done] })
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

fn same_version(a: &str, b: &str) -> bool {
    compare_versions(a, b) == std::cmp::Ordering::Equal
}

fn choose<'r>(rows: &'r [TrackedRow], version: Option<&str>) -> Result<Vec<&'r TrackedRow>> {
    let Some(version) = version else { return Ok(rows.iter().collect()) };
    let found: Vec<&TrackedRow> = rows.iter().filter(|row| same_version(&row.version, version)).collect();
    if found.is_empty() {
        return Err(Error::refused(format!("migration {version} has not been run on this database"))
            .hint("`crossfade status` lists them"));
    }
    Ok(found)
}

/// Whether `migrate` has anything to do for a file.
fn needs_work(file: &SourceFile, row: Option<&TrackedRow>, complete: bool) -> bool {
    let Some(row) = row else { return true };
    match row.state {
        State::Pending
        | State::Expanding
        | State::Migrating
        | State::Contracting
        | State::Failed
        | State::RollingBack
        | State::RolledBack => true,
        State::Ready | State::Contracted => complete,
        State::Applied => history::is_to_be_repeated(file, row),
    }
}

/// Runs files in their order, each as far as it goes.
async fn run_each(
    session: &mut Session<'_>,
    wanted: &[&SourceFile],
    rows: &[TrackedRow],
    complete: bool,
) -> Result<Vec<RunMigration>> {
    session.be_quick(rows);
    let done = try_each(session, wanted, rows, complete).await;
    let settled = session.settle().await;
    let done = done?;
    settled?;
    Ok(done)
}

async fn try_each(
    session: &mut Session<'_>,
    wanted: &[&SourceFile],
    rows: &[TrackedRow],
    complete: bool,
) -> Result<Vec<RunMigration>> {
    let tracked = history::by_version(rows);
    let mut done = Vec::new();
    for file in wanted {
        let row = tracked.get(file.version.as_str()).copied();
        if !needs_work(file, row, complete) {
            continue;
        }
        if let Some(row) = row.filter(|row| row.state == State::RollingBack) {
            return Err(Error::refused(format!("migration {} {} is being rolled back", row.version, row.name))
                .hint("finish that first: `crossfade rollback`"));
        }
        done.push(session.migrate_one(file, row, complete).await?);
    }
    Ok(done)
}

fn run_migration(row: &TrackedRow) -> RunMigration {
    RunMigration {
        version: row.version.clone(),
        name: row.name.clone(),
        state: row.state,
        next: next_text(row.state, &row.version),
    }
}

/// What a migration in this state waits for.
fn next_text(state: State, version: &str) -> Option<String> {
    match state {
        State::Ready => Some(format!("deploy the new code everywhere, then `crossfade contract {version}`")),
        State::Contracted => Some(format!(
            "the old form is retained: `crossfade rollback {version}` brings it back, `crossfade purge {version}` drops it"
        )),
        State::Failed => Some("`crossfade migrate` tries again, `crossfade rollback` undoes".to_owned()),
        State::RollingBack => Some("`crossfade rollback` goes on".to_owned()),
        State::Expanding | State::Migrating => Some("`crossfade migrate` goes on".to_owned()),
        State::Contracting => Some("`crossfade contract` goes on".to_owned()),
        State::Pending => Some("`crossfade migrate` runs it".to_owned()),
        State::Applied | State::RolledBack => None,
    }
}

fn direction_of(request: Option<Request>) -> Direction {
    match request {
        Some(Request::Rollback) => Direction::Backward,
        Some(Request::Pause | Request::Resume | Request::Contract | Request::Purge) | None => Direction::Forward,
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
