//! `V1_2__name.sql` and what else Flyway has; and refinery, which names its files in nearly the same way and means another thing.

use std::collections::BTreeMap;
use std::path::Path;

use super::Draft;
use super::FileKind;
use super::SourceFile;
use super::embedded::Medium;
use super::layout::Layout;
use super::listing::Entry;
use super::listing::Listing;
use super::listing::refuse_twins;
use super::text;
use super::version::compare_versions;
use crate::error::Error;
use crate::error::Result;

/// What the first letter of a name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prefix {
    Versioned,
    Undo,
    Baseline,
    Repeatable,
}

/// Whether a file's name, without its ending, is one that only these layouts have.
pub(super) fn is_versioned(stem: &str) -> bool {
    matches!(parse(stem), Some((Prefix::Versioned | Prefix::Undo | Prefix::Baseline, _, _)))
}

/// Prefix, version and name.
fn parse(stem: &str) -> Option<(Prefix, &str, &str)> {
    let prefix = match stem.as_bytes().first()? {
        b'V' => Prefix::Versioned,
        b'U' => Prefix::Undo,
        b'B' => Prefix::Baseline,
        b'R' => Prefix::Repeatable,
        _ => return None,
    };
    let (version, name) = stem[1..].split_once("__").unwrap_or((&stem[1..], ""));
    let is_number = version.starts_with(|c: char| c.is_ascii_digit())
        && version.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '_')
        && version.ends_with(|c: char| c.is_ascii_digit());
    match prefix {
        Prefix::Repeatable => (version.is_empty() && !name.is_empty()).then_some((prefix, version, name)),
        Prefix::Versioned | Prefix::Undo | Prefix::Baseline => is_number.then_some((prefix, version, name)),
    }
}

/// Reads the files of a folder and of those below it.
pub(super) fn read(medium: Medium<'_>, layout: Layout, listing: &mut Listing) -> Result<Draft> {
    let files = std::mem::take(&mut listing.files);
    let settings: BTreeMap<_, _> = files
        .iter()
        .filter(|entry| entry.name.ends_with(".sql.conf"))
        .map(|entry| (entry.path.clone(), entry))
        .collect();
    let sql: Vec<Entry> = files.iter().filter(|entry| entry.stem().is_some()).cloned().collect();
    refuse_twins(&sql)?;
    let mut draft = Draft::default();
    let mut undos = Vec::new();
    for entry in &sql {
        let stem = entry.stem().unwrap_or_default();
        let Some((prefix, version, name)) = parse(stem) else {
            refuse_misspelt(stem, &entry.path)?;
            listing.pass_over(&entry.path, "its name is none of a migration");
            continue;
        };
        let mut file = SourceFile {
            version: version.to_owned(),
            name: name.to_owned(),
            ..SourceFile::of(entry, text::read(medium, &entry.path)?)
        };
        if layout == Layout::Flyway {
            let settings = settings.get(&entry.path.with_file_name(format!("{}.conf", entry.name)));
            let settings = settings.map(|entry| properties(medium, &entry.path)).transpose()?.unwrap_or_default();
            let said = |key: &str| settings.get(key).map(String::as_str);
            file.in_transaction = match said("executeInTransaction") {
                Some("false") => Some(false),
                Some("true") => Some(true),
                Some(_) | None => None,
            };
            if said("placeholderReplacement") != Some("false") {
                file.refuse_templates("${", "}", "Flyway");
            }
        }
        match (prefix, layout) {
            (Prefix::Repeatable, _) => {
                file.kind = FileKind::Repeatable;
                file.version = super::repeatable_version(name);
                draft.files.push(file);
            }
            (Prefix::Undo, Layout::Refinery) => {
                file.may_be_late = true;
                draft.files.push(file);
            }
            (Prefix::Undo, _) => undos.push(file),
            (Prefix::Baseline, _) => {
                file.kind = FileKind::Baseline;
                draft.files.push(file);
            }
            (Prefix::Versioned, _) => draft.files.push(file),
        }
    }
    for undo in undos {
        let up = draft
            .files
            .iter_mut()
            .find(|up| up.kind == FileKind::Versioned && compare_versions(&up.version, &undo.version).is_eq());
        let Some(up) = up else {
            return Err(Error::refused(format!("{} is the way back of no migration", undo.path.display())).hint(format!(
                "it needs V{0}__{1}.sql beside it; if U{0} goes forward, as refinery has it, write `layout = \"refinery\"` into crossfade.toml",
                undo.version, undo.name
            )));
        };
        up.down_in_transaction = undo.in_transaction;
        up.down_findings = undo.findings;
        up.down = Some((undo.path, undo.text));
    }
    if layout == Layout::Refinery {
        for entry in &files {
            let Some((prefix @ (Prefix::Versioned | Prefix::Undo), version, name)) =
                entry.name.strip_suffix(".rs").and_then(parse)
            else {
                continue;
            };
            let file = SourceFile::program(medium, entry, version.to_owned(), name.to_owned(), "Rust")?;
            draft.files.push(SourceFile { may_be_late: prefix == Prefix::Undo, ..file });
        }
    }
    draft.passed_over = std::mem::take(&mut listing.passed_over);
    Ok(draft)
}

/// A name that is nearly one: passed over, it would never be run.
fn refuse_misspelt(stem: &str, path: &Path) -> Result<()> {
    let mut letters = stem.chars();
    let is_prefix = letters.next().is_some_and(|letter| "VUBRvubr".contains(letter));
    let behind = letters.next();
    if is_prefix && behind.is_some_and(|behind| behind.is_ascii_digit() || matches!(behind, '_' | '.')) {
        return Err(Error::refused(format!("{} is no name of a migration", path.display()))
            .hint("it is V, the version and two underscores: V1_2__name.sql; or R__name.sql. Rename it, or move it out of the folder"));
    }
    if stem.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(Error::refused(format!("{} has no V in front of its version", path.display()))
            .hint("name it V1_2__name.sql like the others, or move it out of the folder"));
    }
    Ok(())
}

/// `key=value`, one a line.
fn properties(medium: Medium<'_>, path: &Path) -> Result<BTreeMap<String, String>> {
    let text = text::read(medium, path)?.text;
    let pairs = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', '!'])).filter_map(|line| {
        let (key, value) = line.split_once(['=', ':'])?;
        Some((key.trim().to_owned(), value.trim().to_owned()))
    });
    Ok(pairs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        for (stem, expected) in [
            ("V1__a", Some((Prefix::Versioned, "1", "a"))),
            ("V1_2__a_b", Some((Prefix::Versioned, "1_2", "a_b"))),
            ("V2013_01_15_11_35_56__a", Some((Prefix::Versioned, "2013_01_15_11_35_56", "a"))),
            ("V1.2.3__a", Some((Prefix::Versioned, "1.2.3", "a"))),
            ("U1__a", Some((Prefix::Undo, "1", "a"))),
            ("B7__a", Some((Prefix::Baseline, "7", "a"))),
            ("R__a__b", Some((Prefix::Repeatable, "", "a__b"))),
            ("V1", Some((Prefix::Versioned, "1", ""))),
            ("V1_a", None),
            ("v1__a", None),
            ("V__a", None),
            ("R1__a", None),
            ("V1___a", Some((Prefix::Versioned, "1", "_a"))),
            ("afterMigrate", None),
        ] {
            assert_eq!(parse(stem), expected, "{stem}");
        }
    }

    #[test]
    fn what_is_nearly_a_name_is_refused() {
        for stem in ["V1_a", "v1__a", "V_1__a", "R_a", "1__a"] {
            assert!(refuse_misspelt(stem, Path::new("x.sql")).is_err(), "{stem}");
        }
        for stem in ["afterMigrate", "beforeEachMigrate__a", "seed", "Views"] {
            assert!(refuse_misspelt(stem, Path::new("x.sql")).is_ok(), "{stem}");
        }
    }
}
