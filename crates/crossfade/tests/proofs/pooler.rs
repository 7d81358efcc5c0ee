//! Behind a real PgBouncer in transaction mode: what runs in one transaction runs, once; nothing that is set reaches another client; what needs a
//! session of its own is refused.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command as Process;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use crossfade::ErrorKind;
use crossfade::Target;
use crossfade::observer::Notice;
use crossfade_core::journal::State;

use crate::project::Command;
use crate::project::Project;
use crate::project::Watch;
use crate::project::said;
use crate::scene::Running;
use crate::scene::Start;
use crate::scene::database;
use crate::scene::in_transaction;
use crate::scene::until;
use crate::server::Database;
use crate::server::connect;
use crate::server::run;

/// A pooler for one database, as the user that its server runs as: as root it does not run.
struct Pooler {
    process: Child,
    url: String,
}

impl Pooler {
    async fn start(database: &Database) -> Pooler {
        let server = &database.server.scratch;
        let socket_dir = server.socket_dir();
        let owner = std::fs::metadata(socket_dir).expect("the server has a folder");
        let port = server.port() + 1;
        let settings: PathBuf = socket_dir.join(format!("pgbouncer-{}.ini", database.name));
        let text = format!(
            "[databases]\n* = host={socket} port={} user=postgres\n[pgbouncer]\nunix_socket_dir = {socket}\nlisten_port = {port}\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = 12\nlogfile = {socket}/pgbouncer.log\n",
            server.port(),
            socket = socket_dir.display()
        );
        std::fs::write(&settings, text).expect("its settings are written");
        // Debian puts it where an ordinary user's PATH does not lead.
        let known =
            ["/usr/sbin/pgbouncer", "/usr/local/sbin/pgbouncer"].into_iter().find(|path| Path::new(path).exists());
        let mut process = Process::new(known.unwrap_or("pgbouncer"));
        process.arg("-q").arg(&settings).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if nix::unistd::geteuid().is_root() {
            process.uid(owner.uid()).gid(owner.gid());
        }
        let process = process.spawn().expect("PgBouncer starts; scripts/setup installs it");
        let url = format!("postgres://postgres@/{}?host={}&port={port}", database.name, socket_dir.display());
        let (pooler, begun) = (Pooler { process, url }, Instant::now());
        while tokio_postgres::connect(&pooler.url, tokio_postgres::NoTls).await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "PgBouncer does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        pooler
    }

    /// Every connection that the pooler has is as a new one.
    async fn has_no_setting(&self) {
        let others: Vec<_> = {
            let mut others = Vec::new();
            for _ in 0..6 {
                let client = connect(&self.url).await;
                client.batch_execute("BEGIN").await.expect("a transaction");
                others.push(client);
            }
            others
        };
        for client in &others {
            let set = "SELECT coalesce(string_agg(name || ' = ' || setting, ', '), '') FROM pg_settings WHERE context IN ('user', 'superuser') AND setting IS DISTINCT FROM reset_val \
                 AND name NOT IN ('application_name', 'transaction_isolation', 'transaction_read_only', 'transaction_deferrable')";
            let row = client.query_one(set, &[]).await.expect("settings can be read");
            assert_eq!(row.get::<_, String>(0), "");
        }
    }

    fn target(&self) -> Target {
        Target::from_url(&self.url).expect("the URL is one")
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One pooler at a time listens beside a server.
static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

const SETS: &str = "SET search_path = pg_catalog;\nSET statement_timeout = '7s';\nSET ROLE app_writer;\nCREATE TABLE public.t (id integer);\n";

#[test]
fn what_is_one_transaction_runs_behind_a_pooler_and_leaves_no_setting() {
    run(async {
        let _alone = ONE.lock().await;
        let database = database("GRANT CREATE ON SCHEMA public TO app_writer").await;
        let pooler = Pooler::start(&database).await;
        let files = [
            ("001_sets.sql", SETS),
            ("002_next.sql", "CREATE TABLE next (id integer);"),
            ("002_next_down.sql", "DROP TABLE next;"),
        ];
        let project = Project::on(pooler.target(), &files, |_| {});
        let mut watch = Watch::default();
        let state = Command::Migrate.watched(&project.migrator, &mut watch).await;
        assert_eq!(state.map_err(|error| said(&error)), Ok(Some(State::Applied)));
        let told = watch
            .notices
            .iter()
            .any(|notice| matches!(notice, Notice::Info { text } if text.contains("a pooler is in between")));
        assert!(told, "it is said");
        assert_eq!(database.value("SELECT tableowner FROM pg_tables WHERE tablename = 'next'").await, "postgres");

        pooler.has_no_setting().await;
        assert_eq!(Command::Rollback.on(&project.migrator).await, Ok(Some(State::RolledBack)));
        assert_eq!(database.value("SELECT count(*) FROM pg_tables WHERE tablename = 'next'").await, "0");
    });
}

/// A look at every signal, by whoever asks for the throttle.
#[test]
fn a_look_at_the_throttle_leaves_no_setting_behind_a_pooler() {
    run(async {
        let _alone = ONE.lock().await;
        let database = database(crate::scene::TABLE).await;
        let pooler = Pooler::start(&database).await;
        let project = Project::on(pooler.target(), &[("001_one.sql", "CREATE TABLE one (id integer);")], |config| {
            let throttle = "[throttle]\nquery = \"SELECT count(*) FROM t WHERE id < 0\"\n";
            let parsed = crossfade::Config::parse(throttle, std::path::Path::new("crossfade.toml")).expect("settings");
            config.throttle = parsed.throttle;
        });
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        let seen = project.migrator.throttle().await.expect("it can be looked at");
        let query = seen.signals.iter().find(|signal| signal.signal == "query").expect("it is asked");
        assert_eq!((query.value, query.error.as_deref()), (Some(0.0), None));
        assert!(seen.signals.iter().any(|signal| signal.signal == "commit" && signal.error.is_none()), "{seen:?}");
        pooler.has_no_setting().await;
    });
}

#[test]
fn what_needs_a_session_is_refused_behind_a_pooler_and_runs_without_it() {
    run(async {
        let _alone = ONE.lock().await;
        for text in [
            "ALTER TABLE t RENAME COLUMN v TO w;",
            "CREATE INDEX t_v ON t (v);",
            "-- crossfade: no-transaction\nVACUUM t;",
            "COPY t FROM stdin;\n1\tx\n\\.\n",
        ] {
            let database = database(
                "CREATE TABLE t (id integer, v text); INSERT INTO t SELECT g, 'v' FROM generate_series(1, 300) AS g",
            )
            .await;
            let pooler = Pooler::start(&database).await;
            let files = [("001_one.sql", text)];
            let project = Project::on(pooler.target(), &files, |_| {});
            let refused =
                Command::Migrate.watched(&project.migrator, &mut Watch::default()).await.expect_err("refused");
            assert_eq!(refused.kind(), ErrorKind::Refused, "{}", said(&refused));
            assert!(said(&refused).contains("MIGRATION_DATABASE_URL"), "{}", said(&refused));
            assert_eq!(database.value("SELECT count(*) FROM crossfade.plans").await, "0");
            let direct = Project::new(&database, &files);
            assert!(Command::Migrate.on(&direct.migrator).await.is_ok());
            // What was begun directly does not go on through the pooler, either.
            if direct.state().await == State::Ready {
                let refused =
                    Command::Contract.watched(&project.migrator, &mut Watch::default()).await.expect_err("refused");
                assert!(said(&refused).contains("session of its own"), "{}", said(&refused));
            }
        }
    });
}

/// E5 40.
#[test]
fn runners_behind_a_pooler_run_each_file_once() {
    run(async {
        let _alone = ONE.lock().await;
        let database = database("SELECT 1").await;
        let pooler = Pooler::start(&database).await;
        for turn in 0..15 {
            let files =
                [("001_one.sql", "CREATE TABLE one (id integer);"), ("002_two.sql", "INSERT INTO one VALUES (1);")];
            database
                .run("DROP TABLE IF EXISTS one; DROP SCHEMA IF EXISTS crossfade CASCADE")
                .await
                .expect("a new beginning");
            let project = Project::on(pooler.target(), &files, |_| {});
            let runners: Vec<Running> = (0..3).map(|_| Running::start(&project, Start::MigrateWaiting)).collect();
            for runner in runners {
                let ended = tokio::time::timeout(Duration::from_secs(60), runner.end()).await;
                let (result, _) = ended.unwrap_or_else(|_| panic!("turn {turn}: a runner hangs"));
                assert!(result.is_ok(), "turn {turn}: {result:?}");
            }
            assert_eq!(database.value("SELECT count(*) FROM one").await, "1", "turn {turn}");
        }
    });
}

/// The lock belongs to a transaction: whoever dies gives it up, and a pooler keeps nothing of it.
#[test]
fn a_runner_that_is_killed_behind_a_pooler_leaves_no_lease() {
    run(async {
        let _alone = ONE.lock().await;
        let database = database("CREATE TABLE t (id integer)").await;
        let pooler = Pooler::start(&database).await;
        let blocker = in_transaction(&database, "LOCK TABLE t IN ACCESS EXCLUSIVE MODE").await;
        let files = [("001_one.sql", "ALTER TABLE t ADD COLUMN v text;")];
        let project = Project::on(pooler.target(), &files, |_| {});
        let first = Running::start(&project, Start::Migrate);
        until(&database, "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND granted").await;
        let refused = Command::Migrate.watched(&project.migrator, &mut Watch::default()).await.expect_err("refused");
        assert!(said(&refused).contains("another runner is at work"), "{}", said(&refused));
        first.kill();
        until(&database, "SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory' AND granted").await;
        blocker.batch_execute("COMMIT").await.expect("it commits");
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
    });
}
