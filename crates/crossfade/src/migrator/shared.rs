//! What the commands share: the store and the run that they write under, the files, the tracking table, and a few words.

use std::sync::Arc;
use std::time::Duration;

use crossfade_core::journal::Direction;
use crossfade_core::journal::Request;
use crossfade_core::journal::State;
use crossfade_core::sql::Ident;
use crossfade_core::throttle::Settings;

use super::Migrator;
use super::history;
use super::keeper;
use crate::config::Blocks;
use crate::config::ContractConfig;
use crate::config::OutOfOrder;
use crate::error::Error;
use crate::error::Result;
use crate::hooks::Hooks;
use crate::hooks::Origin;
use crate::hooks::Teller;
use crate::hooks::Told;
use crate::observer::Observer;
use crate::postgres::lease::APPLICATION;
use crate::postgres::store::Run;
use crate::postgres::store::Store;
use crate::postgres::store::TrackedRow;
use crate::report::RunMigration;
use crate::scratch::ScratchDatabase;
use crate::source::Folder;
use crate::source::Medium;
use crate::source::SourceFile;
use crate::source::compare_versions;

impl Migrator {
    /// For what compares whole databases.
    pub(super) fn refuse_one_schema(&self, command: &str) -> Result<()> {
        match self.target.schema() {
            None => Ok(()),
            Some(schema) => {
                Err(Error::usage(format!("{command} looks at a whole database, and not at the schema {schema} alone"))
                    .hint("docs/targets.md says what can be done for a tenant"))
            }
        }
    }

    pub(super) fn schema(&self) -> Ident {
        Ident::new(self.config.schema.as_str())
    }

    /// For reading.
    pub(super) fn store(&self) -> Store {
        Store { fault: self.fault.clone(), ..Store::new(&self.schema()) }
    }

    /// For a command that writes: a run of its own, or the one that it is at.
    pub(super) fn recording_store(&self) -> Store {
        Store { run: self.run.clone().unwrap_or_else(|| self.new_run()), ..self.store() }
    }

    pub(super) fn new_run(&self) -> Run {
        let mut audit = self.audit.clone();
        // A repository around a program that holds its migrations says nothing about them.
        if audit.git_commit.is_none() && self.embedded.is_none() {
            audit.git_commit = crate::source::head_commit(&self.config.migrations);
        }
        Run::new(audit)
    }

    /// One run, of which the hooks are told.
    pub(super) fn told<'o>(&self, observer: &'o mut dyn Observer) -> (Migrator, Told<'o>) {
        let run = self.new_run();
        let origin = self.origin(&run);
        let own = Migrator { run: Some(run), ..self.clone() };
        let (sender, keeper) = (!self.config.hooks.each.is_empty()).then(|| keeper::begin(&own)).unzip();
        let teller = Arc::new(Teller::start(&self.config.hooks, origin, sender.as_ref()));
        (Migrator { teller: teller.clone(), ..own }, Told::new(teller, observer, keeper))
    }

    pub(super) fn origin(&self, run: &Run) -> Origin {
        Origin {
            database: self.target.display(),
            run_id: run.id.clone(),
            host: run.host.clone(),
            actor: run.audit.actor.clone(),
            git_commit: run.audit.git_commit.clone(),
            ci_url: run.audit.ci_url.clone(),
        }
    }

    pub(super) fn hook_names(&self) -> Vec<String> {
        self.config.hooks.each.iter().map(|hook| hook.name.clone()).collect()
    }

    pub(super) fn files(&self) -> Result<Vec<SourceFile>> {
        match &self.sources {
            Some(sources) => Ok(sources.to_vec()),
            None => self.folder().map(|folder| folder.files),
        }
    }

    /// The same configuration on a scratch database, with these migrations.
    pub(super) fn on_scratch(&self, database: &ScratchDatabase, sources: Arc<Vec<SourceFile>>) -> Migrator {
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

    pub(super) fn folder(&self) -> Result<Folder> {
        crate::source::load_folder(self.medium(), &self.config.migrations, self.config.layout)
    }

    pub(super) fn medium(&self) -> Medium<'_> {
        self.embedded.as_ref().map_or(Medium::Disk, Medium::Program)
    }

    /// Whether there are files at all: an image may hold the program alone.
    pub(super) fn has_files(&self) -> bool {
        self.embedded.is_some() || self.config.migrations.exists()
    }

    /// The files, each under the version that the tracking table has for it: `1` and `001` are one.
    pub(super) fn files_as(&self, rows: &[TrackedRow]) -> Result<Vec<SourceFile>> {
        Ok(history::as_tracked(self.files()?, rows))
    }

    /// Where the way back of a migration would have to be written that has none.
    pub(super) fn where_to_write_the_way_back(&self, row: &TrackedRow) -> Option<String> {
        let folder = self.folder().ok()?;
        let file = folder.files.iter().find(|file| same_version(&file.version, &row.version))?;
        folder.where_to_write_the_way_back(file)
    }

    /// The same; none where there is no folder: an image may hold the program alone.
    pub(super) fn files_where_there(&self, rows: &[TrackedRow]) -> Result<Vec<SourceFile>> {
        if self.has_files() { self.files_as(rows) } else { Ok(Vec::new()) }
    }

    /// The tracking table as it is, without the lease. Makes nothing.
    pub(super) async fn look(&self) -> Result<Vec<TrackedRow>> {
        let client = self.target.connect(APPLICATION).await?;
        let store = self.store();
        if store.exists(&client).await? { store.rows(&client).await } else { Ok(Vec::new()) }
    }
}

pub(super) fn same_version(a: &str, b: &str) -> bool {
    compare_versions(a, b) == std::cmp::Ordering::Equal
}

pub(super) fn choose<'r>(rows: &'r [TrackedRow], version: Option<&str>) -> Result<Vec<&'r TrackedRow>> {
    let Some(version) = version else { return Ok(rows.iter().collect()) };
    let found: Vec<&TrackedRow> = rows.iter().filter(|row| same_version(&row.version, version)).collect();
    if found.is_empty() {
        return Err(Error::refused(format!("migration {version} has not been run on this database"))
            .hint("`crossfade status` lists them"));
    }
    Ok(found)
}

pub(super) fn run_migration(row: &TrackedRow) -> RunMigration {
    RunMigration {
        version: row.version.clone(),
        name: row.name.clone(),
        state: row.state,
        next: next_text(row.state, &row.version),
    }
}

/// What a migration in this state waits for.
pub(super) fn next_text(state: State, version: &str) -> Option<String> {
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

pub(super) fn direction_of(request: Option<Request>) -> Direction {
    match request {
        Some(Request::Rollback) => Direction::Backward,
        Some(Request::Pause | Request::Resume | Request::Contract | Request::Purge) | None => Direction::Forward,
    }
}
