//! Liquibase: a row a changeset, with a checksum of its text. Of its changelogs only those in SQL can be read.

use std::path::Path;
use std::path::PathBuf;

use crossfade_core::sql;
use crossfade_core::sql::Ident;
use crossfade_core::sql::Sql;
use crossfade_core::sql::TableName;

use super::Detail;
use super::Key;
use super::Part;
use super::Room;
use super::Sameness;
use super::TheirFile;
use super::applied_at;
use crate::adopt::checksum;
use crate::adopt::reading::Entry;

pub(super) struct Liquibase;

impl Room for Liquibase {
    fn detail(&self) -> Detail {
        Detail::Checksums
    }

    fn history(&self, table: &TableName) -> Sql {
        sql!(
            "SELECT CASE WHEN filename ~* '[.]sql$' THEN 'file' ELSE 'not sql' END AS says, id || '::' || author || '::' || filename AS identity, \
             id::text AS name, {}, md5sum::text AS checksum \
             FROM (SELECT DISTINCT ON (id, author, filename) * FROM {} ORDER BY id, author, filename, orderexecuted DESC, dateexecuted DESC) AS newest \
             WHERE exectype IN ('EXECUTED', 'RERAN', 'MARK_RAN') ORDER BY orderexecuted",
            applied_at("dateexecuted"),
            table
        )
    }

    fn beside(&self, table: &TableName) -> Option<(TableName, Sql)> {
        let lock = TableName { schema: table.schema.clone(), name: Ident::new(format!("{}lock", table.name)) };
        let query = sql!(
            "SELECT 'unsettled' AS says, id::text AS identity, \
             'its lock is held' || coalesce(' by ' || lockedby, '') || coalesce(' since ' || lockgranted, '') AS note FROM {} WHERE locked",
            lock
        );
        Some((lock, query))
    }

    fn identity(&self, file: &TheirFile) -> String {
        file.part.as_ref().map(|part| part.called.clone()).unwrap_or_default()
    }

    fn key(&self, identity: &str) -> Key {
        Key::text(identity)
    }

    fn verdict(&self, entry: &Entry, file: &TheirFile) -> Sameness {
        // Version 8 of the sums and earlier ones depend on more than the text.
        let Some(recorded) = entry.checksum.as_deref().filter(|sum| sum.starts_with("9:")) else {
            return Sameness::Unknown;
        };
        let text = file.text();
        let accepted =
            file.part.iter().flat_map(|part| &part.accepted).any(|sum| sum == recorded || sum.ends_with("any"));
        match accepted || checksum::liquibase(&text) == recorded {
            true => Sameness::Same,
            // The sum is of the text with its properties filled in.
            false if text.contains("${") => Sameness::Unknown,
            false => Sameness::Differs,
        }
    }

    fn algorithm(&self) -> Option<&'static str> {
        Some("md5")
    }

    fn mend(&self, _entry: &Entry) -> String {
        "wait until it is done; if its process is gone, `liquibase release-locks`".to_owned()
    }
}

/// A changeset of a changelog in SQL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Changeset {
    author: String,
    id: String,
    sql: String,
    accepted: Vec<String>,
}

/// The changesets of these files, called as the history calls them where it knows them.
pub(in crate::adopt) fn changesets(files: &[(PathBuf, Vec<u8>)], entries: &[Entry]) -> Vec<TheirFile> {
    let mut found = Vec::new();
    for (path, raw) in files {
        for set in read(&String::from_utf8_lossy(raw)) {
            let called = entries.iter().map(|entry| &entry.identity).find(|identity| is_called(identity, &set, path));
            let called = called.cloned().unwrap_or_else(|| format!("{}::{}::{}", set.id, set.author, path.display()));
            let part = Part { called, accepted: set.accepted };
            found.push(TheirFile { path: path.clone(), raw: set.sql.into_bytes(), part: Some(part) });
        }
    }
    found
}

/// Whether the history means this changeset: it has the path as Liquibase was given it, from whatever folder.
fn is_called(identity: &str, set: &Changeset, path: &Path) -> bool {
    let Some(recorded) = identity.strip_prefix(&format!("{}::{}::", set.id, set.author)) else { return false };
    let recorded = recorded.strip_prefix("classpath:").unwrap_or(recorded).trim_start_matches(['.', '/']);
    path.ends_with(recorded) || Path::new(recorded).ends_with(path)
}

/// The changesets of a file. A file without Liquibase's first line is one: that is how `includeAll` takes it.
fn read(text: &str) -> Vec<Changeset> {
    let text = text.trim_start_matches('\u{feff}');
    let first = text.lines().find(|line| !line.trim().is_empty()).and_then(|line| directive(line, "liquibase"));
    if !first.is_some_and(|rest| rest.trim_start().to_lowercase().starts_with("formatted")) {
        let (author, id) = ("includeAll".to_owned(), "raw".to_owned());
        return vec![Changeset { author, id, sql: text.to_owned(), accepted: Vec::new() }];
    }
    let mut sets: Vec<Changeset> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(ignored) = directive(line, "ignoreLines:") {
            match ignored.trim().parse::<usize>() {
                Ok(count) => lines.by_ref().take(count).for_each(drop),
                Err(_) => {
                    let is_end = |line: &str| directive(line, "ignoreLines:").is_some_and(|what| what.trim() == "end");
                    lines.by_ref().take_while(|line| !is_end(line)).for_each(drop);
                }
            }
        } else if let Some((author, id)) = directive(line, "changeset").and_then(author_and_id) {
            sets.push(Changeset { author, id, ..Changeset::default() });
        } else if let Some(set) = sets.last_mut() {
            if let Some(sums) = directive(line, "validCheckSum") {
                set.accepted.push(sums.trim_start_matches(':').trim().to_owned());
            } else if is_block_of_rollback(line) {
                lines.by_ref().take_while(|line| !line.trim_end().ends_with("*/")).for_each(drop);
            } else if !LEFT_OUT.iter().any(|word| directive(line, word).is_some()) {
                set.sql.push_str(line);
                set.sql.push('\n');
            }
        }
    }
    sets
}

/// Lines of a changeset that are no part of what it runs.
const LEFT_OUT: [&str; 5] = ["comment", "rollback", "preconditions", "precondition-", "property"];

/// What follows a word of Liquibase's in a comment, in any case: `--changeset`, `-- changeset`.
fn directive<'l>(line: &'l str, word: &str) -> Option<&'l str> {
    let rest = line.trim_start().strip_prefix("--")?.trim_start();
    let head = rest.get(..word.len())?;
    head.eq_ignore_ascii_case(word).then(|| &rest[word.len()..])
}

/// `/* liquibase rollback`.
fn is_block_of_rollback(line: &str) -> bool {
    let words: Vec<String> = line.split_whitespace().map(str::to_lowercase).collect();
    matches!(
        words.iter().map(String::as_str).collect::<Vec<_>>()[..],
        ["/*", "liquibase", "rollback"] | ["/*liquibase", "rollback"]
    )
}

/// `author:id`, each perhaps in double quotes; attributes may follow.
fn author_and_id(rest: &str) -> Option<(String, String)> {
    let (author, rest) = quoted_or(rest.trim_start(), |rest| rest.find(':'))?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    let (id, _) = quoted_or(rest, |rest| Some(rest.find(char::is_whitespace).unwrap_or(rest.len())))?;
    (!author.is_empty() && !id.is_empty()).then(|| (author.to_owned(), id.to_owned()))
}

/// What stands in double quotes, or in front of where it ends without; and the rest.
fn quoted_or(text: &str, end: impl Fn(&str) -> Option<usize>) -> Option<(&str, &str)> {
    match text.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"'),
        None => text.split_at_checked(end(text)?),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::entry;
    use super::*;

    const CHANGELOG: &str = "--liquibase formatted sql\n\n--changeset ann:1 splitStatements:false\n--comment: first\ncreate table a (\n    id int\n);\n\
--rollback drop table a;\n\n-- changeset \"bob b\":\"add b\"\n--preconditions onFail:MARK_RAN\n--precondition-sql-check expectedResult:0 select 1\n\
--ignoreLines:1\nleft out;\ncreate table b (id int);\n/* liquibase rollback\n drop table b;\n*/\ncreate index on b (id);\n";

    #[test]
    fn changesets_are_read_as_liquibase_reads_them() {
        let sets = read(CHANGELOG);
        let named: Vec<_> = sets.iter().map(|set| (set.author.as_str(), set.id.as_str(), set.sql.trim())).collect();
        assert_eq!(
            named,
            [
                ("ann", "1", "create table a (\n    id int\n);"),
                ("bob b", "add b", "create table b (id int);\ncreate index on b (id);")
            ]
        );
        assert_eq!(read("create table c ();").first().map(|set| set.id.clone()), Some("raw".to_owned()));
    }

    #[test]
    fn a_changeset_is_found_by_the_end_of_its_path() {
        let files = [(PathBuf::from("db/changelog/001.sql"), CHANGELOG.as_bytes().to_vec())];
        let called = |recorded: &str| {
            let entries = [entry(&format!("1::ann::{recorded}"), None)];
            changesets(&files, &entries)[0].part.clone().map(|part| part.called) == Some(entries[0].identity.clone())
        };
        assert!(called("classpath:/db/changelog/001.sql"));
        assert!(called("changelog/001.sql"));
        assert!(called("src/main/resources/db/changelog/001.sql"));
        assert!(!called("other/001.sql"));
    }

    #[test]
    fn sums_of_its_author_s_and_of_old_versions_are_taken() {
        let verdict = |recorded: &str, text: &str| {
            let file =
                (PathBuf::from("a.sql"), format!("--liquibase formatted sql\n--changeset a:1\n{text}").into_bytes());
            let entries = [entry("1::a::a.sql", Some(recorded))];
            Liquibase.verdict(&entries[0], &changesets(&[file], &entries)[0])
        };
        let right = checksum::liquibase("create table a ();");
        assert_eq!(verdict(&right, "create  table a ();\r\n"), Sameness::Same);
        assert_eq!(verdict(&right, "create table b ();"), Sameness::Differs);
        assert_eq!(verdict("9:0", "--validCheckSum: 9:0\ncreate table b ();"), Sameness::Same);
        assert_eq!(verdict("9:0", "--validCheckSum: any\ncreate table b ();"), Sameness::Same);
        assert_eq!(verdict("8:0", "create table b ();"), Sameness::Unknown);
        assert_eq!(verdict("9:0", "create table ${name} ();"), Sameness::Unknown);
    }
}
