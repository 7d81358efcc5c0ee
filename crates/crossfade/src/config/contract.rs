//! `[contract]`: when the old form counts as out of use.

use std::time::Duration;

use serde::Deserialize;

/// When `contract` takes the old form away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractConfig {
    /// For how long nobody may have been seen to use the old form; zero: it is not asked.
    pub quiet_for: Duration,
    /// Whether sessions may be open that were opened before the migration waited for the deploy.
    pub old_sessions: Blocks,
    /// Whether what can't be seen stops it.
    pub unseen: Blocks,
    /// How long a transaction on the tables may be open: contract would wait for it, and everybody behind contract.
    pub long_transaction: Duration,
    /// Applications that are none: their sessions are not looked at. `*` stands for any letters.
    pub ignore: Vec<String>,
}

/// What comes of something that speaks against contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocks {
    /// Contract is refused.
    Refuse,
    /// It is said.
    Warn,
}

impl Default for ContractConfig {
    fn default() -> ContractConfig {
        ContractConfig {
            quiet_for: Duration::from_secs(3600),
            old_sessions: Blocks::Refuse,
            unseen: Blocks::Warn,
            long_transaction: Duration::from_secs(60),
            ignore: ["psql", "pg_dump", "pg_dumpall", "pg_basebackup", "pgAdmin*"].map(str::to_owned).to_vec(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ContractTable {
    pub quiet_for: Option<toml::Spanned<String>>,
    pub old_sessions: Option<toml::Spanned<String>>,
    pub unseen: Option<toml::Spanned<String>>,
    pub long_transaction: Option<toml::Spanned<String>>,
    pub ignore: Option<Vec<String>>,
}

impl Blocks {
    pub(super) fn by_name(name: &str) -> Option<Blocks> {
        match name {
            "refuse" => Some(Blocks::Refuse),
            "warn" => Some(Blocks::Warn),
            _ => None,
        }
    }
}
