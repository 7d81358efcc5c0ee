//! `renumber`: pending files that come too late, or have the version of another, get the next free versions.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crossfade_core::journal::State;
use crossfade_core::migration::checksum;

use super::Migrator;
use super::history;
use crate::error::Error;
use crate::error::Result;
use crate::postgres::store::TrackedRow;
use crate::report::REPORT_FORMAT;
use crate::report::RenamedFile;
use crate::report::RenumberReport;
use crate::report::RenumberedMigration;
use crate::source;
use crate::source::FileKind;
use crate::source::Folder;
use crate::source::Layout;
use crate::source::SourceFile;
use crate::source::VersionKey;

/// What `renumber` is to do.
#[derive(Clone, Debug, Default)]
pub struct RenumberOptions {
    /// Only these, by path, file name or version; also where they are not late.
    pub files: Vec<String>,
    /// Rename nothing.
    pub dry_run: bool,
    /// Without a look at the database.
    pub offline: bool,
    /// The time since 1970, for versions that are points in time.
    pub now: Duration,
}

pub(super) async fn run(migrator: &Migrator, options: &RenumberOptions) -> Result<RenumberReport> {
    let folder = source::read(&migrator.config.migrations, migrator.config.layout)?;
    let rows = if options.offline { Vec::new() } else { migrator.look().await? };
    let chosen = choose(&folder, &rows, &options.files)?;
    let taken: Vec<String> =
        rows.iter().filter(|row| !history::is_repeatable(row)).map(|row| row.version.clone()).collect();
    let renumbered = folder.renumber(&chosen, &taken, options.now)?;
    if !options.dry_run {
        source::rename(&renumbered)?;
    }
    let mut notices = Vec::new();
    if options.offline {
        notices.push(
            "the database was not asked: only files of the same version, and those that were named, are looked at"
                .to_owned(),
        );
    }
    if folder.layout == Layout::Atlas && !renumbered.is_empty() {
        notices.push("atlas.sum has the old names; `atlas migrate hash` mends it where atlas is still used".to_owned());
    }
    let migrations = renumbered.into_iter().map(|migration| RenumberedMigration {
        version: migration.version,
        name: migration.name,
        new_version: migration.new_version,
        files: migration.files.into_iter().map(|(from, to)| RenamedFile { from, to }).collect(),
    });
    Ok(RenumberReport { format: REPORT_FORMAT, dry_run: options.dry_run, migrations: migrations.collect(), notices })
}

/// The files that get another version, in their order.
fn choose(folder: &Folder, rows: &[TrackedRow], named: &[String]) -> Result<Vec<SourceFile>> {
    let standing: BTreeMap<VersionKey, &TrackedRow> = rows
        .iter()
        .filter(|row| row.state != State::RolledBack && !history::is_repeatable(row))
        .map(|row| (VersionKey::of(&row.version), row))
        .collect();
    let newest = standing.keys().next_back();
    let mut equal: BTreeMap<VersionKey, Vec<&SourceFile>> = BTreeMap::new();
    for file in folder.files.iter().filter(|file| file.kind == FileKind::Versioned) {
        equal.entry(VersionKey::of(&file.version)).or_default().push(file);
    }
    let mut applied: Vec<&Path> = Vec::new();
    let mut wanted = Vec::new();
    let is_named = |file: &SourceFile| named.iter().any(|name| names(file, name));
    for (key, files) in &equal {
        let row = standing.get(key);
        let run = row.map(|row| run_of(row, files)).transpose()?;
        applied.extend(run.map(|file| file.path.as_path()));
        let pending: Vec<&SourceFile> =
            files.iter().copied().filter(|file| run.is_none_or(|run| run.path != file.path)).collect();
        let is_late = newest.is_some_and(|newest| key < newest);
        // Of several, one may keep the version: none where it was run or is late, else the first that is not named.
        let keeps = match () {
            () if run.is_some() || is_late => None,
            () => pending.iter().find(|file| !is_named(file)).or(pending.first()).map(|file| file.path.as_path()),
        };
        for file in pending {
            let moves = if named.is_empty() { keeps != Some(file.path.as_path()) } else { is_named(file) };
            if moves {
                wanted.push(file.clone());
            }
        }
    }
    for name in named {
        let found = equal.values().flatten().find(|file| names(file, name));
        let Some(file) = found else {
            return Err(Error::usage(format!("there is no migration {name}"))
                .hint("name a file of the folder, or a version; `crossfade status` lists them"));
        };
        let also = equal.values().flatten().any(|file| names(file, name) && !applied.contains(&file.path.as_path()));
        if !also {
            return Err(Error::refused(format!(
                "{} was run on this database, and keeps its version",
                file.path.display()
            ))
            .hint("renumber a file that is pending"));
        }
    }
    Ok(wanted)
}

/// Whether somebody means this file.
fn names(file: &SourceFile, name: &str) -> bool {
    let path = Path::new(name);
    let by_version = VersionKey::of(&file.version) == VersionKey::of(name);
    let folder = file.path.parent();
    by_version
        || file.path == path
        || file.path.strip_prefix(".").is_ok_and(|file| file == path)
        || file.path.file_name() == Some(path.as_os_str())
        || folder.is_some_and(|folder| folder == path || folder.file_name() == Some(path.as_os_str()))
}

/// Which of several files of one version was run.
fn run_of<'f>(row: &TrackedRow, files: &[&'f SourceFile]) -> Result<&'f SourceFile> {
    let by_text = files.iter().find(|file| file.name == row.name && checksum(&file.text) == row.checksum);
    let by_name = || files.iter().find(|file| file.name == row.name);
    let by_checksum = || files.iter().find(|file| checksum(&file.text) == row.checksum);
    let only = || files.first().filter(|_| files.len() == 1);
    by_text.or_else(by_name).or_else(by_checksum).or_else(only).copied().ok_or_else(|| {
        let paths: Vec<String> = files.iter().map(|file| file.path.display().to_string()).collect();
        Error::refused(format!(
            "{} {} was run on this database, and none of {} is it",
            row.version,
            row.name,
            paths.join(" and ")
        ))
        .hint("bring its file back, or say which one moves: crossfade renumber FILE")
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::history::tests::row;
    use super::*;

    fn file(version: &str, name: &str) -> SourceFile {
        SourceFile {
            version: version.to_owned(),
            name: name.to_owned(),
            path: PathBuf::from(format!("m/{version}_{name}.sql")),
            ..SourceFile::default()
        }
    }

    fn chosen(files: &[(&str, &str)], rows: &[(&str, &str)], named: &[&str]) -> Vec<String> {
        let folder = Folder {
            layout: Layout::Plain,
            files: files.iter().map(|(version, name)| file(version, name)).collect(),
            passed_over: Vec::new(),
        };
        let rows: Vec<TrackedRow> = rows
            .iter()
            .map(|(version, name)| TrackedRow { name: (*name).to_owned(), ..row(version, "", State::Applied) })
            .collect();
        let named: Vec<String> = named.iter().map(|name| (*name).to_owned()).collect();
        match choose(&folder, &rows, &named) {
            Ok(files) => files.into_iter().map(|file| format!("{} {}", file.version, file.name)).collect(),
            Err(error) => vec![error.to_string()],
        }
    }

    #[test]
    fn late_files_move_and_applied_ones_never_do() {
        let files = [("1", "a"), ("2", "b"), ("3", "c"), ("4", "d")];
        assert_eq!(chosen(&files, &[("1", "a"), ("3", "c")], &[]), ["2 b"]);
        assert_eq!(chosen(&files, &[], &[]), Vec::<String>::new());
        assert_eq!(chosen(&files, &[("1", "a")], &["4"]), ["4 d"]);
        assert_eq!(chosen(&files, &[("1", "a")], &["m/4_d.sql", "2_b.sql"]), ["2 b", "4 d"]);
        assert_eq!(
            chosen(&files, &[("1", "a")], &["1"]),
            ["m/1_a.sql was run on this database, and keeps its version"]
        );
        assert_eq!(chosen(&files, &[], &["9"]), ["there is no migration 9"]);
    }

    #[test]
    fn of_equal_versions_one_stays() {
        let files = [("1", "a"), ("2", "b"), ("02", "c"), ("3", "d")];
        assert_eq!(chosen(&files, &[], &[]), ["02 c"]);
        assert_eq!(chosen(&files, &[], &["2_b.sql"]), ["2 b"]);
        assert_eq!(chosen(&files, &[("1", "a"), ("2", "c")], &[]), ["2 b"]);
        assert_eq!(chosen(&files, &[("1", "a"), ("3", "d")], &[]), ["2 b", "02 c"]);
    }
}
