//! Owners, comments and rights: of what is made, along with it, and of what stays, at the end.

use std::collections::BTreeSet;

use super::Body;
use super::Change;
use super::DatabaseSchema;
use super::Grant;
use super::Kind;
use super::Object;
use super::ObjectId;
use super::difference::Work;
use super::rights;
use super::words;
use crate::sql::Ident;
use crate::sql::Sql;

impl<'a> Work<'a> {
    /// Owner, comment and rights of what a task makes, and of all that is made along with it.
    pub(super) fn dress(&self, id: &ObjectId) -> Vec<Sql> {
        let Some(object) = self.expected.get(id) else { return Vec::new() };
        let mut statements = rights::dress(id, object, self.found, self.compare.owners);
        statements.extend(self.dress_along(id));
        statements
    }

    pub(super) fn dress_along(&self, holder: &ObjectId) -> Vec<Sql> {
        let mut statements = Vec::new();
        for (id, object) in &self.expected.objects {
            let along = match (&object.body, id.kind) {
                (Body::Implied, Kind::Sequence) => object.requires.iter().any(|column| {
                    column.kind == Kind::Column
                        && (column == holder || self.expected.holder(column).as_ref() == Some(holder))
                }),
                (Body::Implied, Kind::Index) => object.requires.contains(holder),
                (Body::Implied | Body::Column(_), Kind::Column) => self.expected.holder(id).as_ref() == Some(holder),
                _ => false,
            };
            if along && id != holder && self.fates.is_made(id) {
                statements.extend(rights::dress(id, object, self.found, self.compare.owners));
            }
        }
        statements
    }

    /// What a column's rights are once the table's are as they should be: a REVOKE there takes the column's along.
    fn grants_left(&self, id: &ObjectId, grants: &BTreeSet<Grant>) -> BTreeSet<Grant> {
        let holder = if id.kind == Kind::Column { self.found.holder(id) } else { None };
        let both = holder.and_then(|holder| self.expected.get(&holder).zip(self.found.get(&holder)));
        let Some((wanted, is)) = both else { return grants.clone() };
        let has = |grants: &BTreeSet<Grant>, one: &Grant| {
            grants.iter().any(|grant| (&grant.grantee, &grant.privilege) == (&one.grantee, &one.privilege))
        };
        let revoked = |grant: &&Grant| has(&is.grants, grant) && !has(&wanted.grants, grant);
        grants.iter().filter(|grant| !revoked(grant)).cloned().collect()
    }

    /// A sequence that belongs to a column has the owner of the column's table, and takes no other.
    fn follows_its_table(&self, id: &ObjectId) -> bool {
        let mut both = [self.found, self.expected].into_iter();
        id.kind == Kind::Sequence && both.all(|it| it.links(Kind::OwnedBy).any(|(_, link)| link.child == *id))
    }

    /// Owner, comment and rights of what stays.
    pub(super) fn dressing(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        let none = BTreeSet::new();
        for (id, is) in self.found.objects.iter().filter(|(id, _)| !self.fates.is_gone(id)) {
            let Some(wanted) = self.expected.get(id) else { continue };
            let mut put = |sentence: String, statements: Vec<Sql>| {
                changes.push(Change { object: id.clone(), sentence, statements, loses_rows: false });
            };
            let owners = (wanted.owner.as_ref(), is.owner.as_ref());
            let differ = self.compare.owners && owners.0 != owners.1 && !self.follows_its_table(id);
            if let (true, (Some(role), Some(was))) = (differ, owners)
                && let Some(statement) = rights::owner(id, &is.body, role)
            {
                let who = (was.shortest(), role.shortest());
                put(format!("{id} belongs to {}, and should belong to {}", who.0, who.1), vec![statement]);
            }
            if wanted.comment != is.comment
                && let Some(statement) = rights::comment(id, wanted.comment.as_ref())
            {
                put(words::comment(id, wanted.comment.as_ref(), is.comment.as_ref()), vec![statement]);
            }
            let left = self.grants_left(id, &is.grants);
            if id.kind != Kind::DefaultPrivileges && wanted.grants != left {
                let me = Ident::new(self.found.current_user.as_str());
                let owner = is.owner.as_ref().unwrap_or(&me);
                let statements = rights::rights(id, &wanted.grants, &left, owner);
                put(format!("{id}: {}", rights::words(&wanted.grants, &left)), statements);
            }
        }
        let kind = |(id, _): &(&'a ObjectId, &'a Object)| id.kind == Kind::DefaultPrivileges;
        let both = self.found.objects.iter().chain(&self.expected.objects).filter(kind);
        for id in both.map(|(id, _)| id).collect::<BTreeSet<_>>() {
            let usual = rights::default_kind(id).filter(|_| id.schema.is_none());
            let usual = usual.and_then(|kind| self.found.usual_rights.get(&kind)).unwrap_or(&none);
            let of = |schema: &'a DatabaseSchema| schema.get(id).map(|object| &object.grants);
            let (wanted, is) = (of(self.expected).unwrap_or(usual), of(self.found).unwrap_or(usual));
            // They go with their schema.
            let schema = id.schema.as_ref().map(|schema| ObjectId::global(Kind::Schema, schema.as_str()));
            let gone = schema.is_some_and(|schema| !self.expected.objects.contains_key(&schema));
            if wanted != is && !gone {
                changes.push(Change {
                    object: id.clone(),
                    sentence: format!("{id}: {}", rights::words(wanted, is)),
                    statements: rights::rights(id, wanted, is, &Ident::new(self.found.current_user.as_str())),
                    loses_rows: false,
                });
            }
        }
        changes
    }
}
