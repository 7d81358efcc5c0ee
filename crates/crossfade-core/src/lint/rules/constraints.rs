//! Constraints.

use super::*;

const RULE: Rule = Rule {
    theme: Theme::Constraints,
    level: Some(Severity::Error),
    setup: "CREATE TABLE users (id bigint PRIMARY KEY, email text, age integer);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint, total integer);
CREATE INDEX orders_user ON orders (user_id);
INSERT INTO users VALUES (1, 'a@b', 7);
INSERT INTO orders VALUES (1, 1, 7);",
    source: MEASURED,
    ..PLAIN
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "add-check-validating",
        title: "ADD CONSTRAINT … CHECK without NOT VALID",
        effect: SCANNED,
        cost: Some(Cost::scan("users", LockMode::AccessExclusive)),
        bad: "ALTER TABLE users ADD CONSTRAINT adult CHECK (age >= 0);",
        good: "ALTER TABLE users ADD CONSTRAINT adult CHECK (age >= 0) NOT VALID;
-- in another transaction
ALTER TABLE users VALIDATE CONSTRAINT adult;",
        exceptions: "NOT ENFORCED (PostgreSQL 18) reads nothing. The lock is ACCESS EXCLUSIVE, not SHARE ROW EXCLUSIVE as some texts have it.",
        ..RULE
    },
    Rule {
        name: "add-foreign-key-validating",
        title: "ADD FOREIGN KEY without NOT VALID",
        effect: "both tables are read to compare them, and nobody can write to either meanwhile",
        cost: Some(Cost::scan("orders", LockMode::ShareRowExclusive)),
        bad: "ALTER TABLE orders ADD CONSTRAINT orders_user_fk FOREIGN KEY (user_id) REFERENCES users;",
        good: "ALTER TABLE orders ADD CONSTRAINT orders_user_fk FOREIGN KEY (user_id) REFERENCES users NOT VALID;
-- in another transaction
ALTER TABLE orders VALIDATE CONSTRAINT orders_user_fk;",
        exceptions: "Of a partitioned table NOT VALID is an error before PostgreSQL 18: add it to each partition. NOT ENFORCED (PostgreSQL 18) reads nothing.",
        ..RULE
    },
    Rule {
        name: "foreign-key-in-new-table",
        level: Some(Severity::Note),
        title: "CREATE TABLE … REFERENCES a table that is in use",
        effect: "nobody can write to the other table while the lock is waited for and held, which is until the transaction ends",
        cost: Some(Cost::lock("users", LockMode::ShareRowExclusive)),
        bad: "CREATE TABLE carts (id bigint PRIMARY KEY, user_id bigint REFERENCES users);",
        good: "SET lock_timeout = '2s';
CREATE TABLE carts (id bigint PRIMARY KEY, user_id bigint REFERENCES users);",
        exceptions: "With a lock_timeout it is harmless; Crossfade sets one by itself.",
        ..RULE
    },
    Rule {
        name: "several-foreign-keys",
        level: Some(Severity::Warning),
        title: "foreign keys to several tables in one transaction",
        effect: "locks on several tables are held at the same time; with one that takes them in another order that is a deadlock",
        cost: Some(Cost::lock("users", LockMode::ShareRowExclusive)),
        bad: "ALTER TABLE orders ADD COLUMN item_id bigint;
ALTER TABLE orders ADD CONSTRAINT a FOREIGN KEY (user_id) REFERENCES users NOT VALID;
ALTER TABLE orders ADD CONSTRAINT b FOREIGN KEY (item_id) REFERENCES orders NOT VALID;
CREATE TABLE t (id bigint);
ALTER TABLE users ADD CONSTRAINT c FOREIGN KEY (id) REFERENCES orders NOT VALID;",
        good: "ALTER TABLE orders ADD CONSTRAINT a FOREIGN KEY (user_id) REFERENCES users NOT VALID;",
        exceptions: "Tables that the file makes do not count. Crossfade adds each in a step of its own.",
        ..RULE
    },
    Rule {
        name: "add-unique-blocking",
        title: "ADD CONSTRAINT … UNIQUE that builds its index",
        effect: BUILT,
        cost: Some(Cost::build("users", LockMode::AccessExclusive)),
        bad: "ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE (email);",
        good: "CREATE UNIQUE INDEX CONCURRENTLY users_email_key ON users (email);
ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE USING INDEX users_email_key;",
        exceptions: "USING INDEX takes the same lock, for a moment.",
        ..RULE
    },
    Rule {
        name: "add-primary-key-blocking",
        title: "ADD PRIMARY KEY that builds its index",
        effect: BUILT,
        cost: Some(Cost::build("events", LockMode::AccessExclusive)),
        setup: "CREATE TABLE events (id bigint NOT NULL, at timestamptz);",
        bad: "ALTER TABLE events ADD PRIMARY KEY (id);",
        good: "CREATE UNIQUE INDEX CONCURRENTLY events_pkey ON events (id);
ALTER TABLE events ADD CONSTRAINT events_pkey PRIMARY KEY USING INDEX events_pkey;",
        exceptions: "Where a column may be NULL the table is read once more.",
        ..RULE
    },
    Rule {
        name: "primary-key-over-nullable",
        title: "PRIMARY KEY USING INDEX over a column that may be NULL",
        effect: SCANNED,
        cost: Some(Cost::scan("events", LockMode::AccessExclusive)),
        setup: "CREATE TABLE events (id bigint, at timestamptz);
CREATE UNIQUE INDEX events_id ON events (id);",
        bad: "ALTER TABLE events ADD CONSTRAINT events_pkey PRIMARY KEY USING INDEX events_id;",
        good: "ALTER TABLE events ADD CONSTRAINT id_given CHECK (id IS NOT NULL) NOT VALID;
-- in another transaction
ALTER TABLE events VALIDATE CONSTRAINT id_given;
ALTER TABLE events ALTER COLUMN id SET NOT NULL;
ALTER TABLE events ADD CONSTRAINT events_pkey PRIMARY KEY USING INDEX events_id;",
        exceptions: "A column that is NOT NULL already, or that a validated CHECK proves to be, is not read.",
        ..RULE
    },
    Rule {
        name: "add-exclusion-constraint",
        title: "ADD CONSTRAINT … EXCLUDE",
        effect: BUILT,
        cost: Some(Cost::build("stays", LockMode::AccessExclusive)),
        setup: "CREATE TABLE stays (id bigint PRIMARY KEY, during tstzrange);",
        bad: "ALTER TABLE stays ADD CONSTRAINT one_at_a_time EXCLUDE USING gist (during WITH &&);",
        good: "-- there is no way online: make a new table that has it, and move the rows
CREATE TABLE stays_new (id bigint PRIMARY KEY, during tstzrange, EXCLUDE USING gist (during WITH &&));",
        exceptions: "None: it can't be NOT VALID, and it can't use an index that is there.",
        ..RULE
    },
    Rule {
        name: "set-not-null-scanning",
        title: "SET NOT NULL that has to read the table",
        effect: SCANNED,
        cost: Some(Cost::scan("users", LockMode::AccessExclusive)),
        bad: "ALTER TABLE users ALTER COLUMN email SET NOT NULL;",
        good: "ALTER TABLE users ADD CONSTRAINT email_given CHECK (email IS NOT NULL) NOT VALID;
-- in another transaction
ALTER TABLE users VALIDATE CONSTRAINT email_given;
ALTER TABLE users ALTER COLUMN email SET NOT NULL;
ALTER TABLE users DROP CONSTRAINT email_given;",
        exceptions: "A validated CHECK that says `x IS NOT NULL` (also with AND), or `NOT (x IS NULL)`, is proof enough; one that is NOT VALID is none, nor is `x > 0`. \
                     On PostgreSQL 18: `ADD CONSTRAINT c NOT NULL x NOT VALID`, then VALIDATE.",
        ..RULE
    },
    Rule {
        name: "set-not-null-with-drop-check",
        title: "SET NOT NULL in one statement with the DROP of the CHECK that proves it",
        effect: "the CHECK is gone before it is looked at, so the whole table is read while nobody can read it or write to it",
        cost: Some(Cost::scan("users", LockMode::AccessExclusive)),
        setup: "CREATE TABLE users (id bigint PRIMARY KEY, email text, CONSTRAINT email_given CHECK (email IS NOT NULL));",
        bad: "ALTER TABLE users ALTER COLUMN email SET NOT NULL, DROP CONSTRAINT email_given;",
        good: "ALTER TABLE users ALTER COLUMN email SET NOT NULL;
ALTER TABLE users DROP CONSTRAINT email_given;",
        exceptions: "None.",
        ..RULE
    },
    Rule {
        name: "validate-in-adding-transaction",
        title: "NOT VALID and VALIDATE CONSTRAINT in one transaction",
        effect: "the strong lock of the ADD is held while the whole table is read: NOT VALID was for nothing",
        cost: Some(Cost::scan("users", LockMode::AccessExclusive)),
        bad: "ALTER TABLE users ADD CONSTRAINT adult CHECK (age >= 0) NOT VALID;
ALTER TABLE users VALIDATE CONSTRAINT adult;",
        good: "ALTER TABLE users ADD CONSTRAINT adult CHECK (age >= 0) NOT VALID;",
        exceptions: "In two files, or in one that has no transaction around it, it is right. Without NOT VALID and VALIDATE Crossfade does both by itself, and commits between the two.",
        ..RULE
    },
    Rule {
        name: "validate-partitioned",
        level: Some(Severity::Warning),
        title: "VALIDATE CONSTRAINT on a partitioned table",
        effect: "every partition is read in one transaction, which holds vacuum up for as long",
        cost: Some(Cost::lock("events", LockMode::ShareUpdateExclusive)),
        setup: "CREATE TABLE events (id bigint, at date) PARTITION BY RANGE (at);
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
ALTER TABLE events ADD CONSTRAINT positive CHECK (id > 0) NOT VALID;",
        bad: "ALTER TABLE events VALIDATE CONSTRAINT positive;",
        good: "ALTER TABLE events_2024 VALIDATE CONSTRAINT positive;",
        exceptions: "With few and small partitions it is all right.",
        ..RULE
    },
    Rule {
        name: "not-enforced-constraint",
        level: Some(Severity::Note),
        title: "a constraint that is NOT ENFORCED",
        effect: "nothing is checked, now or later: rows may break it",
        servers: (18, 18),
        bad: "ALTER TABLE users ADD CONSTRAINT adult CHECK (age >= 0) NOT ENFORCED;",
        good: "ALTER TABLE users ADD CONSTRAINT adult CHECK (age >= 0) NOT VALID;",
        exceptions: "Where it is meant as a note to the reader.",
        source: "the manual of PostgreSQL 18, CREATE TABLE",
        ..RULE
    },
    Rule {
        name: "drop-not-null",
        level: Some(Severity::Warning),
        title: "DROP NOT NULL",
        effect: "code that is running and never met a NULL there will",
        cost: Some(Cost::lock("accounts", LockMode::AccessExclusive)),
        setup: "CREATE TABLE accounts (id bigint PRIMARY KEY, email text NOT NULL);",
        bad: "ALTER TABLE accounts ALTER COLUMN email DROP NOT NULL;",
        good: "-- deploy code that can take a NULL first, and say so
-- crossfade: allow drop-not-null all readers take NULL since release 12
ALTER TABLE accounts ALTER COLUMN email DROP NOT NULL;",
        exceptions: "None that the text could show.",
        ..RULE
    },
    Rule {
        name: "drop-constraint",
        level: Some(Severity::Warning),
        title: "DROP CONSTRAINT",
        effect: "what the constraint promised no longer holds; of a foreign key, nobody can use either table while the lock is waited for",
        cost: Some(Cost::lock("users", LockMode::AccessExclusive)),
        setup: "CREATE TABLE users (id bigint PRIMARY KEY, age integer);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint CONSTRAINT orders_user_fk REFERENCES users);",
        bad: "ALTER TABLE orders DROP CONSTRAINT orders_user_fk;",
        good: "-- deploy code that does not rely on it first, and say so
-- crossfade: allow drop-constraint the application deletes orders itself
ALTER TABLE orders DROP CONSTRAINT orders_user_fk;",
        exceptions: "A CHECK that only proved a NOT NULL that is there now.",
        ..RULE
    },
    Rule {
        name: "drop-primary-key",
        level: Some(Severity::Warning),
        title: "DROP CONSTRAINT of a primary key",
        effect: "rows have no identity any more: where the table is published, UPDATE and DELETE fail from then on",
        cost: Some(Cost::lock("users", LockMode::AccessExclusive)),
        setup: "CREATE TABLE users (id bigint, email text, CONSTRAINT users_pkey PRIMARY KEY (id));",
        bad: "ALTER TABLE users DROP CONSTRAINT users_pkey;",
        good: "ALTER TABLE users REPLICA IDENTITY FULL;
-- crossfade: allow drop-constraint the new key is there already
ALTER TABLE users DROP CONSTRAINT users_pkey;",
        exceptions: "A REPLICA IDENTITY that is set first.",
        ..RULE
    },
    Rule {
        name: "drop-constraint-index",
        title: "DROP INDEX of an index that a constraint owns",
        effect: "it fails: the index goes with its constraint only",
        setup: "CREATE TABLE users (id bigint, email text, CONSTRAINT users_email_key UNIQUE (email));",
        bad: "DROP INDEX users_email_key;",
        good: "ALTER TABLE users DROP CONSTRAINT users_email_key;",
        exceptions: "None.",
        ..RULE
    },
    Rule {
        name: "foreign-key-without-index",
        level: Some(Severity::Warning),
        title: "a foreign key without an index over its columns",
        effect: "each DELETE in the other table reads this one as a whole, and holds its row locked meanwhile",
        setup: "CREATE TABLE users (id bigint PRIMARY KEY);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint);",
        bad: "ALTER TABLE orders ADD CONSTRAINT orders_user_fk FOREIGN KEY (user_id) REFERENCES users NOT VALID;",
        good: "CREATE INDEX CONCURRENTLY orders_user ON orders (user_id);
ALTER TABLE orders ADD CONSTRAINT orders_user_fk FOREIGN KEY (user_id) REFERENCES users NOT VALID;",
        exceptions: "An index of the same file counts, also behind the key; a partial one does not. Of tables of which the files do not tell all it is found with a database only.",
        source: "how the server checks a foreign key: one query by its columns for each row that goes",
        ..RULE
    },
    Rule {
        name: "foreign-key-type-mismatch",
        level: Some(Severity::Warning),
        title: "a foreign key of another type than what it points to",
        effect: "the smaller of the two runs out first, and each comparison casts",
        setup: "CREATE TABLE users (id bigint PRIMARY KEY);
CREATE TABLE orders (id bigint PRIMARY KEY);",
        bad: "CREATE TABLE carts (id bigint PRIMARY KEY, user_id integer REFERENCES users (id));",
        good: "CREATE TABLE carts (id bigint PRIMARY KEY, user_id bigint REFERENCES users (id));",
        exceptions: "text and varchar of any length are one.",
        source: "the ranges of the types",
        ..RULE
    },
    Rule {
        name: "foreign-key-not-valid-partitioned",
        title: "ADD FOREIGN KEY … NOT VALID on a partitioned table",
        effect: "it fails: before PostgreSQL 18 such a key can't be NOT VALID",
        servers: (13, 17),
        setup: "CREATE TABLE users (id bigint PRIMARY KEY);
CREATE TABLE events (id bigint, user_id bigint, at date) PARTITION BY RANGE (at);",
        bad: "ALTER TABLE events ADD CONSTRAINT events_user_fk FOREIGN KEY (user_id) REFERENCES users NOT VALID;",
        good: "-- on each partition, and when all have one, on the table itself: then nothing is read
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
ALTER TABLE events_2024 ADD CONSTRAINT events_user_fk FOREIGN KEY (user_id) REFERENCES users NOT VALID;",
        exceptions: "PostgreSQL 18 can.",
        ..RULE
    },
    Rule {
        name: "volatile-check",
        level: Some(Severity::Warning),
        title: "a CHECK that asks for the time or for chance",
        effect: "a row that was right is wrong later: a restore of the backup fails, and so does VALIDATE",
        bad: "ALTER TABLE users ADD CONSTRAINT past CHECK (to_timestamp(age) < now()) NOT VALID;",
        good: "ALTER TABLE users ADD CONSTRAINT adult CHECK (age < 200) NOT VALID;",
        exceptions: "None.",
        source: "the manual, CREATE TABLE, on CHECK",
        ..RULE
    },
    Rule {
        name: "new-write-restriction",
        level: None,
        title: "a constraint that running code may break",
        effect: "code that is running and writes what is forbidden now fails",
        bad: "ALTER TABLE users ADD CONSTRAINT adult CHECK (age >= 0) NOT VALID;",
        good: "CREATE TABLE carts (id bigint PRIMARY KEY, total integer CHECK (total >= 0));",
        exceptions: "Off until it is asked for: whether the code keeps to it the text can't say.",
        ..RULE
    },
];
