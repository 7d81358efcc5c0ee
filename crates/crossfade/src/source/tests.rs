//! Folders of every kind, and what each of them is read as.

use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

/// The layout, then a line a migration: version, name, what the file is called, and its way back.
fn read_as(layout: Option<Layout>, files: &[(&str, &str)]) -> String {
    let folder = folder(files);
    let relative = |path: &Path| path.strip_prefix(folder.path()).unwrap_or(path).display().to_string();
    let clean = |text: String| {
        text.replace(&format!("{}/", folder.path().display()), "").replace(&folder.path().display().to_string(), "")
    };
    let found = match read(folder.path(), layout).and_then(|found| {
        refuse_equal_versions(&found.files)?;
        Ok(found)
    }) {
        Ok(found) => found,
        Err(error) => return clean(format!("refused: {error} ({})", error.hint_text().unwrap_or_default())),
    };
    let mut out = found.layout.to_string();
    for file in &found.files {
        out.push_str(&format!("\n{} {:?} {}", file.version, file.name, relative(&file.path)));
        if file.kind != FileKind::Versioned {
            out.push_str(&format!(" {}", file.kind.name()));
        }
        if let Some((path, _)) = &file.down {
            out.push_str(&format!(" <- {}", relative(path)));
        }
        for (says, word) in [(file.in_transaction, "alone"), (file.down_in_transaction, "down alone")] {
            out.push_str(&says.map(|in_transaction| format!(" {word}={}", !in_transaction)).unwrap_or_default());
        }
        for finding in &file.findings {
            let (line, column) = finding.span.unwrap_or_default().line_and_column(&String::from_utf8_lossy(&file.raw));
            out.push_str(&format!(" [{} {line}:{column}]", finding.rule));
        }
    }
    for file in &found.passed_over {
        out.push_str(&format!("\n- {}: {}", relative(&file.path), file.why));
    }
    out
}

fn check(files: &[(&str, &str)], expected: &str) {
    assert_eq!(read_as(None, files), expected.trim_end());
}

const SQL: &str = "SELECT 1;\n";
const GOOSE: &str = "-- +goose Up\nSELECT 1;\n-- +goose Down\nSELECT 2;\n";
const DBMATE: &str = "-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 2;\n";

#[test]
fn plain_files() {
    check(
        &[
            ("10_c.sql", SQL),
            ("2_b.sql", SQL),
            ("001_a.sql", SQL),
            ("001_a_down.sql", SQL),
            ("2_b.down.sql", SQL),
            ("1.2_x.sql", SQL),
            ("R__views.sql", SQL),
            (".2_x.sql", SQL),
            ("3_x.sql~", SQL),
            ("README.md", ""),
        ],
        "plain\n001 \"a\" 001_a.sql <- 001_a_down.sql\n1.2 \"x\" 1.2_x.sql\n2 \"b\" 2_b.sql <- 2_b.down.sql\n10 \"c\" 10_c.sql\n\
         R__views \"views\" R__views.sql repeatable\n- 3_x.sql~: it is a backup",
    );
    check(&[], "plain");
    check(&[("001_a.sql", ""), ("002_b.sql", "-- nothing\n")], "plain\n001 \"a\" 001_a.sql\n002 \"b\" 002_b.sql");
}

#[test]
fn pairs() {
    check(
        &[
            ("000001_a.up.sql", SQL),
            ("000001_a.down.sql", SQL),
            ("000002_scale_down.up.sql", SQL),
            ("000002_scale.down.sql", SQL),
            ("3_c.up.sql", ""),
        ],
        "up-down\n000001 \"a\" 000001_a.up.sql <- 000001_a.down.sql\n\
         000002 \"scale_down\" 000002_scale_down.up.sql <- 000002_scale.down.sql\n3 \"c\" 3_c.up.sql",
    );
    check(
        &[("1_a.up.sql", SQL), ("2_b.down.sql", SQL)],
        "refused: 2_b.down.sql is the way back of no migration (it needs 2_b.up.sql beside it)",
    );
    check(
        &[("1_a.up.sql", SQL), ("1_a.down.sql", SQL), ("1_b.down.sql", SQL)],
        "refused: 1_a.down.sql and 1_b.down.sql are both the way back of 1_a.up.sql (keep one of them)",
    );
}

#[test]
fn folders_of_diesel_and_prisma() {
    check(
        &[
            ("2024-01-31-120000_create_users/up.sql", SQL),
            ("2024-01-31-120000_create_users/down.sql", SQL),
            ("2024-01-31-120000_create_users/metadata.toml", "run_in_transaction = false\n"),
            ("00000000000000_diesel_initial_setup/up.sql", SQL),
            ("notes/readme.md", ""),
        ],
        "folders\n00000000000000 \"diesel_initial_setup\" 00000000000000_diesel_initial_setup/up.sql\n\
         2024-01-31-120000 \"create_users\" 2024-01-31-120000_create_users/up.sql <- \
         2024-01-31-120000_create_users/down.sql alone=true down alone=true",
    );
    check(
        &[
            ("20240131120000_init/migration.sql", SQL),
            ("20240201120000_more/migration.sql", SQL),
            ("20240201120000_more/down.sql", SQL),
            ("migration_lock.toml", "provider = \"postgresql\"\n"),
        ],
        "prisma\n20240131120000 \"init\" 20240131120000_init/migration.sql\n\
         20240201120000 \"more\" 20240201120000_more/migration.sql <- 20240201120000_more/down.sql",
    );
    check(
        &[("1_a/up.sql", SQL), ("1_a/metadata.toml", "run_in_transaction = 1\n")],
        "refused: 1_a/metadata.toml:1:22: invalid type: integer `1`, expected a boolean (it holds `run_in_transaction = false`, or `true`)",
    );
    check(
        &[("1_a/up.sql", SQL), ("2_b/down.sql", SQL)],
        "refused: 2_b/down.sql is the way back of no migration (it needs up.sql beside it)",
    );
}

#[test]
fn flyway_and_refinery() {
    check(
        &[
            ("V1__a.sql", SQL),
            ("V1_10__c.sql", SQL),
            ("sub/V1.2__b.sql", SQL),
            ("U1_2__b.sql", SQL),
            ("B1__base.sql", SQL),
            ("R__views.sql", SQL),
            ("V2__index.sql", SQL),
            ("V2__index.sql.conf", "# alone\nexecuteInTransaction=false\n"),
            ("V3__x.sql", "SELECT '${owner}';"),
            ("V4__x.sql", "SELECT '${owner}', $${}$$;"),
            ("V4__x.sql.conf", "placeholderReplacement = false\n"),
            ("afterMigrate.sql", SQL),
        ],
        "flyway\n1 \"base\" B1__base.sql baseline\n1 \"a\" V1__a.sql\n1.2 \"b\" sub/V1.2__b.sql <- U1_2__b.sql\n\
         1_10 \"c\" V1_10__c.sql\n2 \"index\" V2__index.sql alone=true\n3 \"x\" V3__x.sql [template 1:9]\n4 \"x\" V4__x.sql\n\
         R__views \"views\" R__views.sql repeatable\n- afterMigrate.sql: its name is none of a migration",
    );
    check(&[("one/V1__a.sql", SQL), ("two/V2__b.sql", SQL)], "flyway\n1 \"a\" one/V1__a.sql\n2 \"b\" two/V2__b.sql");
    let refinery = [("V1__a.sql", SQL), ("U2__b.sql", SQL), ("V3__c.rs", "fn migration() {}")];
    assert!(
        read_as(None, &refinery).contains("if U2 goes forward, as refinery has it"),
        "{}",
        read_as(None, &refinery)
    );
    assert_eq!(
        read_as(Some(Layout::Refinery), &refinery),
        "refinery\n1 \"a\" V1__a.sql\n2 \"b\" U2__b.sql\n3 \"c\" V3__c.rs [not-sql 1:1]"
    );
    check(
        &[("V1__a.sql", SQL), ("V1_0__b.sql", SQL)],
        "refused: V1_0__b.sql and V1__a.sql have the same version (`crossfade renumber` gives the one that was not run the next free number)",
    );
}

#[test]
fn markers_in_one_file() {
    check(
        &[
            ("1_a.sql", GOOSE),
            ("2_b.sql", "-- +goose NO TRANSACTION\n-- +goose Up\nSELECT 1;\n"),
            ("3_c.go", "package x"),
            ("3_c_test.go", ""),
        ],
        "goose\n1 \"a\" 1_a.sql <- 1_a.sql\n2 \"b\" 2_b.sql alone=true down alone=true\n3 \"c\" 3_c.go [not-sql 1:1]",
    );
    check(
        &[
            ("20240131120000_scale_down.sql", DBMATE),
            ("2add.sql", "-- migrate:up transaction:false\nSELECT 1;\n-- migrate:down\n"),
        ],
        "dbmate\n2 \"add\" 2add.sql alone=true\n20240131120000 \"scale_down\" 20240131120000_scale_down.sql <- 20240131120000_scale_down.sql",
    );
    check(
        &[("1-a.sql", "-- +migrate Up notransaction\nSELECT 1;\n-- +migrate Down\nSELECT 2;\n")],
        "sql-migrate\n1 \"a\" 1-a.sql <- 1-a.sql alone=true",
    );
    check(
        &[
            ("1414549381268_a.sql", "-- Up Migration\nSELECT 1;\n-- Down Migration\nSELECT 2;\n"),
            ("1414549381269_b.sql", "SELECT 1;\n"),
        ],
        "node-pg-migrate\n1414549381268 \"a\" 1414549381268_a.sql <- 1414549381268_a.sql\n1414549381269 \"b\" 1414549381269_b.sql",
    );
    check(
        &[
            ("001_a.sql", "SELECT 1;\n---- create above / drop below ----\nSELECT 2;\n"),
            ("002_b.sql", SQL),
            ("003_c.sql", "SELECT '{{ .x }}';"),
        ],
        "tern\n001 \"a\" 001_a.sql <- 001_a.sql\n002 \"b\" 002_b.sql\n003 \"c\" 003_c.sql [template 1:9]",
    );
}

/// The lie: run, it would undo nothing, and the journal would say that the migration is rolled back.
#[test]
fn a_way_back_in_which_nothing_stands_is_none() {
    check(
        &[
            ("1_a.sql", "-- migrate:up\nSELECT 1;\n-- migrate:down\n-- no way\n"),
            ("2_b.sql", "-- migrate:up\n-- migrate:down\n"),
        ],
        "dbmate\n1 \"a\" 1_a.sql\n2 \"b\" 2_b.sql <- 2_b.sql",
    );
    check(&[("1_a.sql", SQL), ("1_a_down.sql", "-- Undoes 1_a.sql.\n")], "plain\n1 \"a\" 1_a.sql");
    check(&[("1_a.up.sql", SQL), ("1_a.down.sql", "")], "up-down\n1 \"a\" 1_a.up.sql");
}

#[test]
fn graphile_sqitch_and_atlas() {
    let header = "--! Previous: -\n--! Hash: sha1:1\n--! Message: a\n\n";
    check(
        &[
            ("committed/000001-a.sql", header),
            ("committed/000002.sql", &format!("{header}--! no-transaction\nCREATE INDEX CONCURRENTLY x ON y (z);")),
            ("current.sql", "-- to come"),
        ],
        "graphile-migrate\n000001 \"a\" committed/000001-a.sql\n000002 \"\" committed/000002.sql alone=true",
    );
    check(
        &[
            (
                "sqitch.plan",
                "%project=x\n\nb 2024-01-01T00:00:00Z M <m@x>\na 2024-01-01T00:00:00Z M <m@x>\n@v1 2024-01-01T00:00:00Z M <m@x>\nb [b@v1] 2024-01-01T00:00:00Z M <m@x>\n",
            ),
            ("deploy/a.sql", SQL),
            ("deploy/b.sql", SQL),
            ("deploy/b@v1.sql", SQL),
            ("revert/b@v1.sql", SQL),
            ("revert/a.sql", SQL),
            ("verify/a.sql", SQL),
        ],
        "sqitch\n001 \"b\" deploy/b@v1.sql <- revert/b@v1.sql\n002 \"a\" deploy/a.sql <- revert/a.sql\n003 \"b\" deploy/b.sql",
    );
    check(
        &[("sqitch.plan", "b 2024-01-01T00:00:00Z M <m@x>\n")],
        "refused: deploy/b.sql stands in sqitch.plan and is not there (bring the file back (it is in version control), or take the change out of the plan)",
    );
    check(
        &[
            ("atlas.sum", "h1:x\n"),
            ("20240131120000_a.sql", "-- atlas:txmode none\nSELECT 1;"),
            ("20240131120001.sql", SQL),
        ],
        "atlas\n20240131120000 \"a\" 20240131120000_a.sql alone=true\n20240131120001 \"\" 20240131120001.sql",
    );
    check(&[("atlas.sum", "h1:x\n"), ("1_a.sql", GOOSE)], "goose\n1 \"a\" 1_a.sql <- 1_a.sql");
}

#[test]
fn two_layouts_in_one_folder_are_refused() {
    for (files, names) in [
        (vec![("1_a.sql", SQL), ("2_b.sql", GOOSE)], "1_a.sql (plain) and 2_b.sql (goose)"),
        (vec![("1_a.sql", DBMATE), ("2_b.sql", GOOSE)], "1_a.sql (dbmate) and 2_b.sql (goose)"),
        (vec![("1_a.sql", SQL), ("V2__b.sql", SQL)], "1_a.sql (plain) and V2__b.sql (flyway)"),
        (vec![("1_a.sql", SQL), ("2_b/up.sql", SQL)], "1_a.sql (plain) and 2_b (folders)"),
        (vec![("1_a/migration.sql", SQL), ("2_b/up.sql", SQL)], "1_a (prisma) and 2_b (folders)"),
    ] {
        let said = read_as(None, &files);
        assert!(said.starts_with(&format!("refused:  holds migrations of two layouts: {names}")), "{said}");
    }
    // Named, the folder is read as it is named, and what does not fit can't be run.
    let mixed = [("1_a.sql", SQL), ("2_b.sql", GOOSE)];
    assert_eq!(
        read_as(Some(Layout::Goose), &mixed),
        "goose\n1 \"a\" 1_a.sql [no-marker 1:1]\n2 \"b\" 2_b.sql <- 2_b.sql"
    );
    check(&[("1_a.sql", ""), ("2_b.sql", GOOSE)], "goose\n1 \"a\" 1_a.sql\n2 \"b\" 2_b.sql <- 2_b.sql");
}

#[test]
fn what_is_ambiguous_is_refused() {
    let refused = |files: &[(&str, &str)], why: &str| {
        let said = read_as(None, files);
        assert!(said.starts_with("refused: ") && said.contains(why), "{said}");
    };
    refused(&[("001_a.sql", SQL), ("1_b.sql", SQL)], "001_a.sql and 1_b.sql have the same version");
    refused(&[("2024-01-31-120000_a/up.sql", SQL), ("20240131120000_b/up.sql", SQL)], "have the same version");
    refused(&[("001_a.sql", SQL), ("002_b_down.sql", SQL)], "the way back of no migration");
    refused(&[("notes.sql", SQL)], "notes.sql has no version in its name");
    refused(&[("1_A.sql", SQL), ("1_a.sql", SQL)], "differ in nothing but case");
    refused(&[("V1__a.sql", SQL), ("V2_b.sql", SQL)], "V2_b.sql is no name of a migration");
}
