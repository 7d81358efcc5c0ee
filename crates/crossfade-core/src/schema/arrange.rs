//! Which change waits for which, from what each object requires.

use std::collections::BTreeMap;

use super::Body;
use super::Kind;
use super::ObjectId;
use super::difference::Inline;
use super::difference::Work;
use super::drop;
use super::fate::Fate;
use super::order::Deed;
use super::order::Tasks;

impl<'a> Work<'a> {
    /// What goes, goes before what it requires; also what goes along with something else.
    pub(super) fn order_ends(&self, tasks: &mut Tasks<'a>) {
        for (id, _) in self.fates.each().filter(|(id, _)| self.fates.is_gone(id)) {
            let Some(object) = self.found.get(id) else { continue };
            let end = self.end_by(id, tasks);
            for other in &object.requires {
                tasks.before(end, self.end_by(other, tasks));
            }
        }
        for (_, link) in self.found.links(Kind::Inheritance) {
            tasks.before(self.end_by(&link.child, tasks), self.end_by(&link.parent, tasks));
        }
        for (id, fate) in self.fates.each() {
            if let (Fate::Changes(_), Some(object)) = (fate, self.found.get(id)) {
                for other in &object.requires {
                    tasks.before(tasks.find(Deed::Alter, id), tasks.find(Deed::DropLate, other));
                }
            }
        }
    }

    /// The task that ends something: its own, or the one of what it goes along with.
    fn end_by(&self, id: &ObjectId, tasks: &Tasks<'a>) -> Option<usize> {
        tasks.end_of(id).or_else(|| {
            let tables = [Kind::Table, Kind::MaterializedView, Kind::ForeignTable];
            let holder = match id.kind {
                Kind::Index => self.found.get(id)?.requires.iter().find(|other| tables.contains(&other.kind)).cloned(),
                Kind::Sequence => {
                    let mut owners = self.found.links(Kind::OwnedBy).filter(|(_, link)| link.child == *id);
                    owners.next().map(|(_, link)| link.parent.clone())
                }
                Kind::Table | Kind::ForeignTable => drop::partition_of(id, self.found).cloned(),
                _ => self.found.holder(id),
            };
            holder.filter(|holder| holder != id).and_then(|holder| self.end_by(&holder, tasks))
        })
    }

    /// What is made or changed comes behind what it requires.
    pub(super) fn order_makes(&self, tasks: &mut Tasks<'a>, inline: &Inline<'a>) {
        let along: Vec<(&'a ObjectId, usize)> =
            self.expected.objects.keys().filter_map(|id| Some((id, self.done_by(id, tasks)?))).collect();
        for (id, task) in &along {
            let Some(object) = self.expected.get(id) else { continue };
            let written = id.kind != Kind::Default || inline.contains_key(id) || tasks.done_by(id).is_some();
            for other in object.requires.iter().filter(|_| written) {
                tasks.before(self.done_by(other, tasks), Some(*task));
            }
            tasks.before(tasks.find(Deed::SetAside, id), Some(*task));
            if let Body::Table(table) = &object.body {
                for parent in &table.inherits {
                    let parent = ObjectId::within(Kind::Table, parent.schema.as_str(), parent.name.as_str());
                    tasks.before(self.done_by(&parent, tasks), Some(*task));
                }
            }
        }
        // The sequence of an identity has the name until the column is none any more.
        for (id, object) in self.found.objects.iter().filter(|(id, _)| id.kind == Kind::Sequence) {
            for column in object.requires.iter().filter(|other| other.kind == Kind::Column) {
                tasks.before(tasks.find(Deed::Alter, column), tasks.find(Deed::Make, id));
            }
        }
        self.order_partitions(tasks);
    }

    /// A table is attached with its columns, constraints and indexes; the indexes take their places behind that.
    fn order_partitions(&self, tasks: &mut Tasks<'a>) {
        let kinds = [Kind::Partition, Kind::Inheritance];
        let tables: BTreeMap<&ObjectId, usize> = kinds
            .into_iter()
            .flat_map(|kind| self.expected.links(kind))
            .filter_map(|(id, link)| Some((&link.child, tasks.find(Deed::Make, id)?)))
            .collect();
        if tables.is_empty() {
            return;
        }
        for (id, object) in &self.expected.objects {
            let held = matches!(id.kind, Kind::Column | Kind::Constraint | Kind::IndexPartition);
            let table = if id.kind == Kind::Index {
                object.requires.iter().find(|other| tables.contains_key(other)).cloned()
            } else {
                self.expected.holder(id).filter(|_| held)
            };
            // What is inside of a partition is ready before that is attached.
            let inner = if id.kind == Kind::IndexPartition { table.as_ref() } else { Some(id) };
            let outer = inner.filter(|_| matches!(id.kind, Kind::IndexPartition | Kind::Partition));
            let outer = outer
                .and_then(|inner| drop::partition_of(inner, self.expected))
                .and_then(|parent| tables.get(parent).copied());
            tasks.before(tasks.find(Deed::Make, id), outer);
            let Some(attach) = table.and_then(|table| tables.get(&table).copied()) else { continue };
            if id.kind == Kind::IndexPartition {
                tasks.before(Some(attach), tasks.find(Deed::Make, id));
            } else {
                tasks.before(tasks.done_by(id), Some(attach));
            }
        }
    }

    /// The task behind which something is as it is to be: its own, or the one of what it comes with.
    fn done_by(&self, id: &ObjectId, tasks: &Tasks<'a>) -> Option<usize> {
        tasks.done_by(id).or_else(|| {
            if !self.fates.is_made(id) {
                return None;
            }
            let holder = self.expected.holder(id).and_then(|holder| tasks.done_by(&holder));
            match id.kind {
                Kind::Default => self.done_by(&ObjectId { kind: Kind::Column, ..id.clone() }, tasks),
                Kind::Sequence => {
                    let column = self.expected.get(id)?.requires.iter().find(|other| other.kind == Kind::Column);
                    column.and_then(|column| self.done_by(column, tasks))
                }
                _ => holder,
            }
        })
    }
}
