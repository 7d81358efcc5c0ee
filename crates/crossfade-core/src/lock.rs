//! The eight table lock modes of PostgreSQL and what conflicts with what.
//!
//! Source: the manual, "Explicit Locking", table 13.2; the same on 13 to 18.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

use crate::sql::TableName;

/// A table-level lock mode, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockMode {
    /// `SELECT`.
    AccessShare,
    /// `SELECT … FOR UPDATE`.
    RowShare,
    /// `INSERT`, `UPDATE`, `DELETE`.
    RowExclusive,
    /// `VALIDATE CONSTRAINT`, `CREATE INDEX CONCURRENTLY`, `ANALYZE`.
    ShareUpdateExclusive,
    /// `CREATE INDEX`.
    Share,
    /// `CREATE TRIGGER`, `ADD FOREIGN KEY`.
    ShareRowExclusive,
    /// `REFRESH MATERIALIZED VIEW CONCURRENTLY`.
    Exclusive,
    /// Most forms of `ALTER TABLE`; keeps out readers, too.
    AccessExclusive,
}

impl LockMode {
    /// All modes, weakest first.
    pub const ALL: [LockMode; 8] = [
        LockMode::AccessShare,
        LockMode::RowShare,
        LockMode::RowExclusive,
        LockMode::ShareUpdateExclusive,
        LockMode::Share,
        LockMode::ShareRowExclusive,
        LockMode::Exclusive,
        LockMode::AccessExclusive,
    ];

    /// Whether two sessions can't hold these modes on one table at the same time.
    pub fn conflicts_with(self, other: LockMode) -> bool {
        use LockMode::*;
        match self {
            AccessShare => matches!(other, AccessExclusive),
            RowShare => matches!(other, Exclusive | AccessExclusive),
            RowExclusive => matches!(other, Share | ShareRowExclusive | Exclusive | AccessExclusive),
            ShareUpdateExclusive => {
                matches!(other, ShareUpdateExclusive | Share | ShareRowExclusive | Exclusive | AccessExclusive)
            }
            Share => {
                matches!(other, RowExclusive | ShareUpdateExclusive | ShareRowExclusive | Exclusive | AccessExclusive)
            }
            ShareRowExclusive => !matches!(other, AccessShare | RowShare),
            Exclusive => !matches!(other, AccessShare),
            AccessExclusive => true,
        }
    }

    /// Whether holding this mode makes holding `other` as well change nothing for anybody else.
    pub fn covers(self, other: LockMode) -> bool {
        LockMode::ALL.into_iter().all(|third| !other.conflicts_with(third) || self.conflicts_with(third))
    }

    /// As `LOCK TABLE … IN … MODE` writes it.
    pub fn sql_name(self) -> &'static str {
        match self {
            LockMode::AccessShare => "ACCESS SHARE",
            LockMode::RowShare => "ROW SHARE",
            LockMode::RowExclusive => "ROW EXCLUSIVE",
            LockMode::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            LockMode::Share => "SHARE",
            LockMode::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            LockMode::Exclusive => "EXCLUSIVE",
            LockMode::AccessExclusive => "ACCESS EXCLUSIVE",
        }
    }

    /// As `pg_locks.mode` spells it.
    pub fn pg_locks_name(self) -> &'static str {
        match self {
            LockMode::AccessShare => "AccessShareLock",
            LockMode::RowShare => "RowShareLock",
            LockMode::RowExclusive => "RowExclusiveLock",
            LockMode::ShareUpdateExclusive => "ShareUpdateExclusiveLock",
            LockMode::Share => "ShareLock",
            LockMode::ShareRowExclusive => "ShareRowExclusiveLock",
            LockMode::Exclusive => "ExclusiveLock",
            LockMode::AccessExclusive => "AccessExclusiveLock",
        }
    }
}

impl fmt::Display for LockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sql_name())
    }
}

/// A lock that a step takes on an existing table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableLock {
    /// The table.
    pub table: TableName,
    /// The mode.
    pub mode: LockMode,
    /// Whether the partitions below it are left alone: a lock reaches them by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only: bool,
}

impl TableLock {
    /// A lock on a table.
    pub fn new(table: TableName, mode: LockMode) -> TableLock {
        TableLock { table, mode, only: false }
    }

    /// A lock on a partitioned table that does not reach its partitions.
    pub fn only(table: TableName, mode: LockMode) -> TableLock {
        TableLock { table, mode, only: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflicts_are_symmetric() {
        for a in LockMode::ALL {
            for b in LockMode::ALL {
                assert_eq!(a.conflicts_with(b), b.conflicts_with(a), "{a} / {b}");
            }
        }
    }

    #[test]
    fn share_and_share_update_exclusive_do_not_cover_each_other() {
        assert!(!LockMode::Share.covers(LockMode::ShareUpdateExclusive));
        assert!(!LockMode::ShareUpdateExclusive.covers(LockMode::Share));
        assert!(LockMode::ShareRowExclusive.covers(LockMode::Share));
        assert!(LockMode::AccessExclusive.covers(LockMode::Exclusive));
    }
}
