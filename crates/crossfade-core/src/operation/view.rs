//! A view as the catalog has it, put back in the place of another form of it. The server takes no column away from a view: where the new form has more
//! of them, the old one is made anew, with its rights and whatever else is its own.

use std::collections::BTreeSet;

use super::whole::grant;
use crate::catalog::Catalog;
use crate::catalog::Column;
use crate::catalog::Table;
use crate::catalog::View;
use crate::migration::Statement;
use crate::plan::PlanContext;
use crate::sql;
use crate::sql::AlterCommand;
use crate::sql::Ident;
use crate::sql::Literal;
use crate::sql::ObjectRef;
use crate::sql::ParsedStatement;
use crate::sql::Sql;
use crate::sql::StatementKind;
use crate::sql::replaced_view;
use crate::sql::written;
use crate::step::Phase;

/// What undoes a CREATE OR REPLACE VIEW, also where it is undone already; or what is against that. None for other statements.
pub(super) fn put_back(cx: &PlanContext<'_>, statement: &Statement) -> Option<Result<Sql, Vec<String>>> {
    let name = replaced_view(&statement.parsed)?;
    if is_made_before(cx, statement, &name) {
        return Some(Ok(sql!("/* it goes with what the file makes */")));
    }
    let Some(view) = cx.catalog.table(&cx.catalog.place(&name)) else {
        return Some(Ok(sql!("DROP VIEW IF EXISTS {}", written(&name))));
    };
    let Some(form) = &view.view else { return Some(Err(vec![format!("what {} is can't be read", view.name)])) };
    let mut against = Vec::new();
    // Until the first phase is undone, the file's changes are there.
    if statement.phase.is_some_and(|phase| phase > Phase::Expand) {
        against.extend(changed_below(cx, view));
    }
    let new = statement.parsed.makes.as_ref().and_then(|made| made.columns.as_ref());
    let back = if new.is_some_and(|new| new.len() == view.columns.len()) {
        vec![create(&sql!("CREATE OR REPLACE VIEW"), view, form)]
    } else {
        against.extend(against_another(view, form));
        made_again(view, form)
    };
    Some(if against.is_empty() { Ok(Sql::join(back, "; ")) } else { Err(against) })
}

/// Whether a statement in front of this one makes a view of this name: that one's way back is the way back of both.
fn is_made_before(cx: &PlanContext<'_>, statement: &Statement, name: &ObjectRef) -> bool {
    let place = cx.catalog.place(name);
    let makes = |other: &Statement| {
        let made = other.parsed.makes.as_ref().filter(|made| made.class == "pg_class");
        made.is_some_and(|made| cx.catalog.place(&made.name) == place)
    };
    let mut before = cx.migration.statements.iter().filter(|it| it.parsed.span.start < statement.parsed.span.start);
    before.any(makes)
}

/// What is against dropping the view and making it again.
fn against_another(view: &Table, form: &View) -> Vec<String> {
    let users = view.dependents.iter().filter(|dependent| !dependent.goes_along);
    let users: BTreeSet<String> = users.map(|user| format!("{} uses it", user.description)).collect();
    users.into_iter().chain(form.lost.iter().cloned()).collect()
}

/// What the view's old form names and the file changes at contract.
fn changed_below(cx: &PlanContext<'_>, view: &Table) -> Option<String> {
    let below = cx.catalog.tables.iter().find_map(|table| {
        let uses = |column: Option<&str>| {
            let mut of_view = table.dependents.iter().filter(|it| it.view.as_ref() == Some(&view.name));
            of_view.any(|it| column.is_none() || it.column.as_deref() == column)
        };
        let is_it = |name: &ObjectRef| cx.catalog.resolve(name).is_some_and(|found| found.name == table.name);
        let changes = |statement: &Statement| match &statement.parsed.kind {
            StatementKind::Move { object, .. } => is_it(object) && uses(None),
            StatementKind::RenameColumn { table, from, .. } => is_it(table) && uses(Some(from)),
            StatementKind::AlterTable { table, commands, .. } => {
                let changes = |command: &AlterCommand| match command {
                    AlterCommand::DropColumn { column, .. } | AlterCommand::AlterType { column, .. } => {
                        uses(Some(column))
                    }
                    AlterCommand::AddColumn { .. }
                    | AlterCommand::SetNotNull { .. }
                    | AlterCommand::SetDefault { .. }
                    | AlterCommand::DropNotNull { .. }
                    | AlterCommand::AddConstraint(_)
                    | AlterCommand::AttachPartition { .. }
                    | AlterCommand::DetachPartition { .. }
                    | AlterCommand::DropConstraint { .. }
                    | AlterCommand::Other { .. } => false,
                };
                is_it(table) && commands.iter().any(changes)
            }
            StatementKind::Drop { .. }
            | StatementKind::CreateIndex(_)
            | StatementKind::DropIndex { .. }
            | StatementKind::Update(_)
            | StatementKind::CreateTable { .. }
            | StatementKind::Transaction(_)
            | StatementKind::NotInTransaction { .. }
            | StatementKind::CopyFromStdin { .. }
            | StatementKind::Other { .. } => false,
        };
        cx.migration.statements.iter().any(changes).then_some(&table.name)
    })?;
    Some(format!("it names what this file changes of {below}"))
}

fn create(create: &Sql, view: &Table, form: &View) -> Sql {
    let options = form.options.as_ref().map_or_else(|| sql!(""), |options| sql!(" WITH ({})", options));
    sql!("{} {}{} AS {}", create, view.name, options, form.definition)
}

/// Drops whatever has the view's name and makes the view with all that is its own.
pub(super) fn made_again(view: &Table, form: &View) -> Vec<Sql> {
    let name = &view.name;
    let mut all = vec![sql!("DROP VIEW IF EXISTS {}", name), create(&sql!("CREATE VIEW"), view, form)];
    all.extend(view.owner.as_ref().map(|owner| sql!("ALTER VIEW {} OWNER TO {}", name, Ident::new(owner.as_str()))));
    all.extend(view.grants.iter().map(|right| grant(right, None, name)));
    all.extend(view.comment.as_ref().map(|text| sql!("COMMENT ON VIEW {} IS {}", name, Literal(text.clone()))));
    for column in &view.columns {
        let own = Ident::new(column.name.as_str());
        all.extend(column.grants.iter().map(|right| grant(right, Some(&own), name)));
        let default = column.default.as_ref();
        all.extend(default.map(|it| sql!("ALTER VIEW {} ALTER COLUMN {} SET DEFAULT {}", name, own, it.expression)));
        let comment = column.comment.as_ref();
        all.extend(comment.map(|text| sql!("COMMENT ON COLUMN {}.{} IS {}", name, own, Literal(text.clone()))));
    }
    all.extend(form.attached.iter().map(|made| sql!("{}", made)));
    all
}

/// What the columns of a view are behind a CREATE OR REPLACE, as far as its text tells: one of its name below it says of what type a new one is.
pub(super) fn project(catalog: &mut Catalog, statement: &ParsedStatement) {
    let Some(names) = statement.makes.as_ref().and_then(|made| made.columns.as_ref()) else { return };
    let Some(place) = replaced_view(statement).map(|name| catalog.place(&name)) else { return };
    let Some(view) = catalog.table(&place) else { return };
    let below = |table: &&Table| *table != view && statement.words.iter().any(|word| word == table.name.name.as_str());
    let added = names.get(view.columns.len()..).unwrap_or_default().iter().map(|name| {
        let like = catalog.tables.iter().filter(below).find_map(|table| table.column(name));
        let like = like.cloned().unwrap_or_default();
        Column {
            name: name.clone(),
            type_name: like.type_name,
            base_type: like.base_type,
            type_modifier: like.type_modifier,
            ..Column::default()
        }
    });
    let added: Vec<Column> = added.collect();
    for view in catalog.tables.iter_mut().filter(|table| table.name == place) {
        view.columns.extend(added.iter().cloned());
    }
}
