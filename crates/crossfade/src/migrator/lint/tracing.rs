//! `--trace`: each statement is run on a scratch server, on the schema that the files before it make, and what the server did is laid beside what the rules
//! say.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crossfade_core::lint::LintFinding;
use crossfade_core::lint::LintSettings;
use crossfade_core::lint::Script;
use crossfade_core::lint::Seen;
use crossfade_core::lint::witnessed;
use crossfade_core::sql::Span;

use super::super::Migrator;
use super::super::on_scratch::run_whole;
use super::files::Text;
use crate::error::Result;
use crate::postgres::trace::trace;
use crate::scratch::Likeness;
use crate::scratch::ScratchDatabase;
use crate::scratch::ScratchHome;
use crate::scratch::ScratchPlace;
use crate::source::FileKind;
use crate::source::SourceFile;
use crate::stop::Stop;

/// What was seen, by the file, whether it is a way back, and the statement's place.
pub(super) struct Traces(BTreeMap<(PathBuf, bool), Vec<(Span, Seen)>>);

/// A text with its statements.
type Read<'a> = (&'a Text, &'a Script);

impl Traces {
    /// Runs the statements of each text that is asked for: of a migration on the schema that the ones before it make, of a way back behind its migration, and of
    /// any other file on what all migrations make, one behind the other.
    pub async fn take(migrator: &Migrator, place: &ScratchPlace, texts: &[Text], scripts: &[Script]) -> Result<Traces> {
        let mut files = if migrator.has_files() { migrator.files()? } else { Vec::new() };
        files.retain(|file| file.kind == FileKind::Versioned);
        let home = ScratchHome::open(place, Likeness::default()).await?;
        let base = home.database().await?;
        let texts: Vec<Read<'_>> = texts.iter().zip(scripts).collect();
        let taken = each(migrator, (&home, &base), &files, &texts).await;
        let removed = base.remove().await;
        let (taken, ()) = (taken?, removed?);
        Ok(taken)
    }

    /// Lays what was seen beside what was found.
    pub fn witness(&self, settings: &LintSettings, text: &Text, findings: &mut Vec<LintFinding>) {
        if let Some(seen) = self.0.get(&(text.path.clone(), text.back)) {
            witnessed(settings, findings, seen);
        }
    }
}

async fn each(
    migrator: &Migrator,
    (home, base): (&ScratchHome, &ScratchDatabase),
    files: &[SourceFile],
    texts: &[Read<'_>],
) -> Result<Traces> {
    let mut traces = BTreeMap::new();
    for (at, file) in files.iter().enumerate() {
        let down = file.down.as_ref().map(|(path, _)| path);
        let own: Vec<Read<'_>> = texts
            .iter()
            .filter(|(text, _)| if text.back { Some(&text.path) == down } else { text.path == file.path })
            .copied()
            .collect();
        if own.iter().any(|(text, _)| text.asked) {
            if at > 0 {
                run_whole(migrator, home, base, &files[..at], &Stop::default()).await?;
            }
            on_a_copy((home, base), &own, &mut traces).await?;
        }
    }
    let of_the_folder = |text: &Text| text.back || files.iter().any(|file| file.path == text.path);
    let others: Vec<Read<'_>> = texts.iter().filter(|(text, _)| text.asked && !of_the_folder(text)).copied().collect();
    if !others.is_empty() {
        if !files.is_empty() {
            run_whole(migrator, home, base, files, &Stop::default()).await?;
        }
        on_a_copy((home, base), &others, &mut traces).await?;
    }
    Ok(Traces(traces))
}

/// Runs texts one behind the other; what stands behind a failure of a migration's own is not run.
async fn on_a_copy(
    (home, base): (&ScratchHome, &ScratchDatabase),
    texts: &[Read<'_>],
    traces: &mut BTreeMap<(PathBuf, bool), Vec<(Span, Seen)>>,
) -> Result<()> {
    let copy = home.copy_of(base).await?;
    let mut failed = false;
    let mut done = Ok(());
    for (text, script) in texts {
        if text.back && failed {
            break;
        }
        let spans: Vec<Span> = script.statements().collect();
        match of_file(&copy, &text.text, &spans).await {
            Ok(seen) => {
                failed = seen.iter().any(|(_, seen)| seen.failed.is_some());
                traces.insert((text.path.clone(), text.back), seen);
            }
            Err(error) => {
                done = Err(error);
                break;
            }
        }
    }
    let removed = copy.remove().await;
    done.and(removed)
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
