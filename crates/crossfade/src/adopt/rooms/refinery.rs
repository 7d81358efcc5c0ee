//! refinery: a row a migration, with a checksum over name, version and text.

use crossfade_core::sql;
use crossfade_core::sql::Sql;
use crossfade_core::sql::TableName;

use super::Detail;
use super::Room;
use super::Sameness;
use super::TheirFile;
use super::applied_at;
use crate::adopt::checksum;
use crate::adopt::reading::Entry;

pub(super) struct Refinery;

impl Room for Refinery {
    fn detail(&self) -> Detail {
        Detail::Checksums
    }

    fn history(&self, table: &TableName) -> Sql {
        sql!(
            "SELECT 'file' AS says, version::text AS identity, name::text AS name, {}, checksum::text AS checksum FROM {} ORDER BY version",
            applied_at("applied_on"),
            table
        )
    }

    fn identity(&self, file: &TheirFile) -> String {
        parts(file).map(|(version, _)| version).unwrap_or_default().to_owned()
    }

    fn verdict(&self, entry: &Entry, file: &TheirFile) -> Sameness {
        let recorded = entry.checksum.as_ref().and_then(|sum| sum.parse::<u64>().ok());
        let named = parts(file).and_then(|(version, name)| Some((version.parse::<i64>().ok()?, name)));
        let (Some(recorded), Some((version, name))) = (recorded, named) else { return Sameness::Unknown };
        checksum::compare(&file.raw, |bytes| {
            checksum::refinery_sums(name, version, &String::from_utf8_lossy(bytes)).contains(&recorded)
        })
    }

    fn algorithm(&self) -> Option<&'static str> {
        Some("siphash13")
    }
}

/// Version and name of `V12__add_cars.sql`.
fn parts(file: &TheirFile) -> Option<(&str, &str)> {
    let stem = file.file_name().strip_suffix(".sql")?;
    stem.strip_prefix(['V', 'U'])?.split_once("__")
}
