//! One application server: a connection, prepared statements, a request, a short pause, and so on.
//!
//! It does not stop for an error. It counts it, connects again if it must, and goes on, as applications do.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use crossfade::error::describe;
use crossfade_core::sql;
use crossfade_core::sql::Ident;
use crossfade_core::sql::Sql;
use tokio_postgres::Client;
use tokio_postgres::Error;
use tokio_postgres::NoTls;
use tokio_postgres::Row as SqlRow;
use tokio_postgres::Statement;

use super::fleet::Shared;
use super::memory::Row;
use super::stats::PhaseId;
use super::users;
use super::users::Version;

/// The pause between two requests, in milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 20..40;

/// One application server.
#[derive(Debug)]
pub struct App {
    number: usize,
    shared: Arc<Shared>,
}

/// A connection of one version of the code.
#[derive(Debug)]
struct Link {
    client: Client,
    version: Version,
    statements: HashMap<Request, Statement>,
}

/// What an application asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Request {
    /// A user of its own by id, and are all of its writes there?
    ReadOwn,
    /// Somebody else's user by id: as new as its owner had it?
    ReadOther,
    /// A user of its own by email.
    FindByEmail,
    /// Another email for a user of its own.
    ChangeEmail,
    /// Something that has nothing to do with the migration.
    ChangeAge,
    /// A new user.
    SignUp,
}

impl Request {
    fn any() -> Request {
        match rand::random_range(0..100) {
            0..35 => Request::ReadOwn,
            35..50 => Request::ReadOther,
            50..65 => Request::FindByEmail,
            65..80 => Request::ChangeEmail,
            80..92 => Request::ChangeAge,
            92.. => Request::SignUp,
            // No other number is drawn, but the type has them.
            ..0 => Request::ReadOwn,
        }
    }

    fn writes(self) -> bool {
        match self {
            Request::ReadOwn | Request::ReadOther | Request::FindByEmail => false,
            Request::ChangeEmail | Request::ChangeAge | Request::SignUp => true,
        }
    }

    fn sql(self, version: Version) -> Sql {
        let email = Ident::new(version.column());
        match self {
            Request::ReadOwn | Request::ReadOther => sql!("SELECT {}, age FROM users WHERE id = $1", email),
            Request::FindByEmail => sql!("SELECT id, name FROM users WHERE {} = $1", email),
            Request::ChangeEmail => sql!("UPDATE users SET {} = $1 WHERE id = $2", email),
            Request::ChangeAge => sql!("UPDATE users SET age = $1 WHERE id = $2"),
            Request::SignUp => sql!("INSERT INTO users (name, {}, age) VALUES ($1, $2, $3) RETURNING id", email),
        }
    }
}

impl App {
    /// The application server with this number.
    pub fn new(number: usize, shared: Arc<Shared>) -> App {
        App { number, shared }
    }

    /// Serves until the fleet is stopped.
    pub async fn serve(self) {
        let mut link = None;
        while !self.shared.is_stopping() {
            let phase = self.shared.stats.now();
            let version = self.shared.version(self.number);
            match usable(link.take(), version) {
                Some(usable) => link = Some(self.answer(usable, phase).await),
                None => match self.connect(version).await {
                    Ok(connected) => link = Some(connected),
                    Err(error) => self.shared.stats.error(phase, text(&error)),
                },
            }
            tokio::time::sleep(Duration::from_millis(rand::random_range(PAUSE_MS))).await;
        }
    }

    async fn connect(&self, version: Version) -> Result<Link, Error> {
        let mut target = self.shared.target.clone();
        target.application_name(format!("app-{:02} ({})", self.number + 1, version.name()));
        let (client, connection) = target.connect(NoTls).await?;
        tokio::spawn(connection);
        self.shared.runs(self.number, version);
        Ok(Link { client, version, statements: HashMap::new() })
    }

    async fn answer(&self, mut link: Link, phase: PhaseId) -> Link {
        let request = Request::any();
        let began = Instant::now();
        let answered = self.perform(&mut link, request, phase).await;
        let error = answered.err().map(|error| text(&error));
        // A request that was on its way when a phase began fails by what happens there.
        let phase = if error.is_some() { self.shared.stats.now() } else { phase };
        self.shared.stats.request(phase, request.writes(), began.elapsed(), error);
        link
    }

    async fn perform(&self, link: &mut Link, request: Request, phase: PhaseId) -> Result<(), Error> {
        match request {
            Request::ReadOwn => self.read_own(link).await,
            Request::ReadOther => self.read_other(link).await,
            Request::FindByEmail => self.find_by_email(link).await,
            Request::ChangeEmail => {
                let (id, row) = self.shared.memory(self.number).any();
                let changed = Row { email: users::next_email(&row.email), phase, ..row.clone() };
                let statement = link.statement(request).await?;
                self.update(id, row, changed.clone(), link.client.execute(&statement, &[&changed.email, &id])).await
            }
            Request::ChangeAge => {
                let (id, row) = self.shared.memory(self.number).any();
                let changed = Row { age: row.age % 100 + 1, ..row.clone() };
                let statement = link.statement(request).await?;
                self.update(id, row, changed.clone(), link.client.execute(&statement, &[&changed.age, &id])).await
            }
            Request::SignUp => self.sign_up(link, phase).await,
        }
    }

    async fn read_own(&self, link: &mut Link) -> Result<(), Error> {
        let (id, expected) = self.shared.memory(self.number).any();
        let statement = link.statement(Request::ReadOwn).await?;
        let found = link.client.query_opt(&statement, &[&id]).await?;
        let Some((email, age)) = found.as_ref().map(email_and_age).transpose()? else {
            self.shared.stats.lost(expected.phase, id, &expected.email, None);
            return Ok(());
        };
        if !expected.certain {
            let email = email.unwrap_or(expected.email);
            self.shared.memory(self.number).remember(id, Row { email, age, phase: expected.phase, certain: true });
            return Ok(());
        }
        if email.as_ref() != Some(&expected.email) {
            self.shared.stats.lost(expected.phase, id, &expected.email, email.as_deref());
        }
        if age != expected.age {
            self.shared.stats.lost(expected.phase, id, &format!("age {}", expected.age), Some(&format!("age {age}")));
        }
        Ok(())
    }

    async fn read_other(&self, link: &mut Link) -> Result<(), Error> {
        let other = rand::random_range(0..self.shared.apps());
        let (id, at_least) = self.shared.memory(other).any();
        let statement = link.statement(Request::ReadOther).await?;
        let found = link.client.query_opt(&statement, &[&id]).await?;
        let email = found.as_ref().map(email_and_age).transpose()?.and_then(|(email, _)| email);
        let new_enough = |email: &String| users::sequence(email) >= users::sequence(&at_least.email);
        if !email.as_ref().is_some_and(new_enough) {
            self.shared.stats.lost(at_least.phase, id, &at_least.email, email.as_deref());
        }
        Ok(())
    }

    async fn find_by_email(&self, link: &mut Link) -> Result<(), Error> {
        let (id, expected) = self.shared.memory(self.number).any();
        let statement = link.statement(Request::FindByEmail).await?;
        let found = link.client.query_opt(&statement, &[&expected.email]).await?;
        let found: Option<i64> = found.map(|row| row.try_get(0)).transpose()?;
        if expected.certain && found != Some(id) {
            self.shared.stats.lost(expected.phase, id, &expected.email, None);
        }
        Ok(())
    }

    /// Carries out an update of an own row. In the meantime, and for good if the connection breaks, it is uncertain.
    async fn update(
        &self,
        id: i64,
        before: Row,
        after: Row,
        execute: impl Future<Output = Result<u64, Error>>,
    ) -> Result<(), Error> {
        let remember = |row| self.shared.memory(self.number).remember(id, row);
        let executed = execute.await;
        match &executed {
            Ok(0) => self.shared.stats.lost(before.phase, id, &before.email, None),
            Ok(_) => remember(Row { certain: before.certain, ..after }),
            // The server said no, and so has done nothing.
            Err(error) if error.as_db_error().is_some() => {}
            Err(_) => remember(Row { certain: false, ..before }),
        }
        executed.map(|_| ())
    }

    async fn sign_up(&self, link: &mut Link, phase: PhaseId) -> Result<(), Error> {
        let email = self.shared.memory(self.number).new_email();
        let age = rand::random_range(18..78);
        let statement = link.statement(Request::SignUp).await?;
        let row = link.client.query_one(&statement, &[&"New user", &email, &age]).await?;
        let id: i64 = row.try_get(0)?;
        self.shared.memory(self.number).remember(id, Row { email, age, phase, certain: true });
        Ok(())
    }
}

impl Link {
    /// The statement for this request, prepared on its first use.
    async fn statement(&mut self, request: Request) -> Result<Statement, Error> {
        if let Some(prepared) = self.statements.get(&request) {
            return Ok(prepared.clone());
        }
        let prepared = self.client.prepare(request.sql(self.version).as_str()).await?;
        self.statements.insert(request, prepared.clone());
        Ok(prepared)
    }
}

/// A deployed application is a new process, with a new connection.
fn usable(link: Option<Link>, version: Version) -> Option<Link> {
    link.filter(|link| link.version == version && !link.client.is_closed())
}

fn email_and_age(row: &SqlRow) -> Result<(Option<String>, i32), Error> {
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// The server's own words, without the usual severity; else what broke.
fn text(error: &Error) -> String {
    match error.as_db_error() {
        Some(error) if error.severity() == "ERROR" => error.message().to_owned(),
        Some(error) => format!("{}: {}", error.severity(), error.message()),
        None => std::error::Error::source(error).map_or_else(|| error.to_string(), describe),
    }
}
