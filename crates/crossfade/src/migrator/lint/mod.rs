//! `lint`: which files are looked at, and what the rules find in them.

mod files;
mod since;
mod tracing;

use std::path::PathBuf;

use crossfade_core::catalog::Catalog;
use crossfade_core::journal::State;
use crossfade_core::lint::LintFindings;
use crossfade_core::lint::Linter;
use crossfade_core::lint::Observed;
use crossfade_core::lint::Script;
use crossfade_core::lint::read_script;
use crossfade_core::runbook::Surroundings;

use self::files::Text;
use self::since::Since;
use self::tracing::Traces;
use super::Migrator;
use super::runbook::earlier;
use super::shared::same_version;
use crate::error::Result;
use crate::postgres::lease::APPLICATION;
use crate::postgres::loads::loads;
use crate::postgres::sizes;
use crate::report::LintReport;
use crate::report::LintedFile;
use crate::scratch::ScratchPlace;

/// What `lint` is to do.
#[derive(Clone, Debug, Default)]
pub struct LintOptions {
    /// Files and folders; none: the migrations folder.
    pub paths: Vec<PathBuf>,
    /// Only what differs from this branch or commit.
    pub since: Option<String>,
    /// Whether the database is asked for sizes, types and what hangs on what; then only what is pending there is looked at.
    pub live: bool,
    /// Where the statements are traced; none: they are not.
    pub trace: Option<ScratchPlace>,
}

pub(super) async fn lint(migrator: &Migrator, options: &LintOptions) -> Result<LintReport> {
    let texts = files::texts(migrator, &options.paths)?;
    let since = options.since.as_ref().map(|name| Since::read(migrator, &options.paths, name)).transpose()?;
    let settings = &migrator.config.lint;
    let (mut linter, applied) = match options.live {
        true => {
            let Live { catalog, observed, applied } = live(migrator).await?;
            (Linter::on(settings, catalog).observed(observed), applied)
        }
        false => (Linter::new(settings), Vec::new()),
    };
    let is_applied = |text: &Text| {
        text.version.as_ref().is_some_and(|version| applied.iter().any(|applied| same_version(applied, version)))
    };
    let scripts = read_all(&texts);
    let traces = match &options.trace {
        Some(place) => Some(Traces::take(migrator, place, &texts, &scripts).await?),
        None => None,
    };
    let mut linted = Vec::new();
    for (text, script) in texts.iter().zip(scripts) {
        if is_applied(text) {
            continue;
        }
        let mut findings = if text.back {
            if !text.asked {
                continue;
            }
            linter.way_back(&text.text, &script)
        } else {
            linter.file(&text.text, &script)
        };
        if let (Some(since), true) = (&since, text.asked) {
            let Some(old) = since.text(&text.path)? else { continue };
            since::keep_new(&mut findings.found, (&text.text, &script), old.as_deref());
            since::keep_new(&mut findings.allowed, (&text.text, &script), old.as_deref());
        }
        if let Some(traces) = &traces {
            traces.witness(settings, text, &mut findings.found);
        }
        if text.asked && !settings.ignores(&text.shown()) {
            let LintFindings { found, allowed } = findings;
            linted.push(LintedFile { path: text.path.clone(), text: text.text.clone(), findings: found, allowed });
        }
    }
    Ok(LintReport::of(linted))
}

/// What the database knows.
struct Live {
    catalog: Catalog,
    observed: Observed,
    /// The versions that it has.
    applied: Vec<String>,
}

async fn live(migrator: &Migrator) -> Result<Live> {
    let client = migrator.target.connect(APPLICATION).await?;
    let store = migrator.store();
    let rows = if store.exists(&client).await? { store.rows(&client).await? } else { Vec::new() };
    let applied = rows.into_iter().filter(|row| row.state != State::RolledBack).map(|row| row.version).collect();
    let catalog = super::planning::catalog(&client, &store).await?;
    // Whoever runs the files later, the tables are in use.
    let catalog = Catalog { other_sessions: catalog.other_sessions.max(1), ..catalog };
    let samples = earlier(&client, &store).await?;
    let names = samples.iter().map(|sample| sample.table.clone()).collect();
    let tables = sizes::sizes(&client, &catalog, &names).await?;
    let around = Surroundings { tables, samples, ..Surroundings::default() };
    let observed = Observed { loads: loads(&client, &catalog).await?, around };
    Ok(Live { catalog, observed, applied })
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
