//! Lint: what a migration would do to those who use the database meanwhile, said before it is run.
//!
//! [`rules`] is the table of rules, each with its page; [`Linter`] goes over files in their order and keeps in mind what they have made. What needs a
//! server (sizes, traces) comes in as values. The planner is asked what Crossfade would phase by itself; there is no second list of that.

mod check;
mod directive;
#[expect(dead_code, reason = "the rules that are not there yet read it")]
mod file;
mod finding;
mod rule;
pub mod rules;
mod settings;
#[expect(dead_code, reason = "the rules that are not there yet read it")]
mod world;

pub use finding::BlockedFor;
pub use finding::Evidence;
pub use finding::LintFinding;
pub use rule::Cost;
pub use rule::Rule;
pub use rule::Theme;
pub use settings::LintSettings;

pub use crate::sql::act::Script;
pub use crate::sql::act::read_script;

use self::check::check;
use self::directive::Directives;
use self::file::File;
use self::file::Look;
use self::world::World;
use crate::sql::act::Body;

/// Goes over files, one after the other.
#[derive(Debug)]
pub struct Linter<'a> {
    settings: &'a LintSettings,
    world: World,
}

impl<'a> Linter<'a> {
    /// Knows nothing yet but what the text will say.
    pub fn new(settings: &'a LintSettings) -> Linter<'a> {
        Linter { settings, world: World::default() }
    }

    /// What is wrong with the next file, in the order of its places.
    pub fn file(&mut self, script: &Script) -> Vec<LintFinding> {
        let mut found = Vec::new();
        let mut directives = Directives::read(script);
        let mut file = File {
            in_transaction: self.settings.in_transaction && !directives.no_transaction,
            statements: script.acts.iter().filter(|act| act.inside.is_none()).count(),
            ..File::default()
        };
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
                });
            }
        }
        for act in &script.acts {
            let mut look = Look {
                settings: self.settings,
                world: &self.world,
                file: &file,
                act,
                acts: &script.acts,
                found: &mut found,
            };
            check(&mut look);
            if act.inside != Some(Body::Function) {
                file.apply(act, &self.world);
                self.world.apply(&act.deed);
            }
        }
        let mut end = Look {
            settings: self.settings,
            world: &self.world,
            file: &file,
            act: &check::end(script),
            acts: &script.acts,
            found: &mut found,
        };
        check::at_the_end(&mut end);
        directives.apply(self.settings, &mut found);
        found.sort_by(|a, b| (a.span, &a.rule).cmp(&(b.span, &b.rule)));
        found
    }
}

#[cfg(test)]
mod tests;
