//! Who still uses the old form, and what contract makes of it.

use std::time::Duration;

use crossfade::Config;
use crossfade::ContractOptions;
use crossfade::ErrorKind;
use crossfade::HistoryOptions;
use crossfade::KeepVerifyingOptions;
use crossfade::Stop;
use crossfade::Target;
use crossfade::config::Blocks;
use crossfade::config::ContractConfig;
use crossfade::observer::Unobserved;
use crossfade::report::MigrationUsage;
use crossfade::report::SeenBy;
use crossfade::report::SeenUse;
use crossfade_core::journal::State;

use crate::project::Command;
use crate::project::Project;
use crate::project::Watch;
use crate::project::said;
use crate::server::Database;
use crate::server::connect;
use crate::server::main_server;
use crate::server::run;
use crate::server::servers;
use crate::server::start_with;

const TABLE: &str = "CREATE TABLE users (id integer PRIMARY KEY, email text, name text NOT NULL DEFAULT 'n', age integer);
    INSERT INTO users SELECT g, 'u' || g FROM generate_series(1, 20) AS g; GRANT SELECT, INSERT, UPDATE ON users TO app_writer;";
const RENAME: &str = "ALTER TABLE users RENAME COLUMN email TO email_address;";

/// As for users, but for what a proof is not about.
fn only_uses(config: &mut Config) {
    config.contract = ContractConfig { old_sessions: Blocks::Warn, ..ContractConfig::default() };
}

/// A session that names itself.
async fn application(database: &Database, name: &str) -> tokio_postgres::Client {
    let url = database.url();
    let between = if url.contains('?') { '&' } else { '?' };
    connect(&format!("{url}{between}application_name={name}")).await
}

/// Ends it, and waits until the server has: one that is about to go is seen with what it said last.
async fn end(database: &Database, client: tokio_postgres::Client, name: &str) {
    drop(client);
    let watching = database.connect().await;
    let query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1";
    for _ in 0..5_000 {
        let row = watching.query_one(query, &[&name]).await.expect("sessions can be counted");
        if row.get::<_, i64>(0) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("the session of {name} does not end");
}

async fn usage(project: &Project) -> MigrationUsage {
    let report = project.migrator.usage(Some("001")).await.expect("the use is read");
    report.migrations.into_iter().next().expect("there is one")
}

fn by(usage: &MigrationUsage, by: SeenBy) -> Vec<&SeenUse> {
    usage.seen.iter().filter(|seen| seen.by == by).collect()
}

fn writers(usage: &MigrationUsage) -> Vec<&str> {
    let mut names: Vec<&str> = by(usage, SeenBy::Write).iter().filter_map(|seen| seen.application.as_deref()).collect();
    names.sort_unstable();
    names
}

async fn ready(database: &Database, text: &str, configure: impl FnOnce(&mut Config)) -> Project {
    let project = Project::with(database, &[("001_case.sql", text)], configure);
    assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
    project
}

#[test]
fn who_writes_the_old_form_is_seen_by_name_and_contract_waits_for_it() {
    run(async {
        for server in servers() {
            let database = Database::create(server).await;
            database.run(TABLE).await.expect("a table");
            let project = ready(&database, RENAME, only_uses).await;
            let write = async |name: &str, sql: &str| {
                let client = application(&database, name).await;
                client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {}", crate::text_of(&error)));
                end(&database, client, name).await;
            };
            // New code, what has nothing to do with it, and what is taken back.
            write("new", "UPDATE users SET email_address = 'n' WHERE id = 1; INSERT INTO users (id, email_address) VALUES (101, 'n')").await;
            write(
                "new",
                "INSERT INTO users (id) VALUES (102); UPDATE users SET name = 'x'; UPDATE users SET email = email",
            )
            .await;
            write("back", "BEGIN; UPDATE users SET email = 'b' WHERE id = 2; ROLLBACK").await;
            assert_eq!(writers(&usage(&project).await), Vec::<&str>::new(), "{}", server.major());
            assert_eq!(usage(&project).await.reasons, Vec::<String>::new(), "{}", server.major());

            write("old_update", "UPDATE users SET email = 'o' WHERE id = 3; UPDATE users SET email = 'p' WHERE id = 3")
                .await;
            write("old_insert", "SET ROLE app_writer; INSERT INTO users (id, email) VALUES (103, 'o')").await;
            write(
                "old_copy",
                "SET session_replication_role = replica; INSERT INTO users (id, email) VALUES (104, 'o')",
            )
            .await;
            for (name, level) in [("old_serial", "SERIALIZABLE"), ("old_repeat", "REPEATABLE READ")] {
                write(
                    name,
                    &format!("BEGIN ISOLATION LEVEL {level}; UPDATE users SET email = '{name}' WHERE id = 4; COMMIT"),
                )
                .await;
            }
            write("old_save", "BEGIN; SAVEPOINT s; UPDATE users SET email = 's' WHERE id = 5; RELEASE s; COMMIT").await;
            let seen = usage(&project).await;
            let all = ["old_copy", "old_insert", "old_repeat", "old_save", "old_serial", "old_update"];
            assert_eq!(writers(&seen), all, "{}", server.major());
            assert!(by(&seen, SeenBy::Write).iter().all(|seen| seen.certain && seen.times == Some(1)), "{seen:?}");

            let refused =
                Command::Contract.watched(&project.migrator, &mut Watch::default()).await.expect_err("it is used");
            assert_eq!(refused.kind(), ErrorKind::Refused);
            let words = said(&refused);
            assert!(
                words.contains("the old side of public.users was written ") && words.contains(" s ago by old_"),
                "{words}"
            );
            assert!(words.contains("1 more ways") && words.contains("--force --reason"), "{words}");
            assert_eq!(project.state().await, State::Ready, "nothing was changed");

            let status = project.migrator.status().await.expect("a status").migrations.remove(0);
            let old_form = status.old_form.expect("it is ready");
            assert!(old_form.last.is_some() && old_form.reasons == 6, "{old_form:?}");

            let force = ContractOptions { force: Some("I know".to_owned()), ..ContractOptions::default() };
            let done = project.migrator.contract(None, &force, &mut Unobserved, &Stop::default()).await;
            assert_eq!(done.map(|done| done.migrations[0].state).map_err(|error| said(&error)), Ok(State::Contracted));
            let history = project.migrator.history(&HistoryOptions::default()).await.expect("a history");
            let reasons: Vec<String> = history
                .events
                .iter()
                .map(|event| format!("{event:?}"))
                .filter(|event| event.contains("I know"))
                .collect();
            assert!(reasons.len() == 1 && reasons[0].contains("old_save"), "{reasons:?}");
            assert_eq!(
                database.value("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'zzz%'").await,
                "0",
                "no witness is left on the table"
            );
        }
    });
}

/// A session has nothing new to tell for a minute; what it told in a transaction that was rolled back, it tells again.
#[test]
fn a_session_tells_again_when_its_minute_is_over() {
    run(async {
        let database = Database::create(main_server()).await;
        database.run(TABLE).await.expect("a table");
        let _project = ready(&database, RENAME, only_uses).await;
        let web = application(&database, "web").await;
        let sightings = "SELECT coalesce(sum(sightings), 0) FROM crossfade.old_writes";
        let write = async |value: &str, seen: &str| {
            let text = format!("UPDATE users SET email = '{value}' WHERE id = 1");
            web.batch_execute(&text).await.expect("it writes");
            assert_eq!(database.value(sightings).await, seen, "after {value}");
        };
        // The setting is there afterwards, and empty.
        web.batch_execute("BEGIN; UPDATE users SET email = 'a' WHERE id = 1; ROLLBACK")
            .await
            .expect("it changes its mind");
        assert_eq!(database.value(sightings).await, "0");
        write("b", "1").await;
        database
            .run("UPDATE crossfade.old_writes SET last_at = last_at - interval '2 minutes'")
            .await
            .expect("time passes");
        write("c", "1").await;
        let over = "SELECT set_config(substring(prosrc FROM 'crossfade.told_[0-9a-f]+'), encode(timestamptz_send(now() - interval '1 second'), 'hex'), false)
             FROM pg_proc WHERE oid = 'crossfade.sync_001_public_users'::regproc";
        web.batch_execute(over).await.expect("the minute is over");
        write("d", "2").await;
        database
            .run("UPDATE crossfade.old_writes SET last_at = last_at - interval '2 minutes'")
            .await
            .expect("time passes");
        write("e", "2").await;
        web.batch_execute("DISCARD ALL").await.expect("a pooler gives it to another");
        write("f", "3").await;
    });
}

/// It is only due once a minute: an application that writes at once in many sessions never waits for another.
#[test]
fn witnesses_make_no_application_wait() {
    run(async {
        let database = Database::create(main_server()).await;
        database.run(TABLE).await.expect("a table");
        let project = ready(&database, RENAME, only_uses).await;
        let (one, two) = (application(&database, "web").await, application(&database, "web").await);
        for client in [&one, &two] {
            client.batch_execute("SET lock_timeout = '20s'").await.expect("a limit");
        }
        one.batch_execute("BEGIN; UPDATE users SET email = 'a' WHERE id = 1").await.expect("it writes");
        two.batch_execute("BEGIN; UPDATE users SET email = 'b' WHERE id = 2").await.expect("it does not wait");
        two.batch_execute("COMMIT").await.expect("done");
        one.batch_execute("COMMIT").await.expect("done");
        // The next look of a third takes both rows together, and leaves the one that somebody has in his hands.
        database
            .run("UPDATE crossfade.old_writes SET last_at = last_at - interval '2 minutes'")
            .await
            .expect("time passes");
        let holder = database.connect().await;
        holder
            .batch_execute("BEGIN; SELECT FROM crossfade.old_writes WHERE ctid = (SELECT min(ctid) FROM crossfade.old_writes) FOR UPDATE")
            .await
            .expect("held");
        let three = application(&database, "web").await;
        three
            .batch_execute("SET lock_timeout = '20s'; UPDATE users SET email = 'c' WHERE id = 3")
            .await
            .expect("it does not wait");
        assert_eq!(database.value("SELECT count(*) FROM crossfade.old_writes").await, "2");
        holder.batch_execute("ROLLBACK").await.expect("let go");
        assert_eq!(database.value("SELECT sum(sightings) FROM crossfade.old_writes").await, "3");
        assert_eq!(writers(&usage(&project).await), ["web"]);
    });
}

/// The journal's table may be away, the disk full, a right missing: the write goes through.
#[test]
fn a_witness_that_fails_fails_no_write() {
    run(async {
        let database = Database::create(main_server()).await;
        database.run(TABLE).await.expect("a table");
        let project = ready(&database, RENAME, only_uses).await;
        database.run("ALTER TABLE crossfade.old_writes RENAME TO elsewhere").await.expect("away");
        database.run("UPDATE users SET email = 'a' WHERE id = 1").await.expect("the write goes through");
        assert_eq!(database.value("SELECT email_address FROM users WHERE id = 1").await, "a");
        database.run("ALTER TABLE crossfade.elsewhere RENAME TO old_writes").await.expect("back");
        assert_eq!(writers(&usage(&project).await), Vec::<&str>::new());
        // Whoever tidies rights up takes nobody's writes away.
        database.run("REVOKE ALL ON SCHEMA crossfade FROM PUBLIC").await.expect("revoked");
        let write = "SET ROLE app_writer; UPDATE users SET email = 'b' WHERE id = 2; INSERT INTO users (id, email) VALUES (300, 'c')";
        database.run(write).await.expect("the write goes through");
        assert_eq!(
            database.value("SELECT string_agg(email_address, ' ' ORDER BY id) FROM users WHERE id IN (2, 300)").await,
            "b c"
        );
    });
}

/// The other changes that have a witness, and what has none.
#[test]
fn each_kind_of_change_sees_what_it_can() {
    run(async {
        let cases = [
            ("ALTER TABLE users DROP COLUMN email;", "UPDATE users SET email = 'x' WHERE id = 1", true),
            (
                "ALTER TABLE users ADD COLUMN lower_email text;\nUPDATE users SET lower_email = lower(email);\n-- crossfade: down lower_email\nALTER TABLE users DROP COLUMN email;",
                "INSERT INTO users (id, email) VALUES (200, 'X')",
                true,
            ),
            (
                "-- crossfade: up coalesce(age, 0)\nALTER TABLE users ALTER COLUMN age SET NOT NULL;",
                "INSERT INTO users (id) VALUES (201)",
                true,
            ),
            ("ALTER TABLE users ALTER COLUMN age TYPE bigint;", "UPDATE users SET age = 3 WHERE id = 1", false),
        ];
        for (text, old, is_seen) in cases {
            let database = Database::create(main_server()).await;
            database.run(TABLE).await.expect("a table");
            let project = ready(&database, text, only_uses).await;
            let client = application(&database, "old").await;
            client.batch_execute(old).await.unwrap_or_else(|error| panic!("{old}: {}", crate::text_of(&error)));
            let seen = usage(&project).await;
            assert_eq!(writers(&seen), if is_seen { vec!["old"] } else { vec![] }, "{text}: {seen:?}");
            let is_said = seen.unseen.iter().any(|unseen| unseen.contains("old and new form have one name"));
            assert_eq!(is_said, text.contains("TYPE"), "{text}: {:?}", seen.unseen);
        }
    });
}

/// A parameter stands in no text, so silence proves nothing.
#[test]
fn the_old_name_of_a_value_is_never_taken_for_unused() {
    run(async {
        let database = Database::create(main_server()).await;
        let before = "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE users (id integer PRIMARY KEY, mood mood);
            INSERT INTO users SELECT g, 'ok' FROM generate_series(1, 20) AS g;";
        database.run(before).await.expect("a table");
        let unseen_counts = |config: &mut Config| {
            config.contract =
                ContractConfig { old_sessions: Blocks::Warn, unseen: Blocks::Refuse, ..ContractConfig::default() };
        };
        let project = ready(&database, "ALTER TYPE mood RENAME VALUE 'sad' TO 'down';", unseen_counts).await;
        let client = application(&database, "old").await;
        client.batch_execute("SELECT FROM users WHERE mood = 'sad'").await.expect("it is still there");
        let seen = usage(&project).await;
        assert_eq!(seen.old_forms, ["value sad of type mood"]);
        let sessions = by(&seen, SeenBy::Session);
        assert!(sessions.iter().any(|seen| !seen.certain && seen.application.as_deref() == Some("old")), "{seen:?}");
        let refused = Command::Contract.on(&project.migrator).await.expect_err("nobody can know");
        assert!(refused.contains("it can't be seen who still uses value sad of type mood"), "{refused}");
    });
}

#[test]
fn sessions_show_their_last_statement_and_how_old_they_are() {
    run(async {
        let mut database = Database::create(main_server()).await;
        database.run(TABLE).await.expect("a table");
        let old = application(&database, "old").await;
        let tool = application(&database, "tool7").await;
        let configure = |config: &mut Config| {
            config.contract = ContractConfig { ignore: vec!["tool*".to_owned()], ..ContractConfig::default() };
        };
        let project = ready(&database, RENAME, configure).await;
        database.leave_alone_but(2).await;
        let seen = usage(&project).await;
        assert_eq!(seen.old_sessions.iter().map(|old| old.application.as_str()).collect::<Vec<_>>(), ["old"]);
        assert!(
            seen.reasons.len() == 1 && seen.reasons[0].contains("1 session of old (role postgres) is open since"),
            "{seen:?}"
        );
        drop(tool);

        old.query("SELECT id, email FROM users WHERE email = 'secret@example.com'", &[]).await.expect("it reads");
        let star = application(&database, "star").await;
        star.query("SELECT * FROM users WHERE id = 1", &[]).await.expect("it reads");
        let seen = usage(&project).await;
        assert!(!format!("{seen:?}").contains("secret"), "values are nobody's business: {seen:?}");
        let sessions = by(&seen, SeenBy::Session);
        let found: Vec<(Option<&str>, bool)> =
            sessions.iter().map(|seen| (seen.application.as_deref(), seen.certain)).collect();
        assert_eq!(found, [(Some("old"), true), (Some("star"), false)]);
        assert_eq!(sessions[0].statement.as_deref(), Some("SELECT id, email FROM users WHERE email = $1"));
        assert_eq!(seen.reasons.len(), 2, "what is doubtful is no reason: {:?}", seen.reasons);

        drop(old);
        while !usage(&project).await.reasons.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(Command::Contract.on(&project.migrator).await, Ok(Some(State::Contracted)));
    });
}

#[test]
fn a_transaction_that_is_open_for_long_is_named() {
    run(async {
        let database = Database::create(main_server()).await;
        database.run(TABLE).await.expect("a table");
        let project = ready(&database, RENAME, |config| {
            only_uses(config);
            config.contract.long_transaction = Duration::from_millis(300);
        })
        .await;
        let report = application(&database, "report").await;
        report.batch_execute("BEGIN; SELECT count(*) FROM users").await.expect("it reads");
        tokio::time::sleep(Duration::from_millis(400)).await;
        let refused = Command::Contract.on(&project.migrator).await.expect_err("it would wait");
        assert!(refused.contains("(report) has users in a transaction that is open for"), "{refused}");
        report.batch_execute("COMMIT").await.expect("done");
        assert_eq!(Command::Contract.on(&project.migrator).await, Ok(Some(State::Contracted)));
    });
}

#[test]
fn calls_of_statements_are_counted_from_ready_on() {
    let server = start_with(
        main_server().scratch.bin_dir().to_owned(),
        &[("shared_preload_libraries", "pg_stat_statements"), ("pg_stat_statements.track", "top")],
    );
    run(async {
        let client = connect(&server.url("postgres")).await;
        client
            .batch_execute("CREATE ROLE app_writer; CREATE SCHEMA ext; CREATE EXTENSION pg_stat_statements SCHEMA ext")
            .await
            .expect("there");
        client.batch_execute(TABLE).await.expect("a table");
        client.query("SELECT email FROM users WHERE id = 7", &[]).await.expect("it reads");
        let target = Target::from_url(&server.url("postgres")).expect("a URL");
        let project = Project::on(target, &[("001_case.sql", RENAME)], |config| {
            only_uses(config);
            config.contract.quiet_for = Duration::from_millis(1);
        });
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        tokio::time::sleep(Duration::from_millis(20)).await;
        // What we run ourselves names the old form, too, and is not taken for the application.
        let seen = usage(&project).await;
        let texts: Vec<Option<&str>> = by(&seen, SeenBy::Statement)
            .iter()
            .filter(|seen| seen.certain)
            .map(|seen| seen.statement.as_deref())
            .collect();
        assert_eq!(texts, [Some("SELECT email FROM users WHERE id = $1")], "{seen:?}");
        assert!(seen.unseen.is_empty() && seen.reasons.is_empty(), "not called since: {seen:?}");

        client.query("SELECT email FROM users WHERE id = 8", &[]).await.expect("it reads");
        client.query("SELECT email_address FROM users WHERE id = 8", &[]).await.expect("it reads");
        let refused = Command::Contract.on(&project.migrator).await.expect_err("it is used");
        assert!(
            refused.contains("column users.email was used at most ")
                && refused.contains(" s ago by role postgres: SELECT email"),
            "{refused}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(Command::Contract.on(&project.migrator).await, Ok(Some(State::Contracted)), "quiet since that look");

        client.batch_execute("DROP EXTENSION pg_stat_statements").await.expect("gone");
        assert_eq!(Command::Rollback.on(&project.migrator).await, Ok(Some(State::RolledBack)));
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        let seen = usage(&project).await;
        assert!(seen.unseen.iter().any(|unseen| unseen.contains("has no pg_stat_statements")), "{:?}", seen.unseen);
    });
}

/// In the background, while both versions live: a difference is told, holds contract up, and is taken back.
#[test]
fn a_difference_that_is_found_at_the_hold_is_told_and_holds_contract_up() {
    run(async {
        let database = Database::create(main_server()).await;
        database.run(TABLE).await.expect("a table");
        let notes = tempfile::tempdir().expect("a folder");
        let path = notes.path().join("notes").display().to_string();
        let hook = format!(
            "[[hooks]]\non = [\"differs\", \"agrees\"]\nrun = \"echo $CROSSFADE_EVENT $CROSSFADE_VERSION >> {path}\"\n"
        );
        let project = ready(&database, RENAME, |config| {
            config.hooks = Config::parse(&hook, std::path::Path::new("crossfade.toml")).expect("hooks").hooks;
            only_uses(config);
        })
        .await;
        let round = async || {
            let options = KeepVerifyingOptions {
                every: Duration::ZERO,
                duty: 1.0,
                rounds: Some(1),
                ..KeepVerifyingOptions::default()
            };
            let found = project.migrator.keep_verifying(None, options, &mut Unobserved, &Stop::default()).await;
            found.map(|found| (found.tables[0].rows, found.tables[0].differing)).map_err(|error| said(&error))
        };
        assert_eq!(round().await, Ok((20, 0)));
        database
            .run("ALTER TABLE users DISABLE TRIGGER zzz_crossfade_u_001; UPDATE users SET email_address = 'lost' WHERE id = 4")
            .await
            .expect("the sync is off");
        // By whom of several who look at the same time does not matter: it is told once.
        for found in <[_; 4]>::from(tokio::join!(round(), round(), round(), round())) {
            assert_eq!(found, Ok((20, 1)));
        }
        let refused = Command::Contract.on(&project.migrator).await.expect_err("they differ");
        assert!(refused.contains("found 1 rows in which old and new form differ"), "{refused}");
        database
            .run("UPDATE users SET email_address = email WHERE id = 4; ALTER TABLE users ENABLE ALWAYS TRIGGER zzz_crossfade_u_001")
            .await
            .expect("mended");
        assert_eq!(round().await, Ok((20, 0)));
        let told = std::fs::read_to_string(&path).expect("the hook ran");
        assert_eq!(told, "differs 001\nagrees 001\n");
        assert_eq!(Command::Contract.on(&project.migrator).await, Ok(Some(State::Contracted)));
    });
}

/// A table that goes has nothing to do before the deploy: what is old is older than the plan.
#[test]
fn a_table_that_goes_is_waited_for_by_what_names_it() {
    run(async {
        let mut database = Database::create(main_server()).await;
        database.run(TABLE).await.expect("a table");
        let old = application(&database, "old").await;
        old.query("SELECT count(*) FROM users", &[]).await.expect("it reads");
        let project = ready(&database, "DROP TABLE users;", |config| config.contract = ContractConfig::default()).await;
        database.leave_alone_but(1).await;
        let seen = usage(&project).await;
        assert_eq!(seen.old_forms, ["relation users"]);
        let why = "1 session of old (role postgres) is open since";
        assert!(seen.reasons.iter().any(|reason| reason.contains(why)), "{:?}", seen.reasons);
        assert!(seen.reasons.iter().any(|reason| reason.starts_with("relation users was used")), "{:?}", seen.reasons);
        assert!(seen.unseen.iter().any(|unseen| unseen.starts_with("who writes relation users")), "{:?}", seen.unseen);
    });
}
