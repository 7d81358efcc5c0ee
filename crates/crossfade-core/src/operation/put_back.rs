//! Triggers and policies that a statement drops, changes or replaces, put back as the catalog has them.

use crate::catalog::Catalog;
use crate::sql;
use crate::sql::AttachedChange;
use crate::sql::AttachedKind;
use crate::sql::DollarQuoted;
use crate::sql::Ident;
use crate::sql::Literal;
use crate::sql::ParsedStatement;
use crate::sql::Sql;
use crate::sql::attached_change;

/// What takes the statement back.
pub(super) fn statement(catalog: &Catalog, statement: &ParsedStatement) -> Option<Sql> {
    let change = attached_change(statement)?;
    let table = catalog.resolve(&change.table)?;
    let mut all = if change.stays { vec![change.drop(&table.name)] } else { Vec::new() };
    let before = made_again(table, &change);
    if before.is_none() && is_there(table, &change) {
        return None;
    }
    all.extend(before.into_iter().flatten());
    Some(match all.as_slice() {
        [] => sql!("/* it was not there before */"),
        [only] => only.clone(),
        _ => sql!("DO {}", DollarQuoted(sql!("BEGIN {}; END", Sql::join(all, "; ")))),
    })
}

fn is_there(table: &crate::catalog::Table, change: &AttachedChange) -> bool {
    match change.kind {
        AttachedKind::Trigger => table.triggers.iter().any(|trigger| trigger.name == change.name),
        AttachedKind::Policy => table.policies.iter().any(|policy| policy.name == change.name),
    }
}

/// What makes the one from before. None where there was none, or where it is its parent's.
fn made_again(table: &crate::catalog::Table, change: &AttachedChange) -> Option<Vec<Sql>> {
    let name = Ident::new(change.name.as_str());
    let comment = |comment: &Option<String>| {
        let comment = comment.as_ref()?;
        Some(sql!("COMMENT ON {} {} ON {} IS {}", change.kind, name, table.name, Literal(comment.clone())))
    };
    match change.kind {
        AttachedKind::Trigger => {
            let trigger = table.triggers.iter().find(|trigger| trigger.name == change.name)?;
            let definition = trigger.definition.as_ref()?;
            let firing = trigger.firing.as_ref().map(|how| sql!("ALTER TABLE {} {} TRIGGER {}", table.name, how, name));
            Some([Some(sql!("{}", definition)), firing, comment(&trigger.comment)].into_iter().flatten().collect())
        }
        AttachedKind::Policy => {
            let policy = table.policies.iter().find(|policy| policy.name == change.name)?;
            Some([Some(sql!("{}", policy.definition)), comment(&policy.comment)].into_iter().flatten().collect())
        }
    }
}
