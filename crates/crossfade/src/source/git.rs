//! Which commit the folder is at, read from git's own files.

use std::path::Path;
use std::path::PathBuf;

/// The commit that is checked out around this folder.
pub fn head_commit(folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    let git = folder.ancestors().map(|parent| parent.join(".git")).find(|git| git.exists())?;
    let git = if git.is_file() {
        let text = std::fs::read_to_string(&git).ok()?;
        PathBuf::from(text.strip_prefix("gitdir:")?.trim())
    } else {
        git
    };
    let head = std::fs::read_to_string(git.join("HEAD")).ok()?;
    let Some(reference) = head.trim().strip_prefix("ref: ") else { return Some(head.trim().to_owned()) };
    if let Ok(commit) = std::fs::read_to_string(git.join(reference)) {
        return Some(commit.trim().to_owned());
    }
    let packed = std::fs::read_to_string(git.join("packed-refs")).ok()?;
    packed.lines().find_map(|line| line.strip_suffix(reference).map(|commit| commit.trim().to_owned()))
}
