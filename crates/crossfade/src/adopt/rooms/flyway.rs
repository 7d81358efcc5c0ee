//! Flyway: a row whenever a migration was run, undone, deleted or was there before.

use crossfade_core::sql;
use crossfade_core::sql::Sql;
use crossfade_core::sql::TableName;

use super::Detail;
use super::Key;
use super::Place;
use super::Room;
use super::Sameness;
use super::TheirFile;
use super::applied_at;
use crate::adopt::checksum;
use crate::adopt::reading::Entry;

pub(super) struct Flyway;

/// "Flyway" in letters.
const MAGIC: i64 = 0x466c_7977_6179;

impl Room for Flyway {
    fn detail(&self) -> Detail {
        Detail::Checksums
    }

    fn history(&self, table: &TableName) -> Sql {
        // What has no version is repeatable, and is called by its script.
        sql!(
            "SELECT CASE WHEN NOT success THEN 'unsettled' WHEN type LIKE '%BASELINE' THEN 'baseline' WHEN type = 'SQL' THEN 'file' ELSE 'not sql' END AS says, \
             coalesce(version, pg_catalog.regexp_replace(script, '^.*/', ''))::text AS identity, description::text AS name, {}, checksum::text AS checksum, \
             script || ' failed' AS note \
             FROM (SELECT DISTINCT ON (coalesce(version, script)) * FROM {} WHERE type <> 'SCHEMA' ORDER BY coalesce(version, script), installed_rank DESC) AS newest \
             WHERE type NOT LIKE 'UNDO%' AND type <> 'DELETE' ORDER BY installed_rank",
            applied_at("installed_on"),
            table
        )
    }

    fn identity(&self, file: &TheirFile) -> String {
        let name = file.file_name();
        match name.strip_prefix('V').and_then(|rest| rest.split_once("__")) {
            Some((version, _)) => version.replace('_', "."),
            None => name.to_owned(),
        }
    }

    fn key(&self, identity: &str) -> Key {
        Key::numbers(identity)
    }

    fn verdict(&self, entry: &Entry, file: &TheirFile) -> Sameness {
        let Some(recorded) = entry.checksum.as_ref().and_then(|sum| sum.parse::<i32>().ok()) else {
            return Sameness::Unknown;
        };
        // Its sum does not see line ends.
        if checksum::flyway(&file.raw) == recorded { Sameness::Same } else { Sameness::Differs }
    }

    fn locks(&self, place: Place<'_>) -> Vec<i64> {
        let name = sql!("{}", place.table);
        vec![MAGIC.wrapping_add(i64::from(java_hash(name.as_str())))]
    }

    fn algorithm(&self) -> Option<&'static str> {
        Some("crc32")
    }

    fn mend(&self, _entry: &Entry) -> String {
        "undo by hand what of it took effect, then `flyway repair`".to_owned()
    }
}

/// `String.hashCode` of Java.
fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_hashed_as_java_does_it() {
        assert_eq!(java_hash("hello"), 99_162_322);
        assert_eq!(java_hash("polygenelubricants"), i32::MIN);
    }
}
