//! A change in one sentence, for people.

use super::Kind;
use super::Object;
use super::ObjectId;
use super::alter::Alteration;

pub(super) fn missing(id: &ObjectId) -> String {
    if id.kind == Kind::Partition {
        return format!("{} is no partition, and should be one", table_of(id));
    }
    format!("{id} is missing")
}

pub(super) fn extra(id: &ObjectId) -> String {
    if id.kind == Kind::Partition {
        return format!("{} is a partition, and should not be one", table_of(id));
    }
    format!("{id} is there, and should not be")
}

pub(super) fn differs(id: &ObjectId, change: &Alteration) -> String {
    format!("{id}: {}", change.facets.join("; "))
}

/// It goes and comes again. The reason is what it uses, where it does not differ itself.
pub(super) fn dropped_first(id: &ObjectId, reason: Option<&ObjectId>) -> String {
    match reason {
        Some(reason) => format!("{id} goes and is made anew, since {reason} changes under it"),
        None => format!("{id} is another one; it goes and is made anew"),
    }
}

pub(super) fn made_anew(id: &ObjectId) -> String {
    format!("{id} is made anew")
}

pub(super) fn comment(id: &ObjectId, expected: Option<&String>, found: Option<&String>) -> String {
    match (expected, found) {
        (Some(_), None) => format!("{id} has no comment, and should have one"),
        (None, Some(_)) => format!("{id} has a comment, and should have none"),
        (Some(_), Some(_)) | (None, None) => format!("{id} has another comment"),
    }
}

/// What stands in it can't be brought back.
pub(super) fn loses_rows(id: &ObjectId, object: &Object) -> bool {
    let column = object.body.column().is_some_and(|column| column.generated.is_none());
    column || matches!(id.kind, Kind::Table | Kind::Sequence)
}

fn table_of(id: &ObjectId) -> String {
    ObjectId { kind: Kind::Table, ..id.clone() }.to_string()
}
