//! The sequence behind a column: of a serial, which the column owns, or of an identity.
//!
//! An identity's sequence can't change its column: it is made again under its name, with its options and where it stood. A type change of
//! the direct way gives it the new type, too (measured on 13 to 18); the sequence of a serial keeps its own.

use super::Retype;
use crate::catalog::IdentitySequence;
use crate::sql;
use crate::sql::Ident;
use crate::sql::Literal;
use crate::sql::Number;
use crate::sql::ServerText;
use crate::sql::Sql;
use crate::sql::TableName;

/// Where the sequence stood, from its end to its new beginning; for the transaction only.
const STOOD: &str = "crossfade.sequence";

impl Retype {
    fn identity(&self) -> Option<(&str, &TableName, &IdentitySequence)> {
        let (kind, name) = (self.column.identity.as_deref()?, self.column.owned_sequence.as_ref()?);
        Some((kind, name, self.column.identity_sequence.as_ref()?))
    }

    /// Takes the sequence off the column that goes, which stands under `from`, and gives a serial's to the one that takes its place.
    pub(super) fn release_sequence(&self, from: &Ident, to: &Ident) -> Vec<Sql> {
        let table = &self.table.name;
        if let Some((_, name, sequence)) = self.identity() {
            return vec![
                // Nobody takes a number from here on: this changes nothing, under a lock that keeps nextval out.
                sql!("ALTER SEQUENCE {} CACHE {}", name, Number(sequence.cache)),
                sql!(
                    "SELECT pg_catalog.set_config({}, last_value || ' ' || is_called, true) FROM {}",
                    Literal(STOOD.to_owned()),
                    name
                ),
                sql!("ALTER TABLE {} ALTER COLUMN {} DROP IDENTITY", table, from),
            ];
        }
        let owned = self.column.owned_sequence.iter();
        owned.map(|name| sql!("ALTER SEQUENCE {} OWNED BY {}.{}", name, table, to)).collect()
    }

    /// Makes the identity again, for the column under its own name. `most` is the greatest value that its type holds.
    pub(super) fn restore_identity(&self, most: i64) -> Vec<Sql> {
        let (table, column) = (&self.table.name, self.name());
        let Some((kind, name, sequence)) = self.identity() else { return Vec::new() };
        let bound = |word: ServerText, bound: Option<i64>| match bound {
            Some(bound) => sql!(" {} {}", word, Number(bound)),
            None => Sql::empty(),
        };
        let mut all = vec![
            sql!(
                "ALTER TABLE {} ALTER COLUMN {} ADD GENERATED {} AS IDENTITY (SEQUENCE NAME {} START WITH {} INCREMENT BY {}{}{} CACHE {}{})",
                table,
                column,
                ServerText::from_server(kind),
                name,
                Number(sequence.start),
                Number(sequence.increment),
                bound(ServerText::from_server("MINVALUE"), sequence.minimum),
                bound(ServerText::from_server("MAXVALUE"), sequence.maximum),
                Number(sequence.cache),
                if sequence.cycle { sql!(" CYCLE") } else { Sql::empty() }
            ),
            sql!(
                "SELECT pg_catalog.setval({}::pg_catalog.regclass, least(split_part(s, ' ', 1)::bigint, {}), split_part(s, ' ', 2)::boolean) FROM pg_catalog.current_setting({}) AS s",
                Literal(sql!("{}", name).as_str().to_owned()),
                Number(sequence.maximum.map_or(most, |maximum| maximum.min(most))),
                Literal(STOOD.to_owned())
            ),
        ];
        let grants = sequence.grants.iter().flatten();
        all.extend(grants.map(|grant| super::super::whole::grant(grant, None, name)));
        if let Some(comment) = &sequence.comment {
            all.push(sql!("COMMENT ON SEQUENCE {} IS {}", name, Literal(comment.clone())));
        }
        all
    }
}

/// The greatest value of an integer type.
pub(super) fn most_of(base_type: &str) -> i64 {
    match base_type {
        "int2" => i64::from(i16::MAX),
        "int4" => i64::from(i32::MAX),
        _ => i64::MAX,
    }
}
