//! Filling around rows that the server refuses: they are set aside, and the others of their chunk are filled.

use std::time::Duration;
use std::time::Instant;

use crossfade_core::backfill::Chunk;
use crossfade_core::sql::TableName;
use crossfade_core::step::Backfill;
use crossfade_core::step::PlanKind;
use crossfade_core::step::Step;
use tokio_postgres::types::Type;

use super::Bound;
use super::Fill;
use super::Worker;
use super::bad_rows::is_about_data;
use super::fill::TRIES;
use super::fill::pause_before;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;
use crate::executor::Executor;
use crate::executor::ddl::is_lock_failure;
use crate::postgres::parked::ParkedRow;
use crate::postgres::store::finish;
use crate::throttle::Gate;

/// Pieces are small: it rests and looks at the throttle after so much work on them.
const WORK: Duration = Duration::from_millis(100);

impl Worker<'_> {
    /// Fills a chunk by halves and halves of halves, each in a transaction of its own, and sets those rows aside on which a piece of one row
    /// fails. All of it may be done twice: the cursor moves when it is through.
    pub(super) async fn fill_around(&self, fill: &Fill<'_>, gate: &Gate, chunk: Chunk) -> Result<u64> {
        let mut pieces = vec![chunk];
        let mut changed = 0;
        let mut begun = Instant::now();
        while let Some(piece) = pieces.pop() {
            let took = begun.elapsed();
            if took >= WORK {
                self.stop.sleep(gate.rest(took)).await;
                gate.pass(self.stop, self.lease).await?;
                begun = Instant::now();
            }
            self.check_stop()?;
            match self.fill_piece(fill, piece).await {
                Ok(Some(rows)) => changed += rows,
                Ok(None) => pieces.extend(piece.halves().into_iter().flat_map(|(first, second)| [second, first])),
                Err(error) if is_about_data(&error) => match piece.halves() {
                    Some((first, second)) => pieces.extend([second, first]),
                    None => self.set_aside(fill, piece).await?,
                },
                Err(error) => return Err(error),
            }
        }
        Ok(changed)
    }

    /// Changes the rows of a piece. None where it has more than a chunk may have; it is rolled back then.
    async fn fill_piece(&self, fill: &Fill<'_>, piece: Chunk) -> Result<Option<u64>> {
        let mut tries = 0;
        loop {
            let work = async {
                self.begin_chunk(fill).await?;
                self.change(fill, &Bound::blocks(piece, fill.unit.bounds)).await
            };
            let result = work.await;
            if let (Ok(changed), Some(most)) = (&result, fill.most_rows)
                && changed.rows > most
            {
                self.client.batch_execute("ROLLBACK").await.doing("take a chunk back")?;
                return Ok(None);
            }
            match finish(self.client, result, "commit a chunk").await {
                Err(error) if is_lock_failure(&error, true) && tries < TRIES => {
                    tries += 1;
                    self.check_stop()?;
                    self.stop.sleep(pause_before(tries)).await;
                }
                result => return result.map(|changed| Some(changed.rows)),
            }
        }
    }

    /// Sets one row aside. Where another row has taken its place meanwhile, that is left for the next sweep.
    async fn set_aside(&self, fill: &Fill<'_>, piece: Chunk) -> Result<()> {
        let client = self.client;
        let work = async {
            self.begin_chunk(fill).await?;
            let before = self.key_at(fill, piece).await?;
            client.batch_execute("SAVEPOINT one_row").await.doing("try a row")?;
            let refused = match self.change(fill, &Bound::blocks(piece, fill.unit.bounds)).await {
                Ok(_) => return Ok(()),
                Err(error) if is_about_data(&error) => error,
                Err(error) => return Err(error),
            };
            client.batch_execute("ROLLBACK TO SAVEPOINT one_row").await.doing("try a row")?;
            let after = self.key_at(fill, piece).await?;
            let Some(key) = after.filter(|after| before.as_ref() == Some(after)) else { return Ok(()) };
            let row = ParkedRow { relation: &fill.unit.relation, key: &key, error: &refused.server_message() };
            self.store.park(client, self.lease.epoch, self.plan.id, fill.step.id, &row).await
        };
        finish(client, work.await, "set a row aside").await
    }

    /// The key of the row in a piece of one row.
    async fn key_at(&self, fill: &Fill<'_>, piece: Chunk) -> Result<Option<String>> {
        let tid = piece.place();
        let row = self.client.query_typed_opt(fill.unit.locate.as_str(), &[(&tid, Type::TEXT)]).await;
        Ok(row.doing("look for the key of a row")?.and_then(|row| row.get(0)))
    }
}

impl Executor<'_> {
    /// Nothing comes after a fill as long as it has set rows aside.
    pub(super) async fn nothing_is_parked(&self, step: &Step, backfill: &Backfill) -> Result<()> {
        if !backfill.park {
            return Ok(());
        }
        let parked = self.store.parked(&self.client, self.stored.id, step.id).await?;
        if parked.rows == 0 {
            return Ok(());
        }
        // The next run begins a sweep.
        self.store.clear_cursors(&self.client, self.lease.epoch, self.stored.id, step.id).await?;
        let (plan, table) = (&self.stored.plan, TableName { schema: self.store.schema.clone(), name: "parked".into() });
        let which = match parked.rows {
            1 => "1 row is parked".to_owned(),
            rows => format!("{rows} rows are parked"),
        };
        let other = match plan.kind {
            PlanKind::Up | PlanKind::Down => "; for another expression `crossfade rollback` first",
            PlanKind::Backfill => "",
        };
        Err(Error::failed(format!("{which} of {}, and all others are filled; the first: {}", backfill.table, parked.first.join(" | ")))
            .hint(format!(
                "`SELECT * FROM {table}` lists them. Mend them, then `{}` again: it looks at them anew, and goes on when none is left{other}",
                plan.command()
            )))
    }
}
