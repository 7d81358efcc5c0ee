//! From one form of an object to another, as far as ALTER and CREATE OR REPLACE reach.

use super::Body;
use super::Constraint;
use super::DatabaseSchema;
use super::Domain;
use super::Firing;
use super::Index;
use super::Kind;
use super::Object;
use super::ObjectId;
use super::Options;
use super::Routine;
use super::Sequence;
use super::Table;
use super::TableForm;
use super::View;
use super::body::OptionList;
use super::body::OptionNames;
use super::body::foreign_options_change;
use super::create;
use super::create::sequence_options;
use crate::sql;
use crate::sql::Ident;
use crate::sql::Literal;
use crate::sql::Number;
use crate::sql::Sql;
use crate::sql::TableName;

/// What changes an object without making it anew.
#[derive(Clone, Debug, Default)]
pub(super) struct Alteration {
    /// What differs, each as a part of a sentence.
    pub facets: Vec<String>,
    /// What to run.
    pub statements: Vec<Sql>,
    /// What gives a column another type, which what uses the column must make way for. It comes first.
    pub retype: Option<Sql>,
}

impl Alteration {
    pub fn is_empty(&self) -> bool {
        self.facets.is_empty()
    }

    /// Everything to run, in order. Where a parent has the column, too, the type comes from there.
    pub fn all(&self, with_type: bool) -> Vec<Sql> {
        let retype = self.retype.iter().filter(|_| with_type);
        retype.chain(&self.statements).cloned().collect()
    }

    pub fn facet(&mut self, facet: &str, statement: Sql) {
        self.facets.push(facet.to_owned());
        self.statements.push(statement);
    }

    /// As [`comparison`] says it.
    pub fn note(&mut self, what: &str, found: &str, expected: &str, statement: Sql) {
        self.facets.push(comparison(what, found, expected));
        self.statements.push(statement);
    }
}

/// `its type is integer, and should be bigint`.
pub(super) fn comparison(what: &str, found: &str, expected: &str) -> String {
    format!("{what} {}, and should be {}", short(found), short(expected))
}

/// A long text is named by its beginning.
fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Options to set, and the names of those to reset.
pub(super) fn options_change<'o>(from: &'o Options, to: &Options) -> (Options, OptionNames<'o>) {
    let changed = to.iter().filter(|(name, value)| from.get(*name) != Some(*value));
    let set = changed.map(|(name, value)| (name.clone(), value.clone())).collect();
    (set, OptionNames(from.keys().filter(|name| !to.contains_key(*name)).map(String::as_str).collect()))
}

/// What changes `found` into `expected`; none where only making it anew does.
pub(super) fn alter(
    id: &ObjectId,
    expected: &Object,
    found: &Object,
    in_database: &DatabaseSchema,
) -> Option<Alteration> {
    let version = in_database.server_version;
    match (&expected.body, &found.body) {
        (Body::Schema, Body::Schema) | (Body::Implied, Body::Implied) => Some(Alteration::default()),
        (Body::Extension { schema: wanted }, Body::Extension { schema: is }) => Some(extension(id, wanted, is)),
        (Body::Defined(wanted), Body::Defined(is)) => (wanted == is).then(Alteration::default),
        (Body::Switched { definition, firing }, Body::Switched { definition: is, firing: was }) => {
            (definition == is).then(|| switched(id, *firing, *was))
        }
        (Body::Enum(wanted), Body::Enum(is)) => enum_values(id, wanted, is),
        (Body::Domain(wanted), Body::Domain(is)) => domain(id, wanted, is),
        (Body::Composite(wanted), Body::Composite(is)) => (wanted == is).then(Alteration::default),
        (Body::Sequence(wanted), Body::Sequence(is)) => Some(sequence(id, wanted, is)),
        (Body::Table(wanted), Body::Table(is)) => table(id, wanted, is, version),
        (Body::Column(wanted), Body::Column(is)) => {
            let table = id.holder_name()?;
            wanted.altered_from(is, &table, &id.name, version)
        }
        (Body::Default(wanted), Body::Default(is)) => {
            let mut change = Alteration::default();
            if wanted != is {
                change.note("it is", is.as_str(), wanted.as_str(), create::default(id, wanted));
            }
            Some(change)
        }
        (Body::Constraint(wanted), Body::Constraint(is)) => constraint(id, wanted, is),
        (Body::Index(wanted), Body::Index(is)) => index(id, wanted, is),
        (Body::Statistics { definition, target }, Body::Statistics { definition: is, target: was }) => {
            let mut change = Alteration::default();
            if target != was {
                change.facet("their target is another one", create::statistics_target(id, *target));
            }
            (definition == is).then_some(change)
        }
        (Body::View(wanted), Body::View(is)) => view(id, wanted, is),
        (Body::Routine(wanted), Body::Routine(is)) => routine(wanted, is),
        (Body::Link(wanted), Body::Link(is)) => (wanted == is).then(Alteration::default),
        _ => None,
    }
}

fn extension(id: &ObjectId, wanted: &Ident, is: &Ident) -> Alteration {
    let mut change = Alteration::default();
    if wanted != is {
        let statement = sql!("ALTER EXTENSION {} SET SCHEMA {}", id.name, wanted);
        change.note("it is in schema", &is.shortest(), &wanted.shortest(), statement);
    }
    change
}

fn switched(id: &ObjectId, wanted: Firing, is: Firing) -> Alteration {
    let mut change = Alteration::default();
    if wanted != is {
        let words = |firing| match firing {
            Firing::Origin => "enabled",
            Firing::Disabled => "disabled",
            Firing::Replica => "enabled on replicas only",
            Firing::Always => "enabled always",
        };
        change.note("it is", words(is), words(wanted), firing_statement(id, wanted));
    }
    change
}

/// Sets when a trigger, rule or event trigger fires.
pub(super) fn firing_statement(id: &ObjectId, firing: Firing) -> Sql {
    let word = Sql::build(
        match firing {
            Firing::Origin => "ENABLE",
            Firing::Disabled => "DISABLE",
            Firing::Replica => "ENABLE REPLICA",
            Firing::Always => "ENABLE ALWAYS",
        },
        &[],
    );
    match id.holder_name() {
        Some(table) => sql!("ALTER TABLE {} {} {} {}", table, word, id.kind.class(), id.name),
        None => sql!("ALTER EVENT TRIGGER {} {}", id.name, word),
    }
}

/// Values can be added anywhere, and nothing else.
fn enum_values(id: &ObjectId, wanted: &[String], is: &[String]) -> Option<Alteration> {
    let mut kept = wanted.iter().filter(|value| is.contains(value));
    if !is.iter().all(|value| kept.next() == Some(value)) {
        return None;
    }
    let mut change = Alteration::default();
    for (at, value) in wanted.iter().enumerate().filter(|(_, value)| !is.contains(value)) {
        let new = Literal(value.clone());
        let behind = at.checked_sub(1).and_then(|before| wanted.get(before));
        let statement = match (behind, is.first()) {
            (Some(before), _) => {
                sql!("ALTER TYPE {} ADD VALUE {} AFTER {}", id.qualified(), new, Literal(before.clone()))
            }
            (None, Some(first)) => {
                sql!("ALTER TYPE {} ADD VALUE {} BEFORE {}", id.qualified(), new, Literal(first.clone()))
            }
            (None, None) => sql!("ALTER TYPE {} ADD VALUE {}", id.qualified(), new),
        };
        change.facet(&format!("it lacks the value {value}"), statement);
    }
    Some(change)
}

fn domain(id: &ObjectId, wanted: &Domain, is: &Domain) -> Option<Alteration> {
    if (&wanted.base, &wanted.collation) != (&is.base, &is.collation) {
        return None;
    }
    let mut change = Alteration::default();
    let name = id.qualified();
    if wanted.default != is.default {
        let statement = match &wanted.default {
            Some(default) => sql!("ALTER DOMAIN {} SET DEFAULT {}", name, default),
            None => sql!("ALTER DOMAIN {} DROP DEFAULT", name),
        };
        change.facet("its default is another one", statement);
    }
    match (wanted.not_null, is.not_null) {
        (true, false) => change.facet("it takes NULL, and should not", sql!("ALTER DOMAIN {} SET NOT NULL", name)),
        (false, true) => {
            change.facet("it is NOT NULL, and should not be", sql!("ALTER DOMAIN {} DROP NOT NULL", name));
        }
        (true, true) | (false, false) => {}
    }
    Some(change)
}

fn sequence(id: &ObjectId, wanted: &Sequence, is: &Sequence) -> Alteration {
    let mut change = Alteration::default();
    let name = id.qualified();
    if wanted.data_type != is.data_type {
        let statement = sql!("ALTER SEQUENCE {} AS {}", name, wanted.data_type);
        change.note("its type is", is.data_type.as_str(), wanted.data_type.as_str(), statement);
    }
    if wanted.numbers() != is.numbers() {
        let statement = sql!("ALTER SEQUENCE {} {}", name, sequence_options(wanted));
        change.facet("it counts in another way", statement);
    }
    if wanted.unlogged != is.unlogged {
        let statement = if wanted.unlogged {
            sql!("ALTER SEQUENCE {} SET UNLOGGED", name)
        } else {
            sql!("ALTER SEQUENCE {} SET LOGGED", name)
        };
        change.facet(logged_words(wanted.unlogged), statement);
    }
    change
}

fn logged_words(unlogged: bool) -> &'static str {
    if unlogged { "it is logged, and should be UNLOGGED" } else { "it is UNLOGGED, and should be logged" }
}

impl Sequence {
    /// How it counts.
    pub(super) fn numbers(&self) -> (i64, i64, i64, i64, i64, bool) {
        (self.start, self.increment, self.min, self.max, self.cache, self.cycle)
    }
}

fn table(id: &ObjectId, wanted: &Table, is: &Table, version: u32) -> Option<Alteration> {
    let name = id.qualified();
    let mut change = Alteration::default();
    match (&wanted.form, &is.form) {
        (TableForm::Ordinary, TableForm::Ordinary) => {}
        (TableForm::Partitioned { by }, TableForm::Partitioned { by: was }) if by == was => {}
        (TableForm::Foreign { server, options }, TableForm::Foreign { server: was, options: had }) if server == was => {
            let options = foreign_options_change(had, options);
            if !options.is_empty() {
                let statement = sql!("ALTER FOREIGN TABLE {}{}", name, options);
                change.facet("its options for the foreign server differ", statement);
            }
        }
        (TableForm::Ordinary | TableForm::Partitioned { .. } | TableForm::Foreign { .. }, _) => return None,
    }
    if wanted.unlogged != is.unlogged {
        let statement = if wanted.unlogged {
            sql!("ALTER TABLE {} SET UNLOGGED", name)
        } else {
            sql!("ALTER TABLE {} SET LOGGED", name)
        };
        change.facet(logged_words(wanted.unlogged), statement);
    }
    if let (Some(method), Some(was)) = (&wanted.access_method, &is.access_method)
        && method != was
    {
        if version < 150_000 {
            return None;
        }
        let statement = sql!("ALTER TABLE {} SET ACCESS METHOD {}", name, method);
        change.note("its access method is", &was.shortest(), &method.shortest(), statement);
    }
    if wanted.of_type != is.of_type {
        let statement = match &wanted.of_type {
            Some(of_type) => sql!("ALTER TABLE {} OF {}", name, of_type),
            None => sql!("ALTER TABLE {} NOT OF", name),
        };
        change.facet("the type that it is made of is another one", statement);
    }
    options(sql!("ALTER TABLE {}", name), &is.options, &wanted.options, &mut change);
    let switches = [
        (wanted.row_security, is.row_security, "row security is", ["ENABLE", "DISABLE"]),
        (wanted.forced_row_security, is.forced_row_security, "row security for its owner is", ["FORCE", "NO FORCE"]),
    ];
    for (on, was, what, [enable, disable]) in switches {
        if on != was {
            let words = |on| if on { "on" } else { "off" };
            let verb = Sql::build(if on { enable } else { disable }, &[]);
            change.note(what, words(was), words(on), sql!("ALTER TABLE {} {} ROW LEVEL SECURITY", name, verb));
        }
    }
    Some(change)
}

fn options(alter: Sql, is: &Options, wanted: &Options, change: &mut Alteration) {
    if wanted == is {
        return;
    }
    let (set, reset) = options_change(is, wanted);
    let shown = |options: &Options| {
        let each: Vec<String> = options.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if each.is_empty() { "none".to_owned() } else { each.join(", ") }
    };
    change.facets.push(format!("its options are {}, and should be {}", shown(is), shown(wanted)));
    if !set.is_empty() {
        change.statements.push(sql!("{} SET ({})", alter, OptionList(&set)));
    }
    if !reset.0.is_empty() {
        change.statements.push(sql!("{} RESET ({})", alter, reset));
    }
}

fn constraint(id: &ObjectId, wanted: &Constraint, is: &Constraint) -> Option<Alteration> {
    if wanted.definition != is.definition || wanted.only != is.only || is.validated && !wanted.validated {
        return None;
    }
    let mut change = Alteration::default();
    let holder = id.holder_name()?;
    if wanted.validated && !is.validated {
        let statement = match id.kind {
            Kind::DomainConstraint => sql!("ALTER DOMAIN {} VALIDATE CONSTRAINT {}", holder, id.name),
            _ => sql!("ALTER TABLE {} VALIDATE CONSTRAINT {}", holder, id.name),
        };
        change.facet("existing rows are not proven to keep it", statement);
    }
    let index = TableName { schema: holder.schema, name: id.name.clone() };
    options(sql!("ALTER INDEX {}", index), &is.options, &wanted.options, &mut change);
    Some(change)
}

fn index(id: &ObjectId, wanted: &Index, is: &Index) -> Option<Alteration> {
    if wanted.definition != is.definition {
        return None;
    }
    let mut change = Alteration::default();
    let positions = wanted.statistics.keys().chain(is.statistics.keys());
    let mut positions: Vec<i16> = positions.copied().collect();
    positions.sort_unstable();
    positions.dedup();
    for position in positions {
        let target = wanted.statistics.get(&position).copied().unwrap_or(-1);
        if is.statistics.get(&position).copied().unwrap_or(-1) != target {
            let statement = create::index_statistics(id, position, target);
            change.facet("a statistics target is another one", statement);
        }
    }
    Some(change)
}

fn view(id: &ObjectId, wanted: &View, is: &View) -> Option<Alteration> {
    let mut change = Alteration::default();
    if id.kind == Kind::View {
        if wanted != is {
            if !wanted.columns.starts_with(&is.columns) {
                return None;
            }
            let what = if wanted.query == is.query { "its options differ" } else { "its query is another one" };
            change.facet(what, create::view(id, wanted, true));
        }
        return Some(change);
    }
    if (&wanted.query, &wanted.columns) != (&is.query, &is.columns) {
        return None;
    }
    options(sql!("ALTER MATERIALIZED VIEW {}", id.qualified()), &is.options, &wanted.options, &mut change);
    Some(change)
}

fn routine(wanted: &Routine, is: &Routine) -> Option<Alteration> {
    if wanted.signature != is.signature {
        return None;
    }
    let mut change = Alteration::default();
    if wanted.definition != is.definition {
        change.facet("its definition is another one", sql!("{}", wanted.definition));
    }
    Some(change)
}

/// Takes a type that columns still have out of the way of the new one.
pub(super) fn set_aside(id: &ObjectId) -> Sql {
    sql!("ALTER TYPE {} RENAME TO {}", id.qualified(), aside(&id.name))
}

/// The name of a type that was set aside.
pub(super) fn aside(name: &Ident) -> Ident {
    Ident::derived("_cf_old_", name.as_str())
}

/// A number of the catalog as SQL.
pub(super) fn number(value: i32) -> Number {
    Number(i64::from(value))
}
