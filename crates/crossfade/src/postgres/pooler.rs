//! Is there a pooler between us and the server that gives its connections away between two transactions?
//!
//! Behind one (PgBouncer's transaction mode) what a session sets reaches other clients, and nothing of it is there at the next statement. The lease is safe there: its
//! lock belongs to a transaction that stays open, and so to one connection of the server (reference A4). What runs in one transaction of its own is, too, with its settings
//! made local. What needs a session is refused.

use crossfade_core::step::Action;
use crossfade_core::step::Plan;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;

/// What the sessions that work are set to. None of it may depend on what a role or a database has by default.
pub(crate) const SETTINGS: [(&str, &str); 9] = [
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("row_security", "off"),
    ("standard_conforming_strings", "on"),
    ("check_function_bodies", "on"),
    ("default_transaction_read_only", "off"),
    ("default_transaction_isolation", "read committed"),
    ("jit", "off"),
];

/// Time limits that not every server knows, and that a long run would meet.
const LIMITS: [&str; 2] = ["transaction_timeout", "idle_session_timeout"];

/// Puts a session, or the transaction that is open, in order.
pub(crate) async fn settle(client: &Client, local: bool) -> Result<()> {
    let set = "SELECT pg_catalog.set_config(name, value, $3) FROM unnest($1, $2) AS wanted(name, value)";
    let (names, values): (Vec<&str>, Vec<&str>) = SETTINGS.into_iter().unzip();
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
        [(&names, Type::TEXT_ARRAY), (&values, Type::TEXT_ARRAY), (&local, Type::BOOL)];
    client.query_typed(set, &parameters).await.doing("prepare the session")?;
    let limits = "SELECT pg_catalog.set_config(name, '0', $2) FROM pg_catalog.pg_settings WHERE name = ANY ($1) AND setting <> '0'";
    let names: Vec<&str> = LIMITS.to_vec();
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
        [(&names, Type::TEXT_ARRAY), (&local, Type::BOOL)];
    client.query_typed(limits, &parameters).await.doing("prepare the session")?;
    Ok(())
}

/// Whether two connections of ours, of which none is in a transaction, meet the same backend. With the server itself that can't be; a pooler that shares gives the second
/// the connection that the first has just left.
pub(crate) async fn is_shared(first: &Client, second: &Client) -> Result<bool> {
    let doing = "look whether a pooler is in between";
    for _ in 0..3 {
        let one = backend(first).await.doing(doing)?;
        second.batch_execute("BEGIN").await.doing(doing)?;
        let other = backend(second).await.doing(doing);
        second.batch_execute("ROLLBACK").await.doing(doing)?;
        if one == other? || one != backend(first).await.doing(doing)? {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn backend(client: &Client) -> std::result::Result<i32, tokio_postgres::Error> {
    client.query_typed_one("SELECT pg_catalog.pg_backend_pid()", &[]).await.map(|row| row.get(0))
}

/// Whether a plan needs a session of its own, and what for.
pub(crate) fn needs_a_session(plan: &Plan) -> Option<&'static str> {
    plan.steps.iter().flat_map(|step| std::iter::once(&step.action).chain(&step.undo)).find_map(|action| match action {
        Action::Ddl(ddl) => {
            ddl.statements.iter().any(|statement| statement.rows.is_some()).then_some("COPY … FROM STDIN")
        }
        Action::Concurrently(_) => Some("a statement outside of a transaction"),
        Action::Backfill(_) => Some("filling rows in small transactions"),
        Action::Validate(_) | Action::Verify(_) => Some("a proof of all rows"),
        Action::Assert(_) | Action::Hold { .. } => None,
    })
}

/// Refuses what can't be done behind a pooler.
pub(crate) fn refuse_behind_a_pooler(plan: &Plan) -> Result<()> {
    let Some(what) = needs_a_session(plan) else { return Ok(()) };
    Err(Error::refused(format!(
        "{} can't run through a pooler that shares its connections: {what} needs a session of its own",
        plan.title()
    ))
    .hint("give the server's own address, in MIGRATION_DATABASE_URL or by --database-url; nothing was changed"))
}
