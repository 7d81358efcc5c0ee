//! What people do around the steps: who is told, what is watched, when which application runs, and how to go back.

use std::time::Duration;

use serde::Serialize;

use super::Blocks;
use super::RunbookPhase;
use super::RunbookStep;
use super::Subject;
use super::estimate::Bytes;
use super::surroundings::Surroundings;
use super::work::is_long;
use crate::journal::is_for_good;
use crate::sql;
use crate::sql::Sql;
use crate::step::Action;
use crate::step::Hold;
use crate::step::Phase;
use crate::step::Plan;
use crate::step::PlanKind;
use crate::step::Probe;
use crate::step::Step;
use crate::units::show_duration;

/// A step that may take longer is worth a word to somebody.
const LONG: Duration = Duration::from_secs(15 * 60);

/// So many bytes of log, or of disk, are worth a word.
const MUCH: u64 = 1 << 30;

/// What a way back between two forms loses.
const KEPT: &str =
    "nothing that the old form has a place for: what was written in the new form stands in the old one, too";

/// Who should know, and of what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tell {
    /// Who.
    pub who: &'static str,
    /// What.
    pub what: String,
}

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Watch {
    /// What it shows.
    pub what: &'static str,
    /// A command of the shell.
    pub command: Option<String>,
    /// Or a query.
    pub query: Option<Sql>,
}

/// A point at which it matters which application runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// When.
    pub when: &'static str,
    /// What to do.
    pub what: String,
    /// A query that shows whether it is so.
    pub query: Option<Sql>,
}

/// How to go back from a point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WayBack {
    /// From where.
    pub from: &'static str,
    /// How; none: there is no way back.
    pub command: Option<String>,
    /// What that does.
    pub what: String,
    /// What is lost.
    pub loses: &'static str,
}

/// The command that runs a phase.
pub(super) fn command(plan: &Plan, phase: Phase) -> String {
    match (plan.kind, phase) {
        (PlanKind::Up, Phase::Expand | Phase::Migrate) => plan.command(),
        (PlanKind::Up, Phase::Contract) if waits(plan, Hold::Deploy) => format!("crossfade contract {}", plan.version),
        (PlanKind::Up, Phase::Purge) if waits(plan, Hold::Retention) => format!("crossfade purge {}", plan.version),
        (PlanKind::Up, Phase::Purge) if waits(plan, Hold::Deploy) => format!("crossfade contract {}", plan.version),
        (PlanKind::Up | PlanKind::Down | PlanKind::Backfill, _) => plan.command(),
    }
}

fn waits(plan: &Plan, hold: Hold) -> bool {
    plan.steps.iter().any(|step| matches!(step.action, Action::Hold { until } if until == hold))
}

/// Which application runs when.
pub(super) fn moments(plan: &Plan) -> Vec<Moment> {
    let version = &plan.version;
    let moment = |when, what: String| Moment { when, what, query: None };
    if !waits(plan, Hold::Deploy) {
        return vec![moment(
            "once `crossfade migrate` has ended",
            format!(
                "the new version may be deployed; before that it must not run (`crossfade wait --for-version {version}` waits)"
            ),
        )];
    }
    let mut found = vec![
        moment(
            "until it is ready",
            format!(
                "only the old version runs. What is started too early waits with `crossfade wait --for-version {version}`"
            ),
        ),
        moment("when it is ready", "deploy the new version. Both may run side by side, for as long as it takes".to_owned()),
        Moment {
            when: "before contract",
            what: "every instance of the old version must be gone, with its jobs, consoles and reports: no session may be older than the deploy"
                .to_owned(),
            query: Some(sql!(
                "SELECT application_name, usename, client_addr, count(*), min(backend_start) FROM pg_stat_activity \
                 WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid() GROUP BY 1, 2, 3 ORDER BY 5"
            )),
        },
        moment("from contract on", "only the new version runs; the old one finds its form gone".to_owned()),
    ];
    if waits(plan, Hold::Retention) {
        found.push(moment(
            "until purge",
            "the new version may be taken back by a rollback of the migration, then of the code".to_owned(),
        ));
    }
    found
}

/// How to go back from each point.
pub(super) fn ways_back(subject: Subject<'_>, around: &Surroundings) -> Vec<WayBack> {
    let Subject { plan, has_down, .. } = subject;
    let rollback = format!("crossfade rollback {}", plan.version);
    let by_down = |from| WayBack {
        from,
        command: has_down.then(|| rollback.clone()),
        what: match has_down {
            true => "runs its down file".to_owned(),
            false => "there is no down file: write one, or a new migration".to_owned(),
        },
        loses: "what the down file does not bring back",
    };
    if let [Step { action: Action::Ddl(_), .. }] = plan.steps.as_slice() {
        let running = WayBack {
            from: "while it runs",
            command: None,
            what: "Ctrl-C: it is one transaction, and what fails leaves nothing behind".to_owned(),
            loses: "nothing",
        };
        return vec![running, by_down("once it is applied")];
    }
    let phased = waits(plan, Hold::Deploy);
    let gone = |of: &dyn Fn(Phase) -> bool| {
        plan.steps.iter().find(|step| of(step.phase) && is_for_good(step)).map(|step| step.id.0 + 1)
    };
    let way = |from, stuck: Option<u16>, what: String| match stuck {
        None => WayBack { from, command: Some(rollback.clone()), what, loses: if phased { KEPT } else { "nothing" } },
        Some(number) => WayBack {
            from,
            command: Some(rollback.clone()),
            what: format!("{what}; but from step {number} on there is no way back"),
            loses: "what that step changed",
        },
    };
    let early = gone(&|phase| phase < Phase::Contract);
    if !phased {
        return vec![
            way("while it runs", early, "undoes the steps that are done".to_owned()),
            by_down("once it is applied"),
        ];
    }
    let mut found = vec![way("until contract", early, "takes the new form away".to_owned())];
    match gone(&|phase| phase == Phase::Contract).or(early) {
        Some(number) => found.push(WayBack {
            from: "after contract",
            command: None,
            what: format!("step {number} can't be undone"),
            loses: "what that step changed or dropped, but for a backup",
        }),
        None => {
            let kept = match waits(plan, Hold::Retention) {
                true => format!(
                    "brings the old form back, which is kept for at least {}, and until `crossfade purge`",
                    show_duration(around.retain)
                ),
                false => "brings the old form back".to_owned(),
            };
            found.push(way("after contract", None, kept));
        }
    }
    if waits(plan, Hold::Retention) {
        found.push(by_down("after purge"));
    }
    found
}

/// Who should know before it runs.
pub(super) fn tell(phases: &[RunbookPhase], plan: &Plan, around: &Surroundings, disk: Bytes, wal: Bytes) -> Vec<Tell> {
    let mut found = Vec::new();
    let steps = || phases.iter().flat_map(|phase| &phase.steps);
    if waits(plan, Hold::Deploy) {
        found.push(Tell {
            who: "who deploys the application",
            what: "a deploy belongs between `ready` and contract".to_owned(),
        });
    }
    for step in steps() {
        for lock in step.locks.iter().filter(|lock| is_long(step, lock, around)) {
            let what = match lock.blocks {
                Blocks::Everything => "every query",
                Blocks::Writes => "every write",
                Blocks::Nothing => continue,
            };
            let time =
                most(step).map_or("for a time that can't be foreseen".to_owned(), |time| format!("for up to {time}"));
            found.push(Tell {
                who: "who owns the application",
                what: format!("step {}: {what} of {} waits {time}", step.number, lock.table),
            });
        }
    }
    let long = steps().filter(|step| !step.done && step.time.as_ref().is_some_and(|time| time.may_exceed(LONG)));
    for step in long.filter(|step| step.kind != "ddl") {
        let how = match most(step) {
            Some(time) => format!("may take up to {time}"),
            None => "takes a time that can't be foreseen".to_owned(),
        };
        let stop = match step.kind {
            "backfill" | "verify" => format!("; `crossfade pause {}` stops it at a safe point", plan.version),
            _ => String::new(),
        };
        found.push(Tell { who: "who is on call", what: format!("step {} {how}{stop}", step.number) });
    }
    if wal.most >= MUCH && around.replicas > 0 {
        let many =
            if around.replicas == 1 { "one receiver".to_owned() } else { format!("{} receivers", around.replicas) };
        found.push(Tell {
            who: "who looks after the replicas",
            what: format!(
                "{many} of the log will get {} of it; the throttle waits for replicas that fall behind",
                sizes(wal)
            ),
        });
    }
    let fills = plan.steps.iter().any(|step| matches!(step.action, Action::Backfill(_)));
    if wal.most >= MUCH && around.logical_slots > 0 && fills {
        found.push(Tell {
            who: "who reads the change stream",
            what: match around.logical_slots {
                1 => "a logical slot hands out every row that is filled".to_owned(),
                many => format!("{many} logical slots hand out every row that is filled"),
            },
        });
    }
    if disk.most >= MUCH {
        found.push(Tell {
            who: "who looks after the disk",
            what: format!("it needs {} of room for the data, and {} pass through the log", sizes(disk), sizes(wal)),
        });
    }
    found
}

fn most(step: &RunbookStep) -> Option<String> {
    let seconds = step.time.as_ref()?.most_seconds?;
    Some(match seconds {
        ..90.0 => format!("{} s", seconds.ceil()),
        90.0..5400.0 => format!("{} min", (seconds / 60.0).ceil()),
        _ => format!("{} h", (seconds / 3600.0).ceil()),
    })
}

fn sizes(bytes: Bytes) -> String {
    let gb = |bytes: u64| (bytes as f64 / (1u64 << 30) as f64 * 10.0).round() / 10.0;
    format!("{} to {} GB", gb(bytes.least), gb(bytes.most))
}

/// What to look at while it runs.
pub(super) fn watch(plan: &Plan, around: &Surroundings) -> Vec<Watch> {
    let command = |what, command: &str| Watch { what, command: Some(command.to_owned()), query: None };
    let query = |what, query| Watch { what, command: None, query: Some(query) };
    let any = |what: &dyn Fn(&Action) -> bool| plan.steps.iter().any(|step| what(&step.action));
    let mut found = vec![command("the step that it is at, its progress, and what it waits for", "crossfade status")];
    if any(&|action| matches!(action, Action::Backfill(_) | Action::Verify(_))) {
        found.push(command("what holds the chunks up, and what every signal says", "crossfade throttle"));
        found.push(command("to stop at the next safe point", &format!("crossfade pause {}", plan.version)));
    }
    if plan.steps.iter().any(|step| !step.locks.is_empty()) {
        found.push(query(
            "who waits for whom",
            sql!(
                "SELECT pid, pg_blocking_pids(pid), wait_event_type, state, now() - xact_start AS age, left(query, 60) FROM pg_stat_activity \
                 WHERE cardinality(pg_blocking_pids(pid)) > 0"
            ),
        ));
    }
    if any(&|action| matches!(action, Action::Concurrently(one) if matches!(one.probe, Probe::IndexIsValid { .. }))) {
        found.push(query(
            "how far an index is",
            sql!("SELECT relid::regclass, phase, blocks_done, blocks_total, lockers_done, lockers_total FROM pg_stat_progress_create_index"),
        ));
    }
    if any(&|action| matches!(action, Action::Concurrently(_))) {
        found.push(query(
            "old transactions, which CONCURRENTLY waits for",
            sql!("SELECT pid, application_name, state, now() - xact_start AS age FROM pg_stat_activity WHERE xact_start IS NOT NULL ORDER BY xact_start LIMIT 10"),
        ));
    }
    if around.replicas > 0 && any(&|action| matches!(action, Action::Backfill(_) | Action::Concurrently(_))) {
        found.push(query(
            "how far replicas are behind",
            sql!("SELECT application_name, client_addr, state, replay_lag, pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) AS bytes FROM pg_stat_replication"),
        ));
    }
    found
}
