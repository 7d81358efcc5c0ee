//! Another version for files that are there: they are renamed, with all that belongs to them.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use super::FileKind;
use super::Folder;
use super::SourceFile;
use super::layout::Layout;
use super::numbering::next_version;
use super::version::Separator;
use super::version::VersionKey;
use super::version::split_name;
use crate::error::Error;
use crate::error::Result;

/// A migration that gets another version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renumbered {
    /// The version that it had.
    pub version: String,
    /// Its name.
    pub name: String,
    /// The version that it gets.
    pub new_version: String,
    /// What is renamed for that: from, to.
    pub files: Vec<(PathBuf, PathBuf)>,
}

impl Folder {
    /// The next free versions for these files of the folder, in their order; `taken` are versions that no file may get. Nothing is renamed.
    ///
    /// # Errors
    ///
    /// When the layout's order does not stand in the names of its files.
    pub fn renumber(&self, chosen: &[SourceFile], taken: &[String], now: Duration) -> Result<Vec<Renumbered>> {
        if self.layout == Layout::Sqitch && !chosen.is_empty() {
            return Err(Error::refused(
                "the order of sqitch's changes stands in sqitch.plan, not in the names of files",
            )
            .hint("move the line in sqitch.plan"));
        }
        let is_chosen = |file: &SourceFile| chosen.iter().any(|chosen| chosen.path == file.path);
        let others = self.files.iter().filter(|file| file.kind != FileKind::Repeatable && !is_chosen(file));
        let mut versions: Vec<String> = others.map(|file| file.version.clone()).chain(taken.iter().cloned()).collect();
        let mut renumbered = Vec::new();
        for file in chosen {
            let version = next_version(self.layout, versions.iter().map(String::as_str), now);
            if VersionKey::of(&version) != VersionKey::of(&file.version) {
                renumbered.push(Renumbered {
                    version: file.version.clone(),
                    name: file.name.clone(),
                    new_version: version.clone(),
                    files: renamings(self.layout, file, &version),
                });
            }
            versions.push(version);
        }
        Ok(renumbered)
    }
}

/// Renames the files. The last comes first, so that each place is free.
///
/// # Errors
///
/// When a name is taken, before anything is renamed; or when a file can't be renamed.
pub fn rename(renumbered: &[Renumbered]) -> Result<()> {
    let all: Vec<&(PathBuf, PathBuf)> = renumbered.iter().flat_map(|migration| &migration.files).collect();
    let is_moved = |path: &Path| all.iter().any(|(from, _)| from == path);
    for (from, to) in &all {
        if std::fs::symlink_metadata(to).is_ok() && !is_moved(to) {
            return Err(Error::refused(format!(
                "{} can't become {}, which is there already",
                from.display(),
                to.display()
            ))
            .hint("rename one of them by hand; nothing was renamed"));
        }
    }
    for (done, (from, to)) in all.iter().rev().enumerate() {
        std::fs::rename(from, to).map_err(|error| {
            Error::failed(format!("could not rename {} to {}", from.display(), to.display()))
                .hint(format!(
                    "{done} of {} files are renamed; mend the cause, and run `crossfade renumber` again",
                    all.len()
                ))
                .caused_by(error)
        })?;
    }
    Ok(())
}

/// What is renamed for a migration.
fn renamings(layout: Layout, file: &SourceFile, version: &str) -> Vec<(PathBuf, PathBuf)> {
    let renamed = |path: PathBuf| {
        let name = with_version(path.file_name()?.to_str()?, version)?;
        let to = path.with_file_name(name);
        Some((path, to))
    };
    all_of(layout, file).into_iter().filter_map(renamed).collect()
}

/// The files of a migration, or the folder that they stand in.
pub(super) fn all_of(layout: Layout, file: &SourceFile) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    match layout {
        Layout::Folders | Layout::Prisma => paths.extend(file.path.parent().map(Path::to_owned)),
        Layout::Plain
        | Layout::UpDown
        | Layout::Flyway
        | Layout::Refinery
        | Layout::Dbmate
        | Layout::Goose
        | Layout::SqlMigrate
        | Layout::NodePgMigrate
        | Layout::Tern
        | Layout::Graphile
        | Layout::Sqitch
        | Layout::Atlas => {
            paths.push(file.path.clone());
            paths.extend(file.down.as_ref().map(|(path, _)| path.clone()).filter(|down| *down != file.path));
            let settings = |path: &PathBuf| PathBuf::from(format!("{}.conf", path.display()));
            let settings: Vec<PathBuf> = paths.iter().map(settings).filter(|path| path.is_file()).collect();
            paths.extend(settings);
        }
    }
    paths
}

/// A file's name with another version.
fn with_version(name: &str, version: &str) -> Option<String> {
    let behind = |letter: char| name.strip_prefix(letter).filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    match ['V', 'U', 'B'].into_iter().find_map(|letter| Some((letter, behind(letter)?))) {
        Some((letter, rest)) => {
            let end = rest.find("__").or_else(|| rest.find(".sql")).unwrap_or(rest.len());
            Some(format!("{letter}{version}{}", &rest[end..]))
        }
        None => {
            let (old, _) = split_name(name, Separator::Optional)?;
            Some(format!("{version}{}", &name[old.len()..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    #[test]
    fn a_version_is_replaced_in_a_name() {
        for (name, expected) in [
            ("001_a.sql", "7_a.sql"),
            ("001.sql", "7.sql"),
            ("1.2_a.sql", "7_a.sql"),
            ("001-a.down.sql", "7-a.down.sql"),
            ("V1_2__a.sql", "V7__a.sql"),
            ("U1.2__a.sql.conf", "U7__a.sql.conf"),
            ("V1.sql", "V7.sql"),
            ("2024-01-31-120000_a", "7_a"),
            ("2fa.sql", "7fa.sql"),
        ] {
            assert_eq!(with_version(name, "7").as_deref(), Some(expected), "{name}");
        }
    }

    /// Renumbers what is named, and returns the folder's files.
    fn renumbered(files: &[&str], chosen: &[&str]) -> String {
        let folder = tempfile::tempdir().unwrap();
        for name in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "SELECT 1;").unwrap();
        }
        let before = read(folder.path(), None).unwrap();
        let is_chosen = |file: &&SourceFile| chosen.iter().any(|name| file.path == folder.path().join(name));
        let chosen: Vec<SourceFile> = before.files.iter().filter(is_chosen).cloned().collect();
        let renumbered = before.renumber(&chosen, &["3".to_owned()], Duration::ZERO).unwrap();
        match rename(&renumbered) {
            Ok(()) => {}
            Err(error) => return error.to_string().replace(&format!("{}/", folder.path().display()), ""),
        }
        let after = read(folder.path(), None).unwrap();
        let paths = after
            .files
            .iter()
            .flat_map(|file| std::iter::once(&file.path).chain(file.down.as_ref().map(|(path, _)| path)));
        let names = paths.map(|path| path.strip_prefix(folder.path()).unwrap().display().to_string());
        names.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn files_move_behind_the_last_with_all_that_belongs_to_them() {
        assert_eq!(
            renumbered(&["1_a.sql", "2_b.sql", "2_b_down.sql", "2_c.sql", "4_d.sql"], &["2_b.sql", "2_c.sql"]),
            "1_a.sql 4_d.sql 5_b.sql 5_b_down.sql 6_c.sql"
        );
        assert_eq!(
            renumbered(&["1_a/up.sql", "1_b/up.sql", "1_b/down.sql"], &["1_b/up.sql"]),
            "1_a/up.sql 4_b/up.sql 4_b/down.sql"
        );
        assert_eq!(
            renumbered(&["V1__a.sql", "V2__b.sql", "U2__b.sql", "V5__c.sql"], &["V2__b.sql"]),
            "V1__a.sql V5__c.sql V6__b.sql U6__b.sql"
        );
        // What stands behind the others already keeps its version.
        assert_eq!(renumbered(&["1_a.sql", "4_b.sql"], &["4_b.sql"]), "1_a.sql 4_b.sql");
        assert_eq!(renumbered(&["1_a.sql", "6_b.sql"], &["1_a.sql", "6_b.sql"]), "4_a.sql 5_b.sql");
    }
}
