//! Short transactions under strong locks, and long ones under weak locks. The journal's record is in the transaction of the effect.

use std::time::Duration;
use std::time::Instant;

use crossfade_core::finding::Finding;
use crossfade_core::lock::LockMode;
use crossfade_core::lock::TableLock;
use crossfade_core::sql;
use crossfade_core::sql::Literal;
use crossfade_core::sql::Span;
use crossfade_core::sql::Sql;
use crossfade_core::step::Ddl;
use crossfade_core::step::GUARD_STATE;
use crossfade_core::step::Statement;
use crossfade_core::step::Step;
use crossfade_core::step::Validate;
use futures_util::SinkExt as _;
use tokio_postgres::Client;
use tokio_postgres::error::ErrorPosition;

use super::Done;
use super::Executor;
use super::connect_worker;
use super::locks::Blocker;
use super::locks::blockers;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::FileFindings;
use crate::error::Result;
use crate::observer::Notice;
use crate::postgres::pooler;

/// A holder whose transaction is younger than this will be gone when we ask; it is not worth a word.
const YOUNG: Duration = Duration::from_millis(300);

/// After so many looks at a way that is never free we ask all the same: the request is short, and somebody is always there.
const LOOKS_BEFORE_ASKING: u32 = 5;

/// So many bytes of a COPY's rows go to the server in one message.
const COPY_PART: usize = 64 << 10;

/// What a transaction of ours under a strong lock may take: it only changes the catalog.
pub(crate) const CATALOG_ONLY: Duration = Duration::from_secs(5);

/// What is in the way, and how often we tried.
struct Attempts {
    begun: Instant,
    looks: u32,
    tries: u32,
    last: Vec<String>,
}

impl Executor<'_> {
    /// Runs statements in one transaction, with the locks taken first, in order, after a look at who holds them.
    pub(super) async fn ddl(&mut self, step: &Step, ddl: &Ddl, begun: Instant, undo: bool) -> Result<Done> {
        // The user's own statements get a session of their own: what they SET stays with them.
        let own = if ddl.as_written {
            Some(connect_worker(self.target, &self.store.schema, self.lease).await?)
        } else {
            None
        };
        let budget = if ddl.as_written { None } else { Some(CATALOG_ONLY) };
        let locks = ddl.lock_first.clone();
        let mut attempts = Attempts { begun: Instant::now(), looks: 0, tries: 0, last: Vec::new() };
        loop {
            let timeout = self.wait_for_the_way(step, &locks, &mut attempts).await?;
            let client = own.as_ref().unwrap_or(&self.client);
            let events = self.done_events(step, begun, undo);
            let result = self.transaction(client, &locks, &ddl.statements, timeout, budget, &events, begun).await;
            match result {
                Ok(()) => {
                    self.stored.events.extend(events);
                    return Ok(Done::Recorded);
                }
                Err(error) if is_lock_failure(&error, budget.is_some()) => {
                    self.back_off(step, &mut attempts, &error).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Runs one statement that may take long under a weak lock.
    pub(super) async fn validate(
        &mut self,
        step: &Step,
        validate: &Validate,
        begun: Instant,
        undo: bool,
    ) -> Result<Done> {
        let mut attempts = Attempts { begun: Instant::now(), looks: 0, tries: 0, last: Vec::new() };
        let statements = [Statement::from(validate.sql.clone())];
        loop {
            let events = self.done_events(step, begun, undo);
            // A waiter for SHARE UPDATE EXCLUSIVE blocks no reader and no writer; an autovacuum needs more than deadlock_timeout to yield.
            let timeout = Duration::from_secs(5);
            match self.transaction(&self.client, &[], &statements, timeout, None, &events, begun).await {
                Ok(()) => {
                    self.stored.events.extend(events);
                    return Ok(Done::Recorded);
                }
                Err(error) if is_lock_failure(&error, false) => self.back_off(step, &mut attempts, &error).await?,
                Err(error) => return Err(error.hint(validate.help.clone())),
            }
        }
    }

    /// Waits until nobody holds what we need for long, and says how long to ask for it.
    async fn wait_for_the_way(
        &mut self,
        step: &Step,
        locks: &[TableLock],
        attempts: &mut Attempts,
    ) -> Result<Duration> {
        let strong: Vec<TableLock> = locks.iter().filter(|lock| lock.mode > LockMode::RowExclusive).cloned().collect();
        loop {
            let all = blockers(&self.client, &strong).await?;
            let timeout = self.config.locks.timeout;
            let (vacuums, others): (Vec<Blocker>, Vec<Blocker>) =
                all.into_iter().partition(|blocker| blocker.yielding_vacuum);
            let old: Vec<String> =
                others.iter().filter(|blocker| blocker.age > YOUNG).map(|blocker| blocker.text.clone()).collect();
            attempts.last = others.iter().map(|blocker| blocker.text.clone()).collect();
            if old.is_empty() {
                if vacuums.is_empty() {
                    return Ok(timeout);
                }
                // Shorter than deadlock_timeout, and an autovacuum is never asked to yield.
                return Ok(timeout.max(Duration::from_millis(1300)));
            }
            attempts.looks += 1;
            if attempts.looks.is_multiple_of(LOOKS_BEFORE_ASKING) {
                return Ok(timeout);
            }
            self.say_blocked(step, attempts, old).await?;
        }
    }

    async fn back_off(&mut self, step: &Step, attempts: &mut Attempts, error: &Error) -> Result<()> {
        attempts.tries += 1;
        let strong: Vec<TableLock> =
            step.locks.iter().filter(|lock| lock.mode > LockMode::RowExclusive).cloned().collect();
        let now = blockers(&self.client, &strong).await?;
        if !now.is_empty() {
            attempts.last = now.into_iter().map(|blocker| blocker.text).collect();
        }
        tracing::debug!(error = %error.chain(), "a lock was not to be had");
        let last = attempts.last.clone();
        self.say_blocked(step, attempts, last).await
    }

    /// Reports who is in the way, checks the budget, and rests: longer each time, and never at the same moment as another.
    async fn say_blocked(&mut self, step: &Step, attempts: &Attempts, blockers: Vec<String>) -> Result<()> {
        let turn = attempts.looks + attempts.tries;
        if attempts.begun.elapsed() > self.config.locks.budget {
            let who = if blockers.is_empty() { "nobody who can be named".to_owned() } else { blockers.join("; ") };
            return Err(Error::failed(format!("could not lock what \"{}\" needs in {} tries", step.summary, turn))
                .hint(format!(
                    "in the way: {who}. This step changed nothing; when that is gone, run the command again"
                )));
        }
        if self.stop.is_requested() {
            return Err(Error::failed("stopped while waiting for a lock; this step changed nothing")
                .hint("run the command again to go on"));
        }
        self.observer.notice(Notice::Blocked { summary: step.summary.clone(), attempt: turn, blockers });
        let most = 0.1 * f64::from(1_u32 << turn.min(5));
        let rest = rand::random_range(0.05..most.clamp(0.1, 2.0));
        self.stop.sleep(Duration::from_secs_f64(rest)).await;
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one transaction, each once")]
    async fn transaction(
        &self,
        client: &Client,
        locks: &[TableLock],
        statements: &[Statement],
        lock_timeout: Duration,
        statement_timeout: Option<Duration>,
        events: &[crossfade_core::journal::Event],
        begun: Instant,
    ) -> Result<()> {
        let work = async {
            let start = sql!(
                "{}SET LOCAL lock_timeout = {}; SET LOCAL statement_timeout = {}",
                if self.lease.shared { Sql::empty() } else { sql!("BEGIN; ") },
                Literal(format!("{}ms", lock_timeout.as_millis().max(1))),
                Literal(format!("{}ms", statement_timeout.map_or(0, |timeout| timeout.as_millis())))
            );
            if self.lease.shared {
                client.batch_execute("BEGIN").await.doing("begin")?;
                pooler::settle(client, true).await?;
            }
            client.batch_execute(start.as_str()).await.doing("begin")?;
            for lock in locks {
                // The mode's name is one of eight fixed texts.
                let mode = crossfade_core::sql::ServerText::from_server(lock.mode.sql_name());
                let lock_table = if lock.only {
                    sql!("LOCK TABLE ONLY {} IN {} MODE", lock.table, mode)
                } else {
                    sql!("LOCK TABLE {} IN {} MODE", lock.table, mode)
                };
                client.batch_execute(lock_table.as_str()).await.doing(&format!("lock {}", lock.table))?;
            }
            for statement in statements {
                if let Err(error) = run(client, statement).await {
                    return Err(self.statement_error(statement, error));
                }
            }
            // What the user's statements set must not reach the journal.
            client
                .batch_execute("RESET SESSION AUTHORIZATION; RESET ROLE; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
                .await
                .doing("write the journal")?;
            if self.lease.shared {
                // Nor the next client of the pooler.
                client.batch_execute("RESET ALL").await.doing("reset the session")?;
                pooler::settle(client, true).await?;
            }
            self.append_on(client, events, begun.elapsed()).await?;
            client.batch_execute("COMMIT").await.doing("commit")
        };
        let result: Result<()> = work.await;
        if result.is_err() {
            let _ = client.batch_execute("ROLLBACK").await;
        }
        result
    }

    /// Points a server's error at its place in the migration's file.
    fn statement_error(&self, statement: &Statement, error: tokio_postgres::Error) -> Error {
        if let Some(wrong) = error.as_db_error().filter(|db| db.code().code() == GUARD_STATE) {
            return Error::refused(wrong.message().to_owned()).hint(wrong.hint().unwrap_or_default().to_owned());
        }
        let (Some(at), Some(db)) = (statement.at, error.as_db_error()) else {
            let first = statement.sql.as_str().split_whitespace().take(12).collect::<Vec<_>>().join(" ");
            return Error::failed(format!("could not run `{first} …`")).caused_by(error);
        };
        let text = &self.stored.up_sql;
        let mut span = at;
        // A part of a statement, or one that was added to, has its own text, and the server's place is one in that.
        let as_it_stands = statement.sql.as_str().starts_with(at.of(text));
        if let (true, Some(ErrorPosition::Original(position))) = (as_it_stands, db.position()) {
            let offset =
                at.of(text).char_indices().nth((*position as usize).saturating_sub(1)).map_or(0, |(offset, _)| offset);
            let start = at.start + offset;
            let rest = text.get(start..at.end).unwrap_or_default();
            let word = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len()).max(1);
            span = Span::new(start, (start + word).min(at.end));
        } else {
            span.end = span.start + at.of(text).lines().next().map_or(0, str::len);
        }
        // Which of its rows it was stands in the context.
        let row = db.where_().filter(|_| statement.rows.is_some()).map(|context| format!(" ({context})"));
        let message = format!("{}{}", db.message(), row.unwrap_or_default());
        let mut finding = Finding::error("server", span, message);
        finding.help = db.hint().or(db.detail()).map(str::to_owned);
        let findings = FileFindings { path: self.path.clone(), text: text.clone(), findings: vec![finding] };
        Error::failed(format!("migration {} failed; its transaction left nothing behind", self.stored.plan.version))
            .with_findings(vec![findings])
            .caused_by(error)
    }
}

async fn run(client: &Client, statement: &Statement) -> std::result::Result<(), tokio_postgres::Error> {
    let Some(rows) = &statement.rows else { return client.batch_execute(statement.sql.as_str()).await };
    let sink = client.copy_in(statement.sql.as_str()).await?;
    let mut sink = std::pin::pin!(sink);
    for part in rows.as_bytes().chunks(COPY_PART) {
        sink.send(std::io::Cursor::new(part.to_vec())).await?;
    }
    sink.finish().await?;
    Ok(())
}

/// Lock timeout, deadlock, serialisation failure, and a statement timeout where it was ours: nothing was done, and it may be tried again.
pub(super) fn is_lock_failure(error: &Error, own_statement_timeout: bool) -> bool {
    error.sql_state().is_some_and(|state| match state.as_str() {
        "55P03" | "40P01" | "40001" => true,
        "57014" => own_statement_timeout,
        _ => false,
    })
}
