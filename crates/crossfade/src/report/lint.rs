//! What `lint` found.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crossfade_core::finding::Severity;
use crossfade_core::lint::LintFinding;
use crossfade_core::lint::Rule;
use crossfade_core::lock::LockMode;
use serde::Serialize;

/// What `lint` found.
#[derive(Clone, Debug, Serialize)]
pub struct LintReport {
    /// [`super::REPORT_FORMAT`].
    pub format: u32,
    /// How many files were looked at.
    pub files: usize,
    /// What was found, file by file.
    pub findings: Vec<LintPlace>,
    /// What comments of the files allow, each with its reason.
    pub allowed: Vec<LintPlace>,
    /// The findings with the texts that they point into; only files in which there are some.
    #[serde(skip)]
    pub sources: Vec<LintedFile>,
}

impl LintReport {
    /// Of files as they were looked at.
    pub(crate) fn of(files: Vec<LintedFile>) -> LintReport {
        LintReport {
            format: super::REPORT_FORMAT,
            // A migration and its way back may stand in one.
            files: files.iter().map(|file| &file.path).collect::<BTreeSet<_>>().len(),
            findings: files.iter().flat_map(|file| LintPlace::of(file, &file.findings)).collect(),
            allowed: files.iter().flat_map(|file| LintPlace::of(file, &file.allowed)).collect(),
            sources: files.into_iter().filter(|file| !file.findings.is_empty() || !file.allowed.is_empty()).collect(),
        }
    }

    /// How many findings have this level.
    pub fn count(&self, level: Severity) -> usize {
        self.findings.iter().filter(|place| place.finding.level == level).count()
    }

    /// Whether a finding is at least as bad as this.
    pub fn reaches(&self, level: Severity) -> bool {
        self.findings.iter().any(|place| place.finding.level >= level)
    }
}

/// A file with what was found in it.
#[derive(Clone, Debug)]
pub struct LintedFile {
    /// The file.
    pub path: PathBuf,
    /// Its text, without a byte order mark.
    pub text: String,
    /// What was found.
    pub findings: Vec<LintFinding>,
    /// What a comment allows.
    pub allowed: Vec<LintFinding>,
}

/// A finding with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LintPlace {
    /// The file.
    pub path: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The line on which it ends.
    pub end_line: usize,
    /// The column behind its last character.
    pub end_column: usize,
    /// What was found.
    #[serde(flatten)]
    pub finding: LintFinding,
}

impl LintPlace {
    fn of(file: &LintedFile, findings: &[LintFinding]) -> Vec<LintPlace> {
        let path = file.path.strip_prefix(".").unwrap_or(&file.path).display().to_string();
        let places = findings.iter().map(|finding| {
            let (line, column) = finding.span.line_and_column(&file.text);
            let end = crossfade_core::sql::Span::new(finding.span.end, finding.span.end);
            let (end_line, end_column) = end.line_and_column(&file.text);
            LintPlace { path: path.clone(), line, column, end_line, end_column, finding: finding.clone() }
        });
        places.collect()
    }
}

/// A rule with what its page says.
#[derive(Clone, Debug, Serialize)]
pub struct RuleReport {
    /// [`super::REPORT_FORMAT`].
    pub format: u32,
    /// Its name.
    pub rule: &'static str,
    /// How bad it is; none: off until it is asked for.
    pub level: Option<Severity>,
    /// What it finds.
    pub title: &'static str,
    /// Who is blocked or what breaks.
    pub effect: &'static str,
    /// The strongest lock that the bad case takes on a table that is in use.
    pub lock: Option<LockMode>,
    /// Whether the table is written anew.
    pub rewrite: bool,
    /// Whether the table is read as a whole.
    pub scan: bool,
    /// The schema before the examples.
    pub setup: &'static str,
    /// What it finds.
    pub bad: &'static str,
    /// What to write instead.
    pub good: &'static str,
    /// When it is no harm.
    pub exceptions: &'static str,
    /// Where that is known from.
    pub source: &'static str,
}

impl RuleReport {
    /// Of a rule.
    pub fn of(rule: &Rule) -> RuleReport {
        RuleReport {
            format: super::REPORT_FORMAT,
            rule: rule.name,
            level: rule.level,
            title: rule.title,
            effect: rule.effect,
            lock: rule.lock(),
            rewrite: rule.cost.is_some_and(|cost| cost.rewrite),
            scan: rule.cost.is_some_and(|cost| cost.scan),
            setup: rule.setup,
            bad: rule.bad,
            good: rule.good,
            exceptions: rule.exceptions,
            source: rule.source,
        }
    }
}
