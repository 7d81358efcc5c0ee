//! A file's text to what its statements do, one after the other.

use pg_query::NodeEnum;

use super::Act;
use super::Deed;
use super::body;
use super::read::deed;
use crate::sql::MAX_IDENT_BYTES;
use crate::sql::Span;
use crate::sql::SyntaxError;
use crate::sql::client::for_server;
use crate::sql::error::locate;
use crate::sql::parse::is_comment;
use crate::sql::parse::scan;

/// A comment that speaks to Crossfade, or to squawk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// Where it stands.
    pub span: Span,
    /// Its text without the dashes.
    pub text: String,
    /// Whether nothing stands in front of it on its line.
    pub alone: bool,
}

/// What a file does.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// What its statements do, in their order; those of a body behind the statement that they stand in.
    pub(crate) acts: Vec<Act>,
    /// DO blocks.
    pub(crate) blocks: Vec<Span>,
    /// Line comments.
    pub(crate) notes: Vec<Note>,
    /// Names that are longer than the server keeps.
    pub(crate) long_names: Vec<Span>,
    /// What is no SQL.
    pub(crate) errors: Vec<SyntaxError>,
}

impl Script {
    /// Where its statements stand, without those in the bodies of others.
    pub fn statements(&self) -> impl Iterator<Item = Span> {
        let mut spans: Vec<Span> = self.acts.iter().filter(|act| act.inside.is_none()).map(|act| act.span).collect();
        // A DO block is known by what stands in it.
        spans.extend(self.blocks.iter().copied());
        spans.sort();
        spans.dedup();
        spans.into_iter()
    }
}

/// Reads a file. The text has no byte order mark.
pub fn read_script(text: &str) -> Script {
    let mut script = Script::default();
    if let Some(at) = text.find('\0') {
        let message = "the file holds a NUL byte".to_owned();
        script.errors.push(SyntaxError { message, span: Span::new(at, at + 1), help: None });
        return script;
    }
    let server = match for_server(text) {
        Ok(server) => server.text,
        Err(error) => {
            script.errors.push(error);
            return script;
        }
    };
    if text.contains("--")
        && let Ok(tokens) = scan(&server)
    {
        let comments = tokens.iter().filter(|token| token.token() == pg_query::protobuf::Token::SqlComment);
        script.notes = comments.filter_map(|token| note(&server, token.start as usize, token.end as usize)).collect();
    }
    script.long_names = long_names(&server);
    match pg_query::parse(&server, 0) {
        Ok(parsed) => read_parsed(&server, 0, &parsed, &mut script),
        Err(_) => each_statement(&server, &mut script),
    }
    script
}

fn note(text: &str, start: usize, end: usize) -> Option<Note> {
    let written = text.get(start..end)?.trim_end();
    let body = written.trim_start_matches('-').trim();
    let speaks = ["crossfade:", "squawk-ignore", "squawk-disable"].iter().any(|prefix| body.starts_with(prefix));
    let line = text.get(..start)?.rfind(['\n', '\r']).map_or(0, |at| at + 1);
    speaks.then(|| Note {
        span: Span::new(start, start + written.len()),
        text: body.to_owned(),
        alone: text[line..start].trim().is_empty(),
    })
}

/// Names of more bytes than the server keeps; the parser has cut them already.
fn long_names(text: &str) -> Vec<Span> {
    use pg_query::protobuf::Token;
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    if !text.split(|c: char| !is_name(c)).any(|word| word.len() > MAX_IDENT_BYTES) {
        return Vec::new();
    }
    let tokens = scan(text).unwrap_or_default();
    let names = tokens.iter().filter(|token| token.token() == Token::Ident);
    let spans = names.map(|token| Span::new(token.start as usize, token.end as usize));
    spans.filter(|span| span.of(text).trim_matches('"').len() > MAX_IDENT_BYTES).collect()
}

/// One statement after the other, where the file as a whole is no SQL.
fn each_statement(text: &str, script: &mut Script) {
    let slices = match pg_query::split_with_scanner(text) {
        Ok(slices) => slices,
        Err(error) => {
            script.errors.push(locate(text, &error.to_string()));
            return;
        }
    };
    for slice in slices {
        let start = slice.as_ptr() as usize - text.as_ptr() as usize;
        match pg_query::parse(slice, 0) {
            Ok(parsed) => read_parsed(slice, start, &parsed, script),
            Err(error) => {
                let mut error = locate(slice, &error.to_string());
                error.span = Span::new(error.span.start + start, error.span.end + start);
                script.errors.push(error);
            }
        }
    }
}

fn read_parsed(text: &str, offset: usize, parsed: &pg_query::ParseResult, script: &mut Script) {
    for raw in &parsed.protobuf.stmts {
        let Some(node) = raw.stmt.as_ref().and_then(|stmt| stmt.node.as_ref()) else { continue };
        let start = raw.stmt_location as usize;
        let end = if raw.stmt_len == 0 { text.len() } else { start + raw.stmt_len as usize };
        let span = trimmed(text, start, end);
        let at = Span::new(span.start + offset, span.end + offset);
        match node {
            NodeEnum::DoStmt(block) => {
                script.blocks.push(at);
                body::block(block, span.of(text), at, script);
            }
            NodeEnum::CreateFunctionStmt(function) => {
                script.acts.push(Act { span: at, deed: deed(node), inside: None });
                body::function(function, span.of(text), at, script);
            }
            _ => {
                script.acts.push(Act { span: at, deed: deed(node), inside: None });
                // AND CHAIN begins the next one at once.
                if matches!(node, NodeEnum::TransactionStmt(transaction) if transaction.chain) {
                    script.acts.push(Act { span: at, deed: Deed::Begin, inside: None });
                }
            }
        }
    }
}

/// A statement without white space and comments around it.
fn trimmed(text: &str, start: usize, end: usize) -> Span {
    let slice = text.get(start..end).unwrap_or_default();
    let plain = slice.trim();
    let comment_like =
        plain.starts_with("--") || plain.starts_with("/*") || plain.contains("--") || plain.ends_with("*/");
    if comment_like && let Ok(tokens) = scan(slice) {
        let code: Vec<_> = tokens.iter().filter(|token| !is_comment(token)).collect();
        if let (Some(first), Some(last)) = (code.first(), code.last()) {
            return Span::new(start + first.start as usize, start + last.end as usize);
        }
    }
    let lead = slice.len() - slice.trim_start().len();
    Span::new(start + lead, start + lead + plain.len())
}
