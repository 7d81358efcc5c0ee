//! Histories as other tools have written them (see `tests/adopt/README.md`): each is looked at, taken over, gone on with and given back.

mod proven;
mod refused;
mod tools;

use std::path::Path;
use std::path::PathBuf;

use crossfade::AdoptOptions;
use crossfade::Error;
use crossfade::Stop;
use crossfade::observer::Unobserved;
use crossfade::report::AdoptReport;
use crossfade::report::AdoptState;

use crate::project::Project;
use crate::project::said;
use crate::server::Database;
use crate::server::main_server;

/// A folder of the fixtures.
fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/adopt").join(path)
}

/// A database with the history of a tool, and a project with its files where they are SQL.
struct Scene {
    database: Database,
    project: Project,
}

impl Scene {
    async fn new(tool: &str) -> Scene {
        let database = Database::create(main_server()).await;
        let history = std::fs::read_to_string(fixture(tool).join("history.sql")).expect("there is a history");
        database.run(&history).await.expect("the history can be loaded");
        let project = Project::new(&database, &[]);
        let files = fixture(tool).join("migrations");
        if files.is_dir() {
            copy(&files, project.path());
        }
        Scene { database, project }
    }

    async fn look(&self, options: &AdoptOptions) -> Result<AdoptReport, Error> {
        self.project.migrator.adopt_preview(options, &mut Unobserved, &Stop::default()).await
    }

    async fn adopt(&self, options: &AdoptOptions) -> Result<AdoptReport, Error> {
        self.project.migrator.adopt(options, &mut Unobserved, &Stop::default()).await
    }

    /// Why it is refused. Nothing is made then.
    async fn refused(&self, options: &AdoptOptions) -> String {
        let error = self.adopt(options).await.expect_err("it is refused");
        assert_eq!(self.database.value("SELECT to_regnamespace('crossfade') IS NULL").await, "t", "nothing is made");
        said(&error)
    }

    async fn run(&self, sql: &str) {
        self.database.run(sql).await.expect("the statement runs");
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder can be made");
    for entry in std::fs::read_dir(from).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        let target = to.join(path.file_name().expect("it has a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("a file can be copied");
        }
    }
}

/// Changes every file of a folder and below it.
fn rewrite(folder: &Path, change: &dyn Fn(&str) -> String) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            rewrite(&path, change);
        } else {
            let text = std::fs::read_to_string(&path).expect("a file is text");
            std::fs::write(&path, change(&text)).expect("a file can be written");
        }
    }
}

/// Version and state of each migration.
fn states(report: &AdoptReport) -> Vec<(&str, AdoptState)> {
    report.migrations.iter().map(|migration| (migration.version.as_str(), migration.state)).collect()
}
