//! Owners, comments, grants and default privileges of all objects at once.

use crossfade_core::schema::Body;
use crossfade_core::schema::Grant;
use crossfade_core::schema::Grantee;
use crossfade_core::schema::Kind;
use crossfade_core::schema::ObjectId;
use crossfade_core::sql::Ident;
use crossfade_core::sql::ServerText;
use tokio_postgres::Row;
use tokio_postgres::types::Oid;

use super::Reader;
use super::Result;

const OWNERS: &str = "
    SELECT o.class, o.oid, pg_get_userbyid(o.owner)::text AS owner FROM (
        SELECT 'pg_namespace' AS class, oid, nspowner AS owner FROM pg_namespace
        UNION ALL SELECT 'pg_class', oid, relowner FROM pg_class
        UNION ALL SELECT 'pg_type', oid, typowner FROM pg_type
        UNION ALL SELECT 'pg_proc', oid, proowner FROM pg_proc
        UNION ALL SELECT 'pg_collation', oid, collowner FROM pg_collation
        UNION ALL SELECT 'pg_statistic_ext', oid, stxowner FROM pg_statistic_ext
        UNION ALL SELECT 'pg_foreign_data_wrapper', oid, fdwowner FROM pg_foreign_data_wrapper
        UNION ALL SELECT 'pg_foreign_server', oid, srvowner FROM pg_foreign_server
        UNION ALL SELECT 'pg_publication', oid, pubowner FROM pg_publication
        UNION ALL SELECT 'pg_event_trigger', oid, evtowner FROM pg_event_trigger) AS o
     WHERE o.oid >= 16384 OR o.class = 'pg_namespace'";

const COMMENTS: &str = "
    SELECT d.classoid::regclass::text AS class, d.objoid AS oid, d.objsubid AS part, d.description
      FROM pg_description d WHERE d.objoid >= 16384 OR d.classoid = 'pg_namespace'::regclass";

/// Where nothing was granted yet, the rights that a fresh object has.
const GRANTS: &str = "
    SELECT o.class, o.oid, o.part, g.grantee = 0 AS everybody, g.grantee = o.owner AS by_owner,
           pg_get_userbyid(g.grantee)::text AS grantee, g.privilege_type AS privilege, bool_or(g.is_grantable) AS grantable
      FROM (SELECT 'pg_namespace' AS class, oid, 0 AS part, nspowner AS owner, COALESCE(nspacl, acldefault('n', nspowner)) AS acl FROM pg_namespace
            UNION ALL SELECT 'pg_class', oid, 0, relowner, COALESCE(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\", relowner))
                        FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
            UNION ALL SELECT 'pg_class', a.attrelid, a.attnum, c.relowner, a.attacl
                        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE a.attacl IS NOT NULL AND NOT a.attisdropped
            UNION ALL SELECT 'pg_type', oid, 0, typowner, COALESCE(typacl, acldefault('T', typowner)) FROM pg_type WHERE typrelid = 0 OR typtype = 'c'
            UNION ALL SELECT 'pg_proc', oid, 0, proowner, COALESCE(proacl, acldefault('f', proowner)) FROM pg_proc
            UNION ALL SELECT 'pg_foreign_data_wrapper', oid, 0, fdwowner, COALESCE(fdwacl, acldefault('F', fdwowner)) FROM pg_foreign_data_wrapper
            UNION ALL SELECT 'pg_foreign_server', oid, 0, srvowner, COALESCE(srvacl, acldefault('S', srvowner)) FROM pg_foreign_server) AS o
     CROSS JOIN LATERAL aclexplode(o.acl) AS g
     WHERE o.oid >= 16384 OR o.class = 'pg_namespace'
     GROUP BY 1, 2, 3, 4, 5, 6, 7";

const DEFAULTS: &str = "
    SELECT d.defaclobjtype::text AS letter, n.nspname::text AS schema, pg_get_userbyid(d.defaclrole)::text AS role,
           g.grantee = 0 AS everybody, g.grantee = d.defaclrole AS by_owner, pg_get_userbyid(g.grantee)::text AS grantee,
           g.privilege_type AS privilege, bool_or(g.is_grantable) AS grantable
      FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
      LEFT JOIN LATERAL aclexplode(d.defaclacl) AS g ON true
     GROUP BY 1, 2, 3, 4, 5, 6, 7";

const USUAL: &str = "
    SELECT k.letter, g.grantee = 0 AS everybody, g.grantee <> 0 AS by_owner, '' AS grantee, g.privilege_type AS privilege, g.is_grantable AS grantable
      FROM (VALUES ('n'), ('r'), ('s'), ('f'), ('T'), ('F'), ('S')) AS k(letter)
     CROSS JOIN LATERAL aclexplode(acldefault(k.letter::\"char\", current_user::regrole::oid)) AS g";

impl Reader<'_> {
    pub(super) async fn rights(&mut self) -> Result<()> {
        for row in self.rows(OWNERS).await? {
            let owner: String = row.try_get("owner")?;
            let id = self.id(row.try_get("class")?, row.try_get("oid")?).cloned();
            if let Some(object) = id.filter(|id| has_own(id, &row)).and_then(|id| self.schema.objects.get_mut(&id)) {
                object.owner = Some(Ident::new(owner));
            }
        }
        for row in self.rows(COMMENTS).await? {
            let part: i32 = row.try_get("part")?;
            if let Some(object) = self.object_at(&row, part)? {
                object.comment = Some(row.try_get("description")?);
            }
        }
        for row in self.rows(GRANTS).await? {
            let grant = grant(&row)?;
            let part: i32 = row.try_get("part")?;
            if let Some(object) = self.object_at(&row, part)? {
                object.grants.insert(grant);
            }
        }
        self.default_privileges().await?;
        for row in self.rows(USUAL).await? {
            let kinds: &[Kind] = match row.try_get("letter")? {
                "n" => &[Kind::Schema],
                "r" => &[Kind::Table, Kind::ForeignTable, Kind::View, Kind::MaterializedView],
                "s" => &[Kind::Sequence],
                "f" => &[Kind::Function, Kind::Procedure, Kind::Aggregate],
                "T" => &[Kind::Type],
                "F" => &[Kind::Wrapper],
                _ => &[Kind::Server],
            };
            let grant = grant(&row)?;
            for kind in kinds {
                self.schema.usual_rights.entry(*kind).or_default().insert(grant.clone());
            }
        }
        Ok(())
    }

    async fn default_privileges(&mut self) -> Result<()> {
        for row in self.rows(DEFAULTS).await? {
            let schema: Option<String> = row.try_get("schema")?;
            let id = ObjectId {
                schema: schema.map(Ident::new),
                on: Some(Ident::new(row.try_get::<_, String>("role")?)),
                ..ObjectId::global(Kind::DefaultPrivileges, row.try_get::<_, String>("letter")?)
            };
            if !self.schema.objects.contains_key(&id) {
                self.put_alone(id.clone(), Body::Implied);
            }
            if row.try_get::<_, Option<String>>("privilege")?.is_some() {
                let grant = grant(&row)?;
                self.schema.objects.entry(id).and_modify(|object| {
                    object.grants.insert(grant);
                });
            }
        }
        Ok(())
    }

    /// The object that a row is about. Extensions have their comments from elsewhere, and a relation's row type none of its own.
    fn object_at(&mut self, row: &Row, part: i32) -> Result<Option<&mut crossfade_core::schema::Object>> {
        let (class, oid): (String, Oid) = (row.try_get("class")?, row.try_get("oid")?);
        let address = (class, oid, part);
        let described = self.described.get(&address);
        let Some(id) = described.or_else(|| self.ids.get(&address)).cloned() else { return Ok(None) };
        Ok(if has_own(&id, row) { self.schema.objects.get_mut(&id) } else { None })
    }
}

/// Whether the row is the object's own one, and not one that merely stands for it.
fn has_own(id: &ObjectId, row: &Row) -> bool {
    let class: &str = row.try_get("class").unwrap_or_default();
    match id.kind {
        Kind::Extension => false,
        Kind::Type => class == "pg_type",
        Kind::Table | Kind::ForeignTable | Kind::View | Kind::MaterializedView => class == "pg_class",
        Kind::Constraint | Kind::ForeignKey => class == "pg_constraint",
        Kind::Trigger => class == "pg_trigger",
        _ => true,
    }
}

fn grant(row: &Row) -> Result<Grant> {
    let grantee = match (row.try_get("everybody")?, row.try_get("by_owner")?) {
        (true, _) => Grantee::Public,
        (false, true) => Grantee::Owner,
        (false, false) => Grantee::Role(Ident::new(row.try_get::<_, String>("grantee")?)),
    };
    Ok(Grant {
        grantee,
        grantable: row.try_get("grantable")?,
        privilege: ServerText::from_server(row.try_get::<_, String>("privilege")?),
    })
}
