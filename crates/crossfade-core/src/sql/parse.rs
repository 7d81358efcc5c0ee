//! A file's text to statements with spans, and its comments.

use pg_query::NodeEnum;

use super::ObjectRef;
use super::RowsStatement;
use super::Span;
use super::Sql;
use super::StatementKind;
use super::SyntaxError;
use super::client::ForServer;
use super::client::for_server;
use super::statement::classify;
use super::statement::copy_with_rows;
use super::statement::object;
use super::whole::NewForm;
use super::whole::made;

/// A statement of a file.
#[derive(Clone, Debug)]
pub struct ParsedStatement {
    /// Where it stands, without the semicolon.
    pub span: Span,
    /// Its text, as written.
    pub text: Sql,
    /// What it is.
    pub kind: StatementKind,
    /// Every identifier-like word in it, folded as the server folds it: to see whether it may name a thing.
    pub words: Vec<String>,
    /// Whether it takes columns without naming them.
    pub columns: ColumnsTaken,
    /// For a statement that changes rows: how to do it a part at a time.
    pub rows: Option<RowsStatement>,
    /// What it makes, where a DROP in front of it may have taken the same away.
    pub makes: Option<NewForm>,
    /// For COPY … FROM STDIN: where its rows stand.
    pub rows_behind: Option<Span>,
}

/// Which columns a statement takes as they are, without naming them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnsTaken {
    /// None: it names what it takes.
    Named,
    /// Those of this table: INSERT and COPY without a list.
    Of(ObjectRef),
    /// Those of tables that it names: `*`, LIKE.
    OfAny,
}

/// A line comment that stands on a line of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// Where it stands.
    pub span: Span,
    /// Its text without the dashes.
    pub text: String,
}

/// A parsed file.
#[derive(Clone, Debug, Default)]
pub struct ParsedFile {
    /// The statements in their order.
    pub statements: Vec<ParsedStatement>,
    /// Line comments that stand on a line of their own.
    pub comments: Vec<Comment>,
}

/// A statement of ours, which stands where a statement of the file stood.
pub fn parsed_at(span: Span, text: &str) -> Option<ParsedStatement> {
    let parsed = parse_file(text).ok()?.statements.into_iter().next()?;
    Some(ParsedStatement { span, ..parsed })
}

/// Parses a file. The text has no byte order mark.
///
/// # Errors
///
/// Where it is not SQL, with the place.
pub fn parse_file(text: &str) -> Result<ParsedFile, SyntaxError> {
    if let Some(at) = text.find('\0') {
        return Err(SyntaxError {
            message: "the file holds a NUL byte".to_owned(),
            span: Span::new(at, at + 1),
            help: Some("is it UTF-16? save it as UTF-8".to_owned()),
        });
    }
    let ForServer { text: for_server, rows: mut copied } = for_server(text)?;
    let (file, text) = (text, for_server.as_str());
    let parsed = pg_query::parse(text, 0).map_err(|error| {
        let error = super::error::locate(text, &error.to_string());
        invisible(text, error.span).unwrap_or(error)
    })?;
    let tokens = scan(text).map_err(|error| super::error::locate(text, &error.to_string()))?;
    let mut statements = Vec::new();
    for raw in &parsed.protobuf.stmts {
        let Some(node) = raw.stmt.as_ref().and_then(|stmt| stmt.node.as_ref()) else { continue };
        let start = raw.stmt_location as usize;
        let end = if raw.stmt_len == 0 { text.len() } else { start + raw.stmt_len as usize };
        let inside = |at: i32| (at as usize) >= start && (at as usize) < end;
        let code: Vec<_> = tokens.iter().filter(|token| inside(token.start) && !is_comment(token)).collect();
        let (Some(first), Some(last)) = (code.first(), code.last()) else { continue };
        let span = Span::new(first.start as usize, last.end as usize);
        let words = code.iter().filter_map(|token| word(token, text)).collect();
        let mut kind = classify(node);
        let rows_behind = match &kind {
            StatementKind::CopyFromStdin { .. } => {
                copied.iter().position(|rows| rows.start >= span.end).map(|at| copied.remove(at))
            }
            _ => None,
        };
        if let (StatementKind::CopyFromStdin { table }, Some(_)) = (&kind, &rows_behind) {
            kind = copy_with_rows(table.clone());
        }
        statements.push(ParsedStatement {
            span,
            text: Sql::from_source(span.of(file)),
            kind,
            words,
            columns: columns_taken(node, &code),
            rows: RowsStatement::read(node),
            makes: made(node),
            rows_behind,
        });
    }
    let comments = tokens
        .iter()
        .filter(|token| token.token() == pg_query::protobuf::Token::SqlComment)
        .filter_map(|token| own_line_comment(text, token.start as usize, token.end as usize))
        .collect();
    Ok(ParsedFile { statements, comments })
}

fn columns_taken(node: &NodeEnum, code: &[&pg_query::protobuf::ScanToken]) -> ColumnsTaken {
    use pg_query::protobuf::Token;
    // Of these nothing stays that has the columns; `*` stands in EXISTS, most often.
    if matches!(
        node,
        NodeEnum::UpdateStmt(_) | NodeEnum::DeleteStmt(_) | NodeEnum::MergeStmt(_) | NodeEnum::SelectStmt(_)
    ) {
        return ColumnsTaken::Named;
    }
    // The tree is walked only where it may hold one.
    let may_hold = code.iter().any(|token| matches!(token.token(), Token::Ascii42 | Token::Like));
    let holds = |tree: String| tree.contains("\"AStar\"") || tree.contains("\"TableLikeClause\"");
    if may_hold && serde_json::to_string(node).is_ok_and(holds) {
        return ColumnsTaken::OfAny;
    }
    match node {
        NodeEnum::InsertStmt(insert) if insert.cols.is_empty() && insert.select_stmt.is_some() => {
            ColumnsTaken::Of(object(insert.relation.as_ref()))
        }
        NodeEnum::CopyStmt(copy) if copy.attlist.is_empty() && copy.relation.is_some() => {
            ColumnsTaken::Of(object(copy.relation.as_ref()))
        }
        _ => ColumnsTaken::Named,
    }
}

/// The tokens of a text. The parser's own `scan_tokens` must not be called where there are none.
pub(super) fn scan(text: &str) -> Result<Vec<pg_query::protobuf::ScanToken>, pg_query::Error> {
    if text.chars().all(|c| c.is_whitespace()) {
        Ok(Vec::new())
    } else {
        pg_query::scan(text).map(|result| result.tokens)
    }
}

/// A character that nobody sees and that the server takes for a letter, in a word at the place of an error or in front of it.
fn invisible(text: &str, error: Span) -> Option<SyntaxError> {
    let is_invisible = |c: char| {
        matches!(
            c,
            '\u{a0}' | '\u{ad}' | '\u{180e}' | '\u{2007}' | '\u{200b}'
                ..='\u{200f}' | '\u{202f}' | '\u{2060}' | '\u{3000}' | '\u{feff}'
        )
    };
    let tokens = scan(text).ok()?;
    let is_word = |text: &str| text.starts_with(|c: char| c.is_alphabetic() || c == '_' || is_invisible(c));
    let in_front = tokens.iter().take_while(|token| (token.start as usize) < error.end.max(1));
    let words = in_front.filter(|token| text.get(token.start as usize..).is_some_and(is_word));
    let (at, c) = words
        .filter_map(|token| {
            let (start, end) = (token.start as usize, token.end as usize);
            let (offset, c) = text.get(start..end)?.char_indices().find(|(_, c)| is_invisible(*c))?;
            Some((start + offset, c))
        })
        .last()?;
    Some(SyntaxError {
        message: format!("an invisible character U+{:04X} stands here", u32::from(c)),
        span: Span::new(at, at + c.len_utf8()),
        help: Some("replace it by a space, or take it out".to_owned()),
    })
}

pub(super) fn is_comment(token: &pg_query::protobuf::ScanToken) -> bool {
    use pg_query::protobuf::Token;
    matches!(token.token(), Token::SqlComment | Token::CComment)
}

fn word(token: &pg_query::protobuf::ScanToken, text: &str) -> Option<String> {
    let slice = text.get(token.start as usize..token.end as usize)?;
    if let Some(quoted) = slice.strip_prefix('"') {
        return Some(quoted.strip_suffix('"').unwrap_or(quoted).replace("\"\"", "\""));
    }
    slice.starts_with(|c: char| c.is_alphabetic() || c == '_').then(|| slice.to_lowercase())
}

pub(super) fn own_line_comment(text: &str, start: usize, end: usize) -> Option<Comment> {
    let line_start = text[..start].rfind(['\n', '\r']).map_or(0, |at| at + 1);
    let alone = text[line_start..start].trim().is_empty();
    let body = text[start..end].trim_end();
    let comment =
        Comment { span: Span::new(start, start + body.len()), text: body.trim_start_matches('-').trim().to_owned() };
    alone.then_some(comment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_columns_without_naming_them_is_seen() {
        let taken = |text: &str| parse_file(text).map(|mut file| file.statements.remove(0).columns).ok();
        for text in [
            "CREATE VIEW v AS SELECT * FROM t",
            "CREATE TABLE x AS SELECT t.* FROM t",
            "CREATE TABLE x (LIKE t INCLUDING ALL)",
            "INSERT INTO x (a, b) SELECT * FROM t",
            "INSERT INTO x SELECT * FROM t",
        ] {
            assert_eq!(taken(text), Some(ColumnsTaken::OfAny), "{text}");
        }
        let of = ObjectRef { schema: Some("s".to_owned()), name: "t".to_owned() };
        for text in ["INSERT INTO s.t VALUES (1, 2)", "INSERT INTO s.t SELECT a, b FROM x", "COPY s.t FROM STDIN"] {
            assert_eq!(taken(text), Some(ColumnsTaken::Of(of.clone())), "{text}");
        }
        for text in [
            "SELECT count(*) FROM t",
            "UPDATE x SET a = 1 WHERE EXISTS (SELECT * FROM t)",
            "CREATE VIEW v AS SELECT a * b AS c FROM t WHERE d LIKE '%\"AStar\"%'",
            "INSERT INTO t (a) VALUES (1)",
            "INSERT INTO t DEFAULT VALUES",
            "COPY t (a) FROM STDIN",
            "CREATE TABLE x (a int)",
        ] {
            assert_eq!(taken(text), Some(ColumnsTaken::Named), "{text}");
        }
    }

    fn count(text: &str) -> Result<usize, String> {
        parse_file(text).map(|file| file.statements.len()).map_err(|error| {
            let (line, column) = error.span.line_and_column(text);
            format!("{line}:{column} {}", error.message)
        })
    }

    #[test]
    fn e5_lexical_traps() {
        let cases = [
            ("SELECT $a$;$a$, $$;$$, $é$;$é$;", 1),
            ("SELECT 1 AS foo$$bar; SELECT 2", 2),
            ("/* a; /* ' */ b; */", 0),
            ("SELECT 1; -- a\rSELECT 2;", 2),
            ("SELECT 1; -- a\\\nSELECT 2;", 2),
            (r"SELECT E'\';'", 1),
            (r"SELECT '\'; SELECT 2", 2),
            ("SELECT U&'!0061;' UESCAPE '!'", 1),
            ("SELECT 1 AS \";\"", 1),
            (
                "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN (1) END; SELECT 2; END; SELECT 1",
                2,
            ),
            ("CREATE RULE r AS ON UPDATE TO t DO ALSO (SELECT 1; SELECT 2)", 1),
            ("DO $$ BEGIN PERFORM 1; END $$; SELECT 1", 2),
            (";;SELECT 1;;", 1),
            ("", 0),
            ("-- only a comment", 0),
        ];
        for (text, statements) in cases {
            assert_eq!(count(text), Ok(statements), "{text}");
        }
    }

    #[test]
    fn errors_name_their_place() {
        assert_eq!(count("SELECT 1;\nALTER TABL t;"), Err("2:7 syntax error at or near \"TABL\"".to_owned()));
        assert_eq!(count("SELECT 1;\n SELECT (1"), Err("2:10 syntax error at end of input".to_owned()));
        let invisible = |at: &str, c: &str| Err(format!("{at} an invisible character {c} stands here"));
        assert_eq!(count("SELECT\u{a0}1;"), invisible("1:7", "U+00A0"));
        assert_eq!(count("\u{a0}SELECT 1;"), invisible("1:1", "U+00A0"));
        assert_eq!(count("SELECT 1;\n\u{feff}SELECT 2;"), invisible("2:1", "U+FEFF"));
        assert_eq!(count("CREATE TABLE t (a\u{200b}int);"), invisible("1:18", "U+200B"));
        // One in a comment or a literal is no fault.
        let text = "-- a\u{a0}b\nSELECT '\u{a0}';\nALTER TABL t;";
        assert_eq!(count(text), Err("3:7 syntax error at or near \"TABL\"".to_owned()));
        assert_eq!(count("\\i other.sql").map_err(|error| error.starts_with("1:1")), Err(true));
    }
}
