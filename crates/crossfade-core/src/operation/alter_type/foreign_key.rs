//! Foreign keys over a column that changes, on either side: a second one over the shadows is proven beside the first, and takes its name at
//! contract. The first is dropped there: the retired column may hold NULL for what its type can't, and must not reject a write for that. On
//! the way back it is made and proven again.

use super::super::claim;
use super::AlterType;
use super::Names;
use super::Retype;
use crate::catalog::Constraint;
use crate::catalog::ConstraintKind;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::finding::Finding;
use crate::lock::LockMode;
use crate::lock::TableLock;
use crate::plan::Around;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::Ident;
use crate::sql::Literal;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::sql::rename_columns_in_foreign_key;
use crate::step::Action;
use crate::step::Claim;
use crate::step::Ddl;
use crate::step::Phase;
use crate::step::Preflight;
use crate::step::Statement;
use crate::step::Validate;

/// A foreign key that a type change touches.
#[derive(Clone)]
pub(super) struct ForeignKey<'a> {
    pub(super) child: &'a Table,
    pub(super) parent: &'a Table,
    pub(super) constraint: &'a Constraint,
    /// The table whose contract swaps it: the referenced one where that changes, as its key can't go before.
    pub(super) home: &'a TableName,
}

/// All foreign keys that the operation touches.
pub(super) fn touched<'a>(operation: &AlterType, cx: &'a PlanContext<'a>) -> Vec<ForeignKey<'a>> {
    let changes = |table: &Table, columns: &[String]| {
        operation.of(&table.name).any(|retype| columns.contains(&retype.column.name))
    };
    let mut found = Vec::new();
    for child in &cx.catalog.tables {
        let own = child.constraints.iter().filter(|constraint| constraint.kind == ConstraintKind::ForeignKey);
        for constraint in own.filter(|constraint| !constraint.inherited) {
            let parent = constraint.references.as_ref().and_then(|name| cx.catalog.table(name));
            let Some(parent) = parent else { continue };
            let below = changes(child, &constraint.columns);
            let above = changes(parent, &constraint.referenced_columns);
            if below || above {
                found.push(ForeignKey {
                    child,
                    parent,
                    constraint,
                    home: if above { &parent.name } else { &child.name },
                });
            }
        }
    }
    found
}

impl ForeignKey<'_> {
    pub(super) fn touches(&self, retype: &Retype) -> bool {
        let (table, name) = (&retype.table.name, &retype.column.name);
        self.child.name == *table && self.constraint.columns.contains(name)
            || self.parent.name == *table && self.constraint.referenced_columns.contains(name)
    }

    /// The columns of both sides.
    pub(super) fn columns(&self) -> Vec<Claim> {
        let below = self.constraint.columns.iter().map(|column| claim(self.child, column));
        below.chain(self.constraint.referenced_columns.iter().map(|column| claim(self.parent, column))).collect()
    }

    pub(super) fn refuse(&self) -> Option<String> {
        let name = &self.constraint.name;
        if let Some(partition) = [self.child, self.parent].into_iter().find(|table| table.partition_of.is_some()) {
            return Some(format!("{} has a foreign key of its own, {name}, or one to it alone", partition.name));
        }
        let understood =
            rename_columns_in_foreign_key(&self.constraint.definition, &Names::new(), &Names::new()).is_some();
        (!understood).then(|| {
            format!("it is in the foreign key {name} of {}, which is temporal or not enforced", self.child.name)
        })
    }

    /// Whether no second one can stand beside it before contract: see [`late_key`](super::late_key).
    pub(super) fn is_late(&self) -> bool {
        [self.child, self.parent].iter().any(|table| table.kind == TableKind::Partitioned)
    }

    fn beside(&self, cx: &PlanContext<'_>) -> Ident {
        cx.own_name("fk", &self.constraint.name)
    }

    fn on_the_way_back(&self, cx: &PlanContext<'_>) -> Ident {
        cx.own_name("bf", &self.constraint.name)
    }

    pub(super) fn known(&self) -> Ident {
        Ident::new(self.constraint.name.as_str())
    }

    fn tables(&self) -> Vec<TableName> {
        let mut tables = vec![self.child.name.clone(), self.parent.name.clone()];
        tables.sort();
        tables.dedup();
        tables
    }

    fn locks(&self, child: LockMode, parent: LockMode) -> Vec<TableLock> {
        let mode = |table: &TableName| if *table == self.child.name { child } else { parent };
        self.tables().into_iter().map(|table| TableLock::new(table.clone(), mode(&table))).collect()
    }

    /// The same key between columns that are known by other names, not proven yet.
    fn add(&self, own: &Ident, child: &Names, parent: &Names) -> Option<Sql> {
        let definition = rename_columns_in_foreign_key(&self.constraint.definition, child, parent)?;
        Some(sql!("ALTER TABLE {} ADD CONSTRAINT {} {}", self.child.name, own, definition))
    }

    fn validate(&self, own: &Ident, help: String) -> Validate {
        Validate { sql: sql!("ALTER TABLE {} VALIDATE CONSTRAINT {}", self.child.name, own), help }
    }

    /// Beside the first one, before contract.
    pub(super) fn build(&self, operation: &AlterType, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let names = |table: &Table| operation.names(&table.name, |retype| retype.shadow(cx));
        let (own, known, table) = (self.beside(cx), self.known(), &self.child.name);
        let Some(add) = self.add(&own, &names(self.child), &names(self.parent)) else { return };
        steps.preflight(self.comparable(operation));
        steps.ddl_on(
            Phase::Migrate,
            &self.tables(),
            LockMode::ShareRowExclusive,
            format!("enforce {known} of {table} for the new type"),
            vec![add],
            vec![sql!("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", table, own)],
        );
        if self.constraint.validated {
            let help =
                format!("a row breaks {known} once the type is changed: mend it, then run `crossfade migrate` again");
            let says = format!("prove {known} of {table} for the new type");
            let locks = self.locks(LockMode::ShareUpdateExclusive, LockMode::RowShare);
            steps.validate_on(Phase::Migrate, locks, says, self.validate(&own, help));
        }
    }

    /// The server must be able to compare both sides once their types are changed.
    pub(super) fn comparable(&self, operation: &AlterType) -> Preflight {
        let type_of = |table: &Table, column: &String| {
            let changed = operation.of(&table.name).find(|retype| retype.column.name == *column);
            changed
                .map(|retype| retype.to.type_name.clone())
                .or_else(|| table.column(column).map(|column| sql!("{}", column.type_name)))
        };
        let pairs = self.constraint.columns.iter().zip(&self.constraint.referenced_columns);
        let each = pairs.filter_map(|(column, referenced)| {
            let (below, above) = (type_of(self.child, column)?, type_of(self.parent, referenced)?);
            Some(sql!("NULL::{} = NULL::{}", above, below))
        });
        let span = operation.columns.iter().find(|retype| self.touches(retype)).map(|retype| retype.span);
        Preflight {
            query: sql!("SELECT 'unreachable' WHERE false AND ({})", Sql::join(each, " AND ")),
            finding: Finding::error(
                "alter-type",
                span,
                format!(
                    "the foreign key {} of {} would compare types that can't be compared",
                    self.known(),
                    self.child.name
                ),
            )
            .help("change both sides in one file"),
        }
    }

    /// The first one goes before anything else: it would go with a column that is not retained.
    pub(super) fn away(&self) -> Around {
        let drop = sql!("ALTER TABLE {} DROP CONSTRAINT {}", self.child.name, self.known());
        Around { first: vec![drop], last: Vec::new() }
    }

    /// The second one becomes the first.
    pub(super) fn swap(&self, cx: &PlanContext<'_>) -> Vec<Sql> {
        self.take_name(&self.beside(cx))
    }

    /// Away with the new one, before its columns go.
    pub(super) fn drop_new(&self) -> Sql {
        sql!("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", self.child.name, self.known())
    }

    /// The one that was made on the way back becomes the first again.
    pub(super) fn swap_back(&self, cx: &PlanContext<'_>) -> Vec<Sql> {
        self.take_name(&self.on_the_way_back(cx))
    }

    fn take_name(&self, from: &Ident) -> Vec<Sql> {
        let (table, known) = (&self.child.name, self.known());
        let mut all = vec![sql!("ALTER TABLE {} RENAME CONSTRAINT {} TO {}", table, from, known)];
        if let Some(comment) = &self.constraint.comment {
            all.push(sql!("COMMENT ON CONSTRAINT {} ON {} IS {}", known, table, Literal(comment.clone())));
        }
        all
    }

    /// Made and proven again over the retired columns, before they are swapped back.
    pub(super) fn way_back(&self, operation: &AlterType, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let names = |table: &Table| operation.names(&table.name, |retype| retype.retired(cx));
        let (own, known, table) = (self.on_the_way_back(cx), self.known(), &self.child.name);
        let Some(add) = self.add(&own, &names(self.child), &names(self.parent)) else { return };
        if self.constraint.validated {
            let help =
                format!("a row breaks {known} in the type from before: change it, then run `crossfade rollback` again");
            steps.before_way_back(
                self.home,
                format!("on the way back: prove {known} of {table} for the old type"),
                Action::Validate(self.validate(&own, help)),
                self.locks(LockMode::ShareUpdateExclusive, LockMode::RowShare),
            );
        }
        let lock_first = self.locks(LockMode::ShareRowExclusive, LockMode::ShareRowExclusive);
        let enforce = Ddl { lock_first: lock_first.clone(), statements: vec![Statement::from(add)], as_written: false };
        steps.before_way_back(
            self.home,
            format!("on the way back: enforce {known} of {table} for the old type"),
            Action::Ddl(enforce),
            lock_first,
        );
    }
}
