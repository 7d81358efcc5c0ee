//! The indexes over columns that change, each with those of the partitions that are attached to it: under which names they are built for the
//! shadows, and which ones they have in the end.
//!
//! Of a type change on a partitioned table the server makes the indexes of the partitions anew, as it does for a new index: under names of its
//! choice, without their own comments, marks and options (measured on 13 to 18). Before PostgreSQL 17 each of them gets the comment of the whole.

use std::collections::BTreeMap;

use super::super::index_tree;
use super::super::index_tree::Branch;
use super::super::index_tree::Origin;
use super::super::whole::constraint_comment;
use super::Names;
use crate::catalog;
use crate::catalog::Catalog;
use crate::catalog::Constraint;
use crate::catalog::ConstraintKind;
use crate::catalog::Index;
use crate::catalog::Label;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::plan::PlanContext;
use crate::sql;
use crate::sql::Ident;
use crate::sql::IndexDefinition;
use crate::sql::Literal;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::sql::add_key;

/// The index of one relation.
pub(super) struct Twig<'a> {
    pub table: &'a Table,
    /// Its name before; also that of the constraint that it is behind.
    pub known: Ident,
    /// The name of the index that it is attached to.
    parent: Option<TableName>,
    /// Its name in the end.
    pub after: Ident,
    /// Whether it says something of the table's rows: their order, or their identity.
    marked: bool,
}

/// An index, and what is attached to it. The first twig is its own, each stands in front of its partitions'.
pub(super) struct IndexTree<'a> {
    /// The relation that it stands on.
    pub table: &'a Table,
    pub index: &'a Index,
    pub owner: Option<&'a Constraint>,
    pub twigs: Vec<Twig<'a>>,
}

impl Twig<'_> {
    pub(super) fn full(&self, name: Ident) -> TableName {
        TableName { schema: self.table.name.schema.clone(), name }
    }

    pub(super) fn known_full(&self) -> TableName {
        self.full(self.known.clone())
    }

    pub(super) fn beside(&self, cx: &PlanContext<'_>) -> Ident {
        cx.own_name("ix", self.known.as_str())
    }

    pub(super) fn retired(&self, cx: &PlanContext<'_>) -> Ident {
        cx.own_name("oi", self.known.as_str())
    }

    pub(super) fn on_the_way_back(&self, cx: &PlanContext<'_>) -> Ident {
        cx.own_name("bi", self.known.as_str())
    }

    fn index(&self) -> Option<&Index> {
        self.table.indexes.iter().find(|index| index.name == self.known.as_str())
    }

    fn comment(&self, comment: &str, name: &Ident) -> Sql {
        sql!("COMMENT ON INDEX {} IS {}", self.full(name.clone()), Literal(comment.to_owned()))
    }

    /// The comments that it had, under its old name.
    pub(super) fn restore_comments(&self) -> Vec<Sql> {
        let constraint = self.table.constraints.iter().find(|known| known.name == self.known.as_str());
        let comment =
            self.index().and_then(|index| index.comment.as_deref()).map(|text| self.comment(text, &self.known));
        constraint
            .and_then(|constraint| constraint_comment(self.table, constraint))
            .into_iter()
            .chain(comment)
            .collect()
    }

    /// Whether it holds entries, or is nothing but the index of a partitioned table.
    pub(super) fn is_leaf(&self) -> bool {
        self.table.kind != TableKind::Partitioned
    }
}

/// The trees over at least one of the columns, wherever in the partition tree they begin.
pub(super) fn trees<'a>(cx: &'a PlanContext<'a>, table: &'a Table, columns: &[&str]) -> Vec<IndexTree<'a>> {
    let relations = cx.catalog.tree(table);
    let mut all: Vec<IndexTree<'a>> = Vec::new();
    for relation in relations {
        let on = |index: &&Index| index.columns.iter().any(|column| columns.contains(&column.as_str()));
        let roots = relation.indexes.iter().filter(|index| index.valid && index.attached_to.is_none());
        all.extend(roots.filter(on).map(|index| tree(cx.catalog, relation, index)));
    }
    name_anew(cx.catalog, &mut all);
    all
}

fn tree<'a>(catalog: &'a Catalog, table: &'a Table, index: &'a Index) -> IndexTree<'a> {
    let owner = table.constraints.iter().find(|constraint| Some(&constraint.name) == index.constraint.as_ref());
    let twig = |branch: Branch| {
        let marked = match &branch.origin {
            Origin::Found(found) => found.replica_identity || found.clustered,
            Origin::Made | Origin::Built => false,
        };
        let table = if branch.table == table.name { table } else { catalog.table(&branch.table)? };
        let known = branch.index.name;
        Some(Twig { table, after: known.clone(), known, parent: branch.parent, marked })
    };
    IndexTree {
        table,
        index,
        owner,
        twigs: index_tree::attached(catalog, table, index).into_iter().filter_map(twig).collect(),
    }
}

/// The names that the server will choose for what is attached. All old ones are free by then. Where several indexes of one relation would get one
/// name, they are numbered in the order in which they are now.
fn name_anew(catalog: &Catalog, trees: &mut [IndexTree<'_>]) {
    let mut names = catalog::Names::of(catalog);
    for twig in trees.iter().flat_map(|tree| tree.twigs.iter().skip(1)) {
        names.free(&twig.known_full());
    }
    let mut wanting: BTreeMap<(usize, String), (usize, usize)> = BTreeMap::new();
    let mut order: BTreeMap<TableName, usize> = BTreeMap::new();
    for (at, tree) in trees.iter().enumerate() {
        for (number, twig) in tree.twigs.iter().enumerate().skip(1) {
            let next = order.len();
            let place = *order.entry(twig.table.name.clone()).or_insert(next);
            wanting.insert((place, twig.known.as_str().to_owned()), (at, number));
        }
    }
    for (at, number) in wanting.into_values() {
        let tree = &trees[at];
        let label = match tree.owner.map(|owner| owner.kind) {
            Some(ConstraintKind::PrimaryKey) => Label::PrimaryKey,
            Some(ConstraintKind::Unique) => Label::Unique,
            Some(ConstraintKind::Exclude) => Label::Exclude,
            Some(ConstraintKind::Check | ConstraintKind::ForeignKey | ConstraintKind::NotNull) | None => Label::Index,
        };
        let Some(definition) = IndexDefinition::parse(&tree.index.definition) else { continue };
        let after = names.choose(&tree.twigs[number].table.name, &definition.column_names(catalog.major()), label);
        trees[at].twigs[number].after = after;
    }
}

impl<'a> IndexTree<'a> {
    pub(super) fn is_partitioned(&self) -> bool {
        self.table.kind == TableKind::Partitioned
    }

    pub(super) fn leaves(&self) -> impl Iterator<Item = &Twig<'a>> {
        self.twigs.iter().filter(|twig| twig.is_leaf())
    }

    /// The definition for the shadows, of no table and without a name.
    pub(super) fn renamed(&self, names: &Names) -> Option<IndexDefinition> {
        IndexDefinition::parse(&self.index.definition)?.only(false).renaming(names)
    }

    /// What is built beside it, under names of ours.
    pub(super) fn beside(&self, cx: &PlanContext<'_>) -> Vec<Branch> {
        let name = |twig: &Twig<'_>| twig.full(twig.beside(cx));
        let parent = |twig: &Twig<'_>| {
            let parent = self.twigs.iter().find(|other| Some(other.known_full()) == twig.parent)?;
            Some(name(parent))
        };
        let branch = |twig: &Twig<'_>| Branch {
            table: twig.table.name.clone(),
            index: name(twig),
            parent: parent(twig),
            origin: if twig.is_leaf() { Origin::Built } else { Origin::Made },
        };
        self.twigs.iter().map(branch).collect()
    }

    /// Makes constraints of the indexes that are built on the leaves, and from the bottom up those that take them over: the
    /// server finds them there, and builds nothing. `name` gives the constraint's name, and the index's.
    pub(super) fn add_constraints(
        &self,
        owner: &Constraint,
        columns: &Names,
        name: impl Fn(&Twig<'_>) -> (Ident, Ident),
    ) -> Vec<Sql> {
        let kind = if self.index.primary { sql!("PRIMARY KEY") } else { sql!("UNIQUE") };
        let add = |twig: &Twig<'_>| {
            let (constraint, index) = name(twig);
            if twig.is_leaf() {
                let (table, timing) = (&twig.table.name, timing(owner));
                return Some(sql!(
                    "ALTER TABLE {} ADD CONSTRAINT {} {} USING INDEX {}{}",
                    table,
                    constraint,
                    kind,
                    index,
                    timing
                ));
            }
            let definition = IndexDefinition::parse(&self.index.definition)?;
            add_key(&twig.table.name, &constraint, &owner.definition, columns, &definition)
        };
        self.twigs.iter().rev().filter_map(add).collect()
    }

    /// The comment on the whole.
    pub(super) fn comments(&self, major: u32) -> Vec<Sql> {
        let Some(comment) = &self.index.comment else { return Vec::new() };
        let commented = if major < 17 { self.twigs.len() } else { 1 };
        self.twigs.iter().take(commented).map(|twig| twig.comment(comment, &twig.after)).collect()
    }

    /// Why it can't be built for the shadows and swapped in.
    pub(super) fn refuse(&self) -> Option<String> {
        let name = &self.index.name;
        if let Some(twig) = self.twigs.iter().skip(1).find(|twig| twig.marked) {
            return Some(format!(
                "its index {} is the replica identity or the order of the partition {}, which a type change forgets",
                twig.known, twig.table.name
            ));
        }
        self.renamed(&Names::new()).is_none().then(|| format!("its index {name} is not understood"))
    }
}

fn timing(constraint: &Constraint) -> Sql {
    match (constraint.deferrable, constraint.definition.as_str().contains("INITIALLY DEFERRED")) {
        (true, true) => sql!(" DEFERRABLE INITIALLY DEFERRED"),
        (true, false) => sql!(" DEFERRABLE"),
        (false, _) => Sql::empty(),
    }
}
