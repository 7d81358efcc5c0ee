//! Partitions.

use super::*;

const RULE: Rule = Rule {
    theme: Theme::Partitions,
    level: Some(Severity::Error),
    setup: "CREATE TABLE events (id bigint, at date) PARTITION BY RANGE (at);
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE events_rest PARTITION OF events DEFAULT;
CREATE TABLE events_2025 (id bigint, at date);",
    source: MEASURED,
    ..PLAIN
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "attach-partition-scan",
        title: "ATTACH PARTITION without a CHECK that implies its bound",
        effect: "the new partition is read as a whole while nobody can use it; so is the default partition, where there is one",
        cost: Some(Cost::scan("events_2025", LockMode::AccessExclusive)),
        bad: "ALTER TABLE events ATTACH PARTITION events_2025 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');",
        good: "-- crossfade: no-transaction
ALTER TABLE events_2025 ADD CONSTRAINT in_2025 CHECK (at IS NOT NULL AND at >= '2025-01-01' AND at < '2026-01-01') NOT VALID;
ALTER TABLE events_2025 VALIDATE CONSTRAINT in_2025;
ALTER TABLE events_rest ADD CONSTRAINT not_2025 CHECK (at < '2025-01-01' OR at >= '2026-01-01') NOT VALID;
ALTER TABLE events_rest VALIDATE CONSTRAINT not_2025;
ALTER TABLE events ATTACH PARTITION events_2025 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');",
        exceptions: "A validated CHECK on the new partition saves its scan; whether it implies the bound is the server's to say. The default partition needs one that excludes it. \
                     The parent is locked in SHARE UPDATE EXCLUSIVE only, from PostgreSQL 12 on.",
        ..RULE
    },
    Rule {
        name: "detach-partition",
        title: "DETACH PARTITION without CONCURRENTLY",
        effect: WAITED,
        cost: Some(Cost::lock("events", LockMode::AccessExclusive)),
        bad: "ALTER TABLE events DETACH PARTITION events_2024;",
        good: "-- crossfade: no-transaction
ALTER TABLE events DETACH PARTITION events_2024 CONCURRENTLY;",
        exceptions: "CONCURRENTLY is there from PostgreSQL 14 on, not in a transaction, and not where there is a default partition.",
        ..RULE
    },
    Rule {
        name: "create-partition-of",
        title: "CREATE TABLE … PARTITION OF a table that is in use",
        effect: "nobody can use the partitioned table while the lock is waited for; the default partition is read as a whole under it",
        cost: Some(Cost::lock("events", LockMode::AccessExclusive)),
        bad: "CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');",
        good: "CREATE TABLE events_2026 (LIKE events INCLUDING ALL);
ALTER TABLE events_2026 ADD CONSTRAINT in_2026 CHECK (at IS NOT NULL AND at >= '2026-01-01' AND at < '2027-01-01');
ALTER TABLE events ATTACH PARTITION events_2026 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');",
        exceptions: "A partitioned table that the file makes. Crossfade makes the table and attaches it by itself.",
        ..RULE
    },
    Rule {
        name: "drop-partition",
        title: "DROP TABLE of a partition",
        effect: "the partitioned table and its default partition are locked, too: nobody can use any of it while that is waited for",
        cost: Some(Cost::lock("events", LockMode::AccessExclusive)),
        bad: "DROP TABLE events_2024;",
        good: "-- crossfade: no-transaction
ALTER TABLE events DETACH PARTITION events_2024 CONCURRENTLY;
DROP TABLE events_2024;",
        exceptions: "One that was detached before.",
        ..RULE
    },
    Rule {
        name: "partitioned-fanout",
        level: Some(Severity::Warning),
        title: "a constraint or an index on a partitioned table as a whole",
        effect: "every partition is locked and read in one transaction",
        cost: Some(Cost::scan("events_2024", LockMode::AccessExclusive)),
        bad: "ALTER TABLE events ADD CONSTRAINT positive CHECK (id > 0);",
        good: "ALTER TABLE events_2024 ADD CONSTRAINT positive CHECK (id > 0) NOT VALID;",
        exceptions: "With NOT VALID nothing is read. Crossfade goes partition by partition.",
        ..RULE
    },
    Rule {
        name: "partition-key-not-in-unique",
        title: "PRIMARY KEY or UNIQUE of a partitioned table without its partition key",
        effect: "it fails: what is unique is looked for in one partition only",
        bad: "ALTER TABLE events ADD PRIMARY KEY (id);",
        good: "ALTER TABLE events ADD PRIMARY KEY (id, at);",
        exceptions: "None. Where the key is an expression there can be no unique constraint at all; a partition by itself may have one.",
        ..RULE
    },
];
