//! What an object is called, and how SQL refers to it.

use std::fmt;

use serde::Serialize;

use crate::sql;
use crate::sql::Ident;
use crate::sql::ServerText;
use crate::sql::Sql;
use crate::sql::TableName;

/// What kind of object. In the order in which they are made, as far as nothing else decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A schema.
    Schema,
    /// An extension; what it made is not looked at.
    Extension,
    /// What roles get on objects that are yet to be made.
    DefaultPrivileges,
    /// A foreign-data wrapper.
    Wrapper,
    /// A foreign server.
    Server,
    /// A collation.
    Collation,
    /// An enum, a domain, a composite or a range.
    Type,
    /// A CHECK of a domain.
    DomainConstraint,
    /// A sequence.
    Sequence,
    /// A function.
    Function,
    /// A procedure.
    Procedure,
    /// An aggregate.
    Aggregate,
    /// A table, also a partitioned one.
    Table,
    /// A foreign table.
    ForeignTable,
    /// A column, also of a view or a composite.
    Column,
    /// That a table inherits from another.
    Inheritance,
    /// The default of a column.
    Default,
    /// That a sequence belongs to a column.
    OwnedBy,
    /// A CHECK, a key or an EXCLUDE of a table.
    Constraint,
    /// A view.
    View,
    /// A materialized view.
    MaterializedView,
    /// An index that is no constraint's.
    Index,
    /// That a table is a partition of another.
    Partition,
    /// That an index is the part of another one on its partition.
    IndexPartition,
    /// What a table's replication names rows by.
    ReplicaIdentity,
    /// The index by which CLUSTER orders a table.
    ClusterOn,
    /// A foreign key.
    ForeignKey,
    /// Extended statistics.
    Statistics,
    /// A rule.
    Rule,
    /// A trigger.
    Trigger,
    /// A policy of row security.
    Policy,
    /// A publication.
    Publication,
    /// That a publication has a table.
    PublicationTable,
    /// That a publication has all tables of a schema.
    PublicationSchema,
    /// An event trigger.
    EventTrigger,
}

impl Kind {
    /// What columns, constraints and the like can hang on.
    pub(super) const HOLDERS: [Kind; 5] =
        [Kind::Table, Kind::View, Kind::MaterializedView, Kind::ForeignTable, Kind::Type];

    /// As DROP and COMMENT ON have it.
    pub(super) fn class(self) -> Sql {
        let class = match self {
            Kind::Schema => "SCHEMA",
            Kind::Extension => "EXTENSION",
            Kind::Wrapper => "FOREIGN DATA WRAPPER",
            Kind::Server => "SERVER",
            Kind::Collation => "COLLATION",
            Kind::Type => "TYPE",
            Kind::Sequence => "SEQUENCE",
            Kind::Function => "FUNCTION",
            Kind::Procedure => "PROCEDURE",
            Kind::Aggregate => "AGGREGATE",
            Kind::Table => "TABLE",
            Kind::ForeignTable => "FOREIGN TABLE",
            Kind::Column => "COLUMN",
            Kind::DomainConstraint | Kind::Constraint | Kind::ForeignKey => "CONSTRAINT",
            Kind::View => "VIEW",
            Kind::MaterializedView => "MATERIALIZED VIEW",
            Kind::Index => "INDEX",
            Kind::Statistics => "STATISTICS",
            Kind::Rule => "RULE",
            Kind::Trigger => "TRIGGER",
            Kind::Policy => "POLICY",
            Kind::Publication => "PUBLICATION",
            Kind::EventTrigger => "EVENT TRIGGER",
            Kind::DefaultPrivileges
            | Kind::Inheritance
            | Kind::Default
            | Kind::OwnedBy
            | Kind::Partition
            | Kind::IndexPartition
            | Kind::ReplicaIdentity
            | Kind::ClusterOn
            | Kind::PublicationTable
            | Kind::PublicationSchema => "",
        };
        Sql::build(class, &[])
    }

    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Schema => "schema",
            Kind::Extension => "extension",
            Kind::DefaultPrivileges => "default privileges",
            Kind::Wrapper => "foreign-data wrapper",
            Kind::Server => "foreign server",
            Kind::Collation => "collation",
            Kind::Type => "type",
            Kind::DomainConstraint => "constraint of domain",
            Kind::Sequence => "sequence",
            Kind::Function => "function",
            Kind::Procedure => "procedure",
            Kind::Aggregate => "aggregate",
            Kind::Table => "table",
            Kind::ForeignTable => "foreign table",
            Kind::Column => "column",
            Kind::Inheritance => "inheritance",
            Kind::Default => "default of column",
            Kind::OwnedBy => "owner of sequence",
            Kind::Constraint => "constraint",
            Kind::View => "view",
            Kind::MaterializedView => "materialized view",
            Kind::Index => "index",
            Kind::Partition => "partition",
            Kind::IndexPartition => "place of partition's index",
            Kind::ReplicaIdentity => "replica identity of table",
            Kind::ClusterOn => "clustering order of table",
            Kind::ForeignKey => "foreign key",
            Kind::Statistics => "statistics",
            Kind::Rule => "rule",
            Kind::Trigger => "trigger",
            Kind::Policy => "policy",
            Kind::Publication => "publication",
            Kind::PublicationTable => "published table",
            Kind::PublicationSchema => "published schema",
            Kind::EventTrigger => "event trigger",
        }
    }
}

/// The identity of an object. Two databases have the same object where this is the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ObjectId {
    /// What it is.
    pub kind: Kind,
    /// The schema that it is in, or that what it hangs on is in.
    pub schema: Option<Ident>,
    /// The table, view or domain that it hangs on.
    pub on: Option<Ident>,
    /// Its name.
    pub name: Ident,
    /// The argument types of a function.
    pub arguments: Option<ServerText>,
}

impl ObjectId {
    /// Something that is in no schema.
    pub fn global(kind: Kind, name: impl Into<String>) -> ObjectId {
        ObjectId { kind, schema: None, on: None, name: Ident::new(name), arguments: None }
    }

    /// Something in a schema.
    pub fn within(kind: Kind, schema: impl Into<String>, name: impl Into<String>) -> ObjectId {
        ObjectId { schema: Some(Ident::new(schema)), ..ObjectId::global(kind, name) }
    }

    /// Something that hangs on a table, view or domain.
    pub fn on(kind: Kind, holder: &TableName, name: impl Into<String>) -> ObjectId {
        ObjectId { schema: Some(holder.schema.clone()), on: Some(holder.name.clone()), ..ObjectId::global(kind, name) }
    }

    /// Schema and name.
    pub fn qualified(&self) -> TableName {
        let schema = self.schema.as_ref().map(Ident::as_str).unwrap_or_default();
        TableName::new(schema, self.name.as_str())
    }

    /// Schema and name of what it hangs on.
    pub(super) fn holder_name(&self) -> Option<TableName> {
        let (schema, on) = (self.schema.as_ref()?, self.on.as_ref()?);
        Some(TableName { schema: schema.clone(), name: on.clone() })
    }

    /// What it hangs on, if that is of this kind.
    pub(super) fn holder(&self, kind: Kind) -> Option<ObjectId> {
        let name = self.holder_name()?;
        Some(ObjectId { schema: Some(name.schema), ..ObjectId::global(kind, name.name.as_str()) })
    }

    /// As SQL refers to it behind the class: `"s"."f"(integer)`, `"c" ON "s"."t"`.
    pub(super) fn reference(&self) -> Sql {
        match (self.holder_name(), &self.schema) {
            (Some(holder), _) => match self.kind {
                Kind::Column => sql!("{}.{}", holder, self.name),
                Kind::DomainConstraint => sql!("{} ON DOMAIN {}", self.name, holder),
                _ => sql!("{} ON {}", self.name, holder),
            },
            (None, Some(_)) => match &self.arguments {
                Some(arguments) if self.kind == Kind::Aggregate && arguments.as_str().is_empty() => {
                    sql!("{}(*)", self.qualified())
                }
                Some(arguments) => sql!("{}({})", self.qualified(), arguments),
                None => sql!("{}", self.qualified()),
            },
            (None, None) => sql!("{}", self.name),
        }
    }
}

/// For people: `column app.users.email`, `trigger touch of app.users`.
impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.word(), Place(self))
    }
}

/// The name without the kind.
pub(super) struct Place<'a>(pub &'a ObjectId);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.0;
        let name = id.name.shortest();
        let schema = id.schema.as_ref().map(Ident::shortest);
        let holder = id.on.as_ref().map(|on| match &schema {
            Some(schema) => format!("{schema}.{}", on.shortest()),
            None => on.shortest(),
        });
        match (id.kind, holder, schema) {
            (Kind::DefaultPrivileges, _, schema) => {
                let role = id.on.as_ref().map(Ident::shortest).unwrap_or_default();
                let place = schema.map(|schema| format!(" in schema {schema}")).unwrap_or_default();
                write!(f, "of {role}{place} on {}", super::rights::default_class(&id.name))
            }
            (Kind::Column | Kind::Default, Some(holder), _) => write!(f, "{holder}.{name}"),
            (Kind::ReplicaIdentity | Kind::ClusterOn, Some(holder), _) => write!(f, "{holder}"),
            (Kind::DomainConstraint, Some(holder), _) => write!(f, "{holder}: {name}"),
            (Kind::Inheritance, Some(holder), _) => write!(f, "of {holder} from {name}"),
            (Kind::PublicationTable, Some(holder), _) => write!(f, "{holder} of {name}"),
            (_, Some(holder), _) => write!(f, "{name} of {holder}"),
            (_, None, Some(schema)) => match &id.arguments {
                Some(arguments) => write!(f, "{schema}.{name}({arguments})"),
                None => write!(f, "{schema}.{name}"),
            },
            (_, None, None) => f.write_str(&name),
        }
    }
}
