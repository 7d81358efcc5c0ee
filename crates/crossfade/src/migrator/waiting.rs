//! Waits: for the server to answer, and for the schema to be at a version. Nothing is made, and no lease is asked for.

use std::time::Duration;
use std::time::Instant;

use crossfade_core::units::show_duration;
use tokio_postgres::Client;

use super::Migrator;
use super::readiness::Readiness;
use super::readiness::judge;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::error::Result;
use crate::observer::Notice;
use crate::observer::Observer;
use crate::postgres::lease::APPLICATION;
use crate::stop::Stop;

/// How long the first pause between two looks is; each is twice the one before, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long one try to connect may take: at least this much even where no time is left, at most that much even where plenty is, since what swallows packets may
/// answer at the next one.
const SHORTEST_TRY: Duration = Duration::from_secs(2);
const LONGEST_TRY: Duration = Duration::from_secs(10);

/// How often it is said that we still wait.
const SAY_AGAIN: Duration = Duration::from_secs(10);

/// One wait.
struct Waiting<'a> {
    what: String,
    begun: Instant,
    timeout: Duration,
    pause: Duration,
    said: Option<(String, Instant)>,
    observer: &'a mut dyn Observer,
    stop: &'a Stop,
}

impl<'a> Waiting<'a> {
    fn new(what: String, timeout: Duration, observer: &'a mut dyn Observer, stop: &'a Stop) -> Waiting<'a> {
        Waiting { what, begun: Instant::now(), timeout, pause: FIRST_PAUSE, said: None, observer, stop }
    }

    fn left(&self) -> Duration {
        self.timeout.saturating_sub(self.begun.elapsed())
    }

    /// Whether somebody wants it to end.
    fn stopped(&self) -> Result<()> {
        if self.stop.is_requested() {
            return Err(Error::failed(format!("stopped while waiting for {}; nothing was changed", self.what)));
        }
        Ok(())
    }

    /// Says why it is not over yet, and sleeps. False when the time is over.
    async fn again(&mut self, why: &str) -> Result<bool> {
        self.stopped()?;
        let left = self.left();
        if left.is_zero() {
            return Ok(false);
        }
        if self.said.as_ref().is_none_or(|(said, at)| said != why || at.elapsed() >= SAY_AGAIN) {
            self.said = Some((why.to_owned(), Instant::now()));
            self.observer.notice(Notice::Info { text: format!("waiting for {}: {why}", self.what) });
        }
        self.stop.sleep(self.pause.min(left)).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.stopped()?;
        Ok(true)
    }

    /// Tries until there is a connection.
    async fn connect(&mut self, migrator: &Migrator) -> Result<Client> {
        loop {
            let limit = self.left().clamp(SHORTEST_TRY, LONGEST_TRY);
            let tried = tokio::select! {
                tried = tokio::time::timeout(limit, migrator.target.connect(APPLICATION)) => Some(tried),
                () = self.stop.requested() => None,
            };
            let error = match tried {
                None => return Err(self.stopped().err().unwrap_or_else(|| Error::failed("stopped"))),
                Some(Ok(Ok(client))) => return Ok(client),
                Some(Ok(Err(error))) if !may_get_better(&error) => return Err(error),
                Some(Ok(Err(error))) => error,
                Some(Err(_)) => Error::failed(format!(
                    "no answer from {} within {}",
                    migrator.target.display(),
                    show_duration(limit)
                ))
                .hint("check host, port and firewall"),
            };
            if !self.again(&error.chain()).await? {
                let hint = error.hint_text().unwrap_or("is the server running there?").to_owned();
                return Err(Error::failed(format!(
                    "the database did not answer within {}",
                    show_duration(self.timeout)
                ))
                .hint(hint)
                .caused_by(error));
            }
        }
    }
}

/// Whether time alone may mend it. A wrong password, a missing right or a wrong setting stays.
fn may_get_better(error: &Error) -> bool {
    let state = error.sql_state().unwrap_or_default();
    error.kind() == ErrorKind::Failed
        && !state.starts_with("28")
        && state != "42501"
        // The client library's words where a password is missing.
        && !error.chain().contains("invalid configuration")
}

impl Migrator {
    /// Waits until the server answers and lets us in: for a program that may start before its database does. It tries again after 50 ms, and then more and more
    /// seldom, up to once a second; the observer is told why. With a timeout of zero it tries once.
    ///
    /// # Errors
    ///
    /// When the time is over, with the last error as the cause; at once when the server answers that user or password are wrong; and when it is stopped.
    pub async fn wait_for_database(&self, timeout: Duration, observer: &mut dyn Observer, stop: &Stop) -> Result<()> {
        Waiting::new("the database".to_owned(), timeout, observer, stop).connect(self).await.map(drop)
    }

    /// Waits until the schema is at least at this version ([`Migrator::is_at_least`]), on one connection. A database that does not answer yet, or no longer, is
    /// waited for, too. With a timeout of zero it looks once.
    ///
    /// # Errors
    ///
    /// When the time is over, with what is missing; when the tracking table may not be read; and when it is stopped.
    pub async fn wait_until_at_least(
        &self,
        version: &str,
        timeout: Duration,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<Readiness> {
        let versions = self.versions()?;
        let store = self.store();
        let mut waiting = Waiting::new(format!("version {version}"), timeout, observer, stop);
        let mut client = waiting.connect(self).await?;
        loop {
            let why = match store.standings(&client).await {
                Ok(standings) => match judge(version, &versions, &standings) {
                    Readiness::Behind { at, missing } => behind(at.as_deref(), &missing),
                    ready @ (Readiness::Ready | Readiness::Ahead { .. }) => return Ok(ready),
                },
                Err(error) if error.is_connection_lost() || client.is_closed() => {
                    let why = error.chain();
                    client = waiting.connect(self).await?;
                    why
                }
                Err(error) => return Err(error),
            };
            if !waiting.again(&why).await? {
                return Err(Error::failed(format!(
                    "the schema is not at version {version} after {}: {why}",
                    show_duration(timeout)
                ))
                .hint(
                    "`crossfade status` shows what each migration waits for; `crossfade migrate` runs what is pending",
                ));
            }
        }
    }
}

/// What is missing, in a line. Of many only the first ones.
pub(super) fn behind(at: Option<&str>, missing: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut text = match at {
        Some(at) => format!("it is at {at}"),
        None => "nothing has been run on it".to_owned(),
    };
    text.push_str(&format!("; missing: {}", missing[..missing.len().min(SHOWN)].join(", ")));
    if missing.len() > SHOWN {
        text.push_str(&format!(" and {} more", missing.len() - SHOWN));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_in_a_line() {
        let missing = |count: usize| (1..=count).map(|number| format!("{number:03}")).collect::<Vec<_>>();
        assert_eq!(behind(None, &missing(1)), "nothing has been run on it; missing: 001");
        assert_eq!(behind(Some("040"), &missing(7)), "it is at 040; missing: 001, 002, 003, 004, 005 and 2 more");
    }

    #[test]
    fn only_what_time_may_mend_is_waited_for() {
        assert!(may_get_better(&Error::failed("could not connect").caused_by("Connection refused")));
        assert!(!may_get_better(&Error::usage("no host is named")));
        assert!(!may_get_better(&Error::failed("x").caused_by("invalid configuration: password missing")));
    }
}
