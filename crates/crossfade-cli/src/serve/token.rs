//! The token for actions. It is kept as a digest, compared in constant time, and never shown.

use std::fmt;

use crossfade::Error;
use crossfade::Result;
use sha2::Digest as _;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

/// A shorter one can be guessed.
const LEAST: usize = 16;

/// Who knows it may pause, resume and throttle.
pub struct Token {
    digest: [u8; 32],
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// Takes what stands in a file or variable, without the white space around it.
    pub fn new(text: &str, place: &str) -> Result<Token> {
        let text = text.trim();
        if text.len() < LEAST {
            return Err(Error::usage(format!("the token in {place} is shorter than {LEAST} signs"))
                .hint("make one: openssl rand -hex 32"));
        }
        Ok(Token { digest: digest(text) })
    }

    /// Whether an `Authorization` header brings it. Of digests all are of one length, so the time says nothing.
    pub fn is_in(&self, header: &[u8]) -> bool {
        let Some(said) = std::str::from_utf8(header).ok().and_then(|header| header.split_once(' ')) else {
            return false;
        };
        let (scheme, said) = said;
        scheme.eq_ignore_ascii_case("bearer") && bool::from(digest(said.trim()).ct_eq(&self.digest))
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_behind_its_scheme_counts() {
        let token = Token::new(" 0123456789abcdef\n", "a test").expect("it is long enough");
        let accepted = |header: &str| token.is_in(header.as_bytes());
        assert!(accepted("Bearer 0123456789abcdef") && accepted("bearer  0123456789abcdef "));
        for wrong in ["", "Bearer", "Bearer ", "0123456789abcdef", "Basic 0123456789abcdef", "Bearer 0123456789abcde"] {
            assert!(!accepted(wrong), "{wrong}");
        }
        assert!(!token.is_in(b"Bearer \xff\xff"));
        assert!(!format!("{token:?}").contains("0123"));
    }

    #[test]
    fn a_short_one_is_refused_and_not_repeated() {
        let error = Token::new("secret", "CROSSFADE_SERVE_TOKEN").expect_err("it is short");
        assert!(!error.chain().contains("secret"), "{}", error.chain());
    }
}
