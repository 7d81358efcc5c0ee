//! NOT NULL: what the model knows of it; and that of a column that is retired. It would refuse what new code may write, so it goes at contract; the way back proves it again under a weak
//! lock before the column is in use, and sets it without a scan.

use super::whole::constraint_comment;
use crate::catalog::Catalog;
use crate::catalog::ConstraintKind;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::finding::Finding;
use crate::lock::LockMode;
use crate::lock::TableLock;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::Ident;
use crate::sql::Literal;
use crate::sql::Span;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::step::Action;
use crate::step::Assert;
use crate::step::Ddl;
use crate::step::Statement;
use crate::step::Validate;

/// A column that is NOT NULL from now on, on the partitions as well.
pub(super) fn in_model(catalog: &mut Catalog, table: &Table, column: &str) {
    let tree: Vec<TableName> = catalog.tree(table).into_iter().map(|relation| relation.name.clone()).collect();
    for relation in catalog.tables.iter_mut().filter(|relation| tree.contains(&relation.name)) {
        for found in relation.columns.iter_mut().filter(|found| found.name == column) {
            found.not_null = true;
        }
    }
}

/// Code that writes NULL will fail.
pub(super) fn refuses_nulls(table: &Table, column: &str, span: Span) -> Finding {
    let message = format!("code that still writes NULL to {}.{column} fails from now on", table.name);
    Finding::warning("new-write-restriction", span, message)
}

/// Asks, before anything is changed, whether rows have no value.
pub(super) fn holds_none(table: &TableName, column: &str, help: &str) -> Assert {
    Assert {
        query: sql!(
            "SELECT {} || count(*) || ' of its rows' FROM {} WHERE {} IS NULL HAVING count(*) > 0",
            Literal(format!("{table}.{column} is NULL in ")),
            table,
            Ident::new(column)
        ),
        message: format!("{table}.{column} holds no NULL"),
        help: help.to_owned(),
    }
}

/// Takes it off, as long as the column has its own name.
pub(super) fn lift(cx: &PlanContext<'_>, table: &Table, column: &str) -> Vec<Sql> {
    // From PostgreSQL 18 on, a partition that has a primary key of its own also has a NOT NULL of its own, which stays behind.
    let partitions = if cx.catalog.major() < 18 { Vec::new() } else { cx.catalog.tree(table) };
    let below = partitions.into_iter().skip(1).map(|partition| &partition.name);
    let drop = |table| sql!("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL", table, Ident::new(column));
    std::iter::once(&table.name).chain(below).map(drop).collect()
}

/// Sets it as it was. From PostgreSQL 18 on it is a constraint with a name and perhaps a comment. Where a CHECK proves it, nothing is scanned.
pub(super) fn set(table: &Table, column: &str) -> Vec<Sql> {
    let name = Ident::new(column);
    let known = table.constraints_on(column).find(|known| known.kind == ConstraintKind::NotNull);
    match known.filter(|_| table.kind == TableKind::Table) {
        Some(known) => {
            let add =
                sql!("ALTER TABLE {} ADD CONSTRAINT {} NOT NULL {}", table.name, Ident::new(known.name.as_str()), name);
            std::iter::once(add).chain(constraint_comment(table, known)).collect()
        }
        None => vec![sql!("ALTER TABLE {} ALTER COLUMN {} SET NOT NULL", table.name, name)],
    }
}

/// Behind [`set`]: the proof is of no use any more.
pub(super) fn forget_proof(cx: &PlanContext<'_>, table: &Table, column: &str) -> Sql {
    sql!("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", table.name, cx.own_name("back", column))
}

/// Proves it for the retired column, before contract is undone.
pub(super) fn prove_on_the_way_back(
    cx: &PlanContext<'_>,
    table: &Table,
    (column, retired): (&str, &Ident),
    help: String,
    steps: &mut StepsBuilder<'_>,
) {
    let (at, check) = (&table.name, cx.own_name("back", column));
    let locks =
        |mode| cx.catalog.tree(table).into_iter().map(move |it| TableLock::new(it.name.clone(), mode)).collect();
    let validate = Validate { sql: sql!("ALTER TABLE {} VALIDATE CONSTRAINT {}", at, check), help };
    let says = format!("on the way back: prove that the old {column} of {at} holds no NULL");
    steps.before_way_back(at, says, Action::Validate(validate), locks(LockMode::ShareUpdateExclusive));
    let lock_first = vec![TableLock::new(at.clone(), LockMode::AccessExclusive)];
    let add = sql!("ALTER TABLE {} ADD CONSTRAINT {} CHECK ({} IS NOT NULL) NOT VALID", at, check, retired);
    let enforce = Ddl { lock_first, statements: vec![Statement::from(add)], as_written: false };
    let says = format!("on the way back: the old {column} of {at} takes no NULL");
    steps.before_way_back(at, says, Action::Ddl(enforce), locks(LockMode::AccessExclusive));
}

/// Asks before that whether the retired column has a value in every row, while nothing is changed yet.
pub(super) fn ask_on_the_way_back(
    table: &Table,
    (column, retired): (&str, &Ident),
    help: String,
    steps: &mut StepsBuilder<'_>,
) {
    let at = &table.name;
    let assert = Assert {
        query: sql!(
            "SELECT count(*) || {} FROM {} WHERE {} IS NULL HAVING count(*) > 0",
            Literal(format!(" rows of {at} have no {column}")),
            at,
            retired
        ),
        message: format!("every row of {at} has a {column}"),
        help,
    };
    let says = format!("on the way back: every row of {at} must have a {column}");
    steps.before_way_back(at, says, Action::Assert(assert), Vec::new());
}
