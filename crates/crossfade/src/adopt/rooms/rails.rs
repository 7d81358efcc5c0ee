//! Rails: the versions, as text. Its files are Ruby.

use crossfade_core::sql;
use crossfade_core::sql::Sql;
use crossfade_core::sql::TableName;

use super::Detail;
use super::Place;
use super::Room;
use super::crc32;

pub(super) struct Rails;

impl Room for Rails {
    fn detail(&self) -> Detail {
        Detail::Rows
    }

    fn history(&self, table: &TableName) -> Sql {
        sql!("SELECT 'not sql' AS says, version::text AS identity FROM {} ORDER BY version", table)
    }

    fn locks(&self, place: Place<'_>) -> Vec<i64> {
        vec![2_053_462_845 * crc32(place.database)]
    }
}
