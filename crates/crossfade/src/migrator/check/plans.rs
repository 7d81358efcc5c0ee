//! How new files would run: each is planned on a scratch database on which what comes before it was run, with a session open as an application's would be.

use std::sync::Arc;

use crossfade_core::finding::Finding;

use super::super::Migrator;
use super::super::on_scratch::run_whole;
use super::super::on_scratch::with_missing_roles;
use super::compare::Found;
use crate::error::Error;
use crate::error::Result;
use crate::observer::Notice;
use crate::observer::Observer;
use crate::report::CheckedPlan;
use crate::scratch::Likeness;
use crate::scratch::ScratchDatabase;
use crate::scratch::ScratchHome;
use crate::scratch::ScratchPlace;
use crate::source::FileKind;
use crate::source::SourceFile;
use crate::stop::Stop;

pub(super) async fn plan(
    migrator: &Migrator,
    place: &ScratchPlace,
    files: &[SourceFile],
    new: &[String],
    found: &mut Found,
    (observer, stop): (&mut dyn Observer, &Stop),
) -> Result<Vec<CheckedPlan>> {
    let home = ScratchHome::open(place, Likeness::default()).await?;
    observer.notice(Notice::Info { text: format!("planning on {}", home.describe()) });
    let database = home.database().await?;
    let planned = each(migrator, (&home, &database), files, new, found, stop).await;
    let removed = database.remove().await;
    let (planned, ()) = (planned?, removed?);
    Ok(planned)
}

async fn each(
    migrator: &Migrator,
    (home, database): (&ScratchHome, &ScratchDatabase),
    files: &[SourceFile],
    new: &[String],
    found: &mut Found,
    stop: &Stop,
) -> Result<Vec<CheckedPlan>> {
    let mut planned = Vec::new();
    let versioned = files.iter().enumerate().filter(|(_, file)| file.kind == FileKind::Versioned);
    let pending: Vec<usize> = versioned.filter(|(_, file)| new.contains(&file.version)).map(|(at, _)| at).collect();
    for at in pending {
        let Some(file) = files.get(at) else { continue };
        if at > 0
            && let Err(error) = run_whole(migrator, home, database, &files[..at], stop).await
        {
            blame(&error, files.get(at - 1).unwrap_or(file), found);
            return Ok(planned);
        }
        let own = migrator.on_scratch(database, Arc::new(files[..=at].to_vec()));
        let company = database.target().connect("an application").await?;
        let plan = with_missing_roles(home, async || own.plan(Some(&file.version)).await).await;
        drop(company);
        match plan {
            Ok(report) => {
                for plan in report.plans.iter().filter(|plan| plan.version == file.version) {
                    found.put(&file.path, file.text.trim_start_matches('\u{feff}'), plan.findings.clone());
                    planned.push(CheckedPlan {
                        version: plan.version.clone(),
                        name: plan.name.clone(),
                        phased: plan.is_phased(),
                        steps: plan.steps.iter().map(|step| step.summary.clone()).collect(),
                    });
                }
            }
            Err(error) => {
                blame(&error, file, found);
                return Ok(planned);
            }
        }
    }
    if let (false, Some(last)) = (new.is_empty(), files.last())
        && let Err(error) = run_whole(migrator, home, database, files, stop).await
    {
        blame(&error, last, found);
    }
    Ok(planned)
}

/// A failure as findings: its own ones, else one about the file.
fn blame(error: &Error, file: &SourceFile, found: &mut Found) {
    if error.findings().is_empty() {
        let finding = Finding::error("fails", None, error.chain());
        found.put(&file.path, &file.text, [Finding { help: error.hint_text().map(str::to_owned), ..finding }]);
    }
    for file in error.findings() {
        found.put(&file.path, &file.text, file.findings.clone());
    }
}
