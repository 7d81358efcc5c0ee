//! Diesel: a row a folder, called by what stands in front of its first underscore, without dashes.

use crossfade_core::sql;
use crossfade_core::sql::Sql;
use crossfade_core::sql::TableName;

use super::Detail;
use super::Key;
use super::Room;
use super::TheirFile;
use super::applied_at;

pub(super) struct Diesel;

impl Room for Diesel {
    fn detail(&self) -> Detail {
        Detail::Rows
    }

    fn history(&self, table: &TableName) -> Sql {
        sql!(
            "SELECT 'file' AS says, version::text AS identity, {} FROM {} ORDER BY version",
            applied_at("run_on"),
            table
        )
    }

    fn identity(&self, file: &TheirFile) -> String {
        file.folder_name().split('_').next().unwrap_or_default().replace('-', "")
    }

    fn key(&self, identity: &str) -> Key {
        Key::text(identity)
    }
}
