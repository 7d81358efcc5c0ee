//! `squash`: one file in the place of many. Before a file is touched both are run on scratch databases, and must make the same.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crossfade_core::journal::State;
use crossfade_core::migration::checksum;
use crossfade_core::schema::Compare;
use crossfade_core::schema::DatabaseSchema;
use crossfade_core::schema::difference;
use crossfade_core::sql;
use crossfade_core::sql::Literal;
use crossfade_core::sql::TableName;
use crossfade_core::squash::Piece;
use crossfade_core::squash::compose;
use tokio_postgres::Client;

use super::Migrator;
use super::drift;
use super::on_scratch;
use super::shared::same_version;
use super::tolerance;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::FileFindings;
use crate::error::Result;
use crate::observer::Notice;
use crate::observer::Observer;
use crate::postgres::lease::APPLICATION;
use crate::report::REPORT_FORMAT;
use crate::report::RenamedFile;
use crate::report::SquashReport;
use crate::schema;
use crate::scratch::Likeness;
use crate::scratch::ScratchHome;
use crate::scratch::ScratchPlace;
use crate::source::FileKind;
use crate::source::Medium;
use crate::source::SourceFile;
use crate::source::compare_versions;
use crate::stop::Stop;

/// What `squash` is to do.
#[derive(Clone, Debug)]
pub struct SquashOptions {
    /// All files up to this version become one.
    pub to: String,
    /// What that is called.
    pub name: String,
    /// Prove it, and write nothing.
    pub dry_run: bool,
    /// Without a look at the database: whether they are applied there is not asked.
    pub offline: bool,
    /// Where both are run.
    pub scratch: ScratchPlace,
}

/// What one side makes.
struct Outcome {
    schema: DatabaseSchema,
    /// Rows of tables and values of sequences.
    contents: BTreeMap<String, (i64, String)>,
}

pub(super) async fn run(
    migrator: &Migrator,
    options: &SquashOptions,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<SquashReport> {
    migrator.refuse_one_schema("squash")?;
    if let Medium::Program(_) = migrator.medium() {
        return Err(Error::usage("the migrations are a part of the program, and have no folder that could be changed")
            .hint("squash them in the folder that they come from"));
    }
    let folder = migrator.folder()?;
    let files = chosen(&folder.files, &options.to)?;
    let mut like = Likeness::default();
    if !options.offline {
        refuse_unapplied(migrator, &files).await?;
        like = drift::likeness(&migrator.target.connect(APPLICATION).await?).await?;
    }
    let text = composed(&files)?;
    let version = files.last().map(|file| file.version.clone()).unwrap_or_default();
    let squashing = folder.squash(&migrator.config.migrations, &files, &version, &options.name, &text)?;
    let squashed = SourceFile {
        version: version.clone(),
        name: options.name.clone(),
        path: squashing.file.0.clone(),
        raw: text.clone().into_bytes(),
        text,
        ..SourceFile::default()
    };
    let home = ScratchHome::open(&options.scratch, like).await?;
    let mut notes: Vec<String> = home.difference().into_iter().collect();
    observer.notice(Notice::Info { text: format!("running both on {}", home.describe()) });
    let expected = outcome(migrator, &home, &files, stop).await?;
    let found = outcome(migrator, &home, std::slice::from_ref(&squashed), stop).await.map_err(|error| {
        let findings = error.findings().to_vec();
        Error::refused("the squashed file can't be run where the files can; nothing was written")
            .hint("what is wrong in it stands in one of the files: squash up to the version before that one")
            .with_findings(findings)
            .caused_by(error)
    })?;
    notes.extend(compared(&expected, &found)?);
    if !options.dry_run {
        squashing.carry_out()?;
    }
    Ok(SquashReport {
        format: REPORT_FORMAT,
        dry_run: options.dry_run,
        version,
        name: options.name.clone(),
        file: squashing.file.0.display().to_string(),
        replaces: files.iter().map(|file| file.version.clone()).collect(),
        moved: squashing.moved.into_iter().map(|(from, to)| RenamedFile { from, to }).collect(),
        scratch: home.describe(),
        objects: expected.schema.objects.len(),
        notes,
    })
}

/// The files up to a version.
fn chosen(files: &[SourceFile], to: &str) -> Result<Vec<SourceFile>> {
    if !files.iter().any(|file| file.kind == FileKind::Versioned && same_version(&file.version, to)) {
        let versions: Vec<&str> = files.iter().map(|file| file.version.as_str()).collect();
        return Err(Error::usage(format!("there is no migration {to}"))
            .hint(format!("the versions are {}", versions.join(", "))));
    }
    let within = |file: &&SourceFile| compare_versions(&file.version, to) != Ordering::Greater;
    let up_to: Vec<&SourceFile> =
        files.iter().filter(|file| file.kind != FileKind::Repeatable).filter(within).collect();
    if let Some(baseline) = up_to.iter().find(|file| file.kind == FileKind::Baseline) {
        return Err(Error::refused(format!("{} is in the place of others already", baseline.path.display()))
            .hint("a squashed file beside it would be run, too"));
    }
    if up_to.len() < 2 {
        return Err(Error::refused(format!("up to {to} there is one file only")).hint("there is nothing to squash"));
    }
    let findings: Vec<FileFindings> = up_to
        .iter()
        .filter(|file| !file.findings.is_empty())
        .map(|file| FileFindings { path: file.path.clone(), text: file.text.clone(), findings: file.findings.clone() })
        .collect();
    if !findings.is_empty() {
        return Err(
            Error::refused("one of the files can't be run, and so can't be a part of one").with_findings(findings)
        );
    }
    Ok(up_to.into_iter().cloned().collect())
}

/// What is not applied here, or is something else here, is not squashed away.
async fn refuse_unapplied(migrator: &Migrator, files: &[SourceFile]) -> Result<()> {
    let mut rows = migrator.look().await?;
    tolerance::tolerate(migrator, files, &mut rows).await?;
    let wrong = files.iter().filter_map(|file| {
        let row = rows.iter().find(|row| same_version(&row.version, &file.version));
        match row {
            Some(row) if row.state == State::Applied && row.checksum == checksum(&file.text) => None,
            Some(row) if row.state == State::Applied => {
                Some(format!("{} was changed after it was run", file.path.display()))
            }
            Some(row) => Some(format!("{} {} is {}", row.version, row.name, row.state.name())),
            None => Some(format!("{} {} is pending", file.version, file.name)),
        }
    });
    let wrong: Vec<String> = wrong.collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Error::refused(format!("not all of it is applied on {}: {}", migrator.target.display(), wrong.join(", ")))
        .hint("squash what every database has run; `--offline` does not ask this one"))
}

fn composed(files: &[SourceFile]) -> Result<String> {
    let piece = |file: &SourceFile| (file.version.clone(), file.name.clone(), file.text.clone());
    let pieces: Vec<(String, String, String)> = files.iter().map(piece).collect();
    let pieces: Vec<Piece<'_>> = pieces.iter().map(|(version, name, text)| Piece { version, name, text }).collect();
    compose(&pieces).map_err(|(at, why)| {
        let path = files.get(at).map(|file| file.path.display().to_string()).unwrap_or_default();
        Error::refused(format!("{path} can't be a part of one file: {why}"))
            .hint("squash up to the version before it; nothing was written")
    })
}

async fn outcome(migrator: &Migrator, home: &ScratchHome, files: &[SourceFile], stop: &Stop) -> Result<Outcome> {
    let database = home.database().await?;
    let made = async {
        on_scratch::run_whole(migrator, home, &database, files, stop).await?;
        let own = migrator.config.schema.as_str();
        let schema = schema::look(database.target(), own).await?;
        let client = database.target().connect(APPLICATION).await?;
        Ok(Outcome { schema, contents: contents(&client, own).await? })
    };
    let made = made.await;
    let removed = database.remove().await;
    let made = made?;
    removed?;
    Ok(made)
}

/// How many rows each table has, with a digest of them, and where each sequence stands.
async fn contents(client: &Client, own: &str) -> Result<BTreeMap<String, (i64, String)>> {
    let doing = "read what the migrations write";
    let query = sql!(
        "SELECT n.nspname::text, c.relname::text, c.relkind = 'S' FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'S') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname NOT IN ('information_schema', {})",
        Literal(own.to_owned())
    );
    let mut contents = BTreeMap::new();
    for row in client.query_typed(query.as_str(), &[]).await.doing(doing)? {
        let table = TableName::new(row.get::<_, String>(0), row.get::<_, String>(1));
        let query = match row.get(2) {
            true => sql!("SELECT last_value, is_called::text FROM {}", table),
            false => sql!(
                "SELECT count(*), coalesce(md5(string_agg(t::text, E'\\n' ORDER BY t::text)), '') FROM ONLY {} AS t",
                table
            ),
        };
        let found = client.query_typed_one(query.as_str(), &[]).await.doing(doing)?;
        contents.insert(table.to_string(), (found.get(0), found.get(1)));
    }
    Ok(contents)
}

/// Refuses where the two do not make the same. Returns what is no reason to.
fn compared(expected: &Outcome, found: &Outcome) -> Result<Vec<String>> {
    let differs = difference(&expected.schema, &found.schema, Compare::default());
    let mut wrong: Vec<String> = differs.changes.into_iter().map(|change| change.sentence).collect();
    let mut notes = Vec::new();
    for (name, (number, rest)) in &expected.contents {
        match found.contents.get(name) {
            Some((other, _)) if other != number => wrong.push(format!("{name} holds {other} in the place of {number}")),
            Some((_, other)) if other != rest => {
                notes.push(format!(
                    "{name} holds other values in the two: look whether they come from now(), random() and their like"
                ));
            }
            // What is missing is a difference of the schemas.
            Some(_) | None => {}
        }
    }
    if wrong.is_empty() {
        return Ok(notes);
    }
    Err(Error::refused(format!(
        "the squashed file does not make what the files make; nothing was written\n  {}",
        wrong.join("\n  ")
    ))
    .hint("a setting that one file leaves to those behind it (SET search_path) is a usual cause; squash up to the version before it"))
}
