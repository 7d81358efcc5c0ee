//! Crossfade's own SQL does what lint asks for: no step of any plan keeps others out for as long as a table is read or written.

use crossfade_core::catalog::Catalog;
use crossfade_core::finding::Severity;
use crossfade_core::lint::LintSettings;
use crossfade_core::lint::Linter;
use crossfade_core::lint::Theme;
use crossfade_core::lint::read_script;
use crossfade_core::lint::rules;
use crossfade_core::step::Action;

use crate::case::Planned;
use crate::case::cases;
use crate::case::planned;

#[test]
fn no_rule_finds_anything_in_what_crossfade_writes_itself() {
    // Every step is one transaction, which asks for its locks first and with a timeout; what contract takes away nobody uses any more.
    let levels = ["missing-lock-timeout", "wide-lock-window"].map(|name| (name.to_owned(), None));
    let settings = LintSettings { as_written: true, levels: levels.into_iter().collect(), ..LintSettings::default() };
    let (mut found, mut looked) = (Vec::new(), 0);
    for case in cases() {
        let Planned::Plan(plan) = planned(&case) else { continue };
        let mut linter = Linter::on(&settings, Catalog { other_sessions: 1, ..case.catalog.clone() });
        for step in &plan.steps {
            let head = match &step.action {
                Action::Concurrently(_) => "-- crossfade: no-transaction\n",
                Action::Ddl(_)
                | Action::Validate(_)
                | Action::Backfill(_)
                | Action::Verify(_)
                | Action::Assert(_)
                | Action::Hold { .. } => "",
            };
            let own = match &step.action {
                Action::Ddl(ddl) => !ddl.as_written,
                Action::Concurrently(_) | Action::Validate(_) => true,
                Action::Backfill(_) | Action::Verify(_) | Action::Assert(_) | Action::Hold { .. } => false,
            };
            let statements: Vec<&str> = step.action.statements().into_iter().map(|sql| sql.as_str()).collect();
            let text = format!("{head}{}", statements.join(";\n"));
            looked += usize::from(own);
            for finding in linter.file(&text, &read_script(&text)).found {
                let theme = rules::by_name(&finding.rule).map(|rule| rule.theme);
                if own && finding.level == Severity::Error && theme != Some(Theme::Contract) {
                    let line = finding.span.of(&text).lines().next().unwrap_or_default().to_owned();
                    found.push(format!(
                        "{} {:?}: {} {} in {line}",
                        case.fixture.name, step.phase, finding.rule, finding.message
                    ));
                }
            }
        }
    }
    assert!(found.is_empty(), "{} found:\n{}", found.len(), found.join("\n"));
    assert!(looked > 500, "only {looked} steps were looked at");
}
