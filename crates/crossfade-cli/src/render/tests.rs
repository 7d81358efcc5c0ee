//! Snapshots of what people see, from reports made by hand.

use std::path::PathBuf;
use std::time::Duration;

use crossfade::Error;
use crossfade::error::FileFindings;
use crossfade::report::*;
use crossfade_core::finding::Finding;
use crossfade_core::journal::State;
use crossfade_core::lock::LockMode;
use crossfade_core::lock::TableLock;
use crossfade_core::sql;
use crossfade_core::sql::Span;
use crossfade_core::sql::TableName;
use crossfade_core::step::*;
use insta::assert_snapshot;

use super::*;

const FILE: &str =
    "-- widen\nALTER TABLE users ADD COLUMN age integer NOT NULL;\nALTER TABLE users\n  DROP COLUMN \"größe\";\n";

/// A migration as the status has it, of which nothing more is to be said.
pub fn migration(version: &str, name: &str, state: State) -> MigrationStatus {
    MigrationStatus {
        version: version.to_owned(),
        name: name.to_owned(),
        state,
        next: None,
        step: None,
        progress: None,
        pause: None,
        waited: Vec::new(),
        parked: 0,
        error: None,
        applied_at: None,
        duration_ms: None,
        applied_by: None,
        retained_until: None,
        old_form: None,
        failed_alerts: Vec::new(),
        origin: "crossfade".to_owned(),
        file: true,
        missing_because: None,
        down_file: false,
        kind: "versioned",
        out_of_order: false,
    }
}

fn backfill(command: &str, state: State) -> BackfillStatus {
    BackfillStatus {
        command: command.to_owned(),
        statement: "UPDATE \"public\".\"t\" SET \"w\" = (\"v\")".to_owned(),
        state,
        next: None,
        step: None,
        progress: None,
        pause: None,
        waited: Vec::new(),
        parked: 0,
        error: None,
    }
}

fn status() -> StatusReport {
    let step = |number, phase, summary: &str| Some(StepReport { number, of: 9, phase, summary: summary.to_owned() });
    let next = |text: &str| Some(text.to_owned());
    let progress = ProgressReport {
        rows: 412_000,
        estimated_rows: 1_000_000,
        fraction: 0.412,
        rows_per_second: 52_000.0,
        eta_seconds: Some(11.3),
        eta_with_pauses_seconds: Some(27.0),
    };
    let applied = MigrationStatus {
        applied_at: next("2026-01-31 12:00:00"),
        duration_ms: Some(4_240),
        applied_by: next("alice"),
        ..migration("001", "create_users", State::Applied)
    };
    let contracted = MigrationStatus {
        retained_until: next("2026-02-01 12:00:00"),
        old_form: None,
        next: next("crossfade purge drops it"),
        ..migration("002", "rename_email", State::Contracted)
    };
    let ready = MigrationStatus {
        step: step(5, "contract", "wait until the new code is deployed"),
        next: next("it is paused; `crossfade resume 003` lets it go on"),
        failed_alerts: vec![FailedAlert {
            hook: "chat".to_owned(),
            event: "ready".to_owned(),
            at: "2026-01-31T11:00:00Z".to_owned(),
            error: "it answered 404".to_owned(),
        }],
        pause: Some(PauseReport {
            signal: "pause".to_owned(),
            reason: "paused by alice on web1 at 2026-01-31T12:00:00Z: sale until noon".to_owned(),
            since: next("2026-01-31T12:00:00Z"),
            by: next("alice"),
            host: next("web1"),
        }),
        ..migration("003", "split", State::Ready)
    };
    let failed = MigrationStatus {
        step: step(4, "migrate", "verify users"),
        error: next("2 rows differ\nthe first: (1), (7)"),
        next: next("crossfade migrate tries again, crossfade rollback undoes"),
        ..migration("006", "drop_name", State::Failed)
    };
    let waited = |signal: &str, scope: &str, times, seconds, share| WaitedReport {
        signal: signal.to_owned(),
        scope: scope.to_owned(),
        reason: String::new(),
        times,
        seconds,
        share,
    };
    let migrating = MigrationStatus {
        pause: Some(PauseReport {
            signal: "slots".to_owned(),
            reason: "slot debezium retains 2861MB of WAL (limit 1GB)".to_owned(),
            since: next("2026-01-31T12:00:00Z"),
            by: None,
            host: None,
        }),
        waited: vec![waited("slots", "debezium", 12, 754.0, 0.372), waited("window", "", 1, 61.0, 0.03)],
        step: step(3, "migrate", "fill users.email_address"),
        progress: Some(progress.clone()),
        ..migration("004", "email_address", State::Migrating)
    };
    StatusReport {
        format: REPORT_FORMAT,
        database: "localhost:5432/shop".to_owned(),
        layout: Some("goose"),
        runner: Some(Runner { host: "web1".to_owned(), pid: 4711, since: "2026-01-31 12:00:00".to_owned() }),
        migrations: vec![
            applied,
            contracted,
            ready,
            migrating,
            MigrationStatus { step: step(1, "expand", "add users.age"), ..migration("005", "age", State::Expanding) },
            failed,
            MigrationStatus { step: step(7, "contract", "drop the sync"), ..migration("007", "x", State::Contracting) },
            MigrationStatus { step: step(2, "expand", "add the sync"), ..migration("008", "y", State::RollingBack) },
            MigrationStatus { file: false, ..migration("009", "größe", State::RolledBack) },
            MigrationStatus { out_of_order: true, ..migration("0010", "new_thing", State::Pending) },
            MigrationStatus {
                origin: "baseline".to_owned(),
                file: false,
                missing_because: next("baseline"),
                ..migration("0011", "before", State::Applied)
            },
            MigrationStatus { origin: "flyway".to_owned(), ..migration("0012", "theirs", State::Applied) },
        ],
        backfills: vec![
            BackfillStatus {
                step: step(1, "migrate", "fill w of public.t where it differs"),
                progress: Some(progress.clone()),
                next: next("`crossfade backfill public.t v w` goes on"),
                ..backfill("crossfade backfill public.t v w", State::Migrating)
            },
            BackfillStatus {
                parked: 12,
                error: next("3 of 600 rows of public.t are left"),
                ..backfill("crossfade backfill public.t v n --expr 'v::integer'", State::Failed)
            },
            backfill("crossfade backfill app.users a b", State::Applied),
        ],
        warnings: vec![
            "002_rename_email.sql was changed after it was run, in comments and white space only".to_owned(),
        ],
        problems: vec!["001_create_users.sql was changed after it was applied".to_owned()],
    }
}

fn plan() -> PlanReport {
    let users = || TableName::new("public", "users");
    let lock = |mode| vec![TableLock::new(users(), mode)];
    let ddl = |lock_first, statements: Vec<sql::Sql>| {
        Action::Ddl(Ddl {
            lock_first,
            statements: statements.into_iter().map(Statement::from).collect(),
            as_written: false,
        })
    };
    let bounds = ChunkBounds::TidRange;
    let drop = || ddl(lock(LockMode::AccessExclusive), vec![sql!("ALTER TABLE {} DROP COLUMN age", users())]);
    let probe = Probe::IndexIsValid { index: TableName::new("public", "users_age"), table: users(), definition: None };
    let run = sql!("CREATE INDEX CONCURRENTLY users_age ON {} (age)", users());
    let fill = BackfillUnit {
        relation: users(),
        statement: sql!("UPDATE {} SET age = 0\nWHERE ctid >= $1::tid AND ctid < $2::tid AND age IS NULL", users()),
        locate: sql!("SELECT id FROM {} WHERE ctid = ($1::text)::tid", users()),
        bounds,
        stripes: 8,
        estimated_rows: 500_000,
        keys: None,
    };
    let compare = VerifyUnit {
        relation: users(),
        query: sql!("SELECT count(*), count(*) FILTER (WHERE age IS NULL), NULL FROM {}", users()),
        locate: sql!("SELECT id FROM {} WHERE ctid = ($1::text)::tid", users()),
        bounds: ChunkBounds::TidList,
        estimated_rows: 1,
    };
    let assert = Assert {
        query: sql!("SELECT 'view ' || viewname FROM pg_views WHERE viewname = 'v'"),
        message: "something still uses the column".to_owned(),
        help: "drop it first".to_owned(),
    };
    let validate =
        Validate { sql: sql!("ALTER TABLE {} VALIDATE CONSTRAINT c", users()), help: "mend the rows".to_owned() };
    let actions = [
        (Phase::Expand, "nothing else uses the column", Action::Assert(assert), None, vec![]),
        (
            Phase::Expand,
            "add users.age",
            ddl(vec![], vec![sql!("ALTER TABLE {} ADD COLUMN age integer", users()), sql!("SELECT 1")]),
            Some(drop()),
            lock(LockMode::AccessExclusive),
        ),
        (
            Phase::Migrate,
            "fill users.age",
            Action::Backfill(Backfill {
                table: users(),
                units: vec![fill],
                quiet: true,
                in_order: false,
                tidy: None,
                outcome: Outcome::Verified,
                park: false,
            }),
            None,
            vec![],
        ),
        (
            Phase::Migrate,
            "index users.age",
            Action::Concurrently(Concurrently { run, probe }),
            None,
            lock(LockMode::ShareUpdateExclusive),
        ),
        (Phase::Migrate, "prove the check", Action::Validate(validate), None, lock(LockMode::ShareUpdateExclusive)),
        (
            Phase::Migrate,
            "compare old and new",
            Action::Verify(Verify { table: users(), units: vec![compare], help: String::new() }),
            None,
            vec![],
        ),
        (Phase::Migrate, "wait for the deploy", Action::Hold { until: Hold::Deploy }, None, vec![]),
        (Phase::Contract, "drop users.old", drop(), None, lock(LockMode::AccessExclusive)),
        (Phase::Purge, "keep the old form", Action::Hold { until: Hold::Retention }, None, vec![]),
    ];
    let steps = actions.into_iter().enumerate().map(|(at, (phase, summary, action, undo, locks))| {
        let hazards = if at == 7 { vec!["readers wait as long as the lock is held".to_owned()] } else { vec![] };
        Step { id: StepId(at as u16), phase, summary: summary.to_owned(), action, undo, locks, hazards }
    });
    let finding = Finding::warning("add-not-null", Span::new(9, 60), "old code must write the column").help("use up");
    PlanReport {
        format: REPORT_FORMAT,
        plans: vec![Plan {
            format: PLAN_FORMAT,
            version: "003".to_owned(),
            name: "add_age".to_owned(),
            kind: PlanKind::Up,
            checksum: "sha256:0".to_owned(),
            assumes: String::new(),
            claims: vec![],
            preflight: vec![],
            steps: steps.collect(),
            findings: vec![finding],
        }],
        unplanned: Vec::new(),
    }
}

fn source() -> Source {
    Source { path: PathBuf::from("migrations/003_add_age.sql"), text: FILE.to_owned() }
}

fn refusal() -> Error {
    let drop = FILE.find("DROP").unwrap();
    let findings = vec![
        Finding::error("add-not-null", Span::new(9, 60), "existing rows have no value for \"age\"")
            .help("say which:\n-- crossfade: up 0"),
        Finding::warning("drop-column", Span::new(drop, FILE.len() - 2), "old code reads \"größe\""),
        Finding::note("no-place", None, "the table has 1,000,000 rows"),
        Finding::error("far", Span::new(5_000, 5_001), "a place that is not in the file"),
    ];
    let file = FileFindings { path: PathBuf::from("./migrations/003_add_age.sql"), text: FILE.to_owned(), findings };
    Error::refused("003_add_age.sql was refused").hint("nothing was changed").with_findings(vec![file])
}

fn failure() -> Error {
    let io = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused");
    let inner = Error::failed("could not read the catalog").caused_by(io);
    Error::failed("step 2 of 003_add_age failed").caused_by(inner).hint("nothing was changed;\nrun crossfade migrate")
}

#[test]
fn status_in_every_state() {
    assert_snapshot!(status::text(&status(), Paint::plain()));
}

#[test]
fn status_of_nothing() {
    let report = StatusReport {
        layout: Some("plain"),
        runner: None,
        migrations: vec![],
        backfills: vec![],
        warnings: vec![],
        problems: vec![],
        ..status()
    };
    assert_snapshot!(status::text(&report, Paint::plain()));
}

#[test]
fn colours_leave_the_text_as_it_is() {
    let styled = status::text(&status(), Paint::styled());
    assert!(styled.contains("\u{1b}["));
    let mut plain = String::new();
    for part in styled.split('\u{1b}') {
        plain.push_str(part.strip_prefix('[').and_then(|part| part.split_once('m')).map_or(part, |(_, text)| text));
    }
    assert_eq!(plain, status::text(&status(), Paint::plain()));
}

#[test]
fn plan_with_every_action() {
    assert_snapshot!(plan::text(&plan(), &|_| Some(source()), Paint::plain()));
}

#[test]
fn plan_without_its_file() {
    let mut report = plan();
    report.plans[0].steps.truncate(2);
    assert_snapshot!(plan::text(&report, &|_| None, Paint::plain()));
}

#[test]
fn plan_as_a_script() {
    assert_snapshot!(script::text(&plan(), Duration::from_millis(100)));
}

#[test]
fn findings_at_their_place() {
    assert_snapshot!(error::text(&refusal(), Paint::plain()));
}

#[test]
fn findings_as_a_document() {
    assert_snapshot!(serde_json::to_string_pretty(&error::document(&refusal())).unwrap());
}

#[test]
fn an_error_with_its_causes() {
    assert_snapshot!(error::text(&failure(), Paint::plain()));
    assert_snapshot!(serde_json::to_string_pretty(&error::document(&failure())).unwrap());
}

#[test]
fn verify_with_and_without_differences() {
    let table = |differing, keys: &[&str]| VerifyTable {
        version: "003".to_owned(),
        table: "public.users".to_owned(),
        rows: 1_000_000,
        differing,
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
    };
    let report = VerifyReport {
        format: REPORT_FORMAT,
        tables: vec![table(0, &[]), table(1, &["(7)"]), table(20, &["(1)", "(2)"])],
    };
    assert_snapshot!(verify::text(&report, Paint::plain()));
}

#[test]
fn a_run() {
    let migration = |version: &str, state, next: Option<&str>| RunMigration {
        version: version.to_owned(),
        name: "rename".to_owned(),
        state,
        next: next.map(str::to_owned),
    };
    let migrations = vec![
        migration("001", State::Applied, None),
        migration("002", State::Ready, Some("deploy the new code, then crossfade contract 002")),
    ];
    let report = RunReport { format: REPORT_FORMAT, migrations };
    assert_snapshot!(run::text(&report, &["001".to_owned()].into(), Paint::plain()));
    let nothing = RunReport { format: REPORT_FORMAT, migrations: vec![] };
    assert_eq!(run::text(&nothing, &[].into(), Paint::plain()), "nothing to do\n");
    let filled = BackfillReport {
        format: REPORT_FORMAT,
        table: "public.t".to_owned(),
        statement: String::new(),
        state: State::Applied,
        sweeps: 2,
        rows: 1_200,
    };
    assert_eq!(run::filled(&filled), "public.t: 1,200 rows changed in 2 sweeps, none is left\n");
    let refused = Error::refused("the backfill is refused; nothing was changed");
    let finding = Finding::error("reads-target", None, "--expr reads w, which it writes").help("write it otherwise");
    let (path, text) = (PathBuf::new(), String::new());
    let refused = refused.with_findings(vec![FileFindings { path, text, findings: vec![finding] }]);
    assert_snapshot!(error::text(&refused, Paint::plain()));
}

#[test]
fn the_throttle_with_what_it_sees() {
    let setting = |key, value: &str, source| SettingReport {
        key,
        value: value.to_owned(),
        source,
        set_by: None,
        host: None,
        set_at: None,
        until: None,
    };
    let live = SettingReport {
        set_by: Some("alice".to_owned()),
        host: Some("web1".to_owned()),
        set_at: Some("2026-01-31T12:00:00Z".to_owned()),
        until: Some("2026-01-31T14:00:00Z".to_owned()),
        ..setting("duty", "0.3", "live")
    };
    let signal = |signal, over, text: &str, error: Option<&str>| SignalReport {
        signal,
        scope: String::new(),
        value: None,
        limit: None,
        over,
        text: text.to_owned(),
        error: error.map(str::to_owned),
    };
    let report = ThrottleReport {
        format: REPORT_FORMAT,
        settings: vec![
            live,
            setting("replica_lag", "5s", "default"),
            setting("xmin_age", "10m", "file"),
            setting("window", "off", "default"),
        ],
        signals: vec![
            signal("replica_lag", false, "replica a is 0 ms behind", None),
            signal("replica_lag", true, "replica b is 9.0 s behind (limit 5.0 s)", None),
            signal("xmin_age", false, "not measured: no rights", Some("no rights")),
        ],
    };
    assert_snapshot!(throttle::text(&report, Paint::plain()));
}

#[test]
fn lines_while_it_runs() {
    let paint = Paint::plain();
    let blockers = ["pid 4711 (psql), idle in transaction since 14:02: SELECT 1".to_owned()];
    let lines = [
        progress::started("003", "add_age", 0, 9, false, paint),
        progress::started("003", "add_age", 2, 9, false, paint),
        progress::started("003", "add_age", 2, 9, true, paint),
        progress::finished(3, 9, "fill users.age", Duration::from_millis(4_240), paint),
        progress::moved(3, 9, &human::progress(1, 10, 0.1, 5.0, None)),
        progress::blocked("add users.age", 3, &blockers, paint),
        progress::lease_held("web1, pid 4711", paint),
        progress::retrying("deadlock detected", paint),
        progress::paused("replica a is 12.3 s behind (limit 5.0 s)", &["the query says 1".to_owned()], paint),
        progress::resumed(Duration::from_secs(75), "replica a is 5.1 s behind (limit 5.0 s)", paint),
    ];
    assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_history_beside_the_folder() {
    let one = |version: &str, name: &str, state: AdoptState, known: bool| AdoptMigration {
        version: version.to_owned(),
        name: name.to_owned(),
        identity: Some(version.to_owned()),
        file: None,
        state,
        applied_at: state.is_applied().then(|| "2026-01-31T12:00:00Z".to_owned()),
        known,
    };
    let mut report = AdoptReport {
        format: REPORT_FORMAT,
        database: "db:5432/shop".to_owned(),
        tool: "sqlx",
        table: "public._sqlx_migrations".to_owned(),
        layout: Some("up-down"),
        adopted: false,
        fenced: false,
        proof: None,
        assumption: None,
        notes: vec!["it runs its files in another order".to_owned()],
        migrations: vec![
            one("001", "users", AdoptState::Verified, true),
            one("002", "names", AdoptState::LineEnds, false),
            one("003", "posts", AdoptState::Unverified, false),
            one("004", "tags", AdoptState::Differs, false),
            one("005", "gone", AdoptState::Missing, false),
            one("006", "program", AdoptState::NotSql, false),
            one("007", "late", AdoptState::Late, false),
            one("010", "next", AdoptState::Pending, false),
        ],
        obstacles: vec![AdoptObstacle {
            what: "files say something else".to_owned(),
            hint: "bring them back".to_owned(),
        }],
    };
    assert_snapshot!(adopt::text(&report, Paint::plain()));
    report.obstacles.clear();
    report.migrations.truncate(2);
    report.assumption = Some("the history is one number".to_owned());
    report.adopted = true;
    assert_snapshot!(adopt::text(&report, Paint::plain()));
}
