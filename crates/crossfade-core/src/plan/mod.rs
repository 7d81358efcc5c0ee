//! From a migration and a catalog to a plan. Pure, and nothing is left to decide afterwards.

mod audit;
mod backfill;
mod builder;
mod made_in_run;
mod reference;
mod rows;
mod sync;

pub use audit::audit;
pub use backfill::BackfillArgument;
pub use backfill::BackfillRequest;
pub use backfill::PlannedBackfill;
pub use backfill::plan_backfill;
pub use builder::Around;
pub use builder::StepsBuilder;
pub(crate) use builder::can_be_swept;
pub use made_in_run::MadeInRun;
pub use reference::OrphanNames;
pub use reference::Orphans;
pub use reference::Reference;
pub use rows::Part;
pub(crate) use rows::RowsStep;
pub(crate) use rows::rows_backfill;
pub use sync::Group;
pub use sync::NewColumn;
pub use sync::OldColumn;
pub use sync::Rule;
pub use sync::SEEN_FUNCTION;
pub use sync::Shape;
pub use sync::TRIGGERS;
pub use sync::Until;
pub(crate) use sync::is_wider;

use std::collections::BTreeMap;

use crate::catalog::Catalog;
use crate::finding::Finding;
use crate::finding::Severity;
use crate::migration::Migration;
use crate::operation;
use crate::sql::Ident;
use crate::step::Claim;
use crate::step::PLAN_FORMAT;
use crate::step::Plan;
use crate::step::PlanKind;

/// What the team decided, as far as planning depends on it.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The schema of the journal and of the sync functions.
    pub schema: Ident,
    /// Whether contract keeps the old form until a purge.
    pub retain: bool,
    /// A table of at most this many rows is changed as a whole without a word.
    pub small_rows: u64,
    /// Whether a row whose new value can't be computed is set aside, in the place of a failure.
    pub park: bool,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy { schema: Ident::new("crossfade"), retain: true, small_rows: 10_000, park: false }
    }
}

/// A plan that has begun and is not finished.
#[derive(Clone, Debug)]
pub struct InFlight {
    /// The migration's version.
    pub version: String,
    /// Its name.
    pub name: String,
    /// What it has in its hands.
    pub claims: Vec<Claim>,
}

/// What planning goes by.
#[derive(Clone, Copy, Debug)]
pub struct PlanContext<'a> {
    /// The migration.
    pub migration: &'a Migration,
    /// The schema.
    pub catalog: &'a Catalog,
    /// The team's decisions.
    pub policy: &'a Policy,
    /// Plans that have begun and are not finished.
    pub in_flight: &'a [InFlight],
    /// What earlier migrations of the same run have made: nobody uses it yet.
    pub made_in_run: &'a MadeInRun,
}

impl PlanContext<'_> {
    /// A name of ours for something that stands in for a thing of the user's until the migration is done.
    pub fn own_name(&self, role: &str, stem: &str) -> Ident {
        Ident::derived(&format!("_cf_{role}_{}_", self.migration.version), stem)
    }
}

/// Plans a migration.
///
/// # Errors
///
/// Every finding, when at least one of them refuses the migration.
pub fn plan(cx: PlanContext<'_>) -> Result<Plan, Vec<Finding>> {
    let refused = match plan_as_used(cx) {
        Ok(plan) => return Ok(plan),
        Err(findings) => findings,
    };
    // What runs at once on a table that nobody uses may need a way back, beside something that waits. In phases it has one of its own.
    if !refused.iter().any(|finding| finding.rule == "undo-needed") {
        return Err(refused);
    }
    let catalog = Catalog { other_sessions: cx.catalog.other_sessions.max(1), ..cx.catalog.clone() };
    plan_as_used(PlanContext { catalog: &catalog, made_in_run: &MadeInRun::default(), ..cx }).map_err(|_| refused)
}

fn plan_as_used(cx: PlanContext<'_>) -> Result<Plan, Vec<Finding>> {
    let (operations, mut findings) = operation::understand(&cx);
    for operation in &operations {
        findings.extend(operation.check(&cx));
    }
    let mut claims: Vec<Claim> = operations.iter().flat_map(|operation| operation.claims()).collect();
    claims.sort();
    claims.dedup();
    let others = cx.in_flight.iter().filter(|other| other.version != cx.migration.version);
    // A type that is named must not be about to get another name; it may be named by any number.
    let named = operation::named_types(&cx).into_iter().map(|table| Claim { table, column: None });
    // Who takes the columns of a table without naming them would take those that are there for a time only.
    let taken = cx.migration.statements.iter().filter(|statement| statement.direct.is_none()).flat_map(|statement| {
        let tables = cx.catalog.tables.iter().map(|table| &table.name);
        tables.filter(|table| operation::takes_columns(cx.catalog, &statement.parsed, table))
    });
    let taken = taken.map(|table| Claim { table: table.clone(), column: None });
    findings.extend(conflicts(others, &claims.iter().cloned().chain(named).chain(taken).collect::<Vec<_>>()));
    if findings.iter().any(Finding::is_error) {
        findings.sort_by_key(|finding| (std::cmp::Reverse(finding.severity), finding.span));
        return Err(findings);
    }
    let lower = |mut steps: StepsBuilder<'_>| {
        operations.iter().for_each(|operation| steps.lower(operation.as_ref()));
        steps.finish()
    };
    let mut lowered = lower(StepsBuilder::new(cx));
    // Whether the file waits is known when all of it is lowered.
    if lowered.2.iter().any(|finding| finding.rule == "undo-needed") {
        lowered = lower(StepsBuilder::new(cx).keeping_made_rows());
    }
    let (steps, mut preflight, more) = lowered;
    // The server can't say what it thinks of what the file itself makes first.
    let made = operation::made(&cx);
    preflight.retain(|check| !made.iter().any(|made| made.is_used_in(check.query.as_str())));
    findings.extend(more);
    if findings.iter().any(Finding::is_error) {
        return Err(findings);
    }
    findings.retain(|finding| finding.severity < Severity::Error);
    let phased = steps.iter().any(|step| !matches!(step.action, crate::step::Action::Ddl(_))) || steps.len() > 1;
    Ok(Plan {
        format: PLAN_FORMAT,
        version: cx.migration.version.clone(),
        name: cx.migration.name.clone(),
        kind: PlanKind::Up,
        checksum: cx.migration.checksum.clone(),
        assumes: fingerprint(cx.catalog, &claims),
        claims: if phased { claims } else { Vec::new() },
        preflight,
        steps,
        findings,
    })
}

/// Plans the way back by a down file: as written, in one transaction.
///
/// # Errors
///
/// Every finding, when at least one of them refuses the file.
pub fn plan_down(cx: PlanContext<'_>) -> Result<Plan, Vec<Finding>> {
    let mut steps = StepsBuilder::new(cx);
    for statement in &cx.migration.statements {
        operation::as_written(&cx, statement, Vec::new(), &mut steps);
    }
    let (steps, preflight, findings) = steps.finish();
    let plan = Plan {
        format: PLAN_FORMAT,
        version: cx.migration.version.clone(),
        name: cx.migration.name.clone(),
        kind: PlanKind::Down,
        checksum: cx.migration.checksum.clone(),
        assumes: fingerprint(cx.catalog, &[]),
        claims: Vec::new(),
        preflight,
        steps,
        findings,
    };
    Ok(plan)
}

/// The schema as it will be when the migration is finished.
pub fn project(cx: PlanContext<'_>) -> Catalog {
    let mut catalog = cx.catalog.clone();
    for operation in operation::understand(&cx).0 {
        operation.project(&mut catalog);
    }
    catalog
}

/// What of these claims another migration has in hand.
fn conflicts<'f>(in_flight: impl Iterator<Item = &'f InFlight>, claims: &[Claim]) -> Vec<Finding> {
    let mut by_version: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for other in in_flight {
        for theirs in &other.claims {
            for ours in claims.iter().filter(|ours| ours.table == theirs.table) {
                let same = match (&ours.column, &theirs.column) {
                    (Some(ours), Some(theirs)) => ours == theirs,
                    (None, Some(_)) | (Some(_), None) | (None, None) => true,
                };
                if same {
                    let what = match (&theirs.column, &ours.column) {
                        (Some(column), _) | (None, Some(column)) => format!("{}.{column}", theirs.table),
                        (None, None) => theirs.table.to_string(),
                    };
                    by_version.entry(&other.version).or_default().push(what);
                }
            }
        }
    }
    by_version
        .into_iter()
        .map(|(version, mut what)| {
            what.sort();
            what.dedup();
            let what = what.join(", ");
            Finding::error("in-flight", None, format!("migration {version} is in flight and has {what} in its hands"))
                .help(format!("finish it first (`crossfade contract {version}`, `crossfade purge {version}`), or undo it (`crossfade rollback {version}`)"))
        })
        .collect()
}

/// What a plan takes for granted of the tables that it works on.
pub fn fingerprint(catalog: &Catalog, claims: &[Claim]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for table in &catalog.tables {
        if !claims.iter().any(|claim| claim.table == table.name) {
            continue;
        }
        let _ = write!(text, "{:?} {:?} {:?}", table.name, table.kind, table.partition_of);
        for column in &table.columns {
            let _ = write!(text, " {} {} {} {:?}", column.name, column.type_name, column.not_null, column.default);
        }
        for constraint in &table.constraints {
            let _ = write!(text, " {} {}", constraint.name, constraint.definition);
        }
        for index in &table.indexes {
            let _ = write!(text, " {}", index.definition);
        }
    }
    crate::migration::checksum(&text)
}
