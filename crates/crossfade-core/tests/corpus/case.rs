//! The corpus with its stored catalogs, its plans, and plans as people read them.

use std::fmt::Write as _;

use crossfade_core::catalog::Catalog;
use crossfade_core::finding::Finding;
use crossfade_core::lock::TableLock;
use crossfade_core::migration::Migration;
use crossfade_core::plan::InFlight;
use crossfade_core::plan::MadeInRun;
use crossfade_core::plan::PlanContext;
use crossfade_core::plan::Policy;
use crossfade_core::plan::plan;
use crossfade_core::step::Action;
use crossfade_core::step::Plan;

use crate::fixture::Fixture;
use crate::fixture::catalog_path;
use crate::fixture::corpus;

/// A case with the catalog that a real server returned for it.
#[derive(Debug)]
pub struct Case {
    pub fixture: Fixture,
    pub catalog: Catalog,
    migration: Migration,
    policy: Policy,
    made_in_run: MadeInRun,
    in_flight: Vec<InFlight>,
}

impl Case {
    pub fn context(&self) -> PlanContext<'_> {
        PlanContext {
            migration: &self.migration,
            catalog: &self.catalog,
            policy: &self.policy,
            in_flight: &self.in_flight,
            made_in_run: &self.made_in_run,
        }
    }
}

/// Every case.
pub fn cases() -> Vec<Case> {
    let with_catalog = |fixture: Fixture| {
        let migration = Migration::parse("001", "case", &fixture.migration);
        let migration = migration.unwrap_or_else(|findings| panic!("{}: {findings:?}", fixture.name));
        let mut case = Case {
            catalog: stored_catalog(&fixture.name),
            migration,
            policy: Policy::default(),
            made_in_run: MadeInRun::default(),
            in_flight: Vec::new(),
            fixture,
        };
        case.in_flight.extend(case.fixture.earlier.as_ref().map(|text| earlier(&case, text)));
        case
    };
    corpus().into_iter().map(with_catalog).collect()
}

/// What a case's earlier migration has in its hands.
fn earlier(case: &Case, text: &str) -> InFlight {
    let migration = Migration::parse("000", "earlier", text).expect("it is SQL");
    let plan = plan(PlanContext { migration: &migration, ..case.context() }).expect("it is planned");
    InFlight { version: plan.version, name: plan.name, claims: plan.claims }
}

fn stored_catalog(name: &str) -> Catalog {
    let path = catalog_path(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; CROSSFADE_UPDATE_FIXTURES=1 with the proofs on a real server makes it", path.display())
    });
    serde_json::from_str(&text).expect("it is a catalog")
}

/// What planning gave.
pub enum Planned {
    Plan(Box<Plan>),
    Refused(Vec<Finding>),
}

pub fn planned(case: &Case) -> Planned {
    match plan(case.context()) {
        Ok(plan) => Planned::Plan(Box::new(plan)),
        Err(findings) => Planned::Refused(findings),
    }
}

/// The migration and its plan, as a reviewer reads them.
pub fn render(case: &Case) -> String {
    let mut text = format!("{}\n\n", case.fixture.migration.trim_end());
    match planned(case) {
        Planned::Refused(findings) => findings.iter().for_each(|finding| render_finding(&mut text, finding)),
        Planned::Plan(plan) => {
            plan.findings.iter().for_each(|finding| render_finding(&mut text, finding));
            let mut phase = None;
            for step in &plan.steps {
                if phase != Some(step.phase) {
                    phase = Some(step.phase);
                    let _ = writeln!(text, "== {}", step.phase.name());
                }
                let _ = writeln!(text, "{}. {} [{}]", step.id.0 + 1, step.summary, step.action.kind());
                step.locks.iter().for_each(|lock| line(&mut text, "lock", &lock_text(lock)));
                render_action(&mut text, "do", &step.action);
                if let Some(undo) = &step.undo {
                    render_action(&mut text, "undo", undo);
                }
                step.hazards.iter().for_each(|hazard| line(&mut text, "hazard", hazard));
            }
            plan.preflight.iter().for_each(|check| line(&mut text, "preflight", check.query.as_str()));
        }
    }
    text
}

fn render_finding(text: &mut String, finding: &Finding) {
    let _ = writeln!(text, "{:?} [{}] {}", finding.severity, finding.rule, finding.message);
    if let Some(help) = &finding.help {
        line(text, "help", help);
    }
}

fn render_action(text: &mut String, what: &str, action: &Action) {
    match action {
        Action::Ddl(ddl) => {
            ddl.lock_first.iter().for_each(|lock| line(text, what, &format!("first {}", lock_text(lock))));
            ddl.statements.iter().for_each(|statement| line(text, what, statement.sql.as_str()));
        }
        Action::Concurrently(concurrently) => {
            line(text, what, concurrently.run.as_str());
            line(text, what, &format!("then look: {:?}", concurrently.probe));
        }
        Action::Validate(validate) => line(text, what, validate.sql.as_str()),
        Action::Backfill(backfill) => {
            for unit in &backfill.units {
                let how = format!("{} in {} stripes, {:?}", unit.relation, unit.stripes, unit.bounds);
                line(text, what, &how);
                line(text, what, unit.statement.as_str());
                for (about, query) in unit.keys.iter().flat_map(|keys| [("up to", &keys.end), ("cut by", &keys.cut)]) {
                    line(text, what, &format!("{about}: {query}"));
                }
            }
        }
        Action::Verify(verify) => verify.units.iter().for_each(|unit| line(text, what, unit.query.as_str())),
        Action::Assert(assert) => line(text, what, &format!("{}: {}", assert.message, assert.query)),
        Action::Hold { until } => line(text, what, &format!("wait: {until:?}")),
    }
}

fn lock_text(lock: &TableLock) -> String {
    format!("{} {}", lock.table, lock.mode)
}

fn line(text: &mut String, what: &str, said: &str) {
    for (number, part) in said.trim().lines().enumerate() {
        let _ = writeln!(text, "   {:9} {}", if number == 0 { what } else { "" }, part.trim_end());
    }
}
