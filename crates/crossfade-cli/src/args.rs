//! The command line. What stands here as documentation is the help.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;

use crate::commands::demo::DemoArgs;

/// What follows the list of options.
const AFTER_HELP: &str = "\
Write plain SQL in migrations/. Crossfade plans it against the real database and carries it out in phases,
so that old and new application code both work until the old code is gone.

Exit codes: 0 done; 1 the work failed; 2 wrong use or configuration; 3 refused, nothing was changed.";

/// Change the schema of a live PostgreSQL without downtime
#[derive(Debug, Parser)]
#[command(name = "crossfade", version, max_term_width = 110, disable_help_subcommand = true, after_help = AFTER_HELP)]
pub struct Cli {
    /// For every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Whether standard output is for a program.
    pub fn wants_json(&self) -> bool {
        let asks = match &self.command {
            Command::Plan(plan) => plan.format == Some(PlanFormat::Json),
            Command::Check(check) => check.formats.iter().any(Outlet::is_document),
            Command::Lint(lint) => lint.formats.iter().any(Outlet::is_document),
            Command::Rehearse(rehearse) => rehearse.format == RehearseFormat::Json,
            _ => false,
        };
        self.global.json || asks
    }
}

/// For every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// The database: postgres://user@host:port/database. Without it MIGRATION_DATABASE_URL, DATABASE_URL, or the libpq variables (PGHOST …) and ~/.pgpass
    #[arg(long, value_name = "URL", global = true)]
    pub database_url: Option<String>,
    /// Only this one of the targets in crossfade.toml, or all of one that is many; several times for several
    #[arg(long = "target", value_name = "NAME", global = true)]
    pub targets: Vec<String>,
    /// The folder with crossfade.toml
    #[arg(long, value_name = "FOLDER", default_value = ".", global = true)]
    pub dir: PathBuf,
    /// Print one JSON document on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// Who is behind it, for the journal. Without it, who started the CI job, or the user and host of this machine
    #[arg(long, value_name = "NAME", env = "CROSSFADE_ACTOR", hide_env_values = true, global = true)]
    pub actor: Option<String>,
    /// Log what happens; twice for more. CROSSFADE_LOG says it in detail
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// When to use colours
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Color::Auto, global = true)]
    pub color: Color,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make crossfade.toml and the folder for migrations
    Init(InitArgs),
    /// Make the next numbered migration file
    New(NewArgs),
    /// Show every migration, its state, its progress and what it waits for
    Status(StatusArgs),
    /// Show everything that was ever done, by whom and from where
    History(HistoryArgs),
    /// Look for what is left over or waits for a person, each with its mend
    Doctor,
    /// Show the steps, locks and statements that a migration would run as
    Plan(PlanArgs),
    /// Begin the history of a database that was there before it: count files as applied, run nothing
    Baseline(BaselineArgs),
    /// Run everything that is pending, each as far as is safe without a deploy
    Migrate(MigrateArgs),
    /// After the deploy: take the old form out of use
    Contract(ContractArgs),
    /// Show who still uses the old form, and why contract would be refused
    Usage(VersionArgs),
    /// Undo a migration; without a version the newest
    Rollback(RollbackArgs),
    /// Undo the newest migration and run its file again: for development
    Redo(RedoArgs),
    /// Go down or up, in order, until this version is the newest one
    Goto(GotoArgs),
    /// Show what differs between the files and what was run, and accept it
    Repair(RepairArgs),
    /// Put one file in the place of all up to a version, once both are proven to make the same
    Squash(SquashArgs),
    /// Drop what contract retained
    Purge(RunArgs),
    /// Give pending files that come too late, or have the number of another, the next free numbers
    Renumber(RenumberArgs),
    /// Ask whoever runs a migration to wait at the next safe point
    Pause(PauseArgs),
    /// Let what is paused go on; without a version all of it
    Resume(VersionArgs),
    /// Show what holds a backfill up and what every signal says now, or change it while it runs
    Throttle(ThrottleArgs),
    /// Wait until the database answers, or until its schema is at least at a version; changes nothing
    Wait(WaitArgs),
    /// Watch a migration on this terminal, live; p pauses it, r lets it go on, q leaves
    Watch(WatchArgs),
    /// Metrics for Prometheus, health, and a page with live progress, for whoever looks from elsewhere; runs until it is stopped
    Serve(ServeArgs),
    /// Try the hooks of crossfade.toml
    Hooks(HooksArgs),
    /// Compare old and new form again, row by row
    Verify(VerifyArgs),
    /// Compare the database's schema with what its migrations make on a scratch database
    Drift(DriftArgs),
    /// Look at the migration files as CI does: order and changes against a base branch, syntax, ways back
    Check(CheckArgs),
    /// Say what the files would do to those who use the database meanwhile: locks, rewrites, what breaks, and what to write instead
    Lint(LintArgs),
    /// Show the page of a rule of lint; without a name all rules
    Explain(ExplainArgs),
    /// Go every way back on a scratch database, and compare where it leads
    Test(TestArgs),
    /// Go a migration's whole way on a scratch database that is like the real one, there and back, while both versions of the application run
    Rehearse(RehearseArgs),
    /// Copy one column into another in small transactions, for an expand that was made by hand
    Backfill(BackfillArgs),
    /// Take over the history of another migration tool; its files stay as they are
    Adopt(AdoptArgs),
    /// See a migration under load, on a scratch server that is removed afterwards
    Demo(DemoArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

/// Of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Make build.rs, too: with it a program that embeds its migrations is built again when one is added
    #[arg(long)]
    pub build_script: bool,
}

/// Of `new`.
#[derive(Debug, Args)]
pub struct NewArgs {
    /// What it does, in a few words
    pub name: String,
    /// Make the file that undoes it, too
    #[arg(long)]
    pub down: bool,
    /// One that runs again whenever it changes: R__NAME.sql
    #[arg(long, conflicts_with = "down")]
    pub repeatable: bool,
}

/// Of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Where there are several targets.
    #[command(flatten)]
    pub many: ParallelArgs,
}

/// Of commands that look at several targets.
#[derive(Clone, Copy, Debug, Args)]
pub struct ParallelArgs {
    /// How many targets at the same time; 1, or as crossfade.toml says
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=crossfade::targets::MOST_AT_ONCE as i64))]
    pub parallel: Option<u16>,
}

/// Of commands that change several targets.
#[derive(Clone, Copy, Debug, Args)]
pub struct ManyArgs {
    /// How many at the same time.
    #[command(flatten)]
    pub at_once: ParallelArgs,
    /// Go on with the other targets where one fails; the canaries must succeed all the same
    #[arg(long)]
    pub keep_going: bool,
}

/// Of `history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Only this migration
    pub version: Option<String>,
    /// Only since then: 2026-01-31, '2026-01-31 12:00+01', yesterday; or how long ago: 2h, 7d
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// With the statements that each step ran
    #[arg(long)]
    pub sql: bool,
}

/// Of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Only these migrations
    #[arg(value_name = "VERSION")]
    pub versions: Vec<String>,
    /// How to show it
    #[arg(long, value_enum)]
    pub format: Option<PlanFormat>,
    /// Where there are several targets.
    #[command(flatten)]
    pub many: ParallelArgs,
}

/// How to show a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    Text,
    Json,
    Sql,
    Markdown,
}

/// Of `baseline`.
#[derive(Debug, Args)]
pub struct BaselineArgs {
    /// Every file up to this version counts as applied; where there is none, the version does
    pub version: String,
    /// What to call it where it has no file; else "baseline"
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Only show what would be written down
    #[arg(long)]
    pub dry_run: bool,
    /// Wait for another runner to finish instead of refusing
    #[arg(long)]
    pub wait: bool,
}

/// Of `migrate`.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Only up to this version
    #[arg(long, value_name = "VERSION")]
    pub to: Option<String>,
    /// Go through contract and purge without waiting: for development, or with the application stopped
    #[arg(long)]
    pub complete: bool,
    /// Connections that fill existing rows at the same time; 2, or as crossfade.toml says
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=crossfade::config::MOST_WORKERS as i64))]
    pub workers: Option<u16>,
    /// Set rows aside whose new value can't be computed, and fill the others
    #[arg(long)]
    pub park: bool,
    /// Run files that come before what was run already, in the order of their numbers
    #[arg(long)]
    pub allow_out_of_order: bool,
    /// Wait for another runner to finish instead of refusing
    #[arg(long)]
    pub wait: bool,
    /// Wait for the database to answer, but not longer than this: 30s, 5m
    #[arg(long, value_name = "TIME")]
    pub wait_for_database: Option<String>,
    /// Where there are several targets.
    #[command(flatten)]
    pub many: ManyArgs,
}

/// Of `wait`.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// Until this version can be used by new code. A schema that is newer is all right
    #[arg(long, value_name = "VERSION")]
    pub for_version: Option<String>,
    /// Not longer than this: 30s, 5m; 0 to look once
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub timeout: String,
}

/// Of commands that change one migration.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Only this migration
    pub version: Option<String>,
    /// Wait for another runner to finish instead of refusing
    #[arg(long)]
    pub wait: bool,
    /// Where there are several targets.
    #[command(flatten)]
    pub many: ManyArgs,
}

/// Of `contract`.
#[derive(Debug, Args)]
pub struct ContractArgs {
    /// Only this migration
    pub version: Option<String>,
    /// Go on where the old form is not proven to be out of use
    #[arg(long, requires = "reason")]
    pub force: bool,
    /// With --force: why; it is kept in the journal
    #[arg(long, value_name = "TEXT", requires = "force")]
    pub reason: Option<String>,
    /// Wait for another runner to finish instead of refusing
    #[arg(long)]
    pub wait: bool,
    /// Where there are several targets.
    #[command(flatten)]
    pub many: ManyArgs,
}

/// Of `rollback`.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// Only this migration
    pub version: Option<String>,
    /// All that were run after this version, the newest first; 0 for all
    #[arg(long, value_name = "VERSION", conflicts_with = "version")]
    pub to: Option<String>,
    /// With --to: only show the way
    #[arg(long, requires = "to")]
    pub dry_run: bool,
    /// Wait for another runner to finish instead of refusing
    #[arg(long)]
    pub wait: bool,
    /// Where there are several targets.
    #[command(flatten)]
    pub many: ManyArgs,
}

/// Of `redo`.
#[derive(Debug, Args)]
pub struct RedoArgs {
    /// This migration instead of the newest
    pub version: Option<String>,
    /// Go through contract and purge without waiting
    #[arg(long)]
    pub complete: bool,
    /// Wait for another runner to finish instead of refusing
    #[arg(long)]
    pub wait: bool,
}

/// Of `goto`.
#[derive(Debug, Args)]
pub struct GotoArgs {
    /// The version that shall be the newest one; 0 for none
    pub version: String,
    /// Go through contract and purge without waiting
    #[arg(long)]
    pub complete: bool,
    /// Only show the way
    #[arg(long)]
    pub dry_run: bool,
    /// Wait for another runner to finish instead of refusing
    #[arg(long)]
    pub wait: bool,
}

/// Of `squash`.
#[derive(Debug, Args)]
pub struct SquashArgs {
    /// All files up to this version become one, which has this version
    #[arg(long, value_name = "VERSION")]
    pub to: String,
    /// What it is called
    #[arg(long, value_name = "NAME", default_value = "squashed")]
    pub name: String,
    /// Prove it, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask the database whether all of it is applied there
    #[arg(long)]
    pub offline: bool,
    /// Where both are run.
    #[command(flatten)]
    pub scratch: ScratchArgs,
}

/// Of `repair`.
#[derive(Debug, Args)]
pub struct RepairArgs {
    /// Only this migration
    pub version: Option<String>,
    /// Take the files as they are now for what was run; nothing is run
    #[arg(long)]
    pub accept: bool,
    /// No longer miss the file of this migration, which is gone for good
    #[arg(long, value_name = "VERSION", conflicts_with_all = ["version", "accept"])]
    pub forget_missing: Option<String>,
    /// Wait for another runner to finish instead of refusing
    #[arg(long)]
    pub wait: bool,
}

/// Of `renumber`.
#[derive(Debug, Args)]
pub struct RenumberArgs {
    /// Only these, by path, file name or version; also where they are not late
    #[arg(value_name = "FILE")]
    pub files: Vec<String>,
    /// Rename nothing, and show what would be renamed
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask the database: only files of the same number, and those that are named
    #[arg(long)]
    pub offline: bool,
}

/// Of `pause`.
#[derive(Debug, Args)]
pub struct PauseArgs {
    /// Only this migration; also one that waits for its contract
    pub version: Option<String>,
    /// Why, for whoever sees it waiting
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// Of `throttle`.
#[derive(Debug, Args)]
pub struct ThrottleArgs {
    /// Settings to change in the database, for whoever runs now or later; KEY=default takes one back
    #[arg(value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// How long they hold, for example 2h; without it until they are taken back
    #[arg(long = "for", value_name = "TIME")]
    pub during: Option<String>,
}

/// Of `watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// This migration; without it the first that is under way
    pub version: Option<String>,
    /// How often the database is looked at
    #[arg(long, value_name = "TIME", default_value = "1s")]
    pub interval: String,
    /// Print a line whenever something has changed, in the place of a screen
    #[arg(long)]
    pub plain: bool,
}

/// Of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Where to listen: ADDRESS:PORT; port 0 for any that is free, which is printed
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8432")]
    pub listen: String,
    /// A file with the token for pause, resume and throttle; without it, and without CROSSFADE_SERVE_TOKEN, it only shows
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// How often the database is looked at
    #[arg(long, value_name = "TIME", default_value = "2s")]
    pub interval: String,
    /// Compare old and new form of what waits for the deploy, again and again, and write down what is found, as `verify --every` does
    #[arg(long)]
    pub verify: bool,
    /// With --verify: so long in between
    #[arg(long, value_name = "TIME", requires = "verify", default_value = "10m")]
    pub every: String,
    /// With --verify: the share of the time in which it reads, above 0 and up to 1
    #[arg(long, value_name = "SHARE", requires = "verify", default_value_t = 0.1)]
    pub duty: f64,
}

/// Of `hooks`.
#[derive(Debug, Args)]
pub struct HooksArgs {
    /// What to do with them
    #[command(subcommand)]
    pub command: HooksCommand,
}

/// What to do with hooks.
#[derive(Debug, Subcommand)]
pub enum HooksCommand {
    /// Send a sample to each hook and show what came back
    Test(HooksTestArgs),
}

/// Of `hooks test`.
#[derive(Debug, Args)]
pub struct HooksTestArgs {
    /// Only hooks that are on this event; without it each with the first that it is on
    pub event: Option<String>,
    /// Write down in the journal what came of it, so that `doctor` knows of a hook that works again
    #[arg(long)]
    pub record: bool,
}

/// Of `drift`.
#[derive(Debug, Args)]
pub struct DriftArgs {
    /// Print what makes the migrations' schema as the database is: the text of a migration that takes the drift in
    #[arg(long)]
    pub reverse: bool,
    /// Where the scratch database is made.
    #[command(flatten)]
    pub scratch: ScratchArgs,
}

/// Of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The branch or commit to compare with; else `base` in crossfade.toml, else what the CI system says the request is for
    #[arg(long, value_name = "REF")]
    pub base: Option<String>,
    /// Plan what is new on a scratch database, too
    #[arg(long)]
    pub scratch: bool,
    /// How to show it: text, json, github, sarif, gitlab, junit, markdown; with =FILE into a file. May be given several times
    #[arg(long = "format", value_name = "FORMAT[=FILE]")]
    pub formats: Vec<Outlet>,
    /// Where the scratch database is made; with it goes --scratch.
    #[command(flatten)]
    pub place: ScratchArgs,
}

/// Of `lint`.
#[derive(Debug, Args)]
pub struct LintArgs {
    /// Files and folders; without any, the migrations folder
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Only what differs from this branch or commit, from where this one left it: new and changed statements
    #[arg(long, value_name = "REV")]
    pub since: Option<String>,
    /// How to show it: text, json, github, sarif, gitlab, junit, markdown; with =FILE into a file. May be given several times
    #[arg(long = "format", value_name = "FORMAT[=FILE]")]
    pub formats: Vec<Outlet>,
    /// Ask the database for sizes, types and what hangs on what; only what is pending there is looked at. With it goes --database-url
    #[arg(long)]
    pub live: bool,
    /// Run each statement on a scratch database, and lay what the server did beside what the rules say; with it goes --scratch-url
    #[arg(long)]
    pub trace: bool,
    /// Where the statements are traced.
    #[command(flatten)]
    pub place: ScratchArgs,
    /// Exit with code 3 when something as bad as this is found
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t = LintLevel::Error)]
    pub fail_on: LintLevel,
}

/// Of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The rule's name
    pub rule: Option<String>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LintLevel {
    Error,
    Warning,
    Note,
    Never,
}

/// How to show what was found, and where: `FORMAT`, or `FORMAT=FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlet {
    /// How.
    pub format: ReviewFormat,
    /// Into which file; none: on standard output.
    pub file: Option<PathBuf>,
}

/// How to show what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReviewFormat {
    Text,
    Json,
    Github,
    Sarif,
    Gitlab,
    Junit,
    Markdown,
}

impl Outlet {
    /// Whether it is the one document on standard output.
    fn is_document(&self) -> bool {
        self.format == ReviewFormat::Json && self.file.is_none()
    }
}

impl FromStr for Outlet {
    type Err = String;

    fn from_str(text: &str) -> Result<Outlet, String> {
        let (format, file) = text.split_once('=').map_or((text, None), |(format, file)| (format, Some(file)));
        let known = || {
            let names = ReviewFormat::value_variants().iter().filter_map(ValueEnum::to_possible_value);
            names.map(|name| name.get_name().to_owned()).collect::<Vec<_>>().join(", ")
        };
        let format = ReviewFormat::from_str(format, false).map_err(|_| format!("the formats are {}", known()))?;
        if file == Some("") {
            return Err("behind = stands the file to write".to_owned());
        }
        Ok(Outlet { format, file: file.map(PathBuf::from) })
    }
}

/// Of `test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Only these migrations
    #[arg(value_name = "VERSION")]
    pub versions: Vec<String>,
    /// Statements that fill the tables before each migration; then the rows are compared, too. What does not fit a version's schema is left out there
    #[arg(long, value_name = "FILE")]
    pub seed: Option<PathBuf>,
    /// Where the scratch databases are made.
    #[command(flatten)]
    pub scratch: ScratchArgs,
}

/// Of `rehearse`.
#[derive(Debug, Args)]
pub struct RehearseArgs {
    /// The migration; what is pending before it is run first. Without it the first that is pending; where no database is named, the last of all
    #[arg(value_name = "VERSION")]
    pub version: Option<String>,
    /// Rows of a table at the most. Without it 100000; where no database is named, 10000
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub rows: Option<u64>,
    /// So many times as many rows as each table has: 0.01, 2
    #[arg(long, value_name = "F", conflicts_with = "rows", value_parser = share)]
    pub scale: Option<f64>,
    /// What the old version of the application runs: SELECT, INSERT, UPDATE and DELETE, with $1, $2 … for values. Without it what pg_stat_statements of the database
    /// has seen, else queries made up from the catalog
    #[arg(long, value_name = "FILE")]
    pub old_queries: Option<PathBuf>,
    /// What the new version runs. Without it queries made up from the catalog
    #[arg(long, value_name = "FILE")]
    pub new_queries: Option<PathBuf>,
    /// Use the most common values that the database's statistics hold. Without it no value leaves the database
    #[arg(long)]
    pub with_data: bool,
    /// How long the applications run where the migration waits: before it, at ready, after contract
    #[arg(long, value_name = "TIME", default_value = "1s")]
    pub hold: String,
    /// For people, for a program, or for a pull request
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = RehearseFormat::Text)]
    pub format: RehearseFormat,
    /// Where the scratch database is made.
    #[command(flatten)]
    pub scratch: ScratchArgs,
}

/// How a rehearsal is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RehearseFormat {
    Text,
    Json,
    Markdown,
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if share > 0.0 && share <= 1000.0 { Ok(share) } else { Err("must be above 0, and no more than 1000".to_owned()) }
}

/// Of commands that work on a scratch database.
#[derive(Debug, Args)]
pub struct ScratchArgs {
    /// The server on which scratch databases are made and removed; without it (and `scratch` in crossfade.toml) a private one
    #[arg(long, value_name = "URL")]
    pub scratch_url: Option<String>,
}

/// Of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Only this migration
    pub version: Option<String>,
    /// Again and again, with so long in between: 10m, 1h; until it is stopped
    #[arg(long, value_name = "TIME")]
    pub every: Option<String>,
    /// With --every: the share of the time in which it reads, above 0 and up to 1
    #[arg(long, value_name = "SHARE", requires = "every", default_value_t = 0.1)]
    pub duty: f64,
    /// With --every: so many rounds
    #[arg(long, value_name = "N", requires = "every")]
    pub rounds: Option<u32>,
}

/// Of commands that look at one migration.
#[derive(Debug, Args)]
pub struct VersionArgs {
    /// Only this migration
    pub version: Option<String>,
}

/// Of `backfill`.
#[derive(Debug, Args)]
pub struct BackfillArgs {
    /// The table, as in SQL: users, app.users, '"Users"'
    pub table: String,
    /// The column that is copied
    pub source: String,
    /// The column that is filled, in every row in which it differs
    pub target: String,
    /// The value in place of the source: an expression over columns of the row
    #[arg(long, value_name = "SQL", allow_hyphen_values = true)]
    pub expr: Option<String>,
    /// Only rows for which this holds
    #[arg(long = "where", value_name = "SQL", allow_hyphen_values = true)]
    pub only: Option<String>,
    /// Rows that one transaction changes at the most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub batch_size: Option<u64>,
    /// Connections that fill existing rows at the same time; 2, or as crossfade.toml says
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=crossfade::config::MOST_WORKERS as i64))]
    pub workers: Option<u16>,
    /// Set rows aside that the server refuses, and fill the others
    #[arg(long)]
    pub park: bool,
    /// Wait for another runner to finish instead of refusing
    #[arg(long)]
    pub wait: bool,
}

/// Of `adopt`.
#[derive(Debug, Args)]
pub struct AdoptArgs {
    /// Whose history, where several are found: alembic, atlas, dbmate, diesel, django, ecto, flyway, golang-migrate,
    /// goose, graphile-migrate, liquibase, prisma, rails, refinery, sqitch, sql-migrate, sqlx, supabase, tern
    #[arg(long, value_name = "TOOL")]
    pub from: Option<String>,
    /// The tool's table, as in SQL
    #[arg(long, value_name = "SCHEMA.TABLE")]
    pub table: Option<String>,
    /// Liquibase's changelogs in SQL, which are only compared
    #[arg(long, value_name = "FOLDER")]
    pub files: Option<PathBuf>,
    /// Only show what would be taken over; needs no right to write
    #[arg(long)]
    pub dry_run: bool,
    /// Take the texts of files that were changed for what was run
    #[arg(long)]
    pub accept_changed: bool,
    /// Keep the versions of files that are gone
    #[arg(long)]
    pub accept_missing: bool,
    /// Run the files on a scratch database first; where that makes another schema than the database has, show the difference and take nothing over
    #[arg(long)]
    pub prove: bool,
    /// Where the scratch database is made; with --prove.
    #[command(flatten)]
    pub scratch: ScratchArgs,
    /// Make the other tool fail when it writes to its history
    #[arg(long)]
    pub fence: bool,
    /// Take the fence away, and do nothing else
    #[arg(long, conflicts_with_all = ["fence", "undo", "dry_run"])]
    pub unfence: bool,
    /// Forget what was taken over, as long as nothing was run since
    #[arg(long, conflicts_with_all = ["fence", "dry_run"])]
    pub undo: bool,
    /// Wait for another runner to finish instead of refusing
    #[arg(long)]
    pub wait: bool,
}

/// Of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
