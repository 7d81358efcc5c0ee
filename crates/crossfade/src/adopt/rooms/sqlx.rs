//! sqlx: a row a migration, with SHA-384 of the file's bytes.

use crossfade_core::sql;
use crossfade_core::sql::Sql;
use crossfade_core::sql::TableName;

use super::Detail;
use super::Place;
use super::Room;
use super::Sameness;
use super::TheirFile;
use super::applied_at;
use super::crc32;
use crate::adopt::checksum;
use crate::adopt::reading::Entry;

pub(super) struct Sqlx;

impl Room for Sqlx {
    fn detail(&self) -> Detail {
        Detail::Checksums
    }

    fn history(&self, table: &TableName) -> Sql {
        sql!(
            "SELECT CASE WHEN success THEN 'file' ELSE 'unsettled' END AS says, version::text AS identity, description AS name, {}, \
             encode(checksum, 'hex') AS checksum, 'migration ' || version || ' did not finish' AS note FROM {} ORDER BY version",
            applied_at("installed_on"),
            table
        )
    }

    fn verdict(&self, entry: &Entry, file: &TheirFile) -> Sameness {
        let Some(recorded) = &entry.checksum else { return Sameness::Unknown };
        let found = checksum::compare(&file.raw, |bytes| checksum::sha384_hex(bytes) == *recorded);
        // `ignored-chars` of sqlx.toml leaves characters out before it sums up; its documentation has these two lists.
        let without =
            |left_out: &[u8]| -> Vec<u8> { file.raw.iter().copied().filter(|byte| !left_out.contains(byte)).collect() };
        let ignoring = [without(b"\r"), without(b" \t\r\n")];
        match found {
            Sameness::LineEnds | Sameness::Differs
                if ignoring.iter().any(|bytes| checksum::sha384_hex(bytes) == *recorded) =>
            {
                Sameness::LineEnds
            }
            found => found,
        }
    }

    fn locks(&self, place: Place<'_>) -> Vec<i64> {
        vec![0x3d32_ad9e * crc32(place.database)]
    }

    fn algorithm(&self) -> Option<&'static str> {
        Some("sha384")
    }

    fn mend(&self, entry: &Entry) -> String {
        let version = &entry.identity;
        format!(
            "finish its statements by hand and set `success` in its row, or undo them and delete its row (version {version})"
        )
    }
}
