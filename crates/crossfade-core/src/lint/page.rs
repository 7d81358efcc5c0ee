//! A rule's page, and the index of all: what `explain` shows, and what stands in docs/rules.

use std::fmt::Write as _;

use super::rule::Rule;
use super::rule::Theme;
use super::rules;
use crate::finding::Severity;

fn level(rule: &Rule) -> &'static str {
    match rule.level {
        None => "off",
        Some(Severity::Note) => "note",
        Some(Severity::Warning) => "warning",
        Some(Severity::Error) => "error",
    }
}

/// The page of a rule, as Markdown.
pub fn page(rule: &Rule) -> String {
    let mut page = format!("# {}\n\n{}.\n\n**Effect:** {}.\n\n", rule.name, capital(rule.title), rule.effect);
    let _ = writeln!(page, "| | |\n| --- | --- |\n| level | {} |", level(rule));
    if let Some(cost) = rule.cost {
        let _ = writeln!(page, "| lock | {} on `{}` of the example |", cost.lock, cost.table);
        let yes = |flag: bool| if flag { "yes" } else { "no" };
        let _ = writeln!(page, "| the table is read as a whole | {} |", yes(cost.scan || cost.rewrite));
        let _ = writeln!(page, "| the table is written anew | {} |", yes(cost.rewrite));
    }
    let (first, last) = rule.servers;
    let _ = writeln!(page, "| PostgreSQL | {first} to {last} |");
    let _ = writeln!(page, "| known from | {} |\n", rule.source);
    let _ = writeln!(page, "## Found\n\n{}\n", code(rule.bad));
    let _ = writeln!(page, "## Instead\n\n{}\n", code(rule.good));
    let _ = writeln!(page, "## Exceptions\n\n{}\n", rule.exceptions);
    let _ = writeln!(page, "The examples begin with\n\n{}\n", code(rule.setup));
    let _ = writeln!(
        page,
        "`-- crossfade: allow {} REASON` in front of a statement allows it there; `[lint.rules]` in crossfade.toml says how bad it is everywhere.",
        rule.name
    );
    page
}

/// All rules by theme, as Markdown; each name leads to its page.
pub fn index() -> String {
    let mut index = "# Rules of `crossfade lint`\n\nEach page has the rule's example, its lock as it was measured, and what to write instead; `crossfade explain RULE` shows it. \
                     Made from the rules themselves: change them in `crates/crossfade-core/src/lint/rules`, and run the tests with `CROSSFADE_UPDATE_FIXTURES=1`.\n"
        .to_owned();
    for theme in Theme::ALL {
        let _ = write!(index, "\n## {}\n\n| rule | level | finds |\n| --- | --- | --- |\n", theme.title());
        for rule in rules::all().filter(|rule| rule.theme == theme) {
            let _ = writeln!(index, "| [{0}]({0}.md) | {1} | {2} |", rule.name, level(rule), cell(rule.title));
        }
    }
    index
}

fn code(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().collect::<String>() + letters.as_str()).unwrap_or_default()
}
