//! `lint`: which files are looked at, and what the rules find in them.

mod files;
mod since;

use std::path::PathBuf;

use crossfade_core::lint::Linter;
use crossfade_core::lint::Script;
use crossfade_core::lint::read_script;

use self::files::Text;
use self::since::Since;
use super::Migrator;
use crate::error::Result;
use crate::report::LintReport;
use crate::report::LintedFile;

/// What `lint` is to do.
#[derive(Clone, Debug, Default)]
pub struct LintOptions {
    /// Files and folders; none: the migrations folder.
    pub paths: Vec<PathBuf>,
    /// Only what differs from this branch or commit.
    pub since: Option<String>,
}

pub(super) async fn lint(migrator: &Migrator, options: &LintOptions) -> Result<LintReport> {
    let texts = files::texts(migrator, &options.paths)?;
    let since = options.since.as_ref().map(|name| Since::read(migrator, &options.paths, name)).transpose()?;
    let settings = &migrator.config.lint;
    let mut linter = Linter::new(settings);
    let mut linted = Vec::new();
    for (text, script) in texts.iter().zip(read_all(&texts)) {
        let mut findings = linter.file(&text.text, &script);
        if let (Some(since), true) = (&since, text.asked) {
            let Some(old) = since.text(&text.path)? else { continue };
            since::keep_new(&mut findings, (&text.text, &script), old.as_deref());
        }
        let path = text.path.strip_prefix(".").unwrap_or(&text.path).display().to_string();
        if text.asked && !settings.ignores(&path) {
            linted.push(LintedFile { path: text.path.clone(), text: text.text.clone(), findings });
        }
    }
    Ok(LintReport::of(linted))
}

/// Reads the texts on all cores; what they do to one another is told afterwards, one after the other.
fn read_all(texts: &[Text]) -> Vec<Script> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let share = texts.len().div_ceil(workers).max(1);
    let read = |texts: &[Text]| texts.iter().map(|text| read_script(&text.text)).collect::<Vec<_>>();
    if texts.len() < 2 * workers {
        return read(texts);
    }
    std::thread::scope(|scope| {
        let shares: Vec<_> = texts.chunks(share).map(|texts| scope.spawn(move || read(texts))).collect();
        shares.into_iter().flat_map(|share| share.join().expect("the parser returns its errors")).collect()
    })
}
