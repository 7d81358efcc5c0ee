//! A statement of the user's over a big table, a part of its rows at a time.
//!
//! Source: reference B2 (keys), B3 (blocks).

use super::StepsBuilder;
use super::builder::Rank;
use super::builder::add_lock;
use super::builder::in_blocks;
use super::builder::locate;
use super::builder::stripes;
use crate::catalog::Column;
use crate::catalog::Table;
use crate::lock::LockMode;
use crate::lock::TableLock;
use crate::sql;
use crate::sql::Ident;
use crate::sql::Number;
use crate::sql::Span;
use crate::sql::Sql;
use crate::step::Action;
use crate::step::Backfill;
use crate::step::BackfillUnit;
use crate::step::ChunkBounds;
use crate::step::Ddl;
use crate::step::KeyCut;
use crate::step::Outcome;
use crate::step::Phase;
use crate::step::Statement;

/// One relation of a statement that goes through a table in chunks.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    /// The relation.
    pub relation: &'a Table,
    /// The key that it is cut by; none: by blocks.
    pub key: Option<Vec<&'a Column>>,
}

impl Part<'_> {
    /// Whether a row of the relation, which the statement knows by this name, is in the chunk.
    pub fn condition(&self, name: &Ident, bounds: ChunkBounds, block_size: u32) -> Sql {
        match &self.key {
            Some(key) => in_keys(key, &|column| sql!("{}.{}", name, column)),
            None => in_blocks(bounds, block_size, &sql!("{}.ctid", name)),
        }
    }

    fn cut(&self) -> Option<KeyCut> {
        let key = self.key.as_ref()?;
        let names = || key.iter().map(|column| Ident::new(column.name.as_str()));
        let texts = Sql::join(names().map(|name| sql!("{}::text", name)), ", ");
        let relation = &self.relation.name;
        let up = Sql::join(names().map(|name| sql!("{}", name)), ", ");
        let down = Sql::join(names().map(|name| sql!("{} DESC", name)), ", ");
        Some(KeyCut {
            end: sql!("SELECT ARRAY[{}] FROM ONLY {} ORDER BY {} LIMIT 1", texts, relation, down),
            cut: sql!(
                "SELECT ARRAY[{}] FROM ONLY {} WHERE {} ORDER BY {} OFFSET $3::int8 - 1 LIMIT 1",
                texts,
                relation,
                in_keys(key, &|column| sql!("{}", column)),
                up
            ),
        })
    }
}

/// The comparison of whole keys, so that a composite one is a range of its index, too.
fn in_keys(key: &[&Column], write: &dyn Fn(&Ident) -> Sql) -> Sql {
    let side = |parts: Vec<Sql>| match parts.as_slice() {
        [only] => only.clone(),
        _ => sql!("({})", Sql::join(parts, ", ")),
    };
    let own = side(key.iter().map(|column| write(&Ident::new(column.name.as_str()))).collect());
    let bound = |of: &dyn Fn(Number, &Column) -> Sql| {
        side(key.iter().zip(1..).map(|(column, position)| of(Number(position), column)).collect())
    };
    let first = bound(&|position, column| sql!("(($1::text[])[{}])::{}", position, column.type_name));
    let last = bound(&|position, column| sql!("(($2::text[])[{}])::{}", position, column.type_name));
    sql!("($1::text[] IS NULL OR {} > {}) AND {} <= {}", own, first, own, last)
}

/// A statement over a big table.
#[derive(Debug)]
pub struct RowsStep<'a> {
    /// One line for people.
    pub summary: String,
    /// Where it stands in the file.
    pub at: Span,
    /// Where it stands: in expand where something that goes through phases is written behind it.
    pub phase: Phase,
    /// The table that is written.
    pub target: Option<&'a Table>,
    /// The table whose rows it goes through.
    pub swept: &'a Table,
    /// Its relations, each with the statement on it.
    pub parts: Vec<(Part<'a>, Sql)>,
    /// By blocks, a row that is written meanwhile may move behind the cursor: this finds those that are left, in one statement.
    pub rest: Option<Sql>,
    /// Whether one row's result may hang on another's, so that it goes by one worker.
    pub in_order: bool,
    /// What takes it back.
    pub undo: Option<Action>,
    /// Dangers that remain.
    pub hazards: Vec<String>,
}

/// The chunks of a statement of the user's.
pub(crate) fn rows_backfill(swept: &Table, parts: Vec<(Part<'_>, Sql)>, blocks: ChunkBounds) -> Backfill {
    let units = parts
        .into_iter()
        .map(|(part, statement)| BackfillUnit {
            relation: part.relation.name.clone(),
            statement,
            bounds: if part.key.is_some() { ChunkBounds::Keys } else { blocks },
            locate: locate(swept, part.relation),
            stripes: if part.key.is_some() { 1 } else { stripes(part.relation) },
            estimated_rows: part.relation.estimated_rows,
            keys: part.cut(),
        })
        .collect();
    Backfill {
        table: swept.name.clone(),
        units,
        quiet: false,
        in_order: false,
        tidy: None,
        outcome: Outcome::Lasting,
        park: false,
    }
}

impl StepsBuilder<'_> {
    /// A statement of the user's over a big table, in chunks.
    pub(crate) fn rows(&mut self, rows: RowsStep<'_>) {
        let mut backfill = rows_backfill(rows.swept, rows.parts, self.bounds());
        backfill.in_order = rows.in_order && backfill.units.iter().all(|unit| unit.keys.is_none());
        if backfill.in_order {
            // Stripes go through a page more than once.
            backfill.units.iter_mut().for_each(|unit| unit.stripes = 1);
        }
        let mut locks: Vec<TableLock> =
            rows.target.map(|target| self.tree_locks(target, LockMode::RowExclusive)).unwrap_or_default();
        for lock in self.tree_locks(rows.swept, LockMode::AccessShare) {
            add_lock(&mut locks, lock);
        }
        if let Some(Action::Ddl(undo)) = &rows.undo {
            undo.lock_first.iter().for_each(|lock| add_lock(&mut locks, lock.clone()));
        }
        if let Some(target) = rows.target
            && rows.swept.estimated_rows > self.cx.policy.small_rows
        {
            let leaves_dead_rows = target.name == rows.swept.name;
            backfill.tidy = Some(self.tidy(target, sql!("ANALYZE {}", target.name), leaves_dead_rows, &mut locks));
        }
        if rows.undo.is_none() {
            self.without_undo.push((rows.phase, rows.at));
        }
        // What the rest did is taken back with the whole.
        let rest_undo = rows.undo.as_ref().map(|_| Action::Ddl(Ddl::default()));
        let action = Action::Backfill(backfill);
        self.push(rows.phase, Rank::Body, rows.summary.clone(), action, rows.undo, locks.clone(), rows.hazards);
        if let Some(rest) = rows.rest {
            let ddl = Ddl { lock_first: Vec::new(), statements: vec![Statement::from(rest)], as_written: true };
            let summary = format!("{}: rows that were written meanwhile", rows.summary);
            self.push(rows.phase, Rank::Body, summary, Action::Ddl(ddl), rest_undo, locks, Vec::new());
        }
        self.behind_rows = Some(rows.phase);
    }
}
