//! What a baseline came to.

use crossfade::report::BaselineReport;

/// One line a migration, and what it all means.
pub fn text(report: &BaselineReport) -> String {
    let mut out = String::new();
    let counts = if report.dry_run { "would count as applied" } else { "counts as applied" };
    for migration in report.migrations.iter().filter(|migration| !migration.known) {
        let file = if migration.file { "" } else { ", without a file" };
        out.push_str(&format!("{} {} {counts}{file}\n", migration.version, migration.name));
    }
    match (out.is_empty(), report.dry_run) {
        (true, _) => out.push_str("nothing to do: all of it counts as applied already\n"),
        (false, true) => out.push_str("nothing was written and nothing was run\n"),
        (false, false) => out.push_str("nothing was run\n"),
    }
    out
}

#[cfg(test)]
mod tests {
    use crossfade::report::BaselineMigration;
    use crossfade::report::REPORT_FORMAT;

    use super::*;

    #[test]
    fn what_counts_as_applied() {
        let migration = |version: &str, file, known| BaselineMigration {
            version: version.to_owned(),
            name: "x".to_owned(),
            file,
            known,
        };
        let migrations =
            vec![migration("001", true, true), migration("002", true, false), migration("003", false, false)];
        let report = BaselineReport { format: REPORT_FORMAT, dry_run: false, migrations };
        assert_eq!(
            text(&report),
            "002 x counts as applied\n003 x counts as applied, without a file\nnothing was run\n"
        );
        let dry = text(&BaselineReport { dry_run: true, ..report.clone() });
        assert!(
            dry.starts_with("002 x would count as applied\n")
                && dry.ends_with("nothing was written and nothing was run\n")
        );
        let nothing = BaselineReport { migrations: vec![migration("001", true, true)], ..report };
        assert_eq!(text(&nothing), "nothing to do: all of it counts as applied already\n");
    }
}
