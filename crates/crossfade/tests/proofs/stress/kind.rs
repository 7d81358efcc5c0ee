//! What is put under stress: each kind of trigger and of chunk, over a table of its own.
//!
//! A value of the load is a number. How it stands in the old and in the new form is the kind's, so that one load and one model serve all.

use std::ops::RangeInclusive;

use crossfade_core::journal::State;

use super::load::Row;

/// A value that the mending kind writes as NULL.
pub const NOTHING: i64 = -1;

/// Every so many rows there is one that all clients share.
pub const SHARED: i64 = 1_000;

/// One side of a row, as the code of one version knows it.
#[derive(Clone, Copy, Debug)]
pub struct Side {
    pub column: &'static str,
    pub of_type: &'static str,
    /// A value as it is written; none for NULL.
    pub text: fn(i64) -> Option<String>,
    /// The column's value, one higher.
    pub next: &'static str,
}

/// How existing rows come to their new form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// The new form is filled, and a trigger keeps it.
    Filled,
    /// The user's own UPDATE adds one to `swept`, by ranges of the key.
    ByKey,
    /// The user's own UPDATE sets `swept` to one, by blocks: there is no key.
    ByBlocks,
}

#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub name: &'static str,
    /// `src` of the row number `k`.
    pub seed: &'static str,
    pub migration: &'static str,
    pub sweep: Sweep,
    pub old: Side,
    /// The new side, where new code can write it before contract.
    pub new: Option<Side>,
    /// The value that a row has in the old form, and in the new one, whose column is `{new}`.
    pub values: [&'static str; 2],
    /// The column of the new form at the end.
    pub last: &'static str,
}

const WORDS: Side = Side { column: "src", of_type: "text", text: word, next: "'v' || (substr(src, 2)::bigint + 1)" };
const WHOLE: Side = Side { column: "src", of_type: "integer", text: number, next: "src + 1" };

pub const KINDS: [Kind; 6] = [
    Kind {
        name: "rename",
        seed: "'v' || k",
        migration: "ALTER TABLE items RENAME COLUMN src TO dst;",
        sweep: Sweep::Filled,
        old: WORDS,
        new: Some(Side { column: "dst", of_type: "text", text: word, next: "'v' || (substr(dst, 2)::bigint + 1)" }),
        values: ["substr(src, 2)::bigint", "substr({new}, 2)::bigint"],
        last: "dst",
    },
    Kind {
        name: "replace",
        seed: "k / 100.0",
        migration: "ALTER TABLE items ADD COLUMN dst bigint;
            UPDATE items SET dst = (src * 100)::bigint;
            -- crossfade: down dst / 100.0
            ALTER TABLE items DROP COLUMN src;",
        sweep: Sweep::Filled,
        old: Side { column: "src", of_type: "numeric(12, 2)", text: hundredths, next: "src + 0.01" },
        new: Some(Side { column: "dst", of_type: "bigint", text: number, next: "dst + 1" }),
        values: ["(src * 100)::bigint", "{new}"],
        last: "dst",
    },
    Kind {
        name: "type",
        seed: "k",
        migration: "ALTER TABLE items ALTER COLUMN src TYPE bigint;",
        sweep: Sweep::Filled,
        old: WHOLE,
        new: None,
        values: ["src::bigint", "{new}"],
        last: "src",
    },
    Kind {
        name: "mend",
        seed: "CASE WHEN k % 7 = 0 AND k % 1000 <> 0 THEN NULL ELSE 'v' || k END",
        migration: "-- crossfade: up 'none'\nALTER TABLE items ALTER COLUMN src SET NOT NULL;",
        sweep: Sweep::Filled,
        old: Side { text: word_or_nothing, ..WORDS },
        new: None,
        // Only a NULL that is left makes them differ.
        values: [
            "CASE src WHEN 'none' THEN -1 ELSE coalesce(substr(src, 2)::bigint, -3) END",
            "CASE src WHEN 'none' THEN -1 ELSE coalesce(substr(src, 2)::bigint, -2) END",
        ],
        last: "src",
    },
    Kind {
        name: "update by key",
        seed: "k",
        migration: "UPDATE items SET swept = swept + 1;",
        sweep: Sweep::ByKey,
        old: WHOLE,
        new: None,
        values: ["src::bigint", "src::bigint"],
        last: "src",
    },
    Kind {
        name: "update by blocks",
        seed: "k",
        migration: "UPDATE items SET swept = 1;",
        sweep: Sweep::ByBlocks,
        old: WHOLE,
        new: None,
        values: ["src::bigint", "src::bigint"],
        last: "src",
    },
];

fn word(value: i64) -> Option<String> {
    Some(format!("v{value}"))
}

fn word_or_nothing(value: i64) -> Option<String> {
    if value == NOTHING { None } else { word(value) }
}

fn number(value: i64) -> Option<String> {
    Some(value.to_string())
}

fn hundredths(value: i64) -> Option<String> {
    Some(format!("{}.{:02}", value / 100, value % 100))
}

impl Kind {
    pub fn named(name: &str) -> Kind {
        KINDS.into_iter().find(|kind| kind.name == name).expect("there is such a kind")
    }

    /// Where `migrate` ends.
    pub fn ends(&self) -> State {
        match self.sweep {
            Sweep::Filled => State::Ready,
            Sweep::ByKey | Sweep::ByBlocks => State::Applied,
        }
    }

    /// The value of the row number `k` before anybody writes.
    pub fn first_value(&self, k: i64) -> i64 {
        if self.takes_nothing() && k % 7 == 0 && k % SHARED != 0 { NOTHING } else { k }
    }

    /// Whether NULL is a value that old code writes.
    pub fn takes_nothing(&self) -> bool {
        (self.old.text)(NOTHING).is_none()
    }

    /// How often the migration may have met a row.
    pub fn may_be_swept(&self, row: &Row) -> RangeInclusive<i32> {
        match self.sweep {
            Sweep::Filled => 0..=0,
            Sweep::ByKey if row.fresh || row.moves > 0 => 0..=row.moves + 1,
            Sweep::ByBlocks if row.fresh => 0..=1,
            Sweep::ByKey | Sweep::ByBlocks => 1..=1,
        }
    }
}

/// How the table is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    Plain,
    /// By `region`, so that rows move.
    Partitioned,
}

/// The values of `region`.
pub const REGIONS: [&str; 3] = ["eu", "us", "asia"];

impl Layout {
    /// The columns of the table's unique key.
    pub fn key(self) -> &'static str {
        match self {
            Layout::Plain => "id",
            Layout::Partitioned => "id, region",
        }
    }

    /// The table `items` with so many rows. Their ids are even, so that there is room between them.
    pub fn table(self, kind: &Kind, rows: i64) -> String {
        let key = match kind.sweep {
            Sweep::Filled | Sweep::ByKey => format!("PRIMARY KEY ({})", self.key()),
            // It may hold NULL, so nothing can be swept by it.
            Sweep::ByBlocks => format!("UNIQUE ({})", self.key()),
        };
        let region = match (kind.sweep, self) {
            (Sweep::ByBlocks, Layout::Partitioned) => "text",
            (Sweep::Filled | Sweep::ByKey, _) | (Sweep::ByBlocks, Layout::Plain) => "text NOT NULL",
        };
        let columns = format!(
            "id bigint, region {region}, src {}, touched integer NOT NULL DEFAULT 0, swept integer NOT NULL DEFAULT 0, pad text, {key}",
            kind.old.of_type
        );
        let made = match self {
            Layout::Plain => format!("CREATE TABLE items ({columns}); CREATE INDEX ON items (src);"),
            Layout::Partitioned => format!(
                "CREATE TABLE items ({columns}) PARTITION BY LIST (region);
                 CREATE TABLE items_eu PARTITION OF items FOR VALUES IN ('eu');
                 CREATE TABLE items_us PARTITION OF items FOR VALUES IN ('us');
                 CREATE TABLE items_rest PARTITION OF items DEFAULT;"
            ),
        };
        format!(
            "{made} CREATE INDEX ON items (touched);
             INSERT INTO items SELECT 2 * k, ('{{{}}}'::text[])[1 + k % 3], {}, 0, 0, repeat('p', 300) FROM generate_series(1, {rows}) AS k;
             ANALYZE items",
            REGIONS.join(","),
            kind.seed
        )
    }

    /// A relation that holds rows.
    pub fn leaf(self) -> &'static str {
        match self {
            Layout::Plain => "items",
            Layout::Partitioned => "items_us",
        }
    }
}
