//! Migrations that are part of the program, and where files are read from: the disk, or the program itself.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::error::Result;

/// The files of a migrations folder, as they were when the program was compiled. [`embed!`](crate::embed) makes one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Embedded {
    folder: &'static str,
    files: &'static [(&'static str, &'static [u8])],
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Embedded({}, {} files)", self.folder, self.files.len())
    }
}

impl Embedded {
    /// From files by their paths below the folder, with `/` between the parts. The folder's name stands in messages.
    pub const fn new(folder: &'static str, files: &'static [(&'static str, &'static [u8])]) -> Embedded {
        Embedded { folder, files }
    }

    /// The folder's name.
    pub fn folder(&self) -> &'static str {
        self.folder
    }

    /// The files by their paths below the folder.
    pub fn files(&self) -> &'static [(&'static str, &'static [u8])] {
        self.files
    }

    /// What differs between the program and the folder on the disk, one path each: for a test that the program was compiled since a file was added. Hidden files
    /// do not count.
    ///
    /// # Errors
    ///
    /// When the folder can't be read.
    pub fn differs_from(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let mut differing: BTreeSet<PathBuf> = self.files.iter().map(|(name, _)| PathBuf::from(name)).collect();
        let listing = super::listing::list_below(Medium::Disk, folder)?;
        for path in listing {
            let Ok(name) = path.strip_prefix(folder) else { continue };
            let held = self.files.iter().find(|(held, _)| Path::new(held) == name);
            if held.is_some_and(|(_, bytes)| Medium::Disk.read(&path).is_ok_and(|on_disk| on_disk == *bytes)) {
                differing.remove(name);
            } else {
                differing.insert(name.to_owned());
            }
        }
        Ok(differing.into_iter().collect())
    }
}

/// Where files are read from. Paths in a program are those below the folder's name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Medium<'a> {
    Disk,
    Program(&'a Embedded),
}

/// What an entry of a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    Other,
}

/// An entry of a folder: its name, and what it is where that can be said.
pub(super) type Found = (OsString, io::Result<Kind>);

impl Medium<'_> {
    /// A file's bytes.
    pub fn read(self, path: &Path) -> io::Result<Vec<u8>> {
        match self {
            Medium::Disk => std::fs::read(path),
            Medium::Program(embedded) => {
                let held = below(embedded, path)
                    .and_then(|name| embedded.files.iter().find(|(held, _)| Path::new(held) == name));
                held.map(|(_, bytes)| bytes.to_vec()).ok_or_else(|| io::ErrorKind::NotFound.into())
            }
        }
    }

    pub fn is_file(self, path: &Path) -> bool {
        match self {
            Medium::Disk => path.is_file(),
            Medium::Program(embedded) => {
                below(embedded, path).is_some_and(|name| embedded.files.iter().any(|(held, _)| Path::new(held) == name))
            }
        }
    }

    pub fn is_dir(self, path: &Path) -> bool {
        match self {
            Medium::Disk => path.is_dir(),
            Medium::Program(_) => self.entries(path).is_ok_and(|entries| !entries.is_empty()),
        }
    }

    /// The path without links, as far as that can be said.
    pub fn real(self, path: &Path) -> PathBuf {
        match self {
            Medium::Disk => path.canonicalize().unwrap_or_else(|_| path.to_owned()),
            Medium::Program(_) => path.to_owned(),
        }
    }

    /// What stands in a folder, links followed.
    pub(super) fn entries(self, folder: &Path) -> io::Result<Vec<Found>> {
        match self {
            Medium::Disk => std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| on_disk(&entry))).collect(),
            Medium::Program(embedded) => {
                let Some(within) = below(embedded, folder) else { return Err(io::ErrorKind::NotFound.into()) };
                let mut found: Vec<(OsString, Kind)> = Vec::new();
                for (held, _) in embedded.files {
                    let Ok(rest) = Path::new(held).strip_prefix(within) else { continue };
                    let mut parts = rest.iter();
                    let Some(first) = parts.next() else { continue };
                    let kind = if parts.next().is_some() { Kind::Folder } else { Kind::File };
                    if !found.iter().any(|(name, _)| name == first) {
                        found.push((first.to_owned(), kind));
                    }
                }
                Ok(found.into_iter().map(|(name, kind)| (name, Ok(kind))).collect())
            }
        }
    }
}

fn on_disk(entry: &std::fs::DirEntry) -> Found {
    // The entry's own type is at hand; a link is asked for what it leads to.
    let kind = match entry.file_type() {
        Ok(kind) if !kind.is_symlink() => Ok(kind),
        Ok(_) | Err(_) => std::fs::metadata(entry.path()).map(|metadata| metadata.file_type()),
    };
    let kind = kind.map(|kind| match () {
        () if kind.is_dir() => Kind::Folder,
        () if kind.is_file() => Kind::File,
        () => Kind::Other,
    });
    (entry.file_name(), kind)
}

fn below<'p>(embedded: &Embedded, path: &'p Path) -> Option<&'p Path> {
    path.strip_prefix(embedded.folder).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Layout;
    use crate::source::load_folder;

    /// What a program reads of a folder is what is read of it on the disk, in this layout.
    fn check(layout: Layout, files: &'static [(&'static str, &'static [u8])]) {
        let temporary = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = temporary.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        let folder: &'static str = Box::leak(temporary.path().to_str().unwrap().to_owned().into_boxed_str());
        let embedded = Embedded::new(folder, files);
        let on_disk = load_folder(Medium::Disk, Path::new(folder), None).unwrap();
        let held = load_folder(Medium::Program(&embedded), Path::new(folder), None).unwrap();
        assert_eq!((on_disk.layout, on_disk.files.is_empty()), (layout, false));
        assert_eq!(on_disk, held);
    }

    #[test]
    fn a_program_reads_every_layout_as_the_disk_does() {
        const ONE: &[u8] = b"CREATE TABLE a (id int);\n";
        check(Layout::Plain, &[("001_a.sql", ONE), ("001_a_down.sql", b"DROP TABLE a;"), ("002_b.sql~", ONE)]);
        check(Layout::UpDown, &[("1_a.up.sql", ONE), ("1_a.down.sql", b"DROP TABLE a;")]);
        check(
            Layout::Folders,
            &[
                ("2026-01-01-000000_a/up.sql", ONE),
                ("2026-01-01-000000_a/down.sql", b"DROP TABLE a;"),
                ("2026-01-01-000000_a/metadata.toml", b"run_in_transaction = false"),
                ("R__view.sql", b"CREATE VIEW v AS SELECT 1 AS a;"),
            ],
        );
        check(Layout::Prisma, &[("20260101000000_a/migration.sql", ONE), ("migration_lock.toml", b"")]);
        check(
            Layout::Flyway,
            &[
                ("deep/V1__a.sql", ONE),
                ("deep/V1__a.sql.conf", b"executeInTransaction=false"),
                ("deep/U1__a.sql", b"DROP TABLE a;"),
                ("R__view.sql", b"CREATE VIEW v AS SELECT 1 AS a;"),
            ],
        );
        check(Layout::Dbmate, &[("1_a.sql", b"-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 2;\n")]);
        check(Layout::Goose, &[("1_a.sql", b"-- +goose Up\nSELECT 1;\n-- +goose Down\nSELECT 2;\n")]);
        check(
            Layout::Graphile,
            &[("committed/000001-a.sql", b"--! Previous: -\n--! Hash: sha1:00\n\nSELECT 1;\n"), ("current.sql", ONE)],
        );
        check(
            Layout::Sqitch,
            &[
                ("sqitch.plan", b"%syntax-version=1.0.0\n%project=p\n\na 2026-01-01T00:00:00Z A <a@b.c> # a\n"),
                ("deploy/a.sql", ONE),
                ("revert/a.sql", b"DROP TABLE a;"),
            ],
        );
    }

    #[test]
    fn what_is_not_there_is_said_as_on_the_disk() {
        let embedded = Embedded::new("migrations", &[("001_a.sql", b"\xff"), ("sub/x.sql", b"")]);
        let medium = Medium::Program(&embedded);
        assert!(medium.is_dir(Path::new("migrations/sub")) && !medium.is_file(Path::new("migrations/sub")));
        assert!(medium.read(Path::new("migrations/002_b.sql")).is_err() && medium.entries(Path::new("other")).is_err());
        let error = load_folder(medium, Path::new("migrations"), None).unwrap_err().to_string();
        assert!(error.starts_with("migrations/001_a.sql:1:1: byte 0xFF"), "{error}");
        let none = load_folder(Medium::Program(&Embedded::new("migrations", &[])), Path::new("migrations"), None);
        assert!(none.is_ok_and(|folder| folder.files.is_empty()));
    }
}
