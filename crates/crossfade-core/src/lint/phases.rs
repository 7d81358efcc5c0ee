//! What Crossfade does not run as it is written. The planner says so: it is asked what it understands of the file, on a schema of which as much is known
//! as the files before it tell, or on that of a database.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::world::Key;
use super::world::World;
use crate::catalog::Catalog;
use crate::catalog::Column;
use crate::catalog::Constraint;
use crate::catalog::ConstraintKind;
use crate::catalog::Index;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::finding::Finding;
use crate::migration::Migration;

use crate::operation::understand_by_place;
use crate::plan::MadeInRun;
use crate::plan::PlanContext;
use crate::plan::Policy;
use crate::sql::ObjectRef;
use crate::sql::ServerText;
use crate::sql::Span;
use crate::sql::StatementKind;
use crate::sql::TableName;
use crate::sql::act::Act;
use crate::sql::act::Change;
use crate::sql::act::Deed;
use crate::sql::act::Form;
use crate::sql::act::Thing;
use crate::sql::act::read_script;

/// What becomes of the statements of a file.
#[derive(Debug, Default)]
pub(super) struct Phases {
    ways: BTreeMap<Span, BTreeSet<&'static str>>,
    /// What runs as it is written, of each statement.
    written: BTreeMap<Span, Vec<Act>>,
    /// Statements of which something is kept as it is.
    kept: BTreeSet<Span>,
    refused: Vec<Finding>,
    /// What is wrong with the file as a migration.
    pub wrong: Vec<Finding>,
}

/// What becomes of one statement.
pub(super) enum Fate<'a> {
    /// It runs as it is written.
    AsWritten,
    /// It is carried out in another way; these parts of it run as they are written.
    Otherwise(String, &'a [Act]),
    /// Crossfade refuses it.
    Refused(&'a Finding),
}

/// Findings of the planner that do not come from what it is not told here.
const SURE: [&str; 4] = ["breaks-running-code", "changed-twice", "unused-directive", "directive-expression"];

impl Phases {
    /// Asks the planner.
    pub fn of(text: &str, acts: &[Act], world: &World, catalog: Option<&mut Catalog>, major: u32) -> Phases {
        let migration = match Migration::parse("0", "lint", text) {
            Ok(migration) => migration,
            Err(wrong) => return Phases { wrong, ..Phases::default() },
        };
        let assumed;
        let before;
        let mut projected = None;
        let catalog = match catalog {
            Some(catalog) => {
                before = catalog.clone();
                projected = Some(catalog);
                &before
            }
            None => {
                assumed = assume(&migration, acts, world, major);
                &assumed
            }
        };
        let (policy, none) = (Policy::default(), MadeInRun::default());
        let cx = PlanContext { migration: &migration, catalog, policy: &policy, in_flight: &[], made_in_run: &none };
        let (operations, refused) = understand_by_place(&cx);
        let mut phases = Phases { refused, ..Phases::default() };
        for (span, operation) in operations {
            if let Some(way) = operation.way() {
                phases.ways.entry(span).or_default().insert(way);
            } else if let Some(statement) = operation.written() {
                let own = read_script(statement.parsed.text.as_str()).acts.into_iter();
                let placed = own.map(|act| Act { span, ..act });
                phases.written.entry(span).or_default().extend(placed);
            } else {
                phases.kept.insert(span);
            }
        }
        if let Some(projected) = projected {
            *projected = crate::plan::project(cx);
        }
        phases
    }

    /// What becomes of the statement at this place.
    pub fn fate(&self, span: Span) -> Fate<'_> {
        let at = |other: &Finding| other.is_error() && other.span == Some(span);
        if let Some(finding) = self.refused.iter().find(|finding| at(finding) && SURE.contains(&finding.rule.as_str()))
        {
            return Fate::Refused(finding);
        }
        if self.refused.iter().any(at) || self.kept.contains(&span) {
            return Fate::AsWritten;
        }
        let written = self.written.get(&span).map(Vec::as_slice).unwrap_or_default();
        match self.ways.get(&span) {
            Some(ways) => {
                let ways: Vec<&str> = ways.iter().copied().collect();
                Fate::Otherwise(ways.join("; "), written)
            }
            // It went into the change that another statement makes.
            None if written.is_empty() && !self.ways.is_empty() => {
                Fate::Otherwise("one change with the statements around it".to_owned(), written)
            }
            None => Fate::AsWritten,
        }
    }
}

/// A schema that has what the file takes for granted: tables with rows that somebody uses.
fn assume(migration: &Migration, acts: &[Act], world: &World, major: u32) -> Catalog {
    let mut tables: BTreeMap<Key, Table> = BTreeMap::new();
    let mut made = BTreeSet::new();
    for act in acts {
        if let Deed::CreateTable(table) = &act.deed {
            made.insert(Key::of(&table.name));
        }
        for (name, columns) in named(&act.deed, world) {
            let key = Key::of(&name);
            if made.contains(&key) && !world.tables.contains_key(&key) {
                continue;
            }
            let table = tables.entry(key.clone()).or_insert_with(|| known(&key, world));
            for column in columns {
                if table.column(&column).is_none() {
                    table.columns.push(assumed_column(&column, "", false));
                }
            }
        }
        if let Deed::Drop { thing: Thing::Index, names, .. } = &act.deed {
            for name in names.iter().filter(|name| !world.indexes.contains_key(&Key::of(name))) {
                let key = Key::of(name).beside("_");
                let table = tables.entry(key.clone()).or_insert_with(|| known(&key, world));
                table.indexes.push(Index { name: name.name.clone(), valid: true, ..Index::default() });
            }
        }
    }
    for statement in &migration.statements {
        if let StatementKind::Update(update) = &statement.parsed.kind {
            let key = Key::of(&update.table);
            let Some(table) = tables.get_mut(&key) else { continue };
            let set = update.set.iter().flatten();
            let values = set.clone().flat_map(|item| item.value.columns());
            let uses = values.chain(update.filter.iter().flat_map(|filter| filter.columns()));
            let names: Vec<String> =
                set.map(|item| item.column.clone()).chain(uses.map(|column| column.column.clone())).collect();
            for name in names {
                if table.column(&name).is_none() && !added(acts, &key).contains(&name) {
                    table.columns.push(assumed_column(&name, "", false));
                }
            }
        }
    }
    Catalog {
        server_version: major * 10_000,
        block_size: 8192,
        search_path: vec!["public".to_owned()],
        other_sessions: 1,
        tables: tables.into_values().collect(),
        ..Catalog::default()
    }
}

/// The columns that the file adds to a table.
fn added(acts: &[Act], key: &Key) -> Vec<String> {
    let changes = acts.iter().filter_map(|act| match &act.deed {
        Deed::Alter { table, changes, .. } if Key::of(table) == *key => Some(changes),
        _ => None,
    });
    let columns = changes.flatten().filter_map(|change| match change {
        Change::AddColumn { column, .. } => Some(column.name.clone()),
        _ => None,
    });
    let renamed = acts.iter().filter_map(|act| match &act.deed {
        Deed::Rename { thing: Thing::Column, name, to, .. } if Key::of(name) == *key => Some(to.clone()),
        _ => None,
    });
    columns.chain(renamed).collect()
}

/// The tables that a statement works on, with the columns that must be there.
fn named(deed: &Deed, world: &World) -> Vec<(ObjectRef, Vec<String>)> {
    match deed {
        Deed::Alter { table, changes, .. } => {
            let mut all = Vec::new();
            let mut columns = Vec::new();
            for change in changes {
                match change {
                    Change::DropColumn { column, .. }
                    | Change::Type { column, .. }
                    | Change::SetNotNull { column }
                    | Change::DropNotNull { column }
                    | Change::Default { column, .. } => columns.push(column.clone()),
                    Change::AddConstraint(constraint) => {
                        columns.extend(constraint.columns.iter().cloned());
                        all.extend(constraint.references.iter().map(|to| (to.clone(), constraint.referenced.clone())));
                    }
                    Change::Attach { partition, .. } | Change::Detach { partition, .. } => {
                        all.push((partition.clone(), Vec::new()));
                    }
                    Change::AddColumn { column, .. } => {
                        let keys = column.constraints.iter().filter_map(|constraint| constraint.references.clone());
                        all.extend(keys.map(|to| (to, Vec::new())));
                    }
                    _ => {}
                }
            }
            let new: Vec<&str> = changes
                .iter()
                .filter_map(|change| match change {
                    Change::AddColumn { column, .. } => Some(column.name.as_str()),
                    _ => None,
                })
                .collect();
            columns.retain(|column| !new.contains(&column.as_str()));
            all.push((table.clone(), columns));
            all
        }
        Deed::CreateTable(table) => {
            let own = table.columns.iter().flat_map(|column| &column.constraints).chain(&table.constraints);
            let parents = own.filter_map(|constraint| constraint.references.clone());
            parents.chain(table.partition_of.clone()).map(|parent| (parent, Vec::new())).collect()
        }
        Deed::CreateIndex(index) => {
            let columns = index.columns.iter().flatten().chain(&index.reads).cloned().collect();
            vec![(index.table.clone(), columns)]
        }
        Deed::Rename { thing: Thing::Column, name, part, .. } => vec![(name.clone(), part.iter().cloned().collect())],
        Deed::Rename { thing: Thing::Table | Thing::View | Thing::MaterializedView, name, .. }
        | Deed::SetSchema { thing: Thing::Table | Thing::View | Thing::MaterializedView, name, .. } => {
            vec![(name.clone(), Vec::new())]
        }
        Deed::Drop { thing: Thing::Table | Thing::View | Thing::MaterializedView, names, .. } => {
            names.iter().map(|name| (name.clone(), Vec::new())).collect()
        }
        Deed::Drop { thing: Thing::Index, names, .. } => {
            let indexes = names.iter().filter_map(|name| world.indexes.get(&Key::of(name)));
            indexes.map(|index| (index.table.shown(), index.columns.clone())).collect()
        }
        Deed::Truncate { tables, .. } | Deed::Lock { tables, .. } => {
            tables.iter().map(|table| (table.clone(), Vec::new())).collect()
        }
        Deed::Update { table, .. } | Deed::Delete { table, .. } | Deed::Insert { table, .. } => {
            vec![(table.clone(), Vec::new())]
        }
        _ => Vec::new(),
    }
}

fn assumed_column(name: &str, base_type: &str, not_null: bool) -> Column {
    let base_type = match base_type {
        "serial" | "serial4" => "int4",
        "bigserial" | "serial8" => "int8",
        "smallserial" | "serial2" => "int2",
        other => other,
    };
    Column {
        name: name.to_owned(),
        type_name: ServerText::from_server(base_type),
        base_type: base_type.to_owned(),
        type_modifier: -1,
        not_null,
        ..Column::default()
    }
}

/// A table as far as the files before this one tell.
fn known(key: &Key, world: &World) -> Table {
    let place = key.shown();
    let name = TableName::new(place.schema.unwrap_or_else(|| "public".to_owned()), place.name);
    let mut table = Table { has_rows: true, estimated_rows: 1_000_000, blocks: 10_000, ..Table::empty(name) };
    table.access_method = Some("heap".to_owned());
    let Some(found) = world.tables.get(key) else { return table };
    table.kind = if found.partitioned { TableKind::Partitioned } else { TableKind::Table };
    table.columns =
        found.columns.iter().map(|(name, column)| assumed_column(name, &column.base_type, column.not_null)).collect();
    table.constraints = found
        .constraints
        .iter()
        .map(|constraint| Constraint {
            name: constraint.name.clone().unwrap_or_default(),
            kind: match constraint.form {
                Form::Check => ConstraintKind::Check,
                Form::ForeignKey => ConstraintKind::ForeignKey,
                Form::Unique => ConstraintKind::Unique,
                Form::PrimaryKey => ConstraintKind::PrimaryKey,
                Form::Exclude => ConstraintKind::Exclude,
                Form::NotNull => ConstraintKind::NotNull,
            },
            columns: constraint.columns.clone(),
            definition: ServerText::from_server(proof(&constraint.proves_not_null)),
            validated: constraint.validated,
            deferrable: false,
            index: constraint.name.clone().filter(|_| matches!(constraint.form, Form::Unique | Form::PrimaryKey)),
            references: constraint.references.as_ref().map(|parent| {
                let place = parent.shown();
                TableName::new(place.schema.unwrap_or_else(|| "public".to_owned()), place.name)
            }),
            referenced_columns: Vec::new(),
            inherited: false,
            comment: None,
        })
        .collect();
    let indexes = world.indexes.iter().filter(|(_, index)| index.table == *key);
    table.indexes = indexes
        .map(|(place, index)| Index {
            name: place.shown().name,
            columns: index.columns.clone(),
            valid: true,
            constraint: index.constraint.then(|| place.shown().name),
            unique: index.constraint,
            primary: found.constraints.iter().any(|constraint| {
                constraint.form == Form::PrimaryKey && constraint.name.as_ref() == Some(&place.shown().name)
            }),
            ..Index::default()
        })
        .collect();
    table
}

/// A CHECK as the server writes one that proves this.
fn proof(columns: &[String]) -> String {
    let parts: Vec<String> = columns.iter().map(|column| format!("({column} IS NOT NULL)")).collect();
    format!("CHECK ({})", parts.join(" AND "))
}
