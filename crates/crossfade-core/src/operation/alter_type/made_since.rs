//! What somebody made on the old column while old and new code live: indexes, constraints, triggers and policies, views over it, and foreign keys of other
//! tables to it. The plan does not know them: they would stay with the column that is retired, unseen, and go with it at purge, or hold that up. So contract
//! names them and waits.

use super::super::foreign_key::ForeignKey;
use super::Part;
use crate::plan::TRIGGERS;
use crate::sql;
use crate::sql::Ident;
use crate::sql::Literal;
use crate::sql::Sql;
use crate::step::Assert;

/// How our own names begin.
const OWN: &str = "_cf_";

impl Part<'_> {
    /// Nothing is on the old columns but what was there when the plan was made.
    pub(super) fn nothing_made_since(&self) -> Assert {
        let table = &self.table.name;
        let relations = self.cx.catalog.tree(self.table);
        let pair = |schema: &Ident, name: &str| {
            sql!("({}, {})", Literal(schema.as_str().to_owned()), Literal(name.to_owned()))
        };
        // An index of a constraint goes by both names, which may differ.
        let known = relations.iter().flat_map(|relation| {
            let schema = &relation.name.schema;
            let indexes = relation.indexes.iter().map(|index| index.name.as_str());
            let constraints = relation.constraints.iter().map(|constraint| constraint.name.as_str());
            indexes.chain(constraints).map(|name| pair(schema, name)).collect::<Vec<_>>()
        });
        let known = Sql::join(std::iter::once(sql!("('', '')")).chain(known), ", ");
        // Names of constraints are their tables' own, so those of other tables that point here go by both.
        let pointing = ForeignKey::all(self.cx.catalog)
            .filter(|key| relations.iter().any(|relation| relation.name == *key.references))
            .map(|key| {
                sql!("({}, {})", Literal(sql!("{}", key.owner.name).to_string()), Literal(key.constraint.name.clone()))
            });
        let pointing =
            Sql::join(std::iter::once(sql!("(NULL::pg_catalog.text, NULL::pg_catalog.text)")).chain(pointing), ", ");
        // Those that the file makes again are there, too.
        let views = relations.iter().flat_map(|relation| &relation.dependents).filter_map(|it| it.view.as_ref());
        let views = views.map(|view| sql!("pg_catalog.to_regclass({})", Literal(sql!("{}", view).to_string())));
        let views = Sql::join(std::iter::once(sql!("NULL::pg_catalog.regclass")).chain(views), ", ");
        let columns: Vec<&str> = self.columns.iter().map(|retype| retype.column.name.as_str()).collect();
        let old = Sql::join(columns.iter().map(|name| sql!("{}", Literal((*name).to_owned()))), ", ");
        let whole = Literal(sql!("{}", table).to_string());
        // What a partition has for its parent is not said: the parent's is.
        let query = sql!(
            "WITH old AS (SELECT a.attrelid, a.attnum, a.attname FROM pg_catalog.pg_attribute AS a \
             WHERE a.attrelid IN (SELECT {}::pg_catalog.regclass UNION SELECT relid FROM pg_catalog.pg_partition_tree({})) \
             AND a.attname IN ({}) AND NOT a.attisdropped), \
             known (schema_name, name) AS (VALUES {}), pointing (owner, name) AS (VALUES {}) \
             SELECT DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, 0) || ' is on ' || pg_catalog.quote_ident(o.attname::pg_catalog.text) || {} AS wrong \
             FROM old AS o JOIN pg_catalog.pg_depend AS d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
             AND d.refobjid = o.attrelid AND d.refobjsubid = o.attnum \
             WHERE EXISTS (SELECT FROM pg_catalog.pg_class AS i JOIN pg_catalog.pg_namespace AS n ON n.oid = i.relnamespace \
             WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND i.oid = d.objid AND i.relkind IN ('i', 'I') AND NOT i.relispartition \
             AND NOT pg_catalog.starts_with(i.relname::pg_catalog.text, {}) AND (n.nspname::pg_catalog.text, i.relname::pg_catalog.text) NOT IN (SELECT * FROM known)) \
             OR EXISTS (SELECT FROM pg_catalog.pg_constraint AS k JOIN pg_catalog.pg_namespace AS n ON n.oid = k.connamespace \
             WHERE d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = d.objid AND k.conrelid = o.attrelid \
             AND k.contype IN ('c', 'f', 'p', 'u', 'x') AND k.conparentid = 0 AND k.coninhcount = 0 \
             AND NOT pg_catalog.starts_with(k.conname::pg_catalog.text, {}) AND (n.nspname::pg_catalog.text, k.conname::pg_catalog.text) NOT IN (SELECT * FROM known)) \
             OR EXISTS (SELECT FROM pg_catalog.pg_constraint AS k \
             WHERE d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = d.objid AND k.confrelid = o.attrelid AND k.conrelid <> o.attrelid \
             AND k.contype = 'f' AND k.conparentid = 0 AND NOT pg_catalog.starts_with(k.conname::pg_catalog.text, {}) \
             AND NOT EXISTS (SELECT FROM pointing AS p WHERE p.name = k.conname::pg_catalog.text AND pg_catalog.to_regclass(p.owner) = k.conrelid)) \
             OR EXISTS (SELECT FROM pg_catalog.pg_rewrite AS r \
             WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = d.objid AND r.ev_class <> ALL (pg_catalog.array_remove(ARRAY[{}], NULL))) \
             OR EXISTS (SELECT FROM pg_catalog.pg_trigger AS g \
             WHERE d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND g.oid = d.objid AND NOT g.tgisinternal AND NOT pg_catalog.starts_with(g.tgname::pg_catalog.text, {})) \
             OR d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass \
             ORDER BY 1",
            whole,
            whole,
            old,
            known,
            pointing,
            Literal(format!(" of {}, whose type changes", sql!("{}", table))),
            Literal(OWN.to_owned()),
            Literal(OWN.to_owned()),
            Literal(OWN.to_owned()),
            views,
            Literal(TRIGGERS.to_owned())
        );
        let columns = columns.join(", ");
        Assert {
            query,
            message: format!(
                "no index, constraint, trigger, policy, view or foreign key was made on {columns} of {table} since the migration began"
            ),
            help: format!(
                "drop what is named here, run `crossfade contract` again, and make it anew on {columns} of {table}, which then has the new type (an index: CONCURRENTLY)"
            ),
        }
    }
}
