//! `verify` for people: one line a table.

use crossfade::report::VerifyReport;

use super::Paint;
use super::human;

/// One round of many.
pub fn round(version: &str, name: &str, rows: u64, differing: u64, keys: &[String], paint: Paint) -> String {
    let read = human::counted(rows, "row", "rows");
    if differing == 0 {
        return format!("{} {version} {name}: {read}, none differs", paint.green("✓"));
    }
    let keys: String = keys.iter().map(|key| format!("\n    {key}")).collect();
    let differing = human::counted(differing, "differs", "differ");
    format!("{} {version} {name}: {read}, {differing}{keys}", paint.red("✗"))
}

/// The whole report.
pub fn text(report: &VerifyReport, paint: Paint) -> String {
    if report.tables.is_empty() {
        return "nothing to verify: no migration has two forms at present\n".to_owned();
    }
    let mut out = String::new();
    for table in &report.tables {
        let rows = human::counted(table.rows, "row", "rows");
        if table.differing == 0 {
            out.push_str(&format!("{} {} {}: {rows}, none differs\n", paint.green("✓"), table.version, table.table));
            continue;
        }
        let differing = human::counted(table.differing, "differs", "differ");
        out.push_str(&format!("{} {} {}: {rows}, {differing}\n", paint.red("✗"), table.version, table.table));
        for key in &table.keys {
            out.push_str(&format!("    {key}\n"));
        }
        if (table.keys.len() as u64) < table.differing {
            out.push_str("    …\n");
        }
    }
    out
}
