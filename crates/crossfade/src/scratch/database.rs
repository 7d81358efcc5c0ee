//! Scratch databases: empty ones, on a private server or on one that the user names, which are always removed.
//!
//! [`ScratchHome`] is where they are made, [`ScratchDatabase`] is one of them. [`ScratchDatabase::remove`] removes it and says if that went wrong;
//! dropping removes it, too, also when the work in it failed or was given up. What even that could not remove (the process was killed, the
//! server went away) has a name and a comment by which a later run finds it: [`ScratchHome::leftovers`].

use std::path::PathBuf;
use std::sync::Arc;

use crossfade_core::sql;
use crossfade_core::sql::Ident;
use crossfade_core::sql::Literal;
use crossfade_core::sql::Sql;
use tokio_postgres::Client;

use super::ScratchError;
use super::ScratchOptions;
use super::ScratchServer;
use super::binaries::find_binaries_of;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;
use crate::postgres::Target;

/// How the names of scratch databases begin.
const PREFIX: &str = "crossfade_scratch_";

const APPLICATION: &str = "crossfade scratch";

/// Where scratch databases are to be made.
#[derive(Clone, Debug)]
pub enum ScratchPlace {
    /// A private server, from programs that are installed here: those in this folder, else those that fit best.
    Private(Option<PathBuf>),
    /// A server on which the role may make databases; the database that is named is only connected to.
    Server(Box<Target>),
}

/// What a scratch database is to be like, so far as it can.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Likeness {
    /// The server's major version.
    pub major: Option<u32>,
    /// The role that migrations run as. On a private server it is made.
    pub user: Option<String>,
    /// Other roles that there are. On a private server they are made.
    pub roles: Vec<String>,
    /// The search path, as it was set.
    pub search_path: Option<String>,
    /// The time zone.
    pub time_zone: Option<String>,
}

/// Where scratch databases are made.
#[derive(Debug)]
pub struct ScratchHome {
    server: Option<Arc<ScratchServer>>,
    /// The database from which others are made.
    maintenance: Target,
    major: u32,
    like: Likeness,
}

impl ScratchHome {
    /// Starts a private server, or connects to the one that was named.
    ///
    /// # Errors
    ///
    /// When there are no programs of a server here, or the one that was named can't be reached.
    pub async fn open(place: &ScratchPlace, like: Likeness) -> Result<ScratchHome> {
        match place {
            ScratchPlace::Private(folder) => ScratchHome::private(folder.clone(), like).await,
            ScratchPlace::Server(target) => {
                let client = target.connect(APPLICATION).await?;
                let query = "SELECT current_setting('server_version_num')::int4 / 10000";
                let row = client.query_typed_one(query, &[]).await.doing("ask the scratch server for its version")?;
                let major = u32::try_from(row.get::<_, i32>(0)).unwrap_or_default();
                Ok(ScratchHome { server: None, maintenance: (**target).clone(), major, like })
            }
        }
    }

    async fn private(folder: Option<PathBuf>, like: Likeness) -> Result<ScratchHome> {
        let major = like.major;
        let start = move || -> Result<ScratchServer, ScratchError> {
            let mut options = ScratchOptions::new(find_binaries_of(folder.as_deref(), major)?);
            options.settings = vec![("jit".to_owned(), "off".to_owned()), ("autovacuum".to_owned(), "off".to_owned())];
            ScratchServer::start(options)
        };
        let failed = |error: ScratchError| {
            Error::failed("could not start a private scratch server")
                .hint("`--scratch-url URL`, or `scratch` in crossfade.toml, names a server on which a scratch database may be made")
                .caused_by(error)
        };
        let server = tokio::task::spawn_blocking(start).await;
        let server = server.map_err(|error| Error::failed("could not start a scratch server").caused_by(error))?;
        let server = server.map_err(failed)?;
        let root = Target::from_url(&server.url("postgres"))?;
        let user = like.user.clone().unwrap_or_else(|| super::SUPERUSER.to_owned());
        let client = root.connect(APPLICATION).await?;
        for role in like.roles.iter().chain([&user]) {
            make_role(&client, role, *role == user).await?;
        }
        let maintenance = Target::from_url(&server.url_as(&user, "postgres"))?;
        let major = server.major_version();
        Ok(ScratchHome { server: Some(Arc::new(server)), maintenance, major, like })
    }

    /// The major version of the server.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// For people: `a private server (PostgreSQL 15)`.
    pub fn describe(&self) -> String {
        match self.server {
            Some(_) => format!("a private server (PostgreSQL {})", self.major),
            None => format!("{} (PostgreSQL {})", self.maintenance.display(), self.major),
        }
    }

    /// What should be said because the server is not like the one that it stands for.
    pub fn difference(&self) -> Option<String> {
        let wanted = self.like.major.filter(|major| *major != self.major)?;
        Some(format!(
            "the scratch server is PostgreSQL {}, and the database is on PostgreSQL {wanted}: some definitions are rendered in another way",
            self.major
        ))
    }

    /// An empty database.
    ///
    /// # Errors
    ///
    /// When the role may not make one.
    pub async fn database(&self) -> Result<ScratchDatabase> {
        self.make("template0").await
    }

    /// A database like another one, to which nobody is connected.
    ///
    /// # Errors
    ///
    /// When the role may not make one, or somebody is connected.
    pub async fn copy_of(&self, other: &ScratchDatabase) -> Result<ScratchDatabase> {
        self.make(&other.name).await
    }

    async fn make(&self, template: &str) -> Result<ScratchDatabase> {
        let name = format!("{PREFIX}{:016x}", rand::random::<u64>());
        let client = self.maintenance.connect(APPLICATION).await?;
        let create = sql!("CREATE DATABASE {} TEMPLATE {}", Ident::new(name.as_str()), Ident::new(template));
        if let Err(error) = client.batch_execute(create.as_str()).await {
            return Err(Error::failed(format!("could not make a scratch database on {}", self.maintenance.display()))
                .hint("the role needs CREATEDB there; without `--scratch-url` and `scratch`, a private server of the programs on this machine is used")
                .caused_by(error));
        }
        let database = ScratchDatabase {
            target: self.maintenance.in_database(&name),
            maintenance: self.maintenance.clone(),
            name,
            is_there: true,
            _server: self.server.clone(),
        };
        self.settle(&client, &database).await?;
        Ok(database)
    }

    /// Says whose it is, and sets what it is to be like.
    async fn settle(&self, client: &Client, database: &ScratchDatabase) -> Result<()> {
        let name = Ident::new(database.name.as_str());
        let host = nix::unistd::gethostname().ok().and_then(|host| host.into_string().ok()).unwrap_or_default();
        let mut statements = vec![sql!(
            "DO $$ BEGIN EXECUTE format('COMMENT ON DATABASE %I IS %L', {}, 'scratch database of crossfade, made at ' || now() || ' by process ' || {}); END $$",
            Literal(database.name.clone()),
            Literal(format!("{} on {host}", std::process::id()))
        )];
        for (setting, value) in [("search_path", &self.like.search_path), ("TimeZone", &self.like.time_zone)] {
            if let Some(value) = value {
                statements.push(sql!(
                    "SELECT pg_catalog.set_config({}, {}, false)",
                    Literal(setting.to_owned()),
                    Literal(value.clone())
                ));
                statements.push(sql!(
                    "ALTER DATABASE {} SET {} FROM CURRENT",
                    name,
                    Ident::new(setting.to_lowercase())
                ));
            }
        }
        let all = Sql::join(statements, "; ");
        client.batch_execute(all.as_str()).await.doing("prepare a scratch database")
    }

    /// Makes a role that a migration names, where the server is a private one. Returns whether it did.
    ///
    /// # Errors
    ///
    /// When the server refuses.
    pub async fn make_missing_role(&self, name: &str) -> Result<bool> {
        if self.server.is_none() {
            return Ok(false);
        }
        let client = self.maintenance.connect(APPLICATION).await?;
        make_role(&client, name, false).await?;
        Ok(true)
    }

    /// Scratch databases that a run left which was killed: nobody is connected to them, and they are not new.
    ///
    /// # Errors
    ///
    /// When the server can't be asked.
    pub async fn leftovers(&self) -> Result<Vec<String>> {
        if self.server.is_some() {
            return Ok(Vec::new());
        }
        leftovers(&self.maintenance.connect(APPLICATION).await?).await
    }
}

/// Scratch databases on a server that a run left which was killed.
pub(crate) async fn leftovers(client: &Client) -> Result<Vec<String>> {
    let query = sql!(
        "SELECT d.datname::text FROM pg_database d \
         WHERE pg_catalog.starts_with(d.datname::text, {}) \
           AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datname = d.datname) \
           AND substring(pg_catalog.shobj_description(d.oid, 'pg_database') FROM 'made at (.*) by process')::timestamptz < now() - interval '10 minutes' \
         ORDER BY 1",
        Literal(PREFIX.to_owned())
    );
    let rows = client.query_typed(query.as_str(), &[]).await.doing("look for scratch databases that were left")?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// A scratch database. It is removed when it is dropped, whatever happened in it.
#[derive(Debug)]
pub struct ScratchDatabase {
    target: Target,
    maintenance: Target,
    name: String,
    is_there: bool,
    /// It ends with the last of its databases.
    _server: Option<Arc<ScratchServer>>,
}

impl ScratchDatabase {
    /// How to connect to it.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Removes it, and ends all sessions in it.
    ///
    /// # Errors
    ///
    /// When that went wrong; the error names it.
    pub async fn remove(mut self) -> Result<()> {
        self.is_there = false;
        remove(&self.maintenance, &self.name).await
    }
}

impl Drop for ScratchDatabase {
    fn drop(&mut self) {
        if !self.is_there {
            return;
        }
        let (maintenance, name) = (self.maintenance.clone(), self.name.clone());
        // A thread and a runtime of its own: here there may be none, or one that is just ending.
        let removing = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| Error::failed("could not start").caused_by(error))?;
            runtime.block_on(remove(&maintenance, &name))
        });
        if let Ok(Err(error)) = removing.join() {
            tracing::warn!("{}", error.chain());
        }
    }
}

async fn remove(maintenance: &Target, name: &str) -> Result<()> {
    let drop = sql!("DROP DATABASE IF EXISTS {} WITH (FORCE)", Ident::new(name));
    let failed = |error: Error| {
        Error::failed(format!("the scratch database {name} on {} could not be removed", maintenance.display()))
            .hint(format!("remove it: {drop}"))
            .caused_by(error)
    };
    let client = maintenance.connect(APPLICATION).await.map_err(failed)?;
    client.batch_execute(drop.as_str()).await.doing("drop it").map_err(failed)
}

async fn make_role(client: &Client, name: &str, superuser: bool) -> Result<()> {
    let role = Ident::new(name);
    let known = client
        .query_typed("SELECT FROM pg_roles WHERE rolname = $1", &[(&name, tokio_postgres::types::Type::TEXT)])
        .await
        .doing("look for a role on the scratch server")?;
    if !known.is_empty() {
        return Ok(());
    }
    let statement = if superuser { sql!("CREATE ROLE {} SUPERUSER LOGIN", role) } else { sql!("CREATE ROLE {}", role) };
    client.batch_execute(statement.as_str()).await.doing("make a role on the scratch server")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::find_binaries;

    fn private() -> ScratchPlace {
        let listed = std::env::var_os("CROSSFADE_PG_BINS");
        let first = listed.and_then(|folders| std::env::split_paths(&folders).next());
        ScratchPlace::Private(Some(first.unwrap_or_else(|| find_binaries(None).unwrap())))
    }

    async fn names(home: &ScratchHome) -> Vec<String> {
        let client = home.maintenance.connect("test").await.unwrap();
        let rows =
            client.query("SELECT datname::text FROM pg_database WHERE datname ~ '^crossfade'", &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn it_is_removed_when_the_work_failed_panicked_or_was_given_up() {
        let home = ScratchHome::open(&private(), Likeness::default()).await.unwrap();
        let database = home.database().await.unwrap();
        assert_eq!(names(&home).await, [database.name()]);
        // Somebody is still in it.
        let _client = database.target().connect("test").await.unwrap();
        drop(database);
        assert!(names(&home).await.is_empty());

        let database = home.database().await.unwrap();
        let panicked = tokio::spawn(async move {
            assert_eq!(database.name(), "", "it panics here");
        });
        assert!(panicked.await.is_err());
        assert!(names(&home).await.is_empty());

        let database = home.database().await.unwrap();
        let given_up = tokio::time::timeout(std::time::Duration::from_millis(10), async move {
            let _database = database;
            std::future::pending::<()>().await;
        });
        assert!(given_up.await.is_err());
        assert!(names(&home).await.is_empty());
        home.database().await.unwrap().remove().await.unwrap();
        assert!(names(&home).await.is_empty());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn it_is_like_the_one_that_it_stands_for() {
        let like = Likeness {
            user: Some("the deployer".to_owned()),
            roles: vec!["app".to_owned(), "postgres".to_owned()],
            search_path: Some("\"$user\", app, public".to_owned()),
            time_zone: Some("Asia/Tokyo".to_owned()),
            ..Likeness::default()
        };
        let home = ScratchHome::open(&private(), like).await.unwrap();
        let database = home.database().await.unwrap();
        let client = database.target().connect("test").await.unwrap();
        let query =
            "SELECT current_user::text || ' ' || current_setting('search_path') || ' ' || current_setting('TimeZone')";
        let row = client.query_one(query, &[]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), "the deployer \"$user\", app, public Asia/Tokyo");
        assert!(home.make_missing_role("late").await.unwrap());
        client.batch_execute("CREATE TABLE t (); GRANT SELECT ON t TO app, late").await.unwrap();
        drop(client);
        let copy = home.copy_of(&database).await.unwrap();
        let client = copy.target().connect("test").await.unwrap();
        client.batch_execute("TABLE t").await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn on_a_server_that_is_named_nothing_is_made_but_databases_and_leftovers_are_named() {
        let own = ScratchHome::open(&private(), Likeness::default()).await.unwrap();
        let place = ScratchPlace::Server(Box::new(own.maintenance.clone()));
        let like = Likeness { user: Some("somebody".to_owned()), ..Likeness::default() };
        let home = ScratchHome::open(&place, like).await.unwrap();
        let database = home.database().await.unwrap();
        assert!(!home.make_missing_role("x").await.unwrap());
        assert!(home.leftovers().await.unwrap().is_empty());
        let client = home.maintenance.connect("test").await.unwrap();
        let old = format!(
            "COMMENT ON DATABASE {} IS 'scratch database of crossfade, made at 2020-01-01 by process 1 on x'",
            database.name()
        );
        client.batch_execute(&old).await.unwrap();
        client.batch_execute("CREATE DATABASE crossfade_scratch_of_somebody").await.unwrap();
        assert_eq!(home.leftovers().await.unwrap(), [database.name()]);
        let there = database.target().connect("test").await.unwrap();
        assert!(home.leftovers().await.unwrap().is_empty(), "somebody is in it");
        drop(there);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_role_that_may_not_make_databases_is_told_so() {
        let own = ScratchHome::open(&private(), Likeness::default()).await.unwrap();
        let client = own.maintenance.connect("test").await.unwrap();
        client.batch_execute("CREATE ROLE weak LOGIN").await.unwrap();
        let server = own.server.as_ref().unwrap();
        let weak = Target::from_url(&server.url_as("weak", "postgres")).unwrap();
        let home = ScratchHome::open(&ScratchPlace::Server(Box::new(weak)), Likeness::default()).await.unwrap();
        let error = home.database().await.unwrap_err();
        assert!(error.chain().contains("permission denied to create database"), "{}", error.chain());
        assert!(error.hint_text().unwrap().contains("CREATEDB"), "{:?}", error.hint_text());
    }
}
