//! Several databases and tenants by the real binary: who goes first, who is not begun, what is shown, and that no password is.

#![expect(clippy::unwrap_used, reason = "a test stops where it can't go on")]

use std::process::Command;
use std::process::Output;
use std::sync::LazyLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use crossfade::scratch::ScratchOptions;
use crossfade::scratch::ScratchServer;
use crossfade::scratch::find_binaries;
use serde_json::Value;
use tokio_postgres::Client;
use tokio_postgres::NoTls;

static SERVER: LazyLock<ScratchServer> =
    LazyLock::new(|| ScratchServer::start(ScratchOptions::new(find_binaries(None).unwrap())).unwrap());

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Several databases of its own on a server, and a folder with migrations.
struct Scene {
    number: u32,
    folder: tempfile::TempDir,
}

impl Scene {
    async fn new(databases: &[&str], config: &str) -> Scene {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("migrations")).unwrap();
        let scene = Scene { number: NUMBER.fetch_add(1, Ordering::SeqCst), folder };
        let admin = connect(&SERVER.url("postgres")).await;
        for name in databases {
            admin.batch_execute(&format!("CREATE DATABASE {}", scene.database(name))).await.unwrap();
        }
        scene.write("crossfade.toml", &scene.filled(config));
        scene.write("migrations/001_notes.sql", "CREATE TABLE notes (id int PRIMARY KEY, text text);\n");
        scene.write("migrations/001_notes_down.sql", "DROP TABLE notes;\n");
        scene
    }

    /// `{shop}` is the URL of the database shop.
    fn filled(&self, text: &str) -> String {
        let names = ["one", "two", "three", "shops"];
        names.iter().fold(text.to_owned(), |text, name| text.replace(&format!("{{{name}}}"), &self.url(name)))
    }

    fn database(&self, name: &str) -> String {
        format!("{name}_{}", self.number)
    }

    fn url(&self, name: &str) -> String {
        SERVER.url(&self.database(name))
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    async fn connect(&self, database: &str) -> Client {
        connect(&self.url(database)).await
    }

    fn call(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.command(arguments).output().unwrap();
        (output.status.code(), said(&output))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
        command.args(arguments).current_dir(self.folder.path()).env_remove("DATABASE_URL");
        command.env_remove("MIGRATION_DATABASE_URL");
        command
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.command(&[arguments, &["--json"]].concat()).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&output)))
    }
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Name and state of each target of a document.
fn states(report: &Value) -> String {
    let targets = report["targets"].as_array().unwrap_or_else(|| panic!("{report}"));
    let one = |target: &Value| {
        let canary = if target["canary"] == true { "!" } else { "" };
        format!("{}{canary} {}", target["name"].as_str().unwrap(), target["state"].as_str().unwrap())
    };
    targets.iter().map(one).collect::<Vec<_>>().join(", ")
}

const THREE: &str = "[[target]]\nname = \"one\"\nurl = \"{one}\"\n[[target]]\nname = \"two\"\nurl = \"{two}\"\n\
                     [[target]]\nname = \"three\"\nurl = \"{three}\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_failure_is_the_last_that_is_begun() {
    let scene = Scene::new(&["one", "two", "three"], THREE).await;
    // In the way of the second one.
    scene.connect("two").await.batch_execute("CREATE TABLE notes ()").await.unwrap();

    let (code, words) = scene.call(&["migrate"]);
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("one: 001 notes is applied\n"), "{words}");
    assert!(words.contains("two: error: ") && words.contains("two:   caused by: ERROR: relation \"notes\""), "{words}");
    assert!(words.contains("\nthree   not begun\n"), "{words}");
    assert!(words.ends_with("3 targets: 1 done, 1 failed, 1 not begun\n"), "{words}");

    let status = scene.json(&["status"]);
    assert_eq!(states(&status), "one done, two done, three done");
    let state = |at: usize| status["targets"][at]["report"]["migrations"][0]["state"].clone();
    assert_eq!([state(0), state(1), state(2)], ["applied", "failed", "pending"]);

    // With the other two it goes on where that is asked for, and the worst is the exit code.
    let (code, words) = scene.call(&["migrate", "--keep-going", "--parallel", "2"]);
    assert_eq!(code, Some(1), "{words}");
    assert!(words.ends_with("3 targets: 2 done, 1 failed\n"), "{words}");

    // One that is named is as if it were alone.
    let (code, words) = scene.call(&["status", "--target", "three"]);
    assert!(code == Some(0) && words.contains("001      notes  applied"), "{words}");
    let (code, words) = scene.call(&["rollback"]);
    assert!(code == Some(2) && words.contains("the newest migration may be another one"), "{words}");
    scene.connect("two").await.batch_execute("DROP TABLE notes").await.unwrap();
    let back = scene.json(&["rollback", "001", "--parallel", "3"]);
    assert_eq!(states(&back), "one! done, two done, three done", "{back}");
    assert_eq!(states(&scene.json(&["migrate", "--parallel", "3"])), "one! done, two done, three done");

    // A command for one wants one, and one that connects to nothing wants none.
    let (code, words) = scene.call(&["history"]);
    assert!(code == Some(2) && words.contains("name one with --target: one, two, three"), "{words}");
    let (code, words) = scene.call(&["history", "--target", "two"]);
    assert!(code == Some(0) && words.contains("001"), "{words}");
    let (code, words) = scene.call(&["check"]);
    assert_eq!(code, Some(0), "{words}");
    let (code, words) = scene.call(&["status", "--target", "four"]);
    assert!(code == Some(2) && words.contains("the targets are one, two, three"), "{words}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_goes_first_and_stops_all_where_it_fails() {
    let config = format!("{}canary = true\n[targets]\nparallel = 3\n", THREE);
    let scene = Scene::new(&["one", "two", "three"], &config).await;
    scene.connect("three").await.batch_execute("CREATE TABLE notes ()").await.unwrap();
    let report = scene.json(&["migrate", "--keep-going"]);
    assert_eq!(states(&report), "three! failed, one not_begun, two not_begun");
    assert_eq!(report["targets"][0]["error"]["sql_state"], "42P07");
    let refused = scene.json(&["contract"]);
    assert_eq!(states(&refused), "three! done, one not_begun, two not_begun".replace("three! done", "three! refused"));
    let (code, words) = scene.call(&["plan", "--format", "sql"]);
    assert!(code == Some(2) && words.contains("name one with --target"), "{words}");
    let (code, words) = scene.call(&["plan"]);
    assert!(code == Some(0) && words.contains("one     done"), "{words}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_tenant_has_its_tables_its_journal_and_its_lease() {
    let config = "[[target]]\nname = \"shops\"\nurl = \"{shops}\"\nshared = [\"public\", \"extra stuff\"]\n\
                  schemas_query = \"SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information)' AND nspname NOT IN ('public', 'extra stuff') ORDER BY 1\"\n";
    let scene = Scene::new(&["shops"], config).await;
    let (code, words) = scene.call(&["migrate"]);
    assert!(code == Some(0) && words.contains("no targets"), "{words}");
    let shops = scene.connect("shops").await;
    let made = "CREATE SCHEMA acme; CREATE SCHEMA \"Big \\Co\"; CREATE SCHEMA \"extra stuff\"; CREATE TABLE public.notes (public int); \
                CREATE DOMAIN \"extra stuff\".words AS text";
    shops.batch_execute(made).await.unwrap();
    scene.write(
        "migrations/002_tags.sql",
        "CREATE TABLE tags (note int REFERENCES notes, word words);\nSET search_path = public;\n",
    );
    let report = scene.json(&["migrate", "--parallel", "2"]);
    assert_eq!(states(&report), "shops/Big \\Co! done, shops/acme done", "{report}");
    let tables = "SELECT string_agg(table_schema || '.' || table_name, ' ' ORDER BY table_schema::text COLLATE \"C\", table_name::text) FROM information_schema.tables \
                  WHERE table_name IN ('notes', 'tags') AND table_schema <> 'public'";
    let found: String = shops.query_one(tables, &[]).await.unwrap().get(0);
    assert_eq!(found, "Big \\Co.notes Big \\Co.tags acme.notes acme.tags");
    let journals = "SELECT string_agg(nspname, ' ' ORDER BY nspname::text COLLATE \"C\") FROM pg_namespace WHERE nspname LIKE 'crossfade%'";
    let found: String = shops.query_one(journals, &[]).await.unwrap().get(0);
    assert_eq!(found, "crossfade_Big \\Co crossfade_acme");
    assert_eq!(report["targets"][1]["schema"], "acme");

    scene.write("migrations/003_rename.sql", "ALTER TABLE notes RENAME COLUMN text TO body;\n");
    shops
        .batch_execute("INSERT INTO acme.notes VALUES (0), (2); INSERT INTO \"Big \\Co\".notes VALUES (0)")
        .await
        .unwrap();
    assert_eq!(states(&scene.json(&["migrate"])), "shops/Big \\Co! done, shops/acme done");
    // The rename is in its phases in both; a write of old code in one tenant stays there.
    shops.batch_execute("INSERT INTO acme.notes (id, text) VALUES (1, 'old')").await.unwrap();
    let (code, words) = scene.call(&["contract", "--target", "shops/acme"]);
    assert!(code == Some(3) && words.contains("the old side of acme.notes was written"), "{words}");
    let contract = scene.json(&["contract", "--target", "shops/acme", "--force", "--reason", "a test"]);
    assert_eq!(contract["migrations"][0]["state"], "contracted", "{contract}");
    let row = shops.query_one("SELECT body FROM acme.notes WHERE id = 1", &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "old");
    let status = scene.json(&["status"]);
    let state = |at: usize| status["targets"][at]["report"]["migrations"][2]["state"].clone();
    assert_eq!([state(0), state(1)], ["ready", "contracted"]);

    for command in [&["drift"][..], &["squash", "--to", "002"]] {
        let (code, words) = scene.call(&[command, &["--target", "shops/acme"]].concat());
        assert!(code == Some(2) && words.contains("looks at a whole database"), "{words}");
    }

    // The lease of one tenant is not the other's.
    shops.batch_execute("BEGIN; LOCK TABLE acme.notes").await.unwrap();
    let mut waits = scene.command(&["rollback", "003", "--target", "shops/acme"]).spawn().unwrap();
    let at_work = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let second = scene.connect("shops").await;
    while second.query_one(at_work, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let (code, words) = scene.call(&["rollback", "003", "--target", "shops/Big \\Co"]);
    assert_eq!(code, Some(0), "{words}");
    shops.batch_execute("COMMIT").await.unwrap();
    assert!(waits.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_that_is_not_there_is_not_made_by_the_way() {
    let config = "[[target]]\nname = \"shops\"\nurl = \"{shops}\"\nschemas = [\"acme\", \"typo\"]\n";
    let scene = Scene::new(&["shops"], config).await;
    let shops = scene.connect("shops").await;
    shops.batch_execute("CREATE SCHEMA acme").await.unwrap();
    let (code, words) = scene.call(&["migrate"]);
    assert_eq!(code, Some(3), "{words}");
    assert!(words.contains("shops/typo: error: there is no schema typo in "), "{words}");
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname IN ('public', 'typo', 'crossfade_typo')";
    assert_eq!(shops.query_one(tables, &[]).await.unwrap().get::<_, i64>(0), 0);
    assert_eq!(scene.call(&["status", "--target", "shops/typo"]).0, Some(3));

    scene.write("crossfade.toml", &scene.filled(&format!("{config}create_schemas = true\n")));
    let (code, words) = scene.call(&["plan"]);
    assert!(code == Some(0) && words.contains("shops/typo  done"), "{words}");
    let there = "SELECT count(*) FROM pg_namespace WHERE nspname = 'typo'";
    assert_eq!(shops.query_one(there, &[]).await.unwrap().get::<_, i64>(0), 0, "plan changes nothing");
    let (code, words) = scene.call(&["migrate"]);
    assert!(code == Some(0) && words.ends_with("2 targets: 2 done\n"), "{words}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_target_is_said_without_its_secrets() {
    let scene = Scene::new(&["one"], "").await;
    let made = "CREATE TABLE databases AS SELECT 'postgres://u:s3cret@127.0.0.1:1/d'::text";
    scene.connect("one").await.batch_execute(made).await.unwrap();
    let check = |config: &str, code: i32, expected: &str| {
        scene.write("crossfade.toml", &scene.filled(config));
        for arguments in [&["migrate"][..], &["status", "--json"], &["migrate", "-vv"]] {
            let (found, words) = scene.call(arguments);
            assert!(!words.contains("s3cret"), "{words}");
            assert_eq!(found, Some(code), "{words}");
            assert!(words.contains(expected), "{words}");
        }
    };
    check("[[target]]\nname = \"a\"\nurl = \"postgres://u:s3cret@h/d?nonsense\"\n", 2, "target a can't be used");
    check(
        "[[target]]\nname = \"a\"\nurl = \"{one}\"\ndatabases_query = \"TABLE databases\"\n",
        1,
        "could not connect to 127.0.0.1:1/d as u",
    );
    check("[[target]]\nname = \"a\"\nurl = \"{one}\"\nschemas_query = \"SELECT 1/0\"\n", 1, "division by zero");
    check(
        "[[target]]\nname = \"a\"\nurl = \"{one}\"\nschemas_query = \"VALUES ('pg_toast')\"\n",
        2,
        "the server's own",
    );
    check(
        "[[target]]\nname = \"a\"\nurl = \"{one}\"\ncanary = [\"b\"]\nschemas_query = \"VALUES ('public')\"\n",
        2,
        "its canary b is not among",
    );
    check(
        "[[target]]\nname = \"a\"\nurl = \"{one}\"\n[[target]]\nname = \"b\"\nurl = \"{one}\"\n",
        2,
        "targets a and b are the same",
    );
    check("[[target]]\nname = \"a\"\nurl_command = [\"/bin/sh\", \"-c\", \"echo s3cret; exit 4\"]\n", 1, "exit code 4");
    check("[[target]]\nname = \"a\"\nurl_env = \"CROSSFADE_TEST_NOT_SET\"\n", 2, "CROSSFADE_TEST_NOT_SET is not set");
    // A query only reads.
    check(
        "[[target]]\nname = \"a\"\nurl = \"{one}\"\nschemas_query = \"CREATE TABLE t ()\"\n",
        1,
        "read-only transaction",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_url_comes_from_a_file_a_command_or_a_service() {
    let scene = Scene::new(&["one"], "").await;
    let url = scene.url("one");
    scene.write("url", &format!("{url}\n"));
    let check = |config: &str, variables: &[(&str, &str)], fits: bool| {
        scene.write("crossfade.toml", config);
        let mut command = scene.command(&["status"]);
        command.envs(variables.iter().copied());
        let output = command.output().unwrap();
        assert_eq!(output.status.success(), fits, "{config} {variables:?} {}", said(&output));
        let is_one = said(&output).contains(&format!("/{}\n", scene.database("one"))) || config.contains("[[target]]");
        assert!(!fits || is_one, "{}", said(&output));
    };
    check("", &[("DATABASE_URL_FILE", "url")], true);
    check("", &[("DATABASE_URL_FILE", "nothing-there")], false);
    check("", &[("DATABASE_URL", &url), ("DATABASE_URL_FILE", "nothing-there")], true);
    check("[connection]\nurl_file = \"url\"\n", &[], true);
    check("[connection]\nurl_command = [\"cat\", \"url\"]\n", &[], true);
    check("[connection]\nurl_env = \"CROSSFADE_TEST_URL\"\n", &[("CROSSFADE_TEST_URL", &url)], true);
    // What the environment says goes first.
    check("[connection]\nurl_file = \"nothing-there\"\n", &[("DATABASE_URL", &url)], true);
    check("[[target]]\nname = \"a\"\nurl_file = \"url\"\n", &[("DATABASE_URL", "postgres://127.0.0.1:1/x")], true);
    let (folder, database) = (SERVER.socket_dir().display(), scene.database("one"));
    scene.write("services", &format!("[one]\nhost={folder}\ndbname={database}\nuser=postgres\n"));
    check("", &[("PGSERVICE", "one"), ("PGSERVICEFILE", "services")], true);
    check("[connection]\nurl = \"service=one\"\n", &[("PGSERVICEFILE", "services")], true);
    check("", &[("PGSERVICE", "two"), ("PGSERVICEFILE", "services")], false);
}
