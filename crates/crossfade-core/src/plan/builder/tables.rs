//! What one table that is synced needs: expand, fill, verify, settle.

use super::Rank;
use super::StepsBuilder;
use super::Sync;
use super::add_lock;
use super::chunks::count_units;
use super::chunks::locate;
use super::chunks::sweep_units;
use super::chunks::vacuum;
use crate::catalog::Table;
use crate::lock::LockMode;
use crate::lock::TableLock;
use crate::plan::sync;
use crate::plan::sync::Group;
use crate::plan::sync::Mode;
use crate::plan::sync::Names;
use crate::plan::sync::Shape;
use crate::plan::sync::Until;
use crate::sql;
use crate::sql::Ident;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::sql::UniqueKey;
use crate::step::Action;
use crate::step::Backfill;
use crate::step::Ddl;
use crate::step::Outcome;
use crate::step::Phase;
use crate::step::Statement;
use crate::step::Tidy;
use crate::step::Verify;
use crate::step::VerifyUnit;

impl StepsBuilder<'_> {
    pub(super) fn lower_sync(&mut self, sync: Sync) {
        let catalog = self.cx.catalog;
        let Some(table) = catalog.table(&sync.table) else { return };
        let names = Names::new(&self.cx.policy.schema, &self.cx.migration.version, &table.name);
        let tree: Vec<TableName> = catalog.tree(table).into_iter().map(|relation| relation.name.clone()).collect();
        let syncing: Vec<&Group> = sync.groups.iter().filter(|group| group.syncs()).collect();
        let filling: Vec<&Group> = sync.groups.iter().filter(|group| group.fills()).collect();
        let lasting: Vec<&Group> = syncing.iter().copied().filter(|group| group.until == Until::Contract).collect();
        let reverse: Vec<&Group> = if self.cx.policy.retain {
            sync.groups.iter().filter(|group| group.reverses()).collect()
        } else {
            Vec::new()
        };
        let loud = filling.iter().any(|group| group.loud);
        let before_triggers = std::iter::once(table).chain(catalog.leaves(table)).any(|relation| {
            relation
                .triggers
                .iter()
                .any(|trigger| trigger.before && trigger.row && trigger.on_update && trigger.enabled)
        });
        let seen: Vec<&Group> = sync.groups.iter().filter(|group| group.is_seen() && !group.syncs()).collect();
        let restore = before_triggers && !loud && !filling.is_empty();
        let function = |groups: &[&Group], mode| {
            let keys = sync.keys_of(groups, mode);
            sync::function(&names, groups, &keys, mode, &catalog.search_path, restore)
        };
        let triggers = |groups: &[&Group], mode| sync::triggers(&names, groups, mode, &tree, restore);

        // Where such a row is set aside, it need not be found beforehand.
        if !self.cx.policy.park {
            self.lower_values_check(table, &filling);
        }
        let witnesses = sync::witnesses(&names, &seen, &tree, &catalog.search_path);
        self.lower_expand(table, &sync, &names, &syncing, &witnesses, &function, &triggers);
        if !filling.is_empty() {
            self.lower_fill(table, &filling, !loud);
            let verified: Vec<&Group> = filling.iter().copied().filter(|group| !group.takes()).collect();
            if !verified.is_empty() {
                self.lower_verify(table, &verified, Phase::Migrate, loud_help());
            }
        }
        self.lower_settle(table, &names, &syncing, &lasting, &function, &triggers);
        self.lower_contract(table, &sync, &names, &lasting, &reverse, !witnesses.is_empty(), &function, &triggers);
    }

    /// An expression may fail on some row (a text that is no number). Better before anything is changed than in the middle, and better here
    /// than in the application's next write to that row.
    fn lower_values_check(&mut self, table: &Table, filling: &[&Group]) {
        let values: Vec<Sql> = filling.iter().flat_map(|group| group.computed_values()).collect();
        if values.is_empty() {
            return;
        }
        let bounds = self.bounds();
        let made = crate::operation::made(&self.cx);
        let uses_what_is_made = made.iter().any(|made| values.iter().any(|value| made.is_used_in(value.as_str())));
        // Compared with itself: never different, but it has to be computed.
        let each = sql!(
            "pg_catalog.record_image_ne(ROW({}), ROW({}))",
            Sql::join(values.clone(), ", "),
            Sql::join(values, ", ")
        );
        let units = self
            .cx
            .catalog
            .leaves(table)
            .into_iter()
            .map(|leaf| VerifyUnit {
                relation: leaf.name.clone(),
                query: sql!(
                    "SELECT count(*), count(*) FILTER (WHERE {}), NULL::text[] FROM ONLY {} WHERE {}",
                    each,
                    leaf.name,
                    self.in_chunk(bounds)
                ),
                locate: locate(table, leaf),
                bounds,
                estimated_rows: leaf.estimated_rows,
            })
            .collect();
        let help =
            "the new value is another one each time it is computed: use an expression that always gives the same"
                .to_owned();
        let verify = Action::Verify(Verify { table: table.name.clone(), units, help });
        let summary = format!("check that the new value can be computed for every row of {}", table.name);
        let locks = self.tree_locks(table, LockMode::AccessShare);
        // What the file itself makes first has to be there.
        let rank = if uses_what_is_made { Rank::Body } else { Rank::Fill };
        self.push(Phase::Expand, rank, summary, verify, None, locks, Vec::new());
    }

    fn filling_mode(&self) -> Mode {
        if self.cx.policy.park { Mode::Parking } else { Mode::Filling }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one transaction")]
    fn lower_expand(
        &mut self,
        table: &Table,
        sync: &Sync,
        names: &Names,
        syncing: &[&Group],
        witnesses: &[Sql],
        function: &dyn Fn(&[&Group], Mode) -> Sql,
        triggers: &dyn Fn(&[&Group], Mode) -> Vec<Sql>,
    ) {
        let mut statements = Vec::new();
        let mut undo = Vec::new();
        if !syncing.is_empty() {
            undo.extend(names.drop_triggers());
            undo.push(names.drop_function());
        }
        if !witnesses.is_empty() {
            undo.extend(names.drop_witnesses());
        }
        if !sync.add.is_empty() {
            statements.push(sql!(
                "ALTER TABLE {} {}",
                table.name,
                Sql::join(sync.add.iter().map(|add| sql!("ADD COLUMN {}", add)), ", ")
            ));
        }
        undo.extend(drop_added(table, &sync.groups));
        if !syncing.is_empty() {
            statements.push(function(syncing, self.filling_mode()));
            statements.extend(triggers(syncing, self.filling_mode()));
        }
        statements.extend(witnesses.iter().cloned());
        if statements.is_empty() {
            return;
        }
        let markers: Vec<Sql> = sync.groups.iter().flat_map(markers_of).collect();
        let mode = if sync.add.is_empty() && markers.is_empty() {
            LockMode::ShareRowExclusive
        } else {
            LockMode::AccessExclusive
        };
        let summary = if syncing.is_empty() && sync.add.is_empty() {
            format!("see who still writes what goes from {}", table.name)
        } else {
            expand_summary(table, &sync.groups, !syncing.is_empty())
        };
        if markers.is_empty() {
            self.ddl(Phase::Expand, table, mode, summary, statements, undo);
            return;
        }
        // On the way back old code is at work: from the moment that nothing is mended any more until all that was mended is taken back, a trigger must
        // remember that a row was written since.
        let mends: Vec<&Group> = sync.groups.iter().filter(|group| matches!(group.shape, Shape::Mend { .. })).collect();
        undo.extend(remember(&mends, function, triggers));
        let adds = markers.into_iter().map(|marker| sql!("ADD COLUMN {}", marker));
        let drops = sync.groups.iter().flat_map(marker_names).map(|marker| sql!("DROP COLUMN IF EXISTS {}", marker));
        let mut gone = names.drop_triggers();
        gone.push(names.drop_function());
        gone.push(sql!("ALTER TABLE {} {}", table.name, Sql::join(drops, ", ")));
        self.ddl(
            Phase::Expand,
            table,
            LockMode::AccessExclusive,
            format!("remember in {} which values are mended", table.name),
            vec![sql!("ALTER TABLE {} {}", table.name, Sql::join(adds, ", "))],
            gone,
        );
        let unmend = self.unmend(table, &mends);
        let locks = self.tree_locks(table, LockMode::RowExclusive);
        self.push(
            Phase::Expand,
            Rank::Body,
            format!("on the way back: make {} again what it was before it was mended", table.name),
            Action::Ddl(Ddl::default()),
            Some(unmend),
            locks,
            Vec::new(),
        );
        self.ddl(Phase::Expand, table, mode, summary, statements, undo);
    }

    fn unmend(&self, table: &Table, groups: &[&Group]) -> Action {
        let mut set = Vec::new();
        let mut marked = Vec::new();
        for group in groups {
            if let Shape::Mend { marker, kept, .. } = &group.shape {
                for (at, column) in group.old.iter().enumerate() {
                    let was = kept.get(at).map_or_else(|| sql!("NULL"), |kept| sql!("{}", kept));
                    set.push(sql!("{} = CASE WHEN {} THEN {} ELSE {} END", column.name, marker, was, column.name));
                }
                set.extend(marker_names(group).iter().map(|name| sql!("{} = NULL", name)));
                marked.push(sql!("{}", marker));
            }
        }
        Action::Backfill(self.sweep(table, Sql::join(set, ", "), Sql::join(marked, " OR "), true))
    }

    fn lower_fill(&mut self, table: &Table, filling: &[&Group], quiet: bool) {
        let several = filling.len() > 1;
        let set = Sql::join(filling.iter().flat_map(|group| group.assignments(several)), ", ");
        let unfilled = Sql::join(filling.iter().map(|group| group.unfilled()), " OR ");
        let mut backfill = self.sweep(table, set, unfilled, quiet);
        backfill.park = self.cx.policy.park;
        if filling.iter().all(|group| group.takes()) {
            backfill.outcome = Outcome::Taken;
        }
        if filling.iter().any(|group| group.counts) {
            // The direct way counts in the order of the rows.
            backfill.units.iter_mut().for_each(|unit| unit.stripes = 1);
            backfill.in_order = true;
        }
        let filled: Vec<String> = filling.iter().flat_map(|group| filled_columns(group)).collect();
        let columns = filled.join(", ");
        let mut locks = self.tree_locks(table, LockMode::RowExclusive);
        let names = filled.iter().map(|name| sql!("{}", Ident::new(name.as_str())));
        let analyze = sql!("ANALYZE {} ({})", table.name, Sql::join(names, ", "));
        if table.estimated_rows > self.cx.policy.small_rows {
            backfill.tidy = Some(self.tidy(table, analyze, true, &mut locks));
        }
        let mut hazards = Vec::new();
        for trigger in table.triggers.iter().filter(|trigger| trigger.on_update && trigger.enabled) {
            if !quiet {
                hazards.push(format!(
                    "trigger {} fires for each row that is filled, as it would for an UPDATE",
                    trigger.name
                ));
            } else if !trigger.before {
                hazards.push(format!(
                    "trigger {} fires for each row that is filled, unless the role may set session_replication_role",
                    trigger.name
                ));
            }
        }
        let summary = format!("fill {columns} of {} for existing rows", table.name);
        self.push(Phase::Migrate, Rank::Fill, summary, Action::Backfill(backfill), None, locks, hazards);
    }

    /// New statistics, and the dead rows gone.
    pub(in crate::plan) fn tidy(&self, table: &Table, analyze: Sql, vacuum: bool, locks: &mut Vec<TableLock>) -> Tidy {
        for lock in self.tree_locks(table, LockMode::ShareUpdateExclusive) {
            add_lock(locks, lock);
        }
        Tidy { analyze, vacuum: vacuum.then(|| self::vacuum(&table.name)) }
    }

    fn sweep(&self, table: &Table, set: Sql, condition: Sql, quiet: bool) -> Backfill {
        let leaves = self.cx.catalog.leaves(table);
        let units = sweep_units(self.cx.catalog, table, &leaves, &set, &condition);
        Backfill {
            table: table.name.clone(),
            units,
            quiet,
            in_order: false,
            tidy: None,
            outcome: Outcome::Verified,
            park: false,
        }
    }

    pub(super) fn lower_verify(&mut self, table: &Table, filling: &[&Group], phase: Phase, help: String) {
        let agree = |group: &&Group| if phase == Phase::Contract { group.agrees() } else { group.filled() };
        let differs = Sql::join(filling.iter().map(|group| sql!("NOT {}", agree(group))), " OR ");
        let units = count_units(self.cx.catalog, table, &self.cx.catalog.leaves(table), &differs);
        let summary = format!("verify that old and new form agree in every row of {}", table.name);
        let locks = self.tree_locks(table, LockMode::AccessShare);
        let verify = Action::Verify(Verify { table: table.name.clone(), units, help });
        // In contract it stands before the swap: the names that it compares go there.
        let rank = if phase == Phase::Contract { Rank::Early } else { Rank::Verify };
        self.push(phase, rank, summary, verify, None, locks, Vec::new());
    }

    fn lower_settle(
        &mut self,
        table: &Table,
        names: &Names,
        syncing: &[&Group],
        lasting: &[&Group],
        function: &dyn Fn(&[&Group], Mode) -> Sql,
        triggers: &dyn Fn(&[&Group], Mode) -> Vec<Sql>,
    ) {
        if syncing.is_empty() {
            return;
        }
        let all_last = lasting.len() == syncing.len();
        if all_last && !syncing.iter().any(|group| group.fills()) {
            return;
        }
        let (summary, statements, locks) = if lasting.is_empty() {
            let mut statements = names.drop_triggers();
            statements.push(names.drop_function());
            let locks = self.tree_locks(table, LockMode::AccessExclusive);
            (format!("every row of {} is filled: take the sync off", table.name), statements, locks)
        } else if all_last && !(self.cx.policy.park && syncing.iter().any(|group| group.may_fail())) {
            let summary = format!("every row of {} is filled: the sync only follows changes from now on", table.name);
            (summary, vec![function(lasting, Mode::Settled)], Vec::new())
        } else {
            let mut statements = names.drop_triggers();
            statements.push(function(lasting, Mode::Settled));
            statements.extend(triggers(lasting, Mode::Settled));
            let locks = self.tree_locks(table, LockMode::AccessExclusive);
            (
                format!("every row of {} is filled: the sync only follows changes from now on", table.name),
                statements,
                locks,
            )
        };
        let lock_first = locks.first().cloned().into_iter().collect();
        let statements = statements.into_iter().map(Statement::from).collect();
        let action = Action::Ddl(Ddl { lock_first, statements, as_written: false });
        self.push(Phase::Migrate, Rank::Settle, summary, action, None, locks, Vec::new());
    }
}

impl Sync {
    /// The keys that two unique indexes guard while this function is at work.
    fn keys_of(&self, groups: &[&Group], mode: Mode) -> Vec<&UniqueKey> {
        if groups.iter().all(|group| matches!(group.shape, Shape::Mend { .. } | Shape::Replace)) {
            return Vec::new();
        }
        // After contract what was renamed has one name and one index again.
        let renames = || self.groups.iter().filter(|group| group.shape == Shape::Rename);
        let is_renamed =
            |key: &UniqueKey| renames().flat_map(|group| &group.old).any(|old| key.names(old.name.as_str()));
        self.twice_unique.iter().filter(|key| mode != Mode::Reverse || !is_renamed(key)).collect()
    }
}

/// What remembers that a row was written after it was mended, and mends nothing. Without mends it is nothing.
pub(super) fn remember(
    mends: &[&Group],
    function: &dyn Fn(&[&Group], Mode) -> Sql,
    triggers: &dyn Fn(&[&Group], Mode) -> Vec<Sql>,
) -> Vec<Sql> {
    if mends.is_empty() {
        return Vec::new();
    }
    let mut statements = vec![function(mends, Mode::Reverse)];
    statements.extend(triggers(mends, Mode::Reverse));
    statements
}

/// The columns that remember what was mended.
fn marker_names(group: &Group) -> Vec<Ident> {
    match &group.shape {
        Shape::Mend { marker, kept, .. } => std::iter::once(marker).chain(kept).cloned().collect(),
        Shape::Replace | Shape::Rename | Shape::Retype { .. } => Vec::new(),
    }
}

/// The same with their types.
fn markers_of(group: &Group) -> Vec<Sql> {
    let types = std::iter::once(sql!("boolean")).chain(group.old.iter().map(|column| sql!("{}", column.type_name)));
    marker_names(group).iter().zip(types).map(|(name, type_name)| sql!("{} {}", name, type_name)).collect()
}

fn filled_columns(group: &Group) -> Vec<String> {
    match &group.shape {
        Shape::Retype { name } => vec![name.to_string()],
        Shape::Mend { .. } => group.old.iter().map(|column| column.name.to_string()).collect(),
        Shape::Replace | Shape::Rename => group.new.iter().map(|column| column.name.to_string()).collect(),
    }
}

pub(super) fn drop_added<'g>(table: &Table, groups: impl IntoIterator<Item = &'g Group>) -> Vec<Sql> {
    let names: Vec<Ident> = groups.into_iter().flat_map(Group::new_names).collect();
    if names.is_empty() {
        return Vec::new();
    }
    let drops = names.iter().map(|name| sql!("DROP COLUMN IF EXISTS {}", name));
    vec![sql!("ALTER TABLE {} {}", table.name, Sql::join(drops, ", "))]
}

fn expand_summary(table: &Table, groups: &[Group], synced: bool) -> String {
    let columns: Vec<String> = groups.iter().flat_map(Group::new_names).map(|name| name.to_string()).collect();
    match (columns.is_empty(), synced) {
        (false, true) => format!("add {} to {} and keep old and new form in sync", columns.join(", "), table.name),
        (false, false) => format!("add {} to {}", columns.join(", "), table.name),
        (true, _) => format!("keep old and new form of {} in sync", table.name),
    }
}

fn loud_help() -> String {
    "these rows were changed while no trigger fired: look for a session with session_replication_role = replica, a disabled trigger, or an \
     expression that does not always give the same value; then run `crossfade migrate` again"
        .to_owned()
}
