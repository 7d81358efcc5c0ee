//! goose: a row whenever a migration went up, and in old versions another when it went down.

use crossfade_core::sql;
use crossfade_core::sql::Sql;
use crossfade_core::sql::TableName;

use super::Detail;
use super::Place;
use super::Room;
use super::applied_at;

pub(super) struct Goose;

impl Room for Goose {
    fn detail(&self) -> Detail {
        Detail::Rows
    }

    fn history(&self, table: &TableName) -> Sql {
        // Version 0 is goose's own.
        sql!(
            "SELECT 'file' AS says, version_id::text AS identity, {} \
             FROM (SELECT DISTINCT ON (version_id) version_id, is_applied, tstamp FROM {} WHERE version_id > 0 ORDER BY version_id, id DESC) AS newest \
             WHERE is_applied ORDER BY version_id",
            applied_at("tstamp"),
            table
        )
    }

    fn locks(&self, _place: Place<'_>) -> Vec<i64> {
        vec![4_097_083_626]
    }
}
