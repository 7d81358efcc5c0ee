//! Where a migration is rehearsed: a scratch database with the schema that it will meet, and nothing in it yet.
//!
//! The schema of a real database is read from its catalog and made again by the statements that `drift` would show. What is under way there is repeated from its
//! stored plan, so that its triggers stand here, too. No row leaves the database.

use std::sync::Arc;

use crossfade_core::catalog::Catalog;
use crossfade_core::journal::State;
use crossfade_core::schema::Compare;
use crossfade_core::schema::DatabaseSchema;
use crossfade_core::schema::Kind;
use crossfade_core::schema::difference;
use tokio_postgres::Client;

use super::RehearseOptions;
use super::RehearseSource;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;
use crate::migrator::Migrator;
use crate::migrator::drift::Repeat;
use crate::migrator::drift::likeness;
use crate::migrator::drift::repeat_all;
use crate::migrator::drift::repeats;
use crate::migrator::drift::standing;
use crate::migrator::drift::with_text;
use crate::migrator::history;
use crate::migrator::on_scratch::run_whole;
use crate::migrator::planning::catalog;
use crate::migrator::shared::same_version;
use crate::observer::Notice;
use crate::observer::Observer;
use crate::postgres::lease::APPLICATION;
use crate::postgres::store::TrackedRow;
use crate::schema;
use crate::scratch::Likeness;
use crate::scratch::ScratchDatabase;
use crate::scratch::ScratchHome;
use crate::source::FileKind;
use crate::source::SourceFile;
use crate::stop::Stop;

/// The real database.
pub struct Real {
    pub client: Client,
    pub catalog: Catalog,
    pub display: String,
}

/// Where a migration is rehearsed.
pub struct Scene {
    pub home: ScratchHome,
    pub base: ScratchDatabase,
    /// All files that are known there, in their order.
    pub files: Arc<Vec<SourceFile>>,
    /// The migration.
    pub file: SourceFile,
    /// Those that were run first, because they are pending.
    pub before: Vec<String>,
    pub real: Option<Real>,
    pub notes: Vec<String>,
}

impl Scene {
    pub async fn set(
        migrator: &Migrator,
        options: &RehearseOptions,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<Scene> {
        match options.source {
            RehearseSource::Migrations => Scene::from_files(migrator, options, observer, stop).await,
            RehearseSource::Database => Scene::from_database(migrator, options, observer, stop).await,
        }
    }

    /// The migrations in front of it make the schema.
    async fn from_files(
        migrator: &Migrator,
        options: &RehearseOptions,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<Scene> {
        let mut files = migrator.files()?;
        files.retain(|file| file.kind == FileKind::Versioned);
        let at = match &options.version {
            Some(version) => {
                files.iter().position(|file| same_version(&file.version, version)).ok_or_else(|| no_such(version))?
            }
            None => files.len().checked_sub(1).ok_or_else(|| Error::refused("there is no migration to rehearse"))?,
        };
        let home = ScratchHome::open(&options.scratch, Likeness::default()).await?;
        let notes = left_over(&home).await?;
        observer.notice(Notice::Info { text: format!("rehearsing on {}", home.describe()) });
        let base = home.database().await?;
        let file = files[at].clone();
        files.truncate(at + 1);
        if at > 0 {
            run_whole(migrator, &home, &base, &files[..at], stop).await?;
        }
        Ok(Scene { home, base, files: Arc::new(files), file, before: Vec::new(), real: None, notes })
    }

    async fn from_database(
        migrator: &Migrator,
        options: &RehearseOptions,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<Scene> {
        migrator.refuse_one_schema("rehearse")?;
        let client = migrator.target.connect(APPLICATION).await?;
        let rows = migrator.look().await?;
        let (file, before) = choose(migrator, &rows, options.version.as_deref())?;
        let live = schema::look(&migrator.target, migrator.config.schema.as_str()).await?;
        let home = ScratchHome::open(&options.scratch, likeness(&client).await?).await?;
        let mut notes = left_over(&home).await?;
        notes.extend(home.difference());
        observer.notice(Notice::Info { text: format!("rehearsing on {}", home.describe()) });
        let base = home.database().await?;
        refuse_missing_extensions(&live, &base, &migrator.target.display()).await?;
        let mut known = Vec::new();
        let under_way = standing(migrator).await?.iter().any(|row| row.state != State::Applied);
        if under_way {
            let all = repeats(migrator, &client, &standing(migrator).await?, &mut notes).await?;
            repeat_all(migrator, &home, &base, &all, stop).await?;
            known = all.into_iter().map(known_file).collect();
        }
        make_like(&live, &base, migrator.config.schema.as_str()).await?;
        notes.extend(live.uncompared.iter().map(|kind| format!("not made again on the scratch database: {kind}")));
        known.extend(before.iter().cloned());
        if !before.is_empty() {
            run_whole(migrator, &home, &base, &known, stop).await?;
        }
        known.push(file.clone());
        let catalog = catalog(&client, &migrator.store()).await?;
        let real = Real { client, catalog, display: migrator.target.display() };
        let before = before.iter().map(|file| format!("{} {}", file.version, file.name)).collect();
        Ok(Scene { home, base, files: Arc::new(known), file, before, real: Some(real), notes })
    }
}

fn no_such(version: &str) -> Error {
    Error::usage(format!("there is no migration {version}")).hint("`crossfade status` lists them")
}

async fn left_over(home: &ScratchHome) -> Result<Vec<String>> {
    let text = |name: &String| {
        format!("the scratch database {name} may be left from a run that was killed: DROP DATABASE {name}")
    };
    Ok(home.leftovers().await?.iter().map(text).collect())
}

/// The migration, and what is pending in front of it.
fn choose(migrator: &Migrator, rows: &[TrackedRow], version: Option<&str>) -> Result<(SourceFile, Vec<SourceFile>)> {
    let mut files = migrator.files_as(rows)?;
    files.retain(|file| file.kind == FileKind::Versioned);
    let tracked = history::by_version(rows);
    let state = |file: &SourceFile| tracked.get(file.version.as_str()).map_or(State::Pending, |row| row.state);
    let is_pending = |file: &SourceFile| matches!(state(file), State::Pending | State::RolledBack);
    let display = migrator.target.display();
    let at = match version {
        Some(version) => {
            let at =
                files.iter().position(|file| same_version(&file.version, version)).ok_or_else(|| no_such(version))?;
            let file = &files[at];
            if !is_pending(file) {
                let (version, name, state) = (&file.version, &file.name, state(file).name());
                return Err(Error::refused(format!("migration {version} {name} is {state} on {display} already"))
                    .hint("what is pending can be rehearsed there; without a database any migration can, on what those in front of it make"));
            }
            at
        }
        None => files.iter().position(is_pending).ok_or_else(|| {
            Error::refused(format!("nothing is pending on {display}")).hint("`crossfade status` lists the migrations")
        })?,
    };
    let file = files[at].clone();
    files.truncate(at);
    files.retain(is_pending);
    Ok((file, files))
}

fn known_file(repeat: Repeat) -> SourceFile {
    match repeat {
        Repeat::Whole(file) => file,
        Repeat::Plan(row, stored) => with_text(&row.version, &row.name, FileKind::Versioned, stored.up_sql.clone()),
    }
}

async fn refuse_missing_extensions(live: &DatabaseSchema, base: &ScratchDatabase, display: &str) -> Result<()> {
    let client = base.target().connect(APPLICATION).await?;
    let rows = client.query_typed("SELECT name::text FROM pg_catalog.pg_available_extensions", &[]).await;
    let there: Vec<String> = rows.doing("list the scratch server's extensions")?.iter().map(|row| row.get(0)).collect();
    let wanted = live.objects.keys().filter(|id| id.kind == Kind::Extension).map(|id| id.name.as_str());
    let missing: Vec<&str> = wanted.filter(|name| !there.iter().any(|known| known == name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let what = if missing.len() == 1 { "the extension" } else { "the extensions" };
    let message = format!("{display} has {what} {}, and the scratch server does not", missing.join(", "));
    Err(Error::refused(message).hint("install it here, or name a server that has it by `--scratch-url`"))
}

/// Makes the schema again.
async fn make_like(live: &DatabaseSchema, base: &ScratchDatabase, own_schema: &str) -> Result<()> {
    let made = schema::look(base.target(), own_schema).await?;
    let todo = difference(live, &made, Compare::default());
    let client = base.target().connect(APPLICATION).await?;
    for statement in todo.preamble() {
        client.batch_execute(statement.as_str()).await.doing("prepare the scratch database")?;
    }
    for change in &todo.changes {
        for statement in &change.statements {
            let failed = |error: tokio_postgres::Error| {
                Error::failed(format!("{} can't be made on the scratch database", change.object))
                    .hint("`--scratch-url` names a server that has what it needs; without a database the migrations in front make the schema")
                    .caused_by(error)
            };
            client.batch_execute(statement.as_str()).await.map_err(failed)?;
        }
    }
    Ok(())
}
