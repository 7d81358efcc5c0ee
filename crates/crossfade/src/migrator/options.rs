//! What the commands that have no room of their own take.

/// What `migrate` is to do.
#[derive(Clone, Debug, Default)]
pub struct MigrateOptions {
    /// Up to this version; none for all.
    pub to: Option<String>,
    /// Through contract and purge, without waiting.
    pub complete: bool,
    /// Wait for another runner to finish, instead of refusing.
    pub wait: bool,
    /// How many connections fill rows at the same time; none: as the configuration says.
    pub workers: Option<usize>,
    /// Set rows aside whose new value can't be computed, and go on around them.
    pub park: bool,
    /// Run files that come before what was run already, whatever the configuration says.
    pub allow_out_of_order: bool,
}

/// What any command that changes something takes.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Wait for another runner to finish, instead of refusing.
    pub wait: bool,
}

/// What `backfill` is to do, beside what it copies.
#[derive(Clone, Copy, Debug, Default)]
pub struct BackfillOptions {
    /// Rows that one transaction may change at the most.
    pub batch_size: Option<u64>,
    /// How many connections fill rows at the same time; none: as the configuration says.
    pub workers: Option<usize>,
    /// Set rows aside that the server refuses, and go on around them.
    pub park: bool,
    /// Wait for another runner to finish, instead of refusing.
    pub wait: bool,
}
