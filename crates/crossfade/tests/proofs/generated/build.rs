//! The text that makes the database that was drawn, and what is known of it.

use super::schema::Column;
use super::schema::ColumnDraw;
use super::schema::Constraint;
use super::schema::Extra;
use super::schema::Index;
use super::schema::Key;
use super::schema::Schema;
use super::schema::Table;
use super::schema::TableDraw;
use super::schema::What;
use super::value::Kind;
use super::value::TYPES;
use super::value::quoted;

/// The database that was drawn: the text that makes it, and what is known of it.
pub fn build(draws: &[TableDraw]) -> (String, Schema) {
    let (mut sql, mut schema, mut after, mut fill) =
        (String::from(TYPES), Schema::default(), String::new(), String::new());
    if draws.iter().any(|draw| draw.elsewhere) {
        sql += "CREATE SCHEMA \"Else where\";\n";
    }
    let mut targets: Vec<Option<(usize, u32)>> = Vec::new();
    for (at, draw) in draws.iter().enumerate() {
        let made = Build::of(at, draw, &mut schema, &targets);
        targets.push(made.table.target().map(|column| (column.id, draw.rows)));
        sql += &made.create;
        after += &made.after;
        fill += &made.fill;
        schema.tables.push(made.table);
    }
    (sql + &after + &fill, schema)
}

struct Build {
    table: Table,
    create: String,
    after: String,
    fill: String,
}

impl Build {
    fn of(at: usize, draw: &TableDraw, schema: &mut Schema, targets: &[Option<(usize, u32)>]) -> Build {
        let mut table = Table {
            id: at,
            schema: if draw.elsewhere { "Else where" } else { "public" },
            name: draw.style.name(&format!("t{at}")),
            partitioned: draw.partitioned,
            watched: false,
            columns: Vec::new(),
            constraints: Vec::new(),
            indexes: Vec::new(),
        };
        let mut parts: Vec<String> = Vec::new();
        let mut values: Vec<Vec<String>> = vec![Vec::new(); draw.rows as usize];
        key(draw, schema, &mut table, &mut parts, &mut values);
        for (number, column) in draw.columns.iter().enumerate() {
            let id = schema.number();
            let name = column.style.name(&format!("c{}", number + 1));
            let unique = column.unique && !draw.partitioned && column.kind.unique("1").is_some();
            let default = column.default && !unique;
            let not_null = column.not_null;
            let mut text = format!("{} {}", quoted(&name), column.kind.sql());
            if default {
                text += &format!(" DEFAULT {}", column.kind.written(draw.values));
            }
            text += if not_null { " NOT NULL" } else { "" };
            if unique {
                let constraint = format!("u_{at}_{number}");
                text += &format!(" CONSTRAINT {constraint} UNIQUE");
                table.constraints.push(Constraint { name: Some(constraint), what: What::Unique, columns: vec![id] });
            }
            parts.push(text);
            for (row, cells) in values.iter_mut().enumerate() {
                cells.push(seed(column, unique, row, draw.values.wrapping_add(number as u32 * 7)));
            }
            table.columns.push(Column {
                id,
                name,
                kind: column.kind,
                not_null,
                has_default: default,
                automatic: false,
                never_null: false,
            });
        }
        reference(draw, schema, targets, &mut table, &mut parts, &mut values);
        let mut after = String::new();
        for (number, (extra, pick)) in draw.extras.iter().enumerate() {
            hang(&mut table, *extra, &format!("{at}_{number}"), *pick, &mut parts, &mut after);
        }
        let by = if draw.partitioned {
            format!(" PARTITION BY HASH ({})", quoted(&table.columns[0].name))
        } else {
            String::new()
        };
        let mut create = format!("CREATE TABLE {} (\n    {}\n){by};\n", table.sql(), parts.join(",\n    "));
        if draw.partitioned {
            for part in 0..2 {
                let name = format!("{}.part_{at}_{part}", quoted(table.schema));
                create += &format!(
                    "CREATE TABLE {name} PARTITION OF {} FOR VALUES WITH (MODULUS 2, REMAINDER {part});\n",
                    table.sql()
                );
            }
        }
        let fill = fill(&table, &values);
        Build { table, create, after, fill }
    }
}

fn fill(table: &Table, values: &[Vec<String>]) -> String {
    let names: Vec<String> =
        table.columns.iter().filter(|column| !column.automatic).map(|column| quoted(&column.name)).collect();
    let rows: Vec<String> = values.iter().map(|cells| format!("    ({})", cells.join(", "))).collect();
    match rows.is_empty() {
        true => String::new(),
        false => format!("INSERT INTO {} ({}) VALUES\n{};\n", table.sql(), names.join(", "), rows.join(",\n")),
    }
}

fn key(draw: &TableDraw, schema: &mut Schema, table: &mut Table, parts: &mut Vec<String>, values: &mut [Vec<String>]) {
    let (text, kind, automatic) = match draw.key {
        Key::None if !draw.partitioned => return,
        Key::Serial => ("id serial", Kind::Integer, true),
        Key::Identity => ("id bigint GENERATED BY DEFAULT AS IDENTITY", Kind::BigInt, true),
        Key::None | Key::Single | Key::Composite => ("id integer NOT NULL", Kind::Integer, false),
    };
    let id = schema.number();
    parts.push(text.to_owned());
    table.columns.push(Column {
        id,
        name: "id".to_owned(),
        kind,
        not_null: true,
        has_default: automatic,
        automatic,
        never_null: false,
    });
    if !automatic {
        values.iter_mut().enumerate().for_each(|(row, cells)| cells.push((row + 1).to_string()));
    }
    let mut columns = vec![id];
    if draw.key == Key::Composite {
        let second = schema.number();
        parts.push("part text NOT NULL".to_owned());
        values.iter_mut().for_each(|cells| cells.push("'a'".to_owned()));
        let (name, kind) = ("part".to_owned(), Kind::Text);
        table.columns.push(Column {
            id: second,
            name,
            kind,
            not_null: true,
            has_default: false,
            automatic: false,
            never_null: false,
        });
        columns.push(second);
    }
    if draw.key == Key::None {
        return;
    }
    let name = format!("pk_{}", table.id);
    let listed = if columns.len() == 2 { "id, part" } else { "id" };
    parts.push(format!("CONSTRAINT {name} PRIMARY KEY ({listed})"));
    table.constraints.push(Constraint { name: Some(name), what: What::Primary, columns });
}

/// A column that points to an earlier table, or to this one.
fn reference(
    draw: &TableDraw,
    schema: &mut Schema,
    targets: &[Option<(usize, u32)>],
    table: &mut Table,
    parts: &mut Vec<String>,
    values: &mut [Vec<String>],
) {
    // Not DEFERRED: an ALTER TABLE behind an UPDATE of the same transaction would fail when psql runs it.
    const ACTIONS: [&str; 6] =
        ["", " ON DELETE CASCADE", " ON DELETE SET NULL", " ON UPDATE CASCADE", " DEFERRABLE", " ON DELETE RESTRICT"];
    let Some((parent, action)) = draw.reference else { return };
    let parent = parent % (targets.len() + 1);
    let (sql, target, rows) = match schema.table(parent) {
        Some(found) => (found.sql(), found.target().cloned(), targets[parent].map_or(0, |(_, rows)| rows)),
        None => (table.sql(), table.target().cloned(), draw.rows.min(1)),
    };
    let Some(target) = target else { return };
    let id = schema.number();
    let (name, constraint) = ("parent".to_owned(), format!("fk_{}", table.id));
    let action = ACTIONS[action % ACTIONS.len()];
    parts.push(format!(
        "parent {} CONSTRAINT {constraint} REFERENCES {sql} ({}){action}",
        target.kind.sql(),
        quoted(&target.name)
    ));
    for (row, cells) in values.iter_mut().enumerate() {
        let pointed = (row as u32).checked_rem(rows).filter(|_| row % 3 != 2).map(|of| (of + 1).to_string());
        cells.push(pointed.and_then(|of| target.kind.unique(&of)).unwrap_or_else(|| "NULL".to_owned()));
    }
    table.columns.push(Column {
        id,
        name,
        kind: target.kind,
        not_null: false,
        has_default: false,
        automatic: false,
        never_null: false,
    });
    table.constraints.push(Constraint { name: Some(constraint), what: What::References(parent), columns: vec![id] });
}

fn seed(column: &ColumnDraw, unique: bool, row: usize, values: u32) -> String {
    if let Some(unique) = column.kind.unique(&(row + 1).to_string()).filter(|_| unique) {
        return unique;
    }
    let drawn = (row as u32 + 1).wrapping_mul(2_654_435_761).wrapping_add(values.wrapping_mul(40_503)) >> 7;
    let pool = column.kind.seeds();
    match !column.not_null && drawn.is_multiple_of(4) {
        true => "NULL".to_owned(),
        false => pool[(drawn / 4) as usize % pool.len()].to_owned(),
    }
}

fn hang(table: &mut Table, extra: Extra, stem: &str, pick: usize, parts: &mut Vec<String>, after: &mut String) {
    let sql = table.sql();
    let count = table.columns.len();
    let (column, other) = (table.columns[pick % count].clone(), table.columns[(pick + 1) % count].clone());
    let (name, second) = (quoted(&column.name), quoted(&other.name));
    let is_unique = table.is_key(column.id) && !table.partitioned;
    let mut index = |columns: Vec<usize>, unique: bool, text: String| {
        table.indexes.push(Index { name: format!("i_{stem}"), unique, columns });
        let unique = if unique { "UNIQUE " } else { "" };
        *after += &format!("CREATE {unique}INDEX i_{stem} ON {sql} {text};\n");
    };
    let two = vec![column.id, other.id];
    match extra {
        Extra::Check => {
            parts.push(format!("CONSTRAINT ck_{stem} CHECK ({})", column.kind.check(&name)));
            let constraint =
                Constraint { name: Some(format!("ck_{stem}")), what: What::Check, columns: vec![column.id] };
            table.constraints.push(constraint);
        }
        Extra::Index if column.kind.ordered() => index(vec![column.id], false, format!("({name})")),
        Extra::IndexDescending if column.kind.ordered() && other.kind.ordered() => {
            index(two, false, format!("({name} DESC NULLS LAST, {second})"));
        }
        Extra::IndexPartial if column.kind.ordered() => {
            index(two, false, format!("({name}) WHERE {second} IS NOT NULL"));
        }
        Extra::IndexExpression => index(vec![column.id], false, format!("({})", column.kind.indexed(&name))),
        Extra::IndexInclude if column.kind.ordered() && name != second => {
            index(two, false, format!("({name}) INCLUDE ({second})"));
        }
        Extra::IndexUnique if is_unique && column.kind.ordered() => {
            index(vec![column.id], true, format!("({name}) WHERE {name} IS NOT NULL"));
        }
        Extra::Comment => *after += &format!("COMMENT ON COLUMN {sql}.{name} IS 'it''s {stem}';\n"),
        Extra::GrantColumn => *after += &format!("GRANT SELECT ({name}), UPDATE ({name}) ON {sql} TO app_reader;\n"),
        Extra::GrantTable => *after += &format!("GRANT SELECT, INSERT ON {sql} TO app_writer;\n"),
        Extra::StatisticsTarget => *after += &format!("ALTER TABLE {sql} ALTER COLUMN {name} SET STATISTICS 50;\n"),
        Extra::Statistics if column.kind.ordered() && other.kind.ordered() && name != second => {
            *after += &format!("CREATE STATISTICS st_{stem} ON {name}, {second} FROM {sql};\n");
        }
        Extra::View => *after += &format!("CREATE VIEW v_{stem} AS SELECT {name} FROM {sql};\n"),
        Extra::Touch => {
            table.watched = true;
            *after += &format!(
                "ALTER TABLE {sql} ADD COLUMN touched_{stem} text;\n\
                 CREATE FUNCTION touch_{stem}() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.touched_{stem} := 'yes'; RETURN NEW; END$$;\n\
                 CREATE TRIGGER touch_{stem} BEFORE UPDATE ON {sql} FOR EACH ROW EXECUTE FUNCTION touch_{stem}();\n"
            );
        }
        Extra::Audit => {
            table.watched = true;
            *after += &format!(
                "CREATE TABLE audit_{stem} (id serial, op text);\n\
                 CREATE FUNCTION audit_{stem}() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO public.audit_{stem} (op) VALUES (TG_OP); RETURN NULL; END$$;\n\
                 CREATE TRIGGER audit_{stem} AFTER INSERT OR UPDATE OR DELETE ON {sql} FOR EACH ROW EXECUTE FUNCTION audit_{stem}();\n"
            );
        }
        Extra::Index
        | Extra::IndexDescending
        | Extra::IndexPartial
        | Extra::IndexInclude
        | Extra::IndexUnique
        | Extra::Statistics => {}
    }
}
