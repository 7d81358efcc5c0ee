//! DROP INDEX: CONCURRENTLY by itself, and built again on the way back.

use super::Operation;
use crate::catalog::Catalog;
use crate::catalog::Index;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::finding::Finding;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::Ident;
use crate::sql::IndexDefinition;
use crate::sql::Span;
use crate::sql::TableName;
use crate::step::Claim;
use crate::step::Concurrently;
use crate::step::Phase;
use crate::step::Probe;

/// An index to drop.
#[derive(Clone, Debug)]
pub(super) struct DropIndex {
    pub table: Table,
    pub index: Index,
    pub cascade: bool,
    pub span: Span,
}

impl Operation for DropIndex {
    fn check(&self, _: &PlanContext<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        let name = &self.index.name;
        if let Some(constraint) = &self.index.constraint {
            findings.push(
                Finding::error(
                    "drop-constraint-index",
                    self.span,
                    format!("index {name} belongs to the constraint {constraint} of {}", self.table.name),
                )
                .help(format!(
                    "the server refuses it: drop the constraint instead (ALTER TABLE … DROP CONSTRAINT {constraint})"
                )),
            );
        }
        if self.table.kind == TableKind::Partitioned {
            findings.push(
                Finding::error(
                    "partitioned-index",
                    self.span,
                    format!("the partitioned index {name} can't be dropped CONCURRENTLY"),
                )
                .help("accept the lock: `-- crossfade: direct REASON`"),
            );
        }
        if self.cascade {
            findings.push(
                Finding::error("drop-cascade", self.span, "CASCADE drops what is not named here")
                    .help("name what shall go, each in a statement of its own"),
            );
        }
        if self.index.unique {
            findings.push(Finding::warning(
                "drop-unique-index",
                self.span,
                format!("duplicates are possible once {name} is gone, and ON CONFLICT that relies on it fails"),
            ));
        }
        findings
    }

    fn lower(&self, _: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let index = TableName { schema: self.table.name.schema.clone(), name: Ident::new(self.index.name.as_str()) };
        let again = IndexDefinition::parse(&self.index.definition)
            .and_then(|definition| definition.on(&self.table.name).concurrently(true).to_sql());
        let undo = again.map(|run| Concurrently {
            run,
            probe: Probe::IndexIsValid { index: index.clone(), table: self.table.name.clone(), definition: None },
        });
        steps.concurrently(
            Phase::Migrate,
            &self.table.name,
            format!("drop index {} of {}", self.index.name, self.table.name),
            Concurrently {
                run: sql!("DROP INDEX CONCURRENTLY IF EXISTS {}", index),
                probe: Probe::IndexIsGone { index },
            },
            undo,
        );
    }

    fn project(&self, catalog: &mut Catalog) {
        if let Some(table) = catalog.tables.iter_mut().find(|table| table.name == self.table.name) {
            table.indexes.retain(|index| index.name != self.index.name);
        }
    }

    fn claims(&self) -> Vec<Claim> {
        self.index.columns.iter().map(|column| super::claim(&self.table, column)).collect()
    }
}
