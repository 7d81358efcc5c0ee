//! Finds the row that the server refuses, and names it to people.

use crossfade_core::backfill::Chunk;
use crossfade_core::backfill::Cursor;
use crossfade_core::sql;
use crossfade_core::sql::Sql;
use crossfade_core::sql::TableName;
use crossfade_core::step::KeyCut;
use crossfade_core::step::Outcome;
use crossfade_core::step::PlanKind;
use crossfade_core::step::VerifyUnit;
use tokio_postgres::types::Type;

use super::Bound;
use super::Fill;
use super::Worker;
use crate::error::Error;
use crate::error::Result;

/// More than a block has line pointers, as a power of two.
const MAX_LINE_POINTERS: u32 = 512;

impl Worker<'_> {
    /// Finds the row that a chunk fails on and names its key: first the block, then the line pointer, by trying halves in transactions that
    /// are rolled back.
    pub(super) async fn name_bad_row(&self, sweep: Sweep<'_>, chunk: Chunk, error: Error) -> Error {
        if !is_about_data(&error) {
            return error;
        }
        let go_on = self.go_on(sweep.outcome());
        match self.find_bad_row(sweep, chunk).await {
            Some(key) => error.hint(format!("the row is {key} of {}: {go_on}", sweep.relation())),
            None => error.hint(format!(
                "the row stands in blocks {} to {} of {}: {go_on}",
                chunk.from,
                chunk.to.saturating_sub(1),
                sweep.relation()
            )),
        }
    }

    /// What to do about a row that the server refuses.
    fn go_on(&self, outcome: Outcome) -> &'static str {
        match (self.plan.plan.kind, outcome) {
            (PlanKind::Backfill, _) => {
                "mend it (or the expression), then run the same command again; what is filled stays filled"
            }
            (PlanKind::Up | PlanKind::Down, Outcome::Verified | Outcome::Taken) => {
                "mend it (or the expression), then run `crossfade migrate` again; what is filled stays filled. `crossfade rollback` undoes it all"
            }
            (PlanKind::Up | PlanKind::Down, Outcome::Lasting) => {
                "mend it, then run `crossfade migrate` again: it goes on with this row, and no row is changed twice"
            }
        }
    }

    async fn find_bad_row(&self, sweep: Sweep<'_>, chunk: Chunk) -> Option<String> {
        let mut found = chunk;
        while found.to - found.from > 1 {
            let middle = found.from + (found.to - found.from) / 2;
            let lower = Chunk { to: middle, ..found };
            found = if self.fails(sweep, lower).await { lower } else { Chunk { from: middle, ..found } };
        }
        if found.stripes > 1 || !self.fails(sweep, found).await {
            found = Chunk { stripes: 1, stripe: 0, ..found };
        }
        // Line pointers by halves: those that are congruent to `stripe` modulo `stripes`, with twice the modulus each time.
        let mut place = found;
        while place.stripes < MAX_LINE_POINTERS {
            let (even, odd) = (
                Chunk { stripes: place.stripes * 2, ..place },
                Chunk { stripes: place.stripes * 2, stripe: place.stripe + place.stripes, ..place },
            );
            place = if self.fails(sweep, even).await { even } else { odd };
        }
        let tid = format!("({},{})", place.from, place.stripe);
        let row = self.client.query_typed_opt(sweep.locate().as_str(), &[(&tid, Type::TEXT)]).await.ok()?;
        row.and_then(|row| row.get(0))
    }

    async fn fails(&self, sweep: Sweep<'_>, chunk: Chunk) -> bool {
        let (statement, bounds, outcome) = match sweep {
            Sweep::Fill(fill) => (&fill.unit.statement, fill.unit.bounds, fill.outcome),
            Sweep::Count(unit) => (&unit.query, unit.bounds, Outcome::Verified),
        };
        self.fails_on(statement, &Bound::blocks(chunk, bounds), outcome).await
    }

    /// Whether a statement fails, in a transaction that is rolled back.
    async fn fails_on(&self, statement: &Sql, bound: &Bound, outcome: Outcome) -> bool {
        let start = sql!("BEGIN; SET LOCAL lock_timeout = '1s'; SET LOCAL enable_seqscan = off{}", self.mark(outcome));
        if self.client.batch_execute(start.as_str()).await.is_err() {
            return false;
        }
        let failed = self.client.query_typed(statement.as_str(), &bound.params()).await.is_err();
        let _ = self.client.batch_execute("ROLLBACK").await;
        failed
    }

    /// Finds the row that a chunk fails on, by trying halves in transactions that are rolled back, and names its key.
    pub(super) async fn name_bad_key(
        &self,
        fill: &Fill<'_>,
        keys: &KeyCut,
        at: &Cursor,
        rows: u64,
        error: Error,
    ) -> Error {
        if !is_about_data(&error) {
            return error;
        }
        match self.find_bad_key(fill, keys, at, rows).await {
            Ok(key) => error.hint(format!(
                "the row is the one with the key ({}) of {}: {}",
                key.join(", "),
                fill.unit.relation,
                self.go_on(fill.outcome)
            )),
            Err(_) => error.hint(self.go_on(fill.outcome)),
        }
    }

    async fn find_bad_key(&self, fill: &Fill<'_>, keys: &KeyCut, at: &Cursor, rows: u64) -> Result<Vec<String>> {
        let mut after = at.keys.as_ref().and_then(|place| place.after.clone());
        let mut last = self.cut(keys, at, rows.min(at.width)).await?;
        let mut half = rows.min(at.width);
        loop {
            half = half.div_ceil(2);
            if let Some(middle) = self.cut_between(keys, after.clone(), last.clone(), half).await? {
                let lower = Bound::keys(after.clone(), middle.clone());
                if self.fails_on(&fill.unit.statement, &lower, fill.outcome).await {
                    last = middle;
                } else {
                    after = Some(middle);
                }
            }
            if half == 1 {
                return Ok(last);
            }
        }
    }
}

/// What sweeps a relation.
#[derive(Clone, Copy)]
pub(super) enum Sweep<'a> {
    Fill(Fill<'a>),
    Count(&'a VerifyUnit),
}

impl<'a> Sweep<'a> {
    fn relation(self) -> &'a TableName {
        match self {
            Sweep::Fill(fill) => &fill.unit.relation,
            Sweep::Count(unit) => &unit.relation,
        }
    }

    fn locate(self) -> &'a Sql {
        match self {
            Sweep::Fill(fill) => &fill.unit.locate,
            Sweep::Count(unit) => &unit.locate,
        }
    }
}

impl Sweep<'_> {
    fn outcome(self) -> Outcome {
        match self {
            Sweep::Fill(fill) => fill.outcome,
            Sweep::Count(_) => Outcome::Verified,
        }
    }
}

/// Whether an error comes from the values of a row.
pub(super) fn is_about_data(error: &Error) -> bool {
    error.sql_state().is_some_and(|state| state.starts_with("22") || state.starts_with("23") || state.starts_with("P0"))
}
