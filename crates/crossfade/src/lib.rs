//! Crossfade: change the schema of a live PostgreSQL without downtime.
//!
//! [`Migrator`] is the front door. What it decides is decided in `crossfade-core`; here it is carried out. Nothing is printed, and no environment variable is
//! read: what it is to know is handed to it. Its functions need a runtime of tokio.
//!
//! # An application that migrates when it starts
//!
//! ```no_run
//! use crossfade::Config;
//! use crossfade::Embedded;
//! use crossfade::Migrator;
//! use crossfade::StartOptions;
//! use crossfade::Stop;
//! use crossfade::Target;
//! use crossfade::observer::Logged;
//!
//! static MIGRATIONS: Embedded = crossfade::embed!("examples/migrations");
//!
//! async fn bring_the_schema_up(database_url: &str, stop: &Stop) -> crossfade::Result<()> {
//!     let migrator = Migrator::embedded(Config::default(), Target::from_url(database_url)?, &MIGRATIONS);
//!     migrator.start(&StartOptions::default(), &mut Logged, stop).await?;
//!     Ok(())
//! }
//! ```
//!
//! [`Migrator::start`] waits for the database, and any number of copies may start at once: what is to be done is looked at before the lease is asked for. What
//! runs in phases goes as far as is safe beside the copies of before.
//!
//! # An application that waits for its schema
//!
//! Where a job migrates, the application waits, and is ready when the schema is at its version or beyond:
//!
//! ```no_run
//! # use std::time::Duration;
//! # use crossfade::{Migrator, Stop, observer::Logged};
//! # async fn ready(migrator: &Migrator) -> crossfade::Result<bool> {
//! migrator.wait_until_at_least("042", Duration::from_secs(300), &mut Logged, &Stop::default()).await?;
//! let is_ready = migrator.is_at_least("042").await?.is_ready();
//! # Ok(is_ready)
//! # }
//! ```

mod adopt;
mod audit;
pub mod config;
pub mod connection;
mod doctor;
pub mod error;
mod executor;
pub mod hooks;
mod migrator;
pub mod observer;
pub mod postgres;
pub mod report;
pub mod schema;
pub mod scratch;
pub mod source;
mod stop;
pub mod targets;
mod throttle;
mod usage;
mod web;

pub use adopt::AdoptOptions;
pub use adopt::Tool;
pub use audit::Audit;
pub use config::Config;
pub use error::Error;
pub use error::ErrorKind;
pub use error::Result;
pub use migrator::AfterFailure;
pub use migrator::BackfillOptions;
pub use migrator::BaselineOptions;
pub use migrator::CheckOptions;
pub use migrator::ContractOptions;
pub use migrator::DriftOptions;
pub use migrator::GotoOptions;
pub use migrator::HistoryOptions;
pub use migrator::HistorySince;
pub use migrator::KeepVerifyingOptions;
pub use migrator::LintOptions;
pub use migrator::LiveChange;
pub use migrator::MigrateOptions;
pub use migrator::Migrator;
pub use migrator::Readiness;
pub use migrator::RedoOptions;
pub use migrator::RehearseOptions;
pub use migrator::RehearseSource;
pub use migrator::RenumberOptions;
pub use migrator::RepairAction;
pub use migrator::RepairOptions;
pub use migrator::RowsWanted;
pub use migrator::RunOptions;
pub use migrator::SquashOptions;
pub use migrator::StartOptions;
pub use migrator::TestOptions;
pub use migrator::Watcher;
pub use postgres::Target;
pub use source::Embedded;
pub use stop::Stop;
pub use web::Proxy;

#[doc(hidden)]
pub use crossfade_macros::files_of as __files_of;

/// The files of a migrations folder as part of the program: an [`Embedded`] for [`Migrator::embedded`]. The path is relative to the `Cargo.toml` of the
/// crate in which it stands. Every layout is understood that is read from a folder; hidden files are left out.
///
/// ```
/// static MIGRATIONS: crossfade::Embedded = crossfade::embed!("examples/migrations");
/// ```
///
/// The compiler sees when one of the files changes. That one was *added* it can only be told by a build script beside that `Cargo.toml`, `build.rs`:
///
/// ```
/// println!("cargo::rerun-if-changed=migrations");
/// ```
///
/// A test with [`Embedded::differs_from`] says whether it is missing.
#[macro_export]
macro_rules! embed {
    ($folder:literal) => {
        $crate::Embedded::new($folder, $crate::__files_of!($folder))
    };
}
