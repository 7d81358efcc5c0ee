//! What the shadow columns of one table need before they can be swapped in: indexes, CHECKs, and the proof that they hold no NULL.

use super::Names;
use super::Part;
use super::index::IndexTree;
use super::index::Twig;
use crate::catalog::Constraint;
use crate::catalog::ConstraintKind;
use crate::catalog::Table;
use crate::lock::LockMode;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::Ident;
use crate::sql::IndexDefinition;
use crate::sql::rename_columns_in_constraint;
use crate::step::Concurrently;
use crate::step::Phase;
use crate::step::Probe;
use crate::step::Validate;

impl<'a> Part<'a> {
    fn is_on(&self, columns: &[String]) -> bool {
        self.columns.iter().any(|retype| columns.contains(&retype.column.name))
    }

    /// CHECKs on at least one of the columns, those of single partitions included, each with the table that has it of its own.
    pub(super) fn checks(&self) -> Vec<(&'a Table, &'a Constraint)> {
        let relations = self.cx.catalog.tree(self.table).into_iter();
        let own = |relation: &'a Table| {
            let whole = relation.name == self.table.name;
            let checks = relation.constraints.iter().filter(|known| known.kind == ConstraintKind::Check);
            checks.filter(move |check| whole || !check.inherited).map(move |check| (relation, check))
        };
        relations.flat_map(own).filter(|(_, check)| self.is_on(&check.columns)).collect()
    }

    pub(super) fn shadows(&self) -> Names {
        let pairs =
            self.columns.iter().map(|retype| (retype.column.name.clone(), retype.shadow(self.cx).as_str().to_owned()));
        pairs.collect()
    }

    /// The index of one relation under another name and over other columns, built without a lock that keeps out writers.
    pub(super) fn rebuilt(
        tree: &IndexTree<'_>,
        twig: &Twig<'_>,
        own: Ident,
        names: &Names,
    ) -> Option<(Concurrently, Concurrently)> {
        let run = tree.renamed(names)?.named(&own).on(&twig.table.name).concurrently(true).to_sql()?;
        let name = twig.full(own);
        let valid = Probe::IndexIsValid { index: name.clone(), table: twig.table.name.clone(), definition: None };
        let drop = sql!("DROP INDEX CONCURRENTLY IF EXISTS {}", name);
        let gone = Concurrently { run: drop, probe: Probe::IndexIsGone { index: name } };
        Some((Concurrently { run, probe: valid }, gone))
    }

    fn build_index(&self, tree: &IndexTree<'_>, steps: &mut StepsBuilder<'_>) {
        let (cx, shadows) = (self.cx, self.shadows());
        if tree.is_partitioned() && tree.owner.is_none() {
            let Some(definition) = tree.renamed(&shadows) else { return };
            let branches = tree.beside(cx);
            return super::super::create_index::build_tree(
                cx,
                steps,
                Phase::Migrate,
                tree.table,
                branches,
                &definition,
            );
        }
        for twig in tree.leaves() {
            if let Some((build, gone)) = Self::rebuilt(tree, twig, twig.beside(cx), &shadows) {
                let says = format!("build the new {} on {}", twig.known.as_str(), twig.table.name);
                steps.concurrently(Phase::Migrate, &twig.table.name, says, build, Some(gone));
            }
        }
        if let (true, false, Some(owner)) = (tree.is_partitioned(), tree.index.primary, tree.owner) {
            let own = cx.own_name("ix", &owner.name);
            steps.ddl(
                Phase::Migrate,
                tree.table,
                LockMode::AccessExclusive,
                format!("enforce {} for the new column of {}", owner.name, tree.table.name),
                tree.add_constraints(owner, &shadows, |twig| (twig.beside(cx), twig.beside(cx))),
                vec![sql!("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", tree.table.name, own)],
            );
        }
    }

    pub(super) fn build(&self, steps: &mut StepsBuilder<'_>) {
        let (cx, table) = (self.cx, self.table);
        for tree in &self.trees {
            self.build_index(tree, steps);
            let checked_late = tree.owner.is_some_and(|owner| owner.deferrable);
            if let Some(index) = IndexDefinition::parse(&tree.index.definition)
                && tree.table.name == table.name
                && !checked_late
            {
                steps.twice_unique(&table.name, &index);
            }
        }
        for (table, check) in self.checks() {
            let own = cx.own_name("ck", &check.name);
            let Some(definition) = rename_columns_in_constraint(&check.definition, &self.shadows()) else { continue };
            steps.ddl(
                Phase::Migrate,
                table,
                LockMode::AccessExclusive,
                format!("enforce {} for the new column of {}", check.name, table.name),
                vec![sql!("ALTER TABLE {} ADD CONSTRAINT {} {} NOT VALID", table.name, own, definition)],
                vec![sql!("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", table.name, own)],
            );
            if check.validated {
                steps.validate(
                    Phase::Migrate,
                    table,
                    format!("prove {} for the new column of {}", check.name, table.name),
                    Validate {
                        sql: sql!("ALTER TABLE {} VALIDATE CONSTRAINT {}", table.name, own),
                        help: format!("a row breaks {} once its type is changed", check.name),
                    },
                );
            }
        }
        for retype in self.columns.iter().filter(|retype| retype.not_null) {
            // The statements that use the proof are part of the swap, under the final name.
            super::super::add_column::prove_not_null(cx, table, retype.shadow(cx).as_str(), steps);
        }
    }
}
