//! The tools whose histories are understood.

use crate::error::Error;
use crate::error::Result;
use crate::source::Layout;

/// A migration tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tool {
    /// Alembic.
    Alembic,
    /// Atlas.
    Atlas,
    /// dbmate.
    Dbmate,
    /// Diesel.
    Diesel,
    /// Django.
    Django,
    /// Ecto.
    Ecto,
    /// Flyway.
    Flyway,
    /// golang-migrate.
    GolangMigrate,
    /// goose.
    Goose,
    /// graphile-migrate.
    GraphileMigrate,
    /// Liquibase.
    Liquibase,
    /// Prisma, up to version 7.
    Prisma,
    /// Rails.
    Rails,
    /// refinery.
    Refinery,
    /// sqitch.
    Sqitch,
    /// sql-migrate.
    SqlMigrate,
    /// sqlx.
    Sqlx,
    /// The command line of Supabase.
    Supabase,
    /// tern.
    Tern,
}

impl Tool {
    /// All of them, by name.
    pub const ALL: [Tool; 19] = [
        Tool::Alembic,
        Tool::Atlas,
        Tool::Dbmate,
        Tool::Diesel,
        Tool::Django,
        Tool::Ecto,
        Tool::Flyway,
        Tool::GolangMigrate,
        Tool::Goose,
        Tool::GraphileMigrate,
        Tool::Liquibase,
        Tool::Prisma,
        Tool::Rails,
        Tool::Refinery,
        Tool::Sqitch,
        Tool::SqlMigrate,
        Tool::Sqlx,
        Tool::Supabase,
        Tool::Tern,
    ];

    /// As `--from` takes it, and as the journal keeps it.
    pub fn name(self) -> &'static str {
        match self {
            Tool::Alembic => "alembic",
            Tool::Atlas => "atlas",
            Tool::Dbmate => "dbmate",
            Tool::Diesel => "diesel",
            Tool::Django => "django",
            Tool::Ecto => "ecto",
            Tool::Flyway => "flyway",
            Tool::GolangMigrate => "golang-migrate",
            Tool::Goose => "goose",
            Tool::GraphileMigrate => "graphile-migrate",
            Tool::Liquibase => "liquibase",
            Tool::Prisma => "prisma",
            Tool::Rails => "rails",
            Tool::Refinery => "refinery",
            Tool::Sqitch => "sqitch",
            Tool::SqlMigrate => "sql-migrate",
            Tool::Sqlx => "sqlx",
            Tool::Supabase => "supabase",
            Tool::Tern => "tern",
        }
    }

    /// How its files are laid out; none where they are not SQL, or not for us to run.
    pub fn layout(self) -> Option<Layout> {
        match self {
            Tool::Atlas => Some(Layout::Atlas),
            Tool::Dbmate => Some(Layout::Dbmate),
            Tool::Diesel => Some(Layout::Folders),
            Tool::Flyway => Some(Layout::Flyway),
            Tool::GolangMigrate | Tool::Sqlx => Some(Layout::UpDown),
            Tool::Goose => Some(Layout::Goose),
            Tool::GraphileMigrate => Some(Layout::Graphile),
            Tool::Prisma => Some(Layout::Prisma),
            Tool::Refinery => Some(Layout::Refinery),
            Tool::Sqitch => Some(Layout::Sqitch),
            Tool::SqlMigrate => Some(Layout::SqlMigrate),
            Tool::Supabase => Some(Layout::Plain),
            Tool::Tern => Some(Layout::Tern),
            Tool::Alembic | Tool::Django | Tool::Ecto | Tool::Liquibase | Tool::Rails => None,
        }
    }

    /// The tool of this name.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn by_name(name: &str) -> Result<Tool> {
        Tool::ALL.into_iter().find(|tool| tool.name() == name).ok_or_else(|| {
            let names: Vec<&str> = Tool::ALL.iter().map(|tool| tool.name()).collect();
            Error::usage(format!("histories of {name} are not known")).hint(format!("one of: {}", names.join(", ")))
        })
    }
}

impl std::fmt::Display for Tool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_sorted() {
        for tool in Tool::ALL {
            assert_eq!(Tool::by_name(tool.name()).unwrap(), tool);
        }
        assert!(Tool::ALL.is_sorted_by_key(|tool| tool.name()));
        assert!(Tool::by_name("knex").unwrap_err().to_string().contains("knex"));
    }
}
