//! An index of a partitioned table, with the indexes of its partitions: which of them are there, which are built, and what they are called.
//!
//! As the server does it for CREATE INDEX: partition by partition in its order, an index that is there and fits is taken over, another one is
//! made under a name of the server's choice.

use crate::catalog::Catalog;
use crate::catalog::Index;
use crate::catalog::Label;
use crate::catalog::Names;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::finding::Finding;
use crate::sql::Ident;
use crate::sql::IndexDefinition;
use crate::sql::Sameness;
use crate::sql::Span;
use crate::sql::TableName;

/// The index of one relation of the tree.
#[derive(Clone, Debug)]
pub(super) struct Branch {
    /// The relation.
    pub table: TableName,
    /// Its index.
    pub index: TableName,
    /// The index of its parent, to which it is attached.
    pub parent: Option<TableName>,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where an index of the tree comes from.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// The relation is partitioned: it holds no rows, so its index is made at once.
    Made,
    /// The relation holds rows: its index is built.
    Built,
    /// It is there already, and is taken over.
    Found(Box<Index>),
}

/// The whole tree, each relation in front of its partitions.
pub(super) fn branches(
    catalog: &Catalog,
    names: &mut Names,
    table: &Table,
    definition: &IndexDefinition,
    name: &Ident,
    label: Label,
) -> Vec<Branch> {
    let root = beside(table, name);
    names.take_relation(&root);
    let mut all = vec![Branch { table: table.name.clone(), index: root.clone(), parent: None, origin: Origin::Made }];
    let columns = definition.column_names(catalog.major());
    grow(catalog, table, &root, &mut all, &mut |partition| match found(partition, definition).same {
        Some(index) => (Ident::new(index.name.as_str()), Some(index)),
        None => (names.choose(&partition.name, &columns, label), None),
    });
    all
}

/// The tree of an index that is there: every part of it found.
pub(super) fn attached(catalog: &Catalog, table: &Table, index: &Index) -> Vec<Branch> {
    let root = beside(table, &Ident::new(index.name.as_str()));
    let mut all = vec![Branch {
        table: table.name.clone(),
        index: root.clone(),
        parent: None,
        origin: Origin::Found(Box::new(index.clone())),
    }];
    descend(catalog, table, &root, &mut all);
    all
}

fn descend(catalog: &Catalog, table: &Table, parent: &TableName, all: &mut Vec<Branch>) {
    for partition in catalog.partitions(table) {
        let Some(index) = partition.indexes.iter().find(|index| index.attached_to.as_ref() == Some(parent)) else {
            continue;
        };
        let name = beside(partition, &Ident::new(index.name.as_str()));
        all.push(Branch {
            table: partition.name.clone(),
            index: name.clone(),
            parent: Some(parent.clone()),
            origin: Origin::Found(Box::new(index.clone())),
        });
        descend(catalog, partition, &name, all);
    }
}

fn beside(table: &Table, name: &Ident) -> TableName {
    TableName { schema: table.name.schema.clone(), name: name.clone() }
}

fn grow(
    catalog: &Catalog,
    table: &Table,
    parent: &TableName,
    all: &mut Vec<Branch>,
    choose: &mut dyn FnMut(&Table) -> (Ident, Option<Index>),
) {
    for partition in catalog.partitions(table) {
        let origin = match partition.kind {
            TableKind::Table => Origin::Built,
            TableKind::Partitioned => Origin::Made,
            // A foreign table has no index.
            TableKind::Foreign | TableKind::View | TableKind::MaterializedView => continue,
        };
        let (name, there) = choose(partition);
        let index = beside(partition, &name);
        let branch = |origin| Branch {
            table: partition.name.clone(),
            index: index.clone(),
            parent: Some(parent.clone()),
            origin,
        };
        match there {
            Some(there) => all.push(branch(Origin::Found(Box::new(there)))),
            None => {
                all.push(branch(origin));
                grow(catalog, partition, &index, all, choose);
            }
        }
    }
}

/// What a partition has that the server might take over.
struct There {
    same: Option<Index>,
    unclear: Option<Index>,
}

fn found(partition: &Table, definition: &IndexDefinition) -> There {
    let mut there = There { same: None, unclear: None };
    for index in partition.indexes.iter().filter(|index| index.attached_to.is_none() && index.valid) {
        let Some(other) = IndexDefinition::parse(&index.definition) else { continue };
        match definition.compare(&other) {
            Sameness::Same => there.same = there.same.or_else(|| Some(index.clone())),
            Sameness::Unclear => there.unclear = there.unclear.or_else(|| Some(index.clone())),
            Sameness::Different => {}
        }
    }
    there
}

/// Indexes of partitions that can't be taken over with a way back, and those of which only the server knows whether it takes them.
pub(super) fn refusals(catalog: &Catalog, table: &Table, definition: &IndexDefinition, span: Span) -> Vec<Finding> {
    let mut findings = Vec::new();
    for partition in catalog.partitions(table) {
        let There { same, unclear } = found(partition, definition);
        if let Some(index) = &same {
            let rebuildable = partition.kind == TableKind::Table
                && index.constraint.is_none()
                && !index.replica_identity
                && !index.clustered;
            if !rebuildable {
                findings.push(
                    Finding::error(
                        "partition-index",
                        span,
                        format!("the server would take over index {} of the partition {}, and there is no way back from that", index.name, partition.name),
                    )
                    .help("accept it: `-- crossfade: direct REASON`; or make the new index a little different"),
                );
            }
        } else if let Some(index) = unclear {
            findings.push(
                Finding::error(
                    "partition-index",
                    span,
                    format!(
                        "index {} of the partition {} may be one that the server takes over",
                        index.name, partition.name
                    ),
                )
                .help(format!(
                    "write the new index as the server shows the one that is there (`{}`), or drop that one first",
                    index.definition
                )),
            );
        }
        if same.is_none() {
            findings.extend(refusals(catalog, partition, definition, span));
        }
    }
    findings
}
