//! One file in the place of several: those go aside, with all that belongs to them.

use std::path::Path;
use std::path::PathBuf;

use super::Folder;
use super::SourceFile;
use super::layout::Layout;
use super::renaming::all_of;
use crate::error::Error;
use crate::error::Result;

/// What is to be done to a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Squashing {
    /// The new file and its text.
    pub file: (PathBuf, String),
    /// What goes aside: from, to.
    pub moved: Vec<(PathBuf, PathBuf)>,
}

impl Folder {
    /// A file with this text in the place of these files. They go into a folder beside the one of the migrations. Nothing is written.
    ///
    /// # Errors
    ///
    /// When the layout has no room for it, or a name is taken.
    pub fn squash(
        &self,
        path: &Path,
        files: &[SourceFile],
        version: &str,
        name: &str,
        text: &str,
    ) -> Result<Squashing> {
        let why_not = match self.layout {
            Layout::Plain
            | Layout::UpDown
            | Layout::Folders
            | Layout::Flyway
            | Layout::Refinery
            | Layout::Dbmate
            | Layout::Goose
            | Layout::SqlMigrate
            | Layout::NodePgMigrate
            | Layout::Prisma => None,
            Layout::Tern => Some("tern's versions begin with 1 and have no gaps"),
            Layout::Graphile => Some("each of graphile-migrate's files holds the hash of the one before it"),
            Layout::Sqitch => Some("sqitch.plan has every change by name"),
            Layout::Atlas => {
                Some("atlas.sum has the hash of every file; `atlas migrate checkpoint` makes one in the place of many")
            }
        };
        if let Some(why_not) = why_not {
            return Err(Error::refused(format!(
                "the layout {} takes no file in the place of others: {why_not}",
                self.layout
            ))
            .hint("name another layout in crossfade.toml where the other tool is no longer used"));
        }
        let (file, text) = self.file_of(path, version, name, text);
        let squashing = Squashing { file: (path.join(file), text), moved: moves(self.layout, path, files, version)? };
        let new = &squashing.file.0;
        let taken = squashing.moved.iter().map(|(_, to)| to.as_path()).find(|to| is_there(to));
        let is_moved = squashing.moved.iter().any(|(from, _)| new.starts_with(from));
        match taken.or_else(|| Some(new.as_path()).filter(|new| is_there(new) && !is_moved)) {
            Some(taken) => Err(Error::refused(format!("{} is there already", taken.display()))
                .hint("move it away, or give the squashed file another name")),
            None => Ok(squashing),
        }
    }
}

fn is_there(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

/// Where the files go: `migrations_squashed/042/`, each as it stood.
fn moves(layout: Layout, path: &Path, files: &[SourceFile], version: &str) -> Result<Vec<(PathBuf, PathBuf)>> {
    let unreadable = |error| Error::usage(format!("could not read the folder {}", path.display())).caused_by(error);
    let whole = path.canonicalize().map_err(unreadable)?;
    let name = whole.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // As it was named, where that leads anywhere.
    let beside = match (path.file_name(), whole.parent()) {
        (Some(_), _) => path.with_file_name(format!("{name}_squashed")),
        (None, Some(parent)) => parent.join(format!("{name}_squashed")),
        (None, None) => path.join("squashed"),
    };
    let all = files.iter().flat_map(|file| all_of(layout, file));
    let moved = all.map(|from| {
        let within = from.strip_prefix(path).unwrap_or(&from).to_owned();
        let to = beside.join(version).join(within);
        (from, to)
    });
    Ok(moved.collect())
}

impl Squashing {
    /// Does it. What can't be moved leaves the folder as it was.
    ///
    /// # Errors
    ///
    /// When something can't be written or moved.
    pub fn carry_out(&self) -> Result<()> {
        let (file, text) = &self.file;
        let written = written_beside(file);
        make_folder_of(&written)?;
        std::fs::write(&written, text)
            .map_err(|error| Error::failed(format!("could not write {}", written.display())).caused_by(error))?;
        let all = self
            .moved
            .iter()
            .map(|(from, to)| (from.as_path(), to.as_path()))
            .chain([(written.as_path(), file.as_path())]);
        let mut done: Vec<(&Path, &Path)> = Vec::new();
        for (from, to) in all {
            let moved = make_folder_of(to).and_then(|()| {
                std::fs::rename(from, to).map_err(|error| {
                    Error::failed(format!("could not move {} to {}", from.display(), to.display())).caused_by(error)
                })
            });
            if let Err(error) = moved {
                for (from, to) in done.into_iter().rev() {
                    let _ = std::fs::rename(to, from);
                }
                let _ = std::fs::remove_file(&written);
                return Err(error.hint("nothing was changed in the folder; mend the cause, and run it again"));
            }
            done.push((from, to));
        }
        Ok(())
    }
}

/// Where the new file is written before the others are away. Hidden, so that nobody takes it for a migration.
fn written_beside(file: &Path) -> PathBuf {
    let folder = file.ancestors().skip(1).find(|folder| folder.is_dir());
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    folder.unwrap_or(Path::new("")).join(format!(".{name}.new"))
}

fn make_folder_of(path: &Path) -> Result<()> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    std::fs::create_dir_all(folder)
        .map_err(|error| Error::failed(format!("could not make {}", folder.display())).caused_by(error))
}

#[cfg(test)]
mod tests {
    use super::super::Medium;
    use super::super::load_folder;
    use super::*;

    /// Squashes the first two versions of a folder, and lists what is there then.
    fn squashed(layout: Option<Layout>, files: &[(&str, &str)]) -> Result<Vec<String>> {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("migrations");
        for (name, text) in files {
            let file = path.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        let folder = load_folder(Medium::Disk, &path, layout)?;
        let chosen: Vec<SourceFile> = folder.files.iter().take(2).cloned().collect();
        let text = "SELECT 'one';\n";
        let squashing = folder.squash(&path, &chosen, &chosen[1].version, "squashed", text)?;
        squashing.carry_out()?;
        let again = load_folder(Medium::Disk, &path, Some(folder.layout))?;
        let first = &again.files[0];
        assert_eq!((first.version.as_str(), first.name.as_str()), (chosen[1].version.as_str(), "squashed"));
        assert_eq!(first.text.trim(), text.trim());
        assert!(first.findings.is_empty() && first.down.is_none_or_empty(), "{first:?}");
        Ok(listed(root.path()))
    }

    trait Emptiness {
        fn is_none_or_empty(&self) -> bool;
    }

    impl Emptiness for Option<(PathBuf, String)> {
        fn is_none_or_empty(&self) -> bool {
            self.as_ref().is_none_or(|(_, text)| text.trim().is_empty())
        }
    }

    fn listed(root: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path)
                } else {
                    found.push(path.strip_prefix(root).unwrap().display().to_string())
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn the_files_go_aside_with_all_that_belongs_to_them() {
        let found = squashed(
            None,
            &[
                ("001_a.sql", "SELECT 1;"),
                ("002_b.sql", "SELECT 2;"),
                ("002_b_down.sql", "SELECT 3;"),
                ("003_c.sql", "SELECT 4;"),
            ],
        );
        let expected = [
            "migrations/002_squashed.sql",
            "migrations/003_c.sql",
            "migrations_squashed/002/001_a.sql",
            "migrations_squashed/002/002_b.sql",
            "migrations_squashed/002/002_b_down.sql",
        ];
        assert_eq!(found.unwrap(), expected);
        let found = squashed(
            None,
            &[
                ("1_a/up.sql", "SELECT 1;"),
                ("1_a/down.sql", ""),
                ("2_b/up.sql", "SELECT 2;"),
                ("2_b/metadata.toml", ""),
            ],
        );
        let expected = [
            "migrations/2_squashed/up.sql",
            "migrations_squashed/2/1_a/down.sql",
            "migrations_squashed/2/1_a/up.sql",
            "migrations_squashed/2/2_b/metadata.toml",
            "migrations_squashed/2/2_b/up.sql",
        ];
        assert_eq!(found.unwrap(), expected);
    }

    #[test]
    fn every_layout_that_has_room_for_it_reads_it_again() {
        let dbmate = |up: &str| format!("-- migrate:up\n{up}\n-- migrate:down\nSELECT 0;\n");
        let goose = |up: &str| format!("-- +goose Up\n{up}\n-- +goose Down\nSELECT 0;\n");
        let sql_migrate = |up: &str| format!("-- +migrate Up\n{up}\n-- +migrate Down\nSELECT 0;\n");
        let node = |up: &str| format!("-- Up Migration\n{up}\n-- Down Migration\nSELECT 0;\n");
        let (a, b) = ("SELECT 1;", "SELECT 2;");
        let cases = [
            (Layout::UpDown, [("1_a.up.sql", a.to_owned()), ("2_b.up.sql", b.to_owned())]),
            (Layout::Flyway, [("V1__a.sql", a.to_owned()), ("V2__b.sql", b.to_owned())]),
            (Layout::Refinery, [("V1__a.sql", a.to_owned()), ("V2__b.sql", b.to_owned())]),
            (
                Layout::Prisma,
                [("20240101000000_a/migration.sql", a.to_owned()), ("20240102000000_b/migration.sql", b.to_owned())],
            ),
            (Layout::Dbmate, [("1_a.sql", dbmate(a)), ("2_b.sql", dbmate(b))]),
            (Layout::Goose, [("1_a.sql", goose(a)), ("2_b.sql", goose(b))]),
            (Layout::SqlMigrate, [("1_a.sql", sql_migrate(a)), ("2_b.sql", sql_migrate(b))]),
            (Layout::NodePgMigrate, [("1_a.sql", node(a)), ("2_b.sql", node(b))]),
        ];
        for (layout, files) in cases {
            let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
            let found = squashed(Some(layout), &files).unwrap_or_else(|error| panic!("{layout}: {error}"));
            assert_eq!(found.len(), 3, "{layout}: {found:?}");
        }
    }

    #[test]
    fn what_has_no_room_for_it_and_what_is_taken_is_refused() {
        let tern = |up: &str| format!("{up}\n---- create above / drop below ----\nSELECT 0;\n");
        let files = [("1_a.sql", tern("SELECT 1;")), ("2_b.sql", tern("SELECT 2;"))];
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let error = squashed(Some(Layout::Tern), &files).unwrap_err().to_string();
        assert!(error.contains("no gaps"), "{error}");
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("migrations");
        std::fs::create_dir_all(root.path().join("migrations_squashed/2")).unwrap();
        std::fs::create_dir(&path).unwrap();
        for name in ["migrations/1_a.sql", "migrations/2_b.sql", "migrations_squashed/2/1_a.sql"] {
            std::fs::write(root.path().join(name), "SELECT 1;").unwrap();
        }
        let folder = load_folder(Medium::Disk, &path, None).unwrap();
        let error = folder.squash(&path, &folder.files, "2", "squashed", "SELECT 1;").unwrap_err().to_string();
        assert!(error.ends_with("migrations_squashed/2/1_a.sql is there already"), "{error}");
        // The file itself may have the place of one that goes.
        std::fs::remove_file(root.path().join("migrations_squashed/2/1_a.sql")).unwrap();
        folder.squash(&path, &folder.files, "2", "b", "SELECT 1;").unwrap().carry_out().unwrap();
        assert_eq!(
            listed(root.path()),
            ["migrations/2_b.sql", "migrations_squashed/2/1_a.sql", "migrations_squashed/2/2_b.sql"]
        );
    }

    #[test]
    fn what_can_not_be_moved_leaves_the_folder_as_it_was() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("migrations");
        std::fs::create_dir(&path).unwrap();
        for name in ["1_a.sql", "2_b.sql"] {
            std::fs::write(path.join(name), "SELECT 1;").unwrap();
        }
        let folder = load_folder(Medium::Disk, &path, None).unwrap();
        let squashing = folder.squash(&path, &folder.files, "2", "squashed", "SELECT 1;").unwrap();
        // Between the look and the deed the second goes away.
        std::fs::remove_file(path.join("2_b.sql")).unwrap();
        let error = squashing.carry_out().unwrap_err();
        assert!(error.to_string().contains("could not move"), "{error}");
        assert_eq!(listed(root.path()), ["migrations/1_a.sql"]);
    }
}
