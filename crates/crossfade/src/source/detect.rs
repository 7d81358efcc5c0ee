//! Which layout a folder has: by the names of its files and folders, and by the markers in them.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use super::embedded::Medium;
use super::flyway;
use super::folders;
use super::graphile;
use super::layout::Layout;
use super::layout::Markers;
use super::listing;
use super::listing::Listing;
use super::plain;
use super::plain::Form;
use super::sqitch;
use super::text;
use super::text::Content;
use super::version::Separator;
use crate::error::Error;
use crate::error::Result;

/// What speaks for a layout: how many files, and the first of them.
#[derive(Debug, Default)]
struct Evidence {
    found: Vec<(Layout, usize, PathBuf)>,
}

impl Evidence {
    fn add(&mut self, layout: Layout, path: &Path) {
        match self.found.iter_mut().find(|(other, _, _)| *other == layout) {
            Some((_, count, _)) => *count += 1,
            None => self.found.push((layout, 1, path.to_owned())),
        }
    }

    fn count(&self, layout: Layout) -> usize {
        self.found.iter().find(|(other, _, _)| *other == layout).map_or(0, |(_, count, _)| *count)
    }

    fn drop(&mut self, layout: Layout) {
        self.found.retain(|(other, _, _)| *other != layout);
    }
}

/// The layout of a folder. What was read of its files to find out is put into `contents`.
pub(super) fn layout_of(
    medium: Medium<'_>,
    folder: &Path,
    listing: &Listing,
    contents: &mut BTreeMap<PathBuf, Content>,
) -> Result<Layout> {
    if listing.file(sqitch::PLAN).is_some() {
        return Ok(Layout::Sqitch);
    }
    if listing.folder(graphile::COMMITTED).is_some() {
        return Ok(Layout::Graphile);
    }
    let mut evidence = Evidence::default();
    for entry in &listing.files {
        let Some(stem) = entry.stem() else { continue };
        if flyway::is_versioned(stem) {
            evidence.add(Layout::Flyway, &entry.path);
            continue;
        }
        // The name of a way back fits several layouts.
        let by_name = match plain::form(stem, Separator::Optional) {
            Some(Form::Up { dotted: true, .. }) => Some(Layout::UpDown),
            Some(Form::Up { dotted: false, .. }) => Some(Layout::Plain),
            Some(Form::Down { .. }) => None,
            Some(Form::Repeatable { .. }) | None => continue,
        };
        let content = text::read(medium, &entry.path)?;
        match (Markers::of(&content.text), by_name) {
            (Some(markers), _) => evidence.add(markers.layout(), &entry.path),
            (None, _) if graphile::has_header(&content.text) => evidence.add(Layout::Graphile, &entry.path),
            // A file that says nothing speaks for nothing but by an ending that others have not.
            (None, Some(Layout::Plain)) if text::says_nothing(&content.text) => {}
            (None, Some(layout)) => evidence.add(layout, &entry.path),
            (None, None) => {}
        }
        contents.insert(entry.path.clone(), content);
    }
    for entry in &listing.folders {
        if let Some(layout) = folders::layout_of(medium, &entry.path) {
            evidence.add(layout, &entry.path);
        }
    }
    if evidence.found.is_empty() && !listing.folders.is_empty() {
        let deep = listing::list_all(medium, folder)?;
        let versioned = deep.files.iter().find(|entry| entry.stem().is_some_and(flyway::is_versioned));
        if let Some(entry) = versioned {
            evidence.add(Layout::Flyway, &entry.path);
        }
    }
    // One reader for both, and a file of tern without a way back has no marker; one of node-pg-migrate may be without any.
    let may_lack_markers = [Layout::Tern, Layout::NodePgMigrate].iter().any(|layout| evidence.count(*layout) > 0);
    if may_lack_markers || evidence.count(Layout::UpDown) > evidence.count(Layout::Plain) {
        evidence.drop(Layout::Plain);
    } else if evidence.count(Layout::Plain) > 0 {
        evidence.drop(Layout::UpDown);
    }
    match evidence.found.as_slice() {
        [] | [(Layout::Plain, _, _)] if listing.file("atlas.sum").is_some() => Ok(Layout::Atlas),
        [] => Ok(Layout::Plain),
        [(layout, _, _)] => Ok(*layout),
        [(first, _, first_path), (second, _, second_path), ..] => Err(Error::refused(format!(
            "{} holds migrations of two layouts: {} ({first}) and {} ({second})",
            folder.display(),
            first_path.display(),
            second_path.display()
        ))
        .hint(format!(
            "move those of one kind into a folder of their own; or say which it is: `layout = \"{first}\"` in crossfade.toml"
        ))),
    }
}
