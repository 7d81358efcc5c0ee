//! What has to be run on one schema to make it equal to another.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde::Serialize;

use super::Body;
use super::DatabaseSchema;
use super::Kind;
use super::ObjectId;
use super::alter;
use super::create;
use super::drop;
use super::fate::Fate;
use super::fate::Fates;
use super::order::Deed;
use super::order::Task;
use super::order::Tasks;
use super::words;
use crate::sql;
use crate::sql::ServerText;
use crate::sql::Sql;

/// What is compared beside the objects themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compare {
    /// Who owns each object. Two servers often have other roles.
    pub owners: bool,
}

/// What differs, in an order in which it can be run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// The changes.
    pub changes: Vec<Change>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The object.
    pub object: ObjectId,
    /// What differs, in one sentence.
    pub sentence: String,
    /// What to run. Empty where it follows from another change.
    pub statements: Vec<Sql>,
    /// Whether that loses data that can't be brought back.
    pub loses_rows: bool,
}

impl Difference {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// What to run before the changes, in the same session.
    pub fn preamble(&self) -> Vec<Sql> {
        let kinds = [Kind::Function, Kind::Procedure];
        let functions = self.changes.iter().any(|change| kinds.contains(&change.object.kind));
        if functions { vec![sql!("SET check_function_bodies = off")] } else { Vec::new() }
    }

    /// Everything to run, in order. Not in one transaction: a value that is added to an enum can only be used once that is committed.
    pub fn statements(&self) -> Vec<Sql> {
        let changes = self.changes.iter().flat_map(|change| change.statements.iter().cloned());
        self.preamble().into_iter().chain(changes).collect()
    }
}

/// What has to be run on `found` to make it equal to `expected`.
pub fn difference(expected: &DatabaseSchema, found: &DatabaseSchema, compare: Compare) -> Difference {
    // Before 18 a NOT NULL has no name.
    if (expected.server_version >= 180_000) != (found.server_version >= 180_000) {
        return difference(&unnamed(expected), &unnamed(found), compare);
    }
    let fates = Fates::decide(expected, found);
    let work = Work { fates: &fates, expected, found, compare };
    let inline = work.inline_defaults();
    let tasks = work.tasks(&inline).sorted();
    let mut changes: Vec<Change> = tasks.iter().filter_map(|task| work.change(*task, &inline)).collect();
    changes.extend(work.dressing());
    Difference { changes }
}

/// Without the names of NOT NULL constraints.
fn unnamed(schema: &DatabaseSchema) -> DatabaseSchema {
    let mut schema = schema.clone();
    schema.server_version = schema.server_version.min(179_999);
    for object in schema.objects.values_mut() {
        if let Body::Column(column) = &mut object.body
            && let Some(not_null) = &mut column.not_null
        {
            not_null.name = None;
        }
    }
    schema
}

/// Defaults that are written with their columns.
pub(super) type Inline<'a> = BTreeMap<&'a ObjectId, &'a ServerText>;

/// Two schemas, and what becomes of the objects of the second.
pub(super) struct Work<'a> {
    pub fates: &'a Fates<'a>,
    pub expected: &'a DatabaseSchema,
    pub found: &'a DatabaseSchema,
    pub compare: Compare,
}

impl<'a> Work<'a> {
    /// Defaults that are written with the column that is made: nothing that they use waits for its table.
    fn inline_defaults(&self) -> Inline<'a> {
        let mut inline = BTreeMap::new();
        for (id, object) in &self.expected.objects {
            let (Kind::Default, Body::Default(expression)) = (id.kind, &object.body) else { continue };
            let column = ObjectId { kind: Kind::Column, ..id.clone() };
            let Some(Body::Column(body)) = self.expected.get(&column).map(|column| &column.body) else { continue };
            let made = self.fates.is_made(&column) && !self.comes_from_parent(&column, body.inherited && !body.local);
            let table = self.expected.holder(id);
            let uses_itself = || {
                let others = object.requires.iter().filter(|other| **other != column && Some(*other) != table.as_ref());
                self.reaches(others, &column, table.as_ref())
            };
            if made && !uses_itself() {
                inline.insert(id, expression);
            }
        }
        inline
    }

    /// Whether a column is written by no statement, because its table is made with INHERITS or the parent that it keeps has it.
    pub(super) fn comes_from_parent(&self, column: &ObjectId, inherited: bool) -> bool {
        let table = self.expected.holder(column);
        let inherits = table
            .as_ref()
            .and_then(|table| self.expected.get(table))
            .is_some_and(|table| matches!(&table.body, Body::Table(table) if !table.inherits.is_empty()));
        let made = table.as_ref().is_some_and(|table| self.fates.is_made(table));
        let body = self.expected.get(column).map(|column| &column.body);
        inherited && (made && inherits || body.is_some_and(|body| self.fates.follows_parent(column, body)))
    }

    /// Whether any of these requires, by whatever way, the column or its table.
    fn reaches<'o>(
        &'o self,
        from: impl Iterator<Item = &'o ObjectId>,
        column: &ObjectId,
        table: Option<&ObjectId>,
    ) -> bool {
        let mut open: Vec<&ObjectId> = from.collect();
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            if id == column || Some(id) == table {
                return true;
            }
            if seen.insert(id) {
                open.extend(self.expected.get(id).into_iter().flat_map(|object| &object.requires));
            }
        }
        false
    }

    fn tasks(&self, inline: &Inline<'a>) -> Tasks<'a> {
        let mut tasks = Tasks::default();
        for (id, fate) in self.fates.each() {
            match fate {
                Fate::Stays => {}
                Fate::Changes(change) => {
                    if !change.all(!self.type_from_parent(id)).is_empty() {
                        tasks.add(Deed::Alter, id);
                    }
                }
                Fate::Goes | Fate::Anew(_) => self.add_end(id, &mut tasks),
            }
        }
        for (id, object) in &self.expected.objects {
            if self.fates.is_made(id) && !self.is_made_along(id, &object.body, inline) {
                tasks.add(Deed::Make, id);
            }
        }
        self.order_ends(&mut tasks);
        self.order_makes(&mut tasks, inline);
        tasks
    }

    fn add_end(&self, id: &'a ObjectId, tasks: &mut Tasks<'a>) {
        let Some(object) = self.found.get(id) else { return };
        let gone = |other: &ObjectId| self.fates.is_gone(other);
        if drop::drop(id, object).is_none()
            || drop::goes_along(id, self.found, &gone)
            || self.fates.follows_parent(id, &object.body)
        {
            return;
        }
        if !self.fates.is_late(id) {
            tasks.add(Deed::Drop, id);
            return;
        }
        tasks.add(Deed::DropLate, id);
        if self.is_set_aside(id) {
            tasks.add(Deed::SetAside, id);
        }
    }

    /// Whether a type that columns still have is in the way of a new one.
    fn is_set_aside(&self, id: &ObjectId) -> bool {
        id.kind == Kind::Type && self.fates.is_late(id) && self.expected.objects.contains_key(id)
    }

    /// Whether the type of a column comes from the parent that its table keeps.
    fn type_from_parent(&self, id: &ObjectId) -> bool {
        let body = self.expected.get(id).map(|object| &object.body);
        body.is_some_and(|body| body.column().is_some() && self.fates.follows_parent(id, body))
    }

    /// Whether something that has to be made is made by the statement of something else.
    fn is_made_along(&self, id: &ObjectId, body: &Body, inline: &Inline<'a>) -> bool {
        let holder_made = || self.expected.holder(id).is_some_and(|holder| self.fates.is_made(&holder));
        match (body, id.kind) {
            (Body::Implied, _) => true,
            (Body::Column(_), _) => holder_made() || self.fates.follows_parent(id, body),
            (Body::Default(_), _) => inline.contains_key(id),
            (Body::Link(_), Kind::Inheritance) => holder_made(),
            (Body::Constraint(constraint), Kind::ForeignKey) => constraint.inherited,
            (Body::Constraint(constraint), _) => {
                constraint.inherited && (self.fates.follows_parent(id, body) || self.comes_from_parent(id, true))
            }
            _ => false,
        }
    }

    fn change(&self, task: Task<'a>, inline: &Inline<'a>) -> Option<Change> {
        let id = task.id;
        let change = |sentence: String, statements: Vec<Sql>| Change {
            object: id.clone(),
            sentence,
            statements,
            loses_rows: false,
        };
        match task.deed {
            Deed::Drop | Deed::DropLate => {
                let object = self.found.get(id)?;
                let sentence = match self.fates.of(id) {
                    Some(Fate::Anew(reason)) => words::dropped_first(id, reason.as_ref()),
                    Some(Fate::Goes | Fate::Stays | Fate::Changes(_)) | None => words::extra(id),
                };
                let named = if self.is_set_aside(id) {
                    ObjectId { name: alter::aside(&id.name), ..id.clone() }
                } else {
                    id.clone()
                };
                let statements = drop::drop(&named, object).into_iter().collect();
                Some(Change { loses_rows: words::loses_rows(id, object), ..change(sentence, statements) })
            }
            Deed::SetAside => {
                let sentence = format!("{id} makes way until no column has it any more");
                Some(change(sentence, vec![alter::set_aside(id)]))
            }
            Deed::Make => {
                let mut statements = create::create(id, self.expected, &|id| inline.get(id).copied());
                statements.extend(self.dress(id));
                let anew = matches!(self.fates.of(id), Some(Fate::Anew(_)));
                Some(change(if anew { words::made_anew(id) } else { words::missing(id) }, statements))
            }
            Deed::Alter => {
                let Some(Fate::Changes(alteration)) = self.fates.of(id) else { return None };
                let mut statements = alteration.all(!self.type_from_parent(id));
                if matches!(id.kind, Kind::View | Kind::Column) {
                    statements.extend(self.dress_along(id));
                }
                Some(change(words::differs(id, alteration), statements))
            }
        }
    }
}
