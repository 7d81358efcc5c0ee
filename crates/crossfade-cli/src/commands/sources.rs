//! The text of migration files, to show a finding at its place.

use std::path::Path;
use std::path::PathBuf;

use crate::render::Source;

/// The files of a folder.
#[derive(Clone, Debug)]
pub struct Sources {
    folder: PathBuf,
}

impl Sources {
    /// Of this folder. Nothing is read yet.
    pub fn new(folder: &Path) -> Sources {
        Sources { folder: folder.to_owned() }
    }

    /// The up file of a version; with a checksum, only where it is unchanged.
    pub fn of(&self, version: &str, checksum: Option<&str>) -> Option<Source> {
        let prefix = format!("{version}_");
        let mut paths: Vec<PathBuf> = std::fs::read_dir(&self.folder)
            .ok()?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                name.starts_with(&prefix) && name.ends_with(".sql") && !name.ends_with("_down.sql")
            })
            .collect();
        paths.sort();
        let path = paths.into_iter().next()?;
        let text = std::fs::read_to_string(&path).ok()?.trim_start_matches('\u{feff}').to_owned();
        let unchanged = checksum.is_none_or(|checksum| crossfade_core::migration::checksum(&text) == checksum);
        let path = path.strip_prefix(".").map(Path::to_owned).unwrap_or(path);
        unchanged.then_some(Source { path, text })
    }
}
