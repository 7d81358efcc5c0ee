//! `[lint]`: levels of rules, which tables are big or small, which files are passed over.

use std::collections::BTreeMap;
use std::ops::Range;

use crossfade_core::finding::Severity;
use crossfade_core::lint::LintSettings;
use crossfade_core::lint::rules;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LintTable {
    server_version: Option<toml::Spanned<Version>>,
    big_tables: Option<Vec<String>>,
    small_tables: Option<Vec<String>>,
    small_rows: Option<u64>,
    hot_tables: Option<Vec<String>>,
    hot_rate: Option<u32>,
    new_until_commit: Option<bool>,
    as_written: Option<bool>,
    in_transaction: Option<bool>,
    ignore: Option<Vec<String>>,
    rules: Option<BTreeMap<toml::Spanned<String>, toml::Spanned<String>>>,
}

/// `15`, or `"15.4"`: as a number 15.10 would be 15.1.
#[derive(Deserialize)]
#[serde(untagged)]
enum Version {
    Major(u32),
    Text(String),
}

impl Version {
    /// The major and the minor version.
    fn read(&self) -> Option<(u32, Option<u32>)> {
        match self {
            Version::Major(major) => Some((*major, None)),
            Version::Text(text) => match text.split_once('.') {
                Some((major, minor)) => Some((major.parse().ok()?, Some(minor.parse().ok()?))),
                None => Some((text.parse().ok()?, None)),
            },
        }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Version::Major(major) => write!(f, "{major}"),
            Version::Text(text) => write!(f, "\"{text}\""),
        }
    }
}

/// What is wrong, where, and what to write.
type Wrong = (Range<usize>, String, String);

pub(super) fn read(table: LintTable) -> Result<LintSettings, Wrong> {
    let mut settings = LintSettings::default();
    if let Some(version) = table.server_version {
        let (first, last) = rules::SERVERS;
        let read = version.get_ref().read().filter(|(major, _)| (first..=last).contains(major));
        let Some((major, minor)) = read else {
            let why = format!("server_version is {}", version.get_ref());
            let help =
                format!("a major version from {first} to {last}, or one with its minor version, as \"{last}.1\"");
            return Err((version.span(), why, help));
        };
        (settings.server_version, settings.server_minor) = (major, minor);
    }
    settings.big_tables = table.big_tables.unwrap_or_default();
    settings.small_tables = table.small_tables.unwrap_or_default();
    settings.hot_tables = table.hot_tables.unwrap_or_default();
    settings.hot_rate = table.hot_rate.unwrap_or(settings.hot_rate);
    settings.small_rows = table.small_rows.unwrap_or(settings.small_rows);
    settings.new_until_commit = table.new_until_commit.unwrap_or(settings.new_until_commit);
    settings.as_written = table.as_written.unwrap_or(settings.as_written);
    settings.in_transaction = table.in_transaction.unwrap_or(settings.in_transaction);
    for (name, level) in table.rules.unwrap_or_default() {
        if rules::by_name(name.get_ref()).is_none() {
            let why = format!("there is no rule `{}`", name.get_ref());
            return Err((name.span(), why, "`crossfade explain` lists the rules".to_owned()));
        }
        let read = match level.get_ref().as_str() {
            "off" => None,
            "note" => Some(Severity::Note),
            "warning" => Some(Severity::Warning),
            "error" => Some(Severity::Error),
            other => {
                let why = format!("\"{other}\" is no level");
                return Err((level.span(), why, "write \"off\", \"note\", \"warning\" or \"error\"".to_owned()));
            }
        };
        settings.levels.insert(name.into_inner(), read);
    }
    settings.ignore = table.ignore.unwrap_or_default();
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Result<(u32, Option<u32>), String> {
        let table: LintTable = toml::from_str(&format!("server_version = {text}")).expect("it is TOML of the table");
        let settings = read(table).map_err(|(_, why, help)| format!("{why}: {help}"))?;
        Ok((settings.server_version, settings.server_minor))
    }

    #[test]
    fn a_server_version_may_have_its_minor_version() {
        assert_eq!(version("15"), Ok((15, None)));
        assert_eq!(version("\"15\""), Ok((15, None)));
        assert_eq!(version("\"14.10\""), Ok((14, Some(10))));
        for wrong in ["12", "19", "\"12.4\"", "\"14.x\"", "\"\"", "\"14.1.2\""] {
            let said = version(wrong).expect_err(wrong);
            assert!(said.contains(wrong) && said.contains("\"18.1\""), "{said}");
        }
    }
}
