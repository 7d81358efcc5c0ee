//! What is looked for in the catalogs. The server quotes the names in the statements, which are shown and never run.

use crossfade_core::finding::Severity;
use crossfade_core::sql;
use crossfade_core::sql::Ident;
use crossfade_core::sql::Literal;
use tokio_postgres::Row;

use super::Doctor;
use super::UnderWay;
use crate::error::Result;
use crate::report::Complaint;
use crate::scratch::leftovers;

/// A row of the queries here: name, object, statement.
struct Found {
    name: String,
    object: String,
    mend: String,
}

impl From<&Row> for Found {
    fn from(row: &Row) -> Found {
        Found { name: row.get(0), object: row.get(1), mend: row.get(2) }
    }
}

/// Triggers of the sync that do not fire, or not for everybody.
pub(super) async fn sync_that_is_off(doctor: &Doctor<'_>, under_way: &UnderWay) -> Result<Vec<Complaint>> {
    // On a partition the trigger is the parent's; there it can only be switched off.
    let query = "SELECT t.tgname::text, format('trigger %I on %I.%I', t.tgname, n.nspname, c.relname), \
         format('ALTER TABLE %I.%I ENABLE ALWAYS TRIGGER %I', n.nspname, c.relname, t.tgname) \
         FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE NOT t.tgisinternal AND pg_catalog.starts_with(t.tgname::text, 'zzz_crossfade_') \
         AND (t.tgenabled = 'D' OR (t.tgparentid = 0 AND t.tgenabled <> 'A' AND t.tgname::text ~ '^zzz_crossfade_[iu]_'))";
    let rows = doctor.ask(query, "look for triggers that are off").await?;
    let off = rows.iter().map(Found::from).filter(|found| under_way.has(&found.name));
    Ok(off
        .map(|found| Complaint {
            rule: "sync-is-off",
            severity: Severity::Error,
            object: found.object,
            why: "it keeps old and new form equal, and does not fire for every session: rows that were written meanwhile may differ; \
                  `crossfade verify` finds them, a rollback and another migrate mend them"
                .to_owned(),
            mend: vec![found.mend],
        })
        .collect())
}

/// Objects with one of our names that belong to nothing that is under way. What hangs on another one stands in front of it.
pub(super) async fn left_over(doctor: &Doctor<'_>, under_way: &UnderWay) -> Result<Vec<Complaint>> {
    let query = sql!(
        "SELECT name, object, mend FROM ( \
         SELECT 1 AS turn, t.tgname::text AS name, format('trigger %I on %I.%I', t.tgname, n.nspname, c.relname) AS object, \
           format('DROP TRIGGER %I ON %I.%I', t.tgname, n.nspname, c.relname) AS mend \
           FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
           WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND pg_catalog.starts_with(t.tgname::text, 'zzz_crossfade_') \
         UNION ALL \
         SELECT 2, p.proname::text, format('function %s', p.oid::pg_catalog.regprocedure), format('DROP FUNCTION %I.%I(%s)', n.nspname, p.proname, \
             pg_catalog.pg_get_function_identity_arguments(p.oid)) \
           FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
           WHERE p.prokind = 'f' AND ((n.nspname = {} AND pg_catalog.starts_with(p.proname::text, 'sync_')) OR pg_catalog.starts_with(p.proname::text, '_cf_')) \
         UNION ALL \
         SELECT 3, o.conname::text, format('constraint %I of %I.%I', o.conname, n.nspname, c.relname), \
           format('ALTER TABLE %I.%I DROP CONSTRAINT %I', n.nspname, c.relname, o.conname) \
           FROM pg_catalog.pg_constraint o JOIN pg_catalog.pg_class c ON c.oid = o.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
           WHERE o.coninhcount = 0 AND o.conparentid = 0 AND pg_catalog.starts_with(o.conname::text, '_cf_') AND NOT pg_catalog.starts_with(c.relname::text, '_cf_') \
         UNION ALL \
         SELECT 4, c.relname::text, format('index %I.%I', n.nspname, c.relname), \
           format('DROP INDEX %s%I.%I', CASE c.relkind WHEN 'i' THEN 'CONCURRENTLY ' ELSE '' END, n.nspname, c.relname) \
           FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid \
           JOIN pg_catalog.pg_class t ON t.oid = i.indrelid \
           WHERE NOT c.relispartition AND pg_catalog.starts_with(c.relname::text, '_cf_') AND NOT pg_catalog.starts_with(t.relname::text, '_cf_') \
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint o WHERE o.conindid = c.oid) \
         UNION ALL \
         SELECT 5, a.attname::text, format('column %I of %I.%I', a.attname, n.nspname, c.relname), \
           format('ALTER TABLE %I.%I DROP COLUMN %I', n.nspname, c.relname, a.attname) \
           FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
           WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND a.attinhcount = 0 AND pg_catalog.starts_with(a.attname::text, '_cf_') \
           AND NOT pg_catalog.starts_with(c.relname::text, '_cf_') \
         UNION ALL \
         SELECT 6, c.relname::text, format('%s %I.%I', k.kind, n.nspname, c.relname), format('DROP %s %I.%I', upper(k.kind), n.nspname, c.relname) \
           FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
           JOIN (VALUES ('r', 'table'), ('p', 'table'), ('v', 'view'), ('m', 'materialized view'), ('S', 'sequence')) AS k (relkind, kind) \
             ON k.relkind = c.relkind::text \
           WHERE NOT c.relispartition AND pg_catalog.starts_with(c.relname::text, '_cf_') \
         UNION ALL \
         SELECT 7, y.typname::text, format('type %I.%I', n.nspname, y.typname), format('DROP %s %I.%I', CASE y.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, n.nspname, y.typname) \
           FROM pg_catalog.pg_type y JOIN pg_catalog.pg_namespace n ON n.oid = y.typnamespace LEFT JOIN pg_catalog.pg_class c ON c.oid = y.typrelid \
           WHERE pg_catalog.starts_with(y.typname::text, '_cf_') AND (y.typtype IN ('e', 'd', 'r') OR c.relkind = 'c') \
         ) AS found ORDER BY turn, object",
        Literal(doctor.store.schema.as_str().to_owned())
    );
    let rows = doctor.ask(query.as_str(), "look for what is left over").await?;
    let left = rows.iter().map(Found::from).filter(|found| !under_way.has(&found.name));
    Ok(left
        .map(|found| Complaint {
            rule: "left-over",
            severity: Severity::Warning,
            object: found.object,
            why: "it has a name of Crossfade's, and no migration that is under way has it".to_owned(),
            mend: vec![found.mend],
        })
        .collect())
}

/// Indexes that are maintained with every write and used by no query.
pub(super) async fn invalid_indexes(doctor: &Doctor<'_>, under_way: &UnderWay) -> Result<Vec<Complaint>> {
    // Where somebody has the lock of a build, it may be at work.
    let query = "SELECT c.relname::text, format('index %I.%I on %I.%I', n.nspname, c.relname, tn.nspname, t.relname), format('%I.%I', n.nspname, c.relname), c.relkind = 'I' \
         FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_class t ON t.oid = i.indrelid JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace \
         WHERE NOT i.indisvalid AND tn.nspname !~ '^pg_toast' AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.relation = t.oid AND l.granted \
           AND l.mode = 'ShareUpdateExclusiveLock' AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())) \
         ORDER BY 2";
    let rows = doctor.ask(query, "look for invalid indexes").await?;
    let mut all = Vec::new();
    for row in &rows {
        let (name, object, quoted, partitioned): (String, String, String, bool) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        // What belongs to a migration is built again by it; what is left over is said by `left_over`.
        if under_way.has(&name) || name.starts_with("_cf_") {
            continue;
        }
        let (why, mend) = if partitioned {
            let why = "not every partition has its part of it, so it is not used: build the missing ones with CREATE INDEX CONCURRENTLY, then attach them";
            (why, vec![format!("ALTER INDEX {quoted} ATTACH PARTITION …")])
        } else if is_of_reindex(&name) {
            let why =
                "a REINDEX CONCURRENTLY that did not end has left it: every write pays for it, and no query uses it";
            (why, vec![format!("DROP INDEX CONCURRENTLY {quoted}")])
        } else {
            let why = "a build that did not end has left it: every write pays for it, and no query uses it. A unique one still refuses writes";
            (why, vec![format!("REINDEX INDEX CONCURRENTLY {quoted}"), format!("DROP INDEX CONCURRENTLY {quoted}")])
        };
        all.push(Complaint { rule: "invalid-index", severity: Severity::Warning, object, why: why.to_owned(), mend });
    }
    Ok(all)
}

/// The server's names for the new and the old index of a REINDEX CONCURRENTLY.
fn is_of_reindex(name: &str) -> bool {
    let stem = name.trim_end_matches(|digit: char| digit.is_ascii_digit());
    stem.ends_with("_ccnew") || stem.ends_with("_ccold")
}

/// Constraints that hold for new rows only.
pub(super) async fn unvalidated(doctor: &Doctor<'_>, under_way: &UnderWay) -> Result<Vec<Complaint>> {
    // What is not enforced (from 18 on) is never valid. A server before it has no such column.
    let query = "SELECT o.conname::text, format('constraint %I of %I.%I', o.conname, n.nspname, c.relname), \
         format('ALTER TABLE %I.%I VALIDATE CONSTRAINT %I', n.nspname, c.relname, o.conname) \
         FROM pg_catalog.pg_constraint o JOIN pg_catalog.pg_class c ON c.oid = o.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE NOT o.convalidated AND o.conparentid = 0 AND o.coninhcount = 0 AND o.contype IN ('c', 'f', 'n') \
         AND coalesce((pg_catalog.to_jsonb(o) ->> 'conenforced')::boolean, true) ORDER BY 2";
    let rows = doctor.ask(query, "look for constraints that are not validated").await?;
    let open =
        rows.iter().map(Found::from).filter(|found| !under_way.has(&found.name) && !found.name.starts_with("_cf_"));
    Ok(open
        .map(|found| Complaint {
            rule: "unvalidated-constraint",
            severity: Severity::Warning,
            object: found.object,
            why: "it holds for what is written now, and rows from before may break it; to validate it reads the table and blocks no reads or writes"
                .to_owned(),
            mend: vec![found.mend],
        })
        .collect())
}

/// Scratch databases whose run is gone.
pub(super) async fn scratch_databases(doctor: &Doctor<'_>) -> Result<Vec<Complaint>> {
    let names = leftovers(doctor.client).await?.into_iter().map(Ident::new);
    Ok(names
        .map(|name| Complaint {
            rule: "scratch-database",
            severity: Severity::Note,
            object: sql!("database {}", name).to_string(),
            why: "it may be left from a run that was killed; nobody is connected to it".to_owned(),
            mend: vec![sql!("DROP DATABASE {}", name).to_string()],
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::is_of_reindex;

    #[test]
    fn names_of_a_reindex_are_known() {
        assert!(is_of_reindex("users_email_ccnew") && is_of_reindex("users_email_ccold12"));
        assert!(!is_of_reindex("users_email") && !is_of_reindex("users_ccnewest"));
    }
}
