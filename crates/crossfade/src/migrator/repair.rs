//! `repair`: what differs between a file and what was run, and how the journal is brought to accept it.

use std::collections::BTreeMap;
use std::path::Path;

use crossfade_core::journal::State;
use crossfade_core::migration::checksum;
use crossfade_core::sql::same_code;

use super::Migrator;
use super::history::is_repeatable;
use super::session::Session;
use super::shared::choose;
use super::shared::same_version;
use super::squashed;
use super::tolerance::is_text_of;
use crate::error::Error;
use crate::error::Result;
use crate::observer::Observer;
use crate::postgres::lease::APPLICATION;
use crate::postgres::store::StoredTexts;
use crate::postgres::store::TrackedRow;
use crate::report::Change;
use crate::report::REPORT_FORMAT;
use crate::report::RepairMigration;
use crate::report::RepairReport;
use crate::source::SourceFile;
use crate::stop::Stop;

/// Why a file may be missing of which somebody said so.
const FORGOTTEN: &str = "forgotten";

/// What `repair` is to do.
#[derive(Clone, Debug, Default)]
pub struct RepairOptions {
    /// Only this migration; none: all.
    pub version: Option<String>,
    /// What to do about it.
    pub action: RepairAction,
    /// Wait for another runner to finish, instead of refusing.
    pub wait: bool,
}

/// What to do about what differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RepairAction {
    /// Show it.
    #[default]
    Show,
    /// Take the files as they are now for what was run.
    Accept,
    /// No longer miss the file of the migration that is named.
    ForgetMissing,
}

pub(super) async fn run(
    migrator: &Migrator,
    options: &RepairOptions,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<RepairReport> {
    let version = options.version.as_deref();
    match options.action {
        RepairAction::Show => {
            let client = migrator.target.connect(APPLICATION).await?;
            let store = migrator.store();
            let exists = store.exists(&client).await?;
            let mut rows = if exists { store.rows(&client).await? } else { Vec::new() };
            let texts = if exists { store.texts(&client, None).await? } else { BTreeMap::new() };
            let files = migrator.files_as(&rows)?;
            squashed::even_out(&files, &mut rows, &texts);
            let migrations = differences(&files, choose(&rows, version)?, &texts);
            Ok(RepairReport { format: REPORT_FORMAT, accepted: false, migrations })
        }
        RepairAction::Accept => {
            let session = Session::open_existing(migrator, options.wait, observer, stop).await?;
            accept(migrator, &session, version).await
        }
        RepairAction::ForgetMissing => {
            let session = Session::open_existing(migrator, options.wait, observer, stop).await?;
            forget(migrator, &session, version).await
        }
    }
}

async fn accept(migrator: &Migrator, session: &Session<'_>, version: Option<&str>) -> Result<RepairReport> {
    let mut rows = session.rows().await?;
    let files = migrator.files_as(&rows)?;
    let texts = session.texts().await?;
    squashed::even_out(&files, &mut rows, &texts);
    let mut migrations = differences(&files, choose(&rows, version)?, &texts);
    // A file that is missing is forgotten by its name only.
    migrations.retain(|found| found.change != Change::Missing || version.is_some());
    if let Some(found) = migrations.iter().find(|found| found.refused.is_some()) {
        let why = found.refused.clone().unwrap_or_default();
        let (what, hint) = match found.change {
            Change::Missing => (
                "has no file that could be accepted".to_owned(),
                format!("`crossfade repair --forget-missing {}` no longer misses it", found.version),
            ),
            Change::Code | Change::Comments | Change::Down => (
                format!("can't take another text: {why}"),
                format!("restore its text; `crossfade rollback {}` makes room for another", found.version),
            ),
        };
        return Err(Error::refused(format!("migration {} {} {what}", found.version, found.name)).hint(hint));
    }
    for found in &migrations {
        let row = rows.iter().find(|row| row.version == found.version);
        let file = files.iter().find(|file| same_version(&file.version, &found.version));
        if let (Some(row), Some(file), Some(texts)) = (row, file, texts.get(&found.version)) {
            session.repair(row, texts.plan_id, file).await?;
        }
    }
    Ok(RepairReport { format: REPORT_FORMAT, accepted: true, migrations })
}

async fn forget(migrator: &Migrator, session: &Session<'_>, version: Option<&str>) -> Result<RepairReport> {
    let Some(version) = version else {
        return Err(Error::usage("it must be said which file is gone").hint("crossfade repair --forget-missing 042"));
    };
    let rows = session.rows().await?;
    let files = migrator.files_where_there(&rows)?;
    let texts = session.texts().await?;
    let chosen = choose(&rows, Some(version))?;
    let mut migrations = Vec::new();
    for row in chosen {
        if let Some(file) = files.iter().find(|file| same_version(&file.version, &row.version)) {
            return Err(Error::refused(format!(
                "the file of {} {} is there: {}",
                row.version,
                row.name,
                file.path.display()
            ))
            .hint(format!("`crossfade repair {}` compares it with what was run", row.version)));
        }
        if let Some(why) = under_way(row) {
            return Err(Error::refused(format!("migration {} {} still needs its file: {why}", row.version, row.name))
                .hint("finish it, or roll it back first"));
        }
        if let Some(texts) = texts.get(&row.version) {
            session.allow_missing(row, texts.plan_id, FORGOTTEN).await?;
        }
        migrations.push(missing(row));
    }
    Ok(RepairReport { format: REPORT_FORMAT, accepted: true, migrations })
}

/// Why a migration's text can't be exchanged now.
fn under_way(row: &TrackedRow) -> Option<String> {
    match row.state {
        State::Applied | State::RolledBack => None,
        State::Pending
        | State::Expanding
        | State::Migrating
        | State::Ready
        | State::Contracting
        | State::Contracted
        | State::Failed
        | State::RollingBack => Some(format!("it is under way ({})", row.state.name())),
    }
}

/// What is not as it was run. Pure. What is rolled back may change: it would be run as it is then.
fn differences(
    files: &[SourceFile],
    rows: Vec<&TrackedRow>,
    texts: &BTreeMap<String, StoredTexts>,
) -> Vec<RepairMigration> {
    let standing = rows.into_iter().filter(|row| row.state != State::RolledBack && !is_repeatable(row));
    let found = standing.filter_map(|row| {
        let file = files.iter().find(|file| same_version(&file.version, &row.version));
        let stored = texts.get(&row.version);
        match file {
            None => row.missing_because.is_none().then(|| missing(row)),
            Some(file) => difference(file, row, stored),
        }
    });
    found.collect()
}

fn missing(row: &TrackedRow) -> RepairMigration {
    RepairMigration {
        version: row.version.clone(),
        name: row.name.clone(),
        state: row.state,
        change: Change::Missing,
        file: None,
        diff: None,
        down_diff: None,
        refused: Some("its file is missing".to_owned()),
    }
}

fn difference(file: &SourceFile, row: &TrackedRow, stored: Option<&StoredTexts>) -> Option<RepairMigration> {
    let up = stored.map(|stored| stored.up.as_str()).filter(|up| is_text_of(up, row));
    let down = stored.and_then(|stored| stored.down.as_deref());
    let down_file = file.down.as_ref();
    let same_down = match (down, down_file) {
        (Some(down), Some((_, text))) => checksum(down) == checksum(text),
        // A way back that was written later, or is not here, is as good as none: it is found when it is needed.
        (None, _) | (_, None) => true,
    };
    let change = match (checksum(&file.text) == row.checksum, up) {
        (true, _) if same_down => return None,
        (true, _) => Change::Down,
        (false, Some(up)) if same_code(up, &file.text) => Change::Comments,
        (false, _) => Change::Code,
    };
    let path = shown(&file.path);
    let down_diff = match (down, down_file) {
        (Some(down), Some((path, text))) if !same_down => Some(unified(down, text, &shown(path))),
        (None, _) | (Some(_), _) => None,
    };
    Some(RepairMigration {
        version: row.version.clone(),
        name: row.name.clone(),
        state: row.state,
        change,
        diff: up.filter(|_| change != Change::Down).map(|up| unified(up, &file.text, &path)),
        file: Some(path),
        down_diff,
        // What runs is as it was planned, whatever stands around it.
        refused: under_way(row).filter(|_| change == Change::Code),
    })
}

/// A path as people write it.
fn shown(path: &Path) -> String {
    path.strip_prefix(".").unwrap_or(path).display().to_string()
}

/// A unified diff, with line ends as people see them.
fn unified(old: &str, new: &str, path: &str) -> String {
    let normal = |text: &str| text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let (old, new) = (normal(old), normal(new));
    let diff = similar::TextDiff::from_lines(&old, &new);
    diff.unified_diff().context_radius(3).header("as it was run", path).to_string()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::history::tests::file;
    use super::super::history::tests::row;
    use super::*;

    fn found(file: SourceFile, row: &TrackedRow, up: &str, down: Option<&str>) -> Option<RepairMigration> {
        let stored = StoredTexts { plan_id: 1, up: up.to_owned(), down: down.map(str::to_owned) };
        difference(&file, row, Some(&stored))
    }

    #[test]
    fn the_change_is_named_and_shown() {
        let applied = row("001", "SELECT 1;\nSELECT 2;\n", State::Applied);
        let up = "SELECT 1;\nSELECT 2;\n";
        assert_eq!(found(file("001", "SELECT 1;\r\nSELECT 2;\r\n"), &applied, up, None), None);
        let code = found(file("001", "SELECT 1;\nSELECT 3;\n"), &applied, up, None).unwrap();
        assert_eq!((code.change, code.refused.clone()), (Change::Code, None));
        insta::assert_snapshot!(code.diff.unwrap(), @r"
        --- as it was run
        +++ 001_x.sql
        @@ -1,2 +1,2 @@
         SELECT 1;
        -SELECT 2;
        +SELECT 3;
        ");
        let comments = found(file("001", "-- why\nSELECT 1;\nSELECT 2;\n"), &applied, up, None).unwrap();
        assert_eq!(comments.change, Change::Comments);
        let ready = row("001", up, State::Ready);
        let refused = found(file("001", "SELECT 3;"), &ready, up, None).unwrap().refused;
        assert_eq!(refused.as_deref(), Some("it is under way (ready)"));
        let comments = found(file("001", &format!("-- why\n{up}")), &ready, up, None).unwrap();
        assert_eq!((comments.change, comments.refused), (Change::Comments, None));
    }

    #[test]
    fn without_a_text_in_the_journal_there_is_no_difference_to_show() {
        let theirs = row("001", "SELECT 1;", State::Applied);
        let code = found(file("001", "-- SELECT 1;"), &theirs, "", None).unwrap();
        assert_eq!((code.change, code.diff), (Change::Code, None));
    }

    #[test]
    fn a_way_back_that_was_mended_is_shown_and_one_that_came_later_is_not() {
        let applied = row("001", "SELECT 1;", State::Applied);
        let with_down = |text: &str| SourceFile {
            down: Some((PathBuf::from("001_x_down.sql"), text.to_owned())),
            ..file("001", "SELECT 1;")
        };
        let down = found(with_down("DROP 2;\n"), &applied, "SELECT 1;", Some("DROP 1;\n")).unwrap();
        assert_eq!((down.change, down.diff.clone()), (Change::Down, None));
        assert!(down.down_diff.unwrap().contains("-DROP 1;\n+DROP 2;"));
        assert_eq!(found(with_down("DROP 2;"), &applied, "SELECT 1;", None), None);
        assert_eq!(found(file("001", "SELECT 1;"), &applied, "SELECT 1;", Some("DROP 1;")), None);
    }

    #[test]
    fn what_may_be_missing_is_not_missed() {
        let texts = BTreeMap::new();
        let gone = row("001", "a", State::Applied);
        let found = differences(&[], vec![&gone], &texts);
        assert_eq!(found.iter().map(|one| one.change).collect::<Vec<_>>(), [Change::Missing]);
        let forgotten = TrackedRow { missing_because: Some("forgotten".to_owned()), ..gone.clone() };
        let undone = TrackedRow { state: State::RolledBack, ..gone };
        assert!(differences(&[], vec![&forgotten, &undone], &texts).is_empty());
    }
}
