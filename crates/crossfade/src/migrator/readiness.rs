//! Whether the schema is at least at a version: for programs that need it and do not migrate themselves.

use std::cmp::Ordering;

use super::Migrator;
use super::shared::same_version;
use crate::error::Error;
use crate::error::Result;
use crate::postgres::lease::APPLICATION;
use crate::postgres::store::Standing;
use crate::source::FileKind;
use crate::source::compare_versions;

/// How the schema stands to the version that a program needs.
///
/// A migration counts once new code can run on it: from the state `ready` on, also while it is contracted, and also when its contract has failed. One that is
/// being filled, that has failed before, or that is being rolled back does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It is just there.
    Ready,
    /// It is there, and more has been run since: the program is older than the schema. That is as good as [`Readiness::Ready`].
    Ahead {
        /// The newest version that is there.
        at: String,
    },
    /// It is not there.
    Behind {
        /// The newest version that is there; none where none is.
        at: Option<String>,
        /// The versions up to the one asked for that are not there, in order.
        missing: Vec<String>,
    },
}

impl Readiness {
    /// Whether a program that needs the version can run. One that is older than the schema can.
    pub fn is_ready(&self) -> bool {
        match self {
            Readiness::Ready | Readiness::Ahead { .. } => true,
            Readiness::Behind { .. } => false,
        }
    }
}

impl Migrator {
    /// Whether the schema is at least at this version. Two short queries on a connection of its own: no lease is asked for, nothing is made, and the right to
    /// read `crossfade.schema_migrations` is enough. Also with a journal that a newer Crossfade has written.
    ///
    /// Of the files only the names of the versions count, and they need not be there: without them only the version itself, and what the database knows to be
    /// unfinished before it, can be missing.
    ///
    /// # Errors
    ///
    /// When the database can't be reached or read, or files are there and can't be read.
    pub async fn is_at_least(&self, version: &str) -> Result<Readiness> {
        let versions = self.versions()?;
        self.look_for(version, &versions).await
    }

    /// Whether everything that this program knows of has been run: [`Migrator::is_at_least`] the newest version of its files.
    ///
    /// # Errors
    ///
    /// As [`Migrator::is_at_least`], and when there is no migration.
    pub async fn is_up_to_date(&self) -> Result<Readiness> {
        let versions = self.versions()?;
        let newest =
            versions.last().ok_or_else(|| Error::usage("there is no migration whose version could be asked for"))?;
        self.look_for(newest, &versions).await
    }

    async fn look_for(&self, version: &str, versions: &[String]) -> Result<Readiness> {
        let client = self.target.connect(APPLICATION).await?;
        Ok(judge(version, versions, &self.store().standings(&client).await?))
    }

    /// The versions of the files that are run once, in order; none where there is no folder.
    pub(super) fn versions(&self) -> Result<Vec<String>> {
        let files = self.files_where_there(&[])?.into_iter().filter(|file| file.kind == FileKind::Versioned);
        Ok(files.map(|file| file.version).collect())
    }
}

/// How the schema stands. Pure.
pub(super) fn judge(wanted: &str, versions: &[String], standings: &[Standing]) -> Readiness {
    let counts = |version: &str| {
        let stands = |standing: &&Standing| same_version(&standing.version, version);
        match standings.iter().find(stands) {
            Some(standing) => standing.is_ready,
            None => standings
                .iter()
                .any(|standing| standing.is_baseline && compare_versions(&standing.version, version) != Ordering::Less),
        }
    };
    let at = standings.iter().rev().find(|standing| standing.is_ready).map(|standing| standing.version.clone());
    let mut needed: Vec<&str> = vec![wanted];
    for version in versions.iter().chain(standings.iter().map(|standing| &standing.version)) {
        let is_before = compare_versions(version, wanted) == Ordering::Less;
        if is_before && !needed.iter().any(|known| same_version(known, version)) {
            needed.push(version);
        }
    }
    needed.sort_by(|a, b| compare_versions(a, b));
    let missing: Vec<String> = needed.into_iter().filter(|version| !counts(version)).map(str::to_owned).collect();
    match at {
        Some(at) if missing.is_empty() && compare_versions(&at, wanted) == Ordering::Greater => Readiness::Ahead { at },
        Some(_) if missing.is_empty() => Readiness::Ready,
        at => Readiness::Behind { at, missing },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(wanted: &str, files: &[&str], rows: &[(&str, bool)]) -> String {
        let standings: Vec<Standing> = rows
            .iter()
            .map(|(version, is_ready)| Standing {
                version: version.trim_end_matches('b').to_owned(),
                is_ready: *is_ready,
                is_baseline: version.ends_with('b'),
            })
            .collect();
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        match judge(wanted, &files, &standings) {
            Readiness::Ready => "ready".to_owned(),
            Readiness::Ahead { at } => format!("ahead at {at}"),
            Readiness::Behind { at, missing } => format!("behind at {at:?}, missing {}", missing.join(" ")),
        }
    }

    #[test]
    fn behind_is_not_ready_and_ahead_is() {
        let files = ["001", "002", "003"];
        assert_eq!(judged("003", &files, &[]), "behind at None, missing 001 002 003");
        assert_eq!(judged("003", &files, &[("001", true)]), "behind at Some(\"001\"), missing 002 003");
        assert_eq!(judged("3", &files, &[("001", true), ("002", true), ("003", true)]), "ready");
        assert_eq!(judged("002", &files, &[("001", true), ("002", true), ("003", true)]), "ahead at 003");
        // What comes after it is nobody's business.
        assert_eq!(judged("002", &files, &[("001", true), ("002", true), ("003", false)]), "ready");
    }

    #[test]
    fn what_is_unfinished_before_it_is_missing() {
        let rows = [("001", true), ("002", false), ("003", true)];
        assert_eq!(judged("003", &["001", "002", "003"], &rows), "behind at Some(\"003\"), missing 002");
        assert_eq!(judged("003", &[], &rows), "behind at Some(\"003\"), missing 002");
        assert_eq!(judged("004", &[], &rows), "behind at Some(\"003\"), missing 002 004");
        // Merged late: the file is known, and was never run.
        assert_eq!(
            judged("002", &["001", "002"], &[("001", true), ("003", true)]),
            "behind at Some(\"003\"), missing 002"
        );
    }

    #[test]
    fn a_baseline_stands_for_all_before_it() {
        let files = ["001", "002", "003"];
        assert_eq!(judged("002", &files, &[("002b", true)]), "ready");
        assert_eq!(judged("001", &files, &[("002b", true)]), "ahead at 002");
        assert_eq!(judged("003", &files, &[("002b", true)]), "behind at Some(\"002\"), missing 003");
    }
}
