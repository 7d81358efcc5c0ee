//! `plan --format markdown`: the runbook of what is pending, for the pull request and for who runs it.

use crossfade::report::RunbookReport;
use crossfade_core::finding::Finding;
use crossfade_core::finding::Severity;
use crossfade_core::journal::State;
use crossfade_core::runbook::Basis;
use crossfade_core::runbook::Blocks;
use crossfade_core::runbook::Bytes;
use crossfade_core::runbook::Estimate;
use crossfade_core::runbook::Moment;
use crossfade_core::runbook::Runbook;
use crossfade_core::runbook::RunbookPhase;
use crossfade_core::runbook::RunbookStep;
use crossfade_core::runbook::TableSize;
use crossfade_core::runbook::Watch;
use crossfade_core::runbook::WayBack;
use crossfade_core::sql::Sql;

use super::human;
use super::markdown::block;
use super::markdown::code;
use super::markdown::folded;
use super::markdown::head;
use super::markdown::prose;
use super::markdown::row;
use super::markdown::text;
use super::plan::closed;

/// So many tables of a migration stand in its summary.
const TABLES_SHOWN: usize = 10;

/// The whole report.
pub fn markdown(report: &RunbookReport) -> String {
    let mut out = "# Runbook\n\n".to_owned();
    out.push_str(&place(report));
    if let Some(refused) = &report.refused {
        out.push_str(&format!("## Refused\n\n**{}.** Nothing behind it was planned.\n\n", text(&refused.message)));
        for finding in &refused.findings {
            let at = finding.line.map(|line| format!(":{line}")).unwrap_or_default();
            let at = format!("{}{at}", finding.path);
            out.push_str(&problem(
                finding.severity,
                &finding.rule,
                Some(&at),
                &finding.message,
                finding.help.as_deref(),
            ));
        }
        out.push('\n');
    }
    if report.runbooks.is_empty() && report.refused.is_none() {
        out.push_str("Nothing is pending.\n");
    }
    if report.runbooks.len() > 1 {
        out.push_str(&overview(&report.runbooks));
    }
    out.extend(report.runbooks.iter().map(|runbook| one(runbook, report)));
    if !report.unplanned.is_empty() {
        out.push_str("## Not planned yet\n\n");
        out.extend(report.unplanned.iter().map(|note| format!("- {}\n", text(note))));
    }
    out
}

fn place(report: &RunbookReport) -> String {
    let mut about = vec![format!(
        "Database {}, PostgreSQL {}, {}",
        code(&report.database),
        report.server,
        human::bytes(report.database_bytes)
    )];
    if report.replicas > 0 {
        about.push(human::counted(u64::from(report.replicas), "replica", "replicas"));
    }
    if report.logical_slots > 0 {
        about.push(human::counted(u64::from(report.logical_slots), "logical slot", "logical slots"));
    }
    format!("{}.\n\n", about.join("; "))
}

fn overview(runbooks: &[Runbook]) -> String {
    let mut out = head(["migration", "how", "time", "keeps the application out"]);
    for runbook in runbooks {
        let time = runbook.phases.iter().fold(Estimate::nothing(), |sum, phase| sum.then(phase.time.clone()));
        let title = format!("{} {}", code(&runbook.version), text(&runbook.name));
        out.push_str(&row([title, how(runbook).to_owned(), span(&time), keeps_out(&runbook.phases)]));
    }
    out.push('\n');
    out
}

fn how(runbook: &Runbook) -> &'static str {
    if runbook.phased { "in phases, with a deploy between them" } else { "at once" }
}

fn one(runbook: &Runbook, report: &RunbookReport) -> String {
    let mut out = format!("## Migration {} {}\n\n", code(&runbook.version), text(&runbook.name));
    let steps: Vec<&RunbookStep> = runbook.phases.iter().flat_map(|phase| &phase.steps).collect();
    let state = match runbook.state {
        State::Pending => String::new(),
        state => {
            let done = steps.iter().filter(|step| step.done).count();
            format!(" It is {}: {done} of {} are done.", state.name().replace('_', " "), steps.len())
        }
    };
    let count = human::counted(steps.len() as u64, "step", "steps");
    out.push_str(&format!("{count}, {}.{state}\n\n", how(runbook)));
    out.push_str(&phases(&runbook.phases));
    out.push_str(&sizes(&runbook.tables));
    out.push_str(&needs(runbook));
    if !runbook.findings.is_empty() {
        out.push_str("### Warnings and notes\n\n");
        out.extend(runbook.findings.iter().map(finding));
        out.push('\n');
    }
    if !runbook.tell.is_empty() {
        out.push_str("### Whom to tell\n\n");
        out.extend(runbook.tell.iter().map(|tell| format!("- **{}**: {}\n", tell.who, prose(&tell.what))));
        out.push('\n');
    }
    out.push_str("### Which version of the application runs when\n\n");
    out.extend(runbook.moments.iter().map(moment));
    out.push_str("\n### Steps\n\n");
    out.extend(runbook.phases.iter().map(|phase| steps_of(phase, report)));
    out.push_str("### How to go back\n\n");
    out.push_str(&head(["from", "command", "what it does", "what is lost"]));
    out.extend(runbook.ways_back.iter().map(way_back));
    out.push_str("\n### What to watch\n\n");
    out.extend(runbook.watch.iter().map(watch));
    out.push_str(&bases(&steps));
    out
}

fn phases(phases: &[RunbookPhase]) -> String {
    if phases.is_empty() {
        return "There is nothing to run.\n\n".to_owned();
    }
    let mut out = head(["phase", "command", "steps", "time, once it has its locks", "keeps the application out"]);
    for phase in phases {
        let (first, last) = (phase.steps.first(), phase.steps.last());
        let numbers = match (first.map(|step| step.number), last.map(|step| step.number)) {
            (Some(first), Some(last)) if first < last => format!("{first} to {last}"),
            (Some(first), _) => first.to_string(),
            (None, _) => String::new(),
        };
        let keeps = keeps_out(std::slice::from_ref(phase));
        out.push_str(&row([phase.phase.name().to_owned(), code(&phase.command), numbers, span(&phase.time), keeps]));
    }
    out.push('\n');
    out
}

/// The tables that readers or writers wait for, and how long.
fn keeps_out(phases: &[RunbookPhase]) -> String {
    let mut found: Vec<(Blocks, String, &str)> = Vec::new();
    for lock in phases.iter().flat_map(|phase| &phase.steps).flat_map(|step| &step.locks) {
        let table = lock.table.to_string();
        if lock.blocks == Blocks::Nothing {
            continue;
        }
        match found.iter_mut().find(|(_, known, held)| *known == table && *held == lock.held) {
            Some((blocks, _, _)) => *blocks = (*blocks).max(lock.blocks),
            None => found.push((lock.blocks, table, &lock.held)),
        }
    }
    if found.is_empty() {
        return "never".to_owned();
    }
    let more = found.len().saturating_sub(3);
    let mut said: Vec<String> = found
        .iter()
        .take(3)
        .map(|(blocks, table, held)| format!("{} of {} {}", waits(*blocks), code(table), text(held)))
        .collect();
    said.extend((more > 0).then(|| format!("{more} more below")));
    said.join("; ")
}

fn waits(blocks: Blocks) -> &'static str {
    match blocks {
        Blocks::Nothing => "nothing",
        Blocks::Writes => "writes",
        Blocks::Everything => "all queries",
    }
}

fn span(time: &Estimate) -> String {
    human::range(time.least_seconds, time.most_seconds)
}

fn sizes(tables: &[TableSize]) -> String {
    if tables.is_empty() {
        return String::new();
    }
    let mut out = head(["table", "rows, about", "size", "indexes"]);
    for size in tables.iter().take(TABLES_SHOWN) {
        out.push_str(&row([
            code(&size.table.to_string()),
            human::count(size.rows),
            human::bytes(size.heap),
            human::bytes(size.indexes),
        ]));
    }
    if tables.len() > TABLES_SHOWN {
        out.push_str(&format!("\n{} more tables are smaller.\n", tables.len() - TABLES_SHOWN));
    }
    out.push('\n');
    out
}

fn needs(runbook: &Runbook) -> String {
    let between = |bytes: Bytes| match (human::bytes(bytes.least), human::bytes(bytes.most)) {
        (least, most) if least == most => format!("about {most}"),
        (least, most) => format!("{least} to {most}"),
    };
    if runbook.disk.most == 0 {
        return String::new();
    }
    format!(
        "Room on the disk: {}. Through the log (WAL): {}. Both are estimates from the sizes above.\n\n",
        between(runbook.disk),
        between(runbook.wal)
    )
}

fn finding(finding: &Finding) -> String {
    problem(finding.severity, &finding.rule, None, &finding.message, finding.help.as_deref())
}

fn problem(severity: Severity, rule: &str, at: Option<&str>, message: &str, help: Option<&str>) -> String {
    let word = match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let at = at.map(|at| format!(" at {}", code(at))).unwrap_or_default();
    let help = match help {
        Some(help) if help.contains('\n') => format!("\n\n{}", super::indented(&block("", help), "  ")),
        Some(help) => format!(" To do: {}.", prose(help)),
        None => String::new(),
    };
    format!("- **{word}** {}{at}: {}.{help}\n", code(rule), prose(message))
}

fn moment(moment: &Moment) -> String {
    let query =
        moment.query.as_ref().map(|query| sql("how to see it", std::slice::from_ref(query))).unwrap_or_default();
    format!("- **{}**: {}\n{}", moment.when, prose(&moment.what), super::indented(&query, "  "))
}

fn steps_of(phase: &RunbookPhase, report: &RunbookReport) -> String {
    let mut out = format!("#### {}: {}\n\n", phase.phase.name(), code(&phase.command));
    out.extend(phase.steps.iter().map(|step| of_step(step, report)));
    out
}

fn of_step(step: &RunbookStep, report: &RunbookReport) -> String {
    let done = if step.done { " ✓ done" } else { "" };
    let mut out = format!("**{}. {}**{done}\n\n", step.number, prose(&step.summary));
    let about = out.len();
    if let Some(time) = &step.time {
        out.push_str(&format!("- time: {}{}\n", span(time), why(time)));
    }
    for lock in &step.locks {
        let blocks = match lock.blocks {
            Blocks::Nothing => "nothing that an application does waits",
            Blocks::Writes => "writes wait",
            Blocks::Everything => "all queries wait",
        };
        let asked = if lock.blocks == Blocks::Nothing { String::new() } else { asked(report) };
        out.push_str(&format!(
            "- lock: {} on {} {}: {blocks}{asked}\n",
            lock.mode,
            code(&lock.table.to_string()),
            text(&lock.held)
        ));
    }
    match step.undo {
        Some(true) => out.push_str("- undo: yes\n"),
        Some(false) => out.push_str("- undo: **no: behind this step there is no way back**\n"),
        None => {}
    }
    for hazard in &step.hazards {
        out.push_str(&format!("- **hazard**: {}\n", prose(hazard)));
    }
    if out.len() > about {
        out.push('\n');
    }
    if !step.statements.is_empty() {
        let title = human::counted(step.statements.len() as u64, "statement", "statements");
        out.push_str(&sql(&title, &step.statements));
        out.push('\n');
    }
    out
}

/// How a lock is asked for.
fn asked(report: &RunbookReport) -> String {
    let time = |ms| human::duration(std::time::Duration::from_millis(ms));
    format!(
        ". It is asked for {} at a time, again and again for up to {}",
        time(report.lock_timeout_ms),
        time(report.lock_budget_ms)
    )
}

fn why(time: &Estimate) -> String {
    let said: Vec<&str> = time
        .basis
        .iter()
        .map(|basis| match basis {
            Basis::Measured(_) => "measured here",
            Basis::Assumed(_) => "assumed",
            Basis::Unknown(why) => why.as_str(),
        })
        .collect();
    if said.is_empty() { String::new() } else { format!(" ({})", text(&said.join("; "))) }
}

/// What the times are taken from.
fn bases(steps: &[&RunbookStep]) -> String {
    let mut said: Vec<String> = steps
        .iter()
        .filter_map(|step| step.time.as_ref())
        .flat_map(|time| &time.basis)
        .filter_map(|basis| match basis {
            Basis::Measured(text) => Some(format!("- measured: {}\n", super::markdown::text(text))),
            Basis::Assumed(text) => {
                Some(format!("- assumed, nothing was measured here yet: {}\n", super::markdown::text(text)))
            }
            Basis::Unknown(_) => None,
        })
        .collect();
    said.sort();
    said.dedup();
    let mut out = "\n### What the times are taken from\n\n".to_owned();
    out.extend(said);
    out.push_str(
        "- what changes the catalog alone takes milliseconds; waits for locks, rests and pauses come on top\n\n",
    );
    out
}

fn way_back(way: &WayBack) -> String {
    let command = way.command.as_deref().map_or("none".to_owned(), code);
    row([way.from.to_owned(), command, prose(&way.what), way.loses.to_owned()])
}

fn watch(watch: &Watch) -> String {
    let command = watch.command.as_deref().map(|command| format!("- {}: {}\n", watch.what, code(command)));
    let query = watch
        .query
        .as_ref()
        .map(|query| format!("- {}:\n{}", watch.what, super::indented(&block("sql", &closed(query.as_str())), "  ")));
    command.or(query).unwrap_or_default()
}

fn sql(title: &str, statements: &[Sql]) -> String {
    let all: String = statements.iter().map(|statement| closed(statement.as_str())).collect();
    folded(title, &block("sql", &all))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crossfade::report::CheckFinding;
    use crossfade::report::REPORT_FORMAT;
    use crossfade::report::RunbookRefusal;
    use crossfade_core::catalog::Catalog;
    use crossfade_core::migration::Migration;
    use crossfade_core::plan::MadeInRun;
    use crossfade_core::plan::PlanContext;
    use crossfade_core::plan::Policy;
    use crossfade_core::plan::plan;
    use crossfade_core::runbook::Sample;
    use crossfade_core::runbook::Subject;
    use crossfade_core::runbook::Surroundings;
    use crossfade_core::runbook::Work;
    use crossfade_core::runbook::runbook;
    use crossfade_core::sql::TableName;
    use insta::assert_snapshot;

    use super::*;

    /// The migration of a case of the corpus, with the catalog that a server returned for it.
    fn case(name: &str) -> (Catalog, String) {
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
        let text = std::fs::read_to_string(format!("{fixtures}/{name}.sql")).unwrap();
        let catalog = std::fs::read_to_string(format!("{fixtures}/catalogs/{name}.json")).unwrap();
        let behind = text.split("-- @migration\n").nth(1).unwrap();
        let migration = behind.split("-- @").next().unwrap().to_owned();
        (serde_json::from_str(&catalog).unwrap(), migration)
    }

    /// The tables of a catalog as if each had so many rows.
    fn grown(catalog: &Catalog, rows: u64) -> Surroundings {
        let size = |table: &crossfade_core::catalog::Table| TableSize {
            table: table.name.clone(),
            rows,
            heap: rows * 130,
            indexes: rows * 60,
        };
        Surroundings {
            tables: catalog.tables.iter().map(size).collect(),
            samples: Vec::new(),
            replicas: 2,
            logical_slots: 1,
            database_bytes: 12 << 30,
            lock_timeout: Duration::from_millis(100),
            lock_budget: Duration::from_secs(600),
            strong_lock: Duration::from_secs(5),
            retain: Duration::from_secs(86_400),
        }
    }

    fn book(version: &str, name: &str, change: impl Fn(&mut Surroundings)) -> Runbook {
        let (catalog, text) = case(name);
        let migration = Migration::parse(version, name, &text).unwrap();
        let policy = Policy::default();
        let cx = PlanContext {
            migration: &migration,
            catalog: &catalog,
            policy: &policy,
            in_flight: &[],
            made_in_run: &MadeInRun::default(),
        };
        let plan = plan(cx).unwrap();
        let mut around = grown(&catalog, 20_000_000);
        change(&mut around);
        let subject = Subject {
            plan: &plan,
            migration: Some(&migration),
            progress: None,
            state: State::Pending,
            has_down: false,
        };
        runbook(subject, &around)
    }

    fn report(runbooks: Vec<Runbook>) -> RunbookReport {
        RunbookReport {
            format: REPORT_FORMAT,
            database: "db.example.org:5432/shop".to_owned(),
            server: 15,
            database_bytes: 12 << 30,
            replicas: 2,
            logical_slots: 1,
            lock_timeout_ms: 100,
            lock_budget_ms: 600_000,
            runbooks,
            unplanned: Vec::new(),
            refused: None,
        }
    }

    /// What runs in phases, online, at once, and on purpose under a lock.
    #[test]
    fn runbooks_of_several_kinds() {
        let names = ["rename_column", "index_create", "plain_create_table", "direct_directive", "add_foreign_key_up"];
        for name in names {
            let text = markdown(&report(vec![book("002", name, |_| {})]));
            assert_snapshot!(format!("runbook_{name}"), text);
        }
    }

    #[test]
    fn what_was_measured_goes_before_what_is_assumed() {
        let sample = |table: &str, rows, seconds| Sample {
            work: Work::Fill,
            table: TableName::new("public", table),
            rows: Some(rows),
            took: Duration::from_secs(seconds),
            version: "001".to_owned(),
        };
        let fill = |samples: Vec<Sample>| {
            let book = book("002", "rename_column", |around| around.samples = samples.clone());
            let steps = book.phases.into_iter().flat_map(|phase| phase.steps);
            let fills: Vec<Estimate> =
                steps.filter(|step| step.kind == "backfill").filter_map(|step| step.time).collect();
            assert_eq!(fills.len(), 1);
            (span(&fills[0]), fills[0].basis.clone())
        };
        let (assumed, basis) = fill(Vec::new());
        assert_eq!(assumed, "3 to 67 min");
        assert!(matches!(basis[..], [Basis::Assumed(_)]), "{basis:?}");
        // 20,000,000 rows at 100,000 rows/s, half as fast again or slower.
        let (measured, basis) = fill(vec![sample("users", 1_000_000, 10)]);
        assert_eq!(measured, "2 to 5 min");
        assert!(
            matches!(&basis[..], [Basis::Measured(text)] if text.contains("at 100,000 rows/s in one earlier run")),
            "{basis:?}"
        );
        // Another table is a worse witness than the same one.
        assert_eq!(fill(vec![sample("other", 1_000_000, 1_000), sample("users", 1_000_000, 10)]).0, "2 to 5 min");
        assert_eq!(fill(vec![sample("other", 1_000_000, 1_000)]).0, "3 to 9 h");
    }

    #[test]
    fn small_tables_need_nobody() {
        let book = book("002", "rename_column", |around| {
            around.tables.iter_mut().for_each(|size| (size.rows, size.heap, size.indexes) = (300, 32_768, 16_384));
        });
        assert!(book.tell.iter().all(|tell| tell.who == "who deploys the application"), "{:?}", book.tell);
        assert!(
            book.phases
                .iter()
                .flat_map(|phase| &phase.steps)
                .all(|step| { step.time.as_ref().is_none_or(|time| span(time) == "under 1 s") })
        );
    }

    #[test]
    fn a_refusal_stands_beside_what_was_planned() {
        let finding = CheckFinding {
            rule: "no-such-column".to_owned(),
            severity: Severity::Error,
            path: "migrations/003_x|y.sql".to_owned(),
            line: Some(2),
            column: Some(7),
            message: "there is no column <b>email</b> in `users`".to_owned(),
            help: Some("look:\n    ALTER TABLE users ADD COLUMN email text;".to_owned()),
        };
        let refused = RunbookRefusal {
            message: "migration 003 x|y is refused; nothing was changed".to_owned(),
            findings: vec![finding],
            sources: Vec::new(),
        };
        let unplanned = vec!["004 z builds on what an earlier migration makes".to_owned()];
        let small = book("002", "plain_create_table", |_| {});
        let both = vec![small.clone(), Runbook { version: "0021".to_owned(), state: State::Ready, ..small }];
        let text = markdown(&RunbookReport { refused: Some(refused), unplanned, ..report(both) });
        let head = text.split("## Migration").next().unwrap();
        let end = text.split("## Not planned yet").nth(1).unwrap();
        assert_snapshot!(format!("{head}…{end}"));
        assert_eq!(markdown(&report(Vec::new())).lines().last(), Some("Nothing is pending."));
    }
}
