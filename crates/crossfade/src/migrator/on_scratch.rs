//! Migrations on a scratch database.

use std::sync::Arc;

use super::MigrateOptions;
use super::Migrator;
use crate::error::Error;
use crate::error::Result;
use crate::observer::Unobserved;
use crate::scratch::ScratchDatabase;
use crate::scratch::ScratchHome;
use crate::source::SourceFile;
use crate::stop::Stop;

/// Runs files to their ends. On what the run has made itself they run at once.
pub(super) async fn run_whole(
    migrator: &Migrator,
    home: &ScratchHome,
    database: &ScratchDatabase,
    files: &[SourceFile],
    stop: &Stop,
) -> Result<()> {
    let own = migrator.on_scratch(database, Arc::new(files.to_vec()));
    let options = || MigrateOptions { complete: true, ..MigrateOptions::default() };
    let done = with_missing_roles(home, async || own.migrate(options(), &mut Unobserved, stop).await).await;
    done.map(|_| ()).map_err(cannot_be_run)
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

/// An error, with the findings that it is about, on one line.
pub(super) fn in_full(error: &Error) -> String {
    let findings = error.findings().iter().flat_map(|file| &file.findings).filter(|finding| finding.is_error());
    let found: String = findings.map(|finding| format!("; {}: {}", finding.rule, finding.message)).collect();
    format!("{}{found}", error.chain())
}
