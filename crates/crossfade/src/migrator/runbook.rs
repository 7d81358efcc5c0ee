//! Runbooks of what is pending or under way: the plans, with the sizes of their tables and what earlier runs took.

use std::collections::BTreeSet;

use crossfade_core::catalog::Catalog;
use crossfade_core::journal::fold;
use crossfade_core::migration::Migration;
use crossfade_core::runbook::Sample;
use crossfade_core::runbook::Subject;
use crossfade_core::runbook::Surroundings;
use crossfade_core::runbook::runbook as of_plan;
use crossfade_core::runbook::samples;
use crossfade_core::runbook::tables;
use crossfade_core::step::Plan;
use tokio_postgres::Client;

use super::Migrator;
use super::preview::Planned;
use super::preview::Preview;
use super::preview::preview;
use crate::error::Result;
use crate::executor::CATALOG_ONLY;
use crate::postgres::sizes;
use crate::postgres::store::Store;
use crate::report::REPORT_FORMAT;
use crate::report::RunbookRefusal;
use crate::report::RunbookReport;

/// So many earlier plans are looked at for rates: the newest ones say most of the machine as it is now.
const EARLIER: i64 = 20;

pub(super) async fn runbook(migrator: &Migrator, versions: &[String]) -> Result<RunbookReport> {
    let preview = preview(migrator, versions).await?;
    let around = surroundings(migrator, &preview).await?;
    let major = preview.catalog.major();
    let Preview { planned, unplanned, refused, .. } = preview;
    let runbooks = planned.iter().map(|planned| one(planned, &around)).collect();
    Ok(RunbookReport {
        format: REPORT_FORMAT,
        database: migrator.target.display(),
        server: major,
        database_bytes: around.database_bytes,
        replicas: around.replicas,
        logical_slots: around.logical_slots,
        lock_timeout_ms: around.lock_timeout.as_millis() as u64,
        lock_budget_ms: around.lock_budget.as_millis() as u64,
        runbooks,
        unplanned,
        refused: refused.map(|error| RunbookRefusal::of(&error)),
    })
}

fn one(planned: &Planned, around: &Surroundings) -> crossfade_core::runbook::Runbook {
    let Planned { plan, state, file, stored } = planned;
    let text = stored.as_ref().map_or(file.text.as_str(), |stored| stored.up_sql.as_str());
    let migration = Migration::parse(&plan.version, &plan.name, text).ok();
    // Where the journal does not add up, `status` says so.
    let progress = stored.as_ref().and_then(|stored| fold(&stored.plan, &stored.events).ok());
    let subject = Subject {
        plan,
        migration: migration.as_ref(),
        progress: progress.as_ref(),
        state: *state,
        has_down: file.down.is_some(),
    };
    of_plan(subject, around)
}

async fn surroundings(migrator: &Migrator, preview: &Preview) -> Result<Surroundings> {
    let plans: Vec<&Plan> = preview.planned.iter().map(|planned| &planned.plan).collect();
    surroundings_of(migrator, &preview.client, &preview.store, &preview.catalog, &plans).await
}

/// What is known of a database that these plans are to run on.
pub(super) async fn surroundings_of(
    migrator: &Migrator,
    client: &Client,
    store: &Store,
    catalog: &Catalog,
    plans: &[&Plan],
) -> Result<Surroundings> {
    let receivers = sizes::receivers(client).await?;
    let measured = earlier(client, store).await?;
    let mut names: BTreeSet<_> = plans.iter().flat_map(|plan| tables(plan)).collect();
    names.extend(measured.iter().map(|sample| sample.table.clone()));
    let config = &migrator.config;
    Ok(Surroundings {
        tables: sizes::sizes(client, catalog, &names).await?,
        samples: measured,
        replicas: receivers.replicas,
        logical_slots: receivers.logical_slots,
        database_bytes: receivers.database_bytes,
        lock_timeout: config.locks.timeout,
        lock_budget: config.locks.budget,
        strong_lock: CATALOG_ONLY,
        retain: config.retain,
    })
}

/// What earlier runs took, the newest first.
pub(super) async fn earlier(client: &Client, store: &Store) -> Result<Vec<Sample>> {
    if !store.exists(client).await? {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for id in store.slow_plans(client, EARLIER).await? {
        let stored = store.load(client, id).await?;
        found.extend(samples(&stored.plan, &stored.events));
    }
    Ok(found)
}
