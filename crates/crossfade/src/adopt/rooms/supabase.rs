//! The command line of Supabase: a row a migration, with the statements that were run.

use crossfade_core::sql;
use crossfade_core::sql::Sql;
use crossfade_core::sql::TableName;

use super::Detail;
use super::Key;
use super::Room;
use super::Sameness;
use super::TheirFile;
use crate::adopt::reading::Entry;

pub(super) struct Supabase;

impl Room for Supabase {
    fn detail(&self) -> Detail {
        Detail::Checksums
    }

    fn history(&self, table: &TableName) -> Sql {
        sql!(
            "SELECT 'file' AS says, version::text AS identity, name::text AS name, pg_catalog.array_to_string(statements, E';\\n') AS sql \
             FROM {} ORDER BY version",
            table
        )
    }

    fn key(&self, identity: &str) -> Key {
        Key::text(identity)
    }

    /// The statements were cut at their semicolons and trimmed, so these and the white space are left out of the comparison.
    fn verdict(&self, entry: &Entry, file: &TheirFile) -> Sameness {
        let bare = |text: &str| {
            text.chars().filter(|c| !c.is_whitespace() && !matches!(c, ';' | '\u{feff}')).collect::<String>()
        };
        match &entry.sql {
            None => Sameness::Unknown,
            Some(ran) if bare(ran) == bare(&file.text()) => Sameness::Same,
            Some(_) => Sameness::Differs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::entry;
    use super::super::tests::file;
    use super::*;

    #[test]
    fn the_statements_that_ran_are_compared_with_the_file() {
        let ran = Entry {
            sql: Some("create table a (id int);\n-- b\ncreate table b (id int)".to_owned()),
            ..entry("1", None)
        };
        let check = |text: &str| Supabase.verdict(&ran, &file("1_a.sql", text));
        assert_eq!(check("create table a (id int);\r\n\r\n-- b\r\ncreate table b (id int);\r\n"), Sameness::Same);
        assert_eq!(check("create table a (id int);"), Sameness::Differs);
        assert_eq!(Supabase.verdict(&entry("1", None), &file("1_a.sql", "")), Sameness::Unknown);
    }
}
