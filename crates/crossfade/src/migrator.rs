//! The front door, thin.

use crate::config::Config;
use crate::error::Error;
use crate::error::Result;
use crate::observer::Observer;
use crate::postgres::Target;
use crate::report::PlanReport;
use crate::report::RunReport;
use crate::report::StatusReport;
use crate::report::VerifyReport;
use crate::stop::Stop;

/// What `migrate` is to do.
#[derive(Clone, Debug, Default)]
pub struct MigrateOptions {
    /// Up to this version; none for all.
    pub to: Option<String>,
    /// Through contract and purge, without waiting.
    pub complete: bool,
    /// Wait for another runner to finish, instead of refusing.
    pub wait: bool,
}

/// What any command that changes something takes.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Wait for another runner to finish, instead of refusing.
    pub wait: bool,
}

/// Runs migrations of one folder against one database.
#[derive(Clone, Debug)]
pub struct Migrator {
    config: Config,
    target: Target,
}

impl Migrator {
    /// For this folder and this database. Nothing is connected yet.
    pub fn new(config: Config, target: Target) -> Migrator {
        Migrator { config, target }
    }

    /// Every migration and its state. Changes nothing, and needs no right to change anything.
    pub async fn status(&self) -> Result<StatusReport> {
        Err(Error::failed(format!("{:?}", self.config)))
    }

    /// The plans of one migration, or of all that are pending.
    pub async fn plan(&self, _version: Option<&str>) -> Result<PlanReport> {
        Err(Error::failed(format!("{:?}", self.target)))
    }

    /// Everything that is pending, each as far as is safe without a deploy.
    pub async fn migrate(&self, _options: MigrateOptions, _observer: &mut dyn Observer, _stop: &Stop) -> Result<RunReport> {
        Err(Error::failed(""))
    }

    /// After the deploy: removes the old form. Without a version: of every migration that is ready, in order.
    pub async fn contract(&self, _version: Option<&str>, _options: RunOptions, _observer: &mut dyn Observer, _stop: &Stop) -> Result<RunReport> {
        Err(Error::failed(""))
    }

    /// Undoes one migration: the given one, or the newest.
    pub async fn rollback(&self, _version: Option<&str>, _options: RunOptions, _observer: &mut dyn Observer, _stop: &Stop) -> Result<RunReport> {
        Err(Error::failed(""))
    }

    /// Drops what was retained. Without a version: of every migration that is contracted.
    pub async fn purge(&self, _version: Option<&str>, _options: RunOptions, _observer: &mut dyn Observer, _stop: &Stop) -> Result<RunReport> {
        Err(Error::failed(""))
    }

    /// Compares old and new form again. Changes nothing.
    pub async fn verify(&self, _version: Option<&str>, _observer: &mut dyn Observer, _stop: &Stop) -> Result<VerifyReport> {
        Err(Error::failed(""))
    }
}
