//! Migrations that are part of the program, and the example of an application that has them.

use std::path::Path;

use crossfade::Config;
use crossfade::Embedded;
use crossfade::Migrator;
use crossfade::Readiness;
use crossfade_core::journal::State;

use crate::project::Command;
use crate::project::said;
use crate::server::Database;
use crate::server::main_server;
use crate::server::run;

#[path = "../../examples/tokio_postgres.rs"]
#[expect(dead_code, reason = "the main function of the example is not called here")]
mod example;

static MIGRATIONS: Embedded = crossfade::embed!("examples/migrations");

#[test]
fn the_example_with_tokio_postgres_works() {
    run(async {
        let database = Database::create(main_server()).await;
        for visits in 1..=2 {
            let seen = example::serve(&database.url()).await.map_err(|error| error.to_string());
            assert_eq!(seen, Ok(visits));
        }
        assert_eq!(database.value("SELECT count(*) FROM crossfade.plans").await, "2", "each file is run once");
    });
}

#[test]
fn a_program_with_its_migrations_needs_no_folder() {
    run(async {
        let database = Database::create(main_server()).await;
        let config = Config { migrations: "/nowhere".into(), ..Config::default() };
        let migrator = Migrator::embedded(config, database.target(), &MIGRATIONS);
        let behind = Readiness::Behind { at: None, missing: vec!["001".to_owned(), "002".to_owned()] };
        assert_eq!(migrator.is_up_to_date().await.map_err(|error| said(&error)), Ok(behind));
        assert_eq!(Command::Migrate.on(&migrator).await, Ok(Some(State::Applied)));
        assert_eq!(migrator.is_up_to_date().await.map_err(|error| said(&error)), Ok(Readiness::Ready));
        let status = migrator.status().await.expect("the status can be read");
        assert!(status.problems.is_empty() && status.warnings.is_empty(), "{status:?}");
        assert_eq!(Command::Rollback.on(&migrator).await, Ok(Some(State::RolledBack)));
        let at = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'visits'::regclass AND attname = 'at'";
        assert_eq!(database.value(at).await, "0", "the way back is part of the program, too");
    });
}

/// C23: what was added or changed since the program was compiled.
#[test]
fn a_program_that_is_older_than_its_folder_is_noticed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/migrations");
    let differing = |folder: &Path| MIGRATIONS.differs_from(folder).map_err(|error| said(&error));
    assert_eq!(differing(&folder), Ok(Vec::new()));
    let copy = tempfile::tempdir().expect("a folder is made");
    for (name, bytes) in MIGRATIONS.files().iter().skip(1) {
        std::fs::write(copy.path().join(name), bytes).expect("a file is written");
    }
    std::fs::write(copy.path().join("002_visits_at.sql"), "SELECT 1;").expect("a file is written");
    std::fs::create_dir(copy.path().join("more")).expect("a folder is made");
    std::fs::write(copy.path().join("more/003_new.sql"), "SELECT 1;").expect("a file is written");
    let expected = ["001_visits.sql", "002_visits_at.sql", "more/003_new.sql"].map(std::path::PathBuf::from).to_vec();
    assert_eq!(differing(copy.path()), Ok(expected));
    assert!(differing(&folder.join("nowhere")).is_err());
}
