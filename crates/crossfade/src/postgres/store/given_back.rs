//! What was taken over from another tool is that tool's again.

use crossfade_core::journal::Event;
use crossfade_core::sql;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::Store;
use crate::error::Doing as _;
use crate::error::Result;

impl Store {
    /// Forgets these versions in the transaction that is open: the tracking table has them no more, and the journal says so. Fails when the lease is
    /// lost.
    pub async fn give_back(&self, client: &Client, epoch: i64, versions: &[String]) -> Result<()> {
        let doing = "forget what was taken over";
        self.count_writes(versions.len())?;
        let forget = sql!("DELETE FROM {}.schema_migrations WHERE version = ANY ($1) RETURNING plan_id", self.schema);
        let plans = client.query_typed(forget.as_str(), &[(&versions, Type::TEXT_ARRAY)]).await.doing(doing)?;
        for plan in plans {
            self.insert_event(client, epoch, plan.get(0), &Event::GivenBack).await?;
        }
        Ok(())
    }
}
