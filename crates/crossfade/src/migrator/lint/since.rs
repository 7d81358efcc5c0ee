//! Only what differs from another branch or commit: a finding in a statement that stood there already, in whatever place of its file, was not made here.

use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

use crossfade_core::lint::LintFinding;
use crossfade_core::lint::Script;
use crossfade_core::lint::read_script;
use crossfade_core::sql::Span;

use super::super::Migrator;
use super::super::git::Git;
use crate::error::Result;

/// What was changed since a commit.
pub(super) struct Since {
    git: Git,
    fork: String,
    changed: BTreeSet<PathBuf>,
}

impl Since {
    /// Asks git what differs from where this branch left the other one.
    pub fn read(migrator: &Migrator, paths: &[PathBuf], name: &str) -> Result<Since> {
        let first = paths.first().unwrap_or(&migrator.config.migrations);
        let folder = if first.is_dir() { first.as_path() } else { first.parent().unwrap_or(first) };
        let here = folder.as_os_str().is_empty();
        let git = Git::of(if here { Path::new(".") } else { folder })?;
        let fork = git.fork(name)?.fork;
        let real = |path: PathBuf| path.canonicalize().unwrap_or(path);
        let changed = git.changed(&fork)?.into_iter().map(real).collect();
        Ok(Since { git, fork, changed })
    }

    /// None where a file is as it was; else its text there, where it was there at all.
    pub fn text(&self, path: &Path) -> Result<Option<Option<String>>> {
        let path = path.canonicalize().unwrap_or(path.to_owned());
        if !self.changed.contains(&path) {
            return Ok(None);
        }
        Ok(Some(self.git.text(&self.fork, &path)?))
    }
}

/// Takes away what was found in statements and comments that the old text has, too.
pub(super) fn keep_new(findings: &mut Vec<LintFinding>, (text, script): (&str, &Script), old: Option<&str>) {
    let Some(old) = old.map(|old| old.trim_start_matches('\u{feff}')) else { return };
    let stood: BTreeSet<String> = read_script(old).statements().map(|span| plain(span.of(old))).collect();
    let comments = plain(old);
    let around = |span: Span| script.statements().find(|outer| outer.start <= span.start && span.start < outer.end);
    findings.retain(|finding| match around(finding.span) {
        Some(statement) => !stood.contains(&plain(statement.of(text))),
        None => {
            let about = plain(finding.span.of(text));
            about.is_empty() || !comments.contains(&about)
        }
    });
}

/// White space is no difference.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use crossfade_core::lint::LintSettings;
    use crossfade_core::lint::Linter;

    use super::*;

    fn left(old: Option<&str>, new: &str) -> Vec<(String, usize)> {
        let settings = LintSettings::default();
        let script = read_script(new);
        let mut findings = Linter::new(&settings).file(new, &script).found;
        keep_new(&mut findings, (new, &script), old);
        let shown = |finding: LintFinding| (finding.rule, finding.span.line_and_column(new).0);
        let rules = |(rule, _): &(String, usize)| rule == "create-index-blocking";
        findings.into_iter().map(shown).filter(rules).collect()
    }

    #[test]
    fn only_what_is_new_is_found() {
        let (a, b) = ("CREATE INDEX a ON t (a);\n", "CREATE INDEX b ON t (b);\n");
        let found = |line| ("create-index-blocking".to_owned(), line);
        let both = format!("{a}{b}");
        assert_eq!(left(None, &both), [found(1), found(2)]);
        assert_eq!(left(Some(""), &both), [found(1), found(2)]);
        assert_eq!(left(Some(a), &both), [found(2)]);
        // Moved, and written in another way.
        assert_eq!(left(Some(&format!("{b}{}", a.replace(' ', "  "))), &both), []);
        assert_eq!(left(Some(&a.replace("(a)", "(a, x)")), a), [found(1)]);
    }
}
