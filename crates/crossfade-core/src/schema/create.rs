//! The statements that make an object as it is.

use super::Attribute;
use super::Body;
use super::Column;
use super::Constraint;
use super::DatabaseSchema;
use super::Domain;
use super::Firing;
use super::Kind;
use super::ObjectId;
use super::Sequence;
use super::Table;
use super::TableForm;
use super::View;
use super::alter::firing_statement;
use super::alter::number;
use super::body::OptionList;
use super::body::foreign_options;
use crate::sql;
use crate::sql::Literal;
use crate::sql::Number;
use crate::sql::ServerText;
use crate::sql::Sql;
use crate::sql::TableName;

/// The defaults that are written with their columns.
pub(super) type DefaultOf<'a> = &'a dyn Fn(&ObjectId) -> Option<&'a ServerText>;

/// Makes an object. `inline` says which defaults stand in the statement.
pub(super) fn create(id: &ObjectId, schema: &DatabaseSchema, inline: DefaultOf<'_>) -> Vec<Sql> {
    let Some(object) = schema.get(id) else { return Vec::new() };
    let name = id.qualified();
    match &object.body {
        Body::Schema => vec![sql!("CREATE SCHEMA {}", id.name)],
        Body::Extension { schema } => vec![sql!("CREATE EXTENSION {} SCHEMA {}", id.name, schema)],
        Body::Defined(definition) => vec![sql!("{}", definition)],
        Body::Switched { definition, firing } => {
            let mut statements = vec![sql!("{}", definition)];
            if *firing != Firing::Origin {
                statements.push(firing_statement(id, *firing));
            }
            statements
        }
        Body::Enum(values) => {
            let values = values.iter().map(|value| sql!("{}", Literal(value.clone())));
            vec![sql!("CREATE TYPE {} AS ENUM ({})", name, Sql::join(values, ", "))]
        }
        Body::Domain(domain) => vec![create_domain(&name, domain)],
        Body::Composite(attributes) => {
            vec![sql!("CREATE TYPE {} AS ({})", name, Sql::join(attributes.iter().map(attribute), ", "))]
        }
        Body::Sequence(sequence) => {
            let head = if sequence.unlogged { sql!("CREATE UNLOGGED SEQUENCE") } else { sql!("CREATE SEQUENCE") };
            vec![sql!("{} {} AS {} {}", head, name, sequence.data_type, sequence_options(sequence))]
        }
        Body::Table(table) => create_table(id, table, schema, inline),
        Body::Column(column) => {
            let Some(table) = id.holder_name() else { return Vec::new() };
            let clause = column.clause(&id.name, inline(&ObjectId { kind: Kind::Default, ..id.clone() }));
            let mut statements = vec![sql!("ALTER TABLE {} ADD COLUMN {}", table, clause)];
            statements.extend(column.settings(&table, &id.name));
            statements
        }
        Body::Default(expression) => vec![default(id, expression)],
        Body::Constraint(constraint) => create_constraint(id, constraint),
        Body::Index(index) => {
            let targets = index.statistics.iter().map(|(position, target)| index_statistics(id, *position, *target));
            std::iter::once(sql!("{}", index.definition)).chain(targets).collect()
        }
        Body::Statistics { definition, target } => {
            let target = target.map(|target| statistics_target(id, Some(target)));
            std::iter::once(sql!("{}", definition)).chain(target).collect()
        }
        Body::View(body) => vec![view(id, body, false)],
        Body::Routine(routine) => vec![sql!("{}", routine.definition)],
        Body::Link(link) => vec![sql!("{}", link.make)],
        Body::Implied => Vec::new(),
    }
}

fn attribute(attribute: &Attribute) -> Sql {
    match &attribute.collation {
        Some(collation) => sql!("{} {} COLLATE {}", attribute.name, attribute.data_type, collation),
        None => sql!("{} {}", attribute.name, attribute.data_type),
    }
}

fn create_domain(name: &TableName, domain: &Domain) -> Sql {
    let mut parts = vec![sql!("CREATE DOMAIN {} AS {}", name, domain.base)];
    parts.extend(domain.collation.as_ref().map(|collation| sql!("COLLATE {}", collation)));
    parts.extend(domain.default.as_ref().map(|default| sql!("DEFAULT {}", default)));
    if domain.not_null {
        parts.push(sql!("NOT NULL"));
    }
    Sql::join(parts, " ")
}

/// How a sequence counts, as CREATE and ALTER SEQUENCE take it.
pub(super) fn sequence_options(sequence: &Sequence) -> Sql {
    let cycle = if sequence.cycle { sql!("CYCLE") } else { sql!("NO CYCLE") };
    sql!(
        "START WITH {} INCREMENT BY {} MINVALUE {} MAXVALUE {} CACHE {} {}",
        Number(sequence.start),
        Number(sequence.increment),
        Number(sequence.min),
        Number(sequence.max),
        Number(sequence.cache),
        cycle
    )
}

fn create_table(id: &ObjectId, table: &Table, schema: &DatabaseSchema, inline: DefaultOf<'_>) -> Vec<Sql> {
    let name = id.qualified();
    let column_of = |column| -> Option<(ObjectId, &Column)> {
        let id = ObjectId::on(Kind::Column, &name, crate::sql::Ident::as_str(column));
        let column = schema.get(&id)?.body.column()?;
        Some((id, column))
    };
    let columns: Vec<(ObjectId, &Column)> = table.columns.iter().filter_map(column_of).collect();
    // What comes from a parent alone is not written; a partition is attached, and has them all.
    let written = columns.iter().filter(|(_, column)| table.inherits.is_empty() || column.local || !column.inherited);
    let clauses =
        written.map(|(id, column)| column.clause(&id.name, inline(&ObjectId { kind: Kind::Default, ..id.clone() })));
    let clauses: Vec<Sql> = clauses.collect();
    let body = if clauses.is_empty() { sql!("()") } else { sql!("(\n    {}\n)", Sql::join(clauses, ",\n    ")) };
    let mut statement = match (&table.form, table.unlogged) {
        (TableForm::Foreign { .. }, _) => sql!("CREATE FOREIGN TABLE {} {}", name, body),
        (TableForm::Ordinary | TableForm::Partitioned { .. }, true) => sql!("CREATE UNLOGGED TABLE {} {}", name, body),
        (TableForm::Ordinary | TableForm::Partitioned { .. }, false) => sql!("CREATE TABLE {} {}", name, body),
    };
    if !table.inherits.is_empty() {
        let parents = table.inherits.iter().map(|parent| sql!("{}", parent));
        statement = sql!("{} INHERITS ({})", statement, Sql::join(parents, ", "));
    }
    match &table.form {
        TableForm::Ordinary => {}
        TableForm::Partitioned { by } => statement = sql!("{} PARTITION BY {}", statement, by),
        TableForm::Foreign { server, options } => {
            statement = sql!("{} SERVER {}{}", statement, server, foreign_options(options));
        }
    }
    if let Some(method) = table.access_method.as_ref().filter(|method| method.as_str() != "heap") {
        statement = sql!("{} USING {}", statement, method);
    }
    if !table.options.is_empty() {
        statement = sql!("{} WITH ({})", statement, OptionList(&table.options));
    }
    let mut statements = vec![statement];
    if let Some(of_type) = &table.of_type {
        statements.push(sql!("ALTER TABLE {} OF {}", name, of_type));
    }
    if table.row_security {
        statements.push(sql!("ALTER TABLE {} ENABLE ROW LEVEL SECURITY", name));
    }
    if table.forced_row_security {
        statements.push(sql!("ALTER TABLE {} FORCE ROW LEVEL SECURITY", name));
    }
    statements.extend(columns.iter().flat_map(|(id, column)| column.settings(&name, &id.name)));
    statements
}

/// Sets the default of a column.
pub(super) fn default(id: &ObjectId, expression: &ServerText) -> Sql {
    match id.holder_name() {
        Some(table) => sql!("ALTER TABLE ONLY {} ALTER COLUMN {} SET DEFAULT {}", table, id.name, expression),
        None => Sql::empty(),
    }
}

fn create_constraint(id: &ObjectId, constraint: &Constraint) -> Vec<Sql> {
    let Some(holder) = id.holder_name() else { return Vec::new() };
    let head = match (id.kind, constraint.only) {
        (Kind::DomainConstraint, _) => sql!("ALTER DOMAIN {}", holder),
        (_, true) => sql!("ALTER TABLE ONLY {}", holder),
        (_, false) => sql!("ALTER TABLE {}", holder),
    };
    let mut add = sql!("{} ADD CONSTRAINT {} {}", head, id.name, constraint.definition);
    if !constraint.validated {
        add = sql!("{} NOT VALID", add);
    }
    let mut statements = vec![add];
    if !constraint.options.is_empty() {
        let index = TableName { schema: holder.schema, name: id.name.clone() };
        statements.push(sql!("ALTER INDEX {} SET ({})", index, OptionList(&constraint.options)));
    }
    statements
}

/// Sets the statistics target of a column of an index.
pub(super) fn index_statistics(id: &ObjectId, position: i16, target: i32) -> Sql {
    let position = Number(i64::from(position));
    sql!("ALTER INDEX {} ALTER COLUMN {} SET STATISTICS {}", id.qualified(), position, number(target))
}

/// Sets the target of extended statistics.
pub(super) fn statistics_target(id: &ObjectId, target: Option<i32>) -> Sql {
    sql!("ALTER STATISTICS {} SET STATISTICS {}", id.qualified(), number(target.unwrap_or(-1)))
}

/// Makes a view, or puts another query into its place.
pub(super) fn view(id: &ObjectId, view: &View, replace: bool) -> Sql {
    let head = match (id.kind, replace) {
        (Kind::MaterializedView, _) => sql!("CREATE MATERIALIZED VIEW"),
        (_, true) => sql!("CREATE OR REPLACE VIEW"),
        (_, false) => sql!("CREATE VIEW"),
    };
    let options = if view.options.is_empty() { Sql::empty() } else { sql!(" WITH ({})", OptionList(&view.options)) };
    sql!("{} {}{} AS\n{}", head, id.qualified(), options, view.query)
}
