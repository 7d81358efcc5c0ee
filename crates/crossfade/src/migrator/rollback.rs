//! `rollback`: one migration is undone.

use crossfade_core::journal::State;

use super::Migrator;
use super::RunOptions;
use super::history;
use super::session::Session;
use super::shared::choose;
use crate::error::Error;
use crate::error::Result;
use crate::observer::Notice;
use crate::observer::Observer;
use crate::report::REPORT_FORMAT;
use crate::report::RunReport;
use crate::stop::Stop;

pub(super) async fn run(
    migrator: &Migrator,
    version: Option<&str>,
    options: RunOptions,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<RunReport> {
    let mut session = Session::open_existing(migrator, options.wait, observer, stop).await?;
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
    let files = migrator.files_where_there(&rows)?;
    let done = session.undo(row, &rows, &files).await?;
    Ok(RunReport { format: REPORT_FORMAT, migrations: vec![done] })
}
