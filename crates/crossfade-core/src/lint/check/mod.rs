//! What each rule looks for: one room a theme.

mod columns;
mod indexes;

use super::file::File;
use super::file::Look;
use super::world::Key;
use super::world::World;
use crate::sql::Span;
use crate::sql::act::Act;
use crate::sql::act::Deed;
use crate::sql::act::Script;

/// Asks every rule about one statement.
pub(super) fn check(look: &mut Look<'_>) {
    columns::check(look);
    indexes::check(look);
}

/// Asks what can be told only when the file is over.
pub(super) fn at_the_end(_look: &mut Look<'_>) {}

/// The place behind the last statement.
pub(super) fn end(script: &Script) -> Act {
    let at = script.acts.last().map_or(0, |act| act.span.end);
    Act { span: Span::new(at, at), deed: Deed::Comment, inside: None }
}

impl File {
    /// Takes in what a statement has done.
    pub(super) fn apply(&mut self, act: &Act, _world: &World) {
        if let Deed::CreateTable(table) = &act.deed {
            self.made.insert(Key::of(&table.name));
        }
    }
}
