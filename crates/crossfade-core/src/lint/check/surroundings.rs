//! Triggers, rules, row security, rights, replication.

use crate::sql::ObjectRef;
use crate::sql::act::Change;
use crate::sql::act::Deed;
use crate::sql::act::Thing;

use super::super::file::Look;
use super::super::file::More;
use super::super::world::Key;

use crate::sql::act::Trigger;

pub(super) fn check(look: &mut Look<'_>) {
    match &look.act.deed {
        Deed::CreateTrigger { name, table } if !look.is_new(table) => {
            let message = format!("{name} is called for each write to {table}");
            look.find("create-trigger", message, More { table: Some(table), safe: None });
        }
        Deed::CreateRule { table } if !look.is_new(table) && !look.file.views_made.contains(&Key::of(table)) => {
            look.find(
                "create-rule",
                format!("queries of {table} are written anew"),
                More { table: Some(table), safe: None },
            );
        }
        Deed::CreatePolicy { table } if !look.is_new(table) => {
            look.find("create-policy", format!("{table} gets a policy"), More { table: Some(table), safe: None });
        }
        Deed::Drop { thing: Thing::Trigger, names, on: Some(table), .. } if !look.is_new(table) => {
            let name = names.first().map(|name| name.name.clone()).unwrap_or_default();
            let end = look.act.span.end;
            let again = look.acts.iter().any(|act| {
                act.span.start >= end && matches!(&act.deed, Deed::CreateTrigger { name: other, .. } if *other == name)
            });
            if !again {
                let message = format!("{name} is no longer called for {table}");
                look.find("drop-trigger", message, More { table: Some(table), safe: None });
            }
        }
        Deed::CreateFunction { name, security_definer: true, search_path: false, .. } => {
            let message = format!("{name} runs with its owner's rights and its caller's search_path");
            look.find("security-definer-search-path", message, More::default());
        }
        Deed::Alter { thing: Thing::Table, table, changes, .. } => {
            for change in changes {
                altered(look, table, change);
            }
        }
        _ => {}
    }
}

fn altered(look: &mut Look<'_>, table: &ObjectRef, change: &Change) {
    let of = || More { table: Some(table), safe: None };
    match change {
        Change::RowSecurity { on: true } => {
            let policy = look.world.table(table).is_some_and(|table| table.policy);
            let later = look.acts.iter().any(
                |act| matches!(&act.deed, Deed::CreatePolicy { table: other } if Key::of(other) == Key::of(table)),
            );
            if !policy && !later {
                let message = format!("{table} has no policy that would let anybody see its rows");
                look.find("row-security-without-policy", message, of());
            }
        }
        Change::SwitchTrigger { trigger, on: false } if !look.is_new(table) => {
            let which = match trigger {
                Trigger::Named(name) => format!("the trigger {name}"),
                Trigger::All => "every trigger, those of foreign keys included,".to_owned(),
                Trigger::User => "every trigger".to_owned(),
            };
            look.find("disable-trigger", format!("{which} of {table} is switched off"), of());
        }
        Change::ReplicaIdentity(kind) if kind != "d" && !look.is_new(table) => {
            let what = match kind.as_str() {
                "f" => "the whole row",
                "n" => "nothing",
                _ => "an index",
            };
            look.find("replica-identity", format!("rows of {table} are known by {what} from here on"), of());
        }
        _ => {}
    }
}
