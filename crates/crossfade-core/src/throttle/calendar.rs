//! Times of the day and days on which the work may run. The clock comes in as an argument.
//!
//! A window is open while a wall clock in its time zone shows a time between its two. That alone is right on the days on which clocks change: an
//! hour that comes twice is open twice, one that is left out never comes.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use jiff::Zoned;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::Reading;
use super::Settings;
use super::Signal;

const MINUTES_A_DAY: u16 = 24 * 60;

/// How many days a next opening is looked for.
const DAYS_AHEAD: i64 = 400;

/// A time of every day: `01:00-05:00 Europe/Berlin`, also over midnight.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// Minutes after midnight.
    from: u16,
    /// Minutes after midnight: open until there.
    to: u16,
    zone: TimeZone,
    zone_name: String,
}

/// Days on which nothing runs: `2026-12-24..2026-12-26 Europe/Berlin`, both included.
#[derive(Clone, Debug, PartialEq)]
pub struct Blackout {
    first: Date,
    last: Date,
    zone: TimeZone,
    zone_name: String,
}

fn zone(name: Option<&str>) -> Result<(TimeZone, String), String> {
    let Some(name) = name.map(str::trim).filter(|name| !name.is_empty()) else {
        return Ok((TimeZone::UTC, "UTC".to_owned()));
    };
    let zone = TimeZone::get(name).map_err(|_| format!("\"{name}\" is no time zone"))?;
    Ok((zone, name.to_owned()))
}

fn split_zone(text: &str) -> (&str, Option<&str>) {
    match text.trim().split_once(char::is_whitespace) {
        Some((first, rest)) => (first, Some(rest)),
        None => (text.trim(), None),
    }
}

fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.trim().split_once(':')?;
    if !(1..=2).contains(&hours.len()) || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    let at = hours * 60 + minutes;
    (minutes < 60 && at <= MINUTES_A_DAY).then_some(at)
}

fn at(zone: &TimeZone, since_epoch: Duration) -> Zoned {
    let seconds = i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX).to_zoned(zone.clone())
}

impl Window {
    /// Reads `01:00-05:00 Europe/Berlin`. Without a time zone it is UTC.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Window, String> {
        let (times, zone_text) = split_zone(text);
        let bad = || format!("\"{text}\" is no window: it is written as \"01:00-05:00 Europe/Berlin\"");
        let (from, to) = times.split_once('-').ok_or_else(bad)?;
        let (from, to) = (minutes(from).ok_or_else(bad)?, minutes(to).ok_or_else(bad)?);
        if from == to || from == MINUTES_A_DAY {
            return Err(format!("the window \"{text}\" is never open"));
        }
        let (zone, zone_name) = zone(zone_text)?;
        Ok(Window { from, to, zone, zone_name })
    }

    /// Whether it is open.
    pub fn is_open(&self, since_epoch: Duration) -> bool {
        let now = at(&self.zone, since_epoch);
        let minute = u16::from(now.hour().unsigned_abs()) * 60 + u16::from(now.minute().unsigned_abs());
        if self.from < self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }

    /// The moments of the next days at which it may open.
    fn openings(&self, since_epoch: Duration) -> impl Iterator<Item = Zoned> {
        let today = at(&self.zone, since_epoch).date();
        (0..DAYS_AHEAD).filter_map(move |day| {
            let date = today.checked_add(jiff::Span::new().days(day)).ok()?;
            let time = date.at((self.from / 60) as i8, (self.from % 60) as i8, 0, 0);
            // Where clocks leave this time out, the first moment behind the gap.
            self.zone.to_ambiguous_zoned(time).compatible().ok()
        })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from, self.to);
        write!(f, "{:02}:{:02}-{:02}:{:02} {}", from / 60, from % 60, to / 60, to % 60, self.zone_name)
    }
}

impl Blackout {
    /// Reads `2026-12-24..2026-12-26 Europe/Berlin`, or a single day. Without a time zone it is UTC.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Blackout, String> {
        let (days, zone_text) = split_zone(text);
        let bad = || format!("\"{text}\" is no blackout: it is written as \"2026-12-24..2026-12-26 Europe/Berlin\"");
        let (first, last) = days.split_once("..").unwrap_or((days, days));
        let day = |text: &str| -> Option<Date> { text.trim().parse().ok() };
        let (first, last) = (day(first).ok_or_else(bad)?, day(last).ok_or_else(bad)?);
        if first > last {
            return Err(format!("the blackout \"{text}\" ends before it begins"));
        }
        let (zone, zone_name) = zone(zone_text)?;
        Ok(Blackout { first, last, zone, zone_name })
    }

    /// Whether it is one of these days.
    pub fn is_on(&self, since_epoch: Duration) -> bool {
        let today = at(&self.zone, since_epoch).date();
        self.first <= today && today <= self.last
    }
}

impl fmt::Display for Blackout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{} {}", self.first, self.zone_name)
        } else {
            write!(f, "{}..{} {}", self.first, self.last, self.zone_name)
        }
    }
}

/// Windows and blackouts as readings: may the work run now?
pub fn look_at_the_calendar(settings: &Settings, since_epoch: Duration) -> Vec<Reading> {
    let mut readings = Vec::new();
    if !settings.blackout.is_empty() {
        let on = settings.blackout.iter().find(|blackout| blackout.is_on(since_epoch));
        let text = match on {
            Some(blackout) => format!("nothing is to run on {blackout}"),
            None => "no day without work".to_owned(),
        };
        readings.push(Reading::condition(Signal::Blackout, "", on.is_some(), text));
    }
    if !settings.window.is_empty() {
        let open = settings.window.iter().find(|window| window.is_open(since_epoch));
        let text = match open {
            Some(window) => format!("the window {window} is open"),
            None => outside(settings, since_epoch),
        };
        readings.push(Reading::condition(Signal::Window, "", open.is_none(), text));
    }
    readings
}

fn outside(settings: &Settings, since_epoch: Duration) -> String {
    let names = settings.window.iter().map(Window::to_string).collect::<Vec<_>>().join(", ");
    let now =
        Timestamp::from_second(i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX)).unwrap_or(Timestamp::MAX);
    let is_free = |moment: &Zoned| {
        let at = Duration::from_secs(moment.timestamp().as_second().unsigned_abs());
        moment.timestamp() > now && !settings.blackout.iter().any(|blackout| blackout.is_on(at))
    };
    let next = settings.window.iter().filter_map(|window| window.openings(since_epoch).find(is_free));
    match next.min_by_key(Zoned::timestamp) {
        Some(next) => format!("outside of the window {names}; it opens at {}", next.strftime("%Y-%m-%d %H:%M %Z")),
        None => format!("outside of the window {names}"),
    }
}
