//! CREATE INDEX on an existing table: CONCURRENTLY by itself, with invalid left-overs of an earlier try cleared; on a partitioned table ON ONLY,
//! then CONCURRENTLY on each partition, then attached.

use super::Operation;
use super::Role;
use super::claim;
use super::index_tree;
use super::index_tree::Branch;
use super::index_tree::Origin;
use crate::catalog::Catalog;
use crate::catalog::Index;
use crate::catalog::Label;
use crate::catalog::Names;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::finding::Finding;
use crate::lock::LockMode;
use crate::lock::TableLock;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::CreateIndex;
use crate::sql::Ident;
use crate::sql::IndexDefinition;
use crate::sql::Literal;
use crate::sql::ServerText;
use crate::sql::Span;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::step::Action;
use crate::step::Assert;
use crate::step::Claim;
use crate::step::Concurrently;
use crate::step::Phase;
use crate::step::Probe;

/// An index to build.
#[derive(Clone, Debug)]
pub(super) struct BuildIndex {
    pub table: Table,
    pub index: CreateIndex,
    pub span: Span,
    /// Whether the file drops an index of this name before.
    pub again: bool,
}

impl BuildIndex {
    fn name(&self, now: &Catalog) -> Ident {
        match &self.index.name {
            Some(name) => Ident::new(name.as_str()),
            None => {
                let columns = self.index.definition.column_names(now.major());
                Names::of(now).choose(&self.table.name, &columns, Label::Index)
            }
        }
    }

    fn is_there(&self) -> bool {
        let named = |index: &&Index| !self.again && Some(&index.name) == self.index.name.as_ref();
        let there = self.table.indexes.iter().find(named);
        there.is_some_and(|index| index.valid)
    }
}

impl Operation for BuildIndex {
    fn way(&self) -> Option<&'static str> {
        Some("built CONCURRENTLY, outside of a transaction")
    }

    fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.table.kind == TableKind::Partitioned && !self.index.definition.is_only() {
            findings.extend(index_tree::refusals(cx.catalog, &self.table, &self.index.definition, self.span));
        }
        if (140_000..140_004).contains(&cx.catalog.server_version) {
            findings.push(
                Finding::warning(
                    "index-corruption-14",
                    self.span,
                    "PostgreSQL 14.0 to 14.3 can build indexes CONCURRENTLY that miss rows",
                )
                .help("update the server to 14.4 or later"),
            );
        }
        if self.is_there() && !self.index.if_not_exists {
            let name = self.index.name.as_deref().unwrap_or_default();
            findings.push(Finding::error(
                "index-exists",
                self.span,
                format!("{} already has an index {name}", self.table.name),
            ));
        }
        if self.index.unique {
            findings.push(Finding::warning(
                "new-write-restriction",
                self.span,
                "code that writes duplicates fails from now on",
            ));
        }
        findings
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        if self.index.if_not_exists && self.is_there() {
            return;
        }
        let name = self.name(steps.now());
        build(cx, steps, Phase::Migrate, &self.table, self.index.definition.clone(), &name);
    }

    fn project(&self, catalog: &mut Catalog) {
        if self.index.if_not_exists && self.is_there() {
            return;
        }
        let name = self.name(catalog);
        let definition = &self.index.definition;
        let branches = if definition.is_only() {
            Vec::new()
        } else {
            index_tree::branches(catalog, &mut Names::of(catalog), &self.table, definition, &name, Label::Index)
        };
        let root = TableName { schema: self.table.name.schema.clone(), name };
        project(catalog, &self.table.name, &root, None, definition);
        for branch in branches.iter().filter(|branch| branch.parent.is_some()) {
            match branch.origin {
                Origin::Made | Origin::Built => {
                    project(catalog, &branch.table, &branch.index, branch.parent.as_ref(), definition);
                }
                Origin::Found(_) => {
                    let table = catalog.tables.iter_mut().find(|table| table.name == branch.table);
                    let indexes = table.into_iter().flat_map(|table| &mut table.indexes);
                    for index in indexes.filter(|index| index.name == branch.index.name.as_str()) {
                        index.attached_to = branch.parent.clone();
                    }
                }
            }
        }
    }

    fn role(&self) -> Role {
        Role::Index
    }

    fn claims(&self) -> Vec<Claim> {
        self.index.columns.iter().map(|column| claim(&self.table, column)).collect()
    }
}

fn project(
    catalog: &mut Catalog,
    table: &TableName,
    index: &TableName,
    attached_to: Option<&TableName>,
    definition: &IndexDefinition,
) {
    let Some(sql) = definition.clone().named(&index.name).on(table).concurrently(false).to_sql() else { return };
    if let Some(table) = catalog.tables.iter_mut().find(|known| known.name == *table) {
        table.indexes.push(Index {
            name: index.name.as_str().to_owned(),
            definition: ServerText::from_server(sql.as_str()),
            columns: definition.columns(),
            unique: definition.is_unique(),
            primary: false,
            expression_or_predicate: false,
            valid: true,
            constraint: None,
            attached_to: attached_to.cloned(),
            replica_identity: false,
            clustered: false,
            comment: None,
        });
    }
}

/// Builds an index without keeping anybody waiting, and takes it away again on the way back.
///
/// On a partitioned table the indexes of the partitions get the names that the server would give them. The definition is taken for the table
/// and the name that are given here, whatever stands in it.
pub(super) fn build(
    cx: &PlanContext<'_>,
    steps: &mut StepsBuilder<'_>,
    phase: Phase,
    table: &Table,
    definition: IndexDefinition,
    name: &Ident,
) {
    let full = TableName { schema: table.name.schema.clone(), name: name.clone() };
    if table.kind != TableKind::Partitioned {
        return build_one(steps, phase, &table.name, &full, &definition);
    }
    let branches = if definition.is_only() {
        vec![Branch { table: table.name.clone(), index: full, parent: None, origin: Origin::Made }]
    } else {
        let mut names = Names::of(steps.now());
        index_tree::branches(steps.now(), &mut names, table, &definition, name, Label::Index)
    };
    build_tree(cx, steps, phase, table, branches, &definition);
}

/// Builds the indexes of a partitioned table and of its partitions: first those without rows, then each of the others, which is attached to them.
pub(super) fn build_tree(
    cx: &PlanContext<'_>,
    steps: &mut StepsBuilder<'_>,
    phase: Phase,
    table: &Table,
    mut branches: Vec<Branch>,
    definition: &IndexDefinition,
) {
    let Some(full) = branches.first().map(|root| root.index.clone()) else { return };
    make(cx, steps, phase, table, &branches, definition);
    branches.retain(|branch| !matches!(branch.origin, Origin::Made));
    let (found, built): (Vec<Branch>, Vec<Branch>) =
        branches.into_iter().partition(|branch| matches!(branch.origin, Origin::Found(_)));
    for branch in &built {
        build_one(steps, phase, &branch.table, &branch.index, definition);
    }
    let drop = || vec![sql!("DROP INDEX IF EXISTS {}", full)];
    for (at, branch) in built.iter().enumerate() {
        // What was attached goes with the index that it was attached to.
        let undo = if at == 0 { drop() } else { Vec::new() };
        attach(cx, steps, phase, table, std::slice::from_ref(branch), undo);
    }
    if !found.is_empty() {
        take_over(cx, steps, phase, table, &found, drop());
    }
    if !definition.is_only() {
        steps.assert(phase, is_valid(table, &full));
    }
}

fn build_one(
    steps: &mut StepsBuilder<'_>,
    phase: Phase,
    table: &TableName,
    index: &TableName,
    definition: &IndexDefinition,
) {
    let Some(run) = definition.clone().named(&index.name).on(table).only(false).concurrently(true).to_sql() else {
        return;
    };
    steps.concurrently(
        phase,
        table,
        format!("build index {} on {table}", index.name),
        Concurrently { run, probe: is_built(index, table) },
        Some(Concurrently {
            run: sql!("DROP INDEX CONCURRENTLY IF EXISTS {}", index),
            probe: Probe::IndexIsGone { index: index.clone() },
        }),
    );
}

fn is_built(index: &TableName, table: &TableName) -> Probe {
    Probe::IndexIsValid { index: index.clone(), table: table.clone(), definition: None }
}

/// The indexes of the partitioned tables themselves hold nothing: they are made at once, and invalid until all of their partitions' are attached.
fn make(
    cx: &PlanContext<'_>,
    steps: &mut StepsBuilder<'_>,
    phase: Phase,
    table: &Table,
    branches: &[Branch],
    definition: &IndexDefinition,
) {
    let mut locks = Vec::new();
    let mut statements = Vec::new();
    for branch in branches.iter().filter(|branch| matches!(branch.origin, Origin::Made)) {
        locks.push(TableLock::only(branch.table.clone(), LockMode::Share));
        let create = definition.clone().named(&branch.index.name).on(&branch.table).only(true).concurrently(false);
        statements.extend(create.to_sql());
        statements.extend(
            branch.parent.iter().map(|parent| sql!("ALTER INDEX {} ATTACH PARTITION {}", parent, branch.index)),
        );
    }
    let Some(root) = branches.first() else { return };
    let back = vec![sql!("DROP INDEX IF EXISTS {}", root.index)];
    let summary = format!("make index {} on {} without its partitions", root.index.name, table.name);
    steps.locked(phase, summary, locks, statements, Some((whole_tree(cx, table), back)));
}

/// Attaching locks the partition's index, which every query over the partition holds.
fn attach(
    cx: &PlanContext<'_>,
    steps: &mut StepsBuilder<'_>,
    phase: Phase,
    table: &Table,
    branches: &[Branch],
    undo: Vec<Sql>,
) {
    let mut locks: Vec<TableLock> =
        branches.iter().map(|branch| TableLock::only(branch.table.clone(), LockMode::AccessExclusive)).collect();
    for branch in branches {
        // The index that it is attached to may be complete with it, and the one above that, too: the server locks the tables above for that (seen in 15.20).
        let above = |name: &TableName| cx.catalog.table(name).and_then(|table| table.partition_of.clone());
        let mut next = above(&branch.table).and_then(|parent| above(&parent));
        while let Some(name) = next {
            next = above(&name);
            locks.push(TableLock::only(name, LockMode::AccessExclusive));
        }
    }
    locks.sort();
    locks.dedup();
    let statements = branches.iter().filter_map(|branch| {
        branch.parent.as_ref().map(|parent| sql!("ALTER INDEX {} ATTACH PARTITION {}", parent, branch.index))
    });
    let names: Vec<String> = branches.iter().map(|branch| branch.index.name.to_string()).collect();
    let undo = (!undo.is_empty()).then(|| (whole_tree(cx, table), undo));
    let summary = format!("attach {} to the index of {}", names.join(", "), table.name);
    steps.locked(phase, summary, locks, statements.collect(), undo);
}

/// Indexes that were there before must be there again on the way back, though they go with the index that they were attached to: they are
/// built again under names of ours before that, and take their own names in its transaction.
fn take_over(
    cx: &PlanContext<'_>,
    steps: &mut StepsBuilder<'_>,
    phase: Phase,
    table: &Table,
    found: &[Branch],
    mut undo: Vec<Sql>,
) {
    let mut again = Vec::new();
    for branch in found {
        let Origin::Found(index) = &branch.origin else { continue };
        let own = TableName { schema: branch.index.schema.clone(), name: cx.own_name("again", &index.name) };
        let definition = IndexDefinition::parse(&index.definition);
        let Some(run) = definition.and_then(|definition| definition.named(&own.name).concurrently(true).to_sql())
        else {
            continue;
        };
        undo.push(sql!("ALTER INDEX {} RENAME TO {}", own, branch.index.name));
        if let Some(comment) = &index.comment {
            undo.push(sql!("COMMENT ON INDEX {} IS {}", branch.index, Literal(comment.clone())));
        }
        again.push((branch, run, own));
    }
    attach(cx, steps, phase, table, found, undo);
    for (branch, run, own) in again {
        steps.undo_only(
            phase,
            format!("on the way back: build {} on {} again", branch.index.name, branch.table),
            Action::Concurrently(Concurrently { run, probe: is_built(&own, &branch.table) }),
            vec![TableLock::new(branch.table.clone(), LockMode::ShareUpdateExclusive)],
        );
    }
}

/// What dropping an index of a partitioned table locks.
pub(super) fn whole_tree(cx: &PlanContext<'_>, table: &Table) -> Vec<TableLock> {
    let tree = cx.catalog.tree(table);
    tree.into_iter().map(|relation| TableLock::only(relation.name.clone(), LockMode::AccessExclusive)).collect()
}

fn is_valid(table: &Table, index: &TableName) -> Assert {
    let name = sql!("{}", index);
    Assert {
        query: sql!(
            "SELECT {} || coalesce(string_agg(c.oid::regclass::text, ', '), 'a partition of a partition') FROM pg_catalog.pg_index AS i \
             LEFT JOIN pg_catalog.pg_inherits AS h ON h.inhparent = i.indrelid \
             AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits AS a JOIN pg_catalog.pg_index AS p ON p.indexrelid = a.inhrelid \
             WHERE a.inhparent = i.indexrelid AND p.indrelid = h.inhrelid AND p.indisvalid) \
             LEFT JOIN pg_catalog.pg_class AS c ON c.oid = h.inhrelid AND c.relkind <> 'f' \
             WHERE i.indexrelid = pg_catalog.to_regclass({}) AND NOT i.indisvalid GROUP BY i.indexrelid",
            Literal(format!("index {index} is not valid, for want of an index of ")),
            Literal(name.as_str().to_owned())
        ),
        message: format!("index {} of {} is complete", index.name, table.name),
        help: "a partition came while the index was built: `crossfade rollback`, then `crossfade migrate`; or build its index by hand and attach it"
            .to_owned(),
    }
}
