//! Enums and domains.

use crate::sql::act::Deed;

use super::super::file::Look;
use super::super::file::More;
use super::super::world::Key;

pub(super) fn check(look: &mut Look<'_>) {
    used_at_once(look);
    match &look.act.deed {
        Deed::ConstrainDomain { name, not_valid: false } if !look.file.types_made.contains_key(&Key::of(name)) => {
            let message = format!("{name} is checked in every table that has a column of it");
            look.find("constrain-domain", message, More::default());
        }
        Deed::CreateDomain { name, constrained: true } => {
            look.find("domain-with-constraint", format!("{name} is a domain with a constraint"), More::default());
        }
        Deed::AddEnumValue { name, value, placed, .. } => {
            if !placed {
                look.find("enum-value-without-place", format!("'{value}' comes last in {name}"), More::default());
            }
            look.find("new-enum-value", format!("{name} gets the value '{value}'"), More::default());
        }
        Deed::CreateType { name, values: Some(_) } => {
            look.find("new-enum", format!("{name} is an enum"), More::default());
        }
        _ => {}
    }
}

fn used_at_once(look: &mut Look<'_>) {
    if !look.file.in_transaction || look.file.values_added.is_empty() || !look.runs_now() {
        return;
    }
    let text = look.act.span.of(look.text);
    let used = look.file.values_added.iter().find(|(value, transaction, of)| {
        let literal = ["'", &value.replace('\'', "''"), "'"].concat();
        let made = look.file.types_made.get(of) == Some(transaction) && look.server(17);
        *transaction == look.file.transaction && text.contains(&literal) && !made
    });
    let adds = matches!(look.act.deed, Deed::AddEnumValue { .. } | Deed::RenameEnumValue { .. } | Deed::Comment);
    if let Some((value, _, name)) = used
        && !adds
    {
        let message = format!("'{value}' is new in {} and used before it is committed", name.shown());
        look.find("enum-value-used-at-once", message, More::default());
    }
}
