//! RENAME and SET SCHEMA of a function or a procedure: until contract a copy has the new name. Contract takes the new name from the copy and gives
//! it to the function itself, so that triggers, defaults and views go on with it; the copy stays until the purge under a name of ours, for who has
//! just looked it up.

use super::Operation;
use super::whole::destination;
use super::whole::guard;
use super::whole::retired;
use crate::catalog::Catalog;
use crate::catalog::Function;
use crate::catalog::Object;
use crate::finding::Finding;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::Destination;
use crate::sql::Ident;
use crate::sql::Literal;
use crate::sql::ObjectKind;
use crate::sql::ServerText;
use crate::sql::Span;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::step::Assert;
use crate::step::Claim;
use crate::step::Phase;

/// A function that gets another name or goes into another schema.
#[derive(Clone, Debug)]
pub(super) struct RenameFunction {
    pub name: TableName,
    pub function: Function,
    pub to: Destination,
    pub span: Span,
}

impl RenameFunction {
    fn target(&self) -> TableName {
        destination(&self.name, &self.to)
    }

    fn kind(&self) -> ObjectKind {
        if self.function.procedure { ObjectKind::Procedure } else { ObjectKind::Function }
    }

    fn signature(&self, name: &TableName) -> Sql {
        sql!("{}({})", name, self.function.arguments)
    }

    /// The copy that new code uses until contract, with the owner and the rights of the function.
    fn make(&self) -> Vec<Sql> {
        let (kind, copy) = (self.kind(), self.target());
        let called = self.signature(&copy);
        let mut all = vec![sql!("CREATE {} {}{}", kind, copy, self.function.definition)];
        if let Some(grants) = &self.function.grants {
            all.push(sql!("REVOKE ALL ON {} {} FROM PUBLIC", kind, called));
            for grant in grants {
                let grantee = grant.grantee.as_ref().map(|role| sql!("{}", Ident::new(role.as_str())));
                let option = if grant.grantable { sql!(" WITH GRANT OPTION") } else { sql!("") };
                all.push(sql!(
                    "GRANT {} ON {} {} TO {}{}",
                    ServerText::from_server(grant.privilege.as_str()),
                    kind,
                    called,
                    grantee.unwrap_or_else(|| sql!("PUBLIC")),
                    option
                ));
            }
        }
        let owner = self.function.owner.as_ref();
        all.extend(owner.map(|owner| sql!("ALTER {} {} OWNER TO {}", kind, called, Ident::new(owner.as_str()))));
        all
    }

    fn unmake(&self, name: &TableName) -> Sql {
        sql!("DROP {} {}", self.kind(), self.signature(name))
    }

    fn moved(&self, from: &TableName, to: &TableName) -> Sql {
        let (kind, called) = (self.kind(), self.signature(from));
        if from.schema == to.schema {
            sql!("ALTER {} {} RENAME TO {}", kind, called, to.name)
        } else {
            sql!("ALTER {} {} SET SCHEMA {}", kind, called, to.schema)
        }
    }

    /// Nobody has made anything of the copy: it would go on with the copy.
    fn unused(&self) -> Assert {
        let (name, copy) = (&self.name, self.target());
        let called = Literal(self.signature(&copy).to_string());
        Assert {
            query: sql!(
                "SELECT DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) || ' uses ' || {} \
                 FROM pg_catalog.pg_depend AS d WHERE d.refclassid = 'pg_catalog.pg_proc'::regclass \
                 AND d.refobjid = pg_catalog.to_regprocedure({}) ORDER BY 1",
                Literal(copy.to_string()),
                called
            ),
            message: format!("nothing is made of {copy}, which is a copy of {name}"),
            help: format!(
                "what is named here would go on with the copy: make it again with {name}, which becomes {copy}, or drop it; then run `crossfade contract` again"
            ),
        }
    }
}

impl Operation for RenameFunction {
    fn way(&self) -> Option<&'static str> {
        Some("a stand-in has the new name until contract")
    }

    fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        let target = self.target();
        let same = |object: &&Object| object.kind == "function" && object.name == target;
        let taken = cx.catalog.objects.iter().filter(same).flat_map(|object| &object.functions);
        let mut findings = Vec::new();
        if taken.clone().any(|function| function.types == self.function.types) {
            findings.push(
                Finding::error("name-taken", self.span, format!("there is already something of the name {target}"))
                    .help("take another name, or drop what has it first, in a migration of its own"),
            );
        }
        findings.push(
            Finding::warning(
                "copy-until-contract",
                self.span,
                format!("until contract {target} is a copy of {}", self.name),
            )
            .help("a trigger, a view or a default that is made of the copy must be gone before contract; what is made of the old name goes on with the function"),
        );
        findings
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let (name, target) = (&self.name, self.target());
        let says = format!("make {target}, a copy of {name} with its rights");
        let gone = vec![self.unmake(&target)];
        steps.late(Phase::Expand, says, (Vec::new(), self.make()), Some((Vec::new(), gone)));
        let unused = self.unused();
        let still = guard(&unused);
        steps.late_assert(Phase::Contract, unused);
        let (go, back) = (self.moved(name, &target), self.moved(&target, name));
        if !cx.policy.retain {
            let there = vec![still, self.unmake(&target), go];
            let mut undo = vec![back];
            undo.extend(self.make());
            let says = format!("drop the copy, make {name} be {target}");
            steps.late(Phase::Contract, says, (Vec::new(), there), Some((Vec::new(), undo)));
            return;
        }
        let old = retired(cx, &target);
        let there = vec![still, self.moved(&target, &old), go];
        let undo = vec![back, self.moved(&old, &target)];
        let says = format!("retire the copy, make {name} be {target}");
        steps.late(Phase::Contract, says, (Vec::new(), there), Some((Vec::new(), undo)));
        let says = format!("drop the copy that was {target}");
        steps.late(Phase::Purge, says, (Vec::new(), vec![self.unmake(&old)]), None);
    }

    fn project(&self, catalog: &mut Catalog) {
        let own = |function: &Function| function.types == self.function.types;
        let Some(at) = catalog.objects.iter().position(|it| it.kind == "function" && it.name == self.name) else {
            return;
        };
        let target = self.target();
        let mut moved = Object { name: target.clone(), ..catalog.objects[at].clone() };
        moved.functions.retain(own);
        catalog.objects[at].functions.retain(|function| !own(function));
        catalog.objects.retain(|it| it.kind != "function" || it.name != self.name || !it.functions.is_empty());
        match catalog.objects.iter_mut().find(|it| it.kind == "function" && it.name == target) {
            Some(known) => known.functions.append(&mut moved.functions),
            None => catalog.objects.push(moved),
        }
    }

    fn claims(&self) -> Vec<Claim> {
        [self.name.clone(), self.target()].map(|table| Claim { table, column: None }).to_vec()
    }
}
