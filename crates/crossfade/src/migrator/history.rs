//! Do the files and the tracking table tell the same story? Pure.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crossfade_core::journal::State;
use crossfade_core::migration::checksum;

use super::squashed::Meaning;
use super::squashed::Squashed;
use super::squashed::squashed;
use crate::config::OutOfOrder;
use crate::error::Error;
use crate::error::Result;
use crate::postgres::store::TrackedRow;
use crate::source::FileKind;
use crate::source::SourceFile;
use crate::source::VersionKey;
use crate::source::repeatable_version;

/// One thing that is wrong, and what to do.
pub(super) struct Problem {
    pub what: String,
    pub hint: String,
}

/// Files and tracking table, compared.
#[derive(Default)]
pub(super) struct Comparison {
    /// Everything that does not fit.
    pub problems: Vec<Problem>,
    /// What is unusual and no fault, one line each.
    pub notices: Vec<String>,
    /// Versions of files that come before what was run already.
    pub late: BTreeSet<String>,
}

/// Compares files and tracking table.
pub(super) fn compare(files: &[SourceFile], rows: &[TrackedRow], out_of_order: OutOfOrder) -> Comparison {
    let mut found = Comparison::default();
    let by_key: BTreeMap<VersionKey, &SourceFile> =
        files.iter().map(|file| (VersionKey::of(&file.version), file)).collect();
    let squashed = squashed(files);
    found.problems.extend(squashed.iter().flat_map(|one| beside(one, &by_key)));
    let mut unfit_ones = Vec::new();
    for one in &squashed {
        if let Meaning::Neither(why) = one.meaning(rows) {
            found.problems.push(unfit(one, &why));
            unfit_ones.push(one);
        }
    }
    let is_told = |row: &TrackedRow| unfit_ones.iter().any(|one| one.is_within(row));
    let mut known = BTreeSet::new();
    let mut newest = None;
    for row in rows {
        let key = VersionKey::of(&row.version);
        if row.state != State::RolledBack {
            match by_key.get(&key) {
                None if row.missing_because.is_some() => {}
                None if is_repeatable(row) => found.notices.push(format!(
                    "{} was run on this database, and its file is gone; what it made stays",
                    row.version
                )),
                None | Some(_) if is_told(row) => {}
                None => found.problems.push(missing(row)),
                Some(file) => found.problems.extend(changed(file, row)),
            }
            if !is_repeatable(row) && newest.as_ref().is_none_or(|(newest, _)| *newest < key) {
                newest = Some((key.clone(), row));
            }
        }
        known.insert(key);
    }
    let Some((newest_key, newest)) = newest else { return found };
    for (key, file) in &by_key {
        if file.kind == FileKind::Repeatable || known.contains(key) || *key > newest_key {
            continue;
        }
        found.late.insert(file.version.clone());
        if out_of_order == OutOfOrder::Refuse && !file.may_be_late {
            found.problems.push(Problem {
                what: format!(
                    "{} comes before {} {}, which was run already",
                    file.path.display(),
                    newest.version,
                    newest.name
                ),
                hint: "`crossfade renumber` gives it the next free number; `crossfade migrate --allow-out-of-order`, or `out_of_order = \"allow\"` in crossfade.toml, runs it late".to_owned(),
            });
        }
    }
    found
}

/// Files that stand below a squashed one: a new database would run them before it.
fn beside(squashed: &Squashed<'_>, files: &BTreeMap<VersionKey, &SourceFile>) -> Vec<Problem> {
    let below = files.range(..&squashed.key).filter(|(_, file)| file.kind == FileKind::Versioned);
    let problem = |file: &SourceFile| Problem {
        what: format!(
            "{} stands below {}, which is in the place of all up to it",
            file.path.display(),
            squashed.file.path.display()
        ),
        hint: "take it out where the squashed file has it; else give it the next free number (`crossfade renumber`)"
            .to_owned(),
    };
    below.map(|(_, file)| problem(file)).collect()
}

/// A squashed file that neither was run nor counts as run.
fn unfit(squashed: &Squashed<'_>, why: &str) -> Problem {
    Problem {
        what: format!("{} is in the place of files that were run on this database, and can't count as run: {why}", squashed.file.path.display()),
        hint: "bring this database to where all of them are run, with the files from before (version control has them); then the squashed file counts as run".to_owned(),
    }
}

fn missing(row: &TrackedRow) -> Problem {
    Problem {
        what: format!("migration {} {} was run on this database, and its file is missing", row.version, row.name),
        hint: format!(
            "bring the file back (it is in version control), or check out the branch that has it; where it is gone for good, `crossfade repair --forget-missing {}`",
            row.version
        ),
    }
}

fn changed(file: &SourceFile, row: &TrackedRow) -> Option<Problem> {
    // What is under way is compared when it goes on: as long as nothing of it took effect, its file may be mended.
    let untouched = matches!(row.state, State::Failed | State::Expanding | State::Migrating);
    if file.kind == FileKind::Repeatable || untouched || checksum(&file.text) == row.checksum {
        return None;
    }
    Some(Problem {
        what: format!("{} was changed after it was run ({})", file.path.display(), row.state.name()),
        hint: changed_hint(row),
    })
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

/// Rows by their version, as the tracking table has it.
pub(super) fn by_version(rows: &[TrackedRow]) -> BTreeMap<&str, &TrackedRow> {
    rows.iter().map(|row| (row.version.as_str(), row)).collect()
}

/// What was run last of all that stands and has a version.
pub(super) fn last_run(rows: &[TrackedRow]) -> Option<&TrackedRow> {
    let standing = rows.iter().filter(|row| row.state != State::RolledBack && !is_repeatable(row));
    standing.max_by_key(|row| row.plan_id)
}

/// Versions that were run after a higher one.
pub(super) fn run_late(rows: &[TrackedRow]) -> BTreeSet<String> {
    let mut first_above = i64::MAX;
    let mut late = BTreeSet::new();
    for row in rows.iter().rev().filter(|row| row.state != State::RolledBack && !is_repeatable(row)) {
        if row.plan_id > first_above {
            late.insert(row.version.clone());
        }
        first_above = first_above.min(row.plan_id);
    }
    late
}

/// Whether a file's text is to be run, though it was run before: it is repeatable, and has changed.
pub(super) fn is_to_be_repeated(file: &SourceFile, row: &TrackedRow) -> bool {
    file.kind == FileKind::Repeatable && row.state == State::Applied && checksum(&file.text) != row.checksum
}

/// The files that count on this database, each under the version that the tracking table has for it: `1` and `001` are one.
pub(super) fn as_tracked(files: Vec<SourceFile>, rows: &[TrackedRow]) -> Vec<SourceFile> {
    let mut files = in_force(files, rows);
    let tracked: BTreeMap<VersionKey, &String> =
        rows.iter().map(|row| (VersionKey::of(&row.version), &row.version)).collect();
    for file in &mut files {
        if let Some(version) = tracked.get(&VersionKey::of(&file.version)) {
            file.version.clone_from(version);
        }
    }
    files
}

/// The files that count on this database: a baseline stands in the place of all versions up to its own where nothing was run before it, and
/// for nothing elsewhere.
fn in_force(files: Vec<SourceFile>, rows: &[TrackedRow]) -> Vec<SourceFile> {
    if !files.iter().any(|file| file.kind == FileKind::Baseline) {
        return files;
    }
    let stands = |row: &&TrackedRow| row.state != State::RolledBack && !is_repeatable(row);
    let same = |a: &SourceFile, version: &str| VersionKey::of(&a.version) == VersionKey::of(version);
    // A versioned file may have the baseline's version, and even its name.
    let was_run = |base: &&SourceFile| {
        let row = rows.iter().filter(stands).find(|row| same(base, &row.version));
        row.is_some_and(|row| {
            let mut others = files.iter().filter(|file| file.kind == FileKind::Versioned && same(file, &row.version));
            let is_ours = row.name == base.name && others.all(|file| file.name != row.name);
            is_ours || row.checksum == checksum(&base.text)
        })
    };
    let baselines = || files.iter().filter(|file| file.kind == FileKind::Baseline);
    let newest = || baselines().next_back().filter(|_| !rows.iter().any(|row| stands(&row)));
    let from = baselines().rfind(was_run).or_else(newest).cloned();
    let counts = |file: &SourceFile| match (file.kind, &from) {
        (FileKind::Baseline, from) => from.as_ref().is_some_and(|from| from.path == file.path),
        (FileKind::Versioned, Some(from)) => VersionKey::of(&file.version) > VersionKey::of(&from.version),
        (FileKind::Versioned, None) | (FileKind::Repeatable, _) => true,
    };
    files.into_iter().filter(counts).collect()
}

/// Whether a row is that of a migration which is run whenever it changes.
pub(super) fn is_repeatable(row: &TrackedRow) -> bool {
    row.version == repeatable_version(&row.name)
}

/// Refuses when anything does not fit. Returns what is unusual and no fault.
pub(super) fn check(files: &[SourceFile], rows: &[TrackedRow], out_of_order: OutOfOrder) -> Result<Vec<String>> {
    let mut found = compare(files, rows, out_of_order);
    if found.problems.is_empty() {
        return Ok(found.notices);
    }
    let first = found.problems.remove(0);
    let more = found.problems.iter().map(|problem| format!("\n  also: {}", problem.what)).collect::<String>();
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
            ..SourceFile::default()
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

    /// Everything that does not fit, where late files are refused.
    pub fn problems(files: &[SourceFile], rows: &[TrackedRow]) -> Vec<Problem> {
        compare(files, rows, OutOfOrder::Refuse).problems
    }

    fn says(files: &[SourceFile], rows: &[TrackedRow]) -> Vec<String> {
        problems(files, rows).into_iter().map(|problem| problem.what).collect()
    }

    fn notices(files: &[SourceFile], rows: &[TrackedRow]) -> Vec<String> {
        compare(files, rows, OutOfOrder::Refuse).notices
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
            says(&[file("003", "c")], &applied),
            ["migration 001 x was run on this database, and its file is missing"]
        );
        assert_eq!(
            says(&[file("001", "a"), file("002", "b"), file("003", "c")], &applied),
            ["002_x.sql comes before 003 x, which was run already"]
        );
    }

    #[test]
    fn late_files_are_run_where_that_is_allowed() {
        let applied = [row("001", "a", State::Applied), row("003", "c", State::Applied)];
        let files = [file("001", "a"), file("002", "b"), file("003", "c"), file("004", "d")];
        let found = compare(&files, &applied, OutOfOrder::Allow);
        assert!(found.problems.is_empty());
        assert_eq!(found.late.into_iter().collect::<Vec<_>>(), ["002"]);
        let by_layout = [file("001", "a"), SourceFile { may_be_late: true, ..file("002", "b") }, file("003", "c")];
        assert!(says(&by_layout, &applied).is_empty());
        // Gaps are no fault.
        assert!(says(&[file("001", "a"), file("003", "c"), file("100", "d")], &applied).is_empty());
    }

    #[test]
    fn what_was_run_after_a_higher_version_is_known_as_late() {
        let of_plan = |version: &str, plan_id, state| TrackedRow { plan_id, ..row(version, "", state) };
        let rows = [
            of_plan("001", 1, State::Applied),
            of_plan("002", 4, State::Applied),
            of_plan("003", 2, State::Applied),
            of_plan("004", 3, State::RolledBack),
            TrackedRow { name: "v".to_owned(), ..of_plan("R__v", 1, State::Applied) },
        ];
        assert_eq!(run_late(&rows).into_iter().collect::<Vec<_>>(), ["002"]);
    }

    #[test]
    fn what_is_repeatable_may_change_and_go() {
        let views = TrackedRow { name: "v".to_owned(), ..row("R__v", "a", State::Applied) };
        let rows = [row("1", "a", State::Applied), views];
        let repeatable =
            |text: &str| SourceFile { kind: FileKind::Repeatable, name: "v".to_owned(), ..file("R__v", text) };
        let files = [file("1", "a"), file("2", "b"), repeatable("b")];
        assert!(says(&files, &rows).is_empty() && notices(&files, &rows).is_empty());
        assert!(is_to_be_repeated(&files[2], &rows[1]) && !is_to_be_repeated(&repeatable("a"), &rows[1]));
        assert!(says(&files[..2], &rows).is_empty());
        assert_eq!(notices(&files[..2], &rows).len(), 1);
    }

    #[test]
    fn what_was_rolled_back_may_change_or_go() {
        let rows = [row("001", "a", State::Applied), row("002", "b", State::RolledBack)];
        assert!(says(&[file("001", "a"), file("002", "new text")], &rows).is_empty());
        assert!(says(&[file("001", "a")], &rows).is_empty());
    }

    #[test]
    fn a_baseline_counts_where_nothing_was_run_before_it() {
        let baseline = |version: &str| SourceFile {
            kind: FileKind::Baseline,
            name: "base".to_owned(),
            path: PathBuf::from(format!("B{version}")),
            ..file(version, "b")
        };
        let files = || vec![file("1", ""), baseline("2"), file("2", ""), file("3", ""), baseline("3"), file("4", "")];
        let names = |rows: &[TrackedRow]| {
            let paths = in_force(files(), rows).into_iter().map(|file| file.path.display().to_string());
            paths.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(&[]), "B3 4_x.sql");
        assert_eq!(names(&[row("1", "", State::Applied)]), "1_x.sql 2_x.sql 3_x.sql 4_x.sql");
        let of_baseline = |version: &str, state| TrackedRow { name: "base".to_owned(), ..row(version, "b", state) };
        assert_eq!(names(&[of_baseline("2", State::Applied)]), "B2 3_x.sql 4_x.sql");
        assert_eq!(names(&[of_baseline("2", State::RolledBack)]), "B3 4_x.sql");
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
