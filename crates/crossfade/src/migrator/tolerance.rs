//! What differs between files and tracking table, and is no reason to stop: a changed comment, a squashed file in the place of
//! those that were run, and a database that is ahead.
//!
//! The checksum already passes over line ends and a byte order mark. What is tolerated here is made even in the rows, so that [`super::history`]
//! finds nothing wrong with it, and is told to whoever runs the command.

use std::collections::BTreeMap;

use crossfade_core::journal::State;
use crossfade_core::migration::checksum;
use crossfade_core::sql::same_code;
use tokio_postgres::Client;

use super::Migrator;
use super::history::is_repeatable;
use super::squashed;
use crate::error::Result;
use crate::postgres::lease::APPLICATION;
use crate::postgres::store::Store;
use crate::postgres::store::StoredTexts;
use crate::postgres::store::TrackedRow;
use crate::source::FileKind;
use crate::source::SourceFile;
use crate::source::VersionKey;

/// Why a file may be missing of which this folder never knew.
const AHEAD: &str = "newer than this folder";

/// Makes the rows even with what is tolerated, over a connection of its own where the journal must be asked. Returns what to tell.
pub(super) async fn tolerate(
    migrator: &Migrator,
    files: &[SourceFile],
    rows: &mut [TrackedRow],
) -> Result<Vec<String>> {
    if doubtful(files, rows).is_empty() {
        squashed::even_out(files, rows, &BTreeMap::new());
        return Ok(ahead(files, rows));
    }
    let client = migrator.target.connect(APPLICATION).await?;
    tolerate_on(&client, &migrator.store(), files, rows).await
}

/// The same over a connection that is there.
pub(super) async fn tolerate_on(
    client: &Client,
    store: &Store,
    files: &[SourceFile],
    rows: &mut [TrackedRow],
) -> Result<Vec<String>> {
    let versions = doubtful(files, rows);
    let texts = match versions.is_empty() {
        true => BTreeMap::new(),
        false => store.texts(client, Some(&versions.iter().map(String::as_str).collect::<Vec<_>>())).await?,
    };
    squashed::even_out(files, rows, &texts);
    let mut told = ahead(files, rows);
    told.extend(only_comments(files, rows, &texts));
    Ok(told)
}

/// What stands, but for what is run again whenever it changes anyway.
fn stands(row: &TrackedRow) -> bool {
    row.state != State::RolledBack && !is_repeatable(row)
}

fn by_key(files: &[SourceFile]) -> BTreeMap<VersionKey, &SourceFile> {
    let versioned = files.iter().filter(|file| file.kind != FileKind::Repeatable);
    versioned.map(|file| (VersionKey::of(&file.version), file)).collect()
}

/// Versions that are not rolled back and whose text must be looked at, to know whether they are what the files say.
fn doubtful(files: &[SourceFile], rows: &[TrackedRow]) -> Vec<String> {
    let squashed = squashed::squashed(files);
    let mut versions = changed(files, rows);
    // Its own checksum differs, though it counts as run: the line for it says which text was.
    versions.retain(|version| squashed.iter().all(|one| one.file.version != *version));
    versions.extend(squashed.iter().flat_map(|one| one.doubtful(rows)));
    versions
}

/// Versions that are not rolled back and whose file has another checksum.
fn changed(files: &[SourceFile], rows: &[TrackedRow]) -> Vec<String> {
    let files = by_key(files);
    let pairs =
        rows.iter().filter(|row| stands(row)).filter_map(|row| Some((files.get(&VersionKey::of(&row.version))?, row)));
    let changed = pairs.filter(|(file, row)| checksum(&file.text) != row.checksum);
    changed.map(|(_, row)| row.version.clone()).collect()
}

/// Makes rows even whose file was changed in nothing that runs.
fn only_comments(files: &[SourceFile], rows: &mut [TrackedRow], texts: &BTreeMap<String, StoredTexts>) -> Vec<String> {
    let mut told = Vec::new();
    let files = by_key(files);
    for row in rows.iter_mut().filter(|row| stands(row)) {
        let Some(stored) = texts.get(&row.version) else { continue };
        let Some(file) = files.get(&VersionKey::of(&row.version)) else { continue };
        let now = checksum(&file.text);
        if now != row.checksum && is_text_of(&stored.up, row) && same_code(&stored.up, &file.text) {
            row.checksum = now;
            told.push(format!(
                "{} was changed after it was run, in comments and white space only; `crossfade repair {} --accept` takes that into the journal",
                file.path.display(),
                row.version
            ));
        }
    }
    told
}

/// Whether the stored text is what the row speaks of. Of what another tool has run there may be none.
pub(super) fn is_text_of(stored: &str, row: &TrackedRow) -> bool {
    checksum(stored) == row.checksum
}

/// A program that was rolled back to an earlier version has earlier files. When they are the beginning of what was run, the rest is not missed.
fn ahead(files: &[SourceFile], rows: &mut [TrackedRow]) -> Vec<String> {
    let files = by_key(files);
    let Some((newest_key, newest)) = files.iter().next_back() else { return Vec::new() };
    if !rows.iter().any(|row| stands(row) && VersionKey::of(&row.version) == *newest_key) {
        return Vec::new();
    }
    let mut versions = Vec::new();
    for row in rows.iter_mut().filter(|row| stands(row) && VersionKey::of(&row.version) > *newest_key) {
        if row.missing_because.is_none() {
            row.missing_because = Some(AHEAD.to_owned());
            versions.push(format!("{} {}", row.version, row.name));
        }
    }
    match versions.is_empty() {
        true => Vec::new(),
        false => vec![format!(
            "the database is ahead of this folder, which ends with {} {}: {} was run from a newer one",
            newest.version,
            newest.name,
            versions.join(", ")
        )],
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::tests::file;
    use super::super::history::tests::problems;
    use super::super::history::tests::row;
    use super::*;

    fn texts(of: &[(&str, &str)]) -> BTreeMap<String, StoredTexts> {
        let text = |text: &str| StoredTexts { plan_id: 1, up: text.to_owned(), down: None };
        of.iter().map(|(version, up)| ((*version).to_owned(), text(up))).collect()
    }

    #[test]
    fn a_changed_comment_is_told_and_a_changed_statement_is_a_problem() {
        let mut rows = [row("001", "SELECT 1;", State::Applied), row("002", "SELECT 2;", State::Ready)];
        let files = [file("001", "-- why\nSELECT 1;"), file("002", "SELECT 3;")];
        let told = only_comments(&files, &mut rows, &texts(&[("001", "SELECT 1;"), ("002", "SELECT 2;")]));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("001_x.sql was changed after it was run, in comments"), "{told:?}");
        let left: Vec<String> = problems(&files, &rows).into_iter().map(|problem| problem.what).collect();
        assert_eq!(left, ["002_x.sql was changed after it was run (ready)"]);
    }

    #[test]
    fn a_text_that_is_not_the_one_that_was_run_proves_nothing() {
        let mut rows = [row("001", "SELECT 1;", State::Applied)];
        let files = [file("001", "-- only a comment")];
        assert!(only_comments(&files, &mut rows, &texts(&[("001", "")])).is_empty());
        assert_eq!(problems(&files, &rows).len(), 1);
    }

    #[test]
    fn a_folder_that_is_the_beginning_of_what_was_run_is_an_earlier_one() {
        let rows = || {
            let ready = row("003", "c", State::Ready);
            [row("001", "a", State::Applied), row("002", "b", State::Applied), ready]
        };
        let mut known = rows();
        let told = ahead(&[file("001", "a")], &mut known);
        assert_eq!(
            told,
            ["the database is ahead of this folder, which ends with 001 x: 002 x, 003 x was run from a newer one"]
        );
        assert!(problems(&[file("001", "a")], &known).is_empty());
        for other in [
            // A file in the middle is missed.
            vec![file("001", "a"), file("003", "c")],
            // Nothing, or something of its own: perhaps it is the wrong folder.
            vec![],
            vec![file("004", "d")],
        ] {
            let mut known = rows();
            assert!(ahead(&other, &mut known).is_empty());
            assert!(!problems(&other, &known).is_empty());
        }
    }
}
