//! The runbook of a migration: what a person wants to know before it runs, folded from its plan and from what is known of the database.
//!
//! Pure, and it decides nothing: the plan does. Times are ranges, each with what it is taken from: a measurement of an earlier run, or an
//! assumption that is said as one.

mod advice;
mod estimate;
mod surroundings;
mod work;

use serde::Serialize;

pub use self::advice::Moment;
pub use self::advice::Tell;
pub use self::advice::Watch;
pub use self::advice::WayBack;
pub use self::estimate::Basis;
pub use self::estimate::Bytes;
pub use self::estimate::Estimate;
pub use self::surroundings::Sample;
pub use self::surroundings::Surroundings;
pub use self::surroundings::TableSize;
pub use self::surroundings::Work;
pub use self::surroundings::samples;
pub use self::surroundings::tables;
use crate::finding::Finding;
use crate::journal::Progress;
use crate::journal::State;
use crate::journal::StepStatus;
use crate::journal::is_for_good;
use crate::lock::LockMode;
use crate::lock::TableLock;
use crate::migration::Migration;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::step::Phase;
use crate::step::Plan;
use crate::step::Step;

/// What a runbook is about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The file that it was made from, where it is at hand: it says what the user wants to run as written.
    pub migration: Option<&'a Migration>,
    /// How far it is, where it has begun.
    pub progress: Option<&'a Progress>,
    /// Its state.
    pub state: State,
    /// Whether there is a down file, or another text that takes it back.
    pub has_down: bool,
}

/// What a person wants to know before a migration runs.
#[derive(Clone, Debug, Serialize)]
pub struct Runbook {
    /// The migration's version.
    pub version: String,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: State,
    /// Whether it waits for a deploy.
    pub phased: bool,
    /// The tables that it locks or changes, with their sizes.
    pub tables: Vec<TableSize>,
    /// Its phases, in order, with their steps.
    pub phases: Vec<RunbookPhase>,
    /// Which version of the application runs when.
    pub moments: Vec<Moment>,
    /// How to go back, from each point.
    pub ways_back: Vec<WayBack>,
    /// Room on the disk that it takes for good or for a time.
    pub disk: Bytes,
    /// What it writes to the log, and so what replicas and archives get.
    pub wal: Bytes,
    /// Who should know before it runs.
    pub tell: Vec<Tell>,
    /// What to look at while it runs.
    pub watch: Vec<Watch>,
    /// What planning warns of.
    pub findings: Vec<Finding>,
}

/// A phase that has steps.
#[derive(Clone, Debug, Serialize)]
pub struct RunbookPhase {
    /// The phase.
    pub phase: Phase,
    /// The command that runs it.
    pub command: String,
    /// How long its steps take together; holds and waits for locks are left out.
    pub time: Estimate,
    /// Its steps.
    pub steps: Vec<RunbookStep>,
}

/// A step.
#[derive(Clone, Debug, Serialize)]
pub struct RunbookStep {
    /// Its position, from 1.
    pub number: u16,
    /// What it does.
    pub summary: String,
    /// The kind of its action.
    pub kind: &'static str,
    /// Whether it is done already.
    pub done: bool,
    /// How long it takes; none where it waits for somebody.
    pub time: Option<Estimate>,
    /// The locks that it takes on tables.
    pub locks: Vec<HeldLock>,
    /// The statements that it runs; those of a chunk with their parameters.
    pub statements: Vec<Sql>,
    /// Whether it can be undone; none where it leaves nothing behind.
    pub undo: Option<bool>,
    /// Dangers that remain.
    pub hazards: Vec<String>,
}

/// A lock, with what it means for others.
#[derive(Clone, Debug, Serialize)]
pub struct HeldLock {
    /// The table.
    pub table: TableName,
    /// The mode.
    pub mode: LockMode,
    /// What has to wait while it is held.
    pub blocks: Blocks,
    /// For how long, in words.
    pub held: String,
}

/// What of an application has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Blocks {
    /// Nothing that an application does; other schema changes, VACUUM.
    Nothing,
    /// INSERT, UPDATE and DELETE.
    Writes,
    /// Every query.
    Everything,
}

impl Blocks {
    /// What a mode keeps out.
    pub fn by(mode: LockMode) -> Blocks {
        if mode.conflicts_with(LockMode::AccessShare) {
            Blocks::Everything
        } else if mode.conflicts_with(LockMode::RowExclusive) {
            Blocks::Writes
        } else {
            Blocks::Nothing
        }
    }
}

/// Makes the runbook of a migration.
pub fn runbook(subject: Subject<'_>, around: &Surroundings) -> Runbook {
    let plan = subject.plan;
    let steps: Vec<(Phase, RunbookStep)> =
        plan.steps.iter().map(|step| (step.phase, of_step(step, subject, around))).collect();
    let mut phases: Vec<RunbookPhase> = Vec::new();
    for (phase, step) in steps {
        match phases.last_mut() {
            Some(last) if last.phase == phase => last.steps.push(step),
            Some(_) | None => phases.push(RunbookPhase {
                phase,
                command: advice::command(plan, phase),
                time: Estimate::nothing(),
                steps: vec![step],
            }),
        }
    }
    for phase in &mut phases {
        let left = phase.steps.iter().filter(|step| !step.done).filter_map(|step| step.time.clone());
        phase.time = left.fold(Estimate::nothing(), Estimate::then);
    }
    let (disk, wal) = work::needs(plan, around);
    Runbook {
        version: plan.version.clone(),
        name: plan.name.clone(),
        state: subject.state,
        phased: plan.is_phased(),
        tables: around.of_plan(plan),
        moments: advice::moments(plan),
        ways_back: advice::ways_back(subject, around),
        tell: advice::tell(&phases, plan, around, disk, wal),
        watch: advice::watch(plan, around),
        disk,
        wal,
        findings: plan.findings.clone(),
        phases,
    }
}

fn of_step(step: &Step, subject: Subject<'_>, around: &Surroundings) -> RunbookStep {
    let done = subject
        .progress
        .and_then(|progress| progress.steps.get(usize::from(step.id.0)))
        .is_some_and(|status| *status == StepStatus::Succeeded);
    let time = work::time(step, subject, around);
    let lock = |lock: &TableLock| HeldLock {
        table: lock.table.clone(),
        mode: lock.mode,
        blocks: Blocks::by(lock.mode),
        held: work::held(step, &lock.table, time.as_ref(), around),
    };
    RunbookStep {
        number: step.id.0 + 1,
        summary: step.summary.clone(),
        kind: step.action.kind(),
        done,
        locks: step.locks.iter().map(lock).collect(),
        time,
        statements: step.action.statements().into_iter().cloned().collect(),
        undo: if is_for_good(step) { Some(false) } else { step.undo.as_ref().map(|_| true) },
        hazards: step.hazards.clone(),
    }
}
