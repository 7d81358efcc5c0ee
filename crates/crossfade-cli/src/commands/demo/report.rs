//! What the demo found: as a table with a verdict for people, as one document for programs.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::DemoArgs;
use super::people::count;
use super::people::rate;
use super::people::time;
use super::stats::PhaseStats;
use super::stats::Stats;

/// Grows when a reader could misread the document; fields are added freely.
const FORMAT: u32 = 1;

/// The document behind `--json`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    format: u32,
    naive: bool,
    rows: u32,
    apps: u32,
    server_version: u32,
    phases: Vec<Phase>,
    totals: Totals,
    /// The first few.
    lost_write_texts: Vec<String>,
    verdict: String,
}

#[derive(Clone, Debug, Serialize)]
struct Phase {
    scenario: &'static str,
    name: &'static str,
    seconds: f64,
    requests: u64,
    writes: u64,
    errors: u64,
    lost_writes: u64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    longest_lock_wait_ms: f64,
    longest_exclusive_lock_ms: f64,
    backfill_rows_per_second: Option<f64>,
    /// The first few different ones.
    error_texts: Vec<ErrorText>,
}

#[derive(Clone, Debug, Serialize)]
struct ErrorText {
    text: String,
    count: u64,
}

#[derive(Clone, Debug, Serialize)]
struct Totals {
    seconds: f64,
    requests: u64,
    writes: u64,
    errors: u64,
    lost_writes: u64,
    rows_checked: u64,
    max_ms: f64,
}

impl Report {
    /// From what was counted.
    pub fn new(args: &DemoArgs, server_version: u32, stats: &Stats, rows_checked: u64, took: Duration) -> Report {
        let phases: Vec<Phase> = stats.phases().iter().map(phase).collect();
        let sum = |of: fn(&Phase) -> u64| phases.iter().map(of).sum();
        let totals = Totals {
            seconds: round(took.as_secs_f64()),
            requests: sum(|phase| phase.requests),
            writes: sum(|phase| phase.writes),
            errors: sum(|phase| phase.errors),
            lost_writes: sum(|phase| phase.lost_writes),
            rows_checked,
            max_ms: phases.iter().map(|phase| phase.max_ms).fold(0.0, f64::max),
        };
        let verdict = verdict(args.naive, &totals);
        Report {
            format: FORMAT,
            naive: args.naive,
            rows: args.rows,
            apps: args.apps,
            server_version,
            phases,
            totals,
            lost_write_texts: stats.lost_texts(),
            verdict,
        }
    }

    /// With Crossfade nothing goes wrong; without it, something does.
    pub fn as_expected(&self) -> bool {
        self.naive == self.totals.went_wrong()
    }

    /// One document.
    pub fn json(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("text and numbers can always be written");
        text + "\n"
    }

    /// The table and the verdict, at most 100 columns wide.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut scenario = "";
        for phase in &self.phases {
            if phase.scenario != scenario {
                scenario = phase.scenario;
                text.push('\n');
                if self.naive {
                    push_line(&mut text, &format!("without Crossfade: {scenario}"));
                }
                for head in HEADS {
                    push_line(&mut text, &columns(head));
                }
            }
            push_line(&mut text, &phase.line());
        }
        push_line(&mut text, LEGEND);
        self.push_errors(&mut text);
        push_line(&mut text, &format!("\n{}", self.verdict));
        text
    }

    fn push_errors(&self, text: &mut String) {
        if self.totals.errors > 0 {
            push_line(text, "\nerrors that the applications got:");
        }
        for phase in &self.phases {
            for error in &phase.error_texts {
                push_line(text, &format!("  {:<15} {:>8} × {}", phase.name, count(error.count), error.text));
            }
        }
        if self.totals.lost_writes > 0 {
            push_line(text, "\nlost writes, the first few:");
        }
        for lost in &self.lost_write_texts {
            push_line(text, &format!("  {lost}"));
        }
    }
}

const HEADS: [[&str; 11]; 2] = [
    ["", "", "", "", "", "", "", "", "longest", "longest", ""],
    ["phase", "time", "requests", "errors", "lost", "p50", "p99", "max", "wait", "lock", "backfill"],
];

const LEGEND: &str = "\
lost: writes made in the phase and gone later. longest wait: of a client for a lock. longest lock:
ACCESS EXCLUSIVE, held on the table. Both as seen by looking every 20 ms; - is none seen.";

/// One line of the table: 98 columns.
fn columns(cells: [&str; 11]) -> String {
    let [name, took, requests, errors, lost, p50, p99, max, wait, lock, backfill] = cells;
    format!(
        "{name:<15} {took:>7} {requests:>9} {errors:>7} {lost:>6} {p50:>7} {p99:>7} {max:>7} {wait:>7} {lock:>7} \
         {backfill:>9}"
    )
}

impl Phase {
    fn line(&self) -> String {
        let seen = |ms: f64| if ms > 0.0 { time_of(ms) } else { "-".to_owned() };
        columns([
            self.name,
            &format!("{:.1} s", self.seconds),
            &count(self.requests),
            &count(self.errors),
            &count(self.lost_writes),
            &time_of(self.p50_ms),
            &time_of(self.p99_ms),
            &time_of(self.max_ms),
            &seen(self.longest_lock_wait_ms),
            &seen(self.longest_exclusive_lock_ms),
            &self.backfill_rows_per_second.map_or("-".to_owned(), rate),
        ])
    }
}

impl Totals {
    fn went_wrong(&self) -> bool {
        self.errors > 0 || self.lost_writes > 0
    }
}

fn phase(stats: &PhaseStats) -> Phase {
    let error_text = |(text, count): &(String, u64)| ErrorText { text: text.clone(), count: *count };
    let latency = |micros: u64| ms(Duration::from_micros(micros));
    Phase {
        scenario: stats.scenario,
        name: stats.name,
        seconds: round(stats.took.as_secs_f64()),
        requests: stats.requests,
        writes: stats.writes,
        errors: stats.errors,
        lost_writes: stats.lost_writes,
        p50_ms: latency(stats.latency.value_at_quantile(0.5)),
        p99_ms: latency(stats.latency.value_at_quantile(0.99)),
        max_ms: latency(stats.latency.max()),
        longest_lock_wait_ms: ms(stats.lock_wait),
        longest_exclusive_lock_ms: ms(stats.exclusive_lock),
        backfill_rows_per_second: stats.backfill.map(round),
        error_texts: stats.error_texts.iter().map(error_text).collect(),
    }
}

fn verdict(naive: bool, totals: &Totals) -> String {
    let (requests, writes) = (count(totals.requests), count(totals.writes));
    let (errors, lost) = (count(totals.errors), count(totals.lost_writes));
    let longest = time_of(totals.max_ms);
    match (naive, totals.went_wrong()) {
        (false, false) => format!(
            "The column is renamed. {requests} requests, {writes} of them writes: no error, no lost write.\n\
             The slowest request took {longest}. All {} rows are right.",
            count(totals.rows_checked)
        ),
        (false, true) => format!("FAILED: {errors} errors and {lost} lost writes in {requests} requests."),
        (true, true) => format!(
            "An outage: {errors} of {requests} requests failed, {lost} writes were lost, and the slowest request took\n\
             {longest}. Run crossfade demo without --naive for the same change without any of it."
        ),
        (true, false) => format!("No outage was seen in {requests} requests; try more rows or more apps."),
    }
}

fn push_line(text: &mut String, line: &str) {
    writeln!(text, "{}", line.trim_end()).expect("a String takes everything");
}

fn time_of(ms: f64) -> String {
    time(super::seconds(ms / 1000.0))
}

fn ms(time: Duration) -> f64 {
    round(time.as_secs_f64() * 1000.0)
}

/// Three digits after the point are what is measured.
fn round(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}
