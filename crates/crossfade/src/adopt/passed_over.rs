//! What of another tool stands in the database and is made by no migration: its history, and what it keeps beside it.

use crossfade_core::schema::DatabaseSchema;
use crossfade_core::schema::Kind;
use crossfade_core::schema::ObjectId;
use crossfade_core::sql::Ident;
use crossfade_core::sql::TableName;
use tokio_postgres::Client;

use super::recognise;
use super::tool::Tool;
use crate::error::Result;

/// The histories of these tools. A table with such columns may be the application's own, too.
pub(crate) async fn histories(client: &Client, own: &Ident, tools: &[Tool]) -> Result<Vec<(Tool, TableName)>> {
    if tools.is_empty() {
        return Ok(Vec::new());
    }
    let found = recognise::candidates(client, own).await?;
    let whose = |candidate: &recognise::Candidate| tools.iter().copied().find(|tool| candidate.may_be_of(*tool));
    Ok(found.iter().filter_map(|candidate| Some((whose(candidate)?, candidate.table.clone()))).collect())
}

/// Takes them out of what is compared, where no migration makes them. Returns their names.
pub(crate) fn pass_over(
    live: &mut DatabaseSchema,
    made: &DatabaseSchema,
    histories: &[(Tool, TableName)],
) -> Vec<String> {
    let is_made = |table: &TableName| {
        let id = ObjectId::within(Kind::Table, table.schema.as_str(), table.name.as_str());
        made.get(&id).is_some()
    };
    let mut named = Vec::new();
    for (tool, table) in histories.iter().filter(|(_, table)| !is_made(table)) {
        if live.ignore(&patterns(*tool, table)) > 0 {
            named.push(format!("{tool} in {table}"));
        }
    }
    named
}

/// The names of the table, and of what its tool keeps beside it.
fn patterns(tool: Tool, table: &TableName) -> Vec<String> {
    let schema = table.schema.as_str();
    let beside = |name: &str| format!("{schema}.{name}");
    let own_schema = || vec![format!("schema {schema}")];
    let mut patterns = match tool {
        Tool::Rails => vec![beside("ar_internal_metadata")],
        Tool::Liquibase => vec![beside("databasechangeloglock")],
        Tool::GraphileMigrate | Tool::Sqitch | Tool::Supabase if schema != "public" => own_schema(),
        Tool::Atlas if schema == "atlas_schema_revisions" => own_schema(),
        Tool::Alembic
        | Tool::Atlas
        | Tool::Dbmate
        | Tool::Diesel
        | Tool::Django
        | Tool::Ecto
        | Tool::Flyway
        | Tool::GolangMigrate
        | Tool::Goose
        | Tool::GraphileMigrate
        | Tool::Prisma
        | Tool::Refinery
        | Tool::Sqitch
        | Tool::SqlMigrate
        | Tool::Sqlx
        | Tool::Supabase
        | Tool::Tern => Vec::new(),
    };
    patterns.push(beside(table.name.as_str()));
    patterns
}
