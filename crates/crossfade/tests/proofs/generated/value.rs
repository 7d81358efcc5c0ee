//! Kinds of columns and the values that stand in them.

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Integer,
    Text,
    BigInt,
    SmallInt,
    Numeric,
    NumericFine,
    Varchar,
    VarcharWide,
    Boolean,
    Date,
    Timestamp,
    Timestamptz,
    Uuid,
    Jsonb,
    Json,
    TextArray,
    Enum,
    Domain,
    /// Text that is a number in every row.
    Digits,
}

use Kind::*;

/// Kinds that a generated column may have, the plainest first.
pub const KINDS: [Kind; 19] = [
    Integer,
    Text,
    BigInt,
    SmallInt,
    Numeric,
    NumericFine,
    Varchar,
    VarcharWide,
    Boolean,
    Date,
    Timestamp,
    Timestamptz,
    Uuid,
    Jsonb,
    Json,
    TextArray,
    Enum,
    Domain,
    Digits,
];

/// The types that the kinds need.
pub const TYPES: &str = "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');\n\
                         CREATE DOMAIN short_text AS text CHECK (length(VALUE) < 5000);\n";

impl Kind {
    pub fn sql(self) -> &'static str {
        match self {
            Integer => "integer",
            Text | Digits => "text",
            BigInt => "bigint",
            SmallInt => "smallint",
            Numeric => "numeric(10,2)",
            NumericFine => "numeric(14,4)",
            Varchar => "varchar(20)",
            VarcharWide => "varchar(60)",
            Boolean => "boolean",
            Date => "date",
            Timestamp => "timestamp",
            Timestamptz => "timestamptz",
            Uuid => "uuid",
            Jsonb => "jsonb",
            Json => "json",
            TextArray => "text[]",
            Enum => "mood",
            Domain => "short_text",
        }
    }

    /// Values of rows that are there before, among them the ends of what the type holds.
    pub fn seeds(self) -> &'static [&'static str] {
        match self {
            Integer => &["0", "1", "-1", "42", "2147483647", "-2147483648"],
            SmallInt => &["0", "1", "-1", "42", "32767", "-32768"],
            BigInt => &["0", "1", "-1", "42", "9223372036854775807", "-9223372036854775808"],
            Numeric | NumericFine => &["0", "1.50", "-0.01", "42", "99999999.99", "-99999999.99"],
            Text | Domain => {
                &["''", "'plain'", "'Ünïcødé 漢字 🦀'", "'O''Brien \\ back'", "E'tab\\t\\n'", "repeat('x', 3000)"]
            }
            Varchar | VarcharWide => &["''", "'plain'", "'漢字 🦀'", "'O''Brien'", "'12345678901234567890'"],
            Boolean => &["true", "false"],
            Date => &["'2024-02-29'", "'0001-01-01'", "'infinity'", "'2038-01-19'"],
            Timestamp | Timestamptz => {
                &["'2024-02-29 12:34:56.789'", "'1970-01-01 00:00'", "'infinity'", "'2024-03-31 02:30'"]
            }
            Uuid => &["'00000000-0000-0000-0000-000000000000'", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"],
            Jsonb | Json => &["'{}'", "'null'", "'{\"a\": [1, 2.50, \"ü\"]}'", "'\"text\"'"],
            TextArray => &["'{}'", "'{a,NULL,\"b c\"}'", "ARRAY['ü', '']"],
            Enum => &["'sad'", "'ok'", "'happy'"],
            Digits => &["'0'", "'42'", "'-7'", "'12345'"],
        }
    }

    /// What application code writes: fits every type that the column may become.
    pub fn written(self, number: u32) -> &'static str {
        let two = match self {
            Integer | SmallInt | BigInt | Numeric | NumericFine | Digits => ["'7'", "'11'"],
            Text | Domain | Varchar | VarcharWide => ["'short'", "'ü'"],
            Boolean => ["true", "false"],
            Date | Timestamp | Timestamptz => ["'2024-05-06'", "'2023-01-02'"],
            Uuid => ["'11111111-1111-1111-1111-111111111111'", "'22222222-2222-2222-2222-222222222222'"],
            Jsonb | Json => ["'{\"written\": 1}'", "'[]'"],
            TextArray => ["'{x}'", "'{}'"],
            Enum => ["'ok'", "'happy'"],
        };
        two[number as usize % 2]
    }

    /// A value that no other row has, where the kind has enough of them. `number` is SQL.
    pub fn unique(self, number: &str) -> Option<String> {
        match self {
            Integer | BigInt | Numeric | NumericFine => Some(number.to_owned()),
            Text | Domain | Varchar | VarcharWide => Some(format!("'u' || ({number})")),
            Digits => Some(format!("({number})::text")),
            Uuid => Some(format!("md5(({number})::text)::uuid")),
            _ => None,
        }
    }

    pub fn volatile(self) -> Option<&'static str> {
        match self {
            Integer | BigInt => Some("(random() * 1000)::integer"),
            Text => Some("md5(random()::text)"),
            Timestamptz => Some("clock_timestamp()"),
            Uuid => Some("gen_random_uuid()"),
            _ => None,
        }
    }

    /// Whether a btree index may hold it.
    pub fn ordered(self) -> bool {
        self != Json
    }

    pub fn number(self) -> bool {
        matches!(self, Integer | BigInt | SmallInt | Numeric | NumericFine)
    }

    pub fn words(self) -> bool {
        matches!(self, Text | Domain | Varchar | VarcharWide | Digits)
    }

    /// A condition that holds for every value that is generated.
    pub fn check(self, column: &str) -> String {
        match self {
            _ if self.number() => format!("{column} <> -13"),
            _ if self.words() => format!("length({column}) < 4000"),
            Date | Timestamp | Timestamptz => format!("{column} <> '1999-12-31'"),
            Boolean => format!("{column} OR NOT {column}"),
            _ => format!("{column} IS NULL OR {column} IS NOT NULL"),
        }
    }

    /// An expression that an index may be on.
    pub fn indexed(self, column: &str) -> String {
        match self {
            _ if self.number() => format!("({column} % 7)"),
            _ if self.words() => format!("lower({column})"),
            _ => format!("({column} IS NULL)"),
        }
    }

    /// What it may become, with USING where the server asks for it.
    pub fn becomes(self) -> &'static [(Kind, Option<&'static str>)] {
        match self {
            SmallInt => &[(Integer, None), (BigInt, None), (Numeric, None)],
            Integer => &[(BigInt, None), (Digits, None), (Numeric, None), (NumericFine, Some("{} / 1000.0"))],
            BigInt => &[(Digits, None), (Integer, None)],
            Numeric => &[(NumericFine, None), (Digits, Some("{}::text"))],
            NumericFine => &[(Numeric, None)],
            Text => &[
                (Varchar, Some("left({}, 20)")),
                (VarcharWide, Some("left({}, 60)")),
                (Domain, None),
                (Jsonb, Some("to_jsonb({})")),
            ],
            Varchar => &[(VarcharWide, None), (Text, None)],
            VarcharWide => &[(Varchar, None), (Text, None)],
            Digits => &[(BigInt, Some("{}::bigint")), (Integer, Some("{}::integer")), (Varchar, None)],
            Date => &[(Timestamp, None), (Text, None)],
            Timestamp => &[(Timestamptz, None), (Timestamptz, Some("{} AT TIME ZONE 'UTC'")), (Date, None)],
            Timestamptz => &[(Timestamp, None), (Timestamp, Some("{} AT TIME ZONE 'UTC'"))],
            Json => &[(Jsonb, None)],
            Jsonb => &[(Json, None), (Text, None)],
            Enum => &[(Text, None), (Varchar, None)],
            Domain => &[(Text, None)],
            Uuid => &[(Text, None)],
            Boolean => &[(Text, None)],
            TextArray => &[(Text, Some("array_to_string({}, ',')"))],
        }
    }
}

/// How a name looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    Quoted,
    Keyword,
    Longest,
}

pub const STYLES: [Style; 4] = [Style::Plain, Style::Quoted, Style::Keyword, Style::Longest];

impl Style {
    /// A name of this style; names of different stems differ.
    pub fn name(self, stem: &str) -> String {
        const KEYWORDS: [&str; 8] = ["order", "select", "user", "table", "group", "end", "check", "desc"];
        let number: usize = stem.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0);
        match self {
            Style::Plain => stem.to_owned(),
            Style::Quoted => format!("{} \"ü {}", stem.to_uppercase(), stem),
            Style::Keyword if number < KEYWORDS.len() => KEYWORDS[number].to_owned(),
            Style::Keyword => stem.to_owned(),
            Style::Longest => format!("{}_{stem}", "l".repeat(62 - stem.len())),
        }
    }
}

/// As it is written in SQL.
pub fn quoted(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && STYLES
            .iter()
            .all(|_| !["order", "select", "user", "table", "group", "end", "check", "desc"].contains(&name));
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}
