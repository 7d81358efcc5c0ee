//! What each rule looks for: one room a theme.

mod columns;
mod constraints;
mod contract;
mod design;
mod enums;
mod indexes;
mod loads;
mod locks;
mod maintenance;
mod partitions;
mod rows;
mod state;
mod surroundings;
mod transactions;
mod types;

use super::file::Look;
use crate::sql::Span;
use crate::sql::act::Act;
use crate::sql::act::Deed;
use crate::sql::act::Script;

/// Asks every rule about one statement.
pub(super) fn check(look: &mut Look<'_>) {
    columns::check(look);
    constraints::check(look);
    indexes::check(look);
    loads::check(look);
    types::check(look);
    contract::check(look);
    maintenance::check(look);
    surroundings::check(look);
    partitions::check(look);
    enums::check(look);
    transactions::check(look);
    rows::check(look);
    design::check(look);
}

/// Asks what can be told only when the file is over.
pub(super) fn at_the_end(look: &mut Look<'_>) {
    constraints::at_the_end(look);
    transactions::at_the_end(look);
}

/// The place behind the last statement.
pub(super) fn end(script: &Script) -> Act {
    let at = script.acts.last().map_or(0, |act| act.span.end);
    Act { span: Span::new(at, at), deed: Deed::Comment, inside: None }
}
