//! sqitch: a row a change, with SHA-1 of its deploy script.

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

pub(super) struct Sqitch;

impl Room for Sqitch {
    fn detail(&self) -> Detail {
        Detail::Checksums
    }

    fn history(&self, table: &TableName) -> Sql {
        let tags = TableName { schema: table.schema.clone(), name: "tags".into() };
        // A change that was reworked stands twice; the script of the earlier form has the last tag before the rework in its name. Old registries have
        // the change's own hash in the place of the script's.
        sql!(
            "SELECT 'file' AS says, c.change || coalesce(t.tag, '') AS identity, c.change AS name, c.project AS project, {}, \
             nullif(c.script_hash, c.change_id) AS checksum \
             FROM (SELECT *, lead(committed_at) OVER (PARTITION BY project, change ORDER BY committed_at) AS reworked_at FROM {}) AS c \
             LEFT JOIN LATERAL (SELECT tag FROM {} AS t JOIN {} AS tagged USING (change_id) \
               WHERE tagged.project = c.project AND tagged.committed_at < c.reworked_at ORDER BY tagged.committed_at DESC, t.planned_at DESC LIMIT 1) AS t ON true \
             ORDER BY c.committed_at",
            applied_at("committed_at"),
            table,
            tags,
            table
        )
    }

    /// The name of the change: the path under `deploy/`.
    fn identity(&self, file: &TheirFile) -> String {
        let parts: Vec<&str> = file.path.iter().filter_map(|part| part.to_str()).collect();
        let behind = parts.iter().rposition(|part| *part == "deploy").map_or(0, |at| at + 1);
        let name = parts[behind..].join("/");
        name.strip_suffix(".sql").unwrap_or(&name).to_owned()
    }

    fn key(&self, identity: &str) -> Key {
        Key::text(identity)
    }

    fn verdict(&self, entry: &Entry, file: &TheirFile) -> Sameness {
        let Some(recorded) = &entry.checksum else { return Sameness::Unknown };
        checksum::compare(&file.raw, |bytes| checksum::sha1_hex(bytes) == *recorded)
    }

    fn locks(&self, _place: Place<'_>) -> Vec<i64> {
        vec![75_474_063]
    }

    fn algorithm(&self) -> Option<&'static str> {
        Some("sha1")
    }
}
