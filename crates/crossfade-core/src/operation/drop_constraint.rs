//! DROP CONSTRAINT in a file that can be rolled back, and of a key in any file.
//!
//! A CHECK or a FOREIGN KEY goes at once, as it is written: old code is not harmed by its absence, and new code needs it. A key goes at contract: old code
//! may name it in ON CONFLICT, or rely on it. The way back builds its index anew, CONCURRENTLY, and proves what has to be proven.

use super::Operation;
use super::Role;
use super::add_key::standing_twice;
use super::claim;
use super::foreign_key::ForeignKey;
use crate::catalog::Catalog;
use crate::catalog::Constraint;
use crate::catalog::ConstraintKind;
use crate::catalog::Index;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::finding::Finding;
use crate::lock::LockMode;
use crate::lock::TableLock;
use crate::migration::Statement;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::Ident;
use crate::sql::IndexDefinition;
use crate::sql::Literal;
use crate::sql::Span;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::step::Action;
use crate::step::Assert;
use crate::step::Claim;
use crate::step::Concurrently;
use crate::step::Phase;
use crate::step::Preflight;
use crate::step::Probe;
use crate::step::Validate;

/// A CHECK or a FOREIGN KEY that goes at once, with a way back.
#[derive(Clone, Debug)]
pub(super) struct DropCheck {
    pub table: Table,
    pub constraint: Constraint,
    pub statement: Statement,
}

/// A UNIQUE or a PRIMARY KEY that goes at contract.
#[derive(Clone, Debug)]
pub(super) struct DropKey {
    pub table: Table,
    pub constraint: Constraint,
    pub cascade: bool,
    pub span: Span,
}

/// Whether a constraint is behind an index that old code may rely on.
pub(super) fn is_key(constraint: &Constraint) -> bool {
    match constraint.kind {
        ConstraintKind::Unique | ConstraintKind::PrimaryKey | ConstraintKind::Exclude => true,
        ConstraintKind::Check | ConstraintKind::ForeignKey | ConstraintKind::NotNull => false,
    }
}

fn without(catalog: &mut Catalog, table: &Table, constraint: &Constraint) {
    let tree: Vec<TableName> = catalog.tree(table).into_iter().map(|relation| relation.name.clone()).collect();
    for relation in catalog.tables.iter_mut().filter(|relation| tree.contains(&relation.name)) {
        relation.constraints.retain(|known| known.name != constraint.name);
        relation.indexes.retain(|index| index.constraint.as_ref() != Some(&constraint.name));
    }
}

impl DropCheck {
    /// Puts the constraint back, NOT VALID where it has to be proven; that comes behind it.
    fn back(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) -> (Vec<Sql>, Vec<TableName>) {
        let (table, constraint) = (&self.table, &self.constraint);
        let tree = || cx.catalog.tree(table).into_iter().map(|relation| relation.name.clone());
        if let Some(references) = &constraint.references {
            let key = ForeignKey { owner: table, constraint, references };
            return (key.restore(cx, Phase::Expand, steps), key.tables(cx.catalog));
        }
        let name = Ident::new(constraint.name.as_str());
        if constraint.validated {
            let validate = Action::Validate(Validate {
                sql: sql!("ALTER TABLE {} VALIDATE CONSTRAINT {}", table.name, name),
                help: format!("rows of {} break it by now: mend them, then run `crossfade rollback` again", table.name),
            });
            let locks = tree().map(|name| TableLock::new(name, LockMode::ShareUpdateExclusive)).collect();
            let says = format!("on the way back: prove {} for the rows of {}", constraint.name, table.name);
            steps.on_the_way_back(Phase::Expand, says, validate, locks);
        }
        let later = if constraint.validated { sql!(" NOT VALID") } else { sql!("") };
        let add = sql!("ALTER TABLE {} ADD CONSTRAINT {} {}{}", table.name, name, constraint.definition, later);
        let comment = constraint
            .comment
            .as_ref()
            .map(|comment| sql!("COMMENT ON CONSTRAINT {} ON {} IS {}", name, table.name, Literal(comment.clone())));
        (std::iter::once(add).chain(comment).collect(), tree().collect())
    }
}

impl Operation for DropCheck {
    fn check(&self, _: &PlanContext<'_>) -> Vec<Finding> {
        Vec::new()
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let (back, mut tables) = self.back(cx, steps);
        tables.sort();
        let locks: Vec<TableLock> =
            tables.into_iter().map(|table| TableLock::new(table, LockMode::AccessExclusive)).collect();
        let says = format!("drop {} of {}", self.constraint.name, self.table.name);
        let text = &self.statement.parsed;
        let run = vec![crate::step::Statement::at(text.text.clone(), text.span)];
        steps.as_written(Phase::Expand, says, run, Some((Sql::join(back, "; "), locks.clone())), locks, Vec::new());
    }

    fn project(&self, catalog: &mut Catalog) {
        without(catalog, &self.table, &self.constraint);
    }

    fn role(&self) -> Role {
        Role::AsWritten
    }

    fn claims(&self) -> Vec<Claim> {
        self.constraint.columns.iter().map(|column| claim(&self.table, column)).collect()
    }
}

impl DropKey {
    /// The constraint and its index on the table, or its copies on the partitions.
    fn parts<'c>(&'c self, catalog: &'c Catalog) -> Vec<(&'c Table, &'c Constraint, &'c Index)> {
        let copy = |relation: &'c Table| {
            let mine = |known: &&'c Constraint| {
                known.kind == self.constraint.kind
                    && known.columns == self.constraint.columns
                    && (known.inherited || known.name == self.constraint.name)
            };
            let constraint = relation.constraints.iter().find(mine)?;
            let index = relation.indexes.iter().find(|index| Some(&index.name) == constraint.index.as_ref())?;
            Some((relation, constraint, index))
        };
        catalog.leaves(&self.table).into_iter().filter_map(copy).collect()
    }

    fn foreign_keys<'c>(&self, catalog: &'c Catalog) -> Vec<ForeignKey<'c>> {
        let relies = |key: &ForeignKey<'_>| {
            *key.references == self.table.name
                && key.constraint.referenced_columns.len() == self.constraint.columns.len()
                && key.constraint.referenced_columns.iter().all(|column| self.constraint.columns.contains(column))
        };
        ForeignKey::all(catalog).filter(relies).collect()
    }

    fn kind(&self) -> Sql {
        if self.constraint.kind == ConstraintKind::PrimaryKey { sql!("PRIMARY KEY") } else { sql!("UNIQUE") }
    }

    fn timing(&self) -> Sql {
        let definition = self.constraint.definition.as_str();
        match (definition.contains(" DEFERRABLE"), definition.contains(" INITIALLY DEFERRED")) {
            (true, true) => sql!(" DEFERRABLE INITIALLY DEFERRED"),
            (true, false) => sql!(" DEFERRABLE"),
            (false, _) => sql!(""),
        }
    }

    /// What the new code has written twice meanwhile.
    fn duplicates(&self) -> Assert {
        let table = &self.table.name;
        let nulls_count = self.constraint.definition.as_str().contains("NULLS NOT DISTINCT");
        let name = &self.constraint.name;
        Assert {
            query: standing_twice(table, &self.constraint.columns, nulls_count),
            message: format!("{name} can be put back on {table}"),
            help: format!(
                "{name} can't be put back while rows are there twice: change or delete all but one, then run `crossfade rollback` again"
            ),
        }
    }

    /// What puts the constraint back over the index that was built before.
    fn put_back(&self, parts: &[(&Table, &Constraint, &Index)]) -> Vec<Sql> {
        let (table, constraint) = (&self.table, &self.constraint);
        let mut back = Vec::new();
        for (relation, constraint, index) in parts {
            let (name, index_name) = (Ident::new(constraint.name.as_str()), Ident::new(index.name.as_str()));
            let (kind, timing) = (self.kind(), self.timing());
            back.push(sql!(
                "ALTER TABLE {} ADD CONSTRAINT {} {} USING INDEX {}{}",
                relation.name,
                name,
                kind,
                index_name,
                timing
            ));
            if index.replica_identity {
                back.push(sql!("ALTER TABLE {} REPLICA IDENTITY USING INDEX {}", relation.name, name));
            }
            if index.clustered {
                back.push(sql!("ALTER TABLE {} CLUSTER ON {}", relation.name, name));
            }
        }
        let name = Ident::new(constraint.name.as_str());
        if table.kind == TableKind::Partitioned {
            // The server takes over what stands on the partitions, and builds nothing.
            back.push(sql!("ALTER TABLE {} ADD CONSTRAINT {} {}", table.name, name, constraint.definition));
        }
        if let Some(comment) = &constraint.comment {
            back.push(sql!("COMMENT ON CONSTRAINT {} ON {} IS {}", name, table.name, Literal(comment.clone())));
        }
        let index = table.indexes.iter().find(|index| index.constraint.as_ref() == Some(&constraint.name));
        if let Some(comment) = index.and_then(|index| index.comment.as_ref()) {
            let index = TableName { schema: table.name.schema.clone(), name };
            back.push(sql!("COMMENT ON INDEX {} IS {}", index, Literal(comment.clone())));
        }
        back
    }
}

impl Operation for DropKey {
    fn way(&self) -> Option<&'static str> {
        Some("the key goes at contract; the way back builds its index CONCURRENTLY")
    }

    fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        let (name, table) = (&self.constraint.name, &self.table.name);
        let mut findings = Vec::new();
        if self.constraint.inherited {
            findings.push(
                Finding::error(
                    "partition",
                    self.span,
                    format!("{name} of {table} is the copy of one of its partitioned table"),
                )
                .help("drop it there; the partitions follow"),
            );
        }
        if self.constraint.kind == ConstraintKind::Exclude
            || self.constraint.definition.as_str().contains("WITHOUT OVERLAPS")
        {
            findings.push(
                Finding::error(
                    "drop-exclude",
                    self.span,
                    format!("the way back of {name} would build its index under a lock that keeps everybody out"),
                )
                .help("when no running code relies on it, say that it may go at once: `-- crossfade: direct REASON`"),
            );
        }
        let keys: Vec<String> = self.foreign_keys(cx.catalog).iter().map(ForeignKey::described).collect();
        if !self.cascade && !keys.is_empty() {
            findings.push(
                Finding::error("dependents", self.span, format!("{name} of {table} is used by {}", keys.join(", ")))
                    .help("drop them first, in a migration before this one; or write CASCADE, which takes them along"),
            );
        }
        findings.push(
            Finding::warning("key-until-contract", self.span, format!("{name} of {table} holds until contract"))
                .help("new code that writes what it forbids fails before that"),
        );
        findings
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let (table, name) = (&self.table.name, Ident::new(self.constraint.name.as_str()));
        let finding = Finding::error("dependents", self.span, format!("{name} of {table} can't be dropped"))
            .help("drop or change what uses it first, in a migration before this one");
        let query = sql!(
            "SELECT 'used by ' || string_agg(DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid), ', ') \
             FROM pg_catalog.pg_constraint AS c JOIN pg_catalog.pg_depend AS d ON d.refclassid = 'pg_constraint'::regclass AND d.refobjid = c.oid \
             WHERE d.deptype = 'n' AND c.conrelid = pg_catalog.to_regclass({}) AND c.conname = {} HAVING count(*) > 0",
            Literal(sql!("{}", table).to_string()),
            Literal(name.as_str().to_owned())
        );
        steps.preflight(Preflight { query, finding });
        let parts = self.parts(cx.catalog);
        let keys = self.foreign_keys(cx.catalog);
        let mut tables: Vec<TableName> = cx.catalog.tree(&self.table).into_iter().map(|it| it.name.clone()).collect();
        tables.extend(keys.iter().flat_map(|key| key.tables(cx.catalog)));
        tables.sort();
        tables.dedup();
        let locks: Vec<TableLock> =
            tables.into_iter().map(|table| TableLock::new(table, LockMode::AccessExclusive)).collect();
        let mut there: Vec<Sql> = keys.iter().map(ForeignKey::drop).collect();
        there.push(sql!("ALTER TABLE {} DROP CONSTRAINT {}", table, name));
        let says = format!("drop {name} of {table}");
        if !cx.policy.retain {
            steps.late(Phase::Contract, says, (locks, there), None);
            return;
        }
        let mut back = self.put_back(&parts);
        for key in &keys {
            back.extend(key.restore(cx, Phase::Contract, steps));
        }
        steps.late(Phase::Contract, says, (locks.clone(), there), Some((locks, back)));
        for (relation, _, index) in &parts {
            let full = TableName { schema: relation.name.schema.clone(), name: Ident::new(index.name.as_str()) };
            let again = IndexDefinition::parse(&index.definition)
                .and_then(|definition| definition.on(&relation.name).concurrently(true).to_sql());
            let Some(run) = again else { continue };
            let probe = Probe::IndexIsValid { index: full, table: relation.name.clone(), definition: None };
            let locks = vec![TableLock::new(relation.name.clone(), LockMode::ShareUpdateExclusive)];
            let says = format!("on the way back: build the index of {} on {}", index.name, relation.name);
            steps.on_the_way_back(Phase::Contract, says, Action::Concurrently(Concurrently { run, probe }), locks);
        }
        let duplicates = self.duplicates();
        let says = format!("on the way back: {}", duplicates.message);
        steps.on_the_way_back(Phase::Contract, says, Action::Assert(duplicates), Vec::new());
    }

    fn project(&self, catalog: &mut Catalog) {
        without(catalog, &self.table, &self.constraint);
    }

    fn claims(&self) -> Vec<Claim> {
        self.constraint.columns.iter().map(|column| claim(&self.table, column)).collect()
    }
}
