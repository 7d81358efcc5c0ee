//! Crossfade: change the schema of a live PostgreSQL without downtime.
//!
//! [`Migrator`] is the front door. What it decides is decided in `crossfade-core`; here it is carried out.

mod audit;
pub mod config;
pub mod error;
mod executor;
mod migrator;
pub mod observer;
pub mod postgres;
pub mod report;
pub mod schema;
pub mod scratch;
pub mod source;
mod stop;
mod throttle;

pub use audit::Audit;
pub use config::Config;
pub use error::Error;
pub use error::ErrorKind;
pub use error::Result;
pub use migrator::BackfillOptions;
pub use migrator::BaselineOptions;
pub use migrator::GotoOptions;
pub use migrator::HistoryOptions;
pub use migrator::HistorySince;
pub use migrator::LiveChange;
pub use migrator::MigrateOptions;
pub use migrator::Migrator;
pub use migrator::RedoOptions;
pub use migrator::RenumberOptions;
pub use migrator::RepairAction;
pub use migrator::RepairOptions;
pub use migrator::RunOptions;
pub use postgres::Target;
pub use stop::Stop;
