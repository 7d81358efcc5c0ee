//! `crossfade.toml`: what a team decides once.

mod contract;
mod keep;
mod lint;

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

pub use contract::Blocks;
pub use contract::ContractConfig;
use crossfade_core::lint::LintSettings;
use crossfade_core::throttle::Key;
use crossfade_core::throttle::Settings;
use crossfade_core::units::parse_bytes;
pub use crossfade_core::units::parse_duration;
pub use keep::keep_layout;
use serde::Deserialize;

use crate::connection::Connection;
use crate::connection::settings::ConnectionTable;
use crate::error::Error;
use crate::error::Result;
use crate::hooks::Hooks;
use crate::hooks::settings::HookTable;
use crate::hooks::settings::Wrong;
use crate::hooks::settings::read as read_hook;
use crate::source::Layout;
use crate::targets::Targets;
use crate::targets::settings::TargetTable;
use crate::targets::settings::TargetsTable;
use crate::targets::settings::read as read_target;

/// The name of the configuration file.
pub const CONFIG_FILE: &str = "crossfade.toml";

/// Most connections that a backfill may use.
pub const MOST_WORKERS: usize = 32;

/// What a team decides. Every field has a default; see the book's page on the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The folder with the migrations.
    pub migrations: PathBuf,
    /// How the folder keeps them; none: as is found.
    pub layout: Option<Layout>,
    /// What happens to a file that comes before what was run already.
    pub out_of_order: OutOfOrder,
    /// The schema of the journal.
    pub schema: String,
    /// How long contract keeps the old form; zero for not at all.
    pub retain: Duration,
    /// How strong locks are asked for.
    pub locks: LockConfig,
    /// How rows are filled.
    pub backfill: BackfillConfig,
    /// When that has to wait. Its duty is the one of `backfill`.
    pub throttle: Settings,
    /// Who is told what happens, and what is run before phases.
    pub hooks: Hooks,
    /// How the database is reached, where the command line and the environment do not say it.
    pub connection: Connection,
    /// The databases and schemas that the migrations are for, where they are several.
    pub targets: Targets,
    /// The server on which scratch databases are made; none for a private one.
    pub scratch: Option<SecretUrl>,
    /// What `drift` passes over.
    pub drift: DriftConfig,
    /// The branch or commit that `check` compares with.
    pub base: Option<String>,
    /// Whether `check` wants a way back of every new file.
    pub downs: Downs,
    /// What `lint` goes by.
    pub lint: LintSettings,
    /// When `contract` takes the old form away.
    pub contract: ContractConfig,
}

/// Whether every new file must have a way back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Downs {
    /// It may be without one.
    #[default]
    Allow,
    /// It must have one.
    Require,
}

/// A URL that may hold a password, and is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(pub String);

impl std::fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretUrl(…)")
    }
}

/// What `drift` passes over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DriftConfig {
    /// Names of objects, with `*` for any letters.
    pub ignore: Vec<String>,
}

/// What happens to a file that comes before what was run already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OutOfOrder {
    /// Nothing is run.
    #[default]
    Refuse,
    /// It is run late.
    Allow,
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
    /// What one chunk's transaction should write to the log, in bytes.
    pub target_wal: u64,
    /// Share of the time spent working, above 0 and up to 1; the rest is pause.
    pub duty: f64,
    /// How many connections work at the same time.
    pub workers: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            migrations: PathBuf::from("migrations"),
            layout: None,
            out_of_order: OutOfOrder::Refuse,
            schema: "crossfade".to_owned(),
            retain: Duration::from_secs(24 * 3600),
            locks: LockConfig { timeout: Duration::from_millis(100), budget: Duration::from_secs(600) },
            backfill: BackfillConfig { target: Duration::from_millis(200), target_wal: 4 << 20, duty: 0.7, workers: 2 },
            throttle: Settings::default(),
            hooks: Hooks::default(),
            connection: Connection::default(),
            targets: Targets::default(),
            scratch: None,
            drift: DriftConfig::default(),
            base: None,
            downs: Downs::default(),
            lint: LintSettings::default(),
            contract: ContractConfig::default(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    migrations: Option<PathBuf>,
    layout: Option<toml::Spanned<String>>,
    out_of_order: Option<toml::Spanned<String>>,
    schema: Option<String>,
    retain: Option<toml::Spanned<String>>,
    locks: Option<Locks>,
    backfill: Option<Backfill>,
    throttle: Option<BTreeMap<toml::Spanned<String>, toml::Spanned<toml::Value>>>,
    #[serde(default)]
    hooks: Vec<toml::Spanned<HookTable>>,
    connection: Option<ConnectionTable>,
    #[serde(default)]
    target: Vec<toml::Spanned<TargetTable>>,
    targets: Option<TargetsTable>,
    scratch: Option<String>,
    drift: Option<Drift>,
    base: Option<String>,
    downs: Option<toml::Spanned<String>>,
    lint: Option<lint::LintTable>,
    contract: Option<contract::ContractTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Drift {
    ignore: Option<Vec<String>>,
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
    wal: Option<toml::Spanned<String>>,
    duty: Option<toml::Spanned<f64>>,
    workers: Option<toml::Spanned<usize>>,
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
        config.hooks.folder = folder.to_owned();
        config.connection.in_folder(folder);
        config.targets.in_folder(folder);
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
                .hint("the keys are: migrations, layout, out_of_order, schema, retain, scratch, base, downs, [connection] url …, [drift] ignore, [locks] timeout, budget, [backfill] target, wal, duty, workers, [contract] quiet_for, old_sessions, unseen, long_transaction, ignore, [lint] …, [throttle] …, [[hooks]] …, [[target]] …, [targets] parallel")
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
        if let Some(layout) = &file.layout {
            let known = Layout::by_name(layout.get_ref()).ok_or_else(|| {
                let at = place(text, layout.span().start);
                Error::usage(format!("{}{at}: \"{}\" is no layout", path.display(), layout.get_ref()))
                    .hint(format!("the layouts are: {}; docs/layouts.md says what each is", Layout::names()))
            })?;
            config.layout = Some(known);
        }
        if let Some(policy) = &file.out_of_order {
            config.out_of_order = match policy.get_ref().as_str() {
                "refuse" => OutOfOrder::Refuse,
                "allow" => OutOfOrder::Allow,
                other => {
                    let at = place(text, policy.span().start);
                    return Err(Error::usage(format!(
                        "{}{at}: \"{other}\" is no way to treat late files",
                        path.display()
                    ))
                    .hint("write \"refuse\" or \"allow\""));
                }
            };
        }
        if let Some(schema) = file.schema {
            config.schema = schema;
        }
        if let Some(retain) = &file.retain {
            config.retain = duration(retain)?;
        }
        config.scratch = file.scratch.map(SecretUrl);
        config.base = file.base;
        if let Some(downs) = &file.downs {
            config.downs = match downs.get_ref().as_str() {
                "allow" => Downs::Allow,
                "require" => Downs::Require,
                other => {
                    let at = place(text, downs.span().start);
                    return Err(Error::usage(format!("{}{at}: \"{other}\" is no rule for ways back", path.display()))
                        .hint("write \"allow\" or \"require\""));
                }
            };
        }
        config.drift.ignore = file.drift.and_then(|drift| drift.ignore).unwrap_or_default();
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
            if let Some(wal) = &backfill.wal {
                config.backfill.target_wal = parse_bytes(wal.get_ref()).map_err(|why| {
                    let at = place(text, wal.span().start);
                    Error::usage(format!("{}{at}: {why}", path.display()))
                        .hint("write a number and a unit: kB, MB, GB; for example \"4MB\"")
                })?;
            }
            if let Some(workers) = &backfill.workers {
                let value = *workers.get_ref();
                if !(1..=MOST_WORKERS).contains(&value) {
                    let at = place(text, workers.span().start);
                    return Err(Error::usage(format!("{}{at}: workers is {value}", path.display()))
                        .hint(format!("from 1 to {MOST_WORKERS}; each is a connection at work")));
                }
                config.backfill.workers = value;
            }
        }
        if let Some(contract) = file.contract {
            if let Some(quiet_for) = &contract.quiet_for {
                config.contract.quiet_for = duration(quiet_for)?;
            }
            let blocks = |value: &toml::Spanned<String>| {
                Blocks::by_name(value.get_ref()).ok_or_else(|| {
                    let at = place(text, value.span().start);
                    Error::usage(format!("{}{at}: \"{}\" is neither of both", path.display(), value.get_ref()))
                        .hint("write \"refuse\" or \"warn\"")
                })
            };
            if let Some(value) = &contract.old_sessions {
                config.contract.old_sessions = blocks(value)?;
            }
            if let Some(value) = &contract.unseen {
                config.contract.unseen = blocks(value)?;
            }
            if let Some(long) = &contract.long_transaction {
                config.contract.long_transaction = duration(long)?;
            }
            if let Some(ignore) = contract.ignore {
                config.contract.ignore = ignore;
            }
        }
        for (key, value) in file.throttle.iter().flatten() {
            let wrong = |span: std::ops::Range<usize>, why: String| {
                Error::usage(format!("{}{}: {why}", path.display(), place(text, span.start)))
                    .hint("docs/throttle.md lists the keys of [throttle] and what they take")
            };
            let known = Key::by_name(key.get_ref()).filter(|key| *key != Key::Duty);
            let known = known.ok_or_else(|| {
                let why = match key.get_ref().as_str() {
                    "duty" => "duty stands in [backfill]".to_owned(),
                    other => format!("unknown field `{other}`"),
                };
                wrong(key.span(), why)
            })?;
            let values = words(value.get_ref()).ok_or_else(|| {
                wrong(value.span(), format!("{} takes a text, a number or a list of texts", known.name()))
            })?;
            config.throttle.set(known, &values).map_err(|why| wrong(value.span(), why))?;
        }
        if let Some(table) = file.lint {
            config.lint = lint::read(table).map_err(|(span, why, hint)| {
                Error::usage(format!("{}{}: {why}", path.display(), place(text, span.start))).hint(hint)
            })?;
        }
        for (at, table) in file.hooks.iter().enumerate() {
            let hook = read_hook(table, at + 1).map_err(|(span, why)| {
                Error::usage(format!("{}{}: {why}", path.display(), place(text, span.start)))
                    .hint("docs/hooks.md lists the events and the keys of [[hooks]]")
            })?;
            config.hooks.each.push(hook);
        }
        let wrong = |(span, why): Wrong| {
            Error::usage(format!("{}{}: {why}", path.display(), place(text, span.start)))
                .hint("docs/targets.md lists the keys of [connection], [[target]] and [targets]")
        };
        if let Some(table) = &file.connection {
            config.connection = table.read().map_err(wrong)?;
        }
        if let Some(table) = &file.targets {
            config.targets.parallel = table.parallel().map_err(wrong)?;
        }
        for table in &file.target {
            let target = read_target(table, &config.targets.each, &config.schema).map_err(wrong)?;
            config.targets.each.push(target);
        }
        Ok(config)
    }

    /// What the throttle goes by, but for the live settings.
    pub(crate) fn throttle_base(&self) -> Settings {
        let mut settings = self.throttle.clone();
        settings.duty = self.backfill.duty;
        settings
    }
}

/// A value of the throttle as the texts that it could also be written as. `false` is off.
fn words(value: &toml::Value) -> Option<Vec<String>> {
    match value {
        toml::Value::String(text) => Some(vec![text.clone()]),
        toml::Value::Integer(number) => Some(vec![number.to_string()]),
        toml::Value::Float(number) => Some(vec![number.to_string()]),
        toml::Value::Boolean(false) => Some(vec!["off".to_owned()]),
        toml::Value::Array(values) => {
            let each = values.iter().map(|value| value.as_str().map(str::to_owned));
            each.collect()
        }
        toml::Value::Boolean(true) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}

fn place(text: &str, at: usize) -> String {
    let (line, column) = crossfade_core::sql::Span::new(at, at).line_and_column(text);
    format!(":{line}:{column}")
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
        assert!(error("layout = \"gose\"").starts_with("crossfade.toml:1:10: \"gose\" is no layout"));
        assert!(error("out_of_order = true").starts_with("crossfade.toml:1:16: invalid type"));
        assert!(error("out_of_order = \"yes\"").starts_with("crossfade.toml:1:16: \"yes\" is no way"));
        assert!(error("downs = \"yes\"").starts_with("crossfade.toml:1:9: \"yes\" is no rule for ways back"));
        assert!(error("[backfill]\nwal = \"4\"").starts_with("crossfade.toml:2:7: \"4\" has no unit"));
        assert!(error("[backfill]\nworkers = 0").starts_with("crossfade.toml:2:11: workers is 0"));
        assert!(error("[connection]\nurl = \"\"").starts_with("crossfade.toml:2:7: there is nothing in it"));
        let twice = error("[connection]\nurl = \"postgres://u:s3cret@h/d\"\nurl_file = \"x\"");
        assert_eq!(twice, "crossfade.toml:3:12: the URL is said in another way already");
        assert!(error("[connection]\nurl_command = []").starts_with("crossfade.toml:2:15: a command is a list"));
        let text = error("[connection]\nurl_command = \"postgres://u:s3cret@h/d\"");
        assert!(text.starts_with("crossfade.toml:2:15: a command is a list") && !text.contains("s3cret"), "{text}");
        assert!(error("[connection]\nhost = \"h\"").starts_with("crossfade.toml:2:1: unknown field `host`"));
        assert!(error("[contract]\nquiet_for = \"1\"").starts_with("crossfade.toml:2:13: \"1\" has no unit"));
        assert!(error("[contract]\nunseen = \"no\"").starts_with("crossfade.toml:2:10: \"no\" is neither of both"));
        assert!(error("[backfill]\nduty = 1.5").starts_with("crossfade.toml:2:8: duty is 1.5"));
    }

    /// The configuration is logged with `-v`.
    #[test]
    fn the_password_of_the_scratch_server_is_not_shown() {
        let text = "scratch = \"postgres://me:secret@h/d\"\n[drift]\nignore = [\"audit.*\"]\n";
        let config = Config::parse(text, Path::new("crossfade.toml")).unwrap();
        assert_eq!(config.drift.ignore, ["audit.*"]);
        assert_eq!(config.scratch, Some(SecretUrl("postgres://me:secret@h/d".to_owned())));
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn errors_in_the_throttle_name_the_place() {
        assert!(error("[throttle]\nreplica_lag = \"5\"").starts_with("crossfade.toml:2:15: \"5\" has no unit"));
        assert!(error("[throttle]\nslot = \"1GB\"").starts_with("crossfade.toml:2:1: unknown field `slot`"));
        assert!(error("[throttle]\nduty = 0.5").starts_with("crossfade.toml:2:1: duty stands in [backfill]"));
        assert!(
            error("[throttle]\nwindow = [\"01:00-05:00\", \"5\"]")
                .starts_with("crossfade.toml:2:10: \"5\" is no window")
        );
        assert!(error("[throttle]\nhttp = true").starts_with("crossfade.toml:2:8: http takes a text"));
    }

    #[test]
    fn every_key_of_the_throttle_is_documented() {
        let (page, readme) = (include_str!("../../../docs/throttle.md"), include_str!("../../../README.md"));
        let default = Settings::default();
        for key in Key::ALL {
            let name = format!("`{}`", key.name());
            assert!(readme.contains(&name) || key == Key::Duty, "README.md does not know {name}");
            let row = page.lines().find(|line| line.starts_with(&format!("| {name} |")));
            let value = default.show(key);
            // What is off by default is said in words.
            let said = row.is_some_and(|row| value == "off" || row.contains(&value));
            assert!(said || key == Key::Duty, "docs/throttle.md on {name}: {row:?}");
        }
    }

    #[test]
    fn the_throttle_is_read() {
        let text = "[throttle]\nreplica_lag = \"1s\"\nwaiters = 5\ndead_tuples = 0.2\nslots = false\nreplicas = [\"a\", \"b\"]\n";
        let config = Config::parse(text, Path::new("crossfade.toml")).unwrap();
        let shown = |key| config.throttle.show(key);
        assert_eq!(shown(Key::ReplicaLag), "1s");
        assert_eq!((shown(Key::Waiters), shown(Key::DeadTuples)), ("5".to_owned(), "0.2".to_owned()));
        assert_eq!((shown(Key::Slots), shown(Key::Replicas)), ("off".to_owned(), "a, b".to_owned()));
    }

    #[test]
    fn values_are_read() {
        let text = "migrations = \"db\"\nlayout = \"sqlx\"\nout_of_order = \"allow\"\nretain = \"0\"\n[locks]\nbudget = \"30s\"\n[backfill]\ntarget = \"50ms\"\nwal = \"512kB\"\nduty = 0.5\nworkers = 3\n";
        let config = Config::parse(text, Path::new("crossfade.toml")).unwrap();
        assert_eq!(config.retain, Duration::ZERO);
        assert_eq!((config.layout, config.out_of_order), (Some(Layout::UpDown), OutOfOrder::Allow));
        assert_eq!(config.locks.budget, Duration::from_secs(30));
        let backfill =
            BackfillConfig { target: Duration::from_millis(50), target_wal: 512 << 10, duty: 0.5, workers: 3 };
        assert_eq!(config.backfill, backfill);
    }
}
