//! Times and sizes as ranges, with what they are taken from.

use std::time::Duration;

use serde::Serialize;

/// A time that is not known better than within a range.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// At the least.
    pub least_seconds: f64,
    /// At the most; none where that can't be said.
    pub most_seconds: Option<f64>,
    /// What it is taken from.
    pub basis: Vec<Basis>,
}

/// What an estimate is taken from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "from", content = "text", rename_all = "snake_case")]
pub enum Basis {
    /// An earlier run.
    Measured(String),
    /// A guess that holds on ordinary machines.
    Assumed(String),
    /// Nothing: it can't be foreseen, and why.
    Unknown(String),
}

impl Estimate {
    /// No time at all.
    pub fn nothing() -> Estimate {
        Estimate { least_seconds: 0.0, most_seconds: Some(0.0), basis: Vec::new() }
    }

    /// Work in the catalog alone.
    pub(super) fn at_once() -> Estimate {
        Estimate { least_seconds: 0.0, most_seconds: Some(1.0), basis: Vec::new() }
    }

    /// So much work at a rate between two.
    pub(super) fn at_rate(amount: f64, slow: f64, fast: f64, basis: Basis) -> Estimate {
        let most = amount / slow.max(1e-9);
        // Below a second the rates say nothing: what is fixed in a step weighs more than its rows.
        Estimate { least_seconds: amount / fast.max(1e-9), most_seconds: Some(most.max(1.0)), basis: vec![basis] }
    }

    /// What can't be foreseen.
    pub(super) fn unknown(why: &str) -> Estimate {
        Estimate { least_seconds: 0.0, most_seconds: None, basis: vec![Basis::Unknown(why.to_owned())] }
    }

    /// This and then another.
    #[must_use]
    pub fn then(self, next: Estimate) -> Estimate {
        let mut basis = self.basis;
        basis.extend(next.basis);
        basis.sort();
        basis.dedup();
        Estimate {
            least_seconds: self.least_seconds + next.least_seconds,
            most_seconds: self.most_seconds.zip(next.most_seconds).map(|(a, b)| a + b),
            basis,
        }
    }

    /// Whether it may take longer than this.
    pub(super) fn may_exceed(&self, time: Duration) -> bool {
        self.most_seconds.is_none_or(|most| most > time.as_secs_f64())
    }
}

/// A size that is not known better than within a range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bytes {
    /// At the least.
    pub least: u64,
    /// At the most.
    pub most: u64,
}

impl Bytes {
    /// Between two shares of a size.
    pub(super) fn share(of: u64, least: f64, most: f64) -> Bytes {
        Bytes { least: (of as f64 * least) as u64, most: (of as f64 * most) as u64 }
    }

    /// Both together.
    pub(super) fn and(self, other: Bytes) -> Bytes {
        Bytes { least: self.least.saturating_add(other.least), most: self.most.saturating_add(other.most) }
    }
}
