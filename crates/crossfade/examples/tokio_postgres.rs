//! An application with tokio-postgres that brings its schema up when it starts: `DATABASE_URL=… cargo run --example tokio_postgres`.

use crossfade::Config;
use crossfade::Embedded;
use crossfade::Migrator;
use crossfade::StartOptions;
use crossfade::Stop;
use crossfade::Target;
use crossfade::observer::Logged;

/// Part of the program: nothing but the binary needs to be there when it starts.
static MIGRATIONS: Embedded = crossfade::embed!("examples/migrations");

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();
    let url = std::env::var("DATABASE_URL")?;
    let visits = serve(&url).await?;
    tracing::info!(visits, "the schema is there, and in use");
    Ok(())
}

/// Brings the schema up, and then does what an application does: how often was the page seen?
pub async fn serve(url: &str) -> Result<i64, Box<dyn std::error::Error>> {
    // Keep a clone, and call `request()` on it where SIGTERM is handled: the work then ends at its next safe point.
    let stop = Stop::default();
    let migrator = Migrator::embedded(Config::default(), Target::from_url(url)?, &MIGRATIONS);
    migrator.start(&StartOptions::default(), &mut Logged, &stop).await?;

    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    client.execute("INSERT INTO visits (page) VALUES ($1)", &[&"/"]).await?;
    let row = client.query_one("SELECT count(*) FROM visits WHERE page = $1 AND at <= now()", &[&"/"]).await?;
    Ok(row.get(0))
}
