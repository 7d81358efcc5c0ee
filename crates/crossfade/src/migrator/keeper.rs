//! Writes down what hooks were told, beside the run and over a connection of its own. Nothing waits for it but the end of the run, for a moment; what can't be
//! written down is not, and nobody is bothered with that.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use super::Migrator;
use crate::error::Error;
use crate::error::Result;
use crate::hooks::HookEvent;
use crate::hooks::Outcome;
use crate::hooks::trial;
use crate::postgres::lease::APPLICATION;
use crate::report::HooksReport;

/// How long it may take to write some down, the connection included.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long the connection is kept while nothing is told.
const IDLE: Duration = Duration::from_secs(5);

/// So many are kept for a server that is away.
const MOST: usize = 100;

/// Begins. It ends when all senders are gone.
pub(super) fn begin(migrator: &Migrator) -> (UnboundedSender<Outcome>, JoinHandle<()>) {
    let (sender, outcomes) = unbounded_channel();
    (sender, tokio::spawn(keep(migrator.clone(), outcomes)))
}

async fn keep(migrator: Migrator, mut outcomes: UnboundedReceiver<Outcome>) {
    let mut client: Option<Client> = None;
    let mut unwritten = Vec::new();
    loop {
        let next = match tokio::time::timeout(IDLE, outcomes.recv()).await {
            Ok(next) => next,
            Err(_) => {
                client = None;
                outcomes.recv().await
            }
        };
        let is_last = next.is_none();
        unwritten.extend(next);
        while let Ok(outcome) = outcomes.try_recv() {
            unwritten.push(outcome);
        }
        if !unwritten.is_empty() {
            match tokio::time::timeout(PATIENCE, write(&migrator, client.take(), &unwritten)).await {
                Ok(Ok(written)) => {
                    client = Some(written);
                    unwritten.clear();
                }
                Ok(Err(error)) => tracing::debug!(error = error.chain(), "what hooks were told was not written down"),
                Err(_) => tracing::debug!("what hooks were told could not be written down in time"),
            }
            unwritten.drain(..unwritten.len().saturating_sub(MOST));
        }
        if is_last {
            return;
        }
    }
}

async fn write(migrator: &Migrator, client: Option<Client>, outcomes: &[Outcome]) -> Result<Client> {
    let client = match client.filter(|client| !client.is_closed()) {
        Some(client) => client,
        None => migrator.target.connect(APPLICATION).await?,
    };
    migrator.recording_store().write_alerts(&client, outcomes).await?;
    Ok(client)
}

/// A sample to each hook, which is written down: a hook that failed and works again is known to.
pub(super) async fn recorded_trial(migrator: &Migrator, event: Option<HookEvent>) -> Result<HooksReport> {
    let run = migrator.new_run();
    let (report, outcomes) = trial(&migrator.config.hooks, event, &migrator.origin(&run)).await;
    let own = Migrator { run: Some(run), ..migrator.clone() };
    write(&own, None, &outcomes).await.map_err(|error| {
        Error::failed("what came of it could not be written down")
            .hint("the hooks were called; it needs a journal, and INSERT and DELETE on its table `alerts`")
            .caused_by(error)
    })?;
    Ok(report)
}
