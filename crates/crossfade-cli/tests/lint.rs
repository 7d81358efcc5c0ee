//! `lint` without a server: what is shown, and what it exits with.

use std::path::Path;
use std::process::Command;
use std::process::Output;

fn lint(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crossfade"))
        .arg("--dir")
        .arg(folder)
        .arg("lint")
        .args(arguments)
        .env_clear()
        .output()
        .expect("the program starts")
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("it has one")).expect("the folder is made");
    std::fs::write(path, text).expect("the file is written");
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_finding_has_its_place_and_decides_the_exit_code() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "migrations/001_users.sql", "CREATE TABLE users (id bigint PRIMARY KEY, settings json);\n");
    let warned = lint(folder.path(), &[]);
    assert_eq!(warned.status.code(), Some(0), "{}", out(&warned));
    assert!(out(&warned).contains("warning[add-column-json]: users.settings is of type json"), "{}", out(&warned));
    assert!(out(&warned).contains("001_users.sql:1:1"), "{}", out(&warned));
    assert_eq!(lint(folder.path(), &["--fail-on", "warning"]).status.code(), Some(3));
    write(
        folder.path(),
        "migrations/002_broken.sql",
        "ALTER TABEL users ADD COLUMN a int;\nALTER TABLE users ADD COLUMN b json;\n",
    );
    let broken = lint(folder.path(), &["--json", "migrations/002_broken.sql"]);
    assert_eq!(broken.status.code(), Some(2), "a path is one of the present folder: {}", out(&broken));
    let path = folder.path().join("migrations/002_broken.sql");
    let broken = lint(folder.path(), &["--json", path.to_str().expect("it is UTF-8")]);
    assert_eq!(broken.status.code(), Some(3), "{}", out(&broken));
    let report: serde_json::Value = serde_json::from_str(&out(&broken)).expect("it is JSON");
    let rules: Vec<_> =
        report["findings"].as_array().into_iter().flatten().map(|finding| finding["rule"].clone()).collect();
    assert_eq!(rules, ["syntax", "add-column-json"]);
    assert_eq!((report["format"].as_u64(), report["files"].as_u64()), (Some(1), Some(1)));
    assert_eq!(report["findings"][1]["line"], 2);
}

#[test]
fn the_configuration_says_how_bad_a_rule_is() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "migrations/001_users.sql", "CREATE TABLE users (settings json);\n");
    write(folder.path(), "crossfade.toml", "[lint.rules]\nadd-column-json = \"error\"\n");
    assert_eq!(lint(folder.path(), &[]).status.code(), Some(3));
    write(folder.path(), "crossfade.toml", "[lint.rules]\nadd-column-json = \"off\"\n");
    let off = lint(folder.path(), &["--fail-on", "note"]);
    assert_eq!(off.status.code(), Some(0), "{}", out(&off));
    write(folder.path(), "crossfade.toml", "[lint.rules]\nno-such-rule = \"off\"\n");
    let wrong = lint(folder.path(), &[]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("crossfade.toml:2:1: there is no rule `no-such-rule`"));
}

#[test]
fn a_rule_is_explained_and_one_that_is_not_there_is_wrong_use() {
    let explain = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
        command.arg("explain").args(arguments).env_clear().output().expect("the program starts")
    };
    let page = explain(&["drop-index-blocking"]);
    assert_eq!(page.status.code(), Some(0));
    assert!(out(&page).contains("DROP INDEX CONCURRENTLY users_name;"), "{}", out(&page));
    let list = explain(&[]);
    assert!(out(&list).contains("drop-index-blocking") && out(&list).contains("Partitions"), "{}", out(&list));
    let json: serde_json::Value = serde_json::from_str(&out(&explain(&["truncate", "--json"]))).expect("it is JSON");
    assert_eq!((json["lock"].as_str(), json["level"].as_str()), (Some("access_exclusive"), Some("error")));
    let wrong = explain(&["drop-index"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("is it drop-index-blocking?"));
}

#[test]
fn ways_back_are_looked_at_and_what_is_allowed_is_kept_in_the_document() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "migrations/001_users.sql", "CREATE TABLE users (id bigint PRIMARY KEY, name text);\n");
    write(folder.path(), "migrations/002_name.sql", "ALTER TABLE users ADD COLUMN token text;\n");
    let down = "ALTER TABLE users DROP COLUMN token;\nCREATE INDEX users_name ON users (name);\n\
                -- crossfade: allow truncate they may go\nTRUNCATE users;\n";
    write(folder.path(), "migrations/002_name_down.sql", down);
    let path = folder.path().join("migrations/002_name_down.sql");
    let path = path.to_str().expect("it is UTF-8");
    for arguments in [vec!["--json"], vec!["--json", path]] {
        let linted = lint(folder.path(), &arguments);
        assert_eq!(linted.status.code(), Some(3), "{}", out(&linted));
        let report: serde_json::Value = serde_json::from_str(&out(&linted)).expect("it is JSON");
        let of = |key: &str| {
            let found = report[key].as_array().cloned().unwrap_or_default();
            let one = |place: serde_json::Value| {
                let file =
                    place["path"].as_str().and_then(|path| path.rsplit('/').next()).unwrap_or_default().to_owned();
                format!("{file}:{} {} {}", place["line"], place["level"], place["rule"])
            };
            found.into_iter().map(one).collect::<Vec<_>>()
        };
        let expected =
            ["1 \"note\" \"drop-column\"", "2 \"error\" \"create-index-blocking\"", "2 \"error\" \"slow-under-lock\""];
        assert_eq!(of("findings"), expected.map(|found| format!("002_name_down.sql:{found}")));
        assert_eq!(of("allowed"), ["002_name_down.sql:4 \"error\" \"truncate\""]);
        assert_eq!(report["allowed"][0]["allowed"], "they may go");
        assert_eq!(report["files"], if arguments.len() == 1 { 3 } else { 1 });
    }
    // Both ways in one file.
    write(
        folder.path(),
        "both/1_a.sql",
        "-- migrate:up\nCREATE TABLE t (id bigint);\n\n-- migrate:down\nTRUNCATE t;\n",
    );
    write(folder.path(), "crossfade.toml", "migrations = \"both\"\n");
    let both = lint(folder.path(), &["--json"]);
    let report: serde_json::Value = serde_json::from_str(&out(&both)).expect("it is JSON");
    assert_eq!((&report["files"], &report["findings"][0]["line"]), (&1.into(), &5.into()), "{}", out(&both));
}
