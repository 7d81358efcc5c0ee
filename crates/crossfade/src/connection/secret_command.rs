//! A program that says a secret. It is run without a shell, and nothing of what it writes is kept or shown: neither the secret nor its complaints.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::process::Stdio;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::channel;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::signal::killpg;
use nix::unistd::Pid;

use super::MOST;
use super::text_of;
use crate::error::Error;
use crate::error::Result;

/// Programs that ask a vault over the network take seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// What it writes to standard output, without white space around it.
pub(super) fn run(words: &[String]) -> Result<String> {
    run_within(words, PATIENCE)
}

fn run_within(words: &[String], patience: Duration) -> Result<String> {
    let [program, arguments @ ..] = words else { return Err(Error::usage("a command without a program")) };
    let failed = |why: String| {
        Error::failed(format!("{program}, which says how to connect, {why}"))
            .hint("what it writes is not shown here; run it by hand to see it")
    };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    // A group of its own, so that what it has started ends with it.
    command.process_group(0);
    let mut child = command.spawn().map_err(|error| failed("could not be started".to_owned()).caused_by(error))?;
    let leader = i32::try_from(child.id()).ok().map(Pid::from_raw);
    let end = || {
        if let Some(leader) = leader {
            // Whoever is gone already need not be ended.
            let _ = killpg(leader, Signal::SIGKILL);
        }
    };
    let (send, receive) = channel();
    let output = child.stdout.take();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = output.map_or(Ok(0), |output| output.take(MOST + 1).read_to_end(&mut bytes));
        // Nobody waits for it after a timeout.
        let _ = send.send(read.map(|_| bytes));
    });
    let read = receive.recv_timeout(patience);
    // It has said all it can, or too much, or takes too long.
    if read.as_ref().map_or(true, |read| read.as_ref().map_or(true, |bytes| bytes.len() as u64 > MOST)) {
        end();
    }
    let status = child.wait().map_err(|error| failed("could not be waited for".to_owned()).caused_by(error))?;
    let bytes = match read {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => return Err(failed("could not be read".to_owned()).caused_by(error)),
        Err(RecvTimeoutError::Timeout) => return Err(failed(format!("took longer than {patience:?}, and was ended"))),
        Err(RecvTimeoutError::Disconnected) => return Err(failed("said nothing".to_owned())),
    };
    let is_too_much = bytes.len() as u64 > MOST;
    match status.code() {
        Some(0) => {}
        Some(_) | None if is_too_much => {}
        Some(code) => return Err(failed(format!("ended with exit code {code}"))),
        None => return Err(failed(format!("was ended ({status})"))),
    }
    text_of(bytes).map_err(|why| failed(why.replace("has", "writes").replace("is empty", "writes nothing")))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn shell(text: &str) -> Vec<String> {
        ["/bin/sh", "-c", text].map(str::to_owned).to_vec()
    }

    fn why(words: &[String]) -> String {
        let error = run_within(words, Duration::from_millis(500)).unwrap_err();
        let text = format!("{error:?} {} {}", error.chain(), error.hint_text().unwrap_or_default());
        assert!(!text.contains("s3cret"), "{text}");
        error.chain()
    }

    #[test]
    fn a_failure_says_nothing_of_what_was_written() {
        assert!(why(&["/no/such/program".to_owned()]).contains("could not be started: No such file"));
        assert!(why(&shell("echo s3cret; echo s3cret >&2; exit 3")).ends_with("ended with exit code 3"));
        assert!(why(&shell("exit 0")).ends_with("writes nothing"));
        assert!(why(&shell("kill -9 $$")).contains("was ended"));
        assert!(why(&shell("yes s3cret")).ends_with("writes too much text for a secret"));
        let begun = Instant::now();
        assert!(why(&shell("echo s3cret; sleep 20 & sleep 20")).contains("took longer than 500ms"));
        assert!(begun.elapsed() < Duration::from_secs(15));
    }

    #[test]
    fn what_it_writes_is_the_secret_and_no_shell_is_in_between() {
        let words = ["/bin/echo", " $HOME; x "].map(str::to_owned);
        assert_eq!(run_within(&words, PATIENCE).unwrap(), "$HOME; x");
    }
}
