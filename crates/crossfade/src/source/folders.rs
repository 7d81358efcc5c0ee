//! One folder a migration: diesel (`up.sql`, `down.sql`, `metadata.toml`) and Prisma (`migration.sql`).

use std::path::Path;

use serde::Deserialize;

use super::Draft;
use super::SourceFile;
use super::embedded::Medium;
use super::layout::Layout;
use super::listing;
use super::listing::Listing;
use super::listing::refuse_twins;
use super::text;
use super::version::Separator;
use super::version::split_name;
use crate::error::Error;
use crate::error::Result;

/// The names of the file that goes forward and of those that go back.
const DIESEL: &str = "up.sql";
const PRISMA: &str = "migration.sql";
pub(super) const DOWN: &str = "down.sql";

/// Diesel's `metadata.toml`.
#[derive(Deserialize)]
struct Metadata {
    run_in_transaction: Option<bool>,
}

/// Which of the two layouts a folder is of.
pub(super) fn layout_of(medium: Medium<'_>, folder: &Path) -> Option<Layout> {
    match () {
        () if medium.is_file(&folder.join(DIESEL)) => Some(Layout::Folders),
        () if medium.is_file(&folder.join(PRISMA)) => Some(Layout::Prisma),
        () => None,
    }
}

/// The name of the file that goes forward.
pub(super) fn up_name(layout: Layout) -> &'static str {
    match layout {
        Layout::Prisma => PRISMA,
        Layout::Plain
        | Layout::UpDown
        | Layout::Folders
        | Layout::Flyway
        | Layout::Refinery
        | Layout::Dbmate
        | Layout::Goose
        | Layout::SqlMigrate
        | Layout::NodePgMigrate
        | Layout::Tern
        | Layout::Graphile
        | Layout::Sqitch
        | Layout::Atlas => DIESEL,
    }
}

/// The migrations in the folders of a folder.
pub(super) fn read(medium: Medium<'_>, layout: Layout, listing: &Listing) -> Result<Draft> {
    let up_name = up_name(layout);
    let mut draft = Draft::default();
    refuse_twins(&listing.folders)?;
    for folder in &listing.folders {
        let inside = listing::list(medium, &folder.path)?;
        draft.passed_over.extend(inside.passed_over.clone());
        let Some(up) = inside.file(up_name) else {
            if let Some(down) = inside.file(DOWN) {
                return Err(Error::refused(format!("{} is the way back of no migration", down.path.display()))
                    .hint(format!("it needs {up_name} beside it")));
            }
            continue;
        };
        let Some((version, name)) = split_name(&folder.name, Separator::Needed) else {
            return Err(Error::refused(format!("{} has no version in its name", folder.path.display()))
                .hint("name it NNN_name (`crossfade new NAME` does), or move it out of the folder"));
        };
        let mut file = SourceFile { version, name, ..SourceFile::of(up, text::read(medium, &up.path)?) };
        if let Some(down) = inside.file(DOWN) {
            file.down = Some((down.path.clone(), text::read(medium, &down.path)?.text));
        }
        if let Some(metadata) = inside.file("metadata.toml") {
            file.in_transaction = metadata_of(medium, &metadata.path)?.run_in_transaction;
            file.down_in_transaction = file.in_transaction;
        }
        draft.files.push(file);
    }
    Ok(draft)
}

fn metadata_of(medium: Medium<'_>, path: &Path) -> Result<Metadata> {
    let text = text::read(medium, path)?.text;
    toml::from_str(&text).map_err(|error| {
        let place = error.span().map(|span| {
            let (line, column) = crossfade_core::sql::Span::new(span.start, span.start).line_and_column(&text);
            format!(":{line}:{column}")
        });
        let place = place.unwrap_or_default();
        Error::refused(format!("{}{place}: {}", path.display(), error.message().trim()))
            .hint("it holds `run_in_transaction = false`, or `true`")
    })
}
