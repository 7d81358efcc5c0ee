//! Functions of PostgreSQL that stand in defaults: what is known of them without asking a server.

use crate::catalog::Volatility;

/// A name, and of how many arguments there is at least one and at most one.
type Known = (&'static str, usize, usize);

/// As many as somebody writes.
const ANY: usize = usize::MAX;

/// The same within a statement. Source: pg_proc of PostgreSQL 13 to 18.
const STABLE: &[Known] = &[
    ("now", 0, 0),
    ("statement_timestamp", 0, 0),
    ("transaction_timestamp", 0, 0),
    ("date_trunc", 2, 3),
    ("to_char", 2, 2),
    ("to_date", 2, 2),
    ("to_timestamp", 1, 2),
    ("current_setting", 1, 2),
    ("current_database", 0, 0),
    ("current_schema", 0, 0),
    ("age", 1, 2),
    ("timezone", 1, 2),
    ("txid_current", 0, 0),
    ("pg_current_xact_id", 0, 0),
];

/// The same always. Source: pg_proc of PostgreSQL 13 to 18; the parser makes functions of some that are none.
const IMMUTABLE: &[Known] = &[
    ("lower", 1, 1),
    ("upper", 1, 1),
    ("length", 1, 2),
    ("coalesce", 1, ANY),
    ("md5", 1, 1),
    ("abs", 1, 1),
    ("round", 1, 2),
    ("floor", 1, 1),
    ("ceil", 1, 1),
    ("concat", 1, ANY),
    ("concat_ws", 1, ANY),
    ("substring", 2, 3),
    ("substr", 2, 3),
    ("split_part", 3, 3),
    ("trim", 1, 2),
    ("btrim", 1, 2),
    ("ltrim", 1, 2),
    ("rtrim", 1, 2),
    ("replace", 3, 3),
    ("regexp_replace", 3, 6),
    ("left", 2, 2),
    ("right", 2, 2),
    ("jsonb_build_object", 0, ANY),
    ("jsonb_build_array", 0, ANY),
    ("make_interval", 0, 7),
    ("make_date", 3, 3),
    ("array_to_string", 2, 3),
    ("string_to_array", 2, 3),
    ("initcap", 1, 1),
    ("strpos", 2, 2),
    ("position", 2, 2),
    ("translate", 3, 3),
    ("trunc", 1, 2),
    ("power", 2, 2),
    ("sqrt", 1, 1),
    ("mod", 2, 2),
    ("date_part", 2, 2),
    ("extract", 2, 2),
    ("jsonb_extract_path_text", 1, ANY),
    ("greatest", 1, ANY),
    ("least", 1, ANY),
    ("nullif", 2, 2),
    ("to_jsonb", 1, 1),
    ("to_json", 1, 1),
    ("encode", 2, 2),
    ("decode", 2, 2),
    ("sha256", 1, 1),
    ("char_length", 1, 1),
    ("octet_length", 1, 1),
    ("reverse", 1, 1),
    ("lpad", 2, 3),
    ("rpad", 2, 3),
    ("repeat", 2, 2),
    ("cardinality", 1, 1),
    ("array_length", 2, 2),
];

fn known<'a>(list: &'a [Known], name: &str) -> Option<&'a Known> {
    list.iter().find(|(known, ..)| *known == name)
}

/// Volatility of the functions of PostgreSQL that stand in defaults. What is not here counts as volatile: filling in chunks is always right.
pub(crate) fn builtin_volatility(name: &str) -> Volatility {
    match (known(STABLE, name), known(IMMUTABLE, name)) {
        (Some(_), _) => Volatility::Stable,
        (None, Some(_)) => Volatility::Immutable,
        (None, None) => Volatility::Volatile,
    }
}

/// Whether one of them takes so many arguments. One that does not is a function of somebody's own, or there is none.
pub(crate) fn builtin_takes(name: &str, arguments: usize) -> bool {
    known(STABLE, name)
        .or_else(|| known(IMMUTABLE, name))
        .is_some_and(|(_, least, most)| (*least..=*most).contains(&arguments))
}
