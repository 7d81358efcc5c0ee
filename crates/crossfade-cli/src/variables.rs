//! The environment, and a `.env` file of this folder or one above for what the environment does not say.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Variables by name. The environment goes first.
#[derive(Debug, Default)]
pub struct Variables {
    dotenv: BTreeMap<String, String>,
    skipped: Vec<usize>,
}

impl Variables {
    /// Reads the `.env` file, where there is one. Only what concerns the connection is kept.
    pub fn read() -> Variables {
        let mut variables = Variables::default();
        let Ok(lines) = dotenvy::dotenv_iter() else { return variables };
        for (at, line) in lines.enumerate() {
            match line {
                Ok((name, value))
                    if matches!(name.as_str(), "MIGRATION_DATABASE_URL" | "DATABASE_URL") || name.starts_with("PG") =>
                {
                    variables.dotenv.insert(name, value);
                }
                Ok(_) => {}
                // The line itself is not repeated: it may hold a password.
                Err(dotenvy::Error::LineParse(..)) => variables.skipped.push(at + 1),
                Err(_) => break,
            }
        }
        variables
    }

    /// A variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().or_else(|| self.dotenv.get(name).cloned()).filter(|value| !value.is_empty())
    }

    /// The home folder.
    pub fn home(&self) -> Option<PathBuf> {
        self.get("HOME").map(PathBuf::from)
    }

    /// Logs what was not understood, once there is a log.
    pub fn report_skipped(&self) {
        for entry in &self.skipped {
            tracing::warn!("entry {entry} of the .env file is not understood, and was left out");
        }
    }
}
