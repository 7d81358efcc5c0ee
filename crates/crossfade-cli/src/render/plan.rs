//! `plan` for people: phases, numbered steps, what each locks and runs.

use crossfade::error::FileFindings;
use crossfade::report::PlanReport;
use crossfade_core::step::Action;
use crossfade_core::step::ChunkBounds;
use crossfade_core::step::Plan;
use crossfade_core::step::PlanKind;
use crossfade_core::step::Probe;
use crossfade_core::step::Step;

use super::Paint;
use super::Source;
use super::findings;
use super::human;
use super::indented;
use super::script::lock_table;

/// The whole report. `find` gives the file that a plan was made from, to show findings at their place.
pub fn text(report: &PlanReport, find: &dyn Fn(&Plan) -> Option<Source>, paint: Paint) -> String {
    if report.plans.is_empty() && report.unplanned.is_empty() {
        return "nothing to plan: no migration is pending\n".to_owned();
    }
    let plans = report.plans.iter().map(|plan| one(plan, find(plan), paint));
    let notes = report.unplanned.iter().map(|note| format!("note: {note}"));
    plans.chain(notes).collect::<Vec<_>>().join("\n\n")
}

fn one(plan: &Plan, source: Option<Source>, paint: Paint) -> String {
    let steps = human::counted(plan.steps.len() as u64, "step", "steps");
    let way = match (plan.is_phased(), plan.kind) {
        (true, _) => "in phases: it waits for the deploy",
        (false, PlanKind::Up) => "at once",
        (false, PlanKind::Backfill) => "a backfill alone",
        (false, PlanKind::Down) => "at once, from its down file",
    };
    let mut out = format!("{}  {steps}, {way}\n", paint.bold(&format!("{} {}", plan.version, plan.name)));
    if !plan.findings.is_empty() {
        out.push('\n');
        out.push_str(show_findings(plan, source, paint).trim_end());
        out.push('\n');
    }
    let mut phase = None;
    for step in &plan.steps {
        if phase != Some(step.phase) {
            phase = Some(step.phase);
            out.push_str(&format!("\n{}\n", paint.bold(step.phase.name())));
        }
        out.push_str(&show_step(step, paint));
    }
    out
}

fn show_findings(plan: &Plan, source: Option<Source>, paint: Paint) -> String {
    match source {
        Some(Source { path, text }) => {
            findings::text(&FileFindings { path, text, findings: plan.findings.clone() }, paint)
        }
        None => plan.findings.iter().map(|finding| findings::without_text(finding, paint)).collect(),
    }
}

fn show_step(step: &Step, paint: Paint) -> String {
    let number = step.id.0 + 1;
    let mut out = format!("{number:>3}. {}\n", step.summary);
    let undo = match (&step.action, &step.undo) {
        (_, Some(_)) => ", undo: yes",
        (Action::Ddl(_) | Action::Concurrently(_), None) => ", undo: no",
        // They leave nothing that the undo of other steps would not take with it.
        (
            Action::Validate(_) | Action::Backfill(_) | Action::Verify(_) | Action::Assert(_) | Action::Hold { .. },
            None,
        ) => "",
    };
    let mut about = vec![format!("{}{undo}", step.action.kind())];
    for lock in &step.locks {
        about.push(format!("locks {} in {}", lock.table, lock.mode));
    }
    for line in about {
        out.push_str(&indented(&paint.dim(&line), "     "));
    }
    for hazard in &step.hazards {
        out.push_str(&format!("     {} {hazard}\n", paint.yellow("hazard:")));
    }
    out.push_str(&indented(&show_action(&step.action), "       "));
    out
}

fn show_action(action: &Action) -> String {
    match action {
        Action::Ddl(ddl) => {
            let locks = ddl.lock_first.iter().map(lock_table);
            let statements = ddl.statements.iter().map(|statement| {
                let rows =
                    statement.rows.as_ref().map(|rows| human::counted(rows.lines().count() as u64, "line", "lines"));
                let rows = rows.map(|lines| format!("with {lines} of the file\n")).unwrap_or_default();
                closed(statement.sql.as_str()) + &rows
            });
            locks.chain(statements).collect()
        }
        Action::Concurrently(concurrently) => {
            let how = match &concurrently.probe {
                Probe::IndexIsValid { index, .. } => format!("after a crash: looks whether {index} is valid"),
                Probe::IndexIsGone { index } => format!("after a crash: looks whether {index} is gone"),
                Probe::PartitionIs { parent, partition, .. } => {
                    format!("after a crash: looks whether {partition} is a partition of {parent}")
                }
                Probe::Repeatable => "after a crash: runs again".to_owned(),
            };
            format!("{}{how}\n", closed(concurrently.run.as_str()))
        }
        Action::Validate(validate) => closed(validate.sql.as_str()),
        Action::Backfill(backfill) => backfill
            .units
            .iter()
            .map(|unit| {
                let about = chunks(unit.bounds, unit.stripes, unit.estimated_rows, &unit.relation.to_string());
                format!("{about}\n{}", closed(unit.statement.as_str()))
            })
            .collect(),
        Action::Verify(verify) => verify
            .units
            .iter()
            .map(|unit| {
                let about = chunks(unit.bounds, 1, unit.estimated_rows, &unit.relation.to_string());
                format!("{about}\n{}", closed(unit.query.as_str()))
            })
            .collect(),
        Action::Assert(assert) => {
            format!("{}must return no row, else: {}\n", closed(assert.query.as_str()), assert.message)
        }
        // Its summary says what ends it.
        Action::Hold { .. } => String::new(),
    }
}

/// How a relation is gone through.
pub(super) fn chunks(bounds: ChunkBounds, stripes: u32, rows: u64, relation: &str) -> String {
    let by = match bounds {
        ChunkBounds::TidRange => "physical range",
        ChunkBounds::TidList => "block",
        ChunkBounds::Keys => "key",
    };
    let stripes = if stripes > 1 { format!(", {stripes} stripes a window") } else { String::new() };
    format!("in chunks by {by}{stripes}; {relation} has about {}", human::counted(rows, "row", "rows"))
}

/// A statement with its semicolon and line end.
pub(super) fn closed(sql: &str) -> String {
    format!("{};\n", sql.trim_end().trim_end_matches(';'))
}
