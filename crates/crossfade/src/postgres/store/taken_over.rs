//! Migrations that something else has run: another tool, or whoever made the database before there was a history.

use crossfade_core::journal::Event;
use crossfade_core::journal::fold;
use crossfade_core::journal::state_of;
use crossfade_core::sql;
use crossfade_core::step::Plan;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;
use tokio_postgres::types::Type;

use super::Store;
use super::events;
use super::events::event_json;
use super::lease_lost;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;

/// A migration that stands in the database already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TakenOver {
    /// As the file name has it, or as the other tool has it where there is no file.
    pub version: String,
    pub name: String,
    /// [`crossfade_core::migration::checksum`] of the file's text.
    pub checksum: String,
    /// The checksum of the file's bytes as the other tool has it: `TOOL-ALGORITHM:value`.
    pub raw_checksum: Option<String>,
    /// The other tool, or `baseline`.
    pub origin: String,
    /// When it was applied, in a form that PostgreSQL reads as `timestamptz`; none where nobody knows.
    pub applied_at: Option<String>,
    pub up_sql: Option<String>,
    pub down_sql: Option<String>,
    /// Why its file may be missing; none: it may not.
    pub missing_because: Option<String>,
}

impl Store {
    /// Writes migrations down as applied, without running anything, in the transaction that is open. Fails when the lease is lost, and where
    /// one of them stands in the tracking table already and is not rolled back. The versions differ from each other.
    pub async fn take_over(&self, client: &Client, epoch: i64, taken: &[TakenOver]) -> Result<()> {
        let doing = "write down what is applied already";
        self.count_writes(taken.len())?;
        let mut plans = Vec::with_capacity(taken.len());
        let mut told = Vec::with_capacity(taken.len());
        for one in taken {
            let plan = Plan::of_nothing(&one.version, &one.name, &one.checksum);
            let event = Event::TakenOver { origin: one.origin.clone() };
            let progress = fold(&plan, [&event])
                .map_err(|error| Error::failed("an event does not fit the journal").caused_by(error))?;
            let json = serde_json::to_string(&plan)
                .map_err(|error| Error::failed("could not write the plan down").caused_by(error))?;
            plans.push((json, state_of(&plan, &progress).name()));
            told.push(event_json(&event)?);
        }
        let column = |of: fn(&TakenOver) -> &str| taken.iter().map(of).collect::<Vec<_>>();
        let maybe = |of: fn(&TakenOver) -> Option<&str>| taken.iter().map(of).collect::<Vec<_>>();
        let statement = sql!(
            "WITH given AS (\
               SELECT * FROM unnest($8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], \
                 $16::text[], $17::text[], $18::text[], $19::text[]) \
               WITH ORDINALITY AS g (version, name, checksum, state, plan, told, origin, raw_checksum, applied_at, up_sql, down_sql, missing_because, position)\
             ), holder AS (\
               SELECT epoch FROM {}.lease WHERE id = 1 AND epoch = $20 FOR SHARE\
             ), stored AS (\
               INSERT INTO {}.plans (version, kind, plan, up_sql, down_sql) \
               SELECT version, 'up', plan::json, coalesce(up_sql, ''), down_sql FROM given, holder ORDER BY position RETURNING id, version\
             ), tracked AS (\
               INSERT INTO {}.schema_migrations AS m (version, name, checksum, state, plan_id, applied_at, host, tool_version, git_commit, origin, \
                 raw_checksum, missing_because) \
               SELECT g.version, g.name, g.checksum, g.state, s.id, g.applied_at::timestamptz, $2, $3, $5, g.origin, g.raw_checksum, g.missing_because \
               FROM given AS g JOIN stored AS s USING (version) \
               ON CONFLICT (version) DO UPDATE SET name = excluded.name, checksum = excluded.checksum, state = excluded.state, \
                 plan_id = excluded.plan_id, applied_at = excluded.applied_at, contracted_at = NULL, duration_ms = 0, applied_by = session_user, \
                 host = excluded.host, tool_version = excluded.tool_version, git_commit = excluded.git_commit, origin = excluded.origin, \
                 raw_checksum = excluded.raw_checksum, missing_because = excluded.missing_because \
               WHERE m.state = 'rolled_back' RETURNING version\
             ), told AS (\
               INSERT INTO {}.events ({}, plan_id, event, epoch) \
               SELECT {}, s.id, g.told::jsonb, h.epoch FROM given AS g JOIN stored AS s USING (version) CROSS JOIN holder AS h \
               ORDER BY g.position\
             ) SELECT (SELECT count(*) FROM stored), (SELECT count(*) FROM tracked)",
            self.schema,
            self.schema,
            self.schema,
            self.schema,
            events::columns(),
            events::values()
        );
        let columns: [Vec<&str>; 4] = [
            column(|one| &one.version),
            column(|one| &one.name),
            column(|one| &one.checksum),
            plans.iter().map(|(_, state)| *state).collect(),
        ];
        let plans: Vec<&str> = plans.iter().map(|(plan, _)| plan.as_str()).collect();
        let origins = column(|one| &one.origin);
        let optional = [
            maybe(|one| one.raw_checksum.as_deref()),
            maybe(|one| one.applied_at.as_deref()),
            maybe(|one| one.up_sql.as_deref()),
            maybe(|one| one.down_sql.as_deref()),
            maybe(|one| one.missing_because.as_deref()),
        ];
        let mut params: Vec<(&(dyn ToSql + Sync), Type)> = self.run.params().to_vec();
        params.extend(columns.iter().map(|values| (values as &(dyn ToSql + Sync), Type::TEXT_ARRAY)));
        params.push((&plans, Type::TEXT_ARRAY));
        params.push((&told, Type::TEXT_ARRAY));
        params.push((&origins, Type::TEXT_ARRAY));
        params.extend(optional.iter().map(|values| (values as &(dyn ToSql + Sync), Type::TEXT_ARRAY)));
        params.push((&epoch, Type::INT8));
        let row = client.query_typed_one(statement.as_str(), &params).await.doing(doing)?;
        let (stored, tracked): (i64, i64) = (row.get(0), row.get(1));
        if stored != taken.len() as i64 {
            return Err(lease_lost());
        }
        if tracked != stored {
            return Err(Error::refused(format!(
                "{} of {stored} migrations stand in the tracking table already",
                stored - tracked
            ))
            .hint("`crossfade status` shows them"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crossfade_core::journal::State;
    use crossfade_core::migration::checksum;
    use crossfade_core::sql::Ident;
    use tokio_postgres::NoTls;

    use super::*;
    use crate::audit::Audit;
    use crate::error::ErrorKind;
    use crate::postgres::store::Run;
    use crate::scratch::ScratchOptions;
    use crate::scratch::ScratchServer;
    use crate::scratch::find_binaries;

    fn taken(version: &str, text: &str) -> TakenOver {
        TakenOver {
            version: version.to_owned(),
            name: format!("m{version}"),
            checksum: checksum(text),
            raw_checksum: Some("flyway-crc32:42".to_owned()),
            origin: "flyway".to_owned(),
            applied_at: Some("2026-01-31T13:00:00+01:00".to_owned()),
            up_sql: Some(text.to_owned()),
            down_sql: None,
            missing_because: None,
        }
    }

    async fn journal(server: &ScratchServer) -> (Store, Client) {
        let (client, connection) = tokio_postgres::connect(&server.url("postgres"), NoTls).await.unwrap();
        tokio::spawn(connection);
        let audit = Audit { actor: Some("alice".to_owned()), git_dirty: Some(true), ..Audit::default() };
        let store = Store { run: Run::new(audit), ..Store::new(&Ident::new("crossfade")) };
        store.ensure(&client).await.unwrap();
        client.batch_execute("INSERT INTO crossfade.lease VALUES (1, 7, 'h', 1, now())").await.unwrap();
        (store, client)
    }

    async fn value(client: &Client, query: &str) -> String {
        client.query_one(&format!("SELECT ({query})::text"), &[]).await.unwrap().get(0)
    }

    #[tokio::test]
    async fn what_something_else_has_run_stands_as_applied() {
        let server = ScratchServer::start(ScratchOptions::new(find_binaries(None).unwrap())).unwrap();
        let (store, client) = journal(&server).await;
        let many: Vec<TakenOver> = (1..=5000).map(|n| taken(&format!("{n:04}"), &format!("SELECT {n}"))).collect();
        store.take_over(&client, 7, &many).await.unwrap();
        let rows = store.rows(&client).await.unwrap();
        assert_eq!((rows.len(), rows[41].version.as_str(), rows[41].name.as_str()), (5000, "0042", "m0042"));
        assert!(rows.iter().all(|row| row.state == State::Applied && row.origin == "flyway"));
        assert_eq!(rows[41].applied_at.as_deref(), Some("2026-01-31T12:00:00Z"));
        let raw = "SELECT raw_checksum FROM crossfade.schema_migrations WHERE version = '0042'";
        assert_eq!(value(&client, raw).await, "flyway-crc32:42");
        assert_eq!(rows[41].checksum, checksum("SELECT 42"));
        let stored = store.load(&client, rows[41].plan_id).await.unwrap();
        assert_eq!((stored.up_sql.as_str(), stored.plan.version.as_str()), ("SELECT 42", "0042"));
        assert_eq!(stored.events, [Event::TakenOver { origin: "flyway".to_owned() }]);
        let said =
            "SELECT string_agg(DISTINCT concat_ws(' ', actor, git_dirty, db_user, epoch), '; ') FROM crossfade.events";
        assert_eq!(value(&client, said).await, "alice t postgres 7");
        let runs = "SELECT count(DISTINCT run_id) FROM crossfade.events WHERE run_id IS NOT NULL";
        assert_eq!(value(&client, runs).await, "1");
    }

    #[tokio::test]
    async fn what_stands_there_is_not_taken_over_again() {
        let server = ScratchServer::start(ScratchOptions::new(find_binaries(None).unwrap())).unwrap();
        let (store, client) = journal(&server).await;
        store.take_over(&client, 7, &[]).await.unwrap();
        store.take_over(&client, 7, &[taken("001", "a")]).await.unwrap();
        client.batch_execute("BEGIN").await.unwrap();
        let error = store.take_over(&client, 7, &[taken("001", "a"), taken("002", "b")]).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().contains("1 of 2 migrations")),
            (ErrorKind::Refused, true),
            "{error}"
        );
        client.batch_execute("ROLLBACK; UPDATE crossfade.schema_migrations SET state = 'rolled_back'").await.unwrap();
        store.take_over(&client, 7, &[taken("001", "new"), taken("002", "b")]).await.unwrap();
        let rows = store.rows(&client).await.unwrap();
        assert_eq!((rows.len(), rows[0].state, rows[0].checksum.clone()), (2, State::Applied, checksum("new")));
        let error = store.take_over(&client, 6, &[taken("003", "c")]).await.unwrap_err();
        assert!(error.to_string().contains("took the lease over"), "{error}");
        assert_eq!(store.rows(&client).await.unwrap().len(), 2);
    }
}
