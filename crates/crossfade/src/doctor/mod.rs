//! `doctor`: what is left over in a database or waits for a person, each with its mend. It reads, and changes nothing.
//!
//! What bears one of our names and stands in no plan that is under way is left over: a plan's text is the list of what it makes.

mod looks;

use crossfade_core::finding::Severity;
use crossfade_core::journal::State;
use tokio_postgres::Client;

use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;
use crate::postgres::lease::current_runner;
use crate::postgres::store::Store;
use crate::postgres::store::TrackedRow;
use crate::report::Complaint;
use crate::report::FailingHook;

/// What to look for, beside the database itself.
pub(crate) struct Doctor<'a> {
    pub client: &'a Client,
    pub store: &'a Store,
    /// How long contract keeps what is the old form, in seconds.
    pub retain: f64,
    /// What the hooks of the configuration are called.
    pub hooks: &'a [String],
}

impl Doctor<'_> {
    /// Everything that is wrong, worst first.
    pub async fn complaints(&self) -> Result<Vec<Complaint>> {
        let mut all = Vec::new();
        let mut texts = Vec::new();
        if self.store.exists(self.client).await? {
            let runs = current_runner(self.client, &self.store.schema).await?.is_some();
            for row in self.store.rows(self.client).await? {
                if is_under_way(row.state) {
                    let stored = self.store.load(self.client, row.plan_id).await?;
                    texts.push(text_of(&stored.plan)?);
                }
                let parked = self.store.parked_rows(self.client, row.plan_id).await?;
                all.extend(of_migration(&row, runs, parked, self.retain));
            }
            all.extend(self.store.failing_hooks(self.client, self.hooks).await?.into_iter().map(of_hook));
            for id in self.store.backfills(self.client).await? {
                texts.push(text_of(&self.store.load(self.client, id).await?.plan)?);
            }
        }
        let under_way = UnderWay(texts);
        all.extend(looks::sync_that_is_off(self, &under_way).await?);
        all.extend(looks::left_over(self, &under_way).await?);
        all.extend(looks::invalid_indexes(self, &under_way).await?);
        all.extend(looks::unvalidated(self, &under_way).await?);
        all.extend(looks::scratch_databases(self).await?);
        all.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| (a.rule, &a.object).cmp(&(b.rule, &b.object))));
        Ok(all)
    }

    async fn ask(&self, query: &str, doing: &'static str) -> Result<Vec<tokio_postgres::Row>> {
        self.client.query_typed(query, &[]).await.doing(doing)
    }
}

/// The stored plans of what is under way, as text.
struct UnderWay(Vec<String>);

impl UnderWay {
    /// Whether one of them makes something of this name.
    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|text| text.contains(name))
    }
}

fn text_of(plan: &crossfade_core::step::Plan) -> Result<String> {
    serde_json::to_string(plan).map_err(|error| Error::failed("could not read a stored plan").caused_by(error))
}

fn is_under_way(state: State) -> bool {
    match state {
        State::Pending | State::Applied | State::RolledBack => false,
        State::Expanding
        | State::Migrating
        | State::Ready
        | State::Contracting
        | State::Contracted
        | State::Failed
        | State::RollingBack => true,
    }
}

/// A hook whose newest alert did not get through. One that is not in the configuration any more is nobody's business.
fn of_hook(failing: FailingHook) -> Complaint {
    let FailingHook { hook, alerts, since, event, at, error } = failing;
    Complaint {
        rule: "failing-hook",
        severity: Severity::Warning,
        object: format!("hook {hook}"),
        why: format!(
            "of what it was told since {since}, nothing got through ({alerts} so far); the last was {event}, at {at}: {error}"
        ),
        mend: vec!["crossfade hooks test --record".to_owned()],
    }
}

/// What a migration waits for a person with. One that is at its hold is as it should be.
fn of_migration(row: &TrackedRow, runs: bool, parked: u64, retain: f64) -> Vec<Complaint> {
    let version = &row.version;
    let complaint = |rule, severity, why: String, mend: Vec<String>| Complaint {
        rule,
        severity,
        object: format!("migration {version} {}", row.name),
        why,
        mend,
    };
    let mut all = Vec::new();
    let interrupted = |why: &str, on: String| {
        complaint(
            "unfinished-migration",
            Severity::Warning,
            format!("it is {}, and nobody runs it: {why}", row.state.name()),
            vec![on, format!("crossfade rollback {version}")],
        )
    };
    match row.state {
        State::Failed => all.push(complaint(
            "failed-migration",
            Severity::Error,
            "a step of it failed; `crossfade status` has the server's words".to_owned(),
            vec![
                format!("crossfade migrate, or crossfade contract {version} where it failed in contract"),
                format!("crossfade rollback {version}"),
            ],
        )),
        State::Expanding | State::Migrating if !runs => {
            all.push(interrupted("it was stopped or killed", "crossfade migrate".to_owned()));
        }
        State::Contracting if !runs => {
            all.push(interrupted("contract did not end", format!("crossfade contract {version}")));
        }
        State::RollingBack if !runs => all.push(complaint(
            "unfinished-migration",
            Severity::Warning,
            "its way back was begun and did not end, and nobody runs it".to_owned(),
            vec![format!("crossfade rollback {version}")],
        )),
        State::Contracted if row.contracted_for.is_some_and(|seconds| seconds > retain) => all.push(complaint(
            "retained-too-long",
            Severity::Note,
            "what contract retained is kept for longer than `retain` says".to_owned(),
            vec![format!("crossfade purge {version}")],
        )),
        State::Pending
        | State::Expanding
        | State::Migrating
        | State::Ready
        | State::Contracting
        | State::Contracted
        | State::RollingBack
        | State::Applied
        | State::RolledBack => {}
    }
    if parked > 0 {
        all.push(complaint(
            "parked-rows",
            Severity::Warning,
            format!("{parked} of its rows can't be filled and are set aside; it is not ready as long as one is"),
            vec!["crossfade migrate".to_owned()],
        ));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: State, contracted_for: Option<f64>) -> TrackedRow {
        TrackedRow {
            version: "002".to_owned(),
            name: "rename".to_owned(),
            checksum: String::new(),
            state,
            plan_id: 1,
            applied_at: None,
            duration_ms: None,
            applied_by: None,
            contracted_for,
            origin: "crossfade".to_owned(),
            missing_because: None,
        }
    }

    fn rules(state: State, runs: bool, contracted_for: Option<f64>) -> Vec<&'static str> {
        of_migration(&row(state, contracted_for), runs, 0, 60.0).iter().map(|complaint| complaint.rule).collect()
    }

    #[test]
    fn what_waits_as_it_should_is_no_complaint() {
        for state in [State::Pending, State::Ready, State::Applied, State::RolledBack] {
            assert_eq!(rules(state, false, None), Vec::<&str>::new(), "{state:?}");
        }
        assert_eq!(rules(State::Migrating, true, None), Vec::<&str>::new());
        assert_eq!(rules(State::Contracted, false, Some(59.0)), Vec::<&str>::new());
    }

    #[test]
    fn what_was_left_in_the_middle_is_one() {
        assert_eq!(rules(State::Migrating, false, None), ["unfinished-migration"]);
        assert_eq!(rules(State::RollingBack, false, None), ["unfinished-migration"]);
        assert_eq!(rules(State::Failed, true, None), ["failed-migration"]);
        assert_eq!(rules(State::Contracted, false, Some(61.0)), ["retained-too-long"]);
        let parked = of_migration(&row(State::Migrating, None), true, 3, 60.0);
        assert!(parked[0].why.starts_with("3 of its rows"), "{parked:?}");
    }
}
