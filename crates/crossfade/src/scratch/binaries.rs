//! Finds the programs of an installed PostgreSQL server. Nothing is downloaded, and no variable is read.

use std::cmp::Reverse;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use super::ScratchError;

/// The programs that make a folder one of server binaries.
const PROGRAMS: [&str; 3] = ["initdb", "pg_ctl", "postgres"];

/// Finds the folder of an installed server's binaries: the one given, else the one of `pg_config`, else the newest in
/// the usual places. A folder counts only if it has `initdb`, `pg_ctl` and `postgres`; a client-only install has not.
pub fn find_binaries(configured: Option<&Path>) -> Result<PathBuf, ScratchError> {
    match configured {
        Some(folder) => usable(folder),
        None => pg_config_folder()
            .into_iter()
            .chain(usual_folders())
            .find_map(|folder| usable(&folder).ok())
            .ok_or(ScratchError::NoBinaries),
    }
}

/// The same, but of those in the usual places rather one of this major version.
pub(super) fn find_binaries_of(configured: Option<&Path>, major: Option<u32>) -> Result<PathBuf, ScratchError> {
    let (None, Some(major)) = (configured, major) else { return find_binaries(configured) };
    let all = pg_config_folder().into_iter().chain(usual_folders());
    let mut fitting = all.filter_map(|folder| usable(&folder).ok()).filter(|folder| version_of(folder) == Some(major));
    fitting.next().map_or_else(|| find_binaries(None), Ok)
}

/// `postgres (PostgreSQL) 15.20 (Debian …)` and `… 18beta1`.
fn version_of(folder: &Path) -> Option<u32> {
    let output = Command::new(folder.join("postgres")).arg("--version").stdin(Stdio::null()).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    version_in(said.split("(PostgreSQL)").nth(1)?).first().copied()
}

/// The folder as an absolute path, if it has all the programs.
pub(super) fn usable(folder: &Path) -> Result<PathBuf, ScratchError> {
    match PROGRAMS.into_iter().find(|program| !folder.join(program).is_file()) {
        Some(program) => Err(ScratchError::NotBinaries { folder: folder.to_owned(), program }),
        None => std::path::absolute(folder).map_err(|source| ScratchError::Folder {
            what: "resolve",
            path: folder.to_owned(),
            source,
        }),
    }
}

fn pg_config_folder() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").stdin(Stdio::null()).output().ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !folder.trim().is_empty()).then(|| PathBuf::from(folder.trim()))
}

/// Where systems put the binaries. `*` stands for a version, of which the newest comes first.
const USUAL_FOLDERS: [&str; 10] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/usr/lib/postgresql*/bin",
    "/usr/local/pgsql/bin",
    "/usr/local/bin",
    "/usr/bin",
];

fn usual_folders() -> impl Iterator<Item = PathBuf> {
    USUAL_FOLDERS.into_iter().flat_map(expand_star)
}

fn expand_star(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else {
        return vec![PathBuf::from(pattern)];
    };
    let (parent, prefix) = before.rsplit_once('/').expect("the patterns are absolute paths");
    let names = fs::read_dir(parent).into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
    names.sort_by_key(|name| Reverse(version_in(&name[prefix.len()..])));
    names.into_iter().map(|name| PathBuf::from(format!("{parent}/{name}{after}"))).collect()
}

/// `17`, `@17` and `9.6` as numbers that order; `latest` and no version at all come last.
fn version_in(text: &str) -> Vec<u32> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_the_programs_is_named() {
        let empty = tempfile::tempdir().unwrap();
        let error = find_binaries(Some(empty.path())).unwrap_err().to_string();
        assert!(error.contains(&empty.path().display().to_string()), "{error}");
        assert!(error.contains("it has no initdb") && error.contains("CROSSFADE_PG_BIN"), "{error}");
    }

    #[test]
    fn without_any_binaries_the_error_says_how_to_get_them() {
        let error = ScratchError::NoBinaries.to_string();
        for help in ["apt-get install postgresql", "dnf install postgresql-server", "brew install", "CROSSFADE_PG_BIN"]
        {
            assert!(error.contains(help), "{error}");
        }
    }

    #[test]
    fn the_version_that_is_wanted_comes_first() {
        let there = find_binaries(None).unwrap();
        let major = version_of(&there).unwrap();
        assert!(major >= 9, "{major}");
        assert_eq!(version_of(&find_binaries_of(None, Some(major)).unwrap()), Some(major));
        assert_eq!(find_binaries_of(None, Some(1)).unwrap(), there, "else the one that would be taken anyway");
        assert_eq!(find_binaries_of(Some(&there), Some(1)).unwrap(), there, "a folder that is named is taken");
    }

    #[test]
    fn the_newest_version_comes_first() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["postgresql", "postgresql@9.6", "postgresql@17", "postgresql@13", "redis"] {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        let found = expand_star(&format!("{}/postgresql*/bin", parent.path().display()));
        let names = found.iter().map(|path| path.strip_prefix(parent.path()).unwrap().to_str().unwrap());
        let expected = ["postgresql@17/bin", "postgresql@13/bin", "postgresql@9.6/bin", "postgresql/bin"];
        assert_eq!(names.collect::<Vec<_>>(), expected);
    }
}
