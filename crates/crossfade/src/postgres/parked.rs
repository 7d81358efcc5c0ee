//! Rows that were set aside: the new value could not be computed, and the fill went on around them.

use crossfade_core::sql;
use crossfade_core::sql::TableName;
use crossfade_core::step::StepId;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::store::Store;
use super::store::lease_lost;
use crate::error::Doing as _;
use crate::error::Result;

/// A row that is set aside.
#[derive(Clone, Debug)]
pub(crate) struct ParkedRow<'a> {
    pub relation: &'a TableName,
    /// What names it to people.
    pub key: &'a str,
    /// What the server said.
    pub error: &'a str,
}

/// What a step has set aside.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parked {
    pub rows: u64,
    /// The first few, each with what the server said.
    pub first: Vec<String>,
}

impl Store {
    /// Makes the table here where it is not there yet.
    pub(super) async fn ensure_parked(&self, client: &Client) -> Result<()> {
        if self.has_parked(client).await? {
            return Ok(());
        }
        let make = sql!(
            "CREATE TABLE IF NOT EXISTS {}.parked (plan_id bigint NOT NULL REFERENCES {}.plans, step int NOT NULL, relation text NOT NULL, key text NOT NULL, \
             error text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (plan_id, step, relation, key))",
            self.schema,
            self.schema
        );
        client.batch_execute(make.as_str()).await.doing("make the table of rows that are set aside")
    }

    async fn has_parked(&self, client: &Client) -> Result<bool> {
        let name = sql!("{}.parked", self.schema);
        let there = "SELECT pg_catalog.to_regclass($1) IS NOT NULL";
        let row = client.query_typed_one(there, &[(&name.as_str(), Type::TEXT)]).await;
        Ok(row.doing("look for the journal")?.get(0))
    }

    /// Sets a row aside, in the transaction that is open or in one of its own. Twice is once. Fails when the lease is lost.
    pub async fn park(
        &self,
        client: &Client,
        epoch: i64,
        plan_id: i64,
        step: StepId,
        row: &ParkedRow<'_>,
    ) -> Result<()> {
        self.count_writes(1)?;
        let insert = sql!(
            "INSERT INTO {}.parked AS p (plan_id, step, relation, key, error) SELECT $1, $2, $3, $4, $5 \
             FROM (SELECT epoch FROM {}.lease WHERE id = 1 AND epoch = $6 FOR SHARE) AS l \
             ON CONFLICT (plan_id, step, relation, key) DO UPDATE SET error = excluded.error, at = clock_timestamp()",
            self.schema,
            self.schema
        );
        let relation = row.relation.to_string();
        let written = client
            .execute_typed(
                insert.as_str(),
                &[
                    (&plan_id, Type::INT8),
                    (&i32::from(step.0), Type::INT4),
                    (&relation, Type::TEXT),
                    (&row.key, Type::TEXT),
                    (&row.error, Type::TEXT),
                    (&epoch, Type::INT8),
                ],
            )
            .await
            .doing("set a row aside")?;
        if written == 1 { Ok(()) } else { Err(lease_lost()) }
    }

    /// What a step has set aside.
    pub async fn parked(&self, client: &Client, plan_id: i64, step: StepId) -> Result<Parked> {
        let query = sql!(
            "SELECT count(*), (array_agg(relation || ' ' || key || ': ' || error ORDER BY at, relation, key))[1:3] FROM {}.parked WHERE plan_id = $1 AND step = $2",
            self.schema
        );
        let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
            [(&plan_id, Type::INT8), (&i32::from(step.0), Type::INT4)];
        let row = client.query_typed_one(query.as_str(), &params).await.doing("count the rows that are set aside")?;
        let first: Option<Vec<String>> = row.get(1);
        Ok(Parked { rows: row.get::<_, i64>(0) as u64, first: first.unwrap_or_default() })
    }

    /// How many rows of a plan are set aside. A journal of an earlier version has none.
    pub async fn parked_rows(&self, client: &Client, plan_id: i64) -> Result<u64> {
        if !self.has_parked(client).await? {
            return Ok(0);
        }
        let query = sql!("SELECT count(*) FROM {}.parked WHERE plan_id = $1", self.schema);
        let row = client.query_typed_one(query.as_str(), &[(&plan_id, Type::INT8)]).await;
        Ok(row.doing("count the rows that are set aside")?.get::<_, i64>(0) as u64)
    }

    /// Forgets what a step, or the whole plan, has set aside: it is looked at again, or the plan is given up.
    pub async fn forget_parked(&self, client: &Client, epoch: i64, plan_id: i64, step: Option<StepId>) -> Result<()> {
        let delete = sql!(
            "DELETE FROM {}.parked WHERE plan_id = $1 AND ($3::int4 IS NULL OR step = $3) AND EXISTS (SELECT FROM {}.lease WHERE id = 1 AND epoch = $2)",
            self.schema,
            self.schema
        );
        let step = step.map(|step| i32::from(step.0));
        let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
            [(&plan_id, Type::INT8), (&epoch, Type::INT8), (&step, Type::INT4)];
        client.execute_typed(delete.as_str(), &params).await.doing("forget the rows that are set aside")?;
        Ok(())
    }
}
