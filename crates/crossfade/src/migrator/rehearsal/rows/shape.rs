//! What columns can hold, as far as values for them can be made up: read from the scratch database, and from the statistics of the real one.

use std::collections::BTreeMap;

use crossfade_core::sql::Ident;
use crossfade_core::sql::ServerText;
use crossfade_core::sql::TableName;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::error::Doing as _;
use crate::error::Result;

/// The type below domains, with what limits it.
const COLUMNS: &str = "
    WITH RECURSIVE below AS (
        SELECT a.attrelid, a.attnum, a.atttypid AS type, a.atttypmod AS modifier, false AS domain
          FROM pg_catalog.pg_attribute AS a
          JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
         WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p')
        UNION ALL
        SELECT b.attrelid, b.attnum, t.typbasetype, t.typtypmod, true
          FROM below AS b JOIN pg_catalog.pg_type AS t ON t.oid = b.type WHERE t.typtype = 'd'
    )
    SELECT n.nspname::text, c.relname::text, a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod),
           t.typname::text, t.typtype::text, b.modifier, a.attnotnull OR d.typnotnull,
           a.attidentity <> '' OR a.attgenerated <> '' OR coalesce(pg_catalog.pg_get_expr(f.adbin, f.adrelid) LIKE '%nextval(%', false),
           CASE WHEN t.typelem <> 0 AND t.typcategory = 'A' THEN pg_catalog.format_type(t.typelem, NULL) END,
           ARRAY(SELECT e.enumlabel::text FROM pg_catalog.pg_enum AS e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder),
           d.typtype = 'd', a.attgenerated <> ''
      FROM below AS b
      JOIN pg_catalog.pg_type AS t ON t.oid = b.type AND t.typtype <> 'd'
      JOIN pg_catalog.pg_attribute AS a ON a.attrelid = b.attrelid AND a.attnum = b.attnum
      JOIN pg_catalog.pg_type AS d ON d.oid = a.atttypid
      JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
      LEFT JOIN pg_catalog.pg_attrdef AS f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
     WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
     ORDER BY a.attrelid, a.attnum";

const CHECKS: &str = "
    SELECT n.nspname::text, c.relname::text, pg_catalog.pg_get_expr(k.conbin, k.conrelid),
           ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey) ORDER BY 1)
      FROM pg_catalog.pg_constraint AS k
      JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
     WHERE k.contype = 'c' AND k.conbin IS NOT NULL";

/// The checks of the domains that a column's type is, one below the other.
const DOMAIN_CHECKS: &str = "
    WITH RECURSIVE below AS (
        SELECT a.attrelid, a.attname, a.atttypid AS type
          FROM pg_catalog.pg_attribute AS a WHERE a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        SELECT b.attrelid, b.attname, t.typbasetype
          FROM below AS b JOIN pg_catalog.pg_type AS t ON t.oid = b.type WHERE t.typtype = 'd'
    )
    SELECT n.nspname::text, c.relname::text, b.attname::text, pg_catalog.pg_get_constraintdef(k.oid)
      FROM below AS b
      JOIN pg_catalog.pg_constraint AS k ON k.contypid = b.type
      JOIN pg_catalog.pg_class AS c ON c.oid = b.attrelid AND c.relkind IN ('r', 'p')
      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";

/// The values themselves are asked for only where that is allowed. Of a partitioned table the statistics of all its parts count.
const STATISTICS: &str = "
    SELECT DISTINCT ON (schemaname, tablename, attname)
           schemaname::text, tablename::text, attname::text, null_frac::float8, n_distinct::float8, avg_width::int4,
           CASE WHEN $1 THEN most_common_vals::text::text[] END,
           CASE WHEN $1 THEN (SELECT coalesce(sum(f), 0)::float8 FROM unnest(most_common_freqs) AS f) END
      FROM pg_catalog.pg_stats
     WHERE schemaname !~ '^pg_' AND schemaname <> 'information_schema'
     ORDER BY schemaname, tablename, attname, inherited DESC";

/// A column of a table, by its name.
pub type Place = (TableName, String);

/// What a column can hold.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Its name.
    pub name: Ident,
    /// Its type as it is written.
    pub type_name: ServerText,
    /// The type below domains: `int4`, `_text`.
    pub base: String,
    /// Whether that is an enum, a composite, a range.
    pub kind: char,
    /// Its modifier, -1 for none.
    pub modifier: i32,
    /// Whether it refuses NULL.
    pub not_null: bool,
    /// Whether its value comes by itself: an identity, a sequence, an expression.
    pub by_itself: bool,
    /// Whether that is an expression.
    pub generated: bool,
    /// The type of an array's elements.
    pub element: Option<ServerText>,
    /// The values of an enum.
    pub labels: Vec<String>,
    /// Whether the type is a domain.
    pub domain: bool,
    /// The checks of that domain, as the server writes them.
    pub domain_checks: Vec<String>,
}

impl Shape {
    /// How many characters or digits a modifier allows.
    pub fn length(&self) -> Option<i64> {
        match self.base.as_str() {
            "varchar" | "bpchar" => (self.modifier > 4).then(|| i64::from(self.modifier) - 4),
            "bit" | "varbit" => (self.modifier > 0).then(|| i64::from(self.modifier)),
            _ => None,
        }
    }

    /// The digits in front of the point that a numeric has room for.
    pub fn whole_digits(&self) -> Option<u32> {
        if self.base != "numeric" || self.modifier < 4 {
            return None;
        }
        let packed = self.modifier - 4;
        let (precision, scale) = (packed >> 16, packed & 0x7ff);
        u32::try_from(precision - scale).ok()
    }
}

/// A CHECK of a table.
#[derive(Clone, Debug)]
pub struct Check {
    /// Its expression.
    pub expression: ServerText,
    /// The columns that it speaks of.
    pub columns: Vec<String>,
}

/// What the statistics say of a column.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// The share of NULL.
    pub null_fraction: f64,
    /// How many different values; negative: a share of the rows.
    pub distinct: f64,
    /// Bytes of a value.
    pub width: i32,
    /// The values that are met most often, where they may leave the database, and their share of the rows.
    pub common: Option<(Vec<String>, f64)>,
}

/// The columns of every table that holds rows, in their order.
pub async fn shapes(client: &Client) -> Result<BTreeMap<TableName, Vec<Shape>>> {
    let doing = "read the columns";
    let mut domain_checks: BTreeMap<Place, Vec<String>> = BTreeMap::new();
    for row in client.query_typed(DOMAIN_CHECKS, &[]).await.doing(doing)? {
        let place = (TableName::new(row.get::<_, String>(0), row.get::<_, String>(1)), row.get(2));
        domain_checks.entry(place).or_default().push(row.get(3));
    }
    let mut found: BTreeMap<TableName, Vec<Shape>> = BTreeMap::new();
    for row in client.query_typed(COLUMNS, &[]).await.doing(doing)? {
        let table = TableName::new(row.get::<_, String>(0), row.get::<_, String>(1));
        let name: String = row.get(2);
        let shape = Shape {
            type_name: ServerText::from_server(row.get::<_, String>(3)),
            base: row.get(4),
            kind: row.get::<_, String>(5).chars().next().unwrap_or('b'),
            modifier: row.get(6),
            not_null: row.get(7),
            by_itself: row.get(8),
            element: row.get::<_, Option<String>>(9).map(ServerText::from_server),
            labels: row.get(10),
            domain: row.get(11),
            generated: row.get(12),
            domain_checks: domain_checks.remove(&(table.clone(), name.clone())).unwrap_or_default(),
            name: Ident::new(name),
        };
        found.entry(table).or_default().push(shape);
    }
    Ok(found)
}

/// The checks of every table.
pub async fn checks(client: &Client) -> Result<BTreeMap<TableName, Vec<Check>>> {
    let mut found: BTreeMap<TableName, Vec<Check>> = BTreeMap::new();
    for row in client.query_typed(CHECKS, &[]).await.doing("read the checks")? {
        let table = TableName::new(row.get::<_, String>(0), row.get::<_, String>(1));
        let check = Check { expression: ServerText::from_server(row.get::<_, String>(2)), columns: row.get(3) };
        found.entry(table).or_default().push(check);
    }
    Ok(found)
}

/// What the statistics of a database say, as far as the role may see them. Without `with_data` no value is read.
pub async fn statistics(client: &Client, with_data: bool) -> Result<BTreeMap<Place, Statistics>> {
    let rows = client.query_typed(STATISTICS, &[(&with_data, Type::BOOL)]).await.doing("read the statistics")?;
    let one = |row: &tokio_postgres::Row| {
        let table = TableName::new(row.get::<_, String>(0), row.get::<_, String>(1));
        let common = row.get::<_, Option<Vec<String>>>(6).zip(row.get::<_, Option<f64>>(7));
        let statistics = Statistics { null_fraction: row.get(3), distinct: row.get(4), width: row.get(5), common };
        ((table, row.get(2)), statistics)
    };
    Ok(rows.iter().map(one).collect())
}

/// The values that stand in a piece of SQL as the server writes it: between quotes, and numbers.
pub fn literals(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text.chars().peekable();
    let mut before = ' ';
    while let Some(letter) = rest.next() {
        if letter == '\'' {
            let mut value = String::new();
            while let Some(inner) = rest.next() {
                if inner == '\'' {
                    if rest.peek() != Some(&'\'') {
                        break;
                    }
                    rest.next();
                }
                value.push(inner);
            }
            found.push(value);
        } else if letter.is_ascii_digit() && !(before.is_alphanumeric() || before == '_' || before == '"') {
            let mut value = String::from(letter);
            while let Some(inner) = rest.next_if(|inner| inner.is_ascii_digit() || *inner == '.') {
                value.push(inner);
            }
            found.push(value);
            before = '0';
            continue;
        }
        before = letter;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_as_the_server_writes_them() {
        assert_eq!(literals("((status = ANY (ARRAY['it''s'::text, 'b'::text])))"), ["it's", "b"]);
        assert_eq!(literals("((age >= 18) AND (age < 150.5) AND (col2 > '-5'::integer))"), ["18", "150.5", "-5"]);
        assert_eq!(literals("FOR VALUES FROM ('2024-01-01') TO (MAXVALUE)"), ["2024-01-01"]);
    }
}
