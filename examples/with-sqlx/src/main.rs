//! An application with sqlx that brings its schema up when it starts: `DATABASE_URL=… cargo run`.

use crossfade::Config;
use crossfade::Embedded;
use crossfade::Migrator;
use crossfade::StartOptions;
use crossfade::Stop;
use crossfade::Target;
use crossfade::observer::Logged;
use sqlx::postgres::PgPoolOptions;

/// Part of the program: nothing but the binary needs to be there when it starts.
static MIGRATIONS: Embedded = crossfade::embed!("migrations");

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();
    let url = std::env::var("DATABASE_URL")?;
    // Keep a clone, and call `request()` on it where SIGTERM is handled: the work then ends at its next safe point.
    let stop = Stop::default();
    let migrator = Migrator::embedded(Config::default(), Target::from_url(&url)?, &MIGRATIONS);
    migrator.start(&StartOptions::default(), &mut Logged, &stop).await?;

    // The pool comes after it: it then sees the schema as it is now, and has no statement prepared against the one before.
    let pool = PgPoolOptions::new().max_connections(5).connect(&url).await?;
    sqlx::query("INSERT INTO visits (page) VALUES ($1)").bind("/").execute(&pool).await?;
    let visits: i64 = sqlx::query_scalar("SELECT count(*) FROM visits WHERE page = $1 AND at <= now()")
        .bind("/")
        .fetch_one(&pool)
        .await?;
    tracing::info!(visits, "the schema is there, and in use");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::MIGRATIONS;

    #[test]
    fn the_program_has_all_migrations() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        assert!(MIGRATIONS.differs_from(&folder).expect("the folder can be read").is_empty());
    }
}
