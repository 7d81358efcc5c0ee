//! Clients of both versions at work while everything happens: none of them ever sees an error.

use std::time::Duration;

use crossfade_core::journal::State;

use crate::cases;
use crate::clients::Clients;
use crate::fixture::Fixture;
use crate::laws::before;
use crate::laws::check_invariant;
use crate::laws::expect;
use crate::laws::finish;
use crate::laws::project;
use crate::laws::same;
use crate::project::Command;
use crate::prove;
use crate::server::Server;
use crate::server::main_server;
use crate::snapshot::Snapshot;

#[test]
fn no_client_of_either_version_sees_an_error() {
    let wanted = |fixture: &Fixture| fixture.refused.is_none() && !fixture.old.is_empty();
    prove(cases(std::slice::from_ref(main_server()), wanted), unharmed);
}

async fn moment() {
    tokio::time::sleep(Duration::from_millis(60)).await;
}

async fn unharmed(server: &'static Server, fixture: Fixture) -> Result<(), String> {
    let database = before(server, &fixture).await?;
    let was = Snapshot::seen(&database).await;
    let project = project(&database, &fixture);
    let migrator = &project.migrator;

    let old = Clients::start(&database, "old code", &fixture.old, 2);
    moment().await;
    let state = Command::Migrate.on(migrator).await?.unwrap_or(State::Pending);
    if state == State::Ready {
        let back = Command::Rollback.on(migrator).await?.unwrap_or(state);
        expect(back, State::RolledBack)?;
        same("the schema after a rollback under load", was.schema_difference(&Snapshot::seen(&database).await))?;
        expect(Command::Migrate.on(migrator).await?.unwrap_or(state), State::Ready)?;
    }
    let new = Clients::start(&database, "new code", &fixture.new, 2);
    moment().await;
    old.end().await.map_err(|why| format!("while it migrates: {why}"))?;
    moment().await;
    if state == State::Ready {
        check_invariant(&database, &fixture).await?;
    }
    finish(&project).await?;
    moment().await;
    new.end().await.map(|_| ()).map_err(|why| format!("from ready to the end: {why}"))
}
