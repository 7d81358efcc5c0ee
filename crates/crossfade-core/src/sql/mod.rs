//! The only place that names the parser: text to statements with spans, and typed parts to text.

pub(crate) mod act;
mod attached;
mod client;
mod column;
mod comment;
mod constraint;
mod error;
mod expr;
mod index_names;
mod insert;
mod lift;
mod made;
mod name;
mod names;
mod parse;
mod partition_bound;
mod partition_of;
mod query;
mod rename_columns;
mod rewrite;
mod rows;
mod same_code;
mod same_index;
mod setting;
mod sole_name;
mod split;
mod statement;
mod target;
mod text;
mod time_zone;
mod traceless;
mod types;
mod undo;
mod unique_key;
mod whole;

pub use attached::AttachedChange;
pub use attached::AttachedKind;
pub use attached::attached_change;
pub use column::ColumnDefinition;
pub use column::Generated;
pub use column::Numbers;
pub use comment::Commented;
pub use comment::commented;
pub use constraint::ConstraintDefinition;
pub use constraint::ConstraintForm;
pub use constraint::ForeignKeyDefinition;
pub use constraint::KeyDefinition;
pub use constraint::Timing;
pub use error::SyntaxError;
pub use expr::ColumnUse;
pub use expr::Expr;
pub use insert::PlainInsert;
pub use lift::Outer;
pub use made::Made;
pub use made::made_by;
pub use names::NamedRelation;
pub use names::Names;
pub use names::fingerprint;
pub use names::names_in;
pub use names::without_values;
pub use names::words_in;
pub use parse::ColumnsTaken;
pub use parse::Comment;
pub use parse::ParsedFile;
pub use parse::ParsedStatement;
pub use parse::parse_file;
pub use parse::parsed_at;
pub use partition_bound::PartitionBound;
pub use partition_bound::PartitionKey;
pub use partition_bound::PartitionStrategy;
pub use partition_bound::RangeEnd;
pub use partition_of::PartitionParent;
pub use partition_of::own_not_null;
pub use partition_of::partition_by_attaching;
pub use query::Parameter;
pub use query::Query;
pub use query::QueryVerb;
pub use rename_columns::with_columns_renamed;
pub use rename_columns::with_index_name;
pub use rename_columns::with_not_null_name;
pub use rename_columns::with_tables_put;
pub use rewrite::IndexDefinition;
pub use rewrite::add_key;
pub use rewrite::alter_table_on;
pub use rewrite::rename_columns_in_constraint;
pub use rewrite::rename_columns_in_foreign_key;
pub(crate) use rewrite::without_modifiers;
pub use rows::RowsStatement;
pub use rows::RowsVerb;
pub use same_code::code_hash;
pub use same_code::same_code;
pub use same_code::unterminated;
pub use same_index::Sameness;
pub use setting::Rights;
pub use setting::Setting;
pub use setting::replaced_function;
pub use setting::replaced_view;
pub use setting::rights;
pub use sole_name::SoleName;
pub use sole_name::sole_name;
pub use split::split_alter;
pub use split::with_constraint_name;
pub use split::with_not_null;
pub use split::with_not_null_apart;
pub use split::with_using;
pub use statement::AlterCommand;
pub use statement::CreateIndex;
pub use statement::ObjectRef;
pub use statement::SetItem;
pub use statement::StatementKind;
pub use statement::TransactionControl;
pub use statement::Update;
pub use target::Target;
pub use target::UnlessThere;
pub use target::gives_sequence;
pub use target::makes_schema;
pub use target::makes_unless_there;
pub use target::validates;
pub use target::works_on;
pub use text::DollarQuoted;
pub use text::Ident;
pub use text::Literal;
pub use text::MAX_IDENT_BYTES;
pub use text::Number;
pub use text::ServerText;
pub use text::Sql;
pub use text::SqlPart;
pub use text::TableName;
pub use text::cut;
pub use text::short_hash;
pub use time_zone::TimeZoneChange;
pub use time_zone::time_zone_change;
pub use traceless::is_traceless;
pub use types::created_as;
pub use types::named_types;
pub use types::with_types;
pub use undo::dropped_function;
pub use unique_key::UniqueKey;
pub use whole::Destination;
pub use whole::NamedObject;
pub use whole::NewForm;
pub use whole::NoTable;
pub use whole::ObjectKind;
pub use whole::as_rename_of_a;
pub use whole::written;

use serde::Deserialize;
use serde::Serialize;

/// A range of bytes in a file's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// The byte behind the last.
    pub end: usize,
}

impl Span {
    /// From `start` to before `end`.
    pub fn new(start: usize, end: usize) -> Span {
        Span { start, end }
    }

    /// The text of this span.
    pub fn of(self, text: &str) -> &str {
        text.get(self.start..self.end).unwrap_or_default()
    }

    /// Line and column of its first byte, both from 1, the column in characters.
    pub fn line_and_column(self, text: &str) -> (usize, usize) {
        let before = text.get(..self.start.min(text.len())).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
        (line, column)
    }
}
