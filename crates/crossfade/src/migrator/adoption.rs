//! `adopt`: the history of another tool becomes ours, in one transaction, with that tool kept away meanwhile.

use crossfade_core::journal::State;
use tokio_postgres::Client;

use super::Migrator;
use super::RunOptions;
use super::drift;
use super::session::Session;
use crate::adopt;
use crate::adopt::AdoptOptions;
use crate::adopt::Survey;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;
use crate::observer::Observer;
use crate::postgres::lease::APPLICATION;
use crate::postgres::store::TrackedRow;
use crate::postgres::store::finish;
use crate::report::AdoptReport;
use crate::report::DriftReport;
use crate::report::GivenBackReport;
use crate::report::REPORT_FORMAT;
use crate::stop::Stop;

impl Migrator {
    /// What [`Migrator::adopt`] would take over. Changes nothing, and needs no right to change anything.
    ///
    /// # Errors
    ///
    /// When no history is found or several are, or it can't be read.
    pub async fn adopt_preview(
        &self,
        options: &AdoptOptions,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<AdoptReport> {
        let mut report = look(self, options).await?;
        if report.obstacles.is_empty() {
            report.proof = proof(self, options, observer, stop).await?;
        }
        Ok(report)
    }

    /// Takes the history of another tool over, in one transaction.
    ///
    /// # Errors
    ///
    /// When something stands against it, the other tool or another runner is at work.
    pub async fn adopt(&self, options: &AdoptOptions, observer: &mut dyn Observer, stop: &Stop) -> Result<AdoptReport> {
        run(self, options, observer, stop).await
    }

    /// Forgets what was taken over, and takes the fences away.
    ///
    /// # Errors
    ///
    /// When nothing was taken over, something was run since, or another runner is at work.
    pub async fn give_back(
        &self,
        options: RunOptions,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<GivenBackReport> {
        undo(self, options, observer, stop).await
    }

    /// Takes the fences around histories of other tools away.
    ///
    /// # Errors
    ///
    /// When the role may not.
    pub async fn unfence(&self) -> Result<GivenBackReport> {
        let client = self.target.connect(APPLICATION).await?;
        let doing = "take the fence away";
        client.batch_execute("BEGIN; SET LOCAL lock_timeout = '5s'").await.doing(doing)?;
        let unfenced = finish(&client, adopt::unfence(&client, &self.schema()).await, doing).await?;
        let unfenced = unfenced.iter().map(ToString::to_string).collect();
        Ok(GivenBackReport { format: REPORT_FORMAT, migrations: Vec::new(), unfenced })
    }
}

/// What would be taken over.
async fn look(migrator: &Migrator, options: &AdoptOptions) -> Result<AdoptReport> {
    let client = migrator.target.connect(APPLICATION).await?;
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.doing("look at the history")?;
    let store = migrator.store();
    let rows = if store.exists(&client).await? { store.rows(&client).await? } else { Vec::new() };
    Ok(seen(migrator, &client, &rows, options).await?.1)
}

async fn seen(
    migrator: &Migrator,
    client: &Client,
    rows: &[TrackedRow],
    options: &AdoptOptions,
) -> Result<(Survey, AdoptReport)> {
    let survey = Survey::take(client, &migrator.schema(), &migrator.config, options).await?;
    let mut report = survey.report(migrator.target.display(), rows, options);
    let fenced = adopt::fenced(client, &migrator.schema()).await?;
    report.fenced = fenced.contains(survey.table());
    Ok((survey, report))
}

/// The files on a scratch database beside the live one, where that is asked for.
async fn proof(
    migrator: &Migrator,
    options: &AdoptOptions,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<Option<Box<DriftReport>>> {
    let Some(place) = &options.prove else { return Ok(None) };
    let rows = migrator.look().await?;
    let client = migrator.target.connect(APPLICATION).await?;
    let survey = Survey::take(&client, &migrator.schema(), &migrator.config, options).await?;
    drop(client);
    let history = survey.history();
    if !survey.is_sql() {
        return Err(Error::usage(format!(
            "the migrations of {} are not SQL: they can't be run on a scratch database",
            history.0
        ))
        .hint("leave --prove away"));
    }
    let proof = drift::prove(migrator, place, survey.taken_over(&rows), history, observer, stop).await?;
    Ok(Some(Box::new(proof)))
}

fn refuse(report: &AdoptReport) -> Result<()> {
    let Some(first) = report.obstacles.first() else { return Ok(()) };
    let more: String = report.obstacles.iter().skip(1).map(|obstacle| format!("\n  also: {}", obstacle.what)).collect();
    Err(Error::refused(format!("the history of {} is not taken over: {}{more}", report.tool, first.what))
        .hint(first.hint.clone()))
}

async fn run(
    migrator: &Migrator,
    options: &AdoptOptions,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<AdoptReport> {
    // Before the journal is made and the lease is taken: what is refused changes nothing.
    let mut looked = look(migrator, options).await?;
    refuse(&looked)?;
    looked.proof = proof(migrator, options, observer, stop).await?;
    if looked.is_disproved() {
        return Ok(looked);
    }
    let proof = looked.proof;
    let session = Session::open(migrator, options.wait, observer, stop).await?;
    let (client, store, epoch) = session.journal();
    let doing = "take the history over";
    client.batch_execute("BEGIN").await.doing(doing)?;
    let taken = async {
        let rows = store.rows(client).await?;
        let (survey, _) = seen(migrator, client, &rows, options).await?;
        survey.hold(client).await?;
        // What was seen before the locks may be old.
        let (survey, mut report) = seen(migrator, client, &rows, options).await?;
        refuse(&report)?;
        let taken = survey.taken_over(&rows);
        if !taken.is_empty() {
            store.take_over(client, epoch, &taken).await?;
        }
        if options.fence && !report.fenced {
            survey.fence(client, &migrator.schema()).await?;
            report.fenced = true;
        }
        report.adopted = true;
        report.proof = proof;
        Ok(report)
    };
    finish(client, taken.await, doing).await
}

/// Forgets what was taken over, as long as nothing of ours has come on top of it.
async fn undo(
    migrator: &Migrator,
    options: RunOptions,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<GivenBackReport> {
    given_back(&migrator.look().await?)?;
    let session = Session::open(migrator, options.wait, observer, stop).await?;
    let (client, store, epoch) = session.journal();
    let doing = "forget what was taken over";
    client.batch_execute("BEGIN; SET LOCAL lock_timeout = '5s'").await.doing(doing)?;
    let undone = async {
        let rows = store.rows(client).await?;
        let versions = given_back(&rows)?;
        store.give_back(client, epoch, &versions).await?;
        let unfenced = adopt::unfence(client, &migrator.schema()).await?;
        let unfenced = unfenced.iter().map(ToString::to_string).collect();
        Ok(GivenBackReport { format: REPORT_FORMAT, migrations: versions, unfenced })
    };
    finish(client, undone.await, doing).await
}

/// The versions that are forgotten. Pure.
fn given_back(rows: &[TrackedRow]) -> Result<Vec<String>> {
    let is_theirs = |row: &&TrackedRow| adopt::Tool::by_name(&row.origin).is_ok();
    let adopted: Vec<&TrackedRow> = rows.iter().filter(is_theirs).collect();
    if adopted.is_empty() {
        return Err(Error::refused("no history was taken over on this database").hint("there is nothing to undo"));
    }
    if let Some(row) = adopted.iter().find(|row| row.state != State::Applied) {
        return Err(Error::refused(format!(
            "migration {} {} was taken over and is {} now: the history of {} says that it is applied",
            row.version,
            row.name,
            row.state.name(),
            row.origin
        ))
        .hint("run it again with `crossfade migrate`, and undo then"));
    }
    if let Some(own) = rows.iter().find(|row| row.origin == "crossfade" && row.state != State::RolledBack) {
        return Err(Error::refused(format!(
            "migration {} {} was run by crossfade since: the other tool knows nothing of it",
            own.version, own.name
        ))
        .hint(format!("roll it back first: `crossfade rollback {}`", own.version)));
    }
    Ok(adopted.into_iter().map(|row| row.version.clone()).collect())
}
