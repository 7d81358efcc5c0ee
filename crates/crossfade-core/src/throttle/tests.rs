//! Rules of the decision, over samples that chance makes; and the calendar on its difficult days.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn sample(at: Duration, readings: Vec<Reading>) -> Sample {
    let mut covers: Vec<Signal> = readings.iter().map(|reading| reading.signal).collect();
    covers.sort_unstable();
    covers.dedup();
    Sample { covers, at, readings, error: None }
}

fn lag(value: f64) -> Reading {
    Reading::value(Signal::ReplicaLag, "a", value, 5.0, format!("standby a is {value} s behind"))
}

fn commit(share_of_limit: f64) -> Reading {
    Reading::value(Signal::Commit, "", share_of_limit * 0.05, 0.05, "commits")
}

/// What is fed to a throttle once a second: nothing measured, or a value as a share of the limit.
fn feed() -> impl Strategy<Value = Vec<(Option<f64>, f64)>> {
    let budget = prop_oneof![1 => Just(None), 6 => (0.0..2.0f64).prop_map(Some)];
    prop::collection::vec((budget, 0.0..2.0f64), 1..120)
}

fn budget(share: Option<f64>) -> Reading {
    match share {
        Some(share) => lag(share * 5.0),
        None => Reading::unmeasurable(Signal::ReplicaLag, "a", "no rights"),
    }
}

proptest! {
    #[test]
    fn waits_at_once_and_goes_on_only_after_two_calm_samples(feed in feed()) {
        let mut throttle = Throttle::new(Work::Writes);
        let mut calm = 2;
        for (turn, (share, load)) in feed.iter().enumerate() {
            let now = s(turn as u64);
            let verdict = throttle.decide(now, &[sample(now, vec![budget(*share), commit(*load)])], 1.0);
            match share {
                Some(share) if *share > 1.0 => calm = 0,
                None => calm = 0,
                Some(share) if *share <= 0.8 => calm += 1,
                // Between: where it waits it goes on waiting, where it does not it goes on working.
                Some(_) => calm = if calm >= 2 { 2 } else { 0 },
            }
            prop_assert_eq!(verdict.pause.is_none(), calm >= 2, "turn {}: {:?}", turn, verdict);
        }
    }

    #[test]
    fn the_duty_stays_within_its_bounds(feed in feed(), cap in 0.01..1.0f64) {
        let mut throttle = Throttle::new(Work::Writes);
        let mut before: Option<f64> = None;
        for (turn, (share, load)) in feed.iter().enumerate() {
            let now = s(turn as u64);
            let verdict = throttle.decide(now, &[sample(now, vec![budget(*share), commit(*load)])], cap);
            prop_assert!(verdict.duty >= cap.min(0.05) && verdict.duty <= cap, "{}", verdict.duty);
            if let Some(before) = before {
                prop_assert!(verdict.duty <= before * 1.1 + 1e-9, "it grew from {} to {}", before, verdict.duty);
            }
            before = Some(verdict.duty);
        }
    }

    #[test]
    fn load_takes_the_duty_back_and_calm_brings_it_back(load in 1.0..5.0f64, turns in 8u64..60) {
        let mut throttle = Throttle::new(Work::Writes);
        let mut duty = 0.7;
        for turn in 0..turns {
            let verdict = throttle.decide(s(turn), &[sample(s(turn), vec![commit(load)])], 0.7);
            prop_assert!(verdict.pause.is_none(), "load alone never stops it");
            prop_assert!(verdict.duty < duty || duty == 0.05);
            duty = verdict.duty;
        }
        prop_assert_eq!(duty, 0.05);
        for turn in turns..turns + 14 {
            let verdict = throttle.decide(s(turn), &[sample(s(turn), vec![commit(0.0)])], 0.7);
            prop_assert!(verdict.duty <= 0.05, "not before it has cooled down");
        }
        for turn in turns + 14..turns + 120 {
            duty = throttle.decide(s(turn), &[sample(s(turn), vec![commit(0.0)])], 0.7).duty;
        }
        prop_assert_eq!(duty, 0.7);
    }
}

#[test]
fn a_silent_budget_waits_and_a_silent_load_is_no_reason_to_move() {
    let mut throttle = Throttle::new(Work::Writes);
    let quiet = [sample(s(0), vec![lag(0.0)]), sample(s(0), vec![commit(0.0)])];
    assert_eq!(throttle.decide(s(15), &quiet, 0.7).pause, None);
    let verdict = throttle.decide(s(16), &quiet, 0.7);
    let reason = verdict.pause.map(|pause| pause.reason);
    assert_eq!(reason.as_deref(), Some("replica_lag can't be measured: no answer for 15 s"));
    // It answers again: two samples later the work goes on.
    assert!(throttle.decide(s(17), &[sample(s(17), vec![lag(0.0)])], 0.7).pause.is_some());
    assert!(throttle.decide(s(18), &[sample(s(18), vec![lag(0.0)])], 0.7).pause.is_none());

    let mut throttle = Throttle::new(Work::Writes);
    let stale = [sample(s(0), vec![commit(3.0)])];
    for at in 16..60 {
        assert_eq!(throttle.decide(s(at), &stale, 0.7).duty, 0.7);
    }
}

#[test]
fn a_pause_is_told_with_its_reason_and_what_else_there_is() {
    let mut throttle = Throttle::new(Work::Writes);
    throttle.decide(s(1), &[sample(s(1), vec![lag(7.0)])], 0.7);
    let slot = Reading::value(Signal::Slots, "d", 3e9, 1_073_741_824.0, "slot d retains 2861 MB");
    let pause = throttle.decide(s(2), &[sample(s(2), vec![lag(8.0), slot])], 0.7).pause.expect("it waits");
    assert_eq!((pause.signal, pause.scope.as_str(), pause.since), (Signal::ReplicaLag, "a", s(1)));
    assert_eq!(pause.reason, "standby a is 8 s behind (limit 5.0 s)");
    assert_eq!(pause.others, ["slot d retains 2861 MB (limit 1GB)"]);
}

#[test]
fn the_work_comes_back_slowly_after_the_server_was_in_trouble() {
    let mut throttle = Throttle::new(Work::Writes);
    throttle.decide(s(0), &[sample(s(0), vec![lag(9.0)])], 0.7);
    throttle.decide(s(1), &[sample(s(1), vec![lag(0.0)])], 0.7);
    let verdict = throttle.decide(s(2), &[sample(s(2), vec![lag(0.0)])], 0.7);
    assert_eq!((verdict.pause, verdict.duty), (None, 0.25));

    // A person's pause is no trouble, and ends with the first sample that says so.
    let asked = |at, paused| sample(at, vec![Reading::condition(Signal::Request, "", paused, "asked")]);
    let mut throttle = Throttle::new(Work::Writes);
    assert!(throttle.decide(s(0), &[asked(s(0), true)], 0.7).pause.is_some());
    let verdict = throttle.decide(s(1), &[asked(s(1), false)], 0.7);
    assert_eq!((verdict.pause, verdict.duty), (None, 0.7));
}

#[test]
fn the_duty_follows_what_is_allowed_unless_load_holds_it_down() {
    let mut throttle = Throttle::new(Work::Writes);
    let mut at = 0;
    let mut duty = |load: f64, cap: f64| {
        at += 1;
        throttle.decide(s(at), &[sample(s(at), vec![commit(load)])], cap).duty
    };
    assert_eq!([duty(0.5, 0.7), duty(0.5, 0.02), duty(0.5, 0.9)], [0.7, 0.02, 0.9]);
    assert!(duty(9.0, 0.9) < 0.9);
    assert!(duty(0.5, 1.0) < 0.9, "it was taken back, and what is allowed is not what is good");
}

#[test]
fn what_only_reads_does_not_wait_for_what_a_wait_can_not_better() {
    for signal in Signal::ALL.into_iter().filter(|signal| signal.kind() == Kind::Budget) {
        let mut throttle = Throttle::new(Work::Reads);
        let bad = sample(s(0), vec![Reading::value(signal, "", 2.0, 1.0, "bad")]);
        let waits = throttle.decide(s(0), &[bad], 1.0).pause.is_some();
        assert_eq!(waits, signal.counts_for(Work::Reads), "{}", signal.name());
    }
    assert!(!Signal::ReplicaLag.counts_for(Work::Reads) && Signal::Window.counts_for(Work::Reads));
}

#[test]
fn what_is_switched_off_or_gone_does_not_hold_the_work_up() {
    let mut throttle = Throttle::new(Work::Writes);
    assert!(throttle.decide(s(0), &[sample(s(0), vec![lag(9.0)])], 0.7).pause.is_some());
    assert!(throttle.decide(s(1), &[sample(s(1), vec![commit(0.0)])], 0.7).pause.is_none(), "switched off");

    assert!(throttle.decide(s(2), &[sample(s(2), vec![lag(9.0)])], 0.7).pause.is_some());
    let nobody = |at| Sample { covers: vec![Signal::ReplicaLag], at, readings: Vec::new(), error: None };
    assert!(throttle.decide(s(3), &[nobody(s(3))], 0.7).pause.is_some(), "one look is not enough");
    assert!(throttle.decide(s(4), &[nobody(s(4))], 0.7).pause.is_none());
}

#[test]
fn a_sample_counts_once() {
    let mut throttle = Throttle::new(Work::Writes);
    throttle.decide(s(0), &[sample(s(0), vec![lag(9.0)])], 0.7);
    let calm = [sample(s(1), vec![lag(0.0)])];
    for at in 1..10 {
        assert!(throttle.decide(s(at), &calm, 0.7).pause.is_some(), "the same sample again is no second one");
    }
}

#[test]
fn a_critical_signal_ends_the_run_when_it_comes_twice() {
    let critical = |at, value| sample(at, vec![Reading::condition(Signal::Critical, "", value, "the disk is full")]);
    let mut throttle = Throttle::new(Work::Writes);
    assert_eq!(throttle.decide(s(0), &[critical(s(0), true)], 0.7).stop, None);
    assert_eq!(throttle.decide(s(2), &[critical(s(2), true)], 0.7).stop, None);
    assert_eq!(throttle.decide(s(3), &[critical(s(3), true)], 0.7).stop.as_deref(), Some("the disk is full"));

    let mut throttle = Throttle::new(Work::Writes);
    for at in 0..20 {
        assert_eq!(throttle.decide(s(at), &[critical(s(at), at % 2 == 0)], 0.7).stop, None, "never twice in a row");
    }
}

/// Seconds since 1970 of a moment in UTC.
fn utc(text: &str) -> Duration {
    let moment: jiff::Timestamp = text.parse().expect("a moment");
    s(moment.as_second().unsigned_abs())
}

#[test]
fn windows_go_by_the_clock_on_the_wall() {
    let check = |window: &str, moment: &str, open: bool| {
        let window = Window::parse(window).expect("a window");
        assert_eq!(window.is_open(utc(moment)), open, "{window} at {moment}");
    };
    check("01:00-05:00 Europe/Berlin", "2026-01-10T00:00:00Z", true);
    check("01:00-05:00 Europe/Berlin", "2026-01-10T04:00:00Z", false);
    check("01:00-05:00 Europe/Berlin", "2026-07-10T03:00:00Z", false);
    check("01:00-05:00 Europe/Berlin", "2026-07-09T23:00:00Z", true);
    check("22:00-04:00", "2026-07-09T23:30:00Z", true);
    check("22:00-04:00", "2026-07-09T03:59:59Z", true);
    check("22:00-04:00", "2026-07-09T04:00:00Z", false);
    check("0:00-24:00", "2026-07-09T23:59:59Z", true);
    // The hour between 2 and 3 that comes twice, and the one that does not come.
    check("02:00-03:00 Europe/Berlin", "2026-10-25T00:30:00Z", true);
    check("02:00-03:00 Europe/Berlin", "2026-10-25T01:30:00Z", true);
    check("02:00-03:00 Europe/Berlin", "2026-10-25T02:00:00Z", false);
    check("02:00-03:00 Europe/Berlin", "2026-03-29T00:59:59Z", false);
    check("02:00-03:00 Europe/Berlin", "2026-03-29T01:00:00Z", false);
}

#[test]
fn blackouts_are_whole_days_where_they_are_meant() {
    let christmas = Blackout::parse("2026-12-24..2026-12-26 Europe/Berlin").expect("days");
    assert!(!christmas.is_on(utc("2026-12-23T22:59:59Z")));
    assert!(christmas.is_on(utc("2026-12-23T23:00:00Z")) && christmas.is_on(utc("2026-12-26T22:59:59Z")));
    assert!(!christmas.is_on(utc("2026-12-26T23:00:00Z")));
    assert_eq!(Blackout::parse("2026-12-24").map(|day| day.to_string()).as_deref(), Ok("2026-12-24 UTC"));
}

#[test]
fn the_reason_says_when_it_opens() {
    let mut settings = Settings::default();
    settings.set_text(Key::Window, "22:00-04:00 Europe/Berlin").expect("a window");
    settings.set_text(Key::Blackout, "2026-12-24..2026-12-26 Europe/Berlin").expect("days");
    let text = |moment: &str| {
        let readings = look_at_the_calendar(&settings, utc(moment));
        readings.iter().filter(|reading| reading.is_over()).map(|reading| reading.text.clone()).collect::<Vec<_>>()
    };
    let outside = "outside of the window 22:00-04:00 Europe/Berlin; it opens at ";
    assert_eq!(text("2026-07-10T12:00:00Z"), [format!("{outside}2026-07-10 22:00 CEST")]);
    assert_eq!(text("2026-12-23T20:00:00Z"), [format!("{outside}2026-12-23 22:00 CET")]);
    let days = "nothing is to run on 2026-12-24..2026-12-26 Europe/Berlin";
    assert_eq!(text("2026-12-24T12:00:00Z"), [days.to_owned(), format!("{outside}2026-12-27 22:00 CET")]);
    assert_eq!(text("2026-12-25T22:00:00Z"), [days], "the window is open, the day is not");
    assert!(text("2026-07-10T20:00:00Z").is_empty());
}

#[test]
fn settings_are_read_and_shown() {
    let mut settings = Settings::default();
    let mut say = |key: &str, text: &str| {
        let key = Key::by_name(key).expect("a key");
        settings.set_text(key, text).map(|()| settings.show(key))
    };
    let ok = |text: &str| Ok(text.to_owned());
    assert_eq!(say("replica_lag", "1500ms"), ok("1500ms"));
    assert_eq!(say("replica_bytes", "off"), ok("off"));
    assert_eq!(say("replicas", "a, b"), ok("a, b"));
    assert_eq!(say("dead_tuples", "20%"), ok("0.2"));
    assert_eq!(say("window", "1:00-5:00, 12:00-13:00 Europe/Berlin"), ok("01:00-05:00 UTC, 12:00-13:00 Europe/Berlin"));
    assert_eq!(say("window", "off"), ok("off"));
    assert_eq!(say("query", "SELECT a, b"), ok("SELECT a, b"));
    assert_eq!(say("duty", "0.5"), ok("0.5"));
    for (key, text, why) in [
        ("duty", "0", "duty is 0: it is a share of the time, above 0 and up to 1"),
        ("duty", "off", "duty is off: it is a share of the time, above 0 and up to 1"),
        ("replica_lag", "5", "\"5\" has no unit"),
        ("waiters", "-1", "\"-1\" is no whole number"),
        ("http", "example.org", "\"example.org\" is no address: it begins with http:// or https://"),
        ("window", "01:00-05:00 Mars/Olympus", "\"Mars/Olympus\" is no time zone"),
        ("window", "01:00-01:00", "the window \"01:00-01:00\" is never open"),
        ("window", "25:00-05:00", "\"25:00-05:00\" is no window: it is written as \"01:00-05:00 Europe/Berlin\""),
        ("blackout", "2026-12-26..2026-12-24", "the blackout \"2026-12-26..2026-12-24\" ends before it begins"),
        (
            "blackout",
            "2026-13-01",
            "\"2026-13-01\" is no blackout: it is written as \"2026-12-24..2026-12-26 Europe/Berlin\"",
        ),
    ] {
        assert_eq!(say(key, text), Err(why.to_owned()));
    }
    assert!(settings.is_said(Key::ReplicaLag) && !settings.is_said(Key::Slots));
}
