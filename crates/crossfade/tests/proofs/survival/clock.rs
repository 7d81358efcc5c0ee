//! A clock that jumps: the server's, so that its journal comes from the future or from long ago.

use std::time::Duration;

use crossfade::ContractOptions;
use crossfade::HistoryOptions;
use crossfade::Stop;
use crossfade::observer::Unobserved;
use crossfade_core::journal::State;

use crate::project::Command;
use crate::project::Project;
use crate::project::said;
use crate::scene::RENAME;
use crate::scene::database;
use crate::server::Database;
use crate::server::run;

/// Every time that the journal has.
const TIMES: [(&str, &str); 13] = [
    ("plans", "made_at"),
    ("events", "at"),
    ("schema_migrations", "applied_at"),
    ("schema_migrations", "contracted_at"),
    ("lease", "since"),
    ("cursors", "updated_at"),
    ("heartbeat", "at"),
    ("old_writes", "first_at"),
    ("old_writes", "last_at"),
    ("sampled", "first_at"),
    ("sampled", "last_at"),
    ("samples", "grown_at"),
    ("compared", "at"),
];

async fn jump(database: &Database, by: &str) {
    for (table, column) in TIMES {
        let shift = format!("UPDATE crossfade.{table} SET {column} = {column} + interval '{by}'");
        database.run(&shift).await.unwrap_or_else(|error| panic!("{shift}: {error}"));
    }
}

/// Whatever looks at times says something, and fails nothing.
async fn look(project: &Project) {
    project.migrator.status().await.expect("a status");
    project.migrator.usage(None).await.expect("who uses the old form");
    project.migrator.doctor().await.expect("a diagnosis");
    project.migrator.history(&HistoryOptions::default()).await.expect("a history");
}

#[test]
fn a_clock_of_the_server_that_jumps_loses_nothing() {
    const TABLE: &str = "CREATE TABLE t (id integer PRIMARY KEY, v text, n integer, pad text);
        INSERT INTO t SELECT g, 'v' || g, 0, 'p' FROM generate_series(1, 11000) AS g; ANALYZE t;";
    run(async {
        // It was set back by a day, or forward by years.
        for by in ["1 day", "-10 years"] {
            let database = database(TABLE).await;
            let files = [("001_case.sql", RENAME), ("002_once.sql", "UPDATE t SET n = n + 1;")];
            let project = Project::with(&database, &files, |config| {
                config.contract.quiet_for = Duration::from_secs(3600);
            });
            // The process dies in the middle of both fills; between its runs the clock jumps.
            for writes in 1.. {
                match Command::Migrate.on(&project.migrator.clone().crashing_after(writes)).await {
                    Ok(_) => break,
                    Err(_) => jump(&database, by).await,
                }
                look(&project).await;
                database
                    .run(&format!("UPDATE t SET v = 'w{writes}' WHERE id = {writes}"))
                    .await
                    .expect("old code writes");
            }
            jump(&database, by).await;
            look(&project).await;
            assert_eq!(
                database.value("SELECT count(*) FROM t WHERE n <> 1 OR v IS DISTINCT FROM w").await,
                "0",
                "{by}"
            );
            let force = ContractOptions { force: Some("a test".to_owned()), ..ContractOptions::default() };
            let done = project.migrator.contract(Some("001"), &force, &mut Unobserved, &Stop::default()).await;
            assert_eq!(done.map(|done| done.migrations[0].state).map_err(|error| said(&error)), Ok(State::Contracted));
            jump(&database, by).await;
            look(&project).await;
            database.run("UPDATE t SET w = 'last' WHERE id = 9").await.expect("new code writes");
            let back = project
                .migrator
                .rollback(Some("001"), crossfade::RunOptions::default(), &mut Unobserved, &Stop::default())
                .await;
            assert_eq!(back.map(|back| back.migrations[0].state).map_err(|error| said(&error)), Ok(State::RolledBack));
            assert_eq!(database.value("SELECT v FROM t WHERE id = 9").await, "last", "{by}");
            look(&project).await;
        }
    });
}
