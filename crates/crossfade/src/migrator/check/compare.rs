//! The folder beside the base branch's, and each file by itself. Pure.

use std::path::Path;

use crossfade_core::finding::Finding;
use crossfade_core::migration::Migration;
use crossfade_core::migration::checksum;
use crossfade_core::sql::same_code;
use crossfade_core::squash::Replaced;
use crossfade_core::squash::replaced;

use super::base::Base;
use crate::config::Downs;
use crate::config::OutOfOrder;
use crate::error::FileFindings;
use crate::source::FileKind;
use crate::source::SourceFile;
use crate::source::VersionKey;

/// What a team has decided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub out_of_order: OutOfOrder,
    pub downs: Downs,
}

/// Findings by file, in the order in which they come up.
#[derive(Default)]
pub(super) struct Found {
    pub files: Vec<FileFindings>,
}

impl Found {
    pub fn put(&mut self, path: &Path, text: &str, findings: impl IntoIterator<Item = Finding>) {
        let findings: Vec<Finding> = findings.into_iter().collect();
        if findings.is_empty() {
            return;
        }
        match self.files.iter_mut().find(|file| file.path == path) {
            Some(file) => {
                let new = findings.into_iter().filter(|finding| !file.findings.contains(finding)).collect::<Vec<_>>();
                file.findings.extend(new);
            }
            None => self.files.push(FileFindings { path: path.to_owned(), text: text.to_owned(), findings }),
        }
    }

    /// Whether something is wrong with a file already.
    pub fn has_errors(&self, path: &Path) -> bool {
        self.files.iter().any(|file| file.path == path && file.findings.iter().any(Finding::is_error))
    }

    /// About a file as a whole.
    fn about(&mut self, file: &SourceFile, finding: Finding) {
        self.put(&file.path, shown(&file.text), [finding]);
    }
}

/// As the parser counts: without a byte order mark.
fn shown(text: &str) -> &str {
    text.trim_start_matches('\u{feff}')
}

/// Files that the base does not have; without a base, all.
pub(super) fn new_files<'f>(files: &'f [SourceFile], base: Option<&Base>) -> Vec<&'f SourceFile> {
    let Some(base) = base else { return files.iter().collect() };
    let known = |file: &SourceFile| {
        let same = |other: &&SourceFile| is_same(file, other);
        // What was merged there meanwhile, and came here by another way, is the same file.
        let merged = base.tip.iter().find(same).is_some_and(|tip| checksum(&tip.text) == checksum(&file.text));
        merged || base.fork.iter().any(|other| is_same(file, other))
    };
    files.iter().filter(|file| !known(file)).collect()
}

fn is_same(one: &SourceFile, other: &SourceFile) -> bool {
    let repeatable = |file: &SourceFile| file.kind == FileKind::Repeatable;
    repeatable(one) == repeatable(other)
        && if repeatable(one) {
            one.version == other.version
        } else {
            VersionKey::of(&one.version) == VersionKey::of(&other.version)
        }
}

/// Order, changed and deleted files, versions that are taken.
pub(super) fn beside(files: &[SourceFile], base: &Base, rules: Rules, found: &mut Found) {
    let name = base.about.name.as_str();
    let versioned = |file: &&SourceFile| file.kind != FileKind::Repeatable;
    for old in base.fork.iter().filter(versioned) {
        match files.iter().find(|file| is_same(file, old)) {
            Some(file) => changed(file, old, name, found),
            None => missing(old, files, base, found),
        }
    }
    let newest = base.tip.iter().filter(versioned).max_by_key(|file| VersionKey::of(&file.version));
    for file in new_files(files, Some(base)).into_iter().filter(versioned) {
        if let Some(taken) = base.tip.iter().find(|other| is_same(file, other)) {
            let message = format!("{name} has this version by now: {}", file_name(&taken.path));
            found.about(
                file,
                Finding::error("duplicate-version", None, message)
                    .help("give it the next free number, on top of the base: `crossfade renumber --offline`"),
            );
        } else if let Some(newest) = newest
            && VersionKey::of(&file.version) < VersionKey::of(&newest.version)
            && !file.may_be_late
            && !is_renamed(file, base)
        {
            let message = format!("this comes before {}, which is on {name} already", file_name(&newest.path));
            let finding = match rules.out_of_order {
                OutOfOrder::Refuse => Finding::error("out-of-order", None, message),
                OutOfOrder::Allow => Finding::warning("out-of-order", None, message),
            };
            found.about(file, finding.help("give it the next free number: `crossfade renumber --offline`; where the base has run, it would be refused or come late"));
        }
    }
}

fn changed(file: &SourceFile, old: &SourceFile, base: &str, found: &mut Found) {
    if checksum(&file.text) != checksum(&old.text) && !replaces(file, old) {
        let finding = if same_code(&file.text, &old.text) {
            Finding::note("changed-comment", None, format!("only comments and white space differ from {base}"))
        } else {
            Finding::error(
                "changed-file",
                None,
                format!("this is on {base} with another text: where that was run, this is refused"),
            )
            .help(format!(
                "restore it (git checkout {base} -- {}), and write the change as a new migration",
                file.path.display()
            ))
        };
        found.about(file, finding);
    }
    match (&file.down, &old.down) {
        (Some((path, text)), Some((_, before))) if checksum(text) != checksum(before) => {
            let message = format!("this way back has another text than on {base}");
            found.put(
                path,
                shown(text),
                [Finding::note("changed-down", None, message).help(
                    "a way back may be mended: the file's text is taken as long as the migration itself is the same",
                )],
            );
        }
        (None, Some((path, _))) => {
            let message = format!("the way back of {} is on {base}, and is missing here", file_name(&file.path));
            found.put(path, "", [Finding::warning("deleted-down", None, message)]);
        }
        (Some(_) | None, Some(_) | None) => {}
    }
}

/// Whether a file is a squashed one that stands for the other, with the text that it has.
fn replaces(file: &SourceFile, old: &SourceFile) -> bool {
    let was = Replaced::of(&old.version, &old.name, &old.text);
    let same = |entry: &Replaced| {
        VersionKey::of(&entry.version) == VersionKey::of(&old.version)
            && (entry.checksum == was.checksum || entry.code == was.code)
    };
    replaced(&file.text).is_ok_and(|entries| entries.iter().any(same))
}

fn missing(old: &SourceFile, files: &[SourceFile], base: &Base, found: &mut Found) {
    let name = base.about.name.as_str();
    if files.iter().any(|file| replaces(file, old)) {
        return;
    }
    let moved = files.iter().find(|file| {
        checksum(&file.text) == checksum(&old.text) && !base.fork.iter().any(|other| is_same(file, other))
    });
    match moved {
        Some(file) => {
            let message =
                format!("{name} has this as {}: where that was run, this would be run again", file_name(&old.path));
            found.about(file, Finding::error("renamed-file", None, message).help("keep the version that it has there"));
        }
        None => {
            let message =
                format!("this is on {name}, and is missing here: where it was run, everything else is refused");
            let finding = Finding::error("deleted-file", None, message).help(format!(
                "bring it back: git checkout {name} -- {}; a migration that undoes it takes its effect away",
                old.path.display()
            ));
            found.put(&old.path, "", [finding]);
        }
    }
}

fn is_renamed(file: &SourceFile, base: &Base) -> bool {
    base.fork.iter().any(|old| checksum(&old.text) == checksum(&file.text))
}

/// What a file shows by itself: syntax, directives, what is never run; and whether there is a way back, where that is wanted.
pub(super) fn each(files: &[&SourceFile], rules: Rules, found: &mut Found) {
    for file in files {
        found.put(&file.path, shown(&file.text), problems(file, &file.text, &file.findings));
        if let Some((path, text)) = &file.down {
            found.put(path, shown(text), problems(file, text, &file.down_findings));
        } else if rules.downs == Downs::Require && file.kind == FileKind::Versioned {
            found.about(
                file,
                Finding::error(
                    "missing-down",
                    None,
                    "this has no way back, and crossfade.toml requires one (downs = \"require\")",
                )
                .help("write its down file; `crossfade test` proves it"),
            );
        }
    }
}

fn problems(file: &SourceFile, text: &str, known: &[Finding]) -> Vec<Finding> {
    if !known.is_empty() {
        return known.to_vec();
    }
    Migration::parse(&file.version, &file.name, text).err().unwrap_or_default()
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::report::CheckedBase;

    fn file(name: &str, text: &str) -> SourceFile {
        let (version, rest) = name.split_once('_').unwrap();
        SourceFile {
            version: version.to_owned(),
            name: rest.to_owned(),
            path: PathBuf::from(format!("{name}.sql")),
            text: text.to_owned(),
            ..SourceFile::default()
        }
    }

    fn base(fork: &[SourceFile], tip: &[SourceFile]) -> Base {
        let about = CheckedBase { name: "main".to_owned(), commit: "c".to_owned(), fork: "f".to_owned() };
        Base { about, fork: fork.to_vec(), tip: tip.to_vec() }
    }

    const RULES: Rules = Rules { out_of_order: OutOfOrder::Refuse, downs: Downs::Allow };

    fn rules_of(files: &[SourceFile], base: &Base, rules: Rules) -> Vec<String> {
        let mut found = Found::default();
        beside(files, base, rules, &mut found);
        let each = |file: &FileFindings| {
            let path = file.path.display().to_string();
            file.findings.iter().map(move |finding| format!("{} {path}", finding.rule)).collect::<Vec<_>>()
        };
        found.files.iter().flat_map(each).collect()
    }

    fn check(files: &[SourceFile], base: &Base) -> Vec<String> {
        rules_of(files, base, RULES)
    }

    #[test]
    fn what_is_new_comes_behind_what_the_base_has_by_now() {
        let (one, two, three) = (file("001_a", "SELECT 1;"), file("002_b", "SELECT 2;"), file("003_c", "SELECT 3;"));
        let merged = base(std::slice::from_ref(&one), &[one.clone(), three.clone()]);
        assert_eq!(check(&[one.clone(), two.clone()], &merged), ["out-of-order 002_b.sql"]);
        assert_eq!(check(&[one.clone(), file("004_d", "SELECT 4;")], &merged), Vec::<String>::new());
        assert_eq!(check(&[one.clone(), file("003_x", "SELECT 5;")], &merged), ["duplicate-version 003_x.sql"]);
        // It came here by another way, and is the same.
        assert_eq!(check(&[one.clone(), three], &merged), Vec::<String>::new());
        let allow = Rules { out_of_order: OutOfOrder::Allow, ..RULES };
        let mut found = Found::default();
        beside(&[one.clone(), two.clone()], &merged, allow, &mut found);
        assert!(found.files.iter().all(|file| file.findings.iter().all(|finding| !finding.is_error())));
        let late = SourceFile { may_be_late: true, ..two };
        assert_eq!(check(&[one, late], &merged), Vec::<String>::new());
    }

    #[test]
    fn what_the_base_has_stays_as_it_is() {
        let (one, two) = (file("001_a", "SELECT 1;"), file("002_b", "SELECT 2;"));
        let both = [one.clone(), two.clone()];
        let main = base(&both, &both);
        assert_eq!(check(&both, &main), Vec::<String>::new());
        assert_eq!(check(&[file("001_a", "SELECT 7;"), two.clone()], &main), ["changed-file 001_a.sql"]);
        assert_eq!(check(&[file("001_a", "SELECT 1; -- one\r\n"), two.clone()], &main), ["changed-comment 001_a.sql"]);
        assert_eq!(check(&[file("1_a", "SELECT 1;\r\n"), two.clone()], &main).len(), 1, "a line end more is a comment");
        assert_eq!(check(std::slice::from_ref(&one), &main), ["deleted-file 002_b.sql"]);
        assert_eq!(check(&[one.clone(), file("005_b", "SELECT 2;")], &main), ["renamed-file 005_b.sql"]);
        // What was changed on the base after this branch left it was not changed here.
        let moved_on = base(&both, &[one.clone(), file("002_b", "SELECT 22;"), file("003_c", "SELECT 3;")]);
        assert_eq!(check(&both, &moved_on), Vec::<String>::new());
    }

    #[test]
    fn ways_back_may_be_mended_and_what_is_repeatable_may_change() {
        let with_down = |down: &str| SourceFile {
            down: Some((PathBuf::from("001_a_down.sql"), down.to_owned())),
            ..file("001_a", "SELECT 1;")
        };
        let main = base(&[with_down("SELECT 2;")], &[with_down("SELECT 2;")]);
        assert_eq!(check(&[with_down("SELECT 3;")], &main), ["changed-down 001_a_down.sql"]);
        assert_eq!(check(&[file("001_a", "SELECT 1;")], &main), ["deleted-down 001_a_down.sql"]);
        let repeatable = |text: &str| SourceFile { kind: FileKind::Repeatable, ..file("R_view", text) };
        let main = base(&[repeatable("SELECT 1;")], &[repeatable("SELECT 1;")]);
        assert_eq!(check(&[repeatable("SELECT 2;")], &main), Vec::<String>::new());
        assert_eq!(check(&[], &main), Vec::<String>::new());
    }

    #[test]
    fn what_was_squashed_is_not_missed() {
        let (one, two) = (file("001_a", "SELECT 1;"), file("002_b", "SELECT 2;"));
        let both = [one.clone(), two.clone()];
        let pieces = both.each_ref().map(|file| crossfade_core::squash::Piece {
            version: &file.version,
            name: &file.name,
            text: &file.text,
        });
        let squashed = file("002_squashed", &crossfade_core::squash::compose(&pieces).unwrap());
        assert_eq!(check(std::slice::from_ref(&squashed), &base(&both, &both)), Vec::<String>::new());
        // It says of the first one that it had another text.
        let other = [file("001_a", "SELECT 9;"), two.clone()];
        assert_eq!(check(&[squashed], &base(&other, &other)), ["deleted-file 001_a.sql"]);
    }

    #[test]
    fn each_file_is_read_and_its_way_back_asked_for() {
        let found = |file: &SourceFile, downs| {
            let mut found = Found::default();
            each(&[file], Rules { downs, ..RULES }, &mut found);
            let findings = found.files.into_iter().flat_map(|file| file.findings);
            findings.map(|finding| finding.rule).collect::<Vec<_>>()
        };
        let good = file("001_a", "CREATE TABLE a ();");
        assert_eq!(found(&good, Downs::Allow), Vec::<String>::new());
        assert_eq!(found(&good, Downs::Require), ["missing-down"]);
        assert_eq!(found(&file("001_a", "CREATE TABEL a ();"), Downs::Allow), ["syntax"]);
        let down = Some((PathBuf::from("001_a_down.sql"), "DORP TABLE a;".to_owned()));
        assert_eq!(found(&SourceFile { down, ..good.clone() }, Downs::Require), ["syntax"]);
        let program = SourceFile { findings: vec![Finding::error("not-sql", None, "a program")], ..good };
        assert_eq!(found(&program, Downs::Allow), ["not-sql"]);
    }
}
