//! Whether contract may take the old form away, and why not.

use crossfade_core::journal::State;
use crossfade_core::sql;
use crossfade_core::step::Plan;
use tokio_postgres::types::Type;

use super::Witness;
use crate::config::Blocks;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;
use crate::postgres::store::TrackedRow;
use crate::report::MigrationUsage;
use crate::report::OldSessions;
use crate::report::SeenBy;
use crate::report::SeenUse;
use crate::throttle::replicas_behind;

/// How many uses are named one by one.
const NAMED: usize = 5;

impl Witness<'_> {
    /// Every reason why contract would be refused now.
    pub(super) async fn gate(&self, row: &TrackedRow, plan: &Plan, usage: &mut MigrationUsage) -> Result<()> {
        if row.state != State::Ready {
            return Ok(());
        }
        let mut reasons = Vec::new();
        let quiet_for = self.config.quiet_for.as_secs_f64();
        let recent: Vec<&SeenUse> =
            usage.seen.iter().filter(|seen| seen.certain && seen.seconds_ago < quiet_for).collect();
        reasons.extend(recent.iter().take(NAMED).map(|seen| used(seen)));
        if recent.len() > NAMED {
            reasons.push(format!("the old form was used in {} more ways", recent.len() - NAMED));
        }
        if self.config.old_sessions == Blocks::Refuse {
            reasons.extend(usage.old_sessions.iter().map(open));
        }
        if self.config.unseen == Blocks::Refuse {
            reasons.extend(usage.unseen.iter().map(|unseen| format!("it can't be seen {unseen}")));
        }
        if self.store.has_usage(self.client).await?
            && let Some(verify) = self.store.last_verify(self.client, row.plan_id).await?
            && verify.differing > 0
        {
            reasons.push(format!(
                "the last verify ({}) found {} rows in which old and new form differ: mend them, and `crossfade verify {}` again",
                verify.at, verify.differing, row.version
            ));
        }
        reasons.extend(self.lagging().await?);
        reasons.extend(self.in_the_way(plan).await?);
        usage.reasons = reasons;
        Ok(())
    }

    /// Replicas that are behind: those who read there would still see the old form, and wait for the lock that comes with contract.
    async fn lagging(&self) -> Result<Vec<String>> {
        replicas_behind(self.client, self.throttle).await
    }

    /// Long transactions that contract would wait for, with everybody who comes behind it.
    async fn in_the_way(&self, plan: &Plan) -> Result<Vec<String>> {
        let tables: Vec<String> = plan.claims.iter().map(|claim| sql!("{}", claim.table).as_str().to_owned()).collect();
        let query = "SELECT a.pid, a.application_name, extract(epoch FROM clock_timestamp() - a.xact_start)::float8, min(c.relname::text) \
            FROM pg_catalog.pg_stat_activity AS a JOIN pg_catalog.pg_locks AS l ON l.pid = a.pid AND l.granted AND l.locktype = 'relation' \
            JOIN pg_catalog.pg_class AS c ON c.oid = l.relation \
            WHERE l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()) \
            AND a.pid <> pg_catalog.pg_backend_pid() AND a.xact_start < clock_timestamp() - make_interval(secs => $2) \
            AND l.relation IN (SELECT pg_catalog.to_regclass(t.name) FROM unnest($1::text[]) AS t (name)) GROUP BY 1, 2, 3 ORDER BY 3 DESC";
        let rows = self
            .client
            .query_typed(
                query,
                &[(&tables, Type::TEXT_ARRAY), (&self.config.long_transaction.as_secs_f64(), Type::FLOAT8)],
            )
            .await
            .doing("look for long transactions")?;
        let holds = |row: &tokio_postgres::Row| {
            let (pid, application, seconds, table): (i32, String, f64, String) =
                (row.get(0), row.get(1), row.get(2), row.get(3));
            format!(
                "session {pid} ({}) has {table} in a transaction that is open for {}",
                named(&application),
                ago(seconds)
            )
        };
        Ok(rows.iter().map(holds).collect())
    }
}

/// The refusal, with each reason.
pub(crate) fn refused(usage: &MigrationUsage) -> Error {
    let reasons = usage.reasons.iter().map(|reason| format!("\n  - {reason}")).collect::<String>();
    Error::refused(format!(
        "the old form of migration {} {} is not proven to be out of use:{reasons}",
        usage.version, usage.name
    ))
    .hint(format!(
        "nothing was changed. `crossfade usage {}` shows all that is known; where you know better, \
         `crossfade contract {} --force --reason \"…\"` goes on, and the reason is kept in the journal",
        usage.version, usage.version
    ))
}

fn used(seen: &SeenUse) -> String {
    let who = who(seen.application.as_deref(), seen.address.as_deref(), seen.user.as_deref());
    match seen.by {
        SeenBy::Write => format!("{} was written {} ago by {who}", seen.old_form, ago(seen.seconds_ago)),
        SeenBy::Session => format!("{} was used {} ago by {who}{}", seen.old_form, ago(seen.seconds_ago), text(seen)),
        SeenBy::Statement => {
            format!("{} was used at most {} ago by {who}{}", seen.old_form, ago(seen.seconds_ago), text(seen))
        }
    }
}

fn text(seen: &SeenUse) -> String {
    seen.statement.as_ref().map(|statement| format!(": {statement}")).unwrap_or_default()
}

fn open(old: &OldSessions) -> String {
    let who = who(Some(&old.application), old.address.as_deref(), Some(&old.user));
    let (sessions, are) = if old.sessions == 1 { ("session", "is") } else { ("sessions", "are") };
    format!(
        "{} {sessions} of {who} {are} open since before the deploy could begin (the oldest since {})",
        old.sessions, old.oldest
    )
}

fn named(application: &str) -> &str {
    if application.is_empty() { "no application name" } else { application }
}

fn who(application: Option<&str>, address: Option<&str>, user: Option<&str>) -> String {
    let mut who = application.map(|name| named(name).to_owned()).unwrap_or_default();
    if let Some(user) = user.filter(|user| !user.is_empty()) {
        who = if who.is_empty() { format!("role {user}") } else { format!("{who} (role {user})") };
    }
    match address {
        Some(address) => format!("{who} from {address}"),
        None => who,
    }
}

/// A time as people say it.
pub(crate) fn ago(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}
