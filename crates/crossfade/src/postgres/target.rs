//! Which database, and how to get there.

use tokio_postgres::Client;

use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;

/// A database to connect to.
#[derive(Clone)]
pub struct Target {
    config: tokio_postgres::Config,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.display())
    }
}

impl Target {
    /// Reads a connection URL or a libpq `key=value` string.
    ///
    /// # Errors
    ///
    /// When it is neither. The text itself is never repeated: it may hold a password.
    pub fn from_url(url: &str) -> Result<Target> {
        let config = url.parse().map_err(|_| {
            Error::usage("the database URL can't be read").hint("write postgres://user@host:port/database")
        })?;
        Ok(Target { config })
    }

    /// Host, port and database, without secrets.
    pub fn display(&self) -> String {
        format!("{}", self.config.get_dbname().unwrap_or("postgres"))
    }

    /// Connects under this `application_name`.
    ///
    /// # Errors
    ///
    /// When the server can't be reached or refuses.
    pub async fn connect(&self, application_name: &str) -> Result<Client> {
        let mut config = self.config.clone();
        config.application_name(application_name);
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.doing("connect to the database")?;
        tokio::spawn(connection);
        Ok(client)
    }
}
