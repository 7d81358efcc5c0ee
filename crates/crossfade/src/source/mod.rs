//! Reads migration folders as they are, in the layouts of many tools. The only place of the library that reads files of migrations.
//!
//! `layout` knows the layouts and `detect` finds out which one a folder has; each other room reads one kind of them into [`SourceFile`]s. Nothing
//! beyond this module knows how a folder is laid out, but for the names of new files.

mod atlas;
mod detect;
mod embedded;
mod flyway;
mod folders;
mod git;
mod graphile;
mod layout;
mod listing;
mod making;
mod numbering;
mod plain;
mod renaming;
mod sections;
mod sqitch;
mod squashing;
mod text;
mod version;

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use crossfade_core::finding::Finding;
use crossfade_core::sql::Span;

pub use embedded::Embedded;
pub(crate) use embedded::Medium;
pub use git::head_commit;
pub use layout::Layout;
pub use listing::PassedOver;
pub use making::Made;
pub use making::Wish;
pub use renaming::Renumbered;
pub use renaming::rename;
pub(crate) use sqitch::project as sqitch_project;
pub use squashing::Squashing;
pub use version::VersionKey;
pub use version::compare_versions;

use self::listing::Entry;
use self::listing::Listing;
use self::text::Content;
use crate::error::Error;
use crate::error::Result;

/// A migration's files as they stand in the folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceFile {
    /// The version, as the file name has it.
    pub version: String,
    /// The name.
    pub name: String,
    /// Whether it is run once, or whenever it changes.
    pub kind: FileKind,
    /// The file.
    pub path: PathBuf,
    /// The text that is run. Where the file holds more, the rest of it is empty lines, so that every place is one of the file; where something
    /// beside it says that it does not run in a transaction, a line below it says so, too.
    pub text: String,
    /// The file's bytes.
    pub raw: Vec<u8>,
    /// Whether it runs in one transaction, where the file's own marker or what stands beside it says so.
    pub in_transaction: Option<bool>,
    /// The file with the way back, and the text that is run. It may be the same file. None, too, where nothing stands in it.
    pub down: Option<(PathBuf, String)>,
    /// Whether the way back runs in one transaction, where that is said.
    pub down_in_transaction: Option<bool>,
    /// Whether it may come before what was run already, by the rules of its layout.
    pub may_be_late: bool,
    /// Why it can't be run. It can still be known as applied.
    pub findings: Vec<Finding>,
    /// Why its way back can't be run.
    pub down_findings: Vec<Finding>,
}

/// When a file is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// Once, in the order of the versions.
    #[default]
    Versioned,
    /// After all of those, and again whenever its text has changed.
    Repeatable,
    /// On a database on which nothing has been run, in the place of all versions up to its own.
    Baseline,
}

impl FileKind {
    /// As it stands in documents.
    pub fn name(self) -> &'static str {
        match self {
            FileKind::Versioned => "versioned",
            FileKind::Repeatable => "repeatable",
            FileKind::Baseline => "baseline",
        }
    }
}

impl SourceFile {
    /// With the file's text as it is.
    fn of(entry: &Entry, content: Content) -> SourceFile {
        SourceFile { path: entry.path.clone(), text: content.text, raw: content.raw, ..SourceFile::default() }
    }

    /// A way back in which nothing stands undoes nothing: many tools want the file or the section, also where there is no way back.
    fn forget_an_empty_way_back(&mut self) {
        let does_something = |text: &str| !text::says_nothing(text);
        if does_something(&self.text) && self.down.as_ref().is_some_and(|(_, text)| !does_something(text)) {
            self.down = None;
        }
    }

    /// What a marker or something beside the file says of the transaction is said by the text, too, below all that the file has: the journal keeps
    /// the text and nothing else.
    fn say_in_the_text(&mut self) {
        let say = |text: &mut String| {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str("-- crossfade: no-transaction\n");
        };
        if self.in_transaction == Some(false) {
            say(&mut self.text);
        }
        if let (Some((_, text)), Some(false)) = (&mut self.down, self.down_in_transaction) {
            say(text);
        }
    }

    /// One that is run whenever it changes.
    fn repeatable(entry: &Entry, name: &str, content: Content) -> SourceFile {
        SourceFile {
            version: repeatable_version(name),
            name: name.to_owned(),
            kind: FileKind::Repeatable,
            ..SourceFile::of(entry, content)
        }
    }

    /// A migration in a programming language. It is known, so that it is missed nowhere.
    fn program(medium: Medium<'_>, entry: &Entry, version: String, name: String, language: &str) -> Result<SourceFile> {
        let finding = Finding::error(
            "not-sql",
            Span::new(0, 0),
            format!("this is a program in {language}, and crossfade runs SQL"),
        )
        .help("write what it does in SQL, under the same version; or run it with its own tool");
        let findings = vec![finding];
        let file = SourceFile::of(entry, text::read(medium, &entry.path)?);
        Ok(SourceFile { version, name, findings: findings.clone(), down_findings: findings, ..file })
    }

    /// Refuses to run a text in which another tool would put something in the place of names.
    fn refuse_templates(&mut self, open: &str, close: &str, tool: &str) {
        let mut at = 0;
        while let Some(found) = self.text[at..].find(open) {
            let start = at + found;
            let inside = &self.text[start + open.len()..];
            at = start + open.len();
            let Some(end) = inside.find(close) else { return };
            let name = inside[..end].trim();
            let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || " ._:-\"".contains(c));
            if is_name {
                let span = Span::new(start, at + end + close.len());
                let written = span.of(&self.text).to_owned();
                self.findings.push(
                    Finding::error("template", span, format!("{tool} would put a value in the place of `{written}`, and crossfade does not"))
                        .help(match tool {
                            "Flyway" => "write the value; if the text is meant as it stands, put `placeholderReplacement=false` into a file of the same name with `.conf` behind it",
                            _ => "write the value",
                        }),
                );
                return;
            }
        }
    }
}

/// A folder that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Its layout, as it was named or found.
    pub layout: Layout,
    /// Its migrations: in the order of their versions, then what is repeatable.
    pub files: Vec<SourceFile>,
    /// Files that look like migrations and are none.
    pub passed_over: Vec<PassedOver>,
}

/// What a room reads.
#[derive(Debug, Default)]
struct Draft {
    files: Vec<SourceFile>,
    passed_over: Vec<PassedOver>,
}

/// Reads the migrations of a folder, in the order of their versions; the layout is found where it is not named.
///
/// # Errors
///
/// When the folder or a file can't be read, the layout is not clear, two files have one version, or a way back has no migration.
pub fn load(folder: &Path, layout: Option<Layout>) -> Result<Vec<SourceFile>> {
    load_folder(Medium::Disk, folder, layout).map(|folder| folder.files)
}

/// As [`load`], with what else was found.
pub(crate) fn load_folder(medium: Medium<'_>, folder: &Path, layout: Option<Layout>) -> Result<Folder> {
    let folder = read_from(medium, folder, layout)?;
    refuse_equal_versions(&folder.files)?;
    Ok(folder)
}

/// As [`load`], with what else was found; several files may have one version.
///
/// # Errors
///
/// When the folder or a file can't be read, the layout is not clear, or a way back has no migration.
pub fn read(folder: &Path, layout: Option<Layout>) -> Result<Folder> {
    read_from(Medium::Disk, folder, layout)
}

fn read_from(medium: Medium<'_>, folder: &Path, layout: Option<Layout>) -> Result<Folder> {
    let mut listing = listing::list(medium, folder)?;
    let mut contents = BTreeMap::new();
    let layout = match layout {
        Some(layout) => layout,
        None => detect::layout_of(medium, folder, &listing, &mut contents)?,
    };
    let mut passed_over = Vec::new();
    let mut draft = match layout {
        Layout::Plain
        | Layout::UpDown
        | Layout::Dbmate
        | Layout::Goose
        | Layout::SqlMigrate
        | Layout::NodePgMigrate
        | Layout::Tern
        | Layout::Atlas => {
            passed_over.append(&mut listing.passed_over);
            plain::read(medium, layout, &listing, &mut |entry| contents.remove(&entry.path))?
        }
        Layout::Folders | Layout::Prisma => {
            passed_over.append(&mut listing.passed_over);
            let mut draft = folders::read(medium, layout, &listing)?;
            draft.files.extend(repeatable(medium, &listing)?);
            draft
        }
        Layout::Flyway | Layout::Refinery => flyway::read(medium, layout, &mut listing::list_all(medium, folder)?)?,
        Layout::Graphile | Layout::Sqitch => {
            let mut draft =
                if layout == Layout::Sqitch { sqitch::read(medium, folder)? } else { graphile::read(medium, folder)? };
            draft.files.extend(repeatable(medium, &listing)?);
            draft
        }
    };
    for file in &mut draft.files {
        file.forget_an_empty_way_back();
        file.say_in_the_text();
    }
    draft.files.sort_by_cached_key(|file| {
        let place = match file.kind {
            FileKind::Baseline => 0,
            FileKind::Versioned => 1,
            FileKind::Repeatable => 2,
        };
        (VersionKey::of(&file.version), place, file.path.clone())
    });
    passed_over.append(&mut draft.passed_over);
    Ok(Folder { layout, files: draft.files, passed_over })
}

fn refuse_equal_versions(files: &[SourceFile]) -> Result<()> {
    for pair in files.windows(2) {
        if pair[0].kind == pair[1].kind && compare_versions(&pair[0].version, &pair[1].version).is_eq() {
            return Err(Error::refused(format!(
                "{} and {} have the same version",
                pair[0].path.display(),
                pair[1].path.display()
            ))
            .hint("`crossfade renumber` gives the one that was not run the next free number"));
        }
    }
    Ok(())
}

/// The repeatable migrations beside those of another kind.
fn repeatable(medium: Medium<'_>, listing: &Listing) -> Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    for entry in &listing.files {
        if let Some(name) = entry.stem().and_then(repeatable_name) {
            files.push(SourceFile::repeatable(entry, name, text::read(medium, &entry.path)?));
        }
    }
    Ok(files)
}

/// The name of a repeatable migration, by that of its file without the ending.
fn repeatable_name(stem: &str) -> Option<&str> {
    stem.strip_prefix("R__").filter(|name| !name.is_empty())
}

/// Version and name of what another tool calls a migration: `20240131_users` and its like.
pub(crate) fn split_name(identity: &str) -> Option<(String, String)> {
    version::split_name(identity.strip_suffix(".sql").unwrap_or(identity), version::Separator::Needed)
}

/// Every file of SQL in a folder and below it, as bytes: changelogs of another tool, which are read and not run.
pub(crate) fn sql_files(folder: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let listing = listing::list_all(Medium::Disk, folder)?;
    let sql = listing.files.iter().filter(|entry| entry.stem().is_some());
    sql.map(|entry| Ok((entry.path.clone(), text::read(Medium::Disk, &entry.path)?.raw))).collect()
}

/// What a repeatable migration has in the place of a version.
pub(crate) fn repeatable_version(name: &str) -> String {
    format!("R__{name}")
}

#[cfg(test)]
mod tests;
