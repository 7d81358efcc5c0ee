//! `crossfade backfill`: the copy of one column alone, for an expand that was made by hand.
//!
//! A plan is one sweep of the table and the count of what it left: a trigger that was made by hand may be conditional, so that a row which is
//! written meanwhile moves out of the sweep's way (reference, B3.2). Whether another sweep follows is not decided here.

mod request;

pub use request::BackfillArgument;
pub use request::BackfillRequest;

use super::InFlight;
use super::Policy;
use super::builder::can_be_swept;
use super::builder::count_units;
use super::builder::sweep_units;
use super::builder::vacuum;
use super::conflicts;
use super::sync::image_differs;
use crate::catalog::Catalog;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::catalog::Trigger;
use crate::finding::Finding;
use crate::lock::LockMode;
use crate::lock::TableLock;
use crate::migration::checksum;
use crate::operation::missing_table;
use crate::operation::no_column;
use crate::operation::unknown_columns;
use crate::sql;
use crate::sql::Expr;
use crate::sql::Ident;
use crate::sql::Literal;
use crate::sql::ObjectRef;
use crate::sql::Outer;
use crate::sql::Sql;
use crate::step::Action;
use crate::step::Backfill;
use crate::step::Claim;
use crate::step::Outcome;
use crate::step::PLAN_FORMAT;
use crate::step::Phase;
use crate::step::Plan;
use crate::step::PlanKind;
use crate::step::Preflight;
use crate::step::Step;
use crate::step::StepId;
use crate::step::Tidy;
use crate::step::Verify;

/// What stands in the place of a migration's version: no file can have it.
const VERSION: &str = "backfill";

/// A request that can be carried out.
#[derive(Clone, Debug)]
pub struct PlannedBackfill {
    /// The plan.
    pub plan: Plan,
    /// What it comes to, as one statement.
    pub statement: Sql,
    least_stripes: u32,
}

impl PlannedBackfill {
    /// Whether a plan that was begun does the same, in chunks that are small enough.
    pub fn is_begun_by(&self, begun: &Plan) -> bool {
        let fine = begun.steps.iter().all(|step| match &step.action {
            Action::Backfill(fill) => fill.units.iter().all(|unit| unit.stripes >= self.least_stripes),
            Action::Ddl(_)
            | Action::Concurrently(_)
            | Action::Validate(_)
            | Action::Verify(_)
            | Action::Assert(_)
            | Action::Hold { .. } => true,
        });
        begun.name == self.plan.name && begun.assumes == self.plan.assumes && fine
    }
}

/// Plans one sweep of the table and the count of what it left.
///
/// # Errors
///
/// Every finding, when at least one of them refuses the request.
pub fn plan_backfill(
    request: &BackfillRequest,
    catalog: &Catalog,
    policy: &Policy,
    in_flight: &[InFlight],
) -> Result<PlannedBackfill, Vec<Finding>> {
    let Some(table) = catalog.resolve(&request.table) else {
        return Err(vec![missing_table(catalog, &request.table, None)]);
    };
    let relations = relations(catalog, table);
    let claims = vec![Claim { table: table.name.clone(), column: Some(request.target.as_str().to_owned()) }];
    let mut findings = refusals(request, catalog, table, &relations, policy);
    findings.extend(conflicts(in_flight.iter(), &claims));
    let value = request.value.clone().unwrap_or_else(|| Expr::column(request.source.as_str()));
    let mut own = |expr: &Expr, argument: BackfillArgument| match over_own_row(catalog, table, expr, argument) {
        Ok(expr) => Some(expr),
        Err(found) => {
            findings.extend(found);
            None
        }
    };
    let value = own(&value, BackfillArgument::Value);
    let only = request.only.as_ref().map(|only| own(only, BackfillArgument::Only));
    let (Some(value), Some(target), false) =
        (value, table.column(request.target.as_str()), findings.iter().any(Finding::is_error))
    else {
        return Err(findings);
    };
    if value.names(request.target.as_str()) {
        return Err(vec![
            Finding::error(
                "reads-target",
                None,
                format!("--expr reads {}, which it writes: done twice to a row it could change it twice", target.name),
            )
            .help("leave rows that have their value out with --where; or write an UPDATE into a migration, which does each row once"),
        ]);
    }
    let name = &request.target;
    let set = sql!("{} = {}", name, value.over_table());
    let mut left = image_differs([sql!("{}", name)], [sql!("{}::{}", value.over_table(), target.type_name)]);
    let mut whole = sql!("UPDATE {} SET {}", table.name, set);
    let mut functions = vec![value];
    if let Some(only) = only.flatten() {
        left = sql!("{} AND {}", only.over_table(), left);
        whole = sql!("{} WHERE {}", whole, only.over_table());
        functions.push(only);
    }
    let least = request.least_stripes(catalog);
    let mut units = sweep_units(catalog, table, &relations, &set, &left);
    units.iter_mut().for_each(|unit| unit.stripes = unit.stripes.max(least));
    let estimated: u64 = relations.iter().map(|relation| relation.estimated_rows).sum();
    let tidy = (estimated > policy.small_rows)
        .then(|| Tidy { analyze: sql!("ANALYZE {} ({})", table.name, name), vacuum: Some(vacuum(&table.name)) });
    let fill = Backfill {
        table: table.name.clone(),
        units,
        quiet: false,
        in_order: false,
        tidy,
        outcome: Outcome::Verified,
        park: policy.park,
    };
    let statements: String = fill.units.iter().map(|unit| format!("{}\n", unit.statement)).collect();
    let rest = Verify {
        table: table.name.clone(),
        units: count_units(catalog, table, &relations, &left),
        help: "something writes them anew: a trigger that takes the value away again, or an application that no trigger keeps in step".to_owned(),
    };
    let triggers = triggers(table, &relations);
    let plan = Plan {
        format: PLAN_FORMAT,
        version: VERSION.to_owned(),
        name: request.arguments(&table.name),
        kind: PlanKind::Backfill,
        checksum: checksum(whole.as_str()),
        // A sweep that sets rows aside is another one.
        assumes: checksum(&format!("{statements}{}", policy.park)),
        claims,
        preflight: functions.iter().filter_map(volatile_functions).collect(),
        steps: steps(table, &relations, name, fill, rest, &triggers),
        findings: triggers,
    };
    Ok(PlannedBackfill { plan, statement: whole, least_stripes: least })
}

fn steps(
    table: &Table,
    relations: &[&Table],
    target: &Ident,
    fill: Backfill,
    rest: Verify,
    triggers: &[Finding],
) -> Vec<Step> {
    let locks = |mode| relations.iter().map(|relation| TableLock::new(relation.name.clone(), mode)).collect();
    let step = |id, summary, action, locks, hazards| Step {
        id: StepId(id),
        phase: Phase::Migrate,
        summary,
        action,
        undo: None,
        locks,
        hazards,
    };
    let hazards = triggers.iter().map(|trigger| trigger.message.clone()).collect();
    let strongest = if fill.tidy.is_some() { LockMode::ShareUpdateExclusive } else { LockMode::RowExclusive };
    vec![
        step(
            0,
            format!("fill {target} of {} where it differs", table.name),
            Action::Backfill(fill),
            locks(strongest),
            hazards,
        ),
        step(
            1,
            format!("count the rows of {} that are left", table.name),
            Action::Verify(rest),
            locks(LockMode::AccessShare),
            Vec::new(),
        ),
    ]
}

/// The relations that hold the rows which an UPDATE of the table would reach, children by inheritance, too.
fn relations<'c>(catalog: &'c Catalog, table: &'c Table) -> Vec<&'c Table> {
    let mut found = catalog.leaves(table);
    for child in table.inheritance_children.iter().filter_map(|child| catalog.table(child)) {
        for relation in relations(catalog, child) {
            if !found.iter().any(|known| known.name == relation.name) {
                found.push(relation);
            }
        }
    }
    found
}

/// The partitioned tables above and below, whose keys tell where a row belongs.
fn partition_keys<'c>(catalog: &'c Catalog, table: &'c Table) -> impl Iterator<Item = &'c String> {
    let mut above = Vec::new();
    let mut next = table.partition_of.as_ref();
    while let Some(parent) = next.and_then(|name| catalog.table(name)) {
        above.push(parent);
        next = parent.partition_of.as_ref();
    }
    above.into_iter().chain(catalog.tree(table)).flat_map(|table| &table.partition_key)
}

fn refusals(
    request: &BackfillRequest,
    catalog: &Catalog,
    table: &Table,
    relations: &[&Table],
    policy: &Policy,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(other) = std::iter::once(&table).chain(relations).find(|relation| !can_be_swept(relation)) {
        let what = if other.kind == TableKind::Foreign { "is a foreign table" } else { "is no ordinary table" };
        findings.push(
            Finding::error("not-a-table", None, format!("{} {what}", other.name))
                .help("a backfill needs tables whose rows stand in blocks (heap, plain or partitioned)"),
        );
    }
    if table.name.schema == policy.schema {
        findings.push(Finding::error("not-a-table", None, format!("{} is a table of the journal", table.name)));
    }
    for column in [&request.source, &request.target] {
        if table.column(column.as_str()).is_none() {
            let mut finding = no_column(table, column.as_str(), None);
            let other = table.columns.iter().find(|known| known.name.eq_ignore_ascii_case(column.as_str()));
            if let Some(other) = other {
                finding = finding.help(format!("there is {}", sql!("{}", Ident::new(other.name.as_str()))));
            }
            findings.push(finding);
        }
    }
    let what = format!("{}.{}", table.name, request.target);
    if table.column(request.target.as_str()).is_some_and(|column| column.generated.is_some()) {
        findings.push(
            Finding::error("generated-column", None, format!("{what} is generated, so it can't be written"))
                .help("the server computes it by itself"),
        );
    }
    if partition_keys(catalog, table).any(|key| key == request.target.as_str()) {
        findings.push(
            Finding::error("partition-key", None, format!("{what} is part of a partition key"))
                .help("its rows would have to move to other partitions: make a new table and move the rows"),
        );
    }
    if request.value.is_none() && request.source == request.target {
        findings.push(
            Finding::error("nothing-to-copy", None, format!("SOURCE and TARGET are both {what}"))
                .help("name another column, or say with --expr what the value is"),
        );
    }
    findings
}

/// The expression over the columns of its row, with what it takes from other tables told apart.
fn over_own_row(
    catalog: &Catalog,
    table: &Table,
    expr: &Expr,
    argument: BackfillArgument,
) -> Result<Expr, Vec<Finding>> {
    let what = argument.name();
    let one = |finding: Finding| Err(vec![finding]);
    if expr.uses_whole_row() && !expr.has_subquery() {
        let message = format!("{what} uses the row as a whole");
        return one(Finding::error("whole-row", None, message).help("name the columns"));
    }
    if argument == BackfillArgument::Value && expr.asks_the_moment() {
        let message = format!("{what} is another value in each transaction: {}", expr.as_written());
        return one(Finding::error("volatile-value", None, message)
            .help("write the moment down (TIMESTAMPTZ '2026-01-31 12:00+00'), or make it the column's default"));
    }
    let columns: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
    let columns_of = |relation: &ObjectRef| {
        let known = catalog.resolve(relation)?;
        Some(known.columns.iter().map(|column| column.name.clone()).collect())
    };
    let outer = Outer { name: table.name.name.as_str(), columns: &columns, columns_of: &columns_of };
    let expr = match expr.lifted(outer) {
        Ok(expr) => expr,
        Err(why) => return one(Finding::error("subquery", None, format!("{what} is not understood: {why}"))),
    };
    let mut findings: Vec<Finding> = expr
        .columns()
        .filter_map(|column| column.qualifier.as_ref())
        .filter(|qualifier| qualifier.as_str() != table.name.name.as_str())
        .map(|qualifier| {
            Finding::error("no-such-table", None, format!("{what} names a table {qualifier}"))
                .help("an expression names columns of its own row; another table stands in a subquery")
        })
        .collect();
    findings.extend(unknown_columns(table, &[], &expr, None, what));
    if findings.is_empty() { Ok(expr) } else { Err(findings) }
}

/// Asks the server for volatile functions among those that are called: a value that is another one each time is never filled.
fn volatile_functions(expr: &Expr) -> Option<Preflight> {
    let called = expr.functions().iter().map(|(schema, name)| {
        let place = match schema {
            Some(schema) => sql!("n.nspname = {}", Literal(schema.clone())),
            None => sql!("pg_catalog.pg_function_is_visible(p.oid)"),
        };
        sql!("(p.proname = {} AND {})", Literal(name.clone()), place)
    });
    let called: Vec<Sql> = called.collect();
    if called.is_empty() {
        return None;
    }
    Some(Preflight {
        query: sql!(
            "SELECT p.oid::pg_catalog.regprocedure::text FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace \
             WHERE p.provolatile = 'v' AND ({}) LIMIT 1",
            Sql::join(called, " OR ")
        ),
        finding: Finding::error(
            "volatile-value",
            None,
            "a volatile function gives another value each time, so a row would never be filled",
        )
        .help("use one that is STABLE or IMMUTABLE; or write an UPDATE into a migration, which does each row once"),
    })
}

/// The user's triggers that the sweep fires.
fn triggers(table: &Table, relations: &[&Table]) -> Vec<Finding> {
    let all = std::iter::once(&table).chain(relations).flat_map(|relation| &relation.triggers);
    let mut known: Vec<&Trigger> = all.filter(|trigger| trigger.on_update && trigger.enabled).collect();
    known.sort_by_key(|trigger| trigger.name.as_str());
    known.dedup_by_key(|trigger| trigger.name.as_str());
    let says = |trigger: &Trigger| {
        let when = if trigger.row { "each row that is filled" } else { "each chunk" };
        Finding::warning("trigger-fires", None, format!("trigger {} fires for {when}", trigger.name))
    };
    known.into_iter().map(says).collect()
}
