//! What is migrated: each kind writes one number to a row in the old and in the new form, and reads it back from both.

/// A kind of migration, and the code on both sides of it. `{n}` is the number that is written.
pub struct Kind {
    pub name: &'static str,
    /// The columns behind `id`, and their values for a row with the number `id`.
    pub columns: &'static str,
    pub values: &'static str,
    pub migration: &'static str,
    pub old: Code,
    pub new: Code,
    /// What is read of a number that old code wrote.
    pub kept: fn(i64) -> i64,
}

/// One version of the application.
pub struct Code {
    pub table: &'static str,
    pub set: &'static str,
    pub get: &'static str,
}

const fn code(set: &'static str, get: &'static str) -> Code {
    Code { table: "t", set, get }
}

fn all(number: i64) -> i64 {
    number
}

/// Old code leaves the value away for each fifth number.
fn some(number: i64) -> i64 {
    if number % 5 == 0 { 0 } else { number }
}

pub const KINDS: [Kind; 8] = [
    Kind {
        name: "a column is renamed",
        columns: "v text",
        values: "id::text",
        migration: "ALTER TABLE t RENAME COLUMN v TO w;",
        old: code("v = '{n}'", "v::bigint"),
        new: code("w = '{n}'", "w::bigint"),
        kept: all,
    },
    Kind {
        name: "integer becomes bigint",
        columns: "v integer",
        values: "id",
        migration: "ALTER TABLE t ALTER COLUMN v TYPE bigint;",
        old: code("v = {n}", "v::bigint"),
        new: code("v = {n}", "v"),
        kept: all,
    },
    Kind {
        name: "text becomes integer",
        columns: "v text",
        values: "id::text",
        migration: "-- crossfade: up v::integer\n-- crossfade: down v::text\nALTER TABLE t ALTER COLUMN v TYPE integer USING v::integer;",
        old: code("v = '{n}'", "v::bigint"),
        new: code("v = '{n}'", "v::bigint"),
        kept: all,
    },
    Kind {
        name: "a column is replaced by what is computed from it",
        columns: "price numeric(20,2)",
        values: "id / 100.0",
        migration: "ALTER TABLE t ADD COLUMN cents bigint;\nUPDATE t SET cents = (price * 100)::bigint;\n-- crossfade: down (cents / 100.0)::numeric(20,2)\nALTER TABLE t DROP COLUMN price;",
        old: code("price = {n} / 100.0", "(price * 100)::bigint"),
        new: code("cents = {n}", "cents"),
        kept: all,
    },
    Kind {
        name: "a column is split",
        columns: "name text",
        values: "'a ' || id",
        migration: "ALTER TABLE t ADD COLUMN first text, ADD COLUMN last text;\nUPDATE t SET first = split_part(name, ' ', 1), last = split_part(name, ' ', 2);\n-- crossfade: down first || ' ' || last\nALTER TABLE t DROP COLUMN name;",
        old: code("name = 'a {n}'", "split_part(name, ' ', 2)::bigint"),
        new: code("first = 'a', last = '{n}'", "last::bigint"),
        kept: all,
    },
    Kind {
        name: "NULLs are mended",
        columns: "v bigint",
        values: "id",
        migration: "-- crossfade: up coalesce(v, 0)\nALTER TABLE t ALTER COLUMN v SET NOT NULL;",
        old: code("v = CASE WHEN {n} % 5 = 0 THEN NULL ELSE {n} END", "coalesce(v, 0)"),
        new: code("v = {n}", "v"),
        kept: some,
    },
    Kind {
        name: "a column is dropped",
        columns: "a bigint, b bigint",
        values: "id, id",
        migration: "-- crossfade: down b\nALTER TABLE t DROP COLUMN a;",
        old: code("a = {n}, b = {n}", "a"),
        new: code("b = {n}", "b"),
        kept: all,
    },
    Kind {
        name: "a table is renamed",
        columns: "v bigint",
        values: "id",
        migration: "ALTER TABLE t RENAME TO u;",
        old: code("v = {n}", "v"),
        new: Code { table: "u", set: "v = {n}", get: "v" },
        kept: all,
    },
];

impl Code {
    pub fn write(&self, id: i64, number: i64) -> String {
        format!("UPDATE {} SET {} WHERE id = {id}", self.table, self.set.replace("{n}", &number.to_string()))
    }

    pub fn read(&self, condition: &str) -> String {
        format!("SELECT id::bigint, ({})::bigint FROM {} WHERE {condition}", self.get, self.table)
    }
}
