//! The history of another migration tool is taken over: its table is recognised by its columns, compared with the files by that tool's own
//! checksums, and written into our journal. The files stay as they are.
//!
//! `rooms` knows the tools, `recognise` finds their tables, `reading` reads one, `comparing` holds it against the folder, `survey` is all of
//! that together. Nothing here writes but `fence`.

mod checksum;
mod comparing;
mod fence;
mod holding;
mod key;
mod passed_over;
mod reading;
mod recognise;
mod rooms;
mod survey;
mod tool;

use std::path::PathBuf;

pub(crate) use fence::fenced;
pub(crate) use fence::take_down as unfence;
pub(crate) use passed_over::histories;
pub(crate) use passed_over::pass_over;
pub(crate) use survey::Survey;
pub use tool::Tool;

use crate::scratch::ScratchPlace;

/// Which history is meant, and what of it is accepted.
#[derive(Clone, Debug, Default)]
pub struct AdoptOptions {
    /// The tool; none: whichever is found.
    pub from: Option<Tool>,
    /// Its table, as in SQL; none: whichever is found.
    pub table: Option<String>,
    /// A folder with files of that tool that are only compared.
    pub files: Option<PathBuf>,
    /// Take the texts of changed files for what was run.
    pub accept_changed: bool,
    /// Keep the versions of files that are gone.
    pub accept_missing: bool,
    /// Run the files on a scratch database first, and take nothing over where that makes another schema.
    pub prove: Option<ScratchPlace>,
    /// Put a fence around the other tool's history.
    pub fence: bool,
    /// Wait for another runner to finish, instead of refusing.
    pub wait: bool,
}
