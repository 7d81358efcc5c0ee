//! DROP INDEX: CONCURRENTLY by itself, and built again on the way back.

use super::Operation;
use super::create_index::whole_tree;
use super::index_tree;
use super::index_tree::Origin;
use crate::catalog::Catalog;
use crate::catalog::Index;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::finding::Finding;
use crate::lock::LockMode;
use crate::lock::TableLock;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::Ident;
use crate::sql::IndexDefinition;
use crate::sql::Literal;
use crate::sql::Span;
use crate::sql::TableName;
use crate::step::Action;
use crate::step::Claim;
use crate::step::Concurrently;
use crate::step::Ddl;
use crate::step::Phase;
use crate::step::Probe;
use crate::step::Statement;

/// An index to drop; of a partitioned table, with those of its partitions.
#[derive(Clone, Debug)]
pub(super) struct DropIndex {
    pub table: Table,
    pub index: Index,
    pub cascade: bool,
    pub span: Span,
}

impl Operation for DropIndex {
    fn way(&self) -> Option<&'static str> {
        Some("dropped CONCURRENTLY")
    }

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
        if let Some(whole) = &self.index.attached_to {
            findings.push(
                Finding::error("attached-index", self.span, format!("index {name} is a part of the index {whole}"))
                    .help(format!("the server refuses it: drop the whole (DROP INDEX {whole})")),
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

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        if self.table.kind == TableKind::Partitioned {
            return self.lower_whole(cx, steps);
        }
        let index = TableName { schema: self.table.name.schema.clone(), name: Ident::new(self.index.name.as_str()) };
        self.drop_as(steps, &index);
    }

    fn project(&self, catalog: &mut Catalog) {
        for part in index_tree::attached(catalog, &self.table, &self.index) {
            if let Some(table) = catalog.tables.iter_mut().find(|table| table.name == part.table) {
                table.indexes.retain(|index| index.name != part.index.name.as_str());
            }
        }
    }

    fn claims(&self) -> Vec<Claim> {
        self.index.columns.iter().map(|column| super::claim(&self.table, column)).collect()
    }
}

impl DropIndex {
    /// Drops it under the name that it has by then.
    pub(super) fn drop_as(&self, steps: &mut StepsBuilder<'_>, index: &TableName) {
        let table = &self.table.name;
        let mut marks = Vec::new();
        let comment = self.index.comment.as_ref();
        marks.extend(comment.map(|comment| sql!("COMMENT ON INDEX {} IS {}", index, Literal(comment.clone()))));
        if self.index.replica_identity {
            marks.push(sql!("ALTER TABLE {} REPLICA IDENTITY USING INDEX {}", table, index.name));
        }
        if self.index.clustered {
            marks.push(sql!("ALTER TABLE {} CLUSTER ON {}", table, index.name));
        }
        if !marks.is_empty() {
            let lock_first = vec![TableLock::only(table.clone(), LockMode::AccessExclusive)];
            let statements = marks.into_iter().map(Statement::from).collect();
            steps.undo_only(
                Phase::Migrate,
                format!("on the way back: what is said of {} of {table}", self.index.name),
                Action::Ddl(Ddl { lock_first: lock_first.clone(), statements, as_written: false }),
                lock_first,
            );
        }
        let again = IndexDefinition::parse(&self.index.definition)
            .and_then(|definition| definition.named(&index.name).on(table).concurrently(true).to_sql());
        let undo = again.map(|run| Concurrently {
            run,
            probe: Probe::IndexIsValid { index: index.clone(), table: table.clone(), definition: None },
        });
        steps.concurrently(
            Phase::Migrate,
            table,
            format!("drop index {} of {table}", self.index.name),
            Concurrently {
                run: sql!("DROP INDEX CONCURRENTLY IF EXISTS {}", index),
                probe: Probe::IndexIsGone { index: index.clone() },
            },
            undo,
        );
    }

    /// The index of a partitioned table can't be dropped CONCURRENTLY: one short transaction takes it, with all of its parts. On the way back the
    /// parts are built as they were, under their names.
    fn lower_whole(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let parts = index_tree::attached(cx.catalog, &self.table, &self.index);
        let Some(root) = parts.first() else { return };
        let (mut make, mut make_locks) = (Vec::new(), Vec::new());
        let (mut attach, mut attach_locks) = (Vec::new(), Vec::new());
        let mut build = Vec::new();
        for part in &parts {
            let Origin::Found(index) = &part.origin else { continue };
            let Some(definition) = IndexDefinition::parse(&index.definition) else { continue };
            let definition = definition.on(&part.table);
            let holds_rows = cx.catalog.table(&part.table).is_some_and(|table| table.kind == TableKind::Table);
            let join =
                part.parent.as_ref().map(|parent| sql!("ALTER INDEX {} ATTACH PARTITION {}", parent, part.index));
            if holds_rows {
                build.extend(definition.concurrently(true).to_sql().map(|run| (part, run)));
                attach.extend(join);
                attach_locks.push(TableLock::only(part.table.clone(), LockMode::AccessExclusive));
            } else {
                make.extend(definition.only(true).to_sql());
                make.extend(join);
                make_locks.push(TableLock::only(part.table.clone(), LockMode::Share));
            }
            if let Some(comment) = &index.comment {
                attach.push(sql!("COMMENT ON INDEX {} IS {}", part.index, Literal(comment.clone())));
            }
        }
        steps.locked(
            Phase::Migrate,
            format!("drop index {} of {} and of its partitions", root.index.name, self.table.name),
            whole_tree(cx, &self.table),
            vec![sql!("DROP INDEX {}", root.index)],
            Some((attach_locks, attach)),
        );
        for (part, run) in build.into_iter().rev() {
            steps.undo_only(
                Phase::Migrate,
                format!("on the way back: build {} on {} again", part.index.name, part.table),
                Action::Concurrently(Concurrently {
                    run,
                    probe: Probe::IndexIsValid {
                        index: part.index.clone(),
                        table: part.table.clone(),
                        definition: None,
                    },
                }),
                vec![TableLock::new(part.table.clone(), LockMode::ShareUpdateExclusive)],
            );
        }
        let statements = make.into_iter().map(Statement::from).collect();
        steps.undo_only(
            Phase::Migrate,
            format!(
                "on the way back: make index {} on {} again, without its partitions",
                root.index.name, self.table.name
            ),
            Action::Ddl(Ddl { lock_first: make_locks.clone(), statements, as_written: false }),
            make_locks,
        );
    }
}
