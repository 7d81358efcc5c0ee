//! golang-migrate: one number, and whether the migration of that number is dirty.

use crossfade_core::sql;
use crossfade_core::sql::Sql;
use crossfade_core::sql::TableName;

use super::Detail;
use super::Place;
use super::Room;
use crate::adopt::reading::Entry;

pub(super) struct GolangMigrate;

impl Room for GolangMigrate {
    fn detail(&self) -> Detail {
        Detail::Number
    }

    fn history(&self, table: &TableName) -> Sql {
        sql!(
            "SELECT CASE WHEN dirty THEN 'unsettled' ELSE 'up to' END AS says, version::text AS identity, \
             'version ' || version || ' is dirty: it failed halfway, or its process was killed' AS note FROM {}",
            table
        )
    }

    /// Its command takes the database's name from the URL, with the slash; its library may ask the server.
    fn locks(&self, place: Place<'_>) -> Vec<i64> {
        let of = |database: String| {
            let name = format!("{}\0{}\0{database}", place.table.schema, place.table.name);
            i64::from(crc32fast::hash(name.as_bytes()).wrapping_mul(1_486_364_155))
        };
        vec![of(format!("/{}", place.database)), of(place.database.to_owned())]
    }

    fn mend(&self, entry: &Entry) -> String {
        let version = &entry.identity;
        format!(
            "look which of its statements took effect; finish them by hand and `migrate force {version}`, or undo them and force the version before it"
        )
    }
}
