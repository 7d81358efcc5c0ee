//! Whether two texts are the same statements, whatever stands between them.

use pg_query::protobuf::Token;

use super::client::for_server;
use super::parse::own_line_comment;
use super::parse::scan;

/// Whether two texts differ in nothing but comments, white space and line ends. What a comment says to us counts; a text that can't be
/// taken apart is like no other.
pub fn same_code(a: &str, b: &str) -> bool {
    match (code(a), code(b)) {
        (Some(a), Some(b)) => a == b,
        (None, _) | (_, None) => false,
    }
}

/// Sixteen hexadecimal digits that are the same for texts with [`same_code`]; none where the text can't be taken apart.
pub fn code_hash(text: &str) -> Option<String> {
    use sha2::Digest as _;
    use std::fmt::Write as _;
    let digest = sha2::Sha256::digest(code(text)?.join("\0").as_bytes());
    Some(digest.iter().take(8).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

/// Whether the last statement of a text has no semicolon.
pub fn unterminated(text: &str) -> bool {
    let Ok(server) = for_server(text) else { return false };
    let tokens = scan(&server.text).unwrap_or_default();
    let last = tokens.iter().rfind(|token| !matches!(token.token(), Token::SqlComment | Token::CComment));
    last.is_some_and(|last| last.token() != Token::Ascii59)
}

/// The tokens of a text, as written, and the rows that stand in it for COPY.
fn code(text: &str) -> Option<Vec<String>> {
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let server = for_server(&text).ok()?;
    let mut code: Vec<String> = server.rows.iter().map(|rows| rows.of(&text).to_owned()).collect();
    let text = server.text;
    for token in scan(&text).ok()? {
        let (start, end) = (token.start as usize, token.end as usize);
        match token.token() {
            Token::CComment => {}
            Token::SqlComment => {
                let directive = own_line_comment(&text, start, end)
                    .and_then(|comment| comment.text.strip_prefix("crossfade:").map(|said| said.trim().to_owned()));
                code.extend(directive.map(|said| format!("-- crossfade: {said}")));
            }
            _ => code.push(text.get(start..end)?.to_owned()),
        }
    }
    Some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_white_space_and_line_ends_are_no_code() {
        let text = "CREATE TABLE t (id int);\nINSERT INTO t VALUES (1);\n";
        for same in [
            "\u{feff}-- SPDX-License-Identifier: MIT\r\nCREATE TABLE t (id int);\r\nINSERT INTO t VALUES (1);",
            "CREATE  TABLE t(id /* a /* b */ c */ int) ; INSERT INTO t VALUES (1); -- crossfade: not on a line of its own",
        ] {
            assert!(same_code(text, same), "{same}");
        }
        for other in [
            "CREATE TABLE t (id int);",
            "create table t (id int);\nINSERT INTO t VALUES (1);\n",
            "CREATE TABLE t (id int);\nINSERT INTO t VALUES (2);\n",
            "CREATE TABLE t (id int);\n-- crossfade: direct it is small\nINSERT INTO t VALUES (1);\n",
            "CREATE TABLE t (id int);\nINSERT INTO t VALUES ('1);\n",
        ] {
            assert!(!same_code(text, other), "{other}");
        }
    }

    #[test]
    fn what_stands_in_quotes_is_code() {
        assert!(!same_code("SELECT 'a  b'", "SELECT 'a b'"));
        assert!(!same_code("SELECT $$ -- a\n$$", "SELECT $$ -- b\n$$"));
        assert!(same_code("SELECT $$ -- a\r\n$$", "SELECT $$ -- a\n$$"));
        assert!(!same_code("SELECT 1", "SELECT '"));
        assert!(same_code("", " -- nothing\n"));
        let copy = |rows: &str| format!("COPY t FROM stdin;\n{rows}\n\\.\n");
        assert!(same_code(&copy("1\tit's"), &format!("-- c\n{}", copy("1\tit's"))));
        assert!(!same_code(&copy("1\tit's"), &copy("1\tit  's")));
    }

    #[test]
    fn the_hash_is_of_the_code() {
        assert_eq!(code_hash("SELECT 1;"), code_hash("-- c\nSELECT\t1 ;"));
        assert_ne!(code_hash("SELECT 1;"), code_hash("SELECT 11;"));
        assert_ne!(code_hash("SELECT a b"), code_hash("SELECT ab"));
        assert_eq!((code_hash("SELECT '"), code_hash("").map(|hash| hash.len())), (None, Some(16)));
    }

    #[test]
    fn a_semicolon_is_missing_where_code_ends_without() {
        let open = ["SELECT 1", "SELECT 1 -- ;", "SELECT ';'", "SELECT 1; SELECT 2 /* ; */"];
        let closed = ["", "-- x", "SELECT 1;", "SELECT 1; -- x", "COPY t FROM stdin;\n1\n\\.\n"];
        assert_eq!((open.map(unterminated), closed.map(unterminated)), ([true; 4], [false; 5]));
    }
}
