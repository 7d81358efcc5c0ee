//! tern: one number. Its files have no gaps, so the number says exactly which were run.

use crossfade_core::sql;
use crossfade_core::sql::Sql;
use crossfade_core::sql::TableName;

use super::Detail;
use super::Place;
use super::Room;

pub(super) struct Tern;

impl Room for Tern {
    fn detail(&self) -> Detail {
        Detail::Number
    }

    fn history(&self, table: &TableName) -> Sql {
        sql!("SELECT 'up to' AS says, version::text AS identity FROM {} WHERE version > 0", table)
    }

    fn locks(&self, _place: Place<'_>) -> Vec<i64> {
        vec![9_628_173_550_095_224]
    }
}
