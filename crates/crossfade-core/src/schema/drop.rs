//! The statement that ends an object, and what it takes along.

use super::Body;
use super::DatabaseSchema;
use super::Kind;
use super::Object;
use super::ObjectId;
use crate::sql;
use crate::sql::Sql;

/// Drops an object; none where it goes by itself.
pub(super) fn drop(id: &ObjectId, object: &Object) -> Option<Sql> {
    match (&object.body, id.kind) {
        (Body::Implied, _) => None,
        (Body::Link(link), _) => link.undo.as_ref().map(|undo| sql!("{}", undo)),
        (_, Kind::Column) => Some(sql!("ALTER TABLE {} DROP COLUMN {}", id.holder_name()?, id.name)),
        (_, Kind::Default) => {
            Some(sql!("ALTER TABLE ONLY {} ALTER COLUMN {} DROP DEFAULT", id.holder_name()?, id.name))
        }
        (_, Kind::Constraint | Kind::ForeignKey) => {
            Some(sql!("ALTER TABLE {} DROP CONSTRAINT {}", id.holder_name()?, id.name))
        }
        (_, Kind::DomainConstraint) => Some(sql!("ALTER DOMAIN {} DROP CONSTRAINT {}", id.holder_name()?, id.name)),
        _ => Some(sql!("DROP {} {}", id.kind.class(), id.reference())),
    }
}

/// Whether something goes with one of the objects that go, so that no statement of its own is needed.
pub(super) fn goes_along(id: &ObjectId, schema: &DatabaseSchema, gone: &dyn Fn(&ObjectId) -> bool) -> bool {
    let link = schema.get(id).and_then(|object| object.body.link());
    let held = schema.holder(id).is_some_and(|holder| gone(&holder));
    match (id.kind, link) {
        (Kind::OwnedBy | Kind::Inheritance, Some(link)) => gone(&link.child),
        // A partition that goes alone is detached before: foreign keys to the parent hold it.
        (Kind::Partition, Some(link)) => gone(&link.child) && gone(&link.parent),
        (Kind::Table | Kind::ForeignTable, _) => partition_of(id, schema).is_some_and(gone),
        (Kind::PublicationTable | Kind::PublicationSchema, Some(link)) => gone(&link.child) || gone(&link.parent),
        (Kind::IndexPartition, _) => true,
        (Kind::ForeignKey, _) => held && !ties_two_that_go(id, schema, gone),
        (Kind::Default, _) => held || gone(&ObjectId { kind: Kind::Column, ..id.clone() }),
        (Kind::Sequence, _) => owned(id, schema, gone),
        (Kind::Index | Kind::Constraint, _) => held || index_table(id, schema, gone) || part_of_gone(id, schema, gone),
        _ => held,
    }
}

/// A foreign key between two tables that go stands in the way of the first one, whichever that is.
fn ties_two_that_go(id: &ObjectId, schema: &DatabaseSchema, gone: &dyn Fn(&ObjectId) -> bool) -> bool {
    let Some(object) = schema.get(id) else { return false };
    let inherited = object.body.constraint().is_some_and(|constraint| constraint.inherited);
    let holder = schema.holder(id);
    let mut tables =
        object.requires.iter().filter_map(|other| schema.holder(other)).filter(|table| Some(table) != holder.as_ref());
    !inherited && tables.any(|table| gone(&table))
}

/// The table that this one is a partition of.
pub(super) fn partition_of<'s>(table: &ObjectId, schema: &'s DatabaseSchema) -> Option<&'s ObjectId> {
    let link = ObjectId { kind: Kind::Partition, ..table.clone() };
    schema.get(&link)?.body.link().map(|link| &link.parent)
}

/// A sequence goes with the column that owns it.
fn owned(id: &ObjectId, schema: &DatabaseSchema, gone: &dyn Fn(&ObjectId) -> bool) -> bool {
    let mut owners = schema.links(Kind::OwnedBy).filter(|(_, link)| link.child == *id).map(|(_, link)| &link.parent);
    owners.any(|column| gone(column) || schema.holder(column).is_some_and(|table| gone(&table)))
}

/// An index goes with its table, which its identity does not name.
fn index_table(id: &ObjectId, schema: &DatabaseSchema, gone: &dyn Fn(&ObjectId) -> bool) -> bool {
    let requires = schema.get(id).map(|object| &object.requires);
    let mut tables = requires.into_iter().flatten().filter(|other| {
        id.kind == Kind::Index && matches!(other.kind, Kind::Table | Kind::MaterializedView | Kind::ForeignTable)
    });
    tables.any(gone)
}

/// The index of a partition goes with the one that it is attached to, unless the table was detached before.
fn part_of_gone(id: &ObjectId, schema: &DatabaseSchema, gone: &dyn Fn(&ObjectId) -> bool) -> bool {
    schema.links(Kind::IndexPartition).any(|(link_id, link)| {
        let detached = link_id.holder_name().is_some_and(|table| {
            gone(&ObjectId {
                kind: Kind::Partition,
                schema: Some(table.schema),
                on: None,
                name: table.name,
                arguments: None,
            })
        });
        link.child == *id && !detached && (gone(&link.parent) || part_of_gone(&link.parent, schema, gone))
    })
}
