//! A git repository with migrations, and the real binary in it.

use std::path::Path;
use std::process::Command;
use std::process::Output;

/// A repository with two migrations on `main`, and the branch `topic` checked out.
pub struct Repository {
    folder: tempfile::TempDir,
}

impl Repository {
    pub fn new() -> Repository {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("db/migrations")).unwrap();
        let repository = Repository { folder };
        repository.git(&["init", "-q", "-b", "main"]);
        repository.write("db/migrations/001_users.sql", "CREATE TABLE users (id integer PRIMARY KEY, email text);\n");
        repository.write("db/migrations/002_posts.sql", "CREATE TABLE posts (id integer);\n");
        repository.write("db/migrations/002_posts_down.sql", "DROP TABLE posts;\n");
        repository.commit("the first ones");
        repository.git(&["checkout", "-q", "-b", "topic"]);
        repository
    }

    pub fn git(&self, arguments: &[&str]) {
        let output = Command::new("git")
            .args(["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"])
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", text(&output.stderr));
    }

    pub fn commit(&self, what: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", what]);
    }

    pub fn write(&self, file: &str, text: &str) {
        let path = self.folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Called in the folder of the repository, with a database that is not there.
    pub fn call(&self, command: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
        let arguments = [&[command, "--dir", "db"], arguments].concat();
        call(self.folder.path(), variables, &arguments)
    }
}

pub fn call(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crossfade"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .env("DATABASE_URL", "postgres://nobody:secret@127.0.0.1:1/nowhere")
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
