//! Prisma, up to version 7: a row whenever a migration was tried.

use crossfade_core::sql;
use crossfade_core::sql::Sql;
use crossfade_core::sql::TableName;

use super::Detail;
use super::Key;
use super::Place;
use super::Room;
use super::Sameness;
use super::TheirFile;
use super::applied_at;
use crate::adopt::checksum;
use crate::adopt::reading::Entry;

pub(super) struct Prisma;

impl Room for Prisma {
    fn detail(&self) -> Detail {
        Detail::Checksums
    }

    fn history(&self, table: &TableName) -> Sql {
        // What was rolled back was tried and does not count; what is neither finished nor rolled back failed.
        sql!(
            "SELECT DISTINCT ON (migration_name) CASE WHEN finished_at IS NULL THEN 'unsettled' ELSE 'file' END AS says, \
             migration_name::text AS identity, {}, checksum::text AS checksum, \
             'migration ' || migration_name || ' failed' || coalesce(': ' || split_part(nullif(logs, ''), E'\\n', 1), '') AS note \
             FROM {} WHERE rolled_back_at IS NULL ORDER BY migration_name, finished_at NULLS FIRST",
            applied_at("finished_at"),
            table
        )
    }

    fn identity(&self, file: &TheirFile) -> String {
        file.folder_name().to_owned()
    }

    fn key(&self, identity: &str) -> Key {
        Key::text(identity)
    }

    fn verdict(&self, entry: &Entry, file: &TheirFile) -> Sameness {
        let Some(recorded) = &entry.checksum else { return Sameness::Unknown };
        checksum::compare(&file.raw, |bytes| checksum::prisma_sums(bytes).contains(recorded))
    }

    fn locks(&self, _place: Place<'_>) -> Vec<i64> {
        vec![72_707_369]
    }

    fn algorithm(&self) -> Option<&'static str> {
        Some("sha256")
    }

    fn mend(&self, entry: &Entry) -> String {
        let name = &entry.identity;
        format!(
            "finish it by hand and `prisma migrate resolve --applied {name}`, or undo it and `prisma migrate resolve --rolled-back {name}`"
        )
    }
}
