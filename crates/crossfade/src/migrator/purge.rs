//! `purge`: what was retained goes.

use crossfade_core::journal::Request;
use crossfade_core::journal::State;

use super::Migrator;
use super::RunOptions;
use super::session::Session;
use super::shared::choose;
use super::shared::run_migration;
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
        return Ok(RunReport { format: REPORT_FORMAT, migrations: chosen.into_iter().map(run_migration).collect() });
    }
    let mut done = Vec::new();
    for row in due {
        done.push(session.go_on(row, Some(Request::Purge)).await?);
    }
    Ok(RunReport { format: REPORT_FORMAT, migrations: done })
}
