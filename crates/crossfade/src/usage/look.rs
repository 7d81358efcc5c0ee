//! What the server's own statistics say: the sessions that are open, and the calls of statements.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crossfade_core::sql;
use crossfade_core::sql::Ident;
use crossfade_core::sql::Sql;
use crossfade_core::sql::fingerprint;
use crossfade_core::sql::without_values;
use crossfade_core::step::Action;
use crossfade_core::step::Plan;
use crossfade_core::usage::OldForm;
use crossfade_core::usage::Use;
use crossfade_core::usage::use_in;
use crossfade_core::usage::use_in_cut;
use tokio_postgres::types::Type;

use super::Witness;
use super::judged;
use crate::error::Doing as _;
use crate::error::Result;
use crate::executor::measured;
use crate::postgres::store::StoredPlan;
use crate::report::MigrationUsage;
use crate::report::OldSessions;
use crate::report::SeenBy;
use crate::report::SeenUse;

/// A statement that names an old form, as `pg_stat_statements` counts it.
pub(super) struct Counted {
    pub user_id: u32,
    pub user: Option<String>,
    pub query_id: i64,
    pub calls: i64,
    pub text: String,
    pub uses: Vec<(String, Use)>,
}

/// What the server shows instead of a text that a role may not see.
const HIDDEN: &str = "<insufficient privilege>";

/// How much of a statement is shown.
const SHOWN: usize = 300;

/// Sessions that run applications: not ours, and no process of the server's own. `$1` is who is no application.
fn clients() -> Sql {
    sql!(
        "a.datname = pg_catalog.current_database() AND a.backend_type = 'client backend' AND a.pid <> pg_catalog.pg_backend_pid() \
    AND a.application_name NOT LIKE 'crossfade%' AND NOT EXISTS (SELECT FROM pg_catalog.unnest($1::text[]) AS i (pattern) WHERE a.application_name LIKE i.pattern)"
    )
}

impl Witness<'_> {
    /// Names of applications that are none, as LIKE takes them.
    fn ignored(&self) -> Vec<String> {
        let escape =
            |name: &String| name.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_").replace('*', "%");
        self.config.ignore.iter().map(escape).collect()
    }

    /// The last statement of each session that is open.
    pub(super) async fn sessions(&self, forms: &[OldForm], usage: &mut MigrationUsage) -> Result<()> {
        if forms.is_empty() {
            return Ok(());
        }
        let query = sql!(
            "SELECT a.application_name, pg_catalog.host(a.client_addr), a.usename::text, a.query, octet_length(a.query) >= s.size, \
               to_char(t.last AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), greatest(extract(epoch FROM clock_timestamp() - t.last)::float8, 0) \
             FROM pg_catalog.pg_stat_activity AS a, LATERAL (SELECT CASE WHEN a.state = 'active' THEN clock_timestamp() ELSE a.state_change END) AS t (last), \
               (SELECT setting::int - 1 FROM pg_catalog.pg_settings WHERE name = 'track_activity_query_size') AS s (size) \
             WHERE {} AND a.query <> '' ORDER BY t.last DESC NULLS LAST",
            clients()
        );
        let rows = self.client.query_typed(query.as_str(), &[(&self.ignored(), Type::TEXT_ARRAY)]).await;
        let mut hidden = 0;
        let mut known = BTreeSet::new();
        for row in rows.doing("look at the sessions")? {
            let text: String = row.get(3);
            if text == HIDDEN {
                hidden += 1;
                continue;
            }
            let (is_cut, last): (bool, Option<String>) = (row.get(4), row.get(5));
            let Some(last) = last else { continue };
            for form in forms {
                let found = if is_cut { use_in_cut(&text, form) } else { use_in(&text, form) };
                let Some((certain, doubt)) = judged(found) else { continue };
                let seen = SeenUse {
                    old_form: form.to_string(),
                    by: SeenBy::Session,
                    certain,
                    doubt,
                    application: row.get(0),
                    address: row.get(1),
                    user: row.get(2),
                    statement: shown(&text),
                    times: None,
                    last_seen: last.clone(),
                    seconds_ago: row.get(6),
                };
                // The rows come with the last first: what many sessions of one application do is said once.
                let key =
                    (seen.old_form.clone(), seen.application.clone(), seen.address.clone(), seen.statement.clone());
                if known.insert(key) {
                    usage.seen.push(seen);
                }
            }
        }
        if hidden > 0 {
            usage
                .unseen
                .push(format!("what {hidden} sessions of other roles do: GRANT pg_read_all_stats TO this role"));
        }
        Ok(())
    }

    /// Sessions that were opened before the migration waited for the deploy.
    pub(super) async fn old_sessions(&self, ready_ago: f64, usage: &mut MigrationUsage) -> Result<()> {
        let query = sql!(
            "SELECT a.application_name, pg_catalog.host(a.client_addr), coalesce(a.usename::text, ''), count(*), \
               to_char(min(a.backend_start) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') \
             FROM pg_catalog.pg_stat_activity AS a WHERE {} AND a.backend_start < clock_timestamp() - make_interval(secs => $2) \
             GROUP BY 1, 2, 3 ORDER BY min(a.backend_start)",
            clients()
        );
        let rows = self
            .client
            .query_typed(query.as_str(), &[(&self.ignored(), Type::TEXT_ARRAY), (&ready_ago, Type::FLOAT8)])
            .await
            .doing("look for old sessions")?;
        usage.old_sessions = rows
            .iter()
            .map(|row| OldSessions {
                application: row.get(0),
                address: row.get(1),
                user: row.get(2),
                sessions: row.get(3),
                oldest: row.get(4),
            })
            .collect();
        Ok(())
    }

    /// The calls of statements, beside what was counted before.
    pub(super) async fn statements(
        &self,
        plan_id: i64,
        stored: &StoredPlan,
        forms: &[OldForm],
        usage: &mut MigrationUsage,
    ) -> Result<()> {
        if forms.is_empty() {
            return Ok(());
        }
        let counted = match self.counted(&stored.plan, forms).await? {
            Ok(counted) => counted,
            Err(why) => {
                usage.unseen.push(format!("which statements read the old form: {why}"));
                return Ok(());
            }
        };
        let now = self
            .client
            .query_typed_one(
                "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
                &[],
            )
            .await;
        let now: String = now.doing("read the clock")?.get(0);
        let before = if self.store.has_usage(self.client).await? {
            self.store.samples(self.client, plan_id).await?
        } else {
            None
        };
        let Some(before) = before else {
            let many =
                counted.iter().filter(|counted| counted.uses.iter().any(|(_, found)| *found == Use::Certain)).count();
            usage.unseen.push(format!(
                "when statements that name the old form were called last: their calls were not counted yet ({many} name it for certain); \
                 `crossfade usage {}` counts them from now on",
                usage.version
            ));
            return Ok(());
        };
        let before: BTreeMap<(u32, i64), _> =
            before.into_iter().map(|sample| ((sample.user_id, sample.query_id), sample)).collect();
        for counted in &counted {
            let sample = before.get(&(counted.user_id, counted.query_id));
            let grown = sample.is_none_or(|sample| sample.calls != counted.calls);
            let (last_seen, seconds_ago) = match sample {
                Some(sample) if !grown => (sample.grown_at.clone(), sample.seconds_ago),
                Some(_) | None => (now.clone(), 0.0),
            };
            for (form, found) in &counted.uses {
                let Some((certain, doubt)) = judged(*found) else { continue };
                usage.seen.push(SeenUse {
                    old_form: form.clone(),
                    by: SeenBy::Statement,
                    certain,
                    doubt,
                    application: None,
                    address: None,
                    user: counted.user.clone(),
                    statement: shown(&counted.text),
                    times: Some(counted.calls),
                    last_seen: last_seen.clone(),
                    seconds_ago,
                });
            }
        }
        Ok(())
    }

    /// Statements that name an old form; or why that can't be seen.
    pub(super) async fn counted(&self, plan: &Plan, forms: &[OldForm]) -> Result<Result<Vec<Counted>, String>> {
        let place = "SELECT n.nspname::text, pg_catalog.current_setting('shared_preload_libraries') LIKE '%pg_stat_statements%' \
            FROM pg_catalog.pg_extension AS e JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'";
        let place = self.client.query_typed_opt(place, &[]).await.doing("look for pg_stat_statements")?;
        let Some(place) = place else {
            return Ok(Err("this database has no pg_stat_statements (CREATE EXTENSION pg_stat_statements)".to_owned()));
        };
        let (schema, is_loaded): (String, bool) = (place.get(0), place.get(1));
        if !is_loaded {
            return Ok(Err("pg_stat_statements is not in shared_preload_libraries".to_owned()));
        }
        let names: Vec<String> = forms.iter().map(|form| form.relation().name.to_lowercase()).collect();
        let query = sql!(
            "SELECT s.userid, r.rolname::text, s.queryid, sum(s.calls)::bigint, min(s.query) FROM {}.pg_stat_statements AS s \
             LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = s.userid \
             WHERE s.dbid = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()) AND s.queryid IS NOT NULL \
             AND (s.query = $2 OR s.query LIKE '%U&%' OR EXISTS (SELECT FROM unnest($1::text[]) AS n (name) WHERE strpos(lower(s.query), n.name) > 0)) \
             GROUP BY 1, 2, 3",
            Ident::new(schema)
        );
        let rows =
            match self.client.query_typed(query.as_str(), &[(&names, Type::TEXT_ARRAY), (&HIDDEN, Type::TEXT)]).await {
                Ok(rows) => rows,
                Err(error) if error.as_db_error().is_some() => {
                    return Ok(Err(format!(
                        "pg_stat_statements can't be read ({})",
                        crate::error::Error::failed("").caused_by(error).server_message()
                    )));
                }
                Err(error) => return Err(error).doing("read pg_stat_statements"),
            };
        if rows.iter().any(|row| row.get::<_, Option<String>>(4).as_deref() == Some(HIDDEN)) {
            return Ok(Err("this role may not see those of others (GRANT pg_read_all_stats TO it)".to_owned()));
        }
        // What we run ourselves names the old form, too.
        let run =
            plan.steps.iter().flat_map(|step| step.action.statements().into_iter().map(|own| (&step.action, own)));
        let text = |(action, own): (&Action, &Sql)| match action {
            Action::Backfill(_) => measured(own),
            Action::Ddl(_)
            | Action::Concurrently(_)
            | Action::Validate(_)
            | Action::Verify(_)
            | Action::Assert(_)
            | Action::Hold { .. } => own.clone(),
        };
        let own: BTreeSet<String> = run.map(text).filter_map(|own| fingerprint(own.as_str())).collect();
        let mut all = Vec::new();
        for row in &rows {
            let text: String = row.get::<_, Option<String>>(4).unwrap_or_default();
            let uses: Vec<(String, Use)> = forms
                .iter()
                .map(|form| (form.to_string(), use_in(&text, form)))
                .filter(|(_, found)| *found != Use::No)
                .collect();
            if uses.is_empty() || fingerprint(&text).is_some_and(|fingerprint| own.contains(&fingerprint)) {
                continue;
            }
            all.push(Counted {
                user_id: row.get(0),
                user: row.get(1),
                query_id: row.get(2),
                calls: row.get(3),
                text,
                uses,
            });
        }
        Ok(Ok(all))
    }
}

/// A statement for people: without values, on one line. A text that is no SQL may hold values and is not shown.
fn shown(text: &str) -> Option<String> {
    let text = without_values(text)?;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((at, _)) => Some(format!("{}…", line.get(..at).unwrap_or_default())),
        None => Some(line),
    }
}
