//! CREATE TABLE … PARTITION OF as statements that end the same and keep nobody away from the parent: a table like it, which is attached.
//!
//! What PARTITION OF takes from the parent by itself is taken by LIKE, or comes with ATTACH: columns and their order, types, collations and storage,
//! defaults, NOT NULL and CHECK under their names, generated columns; then indexes, foreign keys, triggers and, from PostgreSQL 17 on, identity. It
//! takes no comments and no statistics (measured on 13 to 18).

use pg_query::NodeEnum;
use pg_query::protobuf;
use pg_query::protobuf::ConstrType;
use pg_query::protobuf::Node;

use super::Expr;
use super::Ident;
use super::Sql;
use super::rewrite::deparse;
use super::statement::strings;

/// The parent, as far as it counts here.
pub struct PartitionParent<'a> {
    /// Its constraints' names.
    pub constraints: Vec<&'a str>,
    /// Its columns that are NOT NULL.
    pub not_null: Vec<&'a str>,
    /// Its tablespace, where it is not the database's.
    pub tablespace: Option<&'a str>,
    /// The server's major version.
    pub major: u32,
}

/// The statements, the last of which attaches; else why it can't be had so.
pub fn partition_by_attaching(text: &Sql, parent: &PartitionParent<'_>) -> Result<Vec<Sql>, &'static str> {
    const UNREADABLE: &str = "it is not understood";
    let mut create = read(text).ok_or(UNREADABLE)?;
    let temporary = create.relation.as_ref().is_none_or(|relation| relation.relpersistence == "t");
    if temporary || create.if_not_exists || !create.access_method.is_empty() {
        return Err("it is temporary, has IF NOT EXISTS, or names an access method");
    }
    let [above] = create.inh_relations.as_slice() else { return Err(UNREADABLE) };
    let (Some(NodeEnum::RangeVar(above)), Some(table), Some(bound)) =
        (above.node.clone(), create.relation.clone(), create.partbound.take())
    else {
        return Err(UNREADABLE);
    };
    let mut own = Own::default();
    create.table_elts.iter().try_for_each(|element| own.read(element, parent))?;
    let like = like(&above, parent.major).ok_or(UNREADABLE)?;
    create.table_elts = std::iter::once(like).chain(own.checks).collect();
    create.inh_relations.clear();
    if let (true, Some(tablespace)) = (create.tablespacename.is_empty(), parent.tablespace) {
        tablespace.clone_into(&mut create.tablespacename);
    }
    let name = name(&table);
    let create = deparse(NodeEnum::CreateStmt(create)).map(|text| Sql::from_source(&text));
    let changes = own.changes.into_iter().map(|change| crate::sql!("ALTER TABLE {} ALTER COLUMN {}", name, change));
    let attach = attach(above, table, bound).ok_or(UNREADABLE)?;
    Ok(std::iter::once(create.ok_or(UNREADABLE)?).chain(changes).chain([attach]).collect())
}

/// The columns that a CREATE TABLE … PARTITION OF makes NOT NULL, beside those of the parent.
pub fn own_not_null(text: &Sql) -> Vec<String> {
    let Some(create) = read(text) else { return Vec::new() };
    let columns = |element: &Node| match &element.node {
        Some(NodeEnum::Constraint(key)) if key.contype() == ConstrType::ConstrPrimary => strings(&key.keys),
        Some(NodeEnum::ColumnDef(column)) => {
            let forbids = |node: &Node| match &node.node {
                Some(NodeEnum::Constraint(own)) => {
                    matches!(own.contype(), ConstrType::ConstrNotnull | ConstrType::ConstrPrimary)
                }
                _ => false,
            };
            column.constraints.iter().any(forbids).then(|| column.colname.clone()).into_iter().collect()
        }
        _ => Vec::new(),
    };
    create.table_elts.iter().flat_map(columns).collect()
}

/// What the partition has of its own.
#[derive(Default)]
struct Own {
    checks: Vec<Node>,
    changes: Vec<Sql>,
}

impl Own {
    fn read(&mut self, element: &Node, parent: &PartitionParent<'_>) -> Result<(), &'static str> {
        match &element.node {
            Some(NodeEnum::Constraint(constraint)) => self.constraint(constraint, None, parent),
            Some(NodeEnum::ColumnDef(column)) => column.constraints.iter().try_for_each(|node| match &node.node {
                Some(NodeEnum::Constraint(constraint)) => self.constraint(constraint, Some(&column.colname), parent),
                _ => Err("it is not understood"),
            }),
            _ => Err("it is not understood"),
        }
    }

    fn constraint(
        &mut self,
        constraint: &protobuf::Constraint,
        column: Option<&str>,
        parent: &PartitionParent<'_>,
    ) -> Result<(), &'static str> {
        let expr = || constraint.raw_expr.as_ref().and_then(|node| Expr::from_node(node)).ok_or("it is not understood");
        match (constraint.contype(), column) {
            (ConstrType::ConstrCheck, _) => {
                if parent.constraints.contains(&constraint.conname.as_str()) {
                    return Err("a constraint of its own has the name of one of the parent's");
                }
                self.checks.push(Node { node: Some(NodeEnum::Constraint(Box::new(constraint.clone()))) });
            }
            (ConstrType::ConstrDefault, Some(column)) => {
                self.changes.push(crate::sql!("{} SET DEFAULT {}", Ident::new(column), expr()?.over_table()));
            }
            (ConstrType::ConstrNotnull, Some(column))
                if constraint.conname.is_empty() && !parent.not_null.contains(&column) =>
            {
                self.changes.push(crate::sql!("{} SET NOT NULL", Ident::new(column)));
            }
            (ConstrType::ConstrNotnull, _) => {
                return Err("it has a NOT NULL with a name, or one that the parent has, too");
            }
            _ => return Err("it has a key or the like of its own, which the server makes in another order"),
        }
        Ok(())
    }
}

fn read(text: &Sql) -> Option<protobuf::CreateStmt> {
    let parsed = pg_query::parse(text.as_str(), 0).ok()?;
    match parsed.protobuf.stmts.into_iter().next()?.stmt?.node? {
        NodeEnum::CreateStmt(create) => Some(create),
        _ => None,
    }
}

fn name(table: &protobuf::RangeVar) -> Sql {
    let name = Ident::new(table.relname.as_str());
    match table.schemaname.as_str() {
        "" => crate::sql!("{}", name),
        schema => crate::sql!("{}.{}", Ident::new(schema), name),
    }
}

fn like(parent: &protobuf::RangeVar, major: u32) -> Option<Node> {
    let mut template = crate::sql!(
        "CREATE TABLE x (LIKE y INCLUDING CONSTRAINTS INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING STORAGE)"
    );
    if major >= 14 {
        template = crate::sql!(
            "CREATE TABLE x (LIKE y INCLUDING COMPRESSION INCLUDING CONSTRAINTS INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING STORAGE)"
        );
    }
    let mut element = read(&template)?.table_elts.into_iter().next()?;
    let Some(NodeEnum::TableLikeClause(like)) = &mut element.node else { return None };
    like.relation = Some(parent.clone());
    Some(element)
}

fn attach(parent: protobuf::RangeVar, table: protobuf::RangeVar, bound: protobuf::PartitionBoundSpec) -> Option<Sql> {
    let parsed = pg_query::parse("ALTER TABLE x ATTACH PARTITION y DEFAULT", 0).ok()?;
    let mut statement = parsed.protobuf.stmts.into_iter().next()?.stmt?.node?;
    let NodeEnum::AlterTableStmt(alter) = &mut statement else { return None };
    alter.relation = Some(parent);
    let NodeEnum::AlterTableCmd(command) = alter.cmds.first_mut()?.node.as_mut()? else { return None };
    let NodeEnum::PartitionCmd(partition) = command.def.as_mut()?.node.as_mut()? else { return None };
    partition.name = Some(protobuf::RangeVar { relpersistence: "p".to_owned(), ..table });
    partition.bound = Some(bound);
    deparse(statement).map(|text| Sql::from_source(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_made_like_its_parent_and_attached() {
        let parent = PartitionParent {
            constraints: vec!["positive"],
            not_null: vec!["id"],
            tablespace: Some("fast disks"),
            major: 18,
        };
        let older = PartitionParent { constraints: vec![], not_null: vec![], tablespace: None, major: 13 };
        let check = |(parent, text): (&PartitionParent<'_>, &str)| match partition_by_attaching(
            &Sql::from_source(text),
            parent,
        ) {
            Ok(statements) => statements.iter().map(Sql::to_string).collect::<Vec<_>>().join(";\n"),
            Err(why) => format!("as written: {why}"),
        };
        let texts = [
            (&older, "CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (1, MINVALUE) TO (MAXVALUE, 10 + 3)"),
            (
                &parent,
                "CREATE UNLOGGED TABLE \"S\".\"P 1\" PARTITION OF \"S\".\"P\" FOR VALUES IN ('it''s', NULL) PARTITION BY RANGE (lower(x), (id + 1)) ",
            ),
            (
                &parent,
                "CREATE TABLE p_1 PARTITION OF p (id DEFAULT 5 CHECK (id > 3), n WITH OPTIONS NOT NULL, CONSTRAINT c CHECK (n <> id)) FOR VALUES WITH (MODULUS 4, REMAINDER 1) WITH (fillfactor = 70) TABLESPACE other",
            ),
            (&parent, "CREATE TABLE p_1 PARTITION OF p DEFAULT"),
            (&parent, "CREATE TABLE p_1 PARTITION OF p (id NOT NULL) DEFAULT"),
            (&parent, "CREATE TABLE p_1 PARTITION OF p (CONSTRAINT positive CHECK (id > 0)) DEFAULT"),
            (&parent, "CREATE TABLE p_1 PARTITION OF p (UNIQUE (id)) DEFAULT"),
            (&parent, "CREATE TABLE IF NOT EXISTS p_1 PARTITION OF p DEFAULT"),
            (&parent, "CREATE TABLE p_1 PARTITION OF p DEFAULT USING heap"),
        ];
        insta::assert_snapshot!(texts.map(check).join("\n\n"));
    }
}
