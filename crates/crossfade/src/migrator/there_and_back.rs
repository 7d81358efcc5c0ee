//! `test`: every way back is gone on a scratch database, and what it leads to is compared with what was there before.
//!
//! One database goes up, migration by migration. In front of each that is to be tested a copy of it is made, on which the migration goes up, back, and up again. So what
//! a wrong way back leaves stands in nobody's way. On the copy a session is open, as an application's would be: tables count as used, and what
//! has phases goes through them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crossfade_core::journal::State;
use crossfade_core::schema::Body;
use crossfade_core::schema::Compare;
use crossfade_core::schema::DatabaseSchema;
use crossfade_core::schema::TableForm;
use crossfade_core::schema::difference;
use crossfade_core::sql;
use crossfade_core::sql::Sql;
use crossfade_core::sql::parse_file;
use tokio_postgres::Client;

use super::ContractOptions;
use super::MigrateOptions;
use super::Migrator;
use super::RunOptions;
use super::on_scratch::in_full;
use super::on_scratch::run_whole;
use super::on_scratch::with_missing_roles;
use super::shared::same_version;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::FileFindings;
use crate::error::Result;
use crate::observer::Notice;
use crate::observer::Observer;
use crate::observer::Unobserved;
use crate::report::ChangedRows;
use crate::report::REPORT_FORMAT;
use crate::report::RunReport;
use crate::report::TestReport;
use crate::report::TestedMigration;
use crate::report::TestedWay;
use crate::report::Way;
use crate::report::drift_changes;
use crate::schema;
use crate::scratch::Likeness;
use crate::scratch::ScratchHome;
use crate::scratch::ScratchPlace;
use crate::source::FileKind;
use crate::source::SourceFile;
use crate::stop::Stop;

/// What `test` is to do.
#[derive(Clone, Debug)]
pub struct TestOptions {
    /// Only these migrations; none for all.
    pub versions: Vec<String>,
    /// Where it is tried.
    pub scratch: ScratchPlace,
    /// Statements that fill the tables before each migration, and the file that they are from.
    pub seed: Option<(PathBuf, String)>,
}

/// Statements that fill tables. What does not fit the schema of a version is left out there.
struct Seed {
    path: PathBuf,
    statements: Vec<SeedStatement>,
}

struct SeedStatement {
    line: usize,
    text: Sql,
    /// The last error, as long as it has fitted nowhere.
    refused: Option<String>,
    fitted: bool,
}

pub(super) async fn test(
    migrator: &Migrator,
    options: &TestOptions,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<TestReport> {
    let mut files = migrator.files()?;
    files.retain(|file| file.kind == FileKind::Versioned);
    for version in &options.versions {
        if !files.iter().any(|file| same_version(&file.version, version)) {
            return Err(Error::usage(format!("there is no migration {version}")).hint("`crossfade status` lists them"));
        }
    }
    let is_asked = |file: &SourceFile| {
        options.versions.is_empty() || options.versions.iter().any(|version| same_version(&file.version, version))
    };
    let mut seed = options.seed.as_ref().map(|(path, text)| Seed::read(path, text)).transpose()?;
    let home = ScratchHome::open(&options.scratch, Likeness::default()).await?;
    let mut notes = Vec::new();
    for name in home.leftovers().await? {
        notes.push(format!("the scratch database {name} may be left from a run that was killed: DROP DATABASE {name}"));
    }
    observer.notice(Notice::Info { text: format!("testing on {}", home.describe()) });
    let base = home.database().await?;
    let mut tested: Vec<TestedMigration> = Vec::new();
    let mut broken: Option<String> = None;
    for (at, file) in files.iter().enumerate().filter(|(_, file)| is_asked(file)) {
        if stop.is_requested() {
            base.remove().await?;
            return Err(Error::failed("stopped before all migrations were tested").hint("nothing was left behind"));
        }
        if broken.is_none() && at > 0 {
            broken = run_whole(migrator, &home, &base, &files[..at], stop).await.err().map(|error| error.chain());
        }
        if let Some(why) = &broken {
            tested.push(TestedMigration {
                skipped: Some(format!("what comes before it fails: {why}")),
                ..untested(file)
            });
            continue;
        }
        let copy = home.copy_of(&base).await?;
        let own = migrator.on_scratch(&copy, Arc::new(files[..=at].to_vec()));
        let done = Trial::go(&home, own, file, seed.as_mut(), stop).await;
        let removed = copy.remove().await;
        let (done, ()) = (done?, removed?);
        observer.notice(Notice::Info { text: format!("{} {}: {}", done.version, done.name, words(&done)) });
        tested.push(done);
    }
    base.remove().await?;
    notes.extend(seed.iter().flat_map(Seed::never_fitted));
    Ok(TestReport { format: REPORT_FORMAT, scratch: home.describe(), migrations: tested, notes })
}

fn words(migration: &TestedMigration) -> &'static str {
    match (migration.ways.iter().all(TestedWay::is_right), &migration.skipped) {
        (false, _) => "a way does not lead where it should",
        (true, Some(_)) => "no way back to try",
        (true, None) => "proven",
    }
}

fn untested(file: &SourceFile) -> TestedMigration {
    TestedMigration {
        version: file.version.clone(),
        name: file.name.clone(),
        phased: false,
        ways: Vec::new(),
        skipped: None,
        seeded: None,
    }
}

/// One migration on its copy.
struct Trial<'t> {
    home: &'t ScratchHome,
    own: Migrator,
    /// The application.
    client: Client,
    file: &'t SourceFile,
    with_rows: bool,
    stop: &'t Stop,
}

/// What stands in a database.
struct Stand {
    schema: DatabaseSchema,
    rows: BTreeMap<String, (i64, String)>,
}

/// A way was not right, and what comes behind it would say nothing.
struct Ended;

impl Trial<'_> {
    async fn go(
        home: &ScratchHome,
        own: Migrator,
        file: &SourceFile,
        seed: Option<&mut Seed>,
        stop: &Stop,
    ) -> Result<TestedMigration> {
        let mut done = untested(file);
        let client = own.target.connect("an application").await?;
        let with_rows = seed.is_some();
        if let Some(seed) = seed {
            done.seeded = Some(seed.sow(&client).await?);
        }
        let trial = Trial { home, own, client, file, with_rows, stop };
        match trial.all_ways(&mut done).await? {
            Ok(()) | Err(Ended) => Ok(done),
        }
    }

    async fn all_ways(&self, done: &mut TestedMigration) -> Result<Result<(), Ended>> {
        let before = self.stand().await?;
        let Ok(mut state) = note(done, Way::Up, self.up(false).await) else { return Ok(Err(Ended)) };
        if state == Some(State::Ready) {
            done.phased = true;
            for way in [Way::RollbackFromReady, Way::RollbackFromContracted] {
                if self.compare(done, way, self.back().await, &before).await?.is_err() {
                    return Ok(Err(Ended));
                }
                if note(done, Way::UpAgain, self.up(false).await).is_err() {
                    return Ok(Err(Ended));
                }
                let Ok(contracted) = note(done, Way::Contract, self.contract().await) else { return Ok(Err(Ended)) };
                state = contracted;
                if state != Some(State::Contracted) {
                    break;
                }
            }
            if state == Some(State::Contracted) && note(done, Way::Contract, self.purge().await).is_err() {
                return Ok(Err(Ended));
            }
        }
        if self.file.down.is_none() {
            let phased = if done.phased { "; before the purge the way back needs none" } else { "" };
            done.skipped = Some(format!("it has no down file{phased}"));
            return Ok(Ok(()));
        }
        // Values of their own (now(), random ids) differ from one time to the next: rows are compared with what was before.
        let after = Stand { rows: BTreeMap::new(), ..self.stand().await? };
        if self.compare(done, Way::Down, self.back().await, &before).await?.is_err() {
            return Ok(Err(Ended));
        }
        let again = self.up(true).await.map(|_| ());
        self.compare(done, Way::UpAgain, again, &after).await
    }

    async fn up(&self, complete: bool) -> Result<Option<State>> {
        let options = || MigrateOptions { to: Some(self.file.version.clone()), complete, ..MigrateOptions::default() };
        let run = with_missing_roles(self.home, async || self.own.migrate(options(), &mut Unobserved, self.stop).await);
        run.await.map(|report| self.state_in(&report))
    }

    async fn back(&self) -> Result<()> {
        let version = Some(self.file.version.as_str());
        let run = async || self.own.rollback(version, RunOptions::default(), &mut Unobserved, self.stop).await;
        with_missing_roles(self.home, run).await.map(|_| ())
    }

    async fn contract(&self) -> Result<Option<State>> {
        let version = Some(self.file.version.as_str());
        let report = self.own.contract(version, &ContractOptions::default(), &mut Unobserved, self.stop).await?;
        Ok(self.state_in(&report))
    }

    async fn purge(&self) -> Result<Option<State>> {
        let version = Some(self.file.version.as_str());
        let report = self.own.purge(version, RunOptions::default(), &mut Unobserved, self.stop).await?;
        Ok(self.state_in(&report))
    }

    fn state_in(&self, report: &RunReport) -> Option<State> {
        let mine = report.migrations.iter().find(|migration| same_version(&migration.version, &self.file.version));
        mine.map(|migration| migration.state)
    }

    async fn stand(&self) -> Result<Stand> {
        let schema = schema::look(&self.own.target, self.own.config.schema.as_str()).await?;
        let rows = if self.with_rows { rows(&self.client, &schema).await? } else { BTreeMap::new() };
        Ok(Stand { schema, rows })
    }

    /// Notes a way, and what stands now beside what should.
    async fn compare(
        &self,
        done: &mut TestedMigration,
        way: Way,
        gone: Result<()>,
        wanted: &Stand,
    ) -> Result<Result<(), Ended>> {
        let mut tested = match gone {
            Err(error) => failed(way, &error),
            Ok(()) => untried(way),
        };
        if tested.error.is_none() {
            let is = self.stand().await?;
            let todo = difference(&wanted.schema, &is.schema, Compare { owners: true });
            tested.preamble = todo.preamble().iter().map(ToString::to_string).collect();
            tested.changes = drift_changes(&todo);
            tested.rows = changed_rows(&wanted.rows, &is.rows);
        }
        let right = tested.is_right();
        done.ways.push(tested);
        Ok(if right { Ok(()) } else { Err(Ended) })
    }
}

fn untried(way: Way) -> TestedWay {
    TestedWay { way, error: None, preamble: Vec::new(), changes: Vec::new(), rows: Vec::new() }
}

fn failed(way: Way, error: &Error) -> TestedWay {
    TestedWay { error: Some(in_full(error)), ..untried(way) }
}

/// Notes a way on which there is nothing to compare: only that it failed is worth a word.
fn note<T>(done: &mut TestedMigration, way: Way, gone: Result<T>) -> Result<T, Ended> {
    gone.map_err(|error| {
        done.ways.push(failed(way, &error));
        Ended
    })
}

/// Count and checksum of each table's rows, whatever the order of rows and columns.
async fn rows(client: &Client, schema: &DatabaseSchema) -> Result<BTreeMap<String, (i64, String)>> {
    let mut found = BTreeMap::new();
    for (id, object) in &schema.objects {
        if !matches!(&object.body, Body::Table(table) if table.form == TableForm::Ordinary) {
            continue;
        }
        let query = sql!(
            "SELECT count(*), coalesce(md5(string_agg(md5(\"a row\"), '' ORDER BY md5(\"a row\"))), '') \
             FROM (SELECT to_jsonb(\"the row\")::text AS \"a row\" FROM ONLY {} AS \"the row\") AS \"all rows\"",
            id.qualified()
        );
        let row = client.query_typed_one(query.as_str(), &[]).await.doing(&format!("read the rows of {id}"))?;
        found.insert(id.qualified().to_string(), (row.get(0), row.get(1)));
    }
    Ok(found)
}

/// Tables that are there before and after, with other rows.
fn changed_rows(before: &BTreeMap<String, (i64, String)>, after: &BTreeMap<String, (i64, String)>) -> Vec<ChangedRows> {
    let both = before.iter().filter_map(|(table, rows)| Some((table, rows, after.get(table)?)));
    let changed = both.filter(|(_, before, after)| before != after);
    changed
        .map(|(table, before, after)| ChangedRows { table: table.clone(), before: before.0, after: after.0 })
        .collect()
}

impl Seed {
    fn read(path: &std::path::Path, text: &str) -> Result<Seed> {
        let file = parse_file(text).map_err(|error| {
            let finding = crossfade_core::finding::Finding::error("syntax", error.span, error.message);
            Error::usage(format!("{} can't be read", path.display())).with_findings(vec![FileFindings {
                path: path.to_owned(),
                text: text.to_owned(),
                findings: vec![finding],
            }])
        })?;
        let statement = |parsed: crossfade_core::sql::ParsedStatement| SeedStatement {
            line: parsed.span.line_and_column(text).0,
            text: parsed.text,
            refused: None,
            fitted: false,
        };
        Ok(Seed { path: path.to_owned(), statements: file.statements.into_iter().map(statement).collect() })
    }

    /// Runs what fits. Returns how many statements did.
    async fn sow(&mut self, client: &Client) -> Result<usize> {
        let mut taken = 0;
        for statement in &mut self.statements {
            match client.batch_execute(statement.text.as_str()).await {
                Ok(()) => {
                    statement.fitted = true;
                    taken += 1;
                }
                Err(error) => match error.as_db_error() {
                    Some(said) => statement.refused = Some(said.message().to_owned()),
                    None => return Err(error).doing("fill the tables"),
                },
            }
        }
        Ok(taken)
    }

    fn never_fitted(&self) -> Vec<String> {
        let never = self.statements.iter().filter(|statement| !statement.fitted);
        never
            .filter_map(|statement| {
                let why = statement.refused.as_ref()?;
                Some(format!("{}:{} fitted nowhere: {why}", self.path.display(), statement.line))
            })
            .collect()
    }
}
