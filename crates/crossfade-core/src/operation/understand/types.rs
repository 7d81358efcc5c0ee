//! Types that get another name. A file that renames a type, makes another one of its name and gives that to the columns replaces the type: it
//! is one change. Until contract the new type has a name of ours, and what the file says behind it means that.

use std::collections::BTreeMap;

use super::super::cleared::Cleared;
use super::super::rename_function::RenameFunction;
use super::super::rename_type::RenameType;
use super::super::replace_type::ReplaceType;
use super::super::whole::destination;
use super::Reader;
use crate::catalog::Function;
use crate::catalog::Object;
use crate::finding::Finding;
use crate::migration::Statement;
use crate::migration::ValueDirective;
use crate::sql;
use crate::sql::AlterCommand;
use crate::sql::ObjectKind;
use crate::sql::ObjectRef;
use crate::sql::StatementKind;
use crate::sql::TableName;
use crate::sql::created_as;
use crate::sql::named_types;
use crate::sql::with_types;

/// What the file's names of types stand for, from a statement on.
type Meanings = BTreeMap<TableName, TableName>;

impl Reader<'_> {
    /// The existing type that a name means, unless nobody can feel what happens to it.
    fn type_in_use(&self, name: &ObjectRef) -> Option<&Object> {
        self.catalog().object("type", name).filter(|_| !self.is_nobody_there())
    }

    fn type_place(&self, name: &ObjectRef) -> TableName {
        self.catalog().object("type", name).map_or_else(|| self.catalog().place(name), |object| object.name.clone())
    }

    /// The file's statements, each with the types that it means, as long as old and new code are there; and the types that it replaces.
    pub(super) fn with_types_meant(&mut self) -> Vec<Statement> {
        let statements = &self.cx.migration.statements;
        let mut meant = Meanings::new();
        let mut all = Vec::new();
        for (position, statement) in statements.iter().enumerate() {
            if let Some((from, to)) = self.moved_type(statement) {
                meant.insert(to.clone(), from.clone());
                match self.replacement(position, &from, &to) {
                    Some(replace) => self.replaced.push(replace),
                    None => all.push(statement.clone()),
                }
                continue;
            }
            let makes = |replace: &&ReplaceType| replace.made_at == statement.parsed.span;
            if let Some(replace) = self.replaced.iter().find(makes) {
                meant.insert(replace.name.clone(), replace.shadow.clone());
                if let Some(parsed) = created_as(&statement.parsed, &replace.shadow) {
                    all.push(Statement { parsed, ..statement.clone() });
                }
                continue;
            }
            if !self.replaced.iter().any(|replace| replace.dropped_at == Some(statement.parsed.span)) {
                all.push(self.meant(statement, &meant));
            }
        }
        all
    }

    fn moved_type(&self, statement: &Statement) -> Option<(TableName, TableName)> {
        let StatementKind::Move { kind, object, to, .. } = &statement.parsed.kind else { return None };
        if kind.object_kind() != "type" || statement.direct.is_some() || statement.phase.is_some() {
            return None;
        }
        let from = self.type_in_use(object)?.name.clone();
        let target = destination(&from, to);
        (from != target).then_some((from, target))
    }

    /// The rename at this place is the first half of a replacement: something else of the old name is made behind it.
    fn replacement(&self, position: usize, from: &TableName, to: &TableName) -> Option<ReplaceType> {
        let rename = self.cx.migration.statements.get(position)?;
        let behind = self.cx.migration.statements.get(position + 1..)?;
        let place = |name: &ObjectRef| self.type_place(name);
        let makes = |statement: &&Statement| {
            let made = statement.parsed.makes.as_ref();
            made.is_some_and(|made| made.class == "pg_type" && place(&made.name) == *from)
                && created_as(&statement.parsed, from).is_some()
        };
        let made = behind.iter().find(makes)?;
        let drops = |statement: &&Statement| match &statement.parsed.kind {
            StatementKind::Drop { kind, objects, cascade: false, .. } if kind.object_kind() == "type" => {
                objects.len() == 1 && objects.iter().all(|object| place(&object.name) == *to)
            }
            _ => false,
        };
        let dropped = behind.iter().find(drops);
        Some(ReplaceType {
            name: from.clone(),
            shadow: TableName { schema: from.schema.clone(), name: self.cx.own_name("new", from.name.as_str()) },
            renamed: to.clone(),
            made_at: made.parsed.span,
            dropped_at: dropped.map(|statement| statement.parsed.span),
            cleared: dropped.map_or_else(Cleared::default, |it| Cleared::before(self.cx, it.parsed.span)),
            columns: Vec::new(),
            span: rename.parsed.span,
        })
    }

    fn meant(&self, statement: &Statement, meant: &Meanings) -> Statement {
        if meant.is_empty() {
            return statement.clone();
        }
        let put = |name: &ObjectRef| meant.get(&self.type_place(name)).cloned();
        let values = |all: &[ValueDirective]| {
            let value = |directive: &ValueDirective| ValueDirective {
                value: directive.value.with_types(&put).unwrap_or_else(|| directive.value.clone()),
                ..directive.clone()
            };
            all.iter().map(value).collect()
        };
        Statement {
            parsed: with_types(&statement.parsed, &put).unwrap_or_else(|| statement.parsed.clone()),
            up: values(&statement.up),
            down: values(&statement.down),
            ..statement.clone()
        }
    }

    pub(super) fn read_move_type(&mut self, position: usize, statement: &Statement) {
        let StatementKind::Move { kind, object, to, .. } = &statement.parsed.kind else { return };
        if !self.may_be_there(*kind, object) {
            let message = format!("there is no type {object}");
            return self.findings.push(Finding::error("no-such-type", statement.parsed.span, message));
        }
        let Some((from, target)) = self.moved_type(statement) else {
            return self.write_as_is(position, statement);
        };
        let Some(found) = self.type_in_use(object) else { return };
        let rename = RenameType::new(self.catalog(), *kind, found, to, statement.parsed.span);
        // Behind what the file makes of it, which has the type under its old name.
        self.operations.push((usize::MAX, Box::new(rename)));
        self.moved_types.extend([from, target].map(|name| (position, name)));
    }

    /// Whether an object is there, or the file may make it.
    pub(super) fn may_be_there(&self, kind: ObjectKind, name: &ObjectRef) -> bool {
        let makes = |statement: &Statement| {
            statement.parsed.makes.as_ref().is_some_and(|made| {
                made.class == kind.catalog_class() && self.catalog().place(&made.name) == self.catalog().place(name)
            })
        };
        self.catalog().object(kind.object_kind(), name).is_some()
            || self.cx.migration.statements.iter().any(makes)
            || self.may_be_made(name)
    }

    /// Of several functions of one name the arguments say which one is meant.
    pub(super) fn read_move_function(&mut self, position: usize, statement: &Statement) {
        let StatementKind::Move { kind, object, arguments, to, .. } = &statement.parsed.kind else { return };
        if !self.may_be_there(*kind, object) {
            let message = format!("there is no {} {object}", kind.sql_name().to_lowercase());
            return self.findings.push(Finding::error("no-such-function", statement.parsed.span, message));
        }
        let found = self.catalog().object("function", object).filter(|_| !self.is_nobody_there()).cloned();
        let Some(found) = found else { return self.write_as_is(position, statement) };
        let target = destination(&found.name, to);
        if target == found.name {
            return self.write_as_is(position, statement);
        }
        let fits = |function: &&Function| {
            let right = arguments.as_ref().is_none_or(|types| function.types == *types);
            right && (*kind == ObjectKind::Routine || function.procedure == (*kind == ObjectKind::Procedure))
        };
        let mut fitting = found.functions.iter().filter(fits);
        let (Some(function), None) = (fitting.next().cloned(), fitting.next()) else {
            let message =
                format!("which {} of the name {} is meant can't be told", kind.sql_name().to_lowercase(), found.name);
            self.findings.push(Finding::error("breaks-running-code", statement.parsed.span, message).help(
                "write the types of its arguments; an aggregate, and what belongs to an extension, is not renamed in phases: make a new one beside it, and drop the old one in a later file",
            ));
            return;
        };
        for name in [found.name.clone(), target] {
            self.gone.push((position, name));
        }
        let rename = RenameFunction { name: found.name, function, to: to.clone(), span: statement.parsed.span };
        self.operations.push((position, Box::new(rename)));
    }

    /// The replacements come behind everything that the file does with the new types.
    pub(super) fn settle_types(&mut self) {
        for mut replace in std::mem::take(&mut self.replaced) {
            let shadow = replace.shadow.clone();
            for (_, retype) in &mut self.retypes {
                let names = named_types(&sql!("SELECT NULL::{}", retype.to.type_name));
                if names.iter().any(|name| self.cx.catalog.place(name) == shadow) {
                    retype.replaced = Some((replace.name.clone(), replace.after(self.cx)));
                    replace.columns.push((retype.table.clone(), retype.column.name.clone()));
                }
            }
            for statement in &self.cx.migration.statements {
                if self.adds_column_of(statement, &shadow) {
                    self.findings.push(
                        Finding::error("interference", statement.parsed.span, format!("this adds a column of the new {}, which waits for contract", replace.name))
                            .help("add it in the next migration; or say that it may run at once: `-- crossfade: direct REASON`"),
                    );
                }
            }
            self.operations.push((usize::MAX, Box::new(replace)));
        }
    }

    fn adds_column_of(&self, statement: &Statement, of: &TableName) -> bool {
        let StatementKind::AlterTable { table, commands, .. } = &statement.parsed.kind else { return false };
        let adds = |command: &AlterCommand| matches!(command, AlterCommand::AddColumn { .. });
        let names = || named_types(&statement.parsed.text);
        self.in_use(table).is_some()
            && commands.iter().any(adds)
            && statement.direct.is_none()
            && names().iter().any(|name| self.cx.catalog.place(name) == *of)
    }

    /// Another statement about a type that the file renames would meet it still there, or not there yet. What names it as a type means the right
    /// one by now.
    pub(super) fn look_for_type_namesakes(&mut self) {
        let mut findings = Vec::new();
        for (at, gone) in &self.moved_types {
            for (position, statement) in self.cx.migration.statements.iter().enumerate() {
                let words = &statement.parsed.words;
                if position != *at
                    && statement.direct.is_none()
                    && words.iter().any(|word| word == gone.name.as_str())
                    && self.is_about(statement, gone)
                {
                    findings.push(
                        Finding::error("interference", statement.parsed.span, format!("this names {gone}, which this file renames in phases"))
                            .help("put it into a migration of its own, before or after this one; or say that it may run at once: `-- crossfade: direct REASON`"),
                    );
                }
            }
        }
        self.findings.extend(findings);
    }

    /// Whether a statement that has the name of a type among its words may work on the type itself.
    fn is_about(&self, statement: &Statement, gone: &TableName) -> bool {
        match &statement.parsed.kind {
            StatementKind::Drop { kind, objects, .. } => {
                kind.object_kind() == "type" && objects.iter().any(|object| self.type_place(&object.name) == *gone)
            }
            StatementKind::Move { kind, object, .. } => {
                kind.object_kind() == "type" && self.type_place(object) == *gone
            }
            StatementKind::Other { what, opaque, .. } => {
                let name = gone.name.as_str();
                let of_rows =
                    matches!(what.as_str(), "INSERT" | "COPY" | "DELETE" | "MERGE" | "CREATE VIEW" | "CREATE TRIGGER");
                let as_types = named_types(&statement.parsed.text).iter().filter(|named| named.name == name).count();
                let words = statement.parsed.words.iter().filter(|word| *word == name).count();
                *opaque || !of_rows && words > as_types
            }
            StatementKind::AlterTable { .. }
            | StatementKind::RenameColumn { .. }
            | StatementKind::CreateIndex(_)
            | StatementKind::DropIndex { .. }
            | StatementKind::Update(_)
            | StatementKind::CreateTable { .. }
            | StatementKind::Transaction(_)
            | StatementKind::NotInTransaction { .. }
            | StatementKind::CopyFromStdin { .. } => false,
        }
    }
}
