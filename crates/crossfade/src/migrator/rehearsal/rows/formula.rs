//! A value from a number, for each type: as SQL, so that the server makes as many as are wanted.

use crossfade_core::sql;
use crossfade_core::sql::Ident;
use crossfade_core::sql::Literal;
use crossfade_core::sql::Number;
use crossfade_core::sql::ServerText;
use crossfade_core::sql::Sql;

use super::shape::Shape;

/// So many different values count as without end.
pub const ENDLESS: u64 = 1_000_000_000;

/// A way to make a value from a number.
#[derive(Clone, Debug, PartialEq)]
pub enum Formula {
    /// The usual one of the type; texts are about so long.
    Usual {
        /// Bytes.
        width: i64,
    },
    /// A number from 0 on, below this.
    Below(i64),
    /// A number below 0.
    Negative,
    /// A part of 1.
    Fraction,
    /// A moment before or behind now, by so many minutes for each number.
    FromNow(i64),
    /// A text around the number.
    Around(&'static str, &'static str),
    /// Signs in the place of the ten digits, in this length.
    Signs(&'static str, i64),
    /// One of these.
    OneOf(Vec<String>),
}

impl Formula {
    /// How many different values it makes.
    pub fn distinct(&self, shape: &Shape) -> u64 {
        let power = |base: u64, digits: i64| base.saturating_pow(u32::try_from(digits).unwrap_or(0)).min(ENDLESS);
        match self {
            Formula::OneOf(values) => values.len() as u64,
            Formula::Below(end) => u64::try_from(*end).unwrap_or(1),
            Formula::Fraction => 100,
            Formula::Signs(_, length) => power(10, *length),
            Formula::FromNow(_) => 1_000_000,
            Formula::Around(..) => ENDLESS,
            Formula::Negative | Formula::Usual { .. } => match (shape.kind, shape.base.as_str()) {
                ('e', _) => shape.labels.len() as u64,
                (_, "bool") => 2,
                (_, "int2") => 30_000,
                (_, "char") => 26,
                (_, "date" | "daterange") => 1_000_000,
                (_, "time" | "timetz") => 86_400,
                (_, "macaddr" | "macaddr8" | "inet" | "cidr") => 16_000_000,
                (_, "bit" | "varbit") => power(2, shape.length().unwrap_or(1).min(29)),
                (_, "numeric") => shape.whole_digits().map_or(ENDLESS, |digits| power(10, i64::from(digits))),
                (_, "float4") => 1_000_000,
                (_, "varchar" | "bpchar") => shape.length().map_or(ENDLESS, |length| power(16, length)),
                _ => ENDLESS,
            },
        }
    }

    /// The value of this type for a number that is not negative; none where no value of the type can be made.
    pub fn sql(&self, shape: &Shape, number: &Sql) -> Option<Sql> {
        let value = match self {
            Formula::Usual { width } => return usual(shape, number, *width),
            Formula::Below(end) => sql!("(({}) % {})", number, Number(*end)),
            Formula::Negative => sql!("(-1 - ({}) % 1000)", number),
            Formula::Fraction => sql!("((({}) % 100)::numeric / 100)", number),
            Formula::FromNow(minutes) => {
                sql!("(pg_catalog.now() + ({} % 1000000) * {} * interval '1 minute')", number, Number(*minutes))
            }
            Formula::Around(before, behind) => {
                sql!("({} || ({})::text || {})", Literal((*before).to_owned()), number, Literal((*behind).to_owned()))
            }
            Formula::Signs(signs, length) => sql!(
                "pg_catalog.translate(pg_catalog.right(pg_catalog.lpad(({})::text, {}, '0'), {}), '0123456789', {})",
                number,
                Number(*length),
                Number(*length),
                Literal((*signs).to_owned())
            ),
            Formula::OneOf(values) => return Some(sql!("{}::{}", one_of(values, number), shape.type_name)),
        };
        Some(sql!("({})::{}", value, shape.type_name))
    }

    /// What else can be tried where a condition refuses the usual values: by the type, and by what stands in the condition.
    pub fn others(shape: &Shape, literals: &[String]) -> Vec<Formula> {
        let lengths: Vec<i64> = literals.iter().filter_map(|literal| literal.parse().ok()).collect();
        let mut lengths: Vec<i64> = lengths.into_iter().filter(|length| (1..=64).contains(length)).collect();
        // What stands in a pattern: {3}, {2,5}.
        for literal in literals {
            let digits =
                literal.split(|letter: char| !letter.is_ascii_digit()).filter_map(|part| part.parse::<i64>().ok());
            lengths.extend(digits.filter(|length| (1..=64).contains(length)));
        }
        lengths.push(1);
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        lengths.dedup();
        match shape.base.as_str() {
            "int2" | "int4" | "int8" | "numeric" | "float4" | "float8" | "money" => {
                vec![
                    Formula::Below(1000),
                    Formula::Below(100),
                    Formula::Below(10),
                    Formula::Fraction,
                    Formula::Negative,
                    Formula::Below(2),
                ]
            }
            "text" | "varchar" | "bpchar" | "citext" | "name" => {
                let mut all = vec![
                    Formula::Around("v", "@example.com"),
                    Formula::Around("https://example.com/v", ""),
                    Formula::Around("+1", ""),
                    Formula::Around("", ""),
                    Formula::Around("V", ""),
                ];
                for signs in ["0123456789", "abcdefghij", "ABCDEFGHIJ"] {
                    all.extend(lengths.iter().map(|length| Formula::Signs(signs, *length)));
                }
                all
            }
            "date" | "timestamp" | "timestamptz" => vec![Formula::FromNow(1), Formula::FromNow(-1)],
            "json" | "jsonb" => vec![Formula::OneOf(vec!["{}".to_owned()]), Formula::OneOf(vec!["[]".to_owned()])],
            _ => Vec::new(),
        }
    }

    /// Single values that could do: what stands in the condition, what lies beside it, the values of an enum.
    pub fn candidates(shape: &Shape, literals: &[String]) -> Vec<String> {
        let mut found = literals.to_vec();
        found.extend(shape.labels.iter().cloned());
        for literal in literals {
            if let Ok(number) = literal.parse::<i64>() {
                found.extend([number.saturating_sub(1).to_string(), number.saturating_add(1).to_string()]);
            }
            // A pattern, taken by its letter: `%@%`, `^abc`.
            found.push(literal.replace(['%', '^', '$'], ""));
        }
        let mut seen = std::collections::BTreeSet::new();
        found.retain(|value| seen.insert(value.clone()));
        found
    }
}

/// One of these values, as text.
pub fn one_of(values: &[String], number: &Sql) -> Sql {
    let all = Sql::join(values.iter().map(|value| sql!("{}", Literal(value.clone()))), ", ");
    sql!("(ARRAY[{}]::text[])[1 + (({}) % {})::integer]", all, number, Number(values.len().max(1) as i64))
}

fn usual(shape: &Shape, number: &Sql, width: i64) -> Option<Sql> {
    let of_type = |value: Sql| Some(sql!("({})::{}", value, shape.type_name));
    if shape.kind == 'e' {
        return if shape.labels.is_empty() { None } else { of_type(one_of(&shape.labels, number)) };
    }
    if let Some(element) = &shape.element {
        return of_type(sql!("ARRAY[{}]", of_element(element, number)?));
    }
    let minutes = || sql!("timestamptz '2020-01-01 00:00:00+00' + ({} % 1000000000) * interval '1 minute'", number);
    of_type(match shape.base.as_str() {
        "int2" => sql!("1 + {} % 30000", number),
        "int4" | "oid" => sql!("1 + {} % 2000000000", number),
        "int8" | "float8" | "money" => sql!("1 + {}", number),
        "float4" => sql!("1 + {} % 1000000", number),
        "numeric" => match shape.whole_digits() {
            Some(0) => sql!("0"),
            Some(digits) if digits < 17 => sql!("1 + {} % ({})", number, Number((10_i64.pow(digits) - 1).max(1))),
            Some(_) | None => sql!("1 + {}", number),
        },
        "bool" => sql!("{} % 2 = 0", number),
        "text" | "varchar" | "bpchar" | "citext" | "name" => text(shape.length(), number, width),
        "char" => sql!("pg_catalog.chr((97 + {} % 26)::integer)", number),
        "date" => sql!("date '2020-01-01' + ({} % 1000000)::integer", number),
        "timestamp" => sql!("({}) AT TIME ZONE 'UTC'", minutes()),
        "timestamptz" => minutes(),
        "time" | "timetz" => sql!("time '00:00' + ({} % 86400) * interval '1 second'", number),
        "interval" => sql!("({} % 100000000) * interval '1 second'", number),
        "uuid" => sql!("pg_catalog.md5(({})::text)::uuid", number),
        "json" | "jsonb" => sql!("pg_catalog.jsonb_build_object('n', {})", number),
        "bytea" => sql!("pg_catalog.decode(pg_catalog.md5(({})::text), 'hex')", number),
        "inet" | "cidr" => sql!("inet '10.0.0.0' + {} % 16000000", number),
        "macaddr" | "macaddr8" => {
            sql!("pg_catalog.lpad(pg_catalog.to_hex(({} % 16000000)::integer), 12, '0')", number)
        }
        "bit" => sql!("{} % {}", number, Number(1_i64 << shape.length().unwrap_or(1).clamp(1, 29))),
        "varbit" => sql!("({} % 65536)::bit(16)", number),
        "tsvector" => sql!("pg_catalog.to_tsvector('simple', 'v' || {})", number),
        "tsquery" => sql!("'v' || {}", number),
        "point" => sql!("pg_catalog.point({}, {})", number, number),
        "int4range" | "int8range" | "numrange" => {
            sql!("'[' || {} % 1000000000 || ',' || {} % 1000000000 + 1 || ')'", number, number)
        }
        "daterange" => sql!(
            "'[' || date '2020-01-01' + ({} % 1000000)::integer || ',' || date '2020-01-02' + ({} % 1000000)::integer || ')'",
            number,
            number
        ),
        "tsrange" => {
            sql!("pg_catalog.tsrange({}::timestamp, {}::timestamp + interval '1 minute')", minutes(), minutes())
        }
        "tstzrange" => sql!("pg_catalog.tstzrange({}, {} + interval '1 minute')", minutes(), minutes()),
        "xml" => sql!("'<v>' || {} || '</v>'", number),
        "hstore" => sql!("'n=>' || {}", number),
        "ltree" => sql!("'v' || {}", number),
        _ => return None,
    })
}

/// A text that tells its number, so long as texts there are.
fn text(length: Option<i64>, number: &Sql, width: i64) -> Sql {
    match length {
        // There is no room for a letter in front of it.
        Some(length) if length < 12 => sql!(
            "pg_catalog.right(pg_catalog.lpad(pg_catalog.to_hex({}), {}, '0'), {})",
            number,
            Number(length),
            Number(length)
        ),
        length => {
            let width = width.clamp(1, 2000).min(length.unwrap_or(2000));
            // rpad would cut a number that is longer.
            sql!(
                "'v' || {} || pg_catalog.repeat('x', GREATEST(0, {} - 1 - pg_catalog.length(({})::text)))",
                number,
                Number(width),
                number
            )
        }
    }
}

/// A value for an array: its element's type is known by name only.
fn of_element(element: &ServerText, number: &Sql) -> Option<Sql> {
    let base = match element.as_str() {
        "smallint" => "int2",
        "integer" => "int4",
        "bigint" => "int8",
        "real" => "float4",
        "double precision" => "float8",
        "boolean" => "bool",
        "character varying" => "text",
        "timestamp without time zone" => "timestamp",
        "timestamp with time zone" => "timestamptz",
        known @ ("text" | "numeric" | "uuid" | "date" | "jsonb" | "json" | "inet" | "bytea" | "interval") => known,
        _ => return None,
    };
    let shape = Shape {
        name: Ident::new("element"),
        type_name: element.clone(),
        base: base.to_owned(),
        kind: 'b',
        modifier: -1,
        not_null: false,
        by_itself: false,
        generated: false,
        element: None,
        labels: Vec::new(),
        domain: false,
        domain_checks: Vec::new(),
    };
    usual(&shape, number, 8)
}
