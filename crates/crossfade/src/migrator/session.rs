//! One command at work: the lease, a connection, and the migrations one after the other.

use std::collections::BTreeMap;
mod mend;
mod quick;

use std::path::PathBuf;
use std::time::Duration;

use crossfade_core::finding::Severity;
use crossfade_core::journal::Direction;
use crossfade_core::journal::Progress;
use crossfade_core::journal::Request;
use crossfade_core::journal::State;
use crossfade_core::journal::StepStatus;
use crossfade_core::journal::fold;
use crossfade_core::migration::checksum;
use crossfade_core::plan::MadeInRun;
use crossfade_core::plan::PlannedBackfill;
use crossfade_core::plan::Policy;
use crossfade_core::sql::same_code;
use crossfade_core::step::Action;
use crossfade_core::step::Outcome;
use crossfade_core::step::Phase;
use crossfade_core::step::Plan;
use crossfade_core::step::Verify;
use tokio_postgres::Client;

use super::Migrator;
use super::history;
use super::places::Places;
use super::planning;
use super::shared::run_migration;
use super::shared::same_version;
use super::squashed;
use super::tolerance;
use super::way_back::WayBack;
use super::way_back::WayDown;
use crate::config::OutOfOrder;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::error::Result;
use crate::executor::Compared;
use crate::executor::Executor;
use crate::executor::connect_worker;
use crate::observer::Notice;
use crate::observer::Observer;
use crate::postgres::lease::Lease;
use crate::postgres::pooler;
use crate::postgres::store::PlanFiles;
use crate::postgres::store::RecordDone;
use crate::postgres::store::Store;
use crate::postgres::store::StoredPlan;
use crate::postgres::store::StoredTexts;
use crate::postgres::store::TakenOver;
use crate::postgres::store::TrackedRow;
use crate::postgres::store::finish;
use crate::report::RunMigration;
use crate::source::SourceFile;
use crate::stop::Stop;
use crate::throttle::Gate;
use quick::Known;

/// How often a lost connection is made anew before the command gives up, and how long apart.
const RECONNECTS: u32 = 30;
const RECONNECT_EVERY: Duration = Duration::from_secs(1);

/// One command at work.
pub(super) struct Session<'a> {
    pub(super) migrator: &'a Migrator,
    pub observer: &'a mut dyn Observer,
    stop: &'a Stop,
    store: Store,
    lease: Lease,
    client: Client,
    /// What this run has made, once it has looked at the database.
    made_in_run: Option<MadeInRun>,
    /// Whether a file ran in another session, and may have changed how new ones begin (ALTER DATABASE … SET).
    is_stale: bool,
    /// What is known of the database since the last look at it.
    known: Option<Known>,
    /// Whether nothing is under way that a small file could be in the way of.
    is_quick: bool,
    /// What writes it down, once it is prepared on this connection.
    record_done: Option<RecordDone>,
    /// Whether something is committed that may not be on the server's disk yet.
    unsettled: bool,
    /// Whether plans that are made now set rows aside.
    pub park: bool,
    /// Rows that one chunk of blocks may change at the most.
    pub most_rows: Option<u64>,
    /// Where the files are, once that was asked.
    places: Option<Places>,
    /// Why the next request is made, in the words of who makes it.
    pub because: Option<String>,
}

impl<'a> Session<'a> {
    /// Takes the lease and makes the journal where there is none.
    pub async fn open(
        migrator: &'a Migrator,
        wait: bool,
        observer: &'a mut dyn Observer,
        stop: &'a Stop,
    ) -> Result<Session<'a>> {
        let store = migrator.recording_store();
        let connected = begin(migrator, &store, wait, observer, stop).await?;
        Ok(Session::of(migrator, observer, stop, store, connected))
    }

    /// For looking only: without the lease, and nothing is made.
    pub async fn open_reading(
        migrator: &'a Migrator,
        observer: &'a mut dyn Observer,
        stop: &'a Stop,
    ) -> Result<Session<'a>> {
        let store = migrator.store();
        let lease = Lease::none(migrator.target.connect(crate::postgres::lease::APPLICATION).await?);
        let client = connect_worker(&migrator.target, &store.schema, &lease).await?;
        Ok(Session::of(migrator, observer, stop, store, (lease, client)))
    }

    fn of(
        migrator: &'a Migrator,
        observer: &'a mut dyn Observer,
        stop: &'a Stop,
        store: Store,
        connected: (Lease, Client),
    ) -> Session<'a> {
        let (lease, client) = connected;
        Session {
            migrator,
            observer,
            stop,
            store,
            lease,
            client,
            made_in_run: None,
            is_stale: false,
            known: None,
            is_quick: false,
            record_done: None,
            unsettled: false,
            park: false,
            most_rows: None,
            places: None,
            because: None,
        }
    }

    /// As [`Session::open`], but refuses where nothing was ever run.
    pub async fn open_existing(
        migrator: &'a Migrator,
        wait: bool,
        observer: &'a mut dyn Observer,
        stop: &'a Stop,
    ) -> Result<Session<'a>> {
        if migrator.look().await?.is_empty() {
            return Err(
                Error::refused("no migration has been run on this database").hint("run `crossfade migrate` first")
            );
        }
        Session::open(migrator, wait, observer, stop).await
    }

    pub async fn rows(&self) -> Result<Vec<TrackedRow>> {
        self.store.rows(&self.client).await
    }

    /// The same, even with these files in what is tolerated.
    pub async fn rows_as(&self, files: &[SourceFile]) -> Result<Vec<TrackedRow>> {
        let mut rows = self.rows().await?;
        tolerance::tolerate_on(&self.client, &self.store, files, &mut rows).await?;
        Ok(rows)
    }

    /// What happens to a file that comes before what was run already.
    pub fn out_of_order(&self) -> OutOfOrder {
        self.migrator.config.out_of_order
    }

    /// Where files are that were read already.
    pub fn know(&mut self, files: &[SourceFile]) {
        self.places = Some(Places::of(files));
    }

    fn places(&mut self) -> &mut Places {
        // Without the files there is still the plan.
        self.places.get_or_insert_with(|| Places::of(&self.migrator.files().unwrap_or_default()))
    }

    /// The connection and the journal on it, for what is written in a transaction of its own; and the lease's epoch.
    pub fn journal(&self) -> (&Client, &Store, i64) {
        (&self.client, &self.store, self.lease.epoch)
    }

    /// Brings one file as far as it goes.
    pub async fn migrate_one(
        &mut self,
        file: &SourceFile,
        row: Option<&TrackedRow>,
        complete: bool,
    ) -> Result<RunMigration> {
        let mut row = row.cloned();
        if let Some(known) = row.clone().as_ref() {
            let stored = self.store.load(&self.client, known.plan_id).await?;
            let progress = fold(&stored.plan, &stored.events)
                .map_err(|error| Error::failed("the journal does not add up").caused_by(error))?;
            let over = known.state == State::RolledBack
                || (progress.direction == Direction::Forward && progress.has_no_effect(&stored.plan));
            if over || history::is_to_be_repeated(file, known) {
                row = None;
            } else if checksum(&file.text) != known.checksum {
                row = self.mend(file, known, &stored, &progress).await?;
                if row.is_none() {
                    return Err(Error::refused(format!(
                        "{} was changed while it is under way ({})",
                        file.path.display(),
                        known.state.name()
                    ))
                    .hint(format!(
                        "restore its text and run `crossfade migrate`, or `crossfade rollback {}` first",
                        known.version
                    )));
                }
            } else if self.park && fills_without_parking(&stored.plan, &progress) {
                return Err(Error::refused(format!(
                    "migration {} {} was begun without --park, and its sync fails a write to a row that can't be filled",
                    known.version, known.name
                ))
                .hint(format!("`crossfade rollback {}` first, then `crossfade migrate --park`", known.version)));
            }
        }
        let row = match row {
            Some(row) => row,
            None => {
                if std::mem::take(&mut self.is_stale) {
                    self.client = connect_worker(&self.migrator.target, &self.store.schema, &self.lease).await?;
                    self.record_done = None;
                }
                if let Some(done) = self.quickly(file).await? {
                    return Ok(done);
                }
                self.record(file).await?
            }
        };
        self.is_stale = true;
        let mut done = self.go_on(&row, None).await?;
        if complete {
            for (state, request) in [(State::Ready, Request::Contract), (State::Contracted, Request::Purge)] {
                if done.state == state {
                    done = self.go_on(&row, Some(request)).await?;
                }
            }
        }
        self.is_quick &= done.state == State::Applied;
        Ok(done)
    }

    /// From here on small files may be run quickly, as long as nothing but what is finished is in the tracking table.
    pub fn be_quick(&mut self, rows: &[TrackedRow]) {
        let is_untold = !self.migrator.teller.follows_phases();
        self.is_quick = is_untold && rows.iter().all(|row| matches!(row.state, State::Applied | State::RolledBack));
    }

    /// Plans a file and stores the plan.
    async fn record(&mut self, file: &SourceFile) -> Result<TrackedRow> {
        let rows = self.rows().await?;
        let others: Vec<TrackedRow> = rows.into_iter().filter(|row| row.version != file.version).collect();
        let in_flight = planning::in_flight(&self.client, &self.store, &others).await?;
        let catalog = match self.known.take() {
            Some(Known { catalog, fresh: true }) => catalog,
            Some(_) | None => planning::catalog(&self.client, &self.store).await?,
        };
        let policy = Policy { park: self.park, ..self.migrator.policy() };
        let made_in_run = self.made_in_run.get_or_insert_with(|| MadeInRun::beginning(&catalog));
        let plan = planning::plan_file(file, &catalog, &policy, &in_flight, made_in_run)?;
        planning::preflight(&self.client, file, &plan).await?;
        if self.lease.shared {
            pooler::refuse_behind_a_pooler(&plan)?;
        }
        let migration = planning::Way::up(file).parse()?;
        made_in_run.add(&migration, &catalog);
        for finding in plan.findings.iter().filter(|finding| finding.severity > Severity::Note) {
            self.observer.notice(Notice::Found { version: plan.version.clone(), finding: finding.clone() });
        }
        let files = PlanFiles {
            up_sql: file.text.trim_start_matches('\u{feff}'),
            down_sql: file.down.as_ref().map(|(_, text)| text.as_str()),
        };
        self.store_plan(&plan, &files).await
    }

    async fn store_plan(&mut self, plan: &Plan, files: &PlanFiles<'_>) -> Result<TrackedRow> {
        self.store.record(&self.client, self.lease.epoch, plan, files).await?;
        self.row(&plan.version).await
    }

    async fn row(&self, version: &str) -> Result<TrackedRow> {
        let rows = self.rows().await?;
        rows.into_iter()
            .find(|row| row.version == version)
            .ok_or_else(|| Error::failed(format!("migration {version} is not in the tracking table")))
    }

    /// Goes on with a migration's plan, after a request where there is one.
    pub async fn go_on(&mut self, row: &TrackedRow, request: Option<Request>) -> Result<RunMigration> {
        let state = self.carry_on(row.plan_id, request).await?;
        if state == State::Ready {
            let stored = self.stored(row.plan_id).await?;
            self.begin_to_count(&stored).await;
        }
        let mut row = self.row(&row.version).await?;
        row.state = state;
        let done = run_migration(&row);
        self.observer.notice(Notice::MigrationStopped {
            version: done.version.clone(),
            name: done.name.clone(),
            state: done.state,
            next: done.next.clone(),
        });
        Ok(done)
    }

    /// Goes on with a stored plan, after a request where there is one. A lost connection is made anew, and the work goes on from the
    /// journal.
    pub async fn carry_on(&mut self, plan_id: i64, request: Option<Request>) -> Result<State> {
        let mut request = request;
        let mut losses = 0;
        loop {
            let result = self.try_carry_on(plan_id, &mut request, losses > 0).await;
            let gone = self.client.is_closed() || !self.lease.is_held();
            let lost = gone || result.as_ref().is_err_and(Error::is_connection_lost);
            match result {
                Err(error)
                    if lost
                        && error.kind() == ErrorKind::Failed
                        && losses < RECONNECTS
                        && !self.stop.is_requested() =>
                {
                    losses += 1;
                    let lost = format!("the connection was lost ({})", error.chain());
                    self.observer.notice(Notice::Retrying { reason: lost.clone() });
                    self.reconnect(&mut losses, &lost).await?;
                }
                Ok(state) => return Ok(state),
                Err(error) => return Err(error),
            }
        }
    }

    /// `lost` says what was lost, and by what: a server that does not come back can't be asked any more.
    async fn reconnect(&mut self, losses: &mut u32, lost: &str) -> Result<()> {
        // With a new epoch, so that a backend of ours that is still at work is ended before we go on.
        self.lease.release().await;
        loop {
            self.stop.sleep(RECONNECT_EVERY).await;
            match begin(self.migrator, &self.store, true, self.observer, self.stop).await {
                Ok((lease, client)) => {
                    self.lease = lease;
                    self.client = client;
                    self.record_done = None;
                    return Ok(());
                }
                Err(error) if *losses >= RECONNECTS || self.stop.is_requested() => {
                    return Err(Error::failed(format!("{lost}, and the server does not come back"))
                        .hint("nothing is lost: when it is back, run the same command again; it goes on from the journal. Where the server itself went down, its log says why")
                        .caused_by(error));
                }
                Err(_) => *losses += 1,
            }
        }
    }

    async fn try_carry_on(&mut self, plan_id: i64, request: &mut Option<Request>, goes_on: bool) -> Result<State> {
        let stored = self.store.load(&self.client, plan_id).await?;
        let client = connect_worker(&self.migrator.target, &self.store.schema, &self.lease).await?;
        if self.lease.shared {
            pooler::refuse_behind_a_pooler(&stored.plan)?;
        }
        let because = self.because.clone();
        let mut executor = self.executor(stored, client, goes_on);
        if let Some(asked) = *request {
            if super::shared::direction_of(Some(asked)) == Direction::Forward {
                executor.refuse_paused().await?;
            }
            if super::shared::direction_of(Some(asked)) == Direction::Backward
                && executor.state()? != State::RollingBack
            {
                executor.ask_the_way_back().await?;
            }
            executor.before_request(asked).await?;
            executor.request(asked, because).await?;
            *request = None;
        }
        let state = executor.run().await?;
        self.because = None;
        Ok(state)
    }

    fn executor(&mut self, stored: StoredPlan, client: Client, goes_on: bool) -> Executor<'_> {
        let path = self.places().of_plan(&stored.plan);
        Executor {
            target: &self.migrator.target,
            config: &self.migrator.config,
            store: &self.store,
            lease: &self.lease,
            client,
            observer: self.observer,
            teller: &self.migrator.teller,
            stop: self.stop,
            stored,
            most_rows: self.most_rows,
            path,
            goes_on,
        }
    }

    async fn requested(&self, row: &TrackedRow, phase: Phase) -> Result<bool> {
        let stored = self.store.load(&self.client, row.plan_id).await?;
        let progress = fold(&stored.plan, &stored.events)
            .map_err(|error| Error::failed("the journal does not add up").caused_by(error))?;
        let forward = progress.direction == Direction::Forward;
        Ok(forward
            && match phase {
                Phase::Contract => progress.contract_requested,
                Phase::Purge => progress.purge_requested,
                Phase::Expand | Phase::Migrate => false,
            })
    }

    /// A backfill that was begun on the same tables in the same way, as far as it came.
    pub async fn begun_backfill(&self, planned: &PlannedBackfill) -> Result<Option<StoredPlan>> {
        for id in self.store.backfills(&self.client).await? {
            let stored = self.store.load(&self.client, id).await?;
            if planned.is_begun_by(&stored.plan) {
                return Ok(Some(stored));
            }
        }
        Ok(None)
    }

    /// Stores the plan of a backfill.
    pub async fn record_backfill(&self, plan: &Plan, statement: &str) -> Result<StoredPlan> {
        self.store.record_alone(&self.client, self.lease.epoch, plan, statement).await
    }

    /// Writes migrations down as applied that something else has run.
    pub async fn take_over(&self, taken: &[TakenOver]) -> Result<()> {
        let doing = "write down what is applied already";
        self.client.batch_execute("BEGIN").await.doing(doing)?;
        let written = self.store.take_over(&self.client, self.lease.epoch, taken).await;
        finish(&self.client, written, doing).await
    }

    /// The texts of all migrations as they were run.
    pub async fn texts(&self) -> Result<BTreeMap<String, StoredTexts>> {
        self.store.texts(&self.client, None).await
    }

    /// Takes a file for what was run.
    pub async fn repair(&self, row: &TrackedRow, plan_id: i64, file: &SourceFile) -> Result<()> {
        let up = file.text.trim_start_matches('\u{feff}');
        let down = file.down.as_ref().map(|(_, text)| text.as_str());
        self.store.repair(&self.client, self.lease.epoch, row, plan_id, (&checksum(up), up, down)).await
    }

    /// No longer misses a file.
    pub async fn allow_missing(&self, row: &TrackedRow, plan_id: i64, because: &str) -> Result<()> {
        self.store.allow_missing(&self.client, self.lease.epoch, row, plan_id, because).await
    }

    /// Stores a plan that was made elsewhere, as it is.
    pub async fn record_again(&self, plan: &Plan, up_sql: &str) -> Result<TrackedRow> {
        let files = PlanFiles { up_sql, down_sql: None };
        self.store.record(&self.client, self.lease.epoch, plan, &files).await?;
        self.row(&plan.version).await
    }

    /// A stored plan as it is now.
    pub async fn stored(&self, plan_id: i64) -> Result<StoredPlan> {
        self.store.load(&self.client, plan_id).await
    }

    /// Whether a failed migration failed behind the hold for the deploy.
    pub async fn contract_has_begun(&self, row: &TrackedRow) -> Result<bool> {
        self.requested(row, Phase::Contract).await
    }

    /// Whether a failed migration failed behind the hold of the retention.
    pub async fn purge_has_begun(&self, row: &TrackedRow) -> Result<bool> {
        self.requested(row, Phase::Purge).await
    }

    /// Contract goes in order for each table.
    pub async fn refuse_out_of_order(&self, row: &TrackedRow, rows: &[TrackedRow]) -> Result<()> {
        let mine = self.store.load(&self.client, row.plan_id).await?.plan.claims;
        for earlier in rows.iter().take_while(|other| other.version != row.version) {
            let current = self.row(&earlier.version).await?;
            if matches!(current.state, State::Pending | State::Contracted | State::Applied | State::RolledBack) {
                continue;
            }
            let theirs = self.store.load(&self.client, current.plan_id).await?.plan.claims;
            if let Some(claim) = theirs.iter().find(|claim| mine.iter().any(|own| own.table == claim.table)) {
                return Err(Error::refused(format!(
                    "migration {} {} changes {}, too, and comes first",
                    current.version, current.name, claim.table
                ))
                .hint(format!("run `crossfade contract {}` before", current.version)));
            }
        }
        Ok(())
    }

    /// A down file undoes what later migrations may stand on.
    pub fn refuse_beneath(&self, row: &TrackedRow, rows: &[TrackedRow]) -> Result<()> {
        let stands = |other: &&TrackedRow| other.state != State::RolledBack && !history::is_repeatable(other);
        let later = rows.iter().filter(stands).filter(|other| other.plan_id > row.plan_id);
        match later.max_by_key(|other| other.plan_id) {
            Some(later) => Err(Error::refused(format!(
                "migration {} {} was run after {} {} and may stand on it",
                later.version, later.name, row.version, row.name
            ))
            .hint(format!("roll that back first: `crossfade rollback {}`", later.version))),
            None => Ok(()),
        }
    }

    /// Undoes one migration: by its plan where that can go back, else by its down file.
    pub async fn undo(&mut self, row: &TrackedRow, rows: &[TrackedRow], files: &[SourceFile]) -> Result<RunMigration> {
        if row.state != State::Applied {
            return self.go_on(row, Some(Request::Rollback)).await;
        }
        self.refuse_beneath(row, rows)?;
        let down = self.down_of(row, files).await?;
        if let Some(text) = down.notice(row) {
            self.observer.notice(Notice::Info { text });
        }
        self.know(files);
        self.places().goes_back_by(&row.version, &down.path);
        let catalog = planning::catalog(&self.client, &self.store).await?;
        let plan = planning::plan_down_file(row, &down, &catalog, &self.migrator.policy())?;
        if self.lease.shared {
            pooler::refuse_behind_a_pooler(&plan)?;
        }
        self.migrator.teller.turn_back((&row.version, &row.name), row.state, self.stop).await?;
        let files = PlanFiles { up_sql: &down.text, down_sql: Some(&down.text) };
        let row = self.store_plan(&plan, &files).await?;
        self.go_on(&row, None).await
    }

    /// What undoes a migration that is applied.
    async fn down_of(&self, row: &TrackedRow, files: &[SourceFile]) -> Result<WayDown> {
        let texts = self.store.texts(&self.client, Some(&[row.version.as_str()])).await?;
        let file = files.iter().find(|file| same_version(&file.version, &row.version));
        let stored = texts.get(&row.version);
        if let Some(file) = file.filter(|file| !squashed::squashed(std::slice::from_ref(*file)).is_empty())
            && stored.is_some_and(|stored| !same_code(&stored.up, &file.text))
        {
            return Err(Error::refused(format!(
                "migration {} {} was squashed into {}, and the way back of one part would leave half of it",
                row.version,
                row.name,
                file.path.display()
            ))
            .hint("go back with the files from before (version control has them), or write a new migration"));
        }
        WayDown::choose(row, file, stored).ok_or_else(|| {
            Error::refused(format!("migration {} {} is applied and has no down file", row.version, row.name)).hint(
                match self.migrator.where_to_write_the_way_back(row) {
                    Some(place) => format!("write {place}, or a new migration that undoes it"),
                    None => "write a new migration that undoes it".to_owned(),
                },
            )
        })
    }

    /// Whether a migration can be undone, as far as that shows before it is tried.
    pub async fn check_undo(&mut self, row: &TrackedRow, files: &[SourceFile]) -> Result<WayBack> {
        if row.state == State::Applied {
            let down = self.down_of(row, files).await?;
            planning::Way::down(row, &down).parse()?;
            return Ok(WayBack::Down(down.from));
        }
        let stored = self.store.load(&self.client, row.plan_id).await?;
        let client = connect_worker(&self.migrator.target, &self.store.schema, &self.lease).await?;
        let mut executor = self.executor(stored, client, false);
        if executor.state()? != State::RollingBack {
            executor.ask_the_way_back().await?;
        }
        Ok(WayBack::Plan)
    }
}

/// Whether a fill is still to come that stops at a row which the server refuses, though it could go around it.
fn fills_without_parking(plan: &Plan, progress: &Progress) -> bool {
    plan.steps.iter().zip(&progress.steps).any(|(step, status)| match &step.action {
        Action::Backfill(backfill) => {
            *status != StepStatus::Succeeded && !backfill.park && backfill.outcome != Outcome::Lasting
        }
        Action::Ddl(_)
        | Action::Concurrently(_)
        | Action::Validate(_)
        | Action::Verify(_)
        | Action::Assert(_)
        | Action::Hold { .. } => false,
    })
}

async fn begin(
    migrator: &Migrator,
    store: &Store,
    wait: bool,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<(Lease, Client)> {
    let mut lease = Lease::acquire(&migrator.target, &store.schema, wait, observer, stop).await?;
    let first = migrator.target.connect(crate::postgres::lease::APPLICATION).await?;
    store.ensure(&first).await?;
    lease.take_over(&first, &store.schema).await?;
    let second = migrator.target.connect(crate::postgres::lease::APPLICATION).await?;
    lease.shared = pooler::is_shared(&first, &second).await?;
    if lease.shared {
        observer.notice(Notice::Info {
            text: "a pooler is in between that shares its connections: what needs a session of its own is refused"
                .to_owned(),
        });
    }
    let client = connect_worker(&migrator.target, &store.schema, &lease).await?;
    Ok((lease, client))
}

/// Reads what a plan keeps in sync, without the lease and without writing.
pub(super) struct Reader<'a> {
    migrator: &'a Migrator,
    observer: &'a mut dyn Observer,
    stop: &'a Stop,
    store: Store,
    lease: Lease,
    stored: StoredPlan,
}

impl<'a> Reader<'a> {
    pub async fn open(
        migrator: &'a Migrator,
        row: &TrackedRow,
        observer: &'a mut dyn Observer,
        stop: &'a Stop,
    ) -> Result<Reader<'a>> {
        let store = migrator.store();
        let client = migrator.target.connect(crate::postgres::lease::APPLICATION).await?;
        let stored = store.load(&client, row.plan_id).await?;
        let lease = Lease::none(client);
        Ok(Reader { migrator, observer, stop, store, lease, stored })
    }

    pub fn plan(&self) -> &Plan {
        &self.stored.plan
    }

    pub async fn compare(&mut self, verify: &Verify, gate: &Gate) -> Result<Compared> {
        let client = connect_worker(&self.migrator.target, &self.store.schema, &self.lease).await?;
        let mut executor = Executor {
            target: &self.migrator.target,
            config: &self.migrator.config,
            store: &self.store,
            lease: &self.lease,
            client,
            observer: self.observer,
            teller: &self.migrator.teller,
            stop: self.stop,
            stored: self.stored.clone(),
            most_rows: None,
            path: PathBuf::new(),
            goes_on: false,
        };
        // Without the lease: nothing is written.
        executor.compare(verify, gate, &mut |_, _, _| {}).await
    }
}
