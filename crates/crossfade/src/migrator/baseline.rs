//! `baseline`: a database that was there before its history. Nothing is run; what stands in it is written down as applied.

use std::cmp::Ordering;

use crossfade_core::journal::State;
use crossfade_core::migration::checksum;
use crossfade_core::sql;
use crossfade_core::sql::Literal;
use tokio_postgres::Client;

use super::Migrator;
use super::session::Session;
use super::shared::same_version;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;
use crate::observer::Observer;
use crate::postgres::lease::APPLICATION;
use crate::postgres::store::TakenOver;
use crate::postgres::store::TrackedRow;
use crate::report::BaselineMigration;
use crate::report::BaselineReport;
use crate::report::REPORT_FORMAT;
use crate::source::SourceFile;
use crate::source::compare_versions;
use crate::stop::Stop;

/// The origin of such migrations, and why one without a file may be missing.
const BASELINE: &str = "baseline";

/// What `baseline` is to do.
#[derive(Clone, Debug, Default)]
pub struct BaselineOptions {
    /// Up to this version everything counts as applied.
    pub version: String,
    /// What to call it where it has no file.
    pub name: Option<String>,
    /// Only say what would be written down.
    pub dry_run: bool,
    /// Wait for another runner to finish, instead of refusing.
    pub wait: bool,
}

pub(super) async fn run(
    migrator: &Migrator,
    options: &BaselineOptions,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<BaselineReport> {
    let rows = migrator.look().await?;
    let files = migrator.files_where_there(&rows)?;
    let taken = wanted(&files, &rows, options)?;
    if taken.iter().any(|one| one.up_sql.is_some()) {
        let client = migrator.target.connect(APPLICATION).await?;
        refuse_empty(&client, migrator).await?;
    }
    let report = |rows: &[TrackedRow], taken: &[TakenOver]| report(options, &files, rows, taken);
    if options.dry_run || taken.is_empty() {
        return Ok(report(&rows, &taken));
    }
    let session = Session::open(migrator, options.wait, observer, stop).await?;
    // Somebody else may have been at work until now.
    let rows = session.rows().await?;
    let taken = wanted(&files, &rows, options)?;
    session.take_over(&taken).await?;
    Ok(report(&rows, &taken))
}

/// What is to be written down. Pure.
fn wanted(files: &[SourceFile], rows: &[TrackedRow], options: &BaselineOptions) -> Result<Vec<TakenOver>> {
    let to = options.version.as_str();
    let is_version = to.starts_with(|c: char| c.is_ascii_digit())
        && to.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'_'));
    if !is_version {
        return Err(
            Error::usage(format!("\"{to}\" is no version")).hint("a version is what file names begin with: 042")
        );
    }
    let within = |version: &str| compare_versions(version, to) != Ordering::Greater;
    let standing = rows.iter().filter(|row| row.state != State::RolledBack);
    for row in standing.clone() {
        if !within(&row.version) {
            return Err(Error::refused(format!(
                "the history of this database goes beyond {to}: {} {} is {}",
                row.version,
                row.name,
                row.state.name()
            ))
            .hint("a baseline is where a history begins; `crossfade status` shows what there is"));
        }
        if row.state != State::Applied {
            return Err(Error::refused(format!(
                "migration {} {} is under way ({})",
                row.version,
                row.name,
                row.state.name()
            ))
            .hint("finish it, or roll it back, and then set the baseline"));
        }
    }
    let known = |version: &str| standing.clone().any(|row| same_version(&row.version, version));
    let up_to: Vec<&SourceFile> = files.iter().filter(|file| within(&file.version)).collect();
    match up_to.last() {
        Some(last) if !same_version(&last.version, to) => Err(Error::usage(format!("there is no migration {to}"))
            .hint(format!(
                "the versions are {}",
                files.iter().map(|file| file.version.as_str()).collect::<Vec<_>>().join(", ")
            ))),
        Some(_) if options.name.is_some() => {
            Err(Error::usage(format!("migration {to} has a file, and its name with it")).hint("leave --name out"))
        }
        Some(_) => Ok(up_to.into_iter().filter(|file| !known(&file.version)).map(of_file).collect()),
        None if known(to) => Ok(Vec::new()),
        None => Ok(vec![without_file(to, options.name.as_deref().unwrap_or(BASELINE))]),
    }
}

fn of_file(file: &SourceFile) -> TakenOver {
    TakenOver {
        version: file.version.clone(),
        name: file.name.clone(),
        checksum: checksum(&file.text),
        raw_checksum: None,
        origin: BASELINE.to_owned(),
        applied_at: None,
        up_sql: Some(file.text.trim_start_matches('\u{feff}').to_owned()),
        down_sql: file.down.as_ref().map(|(_, text)| text.clone()),
        missing_because: None,
    }
}

fn without_file(version: &str, name: &str) -> TakenOver {
    TakenOver {
        version: version.to_owned(),
        name: name.to_owned(),
        checksum: checksum(""),
        raw_checksum: None,
        origin: BASELINE.to_owned(),
        applied_at: None,
        up_sql: None,
        down_sql: None,
        missing_because: Some(BASELINE.to_owned()),
    }
}

fn report(options: &BaselineOptions, files: &[SourceFile], rows: &[TrackedRow], taken: &[TakenOver]) -> BaselineReport {
    let has_file = |version: &str| files.iter().any(|file| same_version(&file.version, version));
    let before = rows.iter().filter(|row| row.state == State::Applied).map(|row| (&row.version, &row.name, true));
    let now = taken.iter().map(|one| (&one.version, &one.name, false));
    let mut migrations: Vec<BaselineMigration> = before
        .chain(now)
        .map(|(version, name, known)| BaselineMigration {
            version: version.clone(),
            name: name.clone(),
            file: has_file(version),
            known,
        })
        .collect();
    migrations.sort_by(|a, b| compare_versions(&a.version, &b.version));
    BaselineReport { format: REPORT_FORMAT, dry_run: options.dry_run, migrations }
}

/// Files that count as applied on a database that has nothing in it would be missed for ever.
async fn refuse_empty(client: &Client, migrator: &Migrator) -> Result<()> {
    let query = sql!(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE {}) OR EXISTS (SELECT FROM pg_catalog.pg_proc AS c WHERE {}) \
         OR EXISTS (SELECT FROM pg_catalog.pg_type AS c WHERE {})",
        of_users("pg_class", "relnamespace", migrator),
        of_users("pg_proc", "pronamespace", migrator),
        of_users("pg_type", "typnamespace", migrator)
    );
    let row = client.query_typed_one(query.as_str(), &[]).await.doing("look what is in the database")?;
    if row.get(0) {
        return Ok(());
    }
    Err(Error::refused("this database is empty: nothing that the files make is in it")
        .hint("`crossfade migrate` runs them; a baseline is for a database that has it all already"))
}

/// Whether a thing of this kind is no system's, no extension's and not ours.
fn of_users(kind: &'static str, namespace: &'static str, migrator: &Migrator) -> sql::Sql {
    let namespace = sql::Ident::new(namespace);
    sql!(
        "c.{} IN (SELECT n.oid FROM pg_catalog.pg_namespace AS n WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname NOT IN ('information_schema', {})) \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.classid = {}::regclass AND d.objid = c.oid AND d.deptype = 'e')",
        namespace,
        Literal(migrator.config.schema.clone()),
        Literal(format!("pg_catalog.{kind}"))
    )
}

#[cfg(test)]
mod tests {
    use super::super::history::tests::file;
    use super::super::history::tests::row;
    use super::*;

    fn options(version: &str) -> BaselineOptions {
        BaselineOptions { version: version.to_owned(), ..BaselineOptions::default() }
    }

    fn says(files: &[SourceFile], rows: &[TrackedRow], version: &str) -> String {
        match wanted(files, rows, &options(version)) {
            Ok(taken) => taken.iter().map(|one| format!("{} {}", one.version, one.name)).collect::<Vec<_>>().join(", "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn every_file_up_to_the_version_counts_as_applied() {
        let files = [file("001", "a"), file("002", "b"), file("010", "c")];
        assert_eq!(says(&files, &[], "2"), "001 x, 002 x");
        assert_eq!(says(&files, &[], "010"), "001 x, 002 x, 010 x");
        assert_eq!(says(&files, &[], "005"), "there is no migration 005");
        assert_eq!(says(&files, &[row("001", "a", State::Applied)], "2"), "002 x");
        assert_eq!(says(&files, &[row("002", "b", State::RolledBack)], "2"), "001 x, 002 x");
        assert_eq!(says(&files, &[row("001", "a", State::Applied), row("002", "b", State::Applied)], "2"), "");
    }

    #[test]
    fn without_a_file_it_is_a_version_and_a_name() {
        let files = [file("005", "a")];
        assert_eq!(says(&files, &[], "004"), "004 baseline");
        let named = BaselineOptions { name: Some("shop".to_owned()), ..options("004") };
        let taken = wanted(&files, &[], &named).unwrap();
        assert_eq!((taken[0].name.as_str(), taken[0].missing_because.as_deref()), ("shop", Some("baseline")));
        let known = TrackedRow { missing_because: Some("baseline".to_owned()), ..row("004", "", State::Applied) };
        assert_eq!(says(&files, &[known], "004"), "");
        let named = BaselineOptions { name: Some("shop".to_owned()), ..options("005") };
        assert_eq!(
            wanted(&files, &[], &named).unwrap_err().to_string(),
            "migration 005 has a file, and its name with it"
        );
        assert_eq!(says(&files, &[], "v4"), "\"v4\" is no version");
    }

    #[test]
    fn a_history_that_goes_beyond_it_or_is_under_way_is_refused() {
        let files = [file("001", "a"), file("002", "b")];
        let beyond = [row("001", "a", State::Applied), row("002", "b", State::Ready)];
        assert_eq!(says(&files, &beyond, "001"), "the history of this database goes beyond 001: 002 x is ready");
        assert_eq!(says(&files, &beyond, "002"), "migration 002 x is under way (ready)");
    }
}
