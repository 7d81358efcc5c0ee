//! The folder as another branch has it. Nothing is changed, and nothing is fetched.

use std::path::Path;

use super::super::git::Fork;
use super::super::git::Git;
use crate::error::Result;
use crate::report::CheckedBase;
use crate::source::Layout;
use crate::source::SourceFile;

/// The folder on the base.
pub(super) struct Base {
    pub about: CheckedBase,
    /// As it was where this branch left the base: what is different here was changed here.
    pub fork: Vec<SourceFile>,
    /// As it is now: what is new here must come behind it.
    pub tip: Vec<SourceFile>,
}

impl Base {
    /// Reads the folder of this branch or commit, in the layout that it has here.
    pub fn read(folder: &Path, name: &str, layout: Layout) -> Result<Base> {
        let git = Git::of(folder)?;
        let Fork { commit, fork } = git.fork(name)?;
        let tip = git.files(&commit, layout)?;
        let at_fork = if fork == commit { tip.clone() } else { git.files(&fork, layout)? };
        Ok(Base { about: CheckedBase { name: name.to_owned(), commit, fork }, fork: at_fork, tip })
    }
}
