//! The stress test is worth something: with a trigger that fires only where the source changes, it finds lost rows.
//!
//! Such a trigger looks right and is what many tools have. An unrelated write to a row that is not filled yet makes a new version of it, which
//! may lie behind the cursor or beyond the end of the sweep, and nothing ever fills it (reference, B3.2 and D4).

use super::Case;
use super::ROWS;
use super::kind::Kind;
use super::kind::Layout;
use super::stress;
use crate::server::Database;
use crate::server::main_server;
use crate::server::run;

/// What is done to the trigger for UPDATE.
#[derive(Clone, Copy, Debug)]
pub enum Sabotage {
    /// It fires for an UPDATE that names the source.
    UpdateOf,
    /// It fires where the source has another value.
    When,
}

impl Sabotage {
    /// Puts the mutant in the place of the trigger. Returns whether there is one.
    pub async fn on(self, database: &Database) -> bool {
        let triggers = "SELECT tgrelid::regclass::text, quote_ident(tgname), tgfoid::regproc::text FROM pg_trigger \
                        WHERE NOT tgisinternal AND tgparentid = 0 AND tgtype & 16 <> 0 AND tgname LIKE 'zzz\\_crossfade\\_u\\_%'";
        let client = database.connect().await;
        let rows = client.query(triggers, &[]).await.unwrap_or_else(|error| panic!("{}", crate::text_of(&error)));
        let Some(row) = rows.first() else { return false };
        let [table, name, function] = [0, 1, 2].map(|at| row.get::<_, String>(at));
        let (of, when) = match self {
            Sabotage::UpdateOf => ("OF src", ""),
            Sabotage::When => ("", "WHEN (OLD.src IS DISTINCT FROM NEW.src)"),
        };
        let replace = format!(
            "BEGIN; DROP TRIGGER {name} ON {table};
             CREATE TRIGGER {name} BEFORE UPDATE {of} ON {table} FOR EACH ROW {when} EXECUTE FUNCTION {function}();
             ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}; COMMIT"
        );
        client.batch_execute(&replace).await.unwrap_or_else(|error| panic!("{replace}: {}", crate::text_of(&error)));
        true
    }
}

#[test]
fn with_a_trigger_that_looks_at_the_source_alone_rows_are_lost_and_it_is_seen() {
    run(async {
        for (kind, layout, sabotage) in
            [("rename", Layout::Plain, Sabotage::UpdateOf), ("replace", Layout::Plain, Sabotage::When)]
        {
            let kind = Kind::named(kind);
            let case =
                Case { server: main_server(), kind, layout, rows: ROWS, terminated: 0, sabotage: Some(sabotage) };
            let why = stress(&case).await.err().unwrap_or_else(|| panic!("{} with {sabotage:?} passes", kind.name));
            // Both look for themselves: the verify of the migration, and the count of the stress test.
            assert!(why.contains("old and new form differ in "), "{why}");
            assert!(!why.contains("; in 0 rows old and new form differ"), "{why}");
        }
    });
}
