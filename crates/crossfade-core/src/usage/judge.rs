//! Whether a statement uses an old form.

use super::OldForm;
use crate::sql::Made;
use crate::sql::NamedRelation;
use crate::sql::Names;
use crate::sql::ObjectRef;
use crate::sql::names_in;
use crate::sql::words_in;

/// What a statement's text says about an old form. The strongest is last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// It does not name it.
    No,
    /// It may use it, for this reason.
    Doubtful(&'static str),
    /// It names it.
    Certain,
}

const STAR: &str = "`*` reads every column, this one included";
const ROW: &str = "it reads whole rows, this column included";
const UNLISTED: &str = "it has no list of columns, so it counts on all of them";
const COPY: &str = "it copies the table out, as a backup does";
const SEVERAL: &str = "it names a column of this name, which may be another table's";
const SAME_NAME: &str = "old and new form have one name, and the text does not tell which type it counts on";
const AS_STRING: &str = "it holds this value as a string, which may be another one's";
const NAME_AS_STRING: &str = "it holds this name, which stands in a string where a number is taken";
const CUT: &str = "its text was cut off or can't be read, and holds this name";

/// What a whole statement says about it. Most statements have nothing to do with it and are not read at all.
pub fn use_in(text: &str, form: &OldForm) -> Use {
    if let OldForm::Value { value, .. } = form {
        return use_as_string(text, value);
    }
    if let OldForm::Sequence { name } = form {
        return if holds(text, &name.name) { Use::Doubtful(NAME_AS_STRING) } else { Use::No };
    }
    if !holds(text, &form.relation().name) {
        return Use::No;
    }
    match names_in(text) {
        Some(names) => judge(&names, form),
        None => use_in_cut(text, form),
    }
}

/// A value of an enum is a string in a statement's text; that it is not there says nothing.
fn use_as_string(text: &str, value: &str) -> Use {
    if Made::EnumValue(value.to_owned()).is_used_in(text) { Use::Doubtful(AS_STRING) } else { Use::No }
}

/// The same for a text that was cut off: even where it can be read, what is missing may say more.
pub fn use_in_cut(text: &str, form: &OldForm) -> Use {
    let read = names_in(text).map_or(Use::No, |names| judge(&names, form));
    if read != Use::No {
        return read;
    }
    let words = words_in(text);
    let has = |name: &str| words.iter().any(|word| word == name);
    let used = match form {
        OldForm::Value { .. } | OldForm::Sequence { .. } => return use_in(text, form),
        OldForm::Relation { name } => has(&name.name),
        // The table's name may stand where the text is cut off already.
        OldForm::Column { column, .. } | OldForm::Type { column, .. } => has(column),
    };
    if used { Use::Doubtful(CUT) } else { Use::No }
}

/// A look that costs nothing. A name with a quotation mark in it is written with two.
fn holds(text: &str, name: &str) -> bool {
    let name = name.replace('"', "\"\"").to_lowercase();
    text.to_lowercase().contains(&name) || text.contains("U&")
}

fn judge(names: &Names, form: &OldForm) -> Use {
    let wanted = form.relation();
    let is_it = |relation: &ObjectRef| {
        relation.name == wanted.name
            && (relation.schema.is_none() || wanted.schema.is_none() || relation.schema == wanted.schema)
    };
    let (own, others): (Vec<&NamedRelation>, Vec<&NamedRelation>) =
        names.relations.iter().partition(|named| is_it(&named.relation));
    if own.is_empty() {
        return Use::No;
    }
    let (column, same_name) = match form {
        OldForm::Relation { .. } => return Use::Certain,
        OldForm::Value { .. } | OldForm::Sequence { .. } => return Use::No,
        OldForm::Column { column, .. } => (column, false),
        OldForm::Type { column, .. } => (column, true),
    };
    let called = |name: &str| own.iter().any(|named| named.alias.as_deref().unwrap_or(&named.relation.name) == name);
    let mut found = Use::No;
    let mut note = |use_of: Use| found = found.max(use_of);
    for (qualifier, name) in &names.columns {
        match qualifier {
            Some(qualifier) if name == column && called(qualifier) => note(Use::Certain),
            // `excluded.email` of an upsert.
            Some(qualifier) if name == column && qualifier == "excluded" => note(Use::Certain),
            None if name == column => note(if others.is_empty() { Use::Certain } else { Use::Doubtful(SEVERAL) }),
            None if called(name) => note(Use::Doubtful(ROW)),
            Some(_) | None => {}
        }
    }
    if names.written.iter().any(|(table, name)| is_it(table) && name == column) {
        note(Use::Certain);
    }
    if names.unlisted.iter().any(is_it) {
        note(Use::Doubtful(UNLISTED));
    }
    if names.copied_out.iter().any(is_it) {
        note(Use::Doubtful(COPY));
    }
    if names.stars.iter().any(|qualifier| qualifier.as_deref().is_none_or(called)) {
        note(Use::Doubtful(STAR));
    }
    match found {
        Use::Certain if same_name => Use::Doubtful(SAME_NAME),
        Use::No | Use::Doubtful(_) | Use::Certain => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(table: &str, column: &str) -> OldForm {
        OldForm::Column { table: ObjectRef { schema: None, name: table.to_owned() }, column: column.to_owned() }
    }

    #[test]
    fn what_names_the_column_is_certain() {
        let email = column("users", "email");
        for text in [
            "SELECT email FROM users",
            "select u.email from public.users u join orders o on o.user_id = u.id",
            "SELECT id FROM users WHERE lower(email) = $1",
            "INSERT INTO users (id, email) VALUES ($1, $2)",
            "INSERT INTO users (id) VALUES ($1) ON CONFLICT (email) DO NOTHING",
            "INSERT INTO users (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET email = excluded.email",
            "UPDATE users SET email = $1 WHERE id = $2",
            "DELETE FROM users WHERE email = $1 RETURNING id",
            "WITH x AS (SELECT email FROM users) SELECT count(*) FROM x",
            "COPY users (id, email) FROM STDIN",
            "SELECT 1 FROM orders o WHERE EXISTS (SELECT FROM users u WHERE u.email = o.mail)",
            "MERGE INTO users u USING s ON u.id = s.id WHEN MATCHED THEN UPDATE SET email = s.email",
            "PREPARE p AS SELECT \"email\" FROM \"users\"",
        ] {
            assert_eq!(use_in(text, &email), Use::Certain, "{text}");
        }
    }

    #[test]
    fn what_may_use_it_says_why() {
        let email = column("users", "email");
        for (text, why) in [
            ("SELECT * FROM users", STAR),
            ("SELECT u.* FROM users u JOIN orders o ON true", STAR),
            ("INSERT INTO users VALUES ($1, $2)", UNLISTED),
            ("COPY users FROM STDIN", UNLISTED),
            ("COPY users (id, email) TO STDOUT", COPY),
            ("SELECT to_json(users) FROM users", ROW),
            ("SELECT email FROM users JOIN contacts USING (id)", SEVERAL),
            ("SELECT email, long FROM users WHERE name = 'cut o", CUT),
            ("SELECT email, very, many, columns FROM use", CUT),
        ] {
            let found = if why == CUT { use_in_cut(text, &email) } else { use_in(text, &email) };
            assert_eq!(found, Use::Doubtful(why), "{text}");
        }
        let age =
            OldForm::Type { table: ObjectRef { schema: None, name: "users".to_owned() }, column: "age".to_owned() };
        assert_eq!(use_in("SELECT age FROM users", &age), Use::Doubtful(SAME_NAME));
    }

    #[test]
    fn values_and_sequences_are_named_in_strings() {
        let value =
            OldForm::Value { of: ObjectRef { schema: None, name: "mood".to_owned() }, value: "it's".to_owned() };
        for text in [
            "SELECT 1 FROM users WHERE mood = 'it''s'",
            "SELECT 'it''s'::mood",
            "UPDATE users SET mood = 'it''s', note = 'cut o",
        ] {
            assert_eq!(use_in(text, &value), Use::Doubtful(AS_STRING), "{text}");
            assert_eq!(use_in_cut(text, &value), Use::Doubtful(AS_STRING), "{text}");
        }
        assert_eq!(use_in("SELECT 1 FROM users WHERE mood = $1", &value), Use::No);
        let sequence = OldForm::Sequence { name: ObjectRef { schema: None, name: "Numbers".to_owned() } };
        for text in ["SELECT nextval('\"Numbers\"')", "SELECT last_value FROM \"Numbers\""] {
            assert_eq!(use_in(text, &sequence), Use::Doubtful(NAME_AS_STRING), "{text}");
        }
        assert_eq!(use_in("SELECT nextval($1)", &sequence), Use::No);
    }

    #[test]
    fn what_does_not_name_it_does_not_use_it() {
        let email = column("users", "email");
        for text in [
            "SELECT email_address FROM users",
            "SELECT email FROM contacts",
            "SELECT c.email FROM contacts c JOIN users u ON u.id = c.id",
            "SELECT o.* FROM users u JOIN orders o ON o.user_id = u.id",
            "SELECT count(*) FROM users WHERE name = 'email'",
            "WITH users AS (SELECT 1 AS email) SELECT email FROM users",
            "SELECT email FROM archive.users",
            "INSERT INTO users DEFAULT VALUES",
            "UPDATE users SET name = $1",
            "BEGIN",
        ] {
            let form = match text.contains("archive") {
                true => OldForm::Column {
                    table: ObjectRef { schema: Some("public".to_owned()), name: "users".to_owned() },
                    column: "email".to_owned(),
                },
                false => email.clone(),
            };
            assert_eq!(use_in(text, &form), Use::No, "{text}");
        }
    }

    #[test]
    fn a_relation_is_used_by_whatever_names_it() {
        let form = OldForm::Relation { name: ObjectRef { schema: None, name: "Old Table".to_owned() } };
        assert_eq!(use_in("TABLE \"Old Table\"", &form), Use::Certain);
        assert_eq!(use_in("TRUNCATE \"Old Table\"", &form), Use::Certain);
        assert_eq!(use_in("SELECT \"Old Table\" FROM t", &form), Use::No);
    }
}
