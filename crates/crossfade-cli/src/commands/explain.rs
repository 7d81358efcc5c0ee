//! `crossfade explain`: the page of a rule.

use crossfade::Error;
use crossfade::Result;
use crossfade::report::RuleReport;
use crossfade_core::lint;
use crossfade_core::lint::rules;

use super::Context;
use crate::args::ExplainArgs;

pub(super) fn run(args: &ExplainArgs, context: &Context) -> Result<u8> {
    let screen = &context.screen;
    let Some(name) = &args.rule else {
        if screen.is_json() {
            screen.document(&rules::all().map(RuleReport::of).collect::<Vec<_>>())?;
        } else {
            screen.print(&list())?;
        }
        return Ok(0);
    };
    let rule = rules::by_name(name).ok_or_else(|| {
        let near = rules::all().find(|rule| rule.name.contains(name.as_str()) || name.contains(rule.name));
        let hint = match near {
            Some(rule) => format!("is it {}? `crossfade explain` lists all rules", rule.name),
            None => "`crossfade explain` lists all rules".to_owned(),
        };
        Error::usage(format!("there is no rule {name}")).hint(hint)
    })?;
    if screen.is_json() {
        screen.document(&RuleReport::of(rule))?;
    } else {
        screen.print(&lint::page(rule))?;
    }
    Ok(0)
}

/// Every rule on a line, by theme.
fn list() -> String {
    let mut out = String::new();
    for theme in lint::Theme::ALL {
        out.push_str(&format!("{}\n", theme.title()));
        for rule in rules::all().filter(|rule| rule.theme == theme) {
            out.push_str(&format!("  {:<34} {}\n", rule.name, rule.title));
        }
    }
    out
}
