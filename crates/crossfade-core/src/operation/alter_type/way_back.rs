//! Going back after contract: first ask whether the old types can hold everything, then build and prove again, under weak locks, what the
//! swap back makes use of.

use super::AlterType;
use super::Names;
use super::Part;
use super::Retype;
use crate::lock::LockMode;
use crate::lock::TableLock;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::Literal;
use crate::step::Action;
use crate::step::Assert;
use crate::step::Ddl;
use crate::step::Statement;
use crate::step::Validate;

impl Part<'_> {
    /// What is added last is done first.
    pub(super) fn way_back(&self, operation: &AlterType, steps: &mut StepsBuilder<'_>) {
        for key in &self.keys {
            key.way_back(operation, self.cx, steps);
        }
        self.rebuild_primary_key(steps);
        for retype in &self.columns {
            self.prove_not_null(retype, steps);
        }
        for retype in self.columns.iter().filter(|retype| retype.down.is_none()) {
            self.ask(retype, steps);
        }
    }

    fn tree(&self, mode: LockMode) -> Vec<TableLock> {
        let tree = self.cx.catalog.tree(self.table).into_iter();
        tree.map(|relation| TableLock::new(relation.name.clone(), mode)).collect()
    }

    /// The old primary key's index went with it.
    fn rebuild_primary_key(&self, steps: &mut StepsBuilder<'_>) {
        let (cx, table) = (self.cx, &self.table.name);
        let retired =
            self.columns.iter().map(|retype| (retype.column.name.clone(), retype.retired(cx).as_str().to_owned()));
        let retired: Names = retired.collect();
        for tree in self.trees.iter().filter(|tree| tree.index.primary) {
            for twig in tree.leaves() {
                let built = Self::rebuilt(tree, twig, twig.on_the_way_back(cx), &retired);
                let Some((build, _)) = built else { continue };
                steps.before_way_back(
                    table,
                    format!("on the way back: build the old {} on {}", twig.known.as_str(), twig.table.name),
                    Action::Concurrently(build),
                    vec![TableLock::new(twig.table.name.clone(), LockMode::ShareUpdateExclusive)],
                );
            }
        }
    }

    fn prove_not_null(&self, retype: &Retype, steps: &mut StepsBuilder<'_>) {
        if !retype.column.not_null {
            return;
        }
        let (cx, table) = (self.cx, &self.table.name);
        let (name, check) = (retype.name(), cx.own_name("back", &retype.column.name));
        let validate = Action::Validate(Validate {
            sql: sql!("ALTER TABLE {} VALIDATE CONSTRAINT {}", table, check),
            help: format!(
                "rows of {table} hold values that the old type can't: change them, then run `crossfade rollback` again"
            ),
        });
        let says = format!("on the way back: prove that the old {name} of {table} holds no NULL");
        steps.before_way_back(table, says, validate, self.tree(LockMode::ShareUpdateExclusive));
        let lock_first = vec![TableLock::new(table.clone(), LockMode::AccessExclusive)];
        let add =
            sql!("ALTER TABLE {} ADD CONSTRAINT {} CHECK ({} IS NOT NULL) NOT VALID", table, check, retype.retired(cx));
        let enforce = Action::Ddl(Ddl { lock_first, statements: vec![Statement::from(add)], as_written: false });
        steps.before_way_back(
            table,
            format!("on the way back: the old {name} of {table} takes no NULL"),
            enforce,
            self.tree(LockMode::AccessExclusive),
        );
    }

    fn ask(&self, retype: &Retype, steps: &mut StepsBuilder<'_>) {
        let (cx, table, name) = (self.cx, &self.table.name, retype.name());
        let assert = Action::Assert(Assert {
            query: sql!(
                "SELECT count(*) || {} FROM {} WHERE {} IS NULL AND {} IS NOT NULL HAVING count(*) > 0",
                Literal(format!(" rows of {table} hold a {name} that the type from before can't hold")),
                table,
                retype.retired(cx),
                name
            ),
            message: format!("the old type holds every {name} of {table}"),
            help: format!(
                "there is no way back that keeps these values: change them first, or stay and run `crossfade purge {}`",
                cx.migration.version
            ),
        });
        let says = format!("on the way back: the old type must hold every {name} of {table}");
        steps.before_way_back(table, says, assert, Vec::new());
    }
}
