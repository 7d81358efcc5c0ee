//! What was squashed, and how it was proven.

use crossfade::report::SquashReport;

use super::human;
use super::shown;

/// The new file, what it replaces, and where that is now.
pub fn text(report: &SquashReport) -> String {
    let file = shown(std::path::Path::new(&report.file));
    let (first, last) = (report.replaces.first(), report.replaces.last());
    let range = first.zip(last).map(|(first, last)| format!("{first} to {last}")).unwrap_or_default();
    let files = human::counted(report.replaces.len() as u64, "migration", "migrations");
    let verb = if report.dry_run { "would be" } else { "is" };
    let objects = human::counted(report.objects as u64, "object", "objects");
    let mut out = format!("{file} {verb} in the place of {range} ({files})\n");
    out.push_str(&format!("both were run on {}: {objects}, none differs\n", report.scratch));
    let aside = report.moved.first().and_then(|moved| moved.to.parent());
    if let Some(aside) = aside.filter(|_| !report.dry_run) {
        out.push_str(&format!("the files are in {} now\n", shown(aside)));
    }
    for note in &report.notes {
        out.push_str(&format!("note: {note}\n"));
    }
    if report.dry_run {
        out.push_str("nothing was written\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use crossfade::report::REPORT_FORMAT;
    use crossfade::report::RenamedFile;

    use super::*;

    #[test]
    fn what_became_of_the_files() {
        let moved = |name: &str| RenamedFile {
            from: format!("./migrations/{name}").into(),
            to: format!("./migrations_squashed/002/{name}").into(),
        };
        let report = SquashReport {
            format: REPORT_FORMAT,
            dry_run: false,
            version: "002".to_owned(),
            name: "squashed".to_owned(),
            file: "./migrations/002_squashed.sql".to_owned(),
            replaces: vec!["001".to_owned(), "002".to_owned()],
            moved: vec![moved("001_a.sql"), moved("002_b.sql")],
            scratch: "a private server (PostgreSQL 15)".to_owned(),
            objects: 12,
            notes: vec!["public.t holds other values in the two".to_owned()],
        };
        let dry = SquashReport { dry_run: true, ..report.clone() };
        insta::assert_snapshot!(format!("{}\n{}", text(&report), text(&dry)));
    }
}
