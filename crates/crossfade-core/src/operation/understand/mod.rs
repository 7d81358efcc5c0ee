//! Statements are understood together, not one by one: ADD + UPDATE + DROP is one replacement, ADD + UPDATE + SET NOT NULL one column.

mod add;
mod alter;
mod at_once;
mod builtins;
mod collisions;
mod comment;
mod indexes;
mod late_tables;
mod loosen;
mod normal;
mod remade;
mod renames;
mod retypes;
mod rows;
mod sequence;
mod settle;
mod types;
mod update;
mod value;
mod views;
mod whole;
mod zone;

use std::collections::BTreeMap;
use std::collections::BTreeSet;

pub(crate) use self::builtins::builtin_takes;
pub(crate) use self::builtins::builtin_volatility;
use self::loosen::Loosened;
use self::remade::Remaking;
use self::value::Renamed;
use super::Operation;
use super::Role;
use super::add_key::AddKey;
use super::alter_type::Retype;
use super::alter_type::TakenOver;
use super::as_written::AsWritten;
use super::change_rows::ChangeRows;
use super::drop_index::DropIndex;
use super::no_table;
use super::partition::MakePartition;
use super::partition::Making;
use super::rename_column::RenameColumn;
use super::replace::Dropped;
use super::replace_type::ReplaceType;
use crate::catalog::Catalog;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::catalog::Volatility;
use crate::finding::Finding;
use crate::migration::Migration;
use crate::migration::Statement;
use crate::migration::ValueDirective;
use crate::plan::PlanContext;
use crate::sql;
use crate::sql::ColumnDefinition;
use crate::sql::Destination;
use crate::sql::Expr;
use crate::sql::Ident;
use crate::sql::Made;
use crate::sql::ObjectRef;
use crate::sql::SoleName;
use crate::sql::Span;
use crate::sql::StatementKind;
use crate::sql::TableName;
use crate::sql::TimeZoneChange;
use crate::sql::commented;
use crate::sql::made_by;
use crate::sql::sole_name;
use crate::step::Claim;
pub(crate) use collisions::takes_columns;

/// A column that the file adds to a table that is in use.
struct Pending {
    definition: ColumnDefinition,
    span: Span,
    /// Its value for existing rows, as the statements up to here make it.
    value: Option<Expr>,
    /// SET DEFAULT and DROP DEFAULT that stand behind it, with their places.
    defaults: Vec<(usize, Option<Expr>)>,
    /// Whether it is SET NOT NULL that makes it NOT NULL.
    not_null_later: bool,
    /// The name of its NOT NULL from PostgreSQL 18 on, where it gets another name than its own.
    not_null_name: Option<String>,
    /// Where its numbers come from, until it counts by itself.
    sequence: Option<TableName>,
    /// The statement it comes from, for the case that it may run as written after all.
    statement: usize,
}

struct Reader<'a> {
    cx: &'a PlanContext<'a>,
    findings: Vec<Finding>,
    operations: Vec<(usize, Box<dyn Operation>)>,
    /// What values take from other tables, and the statement that says so.
    taken: Vec<(usize, Claim)>,
    /// Statements over big tables, until it is known what stands behind them.
    rows: Vec<(usize, ChangeRows)>,
    /// Tables that this file makes.
    created: BTreeSet<TableName>,
    pending: BTreeMap<TableName, Vec<Pending>>,
    dropped: BTreeMap<TableName, Vec<Dropped>>,
    /// New columns that get the names of those which the file drops: place of the RENAME, table, both names.
    successors: Vec<(usize, TableName, String, String)>,
    /// Type changes, which are one operation.
    retypes: Vec<(usize, Retype)>,
    /// The ends of them.
    taken_over: Vec<TakenOver>,
    /// What a type change makes again by name, and so must not be changed in the same file.
    joined: Vec<Claim>,
    /// `UPDATE t SET c = value WHERE c IS NULL`, until the SET NOT NULL that it prepares.
    mends: BTreeMap<(TableName, String), (usize, Expr)>,
    /// UNIQUE and PRIMARY KEY, until it is known what becomes of the columns that the file adds.
    keys: Vec<(usize, AddKey)>,
    /// Indexes that go, until it is known whether another one takes the place of one.
    dropped_indexes: Vec<(usize, DropIndex)>,
    /// All indexes that go.
    gone_indexes: Vec<(TableName, String)>,
    /// Comments on tables and columns, until it is known what becomes of them.
    comments: Vec<(usize, Statement)>,
    /// New columns that become NOT NULL at contract.
    not_null_at_contract: BTreeSet<(TableName, String)>,
    /// New columns that are filled, and belong to nothing that goes.
    filled: BTreeSet<(TableName, String)>,
    /// Views that wait for them.
    waiting: BTreeSet<usize>,
    /// Views that are dropped and made again around a type change.
    remaking: Remaking,
    /// What phased operations work on: table and column names, and the statement.
    touched: Vec<(usize, TableName, String)>,
    /// Relations that go as a whole, or get another name, and the statement.
    gone: Vec<(usize, TableName)>,
    /// Where the file sets its time zone.
    time_zones: Vec<(usize, TimeZoneChange)>,
    /// Constraints that go.
    loosened: Vec<(usize, Loosened)>,
    /// Types that another one takes the place of.
    replaced: Vec<ReplaceType>,
    /// Both names of types that get another one, and the statement.
    moved_types: Vec<(usize, TableName)>,
    /// Both names of sequences that get another one, and the statement.
    moved_sequences: Vec<(usize, TableName)>,
    /// Values of enums that get another name at contract.
    renamed_values: Vec<Renamed>,
}

/// What the file makes, under the names that it has until contract.
pub fn made(cx: &PlanContext<'_>) -> Vec<Made> {
    let statements = Reader::new(cx).with_types_meant();
    statements.iter().filter_map(|statement| made_by(&statement.parsed)).collect()
}

/// The types that the file's statements name, as far as they are there or somebody in flight claims their name.
pub fn named_types(cx: &PlanContext<'_>) -> Vec<TableName> {
    let claimed = |place: &TableName| {
        let claim = Claim { table: place.clone(), column: None };
        cx.catalog.table(place).is_none() && cx.in_flight.iter().any(|other| other.claims.contains(&claim))
    };
    let known = |name: ObjectRef| {
        let there = cx.catalog.object("type", &name).map(|object| object.name.clone());
        there.or_else(|| Some(cx.catalog.place(&name)).filter(claimed))
    };
    let named = cx.migration.statements.iter().flat_map(|statement| crate::sql::named_types(&statement.parsed.text));
    let mut all: Vec<TableName> = named.filter_map(known).collect();
    all.sort();
    all.dedup();
    all
}

/// Reads a file's statements into operations.
pub fn understand(cx: &PlanContext<'_>) -> (Vec<Box<dyn Operation>>, Vec<Finding>) {
    let (operations, findings) = understand_by_place(cx);
    (operations.into_iter().map(|(_, operation)| operation).collect(), findings)
}

/// Operations, each with the place of the statement that it is for.
type Placed = Vec<(Span, Box<dyn Operation>)>;

/// As [`understand`], each operation with the place of the statement that it is for.
pub fn understand_by_place(cx: &PlanContext<'_>) -> (Placed, Vec<Finding>) {
    let mut first = Reader::new(cx);
    let meant = Migration { statements: first.with_types_meant(), ..cx.migration.clone() };
    let with_types_meant = PlanContext { migration: &meant, ..*cx };
    let mut second = Reader::new(&with_types_meant);
    let migration = second.normal_form();
    let findings = second.findings;
    let cx = &PlanContext { migration: &migration, ..*cx };
    let mut reader = Reader { findings, replaced: first.replaced, ..Reader::new(cx) };
    reader.find_mends();
    reader.find_renamed_values();
    reader.find_remade();
    for (position, statement) in cx.migration.statements.iter().enumerate() {
        reader.read(position, statement);
    }
    reader.settle_types();
    reader.settle();
    reader.settle_keys();
    reader.settle_comments();
    reader.settle_loosened();
    reader.settle_views();
    reader.settle_remade();
    reader.place_rows();
    reader.look_for_collisions();
    reader.look_for_interference();
    reader.look_for_namesakes();
    reader.look_for_type_namesakes();
    reader.look_for_value_namesakes();
    reader.look_for_sequence_namesakes();
    reader.operations.sort_by_key(|(position, _)| *position);
    let place = |position: usize| {
        cx.migration.statements.get(position).map_or_else(Span::default, |statement| statement.parsed.span)
    };
    let operations = reader.operations.into_iter().map(|(position, operation)| (place(position), operation));
    let ends = reader.taken_over.into_iter().map(|end| (end.span, Box::new(end) as Box<dyn Operation>));
    (operations.chain(ends).collect(), reader.findings)
}

/// Whether an operation has a form of its own on the way, and a way back.
fn is_phased(operation: &dyn Operation) -> bool {
    match operation.role() {
        Role::AsWritten | Role::Rows => false,
        Role::Index | Role::Phased => true,
    }
}

impl<'a> Reader<'a> {
    fn new(cx: &'a PlanContext<'a>) -> Reader<'a> {
        Reader {
            cx,
            findings: Vec::new(),
            operations: Vec::new(),
            taken: Vec::new(),
            rows: Vec::new(),
            created: BTreeSet::new(),
            pending: BTreeMap::new(),
            dropped: BTreeMap::new(),
            successors: Vec::new(),
            retypes: Vec::new(),
            taken_over: Vec::new(),
            joined: Vec::new(),
            mends: BTreeMap::new(),
            keys: Vec::new(),
            dropped_indexes: Vec::new(),
            gone_indexes: Vec::new(),
            comments: Vec::new(),
            not_null_at_contract: BTreeSet::new(),
            filled: BTreeSet::new(),
            waiting: BTreeSet::new(),
            remaking: Remaking::default(),
            touched: Vec::new(),
            gone: Vec::new(),
            time_zones: zone::changes(cx.migration),
            loosened: Vec::new(),
            replaced: Vec::new(),
            moved_types: Vec::new(),
            moved_sequences: Vec::new(),
            renamed_values: Vec::new(),
        }
    }
}

impl Reader<'_> {
    fn catalog(&self) -> &Catalog {
        self.cx.catalog
    }

    /// The existing table that a name means, unless the file makes it, or nobody can feel what happens to it.
    fn in_use(&self, name: &ObjectRef) -> Option<&Table> {
        self.catalog().resolve(name).filter(|table| self.is_in_use(table))
    }

    fn is_in_use(&self, table: &Table) -> bool {
        if self.created.contains(&table.name) || self.cx.made_in_run.has(&table.name) {
            return false;
        }
        let alone = self.catalog().other_sessions == 0;
        let unused = match table.kind {
            TableKind::Table | TableKind::Partitioned => alone && !table.has_rows,
            TableKind::View | TableKind::MaterializedView | TableKind::Foreign => self.is_nobody_there(),
        };
        !unused
    }

    /// Whether nobody uses anything at all.
    fn is_nobody_there(&self) -> bool {
        let empty = || !self.catalog().tables.iter().any(|table| table.has_rows);
        self.cx.made_in_run.everything || self.catalog().other_sessions == 0 && empty()
    }

    fn is_created(&self, name: &ObjectRef) -> bool {
        self.created.contains(&self.catalog().place(name))
    }

    fn write_as_is(&mut self, position: usize, statement: &Statement) {
        let as_is = self.as_is(statement);
        self.operations.push((position, Box::new(as_is)));
    }

    fn as_is(&self, statement: &Statement) -> AsWritten {
        let (_, touches) = super::as_written::touches(&statement.parsed.kind);
        let claims = touches
            .iter()
            .filter_map(|(name, mode)| {
                let table = self.catalog().resolve(name)?;
                let words = &statement.parsed.words;
                let columns = table.columns.iter().filter(|column| words.contains(&column.name));
                (*mode > crate::lock::LockMode::RowExclusive).then(|| {
                    columns
                        .map(|column| Claim { table: table.name.clone(), column: Some(column.name.clone()) })
                        .collect::<Vec<_>>()
                })
            })
            .flatten();
        let claims = claims.chain(self.claim_on_a_new_name(statement)).collect();
        AsWritten { statement: statement.clone(), claims }
    }

    /// A name that somebody in flight drops, renames or has taken is not free yet.
    fn claim_on_a_new_name(&self, statement: &Statement) -> Option<Claim> {
        let StatementKind::CreateTable { name, .. } = &statement.parsed.kind else { return None };
        let claim = Claim { table: self.catalog().place(name), column: None };
        self.cx.in_flight.iter().any(|other| other.claims.contains(&claim)).then_some(claim)
    }

    fn read(&mut self, position: usize, statement: &Statement) {
        if self.remaking.has(position) {
            return self.no_values(statement);
        }
        let concurrently = matches!(&statement.parsed.kind, StatementKind::CreateIndex(index) if index.concurrently);
        if (statement.direct.is_some() || statement.phase.is_some()) && !concurrently {
            self.no_values(statement);
            return self.write_as_is(position, statement);
        }
        if let Some(late) = self.default_behind_a_rename(position, statement) {
            self.no_values(statement);
            return self.write_as_is(position, &late);
        }
        let span = statement.parsed.span;
        match &statement.parsed.kind {
            StatementKind::AlterTable { table, commands, if_exists, .. } => {
                self.read_alter(position, statement, table, commands, *if_exists);
            }
            StatementKind::RenameColumn { table, from, to, if_exists } => {
                self.no_values(statement);
                match self.in_use(table).cloned() {
                    Some(table) if self.is_pending(&table.name, from) && self.is_dropped(&table.name, to) => {
                        self.successors.push((position, table.name, from.clone(), to.clone()));
                    }
                    Some(table) if self.is_pending(&table.name, from) => self.refuse_chain(&table.name, from, span),
                    Some(table) => {
                        self.touch(position, &table.name, from);
                        self.touch(position, &table.name, to);
                        let together = self.renames_of(&table);
                        let default = self.default_in_file(&table, from);
                        let stand_in = self.stand_in_of(&table.name);
                        let (from, to) = (from.clone(), to.clone());
                        let rename = RenameColumn { table, from, to, span, together, default, stand_in };
                        self.operations.push((position, Box::new(rename)));
                    }
                    None => self.unless_unknown(position, statement, table, *if_exists),
                }
            }
            StatementKind::CreateIndex(index) => self.read_index(position, statement, index),
            StatementKind::DropIndex { names, if_exists, cascade } => {
                self.read_drop_index(position, statement, names, *if_exists, *cascade)
            }
            StatementKind::Drop { .. } => self.read_drop(position, statement),
            StatementKind::Move { .. } => self.read_move(position, statement),
            StatementKind::Update(update) => self.read_update(position, statement, update),
            StatementKind::CreateTable { name, if_not_exists, parents, bound, .. } => {
                self.no_values(statement);
                let place = self.catalog().place(name);
                let parent = parents.first().and_then(|parent| self.in_use(parent)).cloned();
                let there = self.catalog().table(&place).is_some();
                if !*if_not_exists || !there {
                    self.created.insert(place.clone());
                }
                let whole = parent.zip(bound.clone()).filter(|_| !there);
                let making =
                    whole.as_ref().and_then(|(parent, bound)| Making::new(self.cx, parent, place.clone(), bound));
                if let Some(making) = &making {
                    self.operations.push((position, Box::new(making.clone())));
                }
                let as_is = self.as_is(statement);
                let operation: Box<dyn Operation> = match whole {
                    Some((parent, _)) => Box::new(MakePartition { statement: as_is, parent, partition: place }),
                    None => Box::new(as_is),
                };
                self.operations.push((position, operation));
                if let Some(making) = making {
                    self.operations.push((position, Box::new(making.done())));
                }
            }
            StatementKind::Other { .. } if commented(&statement.parsed).is_some() => {
                self.no_values(statement);
                self.comments.push((position, statement.clone()));
            }
            StatementKind::Other { what, .. } if what == "RENAME VALUE" => {
                self.no_values(statement);
                match sole_name(&statement.parsed) {
                    Some(SoleName::Value { of, .. }) => self.read_rename_value(position, statement, &of),
                    None => self.write_as_is(position, statement),
                }
            }
            StatementKind::Other { what, touches, breaks, .. } => {
                self.no_values(statement);
                if self.read_rows(position, statement) {
                    return;
                }
                let on_used = touches.is_empty() || touches.iter().any(|(name, _)| self.in_use(name).is_some());
                if let Some(why) = breaks
                    && on_used
                {
                    self.findings.push(
                        Finding::error("breaks-running-code", span, format!("{what} is not done in phases: {why}"))
                            .help("when no running code uses it any more, say so: put `-- crossfade: direct REASON` on the line before"),
                    );
                    return;
                }
                self.write_as_is(position, statement);
            }
            StatementKind::Transaction(_)
            | StatementKind::NotInTransaction { .. }
            | StatementKind::CopyFromStdin { .. } => {
                self.write_as_is(position, statement);
            }
        }
    }

    /// A directive with a value in front of a statement that takes none would be ignored; say so instead.
    fn no_values(&mut self, statement: &Statement) {
        for directive in statement.up.iter().chain(&statement.down) {
            self.findings.push(unused(directive));
        }
    }

    fn unless_unknown(&mut self, position: usize, statement: &Statement, table: &ObjectRef, if_exists: bool) {
        if !if_exists && self.catalog().resolve(table).is_none() && !self.is_created(table) && !self.may_be_made(table)
        {
            self.findings.push(no_table(self.cx, table, statement.parsed.span));
            return;
        }
        self.write_as_is(position, statement);
    }

    /// Whether a statement that can't be seen through (DO, a function call, CREATE TABLE AS) may have made it.
    fn may_be_made(&self, table: &ObjectRef) -> bool {
        self.cx.migration.statements.iter().any(|statement| match &statement.parsed.kind {
            StatementKind::Other { what, opaque, .. } => {
                *opaque
                    || (what.starts_with("CREATE") || what.starts_with("RENAME") || what.starts_with("Rename"))
                        && statement.parsed.words.contains(&table.name)
            }
            StatementKind::Move { to: Destination::Name(name), .. } => *name == table.name,
            StatementKind::Move { object, to: Destination::Schema(schema), .. } => {
                object.name == table.name && table.schema.as_ref() == Some(schema)
            }
            _ => false,
        })
    }

    fn touch(&mut self, position: usize, table: &TableName, column: &str) {
        self.touched.push((position, table.clone(), column.to_owned()));
    }

    fn is_pending(&self, table: &TableName, column: &str) -> bool {
        self.pending.get(table).is_some_and(|all| all.iter().any(|pending| pending.definition.name == column))
    }

    fn is_dropped(&self, table: &TableName, column: &str) -> bool {
        self.dropped.get(table).is_some_and(|all| all.iter().any(|dropped| dropped.column.name == column))
    }

    fn refuse_chain(&mut self, table: &TableName, column: &str, span: Span) {
        self.findings.push(
            Finding::error("changed-twice", span, format!("{table}.{column} is changed twice in one file"))
                .help("write what you mean in one statement, or put the second change into the next migration"),
        );
    }

    /// The worst volatility of an expression's functions, as far as it is known: an unknown function may be volatile.
    fn volatility(&self, expr: &Expr) -> Volatility {
        expr.functions()
            .iter()
            .map(|(schema, name)| {
                let own = self.catalog().objects.iter().find(|object| {
                    object.kind == "function"
                        && object.name.name.as_str() == name
                        && schema.as_ref().is_none_or(|schema| schema == object.name.schema.as_str())
                });
                match own {
                    Some(object) => object.volatility.unwrap_or(Volatility::Volatile),
                    None => builtin_volatility(name),
                }
            })
            .max()
            .unwrap_or(Volatility::Immutable)
    }

    fn pend(
        &mut self,
        table: &Table,
        column: &ColumnDefinition,
        statement: &Statement,
        position: usize,
        value: Option<Expr>,
    ) {
        self.pending.entry(table.name.clone()).or_default().push(Pending {
            definition: column.clone(),
            span: statement.parsed.span,
            value,
            defaults: Vec::new(),
            not_null_later: false,
            not_null_name: None,
            sequence: None,
            statement: position,
        });
    }

    fn set_later_default(&mut self, position: usize, table: &Table, column: &str, default: Option<Expr>) {
        for pending in self.pending.get_mut(&table.name).into_iter().flatten() {
            if pending.definition.name == column {
                pending.defaults.push((position, default.clone()));
            }
        }
    }

    /// Every rename of a column of this table in the file.
    fn renames_of(&self, table: &Table) -> BTreeMap<String, String> {
        let renames = self.cx.migration.statements.iter().filter_map(|statement| match &statement.parsed.kind {
            StatementKind::RenameColumn { table: name, from, to, .. }
                if self.catalog().resolve(name).is_some_and(|found| found.name == table.name) =>
            {
                Some((from.clone(), to.clone()))
            }
            _ => None,
        });
        renames.collect()
    }
}

fn value_for(directives: &[ValueDirective], column: &str) -> Option<Expr> {
    let named = directives.iter().find(|directive| directive.column.as_deref() == Some(column));
    named
        .or_else(|| directives.iter().find(|directive| directive.column.is_none()))
        .map(|directive| directive.value.clone())
}

fn unused(directive: &ValueDirective) -> Finding {
    Finding::error("unused-directive", directive.span, "the statement behind this directive takes no such value")
        .help("`up` stands in front of ADD COLUMN, SET NOT NULL, ALTER TYPE, ADD CHECK and ADD FOREIGN KEY, `down` in front of DROP COLUMN and ALTER TYPE")
}

fn is_null_test(filter: &Expr, column: &str) -> bool {
    let text = filter.over_table();
    [sql!("({} IS NULL)", Ident::new(column)), sql!("(({} IS NULL))", Ident::new(column))].contains(&text)
}
