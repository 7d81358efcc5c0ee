//! `--trace`: each statement is run on a scratch server, on the schema that the files before it make, and what the server did is laid beside what the rules
//! say.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crossfade_core::lint::LintFinding;
use crossfade_core::lint::LintSettings;
use crossfade_core::lint::Seen;
use crossfade_core::lint::witnessed;
use crossfade_core::sql::Span;

use super::super::Migrator;
use super::super::on_scratch::run_whole;
use crate::error::Error;
use crate::error::Result;
use crate::postgres::trace::trace;
use crate::scratch::Likeness;
use crate::scratch::ScratchDatabase;
use crate::scratch::ScratchHome;
use crate::scratch::ScratchPlace;
use crate::source::FileKind;
use crate::source::SourceFile;
use crate::stop::Stop;

/// What was seen, by the file and the statement's place.
pub(super) struct Traces(BTreeMap<PathBuf, Vec<(Span, Seen)>>);

impl Traces {
    /// Runs the statements of each file that is asked for.
    pub async fn take(
        migrator: &Migrator,
        place: &ScratchPlace,
        asked: &BTreeMap<PathBuf, Vec<Span>>,
    ) -> Result<Traces> {
        let mut files = migrator.files()?;
        files.retain(|file| file.kind == FileKind::Versioned);
        if let Some(path) = asked.keys().find(|path| !files.iter().any(|file| file.path == **path)) {
            return Err(Error::usage(format!(
                "{} is no migration of the folder, so there is nothing to run it on",
                path.display()
            ))
            .hint("lint it without --trace, or put it into the folder"));
        }
        let home = ScratchHome::open(place, Likeness::default()).await?;
        let base = home.database().await?;
        let taken = each(migrator, (&home, &base), &files, asked).await;
        let removed = base.remove().await;
        let (taken, ()) = (taken?, removed?);
        Ok(taken)
    }

    /// Lays what was seen beside what was found.
    pub fn witness(&self, settings: &LintSettings, path: &PathBuf, findings: &mut Vec<LintFinding>) {
        if let Some(seen) = self.0.get(path) {
            witnessed(settings, findings, seen);
        }
    }
}

async fn each(
    migrator: &Migrator,
    (home, base): (&ScratchHome, &ScratchDatabase),
    files: &[SourceFile],
    asked: &BTreeMap<PathBuf, Vec<Span>>,
) -> Result<Traces> {
    let mut traces = BTreeMap::new();
    for (at, file) in files.iter().enumerate() {
        let Some(spans) = asked.get(&file.path) else { continue };
        if at > 0 {
            run_whole(migrator, home, base, &files[..at], &Stop::default()).await?;
        }
        let copy = home.copy_of(base).await?;
        let done = of_file(&copy, file.text.trim_start_matches('\u{feff}'), spans).await;
        let removed = copy.remove().await;
        let (done, ()) = (done?, removed?);
        traces.insert(file.path.clone(), done);
    }
    Ok(Traces(traces))
}

async fn of_file(database: &ScratchDatabase, text: &str, spans: &[Span]) -> Result<Vec<(Span, Seen)>> {
    let client = database.target().connect("trace").await?;
    let beside = database.target().connect("trace").await?;
    let mut seen = Vec::new();
    for span in spans {
        let traced = trace(&client, &beside, &[span.of(text)], true).await?;
        let failed = traced.failed.is_some();
        let strongest = traced.locks.iter().max_by_key(|(_, mode)| **mode);
        seen.push((
            *span,
            Seen {
                lock: strongest.map(|(table, mode)| (table.clone(), *mode)),
                rewritten: traced.rewritten,
                scanned: traced.scanned,
                outside: traced.outside,
                failed: traced.failed,
            },
        ));
        if failed {
            break;
        }
    }
    Ok(seen)
}
