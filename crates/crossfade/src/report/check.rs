//! What `check` found.

use crossfade_core::finding::Severity;
use serde::Serialize;

use crate::error::FileFindings;

/// What `check` found.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    /// [`super::REPORT_FORMAT`].
    pub format: u32,
    /// What the folder was compared with; none where nothing was named.
    pub base: Option<CheckedBase>,
    /// How many migrations the folder has.
    pub files: usize,
    /// Versions that the base does not have; without one, all.
    pub new: Vec<String>,
    /// What was found, file by file.
    pub findings: Vec<CheckFinding>,
    /// How the new files would run; none where that was not asked for.
    pub plans: Option<Vec<CheckedPlan>>,
    /// What else a reader should know.
    pub notes: Vec<String>,
    /// The findings with the texts that they point into.
    #[serde(skip)]
    pub sources: Vec<FileFindings>,
}

impl CheckReport {
    /// Whether nothing stands in the way.
    pub fn passes(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity != Severity::Error)
    }
}

/// What the folder was compared with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckedBase {
    /// As it was named.
    pub name: String,
    /// The commit that it is at.
    pub commit: String,
    /// The commit from which this branch left it.
    pub fork: String,
}

/// A finding with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckFinding {
    /// The rule's name.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// The file, or the folder.
    pub path: String,
    /// From 1; none where it is about the whole file.
    pub line: Option<usize>,
    /// From 1, in characters.
    pub column: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl CheckFinding {
    /// All findings of these files.
    pub(crate) fn of(files: &[FileFindings]) -> Vec<CheckFinding> {
        let each = |file: &FileFindings| {
            let path = file.path.strip_prefix(".").unwrap_or(&file.path).display().to_string();
            let found = file.findings.iter().map(|finding| {
                let place = finding.span.filter(|_| !file.text.is_empty()).map(|span| span.line_and_column(&file.text));
                CheckFinding {
                    rule: finding.rule.clone(),
                    severity: finding.severity,
                    path: path.clone(),
                    line: place.map(|(line, _)| line),
                    column: place.map(|(_, column)| column),
                    message: finding.message.clone(),
                    help: finding.help.clone(),
                }
            });
            found.collect::<Vec<_>>()
        };
        files.iter().flat_map(each).collect()
    }
}

/// How a new file would run.
#[derive(Clone, Debug, Serialize)]
pub struct CheckedPlan {
    /// Its version.
    pub version: String,
    /// Its name.
    pub name: String,
    /// Whether it waits for a deploy.
    pub phased: bool,
    /// What its steps do, one line each.
    pub steps: Vec<String>,
}
