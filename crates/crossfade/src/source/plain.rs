//! Flat folders: one file a migration and way, or both ways in one file parted by markers; also Atlas.

use super::Draft;
use super::FileKind;
use super::SourceFile;
use super::atlas;
use super::embedded::Medium;
use super::layout::Layout;
use super::layout::Markers;
use super::listing::Entry;
use super::listing::Listing;
use super::listing::refuse_twins;
use super::repeatable_name;
use super::sections;
use super::text;
use super::text::Content;
use super::version::Separator;
use super::version::compare_versions;
use super::version::split_name;
use crate::error::Error;
use crate::error::Result;

/// What a file's name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Up { version: String, name: String, dotted: bool },
    Down { version: String, name: String, dotted: bool },
    Repeatable { name: String },
}

/// Reads a file's name, without its ending.
pub(super) fn form(stem: &str, separator: Separator) -> Option<Form> {
    if let Some(name) = repeatable_name(stem) {
        return Some(Form::Repeatable { name: name.to_owned() });
    }
    let (stem, is_down, dotted) = match (stem.strip_suffix(".up"), stem.strip_suffix(".down")) {
        (Some(stem), _) => (stem, false, true),
        (None, Some(stem)) => (stem, true, true),
        (None, None) => stem.strip_suffix("_down").map_or((stem, false, false), |stem| (stem, true, false)),
    };
    let (version, name) = split_name(stem, separator)?;
    Some(if is_down { Form::Down { version, name, dotted } } else { Form::Up { version, name, dotted } })
}

/// The files of a flat folder of SQL, with the text that was read already where it was.
pub(super) fn read(
    medium: Medium<'_>,
    layout: Layout,
    listing: &Listing,
    known: &mut dyn FnMut(&Entry) -> Option<Content>,
) -> Result<Draft> {
    let markers = layout.markers();
    // With both ways in one file a name is free to end with "down", and need not have anything between number and name.
    let separator = if markers.is_some() { Separator::Optional } else { Separator::Needed };
    let mut draft = Draft::default();
    let mut downs = Vec::new();
    refuse_twins(&listing.files.iter().filter(|entry| entry.stem().is_some()).cloned().collect::<Vec<_>>())?;
    for entry in &listing.files {
        let Some(stem) = entry.stem() else {
            draft.files.extend(program(medium, layout, entry)?);
            continue;
        };
        let form = match markers {
            Some(_) if repeatable_name(stem).is_none() => {
                split_name(stem, separator).map(|(version, name)| Form::Up { version, name, dotted: false })
            }
            Some(_) | None => form(stem, separator),
        };
        let Some(form) = form else {
            return Err(Error::refused(format!("{} has no version in its name", entry.path.display()))
                .hint("name it NNN_name.sql (`crossfade new NAME` does), or move it out of the folder"));
        };
        let content = match known(entry) {
            Some(content) => content,
            None => text::read(medium, &entry.path)?,
        };
        match form {
            Form::Up { version, name, .. } => {
                let mut file = SourceFile { version, name, ..SourceFile::of(entry, content) };
                match (markers, layout) {
                    (Some(markers), _) => part(markers, &mut file),
                    (None, Layout::Atlas) => atlas::read(&mut file),
                    (None, _) => {}
                }
                draft.files.push(file);
            }
            Form::Down { version, name, dotted } => downs.push((version, name, dotted, entry, content)),
            Form::Repeatable { name } => draft.files.push(SourceFile::repeatable(entry, &name, content)),
        }
    }
    for (version, name, dotted, entry, content) in downs {
        let same = |up: &SourceFile| up.kind != FileKind::Repeatable && compare_versions(&up.version, &version).is_eq();
        let exact = draft.files.iter().position(|up| same(up) && up.name == name);
        // Tools that write `.down.sql` look at the number alone.
        let up = exact.or_else(|| draft.files.iter().position(|up| dotted && same(up)));
        let Some(up) = up.and_then(|at| draft.files.get_mut(at)) else {
            let expected = if dotted && layout == Layout::UpDown { ".up.sql" } else { ".sql" };
            return Err(Error::refused(format!("{} is the way back of no migration", entry.path.display()))
                .hint(format!("it needs {version}_{name}{expected} beside it")));
        };
        if let Some((other, _)) = &up.down {
            return Err(Error::refused(format!(
                "{} and {} are both the way back of {}",
                other.display(),
                entry.path.display(),
                up.path.display()
            ))
            .hint("keep one of them"));
        }
        up.down = Some((entry.path.clone(), content.text));
    }
    Ok(draft)
}

/// Takes a file apart by its markers.
fn part(markers: Markers, file: &mut SourceFile) {
    let sections = sections::cut(markers, &file.text);
    if markers == Markers::Tern {
        file.refuse_templates("{{", "}}", "tern");
    }
    file.text = sections.up;
    file.down = sections.down.map(|text| (file.path.clone(), text));
    file.in_transaction = sections.in_transaction;
    file.down_in_transaction = sections.down_in_transaction;
    file.findings.extend(sections.findings);
    file.down_findings.clone_from(&file.findings);
}

/// A migration that is written in a programming language: it is known, and can't be run.
fn program(medium: Medium<'_>, layout: Layout, entry: &Entry) -> Result<Option<SourceFile>> {
    let stem = match layout {
        Layout::Goose => entry.name.strip_suffix(".go").filter(|stem| !stem.ends_with("_test")),
        Layout::Plain
        | Layout::UpDown
        | Layout::Folders
        | Layout::Flyway
        | Layout::Refinery
        | Layout::Dbmate
        | Layout::SqlMigrate
        | Layout::NodePgMigrate
        | Layout::Tern
        | Layout::Prisma
        | Layout::Graphile
        | Layout::Sqitch
        | Layout::Atlas => None,
    };
    let Some((version, name)) = stem.and_then(|stem| split_name(stem, Separator::Needed)) else { return Ok(None) };
    SourceFile::program(medium, entry, version, name, "Go").map(Some)
}
