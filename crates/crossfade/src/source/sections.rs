//! Files that hold both ways, parted by markers. Each way keeps the places of the file: what does not belong to it becomes empty lines.

use crossfade_core::finding::Finding;
use crossfade_core::sql::Span;

use super::layout::Mark;
use super::layout::Markers;
use super::text::is_comment_or_blank;
use super::text::lines;
use super::text::without_tail;

/// A file taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sections {
    pub up: String,
    pub down: Option<String>,
    /// What the markers say of the transaction, each way.
    pub in_transaction: Option<bool>,
    pub down_in_transaction: Option<bool>,
    /// Why the file can't be run.
    pub findings: Vec<Finding>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// In front of the first marker: only comments may stand there.
    Head,
    Up,
    Down,
}

/// Takes a file apart by these markers.
pub(super) fn cut(markers: Markers, text: &str) -> Sections {
    let mut sections = Sections::default();
    let mut down = String::new();
    let (has_up, has_down) = markers.ways(text);
    // node-pg-migrate takes a file without any marker as a whole.
    let is_whole = markers == Markers::NodePgMigrate && !has_up && !has_down;
    let mut way = if markers.first().is_some() && !is_whole { Way::Head } else { Way::Up };
    let (mut alone, mut up_alone, mut down_alone) = (false, false, false);
    for line in lines(text) {
        let Some(mark) = markers.read(line.text) else {
            if way == Way::Head && !is_comment_or_blank(line.text) && sections.findings.is_empty() {
                sections.findings.push(outside(markers, line.span));
            }
            let (to, other) = match way {
                Way::Head | Way::Up => (&mut sections.up, &mut down),
                Way::Down => (&mut down, &mut sections.up),
            };
            to.push_str(line.whole);
            other.push_str(line.end());
            continue;
        };
        match mark {
            Mark::Up { alone } => {
                way = Way::Up;
                up_alone |= alone;
            }
            Mark::Down { alone } => {
                way = Way::Down;
                down_alone |= alone;
                sections.down = Some(String::new());
            }
            Mark::NoTransaction => alone = true,
            Mark::Variables => sections.findings.push(
                Finding::error(
                    "variables",
                    line.span,
                    "variables would be filled in from here on, and crossfade fills in none",
                )
                .help("write the values into the file, and take the marker out"),
            ),
            Mark::Unknown => sections.findings.push(
                Finding::error(
                    "unknown-marker",
                    line.span,
                    format!("{} has no marker `{}`", markers.layout(), line.text.trim()),
                )
                .help(known(markers)),
            ),
            Mark::StatementEnd | Mark::Nothing => {}
        }
        // The tool ends a statement here, also where no semicolon stands.
        let ends = if mark == Mark::StatementEnd { ";" } else { "" };
        let (to, other) = match way {
            Way::Head | Way::Up => (&mut sections.up, &mut down),
            Way::Down => (&mut down, &mut sections.up),
        };
        to.push_str(ends);
        to.push_str(line.end());
        other.push_str(line.end());
    }
    // It takes one that has only a way back as a whole, too, and would do and undo.
    let lacks_up = way == Way::Head || (markers == Markers::NodePgMigrate && has_down && !has_up);
    if let (true, Some(first), false) = (lacks_up, markers.first(), text.trim().is_empty()) {
        sections.findings = vec![
            Finding::error("no-marker", Span::new(0, 0), format!("the file has no `{first}`"))
                .help(format!("put `{first}` on a line of its own in front of the statements; {}", known(markers))),
        ];
    }
    // What follows the way forward is none of its text: a change of the way back must not change its checksum.
    sections.up = without_tail(sections.up);
    sections.down = sections.down.map(|_| down);
    sections.in_transaction = (alone || up_alone).then_some(false);
    sections.down_in_transaction = (alone || down_alone).then_some(false);
    sections
}

fn outside(markers: Markers, span: Span) -> Finding {
    let first = markers.first().unwrap_or_default();
    Finding::error(
        "outside-of-sections",
        span,
        format!("this stands in front of `{first}`, and {} would not run it", markers.layout()),
    )
    .help("move it below the marker")
}

fn known(markers: Markers) -> &'static str {
    match markers {
        Markers::Dbmate => "its markers are `-- migrate:up` and `-- migrate:down`",
        Markers::Goose => "its markers are `-- +goose Up`, `Down`, `StatementBegin`, `StatementEnd`, `NO TRANSACTION`",
        Markers::SqlMigrate => "its markers are `-- +migrate Up`, `Down`, `StatementBegin`, `StatementEnd`",
        Markers::NodePgMigrate => "its markers are `-- Up Migration` and `-- Down Migration`",
        Markers::Tern => "its markers are `---- create above / drop below ----` and `---- tern: disable-tx ----`",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(sections: &Sections) -> Vec<&str> {
        sections.findings.iter().map(|finding| finding.rule.as_str()).collect()
    }

    #[test]
    fn each_way_keeps_the_places_of_the_file() {
        let text = "-- head\n-- +goose Up\nCREATE TABLE a ();\n\n-- +goose Down\n  DROP TABLE a;\n";
        let sections = cut(Markers::Goose, text);
        assert_eq!(sections.up, "-- head\n\nCREATE TABLE a ();\n");
        assert_eq!(sections.down.as_deref(), Some("\n\n\n\n\n  DROP TABLE a;\n"));
        let text = text.replace('\n', "\r\n");
        assert_eq!(cut(Markers::Goose, &text).up.lines().nth(2), Some("CREATE TABLE a ();"));
    }

    #[test]
    fn the_way_back_is_no_part_of_the_way_forward() {
        let text = "-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 2;\n";
        let longer = format!("{text}SELECT 3;\n");
        assert_eq!(cut(Markers::Dbmate, text).up, cut(Markers::Dbmate, &longer).up);
        let text = "---- create above / drop below ----\nDROP TABLE a;";
        let sections = cut(Markers::Tern, text);
        assert_eq!((sections.up.as_str(), sections.down.as_deref()), ("", Some("\nDROP TABLE a;")));
        assert_eq!(cut(Markers::Tern, "CREATE TABLE a ();").down, None);
    }

    #[test]
    fn a_statement_may_end_with_its_marker_alone() {
        let text = "-- +goose Up\n-- +goose StatementBegin\nCREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'\n\
                    -- +goose StatementEnd\nSELECT 1;\n";
        let up = cut(Markers::Goose, text).up;
        assert_eq!(up.lines().nth(3), Some(";"));
        assert_eq!(crossfade_core::sql::parse_file(&up).map(|file| file.statements.len()).ok(), Some(2));
    }

    #[test]
    fn markers_say_whether_it_is_a_transaction() {
        let said = |markers, text| {
            let sections = cut(markers, text);
            (sections.in_transaction, sections.down_in_transaction)
        };
        assert_eq!(said(Markers::Goose, "-- +goose NO TRANSACTION\n-- +goose Up\n"), (Some(false), Some(false)));
        assert_eq!(said(Markers::Dbmate, "-- migrate:up transaction:false\n-- migrate:down\n"), (Some(false), None));
        assert_eq!(said(Markers::SqlMigrate, "-- +migrate Up\n-- +migrate Down notransaction\n"), (None, Some(false)));
        assert_eq!(said(Markers::Tern, "---- tern: disable-tx ----\n"), (Some(false), Some(false)));
    }

    #[test]
    fn what_the_tool_would_not_run_is_refused() {
        assert_eq!(rules(&cut(Markers::Goose, "SELECT 1;\n-- +goose Up\n")), ["outside-of-sections"]);
        assert_eq!(rules(&cut(Markers::Goose, "SELECT 1;\nSELECT 2;\n")), ["no-marker"]);
        assert_eq!(rules(&cut(Markers::Goose, "-- +goose Up\n-- +goose Dwn\nDROP TABLE a;\n")), ["unknown-marker"]);
        assert_eq!(rules(&cut(Markers::Goose, "-- +goose Up\n-- +goose ENVSUB ON\n")), ["variables"]);
        assert_eq!(rules(&cut(Markers::Dbmate, " \n\n")), Vec::<&str>::new());
        // It would run the way back with the way forward.
        assert_eq!(rules(&cut(Markers::NodePgMigrate, "SELECT 1;\n-- Down Migration\nDROP TABLE a;\n")), ["no-marker"]);
        assert_eq!(rules(&cut(Markers::NodePgMigrate, "SELECT 1;\n-- Up Migration\n")), ["outside-of-sections"]);
        let whole = cut(Markers::NodePgMigrate, "SELECT 1;\n");
        assert_eq!((rules(&whole), whole.up.as_str(), whole.down.as_deref()), (Vec::new(), "SELECT 1;\n", None));
    }
}
