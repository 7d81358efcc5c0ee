//! Plans: as reviewed, accepted by the auditor, the same twice, and counted in the corpus's README.

use std::collections::BTreeMap;

use crossfade_core::migration::Migration;
use crossfade_core::operation::understand;
use crossfade_core::plan::PlanContext;
use crossfade_core::plan::Policy;
use crossfade_core::plan::audit;
use crossfade_core::plan::plan;
use crossfade_core::plan::project;
use crossfade_core::step::Action;
use crossfade_core::step::Phase;
use crossfade_core::step::Plan;

use crate::case::Planned;
use crate::case::cases;
use crate::case::planned;
use crate::case::render;
use crate::fixture::folder;

#[test]
fn plans_are_as_reviewed() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut failures = Vec::new();
    for case in cases() {
        let text = render(&case);
        let same = settings
            .bind(|| std::panic::catch_unwind(|| insta::assert_snapshot!(format!("plan_{}", case.fixture.name), text)));
        if same.is_err() {
            failures.push(case.fixture.name);
        }
    }
    assert!(failures.is_empty(), "the plans of these changed: {}", failures.join(", "));
}

#[test]
fn plans_pass_the_audit_and_come_out_the_same_twice() {
    let mut failures = Vec::new();
    for case in cases() {
        let name = &case.fixture.name;
        match (planned(&case), planned(&case), &case.fixture.refused) {
            (Planned::Plan(first), Planned::Plan(second), None) => {
                failures.extend(audit(&first).into_iter().map(|problem| format!("{name}: {problem}")));
                if first != second {
                    failures.push(format!("{name}: planning twice gives two plans"));
                }
                let holds = first.is_phased();
                if case.fixture.phased && !holds {
                    failures.push(format!("{name}: its plan does not wait for the deploy"));
                }
            }
            (Planned::Refused(findings), _, Some(rule)) => {
                if !findings.iter().any(|finding| finding.rule == *rule) && rule != "expression" {
                    failures.push(format!("{name}: not refused by {rule}: {findings:?}"));
                }
            }
            (Planned::Refused(findings), _, None) => failures.push(format!("{name}: refused: {findings:?}")),
            // What only the server can refuse is asked of it before the plan is recorded.
            (Planned::Plan(plan), _, Some(rule)) if plan.preflight.iter().any(|asked| asked.finding.rule == *rule) => {}
            (Planned::Plan(_), _, Some(rule)) => failures.push(format!("{name}: not refused by {rule}")),
            (Planned::Plan(_), Planned::Refused(_), None) => failures.push(format!("{name}: refused the second time")),
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

/// What the sync of a plan that may park is: nothing that may fail stands in a trigger's condition, where nobody could catch it.
#[test]
fn the_sync_that_lets_a_write_through_is_as_reviewed() {
    let mut text = String::new();
    for name in ["replace_cents", "add_column_nullable_up", "d13_type_with_many_indexes", "add_check_up"] {
        let case = cases().into_iter().find(|case| case.fixture.name == name).expect("there is such a case");
        let policy = Policy { park: true, ..Policy::default() };
        let parks = plan(PlanContext { policy: &policy, ..case.context() }).expect("it is planned");
        text.push_str(&format!("-- {name}\n"));
        for step in parks.steps.iter().filter(|step| step.phase <= Phase::Migrate) {
            if let Action::Ddl(ddl) = &step.action {
                ddl.statements.iter().for_each(|statement| text.push_str(&format!("{};\n", statement.sql)));
            }
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn plans_that_may_park_pass_the_audit_and_others_know_nothing_of_it() {
    const CAUGHT: &str = "EXCEPTION WHEN data_exception OR";
    let (mut failures, mut catching) = (Vec::new(), 0);
    for case in cases().into_iter().filter(|case| case.fixture.refused.is_none()) {
        let name = &case.fixture.name;
        let policy = Policy { park: true, ..Policy::default() };
        let Ok(parks) = plan(PlanContext { policy: &policy, ..case.context() }) else {
            failures.push(format!("{name}: refused"));
            continue;
        };
        failures.extend(audit(&parks).into_iter().map(|problem| format!("{name}: {problem}")));
        let text = serde_json::to_string(&parks).expect("plans are data");
        catching += usize::from(text.contains(CAUGHT));
        if let Planned::Plan(other) = planned(&case)
            && serde_json::to_string(&*other).expect("plans are data").contains(CAUGHT)
        {
            failures.push(format!("{name}: a plan that does not park catches failures"));
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
    assert!(catching > 10, "only {catching} plans catch anything");
}

#[test]
fn a_plan_survives_its_way_through_the_journal() {
    for case in cases() {
        if let Planned::Plan(plan) = planned(&case) {
            let text = serde_json::to_string(&plan).expect("plans are data");
            assert_eq!(serde_json::from_str::<Plan>(&text).expect("and read"), *plan);
        }
    }
}

/// Planning on the schema that a migration leaves refuses it: there is nothing left to do, or nothing left to do it with.
#[test]
fn on_the_schema_that_it_leaves_a_rename_or_a_drop_is_refused() {
    let mut failures = Vec::new();
    for case in cases().into_iter().filter(|case| case.fixture.refused.is_none()) {
        let gone =
            ["rename_", "drop_column", "drop_table", "replace_"].iter().any(|part| case.fixture.name.contains(part));
        if !gone {
            continue;
        }
        let after = project(case.context());
        let migration = Migration::parse("001", "case", &case.fixture.migration).expect("it was parsed before");
        let cx = PlanContext { migration: &migration, catalog: &after, ..case.context() };
        if plan(cx).is_ok() {
            failures.push(case.fixture.name.clone());
        }
    }
    assert!(failures.is_empty(), "planned a second time: {}", failures.join(", "));
}

#[test]
fn the_table_of_the_readme_is_fresh() {
    let mut counts: BTreeMap<String, (usize, Vec<String>)> = BTreeMap::new();
    for case in cases() {
        let (operations, _) = understand(&case.context());
        let mut kinds: Vec<String> = operations.iter().map(|operation| kind(&format!("{operation:?}"))).collect();
        if case.fixture.refused.is_some() {
            kinds = vec!["refused".to_owned()];
        }
        kinds.sort();
        kinds.dedup();
        for kind in kinds {
            let entry = counts.entry(kind).or_default();
            entry.0 += 1;
            entry.1.push(case.fixture.name.clone());
        }
    }
    let mut table = String::from("| operation | fixtures | for example |\n| --- | --- | --- |\n");
    for (kind, (count, names)) in counts {
        table.push_str(&format!("| {kind} | {count} | `{}` |\n", names[names.len() / 2]));
    }
    let path = folder().join("README.md");
    let text = std::fs::read_to_string(&path).expect("the corpus has a README");
    let (begin, end) = ("<!-- table: written by the tests -->\n", "<!-- end of table -->");
    let (head, rest) = text.split_once(begin).expect("it has a place for the table");
    let (_, tail) = rest.split_once(end).expect("the place ends");
    let fresh = format!("{head}{begin}{table}{end}{tail}");
    if std::env::var_os("CROSSFADE_UPDATE_FIXTURES").is_some() {
        std::fs::write(&path, &fresh).expect("it can be written");
    } else {
        assert!(fresh == text, "the table in {} is old: CROSSFADE_UPDATE_FIXTURES=1 writes it", path.display());
    }
}

/// `AddColumn { … }` as `add column`.
fn kind(debug: &str) -> String {
    let name: String = debug.chars().take_while(char::is_ascii_alphanumeric).collect();
    let mut words = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}
