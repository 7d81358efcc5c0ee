//! One column: its values in both directions, its shadow, and what it has of its own.

use super::Retype;
use super::TakenOver;
use crate::finding::Finding;
use crate::plan::Group;
use crate::plan::NewColumn;
use crate::plan::OldColumn;
use crate::plan::PlanContext;
use crate::plan::Shape;
use crate::plan::StepsBuilder;
use crate::plan::Until;
use crate::sql;
use crate::sql::Expr;
use crate::sql::Ident;
use crate::sql::Literal;
use crate::sql::Made;
use crate::sql::ObjectRef;
use crate::sql::ServerText;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::step::Preflight;

/// What a boolean can be made of, and made into again by way of an integer.
const NUMBERS: [&str; 6] = ["int2", "int4", "int8", "numeric", "float4", "float8"];

impl Retype {
    pub(super) fn name(&self) -> Ident {
        Ident::new(self.column.name.as_str())
    }

    /// The new column until contract.
    pub(super) fn shadow(&self, cx: &PlanContext<'_>) -> Ident {
        cx.own_name("new", &self.column.name)
    }

    /// The end of the change in the model.
    pub(in super::super) fn taken_over(&self, cx: &PlanContext<'_>) -> TakenOver {
        let successor = self.shadow(cx).as_str().to_owned();
        TakenOver { table: self.table.name.clone(), successor, column: self.column.name.clone(), span: self.span }
    }

    /// The old column from contract to purge.
    pub(super) fn retired(&self, cx: &PlanContext<'_>) -> Ident {
        cx.own_name("old", &self.column.name)
    }

    /// Whether the file makes it NOT NULL.
    pub(super) fn becomes_not_null(&self) -> bool {
        self.not_null && !self.column.not_null
    }

    /// The CHECK that proves the shadow to be NOT NULL.
    pub(super) fn proof(&self, cx: &PlanContext<'_>) -> Option<Ident> {
        self.not_null.then(|| cx.own_name("nn", self.shadow(cx).as_str()))
    }

    /// The new value: as the file says, or as the assignment cast makes it. Between `timestamp` and `timestamptz` the file's own time zone
    /// decides, not that of whichever session writes.
    pub(in super::super) fn up_expr(&self) -> Option<Expr> {
        if let Some(up) = self.up.as_ref().or(self.to.using.as_ref()) {
            return Some(up.clone());
        }
        match self.time_zone_cast() {
            Some(text) => Expr::from_sql(&text).ok(),
            None => Some(Expr::column(&self.column.name)),
        }
    }

    fn down_expr(&self, cx: &PlanContext<'_>) -> Option<Expr> {
        if self.down.is_some() {
            return self.down.clone();
        }
        if let Some(text) = self.time_zone_cast() {
            return Expr::from_sql(&text).ok();
        }
        let (name, old) = (self.name(), &self.column.type_name);
        let text = if self.to.base_type == "bool" && NUMBERS.contains(&self.column.base_type.as_str()) {
            // The server has a cast from boolean to integer only.
            sql!("{}::pg_catalog.int4::{}", name, old)
        } else if self.goes_back_by_text(cx) {
            sql!("{}::text::{}", name, old)
        } else {
            sql!("{}::{}", name, old)
        };
        Expr::from_sql(&text).ok()
    }

    /// Whether the server knows no cast from the new type to the old one, but both have a text: of an enum and another type, and of a type that the file
    /// makes and the one that was there.
    fn goes_back_by_text(&self, cx: &PlanContext<'_>) -> bool {
        let is_enum = |base_type: &str| {
            // An array's type has an underscore in front.
            let known = |name: &str| base_type == name || base_type.strip_prefix('_') == Some(name);
            cx.catalog.objects.iter().any(|object| !object.labels.is_empty() && known(object.name.name.as_str()))
        };
        let made = crate::operation::made(cx).contains(&Made::Named(self.to.base_type.clone()));
        self.replaced.is_some() || made || is_enum(&self.column.base_type) || is_enum(&self.to.base_type)
    }

    /// The server must know how the old value comes about: after contract it is asked for at each write of the application.
    fn goes_back(&self, down: &Expr) -> Preflight {
        let value = down.render(|_| sql!("(SELECT NULL::{})", self.to.type_name));
        let (name, old) = (&self.column.name, self.column.type_name.as_str());
        Preflight {
            query: sql!("SELECT (({})::{})::text FROM ONLY {} LIMIT 0", value, self.column.type_name, self.table.name),
            finding: Finding::error(
                "down-needed",
                self.span,
                format!(
                    "the way back of {}.{name} to {old} is not known: the server refuses {}",
                    self.table.name,
                    down.as_written()
                ),
            )
            .help("say in front of the statement how the old value comes about: `-- crossfade: down EXPRESSION`"),
        }
    }

    /// The type's name after contract, where it has another one then.
    fn renamed_at_contract(&self, cx: &PlanContext<'_>, name: &ObjectRef) -> Option<TableName> {
        let (both, old) = self.replaced.as_ref()?;
        let full = cx.catalog.place(name);
        let shadow = cx.own_name("new", both.name.as_str());
        if full == *both {
            Some(old.clone())
        } else if full.schema == both.schema && full.name == shadow {
            Some(both.clone())
        } else {
            None
        }
    }

    /// The old column, as the way back after contract names it.
    fn old_column(&self, cx: &PlanContext<'_>, down: Expr) -> OldColumn {
        let put = |name: &ObjectRef| self.renamed_at_contract(cx, name);
        let renamed = Expr::from_sql(&sql!("NULL::{}", self.column.type_name)).ok();
        let renamed = renamed.and_then(|cast| cast.with_types(&put));
        let text = renamed.as_ref().and_then(|cast| cast.as_written().strip_prefix("NULL::"));
        let type_name = text.map_or_else(|| self.column.type_name.clone(), ServerText::from_server);
        let down = down.with_types(&put).unwrap_or(down);
        OldColumn { type_name, ..super::super::old_column(cx, &self.column, Some(down)) }
    }

    /// The new value as the file makes it, in the names that its types have after contract, where it may make one of a NULL.
    pub(super) fn value_of_null(&self, cx: &PlanContext<'_>) -> Option<Expr> {
        let up = self.up.as_ref().or(self.to.using.as_ref()).filter(|up| !up.is_null_of_nulls())?;
        let value = Expr::from_sql(&sql!("{}::{}", up.over_table(), self.to.type_name)).ok()?;
        let renamed = value.with_types(&|name: &ObjectRef| self.renamed_at_contract(cx, name));
        Some(renamed.unwrap_or(value))
    }

    /// Whether the cast depends on the session's time zone.
    pub(super) fn turns_zone(&self) -> bool {
        let pair = (self.column.base_type.as_str(), self.to.base_type.as_str());
        matches!(pair, ("timestamp", "timestamptz") | ("timestamptz", "timestamp"))
    }

    fn time_zone_cast(&self) -> Option<Sql> {
        let zone = self.time_zone.clone().filter(|_| self.turns_zone())?;
        Some(sql!("{} AT TIME ZONE {}", self.name(), Literal(zone)))
    }

    /// The shadow and what keeps it in sync.
    pub(super) fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let (Some(up), Some(down)) = (self.up_expr(), self.down_expr(cx)) else { return };
        let (table, shadow, name) = (&self.table.name, self.shadow(cx), self.name());
        let collation =
            self.to.collation.as_ref().map(|collation| sql!(" COLLATE {}", collation)).unwrap_or_else(|| sql!(""));
        steps.preflight(Preflight {
            query: sql!("SELECT ({}::{})::text FROM ONLY {} LIMIT 0", up.over_table(), self.to.type_name, table),
            finding: Finding::error(
                "expression",
                self.span,
                format!("the server refuses {} as the new value", up.as_written()),
            ),
        });
        steps.preflight(self.goes_back(&down));
        if up.as_column().is_some() || self.keeps_default() {
            steps.preflight(self.assignable());
        }
        steps.add_column(table, sql!("{} {}{}", shadow, self.to.type_name, collation));
        steps.sync(
            table,
            Group {
                shape: Shape::Retype { name: name.clone() },
                old: vec![self.old_column(cx, down)],
                new: vec![NewColumn {
                    name: shadow,
                    type_name: self.to.type_name.clone(),
                    up,
                    default: None,
                    not_null: false,
                }],
                until: Until::Contract,
                mend: Vec::new(),
                loud: false,
                counts: false,
            },
        );
    }

    /// Whether its default stays, cast to the new type.
    pub(super) fn keeps_default(&self) -> bool {
        self.default.is_none() && self.column.default.is_some()
    }

    /// Its default after the change.
    pub(super) fn set_default(&self) -> Option<Sql> {
        let expression = match (&self.default, &self.column.default) {
            (Some(default), _) => default.as_ref()?.over_table(),
            (None, default) => sql!("{}", default.as_ref()?.expression),
        };
        Some(sql!("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}", self.table.name, self.name(), expression))
    }

    /// Without USING, PostgreSQL changes a type only where an assignment cast does.
    fn assignable(&self) -> Preflight {
        let name = &self.column.name;
        let what = if self.to.using.is_none() { "column" } else { "the default of column" };
        let refusal = format!("{what} {name} can't be cast automatically to the new type");
        Preflight {
            query: sql!(
                "SELECT {} FROM (SELECT {}::pg_catalog.regtype AS s, pg_catalog.pg_typeof(NULL::{}) AS t) AS x JOIN pg_catalog.pg_type AS d ON d.oid = x.t LEFT JOIN pg_catalog.pg_type AS f ON f.oid = x.s WHERE NOT (x.s = x.t OR d.typcategory = 'S' OR d.typtype = 'd' OR f.typtype = 'd' OR d.typelem <> 0 AND f.typelem <> 0 OR EXISTS (SELECT FROM pg_catalog.pg_cast AS c WHERE c.castsource = x.s AND c.casttarget = x.t AND c.castcontext IN ('a', 'i')))",
                Literal(refusal),
                Literal(self.column.type_name.as_str().to_owned()),
                self.to.type_name
            ),
            finding: if self.to.using.is_none() {
                Finding::error("cast", self.span, format!("{name} needs a USING"))
                    .help("write ALTER COLUMN … TYPE … USING expression")
            } else {
                Finding::error("cast", self.span, format!("{name} needs another default"))
                    .help("ALTER COLUMN … DROP DEFAULT in front of it and SET DEFAULT behind it, in the same file")
            },
        }
    }
}
