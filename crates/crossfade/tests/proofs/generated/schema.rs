//! What a random database is: a few tables with all that hangs on them, and rows that fit.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::value::KINDS;
use super::value::Kind;
use super::value::STYLES;
use super::value::Style;
use super::value::quoted;

/// A column as proptest draws it.
#[derive(Clone, Debug)]
pub struct ColumnDraw {
    pub style: Style,
    pub kind: Kind,
    pub not_null: bool,
    pub unique: bool,
    pub default: bool,
}

/// What hangs on a table besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    Check,
    Index,
    IndexDescending,
    IndexPartial,
    IndexExpression,
    IndexInclude,
    IndexUnique,
    Comment,
    GrantColumn,
    GrantTable,
    StatisticsTarget,
    Statistics,
    View,
    Touch,
    Audit,
}

const EXTRAS: [Extra; 15] = [
    Extra::Check,
    Extra::Index,
    Extra::IndexDescending,
    Extra::IndexPartial,
    Extra::IndexExpression,
    Extra::IndexInclude,
    Extra::IndexUnique,
    Extra::Comment,
    Extra::GrantColumn,
    Extra::GrantTable,
    Extra::StatisticsTarget,
    Extra::Statistics,
    Extra::View,
    Extra::Touch,
    Extra::Audit,
];

/// How a table's rows are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Single,
    None,
    Serial,
    Identity,
    Composite,
}

/// A table as proptest draws it.
#[derive(Clone, Debug)]
pub struct TableDraw {
    pub style: Style,
    pub elsewhere: bool,
    pub partitioned: bool,
    pub key: Key,
    pub columns: Vec<ColumnDraw>,
    pub reference: Option<(usize, usize)>,
    pub extras: Vec<(Extra, usize)>,
    pub rows: u32,
    pub values: u32,
}

fn style() -> impl Strategy<Value = Style> {
    prop_oneof![3 => Just(Style::Plain), 1 => select(STYLES.to_vec())]
}

fn column() -> impl Strategy<Value = ColumnDraw> {
    (style(), select(KINDS.to_vec()), any::<bool>(), prop::bool::weighted(0.15), prop::bool::weighted(0.25))
        .prop_map(|(style, kind, not_null, unique, default)| ColumnDraw { style, kind, not_null, unique, default })
}

fn table() -> impl Strategy<Value = TableDraw> {
    let keys = vec![Key::Single, Key::None, Key::Serial, Key::Identity, Key::Composite];
    (
        (style(), prop::bool::weighted(0.2), prop::bool::weighted(0.12), select(keys)),
        vec(column(), 1..6),
        prop::option::weighted(0.5, (0..3_usize, 0..6_usize)),
        vec((select(EXTRAS.to_vec()), 0..8_usize), 0..4),
        (0..60_u32, any::<u32>()),
    )
        .prop_map(|((style, elsewhere, partitioned, key), columns, reference, extras, (rows, values))| TableDraw {
            style,
            elsewhere,
            partitioned,
            key,
            columns,
            reference,
            extras,
            rows,
            values,
        })
}

/// Random tables.
pub fn tables() -> impl Strategy<Value = Vec<TableDraw>> {
    vec(table(), 1..4)
}

/// What is known of a column; the number stays when its name changes.
#[derive(Clone, Debug)]
pub struct Column {
    pub id: usize,
    pub name: String,
    pub kind: Kind,
    pub not_null: bool,
    pub has_default: bool,
    /// The server gives its value; nobody writes it.
    pub automatic: bool,
    /// It stands in place of a column that is NOT NULL, and its way back has no value for NULL.
    pub never_null: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Unique,
    Primary,
    Check,
    /// To this table.
    References(usize),
}

#[derive(Clone, Debug)]
pub struct Constraint {
    /// Unknown where the server gave it.
    pub name: Option<String>,
    pub what: What,
    pub columns: Vec<usize>,
}

#[derive(Clone, Debug)]
pub struct Index {
    pub name: String,
    pub unique: bool,
    pub columns: Vec<usize>,
}

#[derive(Clone, Debug)]
pub struct Table {
    pub id: usize,
    pub schema: &'static str,
    pub name: String,
    pub partitioned: bool,
    /// It has triggers that an UPDATE fires.
    pub watched: bool,
    pub columns: Vec<Column>,
    pub constraints: Vec<Constraint>,
    pub indexes: Vec<Index>,
}

/// All tables, and the next free number.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    pub tables: Vec<Table>,
    pub next: usize,
}

impl Schema {
    pub fn number(&mut self) -> usize {
        self.next += 1;
        self.next
    }

    pub fn table(&self, id: usize) -> Option<&Table> {
        self.tables.iter().find(|table| table.id == id)
    }

    /// Whether another table's row, or one of its own, may point to it.
    pub fn is_referenced(&self, id: usize) -> bool {
        let mut constraints = self.tables.iter().flat_map(|table| &table.constraints);
        constraints.any(|constraint| constraint.what == What::References(id))
    }
}

impl Table {
    pub fn sql(&self) -> String {
        format!("{}.{}", quoted(self.schema), quoted(&self.name))
    }

    pub fn column(&self, id: usize) -> Option<&Column> {
        self.columns.iter().find(|column| column.id == id)
    }

    /// The column that a foreign key may point to.
    pub fn target(&self) -> Option<&Column> {
        let one = |found: &&Constraint| matches!(found.what, What::Unique | What::Primary) && found.columns.len() == 1;
        self.constraints.iter().find(one).and_then(|constraint| self.column(constraint.columns[0]))
    }

    pub fn is_unique(&self, id: usize) -> bool {
        let constrained = self
            .constraints
            .iter()
            .any(|found| matches!(found.what, What::Unique | What::Primary) && found.columns.contains(&id));
        constrained || self.indexes.iter().any(|index| index.unique && index.columns.contains(&id))
    }

    /// Whether it is so by itself, not with other columns.
    pub fn is_key(&self, id: usize) -> bool {
        let single = |found: &Constraint| matches!(found.what, What::Unique | What::Primary) && found.columns == [id];
        self.constraints.iter().any(single)
    }

    pub fn references(&self, id: usize) -> bool {
        let refers = |found: &Constraint| matches!(found.what, What::References(_)) && found.columns.contains(&id);
        self.constraints.iter().any(refers)
    }
}
