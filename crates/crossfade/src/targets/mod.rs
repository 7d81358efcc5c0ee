//! Several databases, and several schemas of one, that the same migrations are for: which they are, and a command on each of them.

mod each;
mod expand;
mod place;
pub(crate) mod settings;

pub use each::EachOptions;
pub use each::Outcome;
pub use each::Ran;
pub use each::each;
pub use expand::expand;
pub use place::Place;

use std::path::Path;

use crate::connection::Connection;

/// Most that may be worked on at the same time.
pub const MOST_AT_ONCE: usize = 256;

/// `[[target]]` and `[targets]` of crossfade.toml.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    /// In the order of the file.
    pub each: Vec<TargetConfig>,
    /// How many are worked on at the same time.
    pub parallel: usize,
}

impl Default for Targets {
    fn default() -> Targets {
        Targets { each: Vec::new(), parallel: 1 }
    }
}

impl Targets {
    pub(crate) fn in_folder(&mut self, folder: &Path) {
        for connection in self.each.iter_mut().filter_map(|target| target.connection.as_mut()) {
            connection.in_folder(folder);
        }
    }
}

/// One `[[target]]`: a database, or many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetConfig {
    /// What it is called.
    pub name: String,
    /// How it is reached; none: as without targets.
    pub connection: Option<Connection>,
    /// What it stands for.
    pub spread: Spread,
    /// What names without a schema mean behind the tenant's own.
    pub shared: Vec<String>,
    /// Whether `migrate` makes a tenant's schema that is not there.
    pub create_schemas: bool,
    /// What goes first.
    pub canary: Canary,
}

/// What one `[[target]]` stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spread {
    /// The database.
    One,
    /// These schemas of it, each a tenant with a journal of its own.
    Schemas(Vec<String>),
    /// The schemas that a query gives.
    SchemasOf(String),
    /// Databases of the same server, or URLs, that a query gives.
    DatabasesOf(String),
}

/// What goes before the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Canary {
    /// Nothing of it.
    No,
    /// All of it.
    All,
    /// These of its tenants or databases.
    These(Vec<String>),
}
