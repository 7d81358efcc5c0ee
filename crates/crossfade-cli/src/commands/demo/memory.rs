//! What one application server remembers of its own rows: each row has one owner, and only the owner writes it.
//!
//! So every value that is read can be judged. The owner knows exactly what must be there; anybody else knows that it is
//! at least as new as what the owner had committed before the question was asked.

use std::collections::HashMap;

use super::stats::PhaseId;
use super::users;

/// What a row must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The email that was written last.
    pub email: String,
    /// The age that was written last.
    pub age: i32,
    /// When the email was written.
    pub phase: PhaseId,
    /// False after a write that broke off with its connection: it may or may not have happened.
    pub certain: bool,
}

impl Row {
    /// What a row of the beginning holds until somebody writes it.
    pub fn first(id: i64) -> Row {
        Row { email: users::first_email(id), age: users::first_age(id), phase: PhaseId::NONE, certain: true }
    }
}

/// The rows of one application server.
#[derive(Debug)]
pub struct Memory {
    number: u32,
    apps: u32,
    rows: u32,
    written: HashMap<i64, Row>,
    written_ids: Vec<i64>,
    sign_ups: u64,
}

impl Memory {
    /// Of the application server with this number, of so many, on a table with so many rows at first.
    pub fn new(number: u32, apps: u32, rows: u32) -> Memory {
        Memory { number, apps, rows, written: HashMap::new(), written_ids: Vec::new(), sign_ups: 0 }
    }

    /// One of its rows, every other time one that it has written.
    pub fn any(&self) -> (i64, Row) {
        let id = match self.written_ids.len() {
            0 => self.any_first(),
            _ if rand::random() => self.any_first(),
            written => self.written_ids[rand::random_range(0..written)],
        };
        (id, self.row(id))
    }

    /// What this row of its own must hold.
    pub fn row(&self, id: i64) -> Row {
        self.written.get(&id).cloned().unwrap_or_else(|| Row::first(id))
    }

    /// Remembers what was written, or is about to be.
    pub fn remember(&mut self, id: i64, row: Row) {
        if self.written.insert(id, row).is_none() {
            self.written_ids.push(id);
        }
    }

    /// An email address for a new user, used by nobody else.
    pub fn new_email(&mut self) -> String {
        self.sign_ups += 1;
        format!("app{}-{}.0@example.com", self.number, self.sign_ups)
    }

    /// Every row that it has written.
    pub fn written(&self) -> impl Iterator<Item = (i64, &Row)> {
        self.written.iter().map(|(id, row)| (*id, row))
    }

    /// One of the rows that were its own from the beginning: every `apps`th.
    fn any_first(&self) -> i64 {
        let count = (self.rows - 1 - self.number) / self.apps + 1;
        i64::from(self.number) + 1 + i64::from(self.apps) * i64::from(rand::random_range(0..count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_rows_are_in_the_table_and_nobody_elses() {
        for number in 0..7 {
            let memory = Memory::new(number, 7, 1000);
            for _ in 0..1000 {
                let (id, row) = memory.any();
                assert!((1..=1000).contains(&id));
                assert_eq!((id - 1) % 7, i64::from(number));
                assert_eq!(row.email, users::first_email(id));
            }
        }
    }

    #[test]
    fn what_was_written_last_counts() {
        let mut memory = Memory::new(0, 1, 1000);
        let row = Row { email: "a.1@example.com".to_owned(), age: 3, phase: PhaseId::NONE, certain: true };
        memory.remember(5, row.clone());
        assert_eq!(memory.row(5), row);
        assert_eq!(memory.written().count(), 1);
    }
}
