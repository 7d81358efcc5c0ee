//! Re-checks any plan, whoever made it: what must hold for the executor to be safe.

use crate::lock::LockMode;
use crate::step::Action;
use crate::step::ChunkBounds;
use crate::step::Hold;
use crate::step::Outcome;
use crate::step::Phase;
use crate::step::Plan;
use crate::step::PlanKind;

/// What is wrong with a plan; empty when nothing is.
pub fn audit(plan: &Plan) -> Vec<String> {
    let mut problems = Vec::new();
    let mut say = |step: usize, what: &str| problems.push(format!("step {step} of {}: {what}", plan.version));
    let mut phase = Phase::Expand;
    let mut filled_tables = Vec::new();
    let mut deploy_held = false;
    let mut retention_held = false;
    for (position, step) in plan.steps.iter().enumerate() {
        if usize::from(step.id.0) != position {
            say(position, "its id is not its position");
        }
        if step.phase < phase {
            say(position, "it goes back to an earlier phase");
        }
        phase = step.phase;
        if step.phase == Phase::Contract && !deploy_held && step.action != (Action::Hold { until: Hold::Deploy }) {
            say(position, "it contracts before the hold for the deploy");
        }
        if step.phase == Phase::Purge && step.undo.is_some() {
            say(position, "a purge has no way back");
        }
        match &step.action {
            Action::Hold { until: Hold::Deploy } => deploy_held = true,
            Action::Hold { until: Hold::Retention } => retention_held = true,
            Action::Backfill(backfill) => {
                match backfill.outcome {
                    Outcome::Verified => filled_tables.push(backfill.table.clone()),
                    Outcome::Taken | Outcome::Lasting => {}
                }
                if backfill.units.iter().any(|unit| (unit.bounds == ChunkBounds::Keys) != unit.keys.is_some()) {
                    say(position, "a unit of its backfill says two things of how it is cut");
                }
                if backfill.park
                    && (backfill.outcome == Outcome::Lasting || backfill.units.iter().any(|unit| unit.keys.is_some()))
                {
                    say(position, "it sets rows aside of a statement that is done once to each row");
                }
                if backfill.units.iter().any(|unit| unit.stripes == 0) {
                    say(position, "a unit of its backfill has no stripes");
                }
            }
            Action::Verify(verify) => {
                if verify.units.iter().any(|unit| unit.bounds == ChunkBounds::Keys) {
                    say(position, "a verify goes by blocks");
                }
                filled_tables.retain(|table| *table != verify.table);
            }
            Action::Ddl(ddl) => {
                if step.phase == Phase::Contract
                    && filled_tables.iter().any(|table| step.locks.iter().any(|lock| lock.table == *table))
                {
                    say(position, "it contracts a table that was filled and not verified");
                }
                for lock in &ddl.lock_first {
                    let declared =
                        step.locks.iter().any(|known| known.table == lock.table && known.mode.covers(lock.mode));
                    if !declared {
                        say(position, "it locks a table that it does not declare");
                    }
                }
                let needs_lock = !ddl.as_written
                    && ddl.statements.iter().any(|statement| statement.sql.as_str().starts_with("ALTER TABLE"));
                if needs_lock && !ddl.lock_first.iter().any(|lock| lock.mode >= LockMode::ShareUpdateExclusive) {
                    say(position, "it alters a table without locking it first");
                }
            }
            Action::Concurrently(_) | Action::Validate(_) | Action::Assert(_) => {}
        }
    }
    if plan.kind == PlanKind::Down && plan.is_phased() {
        say(0, "a way back does not wait");
    }
    if retention_held && !deploy_held {
        say(0, "it retains what was never contracted");
    }
    problems
}
