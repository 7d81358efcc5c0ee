//! `drift`: the live schema beside what its migrations make on a scratch database.
//!
//! What is applied is run there from its text, the one that the journal has. What is under way is not run from its text, which would do it at once on
//! an empty database: its stored plan is taken as it is, and repeated as far as it has come. So its helper objects are on both sides, and a
//! missing trigger of the sync is found like anything else.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crossfade_core::journal::Direction;
use crossfade_core::journal::Request;
use crossfade_core::journal::State;
use crossfade_core::journal::StepStatus;
use crossfade_core::journal::fold;
use crossfade_core::schema::Compare;
use crossfade_core::schema::DatabaseSchema;
use crossfade_core::schema::difference;
use crossfade_core::sql::TableName;
use crossfade_core::step::Action;
use crossfade_core::step::PlanKind;
use tokio_postgres::Client;

use super::Migrator;
use super::history::is_repeatable;
use super::on_scratch::run_whole;
use super::session::Session;
use super::shared::same_version;
use crate::adopt;
use crate::adopt::Tool;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;
use crate::observer::Notice;
use crate::observer::Observer;
use crate::observer::Unobserved;
use crate::postgres::lease::APPLICATION;
use crate::postgres::store::StoredPlan;
use crate::postgres::store::TakenOver;
use crate::postgres::store::TrackedRow;
use crate::report::DriftReport;
use crate::report::REPORT_FORMAT;
use crate::report::Towards;
use crate::report::UnderWay;
use crate::report::drift_changes;
use crate::schema;
use crate::scratch::Likeness;
use crate::scratch::ScratchDatabase;
use crate::scratch::ScratchHome;
use crate::scratch::ScratchPlace;
use crate::source::FileKind;
use crate::source::SourceFile;
use crate::source::VersionKey;
use crate::source::repeatable_version;
use crate::stop::Stop;

/// What `drift` is to do.
#[derive(Clone, Debug)]
pub struct DriftOptions {
    /// Where the migrations are run to compare with.
    pub scratch: ScratchPlace,
    /// Which side the statements change.
    pub towards: Towards,
}

/// One migration, as it is repeated.
pub(super) enum Repeat {
    /// From its text, to its end.
    Whole(SourceFile),
    /// From its plan, as far as it has come.
    Plan(TrackedRow, Box<StoredPlan>),
}

pub(super) async fn report(
    migrator: &Migrator,
    options: &DriftOptions,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<DriftReport> {
    migrator.refuse_one_schema("drift")?;
    let own = migrator.config.schema.as_str();
    let client = migrator.target.connect(APPLICATION).await?;
    let mut notes = Vec::new();
    let rows = standing(migrator).await?;
    let repeats = repeats(migrator, &client, &rows, &mut notes).await?;
    let live = schema::look(&migrator.target, own).await?;
    let after = standing(migrator).await?;
    if states(&rows) != states(&after) {
        return Err(Error::refused("a migration went on while its schema was read")
            .hint("`crossfade drift` again, once nobody runs one"));
    }
    let mut tools: Vec<Tool> = rows.iter().filter_map(|row| Tool::by_name(&row.origin).ok()).collect();
    tools.dedup();
    let histories = adopt::histories(&client, &migrator.schema(), &tools).await?;
    let like = likeness(&client).await?;
    drop(client);
    compare(migrator, options, Sides { live, repeats, histories, like, notes }, observer, stop).await
}

/// What `adopt` would take over, run on a scratch database and compared.
pub(super) async fn prove(
    migrator: &Migrator,
    place: &ScratchPlace,
    taken: Vec<TakenOver>,
    history: (Tool, TableName),
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<DriftReport> {
    migrator.refuse_one_schema("adopt --prove")?;
    let client = migrator.target.connect(APPLICATION).await?;
    let mut notes = Vec::new();
    let mut repeats = repeats(migrator, &client, &standing(migrator).await?, &mut notes).await?;
    for one in taken {
        match one.up_sql {
            Some(text) => {
                let is_repeatable = one.version == repeatable_version(&one.name);
                let kind = if is_repeatable { FileKind::Repeatable } else { FileKind::Versioned };
                repeats.push(Repeat::Whole(with_text(&one.version, &one.name, kind, text)));
            }
            None => notes.push(nobody_has(&one.version, &one.name, &one.origin)),
        }
    }
    repeats.sort_by_cached_key(|repeat| {
        let (version, is_repeatable) = match repeat {
            Repeat::Whole(file) => (&file.version, file.kind == FileKind::Repeatable),
            Repeat::Plan(row, _) => (&row.version, is_repeatable(row)),
        };
        (is_repeatable, VersionKey::of(version))
    });
    let live = schema::look(&migrator.target, migrator.config.schema.as_str()).await?;
    let like = likeness(&client).await?;
    drop(client);
    let options = DriftOptions { scratch: place.clone(), towards: Towards::Migrations };
    let sides = Sides { live, repeats, histories: vec![history], like, notes };
    compare(migrator, &options, sides, observer, stop).await
}

/// What is compared.
struct Sides {
    live: DatabaseSchema,
    repeats: Vec<Repeat>,
    /// Of other tools.
    histories: Vec<(Tool, TableName)>,
    like: Likeness,
    notes: Vec<String>,
}

async fn compare(
    migrator: &Migrator,
    options: &DriftOptions,
    sides: Sides,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<DriftReport> {
    let Sides { mut live, repeats, histories, like, mut notes } = sides;
    let home = ScratchHome::open(&options.scratch, like).await?;
    notes.extend(home.difference());
    for name in home.leftovers().await? {
        notes.push(format!("the scratch database {name} may be left from a run that was killed: DROP DATABASE {name}"));
    }
    let text = format!("running {} on {}", counted(repeats.len()), home.describe());
    observer.notice(Notice::Info { text });
    let database = home.database().await?;
    let made = async {
        repeat_all(migrator, &home, &database, &repeats, stop).await?;
        schema::look(database.target(), migrator.config.schema.as_str()).await
    };
    let made = made.await;
    let removed = database.remove().await;
    let (mut made, ()) = (made?, removed?);
    let passed_over = adopt::pass_over(&mut live, &made, &histories);
    notes.extend(passed_over.iter().map(|history| format!("the history of {history} is passed over")));
    let ignored = live.ignore(&migrator.config.drift.ignore);
    made.ignore(&migrator.config.drift.ignore);
    let todo = match options.towards {
        Towards::Migrations => difference(&made, &live, Compare::default()),
        Towards::Database => difference(&live, &made, Compare::default()),
    };
    let under_way = repeats.iter().filter_map(|repeat| match repeat {
        Repeat::Whole(_) => None,
        Repeat::Plan(row, _) => {
            Some(UnderWay { version: row.version.clone(), name: row.name.clone(), state: row.state })
        }
    });
    let under_way: Vec<UnderWay> = under_way.collect();
    Ok(DriftReport {
        format: REPORT_FORMAT,
        database: migrator.target.display(),
        scratch: home.describe(),
        applied: repeats.len() - under_way.len(),
        under_way,
        towards: options.towards,
        preamble: todo.preamble().iter().map(ToString::to_string).collect(),
        changes: drift_changes(&todo),
        ignored,
        uncompared: live.uncompared,
        notes,
    })
}

fn counted(migrations: usize) -> String {
    if migrations == 1 { "1 migration".to_owned() } else { format!("{migrations} migrations") }
}

/// What has an effect in the database.
pub(super) async fn standing(migrator: &Migrator) -> Result<Vec<TrackedRow>> {
    let mut rows = migrator.look().await?;
    rows.retain(|row| !matches!(row.state, State::RolledBack | State::Pending));
    Ok(rows)
}

fn states(rows: &[TrackedRow]) -> Vec<(&str, State, i64)> {
    rows.iter().map(|row| (row.version.as_str(), row.state, row.plan_id)).collect()
}

/// How the scratch database is to be like the live one: roles, and what decides where an unqualified name is made.
pub(super) async fn likeness(client: &Client) -> Result<Likeness> {
    let query = "SELECT current_setting('server_version_num')::int4 / 10000, current_user::text, current_setting('search_path'), \
                 current_setting('TimeZone'), ARRAY(SELECT rolname::text FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1)";
    let row = client.query_typed_one(query, &[]).await.doing("ask for roles and settings")?;
    Ok(Likeness {
        major: u32::try_from(row.get::<_, i32>(0)).ok(),
        user: Some(row.get(1)),
        search_path: Some(row.get(2)),
        time_zone: Some(row.get(3)),
        roles: row.get(4),
    })
}

/// What has to be repeated, in the order of the versions; what is repeatable comes last.
pub(super) async fn repeats(
    migrator: &Migrator,
    client: &Client,
    rows: &[TrackedRow],
    notes: &mut Vec<String>,
) -> Result<Vec<Repeat>> {
    let store = migrator.store();
    let texts = if rows.is_empty() { BTreeMap::new() } else { store.texts(client, None).await? };
    let files = migrator.files_where_there(rows)?;
    let mut repeats = Vec::new();
    for row in rows.iter().filter(|row| !is_repeatable(row)).chain(rows.iter().filter(|row| is_repeatable(row))) {
        let stored = store.load(client, row.plan_id).await?;
        let under_way = row.state != State::Applied && stored.plan.kind == PlanKind::Up;
        if under_way {
            repeats.push(Repeat::Plan(row.clone(), Box::new(stored)));
            continue;
        }
        let in_journal = texts.get(&row.version).map(|texts| texts.up.clone()).filter(|text| !text.is_empty());
        let in_folder = || {
            let file = files.iter().find(|file| same_version(&file.version, &row.version));
            file.map(|file| file.text.clone())
        };
        let Some(text) = in_journal.or_else(in_folder) else {
            notes.push(nobody_has(&row.version, &row.name, &row.origin));
            continue;
        };
        let kind = if is_repeatable(row) { FileKind::Repeatable } else { FileKind::Versioned };
        repeats.push(Repeat::Whole(with_text(&row.version, &row.name, kind, text)));
    }
    Ok(repeats)
}

fn nobody_has(version: &str, name: &str, origin: &str) -> String {
    format!("nobody has the text of {version} {name} ({origin}): what it made counts as drift")
}

pub(super) fn with_text(version: &str, name: &str, kind: FileKind, text: String) -> SourceFile {
    SourceFile {
        version: version.to_owned(),
        name: name.to_owned(),
        kind,
        path: PathBuf::from(format!("{version}_{name}.sql, as it was run")),
        raw: text.clone().into_bytes(),
        text,
        ..SourceFile::default()
    }
}

pub(super) async fn repeat_all(
    migrator: &Migrator,
    home: &ScratchHome,
    database: &ScratchDatabase,
    repeats: &[Repeat],
    stop: &Stop,
) -> Result<()> {
    let mut whole: Vec<SourceFile> = Vec::new();
    let mut run_so_far = 0;
    for repeat in repeats {
        match repeat {
            Repeat::Whole(file) => whole.push(file.clone()),
            Repeat::Plan(row, stored) => {
                if run_so_far < whole.len() {
                    run_whole(migrator, home, database, &whole, stop).await?;
                    run_so_far = whole.len();
                }
                let own = migrator.on_scratch(database, Arc::new(whole.clone()));
                repeat_plan(&own, row, stored, stop).await.map_err(|error| {
                    Error::failed(format!(
                        "the steps of {} {} can't be repeated on a scratch database",
                        row.version, row.name
                    ))
                    .hint("`crossfade status` says where it stands; finish it or roll it back, and look again")
                    .caused_by(error)
                })?;
            }
        }
    }
    if run_so_far < whole.len() {
        run_whole(migrator, home, database, &whole, stop).await?;
    }
    Ok(())
}

/// Repeats what a plan under way has done.
async fn repeat_plan(own: &Migrator, row: &TrackedRow, stored: &StoredPlan, stop: &Stop) -> Result<()> {
    let requests: &[Request] = match row.state {
        State::Ready => &[],
        State::Contracted => &[Request::Contract],
        State::Pending
        | State::Expanding
        | State::Migrating
        | State::Contracting
        | State::Applied
        | State::Failed
        | State::RollingBack
        | State::RolledBack => return repeat_steps(own, stored).await,
    };
    let mut observer = Unobserved;
    let mut session = Session::open(own, true, &mut observer, stop).await?;
    let again = session.record_again(&stored.plan, &stored.up_sql).await?;
    session.go_on(&again, None).await?;
    for request in requests {
        session.go_on(&again, Some(*request)).await?;
    }
    Ok(())
}

/// Repeats the steps that have succeeded, for what stands in the middle: those that change the schema.
async fn repeat_steps(own: &Migrator, stored: &StoredPlan) -> Result<()> {
    let progress = fold(&stored.plan, &stored.events)
        .map_err(|error| Error::failed("the journal does not add up").caused_by(error))?;
    let client = own.target.connect(APPLICATION).await?;
    own.store().ensure(&client).await?;
    for (step, status) in stored.plan.steps.iter().zip(&progress.steps) {
        let done = match progress.direction {
            Direction::Forward => *status == StepStatus::Succeeded,
            // What is being undone is still there until that has succeeded.
            Direction::Backward => {
                matches!(status, StepStatus::Succeeded | StepStatus::Undoing | StepStatus::UndoFailed)
            }
        };
        if !done {
            continue;
        }
        let statements: Vec<&str> = match &step.action {
            Action::Ddl(ddl) => ddl.statements.iter().map(|statement| statement.sql.as_str()).collect(),
            Action::Concurrently(concurrently) => vec![concurrently.run.as_str()],
            Action::Validate(validate) => vec![validate.sql.as_str()],
            Action::Backfill(_) | Action::Verify(_) | Action::Assert(_) | Action::Hold { .. } => Vec::new(),
        };
        for statement in statements {
            client.batch_execute(statement).await.doing(&format!("repeat \"{}\"", step.summary))?;
        }
    }
    Ok(())
}
