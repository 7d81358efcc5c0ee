//! A foreign key as a rule for rows, and what helps code that takes away what they point to.
//!
//! A row holds to it where what it points to is there. The sync asks that before the server's own triggers do, and locks what it finds as
//! they would: what somebody is about to delete is waited for. On the other side, a trigger mends the rows that point to what goes, before
//! the server looks for them: it refuses a DELETE in a trigger whose name begins with `RI_`, and triggers fire in the order of their names.

use super::sync::changed;
use super::sync::trigger_function;
use crate::sql;
use crate::sql::Ident;
use crate::sql::Sql;
use crate::sql::TableName;

/// The name of the row that is looked for.
const KEY: &str = "_cf_key";
/// The name of the row that points to it.
const ROW: &str = "_cf_row";

/// What a row must point to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The table that has it.
    pub table: TableName,
    /// The columns that point, each with the column that it points to.
    pub columns: Vec<(Ident, Ident)>,
    /// `MATCH FULL`: all of them are NULL, or none.
    pub full: bool,
}

impl Reference {
    /// The columns that point.
    pub(super) fn pointing(&self) -> Vec<Ident> {
        self.columns.iter().map(|(column, _)| column.clone()).collect()
    }

    fn keys(&self) -> Vec<Ident> {
        self.columns.iter().map(|(_, key)| key.clone()).collect()
    }

    fn found(&self, column: impl Fn(&Ident) -> Sql, lock: &Sql) -> Sql {
        let key = Ident::new(KEY);
        let equal = self.columns.iter().map(|(own, its)| sql!("{}.{} = {}", key, its, column(own)));
        sql!("EXISTS (SELECT FROM ONLY {} AS {} WHERE {}{})", self.table, key, Sql::join(equal, " AND "), lock)
    }

    /// Whether a row points to nothing, so that it holds to the key.
    fn points_nowhere(&self, column: impl Fn(&Ident) -> Sql) -> Sql {
        let nulls = self.columns.iter().map(|(own, _)| sql!("{} IS NULL", column(own)));
        sql!("({})", Sql::join(nulls, if self.full { " AND " } else { " OR " }))
    }

    /// Whether a row of the statement's table holds to it. Never NULL.
    pub fn holds(&self) -> Sql {
        let row = Ident::new(ROW);
        let taken = self.columns.iter().map(|(own, _)| sql!("{} AS {}", own, own));
        // In a FROM of its own, so that no column of the other table is taken for one of the row.
        let found = self.found(|own| sql!("{}.{}", row, own), &sql!(""));
        let there = sql!("(SELECT {} FROM (SELECT {}) AS {})", found, Sql::join(taken, ", "), row);
        sql!("({} OR {})", self.points_nowhere(|own| sql!("{}", own)), there)
    }

    /// Whether a trigger's new row breaks it. What is found for a row that newly points to it stays until the end of the transaction; what
    /// it pointed to before is not locked, as the server does not lock it.
    pub(super) fn is_broken(&self) -> Sql {
        let column = |own: &Ident| sql!("NEW.{}", own);
        let (nowhere, key) = (self.points_nowhere(column), Ident::new(KEY));
        sql!(
            "(CASE WHEN {} THEN false WHEN TG_OP = 'INSERT' OR {} THEN NOT {} ELSE NOT {} END)",
            nowhere,
            changed(&self.pointing()),
            self.found(column, &sql!(" FOR KEY SHARE OF {}", key)),
            self.found(column, &sql!(""))
        )
    }

    /// Whether a trigger's new row may break it, as far as a trigger's condition can ask: it holds no subquery.
    pub(super) fn may_be_broken(&self) -> Sql {
        sql!("NOT {}", self.points_nowhere(|own| sql!("NEW.{}", own)))
    }
}

/// The help for code that takes away what rows point to.
#[derive(Clone, Debug)]
pub struct Orphans {
    /// What they point to.
    pub reference: Reference,
    /// The table that points to it.
    pub from: TableName,
    /// The columns that the sync mends.
    pub mended: Vec<Ident>,
    /// Whether the key would refuse a DELETE.
    pub on_delete: bool,
    /// Whether the key would refuse that the columns that it points to change.
    pub on_update: bool,
    /// The function, and the triggers' names.
    pub names: OrphanNames,
}

/// The names of what the help is made of.
#[derive(Clone, Debug)]
pub struct OrphanNames {
    function: TableName,
    on_delete: Ident,
    on_update: Ident,
}

impl OrphanNames {
    /// For the foreign key of this name.
    pub fn new(schema: &Ident, version: &str, from: &TableName, key: &str) -> OrphanNames {
        let stem = format!("{version}_{}_{}_{key}", from.schema, from.name);
        OrphanNames {
            function: TableName { schema: schema.clone(), name: Ident::derived("orphans_", &stem) },
            on_delete: Ident::derived("AAA_crossfade_d_", &stem),
            on_update: Ident::derived("AAA_crossfade_u_", &stem),
        }
    }
}

impl Orphans {
    /// Whether there is anything to help with.
    pub fn is_needed(&self) -> bool {
        self.on_delete || self.on_update
    }

    /// What makes it.
    pub fn make(&self, search_path: &[String]) -> Vec<Sql> {
        let (table, row) = (&self.reference.table, Ident::new(ROW));
        // The sync sees that what they point to is gone, and mends them.
        let touch = self.mended.iter().map(|column| sql!("{} = {}.{}", column, row, column));
        let equal = self.reference.columns.iter().map(|(own, its)| sql!("{}.{} = OLD.{}", row, own, its));
        let body = sql!(
            "\nBEGIN\n  UPDATE ONLY {} AS {} SET {} WHERE {};\n  RETURN NULL;\nEND\n",
            self.from,
            row,
            Sql::join(touch, ", "),
            Sql::join(equal, " AND ")
        );
        // Who may delete there need not be allowed to write here.
        let mut statements = vec![trigger_function(&self.names.function, true, search_path, body)];
        let function = &self.names.function;
        if self.on_delete {
            statements.push(sql!(
                "CREATE TRIGGER {} AFTER DELETE ON {} FOR EACH ROW EXECUTE FUNCTION {}()",
                self.names.on_delete,
                table,
                function
            ));
        }
        if self.on_update {
            statements.push(sql!(
                "CREATE TRIGGER {} AFTER UPDATE ON {} FOR EACH ROW WHEN ({}) EXECUTE FUNCTION {}()",
                self.names.on_update,
                table,
                changed(&self.reference.keys()),
                function
            ));
        }
        let made = [(self.on_delete, &self.names.on_delete), (self.on_update, &self.names.on_update)];
        for (_, trigger) in made.into_iter().filter(|(is_made, _)| *is_made) {
            statements.push(sql!("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}", table, trigger));
        }
        statements
    }

    /// What takes it away.
    pub fn drop(&self) -> Vec<Sql> {
        let table = &self.reference.table;
        vec![
            sql!("DROP TRIGGER IF EXISTS {} ON {}", self.names.on_delete, table),
            sql!("DROP TRIGGER IF EXISTS {} ON {}", self.names.on_update, table),
            sql!("DROP FUNCTION IF EXISTS {}()", self.names.function),
        ]
    }
}
