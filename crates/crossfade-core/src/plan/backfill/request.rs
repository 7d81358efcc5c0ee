//! What `crossfade backfill` is asked for, as it stands on the command line.

use crate::catalog::Catalog;
use crate::plan::builder::line_pointers;
use crate::sql::Expr;
use crate::sql::Ident;
use crate::sql::ObjectRef;
use crate::sql::SyntaxError;
use crate::sql::TableName;

/// What is to be copied: `TARGET := SOURCE`, or an expression, in the rows for which a condition holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackfillRequest {
    pub(super) table: ObjectRef,
    pub(super) source: Ident,
    pub(super) target: Ident,
    pub(super) value: Option<Expr>,
    pub(super) only: Option<Expr>,
    most_rows: Option<u64>,
}

/// An argument of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackfillArgument {
    /// TABLE.
    Table,
    /// SOURCE.
    Source,
    /// TARGET.
    Target,
    /// `--expr`.
    Value,
    /// `--where`.
    Only,
}

impl BackfillArgument {
    /// As it stands on the command line.
    pub fn name(self) -> &'static str {
        match self {
            BackfillArgument::Table => "TABLE",
            BackfillArgument::Source => "SOURCE",
            BackfillArgument::Target => "TARGET",
            BackfillArgument::Value => "--expr",
            BackfillArgument::Only => "--where",
        }
    }
}

impl BackfillRequest {
    /// Reads the arguments, which are written as in SQL.
    ///
    /// # Errors
    ///
    /// Which argument is wrong, and where.
    pub fn read(
        table: &str,
        source: &str,
        target: &str,
        value: Option<&str>,
        only: Option<&str>,
    ) -> Result<BackfillRequest, (BackfillArgument, SyntaxError)> {
        let expr = |text: Option<&str>, argument| text.map(Expr::parse).transpose().map_err(|error| (argument, error));
        Ok(BackfillRequest {
            table: ObjectRef::parse(table).map_err(|error| (BackfillArgument::Table, error))?,
            source: Ident::parse(source).map_err(|error| (BackfillArgument::Source, error))?,
            target: Ident::parse(target).map_err(|error| (BackfillArgument::Target, error))?,
            value: expr(value, BackfillArgument::Value)?,
            only: expr(only, BackfillArgument::Only)?,
            most_rows: None,
        })
    }

    /// With so many rows a chunk at the most.
    #[must_use]
    pub fn at_most(self, rows: Option<u64>) -> BackfillRequest {
        BackfillRequest { most_rows: rows, ..self }
    }

    /// The stripes by which one block alone, however many rows it holds, gives no chunk of more rows than are asked for.
    pub(super) fn least_stripes(&self, catalog: &Catalog) -> u32 {
        let Some(rows) = self.most_rows else { return 1 };
        let stripes = line_pointers(catalog.block_size).div_ceil(rows.max(1)).next_power_of_two();
        u32::try_from(stripes).unwrap_or(1)
    }

    /// The command's arguments as they can be pasted into a shell.
    pub(super) fn arguments(&self, table: &TableName) -> String {
        let name = format!("{}.{}", table.schema.shortest(), table.name.shortest());
        let mut words = vec![name, self.source.shortest(), self.target.shortest()];
        for (option, expr) in [("--expr", &self.value), ("--where", &self.only)] {
            if let Some(expr) = expr {
                words.extend([option.to_owned(), expr.as_written().to_owned()]);
            }
        }
        words.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ")
    }
}

fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
