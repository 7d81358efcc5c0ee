//! Contract of one table: the shadows take the places of the old columns, in one transaction that only changes the catalog; and what takes it
//! back.

use super::super::whole::constraint_comment;
use super::Names;
use super::Part;
use super::Retype;
use super::index::IndexTree;
use super::index::Twig;
use super::not_null;
use super::sequence::most_of;
use crate::catalog::TableKind;
use crate::sql;
use crate::sql::Ident;
use crate::sql::Literal;
use crate::sql::Number;
use crate::sql::ServerText;
use crate::sql::Sql;

/// Statements that go there, and those that come back.
#[derive(Default)]
struct Ways {
    go: Vec<Sql>,
    back: Vec<Sql>,
}

impl Part<'_> {
    /// What contract does, and what takes it back.
    pub(super) fn swap(&self) -> (Vec<Sql>, Vec<Sql>) {
        let (cx, table) = (self.cx, &self.table.name);
        let mut ways = Ways::default();
        for key in &self.keys {
            ways.go.extend(key.swap(cx));
            ways.back.push(key.drop_new());
        }
        for retype in &self.columns {
            // An identity ends with its column; a serial's sequence must not.
            ways.back.extend(retype.release_sequence(&retype.name(), &retype.retired(cx)));
        }
        for retype in &self.columns {
            // The new column goes with all its own indexes and constraints before the old one takes its name back.
            ways.back.push(sql!("ALTER TABLE {} DROP COLUMN {}", table, retype.name()));
            ways.back.push(sql!("ALTER TABLE {} RENAME COLUMN {} TO {}", table, retype.retired(cx), retype.name()));
        }
        self.swap_checks(&mut ways);
        for tree in self.trees.iter().filter(|tree| tree.index.replica_identity) {
            ways.go.push(sql!("ALTER TABLE {} REPLICA IDENTITY DEFAULT", tree.table.name));
        }
        let (primary, others): (Vec<&IndexTree<'_>>, Vec<&IndexTree<'_>>) =
            self.trees.iter().partition(|tree| tree.index.primary);
        others.iter().for_each(|tree| self.swap_index_away(tree, &mut ways));
        for (tree, key) in primary.iter().filter_map(|tree| Some((tree, tree.owner?))) {
            let key = Ident::new(key.name.as_str());
            ways.go.push(sql!("ALTER TABLE {} DROP CONSTRAINT {}", tree.table.name, key));
        }
        others.iter().for_each(|tree| self.swap_index(tree, &mut ways));
        self.swap_statistics_away(&mut ways);
        for retype in &self.columns {
            self.swap_column(retype, &mut ways);
        }
        primary.iter().for_each(|tree| self.swap_primary_key(tree, &mut ways));
        self.swap_marks(&mut ways);
        self.swap_statistics(&mut ways);
        for key in &self.keys {
            ways.back.extend(key.swap_back(cx));
        }
        (ways.go, if cx.policy.retain { ways.back } else { Vec::new() })
    }

    fn swap_checks(&self, ways: &mut Ways) {
        let cx = self.cx;
        for (table, check) in self.checks() {
            let (own, old, known) =
                (cx.own_name("ck", &check.name), cx.own_name("oc", &check.name), Ident::new(check.name.as_str()));
            let table = &table.name;
            ways.go.push(sql!("ALTER TABLE {} RENAME CONSTRAINT {} TO {}", table, known, old));
            ways.go.push(sql!("ALTER TABLE {} RENAME CONSTRAINT {} TO {}", table, own, known));
            if let Some(comment) = &check.comment {
                ways.go.push(sql!("COMMENT ON CONSTRAINT {} ON {} IS {}", known, table, Literal(comment.clone())));
            }
            ways.back.push(sql!("ALTER TABLE {} RENAME CONSTRAINT {} TO {}", table, old, known));
        }
    }

    /// The old index and those attached to it give up their names. With a constraint, one renaming does for both.
    fn swap_index_away(&self, tree: &IndexTree<'_>, ways: &mut Ways) {
        for twig in &tree.twigs {
            let (table, known, old) = (&twig.table.name, &twig.known, twig.retired(self.cx));
            if tree.owner.is_some() {
                ways.go.push(sql!("ALTER TABLE {} RENAME CONSTRAINT {} TO {}", table, known, old));
                ways.back.push(sql!("ALTER TABLE {} RENAME CONSTRAINT {} TO {}", table, old, known));
            } else {
                ways.go.push(sql!("ALTER INDEX {} RENAME TO {}", twig.known_full(), old));
                ways.back.push(sql!("ALTER INDEX {} RENAME TO {}", twig.full(old), known));
            }
        }
    }

    /// The new ones take theirs.
    fn swap_index(&self, tree: &IndexTree<'_>, ways: &mut Ways) {
        match tree.owner {
            Some(owner) if !tree.is_partitioned() => {
                ways.go.extend(
                    tree.add_constraints(owner, &Names::new(), |twig| (twig.after.clone(), twig.beside(self.cx))),
                );
            }
            // It is the constraint of the partitioned table, and has its copies, since migrate.
            Some(_) => {
                let rename = |twig: &Twig<'_>| {
                    sql!("ALTER TABLE {} RENAME CONSTRAINT {} TO {}", twig.table.name, twig.beside(self.cx), twig.after)
                };
                ways.go.extend(tree.twigs.iter().map(rename));
            }
            None => {
                let rename =
                    |twig: &Twig<'_>| sql!("ALTER INDEX {} RENAME TO {}", twig.full(twig.beside(self.cx)), twig.after);
                ways.go.extend(tree.twigs.iter().map(rename));
            }
        }
        ways.go.extend(tree.owner.and_then(|owner| constraint_comment(tree.table, owner)));
        ways.go.extend(tree.comments(self.cx.catalog.major()));
    }

    /// A table has one primary key: the old one is gone by now. On the way back its indexes were built again.
    fn swap_primary_key(&self, tree: &IndexTree<'_>, ways: &mut Ways) {
        let (cx, Some(key)) = (self.cx, tree.owner) else { return };
        let same = Names::new();
        ways.go.extend(tree.add_constraints(key, &same, |twig| (twig.after.clone(), twig.beside(cx))));
        ways.back.extend(tree.add_constraints(key, &same, |twig| (twig.known.clone(), twig.on_the_way_back(cx))));
        ways.go.extend(constraint_comment(tree.table, key));
        ways.go.extend(tree.comments(cx.catalog.major()));
        ways.back.extend(tree.twigs.iter().flat_map(|twig| twig.restore_comments()));
    }

    fn swap_column(&self, retype: &Retype, ways: &mut Ways) {
        let (cx, table) = (self.cx, &self.table.name);
        let (name, shadow, retired) = (retype.name(), retype.shadow(cx), retype.retired(cx));
        let set_old_default = retype
            .column
            .default
            .as_ref()
            .map(|default| sql!("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}", table, name, default.expression));
        ways.go.extend(retype.release_sequence(&name, &shadow));
        if retype.column.not_null {
            ways.go.extend(not_null::lift(cx, self.table, &retype.column.name));
        }
        if set_old_default.is_some() {
            ways.go.push(sql!("ALTER TABLE {} ALTER COLUMN {} DROP DEFAULT", table, name));
        }
        if cx.policy.retain {
            ways.go.push(sql!("ALTER TABLE {} RENAME COLUMN {} TO {}", table, name, retired));
        } else {
            ways.go.push(sql!("ALTER TABLE {} DROP COLUMN {}", table, name));
        }
        ways.go.push(sql!("ALTER TABLE {} RENAME COLUMN {} TO {}", table, shadow, name));
        ways.go.extend(retype.set_default());
        ways.back.extend(set_old_default);
        if let Some(proof) = retype.proof(cx) {
            ways.go.extend(not_null::set(self.table, &retype.column.name));
            ways.go.push(sql!("ALTER TABLE {} DROP CONSTRAINT {}", table, proof));
        }
        if retype.column.not_null {
            ways.back.extend(not_null::set(self.table, &retype.column.name));
            ways.back.push(not_null::forget_proof(cx, self.table, &retype.column.name));
        }
        ways.go.extend(retype.restore_identity(most_of(&retype.to.base_type)));
        ways.back.extend(retype.restore_identity(most_of(&retype.column.base_type)));
        ways.go.extend(self.attributes(retype));
    }

    /// What a type change leaves as it is, and the shadow does not have: comment, statistics target, options, grants; also those of single
    /// partitions. Storage and compression are not among it: the server sets them back to the type's own (measured on 13 to 18).
    fn attributes(&self, retype: &Retype) -> Vec<Sql> {
        let name = retype.name();
        let mut all = Vec::new();
        for relation in self.cx.catalog.tree(self.table) {
            let Some(column) = relation.column(&retype.column.name) else { continue };
            let table = &relation.name;
            let alter = if self.table.kind == TableKind::Partitioned {
                sql!("ALTER TABLE ONLY {} ALTER COLUMN {} SET", table, name)
            } else {
                sql!("ALTER TABLE {} ALTER COLUMN {} SET", table, name)
            };
            if let Some(comment) = &column.comment {
                all.push(sql!("COMMENT ON COLUMN {}.{} IS {}", table, name, Literal(comment.clone())));
            }
            if let Some(target) = column.statistics {
                all.push(sql!("{} STATISTICS {}", alter, Number(i64::from(target))));
            }
            for option in &column.options {
                all.push(sql!("{} ({})", alter, ServerText::from_server(option.as_str())));
            }
            let grants = column.grants.iter();
            all.extend(grants.map(|grant| super::super::whole::grant(grant, Some(&name), table)));
        }
        all
    }

    /// What the table says of an index: that it is the replica identity, or the order of the rows.
    fn swap_marks(&self, ways: &mut Ways) {
        for tree in &self.trees {
            let (table, index) = (&tree.table.name, tree.index);
            let name = Ident::new(index.name.as_str());
            let identity =
                index.replica_identity.then(|| sql!("ALTER TABLE {} REPLICA IDENTITY USING INDEX {}", table, name));
            let order = index.clustered.then(|| sql!("ALTER TABLE {} CLUSTER ON {}", table, name));
            for mark in identity.into_iter().chain(order) {
                ways.go.push(mark.clone());
                ways.back.push(mark);
            }
        }
    }

    fn statistics(&self) -> impl Iterator<Item = &crate::catalog::ExtendedStatistics> {
        let on = |columns: &[String]| self.columns.iter().any(|retype| columns.contains(&retype.column.name));
        self.table.statistics.iter().filter(move |statistics| on(&statistics.columns))
    }

    fn swap_statistics_away(&self, ways: &mut Ways) {
        for statistics in self.statistics() {
            ways.go.push(sql!("DROP STATISTICS {}", statistics.name));
        }
    }

    /// Extended statistics name their columns by number: they are made again. From PostgreSQL 14 on, the direct way forgets their target, too
    /// (measured on 13 to 18).
    fn swap_statistics(&self, ways: &mut Ways) {
        for statistics in self.statistics() {
            let name = &statistics.name;
            let create = sql!("{}", statistics.definition);
            let comment = statistics
                .comment
                .clone()
                .map(|comment| sql!("COMMENT ON STATISTICS {} IS {}", name, Literal(comment)));
            let target = statistics
                .target
                .map(|target| sql!("ALTER STATISTICS {} SET STATISTICS {}", name, Number(i64::from(target))));
            ways.back.push(sql!("DROP STATISTICS IF EXISTS {}", name));
            for statements in [&mut ways.go, &mut ways.back] {
                statements.push(create.clone());
                statements.extend(comment.clone());
            }
            ways.back.extend(target.clone());
            if self.cx.catalog.major() < 14 {
                ways.go.extend(target);
            }
        }
    }
}
