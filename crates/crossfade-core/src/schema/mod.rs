//! A database's schema as a value, object by object, and what has to be run on one to make it equal to another.
//!
//! [`DatabaseSchema`] holds everything that a migration can make: who reads it from a server fills it in, and says of each object what it
//! requires. [`difference`] compares two of them and gives the changes in an order in which they can be run. It reads nothing and asks nobody.
//!
//! It has nothing to do with the planner's [`Catalog`](crate::catalog::Catalog), which knows sizes and hazards, and of many objects only that they are there.
//! Left aside, here as there: the order of columns, sizes, statistics, tablespaces, and the rows.

mod alter;
mod arrange;
mod body;
mod column;
mod create;
mod difference;
mod dressing;
mod drop;
mod fate;
mod id;
mod ignore;
mod order;
mod rights;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde::Serialize;

pub use self::body::Attribute;
pub use self::body::Body;
pub use self::body::Constraint;
pub use self::body::Domain;
pub use self::body::Firing;
pub use self::body::Index;
pub use self::body::Link;
pub use self::body::Options;
pub use self::body::Routine;
pub use self::body::Sequence;
pub use self::body::Table;
pub use self::body::TableForm;
pub use self::body::View;
pub use self::column::Column;
pub use self::column::Generated;
pub use self::column::Identity;
pub use self::column::NotNull;
pub use self::difference::Change;
pub use self::difference::Compare;
pub use self::difference::Difference;
pub use self::difference::difference;
pub use self::id::Kind;
pub use self::id::ObjectId;
pub(crate) use self::ignore::matches;
pub use self::rights::Grant;
pub use self::rights::Grantee;

use crate::sql::Ident;

/// Everything in a database that a migration can make, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DatabaseSchema {
    /// The server's version as a number: 150004.
    pub server_version: u32,
    /// The role that looked; what is made anew belongs to it.
    pub current_user: String,
    /// The objects.
    #[serde(serialize_with = "as_list")]
    pub objects: BTreeMap<ObjectId, Object>,
    /// The rights that a new object has where no default privileges say otherwise.
    #[serde(skip)]
    pub usual_rights: BTreeMap<Kind, BTreeSet<Grant>>,
    /// What is there and is not compared, one line a kind: `2 operators`.
    pub uncompared: Vec<String>,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Object {
    /// What it is made of.
    pub body: Body,
    /// Its owner.
    pub owner: Option<Ident>,
    /// Its comment.
    pub comment: Option<String>,
    /// Who may do what with it.
    pub grants: BTreeSet<Grant>,
    /// What must be there before it, and goes only after it.
    pub requires: BTreeSet<ObjectId>,
}

impl Object {
    /// Without owner, comment, grants and requirements.
    pub fn new(body: Body) -> Object {
        Object { body, owner: None, comment: None, grants: BTreeSet::new(), requires: BTreeSet::new() }
    }
}

impl DatabaseSchema {
    /// The object with this identity.
    pub fn get(&self, id: &ObjectId) -> Option<&Object> {
        self.objects.get(id)
    }

    /// The table, view or type that something hangs on.
    fn holder(&self, id: &ObjectId) -> Option<ObjectId> {
        Kind::HOLDERS.into_iter().filter_map(|kind| id.holder(kind)).find(|holder| self.objects.contains_key(holder))
    }

    /// Links of this kind at this object.
    fn links(&self, kind: Kind) -> impl Iterator<Item = (&ObjectId, &Link)> {
        let of_kind = self.objects.iter().filter(move |(id, _)| id.kind == kind);
        of_kind.filter_map(|(id, object)| Some((id, object.body.link()?)))
    }
}

fn as_list<S: serde::Serializer>(objects: &BTreeMap<ObjectId, Object>, to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Entry<'a> {
        id: &'a ObjectId,
        #[serde(flatten)]
        object: &'a Object,
    }
    to.collect_seq(objects.iter().map(|(id, object)| Entry { id, object }))
}
