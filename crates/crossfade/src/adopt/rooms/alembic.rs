//! Alembic: the revision that the database is at. Its files are Python.

use crossfade_core::sql;
use crossfade_core::sql::Sql;
use crossfade_core::sql::TableName;

use super::Detail;
use super::Key;
use super::Room;
use crate::adopt::reading::Entry;

pub(super) struct Alembic;

impl Room for Alembic {
    fn detail(&self) -> Detail {
        Detail::Number
    }

    fn history(&self, table: &TableName) -> Sql {
        sql!(
            "SELECT CASE WHEN count(*) OVER () > 1 THEN 'unsettled' ELSE 'not sql' END AS says, version_num::text AS identity, \
             'the history has ' || count(*) OVER () || ' heads' AS note FROM {} ORDER BY version_num",
            table
        )
    }

    fn key(&self, identity: &str) -> Key {
        Key::text(identity)
    }

    fn mend(&self, _entry: &Entry) -> String {
        "`alembic merge heads`, then `alembic upgrade head`".to_owned()
    }
}
