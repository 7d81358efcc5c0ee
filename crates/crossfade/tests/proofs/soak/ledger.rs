//! What was written: each row belongs to one client, which knows what it must hold.

use std::collections::BTreeMap;
use std::sync::Mutex;

/// What a row may hold.
#[derive(Clone, Debug)]
struct Entry {
    /// The last write that the server has confirmed.
    sure: i64,
    /// Writes after it whose answer never came: each may be there or not.
    doubtful: Vec<i64>,
}

/// Every row.
#[derive(Debug)]
pub struct Ledger(Mutex<BTreeMap<i64, Entry>>);

impl Ledger {
    /// Each row holds its own number.
    pub fn new(rows: i64) -> Ledger {
        Ledger(Mutex::new((1..=rows).map(|id| (id, Entry { sure: id, doubtful: Vec::new() })).collect()))
    }

    pub fn confirm(&self, id: i64, value: i64) {
        self.0.lock().expect("nobody panics here").insert(id, Entry { sure: value, doubtful: Vec::new() });
    }

    pub fn doubt(&self, id: i64, value: i64) {
        let mut all = self.0.lock().expect("nobody panics here");
        if let Some(entry) = all.get_mut(&id) {
            entry.doubtful.push(value);
        }
    }

    /// Whether a row may hold this.
    pub fn allows(&self, id: i64, value: i64) -> bool {
        let all = self.0.lock().expect("nobody panics here");
        all.get(&id).is_some_and(|entry| entry.sure == value || entry.doubtful.contains(&value))
    }

    /// The rows that hold what they must not, or are not there.
    pub fn lost(&self, found: &BTreeMap<i64, Option<i64>>) -> Vec<String> {
        let all = self.0.lock().expect("nobody panics here");
        let wrong = all.iter().filter_map(|(id, entry)| match found.get(id) {
            None => Some(format!("row {id} is gone")),
            Some(Some(value)) if entry.sure == *value || entry.doubtful.contains(value) => None,
            Some(value) => Some(format!("row {id} holds {value:?} and not {entry:?}")),
        });
        wrong.collect()
    }
}
