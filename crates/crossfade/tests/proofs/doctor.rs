//! `doctor` on real servers: what is under way is healthy, and what is left over is found and mended by what it says.

use crossfade::report::Complaint;
use crossfade_core::finding::Severity;
use crossfade_core::journal::State;

use crate::cases;
use crate::fixture::Fixture;
use crate::laws::before;
use crate::laws::expect;
use crate::laws::project;
use crate::project::Command;
use crate::project::Project;
use crate::prove;
use crate::server::Database;
use crate::server::main_server;
use crate::server::outer_servers;
use crate::server::run;

const TABLES: &str = "CREATE TABLE users (id integer PRIMARY KEY, email text);
    CREATE TABLE notes (id integer PRIMARY KEY, user_id integer);
    INSERT INTO users SELECT g, 'same' FROM generate_series(1, 9) AS g;";

const RENAME: &str = "ALTER TABLE users RENAME COLUMN email TO email_address;";

async fn complaints(project: &Project) -> Vec<Complaint> {
    project.migrator.doctor().await.expect("the doctor looks").complaints
}

fn named(complaints: &[Complaint]) -> Vec<String> {
    complaints.iter().map(|complaint| format!("{}: {}", complaint.rule, complaint.object)).collect()
}

/// What a migration makes for itself is no complaint in any of its states, and nothing of it is left behind.
#[test]
fn a_database_where_all_goes_well_has_no_complaint() {
    let wanted = |fixture: &Fixture| fixture.refused.is_none() && fixture.phased && fixture.every_crash;
    prove(cases(std::slice::from_ref(main_server()), wanted), |server, fixture| async move {
        let database = before(server, &fixture).await?;
        let project = project(&database, &fixture);
        // What the case itself begins with is not to be complained about.
        let own = named(&complaints(&project).await);
        let healthy = async |when: &str| {
            let found = named(&complaints(&project).await);
            if found == own { Ok(()) } else { Err(format!("{when}: {found:?}")) }
        };
        let mut state = Command::Migrate.on(&project.migrator).await?.unwrap_or(State::Pending);
        healthy("ready").await?;
        Command::Rollback.on(&project.migrator).await?;
        healthy("rolled back").await?;
        Command::Migrate.on(&project.migrator).await?;
        for (waits, command) in [(State::Ready, Command::Contract), (State::Contracted, Command::Purge)] {
            if state == waits {
                state = command.on(&project.migrator).await?.unwrap_or(state);
                healthy(state.name()).await?;
            }
        }
        expect(state, State::Applied)
    });
}

/// Everything that can be left, on the oldest, the main and the newest server.
#[test]
fn what_is_left_over_is_found_and_what_it_says_mends_it() {
    run(async {
        for server in outer_servers() {
            let database = Database::create(server).await;
            database.run(TABLES).await.expect("the tables are made");
            let project = Project::new(&database, &[("001_rename.sql", RENAME)]);
            assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
            let by_hand = "ALTER TABLE users DISABLE TRIGGER zzz_crossfade_u_001;
                ALTER TABLE users ADD COLUMN _cf_old_000_name text;
                CREATE FUNCTION crossfade.sync_000_users() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
                CREATE TRIGGER zzz_crossfade_i_000 BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION crossfade.sync_000_users();
                CREATE TABLE \"_cf_old_000_Odd\" (id integer);
                ALTER TABLE notes ADD CONSTRAINT notes_user FOREIGN KEY (user_id) REFERENCES users NOT VALID;
                ALTER TABLE notes ADD CONSTRAINT _cf_nn_000_id CHECK (id IS NOT NULL) NOT VALID;";
            database.run(by_hand).await.expect("it is left");
            let client = database.connect().await;
            let build = client.batch_execute("CREATE UNIQUE INDEX CONCURRENTLY users_email ON users (email)").await;
            assert!(build.is_err(), "all are the same, so the build fails and leaves its index");

            let found = complaints(&project).await;
            let want = [
                "sync-is-off: trigger zzz_crossfade_u_001 on public.users",
                "invalid-index: index public.users_email on public.users",
                "left-over: column _cf_old_000_name of public.users",
                "left-over: constraint _cf_nn_000_id of public.notes",
                "left-over: function crossfade.sync_000_users()",
                "left-over: table public.\"_cf_old_000_Odd\"",
                "left-over: trigger zzz_crossfade_i_000 on public.users",
                "unvalidated-constraint: constraint notes_user of public.notes",
            ];
            assert_eq!(named(&found), want, "on {}", server.major());
            assert!(found[0].severity == Severity::Error && found[1].severity == Severity::Warning);

            // What hangs on another one goes first.
            let (functions, others): (Vec<&Complaint>, Vec<&Complaint>) =
                found.iter().partition(|complaint| complaint.object.starts_with("function "));
            for complaint in others.into_iter().chain(functions) {
                let way = complaint.mend.last().expect("each has a way");
                client.batch_execute(way).await.unwrap_or_else(|error| panic!("{way}: {error:?}"));
            }
            assert_eq!(named(&complaints(&project).await), Vec::<String>::new(), "on {}", server.major());
        }
    });
}

/// A run that died is named with the two ways on.
#[test]
fn a_run_that_died_is_named_and_a_database_without_a_journal_is_healthy() {
    run(async {
        let database = Database::create(main_server()).await;
        database.run(TABLES).await.expect("the tables are made");
        let project = Project::new(&database, &[("001_rename.sql", RENAME)]);
        assert_eq!(named(&complaints(&project).await), Vec::<String>::new());
        assert_eq!(database.value("SELECT count(*) FROM pg_namespace WHERE nspname = 'crossfade'").await, "0");
        let died = Command::Migrate.on(&project.migrator.clone().crashing_after(5)).await;
        assert!(died.is_err_and(|said| said.contains("crashed here")));
        // The lease of a run that died is over when its connections are.
        let found = loop {
            let found = complaints(&project).await;
            if !found.is_empty() {
                break found;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        };
        assert_eq!(named(&found), ["unfinished-migration: migration 001 rename"]);
        assert_eq!(found[0].mend, ["crossfade migrate", "crossfade rollback 001"]);
    });
}
