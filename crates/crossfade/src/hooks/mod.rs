//! Who is told what happens to a migration, and what is run before its phases.
//!
//! Which events a run tells is pure (`event`, `story`, `alert`); `line` calls the hooks, each in its own order and beside the work. Nothing
//! but a required command before a phase ever stops a run, and nothing here is called inside of a transaction.

mod alert;
mod command;
mod event;
mod line;
mod outcome;
mod secret;
pub(crate) mod settings;
mod story;
mod teller;
mod trial;
mod webhook;

pub(crate) use alert::Origin;
pub use event::HookEvent;
pub(crate) use outcome::Outcome;
pub use secret::Secret;
pub use settings::Call;
pub use settings::Format;
pub use settings::Hook;
pub use settings::Hooks;
pub(crate) use teller::Teller;
pub(crate) use teller::Told;
pub(crate) use teller::announce_failed_rehearsal;
pub(crate) use trial::trial;
