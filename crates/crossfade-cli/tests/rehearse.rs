//! The real binary rehearses: words, exit codes, forms, hooks, and what is left behind.

#![expect(clippy::unwrap_used, reason = "a test stops where it can't go on")]

use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::time::Duration;

use crossfade::scratch::ScratchOptions;
use crossfade::scratch::ScratchServer;
use crossfade::scratch::find_binaries;
use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::Value;

/// A folder with two migrations, and a server for scratch databases.
struct Scene {
    server: ScratchServer,
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Scene {
        let server = ScratchServer::start(ScratchOptions::new(find_binaries(None).unwrap())).unwrap();
        let scene = Scene { server, folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(scene.folder.path().join("migrations")).unwrap();
        let users = "CREATE TABLE users (id bigserial PRIMARY KEY, email text NOT NULL UNIQUE);";
        scene.write("migrations/001_users.sql", users);
        scene.write("migrations/002_rename.sql", "ALTER TABLE users RENAME COLUMN email TO email_address;");
        scene
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.folder.path().join(file), text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
        command.args(arguments).current_dir(self.folder.path());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }

    /// Without a database; the scratch databases are made on the server.
    fn rehearse(&self, arguments: &[&str]) -> Output {
        let url = self.server.url("postgres");
        let usual = ["rehearse", "--hold", "150ms", "--rows", "500", "--scratch-url", &url];
        self.command(&[&usual, arguments].concat()).output().unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Without what differs from one time to the next: times, numbers of statements, the place.
fn redacted(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_inclusive([' ', '\n']) {
        let bare = word.trim_end();
        let is_number =
            !bare.is_empty() && bare.chars().all(|letter| letter.is_ascii_digit() || letter == '.' || letter == ',');
        out.push_str(&if is_number { word.replace(bare, "N") } else { word.to_owned() });
    }
    let units =
        out.replace("N s ", "N ms ").replace("N s,", "N ms,").replace("N min", "N ms").replace("N ms N ms", "N ms");
    let units = units.replace("N statement,", "N statements,");
    units.lines().map(|line| line.split("On ").next().unwrap_or_default().to_owned() + "\n").collect()
}

#[test]
fn a_rehearsal_is_shown_in_three_forms() {
    let scene = Scene::new();
    let shown = scene.rehearse(&["--format", "markdown"]);
    assert_eq!(shown.status.code(), Some(0), "{}{}", text(&shown.stderr), text(&shown.stdout));
    let markdown = text(&shown.stdout);
    // Which of the short locks are seen hangs on the moment.
    let (before, rest) = markdown.split_once("## Locks").unwrap();
    let ways = rest.split_once("## Ways back").unwrap().1;
    insta::assert_snapshot!(redacted(&format!("{before}## Ways back{ways}")));

    scene.write("new.sql", "UPDATE users SET mail = $1 WHERE id = $2;");
    scene.write("crossfade.toml", "[[hooks]]\non = [\"rehearsal-failed\", \"failed\"]\nrun = \"cat > told.json\"\n");
    let wrong = scene.rehearse(&["002", "--json", "--new-queries", "new.sql"]);
    assert_eq!(wrong.status.code(), Some(1), "{}", text(&wrong.stderr));
    let document: Value = serde_json::from_slice(&wrong.stdout).unwrap();
    assert_eq!((&document["format"], &document["version"]), (&Value::from(1), &Value::from("002")));
    let first = document["problems"][0].as_str().unwrap();
    assert!(first.contains("of the new version in ready") && first.contains("\"mail\""), "{first}");
    let told: Value = serde_json::from_slice(&std::fs::read(scene.folder.path().join("told.json")).unwrap()).unwrap();
    assert_eq!((&told["event"], &told["version"]), (&Value::from("rehearsal-failed"), &Value::from("002")));
    assert_eq!(told["reasons"], document["problems"]);

    assert_eq!(scene.rehearse(&["9"]).status.code(), Some(2));
    assert_eq!(scene.rehearse(&["--old-queries", "nowhere.sql"]).status.code(), Some(2));
    assert_eq!(scene.rehearse(&["--scale", "2"]).status.code(), Some(2), "--rows is there, too");
    let nobody = scene.command(&["rehearse"]).env("CROSSFADE_PG_BIN", scene.folder.path()).output().unwrap();
    assert!(text(&nobody.stderr).contains("is not a folder of PostgreSQL server programs"), "{}", text(&nobody.stderr));
}

/// The private server goes with its folder, and the first Ctrl-C is enough.
#[test]
fn ctrl_c_leaves_nothing() {
    let scene = Scene::new();
    let room = tempfile::Builder::new().prefix("r").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(room.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = scene.command(&["rehearse", "--hold", "1h"]);
    command.env("CROSSFADE_PG_BIN", scene.server.bin_dir()).env("TMPDIR", room.path());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let inside = || std::fs::read_dir(room.path()).unwrap().count();
    let began = std::time::Instant::now();
    while inside() == 0 && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(inside(), 1, "the server is made there");
    std::thread::sleep(Duration::from_secs(3));
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1), "{}", text(&ended.stderr));
    assert_eq!(inside(), 0, "{}", text(&ended.stderr));
}
