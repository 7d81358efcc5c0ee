//! Who still uses the old form, and whether contract may take it away.
//!
//! Three witnesses: the triggers of the plan see who writes the old side of a row; the open sessions show the last statement of each; and
//! `pg_stat_statements` counts the calls of every statement. What none of them can see is said. Docs: docs/usage.md, decision 0024.

mod gate;
mod look;

use crossfade_core::plan::SEEN_FUNCTION;
use crossfade_core::step::Plan;
use crossfade_core::throttle::Settings;
use crossfade_core::usage::OldForm;
use crossfade_core::usage::Use;
use crossfade_core::usage::old_forms;
use tokio_postgres::Client;

use crate::config::ContractConfig;
use crate::error::Result;
use crate::postgres::store::Store;
use crate::postgres::store::StoredPlan;
use crate::postgres::store::TrackedRow;
pub(crate) use gate::refused;

use crate::report::MigrationUsage;
use crate::report::SeenBy;
use crate::report::SeenUse;

/// What looks.
pub(crate) struct Witness<'a> {
    pub client: &'a Client,
    pub store: &'a Store,
    pub config: &'a ContractConfig,
    /// How far replicas may be behind.
    pub throttle: &'a Settings,
}

impl Witness<'_> {
    /// Everything that is known of one migration. Changes nothing.
    pub async fn usage(&self, row: &TrackedRow, stored: &StoredPlan) -> Result<MigrationUsage> {
        let forms = old_forms(&stored.up_sql);
        let ready = self.store.ready_since(self.client, row.plan_id).await?;
        let mut usage = MigrationUsage {
            version: row.version.clone(),
            name: row.name.clone(),
            state: row.state,
            ready_since: ready.as_ref().map(|(at, _)| at.clone()),
            quiet_for_seconds: self.config.quiet_for.as_secs_f64(),
            old_forms: forms.iter().map(ToString::to_string).collect(),
            seen: Vec::new(),
            old_sessions: Vec::new(),
            unseen: Vec::new(),
            reasons: Vec::new(),
        };
        self.writers(row, stored, &forms, &mut usage).await?;
        self.sessions(&forms, &mut usage).await?;
        if let Some((_, ready_ago)) = ready {
            self.old_sessions(ready_ago, &mut usage).await?;
        }
        self.statements(row.plan_id, stored, &forms, &mut usage).await?;
        usage.seen.sort_by(|a, b| {
            b.certain.cmp(&a.certain).then(a.seconds_ago.total_cmp(&b.seconds_ago)).then_with(|| a.by.cmp(&b.by))
        });
        self.gate(row, &stored.plan, &mut usage).await?;
        Ok(usage)
    }

    /// Counts as [`Witness::sample`] does, where that can be done: it is not what the command is for.
    pub async fn remember(&self, stored: &StoredPlan) {
        let there = self.store.has_usage(self.client).await;
        let done = match there {
            Ok(true) => self.sample(stored).await,
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            tracing::debug!(error = error.chain(), "the calls of statements were not written down");
        }
    }

    /// Counts the calls of statements that name an old form, and writes them down: what has not grown until the next look was not called.
    pub async fn sample(&self, stored: &StoredPlan) -> Result<()> {
        let forms = old_forms(&stored.up_sql);
        if forms.is_empty() {
            return Ok(());
        }
        if let Ok(statements) = self.counted(&stored.plan, &forms).await? {
            let counted: Vec<(u32, i64, i64)> =
                statements.iter().map(|counted| (counted.user_id, counted.query_id, counted.calls)).collect();
            self.store.save_samples(self.client, stored.id, &counted).await?;
        }
        Ok(())
    }

    async fn writers(
        &self,
        row: &TrackedRow,
        stored: &StoredPlan,
        forms: &[OldForm],
        usage: &mut MigrationUsage,
    ) -> Result<()> {
        if has_witnesses(&stored.plan) && self.store.has_usage(self.client).await? {
            for writer in self.store.old_writers(self.client, &row.version, row.plan_id).await? {
                usage.seen.push(SeenUse {
                    old_form: format!("the old side of {}", writer.relation),
                    by: SeenBy::Write,
                    certain: true,
                    doubt: None,
                    application: Some(writer.application),
                    address: writer.address,
                    user: Some(writer.user),
                    statement: None,
                    times: Some(writer.sightings),
                    last_seen: writer.last_seen,
                    seconds_ago: writer.seconds_ago,
                });
            }
        }
        for form in forms {
            match form {
                OldForm::Type { .. } => usage.unseen.push(format!(
                    "who still counts on {form}: old and new form have one name, so neither a write nor a statement tells"
                )),
                OldForm::Value { .. } | OldForm::Sequence { .. } => usage.unseen.push(format!(
                    "who still uses {form}: it is sent as a parameter, or counted without its name, and then no text has it"
                )),
                OldForm::Column { .. } | OldForm::Relation { .. } if !has_witnesses(&stored.plan) => {
                    usage.unseen.push(format!("who writes {form}: nothing of this migration stands in the way of writes"));
                }
                OldForm::Column { .. } | OldForm::Relation { .. } => {}
            }
        }
        Ok(())
    }
}

fn has_witnesses(plan: &Plan) -> bool {
    let mut statements = plan.steps.iter().flat_map(|step| step.action.statements());
    statements.any(|statement| statement.as_str().contains(SEEN_FUNCTION))
}

/// What a use is worth: whether it is certain, and why it is not. None where there is none.
fn judged(found: Use) -> Option<(bool, Option<String>)> {
    match found {
        Use::No => None,
        Use::Doubtful(why) => Some((false, Some(why.to_owned()))),
        Use::Certain => Some((true, None)),
    }
}
