//! What hangs on tables: constraints, indexes, statistics, triggers, rules, policies.

use std::collections::BTreeMap;

use crossfade_core::schema::Body;
use crossfade_core::schema::Constraint;
use crossfade_core::schema::Index;
use crossfade_core::schema::Kind;
use crossfade_core::schema::ObjectId;
use crossfade_core::schema::Options;
use crossfade_core::sql;
use crossfade_core::sql::Ident;
use crossfade_core::sql::Literal;
use crossfade_core::sql::ServerText;
use crossfade_core::sql::Sql;
use tokio_postgres::Row;
use tokio_postgres::types::Oid;

use super::Reader;
use super::Result;
use super::attached;
use super::globals::firing;
use super::named;
use super::options;
use super::text;
use super::types::without_not_valid;

/// A foreign key to a partitioned table has a copy for each partition, on the same table; no dump shows them.
const CONSTRAINTS: &str = "
    SELECT k.oid, c.relnamespace AS namespace, n.nspname::text AS schema, c.relname::text AS holder, k.conname::text AS name,
           k.contype::text AS form, pg_get_constraintdef(k.oid) AS definition, k.convalidated,
           NOT k.conislocal AND k.coninhcount > 0 OR k.conparentid <> 0 AS inherited,
           c.relkind = 'p' AND k.contype IN ('p', 'u', 'x') AS only, i.oid AS index, i.reloptions AS options
      FROM pg_constraint k
      JOIN pg_class c ON c.oid = k.conrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_class i ON i.oid = k.conindid AND k.contype IN ('p', 'u', 'x')
     WHERE k.contype IN ('c', 'p', 'u', 'x', 'f') AND c.relkind IN ('r', 'p', 'f') AND k.oid >= 16384
       AND NOT EXISTS (SELECT FROM pg_constraint o WHERE o.oid = k.conparentid AND o.conrelid = k.conrelid)";

const INDEXES: &str = "
    SELECT i.indexrelid AS oid, c.relnamespace AS namespace, n.nspname::text AS schema, c.relname::text AS name, i.indrelid AS relation,
           pg_get_indexdef(i.indexrelid) AS definition,
           ARRAY(SELECT a.attnum FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attstattarget >= 0 ORDER BY a.attnum) AS positions,
           ARRAY(SELECT a.attstattarget::int4 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attstattarget >= 0 ORDER BY a.attnum) AS targets
      FROM pg_index i
      JOIN pg_class c ON c.oid = i.indexrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE i.indexrelid >= 16384 AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))";

const INDEX_PARTS: &str = "
    SELECT h.inhrelid AS child, h.inhparent AS parent, n.nspname::text AS schema, t.relname::text AS holder, c.relname::text AS name
      FROM pg_inherits h
      JOIN pg_index i ON i.indexrelid = h.inhrelid
      JOIN pg_class c ON c.oid = h.inhrelid
      JOIN pg_class t ON t.oid = i.indrelid
      JOIN pg_namespace n ON n.oid = t.relnamespace
     WHERE h.inhrelid >= 16384";

/// What a table goes by beside its parts.
const CHOICES: &str = "
    SELECT c.oid, c.relnamespace AS namespace, n.nspname::text AS schema, c.relname::text AS holder, c.relkind = 'm' AS materialized,
           c.relreplident::text AS identity,
           (SELECT i.indexrelid FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident) AS identity_index,
           (SELECT i.indexrelid FROM pg_index i WHERE i.indrelid = c.oid AND i.indisclustered) AS order_index
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'm') AND c.oid >= 16384";

const STATISTICS: &str = "
    SELECT s.oid, s.stxnamespace AS namespace, n.nspname::text AS schema, s.stxname::text AS name,
           pg_get_statisticsobjdef(s.oid) AS definition, NULLIF(s.stxstattarget::int4, -1) AS target
      FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
     WHERE s.oid >= 16384";

/// A partition's copy of a trigger comes and goes with it.
const TRIGGERS: &str = "
    SELECT t.oid, c.relnamespace AS namespace, n.nspname::text AS schema, c.relname::text AS holder, t.tgname::text AS name,
           pg_get_triggerdef(t.oid) AS definition, t.tgenabled::text AS firing, t.tgconstraint AS constraint_oid
      FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND t.oid >= 16384";

const RULES: &str = "
    SELECT r.oid, c.relnamespace AS namespace, n.nspname::text AS schema, c.relname::text AS holder, r.rulename::text AS name,
           rtrim(pg_get_ruledef(r.oid), ';') AS definition, r.ev_enabled::text AS firing
      FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE r.rulename <> '_RETURN' AND r.oid >= 16384";

const POLICIES: &str = "
    SELECT p.oid, c.relnamespace AS namespace, n.nspname::text AS schema, c.relname::text AS holder, p.polname::text AS name,
           concat_ws(' ', format('CREATE POLICY %I ON %I.%I', p.polname, n.nspname, c.relname),
                     CASE WHEN NOT p.polpermissive THEN 'AS RESTRICTIVE' END,
                     'FOR ' || CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' END,
                     'TO ' || NULLIF((SELECT string_agg(quote_ident(r.rolname), ', ' ORDER BY r.rolname) FROM pg_roles r WHERE r.oid = ANY (p.polroles)), ''),
                     'USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
                     'WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')') AS definition
      FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace";

/// The storage parameters of a key of a partitioned table can't be set afterwards, so they stand in its definition.
fn with_options(definition: &ServerText, options: Options) -> ServerText {
    if options.is_empty() {
        return definition.clone();
    }
    let text = definition.as_str();
    let end = text.find(" DEFERRABLE").or_else(|| text.find(" WHERE (")).unwrap_or(text.len());
    let each = options.iter().map(|(name, value)| sql!("{} = {}", Ident::new(name.as_str()), Literal(value.clone())));
    let (head, tail) = (ServerText::from_server(&text[..end]), ServerText::from_server(&text[end..]));
    ServerText::from_server(sql!("{} WITH ({}){}", head, Sql::join(each, ", "), tail).to_string())
}

impl Reader<'_> {
    pub(super) async fn constraints(&mut self) -> Result<()> {
        for row in self.own_rows("pg_constraint", CONSTRAINTS).await? {
            let foreign = row.try_get::<_, &str>("form")? == "f";
            let keyed = row.try_get::<_, Option<Oid>>("index")?;
            let id = attached(&row, if foreign { Kind::ForeignKey } else { Kind::Constraint })?;
            let mut constraint = Constraint {
                definition: without_not_valid(&row)?,
                validated: row.try_get("convalidated")?,
                // The key of a partition is made for itself, and attached.
                inherited: row.try_get::<_, bool>("inherited")? && keyed.is_none(),
                only: row.try_get("only")?,
                options: options(&row, "options")?,
            };
            if constraint.only {
                constraint.definition = with_options(&constraint.definition, std::mem::take(&mut constraint.options));
            }
            self.put("pg_constraint", row.try_get("oid")?, id.clone(), Body::Constraint(constraint));
            if let Some(index) = keyed {
                self.alias("pg_class", index, &id);
                // It has but a comment of its own.
                let name = id.schema.as_ref().map(Ident::as_str).unwrap_or_default();
                let implied = ObjectId::within(Kind::Index, name, id.name.as_str());
                self.described.insert(("pg_class".to_owned(), index, 0), implied.clone());
                self.put_alone(implied.clone(), Body::Implied);
                self.requires(&implied, &id);
            }
        }
        Ok(())
    }

    pub(super) async fn indexes(&mut self) -> Result<()> {
        for row in self.own_rows("pg_class", INDEXES).await? {
            let Some(relation) = self.id("pg_class", row.try_get("relation")?).cloned() else { continue };
            let id = named(&row, Kind::Index)?;
            let (positions, targets): (Vec<i16>, Vec<i32>) = (row.try_get("positions")?, row.try_get("targets")?);
            let statistics: BTreeMap<i16, i32> = positions.into_iter().zip(targets).collect();
            let body = Body::Index(Index { definition: text(&row, "definition")?, statistics });
            self.put("pg_class", row.try_get("oid")?, id.clone(), body);
            self.requires(&id, &relation);
        }
        for row in self.rows(INDEX_PARTS).await? {
            let child = self.id("pg_class", row.try_get("child")?).cloned();
            let parent = self.id("pg_class", row.try_get("parent")?).cloned();
            let (Some(child), Some(parent)) = (child, parent) else { continue };
            let name = |id: &ObjectId| sql!("{}", id.qualified());
            let make = sql!("ALTER INDEX {} ATTACH PARTITION {}", name(&parent), name(&child));
            let id = attached(&row, Kind::IndexPartition)?;
            self.put_link("", 0, id, (child, parent), (make, None));
        }
        for row in self.own_rows("pg_class", CHOICES).await? {
            self.choices(&row)?;
        }
        Ok(())
    }

    /// What the replication of a table goes by, and how CLUSTER orders it.
    fn choices(&mut self, row: &Row) -> Result<()> {
        let Some(table) = self.id("pg_class", row.try_get("oid")?).cloned() else { return Ok(()) };
        let name = table.qualified();
        let index = |column: &str| -> Result<Option<ObjectId>> {
            let oid: Option<Oid> = row.try_get(column)?;
            Ok(oid.and_then(|oid| self.id("pg_class", oid)).cloned())
        };
        let (identity, order) = (index("identity_index")?, index("order_index")?);
        let make = match (row.try_get("identity")?, &identity) {
            ("f", _) => Some(sql!("ALTER TABLE {} REPLICA IDENTITY FULL", name)),
            ("n", _) => Some(sql!("ALTER TABLE {} REPLICA IDENTITY NOTHING", name)),
            ("i", Some(index)) => Some(sql!("ALTER TABLE {} REPLICA IDENTITY USING INDEX {}", name, index.name)),
            _ => None,
        };
        if let Some(make) = make {
            let undo = sql!("ALTER TABLE {} REPLICA IDENTITY DEFAULT", name);
            let id = ObjectId::on(Kind::ReplicaIdentity, &name, "");
            self.put_link("", 0, id, (table.clone(), identity.unwrap_or_else(|| table.clone())), (make, Some(undo)));
        }
        if let Some(index) = order {
            let materialized: bool = row.try_get("materialized")?;
            let head =
                if materialized { sql!("ALTER MATERIALIZED VIEW {}", name) } else { sql!("ALTER TABLE {}", name) };
            let (make, undo) = (sql!("{} CLUSTER ON {}", head, index.name), sql!("{} SET WITHOUT CLUSTER", head));
            let id = ObjectId::on(Kind::ClusterOn, &name, "");
            self.put_link("", 0, id, (table, index), (make, Some(undo)));
        }
        Ok(())
    }

    /// Statistics, triggers, rules and policies.
    pub(super) async fn on_tables(&mut self) -> Result<()> {
        for row in self.own_rows("pg_statistic_ext", STATISTICS).await? {
            let id = named(&row, Kind::Statistics)?;
            let body = Body::Statistics { definition: text(&row, "definition")?, target: row.try_get("target")? };
            self.put("pg_statistic_ext", row.try_get("oid")?, id, body);
        }
        for (class, kind, query) in [("pg_trigger", Kind::Trigger, TRIGGERS), ("pg_rewrite", Kind::Rule, RULES)] {
            for row in self.own_rows(class, query).await? {
                let id = attached(&row, kind)?;
                if kind == Kind::Trigger {
                    self.alias("pg_constraint", row.try_get("constraint_oid")?, &id);
                }
                let firing = firing(row.try_get("firing")?);
                let body = Body::Switched { definition: text(&row, "definition")?, firing };
                self.put(class, row.try_get("oid")?, id, body);
            }
        }
        for row in self.own_rows("pg_policy", POLICIES).await? {
            let (id, body) = (attached(&row, Kind::Policy)?, Body::Defined(text(&row, "definition")?));
            self.put("pg_policy", row.try_get("oid")?, id, body);
        }
        Ok(())
    }
}
