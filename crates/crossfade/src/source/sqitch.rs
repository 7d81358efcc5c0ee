//! sqitch: `sqitch.plan` says what there is and in which order; the scripts are in `deploy/` and `revert/`. A change's version is its place in
//! the plan.

use std::path::Path;
use std::path::PathBuf;

use super::Draft;
use super::SourceFile;
use super::embedded::Medium;
use super::listing::Entry;
use super::text;
use crate::error::Error;
use crate::error::Result;

/// The plan's name.
pub(super) const PLAN: &str = "sqitch.plan";

/// The folders with the scripts of both ways.
pub(super) const DEPLOY: &str = "deploy";
pub(super) const REVERT: &str = "revert";

/// A line of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
enum PlanLine {
    Change(String),
    Tag(String),
}

/// Reads the plan of a folder, and the scripts of its changes.
pub(super) fn read(medium: Medium<'_>, folder: &Path) -> Result<Draft> {
    let path = folder.join(PLAN);
    let plan = parse(&text::read(medium, &path)?.text, &path)?;
    let mut draft = Draft::default();
    let mut number = 0;
    for (at, line) in plan.iter().enumerate() {
        let PlanLine::Change(name) = line else { continue };
        number += 1;
        let stem = stem_of(medium, folder, name, plan.get(at + 1..).unwrap_or_default());
        let deploy = folder.join(DEPLOY).join(format!("{stem}.sql"));
        if !medium.is_file(&deploy) {
            return Err(Error::refused(format!("{} stands in {} and is not there", deploy.display(), path.display()))
                .hint("bring the file back (it is in version control), or take the change out of the plan"));
        }
        let entry = Entry { name: format!("{stem}.sql"), path: deploy };
        let mut file = SourceFile {
            version: format!("{number:03}"),
            name: name.clone(),
            ..SourceFile::of(&entry, text::read(medium, &entry.path)?)
        };
        let revert = folder.join(REVERT).join(format!("{stem}.sql"));
        if medium.is_file(&revert) {
            let text = text::read(medium, &revert)?.text;
            file.down = Some((revert, text));
        }
        draft.files.push(file);
    }
    Ok(draft)
}

/// The project that a folder's plan is of.
pub(crate) fn project(folder: &Path) -> Result<Option<String>> {
    let plan = text::read(Medium::Disk, &folder.join(PLAN))?.text;
    let pragma = plan.lines().find_map(|line| line.trim().strip_prefix('%')?.trim_start().strip_prefix("project"));
    Ok(pragma.and_then(|rest| rest.trim_start().strip_prefix('=')).map(|name| name.trim().to_owned()))
}

/// The scripts' name. A change that is made anew further down leaves its old scripts under the name of a tag between the two.
fn stem_of(medium: Medium<'_>, folder: &Path, name: &str, behind: &[PlanLine]) -> String {
    let again = behind.iter().position(|line| matches!(line, PlanLine::Change(other) if other == name));
    let Some(again) = again else { return name.to_owned() };
    let tagged = behind.iter().take(again).filter_map(|line| match line {
        PlanLine::Tag(tag) => Some(format!("{name}@{tag}")),
        PlanLine::Change(_) => None,
    });
    let there = |stem: &String| medium.is_file(&folder.join(DEPLOY).join(format!("{stem}.sql")));
    let mut tagged: Vec<String> = tagged.collect();
    match tagged.iter().position(there) {
        Some(at) => tagged.swap_remove(at),
        None => tagged.into_iter().next().unwrap_or_else(|| name.to_owned()),
    }
}

fn parse(text: &str, path: &Path) -> Result<Vec<PlanLine>> {
    let mut plan = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.split_once('#').map_or(line, |(line, _)| line).trim();
        let Some(first) = line.split_whitespace().next().filter(|first| !first.starts_with('%')) else { continue };
        match first.strip_prefix('@') {
            Some(tag) => plan.push(PlanLine::Tag(tag.to_owned())),
            None if first.starts_with('-') => {
                return Err(Error::refused(format!(
                    "{}:{}:1: a change that is taken back in the plan is not understood",
                    path.display(),
                    at + 1
                ))
                .hint("take the change and the line that takes it back out of the plan"));
            }
            None => plan.push(PlanLine::Change(first.trim_start_matches('+').to_owned())),
        }
    }
    Ok(plan)
}

/// The plan with one more change at its end.
pub(super) fn with_change(folder: &Path, name: &str, planned_at: &str, planner: &str) -> Result<(PathBuf, String)> {
    let mut text = text::read(Medium::Disk, &folder.join(PLAN))?.text;
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&format!("{name} {planned_at} {planner} # {}\n", name.replace('_', " ")));
    Ok((PathBuf::from(PLAN), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read() {
        let text = "%syntax-version=1.0.0\n%project=flipr\n\nappschema 2013-12-31T10:00:00Z M <m@x.org> # Adds it.\n\
                    users [appschema] 2013-12-31T11:00:00Z M <m@x.org>\n@v1 2014-01-01T00:00:00Z M <m@x.org> # Tag\n# note\n+lists 2014-01-02T00:00:00Z M <m@x.org>\n";
        let change = |name: &str| PlanLine::Change(name.to_owned());
        let expected = [change("appschema"), change("users"), PlanLine::Tag("v1".to_owned()), change("lists")];
        assert_eq!(parse(text, Path::new(PLAN)).unwrap(), expected);
        let error = parse("a\n-a\n", Path::new(PLAN)).unwrap_err().to_string();
        assert!(error.starts_with("sqitch.plan:2:1:"), "{error}");
    }
}
