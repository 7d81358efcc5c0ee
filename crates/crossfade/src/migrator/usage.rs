//! `usage`: who still uses the old form.

use crossfade_core::journal::State;

use super::Migrator;
use super::session::Session;
use super::shared::choose;
use crate::error::Error;
use crate::error::Result;
use crate::postgres::lease::APPLICATION;
use crate::postgres::store::StoredPlan;
use crate::postgres::store::TrackedRow;
use crate::report::MigrationUsage;
use crate::report::REPORT_FORMAT;
use crate::report::UsageReport;
use crate::usage::Witness;

pub(super) async fn report(migrator: &Migrator, version: Option<&str>) -> Result<UsageReport> {
    let client = migrator.target.connect(APPLICATION).await?;
    let store = migrator.store();
    let rows = if store.exists(&client).await? { store.rows(&client).await? } else { Vec::new() };
    let chosen = choose(&rows, version)?;
    let has_old_form = |state| matches!(state, State::Expanding | State::Migrating | State::Ready | State::Contracting);
    if let (Some(_), [row]) = (version, chosen.as_slice())
        && !has_old_form(row.state)
    {
        return Err(Error::refused(format!(
            "migration {} {} is {}: there is no old form that anybody could use",
            row.version,
            row.name,
            row.state.name()
        ))
        .hint("`crossfade status` lists those that wait for the deploy"));
    }
    let witness = migrator.witness(&client, &store);
    let mut migrations = Vec::new();
    for row in chosen.into_iter().filter(|row| has_old_form(row.state)) {
        let stored = store.load(&client, row.plan_id).await?;
        if !stored.plan.is_phased() {
            continue;
        }
        migrations.push(witness.usage(row, &stored).await?);
        witness.remember(&stored).await;
    }
    Ok(UsageReport { format: REPORT_FORMAT, database: migrator.target.display(), migrations })
}

impl Migrator {
    pub(super) fn witness<'a>(
        &'a self,
        client: &'a tokio_postgres::Client,
        store: &'a crate::postgres::store::Store,
    ) -> Witness<'a> {
        Witness { client, store, config: &self.config.contract, throttle: &self.config.throttle }
    }
}

impl Session<'_> {
    /// Who still uses the old form of a migration, and that somebody has looked.
    pub(super) async fn usage(&self, row: &TrackedRow) -> Result<MigrationUsage> {
        let stored = self.stored(row.plan_id).await?;
        let (client, store, _) = self.journal();
        let witness = self.migrator.witness(client, store);
        let usage = witness.usage(row, &stored).await?;
        witness.remember(&stored).await;
        Ok(usage)
    }

    /// From here on calls of statements are counted.
    pub(super) async fn begin_to_count(&self, stored: &StoredPlan) {
        let (client, store, _) = self.journal();
        self.migrator.witness(client, store).remember(stored).await;
    }
}
