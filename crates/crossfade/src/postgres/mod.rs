//! Everything that speaks to PostgreSQL: connections, the lease, the catalog, the journal.

pub(crate) mod controls;
pub(crate) mod introspect;
pub(crate) mod lease;
pub(crate) mod loads;
pub(crate) mod parked;
pub(crate) mod pooler;
mod reading;
pub(crate) mod sessions;
pub(crate) mod sizes;
pub(crate) mod store;
mod target;
pub mod trace;
pub(crate) mod usage;

pub use introspect::IntrospectError;
pub use introspect::introspect;
pub use lease::Lease;
pub(crate) use reading::reading;
pub use target::Target;
