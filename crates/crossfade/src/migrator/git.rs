//! What other branches and commits have, asked of git.
//!
//! Of the program and not of a library: every checkout in CI has it, with its configuration and credentials, and a library that reads packs, refs and worktrees is far from
//! small. Nothing is changed, and nothing is fetched.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use crate::error::Error;
use crate::error::Result;
use crate::source::Folder;
use crate::source::Layout;
use crate::source::SourceFile;

/// A folder in a checkout.
pub(super) struct Git {
    folder: PathBuf,
}

/// Where another branch is, and where this one left it.
pub(super) struct Fork {
    pub commit: String,
    pub fork: String,
}

impl Git {
    /// Of this folder, which must be in a checkout.
    pub fn of(folder: &Path) -> Result<Git> {
        let git = Git { folder: folder.to_owned() };
        git.check()?;
        Ok(git)
    }

    /// Where a branch or commit is, and from where this branch left it.
    pub fn fork(&self, name: &str) -> Result<Fork> {
        let commit = self.commit(name)?.ok_or_else(|| {
            Error::usage(format!("git knows no {name}")).hint(format!(
                "fetch it first: git fetch origin {}; in a shallow checkout (actions/checkout) say fetch-depth: 0",
                name.trim_start_matches("origin/")
            ))
        })?;
        let head = self
            .commit("HEAD")?
            .ok_or_else(|| Error::usage("nothing is committed here yet").hint("commit the branch, then compare it"))?;
        let fork = self.line(["merge-base", &commit, &head])?.ok_or_else(|| {
            Error::usage(format!("git knows no commit that {name} and this branch have in common"))
                .hint("the checkout is shallow: fetch more of it (git fetch --unshallow; with actions/checkout say fetch-depth: 0)")
        })?;
        Ok(Fork { commit, fork })
    }

    /// The files that differ from a commit, also what is not committed or not known to git yet. From the root.
    pub fn changed(&self, since: &str) -> Result<BTreeSet<PathBuf>> {
        let top = self.line(["rev-parse", "--show-toplevel"])?;
        let top = PathBuf::from(
            top.ok_or_else(|| Error::usage("this checkout has no files").hint("use one that is not bare"))?,
        );
        let top = Git { folder: top };
        let lists = [
            top.output(["diff", "--name-only", "--no-ext-diff", "--no-renames", "-z", since, "--"])?,
            top.output(["ls-files", "--others", "--exclude-standard", "-z"])?,
        ];
        let mut changed = BTreeSet::new();
        for list in lists {
            let list = list.ok_or_else(|| {
                Error::failed("git could not list what was changed")
                    .hint("the checkout may be incomplete: try git status")
            })?;
            let paths = list.split(|byte| *byte == 0).filter(|path| !path.is_empty());
            changed.extend(paths.map(|path| top.folder.join(String::from_utf8_lossy(path).as_ref())));
        }
        Ok(changed)
    }

    /// A file's text in a commit; none where it was not there.
    pub fn text(&self, commit: &str, path: &Path) -> Result<Option<String>> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(None) };
        let what = format!("{commit}:./{}", name.to_string_lossy());
        let text = Git { folder: folder.to_owned() }.output(["cat-file", "blob", &what])?;
        Ok(text.map(|text| String::from_utf8_lossy(&text).into_owned()))
    }

    fn check(&self) -> Result<()> {
        let output = self.run(["rev-parse", "--is-inside-work-tree"])?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(Error::usage(format!("git can't be asked about {}", self.folder.display()))
            .hint("without --base nothing is compared with another branch")
            .caused_by(said))
    }

    /// The commit that a name stands for.
    fn commit(&self, name: &str) -> Result<Option<String>> {
        let what = format!("{name}^{{commit}}");
        self.line(["rev-parse", "--verify", "--quiet", "--end-of-options", &what])
    }

    /// The folder's files in a commit. They are written into a temporary folder, and read from there as from any other.
    pub fn files(&self, commit: &str, layout: Layout) -> Result<Vec<SourceFile>> {
        let copy =
            tempfile::tempdir().map_err(|error| Error::failed("could not make a temporary folder").caused_by(error))?;
        let failed = |error: std::io::Error| Error::failed("could not copy what git has").caused_by(error);
        // Paths are those below the folder that it runs in.
        let listed = self.output(["ls-tree", "-r", "-z", commit, "--", "."])?.unwrap_or_default();
        let mut any = false;
        for entry in listed.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
            let entry = String::from_utf8_lossy(entry);
            let Some((head, path)) = entry.split_once('\t') else { continue };
            let [mode, "blob", object] = head.split(' ').collect::<Vec<_>>()[..] else { continue };
            if !mode.starts_with("100") || Path::new(path).is_absolute() || path.split('/').any(|part| part == "..") {
                continue;
            }
            let Some(bytes) = self.output(["cat-file", "blob", object])? else { continue };
            let to = copy.path().join(path);
            std::fs::create_dir_all(to.parent().unwrap_or(copy.path())).map_err(failed)?;
            std::fs::write(&to, bytes).map_err(failed)?;
            any = true;
        }
        if !any {
            return Ok(Vec::new());
        }
        let Folder { mut files, .. } = crate::source::read(copy.path(), Some(layout)).map_err(|error| {
            Error::refused(format!("the folder can't be read as it is at {commit}"))
                .hint("the base itself is wrong: mend it there first")
                .caused_by(error)
        })?;
        let here = |path: &Path| path.strip_prefix(copy.path()).map_or(path.to_owned(), |path| self.folder.join(path));
        for file in &mut files {
            file.path = here(&file.path);
            if let Some((path, _)) = &mut file.down {
                *path = here(path);
            }
        }
        Ok(files)
    }

    /// One line of what git says; none where it refuses.
    fn line<const N: usize>(&self, arguments: [&str; N]) -> Result<Option<String>> {
        let said = self.output(arguments)?;
        let line = said.map(|said| String::from_utf8_lossy(&said).trim().to_owned());
        Ok(line.filter(|line| !line.is_empty()))
    }

    fn output<const N: usize>(&self, arguments: [&str; N]) -> Result<Option<Vec<u8>>> {
        let output = self.run(arguments)?;
        Ok(output.status.success().then_some(output.stdout))
    }

    fn run<const N: usize>(&self, arguments: [&str; N]) -> Result<Output> {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.folder).args(arguments.map(OsStr::new));
        command.env("LC_ALL", "C").stdin(Stdio::null());
        command.output().map_err(|error| {
            Error::usage("could not run git, which knows the base branch")
                .hint("install it, or leave --base out: then nothing is compared with another branch")
                .caused_by(error)
        })
    }
}
