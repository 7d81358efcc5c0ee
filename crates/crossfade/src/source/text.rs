//! A file's bytes to its text, and the text to lines with their places.

use std::path::Path;

use crossfade_core::sql::Span;

use super::embedded::Medium;
use crate::error::Error;
use crate::error::Result;

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub raw: Vec<u8>,
    /// Without a byte order mark.
    pub text: String,
}

/// Reads a file as UTF-8.
pub(super) fn read(medium: Medium<'_>, path: &Path) -> Result<Content> {
    let raw = medium
        .read(path)
        .map_err(|error| Error::usage(format!("could not read {}", path.display())).caused_by(error))?;
    let text = decode(&raw, path)?;
    Ok(Content { raw, text })
}

fn decode(raw: &[u8], path: &Path) -> Result<String> {
    let path = path.display();
    if raw.starts_with(&[0xff, 0xfe]) || raw.starts_with(&[0xfe, 0xff]) {
        return Err(Error::refused(format!("{path}:1:1: the file is UTF-16")).hint("save it as UTF-8"));
    }
    let text = std::str::from_utf8(raw).map_err(|error| {
        let at = error.valid_up_to();
        let (line, column) = place(raw, at);
        let byte = raw.get(at).copied().unwrap_or_default();
        Error::refused(format!("{path}:{line}:{column}: byte 0x{byte:02X} at offset {at} is not UTF-8"))
            .hint("save the file as UTF-8; it may be in Latin-1 or Windows-1252")
    })?;
    if let Some(at) = text.find('\0') {
        let (line, column) = place(raw, at);
        return Err(Error::refused(format!("{path}:{line}:{column}: a NUL byte stands here, at offset {at}"))
            .hint("is it UTF-16, or no text at all? save it as UTF-8"));
    }
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text).to_owned())
}

/// Line and column of a byte, from 1, as far as what stands before it is text.
fn place(raw: &[u8], at: usize) -> (usize, usize) {
    let before = String::from_utf8_lossy(raw.get(..at).unwrap_or_default());
    let before = before.strip_prefix('\u{feff}').unwrap_or(&before);
    Span::new(before.len(), before.len()).line_and_column(before)
}

/// A line and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'t> {
    /// Without its end.
    pub text: &'t str,
    /// With its end.
    pub whole: &'t str,
    /// Where the text stands.
    pub span: Span,
}

impl<'t> Line<'t> {
    /// What ends it: `\n`, `\r\n`, or nothing.
    pub fn end(&self) -> &'t str {
        &self.whole[self.text.len()..]
    }
}

/// The lines of a text.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut at = 0;
    text.split_inclusive('\n').map(move |whole| {
        let start = at;
        at += whole.len();
        let text = whole.strip_suffix('\n').map_or(whole, |line| line.strip_suffix('\r').unwrap_or(line));
        Line { text, whole, span: Span::new(start, start + text.len()) }
    })
}

/// Whether nothing of a line would be run.
pub(super) fn is_comment_or_blank(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with("--")
}

/// Whether nothing of a file would be run, as far as its lines tell.
pub(super) fn says_nothing(text: &str) -> bool {
    text.lines().all(is_comment_or_blank)
}

/// The text without the empty lines at its end: what follows a section is none of its text.
pub(super) fn without_tail(mut text: String) -> String {
    text.truncate(text.trim_end().len());
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(raw: &[u8]) -> String {
        decode(raw, Path::new("a.sql")).map_or_else(|error| error.to_string(), |text| format!("read: {text}"))
    }

    #[test]
    fn what_is_not_utf8_is_named_with_its_place() {
        assert_eq!(refusal("\u{feff}SELECT 1;".as_bytes()), "read: SELECT 1;");
        assert_eq!(refusal(b"SELECT 1;\n-- caf\xe9"), "a.sql:2:7: byte 0xE9 at offset 16 is not UTF-8");
        assert_eq!(refusal(b"\xff\xfeS\0E\0"), "a.sql:1:1: the file is UTF-16");
        assert_eq!(refusal(b"\xfe\xff\0S\0E"), "a.sql:1:1: the file is UTF-16");
        assert_eq!(refusal(b"S\0E\0"), "a.sql:1:2: a NUL byte stands here, at offset 1");
        assert_eq!(refusal("\u{feff}é\n\0".as_bytes()), "a.sql:2:1: a NUL byte stands here, at offset 6");
    }

    #[test]
    fn lines_keep_their_ends() {
        let found: Vec<_> = lines("a\r\n\nbc").map(|line| (line.text, line.end(), line.span.start)).collect();
        assert_eq!(found, [("a", "\r\n", 0), ("", "\n", 3), ("bc", "", 4)]);
        assert!(says_nothing("\n  -- a\n") && !says_nothing("/* a */"));
    }
}
