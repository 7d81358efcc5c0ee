//! An application that migrates when it starts.

use std::time::Duration;
use std::time::Instant;

use crossfade_core::units::show_duration;

use super::MigrateOptions;
use super::Migrator;
use super::Readiness;
use crate::error::Error;
use crate::error::Result;
use crate::observer::Notice;
use crate::observer::Observer;
use crate::report::REPORT_FORMAT;
use crate::report::RunReport;
use crate::stop::Stop;

/// What [`Migrator::start`] is to do. The defaults suit an application of which several copies start at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartOptions {
    /// How long to wait for the database to answer.
    pub wait_for_database: Duration,
    /// How long all of it may take: the wait for the database, the wait for another copy that migrates already, and the work.
    pub timeout: Duration,
    /// Up to this version; none for all.
    pub to: Option<String>,
}

impl Default for StartOptions {
    /// A minute for the database, ten for all.
    fn default() -> StartOptions {
        StartOptions { wait_for_database: Duration::from_secs(60), timeout: Duration::from_secs(600), to: None }
    }
}

impl Migrator {
    /// For an application that migrates when it starts: waits for the database, and then runs what is pending, each migration as far as is safe while the
    /// copies of before are still at work. Where nothing is to be done, no lease is asked for, so any number of copies may start at once; where something is,
    /// one of them does it, and the others wait for it.
    ///
    /// A schema that is newer than this program is left as it is: an image that was rolled back starts.
    ///
    /// When the time is over, the work stops at its next safe point. What is done stays, and the next start goes on there.
    ///
    /// # Errors
    ///
    /// When the database does not answer in time, a migration is refused or fails, the time is over, or it is stopped.
    pub async fn start(&self, options: &StartOptions, observer: &mut dyn Observer, stop: &Stop) -> Result<RunReport> {
        let begun = Instant::now();
        self.wait_for_database(options.wait_for_database.min(options.timeout), observer, stop).await?;
        if let Some(newest) = self.versions()?.last()
            && let Readiness::Ahead { at } = self.is_at_least(newest).await?
        {
            let text = format!("the schema is at {at}, and this program ends at {newest}: nothing is run");
            observer.notice(Notice::Info { text });
            return Ok(RunReport { format: REPORT_FORMAT, migrations: Vec::new() });
        }
        let own = Stop::default();
        let left = options.timeout.saturating_sub(begun.elapsed());
        let migrate = MigrateOptions { to: options.to.clone(), wait: true, ..MigrateOptions::default() };
        let mut work = Box::pin(self.migrate(migrate, observer, &own));
        let is_late = tokio::select! {
            done = &mut work => return done,
            () = stop.requested() => false,
            () = tokio::time::sleep(left) => true,
        };
        own.request();
        work.await.map_err(|error| {
            if is_late {
                Error::failed(format!("the migrations were not done within {}", show_duration(options.timeout)))
                    .hint("what is done stays, and the next start goes on there; `StartOptions::timeout` gives it more time")
                    .caused_by(error)
            } else {
                error
            }
        })
    }
}
