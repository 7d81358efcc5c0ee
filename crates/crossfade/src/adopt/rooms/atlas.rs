//! Atlas: a row a file, with a hash that also covers all files before it.

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
use crate::adopt::checksum::Chain;
use crate::adopt::checksum::with_crlf;
use crate::adopt::checksum::with_lf;
use crate::adopt::reading::Entry;

pub(super) struct Atlas;

impl Room for Atlas {
    fn detail(&self) -> Detail {
        Detail::Checksums
    }

    fn history(&self, table: &TableName) -> Sql {
        // Type 1 is a baseline; bit 4 says that a person has set the version.
        sql!(
            "SELECT CASE WHEN type = 1 THEN 'baseline' WHEN type & 4 <> 0 OR (applied = total AND coalesce(error, '') = '') THEN 'file' ELSE 'unsettled' END AS says, \
             version::text AS identity, description::text AS name, {}, hash::text AS checksum, \
             'of version ' || version || ' ' || applied || ' of ' || total || ' statements ran' || coalesce(': ' || split_part(nullif(error, ''), E'\\n', 1), '') AS note \
             FROM {} WHERE version <> '.atlas_cloud_identifier' ORDER BY version",
            applied_at("executed_at"),
            table
        )
    }

    /// What stands in front of the first underscore.
    fn identity(&self, file: &TheirFile) -> String {
        let name = file.file_name();
        let stem = name.strip_suffix(".sql").unwrap_or(name);
        stem.split('_').next().unwrap_or_default().to_owned()
    }

    fn key(&self, identity: &str) -> Key {
        Key::text(identity)
    }

    /// A hash holds for the folder as it was then: with the files that came late, or without them. Behind the first file that differs nothing
    /// can be said.
    fn verdicts(&self, ran: &[(&Entry, &TheirFile)], files: &[&TheirFile]) -> Vec<Sameness> {
        let only: Vec<&TheirFile> = ran.iter().map(|(_, file)| *file).collect();
        let as_they_are = [hashes(files, Ends::AsTheyAre), hashes(&only, Ends::AsTheyAre)];
        let as_elsewhere: Vec<Hashes> =
            [Ends::Lf, Ends::Crlf].into_iter().flat_map(|ends| [hashes(files, ends), hashes(&only, ends)]).collect();
        let is_in = |all: &[Hashes], file: &TheirFile, recorded: &str| {
            all.iter().flatten().any(|(name, hash)| name == file.file_name() && hash == recorded)
        };
        let mut broken = false;
        let mut found = Vec::with_capacity(ran.len());
        for (entry, file) in ran {
            let verdict = match entry.checksum.as_deref().map(|sum| sum.trim_start_matches("h1:")) {
                None => Sameness::Unknown,
                Some(recorded) if is_in(&as_they_are, file, recorded) => Sameness::Same,
                Some(recorded) if is_in(&as_elsewhere, file, recorded) => Sameness::LineEnds,
                Some(_) if broken => Sameness::Unknown,
                Some(_) => Sameness::Differs,
            };
            broken |= verdict == Sameness::Differs;
            found.push(verdict);
        }
        found
    }

    fn locks(&self, _place: Place<'_>) -> Vec<i64> {
        vec![i64::from(fnv32("atlas_migrate_execute"))]
    }

    fn algorithm(&self) -> Option<&'static str> {
        Some("sha256")
    }

    fn mend(&self, entry: &Entry) -> String {
        format!(
            "`atlas migrate apply` goes on with it, or `atlas migrate set {}` after you have finished it",
            entry.identity
        )
    }
}

/// The files' names with their hashes.
type Hashes = Vec<(String, String)>;

/// Which line ends the files had.
#[derive(Clone, Copy)]
enum Ends {
    AsTheyAre,
    Lf,
    Crlf,
}

fn hashes(files: &[&TheirFile], ends: Ends) -> Hashes {
    let mut sorted: Vec<&TheirFile> = files.to_vec();
    sorted.sort_by(|a, b| a.file_name().cmp(b.file_name()));
    let mut chain = Chain::default();
    let counted = sorted.iter().filter(|file| !file.text().starts_with("-- atlas:sum ignore"));
    counted
        .map(|file| {
            let name = file.file_name();
            let hash = match ends {
                Ends::AsTheyAre => chain.next(name, &file.raw),
                Ends::Lf => chain.next(name, &with_lf(&file.raw)),
                Ends::Crlf => chain.next(name, &with_crlf(&with_lf(&file.raw))),
            };
            (name.to_owned(), hash)
        })
        .collect()
}

/// FNV-1 of 32 bits.
pub(super) fn fnv32(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash: u32, byte| hash.wrapping_mul(0x0100_0193) ^ u32::from(byte))
}

#[cfg(test)]
mod tests {
    use super::super::tests::entry;
    use super::super::tests::file;
    use super::*;

    #[test]
    fn a_name_is_hashed_as_go_does_it() {
        // From the tests of Go's hash/fnv.
        assert_eq!((fnv32(""), fnv32("a"), fnv32("abc")), (0x811c_9dc5, 0x050c_5d7e, 0x439c_2f4b));
    }

    #[test]
    fn a_hash_holds_for_the_folder_as_it_was() {
        let files = [file("1_a.sql", "A;\n"), file("2_b.sql", "B;\n"), file("3_c.sql", "C;\n")];
        let all: Vec<&TheirFile> = files.iter().collect();
        let then = hashes(&[&files[0], &files[2]], Ends::AsTheyAre);
        let entries = [entry("1", Some(&then[0].1)), entry("3", Some(&then[1].1))];
        // 2 came late.
        let ran = [(&entries[0], &files[0]), (&entries[1], &files[2])];
        assert_eq!(Atlas.verdicts(&ran, &all), [Sameness::Same, Sameness::Same]);
        // Checked out elsewhere.
        let crlf = [file("1_a.sql", "A;\r\n"), file("3_c.sql", "C;\r\n")];
        let ran = [(&entries[0], &crlf[0]), (&entries[1], &crlf[1])];
        assert_eq!(Atlas.verdicts(&ran, &[&crlf[0], &crlf[1]]), [Sameness::LineEnds, Sameness::LineEnds]);
        // Edited: what comes behind can't be said.
        let edited = [file("1_a.sql", "A2;\n"), file("3_c.sql", "C;\n")];
        let ran = [(&entries[0], &edited[0]), (&entries[1], &edited[1])];
        assert_eq!(Atlas.verdicts(&ran, &[&edited[0], &edited[1]]), [Sameness::Differs, Sameness::Unknown]);
    }
}
