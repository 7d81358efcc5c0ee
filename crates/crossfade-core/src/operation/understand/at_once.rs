//! Directives on a table that nobody uses. There is nothing to keep true meanwhile: a value is given to the rows at once, and what leads back or
//! waits for a phase is of no use.

use super::Reader;
use crate::finding::Finding;
use crate::migration::Statement;
use crate::migration::ValueDirective;
use crate::plan::Reference;
use crate::sql;
use crate::sql::AlterCommand;
use crate::sql::ColumnDefinition;
use crate::sql::ConstraintDefinition;
use crate::sql::ConstraintForm;
use crate::sql::Expr;
use crate::sql::ForeignKeyDefinition;
use crate::sql::Ident;
use crate::sql::ObjectRef;
use crate::sql::ParsedStatement;
use crate::sql::Sql;
use crate::sql::StatementKind;
use crate::sql::parsed_at;
use crate::sql::with_not_null_apart;
use crate::sql::with_using;
use crate::sql::written;
use crate::step::Phase;

impl Reader<'_> {
    /// The statements that do at once what an ALTER TABLE with directives says.
    pub(super) fn at_once(
        &mut self,
        statement: &Statement,
        name: &ObjectRef,
        commands: &[AlterCommand],
    ) -> Vec<Statement> {
        let there = self.catalog().resolve(name).is_some() || self.is_created(name) || self.may_be_made(name);
        let speaks = !statement.up.is_empty() || !statement.down.is_empty();
        if !speaks || !there || statement.direct.is_some() || statement.phase.is_some() {
            return vec![statement.clone()];
        }
        let said = self.findings.len();
        self.check_directives(statement, commands);
        let silent = Statement { up: Vec::new(), down: Vec::new(), ..statement.clone() };
        if self.findings.len() > said {
            return vec![silent];
        }
        let Some(parts) = self.parts_of(statement, commands) else { return vec![silent] };
        let mut ranked: Vec<(u8, Statement)> = Vec::new();
        for part in parts {
            let StatementKind::AlterTable { commands, .. } = &part.parsed.kind else { continue };
            let Some(command) = commands.first() else { continue };
            let rank = rank(command, &part.up);
            match self.with_values(name, &part, command) {
                Ok(all) => ranked.extend(all.into_iter().map(|parsed| (rank, Statement { parsed, ..silent.clone() }))),
                Err(finding) => self.findings.push(finding),
            }
        }
        ranked.sort_by_key(|(rank, _)| *rank);
        let last = ranked.len().saturating_sub(1);
        let all = ranked.into_iter().enumerate();
        all.map(|(at, (_, part))| Statement { undo: part.undo.filter(|_| at == last), ..part }).collect()
    }

    /// One change, and what gives the rows their values for it.
    fn with_values(
        &self,
        name: &ObjectRef,
        part: &Statement,
        command: &AlterCommand,
    ) -> Result<Vec<ParsedStatement>, Finding> {
        let span = part.parsed.span;
        let same = || Ok(vec![part.parsed.clone()]);
        let odd = || Finding::error("directive", span, "what this directive speaks for can't be taken apart");
        let update = |set: Vec<Sql>, condition: Sql| {
            // As the file has it: its search path may be another one than ours.
            let text = sql!("UPDATE {} SET {}{}", written(name), Sql::join(set, ", "), condition);
            parsed_at(span, text.as_str()).ok_or_else(odd)
        };
        let Some(first) = part.up.first() else { return same() };
        match command {
            AlterCommand::AddColumn { column, if_not_exists } => {
                if self.has_column(name, column) && *if_not_exists || column.numbers.is_some() {
                    return same();
                }
                let (bare, not_null) = with_not_null_apart(&part.parsed).ok_or_else(odd)?;
                let fill = update(vec![set(&column.name, first)], sql!(""))?;
                Ok([bare, fill].into_iter().chain(not_null).collect())
            }
            AlterCommand::SetNotNull { column } => {
                // The column is new in this file: it has no value but this one.
                let is_new = self.cx.migration.statements.iter().any(|other| self.adds(other, name, column));
                let nulls = sql!(" WHERE {} IS NULL", Ident::new(column.as_str()));
                let mend = update(vec![set(column, first)], if is_new { sql!("") } else { nulls })?;
                Ok(vec![mend, part.parsed.clone()])
            }
            AlterCommand::AlterType { .. } => Ok(vec![with_using(&part.parsed, &first.value).ok_or_else(odd)?]),
            AlterCommand::AddConstraint(constraint) => {
                let rule = match &constraint.form {
                    ConstraintForm::Check(Some(rule)) => rule.verbatim(),
                    ConstraintForm::ForeignKey(key) => self.reference(key, constraint, &part.up)?.holds(),
                    ConstraintForm::Check(None) => return Err(odd()),
                    ConstraintForm::Unique(_)
                    | ConstraintForm::PrimaryKey(_)
                    | ConstraintForm::Exclude
                    | ConstraintForm::NotNull => return same(),
                };
                let only = match constraint.columns.as_slice() {
                    [only] => Some(only),
                    _ => None,
                };
                let value = |up: &ValueDirective| up.column.as_ref().or(only).map(|column| set(column, up));
                let values: Option<Vec<Sql>> = part.up.iter().map(value).collect();
                let mend = update(values.ok_or_else(odd)?, sql!(" WHERE NOT ({})", rule))?;
                Ok(vec![mend, part.parsed.clone()])
            }
            AlterCommand::DropColumn { .. }
            | AlterCommand::SetDefault { .. }
            | AlterCommand::DropNotNull { .. }
            | AlterCommand::DropConstraint { .. }
            | AlterCommand::AttachPartition { .. }
            | AlterCommand::DetachPartition { .. }
            | AlterCommand::Other { .. } => same(),
        }
    }

    fn has_column(&self, name: &ObjectRef, column: &ColumnDefinition) -> bool {
        self.catalog().resolve(name).is_some_and(|table| table.column(&column.name).is_some())
    }

    fn adds(&self, statement: &Statement, to: &ObjectRef, wanted: &str) -> bool {
        match &statement.parsed.kind {
            StatementKind::AlterTable { table, commands, .. } if table.name == to.name => commands
                .iter()
                .any(|command| matches!(command, AlterCommand::AddColumn { column, .. } if column.name == wanted)),
            _ => false,
        }
    }

    /// What rows of a new foreign key must point to.
    fn reference(
        &self,
        key: &ForeignKeyDefinition,
        constraint: &ConstraintDefinition,
        up: &[ValueDirective],
    ) -> Result<Reference, Finding> {
        let span = up.first().map(|directive| directive.span);
        let Some(name) = &key.references else {
            return Err(Finding::error("directive", span, "which table this key points to is not understood"));
        };
        let known = self.catalog().resolve(name);
        let table = known.map_or_else(|| self.catalog().place(name), |table| table.name.clone());
        let keys: Vec<String> = match (key.referenced_columns.as_slice(), known) {
            ([], Some(known)) => known.key().into_iter().map(str::to_owned).collect(),
            ([], None) => Vec::new(),
            (given, _) => given.to_vec(),
        };
        if keys.is_empty() || keys.len() != constraint.columns.len() {
            let message = format!("which columns of {name} this key points to can't be told before it is there");
            return Err(
                Finding::error("directive", span, message).help(format!("name them: REFERENCES {name} (COLUMN)"))
            );
        }
        let pairs = constraint.columns.iter().zip(&keys);
        Ok(Reference {
            table,
            columns: pairs.map(|(own, its)| (Ident::new(own.as_str()), Ident::new(its.as_str()))).collect(),
            full: key.full,
        })
    }

    /// Where nobody uses anything, the phases follow each other at once.
    pub(super) fn in_order_of_phases(&self, mut statements: Vec<Statement>) -> Vec<Statement> {
        if !self.cx.made_in_run.everything {
            return statements;
        }
        statements.sort_by_key(|statement| statement.phase.unwrap_or(Phase::Expand));
        statements.into_iter().map(|statement| Statement { phase: None, ..statement }).collect()
    }
}

/// New columns take their values from the rows as they were before the statement, and what goes may be among that.
fn rank(command: &AlterCommand, up: &[ValueDirective]) -> u8 {
    match command {
        AlterCommand::AddColumn { .. } if !up.is_empty() => 0,
        AlterCommand::AddColumn { .. }
        | AlterCommand::DropColumn { .. }
        | AlterCommand::AlterType { .. }
        | AlterCommand::SetNotNull { .. }
        | AlterCommand::SetDefault { .. }
        | AlterCommand::DropNotNull { .. }
        | AlterCommand::AddConstraint(_)
        | AlterCommand::DropConstraint { .. }
        | AlterCommand::AttachPartition { .. }
        | AlterCommand::DetachPartition { .. }
        | AlterCommand::Other { .. } => 1,
    }
}

fn set(column: &str, up: &ValueDirective) -> Sql {
    let value: &Expr = &up.value;
    sql!("{} = ({})", Ident::new(column), value.verbatim())
}
