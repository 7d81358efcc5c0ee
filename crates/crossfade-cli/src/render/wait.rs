//! What was waited for.

use crossfade::report::WaitReport;

/// One line.
pub fn text(report: &WaitReport) -> String {
    match (&report.version, &report.ahead_at) {
        (None, _) => format!("{} answers\n", report.database),
        (Some(version), None) => format!("{} is at {version}\n", report.database),
        (Some(version), Some(at)) => format!("{} is at {at}, beyond {version}\n", report.database),
    }
}

#[cfg(test)]
mod tests {
    use crossfade::report::REPORT_FORMAT;

    use super::*;

    #[test]
    fn what_is_there() {
        let report = |version: Option<&str>, at: Option<&str>| WaitReport {
            format: REPORT_FORMAT,
            database: "h:5432/d".to_owned(),
            version: version.map(str::to_owned),
            ahead_at: at.map(str::to_owned),
            waited_ms: 0,
        };
        assert_eq!(text(&report(None, None)), "h:5432/d answers\n");
        assert_eq!(text(&report(Some("042"), None)), "h:5432/d is at 042\n");
        assert_eq!(text(&report(Some("042"), Some("045"))), "h:5432/d is at 045, beyond 042\n");
    }
}
