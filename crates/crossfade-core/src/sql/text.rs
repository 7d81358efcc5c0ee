//! SQL text that is made of parts which quote themselves.
//!
//! There is no way from a `String` to a [`Sql`]: a template is a `&'static str`, and what fills it is an
//! [`Ident`], a [`TableName`], a [`Literal`], an [`Expr`](super::Expr) cut from a parsed file, or text that the server itself
//! rendered ([`ServerText`]).

use std::fmt;
use std::fmt::Write as _;

use serde::Deserialize;
use serde::Serialize;

/// The longest identifier that PostgreSQL keeps, in bytes (`NAMEDATALEN - 1`).
pub const MAX_IDENT_BYTES: usize = 63;

/// Something that can be written into SQL text safely.
pub trait SqlPart: Sync {
    /// Appends this part, quoted as its kind demands.
    fn write_sql(&self, out: &mut String);
}

impl<T: SqlPart + ?Sized> SqlPart for &T {
    fn write_sql(&self, out: &mut String) {
        (**self).write_sql(out);
    }
}

/// A piece of SQL, complete or not, that is safe to send.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sql(String);

impl Sql {
    /// Fills the `{}` of a fixed template with parts, in order.
    ///
    /// # Panics
    ///
    /// When the number of `{}` differs from the number of parts: both stand in the same line of source.
    pub fn build(template: &'static str, parts: &[&dyn SqlPart]) -> Sql {
        let mut out = String::with_capacity(template.len() + parts.len() * 16);
        let mut pieces = template.split("{}");
        out.push_str(pieces.next().unwrap_or_default());
        let mut parts = parts.iter();
        for piece in pieces {
            let part = parts.next().expect("a template has as many parts as it has {}");
            part.write_sql(&mut out);
            out.push_str(piece);
        }
        assert!(parts.next().is_none(), "a template has as many {{}} as it has parts");
        Sql(out)
    }

    /// The empty text.
    pub fn empty() -> Sql {
        Sql(String::new())
    }

    /// Joins pieces with a fixed separator.
    pub fn join(pieces: impl IntoIterator<Item = Sql>, separator: &'static str) -> Sql {
        let pieces: Vec<String> = pieces.into_iter().map(|piece| piece.0).collect();
        Sql(pieces.join(separator))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Text cut from a parsed file. Only `sql` may make it.
    pub(super) fn from_source(text: &str) -> Sql {
        Sql(text.to_owned())
    }
}

impl fmt::Display for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl SqlPart for Sql {
    fn write_sql(&self, out: &mut String) {
        out.push_str(&self.0);
    }
}

/// Builds a [`Sql`] from a fixed template: `sql!("ALTER TABLE {} DROP COLUMN {}", table, column)`.
#[macro_export]
macro_rules! sql {
    ($template:literal $(, $part:expr)* $(,)?) => {
        $crate::sql::Sql::build($template, &[$(&$part as &dyn $crate::sql::SqlPart),*])
    };
}

/// One identifier, kept without quotes and always written with them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ident(String);

impl Ident {
    /// Wraps a name as the server stores it (after case folding).
    pub fn new(name: impl Into<String>) -> Ident {
        Ident(name.into())
    }

    /// The bare name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name of at most 63 bytes that starts as `prefix` + `stem` and stays distinct: what is cut off is replaced by
    /// a hash of the whole.
    pub fn derived(prefix: &str, stem: &str) -> Ident {
        let whole = format!("{prefix}{stem}");
        if whole.len() <= MAX_IDENT_BYTES {
            return Ident(whole);
        }
        let hash = short_hash(&whole);
        Ident(format!("{}_{hash}", cut(&whole, MAX_IDENT_BYTES - hash.len() - 1)))
    }
}

/// As much of a text as fits into so many bytes, in whole characters.
pub fn cut(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Eight hexadecimal digits of SHA-256.
pub fn short_hash(text: &str) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(text.as_bytes());
    digest.iter().take(4).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Ident {
    fn from(name: &str) -> Ident {
        Ident::new(name)
    }
}

impl SqlPart for Ident {
    fn write_sql(&self, out: &mut String) {
        out.push('"');
        for c in self.0.chars() {
            if c == '"' {
                out.push('"');
            }
            out.push(c);
        }
        out.push('"');
    }
}

/// A relation, function or type by schema and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableName {
    /// The schema.
    pub schema: Ident,
    /// The name in it.
    pub name: Ident,
}

impl TableName {
    /// Schema and name as the server stores them.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> TableName {
        TableName { schema: Ident::new(schema), name: Ident::new(name) }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

impl SqlPart for TableName {
    fn write_sql(&self, out: &mut String) {
        self.schema.write_sql(out);
        out.push('.');
        self.name.write_sql(out);
    }
}

/// A string literal, written so that it means the same whatever `standard_conforming_strings` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literal(pub String);

impl SqlPart for Literal {
    fn write_sql(&self, out: &mut String) {
        if self.0.contains('\\') {
            out.push('E');
        }
        out.push('\'');
        for c in self.0.chars() {
            if c == '\'' || c == '\\' {
                out.push(c);
            }
            out.push(c);
        }
        out.push('\'');
    }
}

/// An integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number(pub i64);

impl SqlPart for Number {
    fn write_sql(&self, out: &mut String) {
        let _ = write!(out, "{}", self.0);
    }
}

/// Text that the server rendered for us (`format_type`, `pg_get_expr`, `pg_get_indexdef` …), hence already quoted.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServerText(String);

impl ServerText {
    /// Wraps what a catalog function of the server returned.
    pub fn from_server(text: impl Into<String>) -> ServerText {
        ServerText(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl SqlPart for ServerText {
    fn write_sql(&self, out: &mut String) {
        out.push_str(&self.0);
    }
}

/// A body between dollar quotes whose tag does not occur in it.
#[derive(Clone, Debug)]
pub struct DollarQuoted(pub Sql);

impl SqlPart for DollarQuoted {
    fn write_sql(&self, out: &mut String) {
        let mut tag = "$crossfade$".to_owned();
        let mut n = 0;
        while self.0.as_str().contains(&tag) {
            n += 1;
            tag = format!("$crossfade{n}$");
        }
        out.push_str(&tag);
        out.push_str(self.0.as_str());
        out.push_str(&tag);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_quote_themselves() {
        let table = TableName::new("odd \"schema\"", "select");
        let text = sql!("COMMENT ON TABLE {} IS {}", table, Literal("it's a \\ test".into()));
        assert_eq!(text.as_str(), r#"COMMENT ON TABLE "odd ""schema"""."select" IS E'it''s a \\ test'"#);
    }

    #[test]
    fn derived_names_fit_and_stay_distinct() {
        let long = "é".repeat(40);
        let (a, b) = (Ident::derived("_cf_a_", &long), Ident::derived("_cf_b_", &long));
        assert!(a.as_str().len() <= MAX_IDENT_BYTES && b.as_str().len() <= MAX_IDENT_BYTES);
        assert_ne!(a, b);
    }

    #[test]
    fn dollar_quotes_avoid_their_own_tag() {
        let body = Sql::from_source("SELECT '$crossfade$'");
        assert_eq!(sql!("{}", DollarQuoted(body)).as_str(), "$crossfade1$SELECT '$crossfade$'$crossfade1$");
    }
}
