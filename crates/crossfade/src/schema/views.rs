//! Views and materialized views.

use crossfade_core::schema::Body;
use crossfade_core::schema::Kind;
use crossfade_core::schema::ObjectId;
use crossfade_core::schema::View;
use crossfade_core::sql::Ident;
use crossfade_core::sql::ServerText;
use tokio_postgres::types::Oid;

use super::Reader;
use super::Result;
use super::named;
use super::options;

const VIEWS: &str = "
    SELECT c.oid, c.relnamespace AS namespace, n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS form,
           rtrim(pg_get_viewdef(c.oid), ';') AS query, c.reloptions AS options, c.reltype AS row_type, t.typarray AS array_type, r.oid AS rule,
           ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
               AS names,
           ARRAY(SELECT concat_ws(' COLLATE ', format_type(a.atttypid, a.atttypmod),
                                  CASE WHEN a.attcollation <> y.typcollation THEN a.attcollation::regcollation::text END)
                   FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
                  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) AS types
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_type t ON t.oid = c.reltype
      JOIN pg_rewrite r ON r.ev_class = c.oid AND r.rulename = '_RETURN'
     WHERE c.relkind IN ('v', 'm') AND c.oid >= 16384";

const DEFAULTS: &str = "
    SELECT d.oid, d.adrelid AS relation, a.attname::text AS name, pg_get_expr(d.adbin, d.adrelid) AS expression
      FROM pg_attrdef d JOIN pg_class c ON c.oid = d.adrelid JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
     WHERE c.relkind = 'v' AND c.oid >= 16384";

impl Reader<'_> {
    pub(super) async fn views(&mut self) -> Result<()> {
        for row in self.own_rows("pg_class", VIEWS).await? {
            let oid: Oid = row.try_get("oid")?;
            let kind = if row.try_get::<_, &str>("form")? == "m" { Kind::MaterializedView } else { Kind::View };
            let id = named(&row, kind)?;
            let (names, types): (Vec<String>, Vec<String>) = (row.try_get("names")?, row.try_get("types")?);
            let columns = names.iter().map(|name| Ident::new(name.as_str()));
            let view = View {
                query: ServerText::from_server(row.try_get::<_, String>("query")?),
                options: options(&row, "options")?,
                columns: columns.zip(types.into_iter().map(ServerText::from_server)).collect(),
            };
            self.alias("pg_type", row.try_get("row_type")?, &id);
            self.alias("pg_type", row.try_get("array_type")?, &id);
            self.alias("pg_rewrite", row.try_get("rule")?, &id);
            self.put("pg_class", oid, id.clone(), Body::View(view));
            for (at, name) in names.into_iter().enumerate() {
                let column = ObjectId::on(Kind::Column, &id.qualified(), name);
                let number = i32::try_from(at + 1).unwrap_or_default();
                self.ids.insert(("pg_class".to_owned(), oid, number), column.clone());
                self.put_alone(column.clone(), Body::Implied);
                self.requires(&column, &id);
            }
        }
        for row in self.rows(DEFAULTS).await? {
            if let Some(view) = self.id("pg_class", row.try_get("relation")?).cloned() {
                let id = ObjectId::on(Kind::Default, &view.qualified(), row.try_get::<_, String>("name")?);
                let expression = ServerText::from_server(row.try_get::<_, String>("expression")?);
                self.put("pg_attrdef", row.try_get("oid")?, id.clone(), Body::Default(expression));
                self.requires(&id, &view);
            }
        }
        Ok(())
    }
}
