//! Which database, and how to get there: libpq's URL, variables, password file, sockets and `sslmode`.

// Not in a folder `target`: git ignores that name.
mod passfile;
mod service;
mod settings;
mod tls;
mod values;

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use crossfade_core::sql;
use crossfade_core::sql::Ident;
use tokio_postgres::Client;
use tokio_postgres::NoTls;
use tokio_postgres::Socket;
use tokio_postgres::config::ChannelBinding;
use tokio_postgres::config::SslMode as WireMode;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;

use self::passfile::Key;
use self::passfile::Passfile;
use self::settings::Settings;
use self::tls::SslMode;
use self::tls::Tls;
use self::values::Host;
use self::values::SOCKET_FOLDERS;
use crate::error::Error;
use crate::error::Result;

/// A silent connection is asked for a sign of life this often, so that a dead one is noticed in minutes.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// A database to connect to.
#[derive(Clone)]
pub struct Target {
    hosts: Vec<Host>,
    user: String,
    database: String,
    password: Option<String>,
    passfile: Option<Passfile>,
    /// Why a password file was not used; shown where a password is missing.
    passfile_note: Option<String>,
    options: Option<String>,
    /// What names without a schema mean first, where that was set.
    schema: Option<String>,
    connect_timeout: Option<Duration>,
    session: TargetSessionAttrs,
    channel_binding: ChannelBinding,
    tls: Tls,
}

/// Why one try to connect failed.
enum Failure {
    Server(tokio_postgres::Error),
    Timeout(Duration),
    Other(Error),
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Target({})", self.display())
    }
}

impl Target {
    /// Reads a connection URL or a libpq `key=value` string. What it does not say has libpq's default.
    ///
    /// # Errors
    ///
    /// When it is neither. The text itself is never repeated: it may hold a password.
    pub fn from_url(url: &str) -> Result<Target> {
        Target::resolve(Some(url), &|_| None, None)
    }

    /// From libpq's variables (`PGHOST`, `PGPASSFILE` …) and the password file in the home folder.
    ///
    /// # Errors
    ///
    /// When a variable's value is not understood.
    pub fn from_variables(lookup: &dyn Fn(&str) -> Option<String>, home: Option<&Path>) -> Result<Target> {
        Target::resolve(None, lookup, home)
    }

    /// From a URL, where there is one; what it does not say is taken from the service that it names, or PGSERVICE, and then from the variables, as libpq
    /// does it.
    ///
    /// # Errors
    ///
    /// When the URL, the service or a variable's value is not understood.
    pub fn resolve(url: Option<&str>, lookup: &dyn Fn(&str) -> Option<String>, home: Option<&Path>) -> Result<Target> {
        Target::resolve_with(url, None, lookup, home)
    }

    /// The same, with a password for a URL that has none; it goes before the service's and the variables'.
    ///
    /// # Errors
    ///
    /// When the URL, the service or a variable's value is not understood.
    pub fn resolve_with(
        url: Option<&str>,
        password: Option<&str>,
        lookup: &dyn Fn(&str) -> Option<String>,
        home: Option<&Path>,
    ) -> Result<Target> {
        let mut settings = url.map(Settings::parse).transpose()?.unwrap_or_default();
        if let Some(password) = password {
            settings.set_missing("password", password);
        }
        let said =
            |keyword: &str, variable: &str| settings.get(keyword).map(str::to_owned).or_else(|| lookup(variable));
        if let Some(service) = said("service", "PGSERVICE").filter(|name| !name.is_empty()) {
            let named = said("servicefile", "PGSERVICEFILE").filter(|path| !path.is_empty());
            let system = lookup("PGSYSCONFDIR").filter(|folder| !folder.is_empty());
            let places = service::Places::new(named.as_deref(), home, system.as_deref());
            service::fill(&mut settings, &service, &places)?;
        }
        settings.fill_from(lookup);
        let user = match settings.get("user") {
            Some(user) => user.to_owned(),
            None => system_user().ok_or_else(|| {
                Error::usage("no user is named, and this process's has no name")
                    .hint("name one in the URL, or in PGUSER")
            })?,
        };
        let password = settings.get("password").map(str::to_owned);
        let (passfile, passfile_note) =
            match settings.get("passfile").map(PathBuf::from).or(home.map(|home| home.join(".pgpass"))) {
                Some(path) if password.is_none() => match Passfile::read(&path) {
                    Ok(file) => (file, None),
                    Err(why) => (None, Some(why)),
                },
                Some(_) | None => (None, None),
            };
        if let Some(note) = &passfile_note {
            tracing::debug!("{note}");
        }
        Ok(Target {
            hosts: values::read_hosts(&settings)?,
            database: settings.get("dbname").unwrap_or(&user).to_owned(),
            user,
            password,
            passfile,
            passfile_note,
            options: settings.get("options").map(str::to_owned),
            schema: None,
            connect_timeout: values::read_timeout(&settings)?,
            session: values::read_session(&settings)?,
            channel_binding: values::read_channel_binding(&settings)?,
            tls: values::read_tls(&settings, home)?,
        })
    }

    /// Host, port and database, without secrets: `db.example.org:5432/shop`; and the schema, where one is set.
    pub fn display(&self) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(|host| format!("{}:{}", host.name, host.port)).collect();
        let schema = self.schema.as_ref().map(|schema| format!(", schema {schema}")).unwrap_or_default();
        format!("{}/{}{schema}", hosts.join(","), self.database)
    }

    /// The same database, where names without a schema mean this schema, and then these. It is said at the start of each connection, so nothing that a
    /// file does to the search path outlives the file.
    #[must_use]
    pub fn in_schema(&self, schema: &str, behind: &[String]) -> Target {
        let path: Vec<String> = std::iter::once(schema).chain(behind.iter().map(String::as_str)).map(quoted).collect();
        let said = format!("-c search_path={}", escaped(&path.join(",")));
        let options = self.options.iter().chain([&said]).map(String::as_str).collect::<Vec<_>>().join(" ");
        Target { options: Some(options), schema: Some(schema.to_owned()), ..self.clone() }
    }

    /// The database alone, for its name.
    pub(crate) fn without_schema(&self) -> Target {
        Target { schema: None, ..self.clone() }
    }

    /// The schema that names without one mean, where that was set.
    pub fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// Another database on the same server.
    #[must_use]
    pub fn in_database(&self, name: &str) -> Target {
        Target { database: name.to_owned(), ..self.clone() }
    }

    /// For tests: the password for the first host.
    #[cfg(test)]
    pub(crate) fn shown_password(&self) -> Option<String> {
        self.password_for(self.hosts.first()?)
    }

    /// The database's name.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Connects under this `application_name`. Of several hosts the first one that answers is taken.
    ///
    /// # Errors
    ///
    /// When the server can't be reached or refuses.
    pub async fn connect(&self, application_name: &str) -> Result<Client> {
        let mut last = None;
        for host in &self.hosts {
            match self.connect_to(host, application_name).await {
                Ok(client) => return Ok(client),
                Err(failure) => last = Some(failure),
            }
        }
        Err(match last {
            Some(failure) => self.explain(failure),
            None => Error::usage("no host is named"),
        })
    }

    async fn connect_to(&self, host: &Host, application_name: &str) -> Result<Client, Failure> {
        let config = self.wire_config(host, application_name);
        let mode = if host.is_socket() { SslMode::Disable } else { self.tls.mode };
        match mode {
            SslMode::Disable => self.plain(config).await,
            SslMode::Allow => match self.plain(config.clone()).await {
                Err(Failure::Server(error)) if is_refused_entry(&error) => {
                    self.encrypted(config, WireMode::Require).await
                }
                other => other,
            },
            SslMode::Prefer => match self.encrypted(config.clone(), WireMode::Prefer).await {
                Err(Failure::Server(error)) if is_refused_entry(&error) || is_tls(&error) => self.plain(config).await,
                other => other,
            },
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {
                self.encrypted(config, WireMode::Require).await
            }
        }
    }

    async fn plain(&self, mut config: tokio_postgres::Config) -> Result<Client, Failure> {
        config.ssl_mode(WireMode::Disable);
        self.open(config, NoTls).await
    }

    async fn encrypted(&self, mut config: tokio_postgres::Config, mode: WireMode) -> Result<Client, Failure> {
        config.ssl_mode(mode);
        let connector = self.tls.connector().map_err(Failure::Other)?;
        self.open(config, connector).await
    }

    async fn open<T>(&self, config: tokio_postgres::Config, tls: T) -> Result<Client, Failure>
    where
        T: MakeTlsConnect<Socket>,
        T::Stream: Send + 'static,
    {
        let connecting = config.connect(tls);
        let connected = match self.connect_timeout {
            None => connecting.await,
            Some(limit) => tokio::time::timeout(limit, connecting).await.map_err(|_| Failure::Timeout(limit))?,
        };
        let (client, connection) = connected.map_err(Failure::Server)?;
        tokio::spawn(async move {
            match connection.await {
                Ok(()) => tracing::debug!("connection closed"),
                Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "connection lost"),
            }
        });
        Ok(client)
    }

    fn wire_config(&self, host: &Host, application_name: &str) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.user(&self.user).dbname(&self.database).port(host.port).application_name(application_name);
        config.host(&host.name).keepalives_idle(KEEPALIVE);
        config.target_session_attrs(self.session).channel_binding(self.channel_binding);
        if let Some(address) = host.address {
            config.hostaddr(address);
        }
        if let Some(password) = self.password_for(host) {
            config.password(password);
        }
        if let Some(options) = &self.options {
            config.options(options);
        }
        config
    }

    fn password_for(&self, host: &Host) -> Option<String> {
        if let Some(password) = &self.password {
            return Some(password.clone());
        }
        let mut hosts = vec![host.name.as_str()];
        if SOCKET_FOLDERS.contains(&host.name.as_str()) {
            hosts.push("localhost");
        }
        let key = Key { hosts: &hosts, port: host.port, database: &self.database, user: &self.user };
        self.passfile.as_ref()?.password(key)
    }

    fn explain(&self, failure: Failure) -> Error {
        let message = format!("could not connect to {} as {}", self.display(), self.user);
        match failure {
            Failure::Other(error) => error,
            Failure::Timeout(limit) => Error::failed(message)
                .caused_by(format!("no answer within {} s", limit.as_secs()))
                .hint("check host, port and firewall; connect_timeout in the URL gives it more time"),
            Failure::Server(error) => {
                let hint = self.hint(&error);
                Error::failed(message).caused_by(error).hint(hint)
            }
        }
    }

    fn hint(&self, error: &tokio_postgres::Error) -> String {
        let code = error.code();
        if code == Some(&SqlState::INVALID_PASSWORD) || self.password_is_missing(error) {
            let note = self.passfile_note.as_ref().map(|note| format!("; {note}")).unwrap_or_default();
            return format!("check user and password: the database URL, PGPASSWORD or ~/.pgpass{note}");
        }
        match code {
            Some(code) if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                "check the user, pg_hba.conf and sslmode".to_owned()
            }
            Some(code) if *code == SqlState::INVALID_CATALOG_NAME => {
                format!("create it first: createdb {}", self.database)
            }
            Some(code) if *code == SqlState::TOO_MANY_CONNECTIONS => {
                "a few connections must be free for Crossfade".to_owned()
            }
            Some(_) if self.schema.is_some() && error.to_string().contains("unsupported startup parameter") => {
                "a schema is said at the start of a connection, and a pooler does not let that through: give the server's own address".to_owned()
            }
            Some(_) => "the server answered, and refused".to_owned(),
            None if is_tls(error) => "check sslmode and sslrootcert in the database URL".to_owned(),
            None => {
                "is the server running there? check host and port in --database-url, DATABASE_URL or PGHOST".to_owned()
            }
        }
    }

    fn password_is_missing(&self, error: &tokio_postgres::Error) -> bool {
        error.code().is_none()
            && self.hosts.iter().all(|host| self.password_for(host).is_none())
            && error.to_string().starts_with("invalid configuration")
    }
}

/// A name as SQL has it.
fn quoted(name: &str) -> String {
    sql!("{}", Ident::new(name)).as_str().to_owned()
}

/// As the options of a connection want it: a space ends a value.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\\' || c.is_whitespace() {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// The server has no entry for us with, or without, encryption.
fn is_refused_entry(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
}

fn is_tls(error: &tokio_postgres::Error) -> bool {
    error.to_string().contains("TLS")
}

fn system_user() -> Option<String> {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok()??;
    Some(user.name)
}

#[cfg(test)]
mod tests;
