//! What a scenario is played on: a database with the table, the fleet on it, and the watcher of its locks.

use std::collections::HashMap;
use std::sync::Arc;

use crossfade::Error;
use crossfade::Result;
use crossfade::scratch::ScratchServer;
use crossfade_core::sql;
use crossfade_core::sql::Ident;
use tokio_postgres::Client;
use tokio_postgres::NoTls;

use super::DemoArgs;
use super::could_not;
use super::fleet::Fleet;
use super::fleet::Shared;
use super::locks::LockWatch;
use super::memory::Row;
use super::people;
use super::people::say;
use super::seconds;
use super::stats::Stats;
use super::users;
use super::users::Version;

/// A database under load.
#[derive(Debug)]
pub struct Scene {
    scenario: &'static str,
    url: String,
    client: Client,
    stats: Arc<Stats>,
    fleet: Fleet,
    watch: LockWatch,
    rows: u32,
    scale: f64,
}

impl Scene {
    /// Makes a database with the table, and sends the fleet onto it.
    pub async fn open(
        server: &ScratchServer,
        args: &DemoArgs,
        stats: &Arc<Stats>,
        scenario: &'static str,
    ) -> Result<Scene> {
        let database = format!("demo_{}", scenario.replace('-', "_"));
        let maintenance = connect(&server.url("postgres")).await?;
        let create = sql!("CREATE DATABASE {}", Ident::new(database.as_str()));
        maintenance.batch_execute(create.as_str()).await.map_err(could_not("create the demo's database"))?;
        let url = server.url(&database);
        let client = connect(&url).await?;
        users::create(&client, args.rows).await?;

        let target = url.parse().map_err(could_not("read the scratch server's URL"))?;
        let watch = LockWatch::start(connect(&url).await?, stats.clone()).await?;
        // The fleet counts into a phase, and connecting is none of those that are shown.
        let fleet = Fleet::start(target, stats.clone(), args.apps, args.rows);
        Ok(Scene {
            scenario,
            url,
            client,
            stats: stats.clone(),
            fleet,
            watch,
            rows: args.rows,
            scale: args.phase_seconds,
        })
    }

    /// The database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends the phase that is running, if any, and begins another.
    pub fn begin(&self, name: &'static str, what: &str) {
        self.stats.begin(self.scenario, name);
        say(&format!("{name:<16}{what}"));
    }

    /// Lets the fleet work.
    pub async fn pass(&self, time: f64) {
        tokio::time::sleep(seconds(time * self.scale)).await;
    }

    /// Deploys the new code to the whole fleet.
    pub async fn deploy(&self, over: f64) {
        self.fleet.deploy(seconds(over * self.scale)).await;
    }

    /// Runs statements by hand, each on its own as psql does, and lets an error be an error.
    pub async fn run(&self, statements: &[&str]) -> Result<()> {
        for statement in statements {
            say(&format!("{:16}{statement};", ""));
            self.client.batch_execute(statement).await.map_err(could_not("run a statement of the demo"))?;
        }
        Ok(())
    }

    /// Is the table as the migration's file has it?
    pub async fn expect_renamed(&self) -> Result<()> {
        let sql = "SELECT string_agg(attname, ' ' ORDER BY attname) FROM pg_attribute
                   WHERE attrelid = 'users'::regclass AND attnum > 0 AND NOT attisdropped";
        let row = self.client.query_one(sql, &[]).await;
        let columns: String = row.and_then(|row| row.try_get(0)).map_err(could_not("read the table's columns"))?;
        if columns == "age created_at email_address id name" {
            return Ok(());
        }
        Err(Error::failed(format!("after the migration the table users has the columns {columns}")))
    }

    /// Stops the fleet and compares every row of the table with what its owner wrote last. Returns how many rows.
    pub async fn close(self) -> Result<u64> {
        let shared = self.fleet.stop().await;
        self.stats.end();
        drop(self.watch);
        say(&format!("{:<16}every row is compared with what its owner wrote last", "check"));
        let checked = check(&self.client, &shared, self.rows).await.map_err(could_not("read the table users again"))?;
        say(&format!("{:<16}{} rows compared", "", people::count(checked)));
        Ok(checked)
    }
}

async fn connect(url: &str) -> Result<Client> {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.map_err(could_not("connect to the scratch server"))?;
    tokio::spawn(connection);
    Ok(client)
}

/// The new code is the last that ran, so it is its column that counts.
async fn check(client: &Client, shared: &Shared, rows: u32) -> std::result::Result<u64, tokio_postgres::Error> {
    let stats = &shared.stats;
    let mut expected = HashMap::new();
    for number in 0..shared.apps() {
        let memory = shared.memory(number);
        expected.extend(memory.written().map(|(id, row)| (id, row.clone())));
    }
    let email = Ident::new(Version::New.column());
    let sql = sql!("SELECT id, {}, age FROM users WHERE id > $1 ORDER BY id LIMIT 20000", email);
    let sql = client.prepare(sql.as_str()).await?;
    let (mut last, mut checked) = (0, 0);
    loop {
        let found = client.query(&sql, &[&last]).await?;
        if found.is_empty() {
            break;
        }
        for row in found {
            let (id, email, age): (i64, Option<String>, i32) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            checked += 1;
            last = id;
            let right = match expected.remove(&id) {
                Some(row) => row,
                None if id <= i64::from(rows) => Row::first(id),
                // A new user whose application was cut off before it got the answer.
                None => continue,
            };
            if right.certain && email.as_ref() != Some(&right.email) {
                stats.lost(right.phase, id, &right.email, email.as_deref());
            }
            if right.certain && age != right.age {
                stats.lost(right.phase, id, &format!("age {}", right.age), Some(&format!("age {age}")));
            }
        }
    }
    for (id, row) in expected {
        stats.lost(row.phase, id, &row.email, None);
    }
    Ok(checked)
}
