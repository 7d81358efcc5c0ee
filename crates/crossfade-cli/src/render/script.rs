//! `plan --format sql`: the plan as a script with comments.
//!
//! It is for reading and for review. What needs a program (chunks, retries, the journal) is described in comments.

use std::time::Duration;

use crossfade::report::PlanReport;
use crossfade_core::lock::TableLock;
use crossfade_core::sql::SqlPart as _;
use crossfade_core::step::Action;
use crossfade_core::step::ChunkBounds;
use crossfade_core::step::Hold;
use crossfade_core::step::Plan;
use crossfade_core::step::Step;

use super::indented;
use super::plan::chunks;
use super::plan::closed;

/// The whole report.
pub fn text(report: &PlanReport, lock_timeout: Duration) -> String {
    if report.plans.is_empty() {
        return "-- nothing to plan: no migration is pending\n".to_owned();
    }
    report.plans.iter().map(|plan| one(plan, lock_timeout)).collect::<Vec<_>>().join("\n\n")
}

fn one(plan: &Plan, lock_timeout: Duration) -> String {
    let mut out = comment(&format!(
        "Migration {} {}, as Crossfade runs it. Made to be read: the journal,",
        plan.version, plan.name
    ));
    out.push_str(&comment("the retries after a lock timeout and the loops over chunks are left out."));
    for finding in &plan.findings {
        out.push_str(&comment(&format!("{}: {}", finding.rule, finding.message)));
    }
    let mut phase = None;
    for step in &plan.steps {
        if phase != Some(step.phase) {
            phase = Some(step.phase);
            out.push_str(&format!("\n-- ===== {} =====\n", step.phase.name()));
        }
        out.push('\n');
        out.push_str(&show_step(step, lock_timeout));
    }
    out
}

fn show_step(step: &Step, lock_timeout: Duration) -> String {
    let mut out = comment(&format!("{}. {}", step.id.0 + 1, step.summary));
    for lock in &step.locks {
        out.push_str(&comment(&format!("   locks {} in {}", lock.table, lock.mode)));
    }
    for hazard in &step.hazards {
        out.push_str(&comment(&format!("   hazard: {hazard}")));
    }
    out.push_str(&show_action(&step.action, lock_timeout));
    out
}

fn show_action(action: &Action, lock_timeout: Duration) -> String {
    match action {
        Action::Ddl(ddl) => {
            let mut out = format!("BEGIN;\nSET LOCAL lock_timeout = '{}ms';\n", lock_timeout.as_millis());
            out.extend(ddl.lock_first.iter().map(lock_table));
            for statement in &ddl.statements {
                out.push_str(&closed(statement.sql.as_str()));
                if let Some(rows) = &statement.rows {
                    out.push_str(rows);
                    out.push_str("\\.\n");
                }
            }
            out + "COMMIT;\n"
        }
        Action::Concurrently(concurrently) => {
            format!("-- outside of a transaction\n{}", closed(concurrently.run.as_str()))
        }
        Action::Validate(validate) => closed(validate.sql.as_str()),
        Action::Backfill(backfill) => backfill
            .units
            .iter()
            .map(|unit| {
                let about = chunks(unit.bounds, unit.stripes, unit.estimated_rows, &unit.relation.to_string());
                chunked(&about, unit.bounds, unit.statement.as_str())
            })
            .collect(),
        Action::Verify(verify) => verify
            .units
            .iter()
            .map(|unit| {
                let about = chunks(unit.bounds, 1, unit.estimated_rows, &unit.relation.to_string());
                chunked(&format!("{about}; any row that differs is a failure"), unit.bounds, unit.query.as_str())
            })
            .collect(),
        Action::Assert(assert) => {
            comment(&format!("must return no row, else: {}", assert.message)) + &closed(assert.query.as_str())
        }
        Action::Hold { until: hold } => comment(match hold {
            Hold::Deploy => "HOLD: here it waits until somebody calls crossfade contract",
            Hold::Retention => "HOLD: here it waits until somebody calls crossfade purge",
        }),
    }
}

/// The statement that takes a lock.
pub(super) fn lock_table(lock: &TableLock) -> String {
    let mut out = if lock.only { "LOCK TABLE ONLY " } else { "LOCK TABLE " }.to_owned();
    lock.table.write_sql(&mut out);
    format!("{out} IN {} MODE;\n", lock.mode)
}

/// A statement with parameters can't run in a script, and stands in comments.
fn chunked(about: &str, bounds: ChunkBounds, statement: &str) -> String {
    let parameters = match bounds {
        ChunkBounds::TidRange => "$1: the first TID, $2: the one behind the last, as text; $3: stripes; $4: the stripe",
        ChunkBounds::TidList => "$1: the first block, $2: the one behind the last; $3: stripes; $4: the stripe",
        ChunkBounds::Keys => {
            "$1: the key behind which the chunk begins, $2: its last key, as the texts of their columns"
        }
    };
    let mut out = comment(&format!("{about}; each chunk in a transaction of its own"));
    out.push_str(&comment(parameters));
    out + &indented(&closed(statement), "--     ")
}

fn comment(text: &str) -> String {
    indented(text, "-- ")
}
