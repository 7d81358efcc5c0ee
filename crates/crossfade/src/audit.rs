//! Who runs a command, and from where: it stands beside every event of the journal.

/// What only the caller knows. The library reads no environment; the command fills this from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// The person or the robot behind the command. None: the role of the database session.
    pub actor: Option<String>,
    /// The commit that the migrations are of. None: the one that git has checked out around their folder.
    pub git_commit: Option<String>,
    /// Whether their folder has changes that are in no commit; none where that is not known.
    pub git_dirty: Option<bool>,
    /// The page of the CI job.
    pub ci_url: Option<String>,
}
