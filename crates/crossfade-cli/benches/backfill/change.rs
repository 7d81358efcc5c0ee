//! The table, and the two changes that are measured on it.

/// A column that is filled from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// As it stands in the tables.
    pub title: &'static str,
    /// The new column.
    pub column: &'static str,
    /// Its type.
    pub type_name: &'static str,
    /// Its value.
    pub value: &'static str,
}

/// A text as long as a column that is there, and a number: a new key, or cents.
pub const CHANGES: [Change; 2] = [
    Change { title: "`email_address := email` (text)", column: "email_address", type_name: "text", value: "email" },
    Change { title: "`number := id * 100` (bigint)", column: "number", type_name: "bigint", value: "id * 100" },
];

impl Change {
    /// What adds the column, empty.
    pub fn add(&self) -> String {
        format!("ALTER TABLE users ADD COLUMN {} {}", self.column, self.type_name)
    }

    /// What fills it in the rows for which the condition holds; without one in all.
    pub fn fill(&self, condition: &str) -> String {
        format!("UPDATE users SET {} = {} {condition}", self.column, self.value)
    }

    /// The migration's file: no index is asked for.
    pub fn migration(&self) -> String {
        format!("{};\n{};\n", self.add(), self.fill("").trim_end())
    }

    /// Counts the rows that are wrong.
    pub fn wrong(&self) -> String {
        format!("SELECT count(*) FROM users WHERE {} IS DISTINCT FROM {}", self.column, self.value)
    }

    /// The table as if it had been written in the new form from the start, as `anew`: the least that it can take.
    pub fn anew(&self) -> String {
        format!(
            "CREATE TABLE anew AS SELECT *, ({})::{} AS {} FROM users;
             ALTER TABLE anew ADD PRIMARY KEY (id);
             CREATE UNIQUE INDEX ON anew (email);
             CREATE INDEX ON anew (created_at)",
            self.value, self.type_name, self.column
        )
    }
}

/// The table of the README, written row by row with its indexes in place. Addresses come in no order, as those of people do.
pub fn users(rows: u64) -> String {
    format!(
        "CREATE TABLE users (
             id bigserial PRIMARY KEY,
             name text NOT NULL,
             email varchar(255) NOT NULL UNIQUE,
             created_at timestamptz NOT NULL DEFAULT now()
         );
         CREATE INDEX users_created_at_idx ON users (created_at);
         INSERT INTO users (name, email, created_at)
         SELECT 'User ' || n, substr(md5(n::text), 1, 8) || n || '@example.com', now() - ({rows} - n) * interval '1 second'
         FROM generate_series(1, {rows}) AS n ORDER BY n"
    )
}
