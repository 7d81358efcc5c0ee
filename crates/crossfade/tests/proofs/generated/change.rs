//! Random migrations over a random database: a few statements, each of which PostgreSQL would most likely accept.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::schema::Column;
use super::schema::Schema;
use super::schema::Table;

/// Each kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Rename,
    DropColumn,
    DropColumnDown,
    AddNullable,
    AddDefault,
    AddNotNullDefault,
    AddVolatile,
    AddUp,
    AddFilled,
    AddSerial,
    AddIdentity,
    AddUnique,
    AddCheck,
    AddReferences,
    AddGenerated,
    Replace,
    AlterType,
    SetNotNull,
    SetNotNullUp,
    DropNotNull,
    SetDefault,
    DropDefault,
    Check,
    ForeignKey,
    Unique,
    PrimaryKey,
    DropConstraint,
    CreateIndex,
    DropIndex,
    DropTable,
    Comment,
    CreateTable,
    Insert,
    Update,
    Delete,
    Statistics,
}

use Op::*;

/// All of them; those that are done in phases stand twice.
const OPS: [Op; 50] = [
    Rename,
    Rename,
    Rename,
    DropColumn,
    DropColumn,
    DropColumnDown,
    DropColumnDown,
    AddNullable,
    AddDefault,
    AddNotNullDefault,
    AddVolatile,
    AddUp,
    AddUp,
    AddFilled,
    AddFilled,
    AddSerial,
    AddIdentity,
    AddUnique,
    AddCheck,
    AddReferences,
    AddGenerated,
    Replace,
    Replace,
    Replace,
    AlterType,
    AlterType,
    AlterType,
    AlterType,
    SetNotNull,
    SetNotNull,
    SetNotNullUp,
    SetNotNullUp,
    DropNotNull,
    SetDefault,
    DropDefault,
    Check,
    ForeignKey,
    Unique,
    PrimaryKey,
    DropConstraint,
    CreateIndex,
    CreateIndex,
    DropIndex,
    DropTable,
    Comment,
    CreateTable,
    Insert,
    Update,
    Delete,
    Statistics,
];

/// A change as proptest draws it: what it works on is found among what is there.
#[derive(Clone, Debug)]
pub struct ChangeDraw {
    pub op: Op,
    pub table: usize,
    pub column: usize,
    pub pick: usize,
    /// In one ALTER TABLE with the change in front of it, where that is possible.
    pub joined: bool,
}

/// Random changes.
pub fn changes() -> impl Strategy<Value = Vec<ChangeDraw>> {
    let one = (select(OPS.to_vec()), 0..3_usize, 0..8_usize, 0..24_usize, prop::bool::weighted(0.3))
        .prop_map(|(op, table, column, pick, joined)| ChangeDraw { op, table, column, pick, joined });
    prop_oneof![3 => vec(one.clone(), 1..2), 3 => vec(one.clone(), 2..3), 2 => vec(one, 3..5)]
}

/// A statement, or an action of an ALTER TABLE.
struct Statement {
    /// The table that an ALTER TABLE is about.
    alters: Option<String>,
    text: String,
    directive: Option<String>,
    /// What psql runs, where the directive says more than the text.
    direct: Option<String>,
}

/// A migration in the making, and the schema as it stands behind its statements.
pub struct Migration {
    pub schema: Schema,
    statements: Vec<Statement>,
    pub(super) touched: BTreeSet<usize>,
    /// Rows come out differently in each run.
    pub volatile: bool,
    /// What new code writes may have no place in the old form.
    pub forgets: bool,
    /// Columns in which NULL is mended, so that either code may write it.
    made: usize,
}

impl Migration {
    pub fn of(draws: &[ChangeDraw], schema: Schema) -> Migration {
        let mut migration = Migration {
            schema,
            statements: Vec::new(),
            touched: BTreeSet::new(),
            volatile: false,
            forgets: false,
            made: 0,
        };
        for draw in draws {
            migration.add(draw);
        }
        migration
    }

    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    /// The file.
    pub fn text(&self, joined: &[ChangeDraw]) -> String {
        let join = joined.iter().any(|draw| draw.joined);
        self.written(join, |statement| (statement.directive.clone(), statement.text.clone()))
    }

    /// What psql runs.
    pub fn direct(&self) -> String {
        self.written(false, |statement| (None, statement.direct.clone().unwrap_or_else(|| statement.text.clone())))
    }

    fn written(&self, join: bool, of: impl Fn(&Statement) -> (Option<String>, String)) -> String {
        let mut sql = String::new();
        let mut open: Option<&str> = None;
        for statement in &self.statements {
            let (directive, text) = of(statement);
            let directed = statement.directive.is_some();
            match &statement.alters {
                Some(table) if join && !directed && open == Some(table) => sql += &format!(",\n    {text}"),
                alters => {
                    sql += if open.is_some() { ";\n" } else { "" };
                    sql += &directive.map_or_else(String::new, |said| format!("-- crossfade: {said}\n"));
                    // A text that brings its own statements is written as it is.
                    match alters.as_ref().filter(|_| !text.ends_with(';')) {
                        Some(table) => sql += &format!("ALTER TABLE {table} {text}"),
                        None => sql += &text,
                    }
                    open = alters.as_deref().filter(|_| !text.ends_with(';') && !directed);
                    sql += match (open, text.ends_with(';')) {
                        (Some(_), _) => "",
                        (None, true) => "\n",
                        (None, false) => ";\n",
                    };
                }
            }
        }
        sql + if open.is_some() { ";\n" } else { "" }
    }

    pub(super) fn alter(&mut self, table: &Table, text: String) {
        self.statements.push(Statement { alters: Some(table.sql()), text, directive: None, direct: None });
    }

    pub(super) fn directed(&mut self, table: &Table, directive: String, text: String, direct: Option<String>) {
        let directive = Some(directive);
        self.statements.push(Statement { alters: Some(table.sql()), text, directive, direct });
    }

    pub(super) fn plain(&mut self, text: String) {
        self.statements.push(Statement { alters: None, text: format!("{text};"), directive: None, direct: None });
    }

    fn add(&mut self, draw: &ChangeDraw) {
        if self.schema.tables.is_empty() {
            return;
        }
        let at = draw.table % self.schema.tables.len();
        let table = self.schema.tables[at].clone();
        match draw.op {
            DropTable => self.drop_table(&table),
            CreateTable => self.create_table(),
            AddNullable | AddDefault | AddNotNullDefault | AddVolatile | AddUp | AddFilled | AddSerial
            | AddIdentity | AddUnique | AddCheck | AddReferences | AddGenerated => self.add_column(draw, &table, at),
            Check | ForeignKey | Unique | PrimaryKey | DropConstraint => self.constrain(draw, &table, at),
            CreateIndex | DropIndex => self.index(draw, &table, at),
            Insert | Update | Delete | Comment | Statistics => self.write(draw, &table),
            Rename | DropColumn | DropColumnDown | Replace | AlterType | SetNotNull | SetNotNullUp | DropNotNull
            | SetDefault | DropDefault => {
                let free = |column: &&Column| {
                    !self.touched.contains(&column.id) && super::column_change::suits(draw.op, &table, column)
                };
                let suitable: Vec<Column> = table.columns.iter().filter(free).cloned().collect();
                if let Some(column) = suitable.get(draw.column % suitable.len().max(1)) {
                    self.touched.insert(column.id);
                    self.change_column(draw, &table, at, column);
                }
            }
        }
    }

    pub(super) fn fresh(&mut self, stem: &str) -> String {
        self.made += 1;
        format!("{stem}{}", self.made)
    }

    pub(super) fn updates(&mut self, table: &Table) {
        // The triggers' own effects count how often a row was updated; that may differ.
        self.volatile |= table.watched;
    }
}
