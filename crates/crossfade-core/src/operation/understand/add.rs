//! What an ALTER TABLE adds: columns that count or are computed, and constraints.

use super::super::add_constraint::AddConstraint;
use super::super::add_key::AddKey;
use super::super::mend_check::MendCheck;
use super::super::mend_foreign_key::MendForeignKey;
use super::super::no_table;
use super::Pending;
use super::Reader;
use crate::catalog::ConstraintKind;
use crate::catalog::Label;
use crate::catalog::Names;
use crate::catalog::Table;
use crate::finding::Finding;
use crate::migration::Statement;
use crate::sql;
use crate::sql::AlterCommand;
use crate::sql::ColumnDefinition;
use crate::sql::ConstraintDefinition;
use crate::sql::ConstraintForm;
use crate::sql::Expr;
use crate::sql::ForeignKeyDefinition;
use crate::sql::Generated;
use crate::sql::Literal;
use crate::sql::StatementKind;
use crate::sql::TableName;
use crate::step::Claim;

/// The name that the server gives to a constraint which has none.
pub(super) fn constraint_name(
    names: &mut Names,
    table: &TableName,
    constraint: &ConstraintDefinition,
    major: u32,
) -> String {
    let columns = constraint.columns.as_slice();
    let name = match &constraint.form {
        ConstraintForm::Check(_) if columns.len() == 1 => names.choose(table, columns, Label::Check),
        ConstraintForm::Check(_) => names.choose(table, &[], Label::Check),
        ConstraintForm::ForeignKey(_) => names.choose(table, columns, Label::ForeignKey),
        ConstraintForm::Unique(key) => names.choose(table, &key.index.column_names(major), Label::Unique),
        ConstraintForm::PrimaryKey(_) => names.choose(table, &[], Label::PrimaryKey),
        ConstraintForm::Exclude => names.choose(table, columns, Label::Exclude),
        ConstraintForm::NotNull => names.choose(table, columns, Label::NotNull),
    };
    name.as_str().to_owned()
}

impl Reader<'_> {
    /// Whether all of a table's rows may be written in one go without a word.
    pub(super) fn is_small(&self, table: &Table) -> bool {
        table.estimated_rows <= self.cx.policy.small_rows
    }

    /// Whether the column's type is a domain whose constraints the server checks for every row.
    pub(super) fn is_constrained(&self, column: &ColumnDefinition) -> bool {
        let schemas = match &column.type_schema {
            Some(schema) => std::slice::from_ref(schema),
            None => self.catalog().search_path.as_slice(),
        };
        let domain = schemas.iter().find_map(|schema| {
            let name = TableName::new(schema.as_str(), column.base_type.as_str());
            self.catalog().objects.iter().find(|object| object.kind == "type" && object.name == name)
        });
        domain.is_some_and(|domain| domain.constrained)
    }

    /// What of a column's definition makes the server write every row, and the way around it.
    pub(super) fn hard_to_add(&self, column: &ColumnDefinition) -> Option<(String, String)> {
        let direct = "or accept the lock: `-- crossfade: direct REASON`";
        if column.generated == Some(Generated::Stored) {
            let way = format!(
                "PostgreSQL makes no column generated afterwards. Add a plain column with `-- crossfade: up EXPR`, or a VIRTUAL one (PostgreSQL 18); {direct}"
            );
            return Some(("GENERATED … STORED".to_owned(), way));
        }
        if self.is_constrained(column) {
            let way = format!(
                "the server checks the domain {} for every row. Use its base type and a CHECK; {direct}",
                column.base_type
            );
            return Some((format!("the constrained domain {}", column.base_type), way));
        }
        if column.odd_default {
            return Some((
                "a default that is not understood".to_owned(),
                format!("write it as an expression; {direct}"),
            ));
        }
        column.numbers.as_ref().filter(|numbers| numbers.options.is_none()).map(|_| {
            let way = format!("leave SEQUENCE NAME out; {direct}");
            ("a sequence whose name is given".to_owned(), way)
        })
    }

    /// A column that counts: each row gets a number of a sequence, which is made first.
    pub(super) fn pend_numbers(
        &mut self,
        table: &Table,
        column: &ColumnDefinition,
        statement: &Statement,
        position: usize,
    ) {
        let sequence = self.sequence_name(table, column);
        let value = Expr::from_sql(&sql!("nextval({}::regclass)", Literal(sql!("{}", sequence).to_string())));
        let Ok(value) = value else { return };
        let serial = column.numbers.as_ref().is_some_and(|numbers| numbers.identity.is_none());
        let mut definition = column.clone();
        definition.default = Some(value.clone()).filter(|_| serial);
        self.pending.entry(table.name.clone()).or_default().push(Pending {
            definition,
            span: statement.parsed.span,
            value: Some(value),
            defaults: Vec::new(),
            not_null_later: false,
            not_null_name: None,
            sequence: Some(sequence),
            statement: position,
        });
    }

    /// The sequence of a `serial` has the name that the server gives it; that of an identity column has one of ours until the identity
    /// brings its own.
    fn sequence_name(&self, table: &Table, column: &ColumnDefinition) -> TableName {
        let name = match &column.numbers {
            Some(numbers) if numbers.identity.is_some() => self.cx.own_name("seq", &column.name),
            _ => Names::of(self.catalog()).choose(&table.name, std::slice::from_ref(&column.name), Label::Sequence),
        };
        TableName { schema: table.name.schema.clone(), name }
    }

    /// ADD CONSTRAINT on a table that is in use.
    pub(super) fn read_constraint(
        &mut self,
        position: usize,
        statement: &Statement,
        table: &Table,
        constraint: &ConstraintDefinition,
    ) {
        let span = statement.parsed.span;
        match &constraint.form {
            ConstraintForm::Check(Some(rule)) if !statement.up.is_empty() => {
                let [directive] = statement.up.as_slice() else {
                    self.findings.push(
                        Finding::error("directive", span, "a CHECK takes one `up`: one column is mended where a row breaks it")
                            .help("split the CHECK, or mend the rows with an UPDATE in front of it"),
                    );
                    return;
                };
                let column = directive.column.clone().or_else(|| constraint.columns.first().cloned()).unwrap_or_default();
                self.touch(position, &table.name, &column);
                let operation = MendCheck {
                    table: table.clone(),
                    name: constraint.name.clone().unwrap_or_default(),
                    text: statement.parsed.text.clone(),
                    rule: rule.clone(),
                    column,
                    up: directive.value.clone(),
                    span,
                };
                self.operations.push((position, Box::new(operation)));
            }
            ConstraintForm::ForeignKey(key) if !statement.up.is_empty() => {
                self.read_mended_key(position, statement, table, constraint, key);
            }
            ConstraintForm::NotNull if self.succeeds(table, &constraint.columns) => {
                for pending in self.pending.get_mut(&table.name).into_iter().flatten() {
                    if constraint.columns.contains(&pending.definition.name) {
                        pending.not_null_later |= !pending.definition.not_null;
                        pending.definition.not_null = true;
                        pending.not_null_name.clone_from(&constraint.name);
                    }
                }
            }
            // A NOT NULL with a name of its own (PostgreSQL 18) is proven by itself, and keeps the name.
            ConstraintForm::Check(_) | ConstraintForm::ForeignKey(_) | ConstraintForm::NotNull => {
                let operation = AddConstraint {
                    table: table.clone(),
                    constraint: constraint.clone(),
                    text: statement.parsed.text.clone(),
                    span,
                };
                self.operations.push((position, Box::new(operation)));
            }
            ConstraintForm::Unique(key) | ConstraintForm::PrimaryKey(key) => {
                let primary = matches!(constraint.form, ConstraintForm::PrimaryKey(_));
                if primary {
                    for pending in self.pending.get_mut(&table.name).into_iter().flatten() {
                        let is_of = constraint.columns.contains(&pending.definition.name);
                        pending.not_null_later |= is_of && !pending.definition.not_null;
                        pending.definition.not_null |= is_of;
                    }
                }
                let operation = AddKey {
                    table: table.clone(),
                    name: constraint.name.clone().unwrap_or_default(),
                    text: statement.parsed.text.clone(),
                    columns: constraint.columns.clone(),
                    key: (**key).clone(),
                    primary,
                    changed_before: self.is_written_before(position, table),
                    new: Vec::new(),
                    at_contract: false,
                    replaces: self.replaces_key(position, table, constraint.name.as_deref(), primary),
                    span,
                };
                self.keys.push((position, operation));
            }
            ConstraintForm::Exclude => self.findings.push(
                Finding::error("add-exclude", span, format!("PostgreSQL builds the index of an EXCLUDE under a lock that keeps writers of {} out, and has no CONCURRENTLY for it", table.name))
                    .help("accept the lock: `-- crossfade: direct REASON`"),
            ),
        }
    }

    /// ADD FOREIGN KEY with a value for rows that point to nothing.
    fn read_mended_key(
        &mut self,
        position: usize,
        statement: &Statement,
        table: &Table,
        constraint: &ConstraintDefinition,
        key: &ForeignKeyDefinition,
    ) {
        let span = statement.parsed.span;
        if let Some(column) = constraint.columns.iter().find(|column| self.is_pending(&table.name, column)) {
            return self.refuse_chain(&table.name, column, span);
        }
        let referenced = match &key.references {
            Some(name) => match self.catalog().resolve(name).cloned() {
                Some(referenced) => referenced,
                None => {
                    self.findings.push(no_table(self.cx, name, span));
                    return;
                }
            },
            None => return,
        };
        let keys: Vec<String> = match key.referenced_columns.as_slice() {
            [] => referenced.key().into_iter().map(str::to_owned).collect(),
            given => given.to_vec(),
        };
        let mut ups = Vec::new();
        let mut reads: Vec<Claim> = Vec::new();
        for column in &constraint.columns {
            if let Some(up) = self.up_of(statement, table, column) {
                reads.extend(self.reads_of(position, &up));
                self.touch(position, &table.name, column);
                ups.push((column.clone(), up));
            }
        }
        let pointed = keys.iter().map(|key| Claim { table: referenced.name.clone(), column: Some(key.clone()) });
        let rest = constraint.columns.iter().map(|own| Claim { table: table.name.clone(), column: Some(own.clone()) });
        let taken: Vec<Claim> = pointed.chain(rest).collect();
        self.taken.extend(taken.iter().map(|claim| (position, claim.clone())));
        reads.extend(taken);
        let operation = MendForeignKey {
            table: table.clone(),
            name: constraint.name.clone().unwrap_or_default(),
            text: statement.parsed.text.clone(),
            columns: constraint.columns.clone(),
            key: key.clone(),
            referenced,
            keys,
            ups,
            reads,
            span,
        };
        self.operations.push((position, Box::new(operation)));
    }

    /// Whether an earlier statement of the file writes rows of the table: what is true of them now may not be true then.
    pub(super) fn is_written_before(&self, position: usize, table: &Table) -> bool {
        self.cx.migration.statements[..position].iter().any(|statement| match &statement.parsed.kind {
            StatementKind::Update(update) => {
                self.catalog().resolve(&update.table).is_some_and(|found| found.name == table.name)
            }
            StatementKind::Other { opaque: true, .. } => true,
            StatementKind::Other { touches, .. } => touches
                .iter()
                .any(|(name, _)| self.catalog().resolve(name).is_some_and(|found| found.name == table.name)),
            _ => false,
        })
    }

    /// Whether the file drops before what stands in the way of a new key: the primary key, or a key of this name.
    pub(super) fn replaces_key(&self, position: usize, table: &Table, name: Option<&str>, primary: bool) -> bool {
        let earlier = self.cx.migration.statements[..position].iter();
        let dropped =
            earlier.filter(|statement| statement.direct.is_none() && statement.phase.is_none()).flat_map(|statement| {
                match &statement.parsed.kind {
                    StatementKind::AlterTable { table: of, commands, .. }
                        if self.catalog().resolve(of).is_some_and(|found| found.name == table.name) =>
                    {
                        commands.as_slice()
                    }
                    _ => &[],
                }
            });
        let dropped: Vec<&str> = dropped
            .filter_map(|command| match command {
                AlterCommand::DropConstraint { name, .. } => Some(name.as_str()),
                _ => None,
            })
            .collect();
        table.constraints.iter().any(|constraint| {
            let key = matches!(constraint.kind, ConstraintKind::PrimaryKey | ConstraintKind::Unique);
            let in_the_way =
                primary && constraint.kind == ConstraintKind::PrimaryKey || Some(constraint.name.as_str()) == name;
            key && in_the_way && dropped.contains(&constraint.name.as_str())
        })
    }

    /// Turns UNIQUE and PRIMARY KEY into operations, now that it is known which of their columns the file adds.
    pub(super) fn settle_keys(&mut self) {
        for (position, key) in std::mem::take(&mut self.keys) {
            let new: Vec<String> =
                key.columns.iter().filter(|column| key.table.column(column).is_none()).cloned().collect();
            let at_contract = key.primary
                && new
                    .iter()
                    .any(|column| self.not_null_at_contract.contains(&(key.table.name.clone(), column.clone())));
            self.operations.push((position, Box::new(AddKey { new, at_contract, ..key })));
        }
    }
}
