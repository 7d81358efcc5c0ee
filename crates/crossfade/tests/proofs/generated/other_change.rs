//! Changes of constraints, indexes and tables, and writes.

use super::change::ChangeDraw;
use super::change::Migration;
use super::change::Op::*;
use super::schema::Column;
use super::schema::Constraint;
use super::schema::Index;
use super::schema::Table;
use super::schema::What;
use super::value::quoted;

impl Migration {
    pub(super) fn target(&self, draw: &ChangeDraw) -> Option<(Table, Column)> {
        let parents: Vec<&Table> = self.schema.tables.iter().filter(|table| table.target().is_some()).collect();
        let parent = (*parents.get(draw.pick % parents.len().max(1))?).clone();
        let target = parent.target().cloned().filter(|target| !self.touched.contains(&target.id))?;
        Some((parent, target))
    }

    pub(super) fn constrain(&mut self, draw: &ChangeDraw, table: &Table, at: usize) {
        let columns: Vec<&Column> = table.columns.iter().filter(|column| !column.automatic).collect();
        if draw.op == DropConstraint {
            let named = |found: &&Constraint| {
                let referenced =
                    matches!(found.what, What::Unique | What::Primary) && self.schema.is_referenced(table.id);
                found.name.is_some() && !referenced
            };
            let found: Vec<&Constraint> = table.constraints.iter().filter(named).collect();
            let Some(constraint) = found.get(draw.pick % found.len().max(1)) else { return };
            let name = constraint.name.clone().unwrap_or_default();
            self.alter(table, format!("DROP CONSTRAINT {}", quoted(&name)));
            self.schema.tables[at].constraints.retain(|found| found.name.as_ref() != Some(&name));
            return;
        }
        let Some(column) = columns.get(draw.column % columns.len().max(1)).map(|found| (*found).clone()) else {
            return;
        };
        let (name, given) = (quoted(&column.name), self.fresh("given"));
        let (given, known) = match draw.pick.is_multiple_of(2) {
            true => (format!("CONSTRAINT {given} "), Some(given)),
            false => (String::new(), None),
        };
        let (what, text) = match draw.op {
            Check => (What::Check, format!("CHECK ({})", column.kind.check(&name))),
            Unique if table.is_key(column.id) && !table.partitioned => (What::Unique, format!("UNIQUE ({name})")),
            PrimaryKey
                if table.is_key(column.id)
                    && !table.partitioned
                    && table.constraints.iter().all(|found| found.what != What::Primary) =>
            {
                let columns = &mut self.schema.tables[at].columns;
                columns.iter_mut().filter(|found| found.id == column.id).for_each(|found| found.not_null = true);
                (What::Primary, format!("PRIMARY KEY ({name})"))
            }
            ForeignKey => {
                let Some((parent, target)) = self.target(draw) else { return };
                let fits = |found: &&&Column| found.kind == target.kind && !self.touched.contains(&found.id);
                let Some(from) = columns.iter().find(|found| fits(found) && table.references(found.id)) else { return };
                let (from, to) = (quoted(&from.name), quoted(&target.name));
                let text = format!("FOREIGN KEY ({from}) REFERENCES {} ({to}) ON DELETE CASCADE", parent.sql());
                (What::References(parent.id), text)
            }
            _ => return,
        };
        self.alter(table, format!("ADD {given}{text}"));
        self.schema.tables[at].constraints.push(Constraint { name: known, what, columns: vec![column.id] });
    }

    pub(super) fn index(&mut self, draw: &ChangeDraw, table: &Table, at: usize) {
        if draw.op == DropIndex {
            let Some(index) = table.indexes.get(draw.pick % table.indexes.len().max(1)) else { return };
            self.plain(format!("DROP INDEX {}.{}", quoted(table.schema), quoted(&index.name)));
            self.schema.tables[at].indexes.retain(|found| found.name != index.name);
            return;
        }
        let ordered: Vec<&Column> = table.columns.iter().filter(|column| column.kind.ordered()).collect();
        let Some(column) = ordered.get(draw.column % ordered.len().max(1)) else { return };
        let other = ordered[(draw.column + 1) % ordered.len()];
        let (index, name, second) = (self.fresh("made"), quoted(&column.name), quoted(&other.name));
        let unique = draw.pick % 7 == 6 && table.is_key(column.id) && !table.partitioned;
        let text = match draw.pick % 6 {
            0 => format!("({name})"),
            1 => format!("({name} DESC, {second} NULLS FIRST)"),
            2 => format!("({name}) WHERE {second} IS NOT NULL"),
            3 => format!("({})", column.kind.indexed(&name)),
            4 if name != second => format!("({name}) INCLUDE ({second})"),
            _ => format!("USING hash ({name})"),
        };
        let hash = text.starts_with("USING");
        let (unique, named) = (unique && !hash, if draw.pick < 20 { index.as_str() } else { "" });
        self.plain(format!("CREATE {}INDEX {named} ON {} {text}", if unique { "UNIQUE " } else { "" }, table.sql()));
        if !named.is_empty() {
            self.schema.tables[at].indexes.push(Index { name: index, unique, columns: vec![column.id, other.id] });
        }
    }

    pub(super) fn drop_table(&mut self, table: &Table) {
        self.plain(format!("DROP TABLE {}", table.sql()));
        self.forgets = true;
        self.schema.tables.retain(|found| found.id != table.id);
    }

    pub(super) fn create_table(&mut self) {
        let name = self.fresh("created");
        self.plain(format!("CREATE TABLE {name} (id serial PRIMARY KEY, note text NOT NULL DEFAULT '')"));
        self.plain(format!("INSERT INTO {name} (note) VALUES ('one'), ('two')"));
        self.plain(format!("CREATE INDEX {name}_note ON {name} (note)"));
    }

    pub(super) fn write(&mut self, draw: &ChangeDraw, table: &Table) {
        let free = |column: &&Column| {
            let id = column.id;
            !self.touched.contains(&id) && !column.automatic && !table.is_unique(id) && !table.references(id)
        };
        let columns: Vec<&Column> = table.columns.iter().filter(free).collect();
        let Some(column) = columns.get(draw.column % columns.len().max(1)).map(|found| (*found).clone()) else {
            return;
        };
        let (sql, name, value) = (table.sql(), quoted(&column.name), column.kind.written(0));
        match draw.op {
            Update => {
                let filter =
                    if draw.pick.is_multiple_of(2) { format!(" WHERE {name} IS NOT NULL") } else { String::new() };
                self.plain(format!("UPDATE {sql} SET {name} = {value}{filter}"));
            }
            Delete if !self.schema.is_referenced(table.id) => {
                self.plain(format!("DELETE FROM {sql} WHERE {name} IS NULL"));
            }
            Insert => {
                let given = super::code::given(table, table, "90000000");
                let Some((names, values)) = given else { return };
                self.plain(format!("INSERT INTO {sql} ({names}) VALUES ({values})"));
            }
            Comment => self.plain(format!("COMMENT ON COLUMN {sql}.{name} IS 'new''s'")),
            _ => self.alter(table, format!("ALTER COLUMN {name} SET STATISTICS 77")),
        }
    }
}
