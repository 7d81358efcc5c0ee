//! What the two versions of the application run: queries that are given, queries that the real database has seen, or queries made up from the catalog.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crossfade_core::catalog::Catalog;
use crossfade_core::catalog::Table;
use crossfade_core::finding::Finding;
use crossfade_core::sql;
use crossfade_core::sql::Ident;
use crossfade_core::sql::Number;
use crossfade_core::sql::Parameter;
use crossfade_core::sql::Query;
use crossfade_core::sql::QueryVerb;
use crossfade_core::sql::Sql;
use crossfade_core::sql::TableName;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::fleet::Effect;
use super::fleet::Key;
use super::fleet::Play;
use super::fleet::Side;
use super::fleet::Supply;
use super::fleet::one_line;
use super::fleet::try_once;
use super::image::Tracked;
use super::rows;
use super::rows::Recipe;
use super::rows::Source;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::FileFindings;
use crate::error::Result;
use crate::report::LeftOut;
use crate::report::RehearsedApplication;

/// So many values of a column are kept at hand.
const VALUES: i64 = 300;

/// So many that are taken once.
const ONCE: i64 = 2_000;

/// So many columns of a table that a migration changes are written, beside one that it does not.
const CHANGED_COLUMNS: usize = 3;

/// So many queries of a database are played, those that are called most often.
const OBSERVED: usize = 30;

/// A version of the application.
pub struct Script {
    /// Its queries.
    pub plays: Vec<Play>,
    /// What is told of them.
    pub told: RehearsedApplication,
}

/// What queries are written from.
pub struct Desk<'d> {
    /// Which version.
    pub side: Side,
    /// The schema that it knows, and the one that the other version knows.
    pub catalog: &'d Catalog,
    pub other: &'d Catalog,
    /// The tables that are watched, as it knows them.
    pub tables: &'d [Option<Tracked>],
    /// How rows are made, in the schema that it knows.
    pub recipes: &'d BTreeMap<TableName, Recipe>,
    /// A session in a database with that schema; whether there are rows in it.
    pub here: &'d Client,
    pub has_rows: bool,
    /// A session in the database with the rows.
    pub base: &'d Client,
    /// The tables that are watched, as they are there.
    pub based: &'d [Option<Tracked>],
}

impl Desk<'_> {
    /// Numbers of rows that nobody has.
    fn fresh_from(&self) -> i64 {
        match self.side {
            Side::Old => 500_000_000,
            Side::New => 600_000_000,
        }
    }

    /// Queries made up from the catalog: each table is read by key, updated and inserted into, in the form that this version knows.
    pub async fn make_up(&self) -> Result<Script> {
        let mut script = Script { plays: Vec::new(), told: RehearsedApplication::default() };
        script.told.source = "made up from the catalog".to_owned();
        for (at, tracked) in self.tables.iter().enumerate() {
            let Some(tracked) = tracked else { continue };
            let Some(table) = self.catalog.table(&tracked.name) else { continue };
            let columns = Sql::join(tracked.columns.iter().map(|column| sql!("{}", column)), ", ");
            if tracked.key.is_empty() {
                let play = reading(sql!("SELECT {} FROM {} LIMIT 20", columns, tracked.name));
                script.add(self, play, true).await;
                script.leave_out(&format!("writes to {}", tracked.name), "it has no key that tells its rows apart");
                continue;
            }
            let keys = Arc::new(self.keys(at).await?);
            if keys.is_empty() {
                script.leave_out(&format!("reads and updates of {}", tracked.name), "it has no rows");
            } else {
                let read = sql!("SELECT {} FROM {} WHERE {}", columns, tracked.name, matches_key(&tracked.key, 1));
                let supplies = (0..tracked.key.len()).map(Supply::Key).collect();
                let play = Play { supplies, keys: keys.clone(), ..reading(read) };
                script.add(self, play, true).await;
                self.updates(at, tracked, table, &keys, &mut script).await?;
            }
            self.insert(at, tracked, table, &mut script).await?;
        }
        script.told.queries = script.plays.len();
        Ok(script)
    }

    /// Keys of rows that are there, as this version names the table.
    async fn keys(&self, at: usize) -> Result<Vec<Key>> {
        let Some(based) = self.based.get(at).and_then(Option::as_ref) else { return Ok(Vec::new()) };
        let parts = Sql::join(based.key.iter().map(|column| sql!("{}::text", column)), ", ");
        let query = sql!(
            "SELECT ARRAY[{}], {} FROM {} ORDER BY pg_catalog.md5({}) LIMIT {}",
            parts,
            based.key_text(),
            based.name,
            based.key_text(),
            Number(VALUES * 2)
        );
        let rows = self.base.query_typed(query.as_str(), &[]).await.doing("read keys of the scratch database")?;
        Ok(rows.iter().map(|row| Key { parts: row.get(0), text: row.get(1) }).collect())
    }

    async fn updates(
        &self,
        at: usize,
        tracked: &Tracked,
        table: &Table,
        keys: &Arc<Vec<Key>>,
        script: &mut Script,
    ) -> Result<()> {
        let Some(recipe) = self.recipes.get(&tracked.name) else { return Ok(()) };
        let other = self.other.table(&tracked.name);
        let is_changed = |name: &str| {
            let (mine, theirs) = (table.column(name), other.and_then(|other| other.column(name)));
            mine.map(|column| &column.type_name) != theirs.map(|column| &column.type_name)
        };
        let in_unique = |name: &str| {
            table.indexes.iter().any(|index| index.unique && index.columns.iter().any(|column| column == name))
        };
        let can_be_written = |name: &Ident| {
            !tracked.key.contains(name)
                && !table.partition_key.iter().any(|column| column == name.as_str())
                && (!in_unique(name.as_str()) || recipe.is_alone(name.as_str()))
        };
        let columns = recipe
            .columns
            .iter()
            .enumerate()
            .filter(|(_, (shape, source))| matches!(source, Source::Made { .. }) && can_be_written(&shape.name));
        let (changed, same): (Vec<_>, Vec<_>) = columns.partition(|(_, (shape, _))| is_changed(shape.name.as_str()));
        for (_, (shape, _)) in changed.into_iter().take(CHANGED_COLUMNS).chain(same.into_iter().take(1)) {
            let once = in_unique(shape.name.as_str());
            let values = Arc::new(self.fresh_values(recipe, &shape.name, once).await?);
            let set = sql!("UPDATE {} SET {} = $1 WHERE {}", tracked.name, shape.name, matches_key(&tracked.key, 2));
            let value = if once { Supply::Once(values) } else { Supply::Any(values) };
            let supplies = std::iter::once(value).chain((0..tracked.key.len()).map(Supply::Key)).collect();
            let effect = Effect::Sets { table: at, column: shape.name.as_str().to_owned(), parameter: 0 };
            script.add(self, Play { supplies, effect, keys: keys.clone(), ..reading(set) }, true).await;
        }
        Ok(())
    }

    /// Values of a column that no row has, where its values are each its own.
    async fn fresh_values(&self, recipe: &Recipe, column: &Ident, once: bool) -> Result<Vec<Option<String>>> {
        let many = if once { ONCE } else { VALUES };
        let fresh = rows::fresh(self.here, recipe, self.fresh_from() + 50_000_000, many).await?;
        let at = fresh.columns.iter().position(|(name, _)| name == column).unwrap_or_default();
        Ok(fresh.rows.into_iter().filter_map(|mut row| (at < row.len()).then(|| row.swap_remove(at))).collect())
    }

    async fn insert(&self, at: usize, tracked: &Tracked, table: &Table, script: &mut Script) -> Result<()> {
        let what = format!("inserts into {}", tracked.name);
        let Some(recipe) = self.recipes.get(&tracked.name) else {
            script.leave_out(&what, "no row can be made up for it");
            return Ok(());
        };
        if !recipe.fresh {
            script.leave_out(&what, "its keys have few values, and all may be taken");
            return Ok(());
        }
        let fresh = rows::fresh(self.here, recipe, self.fresh_from(), ONCE).await?;
        let mut full = fresh.rows;
        for (number, parent) in recipe.parents.iter().enumerate() {
            let pointed = self.pointed(&parent.table, &parent.columns).await;
            if pointed.is_empty() {
                script.leave_out(&what, &format!("it points to {}, and no row of that is known", parent.table));
                return Ok(());
            }
            for (at, row) in full.iter_mut().enumerate() {
                for (place, (_, source)) in fresh.columns.iter().enumerate() {
                    if let Source::Parent(of, column) = source
                        && *of == number
                        && let Some(part) = parent.columns.iter().position(|known| known == column)
                    {
                        row[place] = pointed[at % pointed.len()].get(part).cloned().flatten();
                    }
                }
            }
        }
        // A column that refuses NULL may have to be given even where it could be left out; one that comes by itself never is.
        let names = Sql::join(fresh.columns.iter().map(|(name, _)| sql!("{}", name)), ", ");
        let values = Sql::join((1..=fresh.columns.len()).map(|number| sql!("${}", Number(number as i64))), ", ");
        let returned = tracked.key_text();
        let insert = if fresh.columns.is_empty() {
            sql!("INSERT INTO {} DEFAULT VALUES RETURNING {}", table.name, returned)
        } else {
            sql!("INSERT INTO {} ({}) VALUES ({}) RETURNING {}", table.name, names, values, returned)
        };
        let supplies = (0..fresh.columns.len()).map(Supply::Part).collect();
        let effect = Effect::Inserts { table: at };
        script.add(self, Play { supplies, effect, rows: Arc::new(full), ..reading(insert) }, true).await;
        Ok(())
    }

    /// Rows that a foreign key can point to, as text.
    async fn pointed(&self, table: &TableName, columns: &[Ident]) -> Vec<Vec<Option<String>>> {
        let parts = Sql::join(columns.iter().map(|column| sql!("{}::text", column)), ", ");
        let query = sql!("SELECT ARRAY[{}]::text[] FROM {} LIMIT {}", parts, table, Number(VALUES));
        // A table that only the new version knows has no rows yet.
        let rows = self.base.query_typed(query.as_str(), &[]).await.unwrap_or_default();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// The queries of a file. What is no query is left out; what fails is a finding of the rehearsal.
    pub async fn given(&self, path: &Path, text: &str) -> Result<Script> {
        let queries = Query::read_all(text).map_err(|error| {
            let finding = Finding::error("syntax", error.span, error.message);
            Error::usage(format!("{} can't be read", path.display())).with_findings(vec![FileFindings {
                path: path.to_owned(),
                text: text.to_owned(),
                findings: vec![finding],
            }])
        })?;
        let mut script = Script { plays: Vec::new(), told: RehearsedApplication::default() };
        script.told.source = path.display().to_string();
        for query in queries {
            if query.verb == QueryVerb::Other {
                let why =
                    format!("{}:{} reads and changes no rows", path.display(), query.span.line_and_column(text).0);
                script.leave_out(query.text.as_str(), &why);
                continue;
            }
            let play = self.play(&query).await?;
            script.add(self, play, false).await;
        }
        script.told.queries = script.plays.len();
        if script.plays.is_empty() {
            return Err(Error::usage(format!("there is no query in {}", path.display()))
                .hint("it holds SELECT, INSERT, UPDATE and DELETE, with $1, $2 … for values"));
        }
        Ok(script)
    }

    /// The queries that the real database has seen on these tables, those that are called most often. None where it does not count them.
    pub async fn observed(
        &self,
        real: &Client,
        database: &str,
        touched: &BTreeSet<TableName>,
    ) -> Result<Option<Script>> {
        let schema = real
            .query_typed(
                "SELECT n.nspname::text FROM pg_catalog.pg_extension AS e JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace \
                 WHERE e.extname = 'pg_stat_statements'",
                &[],
            )
            .await
            .doing("look for pg_stat_statements")?;
        let Some(schema) = schema.first().map(|row| row.get::<_, String>(0)) else { return Ok(None) };
        let query = sql!(
            "SELECT query FROM {}.pg_stat_statements WHERE dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
             AND query NOT LIKE '%pg_catalog.%' GROUP BY query ORDER BY sum(calls) DESC LIMIT 2000",
            Ident::new(schema)
        );
        let mut script = Script { plays: Vec::new(), told: RehearsedApplication::default() };
        script.told.source = format!("pg_stat_statements of {database}");
        let rows = match real.query_typed(query.as_str(), &[]).await {
            Ok(rows) => rows,
            // It is there and not loaded, or may not be read.
            Err(error) if error.as_db_error().is_some() => return Ok(None),
            Err(error) => return Err(error).doing("read pg_stat_statements"),
        };
        for row in rows {
            let text: String = row.get(0);
            if script.plays.len() >= OBSERVED {
                break;
            }
            let Ok(queries) = Query::read_all(&text) else {
                if touched.iter().any(|table| text.contains(table.name.as_str())) {
                    script.leave_out(&text, "it is not understood: the server has put parameters where none can stand");
                }
                continue;
            };
            for query in queries.iter().filter(|query| query.verb != QueryVerb::Other) {
                let is_touched = |name| self.catalog.resolve(name).is_some_and(|table| touched.contains(&table.name));
                if query.relations.iter().any(is_touched) {
                    let play = self.play(query).await?;
                    script.add(self, play, true).await;
                }
            }
        }
        script.told.queries = script.plays.len();
        Ok((!script.plays.is_empty()).then_some(script))
    }

    /// A query with values for its parameters.
    async fn play(&self, query: &Query) -> Result<Play> {
        let last = query.parameters.keys().copied().max().unwrap_or_default();
        // One that the server refuses has no types; it is played all the same, so that it is seen when it fails.
        let types: Vec<Type> =
            self.here.prepare(query.text.as_str()).await.map(|it| it.params().to_vec()).unwrap_or_default();
        let mut supplies = Vec::new();
        for number in 1..=last {
            let parameter = query.parameters.get(&number).cloned().unwrap_or_default();
            let known = self.supply(query, &parameter).await?;
            let of_type = usize::try_from(number - 1).ok().and_then(|at| types.get(at));
            supplies.push(known.unwrap_or_else(|| by_type(of_type)));
        }
        let effect = if query.verb == QueryVerb::Write { Effect::Writes } else { Effect::Reads };
        Ok(Play { supplies, effect, ..reading(query.text.clone()) })
    }

    /// Values for a parameter that stands beside a column.
    async fn supply(&self, query: &Query, parameter: &Parameter) -> Result<Option<Supply>> {
        let Some(column) = &parameter.column else { return Ok(None) };
        let tables = query.relations.iter().filter_map(|name| self.catalog.resolve(name));
        let Some(table) = tables.into_iter().find(|table| table.column(column).is_some()) else { return Ok(None) };
        let name = Ident::new(column.as_str());
        let is_unique = table.indexes.iter().any(|index| index.unique && index.columns.contains(column));
        let recipe = self.recipes.get(&table.name);
        let is_made = recipe.is_some_and(|recipe| {
            recipe.columns.iter().any(|(shape, source)| shape.name == name && matches!(source, Source::Made { .. }))
        });
        if !parameter.written || !is_made {
            let there = self.pointed(&table.name, std::slice::from_ref(&name)).await;
            let there: Vec<Option<String>> =
                there.into_iter().filter_map(|row| row.into_iter().next()).filter(Option::is_some).collect();
            if !there.is_empty() {
                return Ok(Some(Supply::Any(Arc::new(there))));
            }
        }
        match recipe.filter(|_| is_made) {
            Some(recipe) => {
                let values = Arc::new(self.fresh_values(recipe, &name, is_unique).await?);
                Ok(Some(if is_unique && parameter.written { Supply::Once(values) } else { Supply::Any(values) }))
            }
            None => Ok(None),
        }
    }
}

impl Script {
    /// Takes a query in; one that is to be tried first only if it works.
    async fn add(&mut self, desk: &Desk<'_>, play: Play, tried: bool) {
        let result = if tried { attempt(desk, &play).await } else { Ok(()) };
        match result {
            Ok(()) => self.plays.push(play),
            Err(why) => self.leave_out(play.sql.as_str(), &why),
        }
    }

    fn leave_out(&mut self, query: &str, why: &str) {
        self.told.left_out.push(LeftOut { query: one_line(query), why: why.to_owned() });
    }
}

/// Where there are no rows, what a row points to is not looked for.
async fn attempt(desk: &Desk<'_>, play: &Play) -> Result<(), String> {
    if desk.has_rows {
        return try_once(desk.here, play).await;
    }
    // A role that may not say so takes it as it is.
    if desk.here.batch_execute("SET session_replication_role = replica").await.is_err() {
        return Ok(());
    }
    let result = try_once(desk.here, play).await;
    let reset = desk.here.batch_execute("RESET session_replication_role").await;
    reset.map_err(|error| crate::error::describe(&error)).and(result)
}

fn reading(sql: Sql) -> Play {
    Play { sql, supplies: Vec::new(), effect: Effect::Reads, keys: Arc::default(), rows: Arc::default() }
}

/// That a row has this key, with parameters from this number on.
fn matches_key(key: &[Ident], from: usize) -> Sql {
    let parts = key.iter().enumerate().map(|(at, column)| sql!("{} = ${}", column, Number((from + at) as i64)));
    Sql::join(parts, " AND ")
}

/// Values where nothing but the type is known.
fn by_type(of: Option<&Type>) -> Supply {
    let values: Vec<String> = match of {
        Some(of) if [Type::BOOL].contains(of) => vec!["true".to_owned(), "false".to_owned()],
        Some(of) if [Type::TIMESTAMP, Type::TIMESTAMPTZ, Type::DATE].contains(of) => vec!["now".to_owned()],
        Some(of) if [Type::INTERVAL].contains(of) => vec!["1 hour".to_owned()],
        Some(of) if [Type::JSON, Type::JSONB].contains(of) => vec!["{}".to_owned()],
        Some(of) if [Type::UUID].contains(of) => vec!["00000000-0000-4000-8000-000000000000".to_owned()],
        Some(of) if of.name().starts_with('_') => vec!["{}".to_owned()],
        Some(_) | None => (1..=20).map(|number| number.to_string()).collect(),
    };
    Supply::Any(Arc::new(values.into_iter().map(Some).collect()))
}
