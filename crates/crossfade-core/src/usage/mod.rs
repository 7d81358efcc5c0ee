//! Who still uses the old form: what a migration takes away, and what a statement of an application says about it.
//!
//! A statement is judged by its text alone. What is certain is certain without the catalog; the rest is doubtful and says why, and is never
//! taken for unused.

mod judge;

pub use judge::Use;
pub use judge::use_in;
pub use judge::use_in_cut;

use crate::sql::ObjectRef;
use crate::sql::act::Body;
use crate::sql::act::Change;
use crate::sql::act::Deed;
use crate::sql::act::Thing;
use crate::sql::act::read_script;

/// Something that old code names and that contract takes away.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OldForm {
    /// A column that is dropped, or goes under another name.
    Column {
        /// Its table.
        table: ObjectRef,
        /// Its name.
        column: String,
    },
    /// A table or a view that is dropped, or goes under another name.
    Relation {
        /// Its name.
        name: ObjectRef,
    },
    /// A column that gets another type under its name: no statement tells who reads it as what.
    Type {
        /// Its table.
        table: ObjectRef,
        /// Its name.
        column: String,
    },
    /// A value of an enum that goes under another name: what is sent as a parameter stands in no text.
    Value {
        /// The enum.
        of: ObjectRef,
        /// The value.
        value: String,
    },
    /// A sequence that goes under another name: statements have its name in a string, as a value.
    Sequence {
        /// Its name.
        name: ObjectRef,
    },
}

impl std::fmt::Display for OldForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            OldForm::Column { table, column } => write!(f, "column {table}.{column}"),
            OldForm::Relation { name } => write!(f, "relation {name}"),
            OldForm::Type { table, column } => write!(f, "the type of column {table}.{column}"),
            OldForm::Value { of, value } => write!(f, "value {value} of type {of}"),
            OldForm::Sequence { name } => write!(f, "sequence {name}"),
        }
    }
}

impl OldForm {
    /// The table, view, sequence or type that it belongs to.
    pub fn relation(&self) -> &ObjectRef {
        match self {
            OldForm::Column { table, .. } | OldForm::Type { table, .. } => table,
            OldForm::Relation { name } | OldForm::Sequence { name } => name,
            OldForm::Value { of, .. } => of,
        }
    }
}

/// What a migration's file takes away from old code, in the order of the file. What the file itself has made is nobody's yet.
pub fn old_forms(text: &str) -> Vec<OldForm> {
    let mut taken = Taken::default();
    for act in read_script(text).acts.into_iter().filter(|act| act.inside != Some(Body::Function)) {
        match act.deed {
            Deed::CreateTable(table) => taken.made.push(table.name.clone()),
            Deed::CreateView { name, .. } => taken.made.push(name),
            Deed::Alter { table, changes, .. } => {
                for change in changes {
                    match change {
                        Change::AddColumn { column, .. } => taken.added.push((table.clone(), column.name.clone())),
                        Change::DropColumn { column, .. } => {
                            taken.push(OldForm::Column { table: table.clone(), column })
                        }
                        Change::Type { column, .. } => taken.push(OldForm::Type { table: table.clone(), column }),
                        _ => {}
                    }
                }
            }
            Deed::Rename { thing: Thing::Column, name, part: Some(column), to } => {
                taken.push(OldForm::Column { table: name.clone(), column });
                taken.added.push((name, to));
            }
            Deed::Rename { thing: Thing::Sequence, name, part: None, .. }
            | Deed::SetSchema { thing: Thing::Sequence, name, .. } => taken.push(OldForm::Sequence { name }),
            Deed::Rename { thing, name, part: None, .. } | Deed::SetSchema { thing, name, .. }
                if is_relation(thing) =>
            {
                taken.push(OldForm::Relation { name });
            }
            Deed::CreateType { name, .. } => taken.made.push(name),
            Deed::RenameEnumValue { name, from } => taken.push(OldForm::Value { of: name, value: from }),
            Deed::Drop { thing, names, .. } if is_relation(thing) => {
                names.into_iter().for_each(|name| taken.push(OldForm::Relation { name }));
            }
            _ => {}
        }
    }
    taken.forms
}

/// What a file has taken away up to a statement, and what it has made.
#[derive(Default)]
struct Taken {
    forms: Vec<OldForm>,
    made: Vec<ObjectRef>,
    added: Vec<(ObjectRef, String)>,
}

impl Taken {
    fn push(&mut self, form: OldForm) {
        let is_own = match &form {
            OldForm::Column { table, column } | OldForm::Type { table, column } => {
                self.made.contains(table) || self.added.iter().any(|(on, added)| on == table && added == column)
            }
            OldForm::Relation { name } | OldForm::Sequence { name } | OldForm::Value { of: name, .. } => {
                self.made.contains(name)
            }
        };
        if !is_own && !self.forms.contains(&form) {
            self.forms.push(form);
        }
    }
}

fn is_relation(thing: Thing) -> bool {
    matches!(thing, Thing::Table | Thing::View | Thing::MaterializedView | Thing::ForeignTable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        old_forms(text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_a_file_takes_away() {
        assert_eq!(shown("ALTER TABLE users RENAME COLUMN email TO email_address"), ["column users.email"]);
        assert_eq!(
            shown(
                "ALTER TABLE a.p ADD COLUMN c int; UPDATE a.p SET c = b; ALTER TABLE a.p DROP COLUMN b, ALTER d TYPE bigint"
            ),
            ["column a.p.b", "the type of column a.p.d"]
        );
        assert_eq!(
            shown("ALTER TABLE t RENAME TO u; DROP TABLE x, y; DROP VIEW v; ALTER TABLE s SET SCHEMA z"),
            ["relation t", "relation x", "relation y", "relation v", "relation s"]
        );
        assert_eq!(
            shown(
                "ALTER TYPE a.mood RENAME VALUE 'it''s' TO 'b'; CREATE TYPE c AS ENUM ('x'); ALTER TYPE c RENAME VALUE 'x' TO 'y'"
            ),
            ["value it's of type a.mood"]
        );
        assert_eq!(
            shown("ALTER SEQUENCE s RENAME TO t; ALTER SEQUENCE a.u SET SCHEMA b"),
            ["sequence s", "sequence a.u"]
        );
    }

    #[test]
    fn what_harms_no_code_or_is_made_by_the_file_is_no_old_form() {
        assert_eq!(
            shown("ALTER TABLE t ADD COLUMN a int; CREATE INDEX i ON t (a); DROP INDEX j"),
            Vec::<String>::new()
        );
        assert_eq!(shown("CREATE TABLE t (a int); ALTER TABLE t DROP COLUMN a; DROP TABLE t"), Vec::<String>::new());
        assert_eq!(shown("ALTER TABLE t ADD COLUMN a int; ALTER TABLE t RENAME COLUMN a TO b"), Vec::<String>::new());
        // A column that is put in the place of another under its name.
        assert_eq!(
            shown(
                "ALTER TABLE t ADD COLUMN b int; UPDATE t SET b = a::int; ALTER TABLE t DROP COLUMN a; ALTER TABLE t RENAME b TO a"
            ),
            ["column t.a"]
        );
    }
}
