//! A history beside the folder: what was run and is as it was, what has changed, what is missing, what is still to come. Pure.

use super::checksum::Sameness;
use super::key::Key;
use super::reading::Entry;
use super::reading::Says;
use super::rooms::Room;
use super::rooms::TheirFile;
use super::tool::Tool;
use crate::report::AdoptState;
use crate::source::FileKind;
use crate::source::SourceFile;
use crate::source::compare_versions;

/// A file of the folder.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub theirs: TheirFile,
    /// As we would run it; none where it is not for us to run.
    pub ours: Option<SourceFile>,
}

impl Candidate {
    pub fn of(file: SourceFile) -> Candidate {
        let theirs = TheirFile { path: file.path.clone(), raw: file.raw.clone(), part: None };
        Candidate { theirs, ours: Some(file) }
    }

    /// Whether it is a program, which we know of and can't run.
    fn is_program(&self) -> bool {
        self.ours.as_ref().is_some_and(|file| file.findings.iter().any(|finding| finding.rule == "not-sql"))
    }

    fn kind(&self) -> FileKind {
        self.ours.as_ref().map_or(FileKind::Versioned, |file| file.kind)
    }
}

/// One migration, as the history and the folder have it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'a> {
    pub state: AdoptState,
    pub entry: Option<&'a Entry>,
    pub file: Option<&'a Candidate>,
}

impl Item<'_> {
    /// Its version with us.
    pub fn version(&self, tool: Tool) -> String {
        match (self.file.and_then(|file| file.ours.as_ref()), self.entry, self.file) {
            (Some(ours), _, _) => ours.version.clone(),
            (None, Some(entry), _) => version_without_file(tool, &entry.identity),
            (None, None, Some(file)) => version_without_file(tool, &tool.room().identity(&file.theirs)),
            (None, None, None) => String::new(),
        }
    }

    /// Its name with us.
    pub fn name(&self, tool: Tool) -> String {
        let ours = self.file.and_then(|file| file.ours.as_ref()).map(|file| file.name.clone());
        let theirs = || self.entry.and_then(|entry| entry.name.clone());
        let called = || self.entry.and_then(|entry| crate::source::split_name(&entry.identity)).map(|(_, name)| name);
        ours.or_else(theirs).or_else(called).unwrap_or_else(|| tool.name().to_owned())
    }
}

/// The version of what no file stands for: a number stays one, everything else says where it comes from.
fn version_without_file(tool: Tool, identity: &str) -> String {
    match (tool.layout(), crate::source::split_name(identity)) {
        (Some(_), Some((version, _))) => version,
        (Some(_) | None, _) => format!("{tool}:{identity}"),
    }
}

/// Compares them, in the order of our versions. `files` come in that order; none where nobody has looked for them.
pub(super) fn compare<'a>(tool: Tool, entries: &'a [Entry], files: Option<&'a [Candidate]>) -> Vec<Item<'a>> {
    let (was_looked, files) = (files.is_some(), files.unwrap_or_default());
    let room = tool.room();
    let keyed: Vec<(Key, &Entry)> = entries
        .iter()
        .filter(|entry| entry.says != Says::Unsettled)
        .map(|entry| (room.key(&entry.identity), entry))
        .collect();
    let of_all = |(_, entry): &&(Key, &Entry)| matches!(entry.says, Says::UpTo | Says::Baseline);
    let bound = keyed.iter().filter(of_all).max_by(|a, b| a.0.cmp(&b.0));
    let mut items: Vec<Item<'a>> = files.iter().filter_map(|file| applied(room, &keyed, bound, file)).collect();
    verify(room, &mut items, files);
    let newest = items.iter().filter(|item| item.state != AdoptState::Pending).filter_map(versioned).next_back();
    let newest = newest.map(|file| file.version.clone());
    for item in &mut items {
        let is_late = match (item.state, versioned(item), &newest) {
            (AdoptState::Pending, Some(file), Some(newest)) => compare_versions(&file.version, newest).is_lt(),
            _ => false,
        };
        if is_late {
            item.state = AdoptState::Late;
        }
    }
    for (_, entry) in &keyed {
        if !items.iter().any(|item| item.entry.is_some_and(|known| std::ptr::eq(known, *entry))) {
            let state = match entry.says {
                Says::File | Says::UpTo if was_looked => AdoptState::Missing,
                Says::File | Says::UpTo => AdoptState::Unverified,
                Says::NotSql | Says::Baseline | Says::Unsettled => AdoptState::NotSql,
            };
            items.push(Item { state, entry: Some(*entry), file: None });
        }
    }
    items.sort_by(|a, b| compare_versions(&a.version(tool), &b.version(tool)));
    // A baseline and the first migration behind it may have one version.
    items.dedup_by(|later, earlier| {
        later.version(tool) == earlier.version(tool) && later.state.is_applied() && earlier.state.is_applied()
    });
    items
}

/// The file of what is run once, in its order.
fn versioned<'a>(item: &Item<'a>) -> Option<&'a SourceFile> {
    item.file.and_then(|file| file.ours.as_ref()).filter(|file| file.kind == FileKind::Versioned)
}

/// What a file is by the history, before its text is looked at. None for a baseline that was not needed.
fn applied<'a>(
    room: &dyn Room,
    keyed: &[(Key, &'a Entry)],
    bound: Option<&(Key, &'a Entry)>,
    file: &'a Candidate,
) -> Option<Item<'a>> {
    let key = room.key(&room.identity(&file.theirs));
    let exact = keyed.iter().find(|(other, _)| *other == key).map(|(_, entry)| *entry);
    let beneath = || bound.filter(|(bound, _)| key <= *bound && file.kind() == FileKind::Versioned);
    match (exact, file.kind()) {
        (Some(entry), _) if file.is_program() => {
            Some(Item { state: AdoptState::NotSql, entry: Some(entry), file: Some(file) })
        }
        (Some(entry), _) => Some(Item { state: AdoptState::Unverified, entry: Some(entry), file: Some(file) }),
        (None, FileKind::Baseline) => None,
        (None, FileKind::Versioned | FileKind::Repeatable) => {
            let state = match beneath() {
                Some(_) if file.is_program() => AdoptState::NotSql,
                Some(_) => AdoptState::Unverified,
                None => AdoptState::Pending,
            };
            Some(Item { state, entry: None, file: Some(file) })
        }
    }
}

/// Looks at the texts of what was run.
fn verify(room: &dyn Room, items: &mut [Item<'_>], files: &[Candidate]) {
    // A baseline's sum is of a baseline's file.
    let has_sum = |entry: &Entry, file: &Candidate| entry.says != Says::Baseline || file.kind() == FileKind::Baseline;
    let ran: Vec<(usize, &Entry, &TheirFile)> = items
        .iter()
        .enumerate()
        .filter(|(_, item)| item.state == AdoptState::Unverified)
        .filter_map(|(at, item)| Some((at, item.entry?, item.file?)))
        .filter(|(_, entry, file)| has_sum(entry, file))
        .map(|(at, entry, file)| (at, entry, &file.theirs))
        .collect();
    let all: Vec<&TheirFile> = files.iter().map(|file| &file.theirs).collect();
    let pairs: Vec<(&Entry, &TheirFile)> = ran.iter().map(|(_, entry, file)| (*entry, *file)).collect();
    let places: Vec<usize> = ran.iter().map(|(at, _, _)| *at).collect();
    for (at, verdict) in places.into_iter().zip(room.verdicts(&pairs, &all)) {
        items[at].state = match verdict {
            Sameness::Same => AdoptState::Verified,
            Sameness::LineEnds => AdoptState::LineEnds,
            Sameness::Differs => AdoptState::Differs,
            Sameness::Unknown => AdoptState::Unverified,
        };
    }
}

#[cfg(test)]
mod tests {
    use crossfade_core::finding::Finding;
    use crossfade_core::sql::Span;

    use super::super::rooms::tests::entry;
    use super::*;

    fn file(path: &str, version: &str) -> Candidate {
        Candidate::of(SourceFile { path: path.into(), version: version.to_owned(), ..SourceFile::default() })
    }

    fn seen(tool: Tool, entries: &[Entry], files: &[Candidate]) -> Vec<(String, AdoptState)> {
        compare(tool, entries, Some(files)).iter().map(|item| (item.version(tool), item.state)).collect()
    }

    fn says(says: Says, identity: &str) -> Entry {
        Entry { says, ..entry(identity, None) }
    }

    fn expected(items: &[(&str, AdoptState)]) -> Vec<(String, AdoptState)> {
        items.iter().map(|(version, state)| ((*version).to_owned(), *state)).collect()
    }

    #[test]
    fn one_number_covers_every_file_up_to_it() {
        let files = [file("1_a.up.sql", "1"), file("002_b.up.sql", "002"), file("10_c.up.sql", "10")];
        let up_to = |version: &str| seen(Tool::GolangMigrate, &[says(Says::UpTo, version)], &files);
        let (applied, pending) = (AdoptState::Unverified, AdoptState::Pending);
        assert_eq!(up_to("2"), expected(&[("1", applied), ("002", applied), ("10", pending)]));
        let missing = expected(&[("1", applied), ("002", applied), ("5", AdoptState::Missing), ("10", pending)]);
        assert_eq!(up_to("5"), missing);
        assert_eq!(
            seen(Tool::GolangMigrate, &[], &files),
            expected(&[("1", pending), ("002", pending), ("10", pending)])
        );
    }

    #[test]
    fn programs_and_what_was_there_before_need_no_file() {
        let mut program = file("3_c.go", "3");
        if let Some(ours) = &mut program.ours {
            ours.findings.push(Finding::error("not-sql", Span::new(0, 0), "a program"));
        }
        let files = [file("1_a.sql", "1"), file("2_b.sql", "2"), program];
        let rows = [entry("1", None), entry("3", None)];
        let (applied, late, program) = (AdoptState::Unverified, AdoptState::Late, AdoptState::NotSql);
        assert_eq!(seen(Tool::Goose, &rows, &files), expected(&[("1", applied), ("2", late), ("3", program)]));
        let files = [file("V1__a.sql", "1"), file("V2__b.sql", "2"), file("V3__c.sql", "3")];
        let rows = [says(Says::Baseline, "2"), says(Says::NotSql, "2.1")];
        let state = expected(&[("1", applied), ("2", applied), ("2.1", program), ("3", AdoptState::Pending)]);
        assert_eq!(seen(Tool::Flyway, &rows, &files), state);
        let only = seen(Tool::Flyway, &[says(Says::Baseline, "7")], &[file("V8__a.sql", "8")]);
        assert_eq!(only, expected(&[("7", program), ("8", AdoptState::Pending)]));
    }

    #[test]
    fn what_has_no_file_of_ours_says_where_it_comes_from() {
        let version = |tool: Tool, identity: &str| version_without_file(tool, identity);
        assert_eq!(version(Tool::Dbmate, "20240131120000"), "20240131120000");
        assert_eq!(version(Tool::Prisma, "20240131120000_users"), "20240131120000");
        assert_eq!(version(Tool::Flyway, "R__views.sql"), "flyway:R__views.sql");
        assert_eq!(version(Tool::Rails, "20240131120000"), "rails:20240131120000");
        assert_eq!(version(Tool::Django, "auth.0001_initial"), "django:auth.0001_initial");
    }
}
