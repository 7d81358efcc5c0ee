//! The format of the corpus in `fixtures/`: plain SQL with marker lines. `fixtures/README.md` explains it.
//!
//! Used by the tests of two crates; each uses a part of it.

use std::path::Path;
use std::path::PathBuf;

/// One case.
#[derive(Clone, Debug, Default)]
pub struct Fixture {
    /// The file's name without its ending.
    pub name: String,
    /// Schema and data before.
    pub before: String,
    /// An earlier migration, which stands at its hold when this one comes.
    pub earlier: Option<String>,
    /// The migration's text.
    pub migration: String,
    /// What psql would run instead, where the migration's text alone does not say it (`up` directives).
    pub direct_sql: Option<String>,
    /// Statements of old application code.
    pub old: Vec<String>,
    /// Statements of new application code.
    pub new: Vec<String>,
    /// Returns 0 while both forms live.
    pub invariant: Option<String>,
    /// Must be `ready` after `migrate`.
    pub phased: bool,
    /// Planning must be refused with this rule, and nothing changed.
    pub refused: Option<String>,
    /// The oldest major version it is for.
    pub pg: u32,
    /// Its data differs from run to run and is not compared.
    pub volatile: bool,
    /// What new code writes has no place in the old form, so a rollback forgets it.
    pub forgets: bool,
    /// A rollback takes back rows that the file made.
    pub takes_back: bool,
    /// Nobody else is connected while it is planned.
    pub alone: bool,
    /// A crash is tried at each position of the journal, and undone from each.
    pub every_crash: bool,
}

impl Fixture {
    fn parse(name: &str, text: &str) -> Fixture {
        let mut fixture = Fixture { name: name.to_owned(), ..Fixture::default() };
        let (mut section, mut body) = (String::new(), String::new());
        for line in text.lines() {
            let Some(marker) = line.strip_prefix("-- @") else {
                body.push_str(line);
                body.push('\n');
                continue;
            };
            fixture.put(&section, &std::mem::take(&mut body));
            let (word, rest) = marker.split_once(' ').unwrap_or((marker, ""));
            section = word.trim().to_owned();
            match section.as_str() {
                "pg" => fixture.pg = rest.trim().parse().expect("`@pg` takes a major version"),
                "refused" => fixture.refused = Some(rest.trim().to_owned()),
                "phased" => fixture.phased = true,
                "volatile" => fixture.volatile = true,
                "forgets" => fixture.forgets = true,
                "takes-back" => fixture.takes_back = true,
                "alone" => fixture.alone = true,
                "every-crash" => fixture.every_crash = true,
                "before" | "earlier" | "migration" | "direct-sql" | "old" | "new" | "invariant" => {}
                other => panic!("{name}: unknown marker @{other}"),
            }
        }
        fixture.put(&section, &body);
        assert!(!fixture.migration.trim().is_empty(), "{name} has no migration");
        fixture
    }

    fn put(&mut self, section: &str, body: &str) {
        match section {
            "before" => self.before = body.to_owned(),
            "earlier" => self.earlier = Some(body.to_owned()),
            "migration" => self.migration = body.to_owned(),
            "direct-sql" => self.direct_sql = Some(body.to_owned()),
            "old" => self.old = statements(body),
            "new" => self.new = statements(body),
            "invariant" => self.invariant = Some(body.trim().trim_end_matches(';').to_owned()),
            _ => assert!(
                body.lines().all(|line| line.trim().is_empty() || line.starts_with("--")),
                "{}: text stands under no section: {body}",
                self.name
            ),
        }
    }
}

/// Statements end with `;` at the end of a line.
fn statements(body: &str) -> Vec<String> {
    let parts = body.split(";\n").map(|part| part.trim().trim_end_matches(';').to_owned());
    parts.filter(|part| !part.is_empty()).collect()
}

/// The folder of the corpus.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// Every case, by name.
pub fn corpus() -> Vec<Fixture> {
    let entries = std::fs::read_dir(folder()).expect("the corpus is there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    paths.sort();
    let only = std::env::var("CROSSFADE_FIXTURES").unwrap_or_default();
    let only: Vec<&str> = only.split(',').filter(|part| !part.is_empty()).collect();
    let mut all = Vec::new();
    for path in paths {
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("names are plain");
        if only.is_empty() || only.iter().any(|part| name.contains(part)) {
            all.push(Fixture::parse(name, &std::fs::read_to_string(&path).expect("it can be read")));
        }
    }
    all
}

/// The file of a case's stored catalog.
pub fn catalog_path(name: &str) -> PathBuf {
    folder().join("catalogs").join(format!("{name}.json"))
}
