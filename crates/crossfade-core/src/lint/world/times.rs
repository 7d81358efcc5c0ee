//! How long work takes that goes with a table's size.

use std::time::Duration;

use super::super::rule::Cost;
use super::Size;
use super::World;
use crate::runbook::Work;
use crate::sql::ObjectRef;

/// Bytes of heap that are read in a second, that are copied as they are, and that are written anew with their indexes; rows of which an index is built. Cautious
/// figures for disks of today, where no earlier run has measured it; what counts is whether it is a moment, minutes or hours.
const READ_A_SECOND: f64 = (200_u32 << 20) as f64;
const COPIED_A_SECOND: f64 = (100_u32 << 20) as f64;
const WRITTEN_A_SECOND: f64 = (30_u32 << 20) as f64;
const INDEXED_A_SECOND: f64 = 200_000.0;

/// A time, and the earlier runs that it is taken from.
pub(in super::super) struct Time {
    pub time: Duration,
    pub measured: Option<String>,
}

impl World {
    /// How long a statement takes that reads or writes all of a table.
    pub fn time(&self, table: &ObjectRef, size: Size, cost: Cost) -> Option<Time> {
        let (bytes, rows) = (size.bytes as f64, size.rows as f64);
        let (amount, assumed, work) = match (cost.build, cost.rewrite, cost.scan) {
            (true, _, _) => (rows, INDEXED_A_SECOND, Some(Work::Index)),
            (false, true, true) => (bytes, WRITTEN_A_SECOND, None),
            (false, true, false) => (bytes, COPIED_A_SECOND, None),
            (false, false, true) => (bytes, READ_A_SECOND, Some(Work::Scan)),
            (false, false, false) => return None,
        };
        let measured = work.and_then(|work| work.measured(&super::Key::of(table).place(), &self.around));
        let rate = measured.as_ref().map_or(assumed, |measured| measured.slowest);
        let time = Duration::try_from_secs_f64(amount / rate).unwrap_or(Duration::MAX);
        Some(Time { time, measured: measured.map(|measured| measured.basis) })
    }
}
