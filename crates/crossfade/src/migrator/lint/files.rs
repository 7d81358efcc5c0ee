//! The texts that are looked at, in the order in which they would be run.

use std::path::Path;
use std::path::PathBuf;

use super::super::Migrator;
use crate::error::Error;
use crate::error::Result;
use crate::source::FileKind;
use crate::source::SourceFile;

/// A text that is looked at.
pub(super) struct Text {
    pub path: PathBuf,
    pub text: String,
    /// The version, where it is a migration of the folder that runs once.
    pub version: Option<String>,
    /// Whether what is found in it is wanted; else it only says what is there already.
    pub asked: bool,
    /// Whether it takes the text before it back.
    pub back: bool,
}

impl Text {
    fn new(path: PathBuf, text: &str, asked: bool) -> Text {
        Text { path, text: text.trim_start_matches('\u{feff}').to_owned(), version: None, asked, back: false }
    }

    /// A migration's text, and behind it the one that takes it back.
    fn of(file: SourceFile, is_asked: impl Fn(&Path) -> bool) -> impl Iterator<Item = Text> {
        let version = (file.kind == FileKind::Versioned).then_some(file.version);
        let asked = is_asked(&file.path);
        let up = Text { version: version.clone(), ..Text::new(file.path, &file.text, asked) };
        let down = file.down.map(|(path, text)| {
            let asked = is_asked(&path);
            Text { version, back: true, ..Text::new(path, &text, asked) }
        });
        std::iter::once(up).chain(down)
    }

    /// As it is shown.
    pub fn shown(&self) -> String {
        self.path.strip_prefix(".").unwrap_or(&self.path).display().to_string()
    }
}

/// The folder's migrations, and those among them that are asked for; or files that are no migrations of the folder, as they are named.
pub(super) fn texts(migrator: &Migrator, paths: &[PathBuf]) -> Result<Vec<Text>> {
    if paths.is_empty() {
        let files = migrator.folder()?.files;
        return Ok(files.into_iter().flat_map(|file| Text::of(file, |_| true)).collect());
    }
    if let Some(texts) = of_the_folder(migrator, paths) {
        return Ok(texts);
    }
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            let mut below: Vec<_> = crate::source::sql_files(path)?;
            below.sort_by(|(a, _), (b, _)| a.cmp(b));
            found.extend(below.into_iter().map(|(path, raw)| Text::new(path, &String::from_utf8_lossy(&raw), true)));
        } else {
            let raw = std::fs::read(path)
                .map_err(|error| Error::usage(format!("could not read {}", path.display())).caused_by(error))?;
            found.push(Text::new(path.clone(), &String::from_utf8_lossy(&raw), true));
        }
    }
    Ok(found)
}

/// Where everything that is asked for is a migration of the folder.
fn of_the_folder(migrator: &Migrator, paths: &[PathBuf]) -> Option<Vec<Text>> {
    let real = |path: &Path| path.canonicalize().ok();
    let folder = real(&migrator.config.migrations)?;
    let asked: Vec<PathBuf> = paths.iter().map(|path| real(path)).collect::<Option<_>>()?;
    if !asked.iter().all(|path| path.starts_with(&folder)) {
        return None;
    }
    let files = migrator.folder().ok()?.files;
    let is_asked = |path: &Path| real(path).is_some_and(|path| asked.iter().any(|asked| path.starts_with(asked)));
    let texts: Vec<Text> = files.into_iter().flat_map(|file| Text::of(file, is_asked)).collect();
    let known = |asked: &PathBuf| {
        texts.iter().any(|text| text.asked && real(&text.path).is_some_and(|path| path.starts_with(asked)))
    };
    asked.iter().all(known).then_some(texts)
}
