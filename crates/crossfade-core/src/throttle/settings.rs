//! What a team allows the work to do: limits and conditions, from crossfade.toml and, live, from the journal.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Blackout;
use super::Signal;
use super::Window;
use crate::units::parse_bytes;
use crate::units::parse_duration;
use crate::units::show_bytes;
use crate::units::show_duration;

/// The word that switches a limit off.
const OFF: &str = "off";

/// A setting by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// How far a replica may be behind, in time.
    ReplicaLag,
    /// How far a replica may be behind, in WAL.
    ReplicaBytes,
    /// Replicas that must be connected.
    Replicas,
    /// Replicas that do not count.
    IgnoredReplicas,
    /// WAL that a slot may retain.
    Slots,
    /// WAL segments that may wait for the archive.
    Archive,
    /// Sessions of others that may be at work.
    Active,
    /// Sessions that may wait for a lock on the table.
    Waiters,
    /// How long a commit may take.
    Commit,
    /// How old the oldest snapshot may be, in time.
    XminAge,
    /// How old the oldest snapshot may be, in transactions.
    XminXids,
    /// How long an autovacuum of the table is waited for.
    Autovacuum,
    /// Share of dead rows that the table may have.
    DeadTuples,
    /// A query that says whether to wait.
    Query,
    /// A query that says whether to stop.
    Critical,
    /// An address that says whether to go on.
    Http,
    /// Times of the day in which the work runs.
    Window,
    /// Days on which it does not.
    Blackout,
    /// Share of the time that the work may take.
    Duty,
}

impl Key {
    /// All keys, in the order in which they are shown.
    pub const ALL: [Key; 19] = [
        Key::Duty,
        Key::ReplicaLag,
        Key::ReplicaBytes,
        Key::Replicas,
        Key::IgnoredReplicas,
        Key::Slots,
        Key::Archive,
        Key::Active,
        Key::Waiters,
        Key::Commit,
        Key::XminAge,
        Key::XminXids,
        Key::Autovacuum,
        Key::DeadTuples,
        Key::Query,
        Key::Critical,
        Key::Http,
        Key::Window,
        Key::Blackout,
    ];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Key::Duty => "duty",
            Key::Replicas => "replicas",
            Key::IgnoredReplicas => "ignored_replicas",
            Key::ReplicaLag => Signal::ReplicaLag.name(),
            Key::ReplicaBytes => Signal::ReplicaBytes.name(),
            Key::Slots => Signal::Slots.name(),
            Key::Archive => Signal::Archive.name(),
            Key::Active => Signal::Active.name(),
            Key::Waiters => Signal::Waiters.name(),
            Key::Commit => Signal::Commit.name(),
            Key::XminAge => Signal::XminAge.name(),
            Key::XminXids => Signal::XminXids.name(),
            Key::Autovacuum => Signal::Autovacuum.name(),
            Key::DeadTuples => Signal::DeadTuples.name(),
            Key::Query => Signal::Query.name(),
            Key::Critical => Signal::Critical.name(),
            Key::Http => Signal::Http.name(),
            Key::Window => Signal::Window.name(),
            Key::Blackout => Signal::Blackout.name(),
        }
    }

    /// The key of this name.
    pub fn by_name(name: &str) -> Option<Key> {
        Key::ALL.into_iter().find(|key| key.name() == name)
    }

    /// Whether several values may be given.
    pub fn is_list(self) -> bool {
        match self {
            Key::Replicas | Key::IgnoredReplicas | Key::Window | Key::Blackout => true,
            Key::Duty
            | Key::ReplicaLag
            | Key::ReplicaBytes
            | Key::Slots
            | Key::Archive
            | Key::Active
            | Key::Waiters
            | Key::Commit
            | Key::XminAge
            | Key::XminXids
            | Key::Autovacuum
            | Key::DeadTuples
            | Key::Query
            | Key::Critical
            | Key::Http => false,
        }
    }
}

/// All settings. What is `None` or empty is switched off.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Share of the time that the work may take, above 0 and up to 1.
    pub duty: f64,
    /// How far a replica may be behind, in time.
    pub replica_lag: Option<Duration>,
    /// How far a replica may be behind, in WAL.
    pub replica_bytes: Option<u64>,
    /// Replicas that must be connected, by their `application_name`.
    pub replicas: Vec<String>,
    /// Replicas that do not count, by their `application_name`.
    pub ignored_replicas: Vec<String>,
    /// WAL that a slot may retain.
    pub slots: Option<u64>,
    /// WAL segments that may wait for the archive.
    pub archive: Option<u64>,
    /// Sessions of others that may be at work.
    pub active: Option<u64>,
    /// Sessions that may wait for a lock on the table.
    pub waiters: Option<u64>,
    /// How long a commit may take.
    pub commit: Option<Duration>,
    /// How old the oldest snapshot may be.
    pub xmin_age: Option<Duration>,
    /// The same in transactions.
    pub xmin_xids: Option<u64>,
    /// How long an autovacuum of the table is waited for.
    pub autovacuum: Option<Duration>,
    /// Share of dead rows that the table may have.
    pub dead_tuples: Option<f64>,
    /// A query: above 0 is to wait.
    pub query: Option<String>,
    /// A query: above 0 is to stop.
    pub critical: Option<String>,
    /// An address: 200 is to go on.
    pub http: Option<String>,
    /// Times of the day in which the work runs.
    pub window: Vec<Window>,
    /// Days on which it does not.
    pub blackout: Vec<Blackout>,
    /// What somebody has said, and is not as it is by default.
    said: BTreeSet<Key>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            duty: 0.7,
            replica_lag: Some(Duration::from_secs(5)),
            replica_bytes: Some(64 << 20),
            replicas: Vec::new(),
            ignored_replicas: Vec::new(),
            slots: Some(1 << 30),
            archive: Some(42),
            active: None,
            waiters: Some(3),
            commit: Some(Duration::from_millis(50)),
            xmin_age: Some(Duration::from_secs(600)),
            xmin_xids: Some(5_000_000),
            autovacuum: Some(Duration::from_secs(5)),
            dead_tuples: None,
            query: None,
            critical: None,
            http: None,
            window: Vec::new(),
            blackout: Vec::new(),
            said: BTreeSet::new(),
        }
    }
}

impl Settings {
    /// Sets a key to what is written. A key that is a list takes several values; `off` switches any but `duty` off.
    ///
    /// # Errors
    ///
    /// What is wrong with the value; nothing is changed then.
    pub fn set(&mut self, key: Key, values: &[String]) -> Result<(), String> {
        let off = matches!(values, [one] if one.trim() == OFF) || values.iter().all(|value| value.trim().is_empty());
        if !key.is_list() && values.len() > 1 {
            return Err(format!("{} takes one value", key.name()));
        }
        let text = values.first().map_or("", |value| value.trim());
        let or_off = |off: bool| if off { None } else { Some(text) };
        let time = || or_off(off).map(parse_duration).transpose();
        let bytes = || or_off(off).map(parse_bytes).transpose();
        let count = || or_off(off).map(whole).transpose();
        let words = || or_off(off).map(str::to_owned);
        let list = || if off { Vec::new() } else { values.iter().map(|value| value.trim().to_owned()).collect() };
        match key {
            Key::Duty => {
                let duty = text.parse().ok().filter(|duty: &f64| *duty > 0.0 && *duty <= 1.0);
                self.duty =
                    duty.ok_or_else(|| format!("duty is {text}: it is a share of the time, above 0 and up to 1"))?;
            }
            Key::ReplicaLag => self.replica_lag = time()?,
            Key::ReplicaBytes => self.replica_bytes = bytes()?,
            Key::Replicas => self.replicas = list(),
            Key::IgnoredReplicas => self.ignored_replicas = list(),
            Key::Slots => self.slots = bytes()?,
            Key::Archive => self.archive = count()?,
            Key::Active => self.active = count()?,
            Key::Waiters => self.waiters = count()?,
            Key::Commit => self.commit = time()?,
            Key::XminAge => self.xmin_age = time()?,
            Key::XminXids => self.xmin_xids = count()?,
            Key::Autovacuum => self.autovacuum = time()?,
            Key::DeadTuples => self.dead_tuples = or_off(off).map(share).transpose()?,
            Key::Query => self.query = words(),
            Key::Critical => self.critical = words(),
            Key::Http => self.http = or_off(off).map(address).transpose()?,
            Key::Window => self.window = list().iter().map(|text| Window::parse(text)).collect::<Result<_, _>>()?,
            Key::Blackout => {
                self.blackout = list().iter().map(|text| Blackout::parse(text)).collect::<Result<_, _>>()?
            }
        }
        self.said.insert(key);
        Ok(())
    }

    /// Sets a key from one text, as a command line gives it: a list is separated by commas.
    ///
    /// # Errors
    ///
    /// What is wrong with the value.
    pub fn set_text(&mut self, key: Key, text: &str) -> Result<(), String> {
        if key.is_list() {
            let values: Vec<String> = text.split(',').map(str::to_owned).collect();
            self.set(key, &values)
        } else {
            self.set(key, &[text.to_owned()])
        }
    }

    /// A value as it would be written.
    pub fn show(&self, key: Key) -> String {
        let time = |value: Option<Duration>| value.map(show_duration);
        let bytes = |value: Option<u64>| value.map(show_bytes);
        let count = |value: Option<u64>| value.map(|value| value.to_string());
        let list = |values: Vec<String>| (!values.is_empty()).then(|| values.join(", "));
        let shown = match key {
            Key::Duty => Some(self.duty.to_string()),
            Key::ReplicaLag => time(self.replica_lag),
            Key::ReplicaBytes => bytes(self.replica_bytes),
            Key::Replicas => list(self.replicas.clone()),
            Key::IgnoredReplicas => list(self.ignored_replicas.clone()),
            Key::Slots => bytes(self.slots),
            Key::Archive => count(self.archive),
            Key::Active => count(self.active),
            Key::Waiters => count(self.waiters),
            Key::Commit => time(self.commit),
            Key::XminAge => time(self.xmin_age),
            Key::XminXids => count(self.xmin_xids),
            Key::Autovacuum => time(self.autovacuum),
            Key::DeadTuples => self.dead_tuples.map(|share| share.to_string()),
            Key::Query => self.query.clone(),
            Key::Critical => self.critical.clone(),
            Key::Http => self.http.clone(),
            Key::Window => list(self.window.iter().map(Window::to_string).collect()),
            Key::Blackout => list(self.blackout.iter().map(Blackout::to_string).collect()),
        };
        shown.unwrap_or_else(|| OFF.to_owned())
    }

    /// Whether somebody has said so, and it is not a default. What somebody asked for must be measured; a default counts as far as the role
    /// may see.
    pub fn is_said(&self, key: Key) -> bool {
        self.said.contains(&key)
    }
}

fn whole(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("\"{text}\" is no whole number"))
}

fn share(text: &str) -> Result<f64, String> {
    let number = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map(|percent| percent / 100.0),
        None => text.parse::<f64>(),
    };
    number
        .ok()
        .filter(|share| *share > 0.0 && share.is_finite())
        .ok_or_else(|| format!("\"{text}\" is no share: write 0.2 or 20%"))
}

fn address(text: &str) -> Result<String, String> {
    let known = ["http://", "https://"].iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme));
    if known {
        Ok(text.to_owned())
    } else {
        Err(format!("\"{text}\" is no address: it begins with http:// or https://"))
    }
}
