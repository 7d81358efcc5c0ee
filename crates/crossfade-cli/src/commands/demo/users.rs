//! The table `users` of the demo: its shape, its rows, and the two versions of the application's SQL for it.

use crossfade::Result;
use tokio_postgres::Client;

use super::could_not;

/// A version of the application's code, by the column that it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Reads and writes `email`.
    Old,
    /// Reads and writes `email_address`.
    New,
}

impl Version {
    /// The version's name in `application_name`.
    pub fn name(self) -> &'static str {
        match self {
            Version::Old => "old",
            Version::New => "new",
        }
    }

    /// The column that it knows.
    pub fn column(self) -> &'static str {
        match self {
            Version::Old => "email",
            Version::New => "email_address",
        }
    }
}

const CREATE: &str = "
    CREATE TABLE users (
        id bigserial PRIMARY KEY,
        name text NOT NULL,
        email varchar(255) NOT NULL UNIQUE,
        age integer,
        created_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX users_lower_email_idx ON users (lower(email));
    CREATE INDEX users_created_at_idx ON users (created_at);
";

/// Makes the table and fills it with rows 1 to `rows`.
pub async fn create(client: &Client, rows: u32) -> Result<()> {
    client.batch_execute(CREATE).await.map_err(could_not("create the table users"))?;
    let fill = format!(
        "INSERT INTO users (id, name, email, age, created_at)
         SELECT id, 'User ' || id, 'user' || id || '.0@example.com', 18 + id % 60, now() - id * interval '1 minute'
         FROM generate_series(1, {rows}) AS id;
         SELECT setval('users_id_seq', {rows});"
    );
    client.batch_execute(&fill).await.map_err(could_not("fill the table users"))?;
    client.batch_execute("VACUUM ANALYZE users").await.map_err(could_not("analyze the table users"))
}

/// What [`create`] gave a row for its email.
pub fn first_email(id: i64) -> String {
    format!("user{id}.0@example.com")
}

/// What [`create`] gave a row for its age.
pub fn first_age(id: i64) -> i32 {
    18 + i32::try_from(id % 60).expect("it is below 60")
}

/// The address after this one. Every write of an email counts up the number before the `@`.
pub fn next_email(email: &str) -> String {
    let (name, sequence) = split(email);
    format!("{name}.{}@example.com", sequence + 1)
}

/// How many times the row's email was written.
pub fn sequence(email: &str) -> u64 {
    split(email).1
}

fn split(email: &str) -> (&str, u64) {
    let local = email.split('@').next().unwrap_or(email);
    let (name, sequence) = local.rsplit_once('.').unwrap_or((local, "0"));
    (name, sequence.parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_write_counts_up() {
        let next = next_email(&first_email(7));
        assert_eq!(next, "user7.1@example.com");
        assert_eq!(sequence(&next), 1);
        assert_eq!(next_email("app03-9.9@example.com"), "app03-9.10@example.com");
    }
}
