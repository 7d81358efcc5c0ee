//! A crash at each position of the journal: what is found then can be finished, and can be undone.
//!
//! The process dies where it would write the next event or cursor, so an effect that shares the transaction is lost with it, and one that
//! can't share it stands unrecorded. What dies in the middle of an effect is in `kill`.

use std::collections::BTreeSet;

use crossfade_core::journal::State;

use crate::cases;
use crate::every_case;
use crate::fixture::Fixture;
use crate::laws::before;
use crate::laws::check_invariant;
use crate::laws::direct;
use crate::laws::expect;
use crate::laws::project;
use crate::laws::same;
use crate::project::Command;
use crate::project::Project;
use crate::prove;
use crate::server::Database;
use crate::server::Server;
use crate::server::main_server;
use crate::snapshot::Snapshot;

/// What a command says that died as it was asked to.
const DIED: &str = "crashed here";

/// These die at every position in every run. The other cases do with `CROSSFADE_EVERY_CASE`; else each dies at every fifth, which fifth
/// depends on its name: what follows on what is much the same in all of them.
const AT_EVERY_POSITION: [&str; 5] =
    ["rename_column", "rows_update_in_phases", "set_not_null_up", "type_int_to_bigint", "drop_table"];

/// More writes than any command here has.
const MOST: u32 = 90;

#[test]
fn dying_again_and_again_ends_as_the_direct_way() {
    // A third of them, and those of which each position matters; `CROSSFADE_EVERY_CASE` has the others.
    let is_due = |fixture: &Fixture| {
        let number = fixture.name.bytes().fold(0_usize, |sum, byte| sum + usize::from(byte));
        every_case() || fixture.every_crash || number.is_multiple_of(3)
    };
    let wanted = |fixture: &Fixture| fixture.refused.is_none() && is_due(fixture);
    prove(cases(std::slice::from_ref(main_server()), wanted), again_and_again);
}

#[test]
fn from_each_crash_there_is_a_way_on_and_a_way_back() {
    prove(cases(std::slice::from_ref(main_server()), |fixture| fixture.every_crash), each_crash);
}

/// Every run gets a few writes further than the one before it, and dies.
async fn again_and_again(server: &'static Server, fixture: Fixture) -> Result<(), String> {
    let want = direct(server, &fixture).await?;
    // With 3 it dies between effect and record of one step after the other, with 4 in front of them, too.
    let each: &[u32] = if fixture.every_crash { &[3, 4] } else { &[3] };
    for &writes in each {
        let database = before(server, &fixture).await?;
        let project = project(&database, &fixture);
        persist(&project, Command::Migrate, writes).await?;
        for (waits, command) in [(State::Ready, Command::Contract), (State::Contracted, Command::Purge)] {
            if project.state().await == waits {
                persist(&project, command, writes).await?;
            }
        }
        expect(project.state().await, State::Applied)?;
        let end = Snapshot::take(&database).await;
        same("the schema is not the direct one", want.schema_difference(&end))?;
        if !fixture.volatile {
            same("the rows are not the direct ones", want.row_difference(&end))?;
        }
    }
    Ok(())
}

/// Runs a command again until it does not die any more. Where a run came no further than an earlier one, the next may write more: what
/// is recorded in one go needs that, and a plan without an effect yet is made anew.
async fn persist(project: &Project, command: Command, writes: u32) -> Result<(), String> {
    let (mut more, mut place, mut seen) = (0, String::new(), BTreeSet::new());
    for _ in 0..MOST {
        if !dies(project, command, writes + more).await? {
            return Ok(());
        }
        let state = project.state().await;
        let over = match command {
            Command::Contract => matches!(state, State::Contracted | State::Applied),
            Command::Purge => state == State::Applied,
            Command::Migrate | Command::Rollback => false,
        };
        if over {
            return Ok(());
        }
        place = project.place().await;
        more = if seen.insert(place.clone()) { 0 } else { more + 1 };
    }
    Err(format!("{command:?} does not end with {writes} writes each: {place}"))
}

/// Whether it died. Any other failure is one.
async fn dies(project: &Project, command: Command, writes: u32) -> Result<bool, String> {
    match command.on(&project.migrator.clone().crashing_after(writes)).await {
        Ok(_) => Ok(false),
        Err(said) if said.contains(DIED) => Ok(true),
        Err(said) => Err(format!("{command:?} dying after {writes}: {said}")),
    }
}

async fn each_crash(server: &'static Server, fixture: Fixture) -> Result<(), String> {
    let database = before(server, &fixture).await?;
    let was = Snapshot::seen(&database).await;
    let project = project(&database, &fixture);
    let cx = Crashes { database: &database, fixture: &fixture, project: &project, was: &was };
    cx.migrate().await?;
    if fixture.phased {
        cx.contract().await?;
        cx.roll_back().await?;
    }
    Ok(())
}

struct Crashes<'a> {
    database: &'a Database,
    fixture: &'a Fixture,
    project: &'a Project,
    was: &'a Snapshot,
}

impl Crashes<'_> {
    /// After how many writes it dies. The first position that is never reached ends a command's turn.
    fn positions(&self) -> impl Iterator<Item = u32> + use<> {
        let name = &self.fixture.name;
        let all = every_case() || AT_EVERY_POSITION.contains(&name.as_str());
        let (first, stride) = if all { (0, 1) } else { (u32::from(name.bytes().fold(0, u8::wrapping_add)) % 5, 5) };
        (first..MOST).step_by(stride)
    }

    /// `migrate` dies at each position: undone from there, and finished from there and then undone.
    async fn migrate(&self) -> Result<(), String> {
        for writes in self.positions() {
            if !dies(self.project, Command::Migrate, writes).await? {
                return if self.fixture.phased { self.undo(writes).await } else { Ok(()) };
            }
            self.undo(writes).await?;
            if self.fixture.phased {
                dies(self.project, Command::Migrate, writes).await?;
                let state = Command::Migrate.on(&self.project.migrator).await?.unwrap_or(State::Pending);
                expect(state, State::Ready).map_err(|why| format!("after {writes} writes: {why}"))?;
                check_invariant(self.database, self.fixture).await?;
                self.undo(writes).await?;
            }
        }
        Err("migrate does not end".to_owned())
    }

    /// `contract` dies at each position and is undone from there.
    async fn contract(&self) -> Result<(), String> {
        for writes in self.positions() {
            Command::Migrate.on(&self.project.migrator).await?;
            let died = dies(self.project, Command::Contract, writes).await?;
            self.undo(writes).await.map_err(|why| format!("contract: {why}"))?;
            if !died {
                return Ok(());
            }
        }
        Err("contract does not end".to_owned())
    }

    /// `rollback` dies at each position and goes on from there.
    async fn roll_back(&self) -> Result<(), String> {
        for writes in self.positions() {
            Command::Migrate.on(&self.project.migrator).await?;
            let died = dies(self.project, Command::Rollback, writes).await?;
            self.undo(writes).await.map_err(|why| format!("rollback: {why}"))?;
            if !died {
                return Ok(());
            }
        }
        Err("rollback does not end".to_owned())
    }

    async fn undo(&self, writes: u32) -> Result<(), String> {
        let status = self.project.migrator.status().await.map_err(|error| error.chain())?;
        let begun = status.migrations.iter().any(|migration| migration.state != State::Pending);
        if begun {
            Command::Rollback.on(&self.project.migrator).await.map_err(|said| format!("after {writes}: {said}"))?;
        }
        let is = Snapshot::seen(self.database).await;
        same(&format!("after {writes} writes the schema"), self.was.schema_difference(&is))?;
        same(&format!("after {writes} writes the rows"), self.was.row_difference(&is))
    }
}
