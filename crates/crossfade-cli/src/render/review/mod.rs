//! What `lint` and `check` found, in the forms that other programs read. One file a form; each is a pure function of the same problems.

mod github;
mod gitlab;
mod junit;
mod markdown;
mod sarif;

use std::collections::BTreeMap;

use crossfade::error::FileFindings;
use crossfade::report::CheckReport;
use crossfade::report::LintReport;
use crossfade::report::LintedFile;
use crossfade_core::finding::Severity;
use crossfade_core::lint::LintFinding;
use crossfade_core::lint::rules;
use crossfade_core::migration::checksum;
use crossfade_core::sql::Span;

pub use self::github::annotations;
pub use self::gitlab::code_quality;
pub use self::junit::junit;
pub use self::markdown::markdown;
pub use self::sarif::sarif;
use super::lint::reasons;
use super::shown;

/// Where the pages of the rules are.
const PAGES: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs");

/// What a command found.
#[derive(Clone, Debug)]
pub struct Review {
    /// The command.
    pub tool: &'static str,
    /// How many files it looked at.
    pub files: usize,
    /// What it found, file by file.
    pub problems: Vec<Problem>,
    /// What comments of the files allow.
    pub allowed: Vec<Problem>,
}

/// A finding with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The rule's name.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// The file, with `/` between its parts.
    pub path: String,
    /// Where in it; none where it is about the file as a whole.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// Why, and what else is known; a sentence each.
    pub reasons: Vec<String>,
    /// What to do.
    pub help: Option<String>,
    /// SQL that does the same without the harm.
    pub safe_sql: Option<String>,
    /// How it is known.
    pub evidence: Option<&'static str>,
    /// The reason for which it is allowed.
    pub allowed: Option<String>,
    /// The page of its rule.
    pub page: String,
    /// What it is known by when lines move: of rule, file and the text that it is about, and unique among all.
    pub fingerprint: String,
}

/// A part of a file. Lines and columns count from 1, columns in characters; the end is behind the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    pub column: usize,
    pub end_line: usize,
    pub end_column: usize,
    /// The text.
    pub text: String,
}

impl Place {
    fn of(span: Span, text: &str) -> Place {
        let (line, column) = span.line_and_column(text);
        let (end_line, end_column) = Span::new(span.end, span.end).line_and_column(text);
        Place {
            line,
            column,
            end_line,
            end_column,
            text: text.get(span.start..span.end).unwrap_or_default().to_owned(),
        }
    }
}

impl Problem {
    /// All that is said of it, in one text.
    fn body(&self) -> String {
        let safe = self.safe_sql.as_ref().map(|sql| format!("write\n{sql}"));
        let lines = self.reasons.iter().cloned().chain(self.help.clone()).chain(safe);
        lines.collect::<Vec<_>>().join("\n")
    }

    /// `path:line:column`, or the path.
    fn at(&self) -> String {
        match &self.place {
            Some(place) => format!("{}:{}:{}", self.path, place.line, place.column),
            None => self.path.clone(),
        }
    }
}

impl Review {
    /// Of `check`.
    pub fn of_check(report: &CheckReport) -> Review {
        let of_file = |file: &FileFindings| {
            let path = with_slashes(&shown(&file.path));
            let problem = |finding: &crossfade_core::finding::Finding| Problem {
                rule: finding.rule.clone(),
                severity: finding.severity,
                path: path.clone(),
                place: finding.span.filter(|_| !file.text.is_empty()).map(|span| Place::of(span, &file.text)),
                message: finding.message.clone(),
                reasons: Vec::new(),
                help: finding.help.clone(),
                safe_sql: None,
                evidence: None,
                allowed: None,
                page: format!("{PAGES}/ci.md"),
                fingerprint: String::new(),
            };
            file.findings.iter().map(problem).collect::<Vec<_>>()
        };
        Review::new("crossfade check", report.files, report.sources.iter().flat_map(of_file).collect(), Vec::new())
    }

    /// Of `lint`.
    pub fn of_lint(report: &LintReport) -> Review {
        let of_file = |file: &LintedFile, findings: &[LintFinding]| {
            let path = with_slashes(&shown(&file.path));
            let problem = |finding: &LintFinding| Problem {
                rule: finding.rule.clone(),
                severity: finding.level,
                path: path.clone(),
                place: Some(Place::of(finding.span, &file.text)),
                message: finding.message.clone(),
                reasons: reasons(finding),
                help: None,
                safe_sql: finding.safe_sql.clone().filter(|_| finding.phased.is_none()),
                evidence: Some(finding.evidence.name()),
                allowed: finding.allowed.clone(),
                page: format!("{PAGES}/rules/{}.md", finding.rule),
                fingerprint: String::new(),
            };
            findings.iter().map(problem).collect::<Vec<_>>()
        };
        let found = report.sources.iter().flat_map(|file| of_file(file, &file.findings)).collect();
        let allowed = report.sources.iter().flat_map(|file| of_file(file, &file.allowed)).collect();
        Review::new("crossfade lint", report.files, found, allowed)
    }

    fn new(tool: &'static str, files: usize, mut problems: Vec<Problem>, mut allowed: Vec<Problem>) -> Review {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for problem in problems.iter_mut().chain(&mut allowed) {
            let text = problem.place.as_ref().map_or(problem.message.as_str(), |place| &place.text);
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let same = [problem.rule.as_str(), &problem.path, &text].join("\n");
            let turn = seen.entry(same.clone()).and_modify(|turn| *turn += 1).or_insert(1);
            let digest = checksum(&format!("{same}\n{turn}"));
            let digest = digest.rsplit(':').next().unwrap_or_default();
            problem.fingerprint = digest.chars().take(32).collect();
        }
        Review { tool, files, problems, allowed }
    }

    /// How many are as bad as this.
    fn count(&self, severity: Severity) -> usize {
        self.problems.iter().filter(|problem| problem.severity == severity).count()
    }

    /// The worst first; else as they were found.
    fn worst_first(&self) -> Vec<&Problem> {
        let mut sorted: Vec<&Problem> = self.problems.iter().collect();
        sorted.sort_by_key(|problem| std::cmp::Reverse(problem.severity));
        sorted
    }

    /// `3 errors, 1 warning`, or that there is nothing.
    fn counts(&self) -> String {
        let each = [
            (Severity::Error, "error", "errors"),
            (Severity::Warning, "warning", "warnings"),
            (Severity::Note, "note", "notes"),
        ];
        let said: Vec<String> = each
            .into_iter()
            .map(|(severity, one, many)| (self.count(severity) as u64, one, many))
            .filter(|(count, _, _)| *count > 0)
            .map(|(count, one, many)| super::human::counted(count, one, many))
            .collect();
        if said.is_empty() { "nothing was found".to_owned() } else { said.join(", ") }
    }
}

/// What a rule is about, in one line.
fn title(rule: &str) -> String {
    rules::by_name(rule).map_or_else(|| rule.replace('-', " "), |rule| rule.title.to_owned())
}

fn with_slashes(path: &str) -> String {
    if cfg!(windows) { path.replace('\\', "/") } else { path.to_owned() }
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crossfade_core::lint::Evidence;
    use crossfade_core::lock::LockMode;
    use insta::assert_snapshot;

    use super::*;

    const NASTY: &str = "-- größe\nCREATE INDEX \"a|b`<x>\" ON users (\n  email\n);\nSELECT 1;\nCREATE INDEX \"a|b`<x>\" ON users (email);\n";

    fn finding(text: &str, of: &str, level: Severity) -> LintFinding {
        let start = text.find(of).unwrap();
        LintFinding {
            rule: "create-index-blocking".to_owned(),
            level,
            evidence: Evidence::Text,
            span: Span::new(start, start + of.len()),
            message: "CREATE INDEX \"a|b`<x>\" is built in one go, 100%::of it".to_owned(),
            effect: "writes wait,\nand <b>more</b>".to_owned(),
            lock: Some(LockMode::Share),
            blocked_for: None,
            safe_sql: Some("CREATE INDEX CONCURRENTLY \"a|b`<x>\" ON users (email);".to_owned()),
            phased: None,
            allowed: None,
        }
    }

    fn review(text: &str) -> Review {
        let first = text.find("CREATE INDEX").unwrap();
        let end = first + text[first..].find(';').unwrap();
        let path = PathBuf::from("./db/größe, 100%.sql");
        let findings = vec![
            finding(text, &text[first..end], Severity::Error),
            finding(text, "SELECT 1", Severity::Warning),
            LintFinding {
                phased: Some("the index is built CONCURRENTLY".to_owned()),
                ..finding(text, "SELECT 1", Severity::Note)
            },
        ];
        let reason = "it is \"small\", see <x>".to_owned();
        let allowed = vec![LintFinding { allowed: Some(reason), ..finding(text, "SELECT 1", Severity::Error) }];
        let file = LintedFile { path, text: text.to_owned(), findings, allowed };
        let report = LintReport { format: 1, files: 3, findings: Vec::new(), allowed: Vec::new(), sources: vec![file] };
        Review::of_lint(&report)
    }

    #[test]
    fn every_form_of_what_is_hard_to_write() {
        let review = review(NASTY);
        assert_snapshot!("review_github", annotations(&review));
        assert_snapshot!("review_gitlab", code_quality(&review));
        assert_snapshot!("review_junit", junit(&review).unwrap());
        assert_snapshot!("review_markdown", markdown(&review));
        let sarif = sarif(&review, "0.0.0");
        assert_snapshot!("review_sarif", sarif);
    }

    #[test]
    fn nothing_found_is_a_form_too() {
        let empty = Review::new("crossfade lint", 2, Vec::new(), Vec::new());
        assert_eq!(annotations(&empty), "");
        assert_eq!(code_quality(&empty), "[]");
        assert!(junit(&empty).unwrap().contains("tests=\"1\" failures=\"0\""), "{}", junit(&empty).unwrap());
        assert!(markdown(&empty).contains("2 files: nothing was found"));
    }

    #[test]
    fn fingerprints_stay_when_lines_move_and_differ_for_what_stands_twice() {
        let prints =
            |review: &Review| review.problems.iter().map(|found| found.fingerprint.clone()).collect::<Vec<_>>();
        let here = prints(&review(NASTY));
        let moved = prints(&review(&format!("-- one\n-- two\n{}", NASTY.replace("(\n  email\n)", "( email )"))));
        assert_eq!(here, moved);
        let unique: std::collections::BTreeSet<&String> = here.iter().collect();
        assert_eq!(unique.len(), here.len(), "{here:?}");
        let other = prints(&review(&NASTY.replace("email", "name")));
        assert_ne!(here[0], other[0]);
        assert_eq!(here[1], other[1]);
    }

    #[test]
    fn a_place_counts_characters_and_ends_behind_its_last_one() {
        let review = review(NASTY);
        let place = review.problems[0].place.as_ref().unwrap();
        assert_eq!((place.line, place.column, place.end_line, place.end_column), (2, 1, 4, 2));
        let text = "SELECT 'ä😀', x;";
        let start = text.find('x').unwrap();
        assert_eq!(Place::of(Span::new(start, start + 1), text).column, 14);
    }

    /// GitHub shows ten of a kind; the log has all.
    #[test]
    fn errors_come_first_where_only_some_are_shown() {
        let mut review = review(NASTY);
        let (error, note) = (review.problems[0].clone(), review.problems[2].clone());
        review.problems = vec![note, error];
        let text = annotations(&review);
        assert!(text.starts_with("::error "), "{text}");
    }
}
