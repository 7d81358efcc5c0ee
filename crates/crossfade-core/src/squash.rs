//! One file in the place of many: what it says of those that it replaces, and how it is made of their texts.
//!
//! The head of such a file has a line for each migration that it replaces, with what is needed to know that migration again:
//!
//! ```text
//! -- crossfade: replaces 001 sha256:… code:… create_users
//! ```
//!
//! A database that has run them counts the file as run. Another one runs it. A file that replaces a squashed one carries its lines along: a
//! second line for a version is another text that may have been run as it, in the place of everything up to it.

use std::fmt::Write as _;

use crate::migration::checksum;
use crate::sql::Span;
use crate::sql::StatementKind;
use crate::sql::TransactionControl;
use crate::sql::code_hash;
use crate::sql::parse_file;
use crate::sql::unterminated;

/// The directive.
const REPLACES: &str = "-- crossfade: replaces ";

/// A migration that a squashed file replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// Its version.
    pub version: String,
    /// Its name.
    pub name: String,
    /// [`checksum`] of its text.
    pub checksum: String,
    /// [`code_hash`] of its text.
    pub code: String,
}

impl Replaced {
    /// Of this text.
    pub fn of(version: &str, name: &str, text: &str) -> Replaced {
        Replaced {
            version: version.to_owned(),
            name: name.to_owned(),
            checksum: checksum(text),
            code: code_hash(text).unwrap_or_default(),
        }
    }

    fn line(&self) -> String {
        let Replaced { version, name, checksum, code } = self;
        format!("{REPLACES}{version} {checksum} code:{code} {name}\n")
    }

    /// Reads what follows the directive.
    fn read(text: &str) -> Option<Replaced> {
        let mut words = text.trim().splitn(4, ' ');
        let version = words.next().filter(|word| !word.is_empty())?.to_owned();
        let checksum = words.next().filter(|word| word.starts_with("sha256:"))?.to_owned();
        let code = words.next()?.strip_prefix("code:")?.to_owned();
        let name = words.next().unwrap_or_default().to_owned();
        Some(Replaced { version, name, checksum, code })
    }
}

/// What a file replaces, in order; nothing for one that was not squashed.
///
/// # Errors
///
/// A line that can't be read.
pub fn replaced(text: &str) -> Result<Vec<Replaced>, String> {
    if !text.contains(REPLACES) {
        return Ok(Vec::new());
    }
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix(REPLACES));
    lines.map(|line| Replaced::read(line).ok_or_else(|| format!("{REPLACES}{line}"))).collect()
}

/// A migration that becomes a part of a squashed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Its version.
    pub version: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// The text of a file that does what these do, in their order.
///
/// # Errors
///
/// The position of a piece that can't be a part of it, and why.
pub fn compose(pieces: &[Piece<'_>]) -> Result<String, (usize, String)> {
    let mut head = String::new();
    let mut body = String::new();
    for (at, piece) in pieces.iter().enumerate() {
        let wrong = |why: String| (at, why);
        let carried = replaced(piece.text).map_err(|line| wrong(format!("this line can't be read: {line}")))?;
        for one in carried.iter().chain([&Replaced::of(piece.version, piece.name, piece.text)]) {
            head.push_str(&one.line());
        }
        let _ = write!(body, "\n-- {}_{}\n", piece.version, piece.name);
        body.push_str(&part(piece.text).map_err(wrong)?);
    }
    head.push_str("-- Made by `crossfade squash`. A database that has run these migrations counts this file as run; another one runs it.\n");
    Ok(head + &body)
}

/// A piece's text as it stands among others.
fn part(text: &str) -> Result<String, String> {
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let file = parse_file(&text).map_err(|error| error.message)?;
    let mut cuts: Vec<Span> = Vec::new();
    // A `BEGIN; … COMMIT;` around the whole of it means what happens anyway; in the middle of a file it would not.
    let control = |at: Option<usize>, wanted: TransactionControl| {
        let found = at.and_then(|at| file.statements.get(at));
        found.filter(|found| matches!(&found.kind, StatementKind::Transaction(control) if *control == wanted))
    };
    let last = file.statements.len().checked_sub(1);
    if let (Some(begin), Some(commit)) =
        (control(Some(0), TransactionControl::Begin), control(last, TransactionControl::Commit))
    {
        cuts.extend([begin.span, commit.span]);
    }
    for comment in &file.comments {
        let Some(said) = comment.text.strip_prefix("crossfade:") else { continue };
        match said.trim() {
            "no-transaction" => {
                return Err("it does not run in one transaction".to_owned());
            }
            // On a database that has none of it, all of it runs at once; and it would speak for all that follows.
            said if said.starts_with("phase ") || said.starts_with("replaces ") => cuts.push(comment.span),
            _ => {}
        }
    }
    cuts.sort_by_key(|span| span.start);
    let mut out = String::new();
    let mut from = 0;
    for span in cuts {
        out.push_str(&text[from..span.start]);
        from = span.end;
        // The semicolon of a statement goes with it.
        let rest = &text[from..];
        if let Some(behind) = rest.trim_start().strip_prefix(';') {
            from = text.len() - behind.len();
        }
    }
    out.push_str(&text[from..]);
    let mut out = out.trim().to_owned();
    out.push('\n');
    if unterminated(&out) {
        out.push_str(";\n");
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece<'a>(version: &'a str, text: &'a str) -> Piece<'a> {
        Piece { version, name: "x", text }
    }

    #[test]
    fn one_file_of_many() {
        let pieces = [
            piece("001", "\u{feff}-- users\r\nCREATE TABLE users (id int)"),
            piece("002", "BEGIN;\nALTER TABLE users ADD COLUMN a int; -- why\nCOMMIT;\n"),
            piece("003", "-- crossfade: phase contract\nDROP TABLE old;\n"),
            piece("004", "-- nothing\n"),
            piece("005", "COPY users FROM stdin;\n1\t2\n\\.\n"),
        ];
        let text = compose(&pieces).unwrap();
        insta::assert_snapshot!(text);
        assert!(parse_file(&text).is_ok());
        let again = replaced(&text).unwrap();
        assert_eq!(again.len(), 5);
        assert_eq!(again[1], Replaced::of("002", "x", pieces[1].text));
    }

    #[test]
    fn a_squashed_file_is_squashed_again_with_what_it_replaced() {
        let first = compose(&[piece("001", "SELECT 1;"), piece("002", "SELECT 2;")]).unwrap();
        let second = compose(&[piece("002", &first), piece("003", "SELECT 3;")]).unwrap();
        let versions: Vec<String> = replaced(&second).unwrap().into_iter().map(|one| one.version).collect();
        assert_eq!(versions, ["001", "002", "002", "003"]);
        assert_eq!(second.matches("SELECT 1;").count(), 1);
        let head = second.lines().take_while(|line| line.starts_with(REPLACES)).count();
        assert_eq!(second.matches(REPLACES).count(), head, "its own lines stand at the head only");
    }

    #[test]
    fn what_does_not_run_in_one_transaction_is_no_part() {
        let wrong = compose(&[piece("001", "SELECT 1;"), piece("002", "-- crossfade: no-transaction\nVACUUM;")]);
        assert_eq!(wrong, Err((1, "it does not run in one transaction".to_owned())));
        assert_eq!(compose(&[piece("001", "SELEC 1;")]).unwrap_err().0, 0);
    }

    #[test]
    fn a_line_that_can_not_be_read_is_named() {
        assert_eq!(replaced("SELECT 1;"), Ok(Vec::new()));
        for line in ["001", "001 sha256:0 x", "001 md5:0 code:0", "001..042"] {
            let text = format!("{REPLACES}{line}\nSELECT 1;");
            assert_eq!(replaced(&text), Err(format!("{REPLACES}{line}")));
        }
    }
}
