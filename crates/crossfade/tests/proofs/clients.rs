//! Clients of the old and of the new application code, in loops, each on a connection of its own.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::server::Database;

/// Rows in every table that old and new code write to; `:id` is one of 1 to this.
const ROWS: u32 = 300;

/// Clients at work.
pub struct Clients {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Result<u64, String>>>,
}

impl Clients {
    /// Starts so many, each running the statements in turn.
    pub fn start(database: &Database, who: &'static str, statements: &[String], count: usize) -> Clients {
        let stop = Arc::new(AtomicBool::new(false));
        let tasks = (0..count).map(|_| {
            let (url, statements, stop) = (database.url(), statements.to_vec(), stop.clone());
            tokio::spawn(async move {
                let client = crate::server::connect(&url).await;
                let mut done = 0;
                while !stop.load(Ordering::SeqCst) {
                    for statement in &statements {
                        say(&client, who, statement).await?;
                        done += 1;
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                Ok(done)
            })
        });
        Clients { stop: stop.clone(), tasks: tasks.collect() }
    }

    /// Ends them. An error of any is the outcome; so is none of them having done anything.
    pub async fn end(self) -> Result<u64, String> {
        self.stop.store(true, Ordering::SeqCst);
        let mut done = 0;
        let count = self.tasks.len();
        for task in self.tasks {
            done += task.await.expect("a client does not panic")?;
        }
        if done == 0 && count > 0 { Err("the clients did nothing".to_owned()) } else { Ok(done) }
    }
}

/// Runs each statement so many times, one after the other.
pub async fn in_turn(database: &Database, who: &str, statements: &[String], times: u32) -> Result<(), String> {
    let client = database.connect().await;
    for _ in 0..times {
        for statement in statements {
            say(&client, who, statement).await?;
        }
    }
    Ok(())
}

/// Runs each statement once and takes it back.
pub async fn tried(database: &Database, who: &str, statements: &[String]) -> Result<(), String> {
    let client = database.connect().await;
    for statement in statements {
        client.batch_execute("BEGIN").await.map_err(|error| crate::text_of(&error))?;
        say(&client, who, statement).await?;
        client.batch_execute("ROLLBACK").await.map_err(|error| crate::text_of(&error))?;
    }
    Ok(())
}

async fn say(client: &tokio_postgres::Client, who: &str, statement: &str) -> Result<(), String> {
    let text = filled_in(statement);
    let result = client.simple_query(&text).await;
    result.map(|_| ()).map_err(|error| format!("{who}: {text}: {}", crate::text_of(&error)))
}

/// A number from 1 to 999,982, none of them twice before all of them were there: two clients may write it where it must be unique.
fn number() -> u64 {
    // A prime: each step of another length comes by every number below it.
    const ALL: u64 = 999_983;
    static NEXT: AtomicU64 = AtomicU64::new(1);
    loop {
        let number = NEXT.fetch_add(611_953, Ordering::Relaxed) % ALL;
        if number != 0 {
            return number;
        }
    }
}

/// `:id` and `:r` stand for numbers.
fn filled_in(statement: &str) -> String {
    let mut text = String::new();
    let mut rest = statement;
    while let Some(at) = rest.find(':') {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        let name = from[1..].find(|c: char| !c.is_ascii_alphanumeric()).map_or(&from[1..], |end| &from[1..=end]);
        rest = match name {
            "id" => {
                text.push_str(&rand::random_range(1..=ROWS).to_string());
                &from[3..]
            }
            "r" => {
                text.push_str(&number().to_string());
                &from[2..]
            }
            _ if from.starts_with("::") => {
                text.push_str("::");
                &from[2..]
            }
            _ => {
                text.push(':');
                &from[1..]
            }
        };
    }
    text.push_str(rest);
    text
}
