//! Statements about whole objects: which of them anybody can feel, and what else of the file names them.

use super::super::cleared::Cleared;
use super::super::drop_object::DropObject;
use super::super::drop_object::DropView;
use super::super::drop_table::DropTable;
use super::super::no_table;
use super::super::rename_relation::RenameRelation;
use super::super::whole::destination;
use super::Reader;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::finding::Finding;
use crate::migration::Statement;
use crate::sql::AlterCommand;
use crate::sql::NamedObject;
use crate::sql::NewForm;
use crate::sql::ObjectKind;
use crate::sql::ObjectRef;
use crate::sql::Span;
use crate::sql::StatementKind;
use crate::sql::TableName;

impl Reader<'_> {
    pub(super) fn read_drop(&mut self, position: usize, statement: &Statement) {
        let StatementKind::Drop { kind, objects, if_exists, cascade } = &statement.parsed.kind else { return };
        self.no_values(statement);
        let known = |object: &NamedObject| {
            self.catalog().resolve(&object.name).is_some()
                || self.catalog().object(kind.object_kind(), &object.name).is_some()
                || self.is_created(&object.name)
                || self.may_be_made(&object.name)
                || self.cx.migration.statements.iter().take(position).any(|statement| {
                    statement.parsed.makes.as_ref().is_some_and(|made| made.name.name == object.name.name)
                })
        };
        if *if_exists && !objects.iter().any(known) {
            return self.nothing_to_do(position, statement);
        }
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
            | ObjectKind::Aggregate => self.read_drop_object(position, statement, *kind, objects, *cascade),
        }
    }

    /// What a statement drops is not there: it needs no way back. It runs all the same where it is the whole file.
    pub(super) fn nothing_to_do(&mut self, position: usize, statement: &Statement) {
        if self.cx.migration.statements.len() == 1 {
            self.write_as_is(position, statement);
        }
    }

    fn read_drop_object(
        &mut self,
        position: usize,
        statement: &Statement,
        kind: ObjectKind,
        objects: &[NamedObject],
        cascade: bool,
    ) {
        let span = statement.parsed.span;
        let again = objects.iter().filter(|object| self.made_again(position, kind, &object.name).is_some()).count();
        if again == objects.len() {
            for object in objects {
                self.look_at_replacement(position, span, kind, &object.name);
            }
            return self.write_as_is(position, statement);
        }
        if again > 0 {
            self.findings
                .push(Finding::error("mixed-drop", span, "some of this the file makes again, and some not").help(
                "split it into two statements: what is made again is replaced at once, the rest is dropped in phases",
            ));
            return;
        }
        if kind.object_kind() == "relation" {
            let in_use = |object: &NamedObject| self.in_use(&object.name).is_some();
            if !objects.iter().any(in_use) {
                return self.write_as_is(position, statement);
            }
            let found = objects.iter().filter_map(|object| self.catalog().resolve(&object.name).cloned());
            let views: Vec<Table> = found.collect();
            for view in &views {
                self.gone.push((position, view.name.clone()));
            }
            let cleared = Cleared::before(self.cx, span);
            return self.operations.push((position, Box::new(DropView { kind, views, cascade, cleared, span })));
        }
        let place = |object: &NamedObject| {
            let name = self.catalog().object(kind.object_kind(), &object.name)?.name.clone();
            Some((name, object.arguments.clone()))
        };
        let found: Vec<_> = objects.iter().filter_map(place).collect();
        if found.is_empty() || self.is_nobody_there() {
            return self.write_as_is(position, statement);
        }
        let cleared = Cleared::before(self.cx, span);
        self.operations.push((position, Box::new(DropObject { kind, objects: found, cleared, span })));
    }

    /// What a later statement makes under the name of something that this one drops.
    fn made_again(&self, position: usize, kind: ObjectKind, name: &ObjectRef) -> Option<&NewForm> {
        let place = |name: &ObjectRef| {
            let found = self.catalog().resolve(name).map(|table| &table.name);
            let found = found.filter(|_| kind.catalog_class() == "pg_class");
            found.or_else(|| self.catalog().object(kind.object_kind(), name).map(|object| &object.name)).cloned()
        };
        let place = |name: &ObjectRef| place(name).unwrap_or_else(|| self.catalog().place(name));
        let later = self.cx.migration.statements.iter().skip(position + 1);
        let mut made = later.filter_map(|statement| statement.parsed.makes.as_ref());
        made.find(|made| made.class == kind.catalog_class() && place(&made.name) == place(name))
    }

    /// A replacement is done at once, in one transaction. What running code may miss afterwards is an error where it can be told.
    fn look_at_replacement(&mut self, position: usize, span: Span, kind: ObjectKind, name: &ObjectRef) {
        let Some(made) = self.made_again(position, kind, name).cloned() else { return };
        let Some(view) = self.in_use(name) else {
            if self.catalog().object(kind.object_kind(), name).is_some() {
                let what = kind.sql_name().to_lowercase();
                self.findings.push(
                    Finding::warning(
                        "replaced-at-once",
                        span,
                        format!("running code meets the new {what} {name} from now on"),
                    )
                    .help("the rights on it go with the old one: GRANT them again in this file"),
                );
            }
            return;
        };
        let has =
            |column: &str| made.columns.as_ref().is_none_or(|columns| columns.iter().any(|known| known == column));
        let lost: Vec<&str> =
            view.columns.iter().map(|column| column.name.as_str()).filter(|name| !has(name)).collect();
        let rights = if view.grants.is_empty() {
            ""
        } else {
            "; the rights on it go with the old one: GRANT them again in this file"
        };
        let finding = if lost.is_empty() {
            let known = made.columns.is_some() && rights.is_empty();
            (!known).then(|| {
                Finding::warning(
                    "replaced-at-once",
                    span,
                    format!("running code meets the new {} from now on", view.name),
                )
                .help(format!("code that reads a column which it does not have any more fails{rights}"))
            })
        } else {
            let message =
                format!("the new {} has no column {}, which running code may read", view.name, lost.join(", "));
            Some(Finding::error("breaks-running-code", span, message).help(
                "keep the column until no code reads it, or make the new view under another name; or say that nobody reads it: `-- crossfade: direct REASON`",
            ))
        };
        self.findings.extend(finding);
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
        let cleared = Cleared::before(self.cx, span);
        for table in &tables {
            self.gone.push((position, table.name.clone()));
        }
        let drop = DropTable::new(self.cx.catalog, tables, cascade, cleared, span);
        self.operations.push((position, Box::new(drop)));
    }

    pub(super) fn read_move(&mut self, position: usize, statement: &Statement) {
        let StatementKind::Move { kind, object, to, if_exists, .. } = &statement.parsed.kind else { return };
        self.no_values(statement);
        match kind.object_kind() {
            "relation" => {}
            "type" => return self.read_move_type(position, statement),
            "sequence" => return self.read_move_sequence(position, statement),
            _ => return self.read_move_function(position, statement),
        }
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

    /// Another statement of the file that names what goes as a whole would meet it still there, or not there yet.
    pub(super) fn look_for_namesakes(&mut self) {
        let mut findings = Vec::new();
        for (at, gone) in &self.gone {
            for (position, statement) in self.cx.migration.statements.iter().enumerate() {
                let harmless = position < *at
                    && ((self.leaves_the_form(statement) || self.renames_a_column(statement)) && self.is_move(*at)
                        || self.detaches(statement, gone));
                let own = position == *at || self.remaking.is_about(position, gone);
                if !own && !harmless && statement.direct.is_none() && self.names_relation(statement, gone) {
                    findings.push(
                        Finding::error("interference", statement.parsed.span, format!("this names {gone}, which this file drops or renames in phases"))
                            .help("put it into a migration of its own, before or after this one (what only names a table that is renamed may stand in front of the rename); or say that it may run at once: `-- crossfade: direct REASON`"),
                    );
                }
            }
        }
        self.findings.extend(findings);
    }

    /// The view that has a table's new name until contract shows the column by its own new name.
    fn renames_a_column(&self, statement: &Statement) -> bool {
        match &statement.parsed.kind {
            StatementKind::RenameColumn { table, .. } => {
                self.in_use(table).is_some_and(|table| matches!(table.kind, TableKind::Table | TableKind::Partitioned))
            }
            _ => false,
        }
    }

    /// A partition that is detached may be dropped behind that.
    fn detaches(&self, statement: &Statement, gone: &TableName) -> bool {
        match &statement.parsed.kind {
            StatementKind::AlterTable { commands, .. } => commands.iter().all(|command| match command {
                AlterCommand::DetachPartition { partition, .. } => {
                    self.catalog().resolve(partition).is_some_and(|table| table.name == *gone)
                }
                _ => false,
            }),
            _ => false,
        }
    }

    fn is_move(&self, position: usize) -> bool {
        let statement = self.cx.migration.statements.get(position);
        statement.is_some_and(|statement| matches!(statement.parsed.kind, StatementKind::Move { .. }))
    }

    /// Whether the columns and the rights of every table are the same after this statement, and it does nothing at contract or later.
    pub(super) fn leaves_the_form(&self, statement: &Statement) -> bool {
        match &statement.parsed.kind {
            StatementKind::AlterTable { commands, .. } => commands.iter().all(|command| match command {
                AlterCommand::SetDefault { .. }
                | AlterCommand::DropNotNull { .. }
                | AlterCommand::AddConstraint(_)
                | AlterCommand::AttachPartition { .. }
                | AlterCommand::Other { breaks: None, .. } => true,
                AlterCommand::AddColumn { .. }
                | AlterCommand::DropColumn { .. }
                | AlterCommand::AlterType { .. }
                | AlterCommand::SetNotNull { .. }
                | AlterCommand::DropConstraint { .. }
                | AlterCommand::DetachPartition { .. }
                | AlterCommand::Other { breaks: Some(_), .. } => false,
            }),
            StatementKind::Other { what, .. } => {
                matches!(
                    what.as_str(),
                    "INSERT"
                        | "COPY"
                        | "DELETE"
                        | "MERGE"
                        | "COMMENT"
                        | "RENAME CONSTRAINT"
                        | "CREATE VIEW"
                        | "CREATE TRIGGER"
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
            | StatementKind::CopyFromStdin { .. } => false,
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
            StatementKind::Transaction(_)
            | StatementKind::NotInTransaction { .. }
            | StatementKind::CopyFromStdin { .. } => false,
        }
    }
}
