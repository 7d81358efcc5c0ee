//! The figures as tables in Markdown: each beside its bar, then every way beside the others, then what stands behind single figures.

use crate::change::CHANGES;
use crate::clients::CLIENTS;
use crate::clients::Latency;
use crate::clients::RATE;
use crate::figures::CUT;
use crate::figures::Figures;
use crate::figures::OfChange;
use crate::figures::median;
use crate::measure::Measured;
use crate::measure::Own;
use crate::way::Way;

const ONE: Way = Way::Crossfade { workers: 1 };
const TWO: Way = Way::Crossfade { workers: 2 };

/// A figure that has a bar: one value a change.
struct Barred {
    figure: String,
    limit: f64,
    values: Vec<Option<f64>>,
    show: fn(f64) -> String,
}

/// All tables.
pub fn tables(figures: &Figures) -> String {
    format!("{}\n{}\n{}", bars(figures), ways(figures), details(figures))
}

fn bars(figures: &Figures) -> String {
    let heads = figures.changes.iter().map(|of| of.change.title.to_owned());
    let mut lines =
        vec![row(["figure".to_owned(), "bar".to_owned()].into_iter().chain(heads).chain(["met".to_owned()]))];
    lines.push(rule(3 + figures.changes.len()));
    for barred in barred(figures) {
        let met: Vec<&str> = barred.values.iter().flatten().map(|value| yes(*value <= barred.limit)).collect();
        let values = barred.values.iter().map(|value| value.map_or_else(|| "–".to_owned(), barred.show));
        let first = [barred.figure, format!("≤ {}", (barred.show)(barred.limit))];
        lines.push(row(first.into_iter().chain(values).chain([met.join(", ")])));
    }
    text(lines)
}

fn barred(figures: &Figures) -> Vec<Barred> {
    let each = |value: &dyn Fn(&OfChange) -> Option<f64>| figures.changes.iter().map(value).collect::<Vec<_>>();
    let worst = |value: &dyn Fn(Way) -> Option<f64>| EACH.iter().filter_map(|way| value(*way)).reduce(f64::max);
    let first_only = |value: Option<f64>| {
        let others = CHANGES.iter().skip(1).map(|_| None);
        [value].into_iter().chain(others).collect::<Vec<_>>()
    };
    vec![
        Barred {
            figure: "time of the fill, 1 worker / one UPDATE".to_owned(),
            limit: 0.7,
            values: each(&|of| of.ratio(ONE, |run| run.fill)),
            show: ratio,
        },
        Barred {
            figure: "time of the fill, 2 workers / one UPDATE".to_owned(),
            limit: 0.5,
            values: each(&|of| of.ratio(TWO, |run| run.fill)),
            show: ratio,
        },
        Barred {
            figure: "growth of table and indexes (the new values included)".to_owned(),
            limit: 1.15,
            values: each(&|of| worst(&|way| of.typical(way, |run| run.growth))),
            show: growth,
        },
        Barred {
            figure: "WAL of the fill / one UPDATE".to_owned(),
            limit: 0.65,
            values: each(&|of| worst(&|way| of.ratio(way, |run| run.wal))),
            show: ratio,
        },
        Barred {
            figure: format!("p99 of {CLIENTS} clients during the fill / before it"),
            limit: 1.5,
            values: first_only(median(figures.latency.iter().map(|met| met.during_ms / met.before_ms).collect())),
            show: ratio,
        },
        Barred {
            figure: "longest transaction (VACUUM left out)".to_owned(),
            limit: 500.0,
            values: each(&|of| figures.own(of).map(|own| own.seen.longest_of_all()).reduce(f64::max)),
            show: milliseconds,
        },
        Barred {
            figure: "time of the fill for 10 times the rows, 2 workers".to_owned(),
            limit: 11.0,
            values: each(&|of| Some(of.typical(TWO, |run| run.fill)? / of.tenth.fill)),
            show: times,
        },
        Barred {
            figure: "peak memory of the process".to_owned(),
            limit: 64.0,
            values: each(&|of| figures.own(of).map(|own| own.peak_kb as f64 / 1024.0).reduce(f64::max)),
            show: megabytes,
        },
    ]
}

const EACH: [Way; 2] = [ONE, TWO];

fn ways(figures: &Figures) -> String {
    let heads = [
        "change",
        "way",
        "fill",
        "/ one UPDATE",
        "whole command",
        "/ one UPDATE",
        "growth",
        "WAL of the fill",
        "/ one UPDATE",
        "WAL of the command",
        "/ one UPDATE",
        "HOT",
    ];
    let mut lines = vec![row(heads.map(str::to_owned)), rule(heads.len())];
    for of in &figures.changes {
        let title = of.change.title.to_owned();
        for way in of.ways() {
            lines.push(way_row(of, way));
        }
        let least = ["written anew".to_owned()].into_iter().chain((0..4).map(|_| String::new()));
        let rest = [growth(of.anew)].into_iter().chain((0..5).map(|_| String::new()));
        lines.push(row([title].into_iter().chain(least).chain(rest)));
    }
    text(lines)
}

fn way_row(of: &OfChange, way: Way) -> String {
    // What was cut off took longer than that, and wrote more.
    let cut = of.runs().any(|run| run.way == way && run.cut_at.is_some());
    let more = if cut { "> " } else { "" };
    let typical = |figure: fn(&Measured) -> f64, show: fn(f64) -> String| {
        of.typical(way, figure).map_or_else(String::new, |value| format!("{more}{}", show(value)))
    };
    let compared = |figure: fn(&Measured) -> f64| {
        of.ratio(way, figure).map_or_else(String::new, |value| format!("{more}{}", ratio(value)))
    };
    row([
        of.change.title.to_owned(),
        way.title(),
        typical(|run| run.fill, seconds),
        compared(|run| run.fill),
        typical(|run| run.command, seconds),
        compared(|run| run.command),
        typical(|run| run.growth, growth),
        typical(|run| run.wal / 1_048_576.0, megabytes),
        compared(|run| run.wal),
        typical(|run| run.wal_command / 1_048_576.0, megabytes),
        compared(|run| run.wal_command),
        of.typical(way, |run| run.hot * 100.0).map_or_else(String::new, percent),
    ])
}

fn details(figures: &Figures) -> String {
    let mut lines = Vec::new();
    for of in &figures.changes {
        let column = of.change.column;
        lines.extend(transactions(column, figures.own(of).collect()));
        for way in EACH {
            let tidy = of.typical(way, |run| run.own.as_ref().map_or(0.0, |own| own.step - run.fill));
            if let Some(tidy) = tidy {
                lines.push(format!(
                    "- {column}, {}: {} of the whole command are ANALYZE and VACUUM of the filled table",
                    way.title(),
                    seconds(tidy)
                ));
            }
        }
        lines.push(format!("- {column}, a tenth of the rows, 2 workers: fill {}", seconds(of.tenth.fill)));
        for run in of.runs() {
            if let Some(done) = run.cut_at {
                lines.push(format!(
                    "- {column}, {}: ended after {CUT} times the time of one UPDATE, with {} of the rows filled",
                    run.way.title(),
                    percent(done * 100.0)
                ));
            }
        }
    }
    lines.extend((1..).zip(&figures.latency).map(|(turn, met)| latency(turn, met)));
    text(lines)
}

fn transactions(column: &str, runs: Vec<&Own>) -> Option<String> {
    let longest = runs.iter().max_by(|one, other| one.seen.longest_ms.total_cmp(&other.seen.longest_ms))?;
    let most = |figure: fn(&Own) -> f64| milliseconds(runs.iter().map(|own| figure(own)).fold(0.0, f64::max));
    Some(format!(
        "- {column}: the longest transaction during a fill took {}, the longest ANALYZE {}, the longest other one {} (`{}`)",
        most(|own| own.longest_chunk_ms),
        most(|own| own.seen.analyze_ms),
        milliseconds(longest.seen.longest_ms),
        longest.seen.longest_query.trim().replace('`', "'")
    ))
}

fn latency(turn: usize, met: &Latency) -> String {
    format!(
        "- clients, turn {turn}: {CLIENTS} clients, {RATE} transactions a second: p99 {:.1} ms of {} before, {:.1} ms of {} during the fill of {}; \
         longest transaction {}, ANALYZE {}; peak memory {}",
        met.before_ms,
        met.count.0,
        met.during_ms,
        met.count.1,
        seconds(met.fill),
        milliseconds(met.own.seen.longest_ms),
        milliseconds(met.own.seen.analyze_ms),
        megabytes(met.own.peak_kb as f64 / 1024.0)
    )
}

fn row(cells: impl IntoIterator<Item = String>) -> String {
    let cells: Vec<String> = cells.into_iter().collect();
    format!("| {} |", cells.join(" | "))
}

fn rule(cells: usize) -> String {
    row((0..cells).map(|_| "---".to_owned()))
}

fn text(lines: Vec<String>) -> String {
    lines.join("\n") + "\n"
}

fn yes(met: bool) -> &'static str {
    if met { "yes" } else { "no" }
}

fn ratio(value: f64) -> String {
    format!("{value:.2}")
}

fn growth(value: f64) -> String {
    format!("{:+.0} %", (value - 1.0) * 100.0)
}

fn times(value: f64) -> String {
    format!("{value:.1} times")
}

fn seconds(value: f64) -> String {
    format!("{value:.1} s")
}

fn milliseconds(value: f64) -> String {
    format!("{value:.0} ms")
}

fn megabytes(value: f64) -> String {
    format!("{value:.0} MB")
}

fn percent(value: f64) -> String {
    format!("{value:.0} %")
}
