//! UPDATE, DELETE and INSERT … SELECT, as far as they can be done a part of the rows at a time: what they read, and the same statement for
//! one part. On the parse tree, never on the text.

mod found;
mod pins;

use found::Found;
use pg_query::NodeEnum;
use pg_query::protobuf;
use pins::pinned;

use super::Expr;
use super::ObjectRef;
use super::Sql;
use super::TableName;
use super::rewrite::deparse;
use super::rewrite::parse_expression_node;

/// What a statement does to rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowsVerb {
    /// `UPDATE`.
    Update,
    /// `DELETE`.
    Delete,
    /// `INSERT … SELECT`.
    Insert,
}

impl RowsVerb {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            RowsVerb::Update => "UPDATE",
            RowsVerb::Delete => "DELETE",
            RowsVerb::Insert => "INSERT … SELECT",
        }
    }
}

/// A statement that changes rows.
#[derive(Clone, Debug)]
pub struct RowsStatement {
    /// What it does.
    pub verb: RowsVerb,
    /// The table that it writes.
    pub target: ObjectRef,
    /// The table whose rows it goes through: the target, or what an INSERT selects from.
    pub swept: ObjectRef,
    /// Whether `ONLY` stands in front of that table.
    pub only: bool,
    /// The columns that an UPDATE sets.
    pub set: Vec<String>,
    /// Whether it has a WHERE.
    pub filtered: bool,
    /// Every other relation that it names: in FROM, in USING, in subqueries.
    pub others: Vec<ObjectRef>,
    /// The functions that it calls: schema where it is written, and name.
    pub functions: Vec<(Option<String>, String)>,
    /// The columns that the new values of an UPDATE name, by their last name; none where they use a row as a whole.
    pub value_columns: Option<Vec<String>>,
    /// Columns that its WHERE compares with given values by `=` or a short list: a key of such columns finds a few rows.
    pub pinned: Vec<String>,
    /// Why its result is not the sum of the results of its parts.
    pub uncut: Option<&'static str>,
    node: NodeEnum,
}

fn object(relation: &protobuf::RangeVar) -> ObjectRef {
    ObjectRef {
        schema: (!relation.schemaname.is_empty()).then(|| relation.schemaname.clone()),
        name: relation.relname.clone(),
    }
}

impl RowsStatement {
    /// Reads a parsed statement; none where it changes no rows, or names the rows that it inserts itself.
    pub(super) fn read(node: &NodeEnum) -> Option<RowsStatement> {
        match node {
            NodeEnum::UpdateStmt(update) => {
                let relation = update.relation.as_ref()?;
                let targets = || {
                    update.target_list.iter().filter_map(|node| match node.node.as_ref() {
                        Some(NodeEnum::ResTarget(target)) => Some(target),
                        _ => None,
                    })
                };
                let values = Found::of(&targets().map(|target| &target.val).collect::<Vec<_>>());
                let all = Found::of(&(&update.target_list, &update.from_clause, &update.where_clause));
                Some(RowsStatement {
                    verb: RowsVerb::Update,
                    target: object(relation),
                    swept: object(relation),
                    only: !relation.inh,
                    set: targets().map(|target| target.name.clone()).collect(),
                    filtered: update.where_clause.is_some(),
                    pinned: pinned(update.where_clause.as_deref()),
                    uncut: update.with_clause.as_ref().map(|_| "it has WITH"),
                    others: all.relations,
                    functions: all.functions,
                    value_columns: (!values.whole_row).then_some(values.columns),
                    node: node.clone(),
                })
            }
            NodeEnum::DeleteStmt(delete) => {
                let relation = delete.relation.as_ref()?;
                let all = Found::of(&(&delete.using_clause, &delete.where_clause));
                Some(RowsStatement {
                    verb: RowsVerb::Delete,
                    target: object(relation),
                    swept: object(relation),
                    only: !relation.inh,
                    set: Vec::new(),
                    filtered: delete.where_clause.is_some(),
                    pinned: pinned(delete.where_clause.as_deref()),
                    uncut: delete.with_clause.as_ref().map(|_| "it has WITH"),
                    others: all.relations,
                    functions: all.functions,
                    value_columns: Some(Vec::new()),
                    node: node.clone(),
                })
            }
            NodeEnum::InsertStmt(insert) => read_insert(insert, node),
            _ => None,
        }
    }

    /// What the swept table is called in the statement's expressions.
    pub fn qualifier(&self) -> Option<&str> {
        let relation = match &self.node {
            NodeEnum::UpdateStmt(update) => update.relation.as_ref(),
            NodeEnum::DeleteStmt(delete) => delete.relation.as_ref(),
            NodeEnum::InsertStmt(insert) => select_of(insert).and_then(source_of),
            _ => None,
        }?;
        Some(relation.alias.as_ref().map_or(relation.relname.as_str(), |alias| alias.aliasname.as_str()))
    }

    /// What an UPDATE with FROM sets each column to, as a subquery of its own; and whether it finds anything for a row. None where that can't be
    /// written as an expression.
    pub fn values_of_from(&self) -> Option<(Vec<(String, Expr)>, Expr)> {
        let NodeEnum::UpdateStmt(update) = &self.node else { return None };
        if update.from_clause.is_empty() || update.with_clause.is_some() {
            return None;
        }
        let select = |value: Option<&protobuf::Node>, kind: protobuf::SubLinkType| {
            let target = value.map(|value| protobuf::Node {
                node: Some(NodeEnum::ResTarget(Box::new(protobuf::ResTarget {
                    val: Some(Box::new(value.clone())),
                    ..protobuf::ResTarget::default()
                }))),
            });
            // The direct statement takes any one of several rows that it finds.
            let one = (kind == protobuf::SubLinkType::ExprSublink).then(|| parse_expression_node("1").map(Box::new));
            let limited = one.is_some();
            let select = protobuf::SelectStmt {
                target_list: target.into_iter().collect(),
                from_clause: update.from_clause.clone(),
                where_clause: update.where_clause.clone(),
                limit_count: one.flatten(),
                limit_option: if limited { protobuf::LimitOption::Count } else { protobuf::LimitOption::Default }
                    as i32,
                op: protobuf::SetOperation::SetopNone as i32,
                ..protobuf::SelectStmt::default()
            };
            let sublink = protobuf::SubLink {
                sub_link_type: kind as i32,
                subselect: Some(Box::new(protobuf::Node { node: Some(NodeEnum::SelectStmt(Box::new(select))) })),
                ..protobuf::SubLink::default()
            };
            Expr::from_node(&protobuf::Node { node: Some(NodeEnum::SubLink(Box::new(sublink))) })
        };
        let value = |node: &protobuf::Node| match node.node.as_ref() {
            Some(NodeEnum::ResTarget(target)) if target.indirection.is_empty() => {
                Some((target.name.clone(), select(target.val.as_deref(), protobuf::SubLinkType::ExprSublink)?))
            }
            _ => None,
        };
        let values: Option<Vec<(String, Expr)>> = update.target_list.iter().map(value).collect();
        Some((values?, select(None, protobuf::SubLinkType::ExistsSublink)?))
    }

    /// The same statement on one relation that holds a part of the rows, for the rows that meet a condition.
    pub fn on_part(&self, relation: &TableName, condition: &Sql) -> Option<Sql> {
        self.on(relation, true, condition)
    }

    /// The same statement on its whole table, for the rows that meet a condition.
    pub fn on_all(&self, table: &TableName, condition: &Sql) -> Option<Sql> {
        self.on(table, self.only, condition)
    }

    fn on(&self, relation: &TableName, only: bool, condition: &Sql) -> Option<Sql> {
        let condition = parse_expression_node(condition.as_str())?;
        let and = |filter: &mut Option<Box<protobuf::Node>>| {
            let all = match filter.take() {
                Some(filter) => both(*filter, condition.clone()),
                None => condition.clone(),
            };
            *filter = Some(Box::new(all));
        };
        let mut node = self.node.clone();
        match &mut node {
            NodeEnum::UpdateStmt(update) => {
                put_relation(update.relation.as_mut()?, relation, only);
                and(&mut update.where_clause);
                update.returning_clause = None;
            }
            NodeEnum::DeleteStmt(delete) => {
                put_relation(delete.relation.as_mut()?, relation, only);
                and(&mut delete.where_clause);
                delete.returning_clause = None;
            }
            NodeEnum::InsertStmt(insert) => {
                insert.returning_clause = None;
                let Some(NodeEnum::SelectStmt(select)) = insert.select_stmt.as_mut()?.node.as_mut() else {
                    return None;
                };
                let Some(NodeEnum::RangeVar(source)) = select.from_clause.first_mut()?.node.as_mut() else {
                    return None;
                };
                put_relation(source, relation, only);
                and(&mut select.where_clause);
            }
            _ => return None,
        }
        deparse(node).map(|text| Sql::from_source(&text))
    }
}

fn both(first: protobuf::Node, second: protobuf::Node) -> protobuf::Node {
    let and = protobuf::BoolExpr {
        boolop: protobuf::BoolExprType::AndExpr as i32,
        args: vec![first, second],
        ..protobuf::BoolExpr::default()
    };
    protobuf::Node { node: Some(NodeEnum::BoolExpr(Box::new(and))) }
}

/// The name that the statement's expressions know the table by stays; where it is another relation's own, it becomes the alias.
fn put_relation(place: &mut protobuf::RangeVar, relation: &TableName, only: bool) {
    if place.alias.is_none() && place.relname != relation.name.as_str() {
        place.alias = Some(protobuf::Alias { aliasname: place.relname.clone(), colnames: Vec::new() });
    }
    place.schemaname = relation.schema.as_str().to_owned();
    place.relname = relation.name.as_str().to_owned();
    place.inh = !only;
}

fn select_of(insert: &protobuf::InsertStmt) -> Option<&protobuf::SelectStmt> {
    match insert.select_stmt.as_ref()?.node.as_ref()? {
        NodeEnum::SelectStmt(select) => Some(select),
        _ => None,
    }
}

fn source_of(select: &protobuf::SelectStmt) -> Option<&protobuf::RangeVar> {
    match select.from_clause.first()?.node.as_ref()? {
        NodeEnum::RangeVar(source) => Some(source),
        _ => None,
    }
}

fn read_insert(insert: &protobuf::InsertStmt, node: &NodeEnum) -> Option<RowsStatement> {
    let relation = insert.relation.as_ref()?;
    let select = select_of(insert)?;
    if !select.values_lists.is_empty() {
        return None;
    }
    let all = Found::of(select);
    let source = source_of(select);
    let aggregates = all.aggregates();
    let plain = select.op() == protobuf::SetOperation::SetopNone;
    let uncut = if insert.with_clause.is_some() || select.with_clause.is_some() {
        Some("it has WITH")
    } else if !plain {
        Some("it combines several SELECTs")
    } else if !select.distinct_clause.is_empty() {
        Some("it has DISTINCT")
    } else if !select.group_clause.is_empty() || select.having_clause.is_some() || aggregates {
        Some("it aggregates")
    } else if select.limit_count.is_some() || select.limit_offset.is_some() {
        Some("it has LIMIT")
    } else if all.windows || !select.window_clause.is_empty() {
        Some("it has window functions")
    } else if !select.sort_clause.is_empty() {
        Some("it has ORDER BY")
    } else if !select.locking_clause.is_empty() {
        Some("it locks the rows that it reads")
    } else if select.from_clause.len() != 1 || source.is_none() {
        Some("it selects from more than one table")
    } else if source.is_some_and(|source| source.alias.as_ref().is_some_and(|alias| !alias.colnames.is_empty())) {
        Some("it gives the columns other names")
    } else {
        None
    };
    let swept = source.map(object).or_else(|| all.relations.first().cloned())?;
    // The swept table's own mention is no reading of another one.
    let mut others = all.relations;
    if let Some(at) = others.iter().position(|other| *other == swept) {
        others.remove(at);
    }
    Some(RowsStatement {
        verb: RowsVerb::Insert,
        target: object(relation),
        swept,
        only: source.is_some_and(|source| !source.inh),
        set: Vec::new(),
        filtered: select.where_clause.is_some(),
        pinned: pinned(select.where_clause.as_deref()),
        others,
        functions: all.functions,
        value_columns: Some(Vec::new()),
        uncut,
        node: node.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse_file;

    fn on_part(text: &str) -> String {
        let file = parse_file(text).unwrap_or_default();
        let rows = file.statements.first().and_then(|statement| statement.rows.as_ref());
        let Some(rows) = rows else { return "no rows".to_owned() };
        let qualifier = crate::sql::Ident::new(rows.qualifier().unwrap_or_default());
        let condition = crate::sql!("{}.\"id\" <= ($2::text[])[1]::int8", qualifier);
        let part = rows.on_part(&TableName::new("s", "t_1"), &condition);
        format!("{} uncut {:?} others {:?}\n  {}", rows.swept, rows.uncut, rows.others.len(), part.unwrap_or_default())
    }

    #[test]
    fn a_statement_on_a_part_is_the_same_for_fewer_rows() {
        insta::assert_snapshot!(
            [
                "UPDATE t SET n = n + 1",
                "UPDATE ONLY public.t AS x SET (a, b) = (SELECT 1, 2), c = DEFAULT WHERE x.a = 1 OR x.b = 2 RETURNING *",
                "UPDATE t SET c = o.c FROM other AS o JOIN third USING (k) WHERE o.id = t.oid AND EXISTS (SELECT FROM fourth)",
                "WITH w AS (SELECT 1) UPDATE t SET n = 1",
                "DELETE FROM t",
                "DELETE FROM \"t\" USING other o WHERE o.id = t.oid",
                "INSERT INTO a (x, y) SELECT x, lower(y) FROM t WHERE x > 1 OR y IS NULL ON CONFLICT (x) DO UPDATE SET y = excluded.y",
                "INSERT INTO a SELECT * FROM t AS b",
                "INSERT INTO a SELECT count(*) FROM t",
                "INSERT INTO a SELECT x, row_number() OVER () FROM t",
                "INSERT INTO a SELECT DISTINCT x FROM t",
                "INSERT INTO a SELECT x FROM t UNION SELECT x FROM u",
                "INSERT INTO a SELECT t.x FROM t, u",
                "INSERT INTO a SELECT x FROM t ORDER BY x LIMIT 3",
                "INSERT INTO a VALUES (1)",
                "INSERT INTO a DEFAULT VALUES",
            ]
            .map(on_part)
            .join("\n")
        );
    }
}
