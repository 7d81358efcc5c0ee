//! The way of `goto` before it is gone.

use crossfade::report::Direction;
use crossfade::report::GotoReport;

/// One line a migration, in order.
pub fn way(report: &GotoReport) -> String {
    let line = |leg: &crossfade::report::Leg| {
        let verb = match leg.direction {
            Direction::Down => "undo",
            Direction::Up => "run",
        };
        format!("{verb} {} {} by {}\n", leg.version, leg.name, leg.by)
    };
    report.way.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use crossfade::report::Leg;
    use crossfade::report::REPORT_FORMAT;

    use super::*;

    #[test]
    fn the_way_is_told_in_order() {
        let leg =
            |version: &str, direction, by| Leg { version: version.to_owned(), name: "x".to_owned(), direction, by };
        let way = vec![leg("003", Direction::Down, "its plan"), leg("002", Direction::Up, "its file")];
        let report = GotoReport { format: REPORT_FORMAT, dry_run: true, way, migrations: Vec::new() };
        assert_eq!(super::way(&report), "undo 003 x by its plan\nrun 002 x by its file\n");
    }
}
