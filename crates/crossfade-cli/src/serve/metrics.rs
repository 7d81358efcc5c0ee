//! What Prometheus scrapes, from the last look: names and units by its conventions.
//!
//! Labels are bounded: states, signals and phases are closed sets; migrations are those in flight, and of them, and of replicas, no more than [`MOST`].

use std::fmt;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use crossfade::report::Flight;
use crossfade::report::Snapshot;
use crossfade_core::journal::State;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::encoding::text;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use prometheus_client::registry::Unit;

use super::Desk;
use super::Verified;
use super::verifying::Found;
use crate::sight::Sight;

/// So many migrations in flight, and so many replicas, have lines of their own.
const MOST: usize = 50;

const PREFIX: &str = "crossfade";

/// Prometheus' own form, and that of OpenMetrics, which newer ones ask for.
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The text of all metrics, with its kind.
pub(super) fn text(desk: &Desk, open: bool) -> Result<(&'static str, String), fmt::Error> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let figures =
        Figures { sight: desk.sight(), verified: desk.verified(), actions: desk.counts.by_result().to_vec(), now };
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(figures));
    let mut out = String::new();
    if open {
        text::encode(&mut out, &registry)?;
    } else {
        prometheus_text::encode(&mut out, &registry)?;
    }
    Ok((if open { OPEN } else { PLAIN }, out))
}

/// Everything that is counted and measured at one moment.
#[derive(Debug)]
struct Figures {
    sight: Sight,
    verified: Option<Verified>,
    actions: Vec<(&'static str, u64)>,
    /// Seconds since 1970.
    now: f64,
}

/// One line of a metric.
type Line = (Vec<(&'static str, String)>, f64);

/// Writes metrics one after the other.
struct Writer<'a>(DescriptorEncoder<'a>);

impl Writer<'_> {
    /// What goes up and down.
    fn gauge(&mut self, name: &str, help: &str, unit: Option<&Unit>, lines: Vec<Line>) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (labels, value) in lines {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// What only grows; `_total` is put behind its name.
    fn counter(&mut self, name: &str, help: &str, unit: Option<&Unit>, lines: Vec<Line>) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, unit, MetricType::Counter)?;
        for (labels, value) in lines {
            metric
                .encode_family(&labels)?
                .encode_counter::<prometheus_client::encoding::NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }
}

fn alone(value: f64) -> Vec<Line> {
    vec![(Vec::new(), value)]
}

fn yes(yes: bool) -> f64 {
    if yes { 1.0 } else { 0.0 }
}

impl Collector for Figures {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut writer = Writer(encoder);
        self.own(&mut writer)?;
        self.of_verify(&mut writer)?;
        match &self.sight.seen {
            Some((_, snapshot)) => {
                of_migrations(snapshot, &mut writer)?;
                of_flights(snapshot, &mut writer)?;
                of_waits(snapshot, &mut writer)?;
                of_server(snapshot, &mut writer)
            }
            None => Ok(()),
        }
    }
}

impl Figures {
    /// Of the program itself.
    fn own(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        writer.gauge("build_info", "The version of this program, always 1", None, vec![(version, 1.0)])?;
        let up = self.sight.seen.is_some() && self.sight.failed.is_none();
        writer.gauge("up", "Whether the last look at the database succeeded", None, alone(yes(up)))?;
        let (done, failed) = self.sight.looks;
        let by = |result: &str, count: u64| (vec![("result", result.to_owned())], count as f64);
        let looks = vec![by("done", done), by("failed", failed)];
        writer.counter("looks", "Looks at the database, by what came of them", None, looks)?;
        let actions = self.actions.iter().map(|(result, count)| by(result, *count)).collect();
        writer.counter("actions", "Actions that were asked for, by what came of them", None, actions)?;
        let Some((_, snapshot)) = &self.sight.seen else { return Ok(()) };
        let seconds = Some(&Unit::Seconds);
        let help = "How long the last look at the database took";
        writer.gauge("look_duration", help, seconds, alone(snapshot.took_seconds))?;
        let age = self.sight.age().unwrap_or_default().as_secs_f64();
        let help = "When the database was last looked at with success, in seconds since 1970";
        writer.gauge("last_look_timestamp", help, seconds, alone(self.now - age))
    }
}

impl Figures {
    /// Of comparing old and new form, where it does.
    fn of_verify(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let by = |result: &str, count: u64| (vec![("result", result.to_owned())], count as f64);
        let rounds = self.verified.iter().flat_map(|verified| {
            let (done, failed) = verified.rounds;
            [by("done", done), by("failed", failed)]
        });
        let help = "Rounds of comparing old and new form, by what came of them";
        writer.counter("verify_rounds", help, None, rounds.collect())?;
        let waiting = || {
            let found = self.verified.iter().flat_map(|verified| &verified.found);
            found.filter(|(version, _)| self.sight.waits_for_deploy(version)).take(MOST)
        };
        let of = |value: &dyn Fn(&Found) -> f64| -> Vec<Line> {
            waiting().map(|(version, found)| (vec![("migration", version.clone())], value(found))).collect()
        };
        let help = "Rows in which old and new form differed when they were last compared";
        writer.gauge("verify_differing_rows", help, None, of(&|found| found.differing as f64))?;
        let help = "Rows that were read when old and new form were last compared";
        writer.gauge("verify_compared_rows", help, None, of(&|found| found.rows as f64))?;
        let help = "When old and new form were last compared, in seconds since 1970";
        let at = of(&|found| self.now - found.at.elapsed().as_secs_f64());
        writer.gauge("verify_last_timestamp", help, Some(&Unit::Seconds), at)
    }
}

/// Of all migrations of the folder and the journal.
fn of_migrations(snapshot: &Snapshot, writer: &mut Writer<'_>) -> fmt::Result {
    let status = &snapshot.status;
    let count = |state: State| status.migrations.iter().filter(|migration| migration.state == state).count() as f64;
    let lines = State::ALL.map(|state| (vec![("state", state.name().to_owned())], count(state))).to_vec();
    writer.gauge("migrations", "Migrations of the folder and the journal, by state", None, lines)?;
    let help = "Whether somebody runs a migration now";
    writer.gauge("runner_active", help, None, alone(yes(status.runner.is_some())))?;
    let help = "Differences between the files and the journal that stop a run";
    writer.gauge("problems", help, None, alone(status.problems.len() as f64))?;
    let help = "Hooks of crossfade.toml that have failed since they last worked";
    writer.gauge("failing_hooks", help, None, alone(snapshot.failing_hooks.len() as f64))
}

/// The lines of what each flight has.
fn each(flights: &[&Flight], value: impl Fn(&Flight) -> Option<f64>) -> Vec<Line> {
    let line = |flight: &&Flight| Some((vec![("migration", flight.key.clone())], value(flight)?));
    flights.iter().filter_map(line).collect()
}

/// Of each migration that was begun and is not over.
fn of_flights(snapshot: &Snapshot, writer: &mut Writer<'_>) -> fmt::Result {
    let flights: Vec<&Flight> = snapshot.flights.iter().take(MOST).collect();
    let info = flights.iter().map(|flight| {
        let phase = flight.step.as_ref().map_or("", |step| step.phase);
        let labels = vec![
            ("migration", flight.key.clone()),
            ("name", flight.name.clone()),
            ("state", flight.state.name().to_owned()),
            ("phase", phase.to_owned()),
        ];
        (labels, 1.0)
    });
    writer.gauge("migration_info", "Each migration in flight, always 1", None, info.collect())?;
    let of = |value: fn(&Flight) -> Option<f64>| each(&flights, value);
    let (seconds, ratio) = (Some(&Unit::Seconds), Unit::Other("ratio".to_owned()));
    let step = of(|flight| flight.step.as_ref().map(|step| step.number as f64));
    writer.gauge("migration_step", "The step that it is at, from 1", None, step)?;
    let steps = of(|flight| Some(flight.steps.len() as f64));
    writer.gauge("migration_steps", "Steps in all", None, steps)?;
    let paused = of(|flight| Some(yes(flight.is_paused_by_a_person())));
    writer.gauge("migration_paused", "Whether somebody asked it to pause", None, paused)?;
    let parked = of(|flight| Some(flight.parked as f64));
    writer.gauge("parked_rows", "Rows that are set aside because the server refuses their new value", None, parked)?;
    let unused = of(|flight| Some(flight.old_form.as_ref()?.last.as_ref()?.seconds_ago));
    let help = "How long ago the old form of what waits for its deploy was last seen in use";
    writer.gauge("old_form_unused", help, seconds, unused)?;
    let obstacles = of(|flight| flight.old_form.as_ref().map(|old| old.reasons as f64));
    writer.gauge("contract_obstacles", "Reasons for which contract would be refused now", None, obstacles)?;
    let rows = of(|flight| flight.progress.as_ref().map(|progress| progress.rows as f64));
    writer.counter("backfill_rows", "Rows that the step at work has filled", None, rows)?;
    let rows = of(|flight| flight.progress.as_ref().map(|progress| progress.estimated_rows as f64));
    writer.gauge("backfill_estimated_rows", "Rows in all, as the statistics have it", None, rows)?;
    let blocks = of(|flight| flight.blocks.map(|blocks| blocks.done as f64));
    writer.counter("backfill_blocks", "Blocks that the step at work has swept", None, blocks)?;
    let blocks = of(|flight| flight.blocks.map(|blocks| blocks.all as f64));
    writer.gauge("backfill_blocks_all", "Blocks in all of the relations that were begun", None, blocks)?;
    let fraction = of(|flight| flight.progress.as_ref().map(|progress| progress.fraction));
    writer.gauge("backfill_progress", "How much is swept, 0 to 1", Some(&ratio), fraction)?;
    let left = of(|flight| {
        let progress = flight.progress.as_ref()?;
        progress.eta_with_pauses_seconds.or(progress.eta_seconds)
    });
    writer.gauge("backfill_remaining", "Time left at the pace so far, pauses counted in", seconds, left)
}

/// Of what holds them up.
fn of_waits(snapshot: &Snapshot, writer: &mut Writer<'_>) -> fmt::Result {
    let flights = || snapshot.flights.iter().take(MOST);
    let labels = |flight: &Flight, signal: &str| vec![("migration", flight.key.clone()), ("signal", signal.to_owned())];
    let waiting = flights().filter_map(|flight| Some((labels(flight, &flight.pause.as_ref()?.signal), 1.0)));
    writer.gauge("throttle_waiting", "What it waits for now, 1 each", None, waiting.collect())?;
    // Of several replicas or slots the time is added up: their names are no label here.
    let mut waited: Vec<(Line, f64)> = Vec::new();
    for flight in flights() {
        for one in &flight.waited {
            let labels = labels(flight, &one.signal);
            match waited.iter_mut().find(|((known, _), _)| *known == labels) {
                Some(((_, seconds), times)) => {
                    *seconds += one.seconds;
                    *times += one.times as f64;
                }
                None => waited.push(((labels, one.seconds), one.times as f64)),
            }
        }
    }
    let times = waited.iter().map(|((labels, _), times)| (labels.clone(), *times)).collect();
    writer.counter("throttle_waits", "How often the step at work has waited", None, times)?;
    let seconds = waited.into_iter().map(|(line, _)| line).collect();
    writer.counter("throttle_wait", "How long the step at work has waited", Some(&Unit::Seconds), seconds)?;
    let ratio = Unit::Other("ratio".to_owned());
    let help = "The share of the time that filling may take at most";
    writer.gauge("throttle_duty", help, Some(&ratio), alone(snapshot.duty))?;
    let signals = snapshot.signals.iter().filter(|signal| signal.over && signal.error.is_none());
    let mut over: Vec<&str> = signals.map(|signal| signal.signal).collect();
    over.sort_unstable();
    over.dedup();
    let over = over.into_iter().map(|signal| (vec![("signal", signal.to_owned())], 1.0)).collect();
    writer.gauge("signal_over_limit", "Signals of the server that are over their limit, 1 each", None, over)
}

/// Of the server and its other sessions.
fn of_server(snapshot: &Snapshot, writer: &mut Writer<'_>) -> fmt::Result {
    let (seconds, bytes) = (Some(&Unit::Seconds), Some(&Unit::Bytes));
    let replicas = |value: fn(&crossfade::report::ReplicaReport) -> Option<f64>| {
        let line = |replica: &crossfade::report::ReplicaReport| {
            Some((vec![("replica", replica.name.clone())], value(replica)?))
        };
        snapshot.replicas.iter().take(MOST).filter_map(line).collect::<Vec<Line>>()
    };
    let help = "How far a replica is behind in time";
    writer.gauge("replica_lag", help, seconds, replicas(|replica| replica.lag_seconds))?;
    let help = "How much of the log a replica lacks";
    writer.gauge("replica_lag", help, bytes, replicas(|replica| replica.lag_bytes.map(|lag| lag as f64)))?;
    let commit = snapshot.commit_seconds.map(alone).unwrap_or_default();
    writer.gauge("commit_duration", "How long the last commit took that the runner has measured", seconds, commit)?;
    let oldest = snapshot.oldest_transaction_seconds.map(alone).unwrap_or_default();
    let help = "How long the oldest transaction has held a snapshot";
    writer.gauge("oldest_transaction_age", help, seconds, oldest)?;
    let waits = |ours: bool| snapshot.lock_waits.iter().filter(move |wait| wait.waiter.ours == ours);
    let by = |ours: bool| vec![("waiter", if ours { "crossfade" } else { "other" }.to_owned())];
    let counts = [true, false].map(|ours| (by(ours), waits(ours).count() as f64)).to_vec();
    let help = "Sessions that wait for a lock, where a migration's table or a session of Crossfade's is part of it";
    writer.gauge("lock_waiters", help, None, counts)?;
    let longest = |ours: bool| waits(ours).map(|wait| wait.seconds).fold(0.0, f64::max);
    let longest = [true, false].map(|ours| (by(ours), longest(ours))).to_vec();
    writer.gauge("lock_wait_longest", "How long the longest of them has waited", seconds, longest)
}
