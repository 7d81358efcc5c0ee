//! Everything that speaks to PostgreSQL: connections, the lease, the catalog, the journal.

mod introspect;
mod target;

pub use introspect::IntrospectError;
pub use introspect::introspect;
pub use target::Target;
