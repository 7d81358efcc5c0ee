//! Turns what was gathered by table into operations.

use super::super::add_column::AddColumn;
use super::super::alter_type::AlterType;
use super::super::in_contract::InContract;
use super::super::replace::Added;
use super::super::replace::Dropped;
use super::super::replace::Replace;
use super::Pending;
use super::Reader;
use crate::catalog::ConstraintKind;
use crate::catalog::Table;
use crate::catalog::Volatility;
use crate::finding::Finding;
use crate::plan::PlanContext;
use crate::sql;
use crate::sql::Expr;
use crate::sql::Ident;
use crate::sql::TableName;
use crate::sql::with_not_null;
use std::collections::BTreeSet;

impl Reader<'_> {
    /// Turns what was gathered by table into operations.
    pub(super) fn settle(&mut self) {
        for (position, gone) in std::mem::take(&mut self.dropped_indexes) {
            self.operations.push((position, Box::new(gone)));
        }
        let mut retypes = std::mem::take(&mut self.retypes);
        for (_, retype) in &mut retypes {
            // An index that the file drops need not follow.
            let table = &mut retype.table;
            table.indexes.retain(|index| !self.gone_indexes.contains(&(table.name.clone(), index.name.clone())));
        }
        self.taken_over = retypes.iter().map(|(_, retype)| retype.taken_over(self.cx)).collect();
        if let Some(first) = retypes.first().map(|(position, _)| *position) {
            let columns = retypes.into_iter().map(|(_, retype)| retype).collect();
            let operation = AlterType::new(self.cx, columns, self.remaking.names());
            self.joined = operation.joined().to_vec();
            self.operations.push((first, Box::new(operation)));
        }
        let tables: BTreeSet<TableName> = self.pending.keys().chain(self.dropped.keys()).cloned().collect();
        for name in tables {
            let Some(table) = self.catalog().table(&name).cloned() else { continue };
            let pending = self.pending.remove(&name).unwrap_or_default();
            let dropped = self.dropped.remove(&name).unwrap_or_default();
            self.settle_table(&table, pending, dropped);
        }
    }

    pub(super) fn settle_table(&mut self, table: &Table, pending: Vec<Pending>, dropped: Vec<Dropped>) {
        let is_named = |pending: &Pending| {
            dropped.iter().any(|gone| gone.down.as_ref().is_some_and(|down| down.names(&pending.definition.name)))
        };
        // What a `down` is made of takes the place of what goes, also where nothing says its value: that is its default.
        let pending = pending.into_iter().map(|mut pending| {
            if pending.value.is_none() && is_named(&pending) {
                pending.value = pending.definition.default.clone().or_else(|| Expr::parse("NULL").ok());
            }
            pending
        });
        let (known, pending): (Vec<Pending>, Vec<Pending>) =
            pending.partition(|pending| self.is_known_by_its_default(pending));
        for pending in known {
            self.add_with_its_default(table, pending);
        }
        let (filled, instant): (Vec<Pending>, Vec<Pending>) =
            pending.into_iter().map(Pending::without_dropped_default).partition(|pending| {
                pending.value.is_some()
                    || (pending.definition.not_null && pending.definition.default.as_ref().is_none_or(Expr::is_null))
                    || pending.later_default().is_some()
            });
        for pending in &instant {
            if let Some(statement) = self.cx.migration.statements.get(pending.statement).cloned() {
                self.write_as_is(pending.statement, &statement);
            }
        }
        for pending in &filled {
            self.touch(pending.statement, &table.name, &pending.definition.name);
        }
        let mut groups = connect(&filled, &dropped);
        groups.sort_by_key(|(added, dropped)| {
            let first_added = added.iter().map(|at| filled[*at].statement).min();
            let first_dropped = dropped.iter().map(|at| dropped_position(self.cx, &self.touched, table, at)).min();
            (first_added.or(first_dropped), first_dropped)
        });
        let mut filled: Vec<Option<Pending>> = filled.into_iter().map(Some).collect();
        let mut dropped: Vec<Option<Dropped>> = dropped.into_iter().map(Some).collect();
        for (added_at, dropped_at) in groups {
            let added: Vec<Pending> = added_at.into_iter().filter_map(|at| filled[at].take()).collect();
            let gone: Vec<Dropped> = dropped_at.into_iter().filter_map(|at| dropped[at].take()).collect();
            let under_one_name = self.under_one_name(table, &added, &gone);
            if gone.is_empty() {
                for pending in added {
                    self.add_filled(table, pending);
                }
                continue;
            }
            let position = added.iter().map(|pending| pending.statement).min();
            let position = position.unwrap_or_else(|| {
                self.touched
                    .iter()
                    .find(|(_, name, column)| {
                        *name == table.name && gone.iter().any(|dropped| dropped.column.name == *column)
                    })
                    .map_or(0, |(at, _, _)| *at)
            });
            self.not_null_at_contract
                .extend(added.iter().map(|pending| (table.name.clone(), pending.definition.name.clone())));
            let taken =
                added.iter().find(|pending| pending.value.as_ref().is_some_and(|value| !value.reads().is_empty()));
            if let Some(taken) = taken {
                let message = format!(
                    "the value of {} comes from another table, and from a column that this file drops",
                    taken.definition.name
                );
                self.findings.push(
                    Finding::error("update-not-understood", taken.span, message).help(
                        "drop the old column in the next migration, after contract: then nothing reads it any more",
                    ),
                );
                continue;
            }
            let added = added.into_iter().filter_map(|pending| {
                let later_default = pending.later_default().cloned();
                let Pending { definition, span, value, not_null_name, .. } = pending;
                value.map(|up| Added { column: definition, up, later_default, not_null_name, span })
            });
            let replace = Replace { table: table.clone(), dropped: gone, added: added.collect(), under_one_name };
            self.operations.push((position, Box::new(replace)));
        }
    }

    /// Whether the one column that comes gets the name of the one that goes, of which its value is made. Where it gets a name otherwise, that is refused.
    fn under_one_name(&mut self, whole: &Table, added: &[Pending], gone: &[Dropped]) -> bool {
        let table = &whole.name;
        let is_key = |name: &str| {
            whole.constraints_on(name).any(|known| known.kind == ConstraintKind::PrimaryKey)
                || whole.indexes_on(name).any(|index| index.replica_identity)
        };
        let renamed = |(_, of, from, _): &&(usize, TableName, String, String)| {
            of == table && added.iter().any(|pending| pending.definition.name == *from)
        };
        let Some((position, _, from, to)) = self.successors.iter().find(renamed).cloned() else { return false };
        match (added, gone) {
            ([_], [gone]) if gone.column.name == to && gone.column.identity.is_none() && !is_key(&to) => true,
            _ => {
                let span = self.cx.migration.statements.get(position).map(|statement| statement.parsed.span);
                self.refuse_chain(table, &from, span.unwrap_or_default());
                false
            }
        }
    }

    pub(super) fn add_filled(&mut self, table: &Table, pending: Pending) {
        let later_default = pending.later_default().cloned();
        let Pending { definition, span, value, sequence, statement, .. } = pending;
        self.filled.insert((table.name.clone(), definition.name.clone()));
        let from_default = sequence.is_some()
            || definition.default.as_ref().is_some_and(|default| {
                self.volatility(default) == Volatility::Volatile && value.as_ref() == Some(default)
            });
        let constant = definition
            .default
            .clone()
            .filter(|default| !default.is_null() && self.volatility(default) < Volatility::Volatile);
        match value.or_else(|| constant.clone()) {
            Some(up) => {
                if !from_default {
                    self.not_null_at_contract.insert((table.name.clone(), definition.name.clone()));
                }
                let reads = self.reads_of(statement, &up);
                let operation = AddColumn { table: table.clone(), column: definition, span, up, from_default, reads, later_default, sequence };
                self.operations.push((statement, Box::new(operation)));
            }
            None if !definition.not_null => {
                // Only a later default: nothing to fill.
                let up = Expr::parse("NULL").expect("NULL is an expression");
                let operation = AddColumn { table: table.clone(), column: definition, span, up, from_default: true, reads: Vec::new(), later_default, sequence: None };
                self.operations.push((statement, Box::new(operation)));
            }
            None => self.findings.push(
                Finding::error("up-needed", span, format!("{}.{} is NOT NULL, and its value for existing rows is not known", table.name, definition.name))
                    .help("write it in front of the statement: `-- crossfade: up EXPR`, or give the column a DEFAULT, or fill it with an UPDATE in this file"),
            ),
        }
    }
}

impl Pending {
    /// The default that it has in the end, where that is another than the one it comes with.
    fn later_default(&self) -> Option<&Expr> {
        self.defaults.last().and_then(|(_, default)| default.as_ref())
    }

    fn without_dropped_default(mut self) -> Pending {
        if self.defaults.iter().any(|(_, default)| default.is_none()) {
            self.definition.default = None;
        }
        self
    }
}

impl Reader<'_> {
    /// Whether existing rows have the default that the column comes with, and only what it is from then on changes: its default, and that it is NOT NULL.
    fn is_known_by_its_default(&self, pending: &Pending) -> bool {
        let constant = |default: &Expr| !default.is_null() && self.volatility(default) < Volatility::Volatile;
        pending.value.is_none()
            && pending.sequence.is_none()
            && pending.definition.default.as_ref().is_some_and(constant)
            && (!pending.defaults.is_empty() || pending.not_null_later)
    }

    /// The server knows the value of each row without writing it. A default that is dropped stays until contract where old code can't do without.
    fn add_with_its_default(&mut self, table: &Table, pending: Pending) {
        let statements = &self.cx.migration.statements;
        let Some(mut add) = statements.get(pending.statement).cloned() else { return };
        if pending.not_null_later {
            let Some(not_null) = with_not_null(&add.parsed, pending.not_null_name.as_deref()) else {
                let message = format!("{} can't be added as NOT NULL", pending.definition.name);
                self.findings.push(
                    Finding::error("mixed-alter-table", pending.span, message)
                        .help("write NOT NULL where the column is added, and leave SET NOT NULL out"),
                );
                return;
            };
            add.parsed = not_null;
        }
        self.write_as_is(pending.statement, &add);
        // The last one counts.
        let Some((position, later)) = pending.defaults.last() else { return };
        let Some(mut statement) = statements.get(*position).cloned() else { return };
        let needed = pending.definition.default.as_ref().filter(|_| pending.definition.not_null && later.is_none());
        if let Some(before) = needed {
            let column = Ident::new(pending.definition.name.as_str());
            let back = sql!("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}", table.name, column, before.over_table());
            statement.undo = Some(back);
            let says = format!("drop the default of {column} of {}", table.name);
            let drop = InContract { statement, table: table.name.clone(), says };
            self.operations.push((*position, Box::new(drop)));
            return;
        }
        self.write_as_is(*position, &statement);
    }
}

pub(super) fn dropped_position(
    _: &PlanContext<'_>,
    touched: &[(usize, TableName, String)],
    table: &Table,
    at: &usize,
) -> usize {
    touched
        .iter()
        .filter(|(_, name, _)| *name == table.name)
        .map(|(position, _, _)| *position)
        .nth(*at)
        .unwrap_or(usize::MAX)
}

/// Which added and dropped columns belong together: one's value names the other.
pub(super) fn connect(filled: &[Pending], dropped: &[Dropped]) -> Vec<(Vec<usize>, Vec<usize>)> {
    let mut group: Vec<usize> = (0..filled.len() + dropped.len()).collect();
    for (a, pending) in filled.iter().enumerate() {
        for (d, gone) in dropped.iter().enumerate() {
            let up_names = pending.value.as_ref().is_some_and(|value| value.names(&gone.column.name));
            let down_names = gone.down.as_ref().is_some_and(|down| down.names(&pending.definition.name));
            if up_names || down_names {
                let (keep, join) = (group[a], group[filled.len() + d]);
                group.iter_mut().filter(|id| **id == join).for_each(|id| *id = keep);
            }
        }
    }
    let ids: BTreeSet<usize> = group.iter().copied().collect();
    ids.into_iter()
        .map(|id| {
            let members =
                |from: usize, to: usize| (from..to).filter(|at| group[*at] == id).map(|at| at - from).collect();
            (members(0, filled.len()), members(filled.len(), group.len()))
        })
        .collect()
}
