//! RENAME COLUMN: a copy under the new name lives beside the old column until contract; then the copy goes and the old column takes
//! its name.
//!
//! So everything that hangs on the column (constraints, indexes, views, grants, statistics) ends just as a direct rename leaves it, and the
//! way back after contract is another rename (docs/decisions/0006).

use std::collections::BTreeMap;

use super::Operation;
use super::claim;
use super::column_exists;
use super::no_column;
use super::old_column;
use super::sync_refusals;
use super::trigger_warnings;
use super::whole::guard;
use crate::catalog::Catalog;
use crate::catalog::Constraint;
use crate::catalog::Index;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::finding::Finding;
use crate::plan::Group;
use crate::plan::NewColumn;
use crate::plan::PlanContext;
use crate::plan::Shape;
use crate::plan::StepsBuilder;
use crate::plan::TRIGGERS;
use crate::plan::Until;
use crate::sql;
use crate::sql::Expr;
use crate::sql::Ident;
use crate::sql::IndexDefinition;
use crate::sql::Literal;
use crate::sql::Span;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::step::Assert;
use crate::step::Claim;
use crate::step::Concurrently;
use crate::step::Phase;
use crate::step::Probe;

/// A column that gets another name.
#[derive(Clone, Debug)]
pub(super) struct RenameColumn {
    pub table: Table,
    pub from: String,
    pub to: String,
    pub span: Span,
    /// Every rename of this table in the file: an index over two of them is copied once, over both.
    pub together: BTreeMap<String, String>,
    /// The default that the file gives to it, or that it has none any more.
    pub default: Option<Option<Expr>>,
    /// The view of the table under the name that the file gives it.
    pub stand_in: Option<TableName>,
}

impl Operation for RenameColumn {
    fn way(&self) -> Option<&'static str> {
        Some("both names work until contract")
    }

    fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        if self.table.column(&self.from).is_none() {
            return vec![no_column(&self.table, &self.from, self.span)];
        }
        let mut findings = sync_refusals(cx, &self.table, &self.from, self.span);
        if self.table.column(&self.to).is_some() {
            findings.push(column_exists(&self.table, &self.to, self.span));
        }
        findings.extend(trigger_warnings(&self.table, &self.from, self.span));
        findings
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        // What the file makes on the column in front of the rename goes with it, too.
        let now = steps.now().clone();
        let Some(here) = now.table(&self.table.name) else { return };
        let Some(column) = here.column(&self.from) else { return };
        let (from, to) = (Ident::new(self.from.as_str()), Ident::new(self.to.as_str()));
        let table = &self.table.name;
        let collation =
            column.collation.as_ref().map(|collation| sql!(" COLLATE {}", collation)).unwrap_or_else(|| sql!(""));
        steps.add_column(table, sql!("{} {}{}", to, column.type_name, collation));
        steps.sync(
            table,
            Group {
                shape: Shape::Rename,
                old: vec![old_column(cx, column, Some(Expr::column(&self.to)))],
                new: vec![NewColumn {
                    name: to.clone(),
                    type_name: sql!("{}", column.type_name),
                    up: Expr::column(&self.from),
                    default: self.default.clone().flatten().filter(|default| !default.is_null()),
                    not_null: false,
                }],
                until: Until::Contract,
                mend: Vec::new(),
                loud: false,
                counts: false,
            },
        );
        let late = |index: &&Index| {
            let is_of = |known: &&Constraint| Some(&known.name) == index.constraint.as_ref();
            here.constraints.iter().find(is_of).is_some_and(|known| known.deferrable)
        };
        for index in here.indexes_on(&self.from).filter(|index| index.valid && !late(index)) {
            if let Some(index) = IndexDefinition::parse(&index.definition) {
                steps.twice_unique(table, &index);
            }
        }
        for leaf in now.leaves(here) {
            copy_indexes(cx, leaf, &self.from, &self.together, steps);
        }
        let unused = self.unused(cx, now.leaves(here));
        let still = guard(&unused);
        steps.early_assert(Phase::Contract, unused);
        let mut go = vec![
            still,
            sql!("ALTER TABLE {} DROP COLUMN {}", table, to),
            sql!("ALTER TABLE {} RENAME COLUMN {} TO {}", table, from, to),
        ];
        let mut back = vec![sql!("ALTER TABLE {} RENAME COLUMN {} TO {}", table, to, from)];
        if let Some(default) = &self.default {
            let of = |name: &Ident, default: Option<Sql>| match default {
                Some(default) => sql!("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}", table, name, default),
                None => sql!("ALTER TABLE {} ALTER COLUMN {} DROP DEFAULT", table, name),
            };
            go.push(of(&to, default.as_ref().map(Expr::over_table)));
            back.push(of(&from, column.default.as_ref().map(|default| sql!("{}", default.expression))));
        }
        steps.contract(table, format!("drop the copy, rename {from} of {table} to {to}"), go, back);
    }

    fn project(&self, catalog: &mut Catalog) {
        let tree: Vec<TableName> =
            catalog.tree(&self.table).into_iter().map(|relation| relation.name.clone()).collect();
        for table in catalog.tables.iter_mut().filter(|table| tree.contains(&table.name)) {
            rename_in(table, &self.from, &self.to);
        }
    }

    fn claims(&self) -> Vec<Claim> {
        vec![claim(&self.table, &self.from), claim(&self.table, &self.to)]
    }
}

impl RenameColumn {
    /// What somebody has made on the copy would go with it.
    fn unused(&self, cx: &PlanContext<'_>, leaves: Vec<&Table>) -> Assert {
        let (table, to) = (&self.table.name, Ident::new(self.to.as_str()));
        let (whole, copy) = (Literal(sql!("{}", table).to_string()), Literal(self.to.clone()));
        let (from, name, place) = (sql!("{}", Ident::new(self.from.as_str())), sql!("{}", to), sql!("{}", table));
        let says = Literal(format!(" is on {name} of {place}, a copy that goes"));
        let own = leaves.into_iter().flat_map(|leaf| {
            let own = |index: &Index| (leaf.name.schema.clone(), cx.own_name("ix", &index.name));
            leaf.indexes_on(&self.from).map(own).collect::<Vec<_>>()
        });
        let own = own.map(|(schema, name)| {
            sql!("({}, {})", Literal(schema.as_str().to_owned()), Literal(name.as_str().to_owned()))
        });
        let own = Sql::join(std::iter::once(sql!("('', '')")).chain(own), ", ");
        let ours = self.stand_in.as_ref().map(|view| {
            sql!(
                " AND NOT EXISTS (SELECT FROM pg_catalog.pg_rewrite AS r WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
                 AND r.oid = d.objid AND r.ev_class = pg_catalog.to_regclass({}))",
                Literal(sql!("{}", view).to_string())
            )
        });
        // NOT NULL is a constraint from PostgreSQL 18 on, and a mark of the column before; here it is the mark.
        let query = sql!(
            "WITH copies AS (SELECT a.attrelid, a.attnum, a.attnotnull FROM pg_catalog.pg_attribute AS a \
             WHERE a.attrelid IN (SELECT {}::pg_catalog.regclass UNION SELECT relid FROM pg_catalog.pg_partition_tree({})) \
             AND a.attname = {} AND NOT a.attisdropped) \
             SELECT DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) || {} AS wrong \
             FROM copies AS c JOIN pg_catalog.pg_depend AS d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
             AND d.refobjid = c.attrelid AND d.refobjsubid = c.attnum \
             WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class AS i JOIN pg_catalog.pg_namespace AS n ON n.oid = i.relnamespace \
             WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND i.oid = d.objid AND (n.nspname, i.relname) IN ({})) \
             AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger AS g WHERE d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass \
             AND g.oid = d.objid AND pg_catalog.starts_with(g.tgname::pg_catalog.text, {})) \
             AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS k WHERE d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass \
             AND k.oid = d.objid AND k.contype = 'n'){} \
             UNION SELECT 'NOT NULL' || {} FROM copies WHERE attnotnull ORDER BY 1",
            whole,
            whole,
            copy,
            says,
            own,
            Literal(TRIGGERS.to_owned()),
            ours.unwrap_or_else(Sql::empty),
            says
        );
        Assert {
            query,
            message: format!("nothing was made on {to} of {table}, a copy of {}", self.from),
            help: format!(
                "make it on {from} of {place}, which becomes {name}, where it is to stay (an index: CONCURRENTLY); drop what is named here; then run `crossfade contract` again"
            ),
        }
    }
}

/// Renames a column in the model of a table.
pub(super) fn rename_in(table: &mut Table, from: &str, to: &str) {
    if let Some(column) = table.columns.iter_mut().find(|column| column.name == from) {
        to.clone_into(&mut column.name);
    }
    let rename = |names: &mut Vec<String>| {
        for name in names.iter_mut().filter(|name| name.as_str() == from) {
            to.clone_into(name);
        }
    };
    table.constraints.iter_mut().for_each(|constraint| rename(&mut constraint.columns));
    table.indexes.iter_mut().for_each(|index| rename(&mut index.columns));
}

/// New code looks rows up by the new name while both live, and names it in ON CONFLICT: the copy needs the old column's indexes. They
/// go with the copy.
fn copy_indexes(
    cx: &PlanContext<'_>,
    leaf: &Table,
    from: &str,
    names: &BTreeMap<String, String>,
    steps: &mut StepsBuilder<'_>,
) {
    if leaf.kind != TableKind::Table {
        return;
    }
    for index in leaf.indexes_on(from).filter(|index| index.valid) {
        // With the first of its columns that the file renames, it is copied over all of them.
        if names.values().any(|name| index.columns.contains(name)) {
            continue;
        }
        let own = cx.own_name("ix", &index.name);
        let constraint = leaf.constraints.iter().find(|constraint| Some(&constraint.name) == index.constraint.as_ref());
        let definition = IndexDefinition::parse(&index.definition).and_then(|definition| definition.renaming(names));
        let Some(definition) = definition else { continue };
        let definition = definition.named(&own).on(&leaf.name).concurrently(true);
        let checked_late = constraint.is_some_and(|constraint| constraint.deferrable);
        let definition = if checked_late { definition.not_unique() } else { definition };
        let Some(run) = definition.to_sql() else { continue };
        let name = TableName { schema: leaf.name.schema.clone(), name: own };
        steps.concurrently(
            Phase::Migrate,
            &leaf.name,
            format!("build the copy's own {} on {}", index.name, leaf.name),
            Concurrently {
                run,
                probe: Probe::IndexIsValid { index: name.clone(), table: leaf.name.clone(), definition: None },
            },
            Some(Concurrently {
                run: sql!("DROP INDEX CONCURRENTLY IF EXISTS {}", name),
                probe: Probe::IndexIsGone { index: name },
            }),
        );
    }
}
