//! SET NOT NULL on an existing column: by a validated CHECK, so that no scan happens under the strong lock.

use super::Operation;
use super::claim;
use super::not_null;
use crate::catalog::Catalog;
use crate::catalog::Table;
use crate::finding::Finding;
use crate::lock::LockMode;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::Ident;
use crate::sql::Span;
use crate::step::Claim;
use crate::step::Phase;
use crate::step::Validate;

/// A column that becomes NOT NULL.
#[derive(Clone, Debug)]
pub(super) struct SetNotNull {
    pub table: Table,
    pub column: String,
    /// Whether the file changes rows of the table before.
    pub changed_before: bool,
    pub span: Span,
}

impl Operation for SetNotNull {
    fn way(&self) -> Option<&'static str> {
        Some("a CHECK that is validated beside the running code proves it")
    }

    fn check(&self, _: &PlanContext<'_>) -> Vec<Finding> {
        let finding = not_null::refuses_nulls(&self.table, &self.column, self.span);
        vec![finding.help("with `-- crossfade: up EXPR` in front of it, NULLs are mended until contract")]
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let name = Ident::new(self.column.as_str());
        let table = &self.table;
        let check = cx.own_name("nn", &self.column);
        let help = "write `-- crossfade: up EXPR` in front of SET NOT NULL, with the value that these rows shall have";
        if !self.changed_before {
            steps.assert_first(not_null::holds_none(&table.name, &self.column, help));
        }
        steps.ddl(
            Phase::Expand,
            table,
            LockMode::AccessExclusive,
            format!("enforce {}.{} IS NOT NULL for new writes", table.name, self.column),
            vec![sql!("ALTER TABLE {} ADD CONSTRAINT {} CHECK ({} IS NOT NULL) NOT VALID", table.name, check, name)],
            vec![sql!("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", table.name, check)],
        );
        steps.validate(
            Phase::Migrate,
            table,
            format!("prove that {}.{} holds no NULL", table.name, self.column),
            Validate {
                sql: sql!("ALTER TABLE {} VALIDATE CONSTRAINT {}", table.name, check),
                help: format!("a row has NULL in {}: give it a value, then run `crossfade migrate` again", self.column),
            },
        );
        steps.ddl(
            Phase::Migrate,
            table,
            LockMode::AccessExclusive,
            format!("make {}.{} NOT NULL by that proof", table.name, self.column),
            vec![
                sql!("ALTER TABLE {} ALTER COLUMN {} SET NOT NULL", table.name, name),
                sql!("ALTER TABLE {} DROP CONSTRAINT {}", table.name, check),
            ],
            vec![sql!("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL", table.name, name)],
        );
    }

    fn project(&self, catalog: &mut Catalog) {
        not_null::in_model(catalog, &self.table, &self.column);
    }

    fn claims(&self) -> Vec<Claim> {
        vec![claim(&self.table, &self.column)]
    }
}
