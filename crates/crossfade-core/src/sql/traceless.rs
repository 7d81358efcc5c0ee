//! Statements that leave nothing behind which a way back would take away.

use pg_query::NodeEnum;

use super::ParsedStatement;

/// Functions that change nothing of a schema and no row: they read, they wait, or they set what is no part of either (a sequence's next number).
const HARMLESS: [&str; 19] = [
    "count",
    "current_setting",
    "currval",
    "format",
    "lastval",
    "length",
    "lower",
    "max",
    "min",
    "nextval",
    "now",
    "pg_advisory_xact_lock",
    "pg_get_serial_sequence",
    "pg_notify",
    "pg_sleep",
    "setval",
    "to_regclass",
    "upper",
    "version",
];

/// Whether it changes nothing of the schema and no row that is not made of others: SET CONSTRAINTS, LOCK TABLE, REFRESH of a materialized view, a SELECT of known functions.
pub fn is_traceless(statement: &ParsedStatement) -> bool {
    let Ok(parsed) = pg_query::parse(statement.text.as_str(), 0) else { return false };
    let node = parsed.protobuf.stmts.first().and_then(|raw| raw.stmt.as_ref()?.node.as_ref());
    match node {
        Some(NodeEnum::ConstraintsSetStmt(_) | NodeEnum::LockStmt(_) | NodeEnum::RefreshMatViewStmt(_)) => true,
        Some(NodeEnum::SelectStmt(select)) => {
            let known = |name: String| HARMLESS.contains(&name.strip_prefix("pg_catalog.").unwrap_or(&name));
            // A statement that writes rows can only stand in its WITH; INTO stands in the first one of a UNION.
            let plain = select.with_clause.is_none() && select.into_clause.is_none() && select.larg.is_none();
            plain && parsed.functions().into_iter().all(known)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_nothing_behind_is_known_by_its_text() {
        let traceless = |text: &str| super::super::parse_file(text).is_ok_and(|file| is_traceless(&file.statements[0]));
        for text in [
            "SET CONSTRAINTS ALL IMMEDIATE",
            "LOCK TABLE t IN SHARE MODE",
            "REFRESH MATERIALIZED VIEW CONCURRENTLY m",
            "SELECT setval(pg_get_serial_sequence('t', 'id'), (SELECT max(id) FROM t))",
            "SELECT pg_catalog.pg_notify('a', 'b')",
            "SELECT 1",
        ] {
            assert!(traceless(text), "{text}");
        }
        for text in [
            "SELECT f()",
            "SELECT set_config('search_path', '', false)",
            "SELECT s.setval('x', 1)",
            "SELECT * INTO u FROM t",
            "SELECT 1 INTO u UNION SELECT 2",
            "WITH gone AS (DELETE FROM t RETURNING 1) SELECT count(*) FROM gone",
            "INSERT INTO t VALUES (1)",
            "SELECT pg_terminate_backend(1)",
        ] {
            assert!(!traceless(text), "{text}");
        }
    }
}
