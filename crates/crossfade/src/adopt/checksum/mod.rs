//! How other tools sum up the text of a file. Pure, and held against values that their projects publish.
//!
//! What differs in line ends or a byte order mark alone is told apart from what differs: a checkout on another system does that.

mod atlas;
mod flyway;
mod graphile;
mod liquibase;
mod plain;
mod refinery;

pub(super) use atlas::Chain;
pub(super) use flyway::flyway;
pub(super) use graphile::graphile;
pub(super) use liquibase::liquibase;
pub(super) use plain::prisma_sums;
pub(super) use plain::sha1_hex;
pub(super) use plain::sha384_hex;
pub(super) use refinery::refinery_sums;

/// How a file compares with what a history has recorded of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sameness {
    /// As it was when it ran.
    Same,
    /// The same but for line ends or a byte order mark.
    LineEnds,
    /// Another text.
    Differs,
    /// The history holds nothing to compare it with.
    Unknown,
}

/// Compares a file as it is, then as it would be after a checkout on another system.
pub(super) fn compare(raw: &[u8], is_recorded: impl Fn(&[u8]) -> bool) -> Sameness {
    if is_recorded(raw) {
        return Sameness::Same;
    }
    if elsewhere(raw).iter().any(|bytes| is_recorded(bytes)) { Sameness::LineEnds } else { Sameness::Differs }
}

const MARK: &[u8] = b"\xef\xbb\xbf";

/// The same text with LF and with CRLF, each without and with a byte order mark.
fn elsewhere(raw: &[u8]) -> Vec<Vec<u8>> {
    let bare = raw.strip_prefix(MARK).unwrap_or(raw);
    let lf = with_lf(bare);
    let crlf = with_crlf(&lf);
    let marked = |text: &[u8]| [MARK, text].concat();
    vec![marked(&lf), marked(&crlf), marked(bare), bare.to_vec(), lf, crlf]
}

/// Every CRLF as LF. A lone CR stays.
pub(super) fn with_lf(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for (at, byte) in text.iter().enumerate() {
        if *byte == b'\r' && text.get(at + 1) == Some(&b'\n') {
            continue;
        }
        out.push(*byte);
    }
    out
}

/// Every LF as CRLF, of a text without CRLF.
pub(super) fn with_crlf(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 32);
    for byte in text {
        if *byte == b'\n' {
            out.push(b'\r');
        }
        out.push(*byte);
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkout_elsewhere_is_told_apart_from_an_edit() {
        let was = |text: &'static str| move |bytes: &[u8]| bytes == text.as_bytes();
        assert_eq!(compare(b"a\nb\n", was("a\nb\n")), Sameness::Same);
        assert_eq!(compare(b"a\nb\n", was("a\r\nb\r\n")), Sameness::LineEnds);
        assert_eq!(compare(b"a\r\nb\r\n", was("a\nb\n")), Sameness::LineEnds);
        assert_eq!(compare(b"a\nb\n", was("\u{feff}a\r\nb\r\n")), Sameness::LineEnds);
        assert_eq!(compare(b"\xef\xbb\xbfa\n", was("a\n")), Sameness::LineEnds);
        assert_eq!(compare(b"a\n\nb\n", was("a\nb\n")), Sameness::Differs);
        assert_eq!(compare(b"a\nb", was("a\nb\n")), Sameness::Differs);
    }

    #[test]
    fn a_lone_carriage_return_is_text() {
        assert_eq!(with_lf(b"a\rb\r\nc\r"), b"a\rb\nc\r");
        assert_eq!(with_crlf(b"a\nb"), b"a\r\nb");
    }
}
