//! `rehearse`: a migration goes its whole way, there and back, on a scratch database that is like the real one, while both versions of the application
//! run.
//!
//! `scene` makes the schema, `rows` fills it, `queries` says what the applications run, `fleet` runs them, `way` is what happens, `locks` and `image` look on.
//!
//! What is measured is honest in one direction only: a scratch server does not wait for its disk.

mod fleet;
mod image;
mod locks;
mod queries;
mod rows;
mod scene;
mod stats;
mod tables;
mod way;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crossfade_core::catalog::Catalog;
use crossfade_core::catalog::Table;
use crossfade_core::journal::State;
use crossfade_core::migration::Migration;
use crossfade_core::runbook::Subject;
use crossfade_core::runbook::runbook as of_plan;
use crossfade_core::sql::TableName;
use crossfade_core::step::Plan;
use tokio_postgres::Client;

use self::fleet::Effect;
use self::fleet::Fleet;
use self::fleet::Side;
use self::locks::LockWatch;
use self::queries::Desk;
use self::queries::Script;
use self::rows::Filled;
use self::rows::Kitchen;
use self::rows::Place;
use self::rows::Recipe;
use self::rows::Statistics;
use self::scene::Real;
use self::scene::Scene;
use self::tables::casts;
use self::tables::pair;
use self::tables::same_columns;
use self::tables::touched;
use self::tables::with_parents;
use self::way::Found;
use self::way::Walk;
use super::MigrateOptions;
use super::Migrator;
use super::on_scratch::with_missing_roles;
use super::planning::catalog;
use super::preview::preview;
use super::runbook::surroundings_of;
use super::shared::same_version;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::error::Result;
use crate::hooks::announce_failed_rehearsal;
use crate::observer::Notice;
use crate::observer::Observer;
use crate::observer::Unobserved;
use crate::postgres::lease::APPLICATION;
use crate::report::REPORT_FORMAT;
use crate::report::RehearsalReport;
use crate::report::RehearsedStep;
use crate::report::RehearsedTable;
use crate::schema;
use crate::scratch::ScratchDatabase;
use crate::scratch::ScratchPlace;
use crate::stop::Stop;

/// Rows of a table at the most, where nothing else is said and there is a real database.
const MOST_ROWS: u64 = 100_000;

/// Rows of a table, where there is none.
const USUAL_ROWS: u64 = 10_000;

/// Rows of a table that has nothing to do with the migration.
const ROWS_BESIDE: u64 = 1_000;

/// What `rehearse` is to do.
#[derive(Clone, Debug)]
pub struct RehearseOptions {
    /// The migration; none: the first that is pending, or without a database the last of all.
    pub version: Option<String>,
    /// Where the schema is from.
    pub source: RehearseSource,
    /// Where it is rehearsed.
    pub scratch: ScratchPlace,
    /// How many rows are made up.
    pub rows: RowsWanted,
    /// The queries of the old version, and the file that they are from. Without them those that `pg_stat_statements` has, else made up ones.
    pub old_queries: Option<(PathBuf, String)>,
    /// The queries of the new version. Without them made up ones.
    pub new_queries: Option<(PathBuf, String)>,
    /// Whether values that the statistics hold may leave the database.
    pub with_data: bool,
    /// How long the parts are that only wait for something.
    pub hold: Duration,
}

/// Where the schema of a rehearsal is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RehearseSource {
    /// The database.
    Database,
    /// The migrations in front of the one that is rehearsed. No database is connected to.
    Migrations,
}

/// How many rows are made up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum RowsWanted {
    /// As many as there are, but not many.
    #[default]
    Usual,
    /// As many as there are, but no more than so many in a table.
    AtMost(u64),
    /// So many times as many as there are.
    Share(f64),
}

pub(super) async fn rehearse(
    migrator: &Migrator,
    options: &RehearseOptions,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<RehearsalReport> {
    let result = whole(migrator, options, observer, stop).await;
    // Whatever was under way says that it can go on from there, and here it can't.
    result.map_err(|error| if stop.is_requested() { stopped() } else { error })
}

fn stopped() -> Error {
    Error::failed("stopped before the rehearsal was over")
        .hint("what was made for it is removed; the database was only read")
}

async fn whole(
    migrator: &Migrator,
    options: &RehearseOptions,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<RehearsalReport> {
    let mut scene = Scene::set(migrator, options, observer, stop).await?;
    let own = migrator.on_scratch(&scene.base, scene.files.clone());
    let planned = first_look(&own, &scene.file.version).await?;
    let before = own.catalog_there().await?;
    let after_base = run_on_copy(migrator, &scene, stop).await?;
    let after = migrator.on_scratch(&after_base, scene.files.clone());
    let result = prepared(migrator, options, &mut scene, own, planned, before, &after, observer, stop).await;
    let removed = after_base.remove().await;
    let mut report = result?;
    removed?;
    report.notes.splice(0..0, std::mem::take(&mut scene.notes));
    scene.base.remove().await?;
    Ok(report)
}

/// Tells the hooks of a rehearsal that failed. What was refused, or stopped by a person, is no news.
pub(super) async fn tell(
    migrator: &Migrator,
    options: &RehearseOptions,
    result: &Result<RehearsalReport>,
    observer: &mut dyn Observer,
    stop: &Stop,
) {
    let (version, name, problems) = match result {
        Ok(report) => (Some(report.version.clone()), Some(report.name.clone()), report.problems.clone()),
        Err(error) if error.kind() == ErrorKind::Failed && !stop.is_requested() => {
            (options.version.clone(), None, vec![error.chain()])
        }
        Err(_) => return,
    };
    if problems.is_empty() {
        return;
    }
    let origin = migrator.origin(&migrator.new_run());
    for notice in announce_failed_rehearsal(&migrator.config.hooks, origin, (version, name), problems).await {
        observer.notice(notice);
    }
}

impl Migrator {
    async fn catalog_there(&self) -> Result<Catalog> {
        let client = self.target.connect(APPLICATION).await?;
        catalog(&client, &self.store()).await
    }
}

/// The plan on the empty tables, for what it touches. A file that is refused ends the rehearsal before it begins.
async fn first_look(own: &Migrator, version: &str) -> Result<Plan> {
    // Tables count as used, as they are in a real database.
    let _application = own.target.connect("an application").await?;
    let seen = preview(own, &[version.to_owned()]).await?;
    if let Some(refused) = seen.refused {
        return Err(refused);
    }
    let plan = seen.planned.into_iter().map(|planned| planned.plan).next();
    plan.ok_or_else(|| Error::failed(format!("migration {version} can't be planned on the scratch database")))
}

/// A copy on which the migration has run to its end: what the new version of the application knows.
async fn run_on_copy(migrator: &Migrator, scene: &Scene, stop: &Stop) -> Result<ScratchDatabase> {
    let copy = scene.home.copy_of(&scene.base).await?;
    let own = migrator.on_scratch(&copy, scene.files.clone());
    let options =
        || MigrateOptions { complete: true, to: Some(scene.file.version.clone()), ..MigrateOptions::default() };
    with_missing_roles(&scene.home, async || own.migrate(options(), &mut Unobserved, stop).await).await?;
    Ok(copy)
}

#[expect(
    clippy::too_many_arguments,
    reason = "it is one function cut in two, so that what is between is removed whatever happens"
)]
async fn prepared(
    migrator: &Migrator,
    options: &RehearseOptions,
    scene: &mut Scene,
    own: Migrator,
    planned: Plan,
    before: Catalog,
    after: &Migrator,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<RehearsalReport> {
    let base = own.target.connect(APPLICATION).await?;
    let beyond = after.target.connect(APPLICATION).await?;
    let then = catalog(&beyond, &after.store()).await?;
    let touched = touched(&planned, &before, &then);
    let statistics = match &scene.real {
        Some(real) => rows::statistics(&real.client, options.with_data).await?,
        None => BTreeMap::new(),
    };
    observer.notice(Notice::Info { text: "making up rows".to_owned() });
    let sown = fill(options, scene.real.as_ref(), &before, &then, &touched, &statistics, (&base, &beyond)).await?;
    let (mut old_tables, mut new_tables) = pair(&before, &then, &touched);
    let recipes: BTreeMap<TableName, Recipe> =
        sown.iter().filter_map(|filled| Some((filled.table.clone(), filled.recipe.clone()?))).collect();
    let new_recipes = new_recipes(&then, &statistics, &beyond).await?;
    let old_desk = Desk {
        side: Side::Old,
        catalog: &before,
        other: &then,
        tables: &old_tables,
        recipes: &recipes,
        here: &base,
        has_rows: true,
        base: &base,
        based: &old_tables,
    };
    let new_desk = Desk {
        side: Side::New,
        catalog: &then,
        other: &before,
        tables: &new_tables,
        recipes: &new_recipes,
        here: &beyond,
        has_rows: false,
        ..old_desk
    };
    let old = old_script(options, &old_desk, scene.real.as_ref(), &touched).await?;
    let new = match &options.new_queries {
        Some((path, text)) => new_desk.given(path, text).await?,
        None => new_desk.make_up().await?,
    };
    drop(beyond);
    let writes_unknown = old.plays.iter().chain(&new.plays).any(|play| matches!(play.effect, Effect::Writes));
    let same = same_columns(&old_tables, &new_tables, &before, &then);
    let schema = schema::look(&own.target, own.config.schema.as_str()).await?;
    let fleet = Fleet::start(&own.target, old.plays, new.plays).await?;
    let watch = LockWatch::start(&own.target, fleet.stats.clone()).await?;
    let mut walk = Walk {
        own,
        file: &scene.file,
        fleet: &fleet,
        client: base,
        old: std::mem::take(&mut old_tables),
        new: std::mem::take(&mut new_tables),
        same,
        writes_unknown,
        schema,
        hold: options.hold,
        observer,
        stop,
        found: Found::default(),
    };
    walk.go().await?;
    let plan = stored_plan(&walk.own, &scene.file.version).await?.unwrap_or(planned);
    let mut found = walk.found;
    if let Some(real) = &scene.real {
        estimate(migrator, real, &plan, &scene.file.text, &mut found.steps).await?;
    }
    let locks = watch.compare(&fleet.stats.spans(), &plan, &before);
    let stats = fleet.stop().await;
    if stats.saw_stale_plans() {
        found.notes.push(
            "statements that were prepared before a column came, went or changed its type had to be prepared again: where a driver does not, sessions must begin anew"
                .to_owned(),
        );
    }
    let mut report = RehearsalReport {
        format: REPORT_FORMAT,
        problems: Vec::new(),
        version: scene.file.version.clone(),
        name: scene.file.name.clone(),
        database: scene.real.as_ref().map(|real| real.display.clone()),
        scratch: scene.home.describe(),
        before: std::mem::take(&mut scene.before),
        phased: found.phased,
        tables: told_tables(&sown, scene.real.as_ref(), &touched),
        old: old.told,
        new: new.told,
        stages: stats.told(),
        steps: found.steps,
        locks,
        ways_back: found.ways_back,
        failed: found.failed,
        lost: found.lost,
        notes: found.notes,
    };
    report.problems = report.find_problems();
    Ok(report)
}

async fn old_script(
    options: &RehearseOptions,
    desk: &Desk<'_>,
    real: Option<&Real>,
    touched: &BTreeSet<TableName>,
) -> Result<Script> {
    if let Some((path, text)) = &options.old_queries {
        return desk.given(path, text).await;
    }
    if let Some(real) = real
        && let Some(script) = desk.observed(&real.client, &real.display, touched).await?
    {
        return Ok(script);
    }
    desk.make_up().await
}

/// Rows for the tables, as many as are wanted.
async fn fill(
    options: &RehearseOptions,
    real: Option<&Real>,
    before: &Catalog,
    then: &Catalog,
    touched: &BTreeSet<TableName>,
    statistics: &BTreeMap<Place, Statistics>,
    (base, beyond): (&Client, &Client),
) -> Result<Vec<Filled>> {
    let shapes = rows::shapes(base).await?;
    let checks = rows::checks(base).await?;
    let casts = casts(before, then);
    let kitchen = Kitchen {
        catalog: before,
        shapes: &shapes,
        checks: &checks,
        statistics,
        casts: &casts,
        client: base,
        after: Some(beyond),
    };
    let near = with_parents(before, touched);
    let wanted = |table: &Table| {
        let there = real.and_then(|real| real.catalog.table(&table.name));
        // What was never analyzed says 0.
        let there = there.map(|real| real.estimated_rows.max(if real.has_rows { ROWS_BESIDE } else { 100 }));
        let rows = match (options.rows, there) {
            (RowsWanted::Usual, Some(there)) => there.min(MOST_ROWS),
            (RowsWanted::Usual, None) => USUAL_ROWS,
            (RowsWanted::AtMost(most), Some(there)) => there.min(most),
            (RowsWanted::AtMost(most), None) => most,
            (RowsWanted::Share(share), there) => (there.unwrap_or(USUAL_ROWS) as f64 * share).ceil() as u64,
        };
        if near.contains(&table.name) { rows } else { rows.min(ROWS_BESIDE) }
    };
    rows::fill(&kitchen, &wanted).await
}

async fn new_recipes(
    then: &Catalog,
    statistics: &BTreeMap<Place, Statistics>,
    beyond: &Client,
) -> Result<BTreeMap<TableName, Recipe>> {
    let shapes = rows::shapes(beyond).await?;
    let checks = rows::checks(beyond).await?;
    let kitchen = Kitchen {
        catalog: then,
        shapes: &shapes,
        checks: &checks,
        statistics,
        casts: &BTreeMap::new(),
        client: beyond,
        after: None,
    };
    Ok(rows::recipes(&kitchen).await)
}

async fn stored_plan(own: &Migrator, version: &str) -> Result<Option<Plan>> {
    let rows = own.look().await?;
    let Some(row) = rows.iter().find(|row| same_version(&row.version, version)) else { return Ok(None) };
    let client = own.target.connect(APPLICATION).await?;
    Ok(Some(own.store().load(&client, row.plan_id).await?.plan))
}

/// How long the steps take at the real size, as the runbook has it.
async fn estimate(
    migrator: &Migrator,
    real: &Real,
    plan: &Plan,
    text: &str,
    steps: &mut [RehearsedStep],
) -> Result<()> {
    let around = surroundings_of(migrator, &real.client, &migrator.store(), &real.catalog, &[plan]).await?;
    let migration = Migration::parse(&plan.version, &plan.name, text).ok();
    let subject =
        Subject { plan, migration: migration.as_ref(), progress: None, state: State::Pending, has_down: false };
    let runbook = of_plan(subject, &around);
    let known: BTreeMap<usize, _> = runbook
        .phases
        .iter()
        .flat_map(|phase| &phase.steps)
        .map(|step| (usize::from(step.number), &step.time))
        .collect();
    for step in steps {
        step.real = known.get(&step.number).and_then(|time| (*time).clone());
    }
    Ok(())
}

/// What is told of the tables: those that the migration has to do with, and those that could not be filled.
fn told_tables(filled: &[Filled], real: Option<&Real>, touched: &BTreeSet<TableName>) -> Vec<RehearsedTable> {
    let is_told = |one: &&Filled| touched.contains(&one.table) || one.told.why.is_some();
    let tell = |one: &Filled| {
        let there = real.and_then(|real| real.catalog.table(&one.table));
        RehearsedTable { real_rows: there.map(|table| table.estimated_rows), ..one.told.clone() }
    };
    filled.iter().filter(is_told).map(tell).collect()
}
