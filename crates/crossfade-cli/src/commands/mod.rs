//! One file a verb: calls the library, renders what it returns.

mod adopt;
mod backfill;
mod baseline;
mod check;
mod completions;
mod contract;
pub mod demo;
mod doctor;
mod drift;
mod explain;
mod goto;
mod history;
mod hooks;
mod init;
mod lint;
mod migrate;
mod new;
mod outlets;
mod pause;
mod plan;
mod purge;
mod redo;
mod rehearse;
mod renumber;
mod repair;
mod resume;
mod rollback;
mod serve;
mod sources;
mod squash;
mod status;
mod targets;
mod test;
mod throttle;
mod usage;
mod verify;
mod wait;
mod watch;

use std::time::Duration;

use crossfade::Config;
use crossfade::Error;
use crossfade::Migrator;
use crossfade::Result;
use crossfade::RunOptions;
use crossfade::Target;
use crossfade::config::parse_duration;
use crossfade::connection::Connection;
use crossfade::report::GotoReport;
use crossfade::report::RunReport;
use crossfade::scratch::ScratchPlace;

pub use self::sources::Sources;
pub(crate) use self::throttle::change_of;
use crate::args::Command;
use crate::args::Global;
use crate::args::RunArgs;
use crate::progress::Progress;
use crate::render;
use crate::screen::Screen;
use crate::variables::Variables;

/// What every command is given.
#[derive(Debug)]
pub struct Context {
    /// The options of every command.
    pub global: Global,
    /// The environment.
    pub variables: Variables,
    /// Where to write.
    pub screen: Screen,
}

impl Context {
    fn config(&self) -> Result<Config> {
        Config::load(&self.global.dir)
    }

    /// For commands that are for one database.
    async fn migrator(&self, config: Config) -> Result<Migrator> {
        self.one(&config).await
    }

    /// For commands that run steps: with what shows them.
    async fn runner(&self) -> Result<(Migrator, Progress)> {
        let config = self.config()?;
        let progress = self.progress(&config);
        Ok((self.one(&config).await?, progress))
    }

    fn progress(&self, config: &Config) -> Progress {
        Progress::new(self.screen.clone(), Sources::new(config))
    }

    /// For commands that connect to no database: no target need be named, and no program is asked for a password.
    fn beside(&self) -> Result<(Migrator, Progress)> {
        let config = self.config()?;
        let progress = self.progress(&config);
        let target = self.default_target(&Config { connection: Connection::default(), ..config.clone() })?;
        Ok((self.made_known(Migrator::new(config.clone(), target), &config), progress))
    }

    /// Whether a database is named anywhere: on the command line, in the configuration, or by a variable.
    fn names_database(&self, config: &Config) -> Result<bool> {
        let variables = ["PGHOST", "PGHOSTADDR", "PGDATABASE", "PGSERVICE"];
        Ok(self.global.database_url.as_ref().is_some_and(|url| !url.is_empty())
            || !self.global.targets.is_empty()
            || !config.targets.each.is_empty()
            || config.connection != Connection::default()
            || self.variables.database_url()?.is_some()
            || variables.iter().any(|name| self.variables.get(name).is_some()))
    }

    /// Where scratch databases are made: what the command line says, else the configuration, else a private server. What a URL leaves out is not
    /// taken from the libpq variables: they name the database that is compared.
    fn scratch(&self, url: Option<&str>, config: &Config) -> Result<ScratchPlace> {
        match url.or(config.scratch.as_ref().map(|url| url.0.as_str())) {
            Some(url) => {
                let target = Target::resolve(Some(url), &|_| None, self.variables.home().as_deref())?;
                Ok(ScratchPlace::Server(Box::new(target)))
            }
            None => Ok(ScratchPlace::Private(self.variables.get("CROSSFADE_PG_BIN").map(Into::into))),
        }
    }

    /// Shows migrations that a command beside a run is about.
    fn show_run(&self, report: &RunReport) -> Result<u8> {
        if self.screen.is_json() {
            self.screen.document(report)?;
        } else {
            self.screen.say(&render::run::text(report, &std::collections::BTreeSet::new(), self.screen.err()));
        }
        Ok(0)
    }

    /// Shows the way that was gone, beyond what was shown on it.
    fn arrive(&self, report: &GotoReport, progress: &Progress) -> Result<u8> {
        if self.screen.is_json() {
            self.screen.document(report)?;
        } else if report.dry_run {
            self.screen.print(&render::goto::way(report))?;
        } else if !report.way.is_empty() {
            let run = RunReport { format: report.format, migrations: report.migrations.clone() };
            self.screen.say(&render::run::text(&run, progress.announced(), self.screen.err()));
        }
        Ok(0)
    }

    /// Shows what a run did, beyond what was shown while it ran.
    fn finish(&self, report: &RunReport, progress: &Progress) -> Result<u8> {
        if self.screen.is_json() {
            self.screen.document(report)?;
        } else {
            self.screen.say(&render::run::text(report, progress.announced(), self.screen.err()));
        }
        Ok(0)
    }
}

impl From<&RunArgs> for RunOptions {
    fn from(args: &RunArgs) -> RunOptions {
        RunOptions { wait: args.wait }
    }
}

/// Reads a time of the command line.
pub(crate) fn time_of(option: &str, text: &str) -> Result<Duration> {
    parse_duration(text).map_err(|why| {
        Error::usage(format!("{option}: {why}")).hint("write a number and a unit: ms, s, m, h, d; for example 30s")
    })
}

/// Runs a command and returns its exit code.
pub async fn run(command: Command, context: &Context) -> Result<u8> {
    match command {
        Command::Init(args) => init::run(&args, context),
        Command::New(args) => new::run(&args, context),
        Command::Status(args) => status::run(&args, context).await,
        Command::History(args) => history::run(args, context).await,
        Command::Doctor => doctor::run(context).await,
        Command::Usage(args) => usage::run(&args, context).await,
        Command::Drift(args) => drift::run(&args, context).await,
        Command::Check(args) => check::run(&args, context).await,
        Command::Explain(args) => explain::run(&args, context),
        Command::Lint(args) => lint::run(&args, context).await,
        Command::Test(args) => test::run(args, context).await,
        Command::Rehearse(args) => rehearse::run(args, context).await,
        Command::Plan(args) => plan::run(&args, context).await,
        Command::Baseline(args) => baseline::run(args, context).await,
        Command::Migrate(args) => migrate::run(args, context).await,
        Command::Contract(args) => contract::run(&args, context).await,
        Command::Rollback(args) => rollback::run(args, context).await,
        Command::Redo(args) => redo::run(args, context).await,
        Command::Goto(args) => goto::run(args, context).await,
        Command::Repair(args) => repair::run(args, context).await,
        Command::Squash(args) => squash::run(args, context).await,
        Command::Purge(args) => purge::run(&args, context).await,
        Command::Renumber(args) => renumber::run(args, context).await,
        Command::Pause(args) => pause::run(&args, context).await,
        Command::Resume(args) => resume::run(&args, context).await,
        Command::Throttle(args) => throttle::run(&args, context).await,
        Command::Wait(args) => wait::run(args, context).await,
        Command::Watch(args) => watch::run(&args, context).await,
        Command::Serve(args) => serve::run(&args, context).await,
        Command::Hooks(args) => hooks::run(args, context).await,
        Command::Verify(args) => verify::run(&args, context).await,
        Command::Backfill(args) => backfill::run(&args, context).await,
        Command::Adopt(args) => adopt::run(&args, context).await,
        Command::Demo(args) => demo::run(args, context.screen.is_json()).await,
        Command::Completions(args) => completions::run(&args, context),
    }
}
