//! UPDATE, DELETE and INSERT … SELECT over a big table: the user's own statement, a part of the rows at a time.
//!
//! By ranges of a key each row is met once, whatever the statement does to it. Without a key a statement that may be done twice to a row goes
//! by physical blocks, and once more in one statement over what is left.

use super::Operation;
use super::Role;
use crate::catalog::Catalog;
use crate::catalog::Column;
use crate::catalog::ConstraintKind;
use crate::catalog::Table;
use crate::finding::Finding;
use crate::migration::Statement;
use crate::plan::Part;
use crate::plan::PlanContext;
use crate::plan::RowsStep;
use crate::plan::StepsBuilder;
use crate::plan::rows_backfill;
use crate::sql;
use crate::sql::Ident;
use crate::sql::RowsStatement;
use crate::sql::RowsVerb;
use crate::sql::Sql;
use crate::sql::parse_file;
use crate::step::Action;
use crate::step::ChunkBounds;
use crate::step::Claim;
use crate::step::Ddl;
use crate::step::Phase;

/// A statement over a big table.
#[derive(Clone, Debug)]
pub(super) struct ChangeRows {
    pub statement: Statement,
    pub rows: RowsStatement,
    /// The table whose rows it goes through.
    pub swept: Table,
    /// Without a key: whether a row is still to be done, over the plain columns of the table by this name.
    pub left: Option<Sql>,
    /// In expand where something that goes through phases is written behind it, else in migrate.
    pub phase: Phase,
}

/// The key of a relation that none of the set columns is in.
pub(super) fn key_of<'a>(relation: &'a Table, rows: &RowsStatement) -> Option<Vec<&'a Column>> {
    relation.sweep_key(&rows.set)
}

impl ChangeRows {
    /// Whether one row's result may hang on another's: where no two rows may have the same values, and where the user's triggers fire.
    fn is_in_order(&self, cx: &PlanContext<'_>, target: &Table) -> bool {
        let set = |columns: &[String]| columns.iter().any(|column| self.rows.set.contains(column));
        cx.catalog.tree(target).into_iter().chain([target]).any(|relation| {
            relation.triggers.iter().any(|trigger| trigger.enabled)
                || relation.indexes.iter().any(|index| index.unique && set(&index.columns))
                || relation.constraints.iter().any(|known| known.kind == ConstraintKind::Exclude && set(&known.columns))
        })
    }

    /// The undo as it is written, in one transaction.
    fn undo_at_once(&self, cx: &PlanContext<'_>) -> Option<Action> {
        let undo = self.statement.undo.as_ref()?;
        let lock_first = super::undo::undo_locks(cx, &self.statement.parsed.kind, undo);
        Some(Action::Ddl(Ddl { lock_first, statements: vec![undo.clone().into()], as_written: true }))
    }

    /// The undo in the chunks of the way there: so it can take back a part, too.
    fn undo_in_chunks(&self, cx: &PlanContext<'_>, swept: &Table) -> Option<Action> {
        let file = parse_file(self.statement.undo.as_ref()?.as_str()).ok()?;
        let [undo] = file.statements.as_slice() else { return None };
        let undo = undo.rows.as_ref()?;
        let same_table = cx.catalog.resolve(&undo.swept).is_some_and(|table| table.name == swept.name);
        let reads_itself =
            undo.others.iter().any(|other| cx.catalog.resolve(other).is_none_or(|table| table.name == swept.name));
        let same_rows =
            undo.verb == RowsVerb::Update && self.rows.verb == RowsVerb::Update && undo.only == self.rows.only;
        let same_keys = cx
            .catalog
            .leaves(swept)
            .iter()
            .all(|leaf| key_of(leaf, undo).is_some_and(|key| Some(key) == key_of(leaf, &self.rows)));
        if self.left.is_some() || !same_table || reads_itself || !same_rows || !same_keys || undo.uncut.is_some() {
            return None;
        }
        let blocks = ChunkBounds::Keys;
        Some(Action::Backfill(rows_backfill(swept, parts(cx, swept, undo, None, blocks), blocks)))
    }
}

/// The statement on each relation that holds rows of the table, for one chunk of it.
fn parts<'a>(
    cx: &PlanContext<'a>,
    swept: &'a Table,
    rows: &RowsStatement,
    left: Option<&Sql>,
    blocks: ChunkBounds,
) -> Vec<(Part<'a>, Sql)> {
    let name = Ident::new(rows.qualifier().unwrap_or_default());
    let part = |relation: &'a Table| {
        let key = if left.is_none() { key_of(relation, rows) } else { None };
        let part = Part { relation, key };
        let mut condition = part.condition(&name, blocks, cx.catalog.block_size);
        if let Some(left) = left {
            condition = sql!("{} AND ({})", condition, left);
        }
        let statement = rows.on_part(&relation.name, &condition)?;
        Some((part, statement))
    };
    cx.catalog.leaves(swept).into_iter().filter_map(part).collect()
}

impl Operation for ChangeRows {
    fn way(&self) -> Option<&'static str> {
        Some("the rows are changed a part at a time, beside the running code")
    }

    fn check(&self, _: &PlanContext<'_>) -> Vec<Finding> {
        Vec::new()
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let Some(swept) = cx.catalog.table(&self.swept.name) else { return };
        let undo = self.undo_in_chunks(cx, swept).or_else(|| self.undo_at_once(cx));
        let target = cx.catalog.resolve(&self.rows.target);
        let each_chunk = |trigger: &&crate::catalog::Trigger| trigger.enabled && !trigger.row;
        let hazards = target.into_iter().flat_map(|target| target.triggers.iter().filter(each_chunk));
        steps.rows(RowsStep {
            summary: super::as_written::summary(&self.statement),
            at: self.statement.parsed.span,
            phase: self.phase,
            target,
            swept,
            parts: parts(cx, swept, &self.rows, self.left.as_ref(), steps.bounds()),
            in_order: target.is_none_or(|target| self.is_in_order(cx, target)),
            rest: self.left.as_ref().and_then(|left| self.rows.on_all(&self.swept.name, left)),
            undo,
            hazards: hazards
                .map(|trigger| format!("trigger {} fires once for each chunk, not once for all rows", trigger.name))
                .collect(),
        });
    }

    fn project(&self, _: &mut Catalog) {}

    fn role(&self) -> Role {
        Role::Rows
    }

    fn claims(&self) -> Vec<Claim> {
        Vec::new()
    }
}
