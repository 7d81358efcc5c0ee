//! Definitions that the server rendered, taken apart and put together again with other names. On the parse tree, never on the text.

use std::collections::BTreeMap;

use pg_query::DeparseOptions;
use pg_query::NodeEnum;
use pg_query::protobuf;

use super::Expr;
use super::Ident;
use super::ServerText;
use super::Sql;
use super::SqlPart as _;
use super::TableName;
use super::statement::strings;

fn wrap(node: NodeEnum) -> protobuf::ParseResult {
    protobuf::ParseResult {
        version: 0,
        stmts: vec![protobuf::RawStmt {
            stmt: Some(Box::new(protobuf::Node { node: Some(node) })),
            stmt_location: 0,
            stmt_len: 0,
        }],
    }
}

pub(super) fn deparse(node: NodeEnum) -> Option<String> {
    pg_query::deparse(&wrap(node), DeparseOptions::default()).ok()
}

/// The text of an expression in a parse tree.
pub(super) fn deparse_expression(node: &protobuf::Node) -> Option<String> {
    let target = protobuf::ResTarget { val: Some(Box::new(node.clone())), ..protobuf::ResTarget::default() };
    let target = protobuf::Node { node: Some(NodeEnum::ResTarget(Box::new(target))) };
    let select = protobuf::SelectStmt {
        target_list: vec![target],
        limit_option: protobuf::LimitOption::Default as i32,
        op: protobuf::SetOperation::SetopNone as i32,
        ..protobuf::SelectStmt::default()
    };
    let text = deparse(NodeEnum::SelectStmt(Box::new(select)))?;
    text.strip_prefix("SELECT ").map(str::to_owned)
}

/// The text of a type in a parse tree, with its collation where one is written.
pub(super) fn deparse_type(type_name: &protobuf::TypeName) -> Option<Sql> {
    let cast = protobuf::TypeCast {
        arg: parse_expression_node("NULL").map(Box::new),
        type_name: Some(type_name.clone()),
        location: 0,
    };
    let text = deparse_expression(&protobuf::Node { node: Some(NodeEnum::TypeCast(Box::new(cast))) })?;
    let text = text.strip_prefix("NULL::").map(str::to_owned)?;
    Some(Sql::from_source(&text))
}

/// A type without its modifiers (`varchar` for `varchar(20)`): a cast to it keeps the whole value, so that the column's own type has the last word.
/// Of `char` and `bit`, which mean a length of one without a modifier, it is the type as it stands.
pub(crate) fn without_modifiers(type_name: &Sql) -> Sql {
    let unlimited = || {
        let node = parse_expression_node(&format!("NULL::{}", type_name.as_str()))?.node?;
        let NodeEnum::TypeCast(cast) = node else { return None };
        let mut found = cast.type_name?;
        if matches!(strings(&found.names).last()?.as_str(), "bpchar" | "bit") {
            return None;
        }
        found.typmods.clear();
        deparse_type(&found)
    };
    unlimited().unwrap_or_else(|| type_name.clone())
}

pub(super) fn parse_expression_node(text: &str) -> Option<protobuf::Node> {
    let parsed = pg_query::parse(&format!("SELECT {text}"), 0).ok()?;
    let statement = parsed.protobuf.stmts.into_iter().next()?.stmt?.node?;
    let NodeEnum::SelectStmt(select) = statement else { return None };
    match select.target_list.into_iter().next()?.node? {
        NodeEnum::ResTarget(target) => target.val.map(|val| *val),
        _ => None,
    }
}

pub(super) fn rename_in_expression(node: &protobuf::Node, names: &BTreeMap<String, String>) -> Option<protobuf::Node> {
    let expr = Expr::from_node(node)?;
    parse_expression_node(expr.render(|column| renamed(column, names)).as_str())
}

fn renamed(column: &str, names: &BTreeMap<String, String>) -> Sql {
    crate::sql!("{}", Ident::new(names.get(column).map_or(column, String::as_str)))
}

/// A `CREATE INDEX` that the server rendered.
#[derive(Clone, Debug)]
pub struct IndexDefinition {
    statement: protobuf::IndexStmt,
    /// The names that columns have when the server makes names of them, where they are others.
    called: BTreeMap<String, String>,
}

impl IndexDefinition {
    /// Reads what `pg_get_indexdef` returned.
    pub fn parse(definition: &ServerText) -> Option<IndexDefinition> {
        IndexDefinition::parse_text(definition.as_str())
    }

    pub(super) fn parse_text(text: &str) -> Option<IndexDefinition> {
        let parsed = pg_query::parse(text, 0).ok()?;
        match parsed.protobuf.stmts.into_iter().next()?.stmt?.node? {
            NodeEnum::IndexStmt(statement) => Some(IndexDefinition::from_statement(&statement)),
            _ => None,
        }
    }

    pub(super) fn from_statement(statement: &protobuf::IndexStmt) -> IndexDefinition {
        IndexDefinition { statement: statement.clone(), called: BTreeMap::new() }
    }

    pub(super) fn statement(&self) -> &protobuf::IndexStmt {
        &self.statement
    }

    /// The same index under another name.
    #[must_use]
    pub fn named(mut self, name: &Ident) -> IndexDefinition {
        self.statement.idxname = name.as_str().to_owned();
        self
    }

    /// The same index on a table by its full name.
    #[must_use]
    pub fn on(mut self, table: &TableName) -> IndexDefinition {
        if let Some(relation) = &mut self.statement.relation {
            relation.schemaname = table.schema.as_str().to_owned();
            relation.relname = table.name.as_str().to_owned();
        }
        self
    }

    /// The same index on a partitioned table without its partitions (`ON ONLY`), or with them.
    #[must_use]
    pub fn only(mut self, only: bool) -> IndexDefinition {
        if let Some(relation) = &mut self.statement.relation {
            relation.inh = !only;
        }
        self
    }

    /// The same index, whose columns have other names where the server makes names of them.
    #[must_use]
    pub fn called(mut self, names: BTreeMap<String, String>) -> IndexDefinition {
        self.called.extend(names);
        self
    }

    /// The names that columns have when the server makes names of them, where they are others.
    pub fn calls(&self) -> &BTreeMap<String, String> {
        &self.called
    }

    /// Whether it is `ON ONLY` a partitioned table.
    pub fn is_only(&self) -> bool {
        self.statement.relation.as_ref().is_some_and(|relation| !relation.inh)
    }

    /// Whether it is UNIQUE.
    pub fn is_unique(&self) -> bool {
        self.statement.unique
    }

    /// The same index, not unique.
    #[must_use]
    pub fn not_unique(mut self) -> IndexDefinition {
        self.statement.unique = false;
        self.statement.nulls_not_distinct = false;
        self
    }

    /// Built without (or with) a lock that keeps out writers.
    #[must_use]
    pub fn concurrently(mut self, concurrently: bool) -> IndexDefinition {
        self.statement.concurrent = concurrently;
        self.statement.if_not_exists = false;
        self
    }

    /// The same index over other columns: in its keys, its INCLUDE, its expressions and its predicate.
    pub fn renaming(mut self, names: &BTreeMap<String, String>) -> Option<IndexDefinition> {
        let params = self.statement.index_params.iter_mut().chain(&mut self.statement.index_including_params);
        for param in params {
            let Some(NodeEnum::IndexElem(element)) = &mut param.node else { return None };
            if let Some(name) = names.get(&element.name) {
                element.name = name.clone();
            }
            if let Some(expr) = &element.expr {
                element.expr = Some(Box::new(rename_in_expression(expr, names)?));
            }
        }
        if let Some(predicate) = &self.statement.where_clause {
            self.statement.where_clause = Some(Box::new(rename_in_expression(predicate, names)?));
        }
        Some(self)
    }

    /// The statement.
    pub fn to_sql(&self) -> Option<Sql> {
        deparse(NodeEnum::IndexStmt(Box::new(self.statement.clone()))).map(|text| Sql::from_source(&text))
    }

    /// The names that the server gives to its columns, of which its own name is made where none is written.
    pub fn column_names(&self, server_major: u32) -> Vec<String> {
        if !self.called.is_empty()
            && let Some(renamed) = IndexDefinition::from_statement(&self.statement).renaming(&self.called)
        {
            return renamed.column_names(server_major);
        }
        let params = self.statement.index_params.iter().chain(&self.statement.index_including_params);
        let elements = params.filter_map(|param| match param.node.as_ref() {
            Some(NodeEnum::IndexElem(element)) => Some(element.as_ref()),
            _ => None,
        });
        super::index_names::column_names(elements, server_major)
    }

    /// The columns of its keys in their order, where they are plain columns in a btree's default order, without a collation or an operator
    /// class of their own: a range of such keys is a range of the index.
    pub fn plain_keys(&self) -> Option<Vec<String>> {
        if !matches!(self.statement.access_method.as_str(), "" | "btree") || self.statement.where_clause.is_some() {
            return None;
        }
        let plain = |param: &protobuf::Node| match &param.node {
            Some(NodeEnum::IndexElem(element))
                if element.expr.is_none()
                    && element.collation.is_empty()
                    && element.opclass.is_empty()
                    && element.ordering() != protobuf::SortByDir::SortbyDesc =>
            {
                Some(element.name.clone())
            }
            _ => None,
        };
        self.statement.index_params.iter().map(plain).collect()
    }

    /// The columns that it is over, as far as they are named: keys, INCLUDE, expressions and predicate.
    pub fn columns(&self) -> Vec<String> {
        let mut columns = Vec::new();
        let params = self.statement.index_params.iter().chain(&self.statement.index_including_params);
        for param in params {
            if let Some(NodeEnum::IndexElem(element)) = &param.node {
                if !element.name.is_empty() {
                    columns.push(element.name.clone());
                }
                if let Some(expr) = element.expr.as_ref().and_then(|expr| Expr::from_node(expr)) {
                    columns.extend(expr.columns().map(|column_use| column_use.column.clone()));
                }
            }
        }
        if let Some(expr) = self.statement.where_clause.as_ref().and_then(|expr| Expr::from_node(expr)) {
            columns.extend(expr.columns().map(|column_use| column_use.column.clone()));
        }
        columns.sort();
        columns.dedup();
        columns
    }
}

const ADD_CONSTRAINT: &str = "ALTER TABLE x ADD CONSTRAINT y ";

fn parse_constraint(definition: &ServerText) -> Option<protobuf::Constraint> {
    let parsed = pg_query::parse(&format!("{ADD_CONSTRAINT}{}", definition.as_str()), 0).ok()?;
    let NodeEnum::AlterTableStmt(alter) = parsed.protobuf.stmts.into_iter().next()?.stmt?.node? else { return None };
    let NodeEnum::AlterTableCmd(command) = alter.cmds.into_iter().next()?.node? else { return None };
    match command.def?.node? {
        NodeEnum::Constraint(constraint) => Some(*constraint),
        _ => None,
    }
}

/// A FOREIGN KEY that the server rendered, NOT VALID and over other columns on both sides. None where it is no FOREIGN KEY.
pub fn rename_columns_in_foreign_key(
    definition: &ServerText,
    names: &BTreeMap<String, String>,
    referenced: &BTreeMap<String, String>,
) -> Option<Sql> {
    let constraint = parse_constraint(definition)?;
    if constraint.contype() != protobuf::ConstrType::ConstrForeign
        || constraint.fk_with_period
        || !constraint.is_enforced
    {
        return None;
    }
    let list = |columns: &[protobuf::Node], names: &BTreeMap<String, String>| {
        let each = columns.iter().filter_map(|column| match &column.node {
            Some(NodeEnum::String(text)) => Some(renamed(&text.sval, names)),
            _ => None,
        });
        Sql::join(each, ", ")
    };
    let table = constraint.pktable.as_ref()?;
    let schema = Some(Ident::new(table.schemaname.as_str())).filter(|_| !table.schemaname.is_empty());
    let schema = schema.map(|schema| crate::sql!("{}.", schema)).unwrap_or_else(Sql::empty);
    let action = |letter: &str| match letter {
        "r" => crate::sql!("RESTRICT"),
        "c" => crate::sql!("CASCADE"),
        "n" => crate::sql!("SET NULL"),
        "d" => crate::sql!("SET DEFAULT"),
        _ => crate::sql!("NO ACTION"),
    };
    let mut text = crate::sql!(
        "FOREIGN KEY ({}) REFERENCES {}{} ({})",
        list(&constraint.fk_attrs, names),
        schema,
        Ident::new(table.relname.as_str()),
        list(&constraint.pk_attrs, referenced)
    );
    if constraint.fk_matchtype == "f" {
        text = crate::sql!("{} MATCH FULL", text);
    }
    text = crate::sql!(
        "{} ON UPDATE {} ON DELETE {}",
        text,
        action(&constraint.fk_upd_action),
        action(&constraint.fk_del_action)
    );
    if !constraint.fk_del_set_cols.is_empty() {
        text = crate::sql!("{} ({})", text, list(&constraint.fk_del_set_cols, names));
    }
    if constraint.deferrable {
        text = crate::sql!("{} DEFERRABLE", text);
    }
    if constraint.initdeferred {
        text = crate::sql!("{} INITIALLY DEFERRED", text);
    }
    Some(crate::sql!("{} NOT VALID", text))
}

/// An ALTER TABLE that is written for one table, for another one.
pub fn alter_table_on(text: &Sql, table: &TableName) -> Option<Sql> {
    let parsed = pg_query::parse(text.as_str(), 0).ok()?;
    let NodeEnum::AlterTableStmt(mut alter) = parsed.protobuf.stmts.into_iter().next()?.stmt?.node? else {
        return None;
    };
    let relation = alter.relation.as_mut()?;
    relation.schemaname = table.schema.as_str().to_owned();
    relation.relname = table.name.as_str().to_owned();
    deparse(NodeEnum::AlterTableStmt(alter)).map(|text| Sql::from_source(&text))
}

/// The ALTER TABLE that adds a UNIQUE or a PRIMARY KEY which the server rendered, under another name and over other columns, with the storage
/// parameters of its index. None where it is no key.
pub fn add_key(
    table: &TableName,
    name: &Ident,
    definition: &ServerText,
    names: &BTreeMap<String, String>,
    index: &IndexDefinition,
) -> Option<Sql> {
    let parsed = pg_query::parse(&format!("{ADD_CONSTRAINT}{}", definition.as_str()), 0).ok()?;
    let NodeEnum::AlterTableStmt(mut alter) = parsed.protobuf.stmts.into_iter().next()?.stmt?.node? else {
        return None;
    };
    let relation = alter.relation.as_mut()?;
    relation.schemaname = table.schema.as_str().to_owned();
    relation.relname = table.name.as_str().to_owned();
    let NodeEnum::AlterTableCmd(command) = alter.cmds.first_mut()?.node.as_mut()? else { return None };
    let NodeEnum::Constraint(constraint) = command.def.as_mut()?.node.as_mut()? else { return None };
    if !matches!(constraint.contype(), protobuf::ConstrType::ConstrUnique | protobuf::ConstrType::ConstrPrimary) {
        return None;
    }
    constraint.conname = name.as_str().to_owned();
    constraint.options.clone_from(&index.statement.options);
    for column in constraint.keys.iter_mut().chain(&mut constraint.including) {
        let Some(NodeEnum::String(text)) = &mut column.node else { return None };
        if let Some(name) = names.get(&text.sval) {
            text.sval.clone_from(name);
        }
    }
    deparse(NodeEnum::AlterTableStmt(alter)).map(|text| Sql::from_source(&text))
}

/// The expression of a CHECK constraint that the server rendered, over other columns. None where it is no CHECK.
pub fn rename_columns_in_constraint(definition: &ServerText, names: &BTreeMap<String, String>) -> Option<Sql> {
    let constraint = parse_constraint(definition)?;
    if constraint.contype() != protobuf::ConstrType::ConstrCheck {
        return None;
    }
    let expr = Expr::from_node(constraint.raw_expr.as_ref()?)?;
    let mut text = String::from("CHECK ");
    expr.render(|column| renamed(column, names)).write_sql(&mut text);
    if constraint.is_no_inherit {
        text.push_str(" NO INHERIT");
    }
    Some(Sql::from_source(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> BTreeMap<String, String> {
        BTreeMap::from([("name".to_owned(), "N n".to_owned())])
    }

    fn index(definition: &str) -> String {
        IndexDefinition::parse(&ServerText::from_server(definition))
            .and_then(|index| index.renaming(&names()))
            .and_then(|index| index.named(&Ident::new("i2")).concurrently(true).to_sql())
            .map_or_else(|| "none".to_owned(), |sql| sql.to_string())
    }

    #[test]
    fn d13_index_details_survive_a_change_of_column() {
        insta::assert_snapshot!([
            "CREATE INDEX i ON public.t USING btree (name DESC NULLS LAST, firstname text_pattern_ops) INCLUDE (name)",
            "CREATE UNIQUE INDEX i ON public.t USING btree (lower((name)::text)) WHERE (((name)::text <> 'x'::text) AND (age > 10))",
            "CREATE INDEX i ON public.t USING gin (name gin_trgm_ops) WITH (fastupdate='off') TABLESPACE ts",
            "CREATE INDEX i ON ONLY public.t USING btree (name COLLATE \"C\")",
        ].map(index).join("\n"));
    }

    #[test]
    fn a_foreign_key_keeps_its_details_over_other_columns() {
        let keys = [
            "FOREIGN KEY (name, age) REFERENCES public.\"User\"(name, id) MATCH FULL ON UPDATE CASCADE ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED",
            "FOREIGN KEY (firstname) REFERENCES t(name) ON DELETE SET DEFAULT NOT VALID",
            "FOREIGN KEY (name, age) REFERENCES t(a, b) ON DELETE SET NULL (name)",
            "CHECK ((name > 0))",
        ];
        let other = BTreeMap::from([("name".to_owned(), "_cf_new".to_owned())]);
        let renamed = keys.map(|key| {
            rename_columns_in_foreign_key(&ServerText::from_server(key), &names(), &other)
                .map_or_else(|| "none".to_owned(), |sql| sql.to_string())
        });
        insta::assert_snapshot!(renamed.join("\n"));
    }

    #[test]
    fn a_key_keeps_its_details_over_other_columns() {
        let keys = [
            "UNIQUE (name, age)",
            "UNIQUE NULLS NOT DISTINCT (age, name) INCLUDE (name, \"Odd\") DEFERRABLE INITIALLY DEFERRED",
            "PRIMARY KEY (name)",
            "CHECK ((name > 0))",
        ];
        let index = IndexDefinition::parse_text("CREATE UNIQUE INDEX i ON t USING btree (name) WITH (fillfactor='70')")
            .expect("it is an index");
        let table = TableName::new("Odd schema", "order");
        let added = keys.map(|key| {
            add_key(&table, &Ident::new("k 1"), &ServerText::from_server(key), &names(), &index)
                .map_or_else(|| "none".to_owned(), |sql| sql.to_string())
        });
        insta::assert_snapshot!(added.join("\n"));
    }

    #[test]
    fn d15_a_column_whose_name_is_part_of_another_is_left_alone() {
        let check =
            ServerText::from_server("CHECK (((firstname <> ''::text) AND (length(name) > 3))) NO INHERIT NOT VALID");
        let sql = rename_columns_in_constraint(&check, &names()).map(|sql| sql.to_string());
        assert_eq!(sql.as_deref(), Some("CHECK (\"firstname\" <> ''::text AND length(\"N n\") > 3) NO INHERIT"));
    }
}
