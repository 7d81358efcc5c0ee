//! New migrations in a folder's layout: how their files are called, and what stands in them.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use super::FileKind;
use super::Folder;
use super::SourceFile;
use super::folders;
use super::graphile;
use super::layout::Layout;
use super::numbering::iso_time;
use super::numbering::next_version;
use super::repeatable_version;
use super::sqitch;
use crate::error::Error;
use crate::error::Result;

/// What a new migration is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Its name, in words with `_` between them.
    pub name: String,
    /// With a way back.
    pub down: bool,
    /// Run whenever it changes, instead of once.
    pub repeatable: bool,
    /// The time since 1970.
    pub now: Duration,
    /// `Name <address>`, for layouts that write down who planned it.
    pub planner: String,
}

/// A migration that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its version.
    pub version: String,
    /// Its new files, relative to the folder, with their text.
    pub files: Vec<(PathBuf, String)>,
    /// A file that is there and gets another text.
    pub changed: Option<(PathBuf, String)>,
}

const HEAD: &str = "-- Plain SQL, as for an empty database. `crossfade plan` shows how it would run.\n";
const REPEATABLE: &str = "-- Plain SQL, run again whenever this file changes.\n";

impl Folder {
    /// What a new migration of this folder looks like. Nothing is written.
    ///
    /// # Errors
    ///
    /// When there is one of this name, or the layout has no way to write what is wished for.
    pub fn make(&self, path: &Path, wish: &Wish) -> Result<Made> {
        let name = &wish.name;
        let same = |file: &&SourceFile| file.name == *name && (file.kind == FileKind::Repeatable) == wish.repeatable;
        if let Some(file) = self.files.iter().find(same) {
            let there = file.path.strip_prefix(path).unwrap_or(&file.path);
            return Err(Error::refused(format!("there is a migration of this name: {}", there.display()))
                .hint("choose another name"));
        }
        if wish.repeatable {
            if wish.down {
                return Err(Error::usage("a repeatable migration has no way back")
                    .hint("its way back is the text that it had before"));
            }
            let version = repeatable_version(name);
            let file = PathBuf::from(format!("{version}.sql"));
            return Ok(Made { version, files: vec![(file, REPEATABLE.to_owned())], changed: None });
        }
        let versions = self.files.iter().filter(|file| file.kind != FileKind::Repeatable);
        let version = next_version(self.layout, versions.map(|file| file.version.as_str()), wish.now);
        let mut changed = None;
        if self.layout == Layout::Sqitch {
            changed = Some(sqitch::with_change(path, name, &iso_time(wish.now), &wish.planner)?);
        }
        let names = self.names(path, &version, name);
        let mut files = vec![(names.up.clone(), self.head(wish.down))];
        let undoes = format!("-- Undoes {}.\n", names.up.display());
        match names.down {
            // A plan of sqitch knows of no change without it.
            Some(down) if wish.down || self.layout == Layout::Sqitch => files.push((down, undoes)),
            Some(_) => {}
            None if wish.down && self.layout.markers().is_none() => {
                return Err(Error::usage(format!("the layout {} has no files for a way back", self.layout))
                    .hint("make it without --down; what undoes it is a new migration"));
            }
            None => {}
        }
        Ok(Made { version, files, changed })
    }

    /// How the files of a migration are called.
    fn names(&self, path: &Path, version: &str, name: &str) -> Names {
        let one = |up: String| Names { up: self.beside(path).join(up), down: None };
        let two = |up: String, down: String| Names { down: Some(self.beside(path).join(down)), ..one(up) };
        let separator = self.separator();
        match self.layout {
            Layout::Plain | Layout::Atlas => {
                let down = if self.has_dotted_downs() { ".down" } else { "_down" };
                two(format!("{version}{separator}{name}.sql"), format!("{version}{separator}{name}{down}.sql"))
            }
            Layout::UpDown => two(format!("{version}_{name}.up.sql"), format!("{version}_{name}.down.sql")),
            Layout::Folders | Layout::Prisma => {
                let folder = format!("{version}_{name}");
                two(format!("{folder}/{}", folders::up_name(self.layout)), format!("{folder}/{}", folders::DOWN))
            }
            Layout::Flyway => two(format!("V{version}__{name}.sql"), format!("U{version}__{name}.sql")),
            Layout::Refinery => one(format!("V{version}__{name}.sql")),
            Layout::Dbmate | Layout::Goose | Layout::SqlMigrate | Layout::NodePgMigrate | Layout::Tern => {
                one(format!("{version}{separator}{name}.sql"))
            }
            Layout::Graphile => one(format!("{version}-{name}.sql")),
            Layout::Sqitch => Names {
                up: Path::new(sqitch::DEPLOY).join(format!("{name}.sql")),
                down: Some(Path::new(sqitch::REVERT).join(format!("{name}.sql"))),
            },
        }
    }

    /// What stands in a new file.
    fn head(&self, down: bool) -> String {
        let Some(markers) = self.layout.markers() else { return HEAD.to_owned() };
        let up = markers.first().map(|marker| format!("{marker}\n")).unwrap_or_default();
        // dbmate knows of no file without a way back.
        let has_down = down || self.layout == Layout::Dbmate;
        let down = if has_down { format!("\n{}\n", markers.way_back()) } else { String::new() };
        format!("{up}{HEAD}{down}")
    }

    /// A migration with this text, as a file relative to the folder. It has no way back.
    pub(super) fn file_of(&self, path: &Path, version: &str, name: &str, text: &str) -> (PathBuf, String) {
        let up = self.names(path, version, name).up;
        let Some(markers) = self.layout.markers() else { return (up, text.to_owned()) };
        let begin = markers.first().map(|marker| format!("{marker}\n")).unwrap_or_default();
        // dbmate knows of no file without a way back.
        let end = if self.layout == Layout::Dbmate { format!("\n{}\n", markers.way_back()) } else { String::new() };
        (up, format!("{begin}{text}{end}"))
    }

    /// Where the way back of a migration would have to be written that has none.
    pub(crate) fn where_to_write_the_way_back(&self, file: &SourceFile) -> Option<String> {
        let name = file.path.file_name()?.to_str()?;
        if let Some(markers) = self.layout.markers() {
            return Some(format!("`{}` with what undoes it into {name}", markers.way_back()));
        }
        let stem = name.strip_suffix(".sql").unwrap_or(name);
        match self.layout {
            Layout::Plain | Layout::Atlas if self.has_dotted_downs() => Some(format!("{stem}.down.sql")),
            Layout::Plain | Layout::Atlas => Some(format!("{stem}_down.sql")),
            Layout::UpDown => Some(format!("{}.down.sql", stem.strip_suffix(".up").unwrap_or(stem))),
            Layout::Folders | Layout::Prisma => {
                Some(format!("{}/{}", file.path.parent()?.file_name()?.to_str()?, folders::DOWN))
            }
            Layout::Flyway => Some(format!("U{}", name.strip_prefix('V')?)),
            Layout::Sqitch => Some(format!("{}/{name}", sqitch::REVERT)),
            Layout::Refinery
            | Layout::Graphile
            | Layout::Dbmate
            | Layout::Goose
            | Layout::SqlMigrate
            | Layout::NodePgMigrate
            | Layout::Tern => None,
        }
    }

    /// The folder, inside of the migrations', in which the newest file stands.
    fn beside(&self, path: &Path) -> PathBuf {
        match self.layout {
            Layout::Flyway | Layout::Refinery => {
                let newest = self.files.iter().rev().find(|file| file.kind != FileKind::Repeatable);
                let folder = newest.and_then(|file| file.path.strip_prefix(path).ok()?.parent());
                folder.map(Path::to_owned).unwrap_or_default()
            }
            Layout::Graphile if path.join(graphile::COMMITTED).is_dir() => PathBuf::from(graphile::COMMITTED),
            Layout::Plain
            | Layout::UpDown
            | Layout::Folders
            | Layout::Dbmate
            | Layout::Goose
            | Layout::SqlMigrate
            | Layout::NodePgMigrate
            | Layout::Tern
            | Layout::Prisma
            | Layout::Graphile
            | Layout::Sqitch
            | Layout::Atlas => PathBuf::new(),
        }
    }

    /// What stands between version and name in the newest file's name.
    fn separator(&self) -> char {
        let newest = self.files.iter().rev().find(|file| file.kind != FileKind::Repeatable && !file.name.is_empty());
        let behind =
            newest.and_then(|file| file.path.file_name()?.to_str()?.strip_prefix(&file.version)?.chars().next());
        match (behind, self.layout) {
            (Some('-'), _) | (None, Layout::SqlMigrate) => '-',
            (Some(_) | None, _) => '_',
        }
    }

    fn has_dotted_downs(&self) -> bool {
        let newest = self.files.iter().rev().find_map(|file| file.down.as_ref());
        newest.is_some_and(|(path, _)| path.to_string_lossy().ends_with(".down.sql"))
    }
}

struct Names {
    up: PathBuf,
    down: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    fn wish(name: &str) -> Wish {
        let now = Duration::from_secs(1_709_251_199);
        Wish { name: name.to_owned(), down: true, repeatable: false, now, planner: "M <m@x>".to_owned() }
    }

    /// The files that are made in a folder with these, and the layout in which they are read again.
    fn made(files: &[(&str, &str)], layout: Option<Layout>) -> String {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &Path, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        for (name, text) in files {
            write(Path::new(name), text);
        }
        let before = read(folder.path(), layout).unwrap();
        let made = match before.make(folder.path(), &wish("new_one")) {
            Ok(made) => made,
            Err(error) => return error.to_string(),
        };
        for (name, text) in made.files.iter().chain(&made.changed) {
            write(name, text);
        }
        let after = read(folder.path(), layout).unwrap();
        let file = after.files.iter().find(|file| file.name == "new_one").unwrap();
        assert_eq!((file.version.as_str(), &file.findings), (made.version.as_str(), &Vec::new()));
        assert!(crossfade_core::migration::Migration::parse("1", "x", &file.text).is_ok(), "{}", file.text);
        assert_eq!(after.layout, before.layout);
        let names = made.files.iter().map(|(name, _)| name.display().to_string()).collect::<Vec<_>>().join(" ");
        format!("{names}{}", if file.down.is_some() { "" } else { " (no way back)" })
    }

    #[test]
    fn it_is_said_where_a_way_back_would_be_written() {
        let said = |layout, path: &str| {
            let folder = Folder { layout, files: Vec::new(), passed_over: Vec::new() };
            let file = SourceFile { path: PathBuf::from(path), ..SourceFile::default() };
            folder.where_to_write_the_way_back(&file).unwrap_or_default()
        };
        for (layout, path, expected) in [
            (Layout::Plain, "m/001_a.sql", "001_a_down.sql"),
            (Layout::UpDown, "m/1_a.up.sql", "1_a.down.sql"),
            (Layout::Folders, "m/1_a/up.sql", "1_a/down.sql"),
            (Layout::Prisma, "m/1_a/migration.sql", "1_a/down.sql"),
            (Layout::Flyway, "m/V1__a.sql", "U1__a.sql"),
            (Layout::Flyway, "m/B1__a.sql", ""),
            (Layout::Sqitch, "m/deploy/a@v1.sql", "revert/a@v1.sql"),
            (Layout::Goose, "m/1_a.sql", "`-- +goose Down` with what undoes it into 1_a.sql"),
            (Layout::Graphile, "m/committed/000001.sql", ""),
        ] {
            assert_eq!(said(layout, path), expected, "{path}");
        }
    }

    #[test]
    fn new_files_go_on_in_the_layout() {
        const SQL: &str = "SELECT 1;";
        let check = |files: &[(&str, &str)], expected: &str| assert_eq!(made(files, None), expected, "{files:?}");
        check(&[], "001_new_one.sql 001_new_one_down.sql");
        check(&[("07-a.sql", SQL), ("07-a.down.sql", SQL)], "08-new_one.sql 08-new_one.down.sql");
        check(&[("000001_a.up.sql", SQL)], "000002_new_one.up.sql 000002_new_one.down.sql");
        check(
            &[("2023-01-01-000000_a/up.sql", SQL)],
            "2024-02-29-235959_new_one/up.sql 2024-02-29-235959_new_one/down.sql",
        );
        check(
            &[("20230101000000_a/migration.sql", SQL)],
            "20240229235959_new_one/migration.sql 20240229235959_new_one/down.sql",
        );
        check(&[("sub/V1_9__a.sql", SQL)], "sub/V1_10__new_one.sql sub/U1_10__new_one.sql");
        check(&[("1_a.sql", "-- +goose Up\nSELECT 1;\n")], "2_new_one.sql");
        check(&[("20230101000000_a.sql", "-- migrate:up\n-- migrate:down\n")], "20240229235959_new_one.sql");
        check(&[("1-a.sql", "-- +migrate Up\nSELECT 1;\n")], "2-new_one.sql");
        check(&[("001_a.sql", "SELECT 1;\n---- create above / drop below ----\n")], "002_new_one.sql");
        check(
            &[("committed/000001-a.sql", "--! Previous: -\n")],
            "the layout graphile-migrate has no files for a way back",
        );
        check(
            &[("sqitch.plan", "a 2024-01-01T00:00:00Z M <m@x>"), ("deploy/a.sql", SQL)],
            "deploy/new_one.sql revert/new_one.sql",
        );
        check(
            &[("atlas.sum", ""), ("20230101000000_a.sql", SQL)],
            "20240229235959_new_one.sql 20240229235959_new_one_down.sql",
        );
        check(&[("001_new_one.sql", SQL)], "there is a migration of this name: 001_new_one.sql");
        assert_eq!(made(&[], Some(Layout::Goose)), "20240229235959_new_one.sql");
    }
}
