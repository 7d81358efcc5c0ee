//! Which text undoes a migration that is applied: the down file, or the one that the journal has from when it was run.

use std::path::PathBuf;

use crossfade_core::finding::Finding;
use crossfade_core::migration::checksum;
use crossfade_core::sql::same_code;

use crate::postgres::store::StoredTexts;
use crate::postgres::store::TrackedRow;
use crate::source::SourceFile;

/// How a migration is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WayBack {
    /// Its plan goes backwards.
    Plan,
    /// It is applied, and a text takes it back.
    Down(DownFrom),
}

/// Where that text is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DownFrom {
    File,
    Journal,
}

/// The text that undoes a migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WayDown {
    pub path: PathBuf,
    pub text: String,
    pub from: DownFrom,
    /// Why it can't be run.
    pub findings: Vec<Finding>,
    why: Why,
}

/// Why it is this text and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// There is no other, or it is the same.
    Plain,
    /// The folder has none.
    NoFile,
    /// The file is another one now: it may have been mended.
    FileIsNewer,
    /// The folder's migration is not the one that was run, and so its way back isn't, either.
    OtherMigration,
}

impl WayDown {
    /// The file's text, where the file is of the migration that was run: a way back that did not work is mended there. The journal's, where there
    /// is no file, or where the folder has another migration of this version.
    pub fn choose(row: &TrackedRow, file: Option<&SourceFile>, stored: Option<&StoredTexts>) -> Option<WayDown> {
        let in_file = file.and_then(|file| file.down.as_ref());
        let in_journal = stored.and_then(|stored| stored.down.as_ref());
        let is_same_migration = file.is_some_and(|file| {
            let equal = checksum(&file.text) == row.checksum;
            equal
                || stored
                    .is_some_and(|stored| checksum(&stored.up) == row.checksum && same_code(&stored.up, &file.text))
        });
        let findings = file.map(|file| file.down_findings.clone()).unwrap_or_default();
        match (in_file, in_journal) {
            (Some((path, text)), Some(journal)) if is_same_migration || checksum(text) == checksum(journal) => {
                let why = if checksum(text) == checksum(journal) { Why::Plain } else { Why::FileIsNewer };
                Some(WayDown { path: path.clone(), text: text.clone(), findings, from: DownFrom::File, why })
            }
            (Some(_), Some(journal)) => Some(WayDown::from_journal(row, journal, Why::OtherMigration)),
            (None, Some(journal)) => Some(WayDown::from_journal(row, journal, Why::NoFile)),
            (Some((path, text)), None) => Some(WayDown {
                path: path.clone(),
                text: text.clone(),
                findings,
                from: DownFrom::File,
                why: Why::Plain,
            }),
            (None, None) => None,
        }
    }

    fn from_journal(row: &TrackedRow, text: &str, why: Why) -> WayDown {
        WayDown {
            path: PathBuf::from(format!("{}_{}_down.sql (as the journal has it)", row.version, row.name)),
            text: text.to_owned(),
            from: DownFrom::Journal,
            findings: Vec::new(),
            why,
        }
    }

    /// What to say before it is run, where there was a choice.
    pub fn notice(&self, row: &TrackedRow) -> Option<String> {
        let version = &row.version;
        match self.why {
            Why::Plain => None,
            Why::NoFile => Some(format!(
                "there is no down file of {version} here: it is undone by the one that was there when it was run, which the journal has"
            )),
            Why::FileIsNewer => Some(format!(
                "{} was changed after {version} was run: it is undone by the file as it is now; `crossfade repair {version}` shows the difference",
                self.path.display()
            )),
            Why::OtherMigration => Some(format!(
                "the file of {version} here is not the one that was run: it is undone by the down file that was there then, which the journal has"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use crossfade_core::journal::State;

    use super::super::history::tests::file;
    use super::super::history::tests::row;
    use super::*;

    fn with_down(text: &str, down: &str) -> SourceFile {
        SourceFile { down: Some((PathBuf::from("001_x_down.sql"), down.to_owned())), ..file("001", text) }
    }

    /// The text that is taken, with what is said about it.
    fn choice(file: Option<SourceFile>, stored_down: Option<&str>) -> (String, String) {
        let row = row("001", "SELECT 1;", State::Applied);
        let stored = StoredTexts { plan_id: 1, up: "SELECT 1;".to_owned(), down: stored_down.map(str::to_owned) };
        match WayDown::choose(&row, file.as_ref(), Some(&stored)) {
            Some(down) => (down.text.clone(), down.notice(&row).unwrap_or_default()),
            None => (String::new(), "none".to_owned()),
        }
    }

    #[test]
    fn the_file_goes_first_and_the_journal_helps_out() {
        let plain = (String::from("DROP 1"), String::new());
        assert_eq!(choice(Some(with_down("SELECT 1;", "DROP 1")), Some("DROP 1")), plain);
        assert_eq!(choice(Some(with_down("SELECT 1;", "DROP 1")), None), plain);
        let (text, said) = choice(Some(with_down("SELECT 1;", "DROP 2")), Some("DROP 1"));
        assert_eq!((text.as_str(), said.contains("as it is now")), ("DROP 2", true), "{said}");
        let (text, said) = choice(Some(with_down("-- c\nSELECT 1;", "DROP 2")), Some("DROP 1"));
        assert_eq!((text.as_str(), said.contains("as it is now")), ("DROP 2", true), "{said}");
        for file in [None, Some(file("001", "SELECT 1;"))] {
            let (text, said) = choice(file, Some("DROP 1"));
            assert_eq!((text.as_str(), said.contains("no down file of 001 here")), ("DROP 1", true), "{said}");
        }
    }

    #[test]
    fn the_way_back_of_another_migration_is_not_taken() {
        let (text, said) = choice(Some(with_down("SELECT 'other';", "DROP 2")), Some("DROP 1"));
        assert_eq!((text.as_str(), said.contains("is not the one that was run")), ("DROP 1", true), "{said}");
    }

    #[test]
    fn without_any_there_is_none() {
        let (_, said) = choice(Some(file("001", "SELECT 1;")), None);
        assert_eq!(said, "none");
        assert_eq!(choice(None, None).1, said);
    }
}
