//! RENAME and SET SCHEMA of a type or a domain: until contract a stand-in has the new name, and the type itself is left alone. Contract takes
//! the new name from the stand-in and gives it to the type; the stand-in stays until the purge under a name of ours, for clients that know it by
//! its number (docs/decisions/0016).

mod stand_in;

use self::stand_in::StandIn;
use super::Operation;
use super::claim;
use super::whole::destination;
use super::whole::guard;
use super::whole::moved;
use super::whole::rename_type;
use super::whole::retired;
use super::whole::type_of;
use crate::catalog::Catalog;
use crate::catalog::Object;
use crate::catalog::Table;
use crate::finding::Finding;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql::Destination;
use crate::sql::ObjectKind;
use crate::sql::Span;
use crate::sql::TableName;
use crate::step::Claim;
use crate::step::Phase;

/// A type that gets another name or goes into another schema.
#[derive(Clone, Debug)]
pub(super) struct RenameType {
    pub kind: ObjectKind,
    pub object: Object,
    pub to: Destination,
    /// Columns of this type, or of arrays of it: what keeps them in sync for others would name it.
    pub columns: Vec<Claim>,
    pub span: Span,
}

impl RenameType {
    pub(super) fn new(
        catalog: &Catalog,
        kind: ObjectKind,
        object: &Object,
        to: &Destination,
        span: Span,
    ) -> RenameType {
        let of = |table: &Table| {
            let columns = table.columns.iter().filter(|column| type_of(column).as_ref() == Some(&object.name));
            columns.map(|column| claim(table, &column.name)).collect::<Vec<_>>()
        };
        let columns = catalog.tables.iter().flat_map(of).collect();
        RenameType { kind, object: object.clone(), to: to.clone(), columns, span }
    }

    fn target(&self) -> TableName {
        destination(&self.object.name, &self.to)
    }
}

impl Operation for RenameType {
    fn way(&self) -> Option<&'static str> {
        Some("a stand-in has the new name until contract")
    }

    fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        let (name, target) = (&self.object.name, self.target());
        let composite = self.object.kind == "composite";
        let taken = cx.catalog.table(&target).is_some()
            || cx.catalog.objects.iter().any(|object| {
                let clashes = match object.kind.as_str() {
                    "type" | "composite" => true,
                    "sequence" => composite,
                    _ => false,
                };
                clashes && object.name == target
            });
        if taken {
            findings.push(
                Finding::error("name-taken", self.span, format!("there is already something of the name {target}"))
                    .help("take another name, or drop what has it first, in a migration of its own"),
            );
        }
        let (message, help) = if self.object.labels.is_empty() {
            (
                format!("until contract {target} is a domain over {name}"),
                "casts, parameters, function arguments and array values work through it; comparing an array of the one with an array of the other does not",
            )
        } else {
            (
                format!("until contract {target} stands beside {name}, and values go from the one to the other"),
                "casts, parameters, comparisons, IN, function arguments and array values work across the two; comparing an array of the one with an array of the other does not, and `= ANY (…)` over an array of the new name does without an index",
            )
        };
        findings.push(Finding::warning("stand-in-until-contract", self.span, message).help(format!(
            "{help}; a column has the type under its old name, for clients that ask; what is made of the new name (a column, a function) must be gone before contract"
        )));
        findings
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let (name, target) = (&self.object.name, self.target());
        let stand_in = StandIn::new(cx, &self.object, &target);
        let made = stand_in.make();
        let says = format!("make {target}, which stands in for {name}");
        steps.late(Phase::Expand, says, (Vec::new(), made), Some((Vec::new(), stand_in.unmake(&target))));
        let unused = stand_in.unused();
        let still = guard(&unused);
        steps.late_assert(Phase::Contract, unused);
        let (go, back) = (moved(self.kind, name, &target), moved(self.kind, &target, name));
        if !cx.policy.retain {
            let mut there = vec![still];
            there.extend(stand_in.unmake(&target));
            there.push(go);
            let mut undo = vec![back];
            undo.extend(stand_in.make());
            let says = format!("drop the stand-in, make {name} be {target}");
            steps.late(Phase::Contract, says, (Vec::new(), there), Some((Vec::new(), undo)));
            return;
        }
        let old = retired(cx, &target);
        let mut there = vec![still, stand_in.rename(&target, &old), go];
        there.extend(stand_in.compare(&target));
        let mut undo = vec![back, stand_in.rename(&old, &target)];
        undo.extend(stand_in.compare(name));
        let says = format!("retire the stand-in, make {name} be {target}");
        steps.late(Phase::Contract, says, (Vec::new(), there), Some((Vec::new(), undo)));
        let says = format!("drop what stood in for {target}");
        steps.late(Phase::Purge, says, (Vec::new(), stand_in.unmake(&old)), None);
    }

    fn project(&self, catalog: &mut Catalog) {
        let target = self.target();
        let own = |object: &&mut Object| object.name == self.object.name && object.kind == self.object.kind;
        catalog.objects.iter_mut().filter(own).for_each(|object| object.name = target.clone());
        rename_type(catalog, &self.object.name, &target);
    }

    fn claims(&self) -> Vec<Claim> {
        let names = [self.object.name.clone(), self.target()].map(|table| Claim { table, column: None });
        names.into_iter().chain(self.columns.iter().cloned()).collect()
    }
}
