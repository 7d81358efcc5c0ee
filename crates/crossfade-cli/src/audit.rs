//! Who calls, and from where: from the options, the variables of the CI systems, git, and this machine.

use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use crossfade::Audit;
use nix::unistd::User;
use nix::unistd::getuid;

/// Who started a job: GitHub, GitLab, Buildkite, CircleCI, Azure, CodeBuild, Jenkins with its plugin, Drone.
const ACTORS: [&str; 8] = [
    "GITHUB_ACTOR",
    "GITLAB_USER_LOGIN",
    "BUILDKITE_BUILD_CREATOR",
    "CIRCLE_USERNAME",
    "BUILD_REQUESTEDFOR",
    "CODEBUILD_INITIATOR",
    "BUILD_USER_ID",
    "DRONE_COMMIT_AUTHOR",
];

/// The commit of a job: GitHub, GitLab, Buildkite, CircleCI, Bitbucket, Azure, CodeBuild, Jenkins, Drone, Travis, Heroku, Render.
const COMMITS: [&str; 12] = [
    "GITHUB_SHA",
    "CI_COMMIT_SHA",
    "BUILDKITE_COMMIT",
    "CIRCLE_SHA1",
    "BITBUCKET_COMMIT",
    "BUILD_SOURCEVERSION",
    "CODEBUILD_RESOLVED_SOURCE_VERSION",
    "GIT_COMMIT",
    "DRONE_COMMIT_SHA",
    "TRAVIS_COMMIT",
    "HEROKU_SLUG_COMMIT",
    "RENDER_GIT_COMMIT",
];

/// The page of a job, where one variable has it: GitLab, Buildkite, CircleCI, CodeBuild, Jenkins, Drone, Travis.
const PAGES: [&str; 7] = [
    "CI_JOB_URL",
    "BUILDKITE_BUILD_URL",
    "CIRCLE_BUILD_URL",
    "CODEBUILD_BUILD_URL",
    "BUILD_URL",
    "DRONE_BUILD_LINK",
    "TRAVIS_BUILD_WEB_URL",
];

/// What stands beside each event of this call.
pub fn read(actor: Option<&str>, lookup: &dyn Fn(&str) -> Option<String>, migrations: &Path) -> Audit {
    let first = |names: &[&str]| names.iter().find_map(|name| lookup(name));
    let actor = actor.map(str::to_owned).filter(|actor| !actor.is_empty());
    Audit {
        actor: actor.or_else(|| first(&ACTORS)).or_else(|| local_user(lookup)),
        git_commit: COMMITS.iter().filter_map(|name| lookup(name)).find(|commit| is_commit(commit)),
        git_dirty: is_dirty(migrations),
        ci_url: page(lookup).map(|page| without_login(&page)),
    }
}

/// Some systems say HEAD before they know better.
fn is_commit(text: &str) -> bool {
    text.len() >= 7 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The page of the job.
fn page(lookup: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let all = |names: [&str; 3]| {
        let [a, b, c] = names.map(lookup);
        Some((a?, b?, c?))
    };
    if let Some((server, repository, run)) = all(["GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"]) {
        return Some(format!("{server}/{repository}/actions/runs/{run}"));
    }
    if let Some((server, project, build)) = all(["SYSTEM_COLLECTIONURI", "SYSTEM_TEAMPROJECT", "BUILD_BUILDID"]) {
        return Some(format!("{}/{project}/_build/results?buildId={build}", server.trim_end_matches('/')));
    }
    if let (Some(origin), Some(build)) = (lookup("BITBUCKET_GIT_HTTP_ORIGIN"), lookup("BITBUCKET_BUILD_NUMBER")) {
        return Some(format!("{origin}/pipelines/results/{build}"));
    }
    PAGES.iter().find_map(|name| lookup(name))
}

/// A URL without the user and password that it may carry.
fn without_login(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = rest[..authority].rfind('@').map_or(0, |at| at + 1);
    format!("{scheme}://{}", &rest[host..])
}

/// `user@host` of this machine; behind sudo, who called it.
fn local_user(lookup: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let user = match User::from_uid(getuid()) {
        Ok(Some(user)) => Some(user.name),
        Ok(None) | Err(_) => lookup("USER"),
    };
    let user = match user?.as_str() {
        "root" => lookup("SUDO_USER").unwrap_or_else(|| "root".to_owned()),
        user => user.to_owned(),
    };
    let host = nix::unistd::gethostname().ok().and_then(|host| host.into_string().ok());
    Some(host.map_or_else(|| user.clone(), |host| format!("{user}@{host}")))
}

/// Whether the folder has changes that are in no commit. Only git knows; only this folder is looked at, so it is quick.
fn is_dirty(folder: &Path) -> Option<bool> {
    let git = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(["status", "--porcelain", "--", "."])
        // It would write to the index to be quicker the next time.
        .env("GIT_OPTIONAL_LOCKS", "0")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    git.status.success().then_some(!git.stdout.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audit(actor: Option<&str>, variables: &[(&str, &str)]) -> Audit {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        read(actor, &lookup, Path::new("/nonexistent"))
    }

    #[test]
    fn the_option_goes_before_the_job_and_the_job_before_the_machine() {
        let variables = [("GITHUB_ACTOR", "alice"), ("GITLAB_USER_LOGIN", "bob")];
        assert_eq!(audit(Some("carol"), &variables).actor.as_deref(), Some("carol"));
        assert_eq!(audit(Some(""), &variables).actor.as_deref(), Some("alice"));
        let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
        assert!(audit(None, &[]).actor.unwrap().ends_with(&format!("@{host}")));
    }

    #[test]
    fn a_job_is_found_by_its_page() {
        let github = [
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_REPOSITORY", "acme/shop"),
            ("GITHUB_RUN_ID", "99"),
            ("GITHUB_SHA", "3f2a1bc"),
        ];
        let found = audit(None, &github);
        assert_eq!(found.ci_url.as_deref(), Some("https://github.com/acme/shop/actions/runs/99"));
        assert_eq!((found.git_commit.as_deref(), found.git_dirty), (Some("3f2a1bc"), None));
        let gitlab = [("CI_JOB_URL", "https://gitlab.com/acme/shop/-/jobs/7"), ("BUILDKITE_COMMIT", "HEAD")];
        let found = audit(None, &gitlab);
        assert_eq!(found.ci_url.as_deref(), Some("https://gitlab.com/acme/shop/-/jobs/7"));
        assert_eq!(found.git_commit, None);
        let azure = [
            ("SYSTEM_COLLECTIONURI", "https://dev.azure.com/acme/"),
            ("SYSTEM_TEAMPROJECT", "shop"),
            ("BUILD_BUILDID", "5"),
        ];
        let page = audit(None, &azure).ci_url;
        assert_eq!(page.as_deref(), Some("https://dev.azure.com/acme/shop/_build/results?buildId=5"));
        assert_eq!(audit(None, &[("GITHUB_SERVER_URL", "https://github.com")]).ci_url, None);
    }

    #[test]
    fn a_password_in_a_page_does_not_reach_the_journal() {
        let jenkins = [("BUILD_URL", "https://bot:s3cr%40t@ci.example.org:8080/job/x/1/?a=b@c")];
        assert_eq!(audit(None, &jenkins).ci_url.as_deref(), Some("https://ci.example.org:8080/job/x/1/?a=b@c"));
        assert_eq!(without_login("ci.example.org/x"), "ci.example.org/x");
    }

    #[test]
    fn a_folder_outside_of_git_is_neither_clean_nor_dirty() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(is_dirty(folder.path()), None);
    }
}
