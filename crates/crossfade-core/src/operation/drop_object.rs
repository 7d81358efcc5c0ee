//! DROP of a view, function, sequence or type: contract retires it, which is a rename; purge drops it. The way back is the rename back.
//!
//! A type or a domain keeps its name until the purge: what keeps old and new form of a column in sync may name it.

use super::Operation;
use super::cleared::Cleared;
use super::whole::hinders_views;
use super::whole::kind_of;
use super::whole::remove;
use super::whole::retired;
use super::whole::views_above;
use super::whole::whole_claim;
use crate::catalog::Catalog;
use crate::catalog::Dependent;
use crate::catalog::Table;
use crate::finding::Finding;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::Literal;
use crate::sql::ObjectKind;
use crate::sql::Span;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::step::Claim;
use crate::step::Phase;
use crate::step::Preflight;

/// Views that one statement drops.
#[derive(Clone, Debug)]
pub(super) struct DropView {
    pub kind: ObjectKind,
    pub views: Vec<Table>,
    pub cascade: bool,
    pub cleared: Cleared,
    pub span: Span,
}

/// Objects that are no relations with columns, and that one statement drops.
#[derive(Clone, Debug)]
pub(super) struct DropObject {
    pub kind: ObjectKind,
    /// Each with the types of its arguments.
    pub objects: Vec<(TableName, Option<Sql>)>,
    pub cleared: Cleared,
    pub span: Span,
}

impl DropView {
    /// The views over these, other than these.
    fn above<'c>(&self, catalog: &'c Catalog) -> Vec<&'c Table> {
        let own = self.views.iter().filter_map(|view| catalog.table(&view.name));
        let dependents: Vec<&Dependent> = own.flat_map(|view| &view.dependents).collect();
        let mut above = views_above(catalog, &dependents);
        above.retain(|view| !self.views.iter().any(|own| own.name == view.name));
        above.retain(|view| !self.cleared.relations.contains(&view.name));
        above
    }

    fn all<'c>(&'c self, catalog: &'c Catalog) -> Vec<&'c Table> {
        self.views.iter().chain(self.above(catalog)).collect()
    }
}

impl Operation for DropView {
    fn way(&self) -> Option<&'static str> {
        Some("retired at contract, dropped at purge")
    }

    fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for view in self.views.iter().filter(|view| kind_of(view) != self.kind) {
            let message = format!("{} is not a {}", view.name, self.kind.sql_name().to_lowercase());
            findings.push(
                Finding::error("wrong-kind", self.span, message)
                    .help(format!("the server takes DROP {} for it", kind_of(view).sql_name())),
            );
        }
        let above = self.above(cx.catalog);
        let mut hinders = hinders_views(&self.all(cx.catalog), &self.cleared);
        if !self.cascade {
            hinders
                .extend(above.iter().map(|view| format!("{} {}", kind_of(view).sql_name().to_lowercase(), view.name)));
        }
        hinders.sort();
        hinders.dedup();
        if !hinders.is_empty() {
            let names = names(self.views.iter().map(|view| &view.name));
            findings.push(
                Finding::error("dependents", self.span, format!("{names} is used by {}", hinders.join(", ")))
                    .help("drop or change them first, each in a statement before this one; CASCADE takes views along"),
            );
        }
        findings
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let all = self.all(cx.catalog);
        let names = names(all.iter().map(|view| &view.name));
        let list = |names: Vec<TableName>| Sql::join(names.iter().map(|name| sql!("{}", name)), ", ");
        let tail = if self.cascade { sql!(" CASCADE") } else { sql!("") };
        let drop = |name: &dyn Fn(&TableName) -> TableName| {
            let own = self.views.iter().map(|view| name(&view.name)).collect();
            sql!("DROP {} {}{}", self.kind, list(own), tail)
        };
        if !cx.policy.retain {
            steps.early(Phase::Contract, format!("drop {names}"), (Vec::new(), vec![drop(&TableName::clone)]), None);
            return;
        }
        let old = |view: &Table| retired(cx, &view.name);
        let there = all.iter().map(|view| sql!("ALTER {} {} RENAME TO {}", kind_of(view), view.name, old(view).name));
        let back =
            all.iter().rev().map(|view| sql!("ALTER {} {} RENAME TO {}", kind_of(view), old(view), view.name.name));
        let says = format!("retire {names}, renamed to _cf_old_…");
        steps.late(Phase::Contract, says, (Vec::new(), there.collect()), Some((Vec::new(), back.collect())));
        // Before the columns that they name are dropped.
        let gone = vec![drop(&|name| retired(cx, name))];
        steps.early(Phase::Purge, format!("drop what was retired of {names}"), (Vec::new(), gone), None);
    }

    fn project(&self, catalog: &mut Catalog) {
        let gone = self.all(catalog).into_iter().map(|view| view.name.clone()).collect();
        remove(catalog, &gone);
    }

    fn claims(&self) -> Vec<Claim> {
        self.views.iter().map(whole_claim).collect()
    }
}

impl DropObject {
    /// Lets the server say, before anything is done, whether something else uses them.
    pub(super) fn ask_first(&self, steps: &mut StepsBuilder<'_>) {
        let help = "drop or change what uses it first, in a statement before this one; CASCADE would take it along, with no way back";
        let finding =
            Finding::error("dependents", self.span, format!("{} can't be dropped", self.described())).help(help);
        steps.preflight(Preflight { query: self.ask(), finding });
    }

    fn keeps_its_name(&self) -> bool {
        matches!(self.kind, ObjectKind::Type | ObjectKind::Domain)
    }

    fn described(&self) -> String {
        let kind = self.kind.sql_name().to_lowercase();
        format!("{kind} {}", names(self.objects.iter().map(|(name, _)| name)))
    }

    /// What the server knows an object by.
    fn identity(&self, name: &TableName, arguments: Option<&Sql>) -> Sql {
        let text = |arguments: &Sql| match arguments.as_str() {
            "*" => sql!("{}()", name),
            _ => sql!("{}({})", name, arguments),
        };
        match (self.kind.catalog_class(), arguments) {
            ("pg_proc", Some(arguments)) => {
                sql!("pg_catalog.to_regprocedure({})", Literal(text(arguments).to_string()))
            }
            ("pg_proc", None) => sql!("pg_catalog.to_regproc({})", Literal(sql!("{}", name).to_string())),
            ("pg_type", _) => sql!("pg_catalog.to_regtype({})", Literal(sql!("{}", name).to_string())),
            _ => sql!("pg_catalog.to_regclass({})", Literal(sql!("{}", name).to_string())),
        }
    }

    /// Asks the server whether each is there, and who else uses them. What hangs on a relation that the file works on before is taken to be
    /// gone by then.
    fn ask(&self) -> Sql {
        let class = Literal(format!("pg_catalog.{}", self.kind.catalog_class()));
        let ids = self.objects.iter().map(|(name, arguments)| {
            sql!("({}, {}::oid)", Literal(name.to_string()), self.identity(name, arguments.as_ref()))
        });
        let cleared = self.cleared.altered.iter().chain(&self.cleared.relations);
        let cleared =
            cleared.map(|name| sql!("pg_catalog.to_regclass({})::oid", Literal(sql!("{}", name).to_string())));
        let cleared = Sql::join(std::iter::once(sql!("0::oid")).chain(cleared), ", ");
        sql!(
            "WITH RECURSIVE asked(name, id) AS (VALUES {}), gone(class, id) AS (\
             SELECT {}::regclass::oid, id FROM asked WHERE id IS NOT NULL \
             UNION SELECT d.classid, d.objid FROM gone JOIN pg_catalog.pg_depend AS d ON d.refclassid = gone.class AND d.refobjid = gone.id AND d.deptype <> 'n'), \
             users(class, id, sub, relation) AS (SELECT d.classid, d.objid, d.objsubid, CASE d.classid \
             WHEN 'pg_class'::regclass THEN d.objid \
             WHEN 'pg_attrdef'::regclass THEN (SELECT adrelid FROM pg_catalog.pg_attrdef WHERE oid = d.objid) \
             WHEN 'pg_trigger'::regclass THEN (SELECT tgrelid FROM pg_catalog.pg_trigger WHERE oid = d.objid) \
             WHEN 'pg_policy'::regclass THEN (SELECT polrelid FROM pg_catalog.pg_policy WHERE oid = d.objid) \
             WHEN 'pg_constraint'::regclass THEN (SELECT conrelid FROM pg_catalog.pg_constraint WHERE oid = d.objid) \
             WHEN 'pg_rewrite'::regclass THEN (SELECT ev_class FROM pg_catalog.pg_rewrite WHERE oid = d.objid) END \
             FROM gone JOIN pg_catalog.pg_depend AS d ON d.refclassid = gone.class AND d.refobjid = gone.id \
             WHERE d.deptype = 'n' AND NOT EXISTS (SELECT FROM gone AS other WHERE other.class = d.classid AND other.id = d.objid)) \
             SELECT 'used by ' || string_agg(DISTINCT pg_catalog.pg_describe_object(class, id, sub), ', ') FROM users \
             WHERE relation IS NULL OR relation NOT IN (SELECT unnest(ARRAY[{}]) EXCEPT SELECT NULL::oid) HAVING count(*) > 0 \
             UNION ALL SELECT 'there is no ' || name FROM asked WHERE id IS NULL",
            Sql::join(ids, ", "),
            class,
            cleared
        )
    }
}

impl Operation for DropObject {
    fn way(&self) -> Option<&'static str> {
        Some("retired at contract, dropped at purge")
    }

    fn check(&self, _: &PlanContext<'_>) -> Vec<Finding> {
        Vec::new()
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        self.ask_first(steps);
        let signature = |name: TableName, arguments: &Option<Sql>| match arguments {
            Some(arguments) => sql!("{}({})", name, arguments),
            None => sql!("{}", name),
        };
        let drop = |name: &dyn Fn(&TableName) -> TableName| {
            let all = self.objects.iter().map(|(known, arguments)| signature(name(known), arguments));
            vec![sql!("DROP {} {}", self.kind, Sql::join(all, ", "))]
        };
        let what = self.described();
        if !cx.policy.retain {
            steps.late(Phase::Contract, format!("drop {what}"), (Vec::new(), drop(&TableName::clone)), None);
            return;
        }
        let (mut there, mut back) = (Vec::new(), Vec::new());
        for (name, arguments) in self.objects.iter().filter(|_| !self.keeps_its_name()) {
            let old = retired(cx, name);
            there.push(sql!("ALTER {} {} RENAME TO {}", self.kind, signature(name.clone(), arguments), old.name));
            back.insert(0, sql!("ALTER {} {} RENAME TO {}", self.kind, signature(old, arguments), name.name));
        }
        let (says, gone) = if self.keeps_its_name() {
            (format!("{what} is out of use from now on"), drop(&TableName::clone))
        } else {
            (format!("retire {what}, renamed to _cf_old_…"), drop(&|name| retired(cx, name)))
        };
        steps.late(Phase::Contract, says, (Vec::new(), there), Some((Vec::new(), back)));
        steps.late(Phase::Purge, format!("drop {what}, which is out of use"), (Vec::new(), gone), None);
    }

    fn project(&self, catalog: &mut Catalog) {
        let class = self.kind.object_kind();
        // Of a function there may be others with other arguments.
        let gone = |name: &TableName| class != "function" && self.objects.iter().any(|(known, _)| known == name);
        let is = |kind: &str| kind == class || class == "type" && kind == "composite";
        catalog.objects.retain(|object| !is(&object.kind) || !gone(&object.name));
    }

    fn claims(&self) -> Vec<Claim> {
        self.objects.iter().map(|(name, _)| Claim { table: name.clone(), column: None }).collect()
    }
}

fn names<'t>(objects: impl IntoIterator<Item = &'t TableName>) -> String {
    objects.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
