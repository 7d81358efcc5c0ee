//! The rows that an INSERT makes beside something that waits for a deploy: a rollback takes back exactly these.
//!
//! Which they are is kept at the moment in which they are made, whole, in a table of the journal's schema. A row that the application has changed or
//! points to by then is in use, and stays (decision 0029). The server is asked for the foreign keys when it comes to that: others may have made some since.

use crate::catalog::Column;
use crate::catalog::ConstraintKind;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::migration::Statement;
use crate::plan::PlanContext;
use crate::sql;
use crate::sql::DollarQuoted;
use crate::sql::Ident;
use crate::sql::Literal;
use crate::sql::ObjectRef;
use crate::sql::PlainInsert;
use crate::sql::Sql;
use crate::sql::StatementKind;
use crate::sql::TableName;
use crate::step::Phase;

/// What a SET of may make another table, or nobody's, of what a name means to the planner.
const SETS_THE_SCENE: [&str; 3] = ["search_path", "role", "session_authorization"];

/// The rows of one INSERT.
#[derive(Clone, Debug)]
pub(super) struct MadeRows {
    /// The table that gets them.
    table: TableName,
    /// The table of ours that keeps them.
    kept: TableName,
    /// The columns of both, and what is kept of each over the row.
    row: Vec<(Ident, Kept)>,
    /// Those of the primary key.
    key: Vec<(Ident, Kept)>,
    /// The INSERT, which also keeps them.
    pub insert: Sql,
}

/// In which form a column's value is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    AsItIs,
    /// A type of the user's may go while we have the table.
    AsText,
}

impl Kept {
    fn of(column: &Column) -> Kept {
        // With an empty search path the server writes the schema of each type that is not its own.
        if column.type_name.as_str().contains('.') { Kept::AsText } else { Kept::AsItIs }
    }

    /// Over a column.
    fn value(self, column: Sql) -> Sql {
        match self {
            Kept::AsItIs => column,
            Kept::AsText => sql!("{}::pg_catalog.text", column),
        }
    }
}

impl MadeRows {
    /// The rows of a statement; none where it makes no rows that can be told from those of others.
    pub(super) fn of(cx: &PlanContext<'_>, statement: &Statement) -> Option<MadeRows> {
        let insert = PlainInsert::read(&statement.parsed)?;
        let table = cx.catalog.resolve(&insert.table).filter(|table| is_plain(table))?;
        let key = table.constraints.iter().find(|known| known.kind == ConstraintKind::PrimaryKey)?;
        if statement.phase == Some(Phase::Contract) || is_long(cx, statement) || is_unclear(cx, statement, table) {
            return None;
        }
        let place = cx.migration.statements.iter().filter(|other| is_in_front(other, statement)).count();
        let stem = format!("{place}_{}", table.name.name.as_str());
        let kept = TableName { schema: cx.policy.schema.clone(), name: cx.own_name("made", &stem) };
        let of = |column: &Column| (Ident::new(column.name.as_str()), Kept::of(column));
        let row: Vec<(Ident, Kept)> =
            table.columns.iter().filter(|column| column.generated.is_none()).map(of).collect();
        let key = key.columns.iter().map(|column| table.column(column).map(of)).collect::<Option<Vec<_>>>()?;
        let insert = insert.keeping(&values(&row), &kept)?;
        Some(MadeRows { table: table.name.clone(), kept, row, key, insert })
    }

    /// Makes the table that keeps them.
    pub(super) fn prepare(&self) -> Sql {
        let columns = Sql::join(values(&self.row), ", ");
        sql!("CREATE TABLE {} AS SELECT {} FROM ONLY {} WITH NO DATA", self.kept, columns, self.table)
    }

    /// Drops the table that keeps them.
    pub(super) fn forget(&self) -> Sql {
        sql!("DROP TABLE {}", self.kept)
    }

    /// Deletes those that are not in use, as often as there are some: a row may only be pointed to by others that go.
    ///
    /// They are locked before it is asked who points to them: a session that is about to is waited for, and seen.
    pub(super) fn take_back(&self) -> Sql {
        let name = |table: &TableName| Literal(sql!("{}", table).to_string());
        let over = |columns: &[(Ident, Kept)]| -> Vec<Sql> {
            columns.iter().map(|(column, kept)| kept.value(sql!("it.{}", column))).collect()
        };
        let made = |columns: &[(Ident, Kept)]| -> Vec<Sql> {
            columns.iter().map(|(column, _)| sql!("made.{}", column)).collect()
        };
        let same_key = over(&self.key).into_iter().zip(made(&self.key));
        let same_key = same_key.map(|(is, was)| sql!("{} OPERATOR(pg_catalog.=) {}", is, was));
        let same_key = Sql::join(same_key, " AND ");
        let delete = sql!(
            "DELETE FROM ONLY {} AS it USING {} AS made WHERE {} AND pg_catalog.record_image_eq(ROW({}), ROW({}))",
            self.table,
            self.kept,
            same_key,
            Sql::join(over(&self.row), ", "),
            Sql::join(made(&self.row), ", ")
        );
        let as_text = self.row.iter().filter(|(_, kept)| *kept == Kept::AsText);
        let as_text = as_text.map(|(column, _)| sql!("{}", Literal(column.as_str().to_owned())));
        let body = sql!(
            "DECLARE unused text; gone bigint; BEGIN \
             IF EXISTS (SELECT FROM pg_catalog.pg_attribute AS was LEFT JOIN pg_catalog.pg_attribute AS a \
             ON a.attrelid = pg_catalog.to_regclass({}) AND a.attname = was.attname AND NOT a.attisdropped \
             WHERE was.attrelid = {}::pg_catalog.regclass AND was.attnum > 0 \
             AND (a.attnum IS NULL OR a.atttypid <> was.atttypid AND was.attname <> ALL (ARRAY[{}]::pg_catalog.name[]))) THEN RETURN; END IF; \
             PERFORM 1 FROM ONLY {} AS it JOIN {} AS made ON {} FOR UPDATE OF it; \
             {} \
             LOOP EXECUTE {} || COALESCE(unused, ''); GET DIAGNOSTICS gone = ROW_COUNT; EXIT WHEN gone = 0; END LOOP; END",
            name(&self.table),
            name(&self.kept),
            Sql::join(as_text, ", "),
            self.table,
            self.kept,
            same_key,
            unused(&self.table),
            Literal(delete.to_string())
        );
        sql!("DO {}; {}", DollarQuoted(body), self.forget())
    }
}

fn values(columns: &[(Ident, Kept)]) -> Vec<Sql> {
    columns.iter().map(|(column, kept)| kept.value(sql!("{}", column))).collect()
}

/// A condition for each foreign key to the table: no row but itself points to the one in hand. Where row security hides some, nobody knows; of a
/// temporal key, whose period several rows may cover together, the other columns decide.
fn unused(table: &TableName) -> Sql {
    sql!(
        "SELECT pg_catalog.string_agg(CASE WHEN pg_catalog.row_security_active(k.conrelid) THEN ' AND false' ELSE pg_catalog.format(\
         ' AND NOT EXISTS (SELECT FROM %s AS other WHERE %s AND (other.tableoid, other.ctid) IS DISTINCT FROM (it.tableoid, it.ctid))', \
         k.conrelid::pg_catalog.regclass, \
         (SELECT pg_catalog.string_agg(pg_catalog.format('it.%I OPERATOR(%s) other.%I', theirs.attname, \
         o.oid::pg_catalog.regoper, own.attname), ' AND ') \
         FROM pg_catalog.generate_subscripts(k.conkey, 1) AS n (n) \
         JOIN pg_catalog.pg_operator AS o ON o.oid = k.conpfeqop[n.n] AND o.oprname <> '<@' \
         JOIN pg_catalog.pg_attribute AS own ON own.attrelid = k.conrelid AND own.attnum = k.conkey[n.n] \
         JOIN pg_catalog.pg_attribute AS theirs ON theirs.attrelid = k.confrelid AND theirs.attnum = k.confkey[n.n])) END, '') \
         INTO unused FROM pg_catalog.pg_constraint AS k \
         WHERE k.contype = 'f' AND k.conparentid = 0 AND k.confrelid = {}::pg_catalog.regclass;",
        Literal(sql!("{}", table).to_string())
    )
}

/// Whether its rows stand in it alone, and what is written to it is what gets into it.
fn is_plain(table: &Table) -> bool {
    table.kind == TableKind::Table
        && table.partition_of.is_none()
        && table.inheritance_children.is_empty()
        && !table.row_security
        && !table.has_rules
}

/// Whether it may make very many rows.
fn is_long(cx: &PlanContext<'_>, statement: &Statement) -> bool {
    let is_big =
        |name: &ObjectRef| cx.catalog.resolve(name).is_some_and(|table| table.estimated_rows > cx.policy.small_rows);
    statement.parsed.rows.iter().any(|rows| is_big(&rows.swept) || rows.others.iter().any(is_big))
}

fn is_in_front(other: &Statement, statement: &Statement) -> bool {
    other.parsed.span < statement.parsed.span
}

/// Whether the table may have another form when the statement runs, for what stands in front of it and runs as written.
fn is_unclear(cx: &PlanContext<'_>, statement: &Statement, table: &Table) -> bool {
    let is_it = |name: &ObjectRef| cx.catalog.resolve(name).is_some_and(|found| found.name == table.name);
    cx.migration.statements.iter().filter(|other| is_in_front(other, statement)).any(|other| {
        let is_as_written = other.direct.is_some() || other.undo.is_some();
        match &other.parsed.kind {
            StatementKind::AlterTable { table: name, .. }
            | StatementKind::RenameColumn { table: name, .. }
            | StatementKind::Move { object: name, .. } => is_as_written && is_it(name),
            StatementKind::Drop { objects, .. } => is_as_written && objects.iter().any(|object| is_it(&object.name)),
            StatementKind::Other { what, undo, .. } if what == "SET" => {
                SETS_THE_SCENE.iter().any(|name| *undo == Some(sql!("RESET {}", Ident::new(*name))))
            }
            StatementKind::Other { what, touches, .. } => {
                what == "CREATE RULE" && touches.iter().any(|(name, _)| is_it(name))
            }
            StatementKind::CreateTable { .. }
            | StatementKind::CreateIndex(_)
            | StatementKind::DropIndex { .. }
            | StatementKind::Update(_)
            | StatementKind::Transaction(_)
            | StatementKind::NotInTransaction { .. }
            | StatementKind::CopyFromStdin { .. } => false,
        }
    })
}
