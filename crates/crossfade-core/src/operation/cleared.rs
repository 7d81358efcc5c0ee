//! What the statements in front of another one take out of its way: a foreign key, a column or a view that is dropped does not hinder the DROP
//! of what it hangs on.

use std::collections::BTreeSet;

use crate::catalog::Dependent;
use crate::plan::PlanContext;
use crate::sql::AlterCommand;
use crate::sql::Span;
use crate::sql::StatementKind;
use crate::sql::TableName;

/// What is gone before a statement.
#[derive(Clone, Debug, Default)]
pub(super) struct Cleared {
    /// Tables and views that are dropped.
    pub relations: BTreeSet<TableName>,
    /// Constraints that are dropped.
    pub constraints: BTreeSet<(TableName, String)>,
    /// Columns that are dropped.
    pub columns: BTreeSet<(TableName, String)>,
    /// Functions that are dropped, as the server describes them up to their arguments.
    pub functions: BTreeSet<String>,
    /// Partitions that are detached.
    pub detached: BTreeSet<TableName>,
    /// Relations that are altered in whatever way.
    pub altered: BTreeSet<TableName>,
}

impl Cleared {
    /// What the file's statements in front of this place do.
    pub fn before(cx: &PlanContext<'_>, span: Span) -> Cleared {
        let mut cleared = Cleared::default();
        for statement in cx.migration.statements.iter().filter(|statement| statement.parsed.span.start < span.start) {
            cleared.take(cx, &statement.parsed.kind);
        }
        cleared
    }

    fn take(&mut self, cx: &PlanContext<'_>, kind: &StatementKind) {
        let (_, touched) = super::as_written::touches(kind);
        self.altered.extend(touched.iter().filter_map(|(name, _)| cx.catalog.resolve(name)).map(|it| it.name.clone()));
        match kind {
            StatementKind::Drop { kind, objects, .. } => {
                for object in objects {
                    let place = cx.catalog.resolve(&object.name).map(|table| table.name.clone());
                    let place = place.unwrap_or_else(|| cx.catalog.place(&object.name));
                    if kind.catalog_class() == "pg_proc" {
                        self.functions.insert(format!("function {place}("));
                    } else {
                        self.relations.insert(place);
                    }
                }
            }
            StatementKind::AlterTable { table, commands, .. } => {
                let Some(table) = cx.catalog.resolve(table) else { return };
                for command in commands {
                    match command {
                        AlterCommand::DropConstraint { name, .. } => {
                            self.constraints.insert((table.name.clone(), name.clone()));
                        }
                        AlterCommand::DropColumn { column, .. } => {
                            self.columns.insert((table.name.clone(), column.clone()));
                        }
                        AlterCommand::DetachPartition { partition, .. } => {
                            self.detached.extend(cx.catalog.resolve(partition).map(|table| table.name.clone()));
                        }
                        AlterCommand::AddColumn { .. }
                        | AlterCommand::AlterType { .. }
                        | AlterCommand::SetNotNull { .. }
                        | AlterCommand::SetDefault { .. }
                        | AlterCommand::DropNotNull { .. }
                        | AlterCommand::AddConstraint(_)
                        | AlterCommand::AttachPartition { .. }
                        | AlterCommand::Other { .. } => {}
                    }
                }
            }
            StatementKind::RenameColumn { .. }
            | StatementKind::Move { .. }
            | StatementKind::CreateIndex(_)
            | StatementKind::DropIndex { .. }
            | StatementKind::Update(_)
            | StatementKind::CreateTable { .. }
            | StatementKind::Transaction(_)
            | StatementKind::NotInTransaction { .. }
            | StatementKind::CopyFromStdin { .. }
            | StatementKind::Other { .. } => {}
        }
    }

    /// Whether something that hangs on a relation is gone.
    pub fn has(&self, dependent: &Dependent) -> bool {
        dependent.view.as_ref().is_some_and(|view| self.relations.contains(view))
            || self.functions.iter().any(|function| dependent.description.starts_with(function.as_str()))
    }
}
