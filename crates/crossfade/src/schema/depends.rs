//! What requires what, from the server's own record.

use crossfade_core::schema::Kind;
use crossfade_core::schema::ObjectId;
use tokio_postgres::types::Oid;

use super::Reader;
use super::Result;

const DEPENDS: &str = "
    SELECT d.classid::regclass::text AS class, d.objid AS oid, d.objsubid AS part,
           d.refclassid::regclass::text AS other_class, d.refobjid AS other_oid, d.refobjsubid AS other_part, d.deptype::text AS tie
      FROM pg_depend d
     WHERE d.objid >= 16384 AND (d.refobjid >= 16384 OR d.refclassid = 'pg_namespace'::regclass) AND d.deptype <> 'e'";

/// An array is what its elements are.
const ARRAYS: &str = "SELECT oid, typelem FROM pg_type WHERE oid >= 16384 AND typelem <> 0";

impl Reader<'_> {
    pub(super) async fn depends(&mut self) -> Result<()> {
        for row in self.rows(ARRAYS).await? {
            let (oid, element): (Oid, Oid) = (row.try_get(0)?, row.try_get(1)?);
            if let Some(id) = self.id("pg_type", element).cloned() {
                self.alias("pg_type", oid, &id);
            }
        }
        for row in self.rows(DEPENDS).await? {
            let at = |class: &str, oid: &str, part: &str| -> Result<(String, Oid, i32)> {
                Ok((row.try_get(class)?, row.try_get(oid)?, row.try_get(part)?))
            };
            let id = self.ids.get(&at("class", "oid", "part")?).cloned();
            let other = self.ids.get(&at("other_class", "other_oid", "other_part")?).cloned();
            let (Some(id), Some(other)) = (id, other) else { continue };
            if is_requirement(&id, &other, row.try_get("tie")?) {
                self.requires(&id, &other);
            }
        }
        let held: Vec<(ObjectId, ObjectId)> =
            self.schema.objects.keys().filter_map(|id| Some((id.clone(), self.holder_of(id)?))).collect();
        for (id, holder) in held {
            self.requires(&id, &holder);
        }
        Ok(())
    }

    fn holder_of(&self, id: &ObjectId) -> Option<ObjectId> {
        let kinds = [Kind::Table, Kind::View, Kind::MaterializedView, Kind::ForeignTable, Kind::Type];
        let on = id.on.as_ref()?;
        let schema = id.schema.as_ref()?;
        let holder = |kind| ObjectId::within(kind, schema.as_str(), on.as_str());
        kinds.into_iter().map(holder).find(|holder| self.schema.objects.contains_key(holder))
    }
}

/// What belongs together is said by links of its own, which can be cut; everything else is a requirement.
fn is_requirement(id: &ObjectId, other: &ObjectId, tie: &str) -> bool {
    let table = |kind: Kind| matches!(kind, Kind::Table | Kind::ForeignTable);
    match (id.kind, other.kind) {
        // A sequence that belongs to a column; an identity's is told below.
        (Kind::Sequence, Kind::Column | Kind::Table) => tie == "i",
        // A parent, or the type that a table is made of.
        (one, other) if table(one) && (table(other) || other == Kind::Type) => false,
        // Part of a partitioned table's index or constraint.
        (Kind::Index | Kind::Constraint, Kind::Index | Kind::Constraint) => !matches!(tie, "P"),
        (Kind::ForeignKey, Kind::ForeignKey) => false,
        _ => true,
    }
}
