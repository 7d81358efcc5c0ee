//! ADD FOREIGN KEY with a value for rows that point to nothing: they are mended, old code's rows too, and so are rows whose parent old code
//! takes away, where the key would refuse that. What they held is kept for the way back.
//!
//! The key itself is there from expand on, NOT VALID: what it does when a parent goes (CASCADE, SET NULL, SET DEFAULT) is the server's work.

use super::Operation;
use super::Role;
use super::add_column::preflight_up;
use super::mend_check::stop_mending;
use super::mend_check::value_breaks_it;
use super::no_column;
use super::old_column;
use super::sync_refusals;
use super::unknown_columns;
use crate::catalog::Catalog;
use crate::catalog::ConstraintKind;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::finding::Finding;
use crate::lock::LockMode;
use crate::lock::TableLock;
use crate::plan::Group;
use crate::plan::OrphanNames;
use crate::plan::Orphans;
use crate::plan::PlanContext;
use crate::plan::Reference;
use crate::plan::Rule;
use crate::plan::Shape;
use crate::plan::StepsBuilder;
use crate::plan::Until;
use crate::sql;
use crate::sql::Expr;
use crate::sql::ForeignKeyDefinition;
use crate::sql::Ident;
use crate::sql::Span;
use crate::sql::Sql;
use crate::step::Claim;
use crate::step::Phase;
use crate::step::Preflight;
use crate::step::Validate;

/// A foreign key, and what its columns become in rows that break it.
#[derive(Clone, Debug)]
pub(super) struct MendForeignKey {
    pub table: Table,
    pub name: String,
    /// The whole statement, which adds this constraint and nothing else.
    pub text: Sql,
    pub columns: Vec<String>,
    pub key: ForeignKeyDefinition,
    /// The table that it points to, and the columns there.
    pub referenced: Table,
    pub keys: Vec<String>,
    /// The columns that are mended, with their values.
    pub ups: Vec<(String, Expr)>,
    /// What it needs of both tables.
    pub reads: Vec<Claim>,
    pub span: Span,
}

impl Operation for MendForeignKey {
    fn way(&self) -> Option<&'static str> {
        Some("rows are mended a part at a time, and the key is added NOT VALID and validated beside the running code")
    }

    fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for column in &self.columns {
            if self.table.column(column).is_none() {
                findings.push(no_column(&self.table, column, self.span));
            }
        }
        for (column, up) in &self.ups {
            findings.extend(sync_refusals(cx, &self.table, column, self.span));
            findings.extend(unknown_columns(&self.table, &[], up, self.span, "`up`"));
            if up.is_null() && self.table.column(column).is_some_and(|column| column.not_null) {
                findings.push(
                    Finding::error("directive", self.span, format!("{}.{column} is NOT NULL", self.table.name))
                        .help("give it a value that stands in the other table"),
                );
            }
        }
        for column in &self.keys {
            if self.referenced.column(column).is_none() {
                findings.push(no_column(&self.referenced, column, self.span));
            }
        }
        if findings.iter().any(Finding::is_error) {
            return findings;
        }
        if let Some(why) = self.why_not() {
            findings.push(Finding::error("foreign-key-up", self.span, why).help(
                "put an UPDATE or DELETE of the rows that break it in front of it, in the same file or an earlier one, and leave `up` out",
            ));
        } else if !self.points_to_a_key() {
            let (keys, table) = (self.keys.join(", "), &self.referenced.name);
            findings.push(
                Finding::error("no-such-constraint", self.span, format!("there is no unique key ({keys}) of {table}"))
                    .help("a foreign key needs one: add it in a migration before"),
            );
        }
        findings.push(Finding::warning(
            "new-write-restriction",
            self.span,
            format!(
                "code that writes a row of {} before the one that it points to has it mended; TRUNCATE of {} alone fails from now on",
                self.table.name, self.referenced.name
            ),
        ));
        findings
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let (table, name) = (&self.table.name, Ident::new(self.name.as_str()));
        let reference = self.reference();
        steps.preflight(Preflight {
            query: sql!("SELECT FROM ONLY {} WHERE {} LIMIT 0", table, reference.holds()),
            finding: Finding::error("expression", self.span, "the server can't compare the two sides of the key"),
        });
        let marker = cx.own_name("mended", &self.name);
        let (mut old, mut kept, mut mend) = (Vec::new(), Vec::new(), Vec::new());
        for (column, up) in &self.ups {
            let Some(column) = self.table.column(column) else { continue };
            steps.preflight(preflight_up(&self.table, up, &sql!("{}", column.type_name), self.span));
            let stem = if self.ups.len() == 1 { self.name.clone() } else { format!("{}_{}", self.name, column.name) };
            kept.push(cx.own_name("was", &stem));
            old.push(old_column(cx, column, None));
            mend.push(up.clone());
        }
        let mended: Vec<Ident> = old.iter().map(|column| column.name.clone()).collect();
        let orphans = Orphans {
            reference: reference.clone(),
            from: table.clone(),
            mended,
            on_delete: self.key.refuses_delete,
            on_update: self.key.refuses_update,
            names: OrphanNames::new(&cx.policy.schema, &cx.migration.version, table, &self.name),
        };
        let remembered: Vec<Ident> = std::iter::once(&marker).chain(&kept).cloned().collect();
        self.lower_orphans(cx, steps, &orphans);
        steps.sync(
            table,
            Group {
                shape: Shape::Mend { marker, kept, rule: Rule::Reference(reference) },
                old,
                new: Vec::new(),
                until: Until::Contract,
                mend,
                loud: true,
                counts: false,
            },
        );
        self.lower_key(steps, &name);
        let columns = self.ups.iter().map(|(column, _)| column.as_str()).collect::<Vec<_>>().join(", ");
        stop_mending(cx, steps, table, &name, &columns, &remembered);
    }

    fn project(&self, _: &mut Catalog) {}

    fn role(&self) -> Role {
        Role::Phased
    }

    fn claims(&self) -> Vec<Claim> {
        self.reads.clone()
    }
}

impl MendForeignKey {
    /// Why rows of this key are not mended.
    fn why_not(&self) -> Option<String> {
        let parent = &self.referenced;
        let why = if self.table.name == parent.name {
            "a row may be written before the one of the same table that it points to, so nobody can tell which rows to mend".to_owned()
        } else if self.key.deferrable {
            "the key may be checked at commit, and rows are mended when they are written".to_owned()
        } else if self.key.period || !self.key.enforced {
            "rows of a temporal or NOT ENFORCED key are not mended".to_owned()
        } else if self.table.kind == TableKind::Partitioned {
            format!("{} is partitioned, and its rows are not mended for a key", self.table.name)
        } else if parent.kind != TableKind::Table || parent.partition_of.is_some() {
            format!("{} is not an ordinary table: which of its rows go is not seen", parent.name)
        } else if parent.row_security {
            format!("{} has row security: a row that is hidden would be taken for one that is not there", parent.name)
        } else {
            return None;
        };
        Some(why)
    }

    /// Whether the server will find a unique index over what it points to.
    fn points_to_a_key(&self) -> bool {
        let same = |columns: &[String]| {
            columns.len() == self.keys.len() && self.keys.iter().all(|column| columns.contains(column))
        };
        let key = |kind| matches!(kind, ConstraintKind::PrimaryKey | ConstraintKind::Unique);
        !self.keys.is_empty()
            && self.keys.len() == self.columns.len()
            && (self.referenced.constraints.iter().any(|known| key(known.kind) && same(&known.columns))
                || self.referenced.indexes.iter().any(|index| {
                    let covers = self.keys.iter().all(|column| index.columns.contains(column));
                    index.unique && index.valid && !index.expression_or_predicate && covers
                }))
    }

    fn reference(&self) -> Reference {
        let pairs = self.columns.iter().zip(&self.keys);
        Reference {
            table: self.referenced.name.clone(),
            columns: pairs.map(|(own, its)| (Ident::new(own.as_str()), Ident::new(its.as_str()))).collect(),
            full: self.key.full,
        }
    }

    /// Old code that takes a parent away must not meet the key: until contract, what points to it is mended before the key is asked.
    fn lower_orphans(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>, orphans: &Orphans) {
        if !orphans.is_needed() {
            return;
        }
        let (table, parent) = (&self.table.name, &self.referenced.name);
        steps.ddl(
            Phase::Expand,
            &self.referenced,
            LockMode::ShareRowExclusive,
            format!("let rows of {table} be mended when old code takes away the row of {parent} that they point to"),
            orphans.make(&cx.catalog.search_path),
            orphans.drop(),
        );
        steps.contract_locks(table, parent);
        steps.contract(table, format!("rows of {parent} go as {} says", self.name), orphans.drop(), Vec::new());
    }

    /// The key comes behind the sync, which sees to it that nobody meets it.
    fn lower_key(&self, steps: &mut StepsBuilder<'_>, name: &Ident) {
        let (table, parent) = (&self.table.name, &self.referenced.name);
        let locks = |mode| {
            let mut locks = vec![TableLock::new(table.clone(), mode), TableLock::new(parent.clone(), mode)];
            locks.sort();
            locks
        };
        // Dropping a foreign key takes the strongest lock on both tables.
        let back = sql!("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", table, name);
        steps.late(
            Phase::Expand,
            format!("add {name} to {table}, for new writes"),
            (locks(LockMode::ShareRowExclusive), vec![sql!("{} NOT VALID", self.text)]),
            Some((locks(LockMode::AccessExclusive), vec![back])),
        );
        steps.validate(
            Phase::Migrate,
            &self.table,
            format!("prove {name} for the rows of {table}"),
            Validate { sql: sql!("ALTER TABLE {} VALIDATE CONSTRAINT {}", table, name), help: value_breaks_it() },
        );
    }
}
