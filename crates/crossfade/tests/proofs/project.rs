//! A folder with migrations and the commands on it, as the command line gives them.

use std::path::Path;
use std::time::Duration;

use crossfade::Config;
use crossfade::ContractOptions;
use crossfade::Error;
use crossfade::MigrateOptions;
use crossfade::Migrator;
use crossfade::RunOptions;
use crossfade::Stop;
use crossfade::Target;
use crossfade::config::Blocks;
use crossfade::observer::Notice;
use crossfade::observer::Observer;
use crossfade::report::MigrationStatus;
use crossfade_core::journal::State;

use crate::server::Database;

/// A folder of migrations for one database.
pub struct Project {
    folder: tempfile::TempDir,
    pub migrator: Migrator,
}

/// What a command ended in, as text where it failed.
pub type Outcome = Result<Option<State>, String>;

impl Project {
    pub fn new(database: &Database, files: &[(&str, &str)]) -> Project {
        Project::with(database, files, |_| {})
    }

    /// With a configuration of its own.
    pub fn with(database: &Database, files: &[(&str, &str)], configure: impl FnOnce(&mut Config)) -> Project {
        Project::on(database.target(), files, configure)
    }

    /// For a database that is reached in a way of its own.
    pub fn on(target: Target, files: &[(&str, &str)], configure: impl FnOnce(&mut Config)) -> Project {
        let folder = tempfile::tempdir().expect("a folder is made");
        let mut config = Config { migrations: folder.path().to_owned(), ..Config::default() };
        config.locks.budget = Duration::from_secs(20);
        config.backfill.duty = 1.0;
        // Whether it may is a proof of its own.
        config.contract.quiet_for = Duration::ZERO;
        config.contract.old_sessions = Blocks::Warn;
        configure(&mut config);
        let migrator = Migrator::new(config, target);
        let project = Project { folder, migrator };
        for (name, text) in files {
            project.write(name, text);
        }
        project
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).expect("a file is written");
    }

    /// The state of the newest migration.
    pub async fn state(&self) -> State {
        self.newest().await.state
    }

    /// How far the newest migration has come.
    pub async fn place(&self) -> String {
        let newest = self.newest().await;
        format!("{:?} {:?} {:?}", newest.state, newest.step, newest.progress)
    }

    async fn newest(&self) -> MigrationStatus {
        let status = self.migrator.status().await.expect("the status can be read");
        status.migrations.into_iter().last().expect("there is a migration")
    }
}

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Migrate,
    Contract,
    Purge,
    Rollback,
}

impl Command {
    /// Runs it. Returns the state of the last migration that it worked on.
    pub async fn on(self, migrator: &Migrator) -> Outcome {
        self.watched(migrator, &mut Watch::default()).await.map_err(|error| said(&error))
    }

    pub async fn watched(self, migrator: &Migrator, observer: &mut dyn Observer) -> Result<Option<State>, Error> {
        let stop = Stop::default();
        let report = match self {
            Command::Migrate => migrator.migrate(MigrateOptions::default(), observer, &stop).await,
            Command::Contract => migrator.contract(None, &ContractOptions::default(), observer, &stop).await,
            Command::Purge => migrator.purge(None, RunOptions::default(), observer, &stop).await,
            Command::Rollback => migrator.rollback(None, RunOptions::default(), observer, &stop).await,
        };
        report.map(|report| report.migrations.last().map(|migration| migration.state))
    }
}

/// An error with all that it shows.
pub fn said(error: &Error) -> String {
    let findings: Vec<String> = error
        .findings()
        .iter()
        .flat_map(|file| file.findings.iter().map(|finding| format!("[{}] {}", finding.rule, finding.message)))
        .collect();
    format!("{} {} {}", error.chain(), findings.join("; "), error.hint_text().unwrap_or_default())
}

/// Keeps every notice.
#[derive(Debug, Default)]
pub struct Watch {
    pub notices: Vec<Notice>,
}

impl Observer for Watch {
    fn notice(&mut self, notice: Notice) {
        self.notices.push(notice);
    }
}
