//! What a squashed file means on a database that has run what it replaces: it counts as run, and the files that it replaces are not missed.
//!
//! It is held to what it says of them: all of them were run, each with the text that it names.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crossfade_core::journal::State;
use crossfade_core::migration::checksum;
use crossfade_core::sql::code_hash;
use crossfade_core::squash::Replaced;
use crossfade_core::squash::replaced;

use super::history::is_repeatable;
use super::tolerance::is_text_of;
use crate::postgres::store::StoredTexts;
use crate::postgres::store::TrackedRow;
use crate::source::SourceFile;
use crate::source::VersionKey;

/// A file that stands in the place of others.
pub(super) struct Squashed<'f> {
    pub file: &'f SourceFile,
    pub key: VersionKey,
    replaces: Result<Vec<Replaced>, String>,
}

/// What it means on a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing of it was run: it is a file as any other.
    Nothing,
    /// It was run itself.
    Itself,
    /// All that it replaces was run.
    All,
    /// Neither, and why.
    Neither(String),
}

/// The squashed files of a folder.
pub(super) fn squashed(files: &[SourceFile]) -> Vec<Squashed<'_>> {
    let squashed = files.iter().filter_map(|file| {
        let replaces = replaced(&file.text);
        let is_one = replaces.as_ref().map_or(true, |replaces| !replaces.is_empty());
        is_one.then(|| Squashed { file, key: VersionKey::of(&file.version), replaces })
    });
    squashed.collect()
}

/// Makes the rows even with the squashed files that count as run.
pub(super) fn even_out(files: &[SourceFile], rows: &mut [TrackedRow], texts: &BTreeMap<String, StoredTexts>) {
    for squashed in squashed(files) {
        let doubtful = squashed.doubtful(rows);
        for row in rows.iter_mut().filter(|row| doubtful.contains(&row.version)) {
            squashed.even_out_comments(row, texts);
        }
        if squashed.meaning(rows) != Meaning::All {
            continue;
        }
        let because = format!("squashed into {}", squashed.file.version);
        for row in rows.iter_mut().filter(|row| squashed.is_within(row)) {
            if VersionKey::of(&row.version) == squashed.key {
                row.checksum = checksum(&squashed.file.text);
            } else {
                row.missing_because.get_or_insert_with(|| because.clone());
            }
        }
    }
}

impl Squashed<'_> {
    /// Whether a row stands for something that the file replaces, or should.
    pub fn is_within(&self, row: &TrackedRow) -> bool {
        row.state != State::RolledBack && !is_repeatable(row) && VersionKey::of(&row.version) <= self.key
    }

    /// Versions whose checksum it does not know: their texts must be looked at.
    pub fn doubtful(&self, rows: &[TrackedRow]) -> Vec<String> {
        let own = checksum(&self.file.text);
        let replaces = self.replaces.as_deref().unwrap_or_default();
        let known: BTreeSet<&str> = replaces.iter().map(|one| one.checksum.as_str()).chain([own.as_str()]).collect();
        let within = rows.iter().filter(|row| self.is_within(row));
        within.filter(|row| !known.contains(row.checksum.as_str())).map(|row| row.version.clone()).collect()
    }

    /// Makes a row even that differs from what is replaced in comments only.
    fn even_out_comments(&self, row: &mut TrackedRow, texts: &BTreeMap<String, StoredTexts>) {
        let stored = texts.get(&row.version).filter(|stored| is_text_of(&stored.up, row));
        let Some(code) = stored.and_then(|stored| code_hash(&stored.up)) else { return };
        let key = VersionKey::of(&row.version);
        let mut replaces = self.replaces.iter().flatten();
        if let Some(one) = replaces.find(|one| one.code == code && VersionKey::of(&one.version) == key) {
            row.checksum.clone_from(&one.checksum);
        }
    }

    /// What it means on the database with these rows.
    pub fn meaning(&self, rows: &[TrackedRow]) -> Meaning {
        let within: BTreeMap<VersionKey, &TrackedRow> =
            rows.iter().filter(|row| self.is_within(row)).map(|row| (VersionKey::of(&row.version), row)).collect();
        if within.is_empty() {
            return Meaning::Nothing;
        }
        let own = within.get(&self.key);
        if own.is_some_and(|own| own.checksum == checksum(&self.file.text)) {
            return Meaning::Itself;
        }
        let path = self.file.path.display();
        let replaces = match &self.replaces {
            Ok(replaces) => replaces,
            Err(line) => return Meaning::Neither(format!("{path} has a line that can't be read: {line}")),
        };
        let mut by_version: BTreeMap<VersionKey, Vec<&Replaced>> = BTreeMap::new();
        for one in replaces {
            by_version.entry(VersionKey::of(&one.version)).or_default().push(one);
        }
        // It was run itself, and was changed since: that is for others to judge.
        let names = || by_version.get(&self.key).into_iter().flatten().map(|one| one.name.as_str());
        if own.is_some_and(|own| own.name == self.file.name && names().all(|name| name != own.name)) {
            return Meaning::Itself;
        }
        // Where one of them was itself squashed and run so, what that replaced was never run.
        let mut begins = None;
        for (key, row) in &within {
            let texts = by_version.get(key).map(Vec::as_slice).unwrap_or_default();
            let at = texts.iter().position(|one| one.checksum == row.checksum);
            match at {
                Some(0) => {}
                Some(_) => begins = Some(key),
                None if texts.is_empty() => {
                    return Meaning::Neither(format!(
                        "{} {} was run here, and {path} does not replace it",
                        row.version, row.name
                    ));
                }
                None => {
                    return Meaning::Neither(format!(
                        "{} {} was run here with another text than {path} replaces",
                        row.version, row.name
                    ));
                }
            }
            if row.state != State::Applied {
                return Meaning::Neither(format!("{} {} is under way ({})", row.version, row.name, row.state.name()));
            }
        }
        let needed = by_version.iter().filter(|(key, _)| begins.is_none_or(|begins| *key >= begins));
        let not_run: Vec<&str> = needed
            .filter(|(key, _)| !within.contains_key(key))
            .filter_map(|(_, texts)| texts.first().map(|one| one.version.as_str()))
            .collect();
        match not_run.is_empty() {
            true => Meaning::All,
            false => Meaning::Neither(format!("{} of what {path} replaces was not run here", not_run.join(", "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use crossfade_core::squash::Piece;
    use crossfade_core::squash::compose;

    use super::super::history::tests::file;
    use super::super::history::tests::row;
    use super::*;

    fn squash(version: &str, pieces: &[(&str, &str)]) -> SourceFile {
        let pieces: Vec<Piece<'_>> = pieces.iter().map(|(version, text)| Piece { version, name: "x", text }).collect();
        file(version, &compose(&pieces).unwrap())
    }

    fn applied(rows: &[(&str, &str)]) -> Vec<TrackedRow> {
        rows.iter().map(|(version, text)| row(version, text, State::Applied)).collect()
    }

    fn texts(of: &[(&str, &str)]) -> BTreeMap<String, StoredTexts> {
        let text = |up: &str| StoredTexts { plan_id: 1, up: up.to_owned(), down: None };
        of.iter().map(|(version, up)| ((*version).to_owned(), text(up))).collect()
    }

    /// What it means, once the rows are made even.
    fn meaning(file: &SourceFile, rows: &[TrackedRow], of: &[(&str, &str)]) -> Meaning {
        let file = std::slice::from_ref(file);
        let before = squashed(file)[0].meaning(rows);
        let mut rows = rows.to_vec();
        even_out(file, &mut rows, &texts(of));
        match squashed(file)[0].meaning(&rows) {
            Meaning::Itself if before != Meaning::Itself => Meaning::All,
            after => after,
        }
    }

    const ONE: (&str, &str) = ("001", "SELECT 1;");
    const TWO: (&str, &str) = ("002", "SELECT 2;");
    const THREE: (&str, &str) = ("003", "SELECT 3;");

    #[test]
    fn it_counts_as_run_where_all_that_it_replaces_was_run() {
        let two = squash("002", &[ONE, TWO]);
        assert_eq!(meaning(&two, &[], &[]), Meaning::Nothing);
        assert_eq!(meaning(&two, &applied(&[("002", &two.text)]), &[]), Meaning::Itself);
        let mut rows = applied(&[ONE, TWO, THREE]);
        assert_eq!(meaning(&two, &rows, &[]), Meaning::All);
        even_out(&[two.clone(), file("003", "SELECT 3;")], &mut rows, &BTreeMap::new());
        let because: Vec<Option<&str>> = rows.iter().map(|row| row.missing_because.as_deref()).collect();
        assert_eq!(because, [Some("squashed into 002"), None, None]);
        assert_eq!(rows[1].checksum, checksum(&two.text));
        assert_eq!(squashed(&[two])[0].meaning(&rows), Meaning::Itself);
    }

    #[test]
    fn half_of_it_or_another_text_is_neither() {
        let two = squash("002", &[ONE, TWO]);
        let says = |rows: &[TrackedRow]| match meaning(&two, rows, &[]) {
            Meaning::Neither(why) => why,
            other => format!("{other:?}"),
        };
        assert_eq!(says(&applied(&[ONE])), "002 of what 002_x.sql replaces was not run here");
        assert_eq!(says(&applied(&[TWO])), "001 of what 002_x.sql replaces was not run here");
        assert_eq!(
            says(&applied(&[ONE, ("002", "SELECT 22;")])),
            "002 x was run here with another text than 002_x.sql replaces"
        );
        assert_eq!(says(&applied(&[("0005", "SELECT 5;")])), "Nothing", "what is above it is none of its business");
        assert_eq!(
            says(&applied(&[("000", "SELECT 0;"), ONE, TWO])),
            "000 x was run here, and 002_x.sql does not replace it"
        );
        assert_eq!(
            says(&[row("001", ONE.1, State::Applied), row("002", TWO.1, State::Ready)]),
            "002 x is under way (ready)"
        );
    }

    #[test]
    fn other_comments_are_the_same_text() {
        let two = squash("002", &[ONE, TWO]);
        let commented = ("001", "-- why\nSELECT 1;");
        let rows = applied(&[commented, TWO]);
        assert_eq!(squashed(std::slice::from_ref(&two))[0].doubtful(&rows), ["001"]);
        assert_eq!(meaning(&two, &rows, &[commented]), Meaning::All);
        let other = meaning(&two, &rows, &[("001", "SELECT 1;")]);
        assert!(matches!(other, Meaning::Neither(_)), "it is not the text of the row");
    }

    #[test]
    fn what_was_run_itself_and_changed_since_is_no_case_for_it() {
        let two = SourceFile { name: "squashed".to_owned(), ..squash("002", &[ONE, TWO]) };
        let changed = format!("{}SELECT 3;", two.text);
        let rows = [TrackedRow { name: "squashed".to_owned(), ..row("002", &changed, State::Applied) }];
        assert_eq!(meaning(&two, &rows, &[("002", &changed)]), Meaning::Itself);
    }

    #[test]
    fn squashed_twice_it_knows_both_histories() {
        let two = squash("002", &[ONE, TWO]);
        let three = squash("003", &[("002", &two.text), THREE]);
        assert_eq!(meaning(&three, &applied(&[ONE, TWO, THREE]), &[]), Meaning::All);
        assert_eq!(meaning(&three, &applied(&[("002", &two.text), THREE]), &[]), Meaning::All);
        let half = meaning(&three, &applied(&[("002", &two.text)]), &[]);
        assert_eq!(half, Meaning::Neither("003 of what 003_x.sql replaces was not run here".to_owned()));
        let half = meaning(&three, &applied(&[TWO, THREE]), &[]);
        assert_eq!(half, Meaning::Neither("001 of what 003_x.sql replaces was not run here".to_owned()));
    }

    #[test]
    fn a_line_that_can_not_be_read_is_no_reason_to_run_it_again() {
        let broken = file("002", "-- crossfade: replaces 001..002\nSELECT 1;");
        let said = meaning(&broken, &applied(&[ONE, TWO]), &[]);
        assert!(matches!(&said, Meaning::Neither(why) if why.contains("can't be read")), "{said:?}");
    }
}
