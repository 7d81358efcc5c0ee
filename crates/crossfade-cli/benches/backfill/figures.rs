//! All runs, in their order: in each turn every way once, one after the other, so that what the machine does beside it meets them all.

use crossfade::Result;

use crate::change::CHANGES;
use crate::change::Change;
use crate::clients;
use crate::clients::Latency;
use crate::measure::Measured;
use crate::measure::Own;
use crate::measure::measure;
use crate::server::Server;
use crate::server::one;
use crate::server::run;
use crate::settings::Settings;
use crate::way::Way;

/// Batches of what is NULL yet are ended after so many times the time of one UPDATE.
pub const CUT: f64 = 5.0;

/// Those that are gone in every turn. The first is what the others are compared with.
const EVERY_TURN: [Way; 3] = [Way::Single, Way::Crossfade { workers: 1 }, Way::Crossfade { workers: 2 }];

/// Everything that was measured.
#[derive(Debug)]
pub struct Figures {
    /// One for each change.
    pub changes: Vec<OfChange>,
    /// One for each turn, with the first change.
    pub latency: Vec<Latency>,
}

/// What was measured of one change.
#[derive(Debug)]
pub struct OfChange {
    /// The change.
    pub change: Change,
    /// Size of a table that is written anew in the new form, by the size of the old one.
    pub anew: f64,
    /// The runs of each turn.
    pub turns: Vec<Vec<Measured>>,
    /// Two workers on a tenth of the rows.
    pub tenth: Measured,
}

impl Figures {
    /// Measures all of it.
    pub async fn take(server: &Server, settings: &Settings) -> Result<Figures> {
        let mut changes = Vec::new();
        for change in CHANGES {
            let anew = anew(server, settings.rows, &change).await?;
            let way = Way::Crossfade { workers: 2 };
            let tenth = measure(server, settings.rows / 10, &change, way, None).await?;
            eprintln!("{}, {}, a tenth of the rows: {:.1} s", change.column, way.title(), tenth.fill);
            changes.push(OfChange { change, anew, turns: Vec::new(), tenth });
        }
        let mut latency = Vec::new();
        for turn in 1..=settings.turns {
            for of_change in &mut changes {
                let runs = take_turn(server, settings, of_change.change, turn).await?;
                of_change.turns.push(runs);
            }
            let met = clients::measure(server, settings.rows, &CHANGES[0]).await?;
            eprintln!(
                "turn {turn} of {}, clients: p99 of {:.1} ms before, {:.1} ms during",
                settings.turns, met.before_ms, met.during_ms
            );
            latency.push(met);
        }
        Ok(Figures { changes, latency })
    }

    /// Every run of Crossfade with this change.
    pub fn own<'a>(&'a self, of: &'a OfChange) -> impl Iterator<Item = &'a Own> {
        let beside = self.latency.iter().filter(|_| of.change == CHANGES[0]).map(|met| &met.own);
        of.runs().chain([&of.tenth]).filter_map(|run| run.own.as_ref()).chain(beside)
    }
}

async fn take_turn(server: &Server, settings: &Settings, change: Change, turn: u32) -> Result<Vec<Measured>> {
    let mut ways = EVERY_TURN.to_vec();
    if turn == 1 {
        ways.push(Way::KeyBatches);
        if change == CHANGES[0] {
            ways.push(Way::NullBatches);
        }
    }
    let mut runs: Vec<Measured> = Vec::new();
    for way in ways {
        let limit = match (way, runs.first()) {
            (Way::NullBatches, Some(single)) => Some(single.fill * CUT),
            _ => None,
        };
        let measured = measure(server, settings.rows, &change, way, limit).await?;
        let Measured { fill, command, .. } = measured;
        eprintln!(
            "turn {turn} of {}, {}, {}: {fill:.1} s, the whole command {command:.1} s",
            settings.turns,
            change.column,
            way.title()
        );
        runs.push(measured);
    }
    Ok(runs)
}

async fn anew(server: &Server, rows: u64, change: &Change) -> Result<f64> {
    let client = server.fresh(rows).await?;
    run(&client, &change.anew()).await?;
    let query = "SELECT pg_total_relation_size('anew')::float8 / pg_total_relation_size('users')";
    one(&client, query).await
}

impl OfChange {
    /// A figure of one way by the same figure of the one UPDATE of its turn: the median over the turns that have it.
    pub fn ratio(&self, way: Way, figure: impl Fn(&Measured) -> f64) -> Option<f64> {
        let of_turn = |runs: &Vec<Measured>| {
            let single = runs.iter().find(|run| run.way == Way::Single)?;
            Some(figure(runs.iter().find(|run| run.way == way)?) / figure(single))
        };
        median(self.turns.iter().filter_map(of_turn).collect())
    }

    /// A figure of one way: the median.
    pub fn typical(&self, way: Way, figure: impl Fn(&Measured) -> f64) -> Option<f64> {
        median(self.runs().filter(|run| run.way == way).map(figure).collect())
    }

    /// The ways that were gone, in their order.
    pub fn ways(&self) -> Vec<Way> {
        self.turns.first().map(|runs| runs.iter().map(|run| run.way).collect()).unwrap_or_default()
    }

    /// All runs.
    pub fn runs(&self) -> impl Iterator<Item = &Measured> {
        self.turns.iter().flatten()
    }
}

/// The one in the middle, or what is between the two in the middle.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some(f64::midpoint(values[last / 2], values[values.len() / 2]))
}
