//! The version behind the newest, in the style of those that are there.

use std::time::Duration;

use super::layout::Layout;
use super::version::VersionKey;
use super::version::date_with_dashes;

/// How versions are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// A number of at least so many digits.
    Number(usize),
    /// `20240131235959`, or as many digits of it, with thousandths where there are more.
    Time(usize),
    /// `2024-01-31-235959`.
    DashedTime,
    /// Seconds since 1970, or thousandths of them.
    Epoch { thousandths: bool },
}

/// The version behind all of these; `now` is the time since 1970.
pub(super) fn next_version<'v>(layout: Layout, versions: impl Iterator<Item = &'v str>, now: Duration) -> String {
    let Some(newest) = versions.max_by_key(|version| VersionKey::of(version)) else { return first(layout, now) };
    let Some(style) = style_of(newest) else { return last_part_incremented(newest) };
    let by_time = written(style, now);
    match by_time {
        Some(version) if VersionKey::of(&version) > VersionKey::of(newest) => version,
        Some(_) | None => last_part_incremented(newest),
    }
}

fn first(layout: Layout, now: Duration) -> String {
    let style = match layout {
        Layout::Plain | Layout::Tern | Layout::Sqitch => Style::Number(3),
        Layout::Flyway | Layout::Refinery => Style::Number(1),
        Layout::Graphile => Style::Number(6),
        Layout::UpDown
        | Layout::Dbmate
        | Layout::Goose
        | Layout::SqlMigrate
        | Layout::NodePgMigrate
        | Layout::Prisma
        | Layout::Atlas => Style::Time(14),
        Layout::Folders => Style::DashedTime,
    };
    match style {
        Style::Number(width) => format!("{:0width$}", 1),
        Style::Time(_) | Style::DashedTime | Style::Epoch { .. } => written(style, now).unwrap_or_default(),
    }
}

/// The style of a version that is a point in time, or a plain number.
fn style_of(version: &str) -> Option<Style> {
    if let Some(date) = date_with_dashes(version) {
        return (date.len() == "2024-01-31-235959".len() && date.len() == version.len()).then_some(Style::DashedTime);
    }
    if version.is_empty() || !version.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u128 = version.parse().ok()?;
    Some(match version.len() {
        8 | 12 | 14 | 17 if is_date(version) => Style::Time(version.len()),
        // From 2001 to 2100.
        10 if (1_000_000_000..4_102_444_800).contains(&number) => Style::Epoch { thousandths: false },
        13 if (1_000_000_000_000..4_102_444_800_000).contains(&number) => Style::Epoch { thousandths: true },
        width => Style::Number(width),
    })
}

fn is_date(version: &str) -> bool {
    let part = |from: usize, to: usize| version.get(from..to).and_then(|part| part.parse::<u32>().ok()).unwrap_or(0);
    (1990..2200).contains(&part(0, 4)) && (1..=12).contains(&part(4, 6)) && (1..=31).contains(&part(6, 8))
}

/// This moment in a style; none for a number.
fn written(style: Style, now: Duration) -> Option<String> {
    match style {
        Style::Number(_) => None,
        Style::Time(width) => {
            let all = format!("{}{:03}", timestamp(now), now.subsec_millis());
            all.get(..width).map(str::to_owned)
        }
        Style::DashedTime => {
            let all = timestamp(now);
            Some(format!("{}-{}-{}-{}", all.get(..4)?, all.get(4..6)?, all.get(6..8)?, all.get(8..14)?))
        }
        Style::Epoch { thousandths: false } => Some(now.as_secs().to_string()),
        Style::Epoch { thousandths: true } => Some(now.as_millis().to_string()),
    }
}

/// One more in the last number, as wide as it was.
fn last_part_incremented(version: &str) -> String {
    let end = version.trim_end_matches(|c: char| !c.is_ascii_digit()).len();
    let (head, tail) = version.split_at(end);
    let start = head.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (before, digits) = head.split_at(start);
    let number = digits.parse::<u128>().unwrap_or(0).saturating_add(1);
    format!("{before}{number:0width$}{tail}", width = digits.len())
}

/// `20240131235959`, in UTC.
fn timestamp(since_epoch: Duration) -> String {
    let (days, seconds) = (since_epoch.as_secs() / 86_400, since_epoch.as_secs() % 86_400);
    // Days to a date of the Gregorian calendar, counted from 0000-03-01 in eras of 400 years.
    let z = days + 719_468;
    let (era, day) = (z / 146_097, z % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    format!("{year:04}{month:02}{date:02}{:02}{:02}{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// `2024-01-31T23:59:59Z`.
pub(super) fn iso_time(now: Duration) -> String {
    let all = timestamp(now);
    let part = |from: usize, to: usize| all.get(from..to).unwrap_or_default().to_owned();
    format!("{}-{}-{}T{}:{}:{}Z", part(0, 4), part(4, 6), part(6, 8), part(8, 10), part(10, 12), part(12, 14))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_millis(1_709_251_199_123);

    fn check(versions: &[&str], expected: &str) {
        assert_eq!(next_version(Layout::Plain, versions.iter().copied(), NOW), expected, "{versions:?}");
    }

    #[test]
    fn versions_go_on_in_their_style() {
        check(&[], "001");
        check(&["001", "002"], "003");
        check(&["0009"], "0010");
        check(&["9"], "10");
        check(&["099", "100"], "101");
        check(&["1.2"], "1.3");
        check(&["1_9"], "1_10");
        check(&["1.02"], "1.03");
        check(&["20230101000000"], "20240229235959");
        check(&["20250101000000"], "20250101000001");
        check(&["2023-01-01-000000"], "2024-02-29-235959");
        check(&["2025-01-01-000009"], "2025-01-01-000010");
        check(&["2025-01-01-000009-0000"], "2025-01-01-000009-0001");
        check(&["20230101"], "20240229");
        check(&["20240229"], "20240230");
        check(&["202301010000"], "202402292359");
        check(&["20230101000000000"], "20240229235959123");
        check(&["1600000000"], "1709251199");
        check(&["1600000000000"], "1709251199123");
        check(&["12345678"], "12345679");
    }

    #[test]
    fn the_first_one_is_as_its_tool_would_have_it() {
        let first = |layout| next_version(layout, std::iter::empty(), NOW);
        assert_eq!(first(Layout::Flyway), "1");
        assert_eq!(first(Layout::Graphile), "000001");
        assert_eq!(first(Layout::Dbmate), "20240229235959");
        assert_eq!(first(Layout::Folders), "2024-02-29-235959");
        assert_eq!(iso_time(NOW), "2024-02-29T23:59:59Z");
    }
}
