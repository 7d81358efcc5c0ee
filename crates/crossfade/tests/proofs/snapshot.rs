//! A database as the laws compare it: its schema, seen by us and by `pg_dump`, and its rows.

use std::collections::BTreeMap;
use std::process::Command;

use crossfade::postgres::introspect;
use crossfade_core::catalog::Catalog;
use crossfade_core::catalog::Constraint;
use crossfade_core::catalog::ConstraintKind;
use crossfade_core::sql::ServerText;
use serde::Serialize;

use crate::server::Database;

/// What is compared. Order of columns aside.
pub struct Snapshot {
    /// A line for each thing that introspection sees.
    seen: Vec<String>,
    /// A line for each statement of `pg_dump`, where there is one and it was asked.
    dumped: Option<Vec<String>>,
    /// Rows and checksum by table.
    pub rows: BTreeMap<String, String>,
}

impl Snapshot {
    /// Everything that can be seen.
    pub async fn take(database: &Database) -> Snapshot {
        Snapshot { dumped: dump(database), ..Snapshot::seen(database).await }
    }

    /// Without `pg_dump`.
    pub async fn seen(database: &Database) -> Snapshot {
        let client = database.connect().await;
        let catalog = introspect(&client, "crossfade").await.expect("the catalog can be read");
        let rows = rows(&client).await;
        Snapshot { seen: lines(catalog), dumped: None, rows }
    }

    /// What of the schema is here and not there, and the other way round.
    pub fn schema_difference(&self, other: &Snapshot) -> Option<String> {
        let dumped = self.dumped.as_ref().zip(other.dumped.as_ref());
        difference(&self.seen, &other.seen).or_else(|| dumped.and_then(|(a, b)| difference(a, b)))
    }

    /// Tables whose rows differ.
    pub fn row_difference(&self, other: &Snapshot) -> Option<String> {
        let tables: Vec<String> = self
            .rows
            .keys()
            .chain(other.rows.keys())
            .filter(|table| self.rows.get(*table) != other.rows.get(*table))
            .map(|table| format!("{table}: {:?} and {:?}", self.rows.get(table), other.rows.get(table)))
            .collect();
        tables.first().cloned()
    }

    /// How many rows each table has.
    pub fn counts(&self) -> Vec<(&str, &str)> {
        self.rows.iter().map(|(table, sum)| (table.as_str(), sum.split(' ').next().unwrap_or_default())).collect()
    }
}

/// What `pg_dump` sees in one database and not in the other, where there is one.
pub fn dumps_differ(one: &Database, other: &Database) -> Option<String> {
    dump(one).zip(dump(other)).and_then(|(one, other)| difference(&one, &other))
}

fn difference(a: &[String], b: &[String]) -> Option<String> {
    let only = |a: &[String], b: &[String]| {
        let lines: Vec<String> = a.iter().filter(|line| !b.contains(line)).take(3).map(|line| clip(line)).collect();
        lines.join("; ")
    };
    (a != b).then(|| format!("missing: [{}] extra: [{}]", only(a, b), only(b, a)))
}

fn clip(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(1000).collect()
}

/// The catalog without what a run may leave different: sizes, statistics, sessions, the order of columns.
///
/// A foreign key to a partitioned table has a hidden copy for each partition. Before PostgreSQL 18, VALIDATE does not say of the copies that they
/// are valid; nothing goes by that, no dump shows it, and there is no other way without a long lock.
pub fn normal(mut catalog: Catalog) -> Catalog {
    let forgets = catalog.server_version < 180_000;
    catalog.server_version = catalog.server_version / 10_000 * 10_000;
    catalog.other_sessions = 0;
    catalog.tables.sort_by(|a, b| a.name.cmp(&b.name));
    catalog.objects.sort_by_key(|object| (object.kind.clone(), object.name.clone()));
    for table in &mut catalog.tables {
        (table.has_rows, table.estimated_rows, table.blocks) = (false, 0, 0);
        table.columns.iter_mut().for_each(|column| column.number = 0);
        table.columns.sort_by(|a, b| a.name.cmp(&b.name));
        for column in &mut table.columns {
            column.grants.sort_by_key(|grant| (grant.grantee.clone(), grant.privilege.clone()));
        }
        table.constraints.sort_by(|a, b| a.name.cmp(&b.name));
        for constraint in table.constraints.iter_mut().filter(|found| found.kind == ConstraintKind::Check) {
            constraint.columns.sort();
        }
        let whole = table.partition_of.is_none();
        let copy = |found: &&mut Constraint| found.kind == ConstraintKind::ForeignKey && found.inherited;
        for copy in table.constraints.iter_mut().filter(copy).filter(|_| forgets && whole) {
            copy.validated = true;
            let proven = copy.definition.as_str().trim_end_matches(" NOT VALID").to_owned();
            copy.definition = ServerText::from_server(proven);
        }
        table.indexes.sort_by(|a, b| a.name.cmp(&b.name));
        table.indexes.iter_mut().for_each(|index| index.columns.sort());
        table.triggers.sort_by(|a, b| a.name.cmp(&b.name));
        table.triggers.iter_mut().for_each(|trigger| trigger.columns.sort());
        table.dependents.sort_by_key(|dependent| (dependent.description.clone(), dependent.column.clone()));
    }
    catalog
}

fn lines(catalog: Catalog) -> Vec<String> {
    let mut lines = Vec::new();
    let catalog = normal(catalog);
    for mut table in catalog.tables {
        let name = table.name.to_string();
        let mut put = |what: &str, text: String| lines.push(format!("{name} {what} {text}"));
        std::mem::take(&mut table.columns).iter().for_each(|part| put("column", json(part)));
        std::mem::take(&mut table.constraints).iter().for_each(|part| put("constraint", json(part)));
        std::mem::take(&mut table.indexes).iter().for_each(|part| put("index", json(part)));
        std::mem::take(&mut table.triggers).iter().for_each(|part| put("trigger", json(part)));
        std::mem::take(&mut table.dependents).iter().for_each(|part| put("dependent", json(part)));
        put("table", json(&table));
    }
    lines.extend(catalog.objects.iter().map(|object| format!("object {}", json(object))));
    lines
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("catalogs are data")
}

const TABLES: &str = "SELECT format('%I.%I', n.nspname, c.relname), c.oid FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
                      WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'crossfade') \
                      AND n.nspname !~ '^pg_' ORDER BY 1";

/// Rows by table, without columns of ours.
async fn rows(client: &tokio_postgres::Client) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for row in client.query(TABLES, &[]).await.expect("tables can be listed") {
        let (table, oid): (String, u32) = (row.get(0), row.get(1));
        let query = format!(
            "SELECT count(*)::text || ' ' || coalesce(md5(string_agg(j, ',' ORDER BY j)), '') FROM (SELECT (t - \
             ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = {oid} AND attname LIKE '\\_cf\\_%'))::text AS j FROM (SELECT row_to_json(r)::jsonb AS t FROM ONLY {table} AS r) AS q) AS s"
        );
        let sum = client.query_one(&query, &[]).await.expect("rows can be read").get(0);
        all.insert(table, sum);
    }
    all
}

/// Statements of `pg_dump`, each with the parts of a CREATE TABLE in order of their text.
fn dump(database: &Database) -> Option<Vec<String>> {
    let pg_dump = database.server.pg_dump.as_ref()?;
    let mut command = Command::new(pg_dump);
    command.args(["-s", "--no-owner", "-N", "crossfade", "-U", "postgres", "-d", &database.name]);
    command.arg("-h").arg(database.server.scratch.socket_dir());
    command.arg("-p").arg(database.server.scratch.port().to_string());
    let output = command.output().expect("pg_dump runs");
    assert!(output.status.success(), "pg_dump: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (mut lines, mut block): (Vec<String>, Option<Vec<String>>) = (Vec::new(), None);
    for line in text.lines().map(str::trim) {
        let noise = line.is_empty() || line.starts_with("--") || line.starts_with('\\');
        if noise || line.starts_with("SET ") || line.starts_with("SELECT pg_catalog.set_config") {
            continue;
        }
        match &mut block {
            None => {
                let table = line.starts_with("CREATE TABLE ") || line.starts_with("CREATE UNLOGGED TABLE ");
                lines.push(line.to_owned());
                block = (table && line.ends_with('(')).then(Vec::new);
            }
            Some(parts) if line.starts_with(')') => {
                parts.sort();
                lines.append(parts);
                lines.push(line.to_owned());
                block = None;
            }
            Some(parts) => parts.push(line.trim_end_matches(',').to_owned()),
        }
    }
    let mut statements: Vec<String> = (lines.join("\n") + "\n").split(";\n").map(str::to_owned).collect();
    statements.sort();
    Some(statements)
}
