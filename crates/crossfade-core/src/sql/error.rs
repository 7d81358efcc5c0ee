//! Where a file stops being SQL. The parser's message names a token but not its place; it is found again here.

use thiserror::Error;

use super::Span;

/// The file can't be parsed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct SyntaxError {
    /// What the parser says.
    pub message: String,
    /// Where, as bytes of the file's text.
    pub span: Span,
    /// What to do, where we know it.
    pub help: Option<String>,
}

/// Finds the place of a parse error: of the statements that the scanner sees, the first that does not parse; in it, the first
/// occurrence of the named token at which the parser gives up.
pub(super) fn locate(text: &str, message: &str) -> SyntaxError {
    let message = message.strip_prefix("Invalid statement: ").unwrap_or(message).to_owned();
    let mut found = None;
    if let Ok(slices) = pg_query::split_with_scanner(text) {
        for slice in slices {
            if pg_query::parse(slice, 0).is_err() {
                let start = slice.as_ptr() as usize - text.as_ptr() as usize;
                found = Some(inside(slice, start));
                break;
            }
        }
    }
    let span = found.unwrap_or_else(|| inside(text, 0));
    let help = psql_command(text, span)
        .then(|| "this is a command of psql, not SQL: take the line out, or run the file with psql".to_owned());
    SyntaxError { message, span, help }
}

fn inside(slice: &str, start: usize) -> Span {
    let Ok(tokens) = super::parse::scan(slice) else {
        return Span::new(start, start + slice.len());
    };
    for token in &tokens {
        let (from, to) = (token.start as usize, token.end as usize);
        let Some(prefix) = slice.get(..to) else { continue };
        if let Err(error) = pg_query::parse(prefix, 0)
            && !error.to_string().contains("at end of input")
            && !error.to_string().contains("unterminated")
        {
            return Span::new(start + from, start + to);
        }
    }
    let end = start + slice.trim_end().len();
    Span::new(end.saturating_sub(1), end)
}

fn psql_command(text: &str, span: Span) -> bool {
    let line_start = text.get(..span.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    text.get(line_start..).is_some_and(|line| line.trim_start().starts_with('\\'))
}
