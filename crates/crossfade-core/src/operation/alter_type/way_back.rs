//! Going back after contract: first ask whether the old types can hold everything, then build and prove again, under weak locks, what the
//! swap back makes use of.

use super::AlterType;
use super::Names;
use super::Part;
use super::Retype;
use super::not_null;
use crate::lock::LockMode;
use crate::lock::TableLock;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::Ident;
use crate::sql::Literal;
use crate::sql::Sql;
use crate::step::Action;
use crate::step::Assert;

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
        let name = &retype.column.name;
        let help = format!(
            "rows of {} hold values that the old type can't: change them, then run `crossfade rollback` again",
            self.table.name
        );
        let retired = retype.retired(self.cx);
        not_null::prove_on_the_way_back(self.cx, self.table, (name, &retired), help, steps);
    }

    fn ask(&self, retype: &Retype, steps: &mut StepsBuilder<'_>) {
        let (cx, table, name) = (self.cx, &self.table.name, retype.name());
        // The file may have made a value of a NULL that the old type had.
        let of_null = retype.value_of_null(cx).map(|value| {
            let value = value.render(|column| match self.columns.iter().find(|other| other.column.name == column) {
                Some(other) => sql!("{}", other.retired(cx)),
                None => sql!("{}", Ident::new(column)),
            });
            sql!(" AND pg_catalog.record_image_ne(ROW({}), ROW({}))", name, value)
        });
        let assert = Action::Assert(Assert {
            query: sql!(
                "SELECT count(*) || {} FROM {} WHERE {} IS NULL AND {} IS NOT NULL{} HAVING count(*) > 0",
                Literal(format!(" rows of {table} hold a {name} that the type from before can't hold")),
                table,
                retype.retired(cx),
                name,
                of_null.unwrap_or_else(Sql::empty)
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
