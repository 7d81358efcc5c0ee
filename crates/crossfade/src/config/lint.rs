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
    server_version: Option<toml::Spanned<u32>>,
    big_tables: Option<Vec<String>>,
    small_tables: Option<Vec<String>>,
    small_rows: Option<u64>,
    new_until_commit: Option<bool>,
    as_written: Option<bool>,
    in_transaction: Option<bool>,
    ignore: Option<Vec<String>>,
    rules: Option<BTreeMap<toml::Spanned<String>, toml::Spanned<String>>>,
}

/// What is wrong, where, and what to write.
type Wrong = (Range<usize>, String, String);

pub(super) fn read(table: LintTable) -> Result<LintSettings, Wrong> {
    let mut settings = LintSettings::default();
    if let Some(version) = table.server_version {
        let (first, last) = rules::SERVERS;
        let value = *version.get_ref();
        if !(first..=last).contains(&value) {
            let why = format!("server_version is {value}");
            return Err((version.span(), why, format!("a major version from {first} to {last}")));
        }
        settings.server_version = value;
    }
    settings.big_tables = table.big_tables.unwrap_or_default();
    settings.small_tables = table.small_tables.unwrap_or_default();
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
