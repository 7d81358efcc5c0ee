//! A history is taken for what its files make: it is tried on a scratch database.

use crossfade::AdoptOptions;
use crossfade::DriftOptions;
use crossfade::Stop;
use crossfade::observer::Unobserved;
use crossfade::report::Towards;

use super::Scene;
use crate::drift::beside;
use crate::server::main_server;
use crate::server::run;

fn proven() -> AdoptOptions {
    AdoptOptions { prove: Some(beside(main_server())), ..AdoptOptions::default() }
}

/// golang-migrate has one number, and no checksum of what was run up to it.
#[test]
fn a_file_that_was_never_run_is_found_and_nothing_is_taken_over() {
    run(async {
        let scene = Scene::new("golang-migrate").await;
        let text = "ALTER TABLE users ADD COLUMN name text;\nCREATE TABLE skipped (id int);\n";
        scene.project.write("000003_add_name.up.sql", text);
        scene.run("CREATE INDEX by_hand ON users (id)").await;
        for report in
            [scene.look(&proven()).await.expect("it is looked at"), scene.adopt(&proven()).await.expect("it is tried")]
        {
            assert!(report.is_disproved() && !report.adopted, "{report:?}");
            let proof = report.proof.expect("it was proven");
            let sql: Vec<&str> = proof.changes.iter().flat_map(|change| &change.sql).map(String::as_str).collect();
            let sql = sql.join("; ");
            assert!(sql.contains("CREATE TABLE \"public\".\"skipped\""), "{sql}");
            assert!(sql.contains("DROP INDEX \"public\".\"by_hand\""), "{sql}");
            assert!(!sql.contains("schema_migrations"), "{sql}");
        }
        assert_eq!(scene.database.value("SELECT to_regnamespace('crossfade') IS NULL").await, "t", "nothing is made");
    });
}

#[test]
fn what_is_no_sql_can_not_be_proven() {
    run(async {
        let scene = Scene::new("rails").await;
        let error = scene.refused(&proven()).await;
        assert!(error.contains("the migrations of rails are not SQL"), "{error}");
    });
}

/// Before this was so, the other tool's table was a difference that `drift` would have dropped.
#[test]
fn a_history_that_was_taken_over_is_no_drift() {
    run(async {
        for tool in ["golang-migrate", "flyway", "graphile-migrate", "sqitch", "atlas"] {
            let scene = Scene::new(tool).await;
            let options = AdoptOptions { fence: true, ..proven() };
            let report = scene.adopt(&options).await.unwrap_or_else(|error| panic!("{tool}: {}", super::said(&error)));
            let proof = report.proof.as_ref().expect("it was proven");
            assert!(report.adopted, "{tool}: {:?}", proof.changes);
            assert!(proof.applied > 0 && proof.notes.iter().any(|note| note.contains(tool)), "{tool}: {proof:?}");
            let options = DriftOptions { scratch: beside(main_server()), towards: Towards::Migrations };
            let drift = scene.project.migrator.drift(&options, &mut Unobserved, &Stop::default()).await;
            let drift = drift.unwrap_or_else(|error| panic!("{tool}: {}", super::said(&error)));
            assert!(drift.changes.is_empty(), "{tool}: {:?}", drift.changes);
            if tool != "golang-migrate" {
                continue;
            }
            scene.run("CREATE TABLE by_hand (id int)").await;
            let drift = scene.project.migrator.drift(&options, &mut Unobserved, &Stop::default()).await;
            assert_eq!(drift.expect("it can be compared").changes.len(), 1, "{tool}");
        }
    });
}

/// What their migrations made counts as drift, since nobody has their texts; what the tools keep for themselves does not.
#[test]
fn what_a_tool_keeps_beside_its_history_is_no_drift() {
    run(async {
        for (tool, kept) in [("rails", "ar_internal_metadata"), ("liquibase", "databasechangeloglock")] {
            let scene = Scene::new(tool).await;
            scene
                .adopt(&AdoptOptions::default())
                .await
                .unwrap_or_else(|error| panic!("{tool}: {}", super::said(&error)));
            let options = DriftOptions { scratch: beside(main_server()), towards: Towards::Migrations };
            let drift = scene.project.migrator.drift(&options, &mut Unobserved, &Stop::default()).await;
            let drift = drift.unwrap_or_else(|error| panic!("{tool}: {}", super::said(&error)));
            let sql = format!("{:?}", drift.changes);
            assert!(sql.contains("DROP TABLE"), "{tool}: {sql}");
            assert!(!sql.contains(kept) && !sql.contains("schema_migrations"), "{tool}: {sql}");
        }
    });
}
