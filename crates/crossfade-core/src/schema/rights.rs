//! Owner, comment and grants: what every object can have.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde::Serialize;

use super::Body;
use super::DatabaseSchema;
use super::Kind;
use super::Object;
use super::ObjectId;
use crate::sql;
use crate::sql::Ident;
use crate::sql::Literal;
use crate::sql::ServerText;
use crate::sql::Sql;

/// A right that somebody has on an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Grant {
    /// Who.
    pub grantee: Grantee,
    /// Whether the right may be passed on.
    pub grantable: bool,
    /// `SELECT`, as the server spells it.
    pub privilege: ServerText,
}

/// Who has a right.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Grantee {
    /// Everybody.
    Public,
    /// The owner, whoever that is.
    Owner,
    /// A role.
    Role(Ident),
}

/// What default privileges can be for: the letter of the catalog, the word of GRANT, and the kinds.
const DEFAULTS: [(&str, &str, &[Kind]); 5] = [
    ("r", "TABLES", &[Kind::Table, Kind::ForeignTable, Kind::View, Kind::MaterializedView]),
    ("S", "SEQUENCES", &[Kind::Sequence]),
    ("f", "FUNCTIONS", &[Kind::Function, Kind::Procedure, Kind::Aggregate]),
    ("T", "TYPES", &[Kind::Type]),
    ("n", "SCHEMAS", &[Kind::Schema]),
];

/// The word of GRANT for the letter of default privileges.
pub(super) fn default_class(letter: &Ident) -> &'static str {
    let of = DEFAULTS.into_iter().find(|(other, ..)| *other == letter.as_str());
    of.map_or("LARGE OBJECTS", |(_, class, _)| class)
}

/// A kind of object that default privileges are for, to look its usual rights up.
pub(super) fn default_kind(id: &ObjectId) -> Option<Kind> {
    let of = DEFAULTS.into_iter().find(|(letter, ..)| *letter == id.name.as_str());
    of.and_then(|(_, _, kinds)| kinds.first().copied())
}

/// The object's kind as GRANT has it; none where it takes no grants.
fn granted_class(kind: Kind) -> Option<Sql> {
    let class = match kind {
        Kind::ForeignTable | Kind::View | Kind::MaterializedView => Kind::Table.class(),
        Kind::Aggregate => Kind::Function.class(),
        Kind::Server => sql!("FOREIGN SERVER"),
        kind => kind.class(),
    };
    const GRANTED: [Kind; 12] = [
        Kind::Schema,
        Kind::Wrapper,
        Kind::Server,
        Kind::Type,
        Kind::Sequence,
        Kind::Function,
        Kind::Procedure,
        Kind::Aggregate,
        Kind::Table,
        Kind::ForeignTable,
        Kind::View,
        Kind::MaterializedView,
    ];
    GRANTED.contains(&kind).then_some(class)
}

/// Sets the comment, or takes it away; nothing where it has no place for one.
pub(super) fn comment(id: &ObjectId, text: Option<&String>) -> Option<Sql> {
    let class = id.kind.class();
    let text = match text {
        Some(text) => sql!("{}", Literal(text.clone())),
        None => sql!("NULL"),
    };
    (!class.is_empty()).then(|| sql!("COMMENT ON {} {} IS {}", class, id.reference(), text))
}

/// Gives the object to a role; nothing where it has no owner of its own.
pub(super) fn owner(id: &ObjectId, body: &Body, role: &Ident) -> Option<Sql> {
    let owned = matches!(
        id.kind,
        Kind::Schema
            | Kind::Wrapper
            | Kind::Server
            | Kind::Collation
            | Kind::Type
            | Kind::Sequence
            | Kind::Function
            | Kind::Procedure
            | Kind::Aggregate
            | Kind::Table
            | Kind::ForeignTable
            | Kind::View
            | Kind::MaterializedView
            | Kind::Statistics
            | Kind::Publication
            | Kind::EventTrigger
    );
    (owned && *body != Body::Implied).then(|| sql!("ALTER {} {} OWNER TO {}", id.kind.class(), id.reference(), role))
}

/// The rights that a fresh object has in this database.
pub(super) fn usual(id: &ObjectId, schema: &DatabaseSchema) -> BTreeSet<Grant> {
    let hard_wired = || schema.usual_rights.get(&id.kind).cloned().unwrap_or_default();
    let Some((letter, ..)) = DEFAULTS.into_iter().find(|(.., kinds)| kinds.contains(&id.kind)) else {
        return hard_wired();
    };
    let given = |within: Option<Ident>| {
        let key = ObjectId {
            schema: within,
            on: Some(Ident::new(schema.current_user.as_str())),
            ..ObjectId::global(Kind::DefaultPrivileges, letter)
        };
        schema.get(&key).map(|object| object.grants.clone())
    };
    let mut rights = given(None).unwrap_or_else(hard_wired);
    rights.extend(id.schema.clone().and_then(|within| given(Some(within))).unwrap_or_default());
    rights
}

/// Makes the rights `wanted` out of `is`.
pub(super) fn rights(id: &ObjectId, wanted: &BTreeSet<Grant>, is: &BTreeSet<Grant>, owner: &Ident) -> Vec<Sql> {
    let place = match (id.kind, id.holder_name()) {
        (Kind::DefaultPrivileges, _) => return default_privileges(id, wanted, is),
        (Kind::Column, Some(holder)) => Place { object: sql!("TABLE {}", holder), column: Some(&id.name), owner },
        (kind, _) => match granted_class(kind) {
            Some(class) => Place { object: sql!("{} {}", class, id.reference()), column: None, owner },
            None => return Vec::new(),
        },
    };
    changes(wanted, is)
        .into_iter()
        .map(|(change, grantee, privileges)| {
            let privileges = Sql::join(privileges.into_iter().map(|privilege| place.privilege(privilege)), ", ");
            change.statement(privileges, &place.object, &place.grantee(grantee))
        })
        .collect()
}

/// Where a GRANT is.
struct Place<'a> {
    object: Sql,
    column: Option<&'a Ident>,
    owner: &'a Ident,
}

impl Place<'_> {
    fn privilege(&self, privilege: &ServerText) -> Sql {
        match self.column {
            Some(column) => sql!("{} ({})", privilege, column),
            None => sql!("{}", privilege),
        }
    }

    fn grantee(&self, grantee: &Grantee) -> Sql {
        match grantee {
            Grantee::Public => sql!("PUBLIC"),
            Grantee::Owner => sql!("{}", self.owner),
            Grantee::Role(role) => sql!("{}", role),
        }
    }
}

/// One way in which a right changes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Revoke,
    RevokeOption,
    Grant,
    GrantWithOption,
}

impl Step {
    fn statement(self, privileges: Sql, object: &Sql, grantee: &Sql) -> Sql {
        match self {
            Step::Revoke => sql!("REVOKE {} ON {} FROM {}", privileges, object, grantee),
            Step::RevokeOption => sql!("REVOKE GRANT OPTION FOR {} ON {} FROM {}", privileges, object, grantee),
            Step::Grant => sql!("GRANT {} ON {} TO {}", privileges, object, grantee),
            Step::GrantWithOption => sql!("GRANT {} ON {} TO {} WITH GRANT OPTION", privileges, object, grantee),
        }
    }
}

/// What has to be granted and revoked, by grantee.
fn changes<'g>(wanted: &'g BTreeSet<Grant>, is: &'g BTreeSet<Grant>) -> Vec<(Step, &'g Grantee, Vec<&'g ServerText>)> {
    let same = |grants: &'g BTreeSet<Grant>, grant: &Grant| {
        grants.iter().find(|other| (&other.grantee, &other.privilege) == (&grant.grantee, &grant.privilege))
    };
    let mut steps: BTreeMap<(Step, &Grantee), Vec<&ServerText>> = BTreeMap::new();
    for grant in is {
        let step = match same(wanted, grant) {
            None => Step::Revoke,
            Some(kept) if grant.grantable && !kept.grantable => Step::RevokeOption,
            Some(_) => continue,
        };
        steps.entry((step, &grant.grantee)).or_default().push(&grant.privilege);
    }
    for grant in wanted {
        let there = same(is, grant);
        if there.is_some_and(|there| there.grantable || !grant.grantable) {
            continue;
        }
        let step = if grant.grantable { Step::GrantWithOption } else { Step::Grant };
        steps.entry((step, &grant.grantee)).or_default().push(&grant.privilege);
    }
    steps.into_iter().map(|((step, grantee), privileges)| (step, grantee, privileges)).collect()
}

fn default_privileges(id: &ObjectId, wanted: &BTreeSet<Grant>, is: &BTreeSet<Grant>) -> Vec<Sql> {
    let Some(role) = &id.on else { return Vec::new() };
    let class = Sql::build(default_class(&id.name), &[]);
    let mut head = sql!("ALTER DEFAULT PRIVILEGES FOR ROLE {}", role);
    if let Some(schema) = &id.schema {
        head = sql!("{} IN SCHEMA {}", head, schema);
    }
    let place = Place { object: class, column: None, owner: role };
    changes(wanted, is)
        .into_iter()
        .map(|(step, grantee, privileges)| {
            let privileges = Sql::join(privileges.into_iter().map(|privilege| sql!("{}", privilege)), ", ");
            sql!("{} {}", head, step.statement(privileges, &place.object, &place.grantee(grantee)))
        })
        .collect()
}

/// For people: `app has SELECT, and should not; app lacks INSERT`.
pub(super) fn words(wanted: &BTreeSet<Grant>, is: &BTreeSet<Grant>) -> String {
    let each = changes(wanted, is).into_iter().map(|(step, grantee, privileges)| {
        let who = match grantee {
            Grantee::Public => "everybody".to_owned(),
            Grantee::Owner => "the owner".to_owned(),
            Grantee::Role(role) => role.shortest(),
        };
        let what = privileges.into_iter().map(ServerText::as_str).collect::<Vec<_>>().join(", ");
        match step {
            Step::Revoke => format!("{who} has {what}, and should not"),
            Step::RevokeOption => format!("{who} may pass {what} on, and should not"),
            Step::Grant => format!("{who} lacks {what}"),
            Step::GrantWithOption => format!("{who} lacks {what} with the right to pass it on"),
        }
    });
    each.collect::<Vec<_>>().join("; ")
}

/// What a fresh object still lacks: owner, comment and rights.
pub(super) fn dress(id: &ObjectId, object: &Object, found: &DatabaseSchema, owners: bool) -> Vec<Sql> {
    let me = Ident::new(found.current_user.as_str());
    let given = object.owner.as_ref().filter(|owner| owners && **owner != me);
    let mut statements: Vec<Sql> = given.and_then(|role| self::owner(id, &object.body, role)).into_iter().collect();
    if object.comment.is_some() {
        statements.extend(comment(id, object.comment.as_ref()));
    }
    statements.extend(rights(id, &object.grants, &usual(id, found), given.unwrap_or(&me)));
    statements
}
