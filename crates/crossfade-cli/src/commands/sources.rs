//! The text of migration files, to show a finding at its place.

use std::path::Path;
use std::path::PathBuf;
use std::sync::OnceLock;

use crossfade::Config;
use crossfade::source;
use crossfade::source::Layout;
use crossfade::source::SourceFile;
use crossfade::source::compare_versions;

use crate::render::Source;

/// The files of a folder.
#[derive(Clone, Debug)]
pub struct Sources {
    folder: PathBuf,
    layout: Option<Layout>,
    files: OnceLock<Vec<SourceFile>>,
}

impl Sources {
    /// Of this configuration's folder. Nothing is read yet.
    pub fn new(config: &Config) -> Sources {
        Sources { folder: config.migrations.clone(), layout: config.layout, files: OnceLock::new() }
    }

    /// What is run of a version's file; with a checksum, only where it is unchanged.
    pub fn of(&self, version: &str, checksum: Option<&str>) -> Option<Source> {
        // Where the folder can't be read, the command itself says so.
        let files = self.files.get_or_init(|| source::load(&self.folder, self.layout).unwrap_or_default());
        let unchanged = |file: &&SourceFile| {
            checksum.is_none_or(|checksum| crossfade_core::migration::checksum(&file.text) == checksum)
        };
        let file = files.iter().filter(|file| compare_versions(&file.version, version).is_eq()).find(unchanged)?;
        let path = file.path.strip_prefix(".").map_or_else(|_| file.path.clone(), Path::to_owned);
        Some(Source { path, text: file.text.clone() })
    }
}
