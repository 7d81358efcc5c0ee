//! Something goes wrong at a statement that is named, in each command of two migrations: both laws hold afterwards.

use std::time::Duration;

use crossfade::Target;
use crossfade_core::journal::State;

use super::proxy::Fault;
use super::proxy::Point;
use super::proxy::Proxy;
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
use crate::server::main_server;
use crate::snapshot::Snapshot;

const CASES: [&str; 2] = ["rename_column", "drop_column_not_null_down"];

/// The sync begins, a transaction ends, the journal is written, something goes.
const POINTS: [&str; 4] = ["CREATE TRIGGER", "COMMIT\0", ".events (", "DROP "];

const FAULTS: [Fault; 4] = [Fault::Cut, Fault::LoseAnswer, Fault::Delay(Duration::from_millis(300)), Fault::Kill];

/// So often a command is given again, where it ends with an error.
const TRIES: usize = 5;

#[test]
fn both_laws_hold_whatever_goes_wrong_at_a_statement() {
    let corpus = fixture::corpus();
    let mut cases = Vec::new();
    for (a, name) in CASES.into_iter().enumerate() {
        let fixture = corpus.iter().find(|fixture| fixture.name == name).expect("the fixture is there");
        for (b, text) in POINTS.into_iter().enumerate() {
            for (c, fault) in FAULTS.into_iter().enumerate() {
                // In an ordinary run each fault is at each point in one of the cases.
                if every_case() || (a + b + c) % 2 == 0 {
                    cases.push((format!("{name}: {fault:?} at {text:?}"), (fixture.clone(), Point { text, fault })));
                }
            }
        }
    }
    each(cases, PATIENCE, |(fixture, point)| both_laws(fixture, point));
}

async fn both_laws(fixture: Fixture, point: Point) -> Result<(), String> {
    let server = main_server();
    let want = direct(server, &fixture).await?;
    let database = before(server, &fixture).await?;
    let was = Snapshot::take(&database).await;
    let proxy = Proxy::to(&server.scratch, &database.name).await;
    let target = Target::from_url(&proxy.url()).map_err(|error| error.chain())?;
    let project = Project::on(target, &[("001_case.sql", &fixture.migration)], |_| {});
    for (command, wanted) in [(Command::Migrate, State::Ready), (Command::Rollback, State::RolledBack)] {
        insist(&project, &proxy, point, command, wanted).await?;
    }
    let back = Snapshot::take(&database).await;
    same("the schema after the way back", back.schema_difference(&was))?;
    same("the rows after the way back", back.row_difference(&was))?;
    for (command, wanted) in
        [(Command::Migrate, State::Ready), (Command::Contract, State::Contracted), (Command::Purge, State::Applied)]
    {
        insist(&project, &proxy, point, command, wanted).await?;
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
    }
    Err(format!("{command:?} does not come to {}: {}", wanted.name(), said.join("; ")))
}
