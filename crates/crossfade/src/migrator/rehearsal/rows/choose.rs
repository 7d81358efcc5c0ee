//! How each column of a table gets its values: which formula, which number it is fed with, and what comes from another table.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crossfade_core::catalog::Catalog;
use crossfade_core::catalog::Constraint;
use crossfade_core::catalog::ConstraintKind;
use crossfade_core::catalog::Table;
use crossfade_core::sql;
use crossfade_core::sql::Ident;
use crossfade_core::sql::Number;
use crossfade_core::sql::ServerText;
use crossfade_core::sql::Sql;
use crossfade_core::sql::TableName;
use tokio_postgres::Client;

use super::formula::ENDLESS;
use super::formula::Formula;
use super::shape::Check;
use super::shape::Place;
use super::shape::Shape;
use super::shape::Statistics;
use super::shape::literals;
use super::source::Feed;
use super::source::Parent;
use super::source::Source;

/// So many values are tried before a formula counts as one that a condition accepts.
const TRIED: i64 = 60;

/// How a table's rows are made.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The table.
    pub table: TableName,
    /// Its columns, in their order.
    pub columns: Vec<(Shape, Source)>,
    /// The foreign keys that are followed.
    pub parents: Vec<Parent>,
    /// No more rows than that can be had.
    pub most: u64,
    /// What several columns together must keep, as far as all of them are given a value here.
    pub conditions: Vec<Sql>,
    /// Whether a row with a number that was never taken is always a new one.
    pub fresh: bool,
}

/// What recipes are written from.
pub struct Kitchen<'k> {
    /// The schema.
    pub catalog: &'k Catalog,
    /// Its columns.
    pub shapes: &'k BTreeMap<TableName, Vec<Shape>>,
    /// Its checks.
    pub checks: &'k BTreeMap<TableName, Vec<Check>>,
    /// What the real database's statistics say.
    pub statistics: &'k BTreeMap<Place, Statistics>,
    /// What values must be castable to, because a migration casts them.
    pub casts: &'k BTreeMap<Place, Sql>,
    /// A session in a database with that schema, to try values in.
    pub client: &'k Client,
    /// A session in one with the schema that the migration leaves, where there is one.
    pub after: Option<&'k Client>,
}

impl Kitchen<'_> {
    /// How this table's rows are made, once those that it points to have so many. An error says why there can be none.
    pub async fn recipe(&self, table: &Table, wanted: u64, made: &BTreeMap<TableName, u64>) -> Result<Recipe, String> {
        let empty = Vec::new();
        let shapes = self.shapes.get(&table.name).unwrap_or(&empty);
        let mut recipe = Recipe {
            table: table.name.clone(),
            columns: Vec::new(),
            parents: Vec::new(),
            most: ENDLESS,
            conditions: Vec::new(),
            fresh: true,
        };
        let mut given: BTreeMap<String, Source> = BTreeMap::new();
        self.follow(table, shapes, made, &mut recipe, &mut given)?;
        let bounds = self.bounds(table);
        for shape in shapes {
            let name = shape.name.as_str();
            let source = match given.remove(name) {
                _ if shape.by_itself => Source::Itself,
                Some(source) => source,
                None => self.made(table, shape, wanted, bounds.get(name)).await?,
            };
            recipe.columns.push((shape.clone(), source));
        }
        let is_made = |column: &String| matches!(recipe.source(column), Some((_, Source::Made { .. })));
        let together = self.checks.get(&table.name).into_iter().flatten().filter(|check| check.columns.len() > 1);
        recipe.conditions = together
            .filter(|check| check.columns.iter().all(is_made))
            .map(|check| sql!("coalesce({}, true)", check.expression))
            .collect();
        for columns in unique_keys(table) {
            recipe.make_unique(&columns, wanted, made);
        }
        Ok(recipe)
    }

    /// The foreign keys, the widest first: a column that two have goes with the wider one.
    fn follow(
        &self,
        table: &Table,
        shapes: &[Shape],
        made: &BTreeMap<TableName, u64>,
        recipe: &mut Recipe,
        given: &mut BTreeMap<String, Source>,
    ) -> Result<(), String> {
        let mut keys: Vec<&Constraint> =
            table.constraints.iter().filter(|constraint| constraint.kind == ConstraintKind::ForeignKey).collect();
        keys.sort_by_key(|key| std::cmp::Reverse(key.columns.len()));
        for key in keys {
            if key.columns.iter().any(|column| given.contains_key(column)) {
                continue;
            }
            let Some(parent) = &key.references else { continue };
            let shape = |column: &String| shapes.iter().find(|shape| shape.name.as_str() == column);
            let nullable = key.columns.iter().any(|column| shape(column).is_some_and(|shape| !shape.not_null));
            if made.get(parent).is_none_or(|rows| *rows == 0) || *parent == table.name {
                if !nullable {
                    let why = if *parent == table.name {
                        format!("{} points to its own table, and can't be NULL", key.name)
                    } else {
                        format!("{} points to {parent}, which is empty", key.name)
                    };
                    return Err(why);
                }
                for column in key.columns.iter().filter(|column| shape(column).is_some_and(|shape| !shape.not_null)) {
                    given.insert(column.clone(), Source::Null);
                }
                continue;
            }
            let all_nullable = key.columns.iter().all(|column| shape(column).is_some_and(|shape| !shape.not_null));
            let nulls = key.columns.first().map_or(0.0, |column| self.nulls(table, column));
            let at = recipe.parents.len();
            for (column, referenced) in key.columns.iter().zip(&key.referenced_columns) {
                given.insert(column.clone(), Source::Parent(at, Ident::new(referenced.as_str())));
            }
            recipe.parents.push(Parent {
                table: parent.clone(),
                columns: key.referenced_columns.iter().map(|column| Ident::new(column.as_str())).collect(),
                feed: Feed::Strewn(made.get(parent).copied().unwrap_or(1)),
                nulls: if all_nullable { nulls } else { 0.0 },
            });
        }
        Ok(())
    }

    fn statistics(&self, table: &Table, column: &str) -> Option<&Statistics> {
        self.statistics.get(&(table.name.clone(), column.to_owned()))
    }

    fn nulls(&self, table: &Table, column: &str) -> f64 {
        // Without statistics every tenth: code that forgets NULL is to be found.
        self.statistics(table, column).map_or(0.1, |statistics| statistics.null_fraction)
    }

    /// For a partition key: values that fall into a partition.
    fn bounds(&self, table: &Table) -> BTreeMap<String, Vec<String>> {
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let parts: Vec<&Table> =
            self.catalog.tables.iter().filter(|part| part.partition_of.as_ref() == Some(&table.name)).collect();
        for part in &parts {
            let bound = part.partition_bound.as_ref().map(|bound| bound.as_str()).unwrap_or_default();
            let (from, is_list) = match (bound.split_once(" TO ("), bound.contains(" IN (")) {
                (Some((from, _)), _) => (from, false),
                (None, true) => (bound, true),
                (None, false) => continue,
            };
            let values = literals(from);
            for (at, column) in table.partition_key.iter().enumerate() {
                let known = found.entry(column.clone()).or_default();
                if is_list {
                    known.extend(values.iter().cloned());
                } else {
                    known.extend(values.get(at).cloned());
                }
            }
            for (column, values) in self.bounds(part) {
                found.entry(column).or_default().extend(values);
            }
        }
        found.retain(|_, values| !values.is_empty());
        found
    }

    async fn made(
        &self,
        table: &Table,
        shape: &Shape,
        wanted: u64,
        bounds: Option<&Vec<String>>,
    ) -> Result<Source, String> {
        let name = shape.name.as_str();
        let statistics = self.statistics(table, name);
        let nulls = if shape.not_null { 0.0 } else { self.nulls(table, name) };
        let formula = match bounds {
            Some(values) => Some(Formula::OneOf(values.clone())),
            None => self.accepted(table, shape, statistics).await,
        };
        let Some(formula) = formula else {
            return if shape.not_null {
                Err(format!("no value of type {} can be made up for its column {name}", shape.type_name))
            } else {
                Ok(Source::Null)
            };
        };
        let distinct = match statistics.map(|statistics| statistics.distinct) {
            Some(distinct) if distinct > 0.0 => distinct as u64,
            Some(distinct) if distinct < 0.0 => (-distinct * wanted as f64) as u64,
            Some(_) | None => wanted,
        };
        let common =
            statistics.and_then(|statistics| statistics.common.clone()).filter(|(values, _)| !values.is_empty());
        Ok(Source::Made { formula, feed: Feed::Strewn(distinct.max(1)), nulls, common })
    }

    /// The first formula whose values the conditions on this column alone accept.
    async fn accepted(&self, table: &Table, shape: &Shape, statistics: Option<&Statistics>) -> Option<Formula> {
        let name = shape.name.as_str();
        let none = Vec::new();
        let checks: Vec<&Check> = self
            .checks
            .get(&table.name)
            .unwrap_or(&none)
            .iter()
            .filter(|check| check.columns.len() == 1 && check.columns.iter().any(|column| column == name))
            .collect();
        let cast = self.casts.get(&(table.name.clone(), name.to_owned()));
        let width = statistics.map_or(12, |statistics| i64::from(statistics.width) - 1);
        let first = Formula::Usual { width };
        if checks.is_empty() && !shape.domain && cast.is_none() {
            return first.sql(shape, &sql!("1")).map(|_| first);
        }
        let mut found: Vec<String> = checks.iter().flat_map(|check| literals(check.expression.as_str())).collect();
        found.extend(shape.domain_checks.iter().flat_map(|check| literals(check)));
        let trial = Trial { kitchen: self, shape, checks: &checks, cast };
        for formula in std::iter::once(first).chain(Formula::others(shape, &found)) {
            if trial.accepts(&formula).await {
                return Some(formula);
            }
        }
        let mut good = Vec::new();
        for value in Formula::candidates(shape, &found) {
            if trial.accepts(&Formula::OneOf(vec![value.clone()])).await {
                good.push(value);
            }
        }
        // With none the rows are refused one by one, and that is said.
        if good.is_empty() { Some(Formula::Usual { width }) } else { Some(Formula::OneOf(good)) }
    }
}

/// The conditions on one column.
struct Trial<'t> {
    kitchen: &'t Kitchen<'t>,
    shape: &'t Shape,
    checks: &'t [&'t Check],
    cast: Option<&'t Sql>,
}

impl Trial<'_> {
    async fn accepts(&self, formula: &Formula) -> bool {
        // Small numbers and large ones: a row has either.
        let number = sql!("(CASE WHEN \"made\".\"g\" % 2 = 0 THEN \"made\".\"g\" ELSE \"made\".\"g\" * 9999991 END)");
        let Some(value) = formula.sql(self.shape, &number) else { return false };
        let all = |conditions: Vec<Sql>| {
            sql!(
                "SELECT count(*) FROM (SELECT {} AS {} FROM pg_catalog.generate_series(0::bigint, {}) AS \"made\"(\"g\")) AS \"row\" WHERE NOT coalesce({}, true)",
                value,
                self.shape.name,
                Number(TRIED),
                Sql::join(conditions, " AND ")
            )
        };
        let mut conditions: Vec<Sql> = self.checks.iter().map(|check| sql!("({})", check.expression)).collect();
        conditions.push(sql!("({}::text IS NOT NULL)", self.shape.name));
        if !none_fails(self.kitchen.client, &all(conditions)).await {
            return false;
        }
        match (self.cast, self.kitchen.after) {
            (Some(cast), Some(after)) => none_fails(after, &all(vec![cast.clone()])).await,
            (Some(_), None) | (None, _) => true,
        }
    }
}

async fn none_fails(client: &Client, query: &Sql) -> bool {
    // A value that the server refuses is an error of the query.
    client.query_typed_one(query.as_str(), &[]).await.is_ok_and(|row| row.get::<_, i64>(0) == 0)
}

/// The columns of each unique index, the primary key first.
fn unique_keys(table: &Table) -> Vec<Vec<String>> {
    let mut indexes: Vec<_> = table.indexes.iter().filter(|index| index.unique).collect();
    indexes.sort_by_key(|index| !index.primary);
    indexes.into_iter().map(|index| index.columns.clone()).collect()
}

impl Recipe {
    fn source(&self, column: &str) -> Option<&(Shape, Source)> {
        self.columns.iter().find(|(shape, _)| shape.name.as_str() == column)
    }

    /// Feeds columns so that these together are unique.
    fn make_unique(&mut self, columns: &[String], wanted: u64, made: &BTreeMap<TableName, u64>) {
        let mut sources: Vec<(u64, usize, bool)> = Vec::new();
        let mut seen_parents = BTreeSet::new();
        for column in columns {
            let Some((shape, source)) = self.source(column) else { continue };
            let at = self.columns.iter().position(|(known, _)| known.name == shape.name).unwrap_or_default();
            match source {
                // A sequence is unique by itself; NULL stands in no way.
                Source::Itself if !shape.generated => return,
                Source::Null => return,
                Source::Itself => {}
                Source::Made { feed: Feed::Alone, .. } => return,
                Source::Made { formula, .. } => sources.push((formula.distinct(shape), at, false)),
                Source::Parent(parent, _) => {
                    if seen_parents.insert(*parent) {
                        let rows = self.parents.get(*parent).and_then(|parent| made.get(&parent.table));
                        sources.push((rows.copied().unwrap_or(1), *parent, true));
                    }
                }
            }
        }
        // What is made alone is better than what points to few rows again and again.
        sources.sort_by_key(|(distinct, _, _)| std::cmp::Reverse(*distinct));
        let enough = |source: &&(u64, usize, bool)| !source.2 && source.0 >= wanted.max(1);
        if let Some(alone) = sources.iter().find(enough).copied() {
            sources = vec![alone];
        }
        let mut divide = 1_u64;
        for (distinct, at, is_parent) in sources {
            let distinct = distinct.max(1);
            let feed = if distinct >= ENDLESS && !is_parent { Feed::Alone } else { Feed::Digit(divide, distinct) };
            self.fresh &= feed == Feed::Alone;
            if is_parent {
                if let Some(parent) = self.parents.get_mut(at) {
                    parent.feed = feed;
                    parent.nulls = 0.0;
                }
            } else if let Some((_, Source::Made { feed: fed, common, nulls, .. })) = self.columns.get_mut(at) {
                *fed = feed;
                *common = None;
                *nulls = 0.0;
            }
            divide = divide.saturating_mul(distinct);
            if divide >= wanted.max(1) {
                return;
            }
        }
        self.most = self.most.min(divide);
    }

    /// Whether a new value of this column is never one that is there.
    pub fn is_alone(&self, column: &str) -> bool {
        matches!(self.source(column), Some((_, Source::Made { feed: Feed::Alone, .. })))
    }
}

/// That a column's values can be cast to a type by way of text, as a migration does it.
pub fn can_be(column: &Ident, to: &ServerText) -> Sql {
    sql!("(({}::text)::{} IS NOT NULL OR {} IS NULL)", column, to, column)
}
