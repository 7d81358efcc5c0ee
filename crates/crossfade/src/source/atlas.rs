//! What Atlas says in a file's head: `atlas:txmode none`, `atlas:checkpoint`, and files in parts (`atlas:txtar`).

use crossfade_core::finding::Finding;
use crossfade_core::sql::Span;

use super::FileKind;
use super::SourceFile;
use super::text::lines;
use super::text::without_tail;

/// Reads the directives of a file, and takes it apart where it comes in parts.
pub(super) fn read(file: &mut SourceFile) {
    let mut in_parts = false;
    for line in lines(&file.text) {
        let Some(body) = line.text.strip_prefix("--") else { break };
        let body = body.trim();
        let (directive, value) = body.split_once(char::is_whitespace).unwrap_or((body, ""));
        match directive {
            "atlas:txmode" if value.trim() == "none" => file.in_transaction = Some(false),
            "atlas:checkpoint" => file.kind = FileKind::Baseline,
            "atlas:txtar" => in_parts = true,
            _ => {}
        }
    }
    if in_parts {
        take_apart(file);
    }
}

fn take_apart(file: &mut SourceFile) {
    let mut part = "";
    // For each line the part that it belongs to; titles belong to none.
    let mut parts = Vec::new();
    for line in lines(&file.text) {
        let title = line.text.strip_prefix("-- ").and_then(|line| line.trim_end().strip_suffix(" --")).map(str::trim);
        match title.filter(|title| title.ends_with(".sql")) {
            Some(title) => {
                part = title;
                parts.push("");
                if part == "checks.sql" {
                    file.findings.push(checks(line.span));
                }
            }
            None => parts.push(part),
        }
    }
    let only = |wanted: &str| -> String {
        let lines = lines(&file.text).zip(&parts);
        lines.map(|(line, part)| if *part == wanted { line.whole } else { line.end() }).collect()
    };
    let (up, down) = (without_tail(only("migration.sql")), parts.contains(&"down.sql").then(|| only("down.sql")));
    file.text = up;
    file.down = down.map(|text| (file.path.clone(), text));
}

fn checks(span: Span) -> Finding {
    Finding::error("atlas-checks", span, "these checks would not be run")
        .help("make them statements of migration.sql that fail, for example `DO $$ BEGIN ASSERT …; END $$;`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> SourceFile {
        let mut file = SourceFile { text: text.to_owned(), ..SourceFile::default() };
        read(&mut file);
        file
    }

    #[test]
    fn the_head_speaks_for_the_file() {
        assert_eq!(file("-- atlas:txmode none\n\nCREATE TABLE a ();").in_transaction, Some(false));
        assert_eq!(file("CREATE TABLE a ();\n-- atlas:txmode none\n").in_transaction, None);
        assert_eq!(file("-- atlas:checkpoint\n").kind, FileKind::Baseline);
    }

    #[test]
    fn parts_keep_their_places() {
        let file = file(
            "-- atlas:txtar\n\n-- checks.sql --\nSELECT true;\n\n-- migration.sql --\nDROP TABLE a;\n-- down.sql --\nCREATE TABLE a ();\n",
        );
        assert_eq!(file.text, "\n\n\n\n\n\nDROP TABLE a;\n");
        assert_eq!(file.down.map(|(_, text)| text).as_deref(), Some("\n\n\n\n\n\n\n\nCREATE TABLE a ();\n"));
        assert_eq!(file.findings.len(), 1);
    }
}
