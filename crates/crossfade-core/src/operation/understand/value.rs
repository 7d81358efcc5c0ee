//! RENAME of a value of an enum waits for contract. What the file says behind it under the new name waits with it, or is refused: until then nobody
//! knows that name.

use std::collections::BTreeSet;

use super::super::Role;
use super::super::rename_value::RenameValue;
use super::super::rename_value::relations_of;
use super::super::undo::undo;
use super::super::whole::type_of;
use super::Reader;
use crate::catalog::Object;
use crate::finding::Finding;
use crate::migration::Statement;
use crate::sql;
use crate::sql::AlterCommand;
use crate::sql::Literal;
use crate::sql::Made;
use crate::sql::ObjectKind;
use crate::sql::ObjectRef;
use crate::sql::SoleName;
use crate::sql::Sql;
use crate::sql::StatementKind;
use crate::sql::TableName;
use crate::sql::made_by;
use crate::sql::sole_name;
use crate::step::Phase;

/// A value that the file gives another name to.
#[derive(Clone, Debug)]
pub(super) struct Renamed {
    /// Which statement does.
    position: usize,
    of: TableName,
    from: String,
    to: String,
}

impl Reader<'_> {
    /// The existing enum that a name means, unless nobody can feel what happens to it.
    fn enum_in_use(&self, name: &ObjectRef) -> Option<&Object> {
        let found = self.catalog().object("type", name).filter(|_| !self.is_nobody_there());
        found.filter(|object| object.kind == "type")
    }

    /// The values that statements of the file give another name to at contract.
    pub(super) fn find_renamed_values(&mut self) {
        let renames = self.cx.migration.statements.iter().enumerate().filter_map(|(position, statement)| {
            let StatementKind::Other { what, .. } = &statement.parsed.kind else { return None };
            if what != "RENAME VALUE" || statement.direct.is_some() || statement.phase.is_some() {
                return None;
            }
            let SoleName::Value { of, from, to } = sole_name(&statement.parsed)?;
            let of = self.enum_in_use(&of)?.name.clone();
            Some(Renamed { position, of, from, to })
        });
        self.renamed_values = renames.collect();
    }

    pub(super) fn read_rename_value(&mut self, position: usize, statement: &Statement, of: &ObjectRef) {
        let span = statement.parsed.span;
        if !self.may_be_there(ObjectKind::Type, of) {
            return self.findings.push(Finding::error("no-such-type", span, format!("there is no type {of}")));
        }
        let place = self.catalog().object("type", of).map_or_else(|| self.catalog().place(of), |it| it.name.clone());
        if self.replaced.iter().any(|replace| replace.name == place || replace.renamed == place) {
            let message = format!("this names {place}, which this file replaces in phases");
            let help = "put it into a migration of its own, before or after this one";
            return self.findings.push(Finding::error("interference", span, message).help(help));
        }
        let Some(own) = self.renamed_values.iter().find(|renamed| renamed.position == position).cloned() else {
            return self.write_as_is(position, statement);
        };
        let first = self.renamed_values.first().is_some_and(|first| first.position == position);
        let go = self.renamed_values.iter().filter(|_| first).map(|renamed| renamed.from.clone()).collect();
        let first_of_type = self.renamed_values.iter().find(|renamed| renamed.of == own.of);
        let mut back: Vec<Sql> = undo(self.catalog(), &statement.parsed.kind).into_iter().collect();
        if first_of_type.is_some_and(|first| first.position == position) {
            back.extend(self.defaults_before(&own));
        }
        let undo = statement.undo.clone().unwrap_or_else(|| Sql::join(back, "; "));
        let rename = RenameValue {
            statement: Statement { phase: Some(Phase::Contract), undo: Some(undo), ..statement.clone() },
            labels: self.labels_before(&own),
            tables: relations_of(self.catalog(), &own.of),
            of: own.of,
            from: own.from,
            to: own.to,
            go,
        };
        self.operations.push((position, Box::new(rename)));
    }

    /// The values of the enum where a statement of the file renames one.
    fn labels_before(&self, own: &Renamed) -> Vec<String> {
        let known = self.catalog().objects.iter().find(|object| object.name == own.of && object.kind == "type");
        let mut labels = known.map(|object| object.labels.clone()).unwrap_or_default();
        for (position, statement) in self.cx.migration.statements.iter().enumerate().take(own.position) {
            if let Some(Made::EnumValue(value)) = made_by(&statement.parsed)
                && statement.parsed.words.iter().any(|word| word == own.of.name.as_str())
            {
                labels.push(value);
            }
            let earlier = self.renamed_values.iter().filter(|it| it.position == position && it.of == own.of);
            for renamed in earlier {
                let is_it = |label: &&mut String| **label == renamed.from;
                labels.iter_mut().filter(is_it).for_each(|label| label.clone_from(&renamed.to));
            }
        }
        labels
    }

    /// A default under a new name waits for it: the statement as it runs then. What it was before comes back with the old name, not before.
    pub(super) fn default_behind_a_rename(&self, position: usize, statement: &Statement) -> Option<Statement> {
        self.renamed_values.iter().find(|renamed| self.waits_for(renamed, position, statement))?;
        let undo = sql!("/* the default from before comes back with the old name */");
        Some(Statement { phase: Some(Phase::Contract), undo: Some(undo), ..statement.clone() })
    }

    fn waits_for(&self, renamed: &Renamed, position: usize, statement: &Statement) -> bool {
        let StatementKind::AlterTable { table, commands, .. } = &statement.parsed.kind else { return false };
        let [AlterCommand::SetDefault { column, default: Some(_) }] = commands.as_slice() else { return false };
        let of = self.catalog().resolve(table).and_then(|table| table.column(column)).and_then(type_of);
        // An array's default has the name inside of its text.
        position > renamed.position
            && statement.direct.is_none()
            && statement.phase.is_none()
            && of.as_ref() == Some(&renamed.of)
            && statement.parsed.text.as_str().contains(&renamed.to.replace('\'', "''"))
    }

    /// The defaults of columns that get one under a new name of this enum.
    fn defaults_before(&self, own: &Renamed) -> Vec<Sql> {
        let waits = |(position, statement): &(usize, &Statement)| {
            let mut of_type = self.renamed_values.iter().filter(|renamed| renamed.of == own.of);
            of_type.any(|renamed| self.waits_for(renamed, *position, statement))
        };
        let statements = self.cx.migration.statements.iter().enumerate().filter(waits);
        statements.filter_map(|(_, statement)| undo(self.catalog(), &statement.parsed.kind)).collect()
    }

    /// What names a value that gets another name would meet it under the wrong one.
    pub(super) fn look_for_value_namesakes(&mut self) {
        let mut findings = Vec::new();
        for renamed in &self.renamed_values {
            for (position, statement) in self.cx.migration.statements.iter().enumerate() {
                let own = self.renamed_values.iter().any(|other| other.position == position);
                let waits = self.renamed_values.iter().any(|other| self.waits_for(other, position, statement));
                if own || waits || statement.direct.is_some() || statement.phase.is_some() {
                    continue;
                }
                if let Some(message) = self.meets(renamed, position, statement) {
                    findings.push(Finding::error("interference", statement.parsed.span, message).help(
                        "put it into the next migration, after contract; a SET DEFAULT of a column may stand in a statement of its own behind the rename; what is short may run there, too: `-- crossfade: phase contract`",
                    ));
                }
            }
        }
        self.findings.extend(findings);
    }

    fn meets(&self, renamed: &Renamed, position: usize, statement: &Statement) -> Option<String> {
        let (of, from, to) = (&renamed.of, &renamed.from, &renamed.to);
        let (old, new) = (Made::EnumValue(from.clone()), Made::EnumValue(to.clone()));
        let text = statement.parsed.text.as_str();
        let directives: Vec<Sql> =
            statement.up.iter().chain(&statement.down).map(|directive| directive.value.verbatim()).collect();
        let said = |value: &Made| directives.iter().any(|directive| value.is_used_in(directive.as_str()));
        if position > renamed.position && new.is_used_in(text) && self.may_be_about(statement, of) {
            let to = sql!("{}", Literal(to.clone()));
            return Some(format!("this names {to}, and no value of {of} has that name before contract"));
        }
        let own = || self.operations.iter().filter(|(at, _)| *at == position).map(|(_, operation)| operation);
        let phased = own().any(|operation| operation.role() == Role::Phased) || own().next().is_none();
        if (phased && old.is_used_in(text) || said(&old) || said(&new)) && self.may_be_about(statement, of) {
            return Some(format!(
                "this names a value of {of} that gets another name at contract, and what keeps old and new form the same would go on to name it"
            ));
        }
        let relations: BTreeSet<TableName> = relations_of(self.catalog(), of).into_iter().collect();
        let claims =
            own().filter(|operation| operation.role() == Role::Phased).flat_map(|operation| operation.claims());
        let mut of_type = claims.filter(|claim| relations.contains(&claim.table)).filter(|claim| match &claim.column {
            None => true,
            Some(column) => {
                let found = self.catalog().table(&claim.table).and_then(|table| table.column(column));
                found.is_some_and(|column| type_of(column).as_ref() == Some(of))
            }
        });
        let claim = of_type.next()?;
        let what = claim.column.map_or_else(|| claim.table.to_string(), |column| format!("{}.{column}", claim.table));
        Some(format!("this changes {what} in phases, and a value of its type {of} gets another name at contract"))
    }

    /// Whether a statement may name values of an enum: it names the enum, or a relation that has a column of it, or can't be seen through.
    fn may_be_about(&self, statement: &Statement, of: &TableName) -> bool {
        let seen_through = match &statement.parsed.kind {
            StatementKind::AlterTable { .. } | StatementKind::Update(_) | StatementKind::CreateTable { .. } => true,
            StatementKind::Other { what, opaque, .. } => {
                !*opaque && matches!(what.as_str(), "INSERT" | "DELETE" | "MERGE" | "COPY")
            }
            StatementKind::RenameColumn { .. }
            | StatementKind::Drop { .. }
            | StatementKind::Move { .. }
            | StatementKind::CreateIndex(_)
            | StatementKind::DropIndex { .. }
            | StatementKind::Transaction(_)
            | StatementKind::NotInTransaction { .. }
            | StatementKind::CopyFromStdin { .. } => false,
        };
        let relations = relations_of(self.catalog(), of);
        let mut names = std::iter::once(of).chain(&relations);
        !seen_through || names.any(|name| statement.parsed.words.iter().any(|word| word == name.name.as_str()))
    }
}
