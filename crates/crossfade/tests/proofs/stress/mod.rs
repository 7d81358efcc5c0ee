//! Stress: each kind of trigger and of chunk under a load of every kind of write, while the process dies, chunks are cancelled, backends end
//! and the table is rewritten.
//!
//! Source: reference D4, B15. In the end no row differs between its old and its new form, no client has seen an error, and every row
//! holds what the client that owns it wrote last. `CROSSFADE_STRESS_ROWS` is the size of the table; with `CROSSFADE_SOAK` each kind is run
//! over each layout, else they take turns. A mutant of the trigger must fail it: see `mutant`.

mod kind;
mod load;
mod mutant;
mod storm;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use crossfade_core::journal::State;

use crate::PATIENCE;
use crate::each;
use crate::project::Command;
use crate::project::Project;
use crate::project::said;
use crate::scene::Running;
use crate::scene::Start;
use crate::scene::until;
use crate::server::Database;
use crate::server::Server;
use crate::server::main_server;
use crate::server::run;
use crate::server::servers;
use kind::KINDS;
use kind::Kind;
use kind::Layout;
use kind::SHARED;
use load::Knowledge;
use load::Load;
use load::Owner;
use load::Row;
use load::Write;
use load::first_row;
use load::first_rows;
use storm::Hits;

/// Clients of old code; one of new code joins them at `ready`, with rows of its own.
const OLD_CLIENTS: i64 = 5;

/// More than a statement over a small table has: that one would run as written.
const ROWS: i64 = 12_000;

/// The positions of the journal at which the process dies, one after the other.
const DEATHS: [u32; 5] = [3, 4, 5, 6, 7];

/// What is to be run.
#[derive(Clone, Copy, Debug)]
struct Case {
    server: &'static Server,
    kind: Kind,
    layout: Layout,
    rows: i64,
    /// How often the backend of a chunk is ended; a lost connection is made anew only after a second.
    terminated: i64,
    /// What somebody does to the trigger once it is there.
    sabotage: Option<mutant::Sabotage>,
}

fn rows() -> i64 {
    std::env::var("CROSSFADE_STRESS_ROWS").map_or(ROWS, |rows| rows.parse().expect("CROSSFADE_STRESS_ROWS is a number"))
}

fn cases() -> Vec<(String, Case)> {
    let soak = std::env::var_os("CROSSFADE_SOAK").is_some();
    let mut cases = Vec::new();
    for (at, server) in servers().iter().enumerate() {
        for (nth, kind) in KINDS.into_iter().enumerate() {
            let turn = if (at + nth) % 2 == 0 { Layout::Plain } else { Layout::Partitioned };
            let terminated = if soak { 3 } else { i64::from((at + nth) % 3 == 0) };
            for layout in [Layout::Plain, Layout::Partitioned] {
                if soak || layout == turn {
                    let label = format!("{} {layout:?} on {}", kind.name, server.major());
                    cases.push((label, Case { server, kind, layout, rows: rows(), terminated, sabotage: None }));
                }
            }
        }
    }
    cases
}

#[test]
fn no_write_is_lost_whatever_is_written_and_whatever_fails() {
    let cases = cases();
    let merging = cases.iter().any(|(_, case)| case.server.major() >= 15);
    let total = Mutex::new((Hits::default(), BTreeMap::<Write, u64>::new()));
    let patience = PATIENCE * u32::try_from(1 + rows() / 100_000).expect("a table has fewer rows");
    each(cases, patience, async |case| {
        let (hits, done) = stress(&case).await?;
        let mut total = total.lock().expect("nobody panics here");
        total.0.add(hits);
        done.into_iter().for_each(|(write, times)| *total.1.entry(write).or_default() += times);
        Ok(())
    });
    let (hits, done) = total.into_inner().expect("nobody panics here");
    assert!(
        hits.deaths > 0 && hits.cancelled > 0 && hits.terminated > 0 && hits.rewritten > 0,
        "that tests too little: {hits:?}"
    );
    let kinds = if merging { 14 } else { 13 };
    assert_eq!(done.len(), kinds, "not every kind of write was done: {done:?}");
}

/// Runs a case, and says what was done to it.
async fn stress(case: &Case) -> Result<(Hits, BTreeMap<Write, u64>), String> {
    let Case { server, kind, layout, rows, .. } = *case;
    let database = Database::create(server).await;
    database.run(&layout.table(&kind, rows)).await?;
    let project = Project::with(&database, &[("001_stress.sql", kind.migration)], |config| {
        config.backfill.target = Duration::from_millis(15);
        config.backfill.duty = 0.5;
    });
    let mut load = Load::new();
    let owner = |number, side| Owner { number, of: OLD_CLIENTS + 1, side };
    for number in 0..OLD_CLIENTS {
        load.start(&database, kind, layout, owner(number, kind.old), rows).await;
    }
    let mut hits = Hits::default();
    let migrated = migrate(case, &database, &project, &mut hits).await;
    if migrated.is_ok() {
        // Where the new form can't be written yet, the last owner's rows stay as they are.
        if let Some(new) = kind.new {
            load.start(&database, kind, layout, owner(OLD_CLIENTS, new), rows).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let content = Content { database: &database, kind: &kind };
    let differing = if kind.sweep == kind::Sweep::Filled { content.differing().await } else { 0 };
    let known = load.end().await.map_err(|why| format!("a client saw an error: {why}"))?;
    if let Err(why) = migrated {
        return Err(format!("{why}; in {differing} rows old and new form differ"));
    }
    if differing > 0 {
        return Err(format!("in {differing} rows old and new form differ"));
    }
    let wanted = Wanted::of(&kind, rows, &known);
    wanted.compare(&kind, content.read(&content.sides().await).await)?;
    if kind.ends() == State::Ready {
        let contracted = Command::Contract.on(&project.migrator).await?;
        if contracted != Some(State::Contracted) {
            return Err(format!("contract left it {contracted:?}"));
        }
        let last = kind.values[1].replace("{new}", kind.last);
        wanted
            .compare(&kind, content.read(&[last.clone(), last]).await)
            .map_err(|why| format!("after contract: {why}"))?;
    }
    let mut done = BTreeMap::new();
    for (write, times) in known.into_iter().flat_map(|known| known.done) {
        *done.entry(write).or_default() += times;
    }
    Ok((hits, done))
}

/// To where `migrate` ends, through deaths and failures.
async fn migrate(case: &Case, database: &Database, project: &Project, hits: &mut Hits) -> Result<(), String> {
    let mut sabotage = case.sabotage;
    for (turn, writes) in DEATHS.into_iter().enumerate() {
        match Command::Migrate.on(&project.migrator.clone().crashing_after(writes)).await {
            Err(said) if said.contains("crashed here") => hits.deaths += 1,
            Err(said) => return Err(said),
            Ok(_) => break,
        }
        if let Some(mutant) = sabotage
            && mutant.on(database).await
        {
            sabotage = None;
        }
        if turn + 1 == DEATHS.len() {
            match case.sabotage {
                None => storm::rewrite(database, case.layout, "VACUUM FULL", "2s", hits).await,
                // A table that is rewritten is swept anew, and that would fill what moved.
                Some(_) => rows_have_moved(database, &case.kind).await,
            }
        }
        // Nothing of ours is at work now, and the load goes on over what is half filled.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    if sabotage.is_some() {
        return Err("there was no trigger to replace".to_owned());
    }
    let mut running = Running::start(project, Start::Migrate);
    storm::rage(database, case, &mut running, hits).await;
    let (mut result, _) = running.end().await;
    // A statement of ours that somebody cancels is a failure like any other: it is recorded, and the next run goes on.
    while let Err(error) = &result
        && said(error).contains("canceling statement due to user request")
    {
        let mut watch = crate::project::Watch::default();
        result = Command::Migrate.watched(&project.migrator, &mut watch).await;
    }
    let state = result.map_err(|error| said(&error))?;
    let ends = case.kind.ends();
    // Nothing is left to do where the last of the deaths came too late.
    if state.is_none_or(|state| state == ends) && project.state().await == ends {
        Ok(())
    } else {
        Err(format!("migrate left it {state:?}"))
    }
}

/// Waits until many rows were written that are not filled: full pages have no room for their new versions.
async fn rows_have_moved(database: &Database, kind: &Kind) {
    let [old, new] = Content { database, kind }.sides().await;
    let moved = format!("SELECT count(*) > 150 FROM items WHERE touched > 0 AND {old} IS DISTINCT FROM {new}");
    until(database, &moved).await;
}

/// What stands in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    old: i64,
    new: i64,
    touched: i32,
    region: String,
    swept: i32,
}

/// The table as it is.
struct Content<'a> {
    database: &'a Database,
    kind: &'a Kind,
}

impl Content<'_> {
    /// The values of both forms, in SQL.
    async fn sides(&self) -> [String; 2] {
        let query = "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = 'items'::regclass AND NOT attisdropped \
                     AND (attname = 'dst' OR attname LIKE '\\_cf\\_new\\_%')";
        let new = self.database.value(query).await;
        self.kind.values.map(|value| value.replace("{new}", &new))
    }

    /// In how many rows old and new form differ, at one instant.
    async fn differing(&self) -> u64 {
        let [old, new] = self.sides().await;
        let query = format!("SELECT count(*) FROM items WHERE {old} IS DISTINCT FROM {new}");
        self.database.value(&query).await.parse().expect("it is a count")
    }

    /// What stands in each row; twice where an id is there twice.
    async fn read(&self, [old, new]: &[String; 2]) -> Vec<(i64, Found)> {
        let query = format!("SELECT id, {old}, {new}, touched, region, swept FROM items");
        let rows = self.database.connect().await.query(&query, &[]).await;
        let rows = rows.unwrap_or_else(|error| panic!("{query}: {}", crate::text_of(&error)));
        let missing = i64::MIN;
        let found = rows.iter().map(|row| {
            let found = Found {
                old: row.get::<_, Option<i64>>(1).unwrap_or(missing),
                new: row.get::<_, Option<i64>>(2).unwrap_or(missing),
                touched: row.get(3),
                region: row.get(4),
                swept: row.get(5),
            };
            (row.get(0), found)
        });
        found.collect()
    }
}

/// What must stand in the table.
struct Wanted(BTreeMap<i64, Row>);

impl Wanted {
    fn of(kind: &Kind, size: i64, known: &[Knowledge]) -> Wanted {
        let nobodys = Owner { number: OLD_CLIENTS, of: OLD_CLIENTS + 1, side: kind.old };
        let mut rows = if kind.new.is_none() { first_rows(kind, nobodys, size) } else { BTreeMap::new() };
        rows.extend((1..=size / SHARED).map(|k| (2 * k * SHARED, first_row(kind, k * SHARED))));
        for one in known {
            rows.extend(one.rows.clone());
            for (id, (value, touched)) in &one.added {
                let row = rows.get_mut(id).expect("shared rows are there");
                row.value += value;
                row.touched += touched;
            }
        }
        Wanted(rows)
    }

    fn compare(&self, kind: &Kind, found: Vec<(i64, Found)>) -> Result<(), String> {
        let mut wrong = Vec::new();
        let mut seen = BTreeSet::new();
        for (id, found) in found {
            if !seen.insert(id) {
                wrong.push(format!("{id} is there twice"));
            }
            let Some(row) = self.0.get(&id) else {
                wrong.push(format!("{id} is there, with {found:?}"));
                continue;
            };
            let same = found.old == row.value
                && found.new == row.value
                && found.touched == row.touched
                && found.region == kind::REGIONS[row.region]
                && kind.may_be_swept(row).contains(&found.swept);
            if !same {
                wrong.push(format!("{id} has {found:?}, not {row:?}"));
            }
        }
        wrong.extend(self.0.keys().filter(|id| !seen.contains(id)).map(|id| format!("{id} is not there")));
        if wrong.is_empty() {
            return Ok(());
        }
        let few: Vec<&str> = wrong.iter().take(5).map(String::as_str).collect();
        Err(format!("{} of {} rows are not as their clients left them: {}", wrong.len(), self.0.len(), few.join(" | ")))
    }
}

/// The comparison at the end is no formality.
#[test]
fn a_row_that_is_not_as_its_owner_left_it_is_named() {
    run(async {
        let kind = Kind { values: ["src::bigint", "src::bigint"], ..Kind::named("type") };
        let database = Database::create(main_server()).await;
        database.run(&Layout::Plain.table(&kind, SHARED)).await.expect("the table is made");
        let known = (0..OLD_CLIENTS).map(|number| {
            let owner = Owner { number, of: OLD_CLIENTS + 1, side: kind.old };
            Knowledge { rows: first_rows(&kind, owner, SHARED), ..Knowledge::default() }
        });
        let wanted = Wanted::of(&kind, SHARED, &known.collect::<Vec<_>>());
        let content = Content { database: &database, kind: &kind };
        let sides = kind.values.map(str::to_owned);
        assert_eq!(wanted.compare(&kind, content.read(&sides).await), Ok(()));
        for (change, named) in [
            ("UPDATE items SET src = src + 1 WHERE id = 20", "20 has"),
            ("UPDATE items SET touched = 1 WHERE id = 30", "30 has"),
            ("UPDATE items SET swept = 1 WHERE id = 40", "40 has"),
            ("UPDATE items SET src = src + 1 WHERE id = 2000", "2000 has"),
            ("DELETE FROM items WHERE id = 50", "50 is not there"),
            ("INSERT INTO items (id, region, src) VALUES (3, 'eu', 1)", "3 is there"),
        ] {
            database.run(change).await.expect("it is changed");
            let why = wanted.compare(&kind, content.read(&sides).await).expect_err(change);
            assert!(why.contains(named), "{change}: {why}");
        }
    });
}
