//! Whether two texts are the same statements, whatever stands between them.

use pg_query::protobuf::Token;

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

/// The tokens of a text, as written.
fn code(text: &str) -> Option<Vec<String>> {
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let mut code = Vec::new();
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
    }
}
