//! Tables with their columns and defaults, sequences, and which table is a part of which.

use std::collections::HashMap;

use crossfade_core::schema::Body;
use crossfade_core::schema::Column;
use crossfade_core::schema::Generated;
use crossfade_core::schema::Identity;
use crossfade_core::schema::Kind;
use crossfade_core::schema::NotNull;
use crossfade_core::schema::ObjectId;
use crossfade_core::schema::Sequence;
use crossfade_core::schema::Table;
use crossfade_core::schema::TableForm;
use crossfade_core::sql;
use crossfade_core::sql::Ident;
use crossfade_core::sql::ServerText;
use crossfade_core::sql::Sql;
use crossfade_core::sql::TableName;
use tokio_postgres::Row;
use tokio_postgres::types::Oid;

use super::Reader;
use super::Result;
use super::attached;
use super::named;
use super::options;
use super::some_text;
use super::text;

const TABLES: &str = "
    SELECT c.oid, c.relnamespace AS namespace, n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS form,
           c.relpersistence = 'u' AS unlogged, am.amname::text AS access_method, c.reltype AS row_type, t.typarray AS array_type,
           CASE WHEN c.reloftype <> 0 THEN c.reloftype::regtype::text END AS of_type,
           c.reloptions || ARRAY(SELECT 'toast.' || o.name FROM pg_class x, unnest(x.reloptions) AS o(name) WHERE x.oid = c.reltoastrelid)
               AS options,
           c.relrowsecurity, c.relforcerowsecurity,
           CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END AS partition_by,
           s.srvname::text AS server, f.ftoptions AS server_options
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_am am ON am.oid = c.relam
      LEFT JOIN pg_type t ON t.oid = c.reltype
      LEFT JOIN pg_foreign_table f ON f.ftrelid = c.oid
      LEFT JOIN pg_foreign_server s ON s.oid = f.ftserver
     WHERE c.relkind IN ('r', 'p', 'f') AND c.oid >= 16384";

const SEQUENCES: &str = "
    SELECT c.oid, c.relnamespace AS namespace, n.nspname::text AS schema, c.relname::text AS name,
           c.relpersistence = 'u' AS unlogged, format_type(s.seqtypid, NULL) AS data_type, s.seqstart, s.seqincrement, s.seqmin, s.seqmax,
           s.seqcache, s.seqcycle, d.deptype::text AS tie, d.refobjid AS table_oid, d.refobjsubid AS column_number
      FROM pg_sequence s
      JOIN pg_class c ON c.oid = s.seqrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0 AND d.refclassid = 'pg_class'::regclass
                           AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
     WHERE c.oid >= 16384";

const PARENTS: &str = "
    SELECT i.inhrelid AS child, i.inhparent AS parent, c.relispartition AS partition, pg_get_expr(c.relpartbound, c.oid) AS bound
      FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE c.relkind IN ('r', 'p', 'f') AND c.oid >= 16384
     ORDER BY i.inhrelid, i.inhseqno";

impl Reader<'_> {
    pub(super) async fn tables(&mut self) -> Result<()> {
        for row in self.own_rows("pg_class", TABLES).await? {
            let form = match row.try_get("form")? {
                "p" => TableForm::Partitioned { by: text(&row, "partition_by")? },
                "f" => TableForm::Foreign {
                    server: Ident::new(row.try_get::<_, Option<String>>("server")?.unwrap_or_default()),
                    options: options(&row, "server_options")?,
                },
                _ => TableForm::Ordinary,
            };
            let kind = if matches!(form, TableForm::Foreign { .. }) { Kind::ForeignTable } else { Kind::Table };
            let id = named(&row, kind)?;
            let table = Table {
                form,
                unlogged: row.try_get("unlogged")?,
                access_method: row.try_get::<_, Option<String>>("access_method")?.map(Ident::new),
                of_type: some_text(&row, "of_type")?,
                options: options(&row, "options")?,
                row_security: row.try_get("relrowsecurity")?,
                forced_row_security: row.try_get("relforcerowsecurity")?,
                columns: Vec::new(),
                inherits: Vec::new(),
            };
            self.alias("pg_type", row.try_get("row_type")?, &id);
            self.alias("pg_type", row.try_get::<_, Option<Oid>>("array_type")?.unwrap_or_default(), &id);
            self.put("pg_class", row.try_get("oid")?, id, Body::Table(table));
        }
        Ok(())
    }

    pub(super) async fn columns(&mut self) -> Result<()> {
        let identities = self.identities().await?;
        let compression = if self.version() >= 140_000 { "a.attcompression::text" } else { "''::text" };
        // Before 18 a NOT NULL has no row of its own.
        let not_null = if self.version() >= 180_000 {
            "LEFT JOIN pg_constraint k ON k.conrelid = a.attrelid AND k.contype = 'n' AND k.conkey[1] = a.attnum"
        } else {
            "LEFT JOIN pg_constraint k ON false"
        };
        let query = sql!(
            "SELECT a.attrelid AS oid, c.relnamespace AS namespace, n.nspname::text AS schema, c.relname::text AS holder, a.attname::text AS name,
                    a.attnum, format_type(a.atttypid, a.atttypmod) AS data_type,
                    CASE WHEN a.attcollation <> 0 AND a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END AS collation,
                    a.attnotnull OR k.oid IS NOT NULL AS not_null, k.conname::text AS not_null_name, COALESCE(k.connoinherit, false) AS no_inherit,
                    COALESCE(k.convalidated, true) AS validated, a.attgenerated::text AS generated, a.attidentity::text AS identity,
                    d.oid AS default_oid, pg_get_expr(d.adbin, d.adrelid) AS expression,
                    a.attstorage::text AS storage, t.typstorage::text AS usual_storage, {} AS compression,
                    NULLIF(a.attstattarget::int4, -1) AS statistics, a.attoptions AS options, a.attfdwoptions AS foreign_options,
                    a.attinhcount > 0 AS inherited, a.attislocal AS local
               FROM pg_attribute a
               JOIN pg_class c ON c.oid = a.attrelid
               JOIN pg_namespace n ON n.oid = c.relnamespace
               JOIN pg_type t ON t.oid = a.atttypid
               LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
               {}
              WHERE c.relkind IN ('r', 'p', 'f') AND c.oid >= 16384 AND a.attnum > 0 AND NOT a.attisdropped
              ORDER BY a.attrelid, a.attnum",
            Sql::build(compression, &[]),
            Sql::build(not_null, &[])
        );
        for row in self.own_rows("pg_class", query.as_str()).await? {
            self.column(&row, &identities)?;
        }
        Ok(())
    }

    fn column(&mut self, row: &Row, identities: &HashMap<(Oid, i32), (TableName, Sequence)>) -> Result<()> {
        let (table, number): (Oid, i16) = (row.try_get("oid")?, row.try_get("attnum")?);
        let id = attached(row, Kind::Column)?;
        let generated: &str = row.try_get("generated")?;
        let expression = some_text(row, "expression")?;
        let default_oid: Oid = row.try_get::<_, Option<Oid>>("default_oid")?.unwrap_or_default();
        let identity = identities.get(&(table, i32::from(number))).map(|(sequence, options)| Identity {
            always: row.try_get("identity").is_ok_and(|identity: &str| identity == "a"),
            sequence: sequence.clone(),
            options: options.clone(),
        });
        let (storage, usual): (&str, &str) = (row.try_get("storage")?, row.try_get("usual_storage")?);
        let word = |letter: &str| {
            ServerText::from_server(match letter {
                "e" => "EXTERNAL",
                "m" => "MAIN",
                "x" => "EXTENDED",
                _ => "PLAIN",
            })
        };
        let not_null = NotNull {
            name: row.try_get::<_, Option<String>>("not_null_name")?.map(Ident::new),
            no_inherit: row.try_get("no_inherit")?,
            validated: row.try_get("validated")?,
        };
        let column = Column {
            data_type: text(row, "data_type")?,
            collation: some_text(row, "collation")?,
            not_null: row.try_get::<_, bool>("not_null")?.then_some(not_null),
            generated: expression
                .clone()
                .filter(|_| !generated.is_empty())
                .map(|expression| Generated { expression, stored: generated == "s" }),
            identity,
            storage: (storage != usual).then(|| word(storage)),
            usual_storage: word(usual),
            compression: match row.try_get("compression")? {
                "p" => Some(ServerText::from_server("pglz")),
                "l" => Some(ServerText::from_server("lz4")),
                _ => None,
            },
            statistics: row.try_get("statistics")?,
            options: options(row, "options")?,
            foreign_options: options(row, "foreign_options")?,
            inherited: row.try_get("inherited")?,
            local: row.try_get("local")?,
        };
        let default = expression.filter(|_| generated.is_empty());
        self.ids.insert(("pg_class".to_owned(), table, i32::from(number)), id.clone());
        if let Some(holder) = self.id("pg_class", table).cloned() {
            if let Some(Body::Table(table)) = self.schema.objects.get_mut(&holder).map(|object| &mut object.body) {
                table.columns.push(id.name.clone());
            }
            self.put_alone(id.clone(), Body::Column(Box::new(column)));
            self.requires(&id, &holder);
        }
        match default {
            Some(default) => {
                let default_id = ObjectId { kind: Kind::Default, ..id.clone() };
                self.put("pg_attrdef", default_oid, default_id.clone(), Body::Default(default));
                self.requires(&default_id, &id);
            }
            None => self.alias("pg_attrdef", default_oid, &id),
        }
        Ok(())
    }

    /// The sequences of identities, by table and column.
    async fn identities(&self) -> Result<HashMap<(Oid, i32), (TableName, Sequence)>> {
        let mut found = HashMap::new();
        for row in self.own_rows("pg_class", SEQUENCES).await? {
            if row.try_get::<_, Option<&str>>("tie")? == Some("i") {
                let name = named(&row, Kind::Sequence)?.qualified();
                found.insert((row.try_get("table_oid")?, row.try_get("column_number")?), (name, sequence(&row)?));
            }
        }
        Ok(found)
    }

    pub(super) async fn sequences(&mut self) -> Result<()> {
        for row in self.own_rows("pg_class", SEQUENCES).await? {
            let (id, oid): (ObjectId, Oid) = (named(&row, Kind::Sequence)?, row.try_get("oid")?);
            let tie: Option<&str> = row.try_get("tie")?;
            let number = row.try_get::<_, Option<i32>>("column_number")?.unwrap_or_default();
            let owner = match row.try_get::<_, Option<Oid>>("table_oid")? {
                Some(table) => self.column_id(table, i16::try_from(number).unwrap_or_default()).cloned(),
                None => None,
            };
            match (tie, owner) {
                (Some("i"), Some(column)) => {
                    self.put("pg_class", oid, id.clone(), Body::Implied);
                    self.requires(&id, &column);
                }
                (tie, owner) => {
                    self.put("pg_class", oid, id.clone(), Body::Sequence(sequence(&row)?));
                    if let (Some(_), Some(column)) = (tie, owner) {
                        self.owned_by(id, column);
                    }
                }
            }
        }
        Ok(())
    }

    fn owned_by(&mut self, sequence: ObjectId, column: ObjectId) {
        let table = TableName {
            schema: column.schema.clone().unwrap_or_else(|| Ident::new("")),
            name: column.on.clone().unwrap_or_else(|| Ident::new("")),
        };
        let make = sql!("ALTER SEQUENCE {} OWNED BY {}.{}", sequence.qualified(), table, column.name);
        let undo = sql!("ALTER SEQUENCE {} OWNED BY NONE", sequence.qualified());
        let id = ObjectId { kind: Kind::OwnedBy, ..sequence.clone() };
        self.put_link("", 0, id, (sequence, column), (make, Some(undo)));
    }

    /// Partitions and inheritance.
    pub(super) async fn parents(&mut self) -> Result<()> {
        for row in self.rows(PARENTS).await? {
            let child = self.id("pg_class", row.try_get("child")?).cloned();
            let parent = self.id("pg_class", row.try_get("parent")?).cloned();
            let (Some(child), Some(parent)) = (child, parent) else { continue };
            let (inner, outer) = (child.qualified(), parent.qualified());
            if row.try_get("partition")? {
                let bound = text(&row, "bound")?;
                let make = sql!("ALTER TABLE ONLY {} ATTACH PARTITION {} {}", outer, inner, bound);
                let undo = sql!("ALTER TABLE {} DETACH PARTITION {}", outer, inner);
                let id = ObjectId::within(Kind::Partition, inner.schema.as_str(), inner.name.as_str());
                self.put_link("", 0, id, (child, parent), (make, Some(undo)));
            } else {
                if let Some(Body::Table(table)) = self.schema.objects.get_mut(&child).map(|object| &mut object.body) {
                    table.inherits.push(outer.clone());
                }
                let make = sql!("ALTER TABLE {} INHERIT {}", inner, outer);
                let undo = sql!("ALTER TABLE {} NO INHERIT {}", inner, outer);
                let id = ObjectId::on(Kind::Inheritance, &inner, outer.to_string());
                self.put_link("", 0, id, (child, parent), (make, Some(undo)));
            }
        }
        Ok(())
    }
}

fn sequence(row: &Row) -> Result<Sequence> {
    Ok(Sequence {
        data_type: text(row, "data_type")?,
        start: row.try_get("seqstart")?,
        increment: row.try_get("seqincrement")?,
        min: row.try_get("seqmin")?,
        max: row.try_get("seqmax")?,
        cache: row.try_get("seqcache")?,
        cycle: row.try_get("seqcycle")?,
        unlogged: row.try_get("unlogged")?,
    })
}
