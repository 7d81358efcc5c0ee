//! ATTACH PARTITION: what the server would do under locks is done before, so that attaching itself only writes the catalog.
//!
//! A CHECK proves the bound of the new partition, another one that a big DEFAULT partition holds none of its rows; indexes and foreign keys that the
//! parent has are built and proven on the table while it stands alone.

use super::Proof;
use super::condition::condition;
use super::condition::own_condition;
use super::locks;
use crate::catalog::Catalog;
use crate::catalog::Constraint;
use crate::catalog::ConstraintKind;
use crate::catalog::Index;
use crate::catalog::Label;
use crate::catalog::Names;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::finding::Finding;
use crate::lock::LockMode;
use crate::lock::TableLock;
use crate::operation::Operation;
use crate::operation::create_index;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::Ident;
use crate::sql::IndexDefinition;
use crate::sql::PartitionBound;
use crate::sql::Sameness;
use crate::sql::Span;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::step::Action;
use crate::step::Assert;
use crate::step::Claim;
use crate::step::Ddl;
use crate::step::Phase;
use crate::step::Statement;

/// A table that becomes a partition.
#[derive(Clone, Debug)]
pub(in crate::operation) struct Attach {
    pub parent: Table,
    pub partition: TableName,
    /// The table, unless this file makes it.
    pub table: Option<Table>,
    pub bound: Option<PartitionBound>,
    /// The statement, as it is written.
    pub text: Sql,
    pub span: Span,
}

/// An index of the parent, and what the new partition has for it.
enum Part<'a> {
    /// One that the server attaches.
    There,
    /// Perhaps one: only the server can tell.
    Unclear(&'a Index),
    /// None.
    Missing,
}

impl Operation for Attach {
    fn way(&self) -> Option<&'static str> {
        Some("a CHECK that is validated beside the running code spares the scans")
    }

    fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        let default = cx.catalog.default_partition(&self.parent);
        let big = |table: &Table| table.estimated_rows > cx.policy.small_rows;
        let scanned = self.table.iter().chain(default).find(|table| big(table));
        if let (None, Some(scanned)) = (self.condition(cx.catalog), scanned) {
            let message = format!(
                "the bound of {} can't be proven beforehand: {} would be read under a lock",
                self.partition, scanned.name
            );
            findings.push(
                Finding::error("attach-bound", self.span, message)
                    .help("write the bound's values as they are, not as something to compute; or accept the lock: `-- crossfade: direct REASON`"),
            );
        }
        if let Some(default) = default.filter(|default| big(default)) {
            findings.push(Finding::warning(
                "new-write-restriction",
                self.span,
                format!("rows of the new partition that are written to {} fail until it is attached", default.name),
            ));
        }
        let Some(table) = &self.table else { return findings };
        if table.partition_of.is_some() {
            findings.push(Finding::error("already-partition", self.span, format!("{} is a partition", table.name)));
        }
        findings.extend(self.differences(table));
        for (index, part) in self.indexes(table) {
            let whole = table.kind == TableKind::Partitioned && index.constraint.is_some();
            let excluded = self.constraint_of(index).is_some_and(|it| it.kind == ConstraintKind::Exclude);
            let problem = match part {
                Part::There => continue,
                Part::Unclear(there) => {
                    format!("index {} may be the one that the server attaches to {}", there.name, index.name)
                }
                Part::Missing if table.has_rows && (whole || excluded) => {
                    format!(
                        "it has nothing like {} of {}, which the server would build under locks",
                        index.name, self.parent.name
                    )
                }
                Part::Missing => continue,
            };
            findings.push(
                Finding::error("partition-index", self.span, format!("{}: {problem}", table.name))
                    .help(format!("give it the same (`{}`) before, in a migration of its own", index.definition)),
            );
        }
        findings
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let mut proofs = Vec::new();
        if let Some(condition) = self.condition(cx.catalog) {
            proofs.push(Proof {
                table: &self.partition,
                name: cx.own_name("pb", self.partition.name.as_str()),
                condition,
                says: format!("{} holds what its bound says", self.partition),
                help: "a row lies outside of the bound: move it, then run `crossfade migrate` again".to_owned(),
            });
        }
        let default = cx.catalog.default_partition(&self.parent);
        let taken = default.and_then(|default| Some((default, self.taken_from_default(cx.catalog)?)));
        if let Some((default, condition)) = &taken {
            let found = format!("{} holds rows of the new partition {}: ", default.name, self.partition);
            steps.assert_first(Assert {
                query: sql!(
                    "SELECT {} || count(*) FROM {} WHERE {} HAVING count(*) > 0",
                    crate::sql::Literal(found),
                    default.name,
                    condition
                ),
                message: format!("{} holds no row of {}", default.name, self.partition),
                help: "move them into the new table first: the server refuses to attach it".to_owned(),
            });
        }
        proofs.iter().for_each(|proof| proof.add(cx, steps, Phase::Migrate));
        if let Some(table) = &self.table {
            self.lower_indexes(table, cx, steps);
            self.lower_foreign_keys(table, cx, steps);
        }
        let big = taken.filter(|(default, _)| default.estimated_rows > cx.policy.small_rows);
        if let Some((default, condition)) = big {
            let proof = Proof {
                table: &default.name,
                name: cx.own_name("pd", default.name.name.as_str()),
                condition: sql!("NOT {}", condition),
                says: format!("{} holds no row of {}", default.name, self.partition),
                help: format!("move these rows into {}, then run `crossfade migrate` again", self.partition),
            };
            proof.add(cx, steps, Phase::Migrate);
            proofs.push(proof);
        }
        self.lower_attach(cx, steps, &proofs);
    }

    fn project(&self, catalog: &mut Catalog) {
        if let Some(table) = catalog.tables.iter_mut().find(|table| table.name == self.partition) {
            table.partition_of = Some(self.parent.name.clone());
            // Of CREATE TABLE (LIKE …) the model knows no columns; a partition's are its parent's.
            if table.columns.is_empty() {
                table.columns.clone_from(&self.parent.columns);
            }
        }
    }

    fn claims(&self) -> Vec<Claim> {
        let whole = |table: &TableName| Claim { table: table.clone(), column: None };
        let key = self.parent.partition_key.iter();
        key.map(|column| Claim { table: self.parent.name.clone(), column: Some(column.clone()) })
            .chain(self.table.iter().map(|table| whole(&table.name)))
            .collect()
    }
}

impl Attach {
    fn condition(&self, catalog: &Catalog) -> Option<Sql> {
        condition(catalog, &self.parent, self.bound.as_ref()?, &self.partition)
    }

    /// What the DEFAULT partition no longer takes.
    fn taken_from_default(&self, catalog: &Catalog) -> Option<Sql> {
        own_condition(catalog, &self.parent, self.bound.as_ref()?, &self.partition)
    }

    /// What the server would refuse after all the work before it.
    fn differences(&self, table: &Table) -> Vec<Finding> {
        let say = |what: String| {
            Finding::error("partition-differs", self.span, format!("{} {what}", table.name))
                .help(format!("the server takes only what is like {}", self.parent.name))
        };
        let mut findings = Vec::new();
        for column in &self.parent.columns {
            match table.column(&column.name) {
                None => findings.push(say(format!("has no column {}", column.name))),
                Some(own) if own.type_name != column.type_name => {
                    findings.push(say(format!("has {} as {}, not {}", own.name, own.type_name, column.type_name)));
                }
                Some(own) if column.not_null && !own.not_null => {
                    findings.push(say(format!("allows NULL in {}", own.name)));
                }
                Some(_) => {}
            }
        }
        for column in table.columns.iter().filter(|column| self.parent.column(&column.name).is_none()) {
            findings.push(say(format!("has a column {} that {} has not", column.name, self.parent.name)));
        }
        let checks = self.parent.constraints.iter().filter(|constraint| {
            constraint.kind == ConstraintKind::Check && !constraint.definition.as_str().contains("NO INHERIT")
        });
        for check in checks {
            let there = table.constraints.iter().any(|own| own.name == check.name && own.kind == ConstraintKind::Check);
            if !there {
                findings.push(say(format!("lacks the constraint {} {}", check.name, check.definition)));
            }
        }
        findings
    }

    /// The parent's indexes, each with what the table has for it.
    fn indexes<'a>(&'a self, table: &'a Table) -> Vec<(&'a Index, Part<'a>)> {
        let mut free: Vec<&Index> = table.indexes.iter().filter(|own| own.attached_to.is_none() && own.valid).collect();
        let compare = |index: &Index, own: &Index| {
            let (Some(one), Some(other)) =
                (IndexDefinition::parse(&index.definition), IndexDefinition::parse(&own.definition))
            else {
                return Sameness::Unclear;
            };
            if index.constraint.is_some() && own.constraint.is_none() {
                Sameness::Different
            } else {
                one.compare(&other)
            }
        };
        let mut all = Vec::new();
        for index in &self.parent.indexes {
            let same = free.iter().position(|own| compare(index, own) == Sameness::Same);
            let unclear = free.iter().find(|own| compare(index, own) == Sameness::Unclear);
            let part = match (same, unclear) {
                (Some(at), _) => {
                    free.remove(at);
                    Part::There
                }
                (None, Some(own)) => Part::Unclear(own),
                (None, None) => Part::Missing,
            };
            all.push((index, part));
        }
        all
    }

    fn constraint_of(&self, index: &Index) -> Option<&Constraint> {
        let name = index.constraint.as_ref()?;
        self.parent.constraints.iter().find(|constraint| constraint.name == *name)
    }

    /// Builds what the parent has and the table has not, under the names that the server would give.
    fn lower_indexes(&self, table: &Table, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let mut names = Names::of(steps.now());
        for (index, part) in self.indexes(table) {
            let (Part::Missing, Some(definition)) = (part, IndexDefinition::parse(&index.definition)) else { continue };
            let definition = definition.only(false);
            let constraint = self.constraint_of(index);
            let label = match constraint.map(|constraint| constraint.kind) {
                Some(ConstraintKind::PrimaryKey) => Label::PrimaryKey,
                Some(ConstraintKind::Unique) => Label::Unique,
                // The server makes it: an empty table has nothing to exclude.
                Some(ConstraintKind::Exclude) => continue,
                Some(ConstraintKind::Check | ConstraintKind::ForeignKey | ConstraintKind::NotNull) | None => {
                    Label::Index
                }
            };
            if constraint.is_some() && table.kind == TableKind::Partitioned {
                continue;
            }
            let name = names.choose(&table.name, &definition.column_names(cx.catalog.major()), label);
            create_index::build(cx, steps, Phase::Migrate, table, definition, &name);
            if let Some(constraint) = constraint {
                own_constraint(table, constraint, &name, steps);
            }
        }
    }

    /// A foreign key of the parent is proven on the table beforehand; the server takes it over.
    fn lower_foreign_keys(&self, table: &Table, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let keys = self.parent.constraints.iter().filter(|constraint| {
            constraint.kind == ConstraintKind::ForeignKey && constraint.validated && table.kind == TableKind::Table
        });
        for key in keys {
            let there = table.constraints.iter().any(|own| own.kind == key.kind && own.definition == key.definition);
            if there {
                continue;
            }
            let taken = table.constraints.iter().any(|own| own.name == key.name);
            let name = if taken {
                Names::of(steps.now()).choose(&table.name, &key.columns, Label::ForeignKey)
            } else {
                Ident::new(key.name.as_str())
            };
            let both = |mode: LockMode| {
                let referenced = key.references.iter().filter_map(|name| cx.catalog.table(name));
                let below = referenced.flat_map(|table| cx.catalog.tree(table)).map(|below| below.name.clone());
                let all = std::iter::once(table.name.clone()).chain(below);
                all.map(|name| TableLock::only(name, mode)).collect::<Vec<TableLock>>()
            };
            steps.locked(
                Phase::Migrate,
                format!("add {name} to {}, for new writes", table.name),
                both(LockMode::ShareRowExclusive),
                vec![sql!("ALTER TABLE {} ADD CONSTRAINT {} {} NOT VALID", table.name, name, key.definition)],
                Some((
                    both(LockMode::AccessExclusive),
                    vec![sql!("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", table.name, name)],
                )),
            );
            steps.validate_locked(
                Phase::Migrate,
                format!("prove {name} for the rows of {}", table.name),
                sql!("ALTER TABLE {} VALIDATE CONSTRAINT {}", table.name, name),
                "mend the rows that break it, then run `crossfade migrate` again; or `crossfade rollback`".to_owned(),
                vec![TableLock::new(table.name.clone(), LockMode::ShareUpdateExclusive)],
            );
        }
    }

    fn lower_attach(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>, proofs: &[Proof<'_>]) {
        let go =
            locks(cx.catalog, &self.parent, LockMode::ShareUpdateExclusive, &self.partition, LockMode::AccessExclusive);
        let back =
            locks(cx.catalog, &self.parent, LockMode::AccessExclusive, &self.partition, LockMode::AccessExclusive);
        let attach = Statement::at(self.text.clone(), self.span);
        let statements =
            std::iter::once(attach).chain(proofs.iter().map(|proof| Statement::from(proof.drop()))).collect();
        let detach = sql!("ALTER TABLE {} DETACH PARTITION {}", self.parent.name, self.partition);
        // A table of this file has no index yet: the server builds them, which may take its time.
        let as_written = self.table.is_none();
        steps.step(
            Phase::Migrate,
            format!("attach {} to {}", self.partition, self.parent.name),
            Action::Ddl(Ddl { lock_first: go, statements, as_written }),
            Some(Action::Ddl(Ddl { lock_first: back.clone(), statements: vec![detach.into()], as_written: false })),
            back,
        );
    }
}

/// Makes a UNIQUE or PRIMARY KEY of an index that is built.
fn own_constraint(table: &Table, constraint: &Constraint, name: &Ident, steps: &mut StepsBuilder<'_>) {
    let kind = if constraint.kind == ConstraintKind::PrimaryKey { sql!("PRIMARY KEY") } else { sql!("UNIQUE") };
    let when = match (constraint.deferrable, constraint.definition.as_str().ends_with("INITIALLY DEFERRED")) {
        (true, true) => sql!(" DEFERRABLE INITIALLY DEFERRED"),
        (true, false) => sql!(" DEFERRABLE"),
        (false, _) => sql!(""),
    };
    let locks = vec![TableLock::only(table.name.clone(), LockMode::AccessExclusive)];
    steps.locked(
        Phase::Migrate,
        format!("make {name} a constraint of {}", table.name),
        locks.clone(),
        vec![sql!("ALTER TABLE {} ADD CONSTRAINT {} {} USING INDEX {}{}", table.name, name, kind, name, when)],
        Some((locks, vec![sql!("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", table.name, name)])),
    );
}
