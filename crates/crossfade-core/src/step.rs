//! Plan, step, action: the closed set that is journaled and executed.
//!
//! A plan leaves nothing to choose: names, timeouts and the text of every statement stand in it. The executor binds the bounds of
//! a chunk and nothing else.

use serde::Deserialize;
use serde::Serialize;

use crate::finding::Finding;
use crate::lock::TableLock;
use crate::sql::Sql;
use crate::sql::TableName;

/// The format of stored plans. It grows with every change that an older binary could misread.
pub const PLAN_FORMAT: u32 = 2;

/// The part of a migration that a step belongs to, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The new form is added beside the old.
    Expand,
    /// Existing rows are filled and verified.
    Migrate,
    /// After the deploy: the old form goes out of use.
    Contract,
    /// What was retained is dropped.
    Purge,
}

impl Phase {
    /// The phase's name.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Expand => "expand",
            Phase::Migrate => "migrate",
            Phase::Contract => "contract",
            Phase::Purge => "purge",
        }
    }
}

/// What a plan was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlanKind {
    /// The migration's own file.
    Up,
    /// Its down file: the way back of what is applied.
    Down,
    /// No migration: `crossfade backfill`, the copy of one column alone. One sweep of the table and the count of what it left.
    Backfill,
}

/// The linear list of steps for one migration on one catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// [`PLAN_FORMAT`] of the writer.
    pub format: u32,
    /// The migration's version, as its file name has it.
    pub version: String,
    /// The migration's name.
    pub name: String,
    /// Up or down.
    pub kind: PlanKind,
    /// Checksum of the file that it was made from.
    pub checksum: String,
    /// Fingerprint of the tables that it was made on.
    pub assumes: String,
    /// Tables and columns that this plan has in its hands until it is finished; others must not touch them.
    pub claims: Vec<Claim>,
    /// What the server must accept before the plan is recorded.
    pub preflight: Vec<Preflight>,
    /// The steps, in the order in which they run.
    pub steps: Vec<Step>,
    /// Warnings and notes that came up while planning.
    pub findings: Vec<Finding>,
}

impl Plan {
    /// Of a migration that stands in the database already: there is nothing to do.
    pub fn of_nothing(version: &str, name: &str, checksum: &str) -> Plan {
        Plan {
            format: PLAN_FORMAT,
            version: version.to_owned(),
            name: name.to_owned(),
            kind: PlanKind::Up,
            checksum: checksum.to_owned(),
            assumes: String::new(),
            claims: Vec::new(),
            preflight: Vec::new(),
            steps: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// Whether the plan waits anywhere, and so can't go through in one run.
    pub fn is_phased(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.action, Action::Hold { .. }))
    }

    /// What people call it: the migration, or the command whose work it is.
    pub fn title(&self) -> String {
        match self.kind {
            PlanKind::Up | PlanKind::Down => format!("migration {}", self.version),
            PlanKind::Backfill => format!("`{}`", self.command()),
        }
    }

    /// The command that goes on with it.
    pub fn command(&self) -> String {
        match self.kind {
            PlanKind::Up => "crossfade migrate".to_owned(),
            PlanKind::Down => "crossfade rollback".to_owned(),
            PlanKind::Backfill => format!("crossfade backfill {}", self.name),
        }
    }

    /// The step with this id.
    pub fn step(&self, id: StepId) -> Option<&Step> {
        self.steps.get(usize::from(id.0))
    }
}

/// A column (or a whole table) that a plan in flight works on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Claim {
    /// The table.
    pub table: TableName,
    /// The column; none stands for the whole table.
    pub column: Option<String>,
}

/// A read-only query that must succeed before anything is recorded: it proves that the server accepts the
/// expressions of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preflight {
    /// The query. When it returns a row, the first column is text that says what is wrong.
    pub query: Sql,
    /// What the finding says in front of the server's message.
    pub finding: Finding,
}

/// Position of a step in its plan, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub u16);

/// One action with what surrounds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its position.
    pub id: StepId,
    /// Its phase.
    pub phase: Phase,
    /// One line for people.
    pub summary: String,
    /// What is done.
    pub action: Action,
    /// What undoes it, once it has succeeded.
    pub undo: Option<Action>,
    /// The strongest lock that it takes on each existing table.
    pub locks: Vec<TableLock>,
    /// Dangers that remain, one sentence each.
    pub hazards: Vec<String>,
}

/// The closed set of effects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Action {
    /// Statements in one short transaction; the journal's record is in it.
    Ddl(Ddl),
    /// One statement that can't run in a transaction, with the way to see whether it took effect.
    Concurrently(Concurrently),
    /// One long transaction with a weak lock; the journal's record is in it.
    Validate(Validate),
    /// Many small transactions; the cursor is in each.
    Backfill(Backfill),
    /// Counts rows that differ, in chunks; any is a failure.
    Verify(Verify),
    /// A query that must return no row; each row's text says what is wrong.
    Assert(Assert),
    /// Waits until somebody lets it go on.
    Hold {
        /// What for.
        until: Hold,
    },
}

impl Action {
    /// The action's kind, as people read it.
    pub fn kind(&self) -> &'static str {
        match self {
            Action::Ddl(_) => "ddl",
            Action::Concurrently(_) => "concurrently",
            Action::Validate(_) => "validate",
            Action::Backfill(_) => "backfill",
            Action::Verify(_) => "verify",
            Action::Assert(_) => "assert",
            Action::Hold { .. } => "hold",
        }
    }

    /// The statements that it runs, as they stand in the plan: those of a chunk with their parameters.
    pub fn statements(&self) -> Vec<&Sql> {
        match self {
            Action::Ddl(ddl) => ddl.statements.iter().map(|statement| &statement.sql).collect(),
            Action::Concurrently(concurrently) => vec![&concurrently.run],
            Action::Validate(validate) => vec![&validate.sql],
            Action::Backfill(backfill) => backfill.units.iter().map(|unit| &unit.statement).collect(),
            Action::Verify(verify) => verify.units.iter().map(|unit| &unit.query).collect(),
            Action::Assert(assert) => vec![&assert.query],
            Action::Hold { .. } => Vec::new(),
        }
    }
}

/// Statements of one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ddl {
    /// Locked first and in this order, so that a transaction over several relations can't deadlock half way.
    pub lock_first: Vec<TableLock>,
    /// The statements.
    pub statements: Vec<Statement>,
    /// Whether they are the user's own text, which may take its time (no `statement_timeout`).
    pub as_written: bool,
}

/// A statement of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The text.
    pub sql: Sql,
    /// Where it stands in the migration's file, for errors.
    pub at: Option<crate::sql::Span>,
    /// The rows of a COPY … FROM STDIN, as the file has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<String>,
}

impl Statement {
    /// A statement of the file that runs as it stands there.
    pub fn at(sql: Sql, span: crate::sql::Span) -> Statement {
        Statement { sql, at: Some(span), rows: None }
    }
}

impl From<Sql> for Statement {
    fn from(sql: Sql) -> Statement {
        Statement { sql, at: None, rows: None }
    }
}

/// A statement outside of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concurrently {
    /// The statement.
    pub run: Sql,
    /// How to see what became of it.
    pub probe: Probe,
}

/// How to see whether a statement outside of a transaction took effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "probe", rename_all = "snake_case")]
pub enum Probe {
    /// The index is there and valid: done. Invalid: dropped and built again. Not there: built.
    IndexIsValid {
        /// The index.
        index: TableName,
        /// The table it is on.
        table: TableName,
        /// What the server must say of it: `pg_get_indexdef`, once it is built. None: not compared.
        definition: Option<String>,
    },
    /// The index is gone: done.
    IndexIsGone {
        /// The index.
        index: TableName,
    },
    /// The partition is attached, or is not, as it shall be: done. Half detached: what is begun is ended first.
    PartitionIs {
        /// The partitioned table.
        parent: TableName,
        /// The partition.
        partition: TableName,
        /// Whether it shall be attached.
        attached: bool,
        /// Ends a DETACH CONCURRENTLY that was begun.
        finalize: Sql,
    },
    /// May be run again at any time.
    Repeatable,
}

/// A statement with a weak lock that may take long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validate {
    /// The statement.
    pub sql: Sql,
    /// What to do where it fails on the data.
    pub help: String,
}

/// Changing rows in chunks: of physical blocks, or of a key.
///
/// Source: DESIGN "Backfill", algorithms B2 (keys), B3 and B3.4 (TID ranges, striped).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backfill {
    /// The table by the name that people know.
    pub table: TableName,
    /// One for each relation that holds rows: the table itself, or each of its leaf partitions.
    pub units: Vec<BackfillUnit>,
    /// Whether triggers of the user may be kept from firing, because the direct way would not have fired them.
    pub quiet: bool,
    /// Whether rows must be met in their order, and so by one worker.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_order: bool,
    /// What is done to the table once all rows are through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tidy: Option<Tidy>,
    /// What becomes of the rows that it changed.
    #[serde(default, skip_serializing_if = "Outcome::is_verified")]
    pub outcome: Outcome,
    /// Whether a row that the server refuses is set aside. The step then ends as a failure until there is none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub park: bool,
}

/// What a big table wants after many of its rows were changed. Neither is needed for what is right, and a table that is too busy for them
/// goes without.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tidy {
    /// The statistics of what was filled.
    pub analyze: Sql,
    /// Dead row versions; only where no old snapshot keeps them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vacuum: Option<Sql>,
}

impl Backfill {
    /// Whether several workers may go through it at the same time.
    pub fn is_parallel(&self) -> bool {
        match self.outcome {
            Outcome::Verified | Outcome::Taken => !self.in_order,
            // By keys a row is met once, and the cursor of that is one. By blocks what is done twice to a row is done once.
            Outcome::Lasting => !self.in_order && self.units.iter().all(|unit| unit.keys.is_none()),
        }
    }
}

/// What becomes of the rows that a backfill changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// They are of the new form, which goes again on the way back; a verify proves them.
    #[default]
    Verified,
    /// Their values come from other tables, which change on their own: they can't be computed again to compare them.
    Taken,
    /// It is the user's own statement, done a part at a time: what it did stays, unless its step has an undo.
    Lasting,
}

impl Outcome {
    fn is_verified(&self) -> bool {
        *self == Outcome::Verified
    }
}

/// One relation of a backfill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackfillUnit {
    /// The relation.
    pub relation: TableName,
    /// The statement of one chunk. Its parameters are described at [`ChunkBounds`].
    pub statement: Sql,
    /// How a chunk's bounds are bound.
    pub bounds: ChunkBounds,
    /// Returns the key of the row at TID `$1` (text), to name a row that can't be filled.
    pub locate: Sql,
    /// Stripes in a window of blocks (1: not striped).
    pub stripes: u32,
    /// Rows in the relation, as the statistics have it.
    pub estimated_rows: u64,
    /// How it is cut, where it is cut by its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<KeyCut>,
}

/// How a relation is cut into chunks by its key. A key is bound and returned as the text of each of its columns (`text[]`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyCut {
    /// Returns the highest key; no row where the relation is empty.
    pub end: Sql,
    /// Returns the `$3`-th key behind `$1` and up to `$2`; no row where there are fewer.
    pub cut: Sql,
}

/// How the bounds of a chunk are bound to its statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChunkBounds {
    /// `$1`, `$2`: text of the first TID and of the one behind the last; `$3` stripes, `$4` the stripe. PostgreSQL 14 and up.
    TidRange,
    /// `$1`, `$2`: the first block and the one behind the last, as bigint; `$3` stripes, `$4` the stripe. PostgreSQL 13.
    TidList,
    /// `$1`: the key behind which the chunk begins, or NULL; `$2`: its last key. Both as `text[]`.
    Keys,
}

/// Counting rows in which old and new form differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verify {
    /// The table by the name that people know.
    pub table: TableName,
    /// One for each relation that holds rows.
    pub units: Vec<VerifyUnit>,
    /// What a difference means and what to do.
    pub help: String,
}

/// One relation of a verify.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyUnit {
    /// The relation.
    pub relation: TableName,
    /// A query of one chunk with the bounds of a backfill (stripe 0 of 1). It returns `(rows bigint, differing bigint, keys
    /// text[])`.
    pub query: Sql,
    /// Returns the key of the row at TID `$1` (text), to name a row that can't be compared.
    pub locate: Sql,
    /// How a chunk's bounds are bound.
    pub bounds: ChunkBounds,
    /// Rows in the relation, as the statistics have it.
    pub estimated_rows: u64,
}

/// The SQLSTATE of an assertion that is asked again inside of the transaction that goes by it.
pub const GUARD_STATE: &str = "CF001";

/// A query that must return nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assert {
    /// Returns one text column; each row is something that is wrong.
    pub query: Sql,
    /// What that means.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// Where a plan waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hold {
    /// Until the new code is deployed and `contract` is called.
    Deploy,
    /// Until what was retained may go and `purge` is called.
    Retention,
}
