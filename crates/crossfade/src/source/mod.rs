//! Reads migration folders. The only place of the library that reads files of migrations.

mod git;

use std::cmp::Ordering;
use std::path::Path;
use std::path::PathBuf;

pub use git::head_commit;

use crate::error::Error;
use crate::error::Result;

/// A migration's files as they stand in the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The version, as the file name has it.
    pub version: String,
    /// The name.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// The down file and its text.
    pub down: Option<(PathBuf, String)>,
}

/// Compares versions: as numbers where both are, so that 2 comes before 10 and 001 equals 1.
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    match (a.parse::<u128>(), b.parse::<u128>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => a.cmp(b),
    }
}

/// Reads `NNN_name.sql` and `NNN_name_down.sql` of a folder, in order of their versions. Hidden files, editors' backups and files of
/// other kinds are passed over.
///
/// # Errors
///
/// When the folder or a file can't be read, two files have one version, or a down file has no migration.
pub fn load(folder: &Path) -> Result<Vec<SourceFile>> {
    let entries = std::fs::read_dir(folder).map_err(|error| {
        Error::usage(format!("could not read the folder {}", folder.display()))
            .hint("`crossfade init` makes it; `migrations` in crossfade.toml names another")
            .caused_by(error)
    })?;
    let mut ups: Vec<SourceFile> = Vec::new();
    let mut downs: Vec<(String, String, PathBuf, String)> = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| {
            Error::usage(format!("could not read the folder {}", folder.display())).caused_by(error)
        })?;
        let path = entry.path();
        let Some(stem) = sql_stem(&path) else { continue };
        let Some((version, name)) = split_name(&stem) else {
            return Err(Error::refused(format!("{} has no version in its name", path.display()))
                .hint("name it NNN_name.sql (`crossfade new NAME` does), or move it out of the folder"));
        };
        let text = read_text(&path)?;
        match name.strip_suffix("_down").or_else(|| name.strip_suffix(".down")) {
            Some(name) => downs.push((version, name.to_owned(), path, text)),
            None => {
                let name = name.strip_suffix(".up").unwrap_or(&name).to_owned();
                ups.push(SourceFile { version, name, path, text, down: None });
            }
        }
    }
    ups.sort_by(|a, b| compare_versions(&a.version, &b.version).then_with(|| a.path.cmp(&b.path)));
    for pair in ups.windows(2) {
        if compare_versions(&pair[0].version, &pair[1].version) == Ordering::Equal {
            return Err(Error::refused(format!(
                "{} and {} have the same version",
                pair[0].path.display(),
                pair[1].path.display()
            ))
            .hint("give one of them the next free number, unless it was applied somewhere already"));
        }
    }
    for (version, name, path, text) in downs {
        match ups.iter_mut().find(|up| up.version == version && up.name == name) {
            Some(up) => up.down = Some((path, text)),
            None => {
                return Err(Error::refused(format!("{} is the way back of no migration", path.display()))
                    .hint(format!("it needs {version}_{name}.sql beside it")));
            }
        }
    }
    Ok(ups)
}

fn sql_stem(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    if name.starts_with('.') || !path.is_file() {
        return None;
    }
    name.strip_suffix(".sql").map(str::to_owned)
}

fn split_name(stem: &str) -> Option<(String, String)> {
    let end = stem.find(|c: char| !c.is_ascii_digit()).unwrap_or(stem.len());
    let (version, rest) = stem.split_at(end);
    let name = rest.strip_prefix('_').or_else(|| rest.strip_prefix('-')).unwrap_or(rest);
    (!version.is_empty() && (rest.is_empty() || rest.len() > name.len())).then(|| (version.to_owned(), name.to_owned()))
}

fn read_text(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path)
        .map_err(|error| Error::usage(format!("could not read {}", path.display())).caused_by(error))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Error::refused(format!("{} is not UTF-8 (byte {at})", path.display())).hint("save it as UTF-8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            std::fs::write(folder.path().join(file), format!("-- {file}")).unwrap();
        }
        folder
    }

    fn names(files: &[&str]) -> Result<Vec<String>> {
        let folder = folder(files);
        Ok(load(folder.path())?
            .into_iter()
            .map(|file| format!("{} {}{}", file.version, file.name, if file.down.is_some() { " +down" } else { "" }))
            .collect())
    }

    #[test]
    fn files_come_in_the_order_of_their_numbers() {
        let found = names(&["10_c.sql", "2_b.sql", "001_a.sql", "001_a_down.sql", ".2_x.sql", "3_x.sql~", "README.md"])
            .unwrap();
        assert_eq!(found, ["001 a +down", "2 b", "10 c"]);
    }

    #[test]
    fn what_is_ambiguous_is_refused() {
        assert!(names(&["001_a.sql", "1_b.sql"]).unwrap_err().to_string().contains("the same version"));
        assert!(
            names(&["001_a.sql", "002_b_down.sql"]).unwrap_err().to_string().contains("the way back of no migration")
        );
        assert!(names(&["notes.sql"]).unwrap_err().to_string().contains("no version"));
    }
}
