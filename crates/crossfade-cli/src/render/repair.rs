//! `repair` for people: what differs, as a diff, and what to do about it.

use crossfade::report::Change;
use crossfade::report::RepairMigration;
use crossfade::report::RepairReport;

use super::Paint;

/// The whole report.
pub fn text(report: &RepairReport, paint: Paint) -> String {
    if report.migrations.is_empty() {
        return "nothing to repair: every file is as it was run\n".to_owned();
    }
    let mut out = String::new();
    for found in &report.migrations {
        out.push_str(&if report.accepted { accepted(found) } else { shown(found, paint) });
    }
    out
}

fn accepted(found: &RepairMigration) -> String {
    let (version, name) = (&found.version, &found.name);
    match found.change {
        Change::Missing => format!("{version} {name}: its file is no longer missed\n"),
        Change::Code | Change::Comments | Change::Down => {
            format!("{version} {name}: the file is accepted for what was run; nothing was run\n")
        }
    }
}

fn shown(found: &RepairMigration, paint: Paint) -> String {
    let (version, name) = (&found.version, &found.name);
    let file = found.file.as_deref().unwrap_or_default();
    let what = match found.change {
        Change::Code => format!("{file} was changed after it was run"),
        Change::Comments => format!("{file} was changed after it was run, in comments and white space only"),
        Change::Down => "its down file was changed after it was run".to_owned(),
        Change::Missing => "its file is missing".to_owned(),
    };
    let mut out = format!("{version} {name} ({}): {what}\n", found.state.name());
    for diff in [&found.diff, &found.down_diff].into_iter().flatten() {
        out.push_str(&super::indented(&painted(diff, paint), "  "));
    }
    if found.change == Change::Code && found.diff.is_none() {
        out.push_str("  the journal has no text of it to compare with\n");
    }
    let hint = match (found.change, &found.refused) {
        (Change::Missing, _) => format!("crossfade repair --forget-missing {version}, where it is gone for good"),
        (Change::Code | Change::Comments | Change::Down, Some(why)) => {
            format!("restore its text: {why}, and can't take another one")
        }
        (Change::Code | Change::Comments | Change::Down, None) => {
            format!("crossfade repair {version} --accept takes the file for what was run; nothing is run")
        }
    };
    out.push_str(&format!("  {} {hint}\n", paint.cyan("hint:")));
    out
}

fn painted(diff: &str, paint: Paint) -> String {
    let line = |line: &str| match line.as_bytes().first() {
        Some(b'+') => paint.green(line),
        Some(b'-') => paint.red(line),
        Some(b'@') => paint.dim(line),
        Some(_) | None => line.to_owned(),
    };
    diff.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use crossfade::report::REPORT_FORMAT;
    use crossfade_core::journal::State;

    use super::*;

    #[test]
    fn what_differs_and_what_to_do() {
        let diff = "--- as it was run\n+++ migrations/001_x.sql\n@@ -1 +1 @@\n-SELECT 1;\n+SELECT 2;\n";
        let one = |version: &str, change, diff: Option<&str>, refused: Option<&str>| RepairMigration {
            version: version.to_owned(),
            name: "x".to_owned(),
            state: if refused.is_some() { State::Ready } else { State::Applied },
            change,
            file: (change != Change::Missing).then(|| format!("migrations/{version}_x.sql")),
            diff: diff.map(str::to_owned),
            down_diff: None,
            refused: refused.map(str::to_owned),
        };
        let migrations = vec![
            one("001", Change::Code, Some(diff), None),
            one("002", Change::Code, None, None),
            one("003", Change::Code, None, Some("it is under way (ready)")),
            one("006", Change::Comments, Some(diff), None),
            RepairMigration { down_diff: Some(diff.to_owned()), ..one("004", Change::Down, None, None) },
            one("005", Change::Missing, None, None),
        ];
        let report = RepairReport { format: REPORT_FORMAT, accepted: false, migrations };
        let accepted = text(&RepairReport { accepted: true, ..report.clone() }, Paint::plain());
        insta::assert_snapshot!(format!("{}\n--accept:\n{accepted}", text(&report, Paint::plain())));
        let nothing = RepairReport { migrations: Vec::new(), ..report };
        assert_eq!(text(&nothing, Paint::plain()), "nothing to repair: every file is as it was run\n");
    }
}
