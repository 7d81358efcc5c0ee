//! Finds the history tables of other tools: by their columns, since every tool lets its table be named as one likes, and several share a name.

use crossfade_core::sql::Ident;
use crossfade_core::sql::TableName;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::tool::Tool;
use crate::error::Doing as _;
use crate::error::Result;

const DJANGO: &[&str] = &["app", "name", "applied"];
const SQITCH: &[&str] = &["change_id", "script_hash", "planner_name", "committed_at"];
const SQL_MIGRATE: &[&str] = &["id", "applied_at"];

/// A history that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub tool: Tool,
    pub table: TableName,
}

/// A table as far as it may be a history.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub table: TableName,
    /// Name and type, in the order of the names.
    pub columns: Vec<(String, String)>,
    /// Whether Rails' own notes stand in the same schema.
    pub beside_rails: bool,
}

impl Candidate {
    fn has(&self, names: &[&str]) -> bool {
        names.iter().all(|name| self.columns.iter().any(|(column, _)| column == name))
    }

    fn is(&self, columns: &[(&str, &str)]) -> bool {
        self.columns.iter().map(|(name, of_type)| (name.as_str(), of_type.as_str())).eq(columns.iter().copied())
    }

    /// Whose history it is.
    pub fn tool(&self) -> Option<Tool> {
        let name = self.table.name.as_str();
        let alone = |of_type: &str| self.is(&[("version", of_type)]);
        let signs = [
            (self.has(&["installed_rank", "script", "checksum", "success"]), Tool::Flyway),
            (self.has(&["orderexecuted", "exectype", "md5sum", "author"]), Tool::Liquibase),
            (self.has(&["migration_name", "applied_steps_count", "rolled_back_at"]), Tool::Prisma),
            (self.has(&["operator_version", "partial_hashes", "applied", "total"]), Tool::Atlas),
            (self.has(&["version_id", "is_applied"]), Tool::Goose),
            (self.has(&["version", "installed_on", "success", "checksum", "execution_time"]), Tool::Sqlx),
            (self.has(&["version", "name", "applied_on", "checksum"]), Tool::Refinery),
            (self.has(&["version", "run_on"]), Tool::Diesel),
            (self.has(SQITCH) && name == "changes", Tool::Sqitch),
            (self.has(&["hash", "previous_hash", "filename"]), Tool::GraphileMigrate),
            (self.has(&["version", "statements", "name"]), Tool::Supabase),
            (self.is(&[("version_num", "character varying")]), Tool::Alembic),
            (self.has(DJANGO) && name == "django_migrations", Tool::Django),
            (self.has(SQL_MIGRATE) && name == "gorp_migrations", Tool::SqlMigrate),
            (self.is(&[("dirty", "boolean"), ("version", "bigint")]), Tool::GolangMigrate),
            (self.is(&[("inserted_at", "timestamp without time zone"), ("version", "bigint")]), Tool::Ecto),
            (alone("character varying") && self.beside_rails, Tool::Rails),
            (alone("character varying"), Tool::Dbmate),
            (alone("integer"), Tool::Tern),
        ];
        signs.into_iter().find_map(|(is_there, tool)| is_there.then_some(tool))
    }

    /// Whether it has what a history of this tool needs, whatever it is called.
    pub fn may_be_of(&self, tool: Tool) -> bool {
        match tool {
            Tool::Rails | Tool::Dbmate => matches!(self.tool(), Some(Tool::Rails | Tool::Dbmate)),
            Tool::Django => self.has(DJANGO),
            Tool::SqlMigrate => self.has(SQL_MIGRATE),
            Tool::Sqitch => self.has(SQITCH),
            Tool::Alembic
            | Tool::Atlas
            | Tool::Diesel
            | Tool::Ecto
            | Tool::Flyway
            | Tool::GolangMigrate
            | Tool::Goose
            | Tool::GraphileMigrate
            | Tool::Liquibase
            | Tool::Prisma
            | Tool::Refinery
            | Tool::Sqlx
            | Tool::Supabase
            | Tool::Tern => self.tool() == Some(tool),
        }
    }
}

/// Columns of which every history has one.
const TELLING: [&str; 12] = [
    "version",
    "version_id",
    "version_num",
    "installed_rank",
    "exectype",
    "migration_name",
    "operator_version",
    "change_id",
    "previous_hash",
    "applied",
    "applied_at",
    "is_applied",
];

/// Every table that may be a history, in the order of their names. Ours, in `own`, are none.
pub(super) async fn candidates(client: &Client, own: &Ident) -> Result<Vec<Candidate>> {
    let query = "SELECT n.nspname::text, c.relname::text, array_agg(a.attname::text ORDER BY a.attname), \
                 array_agg(pg_catalog.format_type(a.atttypid, NULL) ORDER BY a.attname), \
                 EXISTS (SELECT FROM pg_catalog.pg_class AS beside WHERE beside.relnamespace = n.oid AND beside.relname = 'ar_internal_metadata') \
                 FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
                 JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
                 WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname <> $1 \
                 AND EXISTS (SELECT FROM pg_catalog.pg_attribute AS telling WHERE telling.attrelid = c.oid AND telling.attname = ANY ($2)) \
                 GROUP BY n.oid, n.nspname, c.oid, c.relname ORDER BY 1, 2";
    let telling: &[&str] = &TELLING;
    let rows = client
        .query_typed(query, &[(&own.as_str(), Type::NAME), (&telling, Type::NAME_ARRAY)])
        .await
        .doing("look for histories of other tools")?;
    let candidate = |row: &tokio_postgres::Row| {
        let names: Vec<String> = row.get(2);
        let types: Vec<String> = row.get(3);
        Candidate {
            table: TableName::new(row.get::<_, String>(0), row.get::<_, String>(1)),
            columns: names.into_iter().zip(types).collect(),
            beside_rails: row.get(4),
        }
    };
    Ok(rows.iter().map(candidate).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str, columns: &[(&str, &str)]) -> Option<Tool> {
        candidate(name, columns).tool()
    }

    fn candidate(name: &str, columns: &[(&str, &str)]) -> Candidate {
        let mut columns: Vec<_> = columns.iter().map(|(name, of)| ((*name).to_owned(), (*of).to_owned())).collect();
        columns.sort();
        Candidate { table: TableName::new("public", name), columns, beside_rails: false }
    }

    #[test]
    fn tables_of_one_name_are_told_apart_by_their_columns() {
        let name = "schema_migrations";
        assert_eq!(tool(name, &[("version", "character varying")]), Some(Tool::Dbmate));
        let rails = Candidate { beside_rails: true, ..candidate(name, &[("version", "character varying")]) };
        assert_eq!(rails.tool(), Some(Tool::Rails));
        assert!(rails.may_be_of(Tool::Dbmate));
        assert_eq!(tool(name, &[("version", "bigint"), ("dirty", "boolean")]), Some(Tool::GolangMigrate));
        let ecto = [("version", "bigint"), ("inserted_at", "timestamp without time zone")];
        assert_eq!(tool(name, &ecto), Some(Tool::Ecto));
        let supabase = [("version", "text"), ("statements", "text[]"), ("name", "text"), ("created_by", "text")];
        assert_eq!(tool(name, &supabase), Some(Tool::Supabase));
        assert_eq!(tool(name, &[("version", "bigint")]), None);
        assert_eq!(tool(name, &[("version", "integer")]), Some(Tool::Tern));
    }

    #[test]
    fn a_name_decides_only_where_the_columns_say_nothing() {
        let gorp = [("id", "text"), ("applied_at", "timestamp with time zone")];
        assert_eq!(tool("gorp_migrations", &gorp), Some(Tool::SqlMigrate));
        assert_eq!(tool("jobs", &gorp), None);
        assert!(candidate("jobs", &gorp).may_be_of(Tool::SqlMigrate));
        assert!(!candidate("jobs", &gorp).may_be_of(Tool::Goose));
        let flyway =
            [("installed_rank", "integer"), ("script", "text"), ("checksum", "integer"), ("success", "boolean")];
        assert_eq!(tool("any_name", &flyway), Some(Tool::Flyway));
    }
}
