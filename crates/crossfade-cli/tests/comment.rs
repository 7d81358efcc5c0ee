//! The comment of `action/`: written once and then edited, on a small stand-in for the services' API. The token is seen by it and by nobody else.

#![expect(clippy::unwrap_used, reason = "a test stops where it can't go on")]

mod repository;

use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::sync::Arc;
use std::sync::Mutex;

use crossfade::scratch::ScratchOptions;
use crossfade::scratch::ScratchServer;
use crossfade::scratch::find_binaries;
use serde_json::Value;
use serde_json::json;

use crate::repository::Repository;
use crate::repository::text;

const TOKEN: &str = "ghs_verysecret0123";
const MARKER: &str = "<!-- crossfade-review: crossfade -->";
const BOT: &str = "github-actions[bot]";

/// What the service holds and does.
#[derive(Default)]
struct State {
    /// Ids, authors and texts.
    comments: Vec<(u64, String, String)>,
    /// Method and path of what came, and whether it had the token.
    seen: Vec<(String, bool)>,
    /// What a call of this method gets in the place of its answer.
    refuses: Vec<(&'static str, u16, String)>,
    /// Where every call is sent on to.
    redirect: Option<String>,
}

/// A service.
struct Service {
    address: String,
    state: Arc<Mutex<State>>,
}

impl Service {
    fn start() -> Service {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let _ = answer(&mut stream.unwrap(), &shared);
            }
        });
        Service { address, state }
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap())
    }

    fn put(&self, id: u64, author: &str, text: &str) {
        self.with(|state| state.comments.push((id, author.to_owned(), text.to_owned())));
    }

    fn ours(&self) -> Vec<(u64, String)> {
        self.with(|state| {
            let ours = state.comments.iter().filter(|(_, author, _)| author == BOT);
            ours.map(|(id, _, text)| (*id, text.clone())).collect()
        })
    }

    /// The methods of what changed something since it was last asked.
    fn changes(&self) -> Vec<String> {
        let seen = self.with(|state| std::mem::take(&mut state.seen));
        assert!(seen.iter().all(|(_, token)| *token), "each call has the token: {seen:?}");
        seen.into_iter().map(|(call, _)| call).filter(|call| !call.starts_with("GET")).collect()
    }
}

/// One request, one answer, one connection.
fn answer(stream: &mut TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let (mut length, mut token) = (0, false);
    let call = line.rsplit_once(' ').map_or("", |(call, _)| call).to_owned();
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        let (name, value) = header.trim().split_once(": ").unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap_or(0),
            "authorization" => token = value == format!("Bearer {TOKEN}"),
            "private-token" => token = value == TOKEN,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut state = state.lock().unwrap();
    state.seen.push((call.clone(), token));
    let (code, location, answer) = match &state.redirect {
        Some(to) => (302, format!("Location: {to}\r\n"), json!({})),
        None => {
            let (code, answer) = serve(&mut state, &call, &body);
            (code, String::new(), answer)
        }
    };
    let answer = answer.to_string();
    let head = format!("HTTP/1.1 {code} X\r\nContent-Length: {}\r\n{location}Connection: close\r\n\r\n", answer.len());
    stream.write_all(format!("{head}{answer}").as_bytes())
}

fn serve(state: &mut State, call: &str, body: &Value) -> (u16, Value) {
    let (method, path) = call.split_once(' ').unwrap();
    if let Some(at) = state.refuses.iter().position(|(refused, _, _)| *refused == method) {
        let (_, code, message) = state.refuses.remove(at);
        return (code, json!({"message": message}));
    }
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let written = body["body"].as_str().unwrap_or_default().to_owned();
    let last = path.rsplit('/').next().unwrap().parse::<u64>();
    match (method, path) {
        ("GET", "/user") => (200, json!({"id": 7})),
        ("GET", "/repos/acme/shop/issues/12/comments" | "/projects/5/merge_requests/12/notes") => {
            let page: usize = query.rsplit("page=").next().unwrap().parse().unwrap();
            let page = state.comments.iter().skip((page - 1) * 100).take(100);
            let shown = page.map(|(id, author, text)| {
                let number = if author == BOT { 7 } else { 8 };
                json!({"id": id, "user": {"login": author}, "author": {"id": number}, "body": text})
            });
            (200, Value::Array(shown.collect()))
        }
        ("POST", "/repos/acme/shop/issues/12/comments" | "/projects/5/merge_requests/12/notes") => {
            let id = 1000 + state.comments.len() as u64;
            state.comments.push((id, BOT.to_owned(), written));
            (201, json!({"id": id}))
        }
        ("PATCH" | "PUT", _) => match state.comments.iter_mut().find(|(id, _, _)| Ok(*id) == last) {
            Some(comment) => {
                comment.2 = written;
                (200, json!({}))
            }
            None => (404, json!({"message": "Not Found"})),
        },
        ("DELETE", _) => {
            state.comments.retain(|(id, _, _)| Ok(*id) != last);
            (204, Value::Null)
        }
        _ => (404, json!({"message": format!("no such call: {call}")})),
    }
}

/// A job of a pull request.
struct Job {
    folder: tempfile::TempDir,
}

impl Job {
    fn new() -> Job {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("event.json"), "{\"pull_request\": {\"number\": 12}}").unwrap();
        Job { folder }
    }

    fn summary(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("summary.md")).unwrap_or_default()
    }

    fn on_github(&self, command: &mut Command, service: &Service, token: &str) -> Output {
        let path = |name: &str| self.folder.path().join(name);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_REPOSITORY", "acme/shop")
            .env("GITHUB_API_URL", &service.address)
            .env("GITHUB_EVENT_PATH", path("event.json"))
            .env("GITHUB_STEP_SUMMARY", path("summary.md"))
            .env("CROSSFADE_REVIEW_TOKEN", token)
            .env("CROSSFADE_REVIEW_PAUSE", "0");
        quiet(command.output().unwrap())
    }

    fn comment(&self, service: &Service, token: &str, text: &str) -> Output {
        std::fs::write(self.folder.path().join("text.md"), text).unwrap();
        let mut command = script(&self.folder.path().join("text.md"));
        self.on_github(&mut command, service, token)
    }
}

fn script(file: &Path) -> Command {
    let mut command = Command::new("python3");
    command.arg("-B").arg(action().join("comment.py")).arg(file);
    command
}

fn action() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../action")
}

/// Whatever happens, the token is not in the log.
fn quiet(output: Output) -> Output {
    for part in [&output.stdout, &output.stderr] {
        assert!(!text(part).contains(TOKEN), "the token is in the log: {}", text(part));
    }
    output
}

fn said(output: &Output) -> String {
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

#[test]
fn it_is_written_once_and_then_edited_in_place() {
    let (service, job) = (Service::start(), Job::new());
    // More than a page of others, one of them that pretends to be ours.
    (1..=120).for_each(|id| service.put(id, "somebody", "hello"));
    service.put(121, "mallory", &format!("{MARKER}\nall is well"));
    let first = job.comment(&service, TOKEN, "# Runbook\n\none");
    assert!(first.status.success() && said(&first).contains("the comment is written"), "{}", said(&first));
    assert_eq!(service.changes(), ["POST /repos/acme/shop/issues/12/comments"]);
    let written = service.ours();
    assert_eq!(written, [(1121, format!("{MARKER}\n# Runbook\n\none\n"))]);

    let second = job.comment(&service, TOKEN, "# Runbook\n\ntwo");
    assert!(said(&second).contains("the comment is edited"), "{}", said(&second));
    assert_eq!(service.changes(), ["PATCH /repos/acme/shop/issues/comments/1121"]);
    assert_eq!(service.ours(), [(1121, format!("{MARKER}\n# Runbook\n\ntwo\n"))]);

    let same = job.comment(&service, TOKEN, "# Runbook\n\ntwo");
    assert!(said(&same).contains("the comment is as it was"), "{}", said(&same));
    assert_eq!(service.changes(), Vec::<String>::new());
    // Two runs at the same time have each written one.
    service.put(2000, BOT, &format!("{MARKER}\none more"));
    job.comment(&service, TOKEN, "three");
    assert_eq!(service.ours(), [(1121, format!("{MARKER}\nthree\n"))]);
    assert!(
        service.with(|state| state.comments.iter().any(|(id, _, text)| *id == 121 && text.ends_with("all is well")))
    );
    assert!(job.summary().contains("# Runbook\n\none") && job.summary().contains("three"));
}

#[test]
fn a_request_from_a_fork_gets_the_summary() {
    let (service, job) = (Service::start(), Job::new());
    let none = job.comment(&service, "", "# Runbook");
    assert!(none.status.success() && said(&none).contains("there is no token"), "{}", said(&none));
    assert!(service.with(|state| state.seen.is_empty()));
    // A token that may only read.
    service.with(|state| state.refuses.push(("POST", 403, "Resource not accessible by integration".to_owned())));
    let refused = job.comment(&service, TOKEN, "# Runbook");
    assert!(refused.status.success(), "{}", said(&refused));
    let why = "403 Resource not accessible by integration); it stands in the job's summary";
    assert!(said(&refused).contains(why), "{}", said(&refused));
    assert_eq!(job.summary().matches("# Runbook").count(), 2);
    // No request at all.
    std::fs::write(job.folder.path().join("event.json"), "{\"ref\": \"refs/heads/main\"}").unwrap();
    let push = job.comment(&service, TOKEN, "# Runbook");
    assert!(push.status.success() && said(&push).contains("no pull request"), "{}", said(&push));
}

#[test]
fn what_fails_is_told_without_the_token() {
    let (service, job) = (Service::start(), Job::new());
    // A service that repeats what it was sent.
    service.with(|state| state.refuses.push(("GET", 401, format!("bad credentials: Bearer {TOKEN}"))));
    let wrong = job.comment(&service, TOKEN, "x");
    assert_eq!(wrong.status.code(), Some(1));
    assert!(said(&wrong).contains("401 bad credentials: Bearer ***"), "{}", said(&wrong));
    // A read is tried again, a write is not.
    service.with(|state| {
        state.refuses.extend([
            ("GET", 502, String::new()),
            ("GET", 503, String::new()),
            ("POST", 502, "oops".to_owned()),
        ])
    });
    let write = job.comment(&service, TOKEN, "x");
    assert_eq!(write.status.code(), Some(1));
    assert!(said(&write).contains("502 oops"), "{}", said(&write));
    assert_eq!(service.ours(), []);
    // Another host gets nothing.
    let other = Service::start();
    service.with(|state| state.redirect = Some(format!("{}/repos/acme/shop/issues/12/comments", other.address)));
    let sent_on = job.comment(&service, TOKEN, "x");
    assert_eq!(sent_on.status.code(), Some(1), "{}", said(&sent_on));
    assert!(other.with(|state| state.seen.is_empty()));
    // Nor is it sent in the clear.
    let clear = Service { address: "http://api.example.org".to_owned(), state: service.state.clone() };
    let output = job.comment(&clear, TOKEN, "x");
    assert!(output.status.code() == Some(1) && said(&output).contains("it is not https"), "{}", said(&output));
}

#[test]
fn a_long_text_is_cut_where_nothing_is_open() {
    let (service, job) = (Service::start(), Job::new());
    let step = format!(
        "**1. step**\n\n<details><summary>1 statement</summary>\n\n````sql\n{}\n```\n````\n\n</details>\n\n",
        "x".repeat(900)
    );
    let output = job.comment(&service, TOKEN, &step.repeat(100));
    assert!(output.status.success(), "{}", said(&output));
    let body = service.ours().remove(0).1;
    assert!(body.chars().count() <= 65_536 && body.chars().count() > 60_000, "{}", body.chars().count());
    assert_eq!(body.matches("<details>").count(), body.matches("</details>").count());
    assert_eq!(body.matches("````").count() % 2, 0);
    assert!(body.trim_end().ends_with("the job's summary or its log has all of it.*"), "{}", &body[body.len() - 200..]);
    assert!(job.summary().len() > 90_000, "the summary has all of it");
}

#[test]
fn a_merge_request_of_gitlab_has_one_note() {
    let (service, job) = (Service::start(), Job::new());
    service.put(1, "somebody", &format!("{MARKER}\nnot ours"));
    for (text, change) in
        [("one", "POST /projects/5/merge_requests/12/notes"), ("two", "PUT /projects/5/merge_requests/12/notes/1001")]
    {
        std::fs::write(job.folder.path().join("text.md"), text).unwrap();
        let output = script(&job.folder.path().join("text.md"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("GITLAB_CI", "true")
            .env("CI_API_V4_URL", &service.address)
            .env("CI_PROJECT_ID", "5")
            .env("CI_MERGE_REQUEST_IID", "12")
            .env("CROSSFADE_REVIEW_TOKEN", TOKEN)
            .output()
            .unwrap();
        assert!(quiet(output.clone()).status.success(), "{}", said(&output));
        assert_eq!(service.changes(), [change]);
    }
    assert_eq!(service.ours(), [(1001, format!("{MARKER}\ntwo\n"))]);
}

/// `review` in the repository, with the real binary, as a job for a pull request to `main`.
fn review(job: &Job, service: &Service, repository: &Repository, url: &str) -> Output {
    let bin = Path::new(env!("CARGO_BIN_EXE_crossfade")).parent().unwrap().to_owned();
    let others = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(bin).chain(std::env::split_paths(&others))).unwrap();
    // What `on_github` clears is set again behind it.
    let mut command = Command::new("env");
    command.current_dir(repository.path());
    command.arg(format!("PATH={}", path.to_string_lossy())).args(["CROSSFADE_REVIEW_DIR=db", "GITHUB_BASE_REF=main"]);
    // The database of the job itself is another one.
    command.arg("MIGRATION_DATABASE_URL=postgres://nobody@127.0.0.1:1/nowhere");
    command.arg(format!("CROSSFADE_REVIEW_DATABASE_URL={url}")).arg(action().join("review"));
    job.on_github(&mut command, service, TOKEN)
}

/// The whole of it: what the branch changed, the exit code of the lint, and nothing of the database's address where it can't be reached.
#[test]
fn a_branch_is_reviewed() {
    let (service, job, repository) = (Service::start(), Job::new(), Repository::new());
    repository.git(&["update-ref", "refs/remotes/origin/main", "main"]);
    repository.write("db/migrations/003_wrong.sql", "CREATE TABEL x ();\n");
    let output = review(&job, &service, &repository, "");
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(text(&output.stdout).contains("::error file=db/migrations/003_wrong.sql,line=1"), "{}", said(&output));
    let body = service.ours().remove(0).1;
    let lint = repository.call("lint", &[], &["--since", "origin/main", "--format", "markdown"]);
    assert_eq!(body.trim_end(), format!("{MARKER}\n{}", text(&lint.stdout)).trim_end());
    assert!(body.contains("db/migrations/003_wrong.sql:1:8"), "{body}");

    let output = review(&job, &service, &repository, "postgres://nobody:secretword@127.0.0.1:1/nowhere");
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    let body = service.ours().remove(0).1;
    assert!(body.contains("# Runbook\n\nIt could not be made") && !body.contains("secretword"), "{body}");
    assert!(!said(&output).contains("secretword"), "{}", said(&output));
    assert_eq!(service.ours().len(), 1);
}

#[test]
fn the_runbook_of_a_database_stands_below_the_findings() {
    let server = ScratchServer::start(ScratchOptions::new(find_binaries(None).unwrap())).unwrap();
    let url = server.url("postgres");
    let (service, job, repository) = (Service::start(), Job::new(), Repository::new());
    repository.git(&["update-ref", "refs/remotes/origin/main", "main"]);
    repository.write("db/migrations/003_comment.sql", "COMMENT ON TABLE users IS '<b>@team</b> | `x`';\n");
    let output = review(&job, &service, &repository, &url);
    assert!(output.status.success(), "{}", said(&output));
    let body = service.ours().remove(0).1;
    assert!(body.contains("\n# Runbook\n") && body.contains("## Migration `003` comment"), "{body}");
    // Outside of blocks of code nothing of a file's text is markup.
    let outside: String = body.split("```").step_by(2).collect();
    assert!(!outside.contains("<b>") && !outside.contains("@team"), "{outside}");

    let plan = |arguments: &[&str]| repository.call("plan", &[("DATABASE_URL", url.as_str())], arguments);
    let alone = plan(&["--format", "markdown"]);
    assert!(alone.status.success() && body.contains(text(&alone.stdout).trim_end()), "{}", text(&alone.stdout));
    let one = text(&plan(&["3", "001", "--format", "markdown"]).stdout);
    assert!(
        one.contains("## Migration `001`") && one.contains("## Migration `003`") && !one.contains("`002`"),
        "{one}"
    );
    let document: Value = serde_json::from_slice(&plan(&["--format", "markdown", "--json"]).stdout).unwrap();
    assert_eq!(document["runbooks"].as_array().map(Vec::len), Some(3));

    repository.write("db/migrations/004_wrong.sql", "CREATE TABEL x ();\n");
    let refused = plan(&["--format", "markdown"]);
    assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
    let shown = text(&refused.stdout);
    assert!(shown.contains("## Refused") && shown.contains("## Migration `003`"), "{shown}");
    assert_eq!(review(&job, &service, &repository, &url).status.code(), Some(3));
    assert!(service.ours().remove(0).1.contains("## Refused"));
}
