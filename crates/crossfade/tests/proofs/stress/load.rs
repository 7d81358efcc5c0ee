//! Clients with a model: each alone owns the rows of some ids and knows what must stand in them; of the rows that all share it counts what it added.
//!
//! So no write of one is undone by another, no two of them can deadlock, and whatever error one sees is not of the load's own making.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::SinkExt as _;
use rand::seq::IndexedRandom as _;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use super::kind::Kind;
use super::kind::Layout;
use super::kind::NOTHING;
use super::kind::REGIONS;
use super::kind::SHARED;
use super::kind::Side;
use crate::server::Database;

/// What must stand in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub value: i64,
    pub touched: i32,
    /// The position in [`REGIONS`].
    pub region: usize,
    /// Inserted meanwhile.
    pub fresh: bool,
    /// How often its key or its partition was changed.
    pub moves: i32,
}

/// What one client knows at the end.
#[derive(Debug, Default)]
pub struct Knowledge {
    pub rows: BTreeMap<i64, Row>,
    /// What was added to the value and to `touched` of shared rows.
    pub added: BTreeMap<i64, (i64, i32)>,
    /// How often each kind of write was done.
    pub done: BTreeMap<Write, u64>,
}

/// A kind of write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Write {
    Source,
    Unrelated,
    Several,
    Key,
    Delete,
    Reinsert,
    Upsert,
    RolledBack,
    Savepoint,
    Copy,
    Merge,
    Region,
    Held,
    Shared,
}

/// Those that every server knows, the frequent ones more than once.
const WRITES: [Write; 18] = [
    Write::Source,
    Write::Source,
    Write::Source,
    Write::Unrelated,
    Write::Unrelated,
    Write::Unrelated,
    Write::Several,
    Write::Key,
    Write::Delete,
    Write::Reinsert,
    Write::Upsert,
    Write::Upsert,
    Write::RolledBack,
    Write::Savepoint,
    Write::Copy,
    Write::Region,
    Write::Shared,
    Write::Shared,
];

/// One in so many writes holds its rows for a while.
const HOLDS: u32 = 40;

/// Who writes: one of so many owners, in one version's code.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    pub number: i64,
    pub of: i64,
    pub side: Side,
}

/// A client at work.
pub struct Worker {
    client: Client,
    kind: Kind,
    layout: Layout,
    owner: Owner,
    merges: bool,
    /// Ids go up to about twice this.
    size: i64,
    known: Knowledge,
}

/// Clients at work.
pub struct Load {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Result<Knowledge, String>>>,
}

impl Load {
    pub fn new() -> Load {
        Load { stop: Arc::default(), tasks: Vec::new() }
    }

    /// Starts a client, over the rows with which the table of so many was made.
    pub async fn start(&mut self, database: &Database, kind: Kind, layout: Layout, owner: Owner, size: i64) {
        let client = database.connect().await;
        let known = Knowledge { rows: first_rows(&kind, owner, size), ..Knowledge::default() };
        let merges = database.server.major() >= 15;
        let worker = Worker { client, kind, layout, owner, merges, size, known };
        let stop = self.stop.clone();
        self.tasks.push(tokio::spawn(worker.run(stop)));
    }

    /// Ends them. What any of them saw is the outcome.
    pub async fn end(self) -> Result<Vec<Knowledge>, String> {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Vec::new();
        for task in self.tasks {
            all.push(task.await.expect("a client does not panic")?);
        }
        Ok(all)
    }
}

/// The rows that an owner has at the beginning.
pub fn first_rows(kind: &Kind, owner: Owner, size: i64) -> BTreeMap<i64, Row> {
    let mine = (1..=size).filter(|k| k % SHARED != 0 && k % owner.of == owner.number);
    mine.map(|k| (2 * k, first_row(kind, k))).collect()
}

pub fn first_row(kind: &Kind, k: i64) -> Row {
    Row { value: kind.first_value(k), touched: 0, region: (k % 3) as usize, fresh: false, moves: 0 }
}

impl Worker {
    async fn run(mut self, stop: Arc<AtomicBool>) -> Result<Knowledge, String> {
        while !stop.load(Ordering::SeqCst) {
            let write = self.choose();
            self.write(write).await.map_err(|why| format!("{write:?} by owner {}: {why}", self.owner.number))?;
            *self.known.done.entry(write).or_default() += 1;
            tokio::time::sleep(Duration::from_millis(4)).await;
        }
        Ok(self.known)
    }

    fn choose(&self) -> Write {
        if rand::random_range(0..HOLDS) == 0 {
            return Write::Held;
        }
        if self.merges && rand::random_range(0..WRITES.len()) == 0 {
            return Write::Merge;
        }
        *WRITES.choose(&mut rand::rng()).expect("there are some")
    }

    async fn write(&mut self, write: Write) -> Result<(), String> {
        match write {
            Write::Source => {
                let (id, value) = (self.some(), self.value());
                self.say(&self.set_value(id, value)).await?;
                self.row(id).value = value;
            }
            Write::Unrelated => {
                let id = self.some();
                self.say(&touch(&[id])).await?;
                self.row(id).touched += 1;
            }
            Write::Several => {
                let ids = self.several();
                self.say(&touch(&ids)).await?;
                ids.iter().for_each(|id| self.row(*id).touched += 1);
            }
            Write::Key => {
                let (id, new) = (self.some(), self.free());
                self.say(&format!("UPDATE items SET id = {new} WHERE id = {id}")).await?;
                if let Some(row) = self.known.rows.remove(&id) {
                    self.known.rows.insert(new, Row { moves: row.moves + 1, ..row });
                }
            }
            Write::Delete => {
                let id = self.some();
                self.say(&format!("DELETE FROM items WHERE id = {id}")).await?;
                self.known.rows.remove(&id);
            }
            Write::Reinsert => {
                let id = self.some();
                let row = self.new_row();
                let delete = format!("DELETE FROM items WHERE id = {id}");
                self.say(&format!("BEGIN; {delete}; {}; COMMIT", self.insert(&[(id, row.clone())]))).await?;
                self.known.rows.insert(id, row);
            }
            Write::Upsert => self.upsert().await?,
            Write::RolledBack => {
                let (ids, new) = (self.several(), self.free());
                let value = self.value();
                let set = self.set_value(ids[0], value);
                let insert = self.insert(&[(new, self.new_row())]);
                let delete = format!("DELETE FROM items WHERE id = {}", ids[ids.len() - 1]);
                self.say(&format!("BEGIN; {}; {set}; {insert}; {delete}; ROLLBACK", touch(&ids))).await?;
            }
            Write::Savepoint => {
                let (first, second) = (self.some(), self.some());
                let (kept, lost) = (self.value(), self.value());
                let (keep, lose) = (self.set_value(first, kept), self.set_value(second, lost));
                let touch = touch(&[second]);
                self.say(&format!("BEGIN; {keep}; SAVEPOINT s; {lose}; ROLLBACK TO s; {touch}; RELEASE s; COMMIT"))
                    .await?;
                self.row(first).value = kept;
                self.row(second).touched += 1;
            }
            Write::Copy => self.copy().await?,
            Write::Merge => self.merge().await?,
            Write::Region => {
                let (id, region) = (self.some(), rand::random_range(0..REGIONS.len()));
                self.say(&format!("UPDATE items SET region = '{}' WHERE id = {id}", REGIONS[region])).await?;
                let moves = self.layout == Layout::Partitioned && self.row(id).region != region;
                self.row(id).region = region;
                self.row(id).moves += i32::from(moves);
            }
            Write::Held => {
                let (ids, value) = (self.several(), self.value());
                self.say(&format!("BEGIN; SELECT FROM items WHERE id IN ({}) FOR UPDATE", list(&ids))).await?;
                tokio::time::sleep(Duration::from_millis(rand::random_range(20..90))).await;
                let set = self.set_value(ids[0], value);
                self.say(&format!("{set}; COMMIT")).await?;
                self.row(ids[0]).value = value;
            }
            Write::Shared => self.add_to_shared().await?,
        }
        Ok(())
    }

    async fn upsert(&mut self) -> Result<(), String> {
        let column = self.owner.side.column;
        let id = if rand::random() { self.some() } else { self.free() };
        let there = self.known.rows.get(&id).cloned();
        let value = self.value();
        let row = match &there {
            Some(row) => Row { value, touched: row.touched + 1, ..row.clone() },
            None => Row { value, ..self.new_row() },
        };
        let insert = self.insert(&[(id, Row { touched: 0, ..row.clone() })]);
        let touched = row.touched;
        self.say(&format!(
            "{insert} ON CONFLICT ({}) DO UPDATE SET {column} = EXCLUDED.{column}, touched = items.touched + 1",
            self.layout.key()
        ))
        .await?;
        self.known.rows.insert(id, Row { touched: if there.is_some() { touched } else { 0 }, ..row });
        Ok(())
    }

    async fn copy(&mut self) -> Result<(), String> {
        let mut rows = BTreeMap::new();
        for _ in 0..5 {
            rows.insert(self.free(), self.new_row());
        }
        let line = |(id, row): (&i64, &Row)| {
            let value = (self.owner.side.text)(row.value).unwrap_or_else(|| "\\N".to_owned());
            format!("{id}\t{}\t{value}\t{}\n", REGIONS[row.region], row.touched)
        };
        let lines: String = rows.iter().map(line).collect();
        let copy = format!("COPY items (id, region, {}, touched) FROM STDIN", self.owner.side.column);
        let sink = self.client.copy_in::<_, Cursor<Vec<u8>>>(&copy).await.map_err(|error| crate::text_of(&error))?;
        let mut sink = pin!(sink);
        sink.send(Cursor::new(lines.clone().into_bytes())).await.map_err(|error| crate::text_of(&error))?;
        sink.finish().await.map_err(|error| format!("{lines}: {}", crate::text_of(&error)))?;
        self.known.rows.extend(rows);
        Ok(())
    }

    /// One row that is there and one that is not.
    async fn merge(&mut self) -> Result<(), String> {
        let (there, new) = (self.some(), self.free());
        let column = self.owner.side.column;
        let changed = Row { value: self.value(), ..self.known.rows[&there].clone() };
        let rows = [(there, changed), (new, self.new_row())];
        let [first, second] = rows.each_ref().map(|(id, row)| self.values(*id, row));
        self.say(&format!(
            "MERGE INTO items AS i USING (VALUES {first}, {second}) AS s (id, region, {column}, touched)
             ON i.id = s.id AND i.region = s.region
             WHEN MATCHED THEN UPDATE SET {column} = s.{column}
             WHEN NOT MATCHED THEN INSERT (id, region, {column}, touched) VALUES (s.id, s.region, s.{column}, s.touched)"
        ))
        .await?;
        self.known.rows.extend(rows);
        Ok(())
    }

    /// A row that all clients add to.
    async fn add_to_shared(&mut self) -> Result<(), String> {
        let id = 2 * SHARED * rand::random_range(1..=self.size / SHARED);
        let Side { column, next, .. } = self.owner.side;
        let to_the_value = rand::random();
        let set = if to_the_value { format!("{column} = {next}") } else { "touched = touched + 1".to_owned() };
        self.say(&format!("UPDATE items SET {set} WHERE id = {id}")).await?;
        let added = self.known.added.entry(id).or_default();
        if to_the_value {
            added.0 += 1;
        } else {
            added.1 += 1;
        }
        Ok(())
    }

    async fn say(&self, sql: &str) -> Result<(), String> {
        let said = self.client.batch_execute(sql).await;
        said.map_err(|error| format!("{sql}: {}", crate::text_of(&error)))
    }

    fn row(&mut self, id: i64) -> &mut Row {
        self.known.rows.get_mut(&id).expect("it was chosen among ours")
    }

    /// One of our rows.
    fn some(&self) -> i64 {
        let from = rand::random_range(0..=2 * self.size);
        let rows = &self.known.rows;
        let found = rows.range(from..).next().or_else(|| rows.first_key_value());
        *found.expect("more rows come than go").0
    }

    /// A few neighbours among our rows.
    fn several(&self) -> Vec<i64> {
        let from = self.some();
        self.known.rows.range(from..).take(5).map(|(id, _)| *id).collect()
    }

    /// An id of ours that no row has, mostly in the midst of the others.
    fn free(&self) -> i64 {
        loop {
            let k = rand::random_range(0..self.size * 5 / 4) / self.owner.of * self.owner.of + self.owner.number;
            let id = 2 * k + 1;
            if !self.known.rows.contains_key(&id) {
                return id;
            }
        }
    }

    fn value(&self) -> i64 {
        if self.kind.takes_nothing() && rand::random_range(0..4) == 0 {
            return NOTHING;
        }
        rand::random_range(0..1_000_000)
    }

    fn new_row(&self) -> Row {
        let region = rand::random_range(0..REGIONS.len());
        Row { value: self.value(), touched: 0, region, fresh: true, moves: 0 }
    }

    fn literal(&self, value: i64) -> String {
        let text = (self.owner.side.text)(value).map_or_else(|| "NULL".to_owned(), |text| format!("'{text}'"));
        format!("{text}::{}", self.owner.side.of_type)
    }

    fn set_value(&self, id: i64, value: i64) -> String {
        format!("UPDATE items SET {} = {} WHERE id = {id}", self.owner.side.column, self.literal(value))
    }

    fn values(&self, id: i64, row: &Row) -> String {
        format!("({id}, '{}', {}, {})", REGIONS[row.region], self.literal(row.value), row.touched)
    }

    fn insert(&self, rows: &[(i64, Row)]) -> String {
        let values: Vec<String> = rows.iter().map(|(id, row)| self.values(*id, row)).collect();
        format!("INSERT INTO items (id, region, {}, touched) VALUES {}", self.owner.side.column, values.join(", "))
    }
}

fn list(ids: &[i64]) -> String {
    ids.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}

fn touch(ids: &[i64]) -> String {
    format!("UPDATE items SET touched = touched + 1 WHERE id IN ({})", list(ids))
}
