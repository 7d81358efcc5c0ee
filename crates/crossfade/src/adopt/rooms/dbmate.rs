//! dbmate: the versions, as text.

use crossfade_core::sql;
use crossfade_core::sql::Sql;
use crossfade_core::sql::TableName;

use super::Detail;
use super::Key;
use super::Room;

pub(super) struct Dbmate;

impl Room for Dbmate {
    fn detail(&self) -> Detail {
        Detail::Rows
    }

    fn history(&self, table: &TableName) -> Sql {
        sql!("SELECT 'file' AS says, version::text AS identity FROM {} ORDER BY version", table)
    }

    fn key(&self, identity: &str) -> Key {
        Key::text(identity)
    }
}
