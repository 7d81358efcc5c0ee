//! The environment, and a `.env` file of this folder or one above for what the environment does not say.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use crossfade::Error;
use crossfade::Result;
use crossfade::connection;

/// Where the database's address may stand, the first that is there.
const URLS: [&str; 2] = ["MIGRATION_DATABASE_URL", "DATABASE_URL"];

/// Variables by name. The environment goes first.
#[derive(Debug, Default)]
pub struct Variables {
    dotenv: BTreeMap<String, String>,
    skipped: Vec<usize>,
}

impl Variables {
    /// Reads the `.env` file, where there is one.
    pub fn read() -> Variables {
        let mut variables = Variables::default();
        let Ok(lines) = dotenvy::dotenv_iter() else { return variables };
        for (at, line) in lines.enumerate() {
            match line {
                Ok((name, value)) => {
                    variables.dotenv.insert(name, value);
                }
                // The line itself is not repeated: it may hold a password.
                Err(dotenvy::Error::LineParse(..)) => variables.skipped.push(at + 1),
                Err(_) => break,
            }
        }
        variables
    }

    /// A variable that is set and not empty. Of the `.env` file only what concerns the connection counts.
    pub fn get(&self, name: &str) -> Option<String> {
        let is_connection =
            name.starts_with("PG") || URLS.iter().any(|url| name.strip_suffix("_FILE").unwrap_or(name) == *url);
        let own = self.dotenv.get(name).filter(|_| is_connection);
        std::env::var(name).ok().or_else(|| own.cloned()).filter(|value| !value.is_empty())
    }

    /// A variable that the configuration names.
    pub fn named(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().or_else(|| self.dotenv.get(name).cloned()).filter(|value| !value.is_empty())
    }

    /// The database's URL: in a variable, or in the file that a variable with _FILE behind its name has.
    pub fn database_url(&self) -> Result<Option<String>> {
        for name in URLS {
            if let Some(url) = self.get(name) {
                return Ok(Some(url));
            }
            let variable = format!("{name}_FILE");
            if let Some(path) = self.get(&variable) {
                let read = connection::read_file(Path::new(&path));
                return read
                    .map(Some)
                    .map_err(|error| Error::usage(format!("{variable} can't be used")).caused_by(error));
            }
        }
        Ok(None)
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
