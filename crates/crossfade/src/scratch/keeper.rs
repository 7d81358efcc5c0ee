//! The process that clears a scratch server away, whatever ends ours.
//!
//! A `static`, a `kill -9` and an abort never run a destructor, and a server that nobody stops stays for days. The kernel
//! closes the pipes of a dead process, though, always: that is the signal. The keeper is a few lines of shell, so that it
//! needs no second program of ours. It does not look after the server while it runs, and restarts nothing.

use std::io;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

/// The process that outlives us by a moment to clear away. It acts when it reads `end`, or when the pipe closes.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) process: Child,
}

/// It believes a process number only while the server's own `postmaster.pid` stands, so that it never ends a stranger.
/// `kill -QUIT` is the immediate shutdown, in which the server ends its own children first.
const KEEPER_SCRIPT: &str = r#"
trap '' HUP INT TERM
pid=
while read -r line; do
    [ "$line" = end ] && break
    pid=$line
done
running() { [ -n "$pid" ] && [ -e "$1/data/postmaster.pid" ]; }
if running "$1"; then
    kill -QUIT "$pid"
    tries=0
    while running "$1" && [ "$tries" -lt 200 ]; do
        sleep 0.05
        tries=$((tries + 1))
    done
    if running "$1"; then kill -KILL "$pid"; fi
fi
rm -rf "$1" || { sleep 1; rm -rf "$1"; }
"#;

impl Keeper {
    pub(super) fn start(folder: &Path) -> io::Result<Keeper> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", KEEPER_SCRIPT, "crossfade-scratch-keeper"]).arg(folder);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Its own group: a Ctrl-C at the terminal is for us to handle. Its own folder: it must not stand in what it removes.
        command.process_group(0).current_dir("/");
        Ok(Keeper { process: command.spawn()? })
    }

    /// Tells the keeper which process to end. Before that it only removes the folder.
    pub(super) fn watch(&mut self, server: &Child) {
        self.tell(&server.id().to_string());
    }

    /// Returns when all is cleared away. The word is needed beside the closing: a process that another thread started in
    /// the very moment of the pipe's making may have inherited it, where a system has no atomic close-on-exec.
    pub(super) fn end(&mut self) {
        self.tell("end");
        drop(self.process.stdin.take());
        // Its status is of no use: the caller looks at what is left, not at what the keeper thinks.
        let _ = self.process.wait();
    }

    fn tell(&mut self, line: &str) {
        if let Some(pipe) = &mut self.process.stdin {
            // It fails only when the keeper was killed, and then `ScratchServer::end` does its work.
            let _: io::Result<()> = writeln!(pipe, "{line}");
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.end();
    }
}
