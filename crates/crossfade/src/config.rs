//! `crossfade.toml`: what a team decides once.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::error::Error;
use crate::error::Result;

/// The name of the configuration file.
pub const CONFIG_FILE: &str = "crossfade.toml";

/// What a team decides. Every field has a default; see the book's page on the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The folder with the migrations.
    pub migrations: PathBuf,
    /// The schema of the journal.
    pub schema: String,
    /// How long contract keeps the old form; zero for not at all.
    pub retain: Duration,
    /// How strong locks are asked for.
    pub locks: LockConfig,
    /// How rows are filled.
    pub backfill: BackfillConfig,
}

/// How strong locks are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockConfig {
    /// How long one request may wait, and so how long it may make others wait behind it.
    pub timeout: Duration,
    /// How long to go on trying.
    pub budget: Duration,
}

/// How rows are filled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BackfillConfig {
    /// What one chunk's transaction should take.
    pub target: Duration,
    /// Share of the time spent working, above 0 and up to 1; the rest is pause.
    pub duty: f64,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            migrations: PathBuf::from("migrations"),
            schema: "crossfade".to_owned(),
            retain: Duration::from_secs(24 * 3600),
            locks: LockConfig { timeout: Duration::from_millis(100), budget: Duration::from_secs(600) },
            backfill: BackfillConfig { target: Duration::from_millis(200), duty: 0.7 },
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    migrations: Option<PathBuf>,
    schema: Option<String>,
    retain: Option<toml::Spanned<String>>,
    locks: Option<Locks>,
    backfill: Option<Backfill>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Locks {
    timeout: Option<toml::Spanned<String>>,
    budget: Option<toml::Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Backfill {
    target: Option<toml::Spanned<String>>,
    duty: Option<toml::Spanned<f64>>,
}

impl Config {
    /// Reads `crossfade.toml` in this folder; without one, the defaults. Paths in it are relative to the folder.
    ///
    /// # Errors
    ///
    /// When the file can't be read or says something that is not understood, with the place.
    pub fn load(folder: &Path) -> Result<Config> {
        let path = folder.join(CONFIG_FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Error::usage(format!("could not read {}", path.display())).caused_by(error)),
        };
        let mut config = Config::parse(&text, &path)?;
        config.migrations = folder.join(&config.migrations);
        Ok(config)
    }

    /// Reads the text of a configuration file.
    ///
    /// # Errors
    ///
    /// When it says something that is not understood, with the place.
    pub fn parse(text: &str, path: &Path) -> Result<Config> {
        let file: File = toml::from_str(text).map_err(|error| {
            let at = error.span().map(|span| place(text, span.start)).unwrap_or_default();
            Error::usage(format!("{}{at}: {}", path.display(), error.message().trim()))
                .hint("the keys are: migrations, schema, retain, [locks] timeout, budget, [backfill] target, duty")
        })?;
        let mut config = Config::default();
        let duration = |value: &toml::Spanned<String>| {
            parse_duration(value.get_ref()).map_err(|why| {
                let at = place(text, value.span().start);
                Error::usage(format!("{}{at}: {why}", path.display()))
                    .hint("write a number and a unit: ms, s, m, h, d; for example \"24h\"")
            })
        };
        if let Some(migrations) = file.migrations {
            config.migrations = migrations;
        }
        if let Some(schema) = file.schema {
            config.schema = schema;
        }
        if let Some(retain) = &file.retain {
            config.retain = duration(retain)?;
        }
        if let Some(locks) = &file.locks {
            if let Some(timeout) = &locks.timeout {
                config.locks.timeout = duration(timeout)?;
            }
            if let Some(budget) = &locks.budget {
                config.locks.budget = duration(budget)?;
            }
        }
        if let Some(backfill) = &file.backfill {
            if let Some(target) = &backfill.target {
                config.backfill.target = duration(target)?;
            }
            if let Some(duty) = &backfill.duty {
                let value = *duty.get_ref();
                if !(value > 0.0 && value <= 1.0) {
                    let at = place(text, duty.span().start);
                    return Err(Error::usage(format!("{}{at}: duty is {value}", path.display()))
                        .hint("it is a share of the time: above 0 and up to 1"));
                }
                config.backfill.duty = value;
            }
        }
        Ok(config)
    }
}

fn place(text: &str, at: usize) -> String {
    let (line, column) = crossfade_core::sql::Span::new(at, at).line_and_column(text);
    format!(":{line}:{column}")
}

/// Reads `250ms`, `30s`, `10m`, `24h`, `7d`, or `0`.
///
/// # Errors
///
/// What is wrong with it.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| format!("\"{text}\" is no duration"))?;
    match unit.trim() {
        "" if number == 0 => Ok(Duration::ZERO),
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        "h" => Ok(Duration::from_secs(number.saturating_mul(3600))),
        "d" => Ok(Duration::from_secs(number.saturating_mul(86_400))),
        "" => Err(format!("\"{text}\" has no unit")),
        other => Err(format!("\"{other}\" is no unit of time")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Config::parse(text, Path::new("crossfade.toml"))
            .map_or_else(|error| error.to_string(), |config| format!("{config:?}"))
    }

    #[test]
    fn errors_name_the_place() {
        assert!(error("retain = \"1x\"").starts_with("crossfade.toml:1:10: \"x\" is no unit"));
        assert!(error("retain = \"24\"").contains("has no unit"));
        assert!(error("\nretian = \"24h\"").starts_with("crossfade.toml:2:1: unknown field `retian`"));
        assert!(error("[backfill]\nduty = 1.5").starts_with("crossfade.toml:2:8: duty is 1.5"));
    }

    #[test]
    fn values_are_read() {
        let text = "migrations = \"db\"\nretain = \"0\"\n[locks]\nbudget = \"30s\"\n[backfill]\ntarget = \"50ms\"\nduty = 0.5\n";
        let config = Config::parse(text, Path::new("crossfade.toml")).unwrap();
        assert_eq!(config.retain, Duration::ZERO);
        assert_eq!(config.locks.budget, Duration::from_secs(30));
        assert_eq!(config.backfill, BackfillConfig { target: Duration::from_millis(50), duty: 0.5 });
    }
}
