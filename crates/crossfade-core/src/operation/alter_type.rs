//! ALTER COLUMN TYPE: a shadow column of the new type is kept in sync, filled, given what hangs on the old one, and swapped in at contract.
//!
//! Where the server does no work (a wider varchar), nothing is copied: see [`is_catalog_only`].

use std::collections::BTreeMap;

use super::Operation;
use super::claim;
use super::sync_refusals;
use super::unknown_columns;
use crate::catalog::Catalog;
use crate::catalog::Column;
use crate::catalog::Constraint;
use crate::catalog::ConstraintKind;
use crate::catalog::Index;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::finding::Finding;
use crate::lock::LockMode;
use crate::lock::TableLock;
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
use crate::sql::IndexDefinition;
use crate::sql::Literal;
use crate::sql::ServerText;
use crate::sql::Span;
use crate::sql::Sql;
use crate::sql::SqlPart;
use crate::sql::TableName;
use crate::sql::rename_columns_in_constraint;
use crate::step::Action;
use crate::step::Assert;
use crate::step::Claim;
use crate::step::Concurrently;
use crate::step::Ddl;
use crate::step::Phase;
use crate::step::Preflight;
use crate::step::Probe;
use crate::step::Statement;
use crate::step::Validate;

/// The type that a column gets.
#[derive(Clone, Debug)]
pub(super) struct NewType {
    pub type_name: Sql,
    pub base_type: String,
    pub modifiers: Vec<i64>,
    pub array: bool,
    pub collation: Option<Sql>,
    pub using: Option<Expr>,
}

/// A column that gets another type.
#[derive(Clone, Debug)]
pub(super) struct AlterType {
    pub table: Table,
    pub column: Column,
    pub to: NewType,
    pub up: Option<Expr>,
    pub down: Option<Expr>,
    pub span: Span,
}

/// Whether the server changes the type without touching a row or an index.
///
/// Source: reference lint-rules A4, measured on 13 to 18; a CHECK, or an expression or partial index on the column, brings the work back.
pub(super) fn is_catalog_only(table: &Table, column: &Column, to: &NewType) -> bool {
    let hidden_work = table
        .constraints_on(&column.name)
        .any(|constraint| constraint.kind == ConstraintKind::Check && constraint.validated)
        || table.indexes_on(&column.name).any(|index| index.expression_or_predicate);
    let identity = to.using.as_ref().is_none_or(|using| using.as_column() == Some(&column.name));
    if hidden_work || !identity || to.collation.is_some() || to.array || column.collation.is_some() {
        return false;
    }
    let old = column.type_modifier;
    let (from, into) = (column.base_type.as_str(), to.base_type.as_str());
    match (from, into, to.modifiers.as_slice()) {
        ("varchar" | "varbit", _, []) if from == into => true,
        ("varchar", "varchar", [size]) => old >= 0 && *size >= i64::from(old - 4),
        ("varbit", "varbit", [size]) => old >= 0 && *size >= i64::from(old),
        ("varchar", "text", _) | ("text", "varchar", []) | ("cidr", "inet", _) => true,
        ("numeric", "numeric", []) => true,
        ("numeric", "numeric", [precision, rest @ ..]) if old >= 4 => {
            let (old_precision, old_scale) = (i64::from((old - 4) >> 16), i64::from((old - 4) & 0x7ff));
            rest.first().copied().unwrap_or(0) == old_scale && *precision >= old_precision
        }
        ("timestamp" | "timestamptz" | "time" | "timetz", _, []) if from == into => true,
        ("timestamp" | "timestamptz" | "time" | "timetz", _, [size]) if from == into => {
            old >= 0 && *size >= i64::from(old)
        }
        _ => false,
    }
}

/// Changes the type in the model of a column.
pub(super) fn retype_in(column: &mut Column, type_name: &Sql, base_type: &str, modifiers: &[i64]) {
    let mut text = String::new();
    type_name.write_sql(&mut text);
    column.type_name = ServerText::from_server(text);
    base_type.clone_into(&mut column.base_type);
    column.type_modifier = super::add_column::type_modifier(base_type, modifiers);
}

impl AlterType {
    fn shadow(&self, cx: &PlanContext<'_>) -> Ident {
        cx.own_name("new", &self.column.name)
    }

    fn name(&self) -> Ident {
        Ident::new(self.column.name.as_str())
    }

    /// The new value: as the file says, or as the assignment cast makes it. Between `timestamp` and `timestamptz` the file's own time zone
    /// decides, not that of whichever session writes.
    fn up_expr(&self, cx: &PlanContext<'_>) -> Option<Expr> {
        if let Some(up) = self.up.as_ref().or(self.to.using.as_ref()) {
            return Some(up.clone());
        }
        match self.time_zone_cast(cx) {
            Some(text) => Expr::from_sql(&text).ok(),
            None => Some(Expr::column(&self.column.name)),
        }
    }

    fn down_expr(&self, cx: &PlanContext<'_>) -> Option<Expr> {
        if self.down.is_some() {
            return self.down.clone();
        }
        match self.time_zone_cast(cx) {
            Some(text) => Expr::from_sql(&text).ok(),
            None => Expr::from_sql(&sql!("{}::{}", self.name(), self.column.type_name)).ok(),
        }
    }

    fn time_zone_cast(&self, cx: &PlanContext<'_>) -> Option<Sql> {
        let pair = (self.column.base_type.as_str(), self.to.base_type.as_str());
        matches!(pair, ("timestamp", "timestamptz") | ("timestamptz", "timestamp"))
            .then(|| sql!("{} AT TIME ZONE {}", self.name(), Literal(cx.catalog.time_zone.clone())))
    }

    fn refuse(&self, cx: &PlanContext<'_>) -> Vec<String> {
        let (table, name) = (&self.table, self.column.name.as_str());
        let mut why = Vec::new();
        for constraint in table.constraints_on(name) {
            match constraint.kind {
                ConstraintKind::PrimaryKey => why.push(format!("it is in the primary key {}", constraint.name)),
                ConstraintKind::ForeignKey => why.push(format!("it is in the foreign key {}", constraint.name)),
                ConstraintKind::Exclude => why.push(format!("it is in the exclusion constraint {}", constraint.name)),
                ConstraintKind::Check | ConstraintKind::Unique | ConstraintKind::NotNull => {}
            }
        }
        for dependent in table.dependents.iter().filter(|dependent| dependent.column.as_deref() == Some(name)) {
            why.push(format!("{} uses it", dependent.description));
        }
        for trigger in table.triggers.iter().filter(|trigger| trigger.columns.iter().any(|column| column == name)) {
            why.push(format!("trigger {} names it", trigger.name));
        }
        if self.column.identity.is_some() {
            why.push("it is an identity column".to_owned());
        }
        if let Some(sequence) = &self.column.owned_sequence {
            why.push(format!("it owns the sequence {sequence}"));
        }
        if table.kind == TableKind::Partitioned && table.indexes_on(name).next().is_some() {
            why.push("it is indexed on a partitioned table".to_owned());
        }
        if table.indexes_on(name).any(|index| index.replica_identity || index.clustered) {
            why.push("an index on it is the replica identity or the clustering order".to_owned());
        }
        if cx.catalog.leaves(table).iter().any(|leaf| leaf.kind != TableKind::Table) {
            why.push("the table has partitions that are no ordinary tables".to_owned());
        }
        why
    }

    fn names(&self, cx: &PlanContext<'_>) -> BTreeMap<String, String> {
        BTreeMap::from([(self.column.name.clone(), self.shadow(cx).as_str().to_owned())])
    }

    /// Indexes that the shadow needs of its own.
    fn indexes(&self) -> impl Iterator<Item = &Index> {
        self.table.indexes_on(&self.column.name).filter(|index| index.valid)
    }

    fn checks(&self) -> impl Iterator<Item = &Constraint> {
        self.table.constraints_on(&self.column.name).filter(|constraint| constraint.kind == ConstraintKind::Check)
    }

    fn lower_indexes(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        for index in self.indexes() {
            let own = cx.own_name("ix", &index.name);
            let definition = IndexDefinition::parse(&index.definition)
                .and_then(|definition| definition.renaming(&self.names(cx)))
                .and_then(|definition| definition.named(&own).on(&self.table.name).concurrently(true).to_sql());
            let Some(run) = definition else { continue };
            let name = TableName { schema: self.table.name.schema.clone(), name: own };
            steps.concurrently(
                Phase::Migrate,
                &self.table.name,
                format!("build the new {} on {}", index.name, self.table.name),
                Concurrently {
                    run,
                    probe: Probe::IndexIsValid {
                        index: name.clone(),
                        table: self.table.name.clone(),
                        definition: None,
                    },
                },
                Some(Concurrently {
                    run: sql!("DROP INDEX CONCURRENTLY IF EXISTS {}", name),
                    probe: Probe::IndexIsGone { index: name },
                }),
            );
        }
    }

    fn lower_checks(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let table = &self.table;
        for check in self.checks() {
            let own = cx.own_name("ck", &check.name);
            let Some(definition) = rename_columns_in_constraint(&check.definition, &self.names(cx)) else { continue };
            steps.ddl(
                Phase::Migrate,
                table,
                LockMode::AccessExclusive,
                format!("enforce {} for the new column of {}", check.name, table.name),
                vec![sql!("ALTER TABLE {} ADD CONSTRAINT {} {} NOT VALID", table.name, own, definition)],
                vec![sql!("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", table.name, own)],
            );
            if check.validated {
                steps.validate(
                    Phase::Migrate,
                    table,
                    format!("prove {} for the new column of {}", check.name, table.name),
                    Validate {
                        sql: sql!("ALTER TABLE {} VALIDATE CONSTRAINT {}", table.name, own),
                        help: format!("a row breaks {} once its type is changed", check.name),
                    },
                );
            }
        }
    }

    fn swap(&self, cx: &PlanContext<'_>, proof: Option<&Ident>) -> (Vec<Sql>, Vec<Sql>) {
        let table = &self.table.name;
        let (name, shadow, retired) = (self.name(), self.shadow(cx), cx.own_name("old", &self.column.name));
        let mut go: Vec<Sql> = Vec::new();
        let mut back: Vec<Sql> = Vec::new();
        for check in self.checks() {
            let (own, old, known) =
                (cx.own_name("ck", &check.name), cx.own_name("oc", &check.name), Ident::new(check.name.as_str()));
            go.push(sql!("ALTER TABLE {} RENAME CONSTRAINT {} TO {}", table, known, old));
            go.push(sql!("ALTER TABLE {} RENAME CONSTRAINT {} TO {}", table, own, known));
            if let Some(comment) = &check.comment {
                go.push(sql!("COMMENT ON CONSTRAINT {} ON {} IS {}", known, table, Literal(comment.clone())));
            }
            back.push(sql!("ALTER TABLE {} RENAME CONSTRAINT {} TO {}", table, old, known));
        }
        for index in self.indexes() {
            let (own, old, known) =
                (cx.own_name("ix", &index.name), cx.own_name("oi", &index.name), Ident::new(index.name.as_str()));
            let full = |name: &Ident| TableName { schema: table.schema.clone(), name: name.clone() };
            let constraint =
                self.table.constraints.iter().find(|constraint| Some(&constraint.name) == index.constraint.as_ref());
            match constraint {
                Some(constraint) => {
                    let mut timing = sql!("");
                    if constraint.deferrable {
                        let late = constraint.definition.as_str().contains("INITIALLY DEFERRED");
                        timing = if late { sql!(" DEFERRABLE INITIALLY DEFERRED") } else { sql!(" DEFERRABLE") };
                    }
                    go.push(sql!("ALTER TABLE {} RENAME CONSTRAINT {} TO {}", table, known, old));
                    go.push(sql!(
                        "ALTER TABLE {} ADD CONSTRAINT {} UNIQUE USING INDEX {}{}",
                        table,
                        known,
                        own,
                        timing
                    ));
                    if let Some(comment) = &constraint.comment {
                        go.push(sql!("COMMENT ON CONSTRAINT {} ON {} IS {}", known, table, Literal(comment.clone())));
                    }
                    back.push(sql!("ALTER TABLE {} RENAME CONSTRAINT {} TO {}", table, old, known));
                }
                None => {
                    go.push(sql!("ALTER INDEX {} RENAME TO {}", full(&known), old));
                    go.push(sql!("ALTER INDEX {} RENAME TO {}", full(&own), known));
                    back.push(sql!("ALTER INDEX {} RENAME TO {}", full(&old), known));
                }
            }
            if let Some(comment) = &index.comment {
                go.push(sql!("COMMENT ON INDEX {} IS {}", full(&known), Literal(comment.clone())));
            }
        }
        if self.column.not_null {
            go.push(sql!("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL", table, name));
        }
        if let Some(default) = &self.column.default {
            go.push(sql!("ALTER TABLE {} ALTER COLUMN {} DROP DEFAULT", table, name));
            back.push(sql!("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}", table, name, default.expression));
        }
        if cx.policy.retain {
            go.push(sql!("ALTER TABLE {} RENAME COLUMN {} TO {}", table, name, retired));
        } else {
            go.push(sql!("ALTER TABLE {} DROP COLUMN {}", table, name));
        }
        go.push(sql!("ALTER TABLE {} RENAME COLUMN {} TO {}", table, shadow, name));
        if let Some(default) = &self.column.default {
            go.push(sql!("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}", table, name, default.expression));
        }
        if let Some(proof) = proof {
            go.push(sql!("ALTER TABLE {} ALTER COLUMN {} SET NOT NULL", table, name));
            go.push(sql!("ALTER TABLE {} DROP CONSTRAINT {}", table, proof));
            back.push(sql!("ALTER TABLE {} ALTER COLUMN {} SET NOT NULL", table, name));
            back.push(sql!(
                "ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}",
                table,
                cx.own_name("back", &self.column.name)
            ));
        }
        go.extend(self.attributes());
        // The new column goes with all its own indexes and constraints before the old one takes its name back.
        let mut undo = vec![
            sql!("ALTER TABLE {} DROP COLUMN {}", table, name),
            sql!("ALTER TABLE {} RENAME COLUMN {} TO {}", table, retired, name),
        ];
        undo.extend(back);
        (go, if cx.policy.retain { undo } else { Vec::new() })
    }

    /// What a type change leaves as it is, and the shadow does not have: comment, statistics target, options, grants.
    fn attributes(&self) -> Vec<Sql> {
        let (table, name) = (&self.table.name, self.name());
        let mut all = Vec::new();
        if let Some(comment) = &self.column.comment {
            all.push(sql!("COMMENT ON COLUMN {}.{} IS {}", table, name, Literal(comment.clone())));
        }
        if let Some(target) = self.column.statistics {
            all.push(sql!(
                "ALTER TABLE {} ALTER COLUMN {} SET STATISTICS {}",
                table,
                name,
                crate::sql::Number(i64::from(target))
            ));
        }
        for option in &self.column.options {
            all.push(sql!(
                "ALTER TABLE {} ALTER COLUMN {} SET ({})",
                table,
                name,
                ServerText::from_server(option.as_str())
            ));
        }
        all.extend(self.column.grants.iter().map(|grant| super::whole::grant(grant, Some(&name), table)));
        all
    }

    /// Going back after contract: first ask whether the old type can hold everything, then prove NOT NULL again under a weak lock.
    fn lower_way_back(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let table = &self.table.name;
        let (name, retired, check) =
            (self.name(), cx.own_name("old", &self.column.name), cx.own_name("back", &self.column.name));
        let tree = |mode: LockMode| {
            cx.catalog
                .tree(&self.table)
                .into_iter()
                .map(|relation| TableLock::new(relation.name.clone(), mode))
                .collect::<Vec<_>>()
        };
        if self.column.not_null {
            let validate = Action::Validate(Validate {
                sql: sql!("ALTER TABLE {} VALIDATE CONSTRAINT {}", table, check),
                help: format!(
                    "rows of {table} hold values that the old type can't: change them, then run `crossfade rollback` again"
                ),
            });
            let says = format!("on the way back: prove that the old {name} of {table} holds no NULL");
            steps.on_the_way_back(Phase::Contract, says, validate, tree(LockMode::ShareUpdateExclusive));
            let lock_first = vec![TableLock::new(table.clone(), LockMode::AccessExclusive)];
            let add = sql!("ALTER TABLE {} ADD CONSTRAINT {} CHECK ({} IS NOT NULL) NOT VALID", table, check, retired);
            let enforce = Action::Ddl(Ddl { lock_first, statements: vec![Statement::from(add)], as_written: false });
            steps.on_the_way_back(
                Phase::Contract,
                format!("on the way back: the old {name} of {table} takes no NULL"),
                enforce,
                tree(LockMode::AccessExclusive),
            );
        }
        if self.down.is_none() {
            let assert = Action::Assert(Assert {
                query: sql!(
                    "SELECT count(*) || {} FROM {} WHERE {} IS NULL AND {} IS NOT NULL HAVING count(*) > 0",
                    Literal(format!(" rows of {table} hold a {name} that the type from before can't hold")),
                    table,
                    retired,
                    name
                ),
                message: format!("the old type holds every {name} of {table}"),
                help: format!(
                    "there is no way back that keeps these values: change them first, or stay and run `crossfade purge {}`",
                    cx.migration.version
                ),
            });
            steps.on_the_way_back(
                Phase::Contract,
                format!("on the way back: the old type must hold every {name} of {table}"),
                assert,
                Vec::new(),
            );
        }
    }
}

impl Operation for AlterType {
    fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        let mut findings = sync_refusals(cx, &self.table, &self.column.name, self.span);
        let why = self.refuse(cx);
        if !why.is_empty() {
            findings.push(Finding::error("alter-type", self.span, format!("the type of {}.{} can't be changed in phases: {}", self.table.name, self.column.name, why.join("; ")))
                .help("add a new column, fill it, and drop the old one (three statements in one file); or accept the lock and the rewrite: `-- crossfade: direct REASON`"));
        }
        for expr in [&self.up, &self.down, &self.to.using].into_iter().flatten() {
            findings.extend(unknown_columns(&self.table, &[], expr, self.span, "the expression"));
        }
        findings
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let (Some(up), Some(down)) = (self.up_expr(cx), self.down_expr(cx)) else { return };
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
        if up.as_column().is_some() {
            steps.preflight(self.assignable());
        }
        steps.add_column(table, sql!("{} {}{}", shadow, self.to.type_name, collation));
        steps.sync(
            table,
            Group {
                shape: Shape::Retype { name: name.clone() },
                old: vec![OldColumn {
                    name: name.clone(),
                    type_name: self.column.type_name.clone(),
                    default: self.column.default.clone(),
                    not_null: self.column.not_null,
                    down: Some(down),
                    retired: cx.own_name("old", &self.column.name),
                }],
                new: vec![NewColumn { name: shadow.clone(), type_name: self.to.type_name.clone(), up }],
                until: Until::Contract,
                mend: None,
                loud: false,
                counts: false,
            },
        );
        self.lower_indexes(cx, steps);
        self.lower_checks(cx, steps);
        let proof = self.column.not_null.then(|| cx.own_name("nn", shadow.as_str()));
        if proof.is_some() {
            // The statements that use the proof are part of the swap, under the final name.
            super::add_column::prove_not_null(cx, &self.table, shadow.as_str(), steps);
        }
        let (go, back) = self.swap(cx, proof.as_ref());
        steps.contract(table, format!("swap {name} of {table} for the column of the new type"), go, back);
        if cx.policy.retain {
            self.lower_way_back(cx, steps);
            let retired = cx.own_name("old", &self.column.name);
            steps.purge(
                table,
                format!("drop the old {name} of {table}"),
                vec![sql!("ALTER TABLE {} DROP COLUMN {}", table, retired)],
            );
        }
    }

    fn project(&self, catalog: &mut Catalog) {
        let tree: Vec<TableName> =
            catalog.tree(&self.table).into_iter().map(|relation| relation.name.clone()).collect();
        for table in catalog.tables.iter_mut().filter(|table| tree.contains(&table.name)) {
            if let Some(column) = table.columns.iter_mut().find(|column| column.name == self.column.name) {
                retype_in(column, &self.to.type_name, &self.to.base_type, &self.to.modifiers);
            }
        }
    }

    fn claims(&self) -> Vec<Claim> {
        vec![claim(&self.table, &self.column.name)]
    }
}

impl AlterType {
    /// Without USING, PostgreSQL changes a type only where an assignment cast does.
    fn assignable(&self) -> Preflight {
        let name = &self.column.name;
        let refusal = format!("column {name} can't be cast automatically to the new type");
        Preflight {
            query: sql!(
                "SELECT {} FROM (SELECT {}::pg_catalog.regtype AS s, pg_catalog.pg_typeof(NULL::{}) AS t) AS x JOIN pg_catalog.pg_type AS d ON d.oid = x.t LEFT JOIN pg_catalog.pg_type AS f ON f.oid = x.s WHERE NOT (x.s = x.t OR d.typcategory = 'S' OR d.typtype = 'd' OR f.typtype = 'd' OR d.typelem <> 0 AND f.typelem <> 0 OR EXISTS (SELECT FROM pg_catalog.pg_cast AS c WHERE c.castsource = x.s AND c.casttarget = x.t AND c.castcontext IN ('a', 'i')))",
                Literal(refusal),
                Literal(self.column.type_name.as_str().to_owned()),
                self.to.type_name
            ),
            finding: Finding::error("cast", self.span, format!("{name} needs a USING"))
                .help("write ALTER COLUMN … TYPE … USING expression"),
        }
    }
}
