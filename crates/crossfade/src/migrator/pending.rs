//! `migrate`: which files are pending, and all of them in their order.

use crossfade_core::journal::State;

use super::MigrateOptions;
use super::Migrator;
use super::history;
use super::session::Session;
use super::shared::run_migration;
use super::shared::same_version;
use super::tolerance;
use crate::config::OutOfOrder;
use crate::error::Error;
use crate::error::Result;
use crate::observer::Notice;
use crate::observer::Observer;
use crate::postgres::store::TrackedRow;
use crate::report::REPORT_FORMAT;
use crate::report::RunMigration;
use crate::report::RunReport;
use crate::source::FileKind;
use crate::source::SourceFile;
use crate::source::compare_versions;
use crate::stop::Stop;

impl Migrator {
    pub(super) async fn run_pending(
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

    pub(super) fn with_workers(&self, workers: usize) -> Migrator {
        let mut own = self.clone();
        own.config.backfill.workers = workers.clamp(1, crate::config::MOST_WORKERS);
        own
    }

    /// The files up to a version; what is repeatable only with all of them.
    pub(super) fn up_to<'f>(&self, files: &'f [SourceFile], to: Option<&str>) -> Result<Vec<&'f SourceFile>> {
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
}

/// Whether `migrate` has anything to do for a file.
pub(super) fn needs_work(file: &SourceFile, row: Option<&TrackedRow>, complete: bool) -> bool {
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
pub(super) async fn run_each(
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
