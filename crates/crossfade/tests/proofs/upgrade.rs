//! The journal of an earlier version is taken over.

use crossfade_core::journal::State;

use crate::project::Command;
use crate::project::Project;
use crate::server::Database;
use crate::server::main_server;
use crate::server::run;

/// A fill that stopped in the middle, in a journal as format 1 had it: one cursor a step.
#[test]
fn a_fill_that_an_earlier_version_began_is_finished() {
    run(async {
        let database = Database::create(main_server()).await;
        let table = "CREATE TABLE t (id serial PRIMARY KEY, v text); INSERT INTO t (v) SELECT 'v' || g FROM generate_series(1, 30000) AS g";
        for statement in table.split(';') {
            database.run(statement).await.expect("the table can be made");
        }
        let project = Project::new(&database, &[("001_case.sql", "ALTER TABLE t RENAME COLUMN v TO w;")]);
        // Plan, expand (2 events), the fill's start, and a few chunks.
        let crashed = Command::Migrate.on(&project.migrator.clone().crashing_after(9)).await;
        assert!(crashed.is_err(), "it crashes: {crashed:?}");
        let cursors = database.value("SELECT count(*) FROM crossfade.cursors").await;
        assert_ne!(cursors, "0", "a chunk is done");
        for statement in [
            "DELETE FROM crossfade.cursors WHERE lane > (SELECT min(lane) FROM crossfade.cursors)",
            "ALTER TABLE crossfade.cursors DROP COLUMN lane",
            "ALTER TABLE crossfade.cursors ADD PRIMARY KEY (plan_id, step)",
            "UPDATE crossfade.meta SET format = 1",
        ] {
            database.run(statement).await.expect("the journal can be made old");
        }
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        assert_eq!(database.value("SELECT format FROM crossfade.meta").await, "2");
        assert_eq!(database.value("SELECT count(*) FROM t WHERE v IS DISTINCT FROM w").await, "0");
    });
}
