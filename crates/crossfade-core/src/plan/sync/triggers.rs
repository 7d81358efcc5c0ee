//! The functions and triggers of one table and migration, with their names.

use super::Group;
use super::Mode;
use super::Shape;
use super::TRIGGERS;
use super::any_of;
use crate::sql;
use crate::sql::DollarQuoted;
use crate::sql::Ident;
use crate::sql::Literal;
use crate::sql::Number;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::sql::UniqueKey;
use crate::sql::short_hash;

/// The names of what keeps one table in sync for one migration.
#[derive(Clone, Debug)]
pub(in crate::plan) struct Names {
    pub table: TableName,
    pub function: TableName,
    pub insert_trigger: Ident,
    pub update_trigger: Ident,
    /// What sees that old code writes, where nothing has to be kept in sync.
    insert_witness: Ident,
    update_witness: Ident,
    witness: TableName,
    /// What writes down that old code wrote.
    seen: TableName,
    pub version: String,
}

/// The function that writes down who has written the old form. It is a part of the journal, and says in the setting that it is given until when the session has
/// nothing new to tell: the time as `timestamptz_send` has it, in hex.
pub const SEEN_FUNCTION: &str = "note_old_write";

impl Names {
    pub(in crate::plan) fn new(schema: &Ident, version: &str, table: &TableName) -> Names {
        let stem = format!("{version}_{}_{}", table.schema, table.name);
        Names {
            table: table.clone(),
            function: TableName { schema: schema.clone(), name: Ident::derived("sync_", &stem) },
            insert_trigger: Ident::derived(&format!("{TRIGGERS}i_"), version),
            update_trigger: Ident::derived(&format!("{TRIGGERS}u_"), version),
            insert_witness: Ident::derived(&format!("{TRIGGERS}a_"), version),
            update_witness: Ident::derived(&format!("{TRIGGERS}b_"), version),
            witness: TableName { schema: schema.clone(), name: Ident::derived("saw_", &stem) },
            seen: TableName { schema: schema.clone(), name: Ident::new(SEEN_FUNCTION) },
            version: version.to_owned(),
        }
    }

    /// `DROP TRIGGER` and, where nothing follows, `DROP FUNCTION`.
    pub(in crate::plan) fn drop_triggers(&self) -> Vec<Sql> {
        self.drop_each([&self.insert_trigger, &self.update_trigger])
    }

    /// The same for the witnesses.
    pub(in crate::plan) fn drop_witnesses(&self) -> Vec<Sql> {
        let mut statements = self.drop_each([&self.insert_witness, &self.update_witness]);
        statements.push(sql!("DROP FUNCTION IF EXISTS {}()", self.witness));
        statements
    }

    fn drop_each(&self, triggers: [&Ident; 2]) -> Vec<Sql> {
        triggers.into_iter().map(|trigger| sql!("DROP TRIGGER IF EXISTS {} ON {}", trigger, self.table)).collect()
    }

    /// Part of a function: writes down that old code wrote, once a minute in each session. Until when a session has nothing new to tell is a setting of
    /// that session, so that asking costs next to nothing.
    fn note(&self, groups: &[&Group]) -> Sql {
        let told = format!(
            "crossfade.told_{}",
            short_hash(&format!("{} {} {}", self.version, self.table.schema, self.table.name))
        );
        // An expression is prepared anew in each transaction, so it costs by its functions: both times are compared as bytes, CURRENT_TIMESTAMP is no function, and
        // a setting that is not there (NULL), or was taken back ('', no bytes), is not later than anything.
        let quiet = sql!(
            "timestamptz_send(CURRENT_TIMESTAMP) < decode(current_setting({}, true), 'hex')",
            Literal(told.clone())
        );
        // Somebody may take the right away to name the journal's schema: the application must not hear of it.
        let tell = sql!(
            "BEGIN PERFORM {}({}, {}, TG_TABLE_SCHEMA, TG_TABLE_NAME); EXCEPTION WHEN OTHERS THEN NULL; END;",
            self.seen,
            Literal(self.version.clone()),
            Literal(told)
        );
        let when = |conditions: Vec<Sql>| {
            if conditions.is_empty() { sql!("NULL;") } else { sql!("IF {} THEN {} END IF;", any_of(conditions), tell) }
        };
        let inserts: Vec<Sql> = groups.iter().filter_map(|group| group.old_inserts()).collect();
        let updates: Vec<Sql> = groups.iter().filter_map(|group| group.old_updates()).collect();
        if inserts.is_empty() && updates.is_empty() {
            return Sql::empty();
        }
        sql!(
            "  IF {} THEN\n    NULL;\n  ELSIF TG_OP = 'INSERT' THEN\n    {}\n  ELSE\n    {}\n  END IF;\n",
            quiet,
            when(inserts),
            when(updates)
        )
    }

    pub(in crate::plan) fn drop_function(&self) -> Sql {
        sql!("DROP FUNCTION IF EXISTS {}()", self.function)
    }
}

/// The function behind the trigger.
///
/// `restore` makes it undo, in the backfill's own writes, what the user's BEFORE triggers did to the row: filling a copy must not
/// move an `updated_at` (reference, D17).
pub(in crate::plan) fn function(
    names: &Names,
    groups: &[&Group],
    keys: &[&UniqueKey],
    mode: Mode,
    search_path: &[String],
    restore: bool,
) -> Sql {
    let mut body = sql!("BEGIN\n");
    let mut variables = sql!("");
    if restore && mode != Mode::Reverse {
        let new: Vec<Ident> = groups
            .iter()
            .flat_map(|group| match &group.shape {
                Shape::Mend { marker, kept, .. } => {
                    let mut names: Vec<Ident> = group.old.iter().map(|column| column.name.clone()).collect();
                    names.push(marker.clone());
                    names.extend(kept.clone());
                    names
                }
                Shape::Replace | Shape::Rename | Shape::Retype { .. } => group.new_names(),
            })
            .collect();
        variables = sql!("  kept record;\n");
        let keep = Sql::join(new.iter().map(|name| sql!("NEW.{} AS {}", name, name)), ", ");
        let put = Sql::join(new.iter().map(|name| sql!("NEW.{} := kept.{};", name, name)), " ");
        body = sql!(
            "{}  IF current_setting('crossfade.backfill', true) = {} THEN\n    SELECT {} INTO kept; NEW := OLD; {}\n    RETURN NEW;\n  END IF;\n",
            body,
            Literal(names.version.clone()),
            keep,
            put
        );
    }
    if mode != Mode::Reverse {
        // In front of what makes the row one of the new code's, too.
        let seen: Vec<&Group> = groups.iter().copied().filter(|group| group.is_seen()).collect();
        body = sql!("{}{}", body, names.note(&seen));
    }
    for group in groups {
        body = sql!("{}{}", body, group.body(mode));
    }
    if !keys.is_empty() {
        body = sql!("{}{}", body, one_after_the_other(&names.table, keys));
        variables = sql!("{}  crossfade_key bigint;\n  crossfade_held text;\n", variables);
    }
    let declare = if variables.as_str().is_empty() { variables } else { sql!("DECLARE\n{}", variables) };
    let text = sql!("\n{}{}  RETURN NEW;\nEND\n", declare, body);
    // Who writes the table need not be allowed to read the others.
    let definer = groups.iter().any(|group| group.reads() && mode != Mode::Reverse);
    trigger_function(&names.function, definer, search_path, text)
}

/// So many rows of a transaction wait for others with the same key. Each takes a place in the server's table of locks, and who inserts more is loading.
const KEYS_HELD: i64 = 16;

/// So many milliseconds a row waits for another with the same key.
const KEY_WAIT: i64 = 50;

/// Part of a function: sessions that insert one key go one after the other.
///
/// ON CONFLICT looks into one of two unique indexes, and meets the other one's violation where another session has the key in its hands (measured on 13 and 15: two sessions that upsert
/// one new key, or one key that is not updated in its place). An INSERT waits for another of the same key anyway, but not for a row that is only updated or deleted. So this wait is a
/// short one, which can't become a deadlock.
fn one_after_the_other(table: &TableName, keys: &[&UniqueKey]) -> Sql {
    let place = sql!("{}", table);
    // Assignments and conditions are expressions; PERFORM would be a query.
    let wait = |key: &&UniqueKey| {
        sql!(
            "      crossfade_key := {};\n      IF NOT pg_try_advisory_xact_lock(crossfade_key) THEN\n        FOR crossfade_turn IN 1..{} LOOP\n          \
             PERFORM pg_sleep(0.001);\n          EXIT WHEN pg_try_advisory_xact_lock(crossfade_key);\n        END LOOP;\n      END IF;\n",
            key.number_of_new_row(place.as_str()),
            Number(KEY_WAIT)
        )
    };
    sql!(
        "  IF TG_OP = 'INSERT' THEN\n    crossfade_held := current_setting('crossfade.keys_held', true);\n    IF crossfade_held IS NULL OR length(crossfade_held) < {} THEN\n      \
         crossfade_held := set_config('crossfade.keys_held', concat(crossfade_held, '.'), true);\n{}    END IF;\n  END IF;\n",
        Number(KEYS_HELD),
        Sql::join(keys.iter().map(wait), "")
    )
}

/// A trigger's function, which finds what the migration's own session finds.
pub(in crate::plan) fn trigger_function(name: &TableName, definer: bool, search_path: &[String], text: Sql) -> Sql {
    let path = search_path.iter().map(|schema| sql!("{}, ", Ident::new(schema.as_str())));
    let definer = if definer { sql!(" SECURITY DEFINER") } else { sql!("") };
    sql!(
        "CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql{} SET search_path = pg_catalog, {}pg_temp AS {}",
        name,
        definer,
        Sql::join(path, ""),
        DollarQuoted(text)
    )
}

/// The triggers, always firing, sorted behind the user's.
pub(in crate::plan) fn triggers(
    names: &Names,
    groups: &[&Group],
    mode: Mode,
    tree: &[TableName],
    restore: bool,
) -> Vec<Sql> {
    let conditions = groups.iter().flat_map(|group| group.update_condition(mode)).collect();
    let backfilling = backfilling(names);
    let when = if restore && mode != Mode::Reverse {
        sql!("{} OR {}", backfilling, any_of(conditions))
    } else {
        sql!("NOT ({}) AND {}", backfilling, any_of(conditions))
    };
    let mut statements = vec![
        sql!(
            "CREATE TRIGGER {} BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION {}()",
            names.insert_trigger,
            names.table,
            names.function
        ),
        sql!(
            "CREATE TRIGGER {} BEFORE UPDATE ON {} FOR EACH ROW WHEN ({}) EXECUTE FUNCTION {}()",
            names.update_trigger,
            names.table,
            when,
            names.function
        ),
    ];
    for relation in tree {
        for trigger in [&names.insert_trigger, &names.update_trigger] {
            statements.push(sql!("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}", relation, trigger));
        }
    }
    statements
}

/// The function and the triggers that see who writes the old form, where there is no sync that could: always firing, and for an UPDATE only where it sets one
/// of the columns.
pub(in crate::plan) fn witnesses(
    names: &Names,
    groups: &[&Group],
    tree: &[TableName],
    search_path: &[String],
) -> Vec<Sql> {
    if groups.is_empty() {
        return Vec::new();
    }
    let text = sql!("\nBEGIN\n{}  RETURN NEW;\nEND\n", names.note(groups));
    let columns = groups.iter().flat_map(|group| group.old_names()).map(|column| sql!("{}", column));
    let mut statements = vec![
        trigger_function(&names.witness, false, search_path, text),
        sql!(
            "CREATE TRIGGER {} BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION {}()",
            names.insert_witness,
            names.table,
            names.witness
        ),
        sql!(
            "CREATE TRIGGER {} BEFORE UPDATE OF {} ON {} FOR EACH ROW EXECUTE FUNCTION {}()",
            names.update_witness,
            Sql::join(columns, ", "),
            names.table,
            names.witness
        ),
    ];
    for relation in tree {
        for trigger in [&names.insert_witness, &names.update_witness] {
            statements.push(sql!("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}", relation, trigger));
        }
    }
    statements
}

fn backfilling(names: &Names) -> Sql {
    sql!("current_setting('crossfade.backfill', true) IS NOT DISTINCT FROM {}", Literal(names.version.clone()))
}
