//! The plans of what is pending, without running any: each on the schema that the ones before it leave.

use crossfade_core::catalog::Catalog;
use crossfade_core::journal::State;
use crossfade_core::plan::InFlight;
use crossfade_core::plan::MadeInRun;
use crossfade_core::plan::PlanContext;
use crossfade_core::plan::project;
use crossfade_core::step::Plan;
use tokio_postgres::Client;

use super::Migrator;
use super::planning::Way;
use super::planning::catalog;
use super::planning::in_flight;
use super::planning::plan_file;
use super::planning::preflight;
use super::shared::same_version;
use crate::error::Error;
use crate::error::Result;
use crate::postgres::lease::APPLICATION;
use crate::postgres::store::Store;
use crate::postgres::store::StoredPlan;
use crate::report::PlanReport;
use crate::report::REPORT_FORMAT;
use crate::source::SourceFile;

/// What would run.
pub(super) struct Preview {
    pub client: Client,
    pub store: Store,
    /// As the database is now.
    pub catalog: Catalog,
    /// What was asked for, in order.
    pub planned: Vec<Planned>,
    /// What can only be planned once others have run, and why.
    pub unplanned: Vec<String>,
    /// The first file that is refused; nothing behind it is planned.
    pub refused: Option<Error>,
}

/// A plan with where it is from.
pub(super) struct Planned {
    pub plan: Plan,
    pub state: State,
    /// Its file, where there is one.
    pub file: SourceFile,
    /// As the journal has it, where it has begun.
    pub stored: Option<StoredPlan>,
}

impl Preview {
    /// The plans alone; a refusal is an error.
    pub fn report(self) -> Result<PlanReport> {
        match self.refused {
            Some(error) => Err(error),
            None => Ok(PlanReport {
                format: REPORT_FORMAT,
                plans: self.planned.into_iter().map(|planned| planned.plan).collect(),
                unplanned: self.unplanned,
            }),
        }
    }
}

/// Plans what is pending; of what has begun, takes the stored plan. Without versions all of it, with some only those, also where they are applied.
pub(super) async fn preview(migrator: &Migrator, versions: &[String]) -> Result<Preview> {
    let client = migrator.target.connect(APPLICATION).await?;
    let store = migrator.store();
    let mut rows = if store.exists(&client).await? { store.rows(&client).await? } else { Vec::new() };
    let files = migrator.files_as(&rows)?;
    super::tolerance::tolerate_on(&client, &store, &files, &mut rows).await?;
    super::history::check(&files, &rows, migrator.config.out_of_order)?;
    let asks_for = |file: &SourceFile, version: &String| same_version(&file.version, version);
    if let Some(version) = versions.iter().find(|version| !files.iter().any(|file| asks_for(file, version))) {
        return Err(Error::usage(format!("there is no migration {version}")).hint("`crossfade status` lists them"));
    }
    let now = catalog(&client, &store).await?;
    let mut catalog = now.clone();
    let mut in_flight = in_flight(&client, &store, &rows).await?;
    let policy = migrator.policy();
    let mut preview =
        Preview { client, store, catalog: now, planned: Vec::new(), unplanned: Vec::new(), refused: None };
    let mut pending = 0;
    let mut made_in_run = MadeInRun::beginning(&catalog);
    let tracked = super::history::by_version(&rows);
    for file in &files {
        let asked = versions.is_empty() || versions.iter().any(|version| asks_for(file, version));
        match tracked.get(file.version.as_str()) {
            Some(row) if row.state != State::RolledBack && !super::history::is_to_be_repeated(file, row) => {
                if asked && (!versions.is_empty() || row.state != State::Applied) {
                    let stored = preview.store.load(&preview.client, row.plan_id).await?;
                    preview.planned.push(Planned {
                        plan: stored.plan.clone(),
                        state: row.state,
                        file: file.clone(),
                        stored: Some(stored),
                    });
                }
            }
            Some(_) | None => {
                let plan = match plan_file(file, &catalog, &policy, &in_flight, &made_in_run) {
                    Ok(plan) => plan,
                    Err(error) if pending > 0 && only_missing(&error) => {
                        preview.unplanned.push(format!(
                            "{} {} builds on what an earlier migration makes in a way that can't be foreseen; it is planned once that has run",
                            file.version, file.name
                        ));
                        continue;
                    }
                    Err(error) => {
                        preview.refused = Some(error);
                        break;
                    }
                };
                if pending == 0
                    && asked
                    && let Err(error) = preflight(&preview.client, file, &plan).await
                {
                    preview.refused = Some(error);
                    break;
                }
                pending += 1;
                let migration = Way::up(file).parse()?;
                made_in_run.add(&migration, &catalog);
                let cx = PlanContext {
                    migration: &migration,
                    catalog: &catalog,
                    policy: &policy,
                    in_flight: &[],
                    made_in_run: &made_in_run,
                };
                let next = project(cx);
                if plan.is_phased() {
                    in_flight.push(InFlight {
                        version: plan.version.clone(),
                        name: plan.name.clone(),
                        claims: plan.claims.clone(),
                    });
                }
                catalog = next;
                if asked {
                    preview.planned.push(Planned { plan, state: State::Pending, file: file.clone(), stored: None });
                }
            }
        }
    }
    Ok(preview)
}

/// Whether a refusal says nothing but that something is not there yet.
fn only_missing(error: &Error) -> bool {
    let mut all =
        error.findings().iter().flat_map(|file| &file.findings).filter(|finding| finding.is_error()).peekable();
    all.peek().is_some() && all.all(|finding| finding.rule.starts_with("no-such-"))
}
