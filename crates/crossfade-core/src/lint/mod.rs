//! Lint: what a migration would do to those who use the database meanwhile, said before it is run.
//!
//! [`rules`] is the table of rules, each with its page; [`Linter`] goes over files in their order and keeps in mind what they have made. What needs a
//! server (sizes, traces) comes in as values. The planner is asked what Crossfade would phase by itself; there is no second list of that.

mod check;
mod directive;
mod file;
mod finding;
mod known;
mod observed;
mod page;
mod phases;
mod rule;
pub mod rules;
mod settings;
mod witness;
mod world;

pub use page::index;
pub use page::page;

pub use finding::BlockedFor;
pub use finding::Evidence;
pub use finding::LintFinding;
pub use finding::LintFindings;
pub use observed::Load;
pub use observed::Observed;
pub use rule::Cost;
pub use rule::Rule;
pub use rule::Theme;
pub use settings::LintSettings;
pub use witness::Seen;
pub use witness::witnessed;

pub use crate::sql::act::Script;
pub use crate::sql::act::read_script;

use self::check::check;
use self::directive::Directives;
use self::file::File;
use self::file::Look;
use self::file::More;
use self::phases::Fate;
use self::phases::Phases;
use self::world::World;
use crate::catalog::Catalog;
use crate::finding::Severity;
use crate::sql::act::Body;
use crate::sql::act::Deed;

/// Goes over files, one after the other.
#[derive(Clone, Debug)]
pub struct Linter<'a> {
    settings: &'a LintSettings,
    world: World,
    /// The schema of a database, as the files up to here leave it.
    catalog: Option<Catalog>,
    /// The major version of the server.
    major: u32,
    /// Its minor version, where it is known.
    minor: Option<u32>,
    /// Whether the next file takes another one back.
    back: bool,
}

impl<'a> Linter<'a> {
    /// Knows nothing yet but what the text will say.
    pub fn new(settings: &'a LintSettings) -> Linter<'a> {
        let (major, minor) = (settings.server_version, settings.server_minor);
        Linter { settings, world: World::default(), catalog: None, major, minor, back: false }
    }

    /// Knows the schema of a database, on which the files are about to run.
    pub fn on(settings: &'a LintSettings, catalog: Catalog) -> Linter<'a> {
        let (major, minor) = (catalog.major(), Some(catalog.server_version % 10_000));
        Linter { settings, world: World::of(&catalog), catalog: Some(catalog), major, minor, back: false }
    }

    /// Knows how much tables are used, and how fast earlier runs were.
    #[must_use]
    pub fn observed(mut self, observed: Observed) -> Linter<'a> {
        self.world.observe(observed);
        self
    }

    /// What is wrong with the text that takes the last file back. What it does is forgotten, as it is not run with the others.
    pub fn way_back(&self, text: &str, script: &Script) -> LintFindings {
        Linter { back: true, ..self.clone() }.file(text, script)
    }

    /// What is wrong with the next file.
    pub fn file(&mut self, text: &str, script: &Script) -> LintFindings {
        let mut found = Vec::new();
        let mut directives = Directives::read(script);
        let mut file = File {
            new_until_commit: self.settings.new_until_commit,
            in_transaction: self.settings.in_transaction && !directives.no_transaction,
            back: self.back,
            wrapped: self.settings.in_transaction && !directives.no_transaction,
            statements: script.acts.iter().filter(|act| act.inside.is_none()).count(),
            ..File::default()
        };
        let phases = self.ask_the_planner(text, script, &mut found);
        for error in &script.errors {
            let rule = rules::get("syntax");
            if let Some(level) = self.settings.level(rule) {
                found.push(LintFinding {
                    rule: rule.name.to_owned(),
                    level,
                    evidence: Evidence::Text,
                    span: error.span,
                    message: error.message.clone(),
                    effect: error.help.clone().unwrap_or_else(|| rule.effect.to_owned()),
                    lock: None,
                    blocked_for: None,
                    safe_sql: None,
                    phased: None,
                    allowed: None,
                });
            }
        }
        for act in &script.acts {
            let mut look = Look {
                settings: self.settings,
                world: &self.world,
                text,
                file: &file,
                act,
                acts: &script.acts,
                found: &mut found,
                major: self.major,
                minor: self.minor,
            };
            let before = look.found.len();
            check(&mut look);
            if act.inside.is_none()
                && let Some(phases) = &phases
            {
                settle(&mut look, before, phases);
            }
            if act.inside != Some(Body::Function) {
                file.apply(act, &self.world);
                self.world.apply(&act.deed);
            }
        }
        let mut end = Look {
            settings: self.settings,
            world: &self.world,
            text,
            file: &file,
            act: &check::end(script),
            acts: &script.acts,
            found: &mut found,
            major: self.major,
            minor: self.minor,
        };
        check::at_the_end(&mut end);
        for span in &script.long_names {
            let name = span.of(text).trim_matches('"');
            let message = format!("the server makes {} of it", crate::sql::cut(name, crate::sql::MAX_IDENT_BYTES));
            end.report(rules::get("name-too-long"), *span, message, More::default());
        }
        if self.back {
            found.iter_mut().for_each(expect_of_a_way_back);
        }
        let allowed = directives.apply(self.settings, &mut found);
        found.sort_by(|a, b| (a.span, &a.rule).cmp(&(b.span, &b.rule)));
        LintFindings { found, allowed }
    }
}

impl Linter<'_> {
    /// What Crossfade makes of the file, where it runs it and something in it touches what is there.
    fn ask_the_planner(&mut self, text: &str, script: &Script, found: &mut Vec<LintFinding>) -> Option<Phases> {
        // A way back runs as it is written.
        if self.settings.as_written || self.back || !script.errors.is_empty() {
            return None;
        }
        let speaks = script.notes.iter().any(|note| note.text.starts_with("crossfade:"));
        let harmless = |deed: &Deed| {
            matches!(deed, Deed::Comment | Deed::Set { .. } | Deed::CreateTable(_) | Deed::Insert { .. } | Deed::Rights)
        };
        if self.catalog.is_none() && !speaks && script.acts.iter().all(|act| harmless(&act.deed)) {
            return None;
        }
        let phases = Phases::of(text, &script.acts, &self.world, self.catalog.as_mut(), self.major);
        let own = ["syntax", "transaction-control", "not-in-transaction"];
        for wrong in phases.wrong.iter().filter(|wrong| !own.contains(&wrong.rule.as_str())) {
            found.extend(refused(self.settings, wrong));
        }
        Some(phases)
    }
}

/// What Crossfade refuses, in its own words.
fn refused(settings: &LintSettings, finding: &crate::finding::Finding) -> Option<LintFinding> {
    let rule = rules::get("refused");
    Some(LintFinding {
        rule: rule.name.to_owned(),
        level: settings.level(rule)?,
        evidence: Evidence::Text,
        span: finding.span.unwrap_or_default(),
        message: finding.message.clone(),
        effect: finding.help.clone().unwrap_or_else(|| rule.effect.to_owned()),
        lock: None,
        blocked_for: None,
        safe_sql: None,
        phased: None,
        allowed: None,
    })
}

/// To drop and to rename is what a way back is for: whoever takes it has taken back the code before. Rows that go with it are another thing.
fn expect_of_a_way_back(finding: &mut LintFinding) {
    let of_rows =
        ["drop-and-create-table", "drop-cascade", "drop-database", "drop-schema", "truncate", "truncate-cascade"];
    let expected = rules::by_name(&finding.rule).is_some_and(|rule| rule.theme == Theme::Contract);
    if expected && !of_rows.contains(&finding.rule.as_str()) {
        finding.level = Severity::Note;
    }
}

/// What is found in a statement that Crossfade carries out in another way is no error; what is left of it and runs as written still is.
fn settle(look: &mut Look<'_>, before: usize, phases: &Phases) {
    match phases.fate(look.act.span) {
        Fate::AsWritten => {}
        Fate::Refused(finding) => {
            let said = look.found.iter().skip(before).any(|found| found.level == Severity::Error);
            if !said {
                look.found.extend(refused(look.settings, finding));
            }
        }
        Fate::Otherwise(way, written) => {
            let mut left = Vec::new();
            for act in written {
                check(&mut Look { act, found: &mut left, ..*look });
            }
            for finding in look.found.iter_mut().skip(before) {
                let stays = left.iter().any(|other| other.rule == finding.rule);
                let about = rules::by_name(&finding.rule).is_some_and(Rule::is_about_running);
                if about && !stays {
                    finding.level = Severity::Note;
                    finding.phased = Some(way.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
