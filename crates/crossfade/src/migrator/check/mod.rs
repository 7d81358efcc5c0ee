//! `check`: what a folder of migrations shows before any database sees it, and what it would run as.

mod base;
mod compare;
mod plans;

use std::path::Path;

use crossfade_core::finding::Finding;
use crossfade_core::finding::Severity;
use crossfade_core::lint::LintFinding;
use crossfade_core::lint::Linter;
use crossfade_core::lint::read_script;

use self::base::Base;
use self::compare::Found;
use self::compare::Rules;
use super::Migrator;
use crate::error::ErrorKind;
use crate::error::Result;
use crate::observer::Observer;
use crate::report::CheckFinding;
use crate::report::CheckReport;
use crate::report::REPORT_FORMAT;
use crate::scratch::ScratchPlace;
use crate::source::Folder;
use crate::source::SourceFile;
use crate::stop::Stop;

/// What `check` is to do.
#[derive(Clone, Debug, Default)]
pub struct CheckOptions {
    /// The branch or commit that the folder is compared with.
    pub base: Option<String>,
    /// Where new files are planned; none: they are not.
    pub scratch: Option<ScratchPlace>,
}

pub(super) async fn check(
    migrator: &Migrator,
    options: &CheckOptions,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<CheckReport> {
    let config = &migrator.config;
    let rules = Rules { out_of_order: config.out_of_order, downs: config.downs };
    let mut report = CheckReport {
        format: REPORT_FORMAT,
        base: None,
        files: 0,
        new: Vec::new(),
        findings: Vec::new(),
        plans: None,
        notes: Vec::new(),
        sources: Vec::new(),
    };
    let mut found = Found::default();
    let Some(Folder { layout, files, .. }) = folder(migrator, &config.migrations, &mut found)? else {
        return Ok(with(report, found));
    };
    let base = options.base.as_ref().map(|name| Base::read(&config.migrations, name, layout)).transpose()?;
    if base.is_none() {
        report.notes.push("nothing was compared with another branch: `--base BRANCH` names one".to_owned());
    }
    report.files = files.len();
    report.base = base.as_ref().map(|base| base.about.clone());
    let new = compare::new_files(&files, base.as_ref());
    report.new = new.iter().map(|file| file.version.clone()).collect();
    if let Some(base) = &base {
        compare::beside(&files, base, rules, &mut found);
    }
    compare::each(&new, rules, &mut found);
    lint_new(migrator, &files, &report.new, &mut found);
    if let Some(place) = &options.scratch {
        if found.files.iter().any(|file| file.findings.iter().any(Finding::is_error)) {
            report.notes.push("nothing was planned: what is wrong with the files comes first".to_owned());
        } else {
            report.plans = Some(plans::plan(migrator, place, &files, &report.new, &mut found, (observer, stop)).await?);
        }
    }
    Ok(with(report, found))
}

/// What the rules of lint find in new files that can be read. What is run in phases is no finding here.
fn lint_new(migrator: &Migrator, files: &[SourceFile], new: &[String], found: &mut Found) {
    let settings = &migrator.config.lint;
    let mut linter = Linter::new(settings);
    for file in files {
        let up = file.text.trim_start_matches('\u{feff}');
        let findings = linter.file(up, &read_script(up)).found;
        if !new.contains(&file.version) {
            continue;
        }
        let mut put = |path: &Path, text: &str, findings: Vec<LintFinding>| {
            let name = path.strip_prefix(".").unwrap_or(path).display().to_string();
            if !settings.ignores(&name) && !found.has_errors(path) {
                let dangers = findings.into_iter().filter(|finding| finding.phased.is_none());
                found.put(path, text, dangers.map(as_finding));
            }
        };
        if let Some((path, down)) = &file.down {
            let down = down.trim_start_matches('\u{feff}');
            let mut findings = linter.way_back(down, &read_script(down)).found;
            // That it drops what was made is what it is for.
            findings.retain(|finding| finding.level > Severity::Note);
            put(path, down, findings);
        }
        put(&file.path, up, findings);
    }
}

fn as_finding(finding: LintFinding) -> Finding {
    let help = match finding.safe_sql {
        Some(sql) => format!("write\n{sql}"),
        None => format!("`crossfade explain {}` says what to write instead", finding.rule),
    };
    Finding {
        rule: finding.rule,
        severity: finding.level,
        span: Some(finding.span),
        message: format!("{}: {}", finding.message, finding.effect),
        help: Some(help),
    }
}

/// The folder; none where it does not add up, which is a finding of its own.
fn folder(migrator: &Migrator, path: &Path, found: &mut Found) -> Result<Option<Folder>> {
    match migrator.folder() {
        Ok(folder) => Ok(Some(folder)),
        Err(error) if error.kind() == ErrorKind::Refused => {
            if error.findings().is_empty() {
                let finding = Finding::error("folder", None, error.chain());
                let hint = error.hint_text().map(str::to_owned);
                found.put(path, "", [Finding { help: hint, ..finding }]);
            }
            for file in error.findings() {
                found.put(&file.path, &file.text, file.findings.clone());
            }
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn with(report: CheckReport, found: Found) -> CheckReport {
    CheckReport { findings: CheckFinding::of(&found.files), sources: found.files, ..report }
}
