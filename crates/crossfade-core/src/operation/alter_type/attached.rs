//! What the shadow columns of one table need before they can be swapped in: indexes, CHECKs, and the proof that they hold no NULL.

use super::Names;
use super::Part;
use crate::catalog::Constraint;
use crate::catalog::ConstraintKind;
use crate::catalog::Index;
use crate::lock::LockMode;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::Ident;
use crate::sql::IndexDefinition;
use crate::sql::TableName;
use crate::sql::rename_columns_in_constraint;
use crate::step::Concurrently;
use crate::step::Phase;
use crate::step::Probe;
use crate::step::Validate;

impl<'a> Part<'a> {
    fn is_on(&self, columns: &[String]) -> bool {
        self.columns.iter().any(|retype| columns.contains(&retype.column.name))
    }

    /// Indexes on at least one of the columns, those of constraints included.
    pub(super) fn indexes(&self) -> impl Iterator<Item = &'a Index> {
        self.table.indexes.iter().filter(|index| index.valid && self.is_on(&index.columns))
    }

    pub(super) fn checks(&self) -> impl Iterator<Item = &'a Constraint> {
        let constraints = self.table.constraints.iter().filter(|constraint| self.is_on(&constraint.columns));
        constraints.filter(|constraint| constraint.kind == ConstraintKind::Check)
    }

    /// The constraint that owns an index.
    pub(super) fn owner(&self, index: &Index) -> Option<&'a Constraint> {
        self.table.constraints.iter().find(|constraint| Some(&constraint.name) == index.constraint.as_ref())
    }

    pub(super) fn shadows(&self) -> Names {
        let pairs =
            self.columns.iter().map(|retype| (retype.column.name.clone(), retype.shadow(self.cx).as_str().to_owned()));
        pairs.collect()
    }

    pub(super) fn in_schema(&self, name: Ident) -> TableName {
        TableName { schema: self.table.name.schema.clone(), name }
    }

    /// An index under another name and over other columns, built without a lock that keeps out writers.
    pub(super) fn rebuilt(&self, index: &Index, own: Ident, names: &Names) -> Option<(Concurrently, Concurrently)> {
        let definition = IndexDefinition::parse(&index.definition)?.renaming(names)?;
        let run = definition.named(&own).on(&self.table.name).concurrently(true).to_sql()?;
        let name = self.in_schema(own);
        let valid = Probe::IndexIsValid { index: name.clone(), table: self.table.name.clone(), definition: None };
        let drop = sql!("DROP INDEX CONCURRENTLY IF EXISTS {}", name);
        let gone = Concurrently { run: drop, probe: Probe::IndexIsGone { index: name } };
        Some((Concurrently { run, probe: valid }, gone))
    }

    pub(super) fn build(&self, steps: &mut StepsBuilder<'_>) {
        let (cx, table) = (self.cx, self.table);
        for index in self.indexes() {
            if let Some((build, gone)) = self.rebuilt(index, cx.own_name("ix", &index.name), &self.shadows()) {
                let says = format!("build the new {} on {}", index.name, table.name);
                steps.concurrently(Phase::Migrate, &table.name, says, build, Some(gone));
            }
        }
        for check in self.checks() {
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
        for retype in self.columns.iter().filter(|retype| retype.column.not_null) {
            // The statements that use the proof are part of the swap, under the final name.
            super::super::add_column::prove_not_null(cx, table, retype.shadow(cx).as_str(), steps);
        }
    }
}
