//! A command that is told something: in a shell, with the alert in its environment and on its standard input.

use std::fs::File;
use std::io::Read as _;
use std::io::Seek as _;
use std::io::SeekFrom;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::signal::killpg;
use nix::unistd::Pid;

use super::alert::Alert;
use super::outcome::Failure;

/// So much of the end of what it wrote is looked at.
const TAIL: u64 = 2000;

/// Ends a command with all that it has started, however it is left.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // Whoever is gone already need not be ended.
            let _ = killpg(leader, Signal::SIGKILL);
        }
    }
}

/// Runs it. Returns the end of what it wrote, or why it failed.
pub(super) async fn call(run: &str, folder: &Path, alert: &Alert, timeout: Duration) -> Result<String, Failure> {
    let could_not = |error: std::io::Error| Failure::new("it could not be started", &format!(": {error}"));
    // Files and no pipes: a command that reads nothing does not break, one that writes much does not stop, and what it leaves running is not waited for.
    let mut output = tempfile::tempfile().map_err(could_not)?;
    let input = written(&alert.json().to_string()).map_err(could_not)?;
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut command = tokio::process::Command::new("/bin/sh");
    command.arg("-c").arg(run).current_dir(folder).envs(alert.variables());
    command.stdin(Stdio::from(input));
    command.stdout(Stdio::from(output.try_clone().map_err(could_not)?));
    command.stderr(Stdio::from(output.try_clone().map_err(could_not)?));
    // A group of its own: Ctrl-C is for us, and a timeout ends all of it.
    command.process_group(0);
    let mut child = command.spawn().map_err(could_not)?;
    let leader = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let mut group = Group(leader);
    let ended = tokio::time::timeout(timeout, child.wait()).await;
    if ended.is_ok() {
        // What it has left running on purpose goes on.
        group.0 = None;
    }
    let text = tail(&mut output);
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).map(|line| format!(": {}", line.trim()));
    let last = last.unwrap_or_default();
    match ended {
        Ok(Ok(status)) if status.success() => Ok(text),
        Ok(Ok(status)) => match status.code() {
            Some(code) => Err(Failure::new(format!("it ended with exit code {code}"), &last)),
            None => Err(Failure::new(format!("it was ended ({status})"), &last)),
        },
        Ok(Err(error)) => Err(Failure::new("it could not be waited for", &format!(": {error}"))),
        Err(_) => Err(Failure::new(format!("it took longer than {timeout:?}, and was ended"), &last)),
    }
}

fn written(text: &str) -> std::io::Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(text.as_bytes())?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

fn tail(output: &mut File) -> String {
    let mut bytes = Vec::new();
    let read = output.metadata().and_then(|metadata| {
        output.seek(SeekFrom::Start(metadata.len().saturating_sub(TAIL)))?;
        output.take(TAIL).read_to_end(&mut bytes)
    });
    match read {
        Ok(_) => String::from_utf8_lossy(&bytes).trim().to_owned(),
        Err(error) => format!("(what it wrote can't be read: {error})"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::alert::Origin;
    use super::super::event::HookEvent;
    use super::*;

    async fn run(text: &str, timeout: Duration) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let mut alert = Alert::new(HookEvent::Failed, &Origin::default());
        alert.version = Some("007".to_owned());
        alert.error = Some("x".repeat(200_000));
        called(text, folder.path(), &alert.told(), timeout).await
    }

    /// What whoever runs it is told.
    async fn called(text: &str, folder: &Path, alert: &Alert, timeout: Duration) -> Result<String, String> {
        call(text, folder, alert, timeout).await.map_err(|failure| failure.why)
    }

    #[tokio::test]
    async fn what_it_has_written_is_not_for_the_journal() {
        let alert = Alert::new(HookEvent::Failed, &Origin::default()).told();
        let folder = tempfile::tempdir().unwrap();
        let failed = call("echo s3cret; exit 3", folder.path(), &alert, LONG).await.unwrap_err();
        assert_eq!(
            (failed.why.as_str(), failed.brief.as_str()),
            ("it ended with exit code 3: s3cret", "it ended with exit code 3")
        );
    }

    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_failure_is_its_code_and_its_last_line() {
        let failed = run("echo one; echo two >&2; echo; exit 3", LONG).await;
        assert_eq!(failed, Err("it ended with exit code 3: two".to_owned()));
        assert!(run("kill -9 $$", LONG).await.unwrap_err().contains("it was ended"));
        assert!(run("no-such-command-here", LONG).await.unwrap_err().contains("exit code 127"));
    }

    #[tokio::test]
    async fn it_gets_the_alert_in_its_environment_and_on_standard_input() {
        // An error of 200 kB is more than one variable may hold on some systems.
        let told = run("read -r json; echo $CROSSFADE_EVENT $CROSSFADE_VERSION ${#json}", LONG).await.unwrap();
        let words: Vec<&str> = told.split(' ').collect();
        assert_eq!(words[..2], ["failed", "007"]);
        assert!(words[2].parse::<usize>().unwrap() > 200_000, "{told}");
        assert_eq!(run("exit 0", LONG).await, Ok(String::new()));
    }

    #[tokio::test]
    async fn what_takes_too_long_is_ended_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let sign = folder.path().join("sign");
        let text = format!("(sleep 1; touch {}) & echo waits; wait", sign.display());
        let begun = Instant::now();
        let failed = run(&text, Duration::from_millis(200)).await.unwrap_err();
        assert!(failed.contains("took longer than 200ms") && failed.ends_with(": waits"), "{failed}");
        assert!(begun.elapsed() < Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(1300)).await;
        assert!(!sign.exists(), "what it started went on");
    }

    #[tokio::test]
    async fn what_it_leaves_running_is_not_waited_for() {
        let begun = Instant::now();
        assert_eq!(run("sleep 3 & echo done", LONG).await, Ok("done".to_owned()));
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
}
