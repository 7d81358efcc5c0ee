//! sql-migrate: a row a file, called by the file's name.

use crossfade_core::sql;
use crossfade_core::sql::Sql;
use crossfade_core::sql::TableName;

use super::Detail;
use super::Key;
use super::Room;
use super::TheirFile;
use super::applied_at;

pub(super) struct SqlMigrate;

impl Room for SqlMigrate {
    fn detail(&self) -> Detail {
        Detail::Rows
    }

    fn history(&self, table: &TableName) -> Sql {
        sql!("SELECT 'file' AS says, id::text AS identity, {} FROM {} ORDER BY id", applied_at("applied_at"), table)
    }

    fn identity(&self, file: &TheirFile) -> String {
        file.file_name().to_owned()
    }

    fn key(&self, identity: &str) -> Key {
        Key::text(identity)
    }
}
