//! What a run has made itself. Nobody uses it before the run is over, so that what is done to it waits for nobody.

use std::collections::BTreeSet;

use crate::catalog::Catalog;
use crate::migration::Migration;
use crate::operation::destination;
use crate::sql::StatementKind;
use crate::sql::TableName;

/// What earlier migrations of a run have made.
#[derive(Clone, Debug, Default)]
pub struct MadeInRun {
    /// Whether there was nothing when the run began, so that it has made whatever is there.
    pub everything: bool,
    relations: BTreeSet<TableName>,
}

impl MadeInRun {
    /// Before the run's first migration.
    pub fn beginning(catalog: &Catalog) -> MadeInRun {
        let everything = catalog.tables.is_empty() && catalog.objects.is_empty();
        MadeInRun { everything, relations: BTreeSet::new() }
    }

    /// Whether the run has made this table or view.
    pub fn has(&self, relation: &TableName) -> bool {
        self.everything || self.relations.contains(relation)
    }

    /// Adds what a migration makes, by the catalog from before it.
    pub fn add(&mut self, migration: &Migration, catalog: &Catalog) {
        for statement in &migration.statements {
            let made = match &statement.parsed.kind {
                StatementKind::CreateTable { name, temporary: false, .. } => Some(catalog.place(name)),
                StatementKind::Move { kind, object, to, .. } if kind.object_kind() == "relation" => {
                    let from = catalog.place(object);
                    self.relations.contains(&from).then(|| destination(&from, to))
                }
                StatementKind::CreateTable { .. }
                | StatementKind::Move { .. }
                | StatementKind::AlterTable { .. }
                | StatementKind::RenameColumn { .. }
                | StatementKind::CreateIndex(_)
                | StatementKind::DropIndex { .. }
                | StatementKind::Drop { .. }
                | StatementKind::Update(_)
                | StatementKind::Transaction(_)
                | StatementKind::NotInTransaction { .. }
                | StatementKind::CopyFromStdin { .. }
                | StatementKind::Other { .. } => {
                    let made = statement.parsed.makes.as_ref().filter(|made| made.class == "pg_class");
                    made.map(|made| catalog.place(&made.name))
                }
            };
            self.relations.extend(made.filter(|place| catalog.table(place).is_none()));
        }
    }
}
