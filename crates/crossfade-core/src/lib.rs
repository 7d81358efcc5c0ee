//! Crossfade's core: what decides, and touches nothing.
//!
//! A file's text becomes a [`migration::Migration`]; with a [`catalog::Catalog`] and a [`plan::Policy`] it becomes a
//! [`step::Plan`]; with the events of the [`journal`] that becomes a decision. There is no tokio here, no client of PostgreSQL, no
//! file, no environment, no clock and no chance.

pub mod backfill;
pub mod catalog;
pub mod finding;
pub mod journal;
pub mod lint;
pub mod lock;
pub mod migration;
pub mod operation;
pub mod plan;
pub mod runbook;
pub mod schema;
pub mod sql;
pub mod squash;
pub mod step;
pub mod throttle;
pub mod units;
pub mod usage;
