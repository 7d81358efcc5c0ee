//! ADD UNIQUE and ADD PRIMARY KEY: the index is built CONCURRENTLY, and the constraint takes it over in a moment.
//!
//! Source: reference B7. What is twice there is looked for first, and named: a build that fails on it leaves nothing but lost time.

use super::Operation;
use super::Role;
use super::add_column::prove_not_null;
use super::claim;
use super::create_index;
use super::no_column;
use crate::catalog::Catalog;
use crate::catalog::Constraint;
use crate::catalog::ConstraintKind;
use crate::catalog::Index;
use crate::catalog::Label;
use crate::catalog::Names;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::finding::Finding;
use crate::lock::LockMode;
use crate::lock::TableLock;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::Ident;
use crate::sql::KeyDefinition;
use crate::sql::Literal;
use crate::sql::ServerText;
use crate::sql::Span;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::sql::Timing;
use crate::step::Assert;
use crate::step::Claim;
use crate::step::Phase;

/// A UNIQUE or a PRIMARY KEY.
#[derive(Clone, Debug)]
pub(super) struct AddKey {
    pub table: Table,
    pub name: String,
    /// The whole statement, which adds this constraint and nothing else.
    pub text: Sql,
    pub columns: Vec<String>,
    pub key: KeyDefinition,
    pub primary: bool,
    /// Whether the file writes rows of the table before.
    pub changed_before: bool,
    /// Those of the columns that the file adds.
    pub new: Vec<String>,
    /// Whether one of them is NOT NULL from contract only.
    pub at_contract: bool,
    /// Whether the file drops a key that stands in its place until contract.
    pub replaces: bool,
    pub span: Span,
}

impl AddKey {
    fn kind(&self) -> &'static str {
        if self.primary { "PRIMARY KEY" } else { "UNIQUE" }
    }

    /// The tables that get an index, and its name: the table itself, or its partitions with the names that the server would give.
    fn leaves(&self, cx: &PlanContext<'_>, steps: &StepsBuilder<'_>) -> Vec<(Table, Ident)> {
        if self.table.kind != TableKind::Partitioned {
            let name = Ident::new(self.name.as_str());
            return vec![(self.table.clone(), if self.replaces { cx.own_name("ix", &self.name) } else { name })];
        }
        self.partitions(steps.now())
    }

    fn partitions(&self, now: &Catalog) -> Vec<(Table, Ident)> {
        let label = if self.primary { Label::PrimaryKey } else { Label::Unique };
        let columns = self.key.index.column_names(now.major());
        let mut names = Names::of(now);
        let leaves = now.leaves(&self.table).into_iter();
        leaves.map(|leaf| (leaf.clone(), names.choose(&leaf.name, &columns, label))).collect()
    }

    /// Columns that a primary key makes NOT NULL, and are not.
    fn nullable(&self) -> Vec<&str> {
        let nullable = |column: &&String| self.table.column(column).is_some_and(|found| !found.not_null);
        self.columns.iter().filter(|column| self.primary && nullable(column)).map(String::as_str).collect()
    }

    fn duplicates(&self) -> Assert {
        let table = &self.table.name;
        Assert {
            query: standing_twice(table, &self.columns, self.key.nulls_not_distinct),
            message: format!("no two rows of {table} have the same ({})", self.columns.join(", ")),
            help: "change or delete all but one of each; a statement in front of this one may do it".to_owned(),
        }
    }
}

/// Each key that stands in several rows, up to some.
pub(super) fn standing_twice(table: &TableName, columns: &[String], nulls_count: bool) -> Sql {
    let names: Vec<Ident> = columns.iter().map(|column| Ident::new(column.as_str())).collect();
    let list = Sql::join(names.iter().map(|name| sql!("{}", name)), ", ");
    let shown = names.iter().map(|name| sql!("{} || coalesce({}::text, 'NULL')", Literal(format!("{name} = ")), name));
    let present = if nulls_count {
        sql!("true")
    } else {
        Sql::join(names.iter().map(|name| sql!("{} IS NOT NULL", name)), " AND ")
    };
    sql!(
        "SELECT {} || {} || ' stands in ' || count(*) || ' rows' FROM {} WHERE {} GROUP BY {} HAVING count(*) > 1 LIMIT 5",
        Literal(format!("{table} is not unique: ")),
        Sql::join(shown, " || ', ' || "),
        table,
        present,
        list
    )
}

impl Operation for AddKey {
    fn way(&self) -> Option<&'static str> {
        Some("its index is built CONCURRENTLY, and the key takes it")
    }

    fn check(&self, _: &PlanContext<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.name.is_empty() {
            findings.push(
                Finding::error(
                    "constraint-without-name",
                    self.span,
                    "the server's name for this constraint is not known beforehand",
                )
                .help("write ADD CONSTRAINT name …"),
            );
        }
        let missing =
            self.columns.iter().filter(|column| self.table.column(column).is_none() && !self.new.contains(column));
        findings.extend(missing.map(|column| no_column(&self.table, column, self.span)));
        if self.key.without_overlaps {
            findings.push(
                Finding::error(
                    "without-overlaps",
                    self.span,
                    format!(
                        "PostgreSQL builds the index of {} … WITHOUT OVERLAPS under a lock that keeps writers out",
                        self.kind()
                    ),
                )
                .help("accept the lock: `-- crossfade: direct REASON`"),
            );
        }
        let there = self.table.constraints.iter().find(|constraint| constraint.kind == ConstraintKind::PrimaryKey);
        if let (true, false, Some(there)) = (self.primary, self.replaces, there) {
            findings.push(
                Finding::error(
                    "primary-key-exists",
                    self.span,
                    format!("{} has the primary key {}", self.table.name, there.name),
                )
                .help("a UNIQUE over NOT NULL columns serves as well until that one is gone"),
            );
        }
        if self.replaces && self.table.kind == TableKind::Partitioned {
            findings.push(
                Finding::error(
                    "partitioned-key",
                    self.span,
                    format!("a key of the partitioned table {} is not replaced in one file", self.table.name),
                )
                .help("drop the old one in a migration of its own first"),
            );
        }
        findings.push(Finding::warning(
            "new-write-restriction",
            self.span,
            "code that writes duplicates fails from now on",
        ));
        findings
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let (table, name) = (&self.table, Ident::new(self.name.as_str()));
        if self.new.is_empty() {
            if self.changed_before {
                steps.assert(Phase::Migrate, self.duplicates());
            } else {
                steps.assert_first(self.duplicates());
            }
        }
        let leaves = self.leaves(cx, steps);
        for (leaf, name) in &leaves {
            create_index::build(cx, steps, Phase::Migrate, leaf, self.key.index.clone(), name);
        }
        let mut go = Vec::new();
        let mut back = vec![sql!("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", table.name, name)];
        for column in self.nullable() {
            go.extend(prove_not_null(cx, table, column, steps));
            back.push(sql!("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL", table.name, Ident::new(column)));
        }
        let kind = ServerText::from_server(self.kind());
        let timing = self.key.timing.sql();
        for (leaf, index) in &leaves {
            // The server gives the index the constraint's name.
            let constraint = if leaf.name == table.name { &name } else { index };
            go.push(sql!(
                "ALTER TABLE {} ADD CONSTRAINT {} {} USING INDEX {}{}",
                leaf.name,
                constraint,
                kind,
                index,
                timing
            ));
        }
        if table.kind == TableKind::Partitioned {
            // The server takes over what stands on the partitions, and builds nothing.
            go.push(self.text.clone());
        }
        let says = format!("make {name} the {} of {} by that index", self.kind(), table.name);
        if self.replaces {
            let tree = cx.catalog.tree(table).into_iter();
            let locks: Vec<TableLock> =
                tree.map(|relation| TableLock::new(relation.name.clone(), LockMode::AccessExclusive)).collect();
            let back = cx.policy.retain.then(|| (locks.clone(), back));
            steps.late(Phase::Contract, says, (locks, go), back);
        } else if self.at_contract {
            steps.contract(&table.name, says, go, back);
        } else {
            steps.ddl(Phase::Migrate, table, LockMode::AccessExclusive, says, go, back);
        }
    }

    fn project(&self, catalog: &mut Catalog) {
        if self.primary {
            for column in &self.columns {
                super::not_null::in_model(catalog, &self.table, column);
            }
        }
        let root = TableName { schema: self.table.name.schema.clone(), name: Ident::new(self.name.as_str()) };
        let below = match self.table.kind {
            TableKind::Partitioned => self.partitions(catalog),
            _ => Vec::new(),
        };
        let below = below.into_iter().map(|(leaf, name)| (leaf.name, name, Some(root.clone())));
        for (name, index, attached_to) in
            std::iter::once((self.table.name.clone(), root.name.clone(), None)).chain(below)
        {
            let Some(table) = catalog.tables.iter_mut().find(|table| table.name == name) else { continue };
            let Some(definition) = self.key.index.clone().named(&index).on(&name).to_sql() else { continue };
            table.indexes.push(Index {
                name: index.as_str().to_owned(),
                definition: ServerText::from_server(definition.as_str()),
                columns: self.key.index.columns(),
                unique: true,
                primary: self.primary,
                valid: true,
                constraint: Some(index.as_str().to_owned()),
                attached_to,
                ..Index::default()
            });
        }
        let Some(table) = catalog.tables.iter_mut().find(|table| table.name == self.table.name) else { return };
        table.constraints.push(Constraint {
            name: self.name.clone(),
            kind: if self.primary { ConstraintKind::PrimaryKey } else { ConstraintKind::Unique },
            columns: self.columns.clone(),
            definition: ServerText::from_server(format!("{} ({})", self.kind(), self.columns.join(", "))),
            validated: true,
            deferrable: self.key.timing != Timing::Immediate,
            index: Some(self.name.clone()),
            references: None,
            referenced_columns: Vec::new(),
            inherited: false,
            comment: None,
        });
    }

    fn role(&self) -> Role {
        Role::Index
    }

    fn claims(&self) -> Vec<Claim> {
        self.columns.iter().map(|column| claim(&self.table, column)).collect()
    }
}
