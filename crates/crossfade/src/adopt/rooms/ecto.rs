//! Ecto: the versions. Its files are Elixir.

use crossfade_core::sql;
use crossfade_core::sql::Sql;
use crossfade_core::sql::TableName;

use super::Detail;
use super::Room;
use super::applied_at;

pub(super) struct Ecto;

impl Room for Ecto {
    fn detail(&self) -> Detail {
        Detail::Rows
    }

    fn history(&self, table: &TableName) -> Sql {
        sql!(
            "SELECT 'not sql' AS says, version::text AS identity, {} FROM {} ORDER BY version",
            applied_at("inserted_at"),
            table
        )
    }
}
