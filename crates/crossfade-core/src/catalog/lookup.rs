//! Look-ups in the snapshot.

use super::Catalog;
use super::Column;
use super::Constraint;
use super::Index;
use super::Object;
use super::Table;
use super::TableKind;
use crate::sql::IndexDefinition;
use crate::sql::ObjectRef;
use crate::sql::TableName;

impl Catalog {
    /// The relation that a name means, as the server would look it up.
    pub fn resolve(&self, name: &ObjectRef) -> Option<&Table> {
        match &name.schema {
            Some(schema) => self.table(&TableName::new(schema.as_str(), name.name.as_str())),
            None => self
                .search_path
                .iter()
                .find_map(|schema| self.table(&TableName::new(schema.as_str(), name.name.as_str()))),
        }
    }

    /// The relation with this full name.
    pub fn table(&self, name: &TableName) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == *name)
    }

    /// An object that is no relation with columns. A composite type is a type.
    pub fn object(&self, kind: &str, name: &ObjectRef) -> Option<&Object> {
        let is = |object: &Object| object.kind == kind || kind == "type" && object.kind == "composite";
        let in_schema = |schema: &str| {
            let full = TableName::new(schema, name.name.as_str());
            self.objects.iter().find(|object| is(object) && object.name == full)
        };
        match &name.schema {
            Some(schema) => in_schema(schema),
            None => self.search_path.iter().find_map(|schema| in_schema(schema)),
        }
    }

    /// Where a new object of this name would go.
    pub fn place(&self, name: &ObjectRef) -> TableName {
        let schema =
            name.schema.clone().or_else(|| self.search_path.first().cloned()).unwrap_or_else(|| "public".to_owned());
        TableName::new(schema, name.name.as_str())
    }

    /// The table and the index of it that a name means.
    pub fn index(&self, name: &ObjectRef) -> Option<(&Table, &Index)> {
        let in_schema = |schema: &str| {
            self.tables.iter().filter(|table| table.name.schema.as_str() == schema).find_map(|table| {
                table.indexes.iter().find(|index| index.name == name.name).map(|index| (table, index))
            })
        };
        match &name.schema {
            Some(schema) => in_schema(schema),
            None => self.search_path.iter().find_map(|schema| in_schema(schema)),
        }
    }

    /// The major version: 15 of 150018.
    pub fn major(&self) -> u32 {
        self.server_version / 10_000
    }

    /// The relations that hold a table's rows: itself, or its leaf partitions.
    pub fn leaves<'a>(&'a self, table: &'a Table) -> Vec<&'a Table> {
        if table.kind != TableKind::Partitioned {
            return vec![table];
        }
        let children = self.tables.iter().filter(|child| child.partition_of.as_ref() == Some(&table.name));
        children.flat_map(|child| self.leaves(child)).collect()
    }

    /// A table and everything below it that a lock on it reaches, in a fixed order.
    pub fn tree<'a>(&'a self, table: &'a Table) -> Vec<&'a Table> {
        let children = self.tables.iter().filter(|child| child.partition_of.as_ref() == Some(&table.name));
        let mut all = vec![table];
        for child in children {
            all.extend(self.tree(child));
        }
        all
    }
}

impl Table {
    /// A table without columns and rows.
    pub fn empty(name: TableName) -> Table {
        Table {
            name,
            kind: TableKind::Table,
            has_rows: false,
            estimated_rows: 0,
            blocks: 0,
            access_method: None,
            tablespace: None,
            fill_factor: None,
            partition_of: None,
            partition_bound: None,
            partition_by: None,
            inheritance_children: Vec::new(),
            partition_key: Vec::new(),
            comment: None,
            owner: None,
            grants: Vec::new(),
            row_security: false,
            has_rules: false,
            columns: Vec::new(),
            constraints: Vec::new(),
            indexes: Vec::new(),
            triggers: Vec::new(),
            policies: Vec::new(),
            dependents: Vec::new(),
            statistics: Vec::new(),
            view: None,
        }
    }

    /// The column with this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Constraints that speak of this column.
    pub fn constraints_on<'a>(&'a self, column: &'a str) -> impl Iterator<Item = &'a Constraint> {
        self.constraints.iter().filter(move |constraint| constraint.columns.iter().any(|name| name == column))
    }

    /// Indexes that touch this column.
    pub fn indexes_on<'a>(&'a self, column: &'a str) -> impl Iterator<Item = &'a Index> {
        self.indexes.iter().filter(move |index| index.columns.iter().any(|name| name == column))
    }

    /// Whether these columns, each with a given value, find one row at most.
    pub fn is_found_by(&self, columns: &[String]) -> bool {
        self.indexes.iter().filter(|index| index.unique && index.valid && !index.expression_or_predicate).any(|index| {
            let keys = IndexDefinition::parse(&index.definition).and_then(|index| index.plain_keys());
            keys.is_some_and(|keys| keys.iter().all(|key| columns.contains(key)))
        })
    }

    /// A key by whose ranges the rows can be gone through, each of them once: of the primary key, or of a unique index over NOT NULL columns.
    /// None of `avoid` is in it.
    pub fn sweep_key(&self, avoid: &[String]) -> Option<Vec<&Column>> {
        let deferrable = |index: &Index| {
            let owner = self.constraints.iter().find(|constraint| constraint.index.as_ref() == Some(&index.name));
            owner.is_some_and(|constraint| constraint.deferrable)
        };
        let usable =
            |index: &&Index| index.unique && index.valid && !index.expression_or_predicate && !deferrable(index);
        let key = |index: &Index| -> Option<Vec<&Column>> {
            let names = IndexDefinition::parse(&index.definition)?.plain_keys()?;
            let column = |name: &String| self.column(name).filter(|column| column.not_null && !avoid.contains(name));
            names.iter().map(column).collect()
        };
        let mut keys: Vec<(bool, usize, Vec<&Column>)> = self
            .indexes
            .iter()
            .filter(usable)
            .filter_map(|index| key(index).map(|columns| (!index.primary, columns.len(), columns)))
            .collect();
        keys.sort_by_key(|(secondary, width, _)| (*secondary, *width));
        keys.into_iter().next().map(|(_, _, columns)| columns)
    }

    /// The columns of the primary key, or of a unique index over NOT NULL columns, for naming rows.
    pub fn key(&self) -> Vec<&str> {
        let primary = self.constraints.iter().find(|constraint| constraint.kind == super::ConstraintKind::PrimaryKey);
        primary.map(|constraint| constraint.columns.iter().map(String::as_str).collect()).unwrap_or_default()
    }
}
