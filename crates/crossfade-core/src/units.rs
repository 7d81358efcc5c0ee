//! Durations and sizes as people write them in a configuration: `250ms`, `24h`, `64MB`.

use std::time::Duration;

/// Reads `250ms`, `30s`, `10m`, `24h`, `7d`, or `0`.
///
/// # Errors
///
/// What is wrong with it.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = parts(text).ok_or_else(|| format!("\"{text}\" is no duration"))?;
    match unit {
        "" if number == 0 => Ok(Duration::ZERO),
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        "h" => Ok(Duration::from_secs(number.saturating_mul(3600))),
        "d" => Ok(Duration::from_secs(number.saturating_mul(86_400))),
        "" => Err(format!("\"{text}\" has no unit")),
        other => Err(format!("\"{other}\" is no unit of time")),
    }
}

/// Reads `512B`, `64kB`, `64MB`, `1GB`, `2TB`, or `0`. As with PostgreSQL, a kB is 1024 bytes.
///
/// # Errors
///
/// What is wrong with it.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = parts(text).ok_or_else(|| format!("\"{text}\" is no size"))?;
    let factor: u64 = match unit {
        "" if number == 0 => 1,
        "B" => 1,
        "kB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        "TB" => 1 << 40,
        "" => return Err(format!("\"{text}\" has no unit")),
        other => return Err(format!("\"{other}\" is no unit of size")),
    };
    number.checked_mul(factor).ok_or_else(|| format!("\"{text}\" is too large"))
}

/// A duration as it is written: `90s`, `10m`.
pub fn show_duration(time: Duration) -> String {
    let ms = time.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    match units.into_iter().find(|(unit, _)| ms > 0 && ms.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", ms / unit),
        None if ms == 0 => "0".to_owned(),
        None => format!("{ms}ms"),
    }
}

/// A size as it is written: `64MB`.
pub fn show_bytes(bytes: u64) -> String {
    let units = [(1_u64 << 40, "TB"), (1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB")];
    match units.into_iter().find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", bytes / unit),
        None => format!("{bytes}B"),
    }
}

fn parts(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    Some((number.parse().ok()?, unit.trim()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_shown_is_read_again(ms in 0u64..1_000_000_000, bytes in 0u64..1 << 50) {
            let time = Duration::from_millis(ms);
            prop_assert_eq!(parse_duration(&show_duration(time)), Ok(time));
            prop_assert_eq!(parse_bytes(&show_bytes(bytes)), Ok(bytes));
        }
    }

    #[test]
    fn sizes_have_the_units_of_postgresql() {
        assert_eq!(parse_bytes("64MB"), Ok(67_108_864));
        assert_eq!(parse_bytes("1 GB"), Ok(1_073_741_824));
        assert_eq!(parse_bytes("64"), Err("\"64\" has no unit".to_owned()));
        assert_eq!(parse_bytes("1MiB"), Err("\"MiB\" is no unit of size".to_owned()));
        assert_eq!(parse_bytes("99999999TB"), Err("\"99999999TB\" is too large".to_owned()));
    }
}
