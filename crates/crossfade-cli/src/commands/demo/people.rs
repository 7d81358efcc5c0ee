//! Lines and numbers for people.

use std::io::Write as _;
use std::time::Duration;

/// Says a line on standard error. Nobody is told when nobody listens.
pub fn say(line: &str) {
    let _: std::io::Result<()> = writeln!(std::io::stderr().lock(), "{line}");
}

/// A count with separators: `12,345`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time with as many digits as one reads: `0.4 ms`, `123 ms`, `12.3 s`.
pub fn time(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1000.0;
    if ms < 9.95 {
        format!("{ms:.1} ms")
    } else if ms < 999.5 {
        format!("{ms:.0} ms")
    } else {
        format!("{:.1} s", ms / 1000.0)
    }
}

/// A rate without its fraction.
pub fn rate(rows_per_second: f64) -> String {
    format!("{}/s", count(whole(rows_per_second)))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is rounded and not negative")]
fn whole(number: f64) -> u64 {
    number.max(0.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([count(0), count(999), count(1000), count(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        let times = [40, 9_940, 9_960, 123_400, 12_340_000].map(|micros| time(Duration::from_micros(micros)));
        assert_eq!(times, ["0.0 ms", "9.9 ms", "10 ms", "123 ms", "12.3 s"]);
        assert_eq!(rate(38_119.7), "38,120/s");
    }
}
