//! Numbers and times as people read them.

use std::time::Duration;

/// `412,000`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 row`, `2 rows`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// `412,000 rows/s`.
pub fn rate(rows_per_second: f64) -> String {
    format!("{} rows/s", count(rows_per_second.max(0.0).round() as u64))
}

/// `12 ms`, `4.2 s`, `1 min 5 s`, `2 h 3 min`, `3 d 4 h`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    let two = |large: u64, unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large} {unit}"),
        small => format!("{large} {unit} {small} {small_unit}"),
    };
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        // Rounded to one digit; 59.96 s must not become 60.0 s.
        1..60 if time.as_millis() < 59_950 => format!("{:.1} s", time.as_secs_f64()),
        1..60 => "1 min".to_owned(),
        60..3_600 => two(seconds / 60, "min", seconds % 60, "s"),
        3_600..86_400 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// A time that is not known better: `under 1 s`, `about 5 s`, `2 to 20 min`, `up to 3 h`, `2 s or more`.
pub fn range(least: f64, most: Option<f64>) -> String {
    let Some(most) = most else {
        return if least < 1.0 {
            "can't be foreseen".to_owned()
        } else {
            format!("{} or more", range(least, Some(least)))
        };
    };
    if most <= 1.0 {
        return "under 1 s".to_owned();
    }
    let (unit, name) = match most {
        ..90.0 => (1.0, "s"),
        90.0..5_400.0 => (60.0, "min"),
        5_400.0..129_600.0 => (3_600.0, "h"),
        _ => (86_400.0, "d"),
    };
    let (low, high) = ((least / unit).floor() as u64, (most / unit).ceil() as u64);
    match low {
        0 => format!("up to {high} {name}"),
        low if low == high => format!("about {high} {name}"),
        low => format!("{low} to {high} {name}"),
    }
}

/// `12 kB`, `3.4 GB`. As with PostgreSQL, a kB is 1024 bytes.
pub fn bytes(bytes: u64) -> String {
    let units = [(1_u64 << 40, "TB"), (1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) if bytes < 10 * unit => format!("{:.1} {name}", bytes as f64 / unit as f64),
        Some((unit, name)) => format!("{} {name}", count(bytes / unit)),
        None => format!("{bytes} bytes"),
    }
}

/// How far: `41 %, 412,000 of about 1,000,000 rows, 52,000 rows/s, 12 s left`.
pub fn progress(rows: u64, estimated: u64, fraction: f64, rate_now: f64, left: Option<Duration>) -> String {
    let percent = (fraction.clamp(0.0, 1.0) * 100.0).floor();
    let rows = match estimated > rows {
        true => format!("{} of about {} rows", count(rows), count(estimated)),
        false => counted(rows, "row", "rows"),
    };
    let mut text = format!("{percent} %, {rows}, {}", rate(rate_now));
    if let Some(left) = left {
        text.push_str(&format!(", {} left", duration(Duration::from_secs(left.as_secs().max(1)))));
    }
    text.replace(".0 s left", " s left")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(rate(411_999.7), "412,000 rows/s");
        assert_eq!(counted(1, "row", "rows"), "1 row");
    }

    #[test]
    fn ranges_claim_no_more_than_is_known() {
        let text = [
            (0.0, Some(0.0)),
            (0.2, Some(1.0)),
            (0.2, Some(4.1)),
            (4.0, Some(40.0)),
            (5.0, Some(5.0)),
            (45.0, Some(300.0)),
            (130.0, Some(900.0)),
            (4_000.0, Some(40_000.0)),
            (40_000.0, Some(400_000.0)),
            (0.0, None),
            (120.0, None),
        ]
        .map(|(least, most)| range(least, most));
        assert_eq!(
            text,
            [
                "under 1 s",
                "under 1 s",
                "up to 5 s",
                "4 to 40 s",
                "about 5 s",
                "up to 5 min",
                "2 to 15 min",
                "1 to 12 h",
                "up to 5 d",
                "can't be foreseen",
                "about 2 min or more"
            ]
        );
    }

    #[test]
    fn sizes() {
        let text = [0, 1023, 1024, 12_288, 5 << 20, 571 << 20, 12 << 30].map(bytes);
        assert_eq!(text, ["0 bytes", "1023 bytes", "1.0 kB", "12 kB", "5.0 MB", "571 MB", "12 GB"]);
    }

    #[test]
    fn times() {
        let ms = [0, 999, 1_000, 4_240, 59_949, 59_960, 65_000, 3_600_000, 7_380_000, 273_600_000];
        let text = ms.map(|ms| duration(Duration::from_millis(ms)));
        let expected =
            ["0 ms", "999 ms", "1.0 s", "4.2 s", "59.9 s", "1 min", "1 min 5 s", "1 h", "2 h 3 min", "3 d 4 h"];
        assert_eq!(text, expected);
        assert_eq!(
            progress(412_000, 1_000_000, 0.419, 52_000.4, Some(Duration::from_millis(12_400))),
            "41 %, 412,000 of about 1,000,000 rows, 52,000 rows/s, 12 s left"
        );
        assert_eq!(progress(11, 10, 1.0, 5.0, None), "100 %, 11 rows, 5 rows/s");
    }
}
