//! Keeps the other tool away while its history is taken over: its own lock, and a lock on its table.

use crossfade_core::sql;
use crossfade_core::sql::Number;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::recognise::Found;
use super::rooms::Place;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;

/// Holds both until the transaction that is open ends. Refuses where the tool is at work.
pub(super) async fn hold(client: &Client, found: &Found) -> Result<()> {
    let at_work = || {
        Error::refused(format!("{} is at work on this database: it holds its lock", found.tool))
            .hint("wait until it is done, and try again")
    };
    let row =
        client.query_typed_one("SELECT current_database()::text", &[]).await.doing("look which database this is")?;
    let database: String = row.get(0);
    for key in found.tool.room().locks(Place { database: &database, table: &found.table }) {
        let ask = sql!("SELECT pg_catalog.pg_try_advisory_xact_lock({})", Number(key));
        let got = client.query_typed_one(ask.as_str(), &[]).await.doing("ask for the other tool's lock")?;
        if !got.get::<_, bool>(0) {
            return Err(at_work());
        }
    }
    let lock = sql!("SET LOCAL lock_timeout = '5s'; LOCK TABLE {} IN SHARE MODE", found.table);
    client.batch_execute(lock.as_str()).await.map_err(|error| match error.code() {
        Some(code) if *code == SqlState::LOCK_NOT_AVAILABLE => at_work().caused_by(error),
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
            Error::failed(format!("could not lock {}, so that nothing is written to it meanwhile", found.table))
                .hint("adopt with the role that runs the other tool, or grant UPDATE on that table")
                .caused_by(error)
        }
        Some(_) | None => Error::failed(format!("could not lock {}", found.table)).caused_by(error),
    })
}
