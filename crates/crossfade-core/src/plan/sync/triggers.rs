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
use crate::sql::Sql;
use crate::sql::TableName;

/// The names of what keeps one table in sync for one migration.
#[derive(Clone, Debug)]
pub(in crate::plan) struct Names {
    pub table: TableName,
    pub function: TableName,
    pub insert_trigger: Ident,
    pub update_trigger: Ident,
    pub version: String,
}

impl Names {
    pub(in crate::plan) fn new(schema: &Ident, version: &str, table: &TableName) -> Names {
        let stem = format!("{version}_{}_{}", table.schema, table.name);
        Names {
            table: table.clone(),
            function: TableName { schema: schema.clone(), name: Ident::derived("sync_", &stem) },
            insert_trigger: Ident::derived(&format!("{TRIGGERS}i_"), version),
            update_trigger: Ident::derived(&format!("{TRIGGERS}u_"), version),
            version: version.to_owned(),
        }
    }

    /// `DROP TRIGGER` and, where nothing follows, `DROP FUNCTION`.
    pub(in crate::plan) fn drop_triggers(&self) -> Vec<Sql> {
        vec![
            sql!("DROP TRIGGER IF EXISTS {} ON {}", self.insert_trigger, self.table),
            sql!("DROP TRIGGER IF EXISTS {} ON {}", self.update_trigger, self.table),
        ]
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
    mode: Mode,
    search_path: &[String],
    restore: bool,
) -> Sql {
    let mut body = sql!("BEGIN\n");
    let mut declare = sql!("");
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
        declare = sql!("DECLARE\n  kept record;\n");
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
    for group in groups {
        body = sql!("{}{}", body, group.body(mode));
    }
    let text = sql!("\n{}{}  RETURN NEW;\nEND\n", declare, body);
    // Who writes the table need not be allowed to read the others.
    let definer = groups.iter().any(|group| group.reads() && mode != Mode::Reverse);
    trigger_function(&names.function, definer, search_path, text)
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
    let backfilling =
        sql!("current_setting('crossfade.backfill', true) IS NOT DISTINCT FROM {}", Literal(names.version.clone()));
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
