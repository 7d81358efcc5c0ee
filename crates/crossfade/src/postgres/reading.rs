//! A transaction that only reads and has limits. Nothing is set for the session: behind a pooler it is shared with others.

use tokio_postgres::Client;

use super::store::finish;
use crate::error::Doing as _;
use crate::error::Result;

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = '4s'; SET LOCAL lock_timeout = '1s'; \
    SET LOCAL idle_in_transaction_session_timeout = '10s'; SET LOCAL jit = off";

/// Runs what only reads in one snapshot, with limits.
pub(crate) async fn reading<T>(client: &Client, work: impl AsyncFnOnce() -> Result<T>) -> Result<T> {
    let doing = "open a transaction that only reads";
    client.batch_execute(BEGIN).await.doing(doing)?;
    let read = work().await;
    finish(client, read, "end a transaction that only reads").await
}
