//! What stands in a folder: files and folders by their names, links followed, and what editors leave behind passed over.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

use super::embedded::Kind;
use super::embedded::Medium;
use crate::error::Error;
use crate::error::Result;

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub name: String,
    pub path: PathBuf,
}

impl Entry {
    /// The name without `.sql`, where it ends so.
    pub fn stem(&self) -> Option<&str> {
        self.name.strip_suffix(".sql")
    }
}

/// A file that is no migration though it looks like one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// The file.
    pub path: PathBuf,
    /// Why it is none.
    pub why: &'static str,
}

/// A folder's entries, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    pub files: Vec<Entry>,
    pub folders: Vec<Entry>,
    pub passed_over: Vec<PassedOver>,
}

impl Listing {
    /// The file of this name.
    pub fn file(&self, name: &str) -> Option<&Entry> {
        self.files.iter().find(|entry| entry.name == name)
    }

    /// The folder of this name.
    pub fn folder(&self, name: &str) -> Option<&Entry> {
        self.folders.iter().find(|entry| entry.name == name)
    }

    /// Passes a file over.
    pub fn pass_over(&mut self, path: &Path, why: &'static str) {
        self.passed_over.push(PassedOver { path: path.to_owned(), why });
    }
}

/// Lists a folder. Hidden entries are not seen.
pub(super) fn list(medium: Medium<'_>, folder: &Path) -> Result<Listing> {
    let unreadable = |error: std::io::Error| {
        Error::usage(format!("could not read the folder {}", folder.display()))
            .hint("`crossfade init` makes it; `migrations` in crossfade.toml names another")
            .caused_by(error)
    };
    let mut listing = Listing::default();
    for (name, kind) in medium.entries(folder).map_err(unreadable)? {
        let path = folder.join(&name);
        let Ok(name) = name.into_string() else {
            if path.extension().is_some_and(|ending| ending == "sql") {
                return Err(Error::refused(format!("the name of {} is not UTF-8", path.display())).hint("rename it"));
            }
            continue;
        };
        if let Some(why) = left_over(&name) {
            listing.pass_over(&path, why);
            continue;
        }
        if name.starts_with('.') {
            continue;
        }
        match kind {
            Ok(Kind::Folder) => listing.folders.push(Entry { name, path }),
            Ok(Kind::File) => listing.files.push(Entry { name, path }),
            Ok(Kind::Other) => {}
            Err(_) if !name.ends_with(".sql") => {}
            Err(error) => {
                return Err(Error::refused(format!("{} is a link that leads nowhere", path.display()))
                    .hint("mend the link, or take it away")
                    .caused_by(error));
            }
        }
    }
    listing.files.sort_by(|a, b| a.name.cmp(&b.name));
    listing.folders.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(listing)
}

/// Lists a folder and all below it, as one. Names are those of the files alone. A link back to where we come from is not followed.
pub(super) fn list_all(medium: Medium<'_>, folder: &Path) -> Result<Listing> {
    let real = |path: &Path| medium.real(path);
    let root = real(folder);
    let mut all = list(medium, folder)?;
    let mut next = std::mem::take(&mut all.folders);
    let mut seen = BTreeSet::from([root.clone()]);
    while let Some(folder) = next.pop() {
        let place = real(&folder.path);
        if root.starts_with(&place) || !seen.insert(place) {
            continue;
        }
        let mut listing = list(medium, &folder.path)?;
        all.files.append(&mut listing.files);
        all.passed_over.append(&mut listing.passed_over);
        next.append(&mut listing.folders);
    }
    all.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(all)
}

/// The files of a folder and of all below it, what editors leave behind included.
pub(super) fn list_below(medium: Medium<'_>, folder: &Path) -> Result<Vec<PathBuf>> {
    let all = list_all(medium, folder)?;
    let entries = all.files.into_iter().map(|entry| entry.path);
    Ok(entries.chain(all.passed_over.into_iter().map(|passed| passed.path)).collect())
}

/// Why a file is one that an editor or a tool leaves behind.
fn left_over(name: &str) -> Option<&'static str> {
    let lower = name.to_lowercase();
    if !lower.contains(".sql") {
        return None;
    }
    let backup = ["~", ".bak", ".orig", ".rej", ".old", ".save"].iter().any(|ending| lower.ends_with(ending));
    let editor = [".swp", ".swo", ".tmp"].iter().any(|ending| lower.ends_with(ending));
    match () {
        () if backup => Some("it is a backup"),
        () if editor || lower.starts_with('#') || lower.starts_with(".#") => Some("an editor has it open"),
        () if lower.ends_with(".sql") && !name.ends_with(".sql") => Some("its ending is not .sql in lower case"),
        () => None,
    }
}

/// Refuses names that differ in case alone: where case does not count, one would take the other's place.
pub(super) fn refuse_twins(entries: &[Entry]) -> Result<()> {
    let mut seen = BTreeMap::new();
    for entry in entries {
        let place = entry.path.with_file_name(entry.name.to_lowercase());
        if let Some(first) = seen.insert(place, entry) {
            return Err(Error::refused(format!(
                "{} and {} differ in nothing but case",
                first.path.display(),
                entry.path.display()
            ))
            .hint("rename one of them: on systems where case does not count there is only one"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_files_and_left_overs_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        for file in [
            "1_a.sql",
            ".2_x.sql",
            "3_x.sql~",
            "4_x.sql.bak",
            ".5_x.sql.swp",
            "#6_x.sql#",
            ".#7_x.sql",
            "8_x.SQL",
            "notes.md",
        ] {
            std::fs::write(folder.path().join(file), "").unwrap();
        }
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        let listing = list(Medium::Disk, folder.path()).unwrap();
        let names = |entries: &[Entry]| entries.iter().map(|entry| entry.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&listing.files), ["1_a.sql", "notes.md"]);
        assert_eq!(names(&listing.folders), ["sub"]);
        assert_eq!(listing.passed_over.len(), 6);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        std::fs::create_dir(at.join(".data")).unwrap();
        std::fs::write(at.join(".data/1_a.sql"), "").unwrap();
        symlink(".data/1_a.sql", at.join("1_a.sql")).unwrap();
        symlink(".data", at.join("2_b")).unwrap();
        let listing = list(Medium::Disk, at).unwrap();
        assert_eq!((listing.files.len(), listing.folders.len()), (1, 1));
        symlink("..", at.join("loop")).unwrap();
        assert!(list_all(Medium::Disk, at).is_ok());
        symlink("nowhere", at.join("3_c.sql")).unwrap();
        assert!(list(Medium::Disk, at).unwrap_err().to_string().contains("leads nowhere"));
    }

    #[test]
    fn twins_are_refused() {
        let entry = |name: &str| Entry { name: name.to_owned(), path: PathBuf::from("m").join(name) };
        assert!(refuse_twins(&[entry("1_A.sql"), entry("1_b.sql")]).is_ok());
        let error = refuse_twins(&[entry("1_A.sql"), entry("1_a.sql")]).unwrap_err().to_string();
        assert_eq!(error, "m/1_A.sql and m/1_a.sql differ in nothing but case");
    }
}
