//! What stands under a type's new name until contract.
//!
//! A domain over the type serves where the server looks through it. For an enum it does not: the comparisons of enums are polymorphic, and
//! `column = 'a'::new_name` finds none. So an enum's stand-in is an enum with the same values, casts in both directions, and comparisons. Those
//! take *any* enum on their other side, not the type itself: else `column = 'a'` in old code would be taken for a comparison with the stand-in
//! (measured on 13 to 18). As SQL functions they are inlined, so an index on the column serves them.

use super::super::whole::retired;
use crate::catalog::Object;
use crate::plan::PlanContext;
use crate::sql;
use crate::sql::Literal;
use crate::sql::ServerText;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::step::Assert;

/// The comparisons of enums, and what their functions are called.
const COMPARISONS: [(&str, &str); 6] =
    [("=", "eq"), ("<>", "ne"), ("<", "lt"), ("<=", "le"), (">", "gt"), (">=", "ge")];

/// Which side of a comparison is the stand-in's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sides {
    Right,
    Left,
    Both,
}

/// The stand-in of one type.
pub(super) struct StandIn<'a> {
    cx: &'a PlanContext<'a>,
    object: &'a Object,
    target: &'a TableName,
}

impl<'a> StandIn<'a> {
    pub(super) fn new(cx: &'a PlanContext<'a>, object: &'a Object, target: &'a TableName) -> StandIn<'a> {
        StandIn { cx, object, target }
    }

    fn is_enum(&self) -> bool {
        !self.object.labels.is_empty()
    }

    /// Where the functions of its comparisons stand.
    fn function(&self, name: &str) -> TableName {
        TableName { schema: self.cx.policy.schema.clone(), name: self.cx.own_name(name, self.target.name.as_str()) }
    }

    /// The arguments of a comparison, while the stand-in has this name.
    fn arguments(sides: Sides, stand_in: &TableName) -> (Sql, Sql) {
        let (own, any) = (sql!("{}", stand_in), sql!("pg_catalog.anyenum"));
        match sides {
            Sides::Right => (any, own),
            Sides::Left => (own, any),
            Sides::Both => (own.clone(), own),
        }
    }

    /// What makes it.
    pub(super) fn make(&self) -> Vec<Sql> {
        let (real, stand_in) = (&self.object.name, self.target);
        if !self.is_enum() {
            return vec![sql!("CREATE DOMAIN {} AS {}", stand_in, real)];
        }
        let labels = self.object.labels.iter().map(|label| sql!("{}", Literal(label.clone())));
        let mut all = vec![
            sql!("CREATE TYPE {} AS ENUM ({})", stand_in, Sql::join(labels, ", ")),
            sql!("CREATE CAST ({} AS {}) WITH INOUT AS IMPLICIT", stand_in, real),
            sql!("CREATE CAST ({} AS {}) WITH INOUT AS ASSIGNMENT", real, stand_in),
        ];
        all.extend(self.functions(real, stand_in));
        let mut functions = Vec::new();
        for (operator, name) in COMPARISONS {
            for sides in [Sides::Right, Sides::Left, Sides::Both] {
                let (left, right) = StandIn::arguments(sides, stand_in);
                let function = self.function(name);
                functions.push(sql!("{}({}, {})", function, left, right));
                all.push(sql!(
                    "CREATE OPERATOR {}.{} (LEFTARG = {}, RIGHTARG = {}, FUNCTION = {})",
                    stand_in.schema,
                    ServerText::from_server(operator),
                    left,
                    right,
                    function
                ));
            }
        }
        all.push(sql!("GRANT EXECUTE ON FUNCTION {} TO PUBLIC", Sql::join(functions, ", ")));
        all
    }

    /// Makes the functions of its comparisons, while type and stand-in have these names. What they compare with is named in them.
    fn functions(&self, real: &TableName, stand_in: &TableName) -> Vec<Sql> {
        let mut all = Vec::new();
        for (operator, name) in COMPARISONS {
            for sides in [Sides::Right, Sides::Left, Sides::Both] {
                let (left, right) = StandIn::arguments(sides, stand_in);
                let as_real = |argument: Sql, own: bool| match (sides, own) {
                    (Sides::Both, _) => argument,
                    (Sides::Right | Sides::Left, true) => sql!("{}::text::{}", argument, real),
                    (Sides::Right | Sides::Left, false) => sql!("{}::{}", argument, real),
                };
                let body = sql!(
                    "SELECT {} OPERATOR(pg_catalog.{}) {}",
                    as_real(sql!("$1"), sides == Sides::Left),
                    ServerText::from_server(operator),
                    as_real(sql!("$2"), sides == Sides::Right)
                );
                all.push(sql!(
                    "CREATE OR REPLACE FUNCTION {}({}, {}) RETURNS boolean LANGUAGE sql STABLE AS {}",
                    self.function(name),
                    left,
                    right,
                    Literal(body.to_string())
                ));
            }
        }
        all
    }

    /// The functions of its comparisons again, now that the type has this name and the stand-in the one that goes with it.
    pub(super) fn compare(&self, real: &TableName) -> Vec<Sql> {
        if !self.is_enum() {
            return Vec::new();
        }
        let stand_in = if real == self.target { retired(self.cx, self.target) } else { self.target.clone() };
        self.functions(real, &stand_in)
    }

    /// What drops it while it has this name.
    pub(super) fn unmake(&self, stand_in: &TableName) -> Vec<Sql> {
        if !self.is_enum() {
            return vec![sql!("DROP DOMAIN {}", stand_in)];
        }
        let real = if stand_in == self.target { &self.object.name } else { self.target };
        let mut all = Vec::new();
        let mut functions = Vec::new();
        for (operator, name) in COMPARISONS {
            for sides in [Sides::Right, Sides::Left, Sides::Both] {
                let (left, right) = StandIn::arguments(sides, stand_in);
                functions.push(sql!("{}({}, {})", self.function(name), left, right));
                let operator = ServerText::from_server(operator);
                all.push(sql!("DROP OPERATOR {}.{} ({}, {})", stand_in.schema, operator, left, right));
            }
        }
        all.push(sql!("DROP FUNCTION {}", Sql::join(functions, ", ")));
        all.push(sql!("DROP CAST ({} AS {})", stand_in, real));
        all.push(sql!("DROP CAST ({} AS {})", real, stand_in));
        all.push(sql!("DROP TYPE {}", stand_in));
        all
    }

    /// Gives it another name.
    pub(super) fn rename(&self, from: &TableName, to: &TableName) -> Sql {
        let kind = if self.is_enum() { sql!("TYPE") } else { sql!("DOMAIN") };
        sql!("ALTER {} {} RENAME TO {}", kind, from, to.name)
    }

    /// Nobody has made anything of it: a column of it would not become one of the type.
    pub(super) fn unused(&self) -> Assert {
        let (real, stand_in) = (&self.object.name, self.target);
        let own = sql!(
            "SELECT oid FROM pg_catalog.pg_proc WHERE pronamespace = pg_catalog.to_regnamespace({})::oid",
            Literal(sql!("{}", self.cx.policy.schema).to_string())
        );
        let query = sql!(
            "WITH gone(id) AS (SELECT oid FROM pg_catalog.pg_type WHERE oid = pg_catalog.to_regtype({}) \
             UNION SELECT typarray FROM pg_catalog.pg_type WHERE oid = pg_catalog.to_regtype({}) AND typarray <> 0) \
             SELECT DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) || ' uses ' || {} \
             FROM gone JOIN pg_catalog.pg_depend AS d ON d.refclassid = 'pg_catalog.pg_type'::regclass AND d.refobjid = gone.id \
             WHERE d.deptype <> 'i' AND d.classid <> 'pg_catalog.pg_cast'::regclass \
             AND NOT (d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid IN ({})) \
             AND NOT (d.classid = 'pg_catalog.pg_operator'::regclass AND EXISTS \
             (SELECT FROM pg_catalog.pg_operator AS o WHERE o.oid = d.objid AND o.oprcode::oid IN ({}))) ORDER BY 1",
            Literal(sql!("{}", stand_in).to_string()),
            Literal(sql!("{}", stand_in).to_string()),
            Literal(stand_in.to_string()),
            own.clone(),
            own
        );
        Assert {
            query,
            message: format!("nothing is made of {stand_in}, which stands in for {real}"),
            help: format!(
                "what is named here would keep the stand-in's type: give a column the type {real} (ALTER TABLE … ALTER COLUMN … TYPE {real} USING …::text::{real}), drop or make the rest with the old name; then run `crossfade contract` again"
            ),
        }
    }
}
