//! What is shown, as a value: what was seen last, which migration is looked at, and what a key changes about it.

use std::sync::Arc;
use std::time::Duration;

use crossfade::report::FailedAlert;
use crossfade::report::Flight;
use crossfade::report::MigrationStatus;
use crossfade::report::Snapshot;

use crate::sight::Failure;
use crate::sight::Sight;

/// What a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// End it.
    Leave,
    /// Pause what is looked at.
    Pause,
    /// Let it go on.
    Resume,
    /// Show which keys there are, or no longer.
    Help,
    /// Close the help.
    Close,
    /// Look at the next migration in flight.
    Next,
    /// Look at the one before.
    Previous,
    /// Draw it again.
    Redraw,
}

/// What follows from a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing beyond the screen.
    Nothing,
    /// To end.
    Leave,
    /// That this version waits; none: all that is under way.
    Pause(Option<String>),
    /// That it goes on.
    Resume(Option<String>),
}

/// Everything that is drawn.
#[derive(Clone, Debug)]
pub struct Model {
    /// The database, without secrets.
    pub database: String,
    /// The version that was asked for.
    pub wanted: Option<String>,
    /// Whether with colours.
    pub colors: bool,
    /// The last look that did not fail.
    pub snapshot: Option<Arc<Snapshot>>,
    /// How old it is.
    pub age: Duration,
    /// From this age on it is worth a word.
    pub stale: Duration,
    /// Why the last look failed.
    pub failure: Option<Failure>,
    /// Whether the help is open.
    pub help: bool,
    /// The last thing to say.
    pub message: Option<String>,
    /// The flight that is looked at, once a key has chosen one.
    chosen: Option<String>,
}

impl Model {
    /// Before anything was seen.
    pub fn new(database: String, wanted: Option<String>, colors: bool, interval: Duration) -> Model {
        Model {
            stale: interval * 2 + Duration::from_secs(2),
            database,
            wanted,
            colors,
            snapshot: None,
            age: Duration::ZERO,
            failure: None,
            help: false,
            message: None,
            chosen: None,
        }
    }

    /// Takes what is known of the database now.
    pub fn saw(&mut self, sight: &Sight) {
        self.age = sight.age().unwrap_or_default();
        self.snapshot = sight.seen.as_ref().map(|(_, snapshot)| snapshot.clone());
        self.failure = sight.failed.as_ref().map(|(_, failure)| failure.clone());
    }

    /// Says something at the bottom.
    pub fn say(&mut self, words: String) {
        self.message = Some(words);
    }

    /// Takes a key.
    pub fn press(&mut self, key: Key) -> Wish {
        if key != Key::Redraw {
            self.message = None;
        }
        let version = |model: &Model| model.flight().map(|flight| flight.version.clone());
        match key {
            Key::Leave => return Wish::Leave,
            Key::Help => self.help = !self.help,
            Key::Close => self.help = false,
            Key::Next => self.turn(1),
            Key::Previous => self.turn(-1),
            Key::Redraw => {}
            Key::Pause => match version(self) {
                Some(version) => return Wish::Pause(version),
                None => self.say("nothing is under way that could be paused".to_owned()),
            },
            Key::Resume => match version(self) {
                Some(version) => return Wish::Resume(version),
                None => self.say("nothing is paused".to_owned()),
            },
        }
        Wish::Nothing
    }

    fn flights(&self) -> &[Flight] {
        self.snapshot.as_ref().map_or(&[], |snapshot| &snapshot.flights)
    }

    /// The flight that is looked at, by position: the one that was chosen, else the one that was asked for, else the first that is under way, else the
    /// newest.
    pub fn position(&self) -> Option<usize> {
        let flights = self.flights();
        if let Some(chosen) = &self.chosen {
            let found = flights.iter().position(|flight| flight.key == *chosen);
            if found.is_some() {
                return found;
            }
        }
        match &self.wanted {
            Some(wanted) => flights.iter().position(|flight| is_same(&flight.key, wanted)),
            None => flights.iter().position(Flight::is_under_way).or_else(|| flights.len().checked_sub(1)),
        }
    }

    /// The flight that is looked at.
    pub fn flight(&self) -> Option<&Flight> {
        self.flights().get(self.position()?)
    }

    /// Of a flight, what hooks were to be told last, and were not.
    pub fn failed_alerts(&self, flight: &Flight) -> &[FailedAlert] {
        let Some((snapshot, version)) = self.snapshot.as_ref().zip(flight.version.as_ref()) else { return &[] };
        let found = snapshot.status.migrations.iter().find(|migration| migration.version == *version);
        found.map(|migration| migration.failed_alerts.as_slice()).unwrap_or_default()
    }

    /// Where nothing of what was asked for is in flight: the migration as the status has it.
    pub fn at_rest(&self) -> Option<&MigrationStatus> {
        let wanted = self.wanted.as_ref()?;
        self.snapshot.as_ref()?.status.migrations.iter().find(|migration| is_same(&migration.version, wanted))
    }

    fn turn(&mut self, by: isize) {
        let count = self.flights().len() as isize;
        if count > 0 {
            let at = self.position().map_or(0, |at| (at as isize + by).rem_euclid(count)) as usize;
            self.chosen = self.flights().get(at).map(|flight| flight.key.clone());
        }
    }
}

/// `1` and `001` are one version.
fn is_same(key: &str, wanted: &str) -> bool {
    let bare = |text: &str| text.trim_start_matches('0').to_owned();
    bare(key) == bare(wanted)
}
