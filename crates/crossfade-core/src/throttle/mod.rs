//! When the work over many rows has to wait, and how much of the time it may take.
//!
//! Pure: what was measured comes in as [`Sample`]s, the time as an argument; out comes a [`Verdict`]. Budgets stop, gradual signals steer, a
//! critical one ends the run. Source: reference B4; where it is done otherwise, decision 0017 says why.

mod calendar;
mod decide;
mod lag;
mod settings;
mod signal;
#[cfg(test)]
mod tests;

pub use calendar::Blackout;
pub use calendar::Window;
pub use calendar::look_at_the_calendar;
pub use decide::CONTROL;
pub use decide::Pause;
pub use decide::STALE;
pub use decide::Throttle;
pub use decide::Verdict;
pub use lag::Lsn;
pub use lag::LsnClock;
pub use lag::segments_behind;
pub use settings::Key;
pub use settings::Settings;
pub use signal::Kind;
pub use signal::Measure;
pub use signal::Reading;
pub use signal::Sample;
pub use signal::Signal;
pub use signal::Work;
