//! One database, or one schema of it, that the migrations are for.

use crossfade_core::sql;
use crossfade_core::sql::Ident;
use tokio_postgres::types::Type;

use crate::config::Config;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;
use crate::migrator::Migrator;
use crate::postgres::Target;
use crate::postgres::lease::APPLICATION;

/// One database, or one schema of it, that the migrations are for.
#[derive(Clone, Debug)]
pub struct Place {
    /// What it is called: `eu`, `shops/acme`.
    pub name: String,
    /// How it is reached.
    pub target: Target,
    /// The schema of its journal.
    pub journal: String,
    /// Whether it goes first.
    pub canary: bool,
    /// Whether `migrate` makes its schema where that is not there.
    pub create_schema: bool,
}

impl Place {
    /// The migrations of this configuration, here.
    pub fn migrator(&self, config: &Config) -> Migrator {
        let config = Config { schema: self.journal.clone(), ..config.clone() };
        Migrator::new(config, self.target.clone())
    }

    /// Looks whether the schema is there: without it, what a file makes would end in the next schema of the search path. With `may_create` it is made
    /// where the configuration says so.
    ///
    /// # Errors
    ///
    /// When it is not there and not made, or the database can't be reached.
    pub async fn prepare(&self, may_create: bool) -> Result<()> {
        let Some(schema) = self.target.schema() else { return Ok(()) };
        let client = self.target.connect(APPLICATION).await?;
        let query = "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1)";
        let row = client.query_typed_one(query, &[(&schema, Type::TEXT)]).await.doing("look for the schema")?;
        if row.get(0) {
            return Ok(());
        }
        let name = Ident::new(schema);
        if !self.create_schema {
            let create = sql!("CREATE SCHEMA {}", name);
            return Err(Error::refused(format!(
                "there is no schema {name} in {}",
                self.target.without_schema().display()
            ))
            .hint(format!("{}, or say create_schemas = true in its [[target]]", create.as_str())));
        }
        if may_create {
            // Two runners may be at it.
            let create = sql!("CREATE SCHEMA IF NOT EXISTS {}", name);
            client.batch_execute(create.as_str()).await.doing(&format!("make the schema {name}"))?;
        }
        Ok(())
    }
}
