//! `crossfade new`: the next numbered file, in the style of those that are there.

use std::path::Path;
use std::time::Duration;
use std::time::SystemTime;

use crossfade::Error;
use crossfade::Result;
use crossfade::config::CONFIG_FILE;
use serde::Serialize;

use super::Context;
use super::init::create_file;
use crate::args::NewArgs;

/// What `new` did.
#[derive(Debug, Serialize)]
struct Made {
    format: u32,
    version: String,
    created: Vec<String>,
}

pub(super) fn run(args: &NewArgs, context: &Context) -> Result<u8> {
    let name = snake_case(&args.name);
    if name.is_empty() {
        return Err(Error::usage(format!("\"{}\" makes no name", args.name))
            .hint("use letters and digits: crossfade new add_email"));
    }
    if name.ends_with("_down") || name == "down" {
        return Err(Error::usage("a name can't end with \"down\": that is how down files are called")
            .hint("crossfade new NAME --down makes both files"));
    }
    let migrations = context.config()?.migrations;
    if !migrations.is_dir() && !context.global.dir.join(CONFIG_FILE).exists() {
        return Err(Error::usage(format!("there is no {CONFIG_FILE} and no folder {}", migrations.display()))
            .hint("crossfade init makes them; --dir names another folder"));
    }
    std::fs::create_dir_all(&migrations)
        .map_err(|error| Error::failed(format!("could not make {}", migrations.display())).caused_by(error))?;
    let files = list(&migrations)?;
    if let Some(file) = files.iter().find(|file| split(file).is_some_and(|(_, there)| there == name)) {
        return Err(Error::refused(format!("there is a migration of this name: {file}")).hint("choose another name"));
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let version = next_version(&files, now);
    let up = format!("{version}_{name}.sql");
    let mut made = Made { format: crossfade::report::REPORT_FORMAT, version: version.clone(), created: Vec::new() };
    make(
        &migrations,
        &up,
        "-- Plain SQL, as for an empty database. `crossfade plan` shows how it would run.\n",
        &mut made,
    )?;
    if args.down {
        make(&migrations, &format!("{version}_{name}_down.sql"), &format!("-- Undoes {up}.\n"), &mut made)?;
    }
    if context.screen.is_json() {
        context.screen.document(&made)?;
    } else {
        context.screen.print(&made.created.join("\n"))?;
    }
    Ok(0)
}

fn make(folder: &Path, file: &str, text: &str, made: &mut Made) -> Result<()> {
    let path = folder.join(file);
    if !create_file(&path, text)? {
        return Err(Error::refused(format!("{} is there already", path.display())));
    }
    made.created.push(path.strip_prefix(".").unwrap_or(&path).display().to_string());
    Ok(())
}

fn list(folder: &Path) -> Result<Vec<String>> {
    let failed = |error: std::io::Error| Error::usage(format!("could not read {}", folder.display())).caused_by(error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// Digits and name of an up or down file.
fn split(file: &str) -> Option<(&str, &str)> {
    let stem = file.strip_suffix(".sql")?;
    let (version, name) = stem.split_once('_').unwrap_or((stem, ""));
    let is_version = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit());
    is_version.then(|| (version, name.strip_suffix("_down").unwrap_or(name)))
}

/// The number behind the highest, as wide as it; where that is a point in time, now.
fn next_version(files: &[String], now: Duration) -> String {
    let newest =
        files.iter().filter_map(|file| Some(split(file)?.0)).max_by_key(|version| (number(version), version.len()));
    match newest {
        None => "001".to_owned(),
        Some(newest) if newest.len() == 14 => timestamp(now).max(increment(newest)),
        Some(newest) => increment(newest),
    }
}

fn number(version: &str) -> u128 {
    version.parse().unwrap_or(u128::MAX)
}

fn increment(version: &str) -> String {
    format!("{:0width$}", number(version).saturating_add(1), width = version.len())
}

/// `20240131235959`, in UTC.
fn timestamp(since_epoch: Duration) -> String {
    let (days, seconds) = (since_epoch.as_secs() / 86_400, since_epoch.as_secs() % 86_400);
    // Days to a date of the Gregorian calendar, counted from 0000-03-01 in eras of 400 years.
    let z = days + 719_468;
    let (era, day) = (z / 146_097, z % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    format!("{year:04}{month:02}{date:02}{:02}{:02}{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Lower case words with `_` between them: `AddUserEmail` and `add user-email` are `add_user_email`.
fn snake_case(text: &str) -> String {
    let mut out = String::new();
    let mut before = ' ';
    for c in text.chars() {
        if !c.is_alphanumeric() {
            out.push('_');
        } else {
            if c.is_uppercase() && (before.is_lowercase() || before.is_numeric()) {
                out.push('_');
            }
            out.extend(c.to_lowercase());
        }
        before = c;
    }
    out.split('_').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[&str], expected: &str) {
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        assert_eq!(next_version(&files, Duration::from_secs(1_709_251_199)), expected, "{files:?}");
    }

    #[test]
    fn versions_go_on_in_their_style() {
        check(&[], "001");
        check(&["readme.md", "x.sql"], "001");
        check(&["001_a.sql", "002_b.sql", "002_b_down.sql"], "003");
        check(&["0009_a.sql"], "0010");
        check(&["9_a.sql"], "10");
        check(&["099_a.sql", "100_b.sql"], "101");
        check(&["20230101000000_a.sql"], "20240229235959");
        check(&["20250101000000_a.sql"], "20250101000001");
    }

    #[test]
    fn names_become_snake_case() {
        for (text, expected) in [
            ("AddUserEmail", "add_user_email"),
            ("add user-email!", "add_user_email"),
            ("../../etc/passwd", "etc_passwd"),
            ("HTTPServer2Go", "httpserver2_go"),
            ("Größe", "größe"),
            ("--", ""),
        ] {
            assert_eq!(snake_case(text), expected);
        }
    }
}
