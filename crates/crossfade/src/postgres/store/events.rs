//! What is appended to the journal, with who did it and from where.

use crossfade_core::journal::Event;
use crossfade_core::journal::Request;
use crossfade_core::sql;
use crossfade_core::sql::Sql;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::Store;
use super::host;
use super::lease_lost;
use crate::audit::Audit;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;

/// What the events of one command have in common.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub id: String,
    pub host: String,
    pub audit: Audit,
}

impl Run {
    /// A run of its own.
    pub fn new(audit: Audit) -> Run {
        Run { id: Uuid::new_v4().to_string(), host: host(), audit }
    }

    /// The values of `actor, host, tool_version, run_id, git_commit, git_dirty, ci_url`: see [`values`].
    pub(super) fn params(&self) -> [(&(dyn ToSql + Sync), Type); 7] {
        [
            (&self.audit.actor, Type::TEXT),
            (&self.host, Type::TEXT),
            (&env!("CARGO_PKG_VERSION"), Type::TEXT),
            (&self.id, Type::TEXT),
            (&self.audit.git_commit, Type::TEXT),
            (&self.audit.git_dirty, Type::BOOL),
            (&self.audit.ci_url, Type::TEXT),
        ]
    }
}

/// The columns of an event that say who did it, in the order of [`Run::params`].
pub(super) fn columns() -> Sql {
    sql!("actor, host, tool_version, run_id, git_commit, git_dirty, ci_url")
}

/// Their values, bound as `$1` to `$7`.
pub(super) fn values() -> Sql {
    sql!("coalesce($1, session_user::text), $2, $3, $4::uuid, $5, $6, $7")
}

impl Store {
    /// Appends an event in the transaction that is open. Fails when the lease is lost.
    pub(super) async fn insert_event(&self, client: &Client, epoch: i64, plan_id: i64, event: &Event) -> Result<()> {
        let insert = sql!(
            "INSERT INTO {}.events ({}, plan_id, event, epoch) SELECT {}, $8, $9::text::jsonb, l.epoch \
             FROM (SELECT epoch FROM {}.lease WHERE id = 1 AND epoch = $10 FOR SHARE) AS l",
            self.schema,
            columns(),
            values(),
            self.schema
        );
        let json = event_json(event)?;
        let mut params = self.run.params().to_vec();
        params.extend::<[(&(dyn ToSql + Sync), Type); 3]>([
            (&plan_id, Type::INT8),
            (&json, Type::TEXT),
            (&epoch, Type::INT8),
        ]);
        let written = client.execute_typed(insert.as_str(), &params).await.doing("write the journal")?;
        if written == 1 { Ok(()) } else { Err(lease_lost()) }
    }

    /// Appends a request to pause or to go on, without the lease. The journal may still be of an earlier version: the runner that is asked is
    /// one of that version, too.
    pub async fn ask(&self, client: &Client, plan_id: i64, request: Request, reason: Option<&str>) -> Result<()> {
        let json = event_json(&Event::Requested { request, reason: reason.map(str::to_owned) })?;
        let has_audit = self.format(client).await?.is_some_and(|format| format >= super::format::AUDIT_SINCE);
        let (columns, values) = match has_audit {
            true => (columns(), values()),
            false => (sql!("actor, host, tool_version"), sql!("coalesce($1, session_user::text), $2, $3")),
        };
        let at = if has_audit { sql!("$8, $9::text::jsonb") } else { sql!("$4, $5::text::jsonb") };
        let insert = sql!(
            "INSERT INTO {}.events ({}, plan_id, event, epoch) SELECT {}, {}, coalesce((SELECT epoch FROM {}.lease WHERE id = 1), 0)",
            self.schema,
            columns,
            values,
            at,
            self.schema
        );
        let run = self.run.params();
        let mut params = run[..if has_audit { 7 } else { 3 }].to_vec();
        params.extend::<[(&(dyn ToSql + Sync), Type); 2]>([(&plan_id, Type::INT8), (&json, Type::TEXT)]);
        client.execute_typed(insert.as_str(), &params).await.doing("write the request down")?;
        Ok(())
    }
}

pub(super) fn event_json(event: &Event) -> Result<String> {
    serde_json::to_string(event).map_err(|error| Error::failed("could not write an event down").caused_by(error))
}
