//! Changes of a column, and columns that come and go.

use super::change::ChangeDraw;
use super::change::Migration;
use super::change::Op;
use super::change::Op::*;
use super::schema::Column;
use super::schema::Constraint;
use super::schema::Schema;
use super::schema::Table;
use super::schema::What;
use super::value::KINDS;
use super::value::Kind;
use super::value::quoted;

impl Migration {
    pub(super) fn change_column(&mut self, draw: &ChangeDraw, table: &Table, at: usize, column: &Column) {
        let name = quoted(&column.name);
        let is = |changed: &mut Schema, change: &dyn Fn(&mut Column)| {
            changed.tables[at].columns.iter_mut().filter(|found| found.id == column.id).for_each(change);
        };
        match draw.op {
            Rename => {
                let new = self.fresh("renamed");
                // The server takes no other action beside it.
                self.plain(format!("ALTER TABLE {} RENAME COLUMN {name} TO {new}", table.sql()));
                is(&mut self.schema, &|column| column.name.clone_from(&new));
            }
            DropColumn | DropColumnDown => {
                let action = format!("DROP COLUMN {name}");
                match draw.op == DropColumnDown {
                    true => self.directed(table, format!("down {}", column.kind.written(1)), action, None),
                    false => self.alter(table, action),
                }
                self.forgets = true;
                self.dropped(at, column.id);
            }
            Replace => self.replace(draw, table, at, column),
            AlterType => {
                let ways = column.kind.becomes();
                let (kind, using) = ways[draw.pick % ways.len()];
                let using = using.map_or_else(String::new, |text| format!(" USING {}", text.replace("{}", &name)));
                self.alter(table, format!("ALTER COLUMN {name} TYPE {}{using}", kind.sql()));
                self.forgets = true;
                is(&mut self.schema, &|column| column.kind = kind);
            }
            SetNotNull => {
                self.alter(table, format!("ALTER COLUMN {name} SET NOT NULL"));
                is(&mut self.schema, &|column| column.not_null = true);
            }
            SetNotNullUp => {
                let value = column.kind.written(1);
                let action = format!("ALTER COLUMN {name} SET NOT NULL");
                let update = format!("UPDATE {} SET {name} = {value} WHERE {name} IS NULL", table.sql());
                match draw.pick.is_multiple_of(2) {
                    true => {
                        let direct = format!("{update}; ALTER TABLE {} {action};", table.sql());
                        self.directed(table, format!("up {value}"), action, Some(direct));
                    }
                    false => {
                        self.plain(update);
                        self.alter(table, action);
                    }
                }
                self.updates(table);
                self.forgets = true;
                is(&mut self.schema, &|column| column.not_null = true);
            }
            DropNotNull => {
                self.alter(table, format!("ALTER COLUMN {name} DROP NOT NULL"));
                is(&mut self.schema, &|column| column.not_null = false);
            }
            SetDefault => {
                self.alter(table, format!("ALTER COLUMN {name} SET DEFAULT {}", column.kind.written(0)));
                is(&mut self.schema, &|column| column.has_default = true);
            }
            DropDefault => {
                self.alter(table, format!("ALTER COLUMN {name} DROP DEFAULT"));
                is(&mut self.schema, &|column| column.has_default = false);
            }
            _ => {}
        }
    }

    /// The column and what goes with it.
    pub(super) fn dropped(&mut self, at: usize, id: usize) {
        let table = &mut self.schema.tables[at];
        table.columns.retain(|found| found.id != id);
        table.constraints.retain(|found| !found.columns.contains(&id));
        table.indexes.retain(|found| !found.columns.contains(&id));
    }

    pub(super) fn replace(&mut self, draw: &ChangeDraw, table: &Table, at: usize, column: &Column) {
        let ways: [(Kind, &str, Option<&str>); 3] = match column.kind {
            kind if kind.number() => [
                (Kind::Digits, "{}::text", Some("{}::numeric")),
                (Kind::Numeric, "({} % 1000)", Some("{}")),
                (Kind::NumericFine, "{}::numeric % 1000 / 10", Some("({} * 10) % 1000")),
            ],
            kind if kind.words() => [
                (kind, "upper({})", Some("lower({})")),
                (Kind::Integer, "length({})", Some("{}::text")),
                (Kind::Text, "{}", None),
            ],
            kind => [(kind, "{}", Some("{}")), (kind, "{}", None), (kind, "coalesce({}, {})", Some("{}"))],
        };
        let (kind, up, down) = ways[draw.pick % 3];
        let (old, new) = (quoted(&column.name), self.fresh("instead"));
        self.alter(table, format!("ADD COLUMN {new} {}", kind.sql()));
        self.plain(format!("UPDATE {} SET {new} = {}", table.sql(), up.replace("{}", &old)));
        let drop = format!("DROP COLUMN {old}");
        match down {
            Some(down) => self.directed(table, format!("down {}", down.replace("{}", &new)), drop, None),
            None => self.alter(table, drop),
        }
        self.updates(table);
        self.forgets = true;
        self.dropped(at, column.id);
        let id = self.added(at, new, kind, false, false);
        let columns = &mut self.schema.tables[at].columns;
        columns.iter_mut().filter(|found| found.id == id).for_each(|found| found.never_null = column.not_null);
    }

    pub(super) fn added(&mut self, at: usize, name: String, kind: Kind, not_null: bool, automatic: bool) -> usize {
        let id = self.schema.number();
        self.touched.insert(id);
        let columns = &mut self.schema.tables[at].columns;
        columns.push(Column { id, name, kind, not_null, has_default: automatic, automatic, never_null: false });
        id
    }

    pub(super) fn add_column(&mut self, draw: &ChangeDraw, table: &Table, at: usize) {
        let kind = KINDS[draw.pick % KINDS.len()];
        let new = self.fresh("added");
        let (value, sql) = (kind.written(0), kind.sql());
        self.forgets = true;
        let constraint = match draw.op {
            AddDefault | AddNotNullDefault => {
                let not_null = if draw.op == AddNotNullDefault { " NOT NULL" } else { "" };
                self.alter(table, format!("ADD COLUMN {new} {sql} DEFAULT {value}{not_null}"));
                let id = self.added(at, new, kind, draw.op == AddNotNullDefault, false);
                let columns = &mut self.schema.tables[at].columns;
                columns.iter_mut().filter(|found| found.id == id).for_each(|found| found.has_default = true);
                None
            }
            AddVolatile => {
                let Some((kind, value)) = kind.volatile().map(|value| (kind, value)) else { return };
                self.alter(table, format!("ADD COLUMN {new} {} DEFAULT {value}", kind.sql()));
                self.volatile = true;
                self.added(at, new, kind, false, false);
                None
            }
            AddUp | AddFilled => {
                let from = table.columns.iter().find(|found| found.kind == kind && !self.touched.contains(&found.id));
                let up = from
                    .map_or_else(|| value.to_owned(), |found| format!("coalesce({}, {value})", quoted(&found.name)));
                let update = format!("UPDATE {} SET {new} = {up}", table.sql());
                if draw.op == AddUp {
                    let direct = format!(
                        "ALTER TABLE {0} ADD COLUMN {new} {sql}; {update}; ALTER TABLE {0} ALTER COLUMN {new} SET NOT NULL;",
                        table.sql()
                    );
                    self.directed(table, format!("up {up}"), format!("ADD COLUMN {new} {sql} NOT NULL"), Some(direct));
                } else {
                    self.alter(table, format!("ADD COLUMN {new} {sql}"));
                    self.plain(update);
                    self.alter(table, format!("ALTER COLUMN {new} SET NOT NULL"));
                }
                self.updates(table);
                self.added(at, new, kind, true, false);
                None
            }
            AddSerial => {
                self.alter(table, format!("ADD COLUMN {new} bigserial"));
                // The rows are counted as they lie, and a way back lays them down anew.
                self.volatile = true;
                self.added(at, new, Kind::BigInt, true, true);
                None
            }
            // Before PostgreSQL 17 the server refuses it on a partitioned table; in steps it goes well.
            AddIdentity if !table.partitioned => {
                self.volatile = true;
                self.alter(table, format!("ADD COLUMN {new} integer GENERATED ALWAYS AS IDENTITY"));
                self.added(at, new, Kind::Integer, true, true);
                None
            }
            AddGenerated => {
                let Some(from) = table.columns.iter().find(|found| found.kind == Kind::Integer) else { return };
                if self.touched.contains(&from.id) {
                    return;
                }
                let value = format!("{} % 10", quoted(&from.name));
                self.touched.insert(from.id);
                self.alter(table, format!("ADD COLUMN {new} integer GENERATED ALWAYS AS ({value}) STORED"));
                self.added(at, new, Kind::Integer, false, true);
                None
            }
            AddUnique if kind.unique("1").is_some() && !table.partitioned => {
                self.alter(table, format!("ADD COLUMN {new} {sql} UNIQUE"));
                Some((What::Unique, self.added(at, new, kind, false, false)))
            }
            AddCheck => {
                self.alter(table, format!("ADD COLUMN {new} {sql} DEFAULT {value} CHECK ({})", kind.check(&new)));
                Some((What::Check, self.added(at, new, kind, false, false)))
            }
            AddReferences => {
                let Some((parent, target)) = self.target(draw) else { return };
                let to = format!("{} ({})", parent.sql(), quoted(&target.name));
                self.alter(table, format!("ADD COLUMN {new} {} REFERENCES {to}", target.kind.sql()));
                Some((What::References(parent.id), self.added(at, new, target.kind, false, false)))
            }
            _ => {
                self.alter(table, format!("ADD COLUMN {new} {sql}"));
                self.added(at, new, kind, false, false);
                None
            }
        };
        if let Some((what, id)) = constraint {
            self.schema.tables[at].constraints.push(Constraint { name: None, what, columns: vec![id] });
        }
    }
}

/// Whether the change may be made to the column, as far as the server is concerned.
pub(super) fn suits(op: Op, table: &Table, column: &Column) -> bool {
    let primary =
        table.constraints.iter().any(|found| found.what == What::Primary && found.columns.contains(&column.id));
    let splits = table.partitioned && table.columns.first().is_some_and(|first| first.id == column.id);
    let free = !primary && !splits && !column.automatic;
    match op {
        Rename => !splits,
        // Two rows of new code would have the same value of `down`.
        DropColumnDown | Replace => free && !table.is_unique(column.id) && !table.references(column.id),
        DropColumn => free && table.columns.len() > 1 && (!column.not_null || column.has_default),
        AlterType => free && !column.has_default && !table.references(column.id),
        SetNotNull => !column.not_null,
        SetNotNullUp => !column.not_null && !table.is_unique(column.id) && !table.references(column.id),
        DropNotNull => free && column.not_null,
        // Where every row has another value, there is none for all.
        SetDefault => free && !table.is_unique(column.id) && !table.references(column.id),
        DropDefault => free && column.has_default,
        _ => false,
    }
}
