//! `crossfade check`: the files as CI sees them, before any database does.

use crossfade::CheckOptions;
use crossfade::ErrorKind;
use crossfade::Result;

use super::Context;
use super::outlets;
use super::outlets::Found;
use crate::args::CheckArgs;
use crate::render;
use crate::signals;

/// The branch that a request is for: GitHub, GitLab, Bitbucket, Azure, Buildkite, Drone, Travis.
const BRANCHES: [&str; 7] = [
    "GITHUB_BASE_REF",
    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME",
    "BITBUCKET_PR_DESTINATION_BRANCH",
    "SYSTEM_PULLREQUEST_TARGETBRANCH",
    "BUILDKITE_PULL_REQUEST_BASE_BRANCH",
    "DRONE_TARGET_BRANCH",
    "TRAVIS_BRANCH",
];

pub(super) async fn run(args: &CheckArgs, context: &Context) -> Result<u8> {
    outlets::check(&args.formats)?;
    let config = context.config()?;
    let base = args.base.clone().or_else(|| config.base.clone()).or_else(|| requested(context));
    let asked = args.scratch || args.place.scratch_url.is_some();
    let place = asked.then(|| context.scratch(args.place.scratch_url.as_deref(), &config)).transpose()?;
    let (migrator, mut progress) = context.beside()?;
    let stop = signals::watch(&context.screen)?;
    let report = migrator.check(&CheckOptions { base, scratch: place }, &mut progress, &stop).await?;
    let screen = &context.screen;
    let text = |paint| render::check::text(&report, paint);
    let found = Found { report: &report, text: &text, review: render::review::Review::of_check(&report) };
    outlets::write(&args.formats, &found, screen)?;
    Ok(if report.passes() { 0 } else { ErrorKind::Refused.exit_code() })
}

/// What the CI system says: a branch of the remote.
fn requested(context: &Context) -> Option<String> {
    let branch = BRANCHES.iter().find_map(|name| context.variables.get(name))?;
    Some(format!("origin/{}", branch.trim_start_matches("refs/heads/")))
}
