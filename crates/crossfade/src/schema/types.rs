//! Enums, domains, composites and ranges.

use crossfade_core::schema::Attribute;
use crossfade_core::schema::Body;
use crossfade_core::schema::Constraint;
use crossfade_core::schema::Domain;
use crossfade_core::schema::Kind;
use crossfade_core::schema::ObjectId;
use crossfade_core::schema::Options;
use crossfade_core::sql;
use crossfade_core::sql::Ident;
use crossfade_core::sql::ServerText;
use crossfade_core::sql::Sql;
use tokio_postgres::Row;
use tokio_postgres::types::Oid;

use super::Reader;
use super::Result;
use super::attached;
use super::named;
use super::some_text;
use super::text;

const TYPES: &str = "
    SELECT t.oid, t.typnamespace AS namespace, n.nspname::text AS schema, t.typname::text AS name, t.typtype::text AS form,
           t.typarray AS array_type, t.typrelid AS relation,
           ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder) AS labels,
           CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END AS base,
           CASE WHEN t.typtype = 'd' AND t.typcollation <> 0 AND t.typcollation <> b.typcollation
                THEN t.typcollation::regcollation::text END AS collation,
           pg_get_expr(t.typdefaultbin, 0) AS default, t.typnotnull
      FROM pg_type t
      JOIN pg_namespace n ON n.oid = t.typnamespace
      LEFT JOIN pg_type b ON b.oid = t.typbasetype
      LEFT JOIN pg_class c ON c.oid = t.typrelid
     WHERE t.oid >= 16384 AND (t.typtype IN ('e', 'd') OR t.typtype = 'c' AND c.relkind = 'c')";

const ATTRIBUTES: &str = "
    SELECT a.attrelid AS relation, a.attnum, a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS data_type,
           CASE WHEN a.attcollation <> 0 AND a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END AS collation
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
     WHERE c.relkind = 'c' AND c.oid >= 16384 AND a.attnum > 0 AND NOT a.attisdropped
     ORDER BY a.attrelid, a.attnum";

const CONSTRAINTS: &str = "
    SELECT k.oid, t.typnamespace AS namespace, n.nspname::text AS schema, t.typname::text AS holder, k.conname::text AS name,
           pg_get_constraintdef(k.oid) AS definition, k.convalidated
      FROM pg_constraint k JOIN pg_type t ON t.oid = k.contypid JOIN pg_namespace n ON n.oid = t.typnamespace
     WHERE k.contype = 'c' AND k.contypid <> 0 AND k.oid >= 16384";

impl Reader<'_> {
    pub(super) async fn types(&mut self) -> Result<()> {
        let mut composites: Vec<(Oid, ObjectId)> = Vec::new();
        for row in self.own_rows("pg_type", TYPES).await? {
            let (id, oid): (ObjectId, Oid) = (named(&row, Kind::Type)?, row.try_get("oid")?);
            let body = match row.try_get("form")? {
                "e" => Body::Enum(row.try_get("labels")?),
                "d" => Body::Domain(Domain {
                    base: text(&row, "base")?,
                    collation: some_text(&row, "collation")?,
                    default: some_text(&row, "default")?,
                    not_null: row.try_get("typnotnull")?,
                }),
                _ => {
                    composites.push((row.try_get("relation")?, id.clone()));
                    Body::Composite(Vec::new())
                }
            };
            self.alias("pg_type", row.try_get("array_type")?, &id);
            self.put("pg_type", oid, id, body);
        }
        for row in self.rows(ATTRIBUTES).await? {
            let relation: Oid = row.try_get("relation")?;
            let Some((_, id)) = composites.iter().find(|(oid, _)| *oid == relation) else { continue };
            let (number, name): (i16, String) = (row.try_get("attnum")?, row.try_get("name")?);
            let attribute = Attribute {
                name: Ident::new(name.as_str()),
                data_type: text(&row, "data_type")?,
                collation: some_text(&row, "collation")?,
            };
            if let Some(Body::Composite(attributes)) = self.schema.objects.get_mut(id).map(|object| &mut object.body) {
                attributes.push(attribute);
            }
            let column = ObjectId::on(Kind::Column, &id.qualified(), name);
            // What an attribute needs, the composite needs.
            self.ids.insert(("pg_class".to_owned(), relation, i32::from(number)), id.clone());
            self.described.insert(("pg_class".to_owned(), relation, i32::from(number)), column.clone());
            self.put_alone(column.clone(), Body::Implied);
            self.requires(&column, id);
        }
        for (relation, id) in composites {
            self.alias("pg_class", relation, &id);
        }
        self.ranges().await?;
        for row in self.own_rows("pg_constraint", CONSTRAINTS).await? {
            let id = attached(&row, Kind::DomainConstraint)?;
            let constraint = Constraint {
                definition: without_not_valid(&row)?,
                validated: row.try_get("convalidated")?,
                inherited: false,
                only: false,
                options: Options::new(),
            };
            self.put("pg_constraint", row.try_get("oid")?, id, Body::Constraint(constraint));
        }
        Ok(())
    }

    async fn ranges(&mut self) -> Result<()> {
        let (multirange, name) = if self.version() >= 140_000 {
            ("r.rngmultitypid", "r.rngmultitypid::regtype::text")
        } else {
            ("0::oid", "NULL::text")
        };
        let query = sql!(
            "SELECT t.oid, t.typnamespace AS namespace, n.nspname::text AS schema, t.typname::text AS name, t.typarray AS array_type,
                    {} AS multirange,
                    format('CREATE TYPE %I.%I AS RANGE (%s)', n.nspname, t.typname, concat_ws(', ',
                        'SUBTYPE = ' || format_type(r.rngsubtype, NULL),
                        'SUBTYPE_OPCLASS = ' || (SELECT format('%I.%I', m.nspname, o.opcname) FROM pg_opclass o
                                                   JOIN pg_namespace m ON m.oid = o.opcnamespace
                                                  WHERE o.oid = r.rngsubopc AND NOT o.opcdefault),
                        'COLLATION = ' || CASE WHEN r.rngcollation <> s.typcollation THEN r.rngcollation::regcollation::text END,
                        'CANONICAL = ' || NULLIF(r.rngcanonical, 0)::regproc::text,
                        'SUBTYPE_DIFF = ' || NULLIF(r.rngsubdiff, 0)::regproc::text,
                        'MULTIRANGE_TYPE_NAME = ' || {})) AS definition
               FROM pg_range r JOIN pg_type t ON t.oid = r.rngtypid JOIN pg_type s ON s.oid = r.rngsubtype
               JOIN pg_namespace n ON n.oid = t.typnamespace
              WHERE t.oid >= 16384",
            Sql::build(multirange, &[]),
            Sql::build(name, &[])
        );
        for row in self.own_rows("pg_type", query.as_str()).await? {
            let id = named(&row, Kind::Type)?;
            self.alias("pg_type", row.try_get("array_type")?, &id);
            self.alias("pg_type", row.try_get("multirange")?, &id);
            self.put("pg_type", row.try_get("oid")?, id, Body::Defined(text(&row, "definition")?));
        }
        Ok(())
    }
}

/// Whether it is proven is a fact of its own.
pub(super) fn without_not_valid(row: &Row) -> Result<ServerText> {
    let definition: String = row.try_get("definition")?;
    Ok(ServerText::from_server(definition.trim_end_matches(" NOT VALID")))
}
