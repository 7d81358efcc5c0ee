//! graphile-migrate: a row a committed migration, with a hash that also covers the one before it.

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

pub(super) struct Graphile;

impl Room for Graphile {
    fn detail(&self) -> Detail {
        Detail::Checksums
    }

    fn history(&self, table: &TableName) -> Sql {
        sql!(
            "SELECT 'file' AS says, filename AS identity, {}, hash AS checksum FROM {} ORDER BY filename",
            applied_at("date"),
            table
        )
    }

    fn beside(&self, table: &TableName) -> Option<(TableName, Sql)> {
        let current = TableName { schema: table.schema.clone(), name: "current".into() };
        let query = sql!(
            "SELECT 'unsettled' AS says, filename AS identity, filename || ' was run and is not committed' AS note \
             FROM {} WHERE pg_catalog.regexp_replace(content, '--[^\\n]*', '', 'g') ~ '[^[:space:]]'",
            current
        );
        Some((current, query))
    }

    /// `000001.sql`, also where a message stands behind the number.
    fn identity(&self, file: &TheirFile) -> String {
        format!("{}.sql", file.digits())
    }

    fn key(&self, identity: &str) -> Key {
        Key::text(identity)
    }

    fn verdict(&self, entry: &Entry, file: &TheirFile) -> Sameness {
        let Some(recorded) = &entry.checksum else { return Sameness::Unknown };
        checksum::compare(&file.raw, |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let committed = Committed::read(&text);
            // A header may say that its hash is not what the text gives, and that this is all right.
            let allowed = committed.allows_any_hash && committed.hash == Some(recorded.as_str());
            allowed || checksum::graphile(committed.previous, &committed.body) == *recorded
        })
    }

    fn locks(&self, _place: Place<'_>) -> Vec<i64> {
        vec![4_727_445_306_447_283]
    }

    fn algorithm(&self) -> Option<&'static str> {
        Some("sha1")
    }

    fn mend(&self, _entry: &Entry) -> String {
        "`graphile-migrate commit`, or empty current.sql and `graphile-migrate watch --once`".to_owned()
    }
}

/// A committed migration: its header, and the text behind it.
struct Committed<'t> {
    previous: Option<&'t str>,
    hash: Option<&'t str>,
    allows_any_hash: bool,
    body: String,
}

impl Committed<'_> {
    fn read(text: &str) -> Committed<'_> {
        let mut read = Committed { previous: None, hash: None, allows_any_hash: false, body: String::new() };
        let mut lines = text.split('\n').peekable();
        while let Some(line) = lines.peek() {
            let header = line.strip_prefix("--! ").map(|header| header.split_once(':').unwrap_or((header, "")));
            match header.map(|(name, value)| (name.trim(), value.trim())) {
                Some(("Previous", value)) => read.previous = Some(value).filter(|value| *value != "-"),
                Some(("Hash", value)) => read.hash = Some(value),
                Some(("AllowInvalidHash", _)) => read.allows_any_hash = true,
                Some(("Message", _)) => {}
                // Other headers belong to the body.
                Some(_) | None => break,
            }
            lines.next();
        }
        read.body = lines.collect::<Vec<_>>().join("\n");
        read
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::entry;
    use super::super::tests::file;
    use super::*;

    #[test]
    fn a_committed_file_is_checked_by_its_body() {
        let hash = "sha1:e00ec93314a423ee5cc68d1182ad52f16442d7df";
        let text = format!(
            "--! Previous: -\n--! Hash: {hash}\n--! Message: foo\n\ncreate table if not exists foo (id serial primary key);\n"
        );
        let check = |text: &str| Graphile.verdict(&entry("000001.sql", Some(hash)), &file("000001-foo.sql", text));
        assert_eq!(check(&text), Sameness::Same);
        assert_eq!(check(&text.replace("serial", "bigserial")), Sameness::Differs);
        let allowed = text.replace("--! Message", "--! AllowInvalidHash\n--! Message").replace("serial", "bigserial");
        assert_eq!(check(&allowed), Sameness::Same);
        // A header of the body's own, and CRLF inside of the body.
        let body = "--! no-transaction\nALTER TYPE user_role\nADD VALUE 'Admin';";
        let recorded = checksum::graphile(Some(hash), body);
        let text = format!("--! Previous: {hash}\n--! Hash: {recorded}\n\n{body}\n");
        let check = |text: &str| Graphile.verdict(&entry("000002.sql", Some(&recorded)), &file("000002.sql", text));
        assert_eq!(check(&text), Sameness::Same);
        assert_eq!(check(&text.replace('\n', "\r\n")), Sameness::LineEnds);
    }
}
