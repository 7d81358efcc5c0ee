//! What becomes of each object that was found: it stays, is changed, or goes; and what has to make way for that.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::Body;
use super::Column;
use super::DatabaseSchema;
use super::Kind;
use super::Link;
use super::Object;
use super::ObjectId;
use super::alter::Alteration;
use super::alter::alter;
use super::column::Cast;

/// What becomes of an object that was found.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    /// It stays as it is.
    Stays,
    /// It is changed.
    Changes(Alteration),
    /// It goes for good.
    Goes,
    /// It goes and is made anew. The reason: what it uses, where it does not differ itself.
    Anew(Option<ObjectId>),
}

impl Fate {
    fn is_gone(&self) -> bool {
        match self {
            Fate::Goes | Fate::Anew(_) => true,
            Fate::Stays | Fate::Changes(_) => false,
        }
    }
}

/// The fates of all that was found.
pub(super) struct Fates<'a> {
    pub expected: &'a DatabaseSchema,
    pub found: &'a DatabaseSchema,
    fates: BTreeMap<&'a ObjectId, Fate>,
    /// Types that go only when the columns have another one.
    late: BTreeSet<&'a ObjectId>,
}

impl<'a> Fates<'a> {
    pub fn decide(expected: &'a DatabaseSchema, found: &'a DatabaseSchema) -> Fates<'a> {
        let mut fates = BTreeMap::new();
        for (id, is) in &found.objects {
            let fate = match expected.get(id) {
                None => Fate::Goes,
                Some(wanted) => match alter(id, wanted, is, found) {
                    None => Fate::Anew(None),
                    Some(change) if change.is_empty() => Fate::Stays,
                    Some(change) => Fate::Changes(change),
                },
            };
            fates.insert(id, fate);
        }
        let mut all = Fates { expected, found, fates, late: BTreeSet::new() };
        while all.make_way() {}
        all.find_late();
        all
    }

    pub fn of(&self, id: &ObjectId) -> Option<&Fate> {
        self.fates.get(id)
    }

    pub fn each(&self) -> impl Iterator<Item = (&'a ObjectId, &Fate)> {
        self.fates.iter().map(|(id, fate)| (*id, fate))
    }

    /// Whether it was found, and goes.
    pub fn is_gone(&self, id: &ObjectId) -> bool {
        self.of(id).is_some_and(Fate::is_gone)
    }

    /// Whether it is wanted and not there, or not there any more.
    pub fn is_made(&self, id: &ObjectId) -> bool {
        self.expected.objects.contains_key(id) && self.of(id).is_none_or(Fate::is_gone)
    }

    /// Whether a type goes only when the columns have another one.
    pub fn is_late(&self, id: &ObjectId) -> bool {
        self.late.contains(id)
    }

    /// Whether it is changed, made and dropped through the parent that its table keeps.
    pub fn follows_parent(&self, id: &ObjectId, body: &Body) -> bool {
        let column = body.column().is_some_and(|column| column.inherited && !column.local);
        let constraint = body.constraint().is_some_and(|constraint| constraint.inherited);
        (column || constraint) && self.keeps_parent(id)
    }

    fn keeps_parent(&self, id: &ObjectId) -> bool {
        let Some(table) = id.holder_name() else { return false };
        let partition = ObjectId::within(Kind::Partition, table.schema.as_str(), table.name.as_str());
        let kept = |link: &ObjectId| matches!(self.of(link), Some(Fate::Stays | Fate::Changes(_)));
        let inherits = |link: &&ObjectId| {
            link.kind == Kind::Inheritance && link.schema == id.schema && link.on == id.on && kept(link)
        };
        kept(&partition) || self.fates.keys().copied().any(|link| inherits(&link))
    }

    /// One round; whether anything changed.
    fn make_way(&mut self) -> bool {
        let mut next = Vec::new();
        for (id, fate) in self.each() {
            if fate.is_gone() {
                continue;
            }
            let Some(object) = self.found.get(id) else { continue };
            if let Some(reason) = object.requires.iter().find(|other| self.displaces(id, object, other)) {
                next.push((id, Fate::Anew(Some(reason.clone()))));
            } else if let Some((column, reason)) = self.new_type_under(id, object) {
                let mut change = match fate {
                    Fate::Changes(change) => change.clone(),
                    Fate::Stays | Fate::Goes | Fate::Anew(_) => Alteration::default(),
                };
                let table = id.holder_name().unwrap_or_else(|| id.qualified());
                change.facets.push(format!("{reason} is made anew"));
                change.retype = Some(column.retype(&table, &id.name, Cast::ByText));
                next.push((id, Fate::Changes(change)));
            }
        }
        next.extend(self.parts_together());
        let changed = !next.is_empty();
        self.fates.extend(next);
        changed
    }

    /// Whether this object must go because of what becomes of one that it uses.
    fn displaces(&self, id: &ObjectId, object: &Object, other: &ObjectId) -> bool {
        match self.of(other) {
            Some(Fate::Goes | Fate::Anew(_)) => {
                let keeps = id.kind == Kind::Column && matches!(other.kind, Kind::Type | Kind::Collation);
                !keeps
            }
            Some(Fate::Changes(change)) if change.retype.is_some() => match id.kind {
                // The server builds them again, or they do not care.
                Kind::Index
                | Kind::Constraint
                | Kind::Statistics
                | Kind::Sequence
                | Kind::OwnedBy
                | Kind::Partition => false,
                Kind::Column => matches!(&object.body, Body::Column(column) if column.generated.is_some()),
                _ => true,
            },
            Some(Fate::Stays | Fate::Changes(_)) | None => false,
        }
    }

    /// A column that stays while its type is made anew: the column as it will be, and the type.
    fn new_type_under(&self, id: &ObjectId, object: &Object) -> Option<(&'a Column, ObjectId)> {
        if matches!(self.of(id), Some(Fate::Changes(change)) if change.retype.is_some()) {
            return None;
        }
        let Body::Column(_) = object.body else { return None };
        let Body::Column(wanted) = &self.expected.get(id)?.body else { return None };
        let changes = |other: &&ObjectId| matches!(other.kind, Kind::Type | Kind::Collation) && self.is_gone(other);
        let reason = object.requires.iter().find(changes)?;
        Some((wanted, reason.clone()))
    }

    /// The indexes of a partitioned table and of its partitions go together, but for those of a table that is detached or goes.
    fn parts_together(&self) -> Vec<(&'a ObjectId, Fate)> {
        let mut next = Vec::new();
        for (id, link) in self.found.links(Kind::IndexPartition) {
            let table = id.holder_name().unwrap_or_else(|| id.qualified());
            let link_of = ObjectId::within(Kind::Partition, table.schema.as_str(), table.name.as_str());
            let alone = self.is_gone(&link_of) || self.found.holder(id).is_some_and(|table| self.is_gone(&table));
            let Link { child, parent, .. } = link;
            for (one, other) in [(child, parent), (parent, child), (id, parent)] {
                if !alone && self.is_gone(one) && !self.is_gone(other) {
                    next.push((other, Fate::Anew(Some(one.clone()))));
                }
            }
        }
        next
    }

    /// A type that a column has until it gets another one goes behind that, and what the type needs, too.
    fn find_late(&mut self) {
        let mut late: Vec<&'a ObjectId> = Vec::new();
        for (id, fate) in self.each() {
            if matches!(fate, Fate::Changes(change) if change.retype.is_some())
                && let Some(object) = self.found.get(id)
            {
                late.extend(object.requires.iter().filter(|other| other.kind != Kind::Table && self.is_gone(other)));
            }
        }
        while let Some(id) = late.pop() {
            if self.late.insert(id)
                && let Some(object) = self.found.get(id)
            {
                late.extend(object.requires.iter().filter(|other| self.is_gone(other)));
            }
        }
    }
}
