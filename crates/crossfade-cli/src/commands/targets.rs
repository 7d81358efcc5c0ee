//! Which of the configuration's targets a command is for, and the command on several of them.

use crossfade::Config;
use crossfade::Error;
use crossfade::ErrorKind;
use crossfade::Migrator;
use crossfade::Result;
use crossfade::Stop;
use crossfade::Target;
use crossfade::config::SecretUrl;
use crossfade::connection::Said;
use crossfade::report::REPORT_FORMAT;
use crossfade::report::TargetReport;
use crossfade::report::TargetState;
use crossfade::report::TargetsReport;
use crossfade::targets;
use crossfade::targets::EachOptions;
use crossfade::targets::Outcome;
use crossfade::targets::Place;
use crossfade::targets::Ran;
use crossfade::targets::TargetConfig;
use serde_json::Value;

use super::Context;
use super::Sources;
use crate::args::ManyArgs;
use crate::args::ParallelArgs;
use crate::audit;
use crate::progress::Progress;
use crate::render;
use crate::render::targets::Line;

/// What a command is for.
#[derive(Debug)]
pub enum Aim {
    /// The one database, or one target that is named as a whole.
    One(Box<Migrator>),
    /// All that are named, or all.
    Many(Vec<Place>),
}

/// What a command came to on one of several targets.
#[derive(Debug)]
pub struct Summary {
    /// In a few words.
    pub words: String,
    /// Its document.
    pub document: Value,
}

impl Summary {
    /// Of a report.
    pub fn new(words: String, report: &impl serde::Serialize) -> Result<Summary> {
        let document = serde_json::to_value(report)
            .map_err(|error| Error::failed("could not write the document").caused_by(error))?;
        Ok(Summary { words, document })
    }
}

/// How a command goes through several targets.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    at_once: ParallelArgs,
    keep_going: bool,
    /// Whether it changes nothing.
    looks_only: bool,
    /// Whether it may make the schema of a tenant.
    may_create: bool,
}

impl Manner {
    /// A command that is for one.
    pub fn single() -> Manner {
        Manner::looking(ParallelArgs { parallel: None })
    }

    /// A command that changes nothing.
    pub fn looking(at_once: ParallelArgs) -> Manner {
        Manner { at_once, keep_going: true, looks_only: true, may_create: false }
    }

    /// A command that changes something.
    pub fn changing(many: ManyArgs) -> Manner {
        Manner { at_once: many.at_once, keep_going: many.keep_going, looks_only: false, may_create: false }
    }

    /// One that may make what is not there yet.
    pub fn making(many: ManyArgs) -> Manner {
        Manner { may_create: true, ..Manner::changing(many) }
    }
}

impl Context {
    /// What the command line names of the configuration's targets.
    pub async fn aim(&self, config: &Config, manner: Manner) -> Result<Aim> {
        let wanted = &self.global.targets;
        if config.targets.each.is_empty() && wanted.is_empty() {
            let migrator = Migrator::new(config.clone(), self.default_target(config)?);
            return Ok(Aim::One(Box::new(self.made_known(migrator, config))));
        }
        let places = targets::expand(config, wanted, &|target| self.reach(config, target)).await?;
        match (wanted.as_slice(), places.as_slice()) {
            ([wanted], [place]) if place.name == *wanted => {
                Ok(Aim::One(Box::new(self.at(place, config, manner).await?)))
            }
            _ => Ok(Aim::Many(places)),
        }
    }

    /// For a command that is for one database.
    pub async fn one(&self, config: &Config) -> Result<Migrator> {
        match self.aim(config, Manner::single()).await? {
            Aim::One(migrator) => Ok(*migrator),
            Aim::Many(places) => match places.as_slice() {
                [place] => self.at(place, config, Manner::single()).await,
                places => {
                    let names: Vec<&str> = places.iter().take(20).map(|place| place.name.as_str()).collect();
                    let names = if names.is_empty() { "there is none".to_owned() } else { names.join(", ") };
                    Err(Error::usage("this command is for one database, and crossfade.toml has several targets")
                        .hint(format!("name one with --target: {names}")))
                }
            },
        }
    }

    async fn at(&self, place: &Place, config: &Config, manner: Manner) -> Result<Migrator> {
        place.prepare(manner.may_create).await?;
        Ok(self.made_known(place.migrator(config), config))
    }

    /// With who calls, and with what of the hooks stands in the environment.
    pub fn made_known(&self, migrator: Migrator, config: &Config) -> Migrator {
        let lookup = |name: &str| self.variables.get(name);
        let audit = audit::read(self.global.actor.as_deref(), &lookup, &config.migrations);
        migrator.hooks_from(&lookup).audited(audit)
    }

    /// How the database is reached where no target says it.
    pub fn default_target(&self, config: &Config) -> Result<Target> {
        let lookup = |name: &str| self.variables.named(name);
        let libpq = |name: &str| self.variables.get(name);
        let home = self.variables.home();
        if let Some(url) = self.global.database_url.as_deref().filter(|url| !url.is_empty()) {
            return Target::resolve(Some(url), &libpq, home.as_deref());
        }
        let mut connection = config.connection.clone();
        if let Some(url) = self.variables.database_url()? {
            connection.url = Some(Said::Here(SecretUrl(url)));
        }
        connection.target(&lookup, home.as_deref())
    }

    fn reach(&self, config: &Config, target: &TargetConfig) -> Result<Target> {
        match &target.connection {
            None => self.default_target(config),
            Some(_) if self.global.database_url.is_some() => {
                Err(Error::usage("--database-url names a database, and the target names its own")
                    .hint("leave one of them out"))
            }
            Some(connection) => connection.target(&|name| self.variables.named(name), self.variables.home().as_deref()),
        }
    }

    /// Runs a command on each of several targets and shows what came of it.
    pub async fn on_each<W, F>(
        &self,
        config: &Config,
        places: Vec<Place>,
        manner: Manner,
        stop: &Stop,
        work: W,
    ) -> Result<u8>
    where
        W: Fn(Migrator, Progress, Stop) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Summary>> + Send + 'static,
    {
        let options = EachOptions {
            parallel: manner.at_once.parallel.map_or(config.targets.parallel, usize::from),
            keep_going: manner.keep_going,
            canaries: !manner.looks_only,
        };
        let ran = targets::each(places, options, stop, |place, stop| {
            let migrator = self.made_known(place.migrator(config), config);
            let progress = Progress::new(self.screen.labelled(&place.name), Sources::new(config));
            let (work, may_create) = (work.clone(), manner.may_create);
            async move {
                place.prepare(may_create).await?;
                work(migrator, progress, stop).await
            }
        })
        .await;
        self.show_matrix(&ran, manner.looks_only)?;
        Ok(worst(&ran))
    }

    fn show_matrix(&self, ran: &[Ran<Summary>], is_result: bool) -> Result<()> {
        if self.screen.is_json() {
            let report = TargetsReport { format: REPORT_FORMAT, targets: ran.iter().map(document).collect() };
            return self.screen.document(&report);
        }
        for ran in ran {
            if let Outcome::Failed(error) = &ran.outcome {
                self.screen.labelled(&ran.place.name).say(&render::error::text(error, self.screen.err()));
            }
        }
        let lines: Vec<Line> = ran.iter().map(line).collect();
        if is_result {
            self.screen.print(&render::targets::table(&lines, self.screen.out()))?;
        } else {
            self.screen.say(&render::targets::table(&lines, self.screen.err()));
        }
        Ok(())
    }
}

fn state<T>(outcome: &Outcome<T>) -> TargetState {
    match outcome {
        Outcome::Done(_) => TargetState::Done,
        Outcome::Failed(error) => match error.kind() {
            ErrorKind::Refused => TargetState::Refused,
            ErrorKind::Failed | ErrorKind::Usage => TargetState::Failed,
        },
        Outcome::Stopped(_) => TargetState::Stopped,
        Outcome::NotBegun => TargetState::NotBegun,
    }
}

fn line(ran: &Ran<Summary>) -> Line {
    let words = match &ran.outcome {
        Outcome::Done(summary) => summary.words.clone(),
        Outcome::Failed(error) | Outcome::Stopped(error) => error.to_string(),
        Outcome::NotBegun => String::new(),
    };
    let place = &ran.place;
    Line { name: place.name.clone(), canary: place.canary, state: state(&ran.outcome), took: ran.took, words }
}

fn document(ran: &Ran<Summary>) -> TargetReport<&Value, render::error::Body> {
    let (report, error) = match &ran.outcome {
        Outcome::Done(summary) => (Some(&summary.document), None),
        Outcome::Failed(error) | Outcome::Stopped(error) => (None, Some(render::error::body(error))),
        Outcome::NotBegun => (None, None),
    };
    TargetReport {
        name: ran.place.name.clone(),
        database: ran.place.target.display(),
        schema: ran.place.target.schema().map(str::to_owned),
        canary: ran.place.canary,
        state: state(&ran.outcome),
        seconds: ran.took.as_secs_f64(),
        report,
        error,
    }
}

/// The exit code of the worst: failed, then wrong use, then refused. What was not begun is never done.
fn worst(ran: &[Ran<Summary>]) -> u8 {
    let kind_is =
        |kind: ErrorKind| ran.iter().any(|ran| matches!(&ran.outcome, Outcome::Failed(error) if error.kind() == kind));
    let worst = [ErrorKind::Failed, ErrorKind::Usage, ErrorKind::Refused].into_iter().find(|kind| kind_is(*kind));
    let is_done = ran.iter().all(|ran| matches!(ran.outcome, Outcome::Done(_)));
    match worst {
        Some(kind) => kind.exit_code(),
        None if is_done => 0,
        None => ErrorKind::Failed.exit_code(),
    }
}
