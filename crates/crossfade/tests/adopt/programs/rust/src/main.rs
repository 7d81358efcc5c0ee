//! Runs a folder of migrations by the library that is chosen as a feature: URL FOLDER.

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    run(&arguments[1], std::path::Path::new(&arguments[2]));
}

#[cfg(feature = "sqlx")]
fn run(url: &str, folder: &std::path::Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime is made");
    runtime.block_on(async {
        let pool = sqlx::PgPool::connect(url).await.expect("the server accepts connections");
        let migrator = sqlx::migrate::Migrator::new(folder).await.expect("the folder can be read");
        migrator.run(&pool).await.expect("migrations run");
    });
}

#[cfg(feature = "refinery")]
fn run(url: &str, folder: &std::path::Path) {
    let mut client = postgres::Client::connect(url, postgres::NoTls).expect("the server accepts connections");
    let migrations = refinery::load_sql_migrations(folder).expect("the folder can be read");
    refinery::Runner::new(&migrations).run(&mut client).expect("migrations run");
}

#[cfg(feature = "diesel")]
fn run(url: &str, folder: &std::path::Path) {
    use diesel::Connection as _;
    use diesel_migrations::MigrationHarness as _;
    let mut connection = diesel::PgConnection::establish(url).expect("the server accepts connections");
    let source = diesel_migrations::FileBasedMigrations::from_path(folder).expect("the folder can be read");
    connection.run_pending_migrations(source).expect("migrations run");
}
