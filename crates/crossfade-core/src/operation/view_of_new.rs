//! A view of columns that the file adds and fills: it is made when every row has its value. The way back from contract takes the columns away before
//! it comes to what was done in migrate, so the view has its old form again before that.

use super::Operation;
use super::Role;
use super::as_written::AsWritten;
use super::undo::undo_locks;
use super::view::put_back;
use crate::catalog::Catalog;
use crate::finding::Finding;
use crate::migration::Statement;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::step::Action;
use crate::step::Claim;
use crate::step::Ddl;

/// A CREATE VIEW over new columns.
#[derive(Clone, Debug)]
pub(super) struct ViewOfNew {
    /// The statement, in its phase.
    pub create: AsWritten,
    /// The view.
    pub view: TableName,
    /// The tables whose new columns it shows.
    pub tables: Vec<TableName>,
}

impl ViewOfNew {
    fn statement(&self) -> &Statement {
        &self.create.statement
    }

    /// It may be undone twice: with contract, and with its own phase.
    fn undo(&self, cx: &PlanContext<'_>) -> Result<Sql, Vec<String>> {
        put_back(cx, self.statement()).unwrap_or_else(|| Ok(sql!("DROP VIEW IF EXISTS {}", self.view)))
    }
}

impl Operation for ViewOfNew {
    fn way(&self) -> Option<&'static str> {
        Some("made when its columns are filled")
    }

    fn written(&self) -> Option<&Statement> {
        Some(self.statement())
    }

    fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        let Err(against) = self.undo(cx) else { return Vec::new() };
        let message = format!("the way back can't give {} its old form: {}", self.view, against.join("; "));
        vec![Finding::error("undo-needed", self.statement().parsed.span, message).help(
            "make it at contract, and say what undoes it: `-- crossfade: phase contract`, `-- crossfade: undo SQL`; or put it into the next migration",
        )]
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let Ok(undo) = self.undo(cx) else { return };
        let statement = Statement { undo: Some(undo.clone()), ..self.statement().clone() };
        super::as_written(cx, &statement, Vec::new(), steps);
        let locks = undo_locks(cx, &statement.parsed.kind, &undo);
        let back = Ddl { lock_first: locks.clone(), statements: vec![undo.into()], as_written: true };
        let says = format!("on the way back: undo {}", super::as_written::summary(&statement));
        for table in &self.tables {
            steps.before_way_back(table, says.clone(), Action::Ddl(back.clone()), locks.clone());
        }
    }

    fn project(&self, catalog: &mut Catalog) {
        self.create.project(catalog);
    }

    fn role(&self) -> Role {
        Role::AsWritten
    }

    fn claims(&self) -> Vec<Claim> {
        let view = Claim { table: self.view.clone(), column: None };
        self.create.claims().into_iter().chain([view]).collect()
    }
}
