//! What a chunk's statement did, in the server's own numbers, as EXPLAIN (ANALYZE, WAL) returns them.

use std::time::Duration;

use crossfade_core::sql;
use crossfade_core::sql::Sql;
use serde_json::Value;

/// A chunk's statement as it is run.
pub(crate) fn measured(statement: &Sql) -> Sql {
    sql!("EXPLAIN (ANALYZE, WAL, TIMING OFF, FORMAT JSON) {}", statement)
}

/// What a chunk's statement did, as the server says it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Changed {
    pub rows: u64,
    pub took: Duration,
    pub wal: u64,
}

impl Changed {
    /// Reads what EXPLAIN (ANALYZE, WAL, FORMAT JSON) returns.
    pub fn read(report: &Value) -> Changed {
        let mut changed = Changed::default();
        for statement in report.as_array().into_iter().flatten() {
            let plan = statement.get("Plan").unwrap_or(&Value::Null);
            changed.rows += rows_changed(plan);
            changed.wal += plan.get("WAL Bytes").and_then(Value::as_u64).unwrap_or(0);
            for phase in ["Planning Time", "Execution Time"] {
                let ms = statement.get(phase).and_then(Value::as_f64).unwrap_or(0.0);
                changed.took += Duration::from_secs_f64(ms.max(0.0) / 1000.0);
            }
        }
        changed
    }
}

/// Rows that a ModifyTable node changed: what it counts itself, else what its input gave to it.
fn rows_changed(plan: &Value) -> u64 {
    let number = |of: &Value, name: &str| of.get(name).and_then(Value::as_f64);
    let counted = ["Tuples Inserted", "Tuples Updated", "Tuples Deleted"];
    if counted.iter().any(|name| plan.get(name).is_some()) {
        return counted.iter().filter_map(|name| number(plan, name)).sum::<f64>() as u64;
    }
    let inputs = plan.get("Plans").and_then(Value::as_array).into_iter().flatten();
    let relation = |input: &&Value| {
        let relation = input.get("Parent Relationship").and_then(Value::as_str);
        matches!(relation, Some("Outer" | "Member"))
    };
    let rows =
        |input: &Value| number(input, "Actual Rows").unwrap_or(0.0) * number(input, "Actual Loops").unwrap_or(1.0);
    inputs.filter(relation).map(rows).sum::<f64>().round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(report: &str, expected: Changed) {
        let report: Value = serde_json::from_str(report).expect("it is JSON");
        assert_eq!(Changed::read(&report), expected);
    }

    #[test]
    fn what_the_server_reports_is_read() {
        check(
            r#"[{"Plan": {"Node Type": "ModifyTable", "Operation": "Update", "Actual Rows": 0, "Actual Loops": 1, "WAL Bytes": 5123,
                "Plans": [{"Node Type": "Tid Range Scan", "Parent Relationship": "Outer", "Actual Rows": 61.00, "Actual Loops": 1},
                          {"Node Type": "Result", "Parent Relationship": "InitPlan", "Actual Rows": 7, "Actual Loops": 1}]},
                "Planning Time": 0.5, "Triggers": [], "Execution Time": 1.5}]"#,
            Changed { rows: 61, took: Duration::from_millis(2), wal: 5123 },
        );
        check(
            r#"[{"Plan": {"Node Type": "ModifyTable", "Tuples Inserted": 3, "Conflicting Tuples": 4, "WAL Bytes": 9,
                "Plans": [{"Parent Relationship": "Outer", "Actual Rows": 7, "Actual Loops": 1}]}, "Execution Time": 1.0}]"#,
            Changed { rows: 3, took: Duration::from_millis(1), wal: 9 },
        );
    }
}
