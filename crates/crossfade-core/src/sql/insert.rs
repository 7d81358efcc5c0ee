//! An INSERT whose rows can be told from those of others: the same statement, which also keeps what it made. On the parse tree, never on the
//! text.

use pg_query::NodeEnum;
use pg_query::protobuf;
use pg_query::protobuf::OnConflictAction;

use super::ObjectRef;
use super::ParsedStatement;
use super::Sql;
use super::TableName;
use super::rewrite::deparse;
use super::rewrite::parse_expression_node;
use super::statement::object;
use crate::sql;

/// An INSERT that only makes rows: without WITH, RETURNING and DO UPDATE.
#[derive(Clone, Debug)]
pub struct PlainInsert {
    /// The table that gets them.
    pub table: ObjectRef,
    insert: protobuf::InsertStmt,
}

impl PlainInsert {
    /// Reads a statement; none where it is another one.
    pub fn read(statement: &ParsedStatement) -> Option<PlainInsert> {
        let parsed = pg_query::parse(statement.text.as_str(), 0).ok()?;
        let node = parsed.protobuf.stmts.into_iter().next()?.stmt?.node?;
        let NodeEnum::InsertStmt(insert) = node else { return None };
        let updates = insert
            .on_conflict_clause
            .as_ref()
            .is_some_and(|conflict| conflict.action() != OnConflictAction::OnconflictNothing);
        let select = insert.select_stmt.as_ref().and_then(|select| select.node.as_ref());
        let has_with = insert.with_clause.is_some()
            || matches!(select, Some(NodeEnum::SelectStmt(select)) if select.with_clause.is_some());
        if updates || has_with || insert.returning_clause.is_some() {
            return None;
        }
        Some(PlainInsert { table: object(insert.relation.as_ref()), insert: *insert })
    }

    /// The same INSERT, which also keeps these expressions over each row that it made in a table.
    pub fn keeping(&self, kept: &[Sql], table: &TableName) -> Option<Sql> {
        let target = |value: &Sql| {
            let target = protobuf::ResTarget {
                val: Some(Box::new(parse_expression_node(value.as_str())?)),
                ..protobuf::ResTarget::default()
            };
            Some(protobuf::Node { node: Some(NodeEnum::ResTarget(Box::new(target))) })
        };
        let exprs = kept.iter().map(target).collect::<Option<Vec<_>>>()?;
        let returning_clause = Some(protobuf::ReturningClause { options: Vec::new(), exprs });
        let insert = protobuf::InsertStmt { returning_clause, ..self.insert.clone() };
        let insert = Sql::from_source(&deparse(NodeEnum::InsertStmt(Box::new(insert)))?);
        Some(sql!("WITH made AS ({}) INSERT INTO {} SELECT * FROM made", insert, table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Ident;
    use crate::sql::parse_file;

    #[test]
    fn the_same_insert_keeps_what_it_made() {
        let keeping = |text: &str| {
            let file = parse_file(text).expect("it parses");
            let kept = [sql!("{}", Ident::new("Id")), sql!("{}::pg_catalog.text", Ident::new("kind"))];
            let insert = PlainInsert::read(&file.statements[0]);
            let insert = insert.and_then(|insert| insert.keeping(&kept, &TableName::new("own", "kept")));
            insert.map_or_else(|| "none".to_owned(), |sql| sql.to_string())
        };
        let texts = [
            "INSERT INTO s.\"T\" AS x (\"Id\", kind) VALUES (1, 'a'), (DEFAULT, E'it''s') ON CONFLICT DO NOTHING",
            "INSERT INTO t DEFAULT VALUES",
            "INSERT INTO t OVERRIDING SYSTEM VALUE SELECT * FROM u WHERE n > 1 /* some */ ORDER BY n LIMIT 3",
            "INSERT INTO t VALUES (1) ON CONFLICT (\"Id\") WHERE n > 0 DO NOTHING",
            "INSERT INTO t VALUES (1) ON CONFLICT (\"Id\") DO UPDATE SET n = 1",
            "INSERT INTO t VALUES (1) RETURNING n",
            "WITH u AS (SELECT 1) INSERT INTO t SELECT * FROM u",
            "INSERT INTO t WITH u AS (SELECT 1) SELECT * FROM u",
            "DELETE FROM t",
        ];
        insta::assert_snapshot!(texts.map(keeping).join("\n"));
    }
}
