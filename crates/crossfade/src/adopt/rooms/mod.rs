//! What is to be known of each tool, one room a tool: how its history is read, what it calls a file, how it sums up a file's text, and what it
//! locks while it works.

mod alembic;
mod atlas;
mod dbmate;
mod diesel;
mod django;
mod ecto;
mod flyway;
mod golang_migrate;
mod goose;
mod graphile;
pub(super) mod liquibase;
mod prisma;
mod rails;
mod refinery;
mod sqitch;
mod sql_migrate;
mod sqlx;
mod supabase;
mod tern;

use std::path::PathBuf;

use crossfade_core::sql;
use crossfade_core::sql::Ident;
use crossfade_core::sql::Sql;
use crossfade_core::sql::TableName;

use super::checksum::Sameness;
use super::key::Key;
use super::reading::Entry;
use super::tool::Tool;

/// A file of a tool, as it lies in the folder.
#[derive(Clone, Debug)]
pub(super) struct TheirFile {
    pub path: PathBuf,
    pub raw: Vec<u8>,
    /// Where a file holds several: which one.
    pub part: Option<Part>,
}

/// One of several migrations in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// What the history calls it.
    pub called: String,
    /// Checksums that its author says are right.
    pub accepted: Vec<String>,
}

impl TheirFile {
    /// `001_users.sql`.
    pub fn file_name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// The folder that it lies in, of `001_users/up.sql`.
    pub fn folder_name(&self) -> &str {
        self.path.parent().and_then(|folder| folder.file_name()).and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// The digits that its name begins with.
    fn digits(&self) -> &str {
        let name = self.file_name();
        &name[..name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len())]
    }

    fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.raw)
    }
}

/// Where a history is, for the lock of its tool.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub database: &'a str,
    pub table: &'a TableName,
}

/// How much a history says of each migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// A row a migration, with a checksum or the text.
    Checksums,
    /// A row a migration.
    Rows,
    /// One number: that the files up to it were run is an assumption.
    Number,
}

/// What is to be known of a tool.
pub(super) trait Room: Sync {
    /// How much its history says.
    fn detail(&self) -> Detail;

    /// Its history, as rows of [`Entry`].
    fn history(&self, table: &TableName) -> Sql;

    /// A table that may stand beside its history, and what is unsettled by it.
    fn beside(&self, _table: &TableName) -> Option<(TableName, Sql)> {
        None
    }

    /// What its history calls a file.
    fn identity(&self, file: &TheirFile) -> String {
        file.digits().to_owned()
    }

    /// How it compares what its history calls a migration.
    fn key(&self, identity: &str) -> Key {
        Key::number(identity)
    }

    /// Compares a file with what the history has recorded of it.
    fn verdict(&self, _entry: &Entry, _file: &TheirFile) -> Sameness {
        Sameness::Unknown
    }

    /// The same for all that ran, in the order of the files. `files` are all that lie in the folder.
    fn verdicts(&self, ran: &[(&Entry, &TheirFile)], _files: &[&TheirFile]) -> Vec<Sameness> {
        ran.iter().map(|(entry, file)| self.verdict(entry, file)).collect()
    }

    /// The advisory locks of which it holds one while it works.
    fn locks(&self, _place: Place<'_>) -> Vec<i64> {
        Vec::new()
    }

    /// The algorithm of its checksums, as the journal names it.
    fn algorithm(&self) -> Option<&'static str> {
        None
    }

    /// How its users mend what is unsettled.
    fn mend(&self, _entry: &Entry) -> String {
        "finish or undo it with that tool, then adopt".to_owned()
    }
}

impl Tool {
    /// What is to be known of it.
    pub(super) fn room(self) -> &'static dyn Room {
        match self {
            Tool::Alembic => &alembic::Alembic,
            Tool::Atlas => &atlas::Atlas,
            Tool::Dbmate => &dbmate::Dbmate,
            Tool::Diesel => &diesel::Diesel,
            Tool::Django => &django::Django,
            Tool::Ecto => &ecto::Ecto,
            Tool::Flyway => &flyway::Flyway,
            Tool::GolangMigrate => &golang_migrate::GolangMigrate,
            Tool::Goose => &goose::Goose,
            Tool::GraphileMigrate => &graphile::Graphile,
            Tool::Liquibase => &liquibase::Liquibase,
            Tool::Prisma => &prisma::Prisma,
            Tool::Rails => &rails::Rails,
            Tool::Refinery => &refinery::Refinery,
            Tool::Sqitch => &sqitch::Sqitch,
            Tool::SqlMigrate => &sql_migrate::SqlMigrate,
            Tool::Sqlx => &sqlx::Sqlx,
            Tool::Supabase => &supabase::Supabase,
            Tool::Tern => &tern::Tern,
        }
    }
}

/// A column as the time when a migration was applied, in UTC. Times without a zone are read in the session's.
fn applied_at(column: &str) -> Sql {
    sql!(
        "pg_catalog.to_char({}::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS applied_at",
        Ident::new(column)
    )
}

/// CRC-32 of a text, as several tools make a lock of the database's name.
fn crc32(text: &str) -> i64 {
    i64::from(crc32fast::hash(text.as_bytes()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::adopt::reading::Says;

    /// A file of this name and text.
    pub fn file(path: &str, text: &str) -> TheirFile {
        TheirFile { path: PathBuf::from(path), raw: text.as_bytes().to_vec(), part: None }
    }

    /// A row of a history.
    pub fn entry(identity: &str, checksum: Option<&str>) -> Entry {
        Entry {
            says: Says::File,
            identity: identity.to_owned(),
            name: None,
            applied_at: None,
            checksum: checksum.map(str::to_owned),
            sql: None,
            project: None,
            note: None,
        }
    }

    #[test]
    fn a_file_is_called_as_its_tool_calls_it() {
        let called = |tool: Tool, path: &str| tool.room().identity(&file(path, ""));
        assert_eq!(called(Tool::Dbmate, "db/20240131120000_create_users.sql"), "20240131120000");
        assert_eq!(called(Tool::GolangMigrate, "m/000001_init.up.sql"), "000001");
        assert_eq!(called(Tool::Goose, "m/00001_init.sql"), "00001");
        assert_eq!(called(Tool::Sqlx, "migrations/1_init.up.sql"), "1");
        assert_eq!(called(Tool::Refinery, "m/V12__add_cars.sql"), "12");
        assert_eq!(called(Tool::Refinery, "m/U13__late.sql"), "13");
        assert_eq!(called(Tool::Diesel, "m/2024-01-31-120000_create_users/up.sql"), "20240131120000");
        assert_eq!(called(Tool::Diesel, "m/00000000000000_diesel_initial_setup/up.sql"), "00000000000000");
        assert_eq!(called(Tool::Atlas, "m/20240131_users.sql"), "20240131");
        assert_eq!(called(Tool::Atlas, "m/1.a_sub.up.sql"), "1.a");
        assert_eq!(called(Tool::Sqitch, "db/deploy/users.sql"), "users");
        assert_eq!(called(Tool::Sqitch, "db/deploy/auth/users@v1.0.sql"), "auth/users@v1.0");
        assert_eq!(called(Tool::Tern, "m/001_init.sql"), "001");
        assert_eq!(called(Tool::GraphileMigrate, "migrations/committed/000001-users.sql"), "000001.sql");
        assert_eq!(called(Tool::Flyway, "sql/V1_2__desc.sql"), "1.2");
        assert_eq!(called(Tool::Flyway, "sql/views/R__views.sql"), "R__views.sql");
        assert_eq!(called(Tool::Prisma, "prisma/migrations/20240131120000_init/migration.sql"), "20240131120000_init");
        assert_eq!(called(Tool::SqlMigrate, "m/20240131-users.sql"), "20240131-users.sql");
        assert_eq!(called(Tool::Supabase, "supabase/migrations/20240131120000_init.sql"), "20240131120000");
    }

    /// Each was seen in `pg_locks` while its tool ran a slow migration on a database `shop`; those of Rails and Atlas are their own formulas.
    #[test]
    fn locks_are_those_of_the_tools() {
        let locks = |tool: Tool, table: &str| {
            let table = TableName::new("public", table);
            tool.room().locks(Place { database: "shop", table: &table })
        };
        assert_eq!(locks(Tool::Flyway, "flyway_schema_history"), [77_433_833_903_597]);
        assert_eq!(locks(Tool::GolangMigrate, "schema_migrations"), [2_101_699_660, 3_689_236_698]);
        assert_eq!(locks(Tool::Sqlx, "_sqlx_migrations"), [2_969_972_169_318_647_292]);
        assert_eq!(locks(Tool::Tern, "schema_version"), [9_628_173_550_095_224]);
        assert_eq!(locks(Tool::Sqitch, "changes"), [75_474_063]);
        assert_eq!(locks(Tool::GraphileMigrate, "migrations"), [4_727_445_306_447_283]);
        assert_eq!(locks(Tool::Rails, "schema_migrations"), [5_939_944_341_529_942_170]);
        assert_eq!(locks(Tool::Atlas, "atlas_schema_revisions"), [i64::from(atlas::fnv32("atlas_migrate_execute"))]);
        assert!(locks(Tool::Dbmate, "schema_migrations").is_empty());
    }
}
