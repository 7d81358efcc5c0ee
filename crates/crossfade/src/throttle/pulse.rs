//! How long a commit takes: one row of our own, changed once a second. It also gives replicas that would be idle something to replay.

use std::time::Duration;
use std::time::Instant;

use crossfade_core::sql;
use crossfade_core::sql::Ident;
use crossfade_core::sql::Number;
use crossfade_core::sql::Sql;
use crossfade_core::throttle::Reading;
use crossfade_core::throttle::Settings;
use crossfade_core::throttle::Signal;
use tokio_postgres::Client;

use crate::error::Doing as _;
use crate::error::Result;

/// A commit that takes longer than this is not waited for: where a synchronous standby is away it would take for ever.
const PATIENCE: Duration = Duration::from_secs(4);

/// `last` is what the commit before took: it goes into the row for whoever only watches, and can't measure it without writing.
pub(super) async fn look(
    client: &Client,
    schema: &Ident,
    settings: &Settings,
    last: Option<f64>,
) -> Result<Vec<Reading>> {
    let Some(limit) = settings.commit else { return Ok(Vec::new()) };
    let beat = match last {
        None => sql!(
            "{}INSERT INTO {}.heartbeat AS h (id, at) VALUES (1, clock_timestamp()) ON CONFLICT (id) DO UPDATE SET at = excluded.at",
            limits(),
            schema
        ),
        Some(last) => sql!(
            "{}INSERT INTO {}.heartbeat AS h (id, at, commit_us) VALUES (1, clock_timestamp(), {}) \
             ON CONFLICT (id) DO UPDATE SET at = excluded.at, commit_us = excluded.commit_us",
            limits(),
            schema,
            Number((last * 1e6) as i64)
        ),
    };
    if let Err(error) = client.batch_execute(beat.as_str()).await {
        let _ = client.batch_execute("ROLLBACK").await;
        return Err(error).doing("write the heartbeat");
    }
    let begun = Instant::now();
    match tokio::time::timeout(PATIENCE, client.batch_execute("COMMIT")).await {
        Ok(committed) => committed.doing("commit the heartbeat")?,
        Err(_) => tracing::debug!("the heartbeat's commit takes long"),
    }
    let took = begun.elapsed().as_secs_f64();
    let text = format!("a commit takes {}", Signal::Commit.show(took));
    Ok(vec![Reading::value(Signal::Commit, "", took, limit.as_secs_f64(), text)])
}

fn limits() -> Sql {
    sql!("BEGIN; SET LOCAL statement_timeout = '4s'; SET LOCAL lock_timeout = '1s'; ")
}
