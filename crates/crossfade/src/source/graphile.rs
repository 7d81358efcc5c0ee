//! graphile-migrate: `committed/000001-name.sql`, each with a header that chains it to the one before. `current.sql` is no migration yet.

use std::path::Path;

use super::Draft;
use super::SourceFile;
use super::embedded::Medium;
use super::listing;
use super::listing::refuse_twins;
use super::repeatable_name;
use super::text;
use super::version::Separator;
use super::version::split_name;
use crate::error::Error;
use crate::error::Result;

/// The folder with what is committed.
pub(super) const COMMITTED: &str = "committed";

/// Whether a file's first line is one of the header.
pub(super) fn has_header(text: &str) -> bool {
    text.lines().next().is_some_and(|line| line.starts_with("--! Previous:"))
}

/// Reads what is committed, in this folder or in the one of that name in it.
pub(super) fn read(medium: Medium<'_>, folder: &Path) -> Result<Draft> {
    let committed = folder.join(COMMITTED);
    let listing = listing::list(medium, if medium.is_dir(&committed) { &committed } else { folder })?;
    let mut draft = Draft { passed_over: listing.passed_over.clone(), ..Draft::default() };
    let sql: Vec<_> = listing.files.iter().filter(|entry| entry.stem().is_some()).cloned().collect();
    refuse_twins(&sql)?;
    for entry in &sql {
        let stem = entry.stem().unwrap_or_default();
        if stem == "current" || repeatable_name(stem).is_some() {
            continue;
        }
        let Some((version, name)) = split_name(stem, Separator::Needed) else {
            return Err(Error::refused(format!("{} has no version in its name", entry.path.display()))
                .hint("name it 000001-name.sql (`crossfade new NAME` does), or move it out of the folder"));
        };
        let mut file = SourceFile { version, name, ..SourceFile::of(entry, text::read(medium, &entry.path)?) };
        let body = file.text.lines().find(|line| !is_header(line) && !line.trim().is_empty());
        if body.is_some_and(|line| line.strip_prefix("--!").is_some_and(|word| word.trim() == "no-transaction")) {
            file.in_transaction = Some(false);
        }
        draft.files.push(file);
    }
    Ok(draft)
}

fn is_header(line: &str) -> bool {
    ["Previous", "Hash", "Message", "AllowInvalidHash"].iter().any(|key| {
        line.strip_prefix("--! ")
            .and_then(|line| line.strip_prefix(key))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    })
}
