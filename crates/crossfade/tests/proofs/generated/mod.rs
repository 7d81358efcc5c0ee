//! Random migrations over random databases: both laws hold, or the plan is refused and nothing is changed.
//!
//! proptest draws a few tables with rows and a file of a few statements, and shrinks what fails to a small case, which is
//! printed in the form of `fixtures/`. Each case comes from a seed of its own, the run's first one and those that follow it:
//! `CROSSFADE_GENERATED_SEED=<printed> CROSSFADE_GENERATED_CASES=1` runs one again. `make soak-all` runs many, on all servers.

mod build;
mod change;
mod code;
mod column_change;
mod other_change;
mod schema;
mod value;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use crossfade::ErrorKind;
use crossfade_core::journal::State;
use proptest::prelude::*;
use proptest::test_runner::Config;
use proptest::test_runner::RngAlgorithm;
use proptest::test_runner::TestError;
use proptest::test_runner::TestRng;
use proptest::test_runner::TestRunner;

use crate::fixture::Fixture;
use crate::laws::before;
use crate::laws::direct;
use crate::laws::expect;
use crate::laws::finish;
use crate::laws::project;
use crate::laws::same;
use crate::laws::written_by_both;
use crate::project::Command;
use crate::project::Watch;
use crate::project::said;
use crate::server;
use crate::server::Server;
use crate::server::main_server;
use crate::server::servers;
use crate::snapshot::Snapshot;

/// How often a case that fails is tried again in a smaller form.
const SHRINKS: u32 = 150;

/// What proptest draws.
#[derive(Clone, Debug)]
struct Draw {
    tables: Vec<schema::TableDraw>,
    changes: Vec<change::ChangeDraw>,
    code: u32,
}

fn draws() -> impl Strategy<Value = Draw> {
    (schema::tables(), change::changes(), any::<u32>()).prop_map(|(tables, changes, code)| Draw {
        tables,
        changes,
        code,
    })
}

impl Draw {
    /// The case, unless nothing could be made of the changes.
    fn case(&self) -> Option<Fixture> {
        let (before, old) = build::build(&self.tables);
        let migration = change::Migration::of(&self.changes, old.clone());
        (!migration.is_empty()).then(|| Fixture {
            name: "generated".to_owned(),
            before,
            migration: migration.text(&self.changes),
            direct_sql: Some(migration.direct()),
            old: code::code(&old, &migration.schema, self.code),
            new: code::code(&migration.schema, &old, self.code / 16),
            volatile: migration.volatile,
            forgets: migration.forgets,
            ..Fixture::default()
        })
    }
}

/// As a file of the corpus.
fn text(case: &Fixture) -> String {
    let lines = |all: &[String]| all.iter().map(|one| format!("{one};\n")).collect::<String>();
    let mut text = format!("-- @before\n{}-- @migration\n{}", case.before, case.migration);
    if let Some(direct) = case.direct_sql.as_ref().filter(|direct| **direct != case.migration) {
        text += &format!("-- @direct-sql\n{direct}");
    }
    text += &format!("-- @old\n{}-- @new\n{}", lines(&case.old), lines(&case.new));
    text += if case.volatile { "-- @volatile\n" } else { "" };
    text + if case.forgets { "-- @forgets\n" } else { "" }
}

/// How a case that is right ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    /// Nothing could be made of what was drawn.
    Empty,
    /// PostgreSQL itself refuses the file, and so do we.
    Impossible,
    Refused(Vec<String>),
    Online,
    Phased,
}

async fn proof(server: &'static Server, case: Fixture) -> Result<End, String> {
    let database = before(server, &case).await?;
    let was = Snapshot::take(&database).await;
    let unchanged = |is: &Snapshot, when: &str| {
        same(&format!("the schema {when}"), was.schema_difference(is))?;
        if case.volatile { Ok(()) } else { same(&format!("the rows {when}"), was.row_difference(is)) }
    };
    let want = direct(server, &case).await;
    let project = project(&database, &case);
    let migrator = &project.migrator;
    let state = match Command::Migrate.watched(migrator, &mut Watch::default()).await {
        Ok(state) => state.unwrap_or(State::Pending),
        Err(error) if error.kind() == ErrorKind::Refused && project.state().await == State::Pending => {
            unchanged(&Snapshot::take(&database).await, "after a refusal")?;
            let findings = error.findings().iter().flat_map(|file| &file.findings).filter(|found| found.is_error());
            let rules: Vec<String> = findings.map(|found| found.rule.clone()).collect();
            return match (want, rules.is_empty()) {
                (Err(_), _) => Ok(End::Impossible),
                (Ok(_), false) => Ok(End::Refused(rules)),
                (Ok(_), true) => Err(format!("refused without a finding: {}", said(&error))),
            };
        }
        Err(error) => {
            let why = said(&error);
            if project.state().await != State::Pending {
                Command::Rollback
                    .on(migrator)
                    .await
                    .map_err(|said| format!("{why}; and there is no way back: {said}"))?;
            }
            unchanged(&Snapshot::take(&database).await, &format!("after a failure ({why})"))?;
            return want.map_or(Ok(End::Impossible), |_| Err(format!("it failed half way: {why}")));
        }
    };
    let want = want.map_err(|why| format!("it is {}, and PostgreSQL refuses it: {why}", state.name()))?;
    if state == State::Ready {
        let back = Command::Rollback.on(migrator).await?.unwrap_or(state);
        expect(back, State::RolledBack)?;
        unchanged(&Snapshot::take(&database).await, "after a rollback from ready")?;
        expect(Command::Migrate.on(migrator).await?.unwrap_or(State::Pending), State::Ready)?;
        if Command::Contract.on(migrator).await? == Some(State::Contracted) {
            Command::Rollback.on(migrator).await?;
            unchanged(&Snapshot::take(&database).await, "after a rollback from contracted")?;
            expect(Command::Migrate.on(migrator).await?.unwrap_or(State::Pending), State::Ready)?;
        }
        written_by_both(server, &case, &was, &want).await.map_err(|why| format!("with writes: {why}"))?;
    }
    finish(&project).await?;
    let end = Snapshot::take(&database).await;
    same("the schema is not the direct one", want.schema_difference(&end))?;
    if !case.volatile {
        same("the rows are not the direct ones", want.row_difference(&end))?;
    }
    Ok(if state == State::Ready { End::Phased } else { End::Online })
}

/// Runs the case of a seed, and makes it small where it fails.
fn run(server: &'static Server, seed: u64) -> Result<End, String> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { max_shrink_iters: SHRINKS, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let tree = draws().new_tree(&mut runner).expect("nothing is rejected");
    let end = Mutex::new(End::Empty);
    let test = |draw: Draw| {
        let Some(case) = draw.case() else { return Ok(()) };
        let result = server::run(async { tokio::time::timeout(crate::PATIENCE, proof(server, case)).await });
        let result = result.unwrap_or_else(|_| Err(format!("no end in {:?}", crate::PATIENCE)));
        result.map(|said| *end.lock().expect("nobody panics") = said).map_err(TestCaseError::fail)
    };
    match runner.run_one(tree, test) {
        Ok(_) => Ok(end.into_inner().expect("nobody panics")),
        Err(TestError::Abort(why)) => Err(format!("seed {seed}: {why}")),
        Err(TestError::Fail(why, draw)) => {
            let case = draw.case().map_or_else(String::new, |case| text(&case));
            Err(format!("CROSSFADE_GENERATED_SEED={seed} on PostgreSQL {}: {why}\n{case}", server.major()))
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text}")))
}

#[expect(clippy::print_stderr, reason = "what a run came to, and failures as they are found in a long one")]
fn tell(text: &str) {
    eprintln!("{text}");
}

#[test]
fn random_migrations_keep_both_laws_or_are_refused() {
    const FEW: u64 = 40;
    let first = number("CROSSFADE_GENERATED_SEED").unwrap_or(1);
    let cases = number("CROSSFADE_GENERATED_CASES").unwrap_or(FEW);
    let soak = std::env::var_os("CROSSFADE_SOAK").is_some();
    let servers = if soak { servers() } else { std::slice::from_ref(main_server()) };
    let (next, ends, failures) = (AtomicU64::new(0), Mutex::new(BTreeMap::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let case = next.fetch_add(1, Ordering::SeqCst);
                    if cases != 0 && case >= cases {
                        return;
                    }
                    match run(&servers[case as usize % servers.len()], first + case) {
                        Ok(end) => *ends.lock().expect("nobody panics").entry(end).or_insert(0_u64) += 1,
                        Err(why) => {
                            tell(&why);
                            failures.lock().expect("nobody panics").push(first + case);
                        }
                    }
                    if soak && case % 50 == 49 {
                        tell(&format!("{} cases\n{}", case + 1, table(&ends.lock().expect("nobody panics"))));
                    }
                }
            });
        }
    });
    let (ends, failures) = (ends.into_inner().expect("nobody panics"), failures.into_inner().expect("nobody panics"));
    tell(&table(&ends));
    assert!(failures.is_empty(), "{} failed, as shown above, of the seeds {failures:?}", failures.len());
    let all: u64 = ends.values().sum();
    let refused: u64 = ends.iter().filter(|(end, _)| matches!(end, End::Refused(_))).map(|(_, count)| count).sum();
    assert!(cases < FEW || refused * 10 <= all * 6, "{refused} of {all} were refused: that tests nothing");
}

/// How many ended how, and the rules that refused.
fn table(ends: &BTreeMap<End, u64>) -> String {
    let mut lines: BTreeMap<String, u64> = BTreeMap::new();
    for (end, count) in ends {
        let mut put = |name: String| *lines.entry(name).or_default() += count;
        match end {
            End::Empty => put("nothing to do".to_owned()),
            End::Impossible => put("PostgreSQL refuses it".to_owned()),
            End::Online => put("at once or online".to_owned()),
            End::Phased => put("phased".to_owned()),
            End::Refused(rules) => {
                put("refused".to_owned());
                let rules: BTreeSet<&String> = rules.iter().collect();
                rules.into_iter().for_each(|rule| put(format!("refused by {rule}")));
            }
        }
    }
    lines.iter().map(|(name, count)| format!("{count:6}  {name}\n")).collect()
}
