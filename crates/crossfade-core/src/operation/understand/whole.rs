//! Statements about whole objects: which of them anybody can feel, and what else of the file names them.

use super::super::drop_table::Cleared;
use super::super::drop_table::DropTable;
use super::super::no_table;
use super::super::rename_relation::RenameRelation;
use super::super::whole::destination;
use super::Reader;
use crate::catalog::Table;
use crate::finding::Finding;
use crate::migration::Statement;
use crate::sql::AlterCommand;
use crate::sql::NamedObject;
use crate::sql::ObjectKind;
use crate::sql::StatementKind;
use crate::sql::TableName;

impl Reader<'_> {
    pub(super) fn read_drop(&mut self, position: usize, statement: &Statement) {
        let StatementKind::Drop { kind, objects, if_exists, cascade } = &statement.parsed.kind else { return };
        self.no_values(statement);
        match kind {
            ObjectKind::Table => self.read_drop_table(position, statement, objects, *if_exists, *cascade),
            ObjectKind::View
            | ObjectKind::MaterializedView
            | ObjectKind::Sequence
            | ObjectKind::Type
            | ObjectKind::Domain
            | ObjectKind::Function
            | ObjectKind::Procedure
            | ObjectKind::Routine
            | ObjectKind::Aggregate => {
                let why = format!("DROP {} is not done in phases: running code may use it", kind.sql_name());
                self.findings.push(
                    Finding::error("breaks-running-code", statement.parsed.span, why)
                        .help("when no running code uses it any more, say so: put `-- crossfade: direct REASON` on the line before"),
                );
            }
        }
    }

    fn read_drop_table(
        &mut self,
        position: usize,
        statement: &Statement,
        objects: &[NamedObject],
        if_exists: bool,
        cascade: bool,
    ) {
        let span = statement.parsed.span;
        let mut tables: Vec<Table> = Vec::new();
        for NamedObject { name, .. } in objects {
            match self.catalog().resolve(name).filter(|table| !self.created.contains(&table.name)) {
                Some(table) => tables.push(table.clone()),
                None if if_exists || self.is_created(name) || self.may_be_made(name) => {}
                None => self.findings.push(no_table(self.cx, name, span)),
            }
        }
        if !objects.iter().any(|object| self.in_use(&object.name).is_some()) {
            return self.write_as_is(position, statement);
        }
        let cleared = self.cleared_before(position);
        for table in &tables {
            self.gone.push((position, table.name.clone()));
        }
        let drop = DropTable::new(self.cx.catalog, tables, cascade, cleared, span);
        self.operations.push((position, Box::new(drop)));
    }

    pub(super) fn read_move(&mut self, position: usize, statement: &Statement) {
        let StatementKind::Move { object, to, if_exists, .. } = &statement.parsed.kind else { return };
        self.no_values(statement);
        let Some(table) = self.in_use(object).cloned() else {
            return self.unless_unknown(position, statement, object, *if_exists);
        };
        let target = destination(&table.name, to);
        if target == table.name {
            return self.write_as_is(position, statement);
        }
        self.gone.push((position, table.name.clone()));
        self.gone.push((position, target));
        let rename = RenameRelation { table, to: to.clone(), span: statement.parsed.span };
        self.operations.push((position, Box::new(rename)));
    }

    /// What the statements in front of this one take out of its way.
    fn cleared_before(&self, position: usize) -> Cleared {
        let mut cleared = Cleared::default();
        for statement in self.cx.migration.statements.iter().take(position) {
            match &statement.parsed.kind {
                StatementKind::Drop { kind, objects, .. } => {
                    for object in objects {
                        let place = self.catalog().resolve(&object.name).map(|table| table.name.clone());
                        let place = place.unwrap_or_else(|| self.catalog().place(&object.name));
                        if kind.catalog_class() == "pg_proc" {
                            cleared.functions.insert(format!("function {place}("));
                        } else {
                            cleared.relations.insert(place);
                        }
                    }
                }
                StatementKind::AlterTable { table, commands, .. } => {
                    let Some(table) = self.catalog().resolve(table) else { continue };
                    for command in commands {
                        match command {
                            AlterCommand::DropConstraint { name, .. } => {
                                cleared.constraints.insert((table.name.clone(), name.clone()));
                            }
                            AlterCommand::DropColumn { column, .. } => {
                                cleared.columns.insert((table.name.clone(), column.clone()));
                            }
                            AlterCommand::AddColumn { .. }
                            | AlterCommand::AlterType { .. }
                            | AlterCommand::SetNotNull { .. }
                            | AlterCommand::SetDefault { .. }
                            | AlterCommand::DropNotNull { .. }
                            | AlterCommand::AddConstraint(_)
                            | AlterCommand::Other { .. } => {}
                        }
                    }
                }
                StatementKind::RenameColumn { .. }
                | StatementKind::Move { .. }
                | StatementKind::CreateIndex(_)
                | StatementKind::DropIndex { .. }
                | StatementKind::Update(_)
                | StatementKind::CreateTable { .. }
                | StatementKind::Transaction(_)
                | StatementKind::NotInTransaction { .. }
                | StatementKind::CopyFromStdin
                | StatementKind::Other { .. } => {}
            }
        }
        cleared
    }

    /// Another statement of the file that names what goes as a whole would meet it still there, or not there yet.
    pub(super) fn look_for_namesakes(&mut self) {
        let mut findings = Vec::new();
        for (at, gone) in &self.gone {
            for (position, statement) in self.cx.migration.statements.iter().enumerate() {
                let harmless = position < *at && self.leaves_the_form(statement) && self.is_move(*at);
                if position != *at && !harmless && statement.direct.is_none() && self.names_relation(statement, gone) {
                    findings.push(
                        Finding::error("interference", statement.parsed.span, format!("this names {gone}, which this file drops or renames in phases"))
                            .help("put it into a migration of its own, before or after this one (what only names a table that is renamed may stand in front of the rename); or say that it may run at once: `-- crossfade: direct REASON`"),
                    );
                }
            }
        }
        self.findings.extend(findings);
    }

    fn is_move(&self, position: usize) -> bool {
        let statement = self.cx.migration.statements.get(position);
        statement.is_some_and(|statement| matches!(statement.parsed.kind, StatementKind::Move { .. }))
    }

    /// Whether the columns and the rights of every table are the same after this statement, and it does nothing at contract or later.
    fn leaves_the_form(&self, statement: &Statement) -> bool {
        match &statement.parsed.kind {
            StatementKind::AlterTable { commands, .. } => commands.iter().all(|command| match command {
                AlterCommand::SetDefault { .. }
                | AlterCommand::DropNotNull { .. }
                | AlterCommand::AddConstraint(_)
                | AlterCommand::Other { breaks: None, .. } => true,
                AlterCommand::AddColumn { .. }
                | AlterCommand::DropColumn { .. }
                | AlterCommand::AlterType { .. }
                | AlterCommand::SetNotNull { .. }
                | AlterCommand::DropConstraint { .. }
                | AlterCommand::Other { breaks: Some(_), .. } => false,
            }),
            StatementKind::Other { what, .. } => {
                matches!(
                    what.as_str(),
                    "INSERT" | "DELETE" | "MERGE" | "COMMENT" | "RENAME CONSTRAINT" | "CREATE VIEW" | "CREATE TRIGGER"
                )
            }
            StatementKind::CreateIndex(_) | StatementKind::Update(_) => true,
            StatementKind::RenameColumn { .. }
            | StatementKind::Drop { .. }
            | StatementKind::Move { .. }
            | StatementKind::DropIndex { .. }
            | StatementKind::CreateTable { .. }
            | StatementKind::Transaction(_)
            | StatementKind::NotInTransaction { .. }
            | StatementKind::CopyFromStdin => false,
        }
    }

    /// Whether a statement works on a relation, as far as its text tells. A word alone is not enough where it may be a column's name.
    fn names_relation(&self, statement: &Statement, relation: &TableName) -> bool {
        let words = &statement.parsed.words;
        if !words.iter().any(|word| word == relation.name.as_str()) {
            return false;
        }
        match &statement.parsed.kind {
            StatementKind::AlterTable { .. }
            | StatementKind::RenameColumn { .. }
            | StatementKind::CreateTable { .. }
            | StatementKind::CreateIndex(_) => {
                let (_, touched) = super::super::as_written::touches(&statement.parsed.kind);
                let named = |name| {
                    self.catalog().resolve(name).map_or_else(|| self.catalog().place(name), |it| it.name.clone())
                };
                words.iter().any(|word| word == "references")
                    || touched.iter().any(|(name, _)| named(name) == *relation)
                    || matches!(&statement.parsed.kind, StatementKind::CreateTable { name, .. } if named(name) == *relation)
            }
            StatementKind::Drop { .. }
            | StatementKind::Move { .. }
            | StatementKind::DropIndex { .. }
            | StatementKind::Update(_)
            | StatementKind::Other { .. } => true,
            StatementKind::Transaction(_) | StatementKind::NotInTransaction { .. } | StatementKind::CopyFromStdin => {
                false
            }
        }
    }
}
