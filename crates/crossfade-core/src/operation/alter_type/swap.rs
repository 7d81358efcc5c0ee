//! Contract of one table: the shadows take the places of the old columns, in one transaction that only changes the catalog; and what takes it
//! back.

use super::Part;
use super::Retype;
use super::sequence::most_of;
use crate::catalog::Constraint;
use crate::catalog::ConstraintKind;
use crate::catalog::Index;
use crate::catalog::TableKind;
use crate::sql;
use crate::sql::Ident;
use crate::sql::Literal;
use crate::sql::Number;
use crate::sql::Sql;

/// Statements that go there, and those that come back.
#[derive(Default)]
struct Ways {
    go: Vec<Sql>,
    back: Vec<Sql>,
}

fn timing(constraint: &Constraint) -> Sql {
    match (constraint.deferrable, constraint.definition.as_str().contains("INITIALLY DEFERRED")) {
        (true, true) => sql!(" DEFERRABLE INITIALLY DEFERRED"),
        (true, false) => sql!(" DEFERRABLE"),
        (false, _) => Sql::empty(),
    }
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
        if self.indexes().any(|index| index.replica_identity) {
            ways.go.push(sql!("ALTER TABLE {} REPLICA IDENTITY DEFAULT", table));
        }
        for index in self.indexes().filter(|index| !index.primary) {
            self.swap_index(index, &mut ways);
        }
        let primary = self.indexes().find(|index| index.primary).and_then(|index| Some((index, self.owner(index)?)));
        if let Some((_, key)) = primary {
            ways.go.push(sql!("ALTER TABLE {} DROP CONSTRAINT {}", table, Ident::new(key.name.as_str())));
        }
        self.swap_statistics_away(&mut ways);
        for retype in &self.columns {
            self.swap_column(retype, &mut ways);
        }
        if let Some((index, key)) = primary {
            self.swap_primary_key(index, key, &mut ways);
        }
        self.swap_marks(&mut ways);
        self.swap_statistics(&mut ways);
        for key in &self.keys {
            ways.back.extend(key.swap_back(cx));
        }
        (ways.go, if cx.policy.retain { ways.back } else { Vec::new() })
    }

    fn swap_checks(&self, ways: &mut Ways) {
        let (cx, table) = (self.cx, &self.table.name);
        for check in self.checks() {
            let (own, old, known) =
                (cx.own_name("ck", &check.name), cx.own_name("oc", &check.name), Ident::new(check.name.as_str()));
            ways.go.push(sql!("ALTER TABLE {} RENAME CONSTRAINT {} TO {}", table, known, old));
            ways.go.push(sql!("ALTER TABLE {} RENAME CONSTRAINT {} TO {}", table, own, known));
            if let Some(comment) = &check.comment {
                ways.go.push(sql!("COMMENT ON CONSTRAINT {} ON {} IS {}", known, table, Literal(comment.clone())));
            }
            ways.back.push(sql!("ALTER TABLE {} RENAME CONSTRAINT {} TO {}", table, old, known));
        }
    }

    fn swap_index(&self, index: &Index, ways: &mut Ways) {
        let (cx, table) = (self.cx, &self.table.name);
        let (own, old, known) =
            (cx.own_name("ix", &index.name), cx.own_name("oi", &index.name), Ident::new(index.name.as_str()));
        match self.owner(index) {
            Some(constraint) => {
                ways.go.push(sql!("ALTER TABLE {} RENAME CONSTRAINT {} TO {}", table, known, old));
                ways.go.push(sql!(
                    "ALTER TABLE {} ADD CONSTRAINT {} UNIQUE USING INDEX {}{}",
                    table,
                    known,
                    own,
                    timing(constraint)
                ));
                ways.go.extend(self.constraint_comment(constraint));
                ways.back.push(sql!("ALTER TABLE {} RENAME CONSTRAINT {} TO {}", table, old, known));
            }
            None => {
                let (own, old_full, full) =
                    (self.in_schema(own), self.in_schema(old.clone()), self.in_schema(known.clone()));
                ways.go.push(sql!("ALTER INDEX {} RENAME TO {}", full, old));
                ways.go.push(sql!("ALTER INDEX {} RENAME TO {}", own, known));
                ways.back.push(sql!("ALTER INDEX {} RENAME TO {}", old_full, known));
            }
        }
        ways.go.extend(self.index_comment(index));
    }

    /// A table has one primary key: the old one is gone by now. On the way back its index was built again.
    fn swap_primary_key(&self, index: &Index, key: &Constraint, ways: &mut Ways) {
        let known = Ident::new(key.name.as_str());
        for (statements, own) in [(&mut ways.go, "ix"), (&mut ways.back, "bi")] {
            statements.push(sql!(
                "ALTER TABLE {} ADD CONSTRAINT {} PRIMARY KEY USING INDEX {}{}",
                self.table.name,
                known,
                self.cx.own_name(own, &index.name),
                timing(key)
            ));
            statements.extend(self.constraint_comment(key));
            statements.extend(self.index_comment(index));
        }
    }

    fn constraint_comment(&self, constraint: &Constraint) -> Option<Sql> {
        let (name, comment) = (Ident::new(constraint.name.as_str()), constraint.comment.clone()?);
        Some(sql!("COMMENT ON CONSTRAINT {} ON {} IS {}", name, self.table.name, Literal(comment)))
    }

    fn index_comment(&self, index: &Index) -> Option<Sql> {
        let name = self.in_schema(Ident::new(index.name.as_str()));
        index.comment.clone().map(|comment| sql!("COMMENT ON INDEX {} IS {}", name, Literal(comment)))
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
            ways.go.push(sql!("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL", table, name));
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
            ways.go.extend(self.set_not_null(retype));
            ways.go.push(sql!("ALTER TABLE {} DROP CONSTRAINT {}", table, proof));
            ways.back.extend(self.set_not_null(retype));
            let check = cx.own_name("back", &retype.column.name);
            ways.back.push(sql!("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", table, check));
        }
        ways.go.extend(retype.restore_identity(most_of(&retype.to.base_type)));
        ways.back.extend(retype.restore_identity(most_of(&retype.column.base_type)));
        ways.go.extend(retype.attributes());
    }

    /// From PostgreSQL 18 on, NOT NULL is a constraint with a name and perhaps a comment. A CHECK proves it, so nothing is scanned.
    fn set_not_null(&self, retype: &Retype) -> Vec<Sql> {
        let (table, name) = (&self.table.name, retype.name());
        let known = self.table.constraints_on(&retype.column.name).find(|known| known.kind == ConstraintKind::NotNull);
        match known.filter(|_| self.table.kind == TableKind::Table) {
            Some(known) => {
                let add =
                    sql!("ALTER TABLE {} ADD CONSTRAINT {} NOT NULL {}", table, Ident::new(known.name.as_str()), name);
                std::iter::once(add).chain(self.constraint_comment(known)).collect()
            }
            None => vec![sql!("ALTER TABLE {} ALTER COLUMN {} SET NOT NULL", table, name)],
        }
    }

    /// What the table says of an index: that it is the replica identity, or the order of the rows.
    fn swap_marks(&self, ways: &mut Ways) {
        for index in self.indexes() {
            let (table, name) = (&self.table.name, Ident::new(index.name.as_str()));
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
