//! Something goes wrong at a statement that is named, in each command of two migrations: both laws hold afterwards.

use std::sync::LazyLock;
use std::time::Duration;

use crossfade::Target;
use crossfade_core::journal::State;

use super::own_server;
use super::proxy::Fault;
use super::proxy::Point;
use super::proxy::Proxy;
use super::reach;
use crate::PATIENCE;
use crate::each;
use crate::every_case;
use crate::fixture;
use crate::fixture::Fixture;
use crate::laws::before;
use crate::laws::direct;
use crate::laws::same;
use crate::project::Command;
use crate::project::Project;
use crate::server::Server;
use crate::server::main_server;
use crate::server::run;
use crate::snapshot::Snapshot;

const CASES: [&str; 2] = ["rename_column", "drop_column_not_null_down"];

/// The sync begins, a transaction ends, the journal is written, something goes.
const POINTS: [&[&str]; 4] = [&["CREATE TRIGGER"], &["COMMIT\0"], &[".events ("], &["DROP "]];

const FAULTS: [Fault; 4] = [Fault::Cut, Fault::LoseAnswer, Fault::Delay(Duration::from_millis(300)), Fault::Kill];

/// So often a command is given again, where it ends with an error.
const TRIES: usize = 5;

#[test]
fn both_laws_hold_whatever_goes_wrong_at_a_statement() {
    let corpus = fixture::corpus();
    let mut cases = Vec::new();
    for (a, name) in CASES.into_iter().enumerate() {
        let fixture = corpus.iter().find(|fixture| fixture.name == name).expect("the fixture is there");
        for (b, texts) in POINTS.into_iter().enumerate() {
            for (c, fault) in FAULTS.into_iter().enumerate() {
                // In an ordinary run each fault is at each point in one of the cases.
                if every_case() || (a + b + c) % 2 == 0 {
                    cases.push((format!("{name}: {fault:?} at {texts:?}"), (fixture.clone(), Point { texts, fault })));
                }
            }
        }
    }
    each(cases, PATIENCE, |(fixture, point)| both_laws(main_server(), fixture, vec![point]));
}

/// A server of its own, which crashes.
static CRASHING: LazyLock<Server> =
    LazyLock::new(|| Server { scratch: own_server(&[]), pg_dump: main_server().pg_dump.clone() });

/// One at a time: a crash is one for all databases.
#[test]
fn both_laws_hold_whatever_process_of_the_server_is_killed_at_a_statement() {
    let point = |texts| Point { texts, fault: Fault::KillHard };
    for fixture in fixture::corpus().into_iter().filter(|fixture| CASES.contains(&fixture.name.as_str())) {
        // In an ordinary run one migration, whose commands have the points in turn.
        let turns = match (every_case(), fixture.name == CASES[0]) {
            (true, _) => POINTS.len(),
            (false, true) => 1,
            (false, false) => continue,
        };
        for turn in 0..turns {
            let points: Vec<Point> = (0..POINTS.len()).map(|at| point(POINTS[(turn + at) % POINTS.len()])).collect();
            let proof = run(both_laws(&CRASHING, fixture.clone(), points));
            assert_eq!(proof, Ok(()), "{}, from {:?} on", fixture.name, POINTS[turn]);
        }
    }
}

/// The whole way, there and back. The commands have the points in turn.
async fn both_laws(server: &'static Server, fixture: Fixture, points: Vec<Point>) -> Result<(), String> {
    let want = direct(server, &fixture).await?;
    let database = before(server, &fixture).await?;
    let was = Snapshot::take(&database).await;
    let proxy = Proxy::to(&server.scratch, &database.name).await;
    let target = Target::from_url(&proxy.url()).map_err(|error| error.chain())?;
    let project = Project::on(target, &[("001_case.sql", &fixture.migration)], |_| {});
    let mut points = points.iter().cycle();
    // What stands for the application, where a crash has ended it.
    let mut sessions = Vec::new();
    let mut insist = async |command, wanted| {
        let point = *points.next().expect("they go round");
        let done = insist(&project, &proxy, point, command, wanted).await;
        sessions.push(reach(&database.url()).await);
        done.map_err(|why| format!("{point:?}: {why}"))
    };
    for (command, wanted) in [(Command::Migrate, State::Ready), (Command::Rollback, State::RolledBack)] {
        insist(command, wanted).await?;
    }
    let back = Snapshot::take(&database).await;
    same("the schema after the way back", back.schema_difference(&was))?;
    same("the rows after the way back", back.row_difference(&was))?;
    for (command, wanted) in
        [(Command::Migrate, State::Ready), (Command::Contract, State::Contracted), (Command::Purge, State::Applied)]
    {
        insist(command, wanted).await?;
    }
    let end = Snapshot::take(&database).await;
    same("the schema at the end", end.schema_difference(&want))?;
    same("the rows at the end", end.row_difference(&want))?;
    if proxy.struck() == 0 { Err("nothing went wrong".to_owned()) } else { Ok(()) }
}

/// Gives a command until it is done. At its first try something goes wrong.
async fn insist(project: &Project, proxy: &Proxy, point: Point, command: Command, wanted: State) -> Result<(), String> {
    proxy.strike_at(point);
    let mut said = Vec::new();
    for _ in 0..TRIES {
        match command.on(&project.migrator).await {
            Ok(Some(state)) if state == wanted => return Ok(()),
            // It had come so far when the answer was lost.
            Ok(_) if project.state().await == wanted => return Ok(()),
            Ok(state) => said.push(format!("it is {state:?}")),
            Err(error) => said.push(error),
        }
        reach(&proxy.url()).await;
    }
    Err(format!("{command:?} does not come to {}: {}", wanted.name(), said.join("; ")))
}
