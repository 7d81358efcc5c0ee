//! Django: a row a migration of an application. Its files are Python.

use crossfade_core::sql;
use crossfade_core::sql::Sql;
use crossfade_core::sql::TableName;

use super::Detail;
use super::Key;
use super::Room;
use super::applied_at;

pub(super) struct Django;

impl Room for Django {
    fn detail(&self) -> Detail {
        Detail::Rows
    }

    fn history(&self, table: &TableName) -> Sql {
        // A row may stand twice where two processes ran at once.
        sql!(
            "SELECT DISTINCT ON (app, name) 'not sql' AS says, app || '.' || name AS identity, name::text AS name, {} FROM {} ORDER BY app, name, applied",
            applied_at("applied"),
            table
        )
    }

    fn key(&self, identity: &str) -> Key {
        Key::text(identity)
    }
}
