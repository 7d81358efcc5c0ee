//! Migrations on a scratch database.

use std::sync::Arc;

use crossfade_core::journal::State;

use super::MigrateOptions;
use super::Migrator;
use super::same_version;
use crate::error::Error;
use crate::error::Result;
use crate::observer::Unobserved;
use crate::scratch::ScratchDatabase;
use crate::scratch::ScratchHome;
use crate::source::FileKind;
use crate::source::SourceFile;
use crate::stop::Stop;

/// Runs files to their ends. On tables that nobody uses they run at once. What can't be done in that way (it stands there for rows, or is in a file with
/// something that waits) is run as it was on the live database: on tables that somebody uses.
pub(super) async fn run_whole(
    migrator: &Migrator,
    home: &ScratchHome,
    database: &ScratchDatabase,
    files: &[SourceFile],
    stop: &Stop,
) -> Result<()> {
    let own = migrator.on_scratch(database, Arc::new(files.to_vec()));
    let mut in_company: Option<String> = None;
    loop {
        let options = || MigrateOptions { complete: true, ..MigrateOptions::default() };
        let at_once = with_missing_roles(home, async || own.migrate(options(), &mut Unobserved, stop).await).await;
        let Err(error) = at_once else { return Ok(()) };
        let rows = own.look().await?;
        let is_applied = |file: &SourceFile| {
            let row = rows.iter().find(|row| same_version(&row.version, &file.version));
            row.is_some_and(|row| row.state == State::Applied)
        };
        let failed = files.iter().find(|file| file.kind != FileKind::Repeatable && !is_applied(file));
        let failed = failed.map(|file| file.version.clone()).filter(|_| !stop.is_requested());
        if failed.is_none() || failed == in_company {
            return Err(cannot_be_run(error));
        }
        in_company.clone_from(&failed);
        let company = database.target().connect("an application").await?;
        let options = || MigrateOptions { complete: true, to: failed.clone(), ..MigrateOptions::default() };
        let phased = with_missing_roles(home, async || own.migrate(options(), &mut Unobserved, stop).await).await;
        drop(company);
        if phased.is_err() {
            return Err(cannot_be_run(error));
        }
    }
}

fn cannot_be_run(error: Error) -> Error {
    let findings = error.findings().to_vec();
    Error::failed("the applied migrations can't be run on an empty database")
        .hint("what they need beside themselves (extensions, settings, objects that no migration made) must be there: `crossfade baseline` takes in what was there first, `--scratch-url` names a server that has the rest")
        .with_findings(findings)
        .caused_by(error)
}

/// Tries again with a role that a migration names and the private server lacks.
pub(super) async fn with_missing_roles<T>(home: &ScratchHome, work: impl AsyncFn() -> Result<T>) -> Result<T> {
    let mut made: Vec<String> = Vec::new();
    loop {
        let error = match work().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let said = error.server_message();
        let role = said.split_once("role \"").and_then(|(_, rest)| rest.split_once("\" does not exist"));
        match role {
            Some((role, _)) if !made.iter().any(|made| made == role) && home.make_missing_role(role).await? => {
                made.push(role.to_owned());
            }
            Some(_) | None => return Err(error),
        }
    }
}
