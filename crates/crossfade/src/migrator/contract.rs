//! `contract`: the old form goes out of use, once it is proven that nobody uses it, or somebody answers for it.

use crossfade_core::journal::Request;
use crossfade_core::journal::State;

use super::Migrator;
use super::session::Session;
use super::shared::choose;
use super::shared::run_migration;
use crate::error::Error;
use crate::error::Result;
use crate::observer::Notice;
use crate::observer::Observer;
use crate::postgres::store::TrackedRow;
use crate::report::REPORT_FORMAT;
use crate::report::RunReport;
use crate::stop::Stop;
use crate::usage::refused;

/// What `contract` is to do.
#[derive(Clone, Debug, Default)]
pub struct ContractOptions {
    /// Wait for another runner to finish, instead of refusing.
    pub wait: bool,
    /// Go on where the old form is not proven to be out of use, for this reason, which is kept in the journal.
    pub force: Option<String>,
}

pub(super) async fn run(
    migrator: &Migrator,
    version: Option<&str>,
    options: &ContractOptions,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<RunReport> {
    let mut session = Session::open_existing(migrator, options.wait, observer, stop).await?;
    let rows = session.rows().await?;
    let chosen = choose(&rows, version)?;
    let unfinished = |state| matches!(state, State::Expanding | State::Migrating | State::Failed);
    let due: Vec<&TrackedRow> =
        chosen.iter().copied().filter(|row| matches!(row.state, State::Ready | State::Contracting)).collect();
    // A failure in the middle of contract is taken up again here, too.
    let mut failed_contracts = Vec::new();
    for row in chosen.iter().copied().filter(|row| row.state == State::Failed) {
        if session.contract_has_begun(row).await? {
            failed_contracts.push(row);
        }
    }
    let due: Vec<&TrackedRow> = rows
        .iter()
        .filter(|row| due.iter().chain(&failed_contracts).any(|chosen| chosen.version == row.version))
        .collect();
    if due.is_empty() {
        if let Some(row) = chosen.iter().find(|row| unfinished(row.state) || row.state == State::RollingBack) {
            let why =
                if row.state == State::RollingBack { "is being rolled back" } else { "is not filled and verified yet" };
            return Err(Error::refused(format!("migration {} {} {why} ({})", row.version, row.name, row.state.name()))
                .hint("`crossfade migrate` goes on with it; contract comes after that"));
        }
        session.observer.notice(Notice::Info { text: "nothing waits for contract".to_owned() });
        return Ok(RunReport { format: REPORT_FORMAT, migrations: chosen.into_iter().map(run_migration).collect() });
    }
    let mut done = Vec::new();
    for row in due {
        session.refuse_out_of_order(row, &rows).await?;
        if row.state == State::Ready {
            ask(&mut session, row, options.force.as_deref()).await?;
        }
        done.push(session.go_on(row, Some(Request::Contract)).await?);
    }
    Ok(RunReport { format: REPORT_FORMAT, migrations: done })
}

/// Whether the old form is out of use.
async fn ask(session: &mut Session<'_>, row: &TrackedRow, force: Option<&str>) -> Result<()> {
    let usage = session.usage(row).await?;
    for unseen in &usage.unseen {
        session.observer.notice(Notice::Info { text: format!("it can't be seen {unseen}") });
    }
    match (usage.reasons.as_slice(), force) {
        ([], _) => {}
        (_, None) => return Err(refused(&usage)),
        (reasons, Some(force)) => {
            session.observer.notice(Notice::Info { text: format!("forced ({force}), in spite of:") });
            for reason in reasons {
                session.observer.notice(Notice::Info { text: format!("  {reason}") });
            }
        }
    }
    session.because = force.map(|force| match usage.reasons.as_slice() {
        [] => force.to_owned(),
        reasons => format!("{force} (forced, in spite of: {})", reasons.join("; ")),
    });
    Ok(())
}
