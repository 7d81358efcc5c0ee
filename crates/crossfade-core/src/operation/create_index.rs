//! CREATE INDEX on an existing table: CONCURRENTLY by itself, with invalid left-overs of an earlier try cleared.

use super::Operation;
use super::Role;
use super::claim;
use crate::catalog::Catalog;
use crate::catalog::Index;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::finding::Finding;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::CreateIndex;
use crate::sql::Ident;
use crate::sql::ServerText;
use crate::sql::Span;
use crate::sql::TableName;
use crate::step::Claim;
use crate::step::Concurrently;
use crate::step::Phase;
use crate::step::Probe;

/// An index to build.
#[derive(Clone, Debug)]
pub(super) struct BuildIndex {
    pub table: Table,
    pub index: CreateIndex,
    pub span: Span,
}

impl Operation for BuildIndex {
    fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.table.kind == TableKind::Partitioned {
            findings.push(Finding::error("partitioned-index", self.span, format!("an index on the partitioned table {} can't be built CONCURRENTLY", self.table.name))
                .help("build it ON ONLY the parent and on each partition, or accept the lock: `-- crossfade: direct REASON`"));
        }
        if self.index.name.is_none() {
            findings.push(
                Finding::error(
                    "index-without-name",
                    self.span,
                    "an index that is built CONCURRENTLY needs a name of its own",
                )
                .help("without one a second try makes a second index: write CREATE INDEX name ON …"),
            );
        }
        if (140_000..140_004).contains(&cx.catalog.server_version) {
            findings.push(
                Finding::warning(
                    "index-corruption-14",
                    self.span,
                    "PostgreSQL 14.0 to 14.3 can build indexes CONCURRENTLY that miss rows",
                )
                .help("update the server to 14.4 or later"),
            );
        }
        let name = self.index.name.as_deref().unwrap_or_default();
        let there = self.table.indexes.iter().find(|index| index.name == name);
        if let Some(there) = there
            && there.valid
            && !self.index.if_not_exists
        {
            findings.push(Finding::error(
                "index-exists",
                self.span,
                format!("{} already has an index {name}", self.table.name),
            ));
        }
        if self.index.unique {
            findings.push(Finding::warning(
                "new-write-restriction",
                self.span,
                "code that writes duplicates fails from now on",
            ));
        }
        findings
    }

    fn lower(&self, _: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let Some(name) = &self.index.name else { return };
        if self.index.if_not_exists && self.table.indexes.iter().any(|index| index.name == *name && index.valid) {
            return;
        }
        let index = TableName { schema: self.table.name.schema.clone(), name: Ident::new(name.as_str()) };
        let definition = self.index.definition.clone().on(&self.table.name).concurrently(true);
        let Some(run) = definition.to_sql() else { return };
        steps.concurrently(
            Phase::Migrate,
            &self.table.name,
            format!("build index {name} on {}", self.table.name),
            Concurrently {
                run,
                probe: Probe::IndexIsValid { index: index.clone(), table: self.table.name.clone(), definition: None },
            },
            Some(Concurrently {
                run: sql!("DROP INDEX CONCURRENTLY IF EXISTS {}", index),
                probe: Probe::IndexIsGone { index },
            }),
        );
    }

    fn project(&self, catalog: &mut Catalog) {
        if let Some(table) = catalog.tables.iter_mut().find(|table| table.name == self.table.name)
            && let Some(definition) = self.index.definition.clone().concurrently(false).to_sql()
        {
            table.indexes.push(Index {
                name: self.index.name.clone().unwrap_or_default(),
                definition: ServerText::from_server(definition.as_str()),
                columns: self.index.columns.clone(),
                unique: self.index.unique,
                primary: false,
                expression_or_predicate: false,
                valid: true,
                constraint: None,
                replica_identity: false,
                clustered: false,
                comment: None,
            });
        }
    }

    fn role(&self) -> Role {
        Role::Index
    }

    fn claims(&self) -> Vec<Claim> {
        self.index.columns.iter().map(|column| claim(&self.table, column)).collect()
    }
}
