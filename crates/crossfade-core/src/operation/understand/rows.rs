//! UPDATE, DELETE and INSERT … SELECT over a big table: whether it can be cut into chunks, and by what.

use super::super::change_rows::ChangeRows;
use super::super::change_rows::key_of;
use super::Reader;
use crate::catalog::ConstraintKind;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::catalog::Volatility;
use crate::finding::Finding;
use crate::migration::Statement;
use crate::sql;
use crate::sql::Ident;
use crate::sql::ObjectRef;
use crate::sql::RowsStatement;
use crate::sql::RowsVerb;
use crate::sql::Sql;
use crate::sql::StatementKind;
use crate::sql::TableName;
use crate::step::Phase;

impl Reader<'_> {
    /// Takes a statement that goes through a big table into its hands. Returns false where the table is small, or in nobody's use.
    pub(super) fn read_rows(&mut self, position: usize, statement: &Statement) -> bool {
        let Some(rows) = &statement.parsed.rows else { return false };
        let Some(swept) = self.in_use(&rows.swept).cloned() else { return false };
        if swept.is_found_by(&rows.pinned) {
            return false;
        }
        let nothing_below = rows.only && swept.kind == TableKind::Partitioned;
        if swept.estimated_rows <= self.cx.policy.small_rows || !crate::plan::can_be_swept(&swept) || nothing_below {
            return false;
        }
        if let Some(why) = self.uncut(position, rows, &swept) {
            self.one_transaction(position, statement, rows, &swept, &why);
            return true;
        }
        let leaves = self.cx.catalog.leaves(&swept);
        let left = if leaves.iter().all(|leaf| key_of(leaf, rows).is_some()) {
            None
        } else {
            match self.left(statement, rows, &swept) {
                Some(left) => Some(left),
                None => {
                    self.without_key(position, statement, rows, &swept);
                    return true;
                }
            }
        };
        self.rows.push((
            position,
            ChangeRows { statement: statement.clone(), rows: rows.clone(), swept, left, phase: Phase::Migrate },
        ));
        true
    }

    /// Hands the statements over, each to its place: what goes through phases and is written behind one must find it done.
    pub(super) fn place_rows(&mut self) {
        let last_phased = self
            .operations
            .iter()
            .filter(|(_, operation)| super::is_phased(operation.as_ref()))
            .map(|(position, _)| *position)
            .max();
        for (position, mut rows) in std::mem::take(&mut self.rows) {
            if last_phased.is_some_and(|last| last > position) {
                rows.phase = Phase::Expand;
            }
            self.operations.push((position, Box::new(rows)));
        }
    }

    /// Why the statement's result would be another one in parts.
    fn uncut(&self, position: usize, rows: &RowsStatement, swept: &Table) -> Option<String> {
        let catalog = self.cx.catalog;
        if let Some(why) = rows.uncut {
            return Some(why.to_owned());
        }
        let root = |name: &TableName| {
            let mut name = name.clone();
            while let Some(parent) = catalog.table(&name).and_then(|table| table.partition_of.clone()) {
                name = parent;
            }
            name
        };
        let place =
            |name: &ObjectRef| catalog.resolve(name).map_or_else(|| catalog.place(name), |table| table.name.clone());
        let target = root(&place(&rows.target));
        let swept_twice = rows.verb == RowsVerb::Insert && root(&swept.name) == target;
        if swept_twice || rows.others.iter().any(|other| root(&place(other)) == target) {
            return Some("it reads the table that it changes".to_owned());
        }
        if let Some(unknown) =
            rows.others.iter().find(|other| catalog.resolve(other).is_none() && !self.is_created(other))
        {
            return Some(format!("it reads {unknown}, which is not there for another session"));
        }
        if !swept.inheritance_children.is_empty() && !rows.only {
            return Some(format!("{} has children by inheritance", swept.name));
        }
        let tree = catalog.tree(swept);
        if catalog.leaves(swept).iter().any(|leaf| leaf.kind == TableKind::Foreign) {
            return Some(format!("a partition of {} is a foreign table", swept.name));
        }
        let mut above = vec![swept];
        while let Some(parent) = above.last().and_then(|table| catalog.table(table.partition_of.as_ref()?)) {
            above.push(parent);
        }
        let partitioned_by =
            |column: &String| above.iter().chain(&tree).any(|relation| relation.partition_key.contains(column));
        if rows.set.iter().any(partitioned_by) {
            return Some("it may move rows to another partition".to_owned());
        }
        let set = |columns: &[String]| columns.iter().any(|column| rows.set.contains(column));
        for constraint in above.iter().chain(&tree).flat_map(|relation| &relation.constraints) {
            let own = constraint.references.as_ref().is_some_and(|table| root(table) == target);
            match constraint.kind {
                ConstraintKind::ForeignKey if own && rows.verb == RowsVerb::Delete => {
                    return Some(format!("its rows refer to each other ({})", constraint.name));
                }
                ConstraintKind::ForeignKey if own && set(&constraint.referenced_columns) => {
                    return Some(format!("its rows refer to each other ({})", constraint.name));
                }
                ConstraintKind::Unique | ConstraintKind::PrimaryKey | ConstraintKind::Exclude
                    if constraint.deferrable && set(&constraint.columns) =>
                {
                    return Some(format!("{} is checked when all rows are done", constraint.name));
                }
                ConstraintKind::ForeignKey
                | ConstraintKind::Unique
                | ConstraintKind::PrimaryKey
                | ConstraintKind::Exclude
                | ConstraintKind::Check
                | ConstraintKind::NotNull => {}
            }
        }
        if rows.verb == RowsVerb::Insert {
            let own = |(schema, name): &&(Option<String>, String)| {
                catalog.objects.iter().any(|object| {
                    object.kind == "function"
                        && object.name.name.as_str() == name
                        && schema.as_ref().is_none_or(|schema| schema == object.name.schema.as_str())
                })
            };
            if let Some((_, name)) = rows.functions.iter().find(own) {
                return Some(format!("it calls {name}, which may aggregate"));
            }
        }
        let sets = self.cx.migration.statements.iter().take(position).any(|earlier| match &earlier.parsed.kind {
            StatementKind::Other { what, .. } => what == "SET",
            _ => false,
        });
        sets.then(|| "a SET stands in front of it".to_owned())
    }

    /// Whether a row is still to be done, where doing it twice is doing it once.
    fn left(&self, statement: &Statement, rows: &RowsStatement, swept: &Table) -> Option<Sql> {
        match (rows.verb, &statement.parsed.kind) {
            (RowsVerb::Delete, _) => Some(sql!("true")),
            (RowsVerb::Update, StatementKind::Update(update)) => {
                let set = update.set.as_ref()?;
                let stays = rows.value_columns.as_ref()?.iter().all(|column| !rows.set.contains(column));
                let same = update
                    .set
                    .iter()
                    .flatten()
                    .map(|item| &item.value)
                    .chain(&update.filter)
                    .all(|expr| self.volatility(expr) == Volatility::Immutable);
                if !stays || !same || update.odd || !rows.others.is_empty() {
                    return None;
                }
                let name = Ident::new(rows.qualifier()?);
                let is = set.iter().map(|item| sql!("{}.{}", name, Ident::new(item.column.as_str())));
                let will: Option<Vec<Sql>> = set
                    .iter()
                    .map(|item| {
                        let of_type = &swept.column(&item.column)?.type_name;
                        let value = item.value.render(|column| sql!("{}.{}", name, Ident::new(column)));
                        Some(sql!("{}::{}", value, of_type))
                    })
                    .collect();
                Some(sql!("pg_catalog.record_image_ne(ROW({}), ROW({}))", Sql::join(is, ", "), Sql::join(will?, ", ")))
            }
            (RowsVerb::Update | RowsVerb::Insert, _) => None,
        }
    }

    fn one_transaction(
        &mut self,
        position: usize,
        statement: &Statement,
        rows: &RowsStatement,
        swept: &Table,
        why: &str,
    ) {
        let span = statement.parsed.span;
        let about = format!("about {} rows of {}", swept.estimated_rows, swept.name);
        if rows.verb == RowsVerb::Update && !rows.filtered {
            self.findings.push(
                Finding::error(
                    "update-whole-table",
                    span,
                    format!(
                        "one UPDATE locks all of the {about} until it is done; it can't be cut into chunks, as {why}"
                    ),
                )
                .help("write it so that it can be cut, or accept the locks: `-- crossfade: direct REASON`"),
            );
            return;
        }
        self.findings.push(
            Finding::warning(
                "one-transaction",
                span,
                format!(
                    "this {} goes over {about} in one transaction: it can't be cut into chunks, as {why}",
                    rows.verb.name()
                ),
            )
            .help("rows that it changes stay locked until it is done"),
        );
        self.write_as_is(position, statement);
    }

    fn without_key(&mut self, position: usize, statement: &Statement, rows: &RowsStatement, swept: &Table) {
        if rows.verb == RowsVerb::Insert {
            let why = format!("{} has no primary key and no unique index over NOT NULL columns", swept.name);
            return self.one_transaction(position, statement, rows, swept, &why);
        }
        let message = format!(
            "done twice to a row this UPDATE gives another result, and {} has no key by which each of its about {} rows is met once",
            swept.name, swept.estimated_rows
        );
        self.findings.push(
            Finding::error("no-sweep-key", statement.parsed.span, message).help(
                "add a primary key, or a unique index over NOT NULL columns that the UPDATE does not set, in a migration before; or accept one transaction: `-- crossfade: direct REASON`",
            ),
        );
    }
}
