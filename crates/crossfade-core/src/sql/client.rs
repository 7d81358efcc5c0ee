//! What stands in a file for psql and not for the server: the rows behind `COPY … FROM STDIN`, and psql's own commands.
//!
//! Both are blanked, byte by byte, so that every place stays what it was in the file.

use pg_query::NodeEnum;

use super::Span;
use super::SyntaxError;
use super::parse::scan;

/// A file's text without them.
#[derive(Debug)]
pub(super) struct ForServer {
    /// The text that the server's parser reads.
    pub text: String,
    /// The rows of each COPY, in their order: from the first byte of the first one to the line with `\.`.
    pub rows: Vec<Span>,
}

/// Commands of psql that change nothing that a migration could miss: what pg_dump writes, and settings of psql's own ways.
const PASSED_OVER: [&str; 8] = ["restrict", "unrestrict", "encoding", "echo", "qecho", "set", "timing", "pset"];

/// What a COPY with all its columns and options takes at most, in bytes.
const LONGEST_COPY: usize = 100_000;

/// Tells what is for the server from what is for psql.
///
/// # Errors
///
/// Where a command of psql stands that would do something.
pub(super) fn for_server(text: &str) -> Result<ForServer, SyntaxError> {
    let mut found = ForServer { text: text.to_owned(), rows: Vec::new() };
    if text.contains("\n\\.") {
        take_rows(&mut found);
    }
    if found.text.contains('\\') {
        take_commands(&mut found)?;
    }
    Ok(found)
}

/// Blanks the rows of each COPY. A line that ends a statement and could be one is looked at by the parser: in a function's body or in a comment it
/// is none.
fn take_rows(found: &mut ForServer) {
    let text = found.text.clone();
    let (mut begun, mut at) = (0, 0);
    while let Some(end) = line_end(&text, at) {
        let line = &text[at..end];
        at = end;
        if !(line.contains(';') && mentions_stdin(&text.as_bytes()[begun.max(end.saturating_sub(LONGEST_COPY))..end])) {
            continue;
        }
        let Some(rest) = terminator(&text, end) else { return };
        if ends_with_copy(&found.text[begun..end]) {
            blank(&mut found.text, Span::new(end, rest.end));
            found.rows.push(Span::new(end, rest.start));
            (begun, at) = (rest.end, rest.end);
        }
    }
}

/// Behind the line that begins here, with its line end.
fn line_end(text: &str, at: usize) -> Option<usize> {
    (at < text.len()).then(|| text[at..].find('\n').map_or(text.len(), |length| at + length + 1))
}

/// The next line that is `\.` and nothing else.
fn terminator(text: &str, from: usize) -> Option<Span> {
    let mut at = from;
    while let Some(end) = line_end(text, at) {
        if text[at..end].trim_end_matches(['\r', '\n']) == "\\." {
            return Some(Span::new(at, end));
        }
        at = end;
    }
    None
}

fn mentions_stdin(text: &[u8]) -> bool {
    text.windows(5).any(|window| window.eq_ignore_ascii_case(b"stdin"))
}

/// Whether the last statement of a text is a COPY that takes its rows from here.
fn ends_with_copy(text: &str) -> bool {
    let parsed = pg_query::parse(text, 0).or_else(|_| {
        // With what a dump says to psql in front of it.
        let lines = text.split_inclusive('\n').filter(|line| !line.starts_with('\\'));
        pg_query::parse(&lines.collect::<String>(), 0)
    });
    let Ok(parsed) = parsed else { return false };
    let last =
        parsed.protobuf.stmts.last().and_then(|raw| raw.stmt.as_ref()).and_then(|statement| statement.node.as_ref());
    match last {
        Some(NodeEnum::CopyStmt(copy)) => copy.is_from && copy.filename.is_empty() && !copy.is_program,
        _ => false,
    }
}

/// Blanks psql's commands. Outside of texts, comments and names no SQL has a backslash.
fn take_commands(found: &mut ForServer) -> Result<(), SyntaxError> {
    let mut from = 0;
    while let Some(at) = next_command(&found.text, from) {
        let line_start = found.text[..at].rfind('\n').map_or(0, |end| end + 1);
        let end = line_end(&found.text, at).unwrap_or(found.text.len());
        let line = found.text[at..end].trim_end();
        let name = line
            .trim_start_matches('\\')
            .split(|c: char| !(c.is_alphanumeric() || c == '_'))
            .next()
            .unwrap_or_default();
        let alone = found.text[line_start..at].trim().is_empty();
        if !(alone && PASSED_OVER.contains(&name) && is_harmless(name, line)) {
            let shown: String = line.split_whitespace().next().unwrap_or_default().to_owned();
            return Err(SyntaxError {
                message: format!("{shown} is a command of psql, and no SQL"),
                span: Span::new(at, at + line.len()),
                help: Some(match name {
                    "i" | "ir" | "include" | "include_relative" => {
                        "write what that file holds into this one".to_owned()
                    }
                    "copy" => {
                        "write COPY … FROM STDIN with its rows behind it, and a line with \\. at their end".to_owned()
                    }
                    "set" | "gset" | "prompt" => {
                        "write the value where the variable stands: a migration is the same wherever it runs".to_owned()
                    }
                    _ => "take it out: the server would not understand it".to_owned(),
                }),
            });
        }
        from = at + line.len();
        blank(&mut found.text, Span::new(at, from));
    }
    Ok(())
}

/// Of `\set` only what psql itself goes by; a variable would be missing where it is used.
fn is_harmless(name: &str, line: &str) -> bool {
    const OWN: [&str; 6] = ["ON_ERROR_STOP", "ON_ERROR_ROLLBACK", "QUIET", "VERBOSITY", "ECHO", "AUTOCOMMIT"];
    match name {
        "set" => line.split_whitespace().nth(1).is_some_and(|variable| OWN.contains(&variable)),
        "encoding" => line
            .split_whitespace()
            .nth(1)
            .is_none_or(|name| matches!(name.to_ascii_lowercase().as_str(), "utf8" | "utf-8" | "'utf8'")),
        _ => true,
    }
}

/// The next backslash that stands in no text, comment or name.
fn next_command(text: &str, from: usize) -> Option<usize> {
    let is_command = |token: &pg_query::protobuf::ScanToken| token.token() == pg_query::protobuf::Token::Ascii92;
    if let Ok(tokens) = scan(&text[from..]) {
        return tokens.iter().find(|token| is_command(token)).map(|token| from + token.start as usize);
    }
    // What stands behind a command may be no SQL at all, so the scanner is only shown what ends with its first character.
    let mut at = from;
    while let Some(found) = text[at..].find('\\') {
        let here = at + found;
        let tokens = scan(&text[from..=here]).ok();
        let last = tokens.as_ref().and_then(|tokens| tokens.last());
        if last.is_some_and(|token| token.start as usize == here - from && is_command(token)) {
            return Some(here);
        }
        at = here + 1;
    }
    None
}

fn blank(text: &mut String, span: Span) {
    let blanked: String = text[span.start..span.end]
        .bytes()
        .map(|byte| if matches!(byte, b'\n' | b'\r') { byte as char } else { ' ' })
        .collect();
    text.replace_range(span.start..span.end, &blanked);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<&str> {
        let found = for_server(text).expect("it is read");
        assert_eq!(found.text.len(), text.len(), "every place stays");
        found.rows.iter().map(|span| span.of(text)).collect()
    }

    #[test]
    fn rows_of_copy_are_told_from_statements() {
        let text = "CREATE TABLE t (a text);\nCOPY t (a) FROM stdin;\na;b'\n\\N\n\\.\nSELECT 1;\nCOPY public.t FROM STDIN WITH (FORMAT csv);\n\"é\"\n\\.\n";
        assert_eq!(rows(text), ["a;b'\n\\N\n", "\"é\"\n"]);
        let found = for_server(text).expect("it is read");
        assert!(pg_query::parse(&found.text, 0).is_ok_and(|parsed| parsed.protobuf.stmts.len() == 4), "{}", found.text);
        // With the line ends of another system, and without a single row.
        assert_eq!(rows("COPY t FROM stdin;\r\n1\r\n\\.\r\n"), ["1\r\n"]);
        assert_eq!(rows("COPY t FROM stdin;\n\\.\n"), [""]);
    }

    #[test]
    fn what_only_looks_like_copy_is_left_alone() {
        assert!(rows("DO $$ BEGIN\nRAISE NOTICE 'COPY t FROM stdin;\n\\.\n'; END $$;\n").is_empty());
        assert!(rows("/* COPY t FROM stdin;\n\\.\n */ SELECT 1;").is_empty());
        assert!(rows("COPY t TO STDOUT; -- stdin;\nSELECT E'\n\\.\n';").is_empty());
    }

    fn read(text: &str) -> Result<String, String> {
        for_server(text).map(|found| found.text).map_err(|error| {
            let (line, column) = error.span.line_and_column(text);
            format!("{line}:{column} {} ({})", error.message, error.help.unwrap_or_default())
        })
    }

    #[test]
    fn what_a_dump_says_to_psql_is_passed_over() {
        let text =
            "\\restrict aBc\nSET x = 1;\n\\set ON_ERROR_STOP on\n\\echo 'hello'\nSELECT E'\\'';\n\\unrestrict aBc\n";
        let found = read(text).expect("it is read");
        assert!(!found.contains("restrict") && !found.contains("echo") && found.contains("SELECT E'\\'';"), "{found}");
    }

    #[test]
    fn a_command_that_would_do_something_is_refused_with_its_place() {
        assert!(read("SELECT 1;\n\\i other.sql\n").is_err_and(|said| said.starts_with("2:1 \\i is a command of psql")));
        assert!(read("\\set v 1\n").is_err_and(|said| said.contains("write the value")));
        assert!(read("SELECT 1 \\gexec\n").is_err_and(|said| said.starts_with("1:10 \\gexec")));
        assert!(read("\\c other\n").is_err_and(|said| said.contains("take it out")));
        assert!(read("SELECT '\\d', \"\\d\", $$\\d$$; -- \\d\n/* \\d */").is_ok());
    }
}
