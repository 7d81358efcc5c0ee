//! A table in use and a migration of it, for proofs that tell one story.

use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use crossfade::Error;
use crossfade::MigrateOptions;
use crossfade::Migrator;
use crossfade::Stop;
use crossfade_core::journal::State;
use tokio::sync::oneshot;
use tokio_postgres::Client;

use crate::project::Command;
use crate::project::Project;
use crate::project::Watch;
use crate::server::Database;
use crate::server::main_server;
use crate::server::run;

/// A table `t` of 600 rows: `id` is the key, `v` text, `n` an integer.
pub const TABLE: &str = "CREATE TABLE t (id integer PRIMARY KEY, v text, n integer, pad text);
    INSERT INTO t SELECT g, 'v' || g, g, repeat('p', 400) FROM generate_series(1, 600) AS g;";

/// The rename that most stories are about.
pub const RENAME: &str = "ALTER TABLE t RENAME COLUMN v TO w;";

/// A database on which `before` was run.
pub async fn database(before: &str) -> Database {
    let database = Database::create(main_server()).await;
    database.run(before).await.unwrap_or_else(|error| panic!("before: {error}"));
    database
}

/// A database with [`TABLE`] and a folder with one migration.
pub async fn scene(migration: &str) -> (Database, Project) {
    let database = database(TABLE).await;
    let project = Project::new(&database, &[("001_case.sql", migration)]);
    (database, project)
}

/// As [`scene`], and the rename is expanded: the next step is its backfill, which a row that somebody holds stops.
pub async fn expanded() -> (Database, Project) {
    let (database, project) = scene(RENAME).await;
    // The plan, and the first step's beginning and end.
    let died = Command::Migrate.on(&project.migrator.clone().crashing_after(3)).await;
    assert!(died.is_err_and(|said| said.contains("crashed here")));
    assert_eq!(database.value("SELECT count(v) || ' ' || count(w) FROM t").await, "600 0");
    (database, project)
}

/// A session in a transaction, in which this was run.
pub async fn in_transaction(database: &Database, sql: &str) -> Client {
    let client = database.connect().await;
    client.batch_execute("SET application_name = 'the blocker'; BEGIN").await.expect("a transaction begins");
    client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {}", crate::text_of(&error)));
    client
}

/// How a command beside the test ended, and what it said meanwhile.
pub type Ended = (Result<Option<State>, Error>, Watch);

/// A command at work beside the test, in a thread and a runtime of its own, as a process would be.
pub struct Running {
    ended: oneshot::Receiver<Ended>,
    kill: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub fn start(project: &Project, options: Start) -> Running {
        let migrator = project.migrator.clone();
        let (tell, ended) = oneshot::channel();
        let (kill, killed) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            run(async move {
                let mut watch = Watch::default();
                let result = tokio::select! {
                    result = options.run(&migrator, &mut watch) => result,
                    _ = killed => return,
                };
                // Nobody may be listening any more.
                let _ = tell.send((result, watch));
            });
        });
        Running { ended, kill: Some(kill), thread: Some(thread) }
    }

    /// As if the process had died.
    pub fn kill(mut self) {
        drop(self.kill.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }

    pub fn is_over(&mut self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    pub async fn end(mut self) -> Ended {
        let ended = (&mut self.ended).await.expect("a command does not panic");
        drop(self.kill.take());
        ended
    }
}

/// What is to run beside the test.
#[derive(Clone, Copy, Debug)]
pub enum Start {
    Migrate,
    /// `migrate --wait`.
    MigrateWaiting,
}

impl Start {
    async fn run(self, migrator: &Migrator, watch: &mut Watch) -> Result<Option<State>, Error> {
        let options = MigrateOptions { wait: matches!(self, Start::MigrateWaiting), ..MigrateOptions::default() };
        let report = migrator.migrate(options, watch, &Stop::default()).await?;
        Ok(report.migrations.last().map(|migration| migration.state))
    }
}

/// Waits until a query says `t`; that it does not know yet (NULL) is not `t`.
pub async fn until(database: &Database, query: &str) {
    let client = database.connect().await;
    let begun = Instant::now();
    loop {
        let row = client.query_one(query, &[]).await.unwrap_or_else(|error| panic!("{}", crate::text_of(&error)));
        if row.get::<_, Option<bool>>(0) == Some(true) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it never came true: {query}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a backend of ours waits for a lock.
pub const WAITS: &str = "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() \
    AND application_name LIKE 'crossfade worker%' AND wait_event_type = 'Lock'";

/// Ends the backends of ours whose last statement looks like this. Returns how many.
pub async fn terminate(database: &Database, statement: &str) -> i64 {
    let query = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() \
                 AND application_name LIKE 'crossfade worker%' AND query LIKE $1";
    let client = database.connect().await;
    client.query_one(query, &[&statement]).await.expect("backends can be ended").get(0)
}
