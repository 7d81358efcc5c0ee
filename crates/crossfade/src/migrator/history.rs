//! Do the files and the tracking table tell the same story? Pure.

use std::cmp::Ordering;

use crossfade_core::journal::State;
use crossfade_core::migration::checksum;

use crate::error::Error;
use crate::error::Result;
use crate::postgres::store::TrackedRow;
use crate::source::SourceFile;
use crate::source::compare_versions;

/// One thing that is wrong, and what to do.
pub(super) struct Problem {
    pub what: String,
    pub hint: String,
}

/// Everything that does not fit.
pub(super) fn problems(files: &[SourceFile], rows: &[TrackedRow]) -> Vec<Problem> {
    let mut found = Vec::new();
    let standing: Vec<&TrackedRow> = rows.iter().filter(|row| row.state != State::RolledBack).collect();
    for row in &standing {
        // What is under way is compared when it goes on: as long as nothing of it took effect, its file may be mended.
        let untouched = matches!(row.state, State::Failed | State::Expanding | State::Migrating);
        match files.iter().find(|file| compare_versions(&file.version, &row.version) == Ordering::Equal) {
            None if row.missing_because.is_some() => {}
            None => found.push(Problem {
                what: format!(
                    "migration {} {} was run on this database, and its file is missing",
                    row.version, row.name
                ),
                hint: format!(
                    "bring the file back (it is in version control), or check out the branch that has it; where it is gone for good, `crossfade repair --forget-missing {}`",
                    row.version
                ),
            }),
            Some(file) if checksum(&file.text) != row.checksum && !untouched => found.push(Problem {
                what: format!("{} was changed after it was run ({})", file.path.display(), row.state.name()),
                hint: changed_hint(row),
            }),
            Some(_) => {}
        }
    }
    let newest = standing.iter().max_by(|a, b| compare_versions(&a.version, &b.version));
    for file in files {
        let known = rows.iter().any(|row| compare_versions(&row.version, &file.version) == Ordering::Equal);
        if let (false, Some(newest)) = (known, newest)
            && compare_versions(&file.version, &newest.version) == Ordering::Less
        {
            found.push(Problem {
                what: format!(
                    "{} comes before {} {}, which was run already",
                    file.path.display(),
                    newest.version,
                    newest.name
                ),
                hint: "give it the next free number: other databases may have run them in another order".to_owned(),
            });
        }
    }
    found
}

fn changed_hint(row: &TrackedRow) -> String {
    let version = &row.version;
    match row.state {
        State::Applied => format!(
            "restore its text, and write the change as a new migration; `crossfade repair {version}` shows the difference, and accepts it with --accept"
        ),
        State::Pending
        | State::Expanding
        | State::Migrating
        | State::Ready
        | State::Contracting
        | State::Contracted
        | State::Failed
        | State::RollingBack
        | State::RolledBack => format!(
            "restore its text, and write the change as a new migration; or `crossfade rollback {version}` first"
        ),
    }
}

/// Refuses when anything does not fit.
pub(super) fn check(files: &[SourceFile], rows: &[TrackedRow]) -> Result<()> {
    let mut found = problems(files, rows);
    if found.is_empty() {
        return Ok(());
    }
    let first = found.remove(0);
    let more = found.iter().map(|problem| format!("\n  also: {}", problem.what)).collect::<String>();
    Err(Error::refused(format!("{}{more}", first.what)).hint(first.hint))
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::PathBuf;

    use super::*;

    pub fn file(version: &str, text: &str) -> SourceFile {
        SourceFile {
            version: version.to_owned(),
            name: "x".to_owned(),
            path: PathBuf::from(format!("{version}_x.sql")),
            text: text.to_owned(),
            down: None,
        }
    }

    pub fn row(version: &str, text: &str, state: State) -> TrackedRow {
        TrackedRow {
            version: version.to_owned(),
            name: "x".to_owned(),
            checksum: checksum(text),
            state,
            plan_id: 1,
            applied_at: None,
            duration_ms: None,
            applied_by: None,
            contracted_for: None,
            origin: "crossfade".to_owned(),
            missing_because: None,
        }
    }

    fn says(files: &[SourceFile], rows: &[TrackedRow]) -> Vec<String> {
        problems(files, rows).into_iter().map(|problem| problem.what).collect()
    }

    #[test]
    fn a_changed_a_missing_and_a_late_file_are_each_refused() {
        let applied = [row("001", "a", State::Applied), row("003", "c", State::Ready)];
        assert!(says(&[file("001", "a"), file("003", "c"), file("004", "d")], &applied).is_empty());
        assert_eq!(
            says(&[file("001", "b"), file("003", "c")], &applied),
            ["001_x.sql was changed after it was run (applied)"]
        );
        assert_eq!(
            says(&[file("001", "a")], &applied),
            ["migration 003 x was run on this database, and its file is missing"]
        );
        assert_eq!(
            says(&[file("001", "a"), file("002", "b"), file("003", "c")], &applied),
            ["002_x.sql comes before 003 x, which was run already"]
        );
    }

    #[test]
    fn what_was_rolled_back_may_change_or_go() {
        let rows = [row("001", "a", State::Applied), row("002", "b", State::RolledBack)];
        assert!(says(&[file("001", "a"), file("002", "new text")], &rows).is_empty());
        assert!(says(&[file("001", "a")], &rows).is_empty());
    }

    #[test]
    fn a_file_that_may_be_missing_is_no_problem_but_what_comes_before_it_is() {
        let baseline = TrackedRow { missing_because: Some("baseline".to_owned()), ..row("005", "", State::Applied) };
        assert!(says(&[file("006", "x")], std::slice::from_ref(&baseline)).is_empty());
        assert_eq!(says(&[file("004", "x")], &[baseline]), ["004_x.sql comes before 005 x, which was run already"]);
    }

    #[test]
    fn a_failed_file_may_be_mended() {
        let rows = [row("001", "a", State::Failed)];
        assert!(says(&[file("001", "b")], &rows).is_empty());
    }
}
