//! `goto`, `rollback --to` and `redo`: several migrations down or up, in order. The whole way is looked at before its first step.

use std::cmp::Ordering;
use std::cmp::Reverse;

use crossfade_core::journal::State;

use super::Migrator;
use super::history;
use super::pending::needs_work;
use super::planning;
use super::session::Session;
use super::shared::same_version;
use super::tolerance;
use super::way_back::DownFrom;
use super::way_back::WayBack;
use crate::error::Error;
use crate::error::Result;
use crate::observer::Notice;
use crate::observer::Observer;
use crate::postgres::store::TrackedRow;
use crate::report::Direction;
use crate::report::GotoReport;
use crate::report::Leg;
use crate::report::REPORT_FORMAT;
use crate::report::RunReport;
use crate::source::FileKind;
use crate::source::SourceFile;
use crate::source::VersionKey;
use crate::source::compare_versions;
use crate::stop::Stop;

/// The version that stands before the first.
const BEGINNING: &str = "0";

/// What `goto` is to do.
#[derive(Clone, Debug, Default)]
pub struct GotoOptions {
    /// The version that shall be the newest one. `0`: none.
    pub to: String,
    /// Only back, as `rollback --to`: what is pending stays so.
    pub only_back: bool,
    /// Through contract and purge, without waiting.
    pub complete: bool,
    /// Only show the way.
    pub dry_run: bool,
    /// Wait for another runner to finish, instead of refusing.
    pub wait: bool,
}

/// What `redo` is to do.
#[derive(Clone, Debug, Default)]
pub struct RedoOptions {
    /// Which; none: the newest.
    pub version: Option<String>,
    /// Through contract and purge, without waiting.
    pub complete: bool,
    /// Wait for another runner to finish, instead of refusing.
    pub wait: bool,
}

/// What has to be undone and what to be run, in order.
struct Way<'a> {
    down: Vec<&'a TrackedRow>,
    up: Vec<&'a SourceFile>,
}

impl<'a> Way<'a> {
    fn find(files: &'a [SourceFile], rows: &'a [TrackedRow], options: &GotoOptions) -> Result<Way<'a>> {
        let to = options.to.as_str();
        let versioned = || files.iter().filter(|file| file.kind != FileKind::Repeatable);
        let tracked = || rows.iter().filter(|row| !history::is_repeatable(row));
        let is_known = to == BEGINNING
            || versioned().any(|file| same_version(&file.version, to))
            || tracked().any(|row| same_version(&row.version, to));
        if !is_known {
            let mut versions: Vec<&str> = versioned().map(|file| file.version.as_str()).collect();
            versions.extend(tracked().map(|row| row.version.as_str()));
            versions.sort_by(|a, b| compare_versions(a, b));
            versions.dedup();
            return Err(Error::usage(format!("there is no migration {to}"))
                .hint(format!("the versions are {}; {BEGINNING} is before the first", versions.join(", "))));
        }
        let beyond = |version: &str| compare_versions(version, to) == Ordering::Greater;
        // What was run last goes first.
        let mut down: Vec<&TrackedRow> =
            tracked().filter(|row| row.state != State::RolledBack && beyond(&row.version)).collect();
        down.sort_by_cached_key(|row| Reverse((row.plan_id, VersionKey::of(&row.version))));
        // What is repeatable stands behind all versions.
        let is_all = versioned().all(|file| !beyond(&file.version));
        let by_version = history::by_version(rows);
        let pending = |file: &&SourceFile| {
            let is_wanted = if file.kind == FileKind::Repeatable { is_all } else { !beyond(&file.version) };
            is_wanted && needs_work(file, by_version.get(file.version.as_str()).copied(), options.complete)
        };
        let up = if options.only_back { Vec::new() } else { files.iter().filter(pending).collect() };
        Ok(Way { down, up })
    }

    fn is_empty(&self) -> bool {
        self.down.is_empty() && self.up.is_empty()
    }

    /// The tracking table as it will be once all that goes down is down.
    fn rows_below(&self, rows: &[TrackedRow]) -> Vec<TrackedRow> {
        let mut rows = rows.to_vec();
        for row in &mut rows {
            if self.down.iter().any(|down| down.version == row.version) {
                row.state = State::RolledBack;
            }
        }
        rows
    }
}

pub(super) async fn go(
    migrator: &Migrator,
    options: &GotoOptions,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<GotoReport> {
    let mut rows = migrator.look().await?;
    let files = migrator.files_where_there(&rows)?;
    for text in tolerance::tolerate(migrator, &files, &mut rows).await? {
        observer.notice(Notice::Info { text });
    }
    let mut report =
        GotoReport { format: REPORT_FORMAT, dry_run: options.dry_run, way: Vec::new(), migrations: Vec::new() };
    if Way::find(&files, &rows, options)?.is_empty() {
        observer.notice(Notice::Info { text: "nothing to do".to_owned() });
        return Ok(report);
    }
    let mut session = match options.dry_run {
        true => Session::open_reading(migrator, observer, stop).await?,
        false => Session::open(migrator, options.wait, observer, stop).await?,
    };
    if !options.dry_run {
        // Somebody else may have been at work until now.
        rows = session.rows_as(&files).await?;
    }
    let way = Way::find(&files, &rows, options)?;
    report.way = look_at(&way, &rows, &files, &mut session).await?;
    if options.dry_run {
        return Ok(report);
    }
    session.observer.notice(Notice::Info { text: told(&report.way) });
    for row in &way.down {
        let now = session.rows().await?;
        report.migrations.push(session.undo(row, &now, &files).await?);
    }
    let now = session.rows_as(&files).await?;
    report.migrations.extend(super::pending::run_each(&mut session, &way.up, &now, options.complete).await?);
    Ok(report)
}

/// Every step of the way by what takes it; refused where one of them can't be taken, with all of these.
async fn look_at(
    way: &Way<'_>,
    rows: &[TrackedRow],
    files: &[SourceFile],
    session: &mut Session<'_>,
) -> Result<Vec<Leg>> {
    let (mut legs, mut refused) = (Vec::new(), Vec::new());
    for row in &way.down {
        match session.check_undo(row, files).await {
            Ok(by) => legs.push(Leg {
                version: row.version.clone(),
                name: row.name.clone(),
                direction: Direction::Down,
                by: match by {
                    WayBack::Plan => "its plan",
                    WayBack::Down(DownFrom::File) => "its down file",
                    WayBack::Down(DownFrom::Journal) => "its down file, as the journal has it",
                },
            }),
            Err(error) => refused.push(error),
        }
    }
    if !refused.is_empty() {
        return Err(all_of(refused));
    }
    if !way.up.is_empty() {
        history::check(files, &way.rows_below(rows), session.out_of_order())?;
    }
    for file in &way.up {
        planning::Way::up(file).parse()?;
        legs.push(Leg {
            version: file.version.clone(),
            name: file.name.clone(),
            direction: Direction::Up,
            by: "its file",
        });
    }
    Ok(legs)
}

/// Several refusals as one.
fn all_of(refused: Vec<Error>) -> Error {
    let findings = refused.iter().flat_map(|error| error.findings().to_vec()).collect();
    let hint = refused.iter().find_map(Error::hint_text).unwrap_or_default().to_owned();
    let texts: Vec<String> = refused.iter().map(Error::chain).collect();
    Error::refused(texts.join("\n  also: ")).hint(hint).with_findings(findings)
}

/// The way in one line.
fn told(way: &[Leg]) -> String {
    let part = |direction: Direction, word: &str| {
        let legs: Vec<&str> =
            way.iter().filter(|leg| leg.direction == direction).map(|leg| leg.version.as_str()).collect();
        (!legs.is_empty()).then(|| format!("{word} {}", legs.join(", ")))
    };
    let parts: Vec<String> =
        [part(Direction::Down, "back from"), part(Direction::Up, "on with")].into_iter().flatten().collect();
    format!("the way: {}", parts.join(", then "))
}

pub(super) async fn redo(
    migrator: &Migrator,
    options: &RedoOptions,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<RunReport> {
    let mut session = Session::open_existing(migrator, options.wait, observer, stop).await?;
    let rows = session.rows().await?;
    let files = migrator.files_as(&rows)?;
    let row = match &options.version {
        Some(version) => super::shared::choose(&rows, Some(version))?.into_iter().next(),
        None => history::last_run(&rows),
    };
    let Some(row) = row else {
        session.observer.notice(Notice::Info { text: "there is nothing to do again".to_owned() });
        return Ok(RunReport { format: REPORT_FORMAT, migrations: Vec::new() });
    };
    let file = files.iter().find(|file| file.version == row.version).ok_or_else(|| {
        Error::refused(format!("migration {} {} has no file here, so it could only be undone", row.version, row.name))
            .hint("bring the file back first")
    })?;
    // What could not be run again is not undone, either.
    planning::Way::up(file).parse()?;
    if row.state != State::RolledBack {
        session.check_undo(row, &files).await?;
        session.undo(row, &rows, &files).await?;
    }
    let now = session.rows().await?;
    let now = now.iter().find(|now| now.version == row.version);
    let done = session.migrate_one(file, now, options.complete).await?;
    Ok(RunReport { format: REPORT_FORMAT, migrations: vec![done] })
}

#[cfg(test)]
mod tests {
    use super::super::history::tests::file;
    use super::super::history::tests::row;
    use super::*;

    fn way(to: &str, only_back: bool) -> String {
        let files = [file("001", "a"), file("002", "b"), file("003", "c"), file("010", "d"), file("011", "e")];
        let rows = [
            row("001", "a", State::Applied),
            row("003", "c", State::Applied),
            row("009", "gone", State::RolledBack),
            row("010", "d", State::Ready),
        ];
        let options = GotoOptions { to: to.to_owned(), only_back, ..GotoOptions::default() };
        match Way::find(&files, &rows, &options) {
            Ok(way) => {
                let down: Vec<String> = way.down.iter().map(|row| format!("-{}", row.version)).collect();
                let up: Vec<String> = way.up.iter().map(|file| format!("+{}", file.version)).collect();
                [down, up].concat().join(" ")
            }
            Err(error) => format!("{error}; {}", error.hint_text().unwrap_or_default()),
        }
    }

    #[test]
    fn down_from_the_newest_then_up_from_the_oldest() {
        assert_eq!(way("2", false), "-010 -003 +002");
        assert_eq!(way("2", true), "-010 -003");
        assert_eq!(way("0", false), "-010 -003 -001");
        assert_eq!(way("011", false), "+002 +011");
        assert_eq!(way("010", true), "");
        assert_eq!(way("9", true), "-010");
        let known = "the versions are 001, 002, 003, 009, 010, 011; 0 is before the first";
        assert_eq!(way("7", false), format!("there is no migration 7; {known}"));
    }
}
