//! The soak: random migrations over random tables, both versions of the application at work, and random faults, for half an hour. No client sees
//! an error but those that a fault itself makes, and no write is lost: every row is read at each turn of the way, and holds what its client was told.
//!
//! `make soak` runs it and writes docs/reliability.md. `CROSSFADE_SOAK_SECONDS` says for how long; the short form of the ordinary tests goes one round.

mod clients;
mod faults;
mod kind;
mod ledger;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use crossfade_core::journal::State;
use rand::RngExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::project::Command;
use crate::project::Project;
use crate::server::Database;
use crate::server::Server;
use crate::server::folders;
use crate::server::main_server;
use crate::server::run;
use crate::server::start_with;
use crate::snapshot::Snapshot;
use clients::Clients;
use clients::SHARES;
use clients::Staff;
use clients::Tally;
use faults::Done;
use faults::Faults;
use faults::count;
use kind::KINDS;
use kind::Kind;
use ledger::Ledger;

/// What a client was told is committed must be there after a crash.
const SETTINGS: [(&str, &str); 2] = [("synchronous_commit", "on"), ("autovacuum", "on")];

/// Servers that may crash.
static FRAGILE: LazyLock<Vec<Server>> = LazyLock::new(|| {
    let start = |folder: std::path::PathBuf| Server { scratch: start_with(folder, &SETTINGS), pg_dump: None };
    let mut all: Vec<Server> = folders().into_iter().map(start).collect();
    all.sort_by_key(Server::major);
    all.dedup_by_key(|server| server.major());
    all
});
static FRAGILE_MAIN: LazyLock<Server> = LazyLock::new(|| Server {
    scratch: start_with(main_server().scratch.bin_dir().to_owned(), &SETTINGS),
    pg_dump: None,
});

/// How often a command is run again before it counts as one that does not end.
const TRIES: u32 = 300;

/// What came of all rounds.
#[derive(Debug, Default)]
struct Sum {
    rounds: BTreeMap<&'static str, u32>,
    servers: BTreeMap<u32, u32>,
    commands: BTreeMap<&'static str, u32>,
    failed_commands: u32,
    statements: i64,
    cut: i64,
    rows_read: u64,
    errors: Vec<String>,
}

/// One round, in the ordinary tests.
#[test]
fn a_round_of_the_soak() {
    run(async {
        let (mut sum, done) = (Sum::default(), Done::default());
        let seed = rand::random();
        round(&FRAGILE_MAIN, seed, &mut sum, &done).await;
        assert!(sum.errors.is_empty() && sum.statements > 0, "seed {seed}: {:#?}", sum.errors);
    });
}

#[test]
#[ignore = "half an hour: make soak"]
#[expect(clippy::print_stdout, reason = "somebody waits for half an hour")]
fn random_migrations_under_load_and_faults() {
    run(async {
        let text = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let seconds = text("CROSSFADE_SOAK_SECONDS").map_or(1800, |text| text.parse().expect("a number of seconds"));
        let seed: u64 = text("CROSSFADE_SOAK_SEED").map_or_else(rand::random, |text| text.parse().expect("a number"));
        let mut random = StdRng::seed_from_u64(seed);
        let (mut sum, done) = (Sum::default(), Done::default());
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(seconds) {
            let server = &FRAGILE[random.random_range(0..FRAGILE.len())];
            let seed = random.random();
            let before = sum.errors.len();
            round(server, seed, &mut sum, &done).await;
            for error in sum.errors.iter().skip(before) {
                println!("seed {seed} on {}: {error}", server.major());
            }
            println!(
                "{} s: {} rounds, {} statements, {} errors",
                begun.elapsed().as_secs(),
                sum.servers.values().sum::<u32>(),
                sum.statements,
                sum.errors.len()
            );
        }
        let table = table(&sum, &done, begun.elapsed(), seed);
        println!("{table}");
        if let Some(path) = text("CROSSFADE_SOAK_REPORT") {
            std::fs::write(path, &table).expect("the report is written");
        }
        assert!(sum.errors.is_empty(), "seed {seed}: {:#?}", sum.errors);
    });
}

/// The proof can fail: a write that is lost, or done twice, is found.
#[test]
fn what_is_lost_is_found() {
    run(async {
        let mut random = StdRng::seed_from_u64(1);
        let round = Round::begin(&FRAGILE_MAIN, &KINDS[0], &mut random, Done::default()).await;
        let sum = &mut Sum::default();
        assert_eq!(round.read(&round.old, sum).await, Ok(()));
        round.ledger.doubt(7, 8);
        round.database.run("UPDATE t SET v = '8' WHERE id = 7").await.expect("it may be so");
        assert_eq!(round.read(&round.old, sum).await, Ok(()));
        round.ledger.confirm(7, 9);
        round.database.run("DELETE FROM t WHERE id = 3").await.expect("gone");
        let lost = round.read(&round.old, sum).await.expect_err("two are lost");
        assert!(lost.starts_with("2 writes are lost: row 3 is gone; row 7 holds Some(8)"), "{lost}");
    });
}

async fn round(server: &'static Server, seed: u64, sum: &mut Sum, done: &Done) {
    let mut random = StdRng::seed_from_u64(seed);
    let kind = &KINDS[random.random_range(0..KINDS.len())];
    *sum.rounds.entry(kind.name).or_default() += 1;
    *sum.servers.entry(server.major()).or_default() += 1;
    let mut round = Round::begin(server, kind, &mut random, done.clone()).await;
    let ended = round.go(&mut random, sum).await;
    if let Err(why) = ended {
        sum.errors.push(format!("{}: {why}", kind.name));
    }
    sum.statements += round.tally.statements.load(Ordering::SeqCst);
    sum.cut += round.tally.cut.load(Ordering::SeqCst);
    let errors = std::mem::take(&mut *round.tally.errors.lock().expect("nobody panics here"));
    sum.errors.extend(errors.into_iter().map(|error| format!("{}: {error}", kind.name)));
}

struct Round {
    server: &'static Server,
    database: Database,
    project: Project,
    kind: &'static Kind,
    before: String,
    rows: i64,
    has_more: bool,
    ledger: Arc<Ledger>,
    tally: Arc<Tally>,
    done: Done,
    old: Arc<Staff>,
    new: Arc<Staff>,
}

/// What else stands in the folder.
const MORE: [(&str, &str); 3] = [
    ("002_index.sql", "CREATE INDEX t_pad ON t (pad);"),
    ("003_check.sql", "ALTER TABLE t ADD CONSTRAINT t_positive CHECK (id > 0);"),
    ("004_bonus.sql", "UPDATE t SET bonus = bonus + 1;"),
];

impl Round {
    async fn begin(server: &'static Server, kind: &'static Kind, random: &mut StdRng, done: Done) -> Round {
        let database = Database::create(server).await;
        let rows = random.random_range(2_000..25_000);
        let partitioned = random.random_range(0..4) == 0 && kind.new.table == "t";
        let body = format!(
            "id integer PRIMARY KEY, {}, bonus integer NOT NULL DEFAULT 0, changed_at timestamptz NOT NULL DEFAULT now(), pad text",
            kind.columns
        );
        let mut before = match partitioned {
            false => format!("CREATE TABLE t ({body});"),
            true => format!(
                "CREATE TABLE t ({body}) PARTITION BY RANGE (id); CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO ({}); CREATE TABLE t_2 PARTITION OF t DEFAULT;",
                rows / 2
            ),
        };
        let columns: Vec<&str> = kind.columns.split(", ").filter_map(|column| column.split(' ').next()).collect();
        write!(
            before,
            "INSERT INTO t (id, {}, pad) SELECT id, {}, repeat('p', {}) FROM generate_series(1, {rows}) AS id;",
            columns.join(", "),
            kind.values,
            random.random_range(1..200)
        )
        .expect("a text");
        if random.random_range(0..3) == 0 {
            before += "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.changed_at := clock_timestamp(); RETURN NEW; END'; \
                CREATE TRIGGER touch BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch();";
        }
        database.run(&before).await.expect("the tables are made");
        database.run("ANALYZE").await.expect("it is known");
        let has_more = random.random_range(0..2) == 0 && kind.new.table == "t";
        let mut files = vec![("001_case.sql", kind.migration)];
        files.extend(MORE.iter().filter(|_| has_more));
        let project = Project::with(&database, &files, |config| {
            config.backfill.target = Duration::from_millis(20);
            config.backfill.duty = 0.5;
        });
        let (ledger, tally) = (Arc::new(Ledger::new(rows)), Arc::new(Tally::default()));
        let staff = |who, code, kept| {
            Arc::new(Staff { url: database.url(), who, code, kept, rows, ledger: ledger.clone(), tally: tally.clone() })
        };
        let (old, new) = (staff("old code", &kind.old, kind.kept), staff("new code", &kind.new, |number| number));
        Round { server, kind, before, rows, has_more, ledger, tally, done, old, new, database, project }
    }

    /// The whole way, with turns.
    async fn go(&mut self, random: &mut StdRng, sum: &mut Sum) -> Result<(), String> {
        let faults = Faults::start(self.database.url(), self.done.clone());
        let way = self.way(random, sum).await;
        faults.end().await;
        way?;
        self.end(sum).await
    }

    async fn way(&self, random: &mut StdRng, sum: &mut Sum) -> Result<(), String> {
        let half = SHARES / 2;
        let mut old = Clients::start(&self.old, 0..half);
        let mut turns = random.random_range(0..3);
        loop {
            self.command(Command::Migrate, State::Ready, random, sum).await?;
            let new = Clients::start(&self.new, half..SHARES);
            pause(random).await;
            if turns > 0 && random.random_bool(0.5) {
                turns -= 1;
                // The deploy is taken back, and old code goes on.
                new.end().await;
                self.command(Command::Rollback, State::RolledBack, random, sum).await?;
                self.read(&self.old, sum).await?;
                continue;
            }
            old.end().await;
            self.command(Command::Contract, State::Contracted, random, sum).await?;
            pause(random).await;
            if turns > 0 {
                turns -= 1;
                new.end().await;
                self.read(&self.new, sum).await?;
                self.command(Command::Rollback, State::RolledBack, random, sum).await?;
                old = Clients::start(&self.old, 0..half);
                pause(random).await;
                continue;
            }
            self.command(Command::Purge, State::Applied, random, sum).await?;
            pause(random).await;
            new.end().await;
            return Ok(());
        }
    }

    /// Runs a command until it gets there. Now and then its process dies.
    async fn command(&self, command: Command, wanted: State, random: &mut StdRng, sum: &mut Sum) -> Result<(), String> {
        let mut last = String::new();
        for _ in 0..TRIES {
            let mut migrator = self.project.migrator.clone();
            if random.random_range(0..4) == 0 {
                migrator = migrator.crashing_after(random.random_range(1..12));
                count(&self.done, "the process dies between two writes of its journal");
            }
            *sum.commands.entry(name(command)).or_default() += 1;
            match self.run(command, &migrator).await {
                Ok(()) if self.state().await == Some(wanted) => return Ok(()),
                Ok(()) => last = format!("it says that all is well, and is {:?}", self.state().await),
                Err(error) => {
                    sum.failed_commands += 1;
                    if self.state().await == Some(wanted) {
                        return Ok(());
                    }
                    last = error;
                }
            }
        }
        Err(format!("{command:?} does not end: {last}"))
    }

    async fn run(&self, command: Command, migrator: &crossfade::Migrator) -> Result<(), String> {
        // Of the first file: the others are applied, and stay.
        let observer = &mut crossfade::observer::Unobserved;
        let stop = crossfade::Stop::default();
        let one = Some("001");
        let done = match command {
            Command::Migrate => migrator.migrate(crossfade::MigrateOptions::default(), observer, &stop).await,
            Command::Contract => migrator.contract(one, &crossfade::ContractOptions::default(), observer, &stop).await,
            Command::Purge => migrator.purge(one, crossfade::RunOptions::default(), observer, &stop).await,
            Command::Rollback => migrator.rollback(one, crossfade::RunOptions::default(), observer, &stop).await,
        };
        done.map(|_| ()).map_err(|error| crate::project::said(&error))
    }

    async fn state(&self) -> Option<State> {
        for _ in 0..100 {
            if let Ok(status) = self.project.migrator.status().await {
                let others = status.migrations.iter().skip(1).all(|other| other.state == State::Applied);
                return status.migrations.first().map(|first| first.state).filter(|_| others || !self.has_more);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        None
    }

    /// Every row, as one version reads it.
    async fn read(&self, staff: &Staff, sum: &mut Sum) -> Result<(), String> {
        let found = self.rows(&staff.code.read("true")).await?;
        sum.rows_read += found.len() as u64;
        let mut lost = self.ledger.lost(&found);
        // Others may be at work on their own rows, and have not heard yet that they are done: on a busy machine that takes them a moment.
        for _ in 0..20 {
            if lost.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            let again = self.ledger.lost(&self.rows(&staff.code.read("true")).await?);
            lost.retain(|write| again.contains(write));
        }
        if lost.is_empty() {
            return Ok(());
        }
        Err(format!("{} writes are lost: {}", lost.len(), lost[..lost.len().min(5)].join("; ")))
    }

    /// What a query finds, row by row. A fault may hit this connection, too.
    async fn rows(&self, query: &str) -> Result<BTreeMap<i64, Option<i64>>, String> {
        let mut last = String::new();
        for _ in 0..10 {
            match self.reach().await?.query(query, &[]).await {
                Ok(rows) => return Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect()),
                Err(error)
                    if error.as_db_error().is_none()
                        || error.code().is_some_and(|code| code.code().starts_with("57P")) =>
                {
                    last = crate::text_of(&error);
                }
                Err(error) => return Err(crate::text_of(&error)),
            }
        }
        Err(last)
    }

    async fn reach(&self) -> Result<tokio_postgres::Client, String> {
        for _ in 0..200 {
            if let Ok((client, connection)) = tokio_postgres::connect(&self.database.url(), tokio_postgres::NoTls).await
            {
                tokio::spawn(connection);
                return Ok(client);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err("the server does not come back".to_owned())
    }

    /// Nobody is at work any more: every row holds what it must, and the schema is that of the direct way.
    async fn end(&self, sum: &mut Sum) -> Result<(), String> {
        self.reach().await?;
        self.read(&self.new, sum).await?;
        if self.has_more {
            let client = self.reach().await?;
            let row = client.query_one("SELECT count(*) FROM t WHERE bonus <> 1", &[]).await;
            let wrong: i64 = row.map_err(|error| crate::text_of(&error))?.get(0);
            if wrong > 0 {
                return Err(format!("{wrong} rows have not been given their bonus exactly once"));
            }
        }
        let direct = Database::create(self.server).await;
        direct.run(&self.before).await?;
        direct.run(self.kind.migration).await?;
        if self.has_more {
            for (_, text) in MORE {
                direct.run(text).await?;
            }
        }
        let (direct, phased) = (Snapshot::take(&direct).await, Snapshot::take(&self.database).await);
        match direct.schema_difference(&phased) {
            None => Ok(()),
            Some(difference) => {
                Err(format!("the schema is not that of the direct way ({} rows): {difference}", self.rows))
            }
        }
    }
}

async fn pause(random: &mut StdRng) {
    tokio::time::sleep(Duration::from_millis(random.random_range(50..600))).await;
}

fn name(command: Command) -> &'static str {
    match command {
        Command::Migrate => "migrate",
        Command::Contract => "contract",
        Command::Purge => "purge",
        Command::Rollback => "rollback",
    }
}

/// What docs/reliability.md shows.
fn table(sum: &Sum, done: &Mutex<BTreeMap<&'static str, u32>>, took: Duration, seed: u64) -> String {
    let mut out = String::new();
    let mut line = |left: &str, right: String| {
        writeln!(out, "| {left} | {right} |").expect("a text");
    };
    line("what", "count".to_owned());
    line("---", "---".to_owned());
    line("time", format!("{} min", took.as_secs() / 60));
    line("seed", seed.to_string());
    line("rounds, each on tables and a server of its own draw", sum.servers.values().sum::<u32>().to_string());
    for (major, rounds) in &sum.servers {
        line(&format!("rounds on PostgreSQL {major}"), rounds.to_string());
    }
    for (kind, rounds) in &sum.rounds {
        line(&format!("rounds: {kind}"), rounds.to_string());
    }
    for (command, times) in &sum.commands {
        line(&format!("runs of `{command}`"), times.to_string());
    }
    line("runs that a fault has ended", sum.failed_commands.to_string());
    for (fault, times) in done.lock().expect("nobody panics here").iter() {
        line(&format!("fault: {fault}"), times.to_string());
    }
    line("statements of applications", sum.statements.to_string());
    line("connections of applications that a fault has cut", sum.cut.to_string());
    line("rows read to look for lost writes", sum.rows_read.to_string());
    line("**errors that applications saw beside those, and lost writes**", format!("**{}**", sum.errors.len()));
    out
}
