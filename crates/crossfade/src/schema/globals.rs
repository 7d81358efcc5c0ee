//! What is in no schema: schemas, extensions, foreign servers, collations, publications, event triggers; and what is not compared.

use crossfade_core::schema::Body;
use crossfade_core::schema::Firing;
use crossfade_core::schema::Kind;
use crossfade_core::schema::Link;
use crossfade_core::schema::ObjectId;
use crossfade_core::sql;
use crossfade_core::sql::Sql;
use tokio_postgres::types::Oid;

use super::Reader;
use super::Result;
use super::ident;
use super::named;
use super::some_text;
use super::text;

const SCHEMAS: &str = "
    SELECT n.oid, n.nspname::text AS name FROM pg_namespace n
     WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";

const EXTENSIONS: &str = "
    SELECT e.oid, e.extname::text AS name, n.nspname::text AS schema
      FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace";

const WRAPPERS: &str = "
    SELECT w.oid, w.fdwname::text AS name,
           concat_ws(' ', format('CREATE FOREIGN DATA WRAPPER %I', w.fdwname),
                     'HANDLER ' || NULLIF(w.fdwhandler, 0)::regproc::text,
                     'VALIDATOR ' || NULLIF(w.fdwvalidator, 0)::regproc::text,
                     'OPTIONS (' || (SELECT string_agg(format('%I %L', o.option_name, o.option_value), ', ' ORDER BY o.option_name)
                                       FROM pg_options_to_table(w.fdwoptions) o) || ')') AS definition
      FROM pg_foreign_data_wrapper w WHERE w.oid >= 16384";

const SERVERS: &str = "
    SELECT s.oid, s.srvname::text AS name,
           concat_ws(' ', format('CREATE SERVER %I', s.srvname), 'TYPE ' || quote_literal(s.srvtype),
                     'VERSION ' || quote_literal(s.srvversion), format('FOREIGN DATA WRAPPER %I', w.fdwname),
                     'OPTIONS (' || (SELECT string_agg(format('%I %L', o.option_name, o.option_value), ', ' ORDER BY o.option_name)
                                       FROM pg_options_to_table(s.srvoptions) o) || ')') AS definition
      FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw";

const EVENT_TRIGGERS: &str = "
    SELECT e.oid, e.evtname::text AS name, e.evtenabled::text AS firing,
           concat_ws(' ', format('CREATE EVENT TRIGGER %I ON %s', e.evtname, e.evtevent),
                     'WHEN TAG IN (' || (SELECT string_agg(quote_literal(t.tag), ', ' ORDER BY t.tag) FROM unnest(e.evttags) AS t(tag)) || ')',
                     format('EXECUTE FUNCTION %s()', e.evtfoid::regproc)) AS definition
      FROM pg_event_trigger e";

const PUBLICATION_TABLES: &str = "
    SELECT r.oid, r.prrelid AS relation, r.prpubid AS publication, format('%I', p.pubname) AS name, p.pubname::text AS bare,
           format('%s', r.prrelid::regclass) AS relation_name, {} AS columns, {} AS condition
      FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid";

const PUBLICATION_SCHEMAS: &str = "
    SELECT s.oid, s.pnnspid AS schema, s.pnpubid AS publication, p.pubname::text AS bare,
           format('ALTER PUBLICATION %I ADD TABLES IN SCHEMA %I', p.pubname, n.nspname) AS make,
           format('ALTER PUBLICATION %I DROP TABLES IN SCHEMA %I', p.pubname, n.nspname) AS undo
      FROM pg_publication_namespace s JOIN pg_publication p ON p.oid = s.pnpubid
      JOIN pg_namespace n ON n.oid = s.pnnspid";

/// What has no reader here. Left out where an extension made it.
const UNCOMPARED: &str = "
    SELECT what, count(*) FROM (
        SELECT 'operator' AS what, 'pg_operator'::regclass AS class, oid FROM pg_operator
        UNION ALL SELECT 'operator class', 'pg_opclass'::regclass, oid FROM pg_opclass
        UNION ALL SELECT 'cast', 'pg_cast'::regclass, oid FROM pg_cast
        UNION ALL SELECT 'conversion', 'pg_conversion'::regclass, oid FROM pg_conversion
        UNION ALL SELECT 'text search configuration', 'pg_ts_config'::regclass, oid FROM pg_ts_config
        UNION ALL SELECT 'text search dictionary', 'pg_ts_dict'::regclass, oid FROM pg_ts_dict
        UNION ALL SELECT 'language', 'pg_language'::regclass, oid FROM pg_language
        UNION ALL SELECT 'access method', 'pg_am'::regclass, oid FROM pg_am
        UNION ALL SELECT 'transform', 'pg_transform'::regclass, oid FROM pg_transform
        UNION ALL SELECT 'user mapping', 'pg_user_mapping'::regclass, umid FROM pg_user_mappings
        UNION ALL SELECT 'base type', 'pg_type'::regclass, oid FROM pg_type WHERE typtype IN ('b', 'p') AND typelem = 0
        ) AS o
     WHERE o.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = o.class AND d.objid = o.oid AND d.deptype = 'e')
     GROUP BY 1 ORDER BY 1";

impl Reader<'_> {
    pub(super) async fn globals(&mut self, own_schema: &str) -> Result<()> {
        for row in self.rows(SCHEMAS).await? {
            let (oid, name): (Oid, String) = (row.try_get("oid")?, row.try_get("name")?);
            if name != own_schema && !self.members.contains_key(&("pg_namespace".to_owned(), oid)) {
                self.schemas.insert(oid);
                self.put("pg_namespace", oid, ObjectId::global(Kind::Schema, name), Body::Schema);
            }
        }
        for row in self.rows(EXTENSIONS).await? {
            let id = ObjectId::global(Kind::Extension, row.try_get::<_, String>("name")?);
            let body = Body::Extension { schema: ident(&row, "schema")? };
            self.put("pg_extension", row.try_get("oid")?, id, body);
        }
        for (class, kind, query) in
            [("pg_foreign_data_wrapper", Kind::Wrapper, WRAPPERS), ("pg_foreign_server", Kind::Server, SERVERS)]
        {
            for row in self.rows(query).await? {
                let oid: Oid = row.try_get("oid")?;
                if !self.members.contains_key(&(class.to_owned(), oid)) {
                    let id = ObjectId::global(kind, row.try_get::<_, String>("name")?);
                    self.put(class, oid, id, Body::Defined(text(&row, "definition")?));
                }
            }
        }
        self.collations().await?;
        let members: Vec<(String, Oid, Oid)> =
            self.members.iter().map(|((class, oid), extension)| (class.clone(), *oid, *extension)).collect();
        for (class, oid, extension) in members {
            if let Some(id) = self.id("pg_extension", extension).cloned() {
                self.alias(&class, oid, &id);
            }
        }
        Ok(())
    }

    async fn collations(&mut self) -> Result<()> {
        // The locale of ICU moved twice.
        let (locale, rules) = match self.version() {
            170_000.. => ("c.colllocale", "c.collicurules"),
            160_000.. => ("c.colliculocale", "c.collicurules"),
            150_000.. => ("c.colliculocale", "NULL::text"),
            _ => ("CASE WHEN c.collprovider = 'i' THEN c.collcollate::text END", "NULL::text"),
        };
        let query = sql!(
            "SELECT c.oid, c.collnamespace AS namespace, n.nspname::text AS schema, c.collname::text AS name,
                    format('CREATE COLLATION %I.%I (%s)', n.nspname, c.collname, concat_ws(', ',
                        'PROVIDER = ' || CASE c.collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END,
                        'LOCALE = ' || quote_literal({}),
                        'LC_COLLATE = ' || quote_literal(CASE WHEN c.collprovider = 'c' THEN c.collcollate END),
                        'LC_CTYPE = ' || quote_literal(CASE WHEN c.collprovider = 'c' THEN c.collctype END),
                        CASE WHEN NOT c.collisdeterministic THEN 'DETERMINISTIC = false' END,
                        'RULES = ' || quote_literal({}))) AS definition
               FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE c.oid >= 16384",
            Sql::build(locale, &[]),
            Sql::build(rules, &[])
        );
        for row in self.own_rows("pg_collation", query.as_str()).await? {
            let (id, body) = (named(&row, Kind::Collation)?, Body::Defined(text(&row, "definition")?));
            self.put("pg_collation", row.try_get("oid")?, id, body);
        }
        Ok(())
    }

    /// Publications with their tables, and event triggers.
    pub(super) async fn publications(&mut self) -> Result<()> {
        for row in self.rows(EVENT_TRIGGERS).await? {
            let oid: Oid = row.try_get("oid")?;
            if !self.members.contains_key(&("pg_event_trigger".to_owned(), oid)) {
                let id = ObjectId::global(Kind::EventTrigger, row.try_get::<_, String>("name")?);
                let firing = firing(row.try_get("firing")?);
                self.put("pg_event_trigger", oid, id, Body::Switched { definition: text(&row, "definition")?, firing });
            }
        }
        let generated = if self.version() >= 180_000 {
            "CASE p.pubgencols WHEN 's' THEN 'publish_generated_columns = stored' END"
        } else {
            "NULL"
        };
        let query = sql!(
            "SELECT p.oid, p.pubname::text AS name,
                    concat_ws(' ', format('CREATE PUBLICATION %I', p.pubname), CASE WHEN p.puballtables THEN 'FOR ALL TABLES' END,
                        format('WITH (%s)', concat_ws(', ',
                            format('publish = %L', concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
                                                             CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END)),
                            CASE WHEN p.pubviaroot THEN 'publish_via_partition_root = true' END, {}))) AS definition
               FROM pg_publication p",
            Sql::build(generated, &[])
        );
        for row in self.rows(query.as_str()).await? {
            let id = ObjectId::global(Kind::Publication, row.try_get::<_, String>("name")?);
            self.put("pg_publication", row.try_get("oid")?, id, Body::Defined(text(&row, "definition")?));
        }
        self.published().await
    }

    async fn published(&mut self) -> Result<()> {
        let (columns, condition) = if self.version() >= 150_000 {
            (
                "(SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname) FROM unnest(r.prattrs) AS k(n) \
                  JOIN pg_attribute a ON a.attrelid = r.prrelid AND a.attnum = k.n)",
                "pg_get_expr(r.prqual, r.prrelid)",
            )
        } else {
            ("NULL::text", "NULL::text")
        };
        let query = Sql::build(PUBLICATION_TABLES, &[&Sql::build(columns, &[]), &Sql::build(condition, &[])]);
        for row in self.rows(query.as_str()).await? {
            let parent = self.id("pg_publication", row.try_get("publication")?).cloned();
            let child = self.id("pg_class", row.try_get("relation")?).cloned();
            let (Some(parent), Some(child)) = (parent, child) else { continue };
            let (name, relation) = (text(&row, "name")?, text(&row, "relation_name")?);
            let columns = some_text(&row, "columns")?.map(|columns| sql!(" ({})", columns)).unwrap_or_default();
            let only = some_text(&row, "condition")?.map(|only| sql!(" WHERE ({})", only)).unwrap_or_default();
            let make = sql!("ALTER PUBLICATION {} ADD TABLE ONLY {}{}{}", name, relation, columns, only);
            let undo = sql!("ALTER PUBLICATION {} DROP TABLE ONLY {}", name, relation);
            let id = ObjectId::on(Kind::PublicationTable, &child.qualified(), row.try_get::<_, String>("bare")?);
            self.put_link("pg_publication_rel", row.try_get("oid")?, id, (child, parent), (make, Some(undo)));
        }
        if self.version() < 150_000 {
            return Ok(());
        }
        for row in self.rows(PUBLICATION_SCHEMAS).await? {
            let parent = self.id("pg_publication", row.try_get("publication")?).cloned();
            let child = self.id("pg_namespace", row.try_get("schema")?).cloned();
            let (Some(parent), Some(child)) = (parent, child) else { continue };
            let (make, undo) = (sql!("{}", text(&row, "make")?), sql!("{}", text(&row, "undo")?));
            let bare: String = row.try_get("bare")?;
            let id = ObjectId::within(Kind::PublicationSchema, child.name.as_str(), bare);
            self.put_link("pg_publication_namespace", row.try_get("oid")?, id, (child, parent), (make, Some(undo)));
        }
        Ok(())
    }

    /// Takes in that two objects belong together.
    pub(super) fn put_link(
        &mut self,
        class: &str,
        oid: Oid,
        id: ObjectId,
        (child, parent): (ObjectId, ObjectId),
        (make, undo): (Sql, Option<Sql>),
    ) {
        let server_text = |sql: Sql| crossfade_core::sql::ServerText::from_server(sql.to_string());
        let link =
            Link { child: child.clone(), parent: parent.clone(), make: server_text(make), undo: undo.map(server_text) };
        self.put_alone(id.clone(), Body::Link(link));
        self.alias(class, oid, &id);
        self.requires(&id, &child);
        self.requires(&id, &parent);
    }

    pub(super) async fn uncompared(&mut self) -> Result<()> {
        for row in self.rows(UNCOMPARED).await? {
            let (what, count): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
            let plural = if count == 1 {
                ""
            } else if what.ends_with("ss") {
                "es"
            } else {
                "s"
            };
            let plural = if what.ends_with('y') && count > 1 { "ies" } else { plural };
            let stem = if plural == "ies" { what.trim_end_matches('y') } else { &what };
            self.schema.uncompared.push(format!("{count} {stem}{plural}"));
        }
        Ok(())
    }
}

/// From the letter in the catalog.
pub(super) fn firing(letter: &str) -> Firing {
    match letter {
        "D" => Firing::Disabled,
        "R" => Firing::Replica,
        "A" => Firing::Always,
        _ => Firing::Origin,
    }
}
